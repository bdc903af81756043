//! Bringing a version in or taking an app out, and finding out what became of it.
//!
//! A request whose answer was lost may have been carried out. So what was there before is written down before it is sent,
//! and it is only sent again when the target shows no new operation for long enough, and nothing has changed.

use super::{
    AdminCenter, Way, Window,
    inventory::AppRow,
    operations::{AppOperation, Status, read_all, too_old},
};
use crate::{
    cause::{self, Said, Target, Verdict},
    driver::{Deployed, Found, InstalledApp, Work, Workplace},
    drivers::watch::{
        FAILED_POLLS, arrived, bear, began_since, begin_marked, file_name, found_anew, goes_up, marked,
        settled, took_too_long,
    },
    failure::Failure,
    http::{Answer, Change, Content, Form, Sent},
};
use data_encoding::HEXLOWER;
use domain::operation::FailureCause;
use jiff::Timestamp;
use reqwest::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::Instant;

/// Written down before something is sent.
const SENT: &str = "Send";
/// Written down when the target has named its operation.
const NAMED: &str = "Operation";
/// The largest package that the Admin Center takes.
const MAX_PACKAGE_BYTES: u64 = 50 << 20;

/// What is needed to find an operation again.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Before {
    /// The operations of the app that were there before.
    known: Vec<String>,
    /// The target's clock.
    since: Option<String>,
    /// The version that was installed.
    installed: String,
    package_sha256: String,
}

#[derive(Serialize, Deserialize)]
struct Named {
    id: String,
}

/// Where an operation stands of which only the beginning is known.
enum Sought {
    /// The target has named it meanwhile.
    Named(String),
    /// It never began.
    NotBegun,
    /// It is over, or nobody can tell.
    Over(Deployed),
}

/// How an operation ended.
enum Ended {
    Failed(Verdict, Failure),
    Otherwise(Deployed),
}

/// What was marked last.
enum Last {
    Nothing,
    Sent(Before),
    Named(String),
}

fn last(at: &dyn Workplace) -> Last {
    let mut marks = at.marks();
    marks.retain(|mark| mark.step == SENT || mark.step == NAMED);
    let Some(mark) = marks.pop() else {
        return Last::Nothing;
    };
    match serde_json::from_value::<Named>(mark.facts.clone()) {
        Ok(Named { id }) => Last::Named(id),
        Err(_) => Last::Sent(serde_json::from_value(mark.facts).unwrap_or_default()),
    }
}

/// How often something was sent, or was about to be.
fn tries(at: &dyn Workplace) -> usize {
    at.marks().iter().filter(|mark| mark.step == SENT).count()
}

impl AdminCenter {
    pub(super) async fn carry_out(
        &self,
        work: &Work,
        found: &Found,
        at: &dyn Workplace,
    ) -> Result<Deployed, Deployed> {
        loop {
            match last(at) {
                Last::Nothing => self.begin(work, found, at).await?,
                Last::Sent(before) => match self.look_for(&before, work, at).await? {
                    Sought::Named(id) => self.remember(id, at).await?,
                    Sought::Over(ended) => return Ok(ended),
                    Sought::NotBegun if tries(at) < 2 => self.begin_anew(work, at).await?,
                    Sought::NotBegun => {
                        return Ok(Deployed::Failed(Failure::new(
                            FailureCause::Connection,
                            "The request was sent twice, and the target shows no operation that came of it",
                        )));
                    }
                },
                Last::Named(id) => match self.watch(&id, work, at).await? {
                    Ended::Otherwise(ended) => return Ok(ended),
                    Ended::Failed(verdict, failure) => {
                        self.wait_to_repeat(verdict, failure, work, at).await?;
                        self.begin_anew(work, at).await?;
                    }
                },
            }
        }
    }

    /// Asks the target to begin. Whether it did is in the marks.
    async fn begin(&self, work: &Work, found: &Found, at: &dyn Workplace) -> Result<(), Deployed> {
        let app = found.app(work.app_id);
        if app.is_none() && goes_up(work.kind) {
            return Err(Deployed::Skipped("The app is not installed".to_owned()));
        }
        let way = self.way_of(work, app).map_err(Deployed::Failed)?;
        let change = self.request(way, work, app, at).await.map_err(Deployed::Failed)?;
        loop {
            let known = self.wait_for_others(work, at).await?;
            let before = Before {
                known,
                since: self.http.now().map(|now| now.to_string()),
                installed: app.map(|app| app.version.to_string()).unwrap_or_default(),
                package_sha256: HEXLOWER.encode(&work.package_sha256),
            };
            begin_marked(at, SENT, &before).await?;
            at.progress(None, step(way), "Sent to the target");
            match self.http.change(&change, Some(at)).await {
                Sent::Answer(answer) if answer.status.is_success() => {
                    return self.accepted(&answer, at).await;
                }
                Sent::Answer(answer) => {
                    let (verdict, failure) = self.refused(way, &answer, work);
                    if verdict.cause == FailureCause::AlreadyPublished && tries(at) > 1 {
                        // The first try lived.
                        return Err(Deployed::Unclear(failure));
                    }
                    self.wait_to_repeat(verdict, failure, work, at).await?;
                }
                Sent::NotSent(failure) => return Err(Deployed::Failed(failure)),
                Sent::Unclear(failure) => {
                    tracing::warn!(operation = %work.operation_id, why = failure.text, "maybe begun");
                    at.progress(None, step(way), &failure.text);
                    return Ok(());
                }
            }
        }
    }

