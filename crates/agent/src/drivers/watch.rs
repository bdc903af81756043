//! How often a target is asked how it goes on, and how often the same is begun anew.

use crate::{
    cause::{Again, Verdict},
    driver::{Deployed, Driver, Found, InstalledApp, Work, Workplace},
    failure::Failure,
};
use domain::{
    jitter,
    operation::{FailureCause, OperationKind},
    version::AppVersion,
};
use futures::{FutureExt, future::BoxFuture};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{convert::identity, time::Duration};

/// How many polls in a row may fail, each of them tried several times.
pub(super) const FAILED_POLLS: u32 = 3;
/// How far two clocks of a target may be apart.
const CLOCKS: SignedDuration = SignedDuration::from_mins(2);
/// How often the same is tried where somebody else held what was needed.
const LOCK_TRIES: usize = 3;

/// Pauses between two questions, which grow with the time that it takes.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rhythm {
    /// At first.
    #[serde(deserialize_with = "crate::span::deserialize")]
    pub first: Duration,
    /// For how long at first.
    #[serde(deserialize_with = "crate::span::deserialize")]
    pub first_for: Duration,
    /// Then.
    #[serde(deserialize_with = "crate::span::deserialize")]
    pub then: Duration,
    /// For how long then, from the beginning.
    #[serde(deserialize_with = "crate::span::deserialize")]
    pub then_for: Duration,
    /// In the end.
    #[serde(deserialize_with = "crate::span::deserialize")]
    pub late: Duration,
}

impl Rhythm {
    /// The next pause when it has taken so long.
    pub(super) fn pause(&self, passed: Duration) -> Duration {
        match passed {
            passed if passed < self.first_for => self.first,
            passed if passed < self.then_for => self.then,
            _ => self.late,
        }
    }
}

/// When the same may be begun anew within one operation, where it helps at all.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct Repeats {
    /// The pause before the one repetition.
    #[serde(deserialize_with = "crate::span::deserialize")]
    pub pause: Duration,
    /// The shortest pause before another try where somebody else held what was needed.
    #[serde(deserialize_with = "crate::span::deserialize")]
    pub shortest_lock_pause: Duration,
    /// The longest one.
    #[serde(deserialize_with = "crate::span::deserialize")]
    pub longest_lock_pause: Duration,
}

impl Default for Repeats {
    fn default() -> Self {
        Self {
            pause: Duration::from_secs(30),
            shortest_lock_pause: Duration::from_secs(2 * 60),
            longest_lock_pause: Duration::from_secs(10 * 60),
        }
    }
}

impl Repeats {
    /// Waits as long as that failure needs before the same can be begun anew.
    ///
    /// # Errors
    /// The end, if it may not, or the service has given the operation up meanwhile.
    pub(super) async fn wait(
        &self,
        verdict: Verdict,
        failure: &Failure,
        tries: usize,
        at: &dyn Workplace,
    ) -> Result<(), Deployed> {
        let Some(pause) = self.after(verdict, tries) else {
            return Err(Deployed::Failed(failure.clone()));
        };
        at.progress(
            None,
            "Again",
            &format!("Begun anew in {pause:?}: {}", failure.text),
        );
        at.rest(pause).await;
        at.may_begin().map_err(|_| Deployed::Failed(failure.clone()))
    }

    /// How long to wait before it is begun once more, if it may after so many tries.
    fn after(&self, verdict: Verdict, tries: usize) -> Option<Duration> {
        match (verdict.again, verdict.cause) {
            (Again::Never, _) => None,
            (_, FailureCause::Lock) => (tries < LOCK_TRIES)
                .then(|| jitter::between(self.shortest_lock_pause, self.longest_lock_pause)),
            _ => (tries < 2).then_some(self.pause),
        }
    }
}

/// How it ended, whether that came early or late.
pub(super) fn ended<'d>(
    carried_out: impl Future<Output = Result<Deployed, Deployed>> + Send + 'd,
) -> BoxFuture<'d, Deployed> {
    carried_out.map(|ended| ended.unwrap_or_else(identity)).boxed()
}

