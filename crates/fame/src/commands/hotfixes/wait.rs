//! `fame hotfixes wait`
//!
//! A pipeline must be green when the customer has the new version, and only then. So nothing but an end state
//! counts as an end, a word that we do not know means to go on waiting, and what says `Succeeded` is compared with
//! what the environment says it has installed. What is out of reach is looked at again as long as there is time; whatever
//! becomes of one hotfix, the others are waited for, and what is known of all is printed.

use super::{
    seen::{Reader, is_left_alone, prospect, warn_of_nobody},
    selection::{Environment, Target, environments},
    which::{Meant, Which},
};
use crate::{
    args::{AppInCountries, AppInCountry, brief, duration},
    exit::Exit,
    failure::Failure,
    output::{Column, Printer, cell},
    session::Session,
};
use clap::Args;
use client::{literal, spread};
use domain::{ids::OperationId, operation::OperationStatus, version::AppVersion};
use indicatif::ProgressBar;
use serde::Deserialize;
use serde_json::Value;
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
}

/// How often the installed version is read again when it is not yet what a success promises.
const CONFIRMATIONS: u32 = 5;

const COLUMNS: &[Column] = &[
    ("ID", "id"),
    ("TENANT", "environmentAadTenantId"),
    ("ENVIRONMENT", "environmentName"),
    ("STATUS", "status"),
    ("TARGET", "targetAppVersion"),
    ("INSTALLED", "installedVersion"),
    ("MESSAGE", "errorMessage"),
];

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
    refused: Option<Exit>,
}

impl WaitArgs {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let patience = Patience::new(self.timeout, self.poll_interval);
        let meant = self.meant(session, &patience).await?;
        let (watched, outcomes, complaints) = patience.wait(session, meant).await;
        print(session.printer, &watched)?;
        complaints.tell(session.printer);
        if watched.len() > 1 {
            session.printer.note(counts(&watched));
        }
        Ok(worst(&outcomes))
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
            let pause = patience.bound(tokio::time::sleep(spread(patience.poll_interval)));
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

/// What is known of hotfixes that were waited for, how each of them ended, and what is wrong with them.
type Waited = (Vec<Watched>, Vec<Exit>, Complaints);

impl Patience {
    /// From now on.
    pub(in crate::commands) fn new(timeout: Duration, poll_interval: Duration) -> Self {
        Self {
            until: Instant::now().checked_add(timeout),
            poll_interval,
        }
    }

    /// Waits until all have ended, or it is too late, and makes sure that they did what they were to do.
    pub(in crate::commands) async fn wait(&self, session: &Session, meant: Vec<Meant>) -> Waited {
        let mut watched: Vec<Watched> = meant.into_iter().map(Watched::new).collect();
        self.watch(session, &mut watched).await;
        let (mut outcomes, mut complaints) = (Vec::new(), Complaints::default());
        for hotfix in &mut watched {
            outcomes.push(self.judge(session, hotfix, &mut complaints).await);
        }
        (watched, outcomes, complaints)
    }

