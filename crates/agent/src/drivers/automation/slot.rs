//! The slot: the one place of a company into which a package is uploaded before it is started.
//!
//! Nothing that is done here starts anything, so it may be done again.

use super::Automation;
use crate::{
    driver::{Deployed, Found, Work, Workplace},
    drivers::watch::marked,
    failure::Failure,
    http::{Change, Content, Sent},
};
use domain::{operation::FailureCause, version::AppVersion};
use jiff::Timestamp;
use reqwest::{Method, StatusCode, Url};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{path::Path, time::Instant};
use uuid::Uuid;

/// Written down before a package is put into a slot.
const SLOT: &str = "Slot";
/// From this version of the application on, a schema mode can be said.
const MODES_SINCE: &str = "21.2.0.0";
/// How often it is tried to fill the slot before somebody else does.
const TRIES: usize = 5;

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Slot {
    pub(super) system_id: Uuid,
    schedule: Option<String>,
    schema_sync_mode: Option<String>,
    system_modified_at: Option<String>,
    #[serde(rename = "extensionContent@odata.mediaEditLink")]
    link: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Used {
    slot: Uuid,
}

impl Slot {
    /// Whether it says how it was asked to be; blanks come encoded.
    fn says(&self, schedule: &str, mode: Option<&str>) -> bool {
        let is = |said: &Option<String>, asked: &str| {
            said.as_ref()
                .is_none_or(|said| said.replace("_x0020_", " ").eq_ignore_ascii_case(asked))
        };
        is(&self.schedule, schedule) && mode.is_none_or(|mode| is(&self.schema_sync_mode, mode))
    }
}

const SCHEDULE: &str = "Current version";

impl Automation {
    pub(super) async fn slot(&self, company: Uuid) -> Result<Option<Slot>, Failure> {
        let url = self.api.of_company(company, &["extensionUpload"]);
        Ok(self.api.http.rows(&url).await?.pop())
    }

    /// Puts the package into the slot; the slot's id.
    pub(super) async fn fill_slot(
        &self,
        company: Uuid,
        work: &Work,
        found: &Found,
        at: &dyn Workplace,
    ) -> Result<Uuid, Deployed> {
        let package = at.package().await.map_err(Deployed::Failed)?;
        let since: Option<AppVersion> = MODES_SINCE.parse().ok();
        let mode = match found.application_version {
            Some(version) if Some(version) < since => None,
            _ => Some("Add"),
        };
        let mut last = Failure::new(
            FailureCause::Lock,
            "Somebody else keeps using the slot of the company",
        );
        for _ in 0..TRIES {
            match self.fill_once(company, mode, package, at).await? {
                Ok(slot) => return Ok(slot),
                Err(failure) => last = failure,
            }
            at.progress(None, SLOT, &last.text);
            tracing::debug!(operation = %work.operation_id, why = last.text, "the slot is filled again");
        }
        Err(Deployed::Failed(last))
    }

    /// Tries to fill the slot once; what was in the way if it may be tried again.
    async fn fill_once(
        &self,
        company: Uuid,
        mode: Option<&str>,
        package: &Path,
        at: &dyn Workplace,
    ) -> Result<Result<Uuid, Failure>, Deployed> {
        let taken = self.wait_for_slot(company, at).await?;
        let slot = match self.claim_slot(company, taken, mode).await? {
            Ok(slot) => slot,
            Err(failure) => return Ok(Err(failure)),
        };
        marked(at, SLOT, &Used { slot: slot.system_id }).await?;
        at.progress(None, SLOT, "Uploads the package");
        let url = self.content_url(company, &slot);
        let content = Change {
            method: Method::PATCH,
            replaces: true,
            ..Change::post(url, Content::File(package.to_owned()))
        };
        if let Err(failure) = self.done(&content).await? {
            return Ok(Err(failure));
        }
        // Whoever else filled it meanwhile has most probably said something else.
        let now = self.slot(company).await.map_err(Deployed::Failed)?;
        Ok(match now {
            Some(now) if now.system_id == slot.system_id && now.says(SCHEDULE, mode) => Ok(slot.system_id),
            _ => Err(Failure::new(
                FailureCause::Lock,
                "Somebody else used the slot of the company while the package was uploaded",
            )),
        })
    }

    /// Waits until nobody else is just about to use the slot; what lies in it.
    async fn wait_for_slot(&self, company: Uuid, at: &dyn Workplace) -> Result<Option<Slot>, Deployed> {
        let begun = Instant::now();
        loop {
            let Some(slot) = self.slot(company).await.map_err(Deployed::Failed)? else {
                return Ok(None);
            };
            if is_ours(&slot, at) || !self.is_fresh(&slot) || begun.elapsed() >= self.settings.slot_age {
                return Ok(Some(slot));
            }
            at.progress(
                None,
                SLOT,
                "Somebody else has a package in the slot of the company: waits",
            );
            tokio::time::sleep(self.settings.polls.pause(begun.elapsed())).await;
        }
    }

    fn is_fresh(&self, slot: &Slot) -> bool {
        let modified = slot
            .system_modified_at
            .as_deref()
            .and_then(|text| text.parse::<Timestamp>().ok());
        match (modified, self.api.http.now()) {
            (Some(modified), Some(now)) => {
                now.duration_since(modified).unsigned_abs() < self.settings.slot_age
            }
            _ => false,
        }
    }

    async fn claim_slot(
        &self,
        company: Uuid,
        taken: Option<Slot>,
        mode: Option<&str>,
    ) -> Result<Result<Slot, Failure>, Deployed> {
        let mut body = json!({"schedule": SCHEDULE});
        if let Some(mode) = mode {
            body = json!({"schedule": SCHEDULE, "schemaSyncMode": mode});
        }
        let change = match &taken {
            // Both, because what lies there keeps what it was told.
            Some(slot) => Change {
                method: Method::PATCH,
                replaces: true,
                ..Change::post(self.slot_url(company, slot.system_id, &[]), Content::Json(body))
            },
            None => {
                let url = self.api.of_company(company, &["extensionUpload"]);
                Change::post(url, Content::Json(body))
            }
        };
        let answer = match self.done(&change).await? {
            Ok(answer) => answer,
            Err(failure) => return Ok(Err(failure)),
        };
        let told: Option<Slot> = answer.and_then(|body| serde_json::from_value(body).ok());
        match told.or(taken) {
            Some(slot) => Ok(Ok(slot)),
            None => {
                let slot = self.slot(company).await.map_err(Deployed::Failed)?;
                Ok(slot
                    .ok_or_else(|| Failure::other("The slot of the company is not there after it was made")))
            }
        }
    }

    /// Does something that starts nothing; what was in the way if it may be tried again.
    async fn done(&self, change: &Change) -> Result<Result<Option<Value>, Failure>, Deployed> {
        match self.api.http.change(change, None).await {
            Sent::Answer(answer) if answer.status.is_success() => Ok(Ok(answer.json().ok())),
            Sent::Answer(answer) => {
                let (_, failure) = self.api.http.refusal(&answer, true, None);
                let code = answer.error().code.unwrap_or_default();
                let is_gone = answer.status == StatusCode::NOT_FOUND && change.method == Method::PATCH;
                match code.contains("EntityWithSameKeyExists") || is_gone {
                    true => Ok(Err(failure)),
                    false => Err(Deployed::Failed(failure)),
                }
            }
            Sent::Unclear(failure) => Ok(Err(failure)),
            Sent::NotSent(failure) => Err(Deployed::Failed(failure)),
        }
    }

    pub(super) fn slot_url(&self, company: Uuid, slot: Uuid, segments: &[&str]) -> Url {
        let slot = format!("extensionUpload({slot})");
        self.api
            .of_company(company, &[&[slot.as_str()], segments].concat())
    }

    /// Where the content goes: as the target says, unless that is with somebody else.
    fn content_url(&self, company: Uuid, slot: &Slot) -> Url {
        let usual = self.slot_url(company, slot.system_id, &["extensionContent"]);
        let told = slot
            .link
            .as_deref()
            .and_then(|link| self.api.http.same_service(&usual, link).ok());
        match told {
            // The link may not name the tenant.
            Some(mut told) if told.query().is_none() => {
                told.set_query(usual.query());
                told
            }
            Some(told) => told,
            None => usual,
        }
    }
}

fn is_ours(slot: &Slot, at: &dyn Workplace) -> bool {
    let marks = at.marks();
    let used = marks.into_iter().filter(|mark| mark.step == SLOT);
    used.filter_map(|mark| serde_json::from_value::<Used>(mark.facts).ok())
        .any(|used| used.slot == slot.system_id)
}
