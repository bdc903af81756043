//! Looks at the line of events on behalf of all who listen to the feed, and forgets what was kept long enough.
//!
//! However many listen, a look is one statement, and while nobody does there is none. Who puts events in line is another
//! server at times, so no signal tells that there are some.

use super::failure_reporter::FailureReporter;
use crate::{
    actions::{
        Service,
        feed::{self, PORTION},
    },
    error::Result,
};
use futures::future;
use std::{sync::Arc, time::Duration};
use store::events;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Rest between two looks; what is put in line meanwhile is told at once.
const REST: Duration = Duration::from_millis(200);
/// How often to forget.
const PERIOD: Duration = Duration::from_secs(60);

/// Looks and forgets until it is asked to stop; then nobody listens any more.
pub(crate) async fn run(service: Arc<Service>, stop: CancellationToken) {
    let work = future::join(look_again_and_again(&service), forget_again_and_again(&service));
    stop.run_until_cancelled(work).await;
    service.feed.close();
}

async fn look_again_and_again(service: &Service) {
    let mut failures = FailureReporter::of("feed");
    let mut reached = None;
    loop {
        while !service.feed.is_heard() {
            reached = None;
            service.feed.entered().await;
        }
        let looked = look(service, &mut reached).await;
        failures.after(&looked);
        sleep(REST).await;
    }
}

/// Tells what is in line behind what was told last. Where nothing was, it tells only how far the line goes: whoever has not
/// come that far reads it.
async fn look(service: &Service, reached: &mut Option<i64>) -> Result<()> {
    let Some(mut after) = *reached else {
        let end = events::kept(&service.db).await?.end;
        service.feed.tell(end, end, &[]);
        *reached = Some(end);
        return Ok(());
    };
    while let found = events::read_line(&service.db, None, after, PORTION).await?
        && let Some((last, _)) = found.last()
    {
        service.feed.tell(after, *last, &found);
        after = *last;
        *reached = Some(after);
    }
    if service.db.is_shared() && events::kept(&service.db).await?.end < after {
        // The database went back, to a standby that lagged behind or to a backup.
        service.feed.end();
        *reached = None;
    }
    Ok(())
}

async fn forget_again_and_again(service: &Service) {
    let mut failures = FailureReporter::of("feed");
    loop {
        failures.after(&feed::forget(service).await);
        sleep(PERIOD).await;
    }
}
