//! `fame hotfixes wait`
//!
//! A pipeline must be green when the customer has the new version, and only then. So nothing but an end state
//! counts as an end, a word that we do not know means to go on waiting, and what says `Succeeded` is compared with
//! what the environment says it has installed. What is out of reach is looked at again as long as there is time; whatever
//! becomes of one hotfix, the others are waited for, and what is known of all is printed.

use super::{
    cases::{self, CaseOf},
    progress::{Progress, View, counts},
    seen::{Reader, prospect, status_of},
    selection::{Environment, Target, environments},
    which::{Meant, Which},
};
use crate::{
    args::{AppInCountries, AppInCountry, brief, duration},
    exit::Exit,
    failure::Failure,
    output::{Column, Printer},
    reports::{self, CaseResult, ReportArgs},
    session::Session,
};
use clap::Args;
use client::{Pauses, literal, spread};
use domain::{ids::OperationId, operation::OperationStatus, version::AppVersion};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// `fame hotfixes wait`
#[derive(Args, Debug)]
pub(crate) struct WaitArgs {
    #[command(flatten)]
    scope: AppInCountries,
    #[command(flatten)]
    which: Which,
    /// How long to wait for all of them together; after that, exit code 13. Each is looked at once, however short it is
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = duration)]
    timeout: Duration,
    /// How long to pause between looks at first; pauses grow to twelve times that
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = brief)]
    poll_interval: Duration,
    #[command(flatten)]
    report: ReportArgs,
}

/// How often the installed version is read again when it is not yet what a success promises.
const CONFIRMATIONS: u32 = 5;

/// A hotfix that is waited for.
pub(in crate::commands) struct Watched {
    scope: AppInCountry,
    /// Which it is.
    pub id: OperationId,
    /// As it was seen last.
    pub row: Value,
    status: Option<OperationStatus>,
    installed: Option<AppVersion>,
    /// Why the service will not show it.
    refused: Option<Failure>,
    /// How long it took to end, as far as it was watched.
    took: Option<Duration>,
}

/// What came of a hotfix.
pub(in crate::commands) struct Verdict {
    /// The exit code that stands for it.
    pub exit: Exit,
    /// What there is to say of it.
    pub why: Vec<String>,
}

impl WaitArgs {
    /// Waits, and shows how it is going as `view` says.
    pub(super) async fn run(self, session: &Session, view: View) -> Result<Exit, Failure> {
        let ended = self.wait(session, view).await;
        self.report.keep(view.title(), ended, session.printer)
    }

    async fn wait(&self, session: &Session, view: View) -> Result<Exit, Failure> {
        let patience = Patience::new(self.timeout, self.poll_interval);
        let printer = session.printer;
        let meant = self.meant(session, &patience).await?;
        let Waited {
            watched,
            verdicts,
            told,
        } = patience.wait(session, meant, view).await;
        print(printer, &watched)?;
        tell(&watched, &verdicts, printer);
        let counts = counts(&watched);
        if watched.len() > 1 && counts != told {
            printer.note(counts);
        }
        let outcome = worst(verdicts.iter().map(|verdict| verdict.exit));
        if !self.report.is_wanted(printer) {
            return Ok(outcome);
        }
        let app = session.app_name(&self.scope.app).await;
        let report = cases::of_app(&app, watched.iter().zip(&verdicts).map(case));
        Ok(reports::write(
            &report,
            &self.report,
            view.title(),
            outcome,
            printer,
        ))
    }

    /// The hotfixes to wait for. What is needed to tell which they are is asked for as long as there is time.
    async fn meant(&self, session: &Session, patience: &Patience) -> Result<Vec<Meant>, Failure> {
        loop {
            let found = async {
                let scopes = session.scopes(&self.scope).await?;
                self.which.resolve(session, &scopes, None).await
            };
            let failure = match found.await {
                Ok(meant) => return Ok(meant),
                Err(failure) => failure,
            };
            let pause = patience.bound(tokio::time::sleep(spread(self.poll_interval)));
            if failure.exit() != Exit::Unavailable || pause.await.is_none() {
                return Err(failure);
            }
            session.printer.note(failure.to_string());
        }
    }
}

