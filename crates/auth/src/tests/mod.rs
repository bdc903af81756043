//! The authenticator against a real issuer on a loopback socket, with a clock that only the test moves.

mod challenges;
mod doors;
mod entra;
mod fixture;
mod keys;
mod memory;
mod oidc;
mod refusals;
mod settings;
