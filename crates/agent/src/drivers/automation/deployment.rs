//! Starting what lies in the slot, and finding out what became of it.

use super::Automation;
use crate::{
    cause::{self, Said, Target, Verdict},
    driver::{Deployed, Found, Work, Workplace},
    drivers::watch::{
        FAILED_POLLS, arrived, bear, began_since, begin_marked, facts_of, found_anew, settled, took_too_long,
    },
    failure::Failure,
    http::{Change, Content, Sent},
};
use domain::{operation::FailureCause, version::AppVersion};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Instant;
use uuid::Uuid;

/// Written down before the upload is started.
const STARTED: &str = "Start";
/// How often an upload is started that was found empty.
const STARTS: usize = 3;

/// What is needed to find a deployment again.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Before {
    /// The deployments that were there before.
    known: Vec<String>,
    /// The target's clock.
    since: Option<String>,
    /// The slot that was started.
    slot: Uuid,
    /// The app as it was installed.
    name: Option<String>,
    publisher: Option<String>,
    installed: String,
}

impl Before {
    fn since(&self) -> Option<Timestamp> {
        self.since.as_deref()?.parse().ok()
    }
}

/// A deployment as the target tells of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Deployment {
    #[serde(rename = "operationID", alias = "operationId")]
    id: Option<String>,
    name: Option<String>,
    publisher: Option<String>,
    status: Option<String>,
    app_version: Option<String>,
    started_on: Option<String>,
}

impl Deployment {
    fn status(&self) -> &str {
        self.status.as_deref().unwrap_or("without a status")
    }

    fn is(&self, status: &str) -> bool {
        self.status().eq_ignore_ascii_case(status)
    }

    fn started_on(&self) -> Option<Timestamp> {
        self.started_on.as_deref()?.parse().ok()
    }

    /// Whether it is of this version of this app; the name may come later.
    fn is_of(&self, app: &Before, target: Option<AppVersion>) -> bool {
        let fits = |told: &Option<String>, known: &Option<String>| match (told, known) {
            (Some(told), Some(known)) if !told.trim().is_empty() => {
                told.trim().eq_ignore_ascii_case(known.trim())
            }
            _ => true,
        };
        let version: Option<AppVersion> = self.app_version.as_deref().and_then(|text| text.parse().ok());
        version.is_some()
            && version == target
            && fits(&self.name, &app.name)
            && fits(&self.publisher, &app.publisher)
    }
}

/// How a deployment ended.
enum Ended {
    NotBegun,
    Failed(Verdict, Failure),
    Otherwise(Deployed),
}

fn starts(at: &dyn Workplace) -> Vec<Before> {
    facts_of(at, STARTED)
}

impl Automation {
    pub(super) async fn carry_out(
        &self,
        work: &Work,
        found: &Found,
        at: &dyn Workplace,
    ) -> Result<Deployed, Deployed> {
        let company = self.api.company().await;
        let company = company.map_err(match starts(at).is_empty() {
            true => Deployed::Failed,
            false => Deployed::Unclear,
        })?;
        let company = company.id;
        loop {
            let Some(before) = starts(at).pop() else {
                self.begin(company, work, found, at).await?;
                continue;
            };
            match self.watch(company, &before, work, at).await? {
                Ended::Otherwise(ended) => return Ok(ended),
                Ended::NotBegun if starts(at).len() < 2 => {}
                Ended::NotBegun => {
                    return Ok(Deployed::Failed(Failure::new(
                        FailureCause::Connection,
                        "The upload was started twice, and the target shows no deployment that came of it",
                    )));
                }
                Ended::Failed(verdict, failure) => {
                    self.wait_to_repeat(company, verdict, failure, work, at).await?;
                }
            }
            let found = found_anew(self, work).await?;
            self.begin(company, work, &found, at).await?;
        }
    }

