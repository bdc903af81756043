//! The issuer as its users meet it: over loopback sockets, and through minting.

mod control;
mod discovery;
mod grants;
mod harness;
mod minting;
mod persistence;
mod tls;