/// For how long hotfixes are waited for, and how often they are looked at.
#[derive(Clone, Copy, Debug)]
pub(in crate::commands) struct Patience {
    /// When waiting ends; never, if that is too far away to be said.
    until: Option<Instant>,
    /// The first pause between two looks.
    poll_interval: Duration,
}

/// What is known of hotfixes that were waited for.
pub(in crate::commands) struct Waited {
    /// The hotfixes, as they were asked for.
    pub watched: Vec<Watched>,
    /// What came of each.
    pub verdicts: Vec<Verdict>,
    /// What stands on the screen of it.
    told: String,
}

impl Patience {
    /// From now on.
    pub(in crate::commands) fn new(timeout: Duration, poll_interval: Duration) -> Self {
        Self {
            until: Instant::now().checked_add(timeout),
            poll_interval,
        }
    }

    /// Waits until all have ended, or it is too late, and makes sure that they did what they were to do.
    pub(in crate::commands) async fn wait(&self, session: &Session, meant: Vec<Meant>, view: View) -> Waited {
        let mut watched: Vec<Watched> = meant.into_iter().map(Watched::new).collect();
        let mut progress = Progress::new(session.printer, view, watched.len());
        self.watch(session, &mut watched, &mut progress).await;
        let mut verdicts = Vec::new();
        for hotfix in &mut watched {
            verdicts.push(self.judge(session, hotfix).await);
        }
        Waited {
            watched,
            verdicts,
            told: progress.end(),
        }
    }

    /// Looks at the hotfixes again and again until all have ended, or it is too late.
    async fn watch(&self, session: &Session, watched: &mut [Watched], progress: &mut Progress) {
        let (reader, begun) = (Reader::new(session), Instant::now());
        let mut pauses = Pauses::new(self.poll_interval);
        let mut is_first = true;
        loop {
            for hotfix in watched.iter_mut().filter(|hotfix| !hotfix.has_ended()) {
                let look = reader.one(&hotfix.scope, hotfix.id);
                let seen = match is_first {
                    true => Some(look.await),
                    false => self.bound(look).await,
                };
                let Some(seen) = seen else {
                    return;
                };
                match seen.map_err(Failure::from) {
                    Ok(row) => progress.tell(hotfix.note(row)),
                    // The service may be away for a while; the hotfix goes on without it, and so does the wait.
                    Err(failure) if failure.exit() == Exit::Unavailable => {
                        session.printer.note(failure.to_string());
                    }
                    Err(failure) => hotfix.refuse(failure, session.printer),
                }
                if hotfix.has_ended() {
                    hotfix.took = Some(begun.elapsed());
                }
            }
            progress.show(watched);
            is_first = false;
            if watched.iter().all(Watched::has_ended) {
                return;
            }
            if self.bound(pauses.pass()).await.is_none() {
                return;
            }
        }
    }

    /// Compares what a hotfix says of itself with what its environment has installed.
    async fn judge(&self, session: &Session, hotfix: &mut Watched) -> Verdict {
        if let Some(failure) = &hotfix.refused {
            return Verdict {
                exit: failure.exit(),
                why: Vec::new(),
            };
        }
        let Some(status) = hotfix.status.filter(|status| status.is_terminal()) else {
            let still = format!("still {} when the time to wait was over.", hotfix.outlook());
            return Verdict {
                exit: Exit::WaitedTooLong,
                why: vec![still],
            };
        };
        let installed = self.installed(session, hotfix).await;
        let message = hotfix.text("errorMessage").filter(|text| !text.is_empty());
        let mut why: Vec<String> = message
            .map(|message| format!("{status}: {message}"))
            .into_iter()
            .collect();
        let exit = match (status, installed) {
            (OperationStatus::Succeeded, Err(failure)) => {
                why.push(format!(
                    "Succeeded, but the version that its environment has could not be read: {failure}"
                ));
                match failure.exit() {
                    Exit::Unavailable => Exit::WaitedTooLong,
                    exit => exit,
                }
            }
            (OperationStatus::Succeeded, Ok(installed)) => {
                hotfix.installed = installed;
                match hotfix.is_on_target() {
                    true => Exit::Done,
                    false => {
                        why.push(hotfix.broken_promise());
                        Exit::HotfixFailed
                    }
                }
            }
            (ended, installed) => {
                hotfix.installed = installed.ok().flatten();
                Exit::of_hotfix(ended)
            }
        };
        Verdict { exit, why }
    }

