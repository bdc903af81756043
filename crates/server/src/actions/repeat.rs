//! Requests that may be sent again: under the same `Idempotency-Key` the same request is carried out once, and answered
//! with what it made, as it is now.
//!
//! What a key stands for is written down in the transaction that makes it, so there is never one without the other. Rights
//! come first: a key does not outlive the role.

use super::{Principal, preconditions::Preconditions};
use crate::error::Result;
use domain::{
    ids::OperationId,
    instant::Instant,
    problem::{Code, RuleError},
};
use store::{
    Tx,
    idempotency::{self, IdempotencyKey, Remembered},
};

/// A request with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Repeatable {
    pub(crate) method: String,
    /// Its address, the same however it is spelled.
    pub(crate) path: String,
    pub(crate) key: String,
    /// What must be the same when it is sent again: the hash of its body or, of an upload, of the package.
    pub(crate) body_sha256: [u8; 32],
}

impl Repeatable {
    fn key_of(&self, principal: &Principal) -> IdempotencyKey {
        IdempotencyKey {
            principal: principal.signature(),
            method: self.method.clone(),
            path: self.path.clone(),
            key: self.key.clone(),
        }
    }
}

/// What is remembered of the same request, if it was carried out before.
///
/// # Errors
/// `IdempotencyKeyReused` where it was another.
pub(super) async fn recall(
    tx: &mut Tx<'_>,
    principal: &Principal,
    repeatable: Option<&Repeatable>,
    now: Instant,
) -> Result<Option<Remembered>> {
    let Some(repeatable) = repeatable else {
        return Ok(None);
    };
    let before = idempotency::recall(tx, &repeatable.key_of(principal), now).await?;
    match before {
        Some(before) if before.body_sha256 != repeatable.body_sha256 => {
            Err(reused(&repeatable.key, &before).into())
        }
        before => Ok(before),
    }
}

/// Whether a request that makes no operation is to be carried out: it has no key, or comes under it for the first time,
/// which is remembered.
///
/// # Errors
/// `IdempotencyKeyReused` where another came before.
pub(super) async fn is_first(
    tx: &mut Tx<'_>,
    principal: &Principal,
    conditions: &Preconditions,
    now: Instant,
) -> Result<bool> {
    let repeatable = conditions.repeatable.as_ref();
    let is_first = recall(tx, principal, repeatable, now).await?.is_none();
    if is_first {
        remember(tx, principal, repeatable, None, now).await?;
    }
    Ok(is_first)
}

fn reused(key: &str, before: &Remembered) -> RuleError {
    let made = match before.operation_id {
        Some(id) => format!("; it made the hotfix {id}"),
        None => String::new(),
    };
    let message = format!("The Idempotency-Key '{key}' was sent before with another body{made}.");
    RuleError::new(Code::IdempotencyKeyReused, message).about("Idempotency-Key")
}

/// Remembers that a request was carried out, and the operation that it made.
pub(super) async fn remember(
    tx: &mut Tx<'_>,
    principal: &Principal,
    repeatable: Option<&Repeatable>,
    operation_id: Option<OperationId>,
    now: Instant,
) -> Result<()> {
    let Some(repeatable) = repeatable else {
        return Ok(());
    };
    let made = Remembered {
        body_sha256: repeatable.body_sha256,
        operation_id,
    };
    Ok(idempotency::remember(tx, &repeatable.key_of(principal), &made, now).await?)
}
