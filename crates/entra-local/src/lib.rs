//! A token issuer that speaks Microsoft Entra's endpoints, for `fame dev` and for tests.
//!
//! Nobody should need a tenant in the cloud to try a service or to test it. This crate gives
//! them what Entra would: discovery documents, signing keys, a token endpoint and sign-in pages that unmodified
//! client libraries accept, and https under a certificate authority of its own. On top of that it gives what
//! Entra never would: any token a test can think of ([`TokenRequest`]), and keys that rotate on demand.
//!
//! People sign in by picking who they are. What their applications hold from then on (codes, refresh tokens) ends with
//! this process at the latest; accounts, keys and certificates last ([`IssuerState`]).
//!
//! It guards nothing and must never face a network: whoever reaches the control endpoint may become anybody.
//!
//! | item | what for |
//! |---|---|
//! | [`Issuer`] | the whole state: keys, certificates, directory, clock |
//! | [`Directory`] | who exists: applications, users, resources |
//! | [`TokenRequest`] | minting, well-formed and ill-formed |
//! | [`router`], [`control_router`] | the endpoints |
//! | [`serve_https`] | the same router behind TLS |

mod authorize;
mod certificates;
mod control;
mod device;
mod directory;
mod discovery;
mod error;
mod federation;
mod grants;
mod issuer;
mod keys;
mod listener;
mod oauth_error;
pub mod own_page;
mod pages;
mod redirects;
mod routes;
mod scopes;
mod tickets;
mod tls;
mod token;

pub use certificates::{CertificateState, Certificates, host_name};
pub use control::{Federation, Rotation, RotationRequest, control_router};
pub use directory::{Application, Directory, FederatedCredential, Resource, Secret, TokenVersion, User};
pub use error::Error;
pub use issuer::{Clock, Issuer, IssuerState, Settings};
pub use keys::{JsonWebKey, JsonWebKeySet};
pub use listener::Scheme;
pub use routes::router;
pub use tls::serve_https;
pub use token::{SigningKeyChoice, TokenAlgorithm, TokenRequest};

#[cfg(test)]
mod tests;
