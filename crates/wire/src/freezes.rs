//! When nothing of an app starts, as its owners say.

use crate::{
    entity::{Entity, entity},
    hotfixes::required_text,
    lenient::{self, Object},
};
use domain::{
    country::CountryCode,
    environment::EnvironmentKind,
    freeze::{FrozenPlaces, FrozenSpan},
    ids::Etag,
    instant::Instant,
    problem::RuleError,
    text::check_text,
};
use serde::Serialize;
use std::collections::BTreeSet;
use utoipa::ToSchema;
use uuid::Uuid;

/// Longest reason, in characters.
const LONGEST_REASON: usize = 500;
/// Most countries of a freeze.
const MOST_COUNTRIES: usize = 100;

entity! {
    /// A span of time in which no hotfix of the app starts.
    AppFreeze "appFreeze" keyed by ["id"] tagged by etag {
        /// The freeze, by an id that its maker chose.
        id "id": Uuid,
        /// From when on nothing starts.
        #[schema(value_type = String, format = DateTime)]
        from "from": Instant,
        /// From when on it may again.
        #[schema(value_type = String, format = DateTime)]
        to "to": Instant,
        /// In environments of which countries; of all when there are none.
        #[serde(default)]
        #[schema(required = true, example = json!(["US"]))]
        countries "countries": Vec<String>,
        /// In environments of which types; of both when there are none.
        #[serde(default)]
        #[schema(required = true, example = json!(["Production"]))]
        types "types": Vec<String>,
        /// Why.
        reason "reason": String,
        /// When it was declared.
        #[serde(default)]
        #[schema(value_type = Option<String>, format = DateTime)]
        created_on "createdOn": Option<Instant>,
        /// By whom: `User/tenant/id` or `Application/id`.
        #[serde(default)]
        created_by "createdBy": Option<String>,
        /// A value unique to its current state.
        #[schema(value_type = uuid::Uuid)]
        etag "_etag": Etag,
    }
}

/// A request to declare a freeze of an app, or to change one, as a client sends it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct AppFreezeBody {
    /// From when on nothing starts, with an offset.
    #[schema(format = DateTime)]
    pub from: String,
    /// From when on it may again, with an offset.
    #[schema(format = DateTime)]
    pub to: String,
    /// In environments of which countries; of all when there are none.
    #[schema(required = false, nullable, example = json!(["US"]))]
    pub countries: Vec<String>,
    /// In environments of which types, Production or Sandbox; of both when there are none.
    #[schema(required = false, nullable, example = json!(["Production"]))]
    pub types: Vec<String>,
    /// Why.
    pub reason: String,
}

/// A request to declare a freeze of an app, or to change one, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppFreezeRequest {
    /// When.
    pub span: FrozenSpan,
    /// Where.
    pub places: FrozenPlaces,
    /// Why.
    pub reason: String,
    /// All that was said.
    pub given: Object,
}

impl AppFreezeRequest {
    /// Reads a request body about the freeze `id`; `allow_w1` says whether the worldwide localisation is a country.
    ///
    /// # Errors
    /// `RequestBodyRequired`; `InvalidInput` for missing, malformed and unknown values, for instants without an offset, for an
    /// end that is not behind the beginning, and for another freeze's id.
    pub fn read(body: &[u8], id: Uuid, allow_w1: bool) -> Result<Self, RuleError> {
        let object = lenient::object(body)?;
        object.only(AppFreeze::PROPERTIES)?;
        object.is_about("freeze", "id", &id)?;
        let instant = |name: &str| {
            let read = object.understood(name, |text| {
                Instant::parse_with_offset(text)
                    .map_err(|error| format!("{error}; it takes an offset, such as Z"))
            });
            read?.ok_or_else(|| object.required(name))
        };
        let span = FrozenSpan {
            begins_on: instant("from")?,
            ends_on: instant("to")?,
        };
        span.check()?;
        let countries = object.understood_list("countries", |text| {
            CountryCode::parse(text, allow_w1).map_err(|error| error.to_string())
        })?;
        let countries: BTreeSet<_> = countries.into_iter().flatten().collect();
        if countries.len() > MOST_COUNTRIES {
            return Err(object.invalid("countries", &format!("there are more than {MOST_COUNTRIES}")));
        }
        let reason = required_text(&object, "reason")?;
        check_text("reason", &reason, LONGEST_REASON)?;
        Ok(Self {
            span,
            places: FrozenPlaces {
                countries,
                kinds: object
                    .words::<EnvironmentKind>("types")?
                    .into_iter()
                    .flatten()
                    .collect(),
            },
            reason,
            given: object,
        })
    }
}

impl AppFreeze {
    /// Whether everything else that a request says is what the freeze is anyway.
    ///
    /// # Errors
    /// `EntityValidationFailed` with `ReadOnly`, naming the property.
    pub fn check_read_only(&self, given: &Object) -> Result<(), RuleError> {
        given.check_read_only(self, &["from", "to", "countries", "types", "reason"])
    }
}
