//! What the operator has stopped, and why.

use crate::{
    entity::{Entity, entity},
    hotfixes::required_text,
    lenient,
};
use domain::{ids::Etag, instant::Instant, problem::RuleError, text::check_text};
use serde::Serialize;
use utoipa::ToSchema;

/// Longest reason, in characters.
const LONGEST_REASON: usize = 500;

entity! {
    /// Something that the operator has stopped.
    Freeze "freeze" keyed by ["subject"] tagged by etag {
        /// What: `scheduling` for all apps, `app:` with the id of an app, or `principal:` with the id of a user or an
        /// application.
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

impl FreezeBody {
    /// Reads a request body.
    ///
    /// # Errors
    /// `RequestBodyRequired`, or `InvalidInput` where the reason is missing, too long or holds what nobody sees.
    pub fn read(body: &[u8]) -> Result<Self, RuleError> {
        let object = lenient::object(body)?;
        object.only(Freeze::PROPERTIES)?;
        let reason = required_text(&object, "reason")?;
        check_text("reason", &reason, LONGEST_REASON)?;
        Ok(Self { reason })
    }
}
