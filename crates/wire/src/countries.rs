//! The countries in which an app is available.

use crate::{
    entity::{Entity, entity},
    lenient::{self, Object},
};
use domain::{country::CountryCode, ids::Etag, problem::RuleError};
use serde::Serialize;
use utoipa::ToSchema;

entity! {
    /// A country that the app is available in.
    Country "country" keyed by ["countryCode"] tagged by etag {
        /// Its ISO 3166-1 alpha-2 code, or `W1`.
        #[schema(value_type = String, example = "US")]
        country_code "countryCode": CountryCode,
        /// A value unique to the country's current state.
        #[schema(value_type = uuid::Uuid)]
        etag "_etag": Etag,
    }
}

/// A request to add a country. It says nothing that the address does not, but has to be there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CountryPatch {
    /// The code in the address again, if at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country_code: Option<String>,
}

impl CountryPatch {
    /// Reads a request body.
    ///
    /// # Errors
    /// `RequestBodyRequired` or `InvalidInput`.
    pub fn read(body: &[u8]) -> Result<Self, RuleError> {
        let object = lenient::object(body)?;
        object.only(Country::PROPERTIES)?;
        Ok(Self {
            country_code: object.text("countryCode")?,
        })
    }

    /// Whether the body means the country in the address.
    ///
    /// # Errors
    /// `InvalidInput` when it names another.
    pub fn check_path(&self, country: CountryCode) -> Result<(), RuleError> {
        check_country(self.country_code.as_deref(), country)
    }
}

fn check_country(given: Option<&str>, country: CountryCode) -> Result<(), RuleError> {
    match given {
        Some(given) if !given.eq_ignore_ascii_case(country.as_str()) => {
            let message = format!("The body is about country '{given}', the address about {country}.");
            Err(RuleError::invalid("countryCode", message))
        }
        _ => Ok(()),
    }
}

/// Whether a body that may name its country means the one in the address.
pub(crate) fn check_country_in(object: &Object, country: CountryCode) -> Result<(), RuleError> {
    check_country(object.text("countryCode")?.as_deref(), country)
}