    async fn begin_anew(&self, work: &Work, at: &dyn Workplace) -> Result<(), Deployed> {
        let found = found_anew(self, work).await?;
        self.begin(work, &found, at).await
    }

    /// The request that begins it, once everything is there that it needs.
    async fn request(
        &self,
        way: Way,
        work: &Work,
        app: Option<&InstalledApp>,
        at: &dyn Workplace,
    ) -> Result<Change, Failure> {
        let by_window = self.settings.window == Window::Target;
        let language_id = work.language_id.as_ref().unwrap_or(&self.settings.language_id);
        match way {
            Way::Update => {
                self.look_into_the_catalogue(work).await?;
                let body = json!({
                    "targetVersion": work.target_text(),
                    "useEnvironmentUpdateWindow": by_window,
                    "allowPreviewVersion": false,
                    "installOrUpdateNeededDependencies": false,
                });
                let url = self.of_app(work.app_id, &["update"]);
                Ok(Change::post(url, Content::Json(body)))
            }
            Way::Install => {
                self.refuse_without_eula()?;
                let body = json!({
                    "targetVersion": work.target_text(),
                    "useEnvironmentUpdateWindow": by_window,
                    "allowPreviewVersion": false,
                    "installOrUpdateNeededDependencies": false,
                    "acceptIsvEula": true,
                    "languageId": language_id,
                });
                let url = self.of_app(work.app_id, &["install"]);
                Ok(Change::post(url, Content::Json(body)))
            }
            Way::Uninstall => {
                let body = json!({
                    "useEnvironmentUpdateWindow": by_window,
                    "uninstallDependents": false,
                    "deleteData": work.delete_data,
                });
                let url = self.of_app(work.app_id, &["uninstall"]);
                Ok(Change::post(url, Content::Json(body)))
            }
            Way::PteInstall => {
                self.refuse_without_eula()?;
                if work.package_size > MAX_PACKAGE_BYTES {
                    return Err(Failure::other(format!(
                        "The package has {} bytes, and the Admin Center takes {MAX_PACKAGE_BYTES} at most",
                        work.package_size
                    )));
                }
                let schedule = match self.settings.window {
                    Window::Fame => "Immediate",
                    Window::Target => "UpdateWindow",
                };
                let form = Form::new("extensionFile", &file_name(work, app), at.package().await?)
                    .text("deploymentSchedule", schedule)
                    .text("syncMode", "Add")
                    .text("languageId", language_id)
                    .text("acceptIsvEula", "true")
                    .text("installOrUpdateNeededDependencies", "false");
                Ok(Change::post(
                    self.at(&["apps", "pteInstall"]),
                    Content::Form(form),
                ))
            }
        }
    }

    async fn look_into_the_catalogue(&self, work: &Work) -> Result<(), Failure> {
        let offered: Vec<AppRow> = self.http.rows(&self.at(&["apps", "availableUpdates"])).await?;
        let offered: Vec<_> = offered.iter().filter(|row| row.is(work.app_id)).collect();
        if offered.iter().any(|row| row.version() == work.target) {
            return Ok(());
        }
        let others: Vec<_> = offered
            .iter()
            .filter_map(|row| row.version())
            .map(|version| version.to_string())
            .collect();
        let instead = match others.as_slice() {
            [] => "no newer version".to_owned(),
            others => others.join(", "),
        };
        Err(Failure::other(format!(
            "Microsoft's catalogue does not offer version {} for this environment. It offers {instead}",
            work.target_text()
        )))
    }

    async fn accepted(&self, answer: &Answer, at: &dyn Workplace) -> Result<(), Deployed> {
        let rows = answer.json().ok().and_then(|body| read_all(body).ok());
        match rows
            .unwrap_or_default()
            .pop()
            .and_then(|row: AppOperation| row.id)
        {
            Some(id) => self.remember(id, at).await,
            // It is found among the operations.
            None => Ok(()),
        }
    }

