//! Looks at rollouts whose time has come: because somebody asked something of them, a hotfix of theirs ended, or a soak
//! or a deadline did.

use super::failure_reporter::FailureReporter;
use crate::{
    actions::{Service, rollouts},
    error::Result,
};
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// How long to rest at least between two looks; what is asked meanwhile is answered by the second.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);
/// How long to rest after a look that failed.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// Looks until it is asked to stop, which may be between any two things that are done with a rollout.
pub(crate) async fn run(service: Arc<Service>, stop: CancellationToken) {
    stop.run_until_cancelled(look_again_and_again(&service)).await;
}

async fn look_again_and_again(service: &Service) {
    let mut failures = FailureReporter::of("rollouts");
    let mut wakeup = service.wakeup.listener();
    let mut moved = service.clock.listener();
    loop {
        let looked = rollouts::step_due(service).await;
        failures.after(&looked);
        sleep(BETWEEN_LOOKS).await;
        tokio::select! {
            () = wakeup.notified() => {}
            () = moved.notified() => {}
            () = sleep(rest(service, &looked).await) => {}
        }
    }
}

/// Until the next rollout is to be looked at, or it is time to look anyway.
async fn rest(service: &Service, looked: &Result<usize>) -> Duration {
    if looked.is_err() {
        return AFTER_FAILURE;
    }
    let poll = service.settings.executor.poll;
    let next = rollouts::next_step(service).await.ok().flatten();
    next.map_or(poll, |next| next.since(service.clock.now()).min(poll))
}