    /// The version that the environment has, read again a few times while it is not what a success promises, and as long
    /// as there is time while it cannot be read.
    async fn installed(&self, session: &Session, hotfix: &Watched) -> Result<Option<AppVersion>, Failure> {
        let target = Target::deserialize(&hotfix.row).map_err(|error| {
            Failure::Unexpected(format!("The hotfix {} makes no sense: {error}", hotfix.id))
        })?;
        let is_success = hotfix.status == Some(OperationStatus::Succeeded);
        let mut looks = 0;
        loop {
            let filter = format!("name eq {}", literal(&target.environment_name));
            let found = environments(session, &hotfix.scope, Some(filter)).await;
            let installed = found.map(|found| {
                let mine = found.iter().find(|environment| target.is(environment));
                mine.and_then(Environment::installed)
            });
            let is_awaited = match &installed {
                Ok(installed) => {
                    looks += 1;
                    *installed < hotfix.target() && looks <= CONFIRMATIONS
                }
                Err(failure) => failure.exit() == Exit::Unavailable,
            };
            if !is_success || !is_awaited {
                return installed;
            }
            if let Err(failure) = &installed {
                session.printer.note(failure.to_string());
            }
            let pause = tokio::time::sleep(spread(self.poll_interval));
            if self.bound(pause).await.is_none() {
                return installed;
            }
        }
    }

    /// What `work` comes to, or nothing when it is too late.
    async fn bound<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        match self.until {
            Some(at) => tokio::time::timeout_at(at.into(), work).await.ok(),
            None => Some(work.await),
        }
    }
}