    async fn remember(&self, id: String, at: &dyn Workplace) -> Result<(), Deployed> {
        at.progress(None, "Operation", &format!("Operation {id} of the target"));
        marked(at, NAMED, &Named { id }).await
    }

    fn refused(&self, way: Way, answer: &Answer, work: &Work) -> (Verdict, Failure) {
        let (verdict, failure) = self.http.refusal(answer, true, work.app_name.as_deref());
        let is_unknown = matches!(
            answer.status,
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED
        );
        match is_unknown && way == Way::PteInstall {
            true => {
                let too_old = too_old(&self.settings.api_version);
                let text = format!("{} ({})", too_old.text, failure.text);
                (verdict, Failure { text, ..too_old })
            }
            false => (verdict, failure),
        }
    }

    /// Waits until nothing else is done in the environment; the operations that are there then.
    async fn wait_for_others(&self, work: &Work, at: &dyn Workplace) -> Result<Vec<String>, Deployed> {
        let begun = Instant::now();
        loop {
            let apps = self.apps().await.map_err(Deployed::Failed)?;
            if let Some(ended) = settled(version_of(&apps, work), work) {
                return Err(ended);
            }
            let operations = self.operations(work.app_id).await.map_err(Deployed::Failed)?;
            let other = apps
                .iter()
                .find(|app| app.is_updating())
                .map(|app| format!("{} is being updated", app.title()));
            let other = match other {
                None => self.running(&operations).await.map_err(Deployed::Failed)?,
                other => other,
            };
            let Some(other) = other else {
                return Ok(operations.into_iter().filter_map(|row| row.id).collect());
            };
            if begun.elapsed() >= self.settings.others_within {
                let text = format!(
                    "Nothing was begun: in the environment {other}, still after {:?}",
                    begun.elapsed()
                );
                return Err(Deployed::Failed(Failure::new(FailureCause::Lock, text)));
            }
            at.progress(
                None,
                "Wait",
                &format!("Waits, because in the environment {other}"),
            );
            tokio::time::sleep(self.settings.polls.pause(begun.elapsed())).await;
        }
    }

    /// An operation that runs, of the app or of anything else in the environment.
    async fn running(&self, of_app: &[AppOperation]) -> Result<Option<String>, Failure> {
        let of_environment = self.operations_of_environment().await?;
        let mut all = of_app.iter().chain(&of_environment);
        Ok(all.find(|row| row.status() == Status::Running).map(|row| {
            let id = row.id.as_deref().unwrap_or("without an id");
            format!("operation {id} runs")
        }))
    }

    /// Waits as long as that failure needs before the same can be begun anew, and looks whether it still has to be.
    ///
    /// # Errors
    /// How it ends, if it is not begun anew.
    async fn wait_to_repeat(
        &self,
        verdict: Verdict,
        failure: Failure,
        work: &Work,
        at: &dyn Workplace,
    ) -> Result<(), Deployed> {
        self.settings
            .repeats
            .wait(verdict, &failure, tries(at), at)
            .await?;
        let apps = self.apps().await.map_err(|_| Deployed::Failed(failure.clone()))?;
        match version_of(&apps, work) {
            // What failed may have taken it out.
            None if goes_up(work.kind) => Err(Deployed::Failed(failure)),
            installed => arrived(installed, work.target).map_or(Ok(()), Err),
        }
    }

    /// Looks for the operation that came of a request whose answer was lost.
    async fn look_for(&self, before: &Before, work: &Work, at: &dyn Workplace) -> Result<Sought, Deployed> {
        at.progress(None, "Look", "The answer was lost: looks for the operation");
        let begun = Instant::now();
        let mut failures = 0;
        loop {
            let is_last = begun.elapsed() >= self.settings.lost_after;
            match self.trace(before, work, is_last).await {
                Ok(Some(sought)) => return Ok(sought),
                Ok(None) => failures = 0,
                Err(failure) => bear(failure, &mut failures, FAILED_POLLS)?,
            }
            tokio::time::sleep(self.settings.polls.pause(begun.elapsed())).await;
        }
    }

    async fn trace(&self, before: &Before, work: &Work, is_last: bool) -> Result<Option<Sought>, Failure> {
        let operations = self.operations(work.app_id).await?;
        let mine = operations.iter().filter(|row| self.came_of(before, row, work));
        if let Some(id) = mine
            .max_by_key(|row| row.created_on())
            .and_then(|row| row.id.clone())
        {
            return Ok(Some(Sought::Named(id)));
        }
        let apps = self.apps().await?;
        let installed = version_of(&apps, work);
        if let Some(ended) = arrived(installed, work.target) {
            return Ok(Some(Sought::Over(ended)));
        }
        if !is_last {
            return Ok(None);
        }
        let shown = installed.map(|version| version.to_string()).unwrap_or_default();
        let is_as_before = shown == before.installed;
        let is_quiet = !apps.iter().any(AppRow::is_updating) && self.running(&operations).await?.is_none();
        Ok(Some(match is_as_before && is_quiet {
            true => Sought::NotBegun,
            false => Sought::Over(Deployed::Unclear(Failure::new(
                FailureCause::Connection,
                "The answer to the request was lost, no operation of it is shown, and the app is not as it was before",
            ))),
        }))
    }

