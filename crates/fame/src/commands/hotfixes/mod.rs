//! `fame hotfixes`: pushing a version to customers' environments, and finding out what became of it.

mod cases;
pub(super) mod progress;
mod refusals;
pub(super) mod request;
mod schedule;
pub(super) mod seen;
pub(super) mod selection;
pub(super) mod wait;
pub(super) mod which;

use crate::{
    args::{AppInCountries, AppInCountry, QueryArgs, said},
    exit::Exit,
    failure::{Failure, told},
    output::{Column, Printer},
    reports::{self, ReportArgs},
    session::Session,
};
use cases::CaseOf;
use clap::{Args, Subcommand};
use client::Query;
use domain::{ids::OperationId, instant::Instant, version::AppVersion};
use progress::View;
use refusals::reasons_by_code;
use seen::{Reader, columns, country_column};
use serde_json::Value;
use which::{Which, usage_of_which};

/// `fame hotfixes …`
#[derive(Subcommand, Debug)]
pub(crate) enum HotfixesCommand {
    /// List the hotfixes of an app in a country, the newest first
    List {
        #[command(flatten)]
        scope: AppInCountries,
        #[command(flatten)]
        query: QueryArgs,
    },
    /// Show one hotfix
    Get {
        #[command(flatten)]
        scope: AppInCountries,
        /// The hotfix
        id: OperationId,
    },
    /// Push a version to one environment, or to all that match
    Schedule(schedule::ScheduleArgs),
    /// Call off hotfixes that have not started
    #[command(override_usage = usage_of_which("cancel"))]
    Cancel {
        #[command(flatten)]
        scope: AppInCountries,
        #[command(flatten)]
        which: Which,
    },
    /// Explain for each environment whether a hotfix could be scheduled and when it would start; changes nothing
    Plan(PlanArgs),
    /// Wait until hotfixes have ended, and make sure that they did what they were to do
    #[command(override_usage = usage_of_which("wait"))]
    Wait(wait::WaitArgs),
    /// Wait as `wait` does, and show each hotfix meanwhile: in a table that changes, or as a line for each change where
    /// nobody is at a terminal
    #[command(override_usage = usage_of_which("watch"))]
    Watch(wait::WaitArgs),
}

/// `fame hotfixes plan`
#[derive(Args, Debug)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    scope: AppInCountries,
    /// The version to go to
    #[arg(long, value_name = "VERSION")]
    target: AppVersion,
    #[command(flatten)]
    start: StartArgs,
    /// Only environments for which a hotfix could be scheduled
    #[arg(long)]
    eligible_only: bool,
    /// Only environments for which this holds, as OData: "type eq 'Production'"
    #[arg(long, visible_alias = "where", value_name = "EXPRESSION", value_parser = said)]
    filter: Option<String>,
    #[command(flatten)]
    report: ReportArgs,
}

/// When hotfixes start.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct StartArgs {
    /// Start no earlier than this: 2026-11-30T18:00:00Z; in UTC where nothing else is said
    #[arg(long, value_name = "TIME")]
    run_after: Option<Instant>,
    /// Do not wait for the environments' update windows
    #[arg(long)]
    ignore_window: bool,
}

const PLAN_COLUMNS: &[Column] = &[
    ("TENANT", "aadTenantId"),
    ("FAMILY", "applicationFamily"),
    ("ENVIRONMENT", "name"),
    ("TYPE", "type"),
    ("INSTALLED", "installedVersion"),
    ("ELIGIBLE", "eligible"),
    ("STARTS AT", "startsAt"),
];

impl HotfixesCommand {
    /// Runs the command.
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        match self {
            Self::List { scope, query } => list(session, &scope, query).await?,
            Self::Get { scope, id } => {
                let scopes = session.scopes(&scope).await?;
                let reader = Reader::new(session);
                let found = session
                    .find(&scopes, async |scope| reader.one(scope, id).await)
                    .await?;
                session.printer.record(&found)?;
            }
            Self::Plan(args) => {
                let explained = args.explain(session).await;
                return args.report.keep("fame hotfixes plan", explained, session.printer);
            }
            Self::Cancel { scope, which } => return cancel(session, &scope, &which).await,
            Self::Schedule(args) => return args.run(session).await,
            Self::Wait(args) => return args.run(session, View::Counted).await,
            Self::Watch(args) => return args.run(session, View::Each).await,
        }
        Ok(Exit::Done)
    }
}

impl PlanArgs {
    async fn explain(&self, session: &Session) -> Result<Exit, Failure> {
        let printer = session.printer;
        let scopes = session.scopes(&self.scope).await?;
        let mut rows = plan(session, &scopes, (self.target, self.start), self.filter.clone()).await?;
        rows.retain(|row| !self.eligible_only || row["eligible"] == true);
        print_plan(printer, &rows)?;
        if !self.report.is_wanted(printer) {
            return Ok(Exit::Done);
        }
        let app = session.app_name(&self.scope.app).await;
        let report = cases::of_app(&app, rows.iter().map(CaseOf::planned));
        Ok(reports::write(
            &report,
            &self.report,
            "fame hotfixes plan",
            Exit::Done,
            printer,
        ))
    }
}