    /// Uploads and starts. Whether it did is in the marks.
    async fn begin(
        &self,
        company: Uuid,
        work: &Work,
        found: &Found,
        at: &dyn Workplace,
    ) -> Result<(), Deployed> {
        let Some(app) = found.app(work.app_id) else {
            return Err(Deployed::Skipped("The app is not installed".to_owned()));
        };
        let _held = self.slot.lock().await;
        for left in (0..STARTS).rev() {
            let (slot, known) = self.filled_slot(company, work, found, at).await?;
            let before = Before {
                known: known.into_iter().filter_map(|row| row.id).collect(),
                since: self.api.http.now().map(|now| now.to_string()),
                slot,
                name: app.name.clone(),
                publisher: app.publisher.clone(),
                installed: app.version.to_string(),
            };
            begin_marked(at, STARTED, &before).await?;
            at.progress(None, STARTED, "Starts the deployment");
            let start = Change {
                replaces: true,
                ..Change::post(
                    self.slot_url(company, slot, &["Microsoft.NAV.upload"]),
                    Content::Empty,
                )
            };
            match self.api.http.change(&start, Some(at)).await {
                Sent::Answer(answer) if answer.status.is_success() => return Ok(()),
                Sent::Answer(answer) => {
                    let (verdict, failure) = self.api.http.refusal(&answer, true, work.app_name.as_deref());
                    match (verdict.again, verdict.cause) {
                        // Somebody else emptied the slot.
                        (cause::Again::Safe, _) if left > 0 => {}
                        // Our own deployment ended the session that was to answer.
                        (cause::Again::WhenQuiet, FailureCause::Connection) => return Ok(()),
                        _ => self.wait_to_repeat(company, verdict, failure, work, at).await?,
                    }
                }
                Sent::NotSent(failure) => return Err(Deployed::Failed(failure)),
                Sent::Unclear(failure) => {
                    tracing::warn!(operation = %work.operation_id, why = failure.text, "maybe begun");
                    at.progress(None, STARTED, &failure.text);
                    return Ok(());
                }
            }
        }
        Err(Deployed::Failed(Failure::new(
            FailureCause::Lock,
            "Somebody else keeps using the slot of the company",
        )))
    }

    /// The slot with the package in it, and the deployments that are there while no other is in progress. Filling it takes
    /// a while, in which others may begin.
    async fn filled_slot(
        &self,
        company: Uuid,
        work: &Work,
        found: &Found,
        at: &dyn Workplace,
    ) -> Result<(Uuid, Vec<Deployment>), Deployed> {
        let begun = Instant::now();
        loop {
            self.wait_for_others(company, work, begun, at).await?;
            let slot = self.fill_slot(company, work, found, at).await?;
            let known = self.deployments(company).await.map_err(Deployed::Failed)?;
            if in_progress(&known).is_none() {
                return Ok((slot, known));
            }
        }
    }

    async fn deployments(&self, company: Uuid) -> Result<Vec<Deployment>, Failure> {
        let url = self.api.of_company(company, &["extensionDeploymentStatus"]);
        self.api.http.rows(&url).await
    }

    /// Waits until nobody else's deployment is in progress, until so long after `begun`.
    async fn wait_for_others(
        &self,
        company: Uuid,
        work: &Work,
        begun: Instant,
        at: &dyn Workplace,
    ) -> Result<(), Deployed> {
        loop {
            let installed = self
                .api
                .version(company, work.app_id)
                .await
                .map_err(Deployed::Failed)?;
            if let Some(ended) = settled(installed, work) {
                return Err(ended);
            }
            let rows = self.deployments(company).await.map_err(Deployed::Failed)?;
            let Some(other) = in_progress(&rows) else {
                return Ok(());
            };
            let name = other.name.as_deref().unwrap_or("an app");
            let text = format!("a deployment of {name} is in progress");
            if begun.elapsed() >= self.settings.others_within {
                let text = format!("Nothing was begun: {text}, still after {:?}", begun.elapsed());
                return Err(Deployed::Failed(Failure::new(FailureCause::Lock, text)));
            }
            at.progress(None, "Wait", &format!("Waits, because {text}"));
            tokio::time::sleep(self.settings.polls.pause(begun.elapsed())).await;
        }
    }

    async fn wait_to_repeat(
        &self,
        company: Uuid,
        verdict: Verdict,
        failure: Failure,
        work: &Work,
        at: &dyn Workplace,
    ) -> Result<(), Deployed> {
        let tries = starts(at).len();
        self.settings.repeats.wait(verdict, &failure, tries, at).await?;
        match self.api.version(company, work.app_id).await {
            // What failed may have taken it out.
            Ok(None) | Err(_) => Err(Deployed::Failed(failure)),
            Ok(installed) => arrived(installed, work.target).map_or(Ok(()), Err),
        }
    }

