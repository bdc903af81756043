//! `fame hotfixes schedule`
//!
//! A rollout to many environments is one request per environment, because that is what the API has. What can be
//! scheduled is scheduled whatever becomes of the others, and the summary says what was not.

use super::{
    StartArgs,
    cases::{self, CaseOf},
    plan, print_plan,
    refusals::{Refusals, reasons_by_code},
    request::Asking,
    seen::{Reader, columns, warn_of_nobody},
    selection::{Environment, Place, Selection, Target, places},
};
use crate::{
    args::{AppInCountries, AppInCountry, QueryArgs, said},
    exit::Exit,
    failure::Failure,
    reports::{self, ReportArgs},
    session::Session,
};
use clap::Args;
use domain::{
    access::{Permission, Resource},
    environment::EnvironmentKey,
    operation::OperationStatus,
    version::AppVersion,
};
use futures::{StreamExt, stream};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

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
    #[command(flatten)]
    start: StartArgs,
    /// Schedule also where schema synchronisation is forecast to refuse the target (SchemaBreak); the audit tells who did
    #[arg(long)]
    despite_forecast: bool,
    /// Leave out environments for which no hotfix could be scheduled, instead of being refused
    #[arg(long)]
    eligible_only: bool,
    /// Only say what would happen, as far as a plan tells; the exit code is that of a real run
    #[arg(long)]
    dry_run: bool,
    /// Requests at the same time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    concurrency: u16,
    /// Makes a second run with the same key answer the hotfixes of the first, whatever has become of them, instead of
    /// scheduling again; such as the id of a pipeline's run. Microsoft's service may take no notice of it
    #[arg(long, value_name = "KEY", value_parser = said)]
    idempotency_key: Option<String>,
    #[command(flatten)]
    report: ReportArgs,
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

/// The command, as reports call it.
const TITLE: &str = "fame hotfixes schedule";

impl ScheduleArgs {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let ended = self.carry_out(session).await;
        self.report.keep(TITLE, ended, session.printer)
    }

    async fn carry_out(&self, session: &Session) -> Result<Exit, Failure> {
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
        let outcome = summary.print(session, self.target).await?;
        if !self.report.is_wanted(session.printer) {
            return Ok(outcome);
        }
        let app = session.app_name(&self.scope.app).await;
        let report = cases::of_app(&app, summary.cases());
        Ok(reports::write(
            &report,
            &self.report,
            TITLE,
            outcome,
            session.printer,
        ))
    }

    /// Says what a run would do, and ends as it would, be it with a refusal for whoever may not do it.
    async fn explain(&self, session: &Session, scopes: &[AppInCountry]) -> Result<Exit, Failure> {
        let mut rows = self.plan(session, scopes).await?;
        rows.retain(|(environment, _)| self.selection.is_meant(environment));
        self.selection
            .check(scopes, rows.iter().map(|(environment, _)| environment))?;
        let is_there = |environment: &Environment| environment.installed() == Some(self.target);
        let is_refused =
            |(environment, row): &&(Environment, Value)| row["eligible"] != true && !is_there(environment);
        let refused = rows.iter().filter(is_refused).count();
        let there = rows
            .iter()
            .filter(|(environment, _)| is_there(environment))
            .count();
        if self.eligible_only {
            rows.retain(|row| !is_refused(&row));
        }
        let eligible = rows.iter().filter(|(_, row)| row["eligible"] == true).count();
        let shown: Vec<Value> = rows.into_iter().map(|(_, row)| row).collect();
        print_plan(session.printer, &shown)?;
        let mut parts = vec![format!("{eligible} would be scheduled")];
        if there > 0 {
            parts.push(format!("{there} on {} already", self.target));
        }
        if refused > 0 {
            let word = if self.eligible_only {
                "eligible"
            } else {
                "scheduled"
            };
            parts.push(format!("{refused} not {word}"));
        }
        session
            .printer
            .note(format!("{}; nothing was changed.", parts.join(", ")));
        self.check_role(session, scopes).await?;
        Ok(match (self.eligible_only, shown.is_empty()) {
            (true, true) => Exit::NotFound,
            (false, _) if refused > 0 => Exit::Refused,
            _ => Exit::Done,
        })
    }

    /// Makes sure that the caller may do what was explained, as far as the service tells.
    async fn check_role(&self, session: &Session, scopes: &[AppInCountry]) -> Result<(), Failure> {
        let Some(AppInCountry { app, .. }) = scopes.first() else {
            return Ok(());
        };
        let needed = Permission::write(Resource::EnvironmentHotfixes);
        let allowed = session.client.get_my_permissions(*app).json().all().await;
        let is_it = |row: &Value| {
            let action = row["action"].as_str().unwrap_or_default();
            action.eq_ignore_ascii_case(needed.as_str())
        };
        match allowed {
            Ok(actions) if !actions.iter().any(is_it) => Err(Failure::NotAllowed(format!(
                "Nothing would be scheduled: your role on the app does not allow {needed}."
            ))),
            Err(error) if error.is_unavailable() => Err(error.into()),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// What a hotfix would come to in each environment that the selection finds.
    async fn plan(
        &self,
        session: &Session,
        scopes: &[AppInCountry],
    ) -> Result<Vec<(Environment, Value)>, Failure> {
        let rows = plan(
            session,
            scopes,
            (self.target, self.start),
            self.selection.list_filter(),
        )
        .await?;
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
        let reasons = row.get_mut("reasons").and_then(Value::as_array_mut);
        let Some(reasons) = reasons.filter(|_| self.despite_forecast) else {
            return row;
        };
        let before = reasons.len();
        reasons.retain(|reason| reason["code"] != SCHEMA_BREAK);
        let stands_alone = reasons.iter().all(|reason| reason["code"] == "EnvironmentHeld");
        if reasons.len() < before && stands_alone {
            row.as_object_mut()
                .map(|row| row.insert("eligible".to_owned(), true.into()));
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
        let asking = Asking {
            target: self.target,
            run_after: self.start.run_after,
            ignores_window: self.start.ignore_window,
            despite_forecast: self.despite_forecast,
        };
        let mut left = asked.places.len();
        let all = asked.places.into_iter().map(|place| (place, false));
        let all = all.chain(asked.again.into_iter().map(|place| (place, true)));
        let requests = stream::iter(all).map(async |(place, is_again)| {
            let outcome = asking.schedule(session, &place, &run).await;
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

    /// What became of each environment that was asked for.
    fn cases(&self) -> impl Iterator<Item = CaseOf> {
        self.rows
            .iter()
            .map(CaseOf::scheduled)
            .chain(self.refusals.cases())
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
