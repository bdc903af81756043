//! `fame hotfixes schedule`
//!
//! A rollout to many environments is one request per environment, because that is what the API has. What can be
//! scheduled is scheduled whatever becomes of the others, and the summary says what was not.

use super::{
    plan, print_plan,
    refusals::{Refusals, reasons_by_code},
    seen::{Reader, columns, warn_of_nobody},
    selection::{Environment, Place, Selection, Target, places},
};
use crate::{
    args::{AppInCountries, AppInCountry, QueryArgs, said},
    exit::Exit,
    failure::Failure,
    session::Session,
};
use clap::Args;
use client::{Query, literal};
use domain::{
    environment::EnvironmentKey, instant::Instant, operation::OperationStatus, version::AppVersion,
};
use futures::{StreamExt, stream};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use uuid::Uuid;
use wire::hotfixes::HotfixRequestBody;

/// What a plan says where schema synchronisation is forecast to refuse the target.
const SCHEMA_BREAK: &str = "SchemaBreak";

/// `fame hotfixes schedule`
#[derive(Args, Debug)]
pub(crate) struct ScheduleArgs {
    #[command(flatten)]
    scope: AppInCountries,
    #[command(flatten)]
    selection: Selection,
    /// The version to go to
    #[arg(long, value_name = "VERSION")]
    target: AppVersion,
    /// Start no earlier than this: 2026-11-30T18:00:00Z; in UTC where nothing else is said
    #[arg(long, value_name = "TIME")]
    run_after: Option<Instant>,
    /// Do not wait for the environments' update windows
    #[arg(long)]
    ignore_window: bool,
    /// Schedule also where schema synchronisation is forecast to refuse the target (SchemaBreak); the audit tells who did
    #[arg(long)]
    despite_forecast: bool,
    /// Leave out environments for which no hotfix could be scheduled, instead of being refused
    #[arg(long)]
    eligible_only: bool,
    /// Only say what would happen, as far as a plan tells; the exit code is that of a real run by whoever may schedule
    #[arg(long)]
    dry_run: bool,
    /// Requests at the same time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    concurrency: u16,
    /// Makes a second run with the same key answer the hotfixes of the first, whatever has become of them, instead of
    /// scheduling again; such as the id of a pipeline's run
    #[arg(long, value_name = "KEY", value_parser = said)]
    idempotency_key: Option<String>,
}

/// What became of the environments.
#[derive(Default)]
struct Summary {
    /// The hotfixes, as they are now.
    rows: Vec<Value>,
    already_there: usize,
    /// Those that were left out because a hotfix could not be scheduled for them.
    ineligible: usize,
    refusals: Refusals,
    left_out: usize,
}

/// Which environments to ask for.
struct Asked {
    places: Vec<Place>,
    /// Those that need no hotfix, or can have none, unless an earlier run made it: their refusals say nothing.
    again: Vec<Place>,
}

