//! The business of the service: its words, rules and state machines, with nothing else in it.
//!
//! Nothing here knows HTTP, SQL or JSON, and nothing here asks what time it is: `now` is a parameter.
//! That is what makes every rule testable in microseconds, and what lets the same rule answer a request,
//! start a hotfix and explain a plan.
//!
//! # Glossary
//! The field's words, and what they mean in every crate of the project.
//!
//! What vendors offer:
//! * **app**: what an operator registers and a vendor maintains; it stands for no particular version.
//! * **country**: a localisation (`US`, `DK`, or the worldwide `W1`) for which versions of an app are uploaded.
//! * **version**: one package uploaded for one country, with its number of four parts. Versions are of one **line**
//!   when major and minor numbers are equal.
//! * **package**: the `.app` file of a version.
//! * **signer rule**: who must have signed the packages of an app, where somebody must.
//! * **availability**: to whom a version is offered: `Preview`, `Available` or `Deprecated`.
//! * **catalogue**: all versions of all apps, with what each needs and what it is incompatible with.
//!
//! What customers have:
//! * **tenant**: an organisation in Microsoft Entra: a vendor's, or the customer's to whom an environment belongs.
//! * **application family**: the product line that an environment runs; part of its name (`BusinessCentral`).
//! * **environment**: a customer's running Business Central, known by tenant, family and name.
//! * **inventory**: what is reported of an environment: its facts and the apps installed in it, complete or not.
//! * **missing**: said of an environment that its agent does not name any more; **disputed**: of one that is reported as a
//!   sandbox and was production. In neither does anything start. **contested**: of one that another agent reports too.
//! * **drift**: what became of an environment or of an app in it without the service's doing.
//! * **installation**: an app, in some version, in an environment.
//! * **update window**: the hours, on the environment's own clock, in which its operations may start.
//!
//! What changes:
//! * **operation**: one change of one app in one environment, with its whole life. A **hotfix** is an operation that a
//!   vendor asked for, within the line installed.
//! * **plan** (a customer's): all operations that what they asked for takes, in order; they are scheduled together or
//!   not at all.
//! * **postponed**: said of a hotfix that the environment's customer has put off.
//! * **slot**: the one place for a waiting or running operation that each installation has.
//! * **due**: said of an operation whose time has come and that may start now, and of an environment in which one may.
//! * **agent**: whoever carries operations out and reports what is installed, from beside the environments.
//! * **claim**: taking due operations; each is then one agent's, until it reports or its lease ends.
//! * **lease**: how long a claimed operation stays its agent's without a **heartbeat**, by which it is renewed.
//! * **waiting for**: the one thing that has to happen first before an operation begins that was asked for.
//! * **held**: said of an environment in which nothing starts, because the outcome of an operation is unknown.
//! * **freeze**: what the operator has stopped at once: an app, somebody who asks, an agent, all scheduling, or what is
//!   sent to webhooks; and a span of time in which none of an app's hotfixes start, as its owners say.
//! * **tag**: a vendor's own word on an environment that has its app.
//! * **generation**: what tells one writing of some bytes to a storage location from another writing of the same bytes,
//!   so that removing the one never meets the other.
//!
//! Who asks, and where:
//! * **principal**: a user or an application of Microsoft Entra that has **roles** on an app: Owner, Contributor,
//!   Reader.
//! * **trusted publisher**: the runs of a pipeline that may act for an app, and what they may; each **exchange**s what its
//!   own issuer says of it for a token of the service's own.
//! * **delegated**: said of an administrator whom a customer granted their rights from the tenant of a **partner**.
//! * **vendor**: the publisher of apps; **customer**: who runs environments; **operator**: who runs the service.
//! * **vendor API**: the App Management API under `/v1.0`; **operator API** (`/operator/v1`); **agent API**
//!   (`/agent/v1`); **customers' API**: the Admin Center API (`/admin/v2`); **console**: the web pages.
//! * **door**: one of these APIs as a token opens it.
//! * **API version**: the number in an address (`v1.0`), by which shapes stay as they were promised.
//! * **scope**: the part of the service that a list, a permission or an agent is confined to: an app or one of its
//!   countries, a tenant, a set of environments, everything.
//!
//! What is remembered:
//! * **correlation id**: the id of one request, in its answer and in everything written down because of it.
//! * **audit**: the record of who changed what and when, written in the change's own transaction.
//! * **event**: something that happened, delivered to whoever subscribed; **outbox**: where events lie, written in the
//!   change's own transaction, until they are delivered.
//! * **webhook**: an address that is told of events; **delivery**: one event on its way to one of them.
//! * **destination**: where something is sent that somebody else chose the address of: a webhook, or telemetry.

pub mod access;
pub mod agent;
pub mod catalogue;
pub mod chain;
pub mod country;
pub mod customer;
pub mod destination;
pub mod environment;
pub mod freeze;
pub mod hotfix;
pub mod ids;
pub mod instant;
pub mod inventory;
pub mod jitter;
pub mod loopback;
pub mod operation;
pub mod pattern;
pub mod postponement;
pub mod principal;
pub mod problem;
pub mod publisher;
pub mod redaction;
pub mod resolution;
pub mod rollout;
mod rules;
pub mod signer;
pub mod start;
pub mod tags;
pub mod text;
pub mod version;
mod vocabulary;
pub mod waiting;
pub mod webhook;
pub mod window;
pub mod zone;
