//! Carrying an operation out: what is the same at every target.
//!
//! What is installed decides, before anything is begun and after it has ended; what a target says of itself is only why.
//! Where something was sent and no clear answer came, it is watched and never sent again: the worst is to do it twice.

use crate::{
    clock::Clock,
    driver::{Deployed, Driver, Found, InstalledApp, Work, Workplace},
    failure::Failure,
};
use data_encoding::HEXLOWER_PERMISSIVE;
use domain::{
    ids::{AppId, OperationId},
    instant::Instant,
    operation::{FailureCause, OperationKind},
    version::AppVersion,
};
use std::time::Duration;
use wire::agent::ClaimedOperation;

/// How the schema is brought up to date, always: a hotfix deletes no data.
const SYNC: &str = "Sync";

/// The pause before what is installed is read again.
const REREAD: Duration = Duration::from_secs(10);

/// What a claimed operation asks for, understood. Whatever is no hotfix of an app is refused.
///
/// # Errors
/// A [`Failure`] with what cannot be understood, or is never done.
pub fn understood(claimed: &ClaimedOperation) -> Result<Work, Failure> {
    let odd =
        |what: &str, text: &str| Failure::other(format!("The agent does not know the {what} '{text}'."));
    let kind = claimed
        .kind
        .parse()
        .ok()
        .filter(|kind| *kind == OperationKind::Hotfix);
    let version = |text: &String| text.parse().map_err(|_| odd("version", text));
    if claimed.sync_mode != SYNC {
        return Err(odd("sync mode", &claimed.sync_mode));
    }
    let sha256 = HEXLOWER_PERMISSIVE.decode(claimed.package.sha256.as_bytes()).ok();
    Ok(Work {
        operation_id: OperationId(claimed.operation_id),
        kind: kind.ok_or_else(|| odd("kind of operation", &claimed.kind))?,
        aad_tenant_id: claimed.environment.aad_tenant_id,
        application_family: claimed.environment.application_family.clone(),
        environment_name: claimed.environment.name.clone(),
        environment_kind: claimed
            .environment_type
            .parse()
            .map_err(|_| odd("type of environment", &claimed.environment_type))?,
        country_code: claimed
            .country_code
            .parse()
            .map_err(|_| odd("country", &claimed.country_code))?,
        app_id: AppId(claimed.app_id),
        app_name: claimed.app_name.clone(),
        app_publisher: claimed.app_publisher.clone(),
        source: version(&claimed.source_version)?,
        target: version(&claimed.target_version)?,
        package_sha256: sha256
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| odd("SHA-256", &claimed.package.sha256))?,
        package_size: claimed.package.size,
    })
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The target version was found installed.
    Succeeded,
    /// It was not brought in, for the reason given; what was found installed at the end, where that could be read.
    Failed(Failure, Option<AppVersion>),
    /// There was nothing to do, for the reason given; what is installed.
    Skipped(String, Option<AppVersion>),
}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How long the inventory is read again when the target says that it is done.
    pub verify: Duration,
    /// How long the inventory is watched when nobody says how it ended, or a target may be busy.
    pub watch: Duration,
}

/// What an operation is carried out with.
pub struct Bench<'b> {
    /// The target.
    pub driver: &'b dyn Driver,
    /// What time it is.
    pub clock: &'b dyn Clock,
    /// How long things may take.
    pub patience: Patience,
}

