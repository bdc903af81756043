//! A hotfix that is asked for: in one environment after the other, because that is what the API has.

use super::{
    seen::status_of,
    selection::{Environment, Place, Target},
};
use crate::{args::AppInCountry, failure::Failure, session::Session};
use client::{Query, literal};
use domain::{instant::Instant, operation::OperationStatus, version::AppVersion};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;
use wire::hotfixes::HotfixRequestBody;

/// What is asked for, wherever it is.
#[derive(Clone, Copy, Debug)]
pub(in crate::commands) struct Asking {
    /// The version to go to.
    pub target: AppVersion,
    /// When it is to start at the earliest.
    pub run_after: Option<Instant>,
    /// Whether it does not wait for the update windows.
    pub ignores_window: bool,
    /// Whether it is wanted though schema synchronisation is forecast to refuse the version.
    pub despite_forecast: bool,
}

impl Asking {
    /// Asks for one hotfix. Where the answer is lost, what became of it is looked at before it is asked for again: only some
    /// services know from its key that it is the same.
    ///
    /// # Errors
    /// [`Failure::Service`].
    pub(in crate::commands) async fn schedule(
        &self,
        session: &Session,
        place: &Place,
        run: &str,
    ) -> Result<Value, Failure> {
        let Place { scope, environment } = place;
        let body = HotfixRequestBody {
            environment_aad_tenant_id: environment.aad_tenant_id.0,
            target_app_version: self.target.to_string(),
            run_after: self.run_after.map(|at| at.to_string()),
            ignore_upgrade_window: self.ignores_window,
            environment_application_family: environment.application_family.clone(),
            environment_name: environment.name.clone(),
            environment_type: None,
            despite_forecast: self.despite_forecast,
        };
        let AppInCountry { app, country } = scope;
        let key = key_for(run, environment);
        let mut tries = session.client.tries();
        let mut is_open = false;
        loop {
            let request = session.client.schedule_hotfix(*app, &country.0, &body);
            let error = match request.key_if_known(&key).json().await {
                Ok(row) => return Ok(row),
                Err(error) => error,
            };
            let may_be_done = error.is_open();
            is_open |= may_be_done;
            let rows = match is_open {
                true => self.rows(session, place).await,
                false => None,
            };
            let Some(rows) = rows else {
                return Err(error.into());
            };
            if let Some(made) = rows.iter().find(|row| Self::is_made(row)) {
                return Ok(made.clone());
            }
            // One that ended otherwise may be an older one, or this.
            if !may_be_done || !rows.is_empty() {
                return Err(error.into());
            }
            tries.again(error).await?;
        }
    }

    /// The hotfixes of an environment that are what is asked for, whatever has become of them.
    async fn rows(&self, session: &Session, Place { scope, environment }: &Place) -> Option<Vec<Value>> {
        let AppInCountry { app, country } = scope;
        let filter = format!("environmentName eq {}", literal(&environment.name));
        let all = session.client.list_hotfixes(*app, &country.0);
        let mut rows = all
            .query(Query::default().filter(filter))
            .json()
            .all()
            .await
            .ok()?;
        rows.retain(|row| self.is_asked_for(row, environment));
        Some(rows)
    }

    /// Whether a hotfix that is what is asked for has come about, or will.
    fn is_made(row: &Value) -> bool {
        status_of(row).is_some_and(|status| !status.is_terminal() || status == OperationStatus::Succeeded)
    }

    fn is_asked_for(&self, row: &Value, environment: &Environment) -> bool {
        let text = |property: &str| row.get(property).and_then(Value::as_str);
        let run_after = text("runAfter").and_then(|at| at.parse::<Instant>().ok());
        Target::deserialize(row).is_ok_and(|target| target.is(environment))
            && text("targetAppVersion").and_then(|version| version.parse().ok()) == Some(self.target)
            && (self.run_after.is_none() || self.run_after == run_after)
    }
}

/// One key per run and environment.
fn key_for(run: &str, environment: &Environment) -> String {
    let key = environment.key();
    let text = format!("{run}\n{}\n{}\n{}", key.tenant_id, key.family_key, key.name_key);
    Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str, family: &str) -> Environment {
        serde_json::from_value(serde_json::json!({
            "aadTenantId": "aaaabbbb-0000-cccc-1111-dddd2222eeee", "applicationFamily": family, "name": name
        }))
        .unwrap()
    }

    #[test]
    fn keys_differ_by_run_and_environment_but_not_by_spelling() {
        let key = key_for("run 1", &environment("CRONUS", "Business Central"));
        assert_eq!(key, key_for("run 1", &environment("cronus", "BusinessCentral")));
        assert_ne!(key, key_for("run 2", &environment("CRONUS", "Business Central")));
        assert_ne!(
            key,
            key_for("run 1", &environment("CRONUS-TEST", "Business Central"))
        );
    }
}