async fn list(session: &Session, scope: &AppInCountries, query: QueryArgs) -> Result<(), Failure> {
    let scopes = session.scopes(scope).await?;
    if query.count || query.select.is_some() {
        let lists = scopes
            .iter()
            .map(|scope| session.client.list_hotfixes(scope.app, &scope.country.0));
        return session.print_lists(lists.collect(), query, &[]).await;
    }
    let rows = Reader::new(session).list(&scopes, &query).await?;
    Ok(session.printer.rows(&rows, &columns(&rows))?)
}

/// What a hotfix would come to in the environments of these countries; of several, each row says which.
async fn plan(
    session: &Session,
    scopes: &[AppInCountry],
    (target, start): (AppVersion, StartArgs),
    filter: Option<String>,
) -> Result<Vec<Value>, Failure> {
    let mut rows = Vec::new();
    for AppInCountry { app, country } in scopes {
        let mut plan = session.client.plan_hotfixes(*app, &country.0, target);
        if let Some(at) = start.run_after {
            plan = plan.run_after(at);
        }
        if start.ignore_window {
            plan = plan.ignoring_windows();
        }
        let found = plan
            .query(Query::default().filter(filter.clone()))
            .json()
            .all()
            .await;
        let mut of_country = found.map_err(without_plans)?;
        for row in of_country.iter_mut().filter_map(Value::as_object_mut) {
            if scopes.len() > 1 {
                row.insert("countryCode".to_owned(), country.0.as_str().into());
            }
        }
        rows.extend(of_country);
    }
    Ok(rows)
}

/// A service that words its refusals otherwise than ours has no plans, and takes the word for the id of a hotfix.
fn without_plans(error: client::Error) -> Failure {
    match &error {
        client::Error::Refused(refusal)
            if refusal.body.error.code.is_empty() && matches!(refusal.status.as_u16(), 400 | 404 | 405) =>
        {
            Failure::Rule(format!(
                "This service gives no plans, which are told by self-hosted ones alone: {}",
                told(refusal)
            ))
        }
        _ => error.into(),
    }
}

/// Prints a plan; what speaks against hotfixes stands in it as codes, and below it in words.
fn print_plan(printer: Printer, rows: &[Value]) -> Result<(), Failure> {
    if printer.is_json() {
        return Ok(printer.rows(rows, &[])?);
    }
    let is_waiting = rows.iter().any(|row| !row["waitingFor"].is_null());
    let waiting = is_waiting.then_some(("WAITING FOR", "waitingFor"));
    let columns = PLAN_COLUMNS
        .iter()
        .copied()
        .chain(waiting)
        .chain(country_column(rows));
    let columns: Vec<_> = columns.chain([("REASONS", "reasons")]).collect();
    let shown: Vec<Value> = rows.iter().cloned().map(with_codes).collect();
    printer.rows(&shown, &columns)?;
    for line in reasons_by_code(rows) {
        printer.note(line);
    }
    Ok(())
}

fn with_codes(mut row: Value) -> Value {
    let reasons = row.get("reasons").and_then(Value::as_array).into_iter().flatten();
    let codes: Value = reasons.map(|reason| reason["code"].clone()).collect();
    if let Some(members) = row.as_object_mut() {
        members.insert("reasons".to_owned(), codes);
    }
    row
}

/// Cancels each; one that cannot be canceled any more does not keep the others.
async fn cancel(session: &Session, scope: &AppInCountries, which: &Which) -> Result<Exit, Failure> {
    let printer = session.printer;
    let scopes = session.scopes(scope).await?;
    let meant = which
        .resolve(session, &scopes, Some("status eq 'Scheduled'"))
        .await?;
    let (mut canceled, mut outcomes) = (Vec::new(), Vec::new());
    for hotfix in &meant {
        let AppInCountry { app, country } = &hotfix.scope;
        let cancel = session.client.update_hotfix(*app, &country.0, hotfix.id);
        match cancel.json().await.map_err(Failure::from) {
            Ok(row) => canceled.push(row),
            Err(failure) => {
                failure.tell(printer, Some(&hotfix.id.to_string()));
                outcomes.push(failure.exit());
            }
        }
    }
    if !canceled.is_empty() || printer.is_json() {
        printer.rows(&canceled, &columns(&canceled))?;
    }
    if meant.len() > 1 {
        printer.note(format!("{} canceled, {} not.", canceled.len(), outcomes.len()));
    }
    Ok(Exit::first_of(outcomes))
}