impl Watched {
    fn new(meant: Meant) -> Self {
        Self {
            scope: meant.scope,
            id: meant.id,
            row: Value::Null,
            status: None,
            installed: None,
            refused: None,
            took: None,
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.refused.is_some() || self.status.is_some_and(OperationStatus::is_terminal)
    }

    /// The service will not show it, whenever it is asked.
    fn refuse(&mut self, failure: Failure, printer: Printer) {
        failure.tell(printer, Some(&self.id.to_string()));
        self.refused = Some(failure);
    }

    /// Takes in a new look; what there is to tell if something has changed.
    fn note(&mut self, row: Value) -> Option<String> {
        let before = self.outlook();
        self.row = row;
        self.status = status_of(&self.row);
        let environment = self.text("environmentName").unwrap_or_default();
        let outlook = match self.status {
            Some(_) => self.outlook(),
            None => format!("the status '{}' is not a known one; waiting on.", self.said()),
        };
        (self.outlook() != before).then(|| format!("{} {environment}: {outlook}", self.id))
    }

    /// Its status and, if it has not started, what lies ahead of it.
    fn outlook(&self) -> String {
        match prospect(&self.row).filter(|_| !self.has_ended()) {
            Some(prospect) => format!("{}, {prospect}", self.said()),
            None => self.said().to_owned(),
        }
    }

    pub(super) fn text(&self, property: &str) -> Option<&str> {
        self.row.get(property).and_then(Value::as_str)
    }

    pub(super) fn said(&self) -> &str {
        self.text("status").unwrap_or("not seen")
    }

    fn target(&self) -> Option<AppVersion> {
        self.text("targetAppVersion")?.parse().ok()
    }

    fn is_on_target(&self) -> bool {
        self.installed.is_some() && self.installed >= self.target()
    }

    fn broken_promise(&self) -> String {
        let target = self.text("targetAppVersion").unwrap_or_default();
        let has = match self.installed {
            Some(version) => format!("has {version}"),
            None => "does not have the app any more".to_owned(),
        };
        format!("Succeeded, but the environment {has} and not {target}.")
    }
}

/// Tells what is wrong with hotfixes: the same is said once.
fn tell(watched: &[Watched], verdicts: &[Verdict], printer: Printer) {
    let mut complaints: Vec<(Exit, &str, Vec<String>)> = Vec::new();
    for (hotfix, verdict) in watched.iter().zip(verdicts) {
        for text in &verdict.why {
            let id = hotfix.id.to_string();
            match complaints.iter_mut().find(|(_, known, _)| known == text) {
                Some((_, _, ids)) => ids.push(id),
                None => complaints.push((verdict.exit, text, vec![id])),
            }
        }
    }
    for (exit, text, ids) in complaints {
        let told = match ids.as_slice() {
            [id] => format!("{id}: {text}"),
            ids => format!("{} hotfixes: {text}\n  {}", ids.len(), ids.join("\n  ")),
        };
        if exit == Exit::Done {
            printer.warning(told);
            continue;
        }
        let facts =
            || json!({ "code": exit.name(), "exitCode": exit.code(), "message": text, "hotfixes": ids });
        printer.error_with_facts(&told, facts);
    }
}

/// What became of a hotfix, for reports.
fn case((hotfix, verdict): (&Watched, &Verdict)) -> CaseOf {
    let environment = hotfix.text("environmentName");
    CaseOf {
        name: environment.map_or_else(|| hotfix.id.to_string(), str::to_owned),
        tenant: hotfix.text("environmentAadTenantId").map(str::to_owned),
        seconds: hotfix.took.map(|took| took.as_secs_f64()),
        result: result(hotfix, verdict),
    }
}

fn result(hotfix: &Watched, verdict: &Verdict) -> CaseResult {
    if let Some(failure) = &hotfix.refused {
        return CaseResult::of_failure(failure);
    }
    let why = verdict.why.join("\n");
    let first_line = why.lines().next().unwrap_or(hotfix.said()).to_owned();
    match verdict.exit {
        Exit::Done => CaseResult::Passed,
        Exit::HotfixSkipped => CaseResult::Skipped { message: first_line },
        exit => CaseResult::Failed {
            code: exit.name().to_owned(),
            text: format!(
                "{}\n  hotfix: {}",
                if why.is_empty() { &first_line } else { &why },
                hotfix.id
            ),
            message: first_line,
        },
    }
}

/// Of several ends, the one that matters most to a pipeline.
pub(in crate::commands) fn worst(outcomes: impl IntoIterator<Item = Exit>) -> Exit {
    let outcomes: Vec<Exit> = outcomes.into_iter().collect();
    let by_weight = [
        Exit::HotfixFailed,
        Exit::WaitedTooLong,
        Exit::HotfixCanceled,
        Exit::HotfixSkipped,
    ];
    let found = by_weight.into_iter().find(|exit| outcomes.contains(exit));
    found.unwrap_or_else(|| Exit::first_of(outcomes.clone()))
}

const COLUMNS: &[Column] = &[
    ("ID", "id"),
    ("TENANT", "environmentAadTenantId"),
    ("ENVIRONMENT", "environmentName"),
    ("STATUS", "status"),
    ("TARGET", "targetAppVersion"),
    ("INSTALLED", "installedVersion"),
    ("MESSAGE", "errorMessage"),
];

fn print(printer: Printer, watched: &[Watched]) -> Result<(), Failure> {
    let with_version = |hotfix: &Watched| {
        let mut row = hotfix.row.clone();
        if let (Some(members), Some(installed)) = (row.as_object_mut(), hotfix.installed) {
            members.insert("installedVersion".to_owned(), installed.to_string().into());
        }
        row
    };
    let seen = watched.iter().filter(|hotfix| !hotfix.row.is_null());
    let rows: Vec<Value> = seen.map(with_version).collect();
    Ok(printer.rows(&rows, COLUMNS)?)
}