    /// Watches until the target says how it ended, or the installed version does.
    async fn watch(
        &self,
        company: Uuid,
        before: &Before,
        work: &Work,
        at: &dyn Workplace,
    ) -> Result<Ended, Deployed> {
        let begun = Instant::now();
        let mut failures = 0;
        loop {
            tokio::time::sleep(self.settings.polls.pause(begun.elapsed())).await;
            match self.look(company, before, work, begun, at).await {
                Ok(Some(ended)) => return Ok(ended),
                Ok(None) => failures = 0,
                Err(failure) => bear(failure, &mut failures, FAILED_POLLS)?,
            }
        }
    }

    async fn look(
        &self,
        company: Uuid,
        before: &Before,
        work: &Work,
        begun: Instant,
        at: &dyn Workplace,
    ) -> Result<Option<Ended>, Failure> {
        let rows = self.deployments(company).await?;
        let row = ours(&rows, before, work.target);
        if row.is_some_and(|row| row.is("Completed")) {
            return Ok(Some(Ended::Otherwise(Deployed::Done)));
        }
        let status = row.map_or("not shown yet", Deployment::status);
        at.progress(None, "Deploy", &format!("The deployment is {status}"));
        let is_late = begun.elapsed() >= self.settings.limit;
        if row.is_some_and(|row| row.is("InProgress")) && !is_late {
            return Ok(None);
        }
        // Every other word, and no row, is no word that can be relied on.
        let installed = self.api.version(company, work.app_id).await?;
        if let Some(ended) = arrived(installed, work.target) {
            return Ok(Some(Ended::Otherwise(ended)));
        }
        match row {
            Some(row) if row.is("Failed") => Ok(Some(self.why(row, before, work).await)),
            None if begun.elapsed() >= self.settings.lost_after => {
                let is_as_before = installed.is_some_and(|version| version.to_string() == before.installed);
                // A start takes the slot away, so what still lies there was not started.
                let slot = self.slot(company).await?;
                let is_there = slot.is_some_and(|slot| slot.system_id == before.slot);
                Ok(Some(match is_as_before && is_there {
                    true => Ended::NotBegun,
                    false => Ended::Otherwise(Deployed::Unclear(Failure::other(
                        "The target shows no deployment of what was uploaded",
                    ))),
                }))
            }
            _ if is_late => Ok(Some(Ended::Otherwise(took_too_long(
                self.settings.limit,
                &format!("The deployment is {status}"),
            )))),
            _ => Ok(None),
        }
    }

    /// Why a deployment failed, which its own target does not say.
    async fn why(&self, row: &Deployment, before: &Before, work: &Work) -> Ended {
        let since = before.since().or(row.started_on());
        let text = match (&self.admin_center, since) {
            (Some(admin_center), Some(since)) => {
                let told = admin_center.why_failed(work.app_id, work.target, since).await;
                told.ok().flatten()
            }
            _ => None,
        };
        let verdict = cause::classify(&Said {
            by: match text {
                Some(_) => Target::AdminCenter,
                None => Target::Automation,
            },
            to_change: true,
            status: None,
            text: text.as_deref().unwrap_or_default(),
            app: work.app_name.as_deref(),
        });
        let facts = format!(
            "deployment {}, version {}, started {}",
            row.id.as_deref().unwrap_or("without an id"),
            work.target_text(),
            row.started_on.as_deref().unwrap_or("at a time that is not told"),
        );
        let text = match text {
            Some(text) => format!("{text} ({facts})"),
            None => format!(
                "The deployment failed. The Automation API does not say why: see the page Extension Deployment Status of \
                 the environment ({facts})"
            ),
        };
        Ended::Failed(verdict, self.api.http.clean(verdict.failure(text)))
    }
}

fn in_progress(rows: &[Deployment]) -> Option<&Deployment> {
    rows.iter().find(|row| row.is("InProgress"))
}

/// The newest deployment that is new and of this version.
fn ours<'r>(rows: &'r [Deployment], before: &Before, target: Option<AppVersion>) -> Option<&'r Deployment> {
    let is_new = |row: &&Deployment| match (&row.id, before.since(), row.started_on()) {
        (Some(id), _, _) => !before.known.contains(id),
        (None, Some(since), Some(started)) => began_since(started, since),
        // Nothing tells it from an older one.
        _ => false,
    };
    rows.iter()
        .filter(is_new)
        .filter(|row| row.is_of(before, target))
        .max_by_key(|row| row.started_on())
}
