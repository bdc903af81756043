//! Operations as the Admin Center tells of them, in all the shapes that it is said or seen to have.

use super::AdminCenter;
use crate::failure::Failure;
use domain::{ids::AppId, version::AppVersion};
use jiff::Timestamp;
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;

/// An operation of an app.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct AppOperation {
    pub(super) id: Option<String>,
    status: Option<String>,
    target_app_version: Option<String>,
    target_version: Option<String>,
    created_on: Option<String>,
    pub(super) created_by: Option<String>,
    pub(super) canceled_by: Option<String>,
    pub(super) error_message: Option<String>,
}

/// Where an operation is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Scheduled,
    Running,
    Succeeded,
    Failed,
    Canceled,
    Skipped,
}

impl AppOperation {
    pub(super) fn status(&self) -> Status {
        let word = self.status.as_deref().unwrap_or_default();
        match word.to_ascii_lowercase().as_str() {
            "scheduled" => Status::Scheduled,
            "succeeded" => Status::Succeeded,
            "failed" => Status::Failed,
            "canceled" | "cancelled" => Status::Canceled,
            "skipped" => Status::Skipped,
            "running" | "queued" => Status::Running,
            _ => {
                tracing::warn!(word, "a status that nobody knows, taken for running");
                Status::Running
            }
        }
    }

    pub(super) fn word(&self) -> &str {
        self.status.as_deref().unwrap_or("without a status")
    }

    pub(super) fn is(&self, id: &str) -> bool {
        self.id.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(id))
    }

    pub(super) fn target(&self) -> Option<AppVersion> {
        let text = self
            .target_app_version
            .as_deref()
            .or(self.target_version.as_deref());
        text?.parse().ok()
    }

    pub(super) fn created_on(&self) -> Option<Timestamp> {
        let text = self.created_on.as_deref()?;
        text.parse().or_else(|_| format!("{text}Z").parse()).ok()
    }
}

/// One operation, a list of them, or a list in `value`.
pub(super) fn read_all(body: Value) -> Result<Vec<AppOperation>, serde_json::Error> {
    match body {
        Value::Array(rows) => rows.into_iter().map(serde_json::from_value).collect(),
        Value::Object(mut object) => match object.remove("value") {
            Some(rows) => read_all(rows),
            None => Ok(vec![serde_json::from_value(Value::Object(object))?]),
        },
        Value::Null => Ok(Vec::new()),
        other => serde_json::from_value(other).map(|row| vec![row]),
    }
}

impl AdminCenter {
    /// All operations of an app.
    pub(super) async fn operations(&self, app: AppId) -> Result<Vec<AppOperation>, Failure> {
        self.http.rows(&self.of_app(app, &["operations"])).await
    }

    /// The operation of that id; none when nobody knows it.
    pub(super) async fn operation(&self, app: AppId, id: &str) -> Result<Option<AppOperation>, Failure> {
        let answer = self.http.read(&self.of_app(app, &["operations", id])).await?;
        if answer.status.is_success() {
            let rows = read_all(answer.json()?).unwrap_or_default();
            if let Some(row) = rows.into_iter().find(|row| row.is(id)) {
                return Ok(Some(row));
            }
        } else if answer.status != StatusCode::NOT_FOUND {
            return Err(self.http.refusal(&answer, false, None).1);
        }
        Ok(self.operations(app).await?.into_iter().find(|row| row.is(id)))
    }

    /// What the newest failed operation that led to `target` said, for drivers whose own target does not tell.
    pub(in crate::drivers) async fn why_failed(
        &self,
        app: AppId,
        target: AppVersion,
    ) -> Result<Option<String>, Failure> {
        let failed = self.operations(app).await?.into_iter().filter(|row| {
            row.status() == Status::Failed && row.target() == Some(target) && row.error_message.is_some()
        });
        Ok(failed
            .max_by_key(AppOperation::created_on)
            .and_then(|row| row.error_message))
    }
}
/// A failure that only another configuration can change, for an environment whose version of the API lacks something.
pub(super) fn too_old(version: &str) -> Failure {
    Failure::misconfigured(format!(
        "The Admin Center does not know the request: api_version is {version}, and per-tenant extensions are installed \
         from v2.29 on"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn one_operation_and_lists_are_read_alike() {
        let row = json!({"id": "a", "status": "running", "targetAppVersion": "1.2.3.4", "new": 1});
        for body in [row.clone(), json!([row]), json!({"value": [row]})] {
            let rows = read_all(body).unwrap();
            assert!(rows.len() == 1 && rows[0].is("A"));
        }
        assert!(read_all(json!({"value": null})).unwrap().is_empty());
    }

    #[test]
    fn words_are_read_in_any_case_and_unknown_ones_are_not_the_end() {
        for (word, status) in [
            ("succeeded", Status::Succeeded),
            ("Succeeded", Status::Succeeded),
            ("Queued", Status::Running),
            ("scheduled", Status::Scheduled),
            ("Hibernating", Status::Running),
        ] {
            let row = AppOperation {
                status: Some(word.to_owned()),
                ..AppOperation::default()
            };
            assert_eq!(row.status(), status, "{word}");
        }
    }
}
