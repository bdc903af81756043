//! The service as its callers see it: over HTTP, through a real port, on both databases.
//!
//! One file for each kind of thing that is served. Every test starts a service of its own (see `harness`), speaks
//! to it as somebody with a name, and never waits for time to pass: the service's clock stands still until the
//! test moves it.

#![expect(
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod access_matrix;
mod admin_center;
mod admin_clients;
mod agent_work;
mod agents;
mod apps;
mod bodies;
mod commits;
mod concurrency;
mod conformance;
mod connections;
mod countries;
mod creating;
mod csdl;
mod csv;
mod customers;
mod downloads;
mod early_answers;
mod environments;
mod error_codes;
mod errors;
mod etags;
mod every_endpoint_guarded;
mod every_operation;
mod execution;
mod feed;
mod forecasts;
mod free_space;
mod freezes;
mod groups;
mod harness;
mod health;
mod history;
mod hotfixes;
mod identity;
mod inventories;
mod lists;
mod msal;
mod object_stores;
mod observability;
mod odata_format;
mod openapi;
mod operator;
mod pools;
mod postgres;
mod principals;
mod private_files;
mod quotas;
mod repeating;
mod replicas;
mod requests;
mod restart;
mod retention;
mod rollouts;
mod rollouts_driven;
mod samples;
mod side_data;
mod signers;
mod store_failures;
mod transfer;
mod trusted_publishing;
mod uploads;
mod versions;
mod vscode_client;
mod waiting;
mod webhooks;
mod what_if;

use test_support::reviewed_file;
