//! Operations as the Admin Center tells of them, in all the shapes that it is said or seen to have.

use super::AdminCenter;
use crate::{drivers::watch::began_since, failure::Failure};
use domain::{ids::AppId, version::AppVersion};
use jiff::Timestamp;
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;

/// The first version of the API that tells of all operations of an environment.
const OPERATIONS_SINCE: [u32; 2] = [2, 6];

/// An operation of an app, or of the environment.
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

    /// All operations of the environment, also those that are of no app; none where the API does not tell of them.
    pub(super) async fn operations_of_environment(&self) -> Result<Vec<AppOperation>, Failure> {
        match tells_of_environments(&self.settings.api_version) {
            true => self.http.rows(&self.at(&["operations"])).await,
            false => Ok(Vec::new()),
        }
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

    /// What the newest operation said that was to lead to `target` and failed, of those that were begun since then; for
    /// drivers whose own target does not tell.
    pub(in crate::drivers) async fn why_failed(
        &self,
        app: AppId,
        target: Option<AppVersion>,
        since: Timestamp,
    ) -> Result<Option<String>, Failure> {
        let failed = self.operations(app).await?.into_iter().filter(|row| {
            row.status() == Status::Failed
                && row.target() == target
                && row.error_message.is_some()
                && row
                    .created_on()
                    .is_some_and(|created| began_since(created, since))
        });
        Ok(failed
            .max_by_key(AppOperation::created_on)
            .and_then(|row| row.error_message))
    }
}

/// Whether the API of that version tells of all operations of an environment.
fn tells_of_environments(api_version: &str) -> bool {
    let numbers = api_version.trim_start_matches('v').split('.');
    let numbers: Vec<u32> = numbers.map_while(|number| number.parse().ok()).collect();
    numbers >= OPERATIONS_SINCE.to_vec()
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
    fn only_newer_versions_of_the_api_tell_of_environments() {
        for (version, tells) in [
            ("v2.5", false),
            ("v2.6", true),
            ("v2.29", true),
            ("v3.0", true),
            ("v1.5", false),
        ] {
            assert_eq!(tells_of_environments(version), tells, "{version}");
        }
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