    fn came_of(&self, before: &Before, row: &AppOperation, work: &Work) -> bool {
        let is_new = row.id.as_ref().is_some_and(|id| !before.known.contains(id));
        let since = before
            .since
            .as_deref()
            .and_then(|text| text.parse::<Timestamp>().ok());
        let is_late = match (since, row.created_on()) {
            (Some(since), Some(created)) => began_since(created, since),
            _ => true,
        };
        let is_ours = match (self.http.client_id(), &row.created_by) {
            (Some(own), Some(by)) => own.eq_ignore_ascii_case(by),
            _ => true,
        };
        is_new && is_late && is_ours && row.target() == work.target
    }

    /// Watches an operation until the target says how it ended.
    async fn watch(&self, id: &str, work: &Work, at: &dyn Workplace) -> Result<Ended, Deployed> {
        let begun = Instant::now();
        let (mut seen, mut runs_since) = (begun, None);
        let mut failures = 0;
        loop {
            tokio::time::sleep(self.settings.polls.pause(begun.elapsed())).await;
            let row = match self.operation(work.app_id, id).await {
                Ok(row) => row,
                Err(failure) => {
                    bear(failure, &mut failures, FAILED_POLLS)?;
                    continue;
                }
            };
            failures = 0;
            let Some(row) = row else {
                self.gone(id, work, seen).await?;
                continue;
            };
            seen = Instant::now();
            if let Some(ended) = self.ended(&row, work).await? {
                return Ok(ended);
            }
            at.progress(
                None,
                row.word(),
                &format!("Operation {id} of the target: {}", row.word()),
            );
            let limit = match row.status() {
                Status::Scheduled => self.settings.scheduled_limit,
                _ => self.settings.limit,
            };
            let since = match row.status() {
                Status::Scheduled => begun,
                _ => *runs_since.get_or_insert(seen),
            };
            if since.elapsed() >= limit {
                let last = format!("Operation {id} is {}", row.word());
                return Ok(Ended::Otherwise(took_too_long(limit, &last)));
            }
        }
    }

    /// Nobody knows the operation any more: the inventory decides.
    async fn gone(&self, id: &str, work: &Work, seen: Instant) -> Result<(), Deployed> {
        let apps = self.apps().await.map_err(Deployed::Unclear)?;
        if let Some(ended) = arrived(version_of(&apps, work), work.target) {
            return Err(ended);
        }
        match seen.elapsed() >= self.settings.lost_after {
            true => Err(Deployed::Unclear(Failure::other(format!(
                "The target does not know its operation {id} any more"
            )))),
            false => Ok(()),
        }
    }

    /// How an operation ended, if it did.
    async fn ended(&self, row: &AppOperation, work: &Work) -> Result<Option<Ended>, Deployed> {
        let text = row
            .error_message
            .as_deref()
            .unwrap_or("The target gives no reason");
        Ok(Some(match row.status() {
            Status::Scheduled | Status::Running => return Ok(None),
            Status::Succeeded => Ended::Otherwise(Deployed::Done),
            Status::Failed => {
                let verdict = cause::classify(&Said {
                    by: Target::AdminCenter,
                    to_change: true,
                    status: None,
                    text,
                    app: work.app_name.as_deref(),
                });
                Ended::Failed(verdict, self.http.clean(verdict.failure(text)))
            }
            Status::Canceled => {
                let by = row.canceled_by.as_deref().unwrap_or("somebody");
                Ended::Otherwise(Deployed::Failed(Failure::other(format!(
                    "The operation was canceled at the target by {by}"
                ))))
            }
            Status::Skipped => {
                let apps = self.apps().await.map_err(Deployed::Unclear)?;
                let ended = arrived(version_of(&apps, work), work.target);
                let skipped = || Deployed::Skipped(format!("The target skipped the operation. {text}"));
                Ended::Otherwise(ended.unwrap_or_else(skipped))
            }
        }))
    }
}

fn step(way: Way) -> &'static str {
    match way {
        Way::Update => "Update",
        Way::PteInstall | Way::Install => "Install",
        Way::Uninstall => "Uninstall",
    }
}

fn version_of(apps: &[AppRow], work: &Work) -> Option<domain::version::AppVersion> {
    apps.iter()
        .find(|app| app.is(work.app_id))
        .and_then(AppRow::version)
}