    /// Looks at the hotfixes again and again until all have ended, or it is too late.
    async fn watch(&self, session: &Session, watched: &mut [Watched]) {
        let reader = Reader::new(session);
        let mut progress = Progress::new(session.printer, watched.len());
        let mut pause = self.poll_interval;
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
                    Err(failure) => hotfix.refuse(&failure, session.printer),
                }
            }
            progress.show(watched);
            is_first = false;
            if watched.iter().all(Watched::has_ended) {
                return;
            }
            if self.bound(tokio::time::sleep(spread(pause))).await.is_none() {
                return;
            }
            pause = (pause * 3 / 2).min(self.poll_interval * 12);
        }
    }

    /// Compares what a hotfix says of itself with what its environment has installed.
    async fn judge(&self, session: &Session, hotfix: &mut Watched, complaints: &mut Complaints) -> Exit {
        let (id, status) = (hotfix.id, hotfix.status);
        if let Some(exit) = hotfix.refused {
            return exit;
        }
        let Some(status) = status.filter(|status| status.is_terminal()) else {
            complaints.add(
                id,
                format!("{} when the time to wait was over.", hotfix.outlook()),
            );
            return Exit::WaitedTooLong;
        };
        let installed = self.installed(session, hotfix).await;
        if let Some(message) = hotfix.text("errorMessage") {
            complaints.add(id, format!("{status}: {message}"));
        }
        match (status, installed) {
            (OperationStatus::Succeeded, Err(failure)) => {
                complaints.add(
                    id,
                    format!(
                        "Succeeded, but the version that its environment has could not be read: {failure}"
                    ),
                );
                match failure.exit() {
                    Exit::Unavailable => Exit::WaitedTooLong,
                    exit => exit,
                }
            }
            (OperationStatus::Succeeded, Ok(installed)) => {
                hotfix.installed = installed;
                if hotfix.is_on_target() {
                    return Exit::Done;
                }
                complaints.add(id, hotfix.broken_promise());
                Exit::HotfixFailed
            }
            (ended, installed) => {
                hotfix.installed = installed.ok().flatten();
                match ended {
                    OperationStatus::Skipped => Exit::HotfixSkipped,
                    OperationStatus::Canceled => Exit::HotfixCanceled,
                    _ => Exit::HotfixFailed,
                }
            }
        }
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
        }
    }

    fn has_ended(&self) -> bool {
        self.refused.is_some() || self.status.is_some_and(OperationStatus::is_terminal)
    }

    /// The service will not show it, whenever it is asked.
    fn refuse(&mut self, failure: &Failure, printer: Printer) {
        failure.tell(printer, Some(&self.id.to_string()));
        self.refused = Some(failure.exit());
    }

    /// Takes in a new look; what there is to tell if something has changed.
    fn note(&mut self, row: Value) -> Option<String> {
        let before = self.outlook();
        self.row = row;
        self.status = self.text("status").and_then(|word| word.parse().ok());
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

    fn text(&self, property: &str) -> Option<&str> {
        self.row.get(property).and_then(Value::as_str)
    }

    fn said(&self) -> &str {
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

/// How many there are of each status, and what lies ahead of those that wait.
fn counts(watched: &[Watched]) -> String {
    let ended = watched.iter().filter(|hotfix| hotfix.has_ended()).count();
    let count = |text: &str| watched.iter().filter(|hotfix| hotfix.said() == text).count();
    let mut words: Vec<&str> = watched.iter().map(Watched::said).collect();
    words.sort_unstable();
    words.dedup();
    let by_status: Vec<String> = words
        .iter()
        .map(|word| format!("{} {word}", count(word)))
        .collect();
    let next = watched
        .iter()
        .filter_map(|hotfix| hotfix.text("expectedStart"))
        .min();
    let next = next
        .map(|at| format!("; the next starts {}", cell(&at.into())))
        .unwrap_or_default();
    format!(
        "{ended} of {} have ended: {}{next}.",
        watched.len(),
        by_status.join(", ")
    )
}

/// Tells how it is going: of a single hotfix step by step, of several in one line that counts.
struct Progress {
    printer: Printer,
    line: Option<ProgressBar>,
    told: String,
    has_warned: bool,
}

impl Progress {
    fn new(printer: Printer, hotfixes: usize) -> Self {
        Self {
            printer,
            line: (hotfixes > 1).then(|| printer.line()),
            told: String::new(),
            has_warned: false,
        }
    }

    /// Tells what has become of one hotfix.
    fn tell(&self, news: Option<String>) {
        if let Some(news) = news.filter(|_| self.line.is_none()) {
            self.printer.note(news);
        }
    }

    /// Tells what has become of all.
    fn show(&mut self, watched: &[Watched]) {
        if !self.has_warned && watched.iter().any(|hotfix| is_left_alone(&hotfix.row)) {
            self.has_warned = true;
            warn_of_nobody(self.printer, watched.iter().map(|hotfix| &hotfix.row));
        }
        let (Some(line), text) = (&self.line, counts(watched)) else {
            return;
        };
        line.set_message(text.clone());
        if line.is_hidden() && text != self.told {
            self.printer.note(&text);
        }
        self.told = text;
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(line) = &self.line {
            line.finish_and_clear();
        }
    }
}

/// What is wrong with hotfixes: the same is said once.
#[derive(Default)]
pub(in crate::commands) struct Complaints(Vec<(String, Vec<OperationId>)>);

impl Complaints {
    fn add(&mut self, id: OperationId, text: String) {
        match self.0.iter_mut().find(|(known, _)| *known == text) {
            Some((_, ids)) => ids.push(id),
            None => self.0.push((text, vec![id])),
        }
    }

    /// What is wrong with one of them.
    pub(in crate::commands) fn of(&self, id: OperationId) -> Vec<&str> {
        let about = self.0.iter().filter(|(_, ids)| ids.contains(&id));
        about.map(|(text, _)| text.as_str()).collect()
    }

    pub(in crate::commands) fn tell(&self, printer: Printer) {
        for (text, ids) in &self.0 {
            match ids.as_slice() {
                [id] => printer.error(format!("{id}: {text}")),
                ids => {
                    let ids: Vec<String> = ids.iter().map(|id| format!("\n  {id}")).collect();
                    printer.error(format!("{} hotfixes: {text}{}", ids.len(), ids.concat()));
                }
            }
        }
    }
}

/// Of several ends, the one that matters most to a pipeline.
pub(in crate::commands) fn worst(outcomes: &[Exit]) -> Exit {
    let by_weight = [
        Exit::HotfixFailed,
        Exit::WaitedTooLong,
        Exit::HotfixCanceled,
        Exit::HotfixSkipped,
    ];
    let found = by_weight.into_iter().find(|exit| outcomes.contains(exit));
    found.unwrap_or_else(|| Exit::first_of(outcomes.iter().copied()))
}

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