impl Bench<'_> {
    /// Carries out `work`, or goes on with it where a process before this one was interrupted.
    pub async fn carry_out(&self, work: &Work, at: &dyn Workplace) -> Outcome {
        let is_resumed = !at.marks().is_empty();
        let found = match self.ready(is_resumed, at).await {
            Ok(found) => found,
            Err(failure) if is_resumed => return self.watch(work, failure, at).await,
            Err(failure) => return Outcome::Failed(failure, None),
        };
        match decide(work, &found) {
            Decision::Ends(outcome) => return outcome,
            Decision::Absent(outcome) if !is_resumed => return outcome,
            Decision::Absent(_) | Decision::GoesOn => {}
        }
        if let Err(lost) = at.may_begin() {
            return self.without_lease(work, lost, is_resumed, at).await;
        }
        if let Some(installed) = found.app(work.app_id)
            // Where something was begun, only the driver knows whether it will be needed again.
            && !is_resumed
            && self.driver.needs_package(work, installed)
            && let Err(failure) = at.package().await
        {
            return Outcome::Failed(failure, Some(installed.version));
        }
        // Bringing the package may have taken longer than the service waits.
        if let Err(lost) = at.may_begin() {
            return self.without_lease(work, lost, is_resumed, at).await;
        }
        match self.driver.deploy(work, &found, at).await {
            Deployed::Done => self.verify(work).await,
            Deployed::Failed(failure) => self.failed(work, failure, at).await,
            Deployed::Unclear(failure) => self.watch(work, failure, at).await,
            Deployed::Skipped(reason) => self.skipped(work, reason, is_resumed).await,
        }
    }

    /// What is installed, once the target can be worked with: while somebody else works there, it is waited for.
    async fn ready(&self, is_resumed: bool, at: &dyn Workplace) -> Result<Found, Failure> {
        let until = self.clock.now() + self.patience.watch;
        loop {
            let found = self.driver.inventory().await?;
            // What goes on there may be what was begun.
            if found.is_ready || found.is_gone || is_resumed {
                return Ok(found);
            }
            if self.clock.now() >= until {
                let text =
                    "The environment was being worked on by somebody else all the time. Nothing was started.";
                return Err(Failure::new(FailureCause::Lock, text));
            }
            at.progress(None, "Wait", "Somebody else works in the environment.");
            self.clock.pause(REREAD).await;
        }
    }

    async fn without_lease(
        &self,
        work: &Work,
        lost: Failure,
        is_resumed: bool,
        at: &dyn Workplace,
    ) -> Outcome {
        match is_resumed {
            // Nothing more is sent, but what was begun before may come to an end.
            true => self.watch(work, lost, at).await,
            false => Outcome::Failed(lost, self.installed(work).await.0.ok().flatten()),
        }
    }

    /// The target says that it is done.
    async fn verify(&self, work: &Work) -> Outcome {
        let said = Failure::other("The target says that it is done");
        self.read_until(work, self.patience.verify, said, |_| ()).await
    }

    /// Nobody says how it ended, or it may not be gone on with: nothing more is sent, and what is installed decides.
    async fn watch(&self, work: &Work, failure: Failure, at: &dyn Workplace) -> Outcome {
        let text = format!("Nobody says whether it worked, so what is installed is watched. {failure}");
        at.progress(None, "Watch", &text);
        let failure = Failure {
            cause: FailureCause::TimeOut,
            ..failure
        };
        self.read_until(work, self.patience.watch, failure, |now| {
            at.progress(None, "Watch", &format!("{text} (looked at {now})"));
        })
        .await
    }

    /// Reads what is installed until it is the target version, for `span` at most; what was `said` explains why not. A target
    /// that is being worked on is waited for as long as one that says nothing.
    async fn read_until(
        &self,
        work: &Work,
        span: Duration,
        said: Failure,
        on_look: impl Fn(Instant) + Send,
    ) -> Outcome {
        let begun = self.clock.now();
        loop {
            let (installed, is_ready) = self.installed(work).await;
            if installed == Ok(Some(work.target)) {
                return Outcome::Succeeded;
            }
            let span = match is_ready {
                true => span,
                false => span.max(self.patience.watch),
            };
            if self.clock.now() >= begun + span {
                return not_installed(work, said, installed);
            }
            on_look(self.clock.now());
            self.clock.pause(REREAD).await;
        }
    }

    /// The target says that it failed. It may say so of something that worked, and its list may lag behind.
    async fn failed(&self, work: &Work, failure: Failure, at: &dyn Workplace) -> Outcome {
        let span = match self.driver.lags() && !at.marks().is_empty() {
            true => self.patience.verify,
            false => Duration::ZERO,
        };
        self.read_until(work, span, failure, |_| ()).await
    }

    /// The target says that there is nothing to do. Where something was begun before, only what is installed can say so.
    async fn skipped(&self, work: &Work, reason: String, is_resumed: bool) -> Outcome {
        match self.installed(work).await.0 {
            Ok(Some(version)) if version == work.target => Outcome::Succeeded,
            Ok(Some(version)) if version > work.target => Outcome::Skipped(reason, Some(version)),
            installed if is_resumed => not_installed(work, Failure::other(reason), installed),
            installed => Outcome::Skipped(reason, installed.ok().flatten()),
        }
    }

    /// What is installed of the app, and whether the target could be worked with. What a target says of its apps while it
    /// is not ready, or what it could not say in full, proves no app away.
    async fn installed(&self, work: &Work) -> (Result<Option<AppVersion>, Failure>, bool) {
        let found = match self.driver.inventory().await {
            Ok(found) => found,
            Err(failure) => return (Err(failure), true),
        };
        let installed = match found.app(work.app_id) {
            Some(app) => Ok(Some(app.version)),
            None if found.is_gone => Ok(None),
            None if !found.is_ready => Err(Failure::other("the environment is not ready")),
            None if !found.is_complete => Err(Failure::other("not all apps could be read")),
            None => Ok(None),
        };
        (installed, found.is_ready || found.is_gone)
    }
}

enum Decision {
    GoesOn,
    Ends(Outcome),
    /// The app is not seen. That is the end before anything was begun; in the middle of an upgrade it is away for a while.
    Absent(Outcome),
}

/// What is to be done where this was found.
fn decide(work: &Work, found: &Found) -> Decision {
    let environment = &work.environment_name;
    if found.is_gone {
        let reason = format!("Environment '{environment}' is not there any more.");
        return Decision::Ends(Outcome::Skipped(reason, None));
    }
    let Some(InstalledApp { version, .. }) = found.app(work.app_id) else {
        if !found.is_complete {
            let text = format!(
                "It could not be read whether app {} is installed in '{environment}'. Nothing was started.",
                work.app_id
            );
            return Decision::Absent(Outcome::Failed(Failure::other(text), None));
        }
        let reason = format!(
            "App {} is not installed in '{environment}', and a hotfix installs none.",
            work.app_id
        );
        return Decision::Absent(Outcome::Skipped(reason, None));
    };
    if *version == work.target {
        return Decision::Ends(Outcome::Succeeded);
    }
    if *version > work.target {
        let reason = format!(
            "{version} is installed in '{environment}', which is newer than {}.",
            work.target
        );
        return Decision::Ends(Outcome::Skipped(reason, Some(*version)));
    }
    Decision::GoesOn
}

/// It failed: with what was said, what was asked for, and what is installed.
fn not_installed(work: &Work, said: Failure, installed: Result<Option<AppVersion>, Failure>) -> Outcome {
    let (found, version) = match installed {
        Ok(Some(version)) => (format!("{version} is installed"), Some(version)),
        Ok(None) => ("the app is not installed".to_owned(), None),
        Err(unread) => (format!("what is installed could not be read ({unread})"), None),
    };
    let said_text = said.text.trim_end();
    let stop = if said_text.ends_with(['.', '!', '?']) {
        ""
    } else {
        "."
    };
    let failure = Failure {
        text: format!("{said_text}{stop} Asked for {}: {found}.", work.target),
        ..said
    };
    Outcome::Failed(failure, version)
}

#[cfg(test)]
pub(crate) mod tests;
