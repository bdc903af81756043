//! The issuer as its users meet it: over loopback sockets, and through minting.

mod by_browser;
mod control;
mod discovery;
mod federation;
mod grants;
mod harness;
mod minting;
mod on_devices;
mod persistence;
mod tls;