impl ScheduleArgs {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let scopes = session.scopes(&self.scope).await?;
        if self.dry_run {
            return self.explain(session, &scopes).await;
        }
        let mut places = self.selection.resolve(session, &scopes).await?;
        if places.len() > 1 {
            self.check_target(session, &places).await?;
        }
        let mut summary = Summary::default();
        let found = places.len();
        let mut again = match self.eligible_only {
            true => {
                self.take_ineligible(session, &scopes, &mut places, &mut summary)
                    .await?
            }
            false => Vec::new(),
        };
        if places.is_empty() && again.is_empty() {
            return Err(Failure::NotFound(format!(
                "None of the {found} environments may have a hotfix to {}.",
                self.target
            )));
        }
        let (there, places): (Vec<_>, Vec<_>) = places
            .into_iter()
            .partition(|place| place.environment.installed() == Some(self.target));
        if self.idempotency_key.is_some() {
            again.extend(self.brought_before(session, &scopes, &places).await?);
        }
        self.schedule_all(session, Asked { places, again }, &mut summary)
            .await;
        let answered: Vec<_> = summary.rows.iter().filter_map(key_of).collect();
        let is_left = |place: &&Place| !answered.contains(&place.environment.key());
        summary.already_there = there.iter().filter(is_left).count();
        summary.look_again(session, &scopes, self.target).await;
        summary.print(session, self.target).await
    }

    /// Says what a run would do, and ends as it would.
    async fn explain(&self, session: &Session, scopes: &[AppInCountry]) -> Result<Exit, Failure> {
        let mut rows = self.plan(session, scopes).await?;
        rows.retain(|(environment, _)| self.selection.is_meant(environment));
        self.selection
            .check(scopes, rows.iter().map(|(environment, _)| environment))?;
        let is_there = |environment: &Environment| environment.installed() == Some(self.target);
        let is_refused =
            |(environment, row): &&(Environment, Value)| row["eligible"] != true && !is_there(environment);
        let (all, refused) = (rows.len(), rows.iter().filter(is_refused).count());
        if self.eligible_only {
            rows.retain(|row| !is_refused(&row));
        }
        let eligible = rows.iter().filter(|(_, row)| row["eligible"] == true).count();
        let mut shown: Vec<Value> = rows.into_iter().map(|(_, row)| row).collect();
        let is_otherwise = self.ignore_window || self.run_after.is_some();
        if is_otherwise {
            for row in shown.iter_mut().filter_map(Value::as_object_mut) {
                row.retain(|name, _| !matches!(name.as_str(), "startsAt" | "waitingFor"));
            }
        }
        print_plan(session.printer, &shown)?;
        if is_otherwise {
            let why =
                "When they would start is not said: a plan knows neither --ignore-window nor --run-after.";
            session.printer.note(why);
        }
        session.printer.note(format!(
            "{eligible} of {all} would be scheduled; nothing was changed."
        ));
        Ok(match (self.eligible_only, shown.is_empty()) {
            (true, true) => Exit::NotFound,
            (false, _) if refused > 0 => Exit::Refused,
            _ => Exit::Done,
        })
    }

    /// What a hotfix would come to in each environment that the selection finds.
    async fn plan(
        &self,
        session: &Session,
        scopes: &[AppInCountry],
    ) -> Result<Vec<(Environment, Value)>, Failure> {
        let rows = plan(session, scopes, self.target, self.selection.list_filter()).await?;
        let read = |row: Value| match Environment::deserialize(&row) {
            Ok(environment) => Ok((environment, row)),
            Err(error) => Err(Failure::Unexpected(format!(
                "A row of the plan makes no sense: {error}"
            ))),
        };
        rows.into_iter()
            .map(|row| self.without_forecast(row))
            .map(read)
            .collect()
    }

    /// A row of the plan without what --despite-forecast says not to look at.
    fn without_forecast(&self, mut row: Value) -> Value {
        let Some(reasons) = row["reasons"].as_array_mut().filter(|_| self.despite_forecast) else {
            return row;
        };
        let before = reasons.len();
        reasons.retain(|reason| reason["code"] != SCHEMA_BREAK);
        let stands_alone = reasons.iter().all(|reason| reason["code"] == "EnvironmentHeld");
        if reasons.len() < before && stands_alone {
            row["eligible"] = true.into();
        }
        row
    }

    /// Makes sure that the target is there before environment after environment is refused it.
    async fn check_target(&self, session: &Session, places: &[Place]) -> Result<(), Failure> {
        let mut seen = HashSet::new();
        for AppInCountry { app, country } in places.iter().map(|place| &place.scope) {
            if seen.insert(&country.0) {
                session
                    .client
                    .get_version(*app, &country.0, self.target)
                    .json()
                    .await?;
            }
        }
        Ok(())
    }

    /// Takes out of `places` those for which no hotfix could be scheduled, and says why. What is in the way may be what an
    /// earlier run made: those are asked for again.
    async fn take_ineligible(
        &self,
        session: &Session,
        scopes: &[AppInCountry],
        places: &mut Vec<Place>,
        summary: &mut Summary,
    ) -> Result<Vec<Place>, Failure> {
        let planned = self.plan(session, scopes).await?;
        let refused = planned.iter().filter(|(_, row)| row["eligible"] != true);
        let keys: HashMap<EnvironmentKey, &Value> = refused
            .map(|(environment, row)| (environment.key(), row))
            .collect();
        let is_there = |place: &Place| place.environment.installed() == Some(self.target);
        let (out, left): (Vec<_>, Vec<_>) = std::mem::take(places)
            .into_iter()
            .partition(|place| !is_there(place) && keys.contains_key(&place.environment.key()));
        *places = left;
        let rows: Vec<Value> = out
            .iter()
            .filter_map(|place| keys.get(&place.environment.key()).map(|row| (*row).clone()))
            .collect();
        for line in reasons_by_code(&rows) {
            session.printer.note(line);
        }
        summary.ineligible = out.len();
        let is_taken = |place: &Place| {
            let row = keys.get(&place.environment.key());
            let reasons = row
                .and_then(|row| row["reasons"].as_array())
                .into_iter()
                .flatten();
            reasons
                .into_iter()
                .any(|reason| reason["code"] == "AlreadyScheduled")
        };
        Ok(match self.idempotency_key {
            Some(_) => out.into_iter().filter(is_taken).collect(),
            None => Vec::new(),
        })
    }

    /// The environments that a hotfix has brought to the target, perhaps one of the run that had this key: they may not
    /// match any more because it succeeded. Whoever has the target cannot be scheduled for it anew.
    async fn brought_before(
        &self,
        session: &Session,
        scopes: &[AppInCountry],
        asked: &[Place],
    ) -> Result<Vec<Place>, Failure> {
        let query = QueryArgs {
            filter: Some(format!(
                "targetAppVersion eq '{}' and status eq 'Succeeded'",
                self.target
            )),
            ..QueryArgs::default()
        };
        let rows = Reader::new(session).list(scopes, &query).await?;
        let succeeded: HashSet<EnvironmentKey> = rows.iter().filter_map(key_of).collect();
        if succeeded.is_empty() {
            return Ok(Vec::new());
        }
        let asked: HashSet<EnvironmentKey> = asked.iter().map(|place| place.environment.key()).collect();
        let mut places = places(session, scopes, None).await?;
        places.retain(|Place { environment, .. }| {
            let key = environment.key();
            self.selection.is_meant(environment)
                && environment.installed() >= Some(self.target)
                && succeeded.contains(&key)
                && !asked.contains(&key)
        });
        Ok(places)
    }

    async fn schedule_all(&self, session: &Session, asked: Asked, summary: &mut Summary) {
        let run = match &self.idempotency_key {
            Some(key) => key.clone(),
            None => Uuid::new_v4().to_string(),
        };
        let mut left = asked.places.len();
        let all = asked.places.into_iter().map(|place| (place, false));
        let all = all.chain(asked.again.into_iter().map(|place| (place, true)));
        let requests = stream::iter(all).map(async |(place, is_again)| {
            let outcome = self.schedule(session, &place, &run).await;
            (place, is_again, outcome)
        });
        let mut outcomes = Box::pin(requests.buffered(self.concurrency.into()));
        let bar = session.printer.counter(Some(left as u64), "Scheduling");
        while let Some((place, is_again, outcome)) = outcomes.next().await {
            left = left.saturating_sub(usize::from(!is_again));
            bar.inc(1);
            match outcome {
                Ok(row) => summary.rows.push(row),
                Err(failure) if is_again && failure.exit() == Exit::Refused => {}
                Err(failure) => {
                    // Whoever is not allowed to do it here is not allowed to do it anywhere.
                    let is_over = failure.exit() == Exit::NotAllowed;
                    summary.refusals.add(place, failure);
                    if is_over {
                        break;
                    }
                }
            }
        }
        bar.finish_and_clear();
        summary.left_out = left;
    }

    /// Asks for one hotfix. With its key, the request does the same however often it arrives.
    async fn schedule(&self, session: &Session, place: &Place, run: &str) -> Result<Value, Failure> {
        let Place { scope, environment } = place;
        let body = HotfixRequestBody {
            environment_aad_tenant_id: environment.aad_tenant_id.0,
            target_app_version: self.target.to_string(),
            run_after: self.run_after.map(|at| at.to_string()),
            ignore_upgrade_window: self.ignore_window,
            environment_application_family: environment.application_family.clone(),
            environment_name: environment.name.clone(),
            environment_type: None,
            despite_forecast: self.despite_forecast,
        };
        let AppInCountry { app, country } = scope;
        let request = session.client.schedule_hotfix(*app, &country.0, &body);
        let request = request.idempotency_key(&key_for(run, environment));
        let error = match request.json().await {
            Ok(row) => return Ok(row),
            Err(error) => error,
        };
        // A service that knows no keys refuses what it has scheduled itself.
        let found = match error.is_open() {
            true => self.pending(session, place).await,
            false => None,
        };
        found.ok_or_else(|| error.into())
    }

    /// The hotfix of an environment that waits or runs and is the one that is asked for.
    async fn pending(&self, session: &Session, Place { scope, environment }: &Place) -> Option<Value> {
        let AppInCountry { app, country } = scope;
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

/// The environment that a hotfix is for.
fn key_of(row: &Value) -> Option<EnvironmentKey> {
    Target::deserialize(row).ok()?.key()
}

impl Summary {
    /// Reads the hotfixes again, with all that is told of what lies ahead of them. Where that does not work, what was
    /// answered will do.
    async fn look_again(&mut self, session: &Session, scopes: &[AppInCountry], target: AppVersion) {
        if self.rows.is_empty() {
            return;
        }
        let query = QueryArgs {
            filter: Some(format!("targetAppVersion eq '{target}'")),
            ..QueryArgs::default()
        };
        let seen = Reader::new(session)
            .list(scopes, &query)
            .await
            .unwrap_or_default();
        let by_id: HashMap<&str, &Value> = seen
            .iter()
            .filter_map(|row| Some((row["id"].as_str()?, row)))
            .collect();
        for row in &mut self.rows {
            if let Some(seen) = row["id"].as_str().and_then(|id| by_id.get(id)) {
                *row = (*seen).clone();
            }
        }
    }

    /// Prints what came of it; the exit code that stands for it.
    async fn print(&self, session: &Session, target: AppVersion) -> Result<Exit, Failure> {
        let printer = session.printer;
        if !self.rows.is_empty() || printer.is_json() {
            printer.rows(&self.rows, &columns(&self.rows))?;
        }
        self.refusals.tell(session).await;
        warn_of_nobody(printer, self.rows.iter());
        let mut parts = vec![self.counted()];
        let mut add = |count: usize, what: &str| {
            if count > 0 {
                parts.push(format!("{count} {what}"));
            }
        };
        add(self.already_there, &format!("on {target} already"));
        add(self.ineligible, "not eligible");
        add(self.refusals.len(), "not scheduled");
        add(self.left_out, "not tried");
        printer.note(format!("{}.", parts.join(", ")));
        Ok(self.refusals.exit())
    }

    /// How many hotfixes there are and, unless all are waiting, of which status.
    fn counted(&self) -> String {
        let count = |status: &str| self.rows.iter().filter(|row| row["status"] == status).count();
        let counts = OperationStatus::ALL
            .iter()
            .map(|status| (count(status.as_str()), status));
        let counts: Vec<_> = counts.filter(|(count, _)| *count > 0).collect();
        match counts.as_slice() {
            [] | [(_, OperationStatus::Scheduled)] => format!("{} scheduled", self.rows.len()),
            counts => {
                let counts: Vec<String> = counts
                    .iter()
                    .map(|(count, status)| format!("{count} {status}"))
                    .collect();
                format!("{} hotfixes ({})", self.rows.len(), counts.join(", "))
            }
        }
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
