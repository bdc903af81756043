//! `fame hotfixes schedule`
//!
//! A rollout to many environments is one request per environment, because that is what the API has. What can be
//! scheduled is scheduled whatever becomes of the others, and the summary says what was not.

use super::{
    COLUMNS, PLAN_COLUMNS, plan,
    selection::{Environment, Selection, Target},
};
use crate::{
    args::{AppInCountry, said},
    exit::Exit,
    failure::Failure,
    output::Printer,
    session::Session,
};
use clap::Args;
use client::{Query, literal};
use domain::{instant::Instant, operation::OperationStatus, version::AppVersion};
use futures::{StreamExt, stream};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;
use wire::hotfixes::HotfixRequestBody;

/// `fame hotfixes schedule`
#[derive(Args, Debug)]
pub(crate) struct ScheduleArgs {
    #[command(flatten)]
    scope: AppInCountry,
    #[command(flatten)]
    selection: Selection,
    /// The version to go to
    #[arg(long, value_name = "VERSION")]
    target: AppVersion,
    /// Start no earlier than this: 2026-11-30T18:00:00Z
    #[arg(long, value_name = "TIME")]
    run_after: Option<Instant>,
    /// Do not wait for the environments' update windows
    #[arg(long)]
    ignore_window: bool,
    /// Only say what would happen
    #[arg(long)]
    dry_run: bool,
    /// Requests at the same time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    concurrency: u16,
    /// Makes a second run with the same key repeat the answers of the first instead of scheduling again, such as
    /// the id of a pipeline's run
    #[arg(long, value_name = "KEY", value_parser = said)]
    idempotency_key: Option<String>,
}

/// What became of the environments.
#[derive(Default)]
struct Summary {
    scheduled: Vec<Value>,
    already_there: usize,
    failures: Vec<Exit>,
    left_out: usize,
}

impl ScheduleArgs {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        if self.dry_run {
            return self.explain(session).await;
        }
        let environments = self.selection.resolve(session, &self.scope).await?;
        let summary = self.schedule_all(session, environments).await?;
        summary.print(session.printer, self.target)?;
        Ok(Exit::first_of(summary.failures))
    }

    async fn explain(&self, session: &Session) -> Result<Exit, Failure> {
        let mut rows = plan(session, &self.scope, self.target, self.selection.list_filter()).await?;
        rows.retain(|row| self.selection.is_meant_by(row));
        session.printer.rows(&rows, PLAN_COLUMNS)?;
        let eligible = rows.iter().filter(|row| row["eligible"] == true).count();
        let note = format!(
            "{eligible} of {} would be scheduled; nothing was changed.",
            rows.len()
        );
        session.printer.note(note);
        Ok(if rows.is_empty() {
            Exit::NotFound
        } else {
            Exit::Done
        })
    }

    async fn schedule_all(
        &self,
        session: &Session,
        environments: Vec<Environment>,
    ) -> Result<Summary, Failure> {
        let mut summary = Summary::default();
        let (there, to_do): (Vec<_>, Vec<_>) = environments
            .into_iter()
            .partition(|environment| environment.installed() == Some(self.target));
        summary.already_there = there.len();
        let run = match &self.idempotency_key {
            Some(key) => key.clone(),
            None => Uuid::new_v4().to_string(),
        };
        let mut left = to_do.len();
        let requests = stream::iter(to_do).map(async |environment| {
            let outcome = self.schedule(session, &environment, &run).await;
            (environment, outcome)
        });
        let mut outcomes = Box::pin(requests.buffered(self.concurrency.into()));
        while let Some((environment, outcome)) = outcomes.next().await {
            left -= 1;
            match outcome {
                Ok(row) => summary.scheduled.push(row),
                Err(failure) => {
                    session.printer.error(format!("{environment}: {failure}"));
                    summary.failures.push(failure.exit());
                    // Whoever is not allowed to do it here is not allowed to do it anywhere.
                    if failure.exit() == Exit::NotAllowed {
                        break;
                    }
                }
            }
        }
        summary.left_out = left;
        Ok(summary)
    }

    /// Asks for one hotfix. With its key, the request does the same however often it arrives.
    async fn schedule(
        &self,
        session: &Session,
        environment: &Environment,
        run: &str,
    ) -> Result<Value, Failure> {
        let body = HotfixRequestBody {
            environment_aad_tenant_id: environment.aad_tenant_id.0,
            target_app_version: self.target.to_string(),
            run_after: self.run_after.map(|at| at.to_string()),
            ignore_upgrade_window: self.ignore_window,
            environment_application_family: environment.application_family.clone(),
            environment_name: environment.name.clone(),
            environment_type: None,
        };
        let AppInCountry { app, country } = &self.scope;
        let request = session.client.schedule_hotfix(*app, &country.0, &body);
        let request = request.idempotency_key(&key_for(run, environment));
        let error = match request.json().await {
            Ok(row) => return Ok(row),
            Err(error) => error,
        };
        // A service that knows no keys refuses what it has scheduled itself.
        let found = match error.is_open() {
            true => self.pending(session, environment).await,
            false => None,
        };
        found.ok_or_else(|| error.into())
    }

    /// The hotfix of an environment that waits or runs and is the one that is asked for.
    async fn pending(&self, session: &Session, environment: &Environment) -> Option<Value> {
        let AppInCountry { app, country } = &self.scope;
        let filter = format!("environmentName eq {}", literal(&environment.name));
        let all = session.client.list_hotfixes(*app, &country.0);
        let rows = all
            .query(Query::default().filter(filter))
            .json()
            .all()
            .await
            .ok()?;
        rows.into_iter().find(|row| self.is_asked_for(row, environment))
    }

    fn is_asked_for(&self, row: &Value, environment: &Environment) -> bool {
        let text = |property: &str| row.get(property).and_then(Value::as_str);
        let status = text("status").and_then(|word| word.parse::<OperationStatus>().ok());
        let run_after = text("runAfter").and_then(|at| at.parse::<Instant>().ok());
        Target::deserialize(row).is_ok_and(|target| target.is(environment))
            && status.is_some_and(|status| !status.is_terminal())
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

impl Summary {
    fn print(&self, printer: Printer, target: AppVersion) -> Result<(), Failure> {
        if !self.scheduled.is_empty() || printer.is_json() {
            printer.rows(&self.scheduled, COLUMNS)?;
        }
        let mut parts = vec![format!("{} scheduled", self.scheduled.len())];
        let mut add = |count: usize, what: &str| {
            if count > 0 {
                parts.push(format!("{count} {what}"));
            }
        };
        add(self.already_there, &format!("on {target} already"));
        add(self.failures.len(), "not scheduled");
        add(self.left_out, "not tried");
        printer.note(format!("{}.", parts.join(", ")));
        Ok(())
    }
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
