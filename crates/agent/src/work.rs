//! Carrying an operation out: what is the same at every target.
//!
//! What is installed decides, before anything is begun and after it has ended; what a target says of itself is only why.
//! Where something was sent and no clear answer came, it is watched and never sent again: the worst is to do it twice.

use crate::{
    clock::Clock,
    driver::{Deployed, Driver, Found, Work, Workplace},
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

/// What agents carry out besides hotfixes. What a target cannot do is refused, so that it is told why.
pub(crate) const KINDS: [OperationKind; 3] = [
    OperationKind::Update,
    OperationKind::Install,
    OperationKind::Uninstall,
];

/// The pause before what is installed is read again.
const REREAD: Duration = Duration::from_secs(10);

/// What a claimed operation asks for, understood.
///
/// # Errors
/// A [`Failure`] with what cannot be understood, or is never done.
pub fn understood(claimed: &ClaimedOperation) -> Result<Work, Failure> {
    let odd =
        |what: &str, text: &str| Failure::other(format!("The agent does not know the {what} '{text}'."));
    let kind = claimed.kind.parse();
    let kind: OperationKind = kind.map_err(|_| odd("kind of operation", &claimed.kind))?;
    let version = |text: &Option<String>| {
        let text = text.as_ref();
        text.map(|text| text.parse().map_err(|_| odd("version", text)))
            .transpose()
    };
    let (source, target) = (
        version(&claimed.source_version)?,
        version(&claimed.target_version)?,
    );
    let fits = match kind {
        OperationKind::Hotfix | OperationKind::Update => source.is_some() && target.is_some(),
        OperationKind::Install => source.is_none() && target.is_some(),
        OperationKind::Uninstall => target.is_none(),
    };
    if !fits || target.is_some() != claimed.package.is_some() {
        let text =
            format!("The service sent an {kind} that lacks a version or a package, or has one too many.");
        return Err(Failure::other(text));
    }
    if claimed.sync_mode != SYNC {
        return Err(odd("sync mode", &claimed.sync_mode));
    }
    let (package_sha256, package_size) = match &claimed.package {
        None => ([0; 32], 0),
        Some(package) => {
            let bytes = HEXLOWER_PERMISSIVE.decode(package.sha256.as_bytes()).ok();
            let sha256 = bytes.and_then(|bytes| bytes.try_into().ok());
            (
                sha256.ok_or_else(|| odd("SHA-256", &package.sha256))?,
                package.size,
            )
        }
    };
    Ok(Work {
        operation_id: OperationId(claimed.operation_id),
        kind,
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
        source,
        target,
        package_sha256,
        package_size,
        delete_data: claimed.delete_data,
        language_id: claimed.language_id.clone(),
    })
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The target version was found installed, or the app was not where it was to be taken out.
    Succeeded,
    /// It did not come about, for the reason given; what was found installed at the end, where that could be read.
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
        if !is_resumed && !self.driver.can(work.kind) {
            return Outcome::Failed(unsupported(work), None);
        }
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
        let installed = found.app(work.app_id);
        // Where something was begun, only the driver knows whether it will be needed again.
        if !is_resumed
            && work.target.is_some()
            && self.driver.needs_package(work, installed)
            && let Err(failure) = at.package().await
        {
            return Outcome::Failed(failure, installed.map(|app| app.version));
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

    /// Reads what is installed until it is as it was asked for, for `span` at most; what was `said` explains why not. A target
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
            if installed == Ok(work.target) {
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
            Ok(installed) if installed == work.target => Outcome::Succeeded,
            Ok(Some(version)) if work.target.is_some_and(|target| version > target) => {
                Outcome::Skipped(reason, Some(version))
            }
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
    let installed = found.app(work.app_id).map(|app| app.version);
    if installed.is_none() && !(found.is_complete && found.is_ready) {
        let text = format!(
            "It could not be read whether app {} is installed in '{environment}'. Nothing was started.",
            work.app_id
        );
        return Decision::Absent(Outcome::Failed(Failure::other(text), None));
    }
    if installed == work.target {
        return Decision::Ends(Outcome::Succeeded);
    }
    let (Some(version), Some(target)) = (installed, work.target) else {
        return match work.kind {
            OperationKind::Install | OperationKind::Uninstall => Decision::GoesOn,
            OperationKind::Hotfix | OperationKind::Update => {
                let kind = work.kind.as_str().to_lowercase();
                let reason = format!(
                    "App {} is not installed in '{environment}', and no {kind} installs it.",
                    work.app_id
                );
                Decision::Absent(Outcome::Skipped(reason, None))
            }
        };
    };
    let reason = match work.kind {
        OperationKind::Install => format!("{version} is installed in '{environment}' already."),
        _ if version > target => {
            format!("{version} is installed in '{environment}', which is newer than {target}.")
        }
        _ => return Decision::GoesOn,
    };
    Decision::Ends(Outcome::Skipped(reason, Some(version)))
}

/// The target cannot do it, as far as the driver goes.
fn unsupported(work: &Work) -> Failure {
    let text = format!(
        "This environment's driver does no {}. Nothing was started.",
        work.kind.as_str().to_lowercase()
    );
    Failure::new(FailureCause::NotSupported, text)
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
    let asked = match work.target {
        Some(target) => target.to_string(),
        None => "it to be uninstalled".to_owned(),
    };
    let failure = Failure {
        text: format!("{said_text}{stop} Asked for {asked}: {found}."),
        ..said
    };
    Outcome::Failed(failure, version)
}

#[cfg(test)]
pub(crate) mod tests;
