//! Who an agent is, once it has signed in.

use crate::actions::Arrival;
use domain::agent::Identity;
use uuid::Uuid;

/// What an agent showed to sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Credential {
    /// The SHA-256 of a token of ours.
    Token([u8; 32]),
    /// Whom a token of an issuer speaks for.
    Identity(Identity),
}

/// An agent that asks, and how that came.
#[derive(Clone, Debug)]
pub(crate) struct AgentCaller {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) credential: Credential,
    /// The process that calls.
    pub(crate) session_id: Uuid,
    pub(crate) arrival: Arrival,
}
