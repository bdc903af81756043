//! What the operator has stopped, and why.

use crate::{
    entity::{Entity, entity},
    hotfixes::required_text,
    lenient::{self, Object},
};
use domain::{freeze::Frozen, ids::Etag, instant::Instant, problem::RuleError, text::check_text};
use serde::Serialize;
use utoipa::ToSchema;

/// Longest reason, in characters.
const LONGEST_REASON: usize = 500;

entity! {
    /// Something that the operator has stopped.
    Freeze "freeze" keyed by ["subject"] tagged by etag {
        /// What: `scheduling` for all apps, `app:` with the id of an app, `principal:` with the id of a user or an
        /// application, `webhooks` for all of them, or `webhooks:` with the id of an app.
        #[schema(example = "scheduling")]
        subject "subject": String,
        /// Why, as those are told who are kept from what they ask for.
        reason "reason": String,
        /// Since when.
        #[schema(value_type = String, format = DateTime)]
        frozen_on "frozenOn": Instant,
        /// The operator who did it.
        frozen_by "frozenBy": String,
        /// A value unique to its current state.
        #[schema(value_type = uuid::Uuid)]
        etag "_etag": Etag,
    }
}

/// A request to freeze something, as a client sends it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct FreezeBody {
    /// Why, as those are told who are kept from what they ask for.
    pub reason: String,
}

/// A request to freeze something, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FreezeRequest {
    /// Why.
    pub reason: String,
    /// All that was said.
    pub given: Object,
}

impl FreezeRequest {
    /// Reads a request body about `subject`.
    ///
    /// # Errors
    /// `RequestBodyRequired`, or `InvalidInput` where the reason is missing, too long or holds what nobody sees, and for
    /// another subject.
    pub fn read(body: &[u8], subject: Frozen) -> Result<Self, RuleError> {
        let object = lenient::object(body)?;
        object.only(Freeze::PROPERTIES)?;
        object.is_about("freeze", "subject", &subject)?;
        let reason = required_text(&object, "reason")?;
        check_text("reason", &reason, LONGEST_REASON)?;
        Ok(Self {
            reason,
            given: object,
        })
    }
}

impl Freeze {
    /// Whether everything else that a request says is what the freeze is anyway.
    ///
    /// # Errors
    /// `EntityValidationFailed` with `ReadOnly`, naming the property.
    pub fn check_read_only(&self, given: &Object) -> Result<(), RuleError> {
        given.check_read_only(self, &["reason"])
    }
}