/// How it ends when the version that was found makes everything else needless. Where the app is not there at all says
/// nothing while something is under way.
pub(super) fn arrived(installed: Option<AppVersion>, target: Option<AppVersion>) -> Option<Deployed> {
    if installed == target {
        return Some(Deployed::Done);
    }
    let (installed, target) = installed.zip(target)?;
    let newer = || Deployed::Skipped(format!("Version {installed} is installed, which is newer"));
    (installed > target).then(newer)
}

/// How it ends before anything was begun.
pub(super) fn settled(installed: Option<AppVersion>, work: &Work) -> Option<Deployed> {
    let target = work.target;
    match installed {
        None if goes_up(work.kind) => Some(Deployed::Skipped("The app is not installed any more".to_owned())),
        installed => arrived(installed, target),
    }
}

/// Whether it brings an app that is installed to a newer version.
pub(super) fn goes_up(kind: OperationKind) -> bool {
    matches!(kind, OperationKind::Hotfix | OperationKind::Update)
}

/// The environment before something is begun there once more: what was found at first may have been neither whole nor
/// true.
///
/// # Errors
/// How it ends if nothing can be begun there now.
pub(super) async fn found_anew(driver: &dyn Driver, work: &Work) -> Result<Found, Deployed> {
    let found = driver.inventory().await.map_err(Deployed::Failed)?;
    let refused = match found.app(work.app_id) {
        _ if !found.is_ready => Failure::new(
            FailureCause::Lock,
            "It was not begun once more, because somebody else works in the environment",
        ),
        None if goes_up(work.kind) => {
            Failure::other("It was not begun once more, because the app is not installed any more")
        }
        _ => return Ok(found),
    };
    Err(Deployed::Failed(refused))
}

/// Whether what began then may have come of something that was sent `since`: a target has more than one clock.
pub(super) fn began_since(began: Timestamp, since: Timestamp) -> bool {
    began.duration_since(since) >= -CLOCKS
}

/// The limit is over, and the target still says nothing final: nothing more is waited for.
pub(super) fn took_too_long(limit: Duration, last: &str) -> Deployed {
    let text = format!("After {limit:?} the target had not said how it ended. {last}");
    Deployed::Failed(Failure::new(FailureCause::TimeOut, text.trim()))
}

/// Writes something down before it is begun, as long as it may be.
///
/// # Errors
/// How it ends when it may not, or cannot be written down: nothing was done.
pub(super) async fn begin_marked(
    at: &dyn Workplace,
    step: &str,
    facts: &impl Serialize,
) -> Result<(), Deployed> {
    at.may_begin().map_err(Deployed::Failed)?;
    marked(at, step, facts).await
}

/// Writes something down before it is done.
///
/// # Errors
/// How it ends when it cannot be written down: nothing was done.
pub(super) async fn marked(at: &dyn Workplace, step: &str, facts: &impl Serialize) -> Result<(), Deployed> {
    let facts = serde_json::to_value(facts)
        .map_err(|wrong| Deployed::Failed(Failure::other(format!("Nothing can be written down: {wrong}"))))?;
    at.mark(step, facts).await.map_err(Deployed::Failed)
}

/// What a package is called when it is sent.
pub(super) fn file_name(work: &Work, app: Option<&InstalledApp>) -> String {
    let publisher = app.and_then(|app| app.publisher.as_deref());
    let publisher = publisher.or(work.app_publisher.as_deref());
    let name = app
        .and_then(|app| app.name.as_deref())
        .or(work.app_name.as_deref());
    format!(
        "{}_{}_{}.app",
        publisher.unwrap_or("publisher"),
        name.unwrap_or("app"),
        work.target_text()
    )
}

/// The facts of all marks of that step, the oldest first; those that cannot be read say nothing.
pub(super) fn facts_of<T: DeserializeOwned + Default>(at: &dyn Workplace, step: &str) -> Vec<T> {
    let marks = at.marks().into_iter().filter(|mark| mark.step == step);
    marks
        .map(|mark| serde_json::from_value(mark.facts).unwrap_or_default())
        .collect()
}

/// Bears a read that failed, unless it is one too many in a row.
///
/// # Errors
/// That nobody can tell how it ended.
pub(super) fn bear(failure: Failure, failures: &mut u32, most: u32) -> Result<(), Deployed> {
    *failures += 1;
    match *failures >= most {
        true => Err(Deployed::Unclear(failure)),
        false => Ok(()),
    }
}
