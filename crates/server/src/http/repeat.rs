//! `Idempotency-Key`: what tells a request that comes again.

use super::extract::RequestContext;
use crate::actions::{preconditions::Preconditions, repeat::Repeatable};
use domain::{
    problem::RuleError,
    text::{control_in, holds_control},
};
use sha2::{Digest, Sha256};
use utoipa::IntoParams;

/// Longest idempotency key, in characters.
const LONGEST_KEY: usize = 255;

/// The header by which a request may be sent again.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only described; the header is read from the request")]
pub(crate) struct KeyHeader {
    /// The same request under the same key is carried out once within a day.
    #[param(rename = "Idempotency-Key")]
    key: Option<String>,
}

impl RequestContext {
    /// The conditions of a request with this body, its key among them.
    pub(crate) fn conditions(&self, body: &[u8]) -> Result<Preconditions, RuleError> {
        Ok(Preconditions {
            repeatable: self.repeatable(body)?,
            ..self.preconditions.clone()
        })
    }

    /// What tells the request when it comes again, if it has a key.
    pub(crate) fn repeatable(&self, body: &[u8]) -> Result<Option<Repeatable>, RuleError> {
        let Some(key) = self.header("idempotency-key") else {
            return Ok(None);
        };
        let key = key.trim();
        if key.is_empty() || key.chars().count() > LONGEST_KEY {
            let message = format!("The Idempotency-Key must have 1 to {LONGEST_KEY} characters.");
            return Err(RuleError::invalid("Idempotency-Key", message));
        }
        if let Some(control) = control_in(key) {
            let message = holds_control("The Idempotency-Key", control);
            return Err(RuleError::invalid("Idempotency-Key", message));
        }
        Ok(Some(Repeatable {
            method: self.method.to_string(),
            path: self.info.routed.to_lowercase(),
            key: key.to_owned(),
            body_sha256: Sha256::digest(body).into(),
        }))
    }
}
