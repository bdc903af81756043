//! The service document: where a generic OData client starts.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What there is at the root of the service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServiceDocument {
    /// The address of the metadata document.
    #[serde(rename = "@odata.context")]
    pub context: String,
    /// The collections at the root.
    pub value: Vec<EntitySet>,
}

/// A collection at the root of the service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EntitySet {
    /// Its name.
    pub name: String,
    /// What it is: `EntitySet`.
    pub kind: String,
    /// Its address, relative to the document.
    pub url: String,
}

impl ServiceDocument {
    /// The document of the App Management API, with the address of its metadata.
    #[must_use]
    pub fn new(metadata_url: &str) -> Self {
        let apps = EntitySet {
            name: "apps".into(),
            kind: "EntitySet".into(),
            url: "apps".into(),
        };
        Self {
            context: metadata_url.to_owned(),
            value: vec![apps],
        }
    }
}
