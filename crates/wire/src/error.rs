//! The error body.
//!
//! One body serves readers of two habits: OData clients look into `error`, while the documented PowerShell
//! recipe and the tools around Business Central look at the top level. So the bare format says it in both
//! places, and the OData format, which allows nothing beside it, in `error` alone.

use crate::format::ResponseFormat;
use domain::problem::RuleError;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

/// The name under which a [`RuleError`] carries the place of a fault in the query option its target names.
pub const POSITION: &str = "position";

/// What every answer that is no success carries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ErrorBody {
    /// The error, for readers of OData.
    #[schema(required = true)]
    pub error: ErrorObject,
    /// The stable code again, at the top level.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub code: String,
    /// The message again, at the top level.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The target again, at the top level.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Facts for programs, such as `operationId`, the operation that is in the way.
    #[serde(skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Option<Object>)]
    pub extension_data: Map<String, Value>,
}

/// The error itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct ErrorObject {
    /// A stable code, such as `EntityValidationFailed`.
    #[schema(required = true)]
    pub code: String,
    /// What is wrong, with the facts, in one or two sentences.
    #[schema(required = true)]
    pub message: String,
    /// The property, query option or resource that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The single reasons.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<ErrorDetail>,
    /// What helps those who run the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub innererror: Option<InnerError>,
}

/// One of several reasons.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct ErrorDetail {
    /// A stable code, narrower than the error's own, such as `NotNewer`.
    #[schema(required = true)]
    pub code: String,
    /// What is wrong, with the facts.
    #[schema(required = true)]
    pub message: String,
    /// The property that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

/// What helps those who run the service, and programs that know where to look.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct InnerError {
    /// The id under which the request stands in the log; also in the header `ms-correlation-x`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<Uuid>,
    /// Where in the query option the fault is, in characters from its beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
    /// The facts for programs; here only in the OData format, which has no other place for them.
    #[serde(skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Option<Object>)]
    pub extension_data: Map<String, Value>,
}

impl ErrorBody {
    /// The body that describes `problem`.
    #[must_use]
    pub fn new(problem: &RuleError, correlation_id: Option<Uuid>, format: ResponseFormat) -> Self {
        let mut facts = Map::new();
        let mut position = None;
        for (name, value) in &problem.extension {
            match *name {
                POSITION => position = value.parse().ok(),
                name => _ = facts.insert(name.to_owned(), Value::String(value.clone())),
            }
        }
        let error = ErrorObject {
            code: problem.code.as_str().to_owned(),
            message: problem.message.clone(),
            target: problem.target.clone(),
            details: problem.details.iter().map(ErrorDetail::from).collect(),
            innererror: None,
        };
        match format {
            ResponseFormat::Bare => Self::bare(
                error,
                InnerError {
                    correlation_id,
                    position,
                    ..Default::default()
                },
                facts,
            ),
            ResponseFormat::OData => Self::odata(
                error,
                InnerError {
                    correlation_id,
                    position,
                    extension_data: facts,
                },
            ),
        }
    }

    fn bare(mut error: ErrorObject, inner: InnerError, extension_data: Map<String, Value>) -> Self {
        error.innererror = Some(inner).filter(|inner| *inner != InnerError::default());
        let (code, message, target) = (error.code.clone(), error.message.clone(), error.target.clone());
        Self {
            error,
            code,
            message,
            target,
            extension_data,
        }
    }

    fn odata(mut error: ErrorObject, inner: InnerError) -> Self {
        error.innererror = Some(inner).filter(|inner| *inner != InnerError::default());
        Self {
            error,
            ..Self::default()
        }
    }

    /// The body as it is sent.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The code, from wherever the sender put it.
    #[must_use]
    pub fn code(&self) -> &str {
        if self.error.code.is_empty() {
            &self.code
        } else {
            &self.error.code
        }
    }

    /// The message, from wherever the sender put it.
    #[must_use]
    pub fn message(&self) -> &str {
        if self.error.message.is_empty() {
            &self.message
        } else {
            &self.error.message
        }
    }
}

impl From<&domain::problem::Detail> for ErrorDetail {
    fn from(detail: &domain::problem::Detail) -> Self {
        Self {
            code: detail.code.clone(),
            message: detail.message.clone(),
            target: detail.target.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::problem::Code;
    use serde_json::json;

    fn occupied() -> RuleError {
        let message = "An operation for this app has already been scheduled.";
        let error = RuleError::broken("AlreadyScheduled", message).about("environmentName");
        error.with("operationId", "dddddddd-3333-4444-5555-eeeeeeeeeeee")
    }

    fn shown(problem: &RuleError, format: ResponseFormat) -> Value {
        let body = ErrorBody::new(problem, Some(Uuid::from_u128(5)), format);
        serde_json::from_slice(&body.to_json()).unwrap()
    }

    #[test]
    fn the_bare_face_says_it_in_both_places() {
        let message = "An operation for this app has already been scheduled.";
        let expected = json!({
            "error": {
                "code": "EntityValidationFailed",
                "message": message,
                "target": "environmentName",
                "details": [{"code": "AlreadyScheduled", "message": message}],
                "innererror": {"correlationId": "00000000-0000-0000-0000-000000000005"}
            },
            "code": "EntityValidationFailed",
            "message": message,
            "target": "environmentName",
            "extensionData": {"operationId": "dddddddd-3333-4444-5555-eeeeeeeeeeee"}
        });
        assert_eq!(shown(&occupied(), ResponseFormat::Bare), expected);
    }

    #[test]
    fn the_odata_format_is_the_error_alone_and_loses_nothing() {
        let body = shown(&occupied(), ResponseFormat::OData);
        assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["error"]);
        let operation = &body["error"]["innererror"]["extensionData"]["operationId"];
        assert_eq!(operation, "dddddddd-3333-4444-5555-eeeeeeeeeeee");
    }

    #[test]
    fn a_position_is_a_number_in_the_inner_error() {
        let problem = RuleError::new(Code::InvalidFilter, "Expected an operand at position 14.")
            .about("$filter")
            .with(POSITION, "14");
        let body = shown(&problem, ResponseFormat::Bare);
        assert_eq!(body["error"]["innererror"]["position"], 14);
        assert!(body.get("extensionData").is_none());
    }

    #[test]
    fn clients_find_code_and_message_wherever_they_are() {
        for text in [
            r#"{"error":{"code":"Forbidden","message":"No."}}"#,
            r#"{"code":"Forbidden","message":"No.","clientError":[]}"#,
        ] {
            let body: ErrorBody = serde_json::from_str(text).unwrap();
            assert_eq!((body.code(), body.message()), ("Forbidden", "No."));
        }
    }
}
