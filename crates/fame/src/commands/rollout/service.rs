//! Rollouts that a service drives itself: planned, made, looked at, and told what to do.

use super::file::RolloutFile;
use crate::{
    args::{AppArg, QueryArgs, said},
    exit::Exit,
    failure::{Failure, told},
    output::{Column, Printer},
    session::Session,
};
use clap::Args;
use client::RolloutVerb;
use serde_json::{Value, json};
use std::path::PathBuf;
use uuid::Uuid;

/// A rollout that is written down.
#[derive(Args, Debug)]
pub(crate) struct FileArg {
    /// The rollout, in TOML or JSON
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// `fame rollout create`
#[derive(Args, Debug)]
pub(crate) struct CreateArgs {
    #[command(flatten)]
    file: FileArg,
    /// The fingerprint of the plan that this is to be; if the plan is another one by now, nothing is made (exit code 5)
    #[arg(long, value_name = "HEX")]
    fingerprint: Option<String>,
    /// Make it all the same where the plan has only shrunk since
    #[arg(long, requires = "fingerprint")]
    shrink: bool,
}

/// A rollout of an app.
#[derive(Args, Debug)]
pub(crate) struct RolloutArg {
    #[command(flatten)]
    pub app: AppArg,
    /// The rollout
    #[arg(value_name = "ID")]
    pub id: Uuid,
}

/// `fame rollout show`
#[derive(Args, Debug)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    rollout: RolloutArg,
    /// List its environments instead
    #[arg(long)]
    environments: bool,
    /// Of its environments those for which this holds, as OData: "state eq 'failed'"
    #[arg(long, visible_alias = "where", value_name = "EXPRESSION", value_parser = said, requires = "environments")]
    filter: Option<String>,
}

/// `fame rollout approve` and `reject`
#[derive(Args, Debug)]
pub(crate) struct RemarkArgs {
    #[command(flatten)]
    rollout: RolloutArg,
    /// What there is to say to it; it is kept
    #[arg(long, value_name = "TEXT")]
    remark: Option<String>,
}

