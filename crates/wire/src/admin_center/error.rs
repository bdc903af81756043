//! The error body of the customers' API.
//!
//! Readers look at the top level, one of them at `error` alone: both say the same.

use super::AdminRequirement;
use domain::problem::{Detail, Requirement, RuleError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// What every answer of the customers' API that is no success carries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AdminError {
    /// A stable code.
    #[schema(required = true)]
    pub code: String,
    /// What is wrong, with the facts.
    #[schema(required = true)]
    pub message: String,
    /// The value or the resource that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Facts for programs, such as `operationId`, the operation that is in the way.
    #[serde(skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Option<Object>)]
    pub extension_data: Map<String, Value>,
    /// What would have to happen first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<AdminErrorData>,
    /// The single reasons.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub client_error: Vec<AdminInnerError>,
    /// Code and message again.
    #[schema(required = true)]
    pub error: AdminErrorText,
}

/// What would have to happen first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct AdminErrorData {
    /// To other apps, in this order.
    #[schema(required = true)]
    pub requirements: Vec<AdminRequirement>,
}

/// One of several reasons.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct AdminInnerError {
    /// A stable code, narrower than the error's own.
    #[schema(required = true)]
    pub code: String,
    /// What is wrong, with the facts.
    #[schema(required = true)]
    pub message: String,
    /// What it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

/// Code and message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct AdminErrorText {
    /// The stable code.
    #[schema(required = true)]
    pub code: String,
    /// What is wrong.
    #[schema(required = true)]
    pub message: String,
}

impl AdminError {
    /// The body that describes `problem`.
    #[must_use]
    pub fn new(problem: &RuleError) -> Self {
        let facts = problem.extension.iter();
        let (code, message) = (problem.code.as_str().to_owned(), problem.message.clone());
        Self {
            target: problem.target.clone().filter(|target| !target.is_empty()),
            extension_data: facts
                .map(|(name, value)| ((*name).to_owned(), Value::String(value.clone())))
                .collect(),
            data: (!problem.requirements.is_empty()).then(|| AdminErrorData {
                requirements: problem.requirements.iter().map(AdminRequirement::from).collect(),
            }),
            client_error: problem.details.iter().map(AdminInnerError::from).collect(),
            error: AdminErrorText {
                code: code.clone(),
                message: message.clone(),
            },
            code,
            message,
        }
    }

    /// The body as JSON.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl From<&Detail> for AdminInnerError {
    fn from(detail: &Detail) -> Self {
        Self {
            code: detail.code.clone(),
            message: detail.message.clone(),
            target: detail.target.clone(),
        }
    }
}

impl From<&Requirement> for AdminRequirement {
    fn from(requirement: &Requirement) -> Self {
        Self {
            app_id: requirement.app_id.0,
            id: requirement.app_id.0,
            name: requirement.name.clone(),
            publisher: requirement.publisher.clone(),
            version: requirement.version.to_string(),
            kind: requirement.kind.as_str().to_ascii_lowercase(),
        }
    }
}