/// `fame rollout pause`
#[derive(Args, Debug)]
pub(crate) struct PauseArgs {
    #[command(flatten)]
    rollout: RolloutArg,
    /// Also call off what is scheduled, instead of holding it
    #[arg(long)]
    withdraw: bool,
    /// Why; it is kept
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// `fame rollout abort`
#[derive(Args, Debug)]
pub(crate) struct AbortArgs {
    #[command(flatten)]
    rollout: RolloutArg,
    /// Why; it is kept
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// `fame rollout resume`
#[derive(Args, Debug)]
pub(crate) struct ResumeArgs {
    #[command(flatten)]
    rollout: RolloutArg,
    /// Why it goes on, where a wave can go on only because somebody says so
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// `fame rollout advance`
#[derive(Args, Debug)]
pub(crate) struct AdvanceArgs {
    #[command(flatten)]
    rollout: RolloutArg,
    /// The wave from which the way to the next is opened
    #[arg(value_name = "WAVE")]
    wave: String,
}

/// `fame rollout retry`
#[derive(Args, Debug)]
pub(crate) struct RetryArgs {
    #[command(flatten)]
    rollout: RolloutArg,
    /// Only these environments, each as TENANT/FAMILY/NAME; left out, all that failed or were refused
    #[arg(long = "environment", short, value_name = "KEY")]
    environments: Vec<String>,
}

const COLUMNS: &[Column] = &[
    ("ID", "id"),
    ("NAME", "name"),
    ("TO", "targetAppVersion"),
    ("STATE", "state"),
    ("OUTCOME", "outcome"),
    ("ENVIRONMENTS", "environments"),
    ("CREATED", "createdOn"),
];

const REASONS: &[Column] = &[
    ("VERDICT", "verdict"),
    ("REASON", "code"),
    ("ENVIRONMENTS", "environments"),
    ("SUCH AS", "sample"),
];

/// Says what a rollout would come to; nothing is changed.
pub(super) async fn plan(session: &Session, file: &RolloutFile) -> Result<Exit, Failure> {
    let app = session.app(&file.app).await?;
    let plan = session.client.plan_rollout(app, &file.body()?).json().await;
    let plan = plan.map_err(without_rollouts)?;
    let printer = session.printer;
    if printer.is_json() {
        printer.record(&plan)?;
        return Ok(Exit::Done);
    }
    let number = |name: &str| plan.get(name).and_then(Value::as_u64).unwrap_or_default();
    printer.note(format!(
        "{} environments: {} can have it now, {} have it already, {} once something else has ended, {} cannot.",
        number("environments"),
        number("eligible"),
        number("alreadyThere"),
        number("blocked"),
        number("refused")
    ));
    let rows = |name: &str| {
        plan.get(name)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    printer.rows(
        &rows("waves"),
        &[
            ("WAVE", "name"),
            ("ENVIRONMENTS", "environments"),
            ("OVERLAP", "overlap"),
        ],
    )?;
    let starts = rows("starts");
    if !starts.is_empty() {
        printer.rows(
            &starts,
            &[("STARTS IN THE HOUR", "hour"), ("ENVIRONMENTS", "environments")],
        )?;
    }
    let reasons = rows("reasons");
    if !reasons.is_empty() {
        printer.rows(&reasons.into_iter().map(with_names).collect::<Vec<_>>(), REASONS)?;
    }
    for warning in rows("warnings") {
        let text = |name: &str| warning.get(name).and_then(Value::as_str).unwrap_or_default();
        printer.warning(format!("{}: {}", text("code"), text("message")));
    }
    if plan.get("needsApproval") == Some(&Value::Bool(true)) {
        printer.note("Somebody else has to approve it before it begins.");
    }
    printer.note(format!(
        "fame rollout create FILE --fingerprint {} makes this and nothing else.",
        plan.get("fingerprint")
            .and_then(Value::as_str)
            .unwrap_or_default()
    ));
    Ok(Exit::Done)
}

/// A reason of a plan with the names of some of its environments.
fn with_names(mut reason: Value) -> Value {
    let sample = reason
        .get("sample")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let names: Vec<&str> = sample.filter_map(|row| row.get("name")?.as_str()).collect();
    let names = names.join(", ");
    if let Some(members) = reason.as_object_mut() {
        members.insert("sample".to_owned(), names.into());
    }
    reason
}

impl FileArg {
    /// The rollout as it is written down.
    ///
    /// # Errors
    /// Those of [`RolloutFile::read`].
    pub(super) fn read(&self) -> Result<RolloutFile, Failure> {
        RolloutFile::read(&self.file)
    }
}

impl CreateArgs {
    /// The rollout as it is written down.
    ///
    /// # Errors
    /// Those of [`RolloutFile::read`].
    pub(super) fn read(&self) -> Result<RolloutFile, Failure> {
        self.file.read()
    }

    /// Makes the rollout.
    pub(super) async fn run(&self, session: &Session, file: &RolloutFile) -> Result<Exit, Failure> {
        let app = session.app(&file.app).await?;
        let mut body = file.body()?;
        let drift = self.shrink.then(|| "shrink".to_owned());
        let beside = [("fingerprint", self.fingerprint.clone()), ("drift", drift)];
        if let Some(members) = body.as_object_mut() {
            let given = beside
                .into_iter()
                .filter_map(|(name, value)| Some((name.to_owned(), value?.into())));
            members.extend(given);
        }
        // The key keeps a repetition from making a second one.
        let create = session
            .client
            .create_rollout(app, &body)
            .idempotency_key(&Uuid::new_v4().to_string());
        let made = create.json().await.map_err(without_rollouts)?;
        print(session.printer, &made)?;
        let id = made.get("id").and_then(Value::as_str).unwrap_or_default();
        session
            .printer
            .note(match made.get("state").and_then(Value::as_str) {
                Some("AwaitingApproval") => {
                    format!("Somebody else has to approve it: fame rollout approve {app} {id}")
                }
                _ => format!("To see how it goes: fame rollout watch {app} {id}"),
            });
        Ok(Exit::Done)
    }
}

/// Lists the rollouts of an app.
pub(super) async fn list(session: &Session, app: &AppArg, query: QueryArgs) -> Result<Exit, Failure> {
    let app = session.app(app).await?;
    let lists = vec![session.client.list_rollouts(app)];
    session.print_lists(lists, query, COLUMNS).await?;
    Ok(Exit::Done)
}

impl ShowArgs {
    /// Shows the rollout, or its environments.
    pub(super) async fn run(&self, session: &Session) -> Result<Exit, Failure> {
        let app = session.app(&self.rollout.app).await?;
        if self.environments {
            let query = QueryArgs {
                filter: self.filter.clone(),
                ..QueryArgs::default()
            };
            let lists = vec![session.client.list_rollout_environments(app, self.rollout.id)];
            session.print_lists(lists, query, super::story::COLUMNS).await?;
            return Ok(Exit::Done);
        }
        let rollout = session.client.get_rollout(app, self.rollout.id).json().await?;
        print(session.printer, &rollout)?;
        Ok(Exit::Done)
    }
}

/// Prints a rollout: to people what it is, then its waves and what failed.
fn print(printer: Printer, rollout: &Value) -> Result<(), Failure> {
    if printer.is_json() {
        return Ok(printer.record(rollout)?);
    }
    let mut head = rollout.clone();
    if let Some(members) = head.as_object_mut() {
        members.retain(|name, value| {
            !matches!(name.as_str(), "waves" | "failures" | "counts") && !value.is_null()
        });
    }
    printer.record(&head)?;
    printer.rows(&super::watch::waves(rollout), super::watch::WAVES)?;
    for failure in super::watch::failures(rollout) {
        printer.note(failure);
    }
    Ok(())
}

/// What somebody says, under its name, if they say anything.
fn spoken(name: &str, text: Option<&String>) -> Value {
    text.map_or_else(|| json!({}), |text| json!({ name: text }))
}

impl RemarkArgs {
    /// Approves or rejects the rollout.
    pub(super) async fn run(&self, session: &Session, verb: RolloutVerb) -> Result<Exit, Failure> {
        let body = spoken("remark", self.remark.as_ref());
        change(session, &self.rollout, verb, &body).await
    }
}

impl PauseArgs {
    /// Pauses the rollout.
    pub(super) async fn run(&self, session: &Session) -> Result<Exit, Failure> {
        let mut body = spoken("reason", self.reason.as_ref());
        if let Some(members) = body.as_object_mut() {
            members.insert("withdraw".to_owned(), self.withdraw.into());
        }
        change(session, &self.rollout, RolloutVerb::Pause, &body).await
    }
}

impl ResumeArgs {
    /// Lets the rollout go on.
    pub(super) async fn run(&self, session: &Session) -> Result<Exit, Failure> {
        let body = spoken("reason", self.reason.as_ref());
        change(session, &self.rollout, RolloutVerb::Resume, &body).await
    }
}

impl AdvanceArgs {
    /// Opens the way from a wave to the next.
    pub(super) async fn run(&self, session: &Session) -> Result<Exit, Failure> {
        let body = json!({ "wave": self.wave });
        change(session, &self.rollout, RolloutVerb::Advance, &body).await
    }
}

impl RetryArgs {
    /// Takes environments anew.
    pub(super) async fn run(&self, session: &Session) -> Result<Exit, Failure> {
        let body = match self.environments.is_empty() {
            true => json!({}),
            false => json!({ "environments": self.environments }),
        };
        change(session, &self.rollout, RolloutVerb::Retry, &body).await
    }
}

impl AbortArgs {
    /// Gives the rollout up.
    pub(super) async fn run(&self, session: &Session) -> Result<Exit, Failure> {
        let body = spoken("reason", self.reason.as_ref());
        change(session, &self.rollout, RolloutVerb::Abort, &body).await
    }
}

async fn change(
    session: &Session,
    rollout: &RolloutArg,
    verb: RolloutVerb,
    body: &Value,
) -> Result<Exit, Failure> {
    let app = session.app(&rollout.app).await?;
    let changed = session
        .client
        .change_rollout(app, rollout.id, verb, body)
        .json()
        .await?;
    print(session.printer, &changed)?;
    Ok(Exit::Done)
}

/// A service that words its refusals otherwise than ours has no rollouts.
fn without_rollouts(error: client::Error) -> Failure {
    match &error {
        client::Error::Refused(refusal)
            if refusal.body.error.code.is_empty() && matches!(refusal.status.as_u16(), 400 | 404 | 405) =>
        {
            Failure::Rule(format!(
                "This service has no rollouts; fame rollout run carries one out from here: {}",
                told(refusal)
            ))
        }
        _ => error.into(),
    }
}
