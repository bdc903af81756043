//! Claims that wait for work: each is a future and an entry in a list, and asks the database nothing.
//!
//! Whoever looks on behalf of all of them (`jobs/claims.rs`) wakes those for which there is some. A claim is entered before
//! it looks by itself, so that no work can come up in between. Of each agent the latest claim waits: an earlier one is
//! of a connection that broke, or was given up.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The claims that wait on this server.
#[derive(Default)]
pub(crate) struct WaitingClaims {
    list: Mutex<List>,
    entered: Notify,
}

#[derive(Default)]
struct List {
    /// Whether nobody may wait any more, because the server is about to end.
    is_closed: bool,
    by_agent: HashMap<Uuid, Arc<Signals>>,
}

#[derive(Default)]
struct Signals {
    /// There may be work.
    work: Notify,
    /// There is no use in waiting on.
    over: CancellationToken,
}

/// A claim's entry; it goes with the claim.
pub(crate) struct Place<'w> {
    waiting: &'w WaitingClaims,
    agent: Uuid,
    signals: Arc<Signals>,
}

/// Why a claim waits no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// There may be work.
    ForWork,
    /// The time is over, a later claim of the agent waits, or the server is about to end.
    InVain,
}

impl WaitingClaims {
    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a claim of an agent in place of the one before.
    pub(crate) fn enter(&self, agent: Uuid) -> Place<'_> {
        let signals = Arc::new(Signals::default());
        let mut list = self.list();
        if list.is_closed {
            signals.over.cancel();
        } else if let Some(former) = list.by_agent.insert(agent, Arc::clone(&signals)) {
            former.over.cancel();
        }
        drop(list);
        self.entered.notify_one();
        Place {
            waiting: self,
            agent,
            signals,
        }
    }

    /// Lets nobody wait any more.
    pub(crate) fn close(&self) {
        let mut list = self.list();
        list.is_closed = true;
        for (_, signals) in list.by_agent.drain() {
            signals.over.cancel();
        }
    }

    /// The agents whose claims wait.
    pub(crate) fn agents(&self) -> Vec<Uuid> {
        self.list().by_agent.keys().copied().collect()
    }

    /// Wakes the claims of those agents that wait.
    pub(crate) fn wake(&self, agents: impl IntoIterator<Item = Uuid>) {
        let list = self.list();
        for agent in agents {
            if let Some(signals) = list.by_agent.get(&agent) {
                signals.work.notify_one();
            }
        }
    }

    /// Waits until a claim is entered, or has been since this was last waited for. For one waiter.
    pub(crate) async fn entered(&self) {
        self.entered.notified().await;
    }
}

impl Place<'_> {
    /// Waits until there may be work, or there may have been since this claim last waited.
    pub(crate) async fn wait(&self, until: Instant) -> Woken {
        let woken = async {
            tokio::select! {
                biased;
                () = self.signals.over.cancelled() => Woken::InVain,
                () = self.signals.work.notified() => Woken::ForWork,
            }
        };
        timeout_at(until, woken).await.unwrap_or(Woken::InVain)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut list = self.waiting.list();
        let is_mine = |signals: &Arc<Signals>| Arc::ptr_eq(signals, &self.signals);
        if list.by_agent.get(&self.agent).is_some_and(is_mine) {
            list.by_agent.remove(&self.agent);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn the_latest_claim_of_each_agent_waits_until_it_goes() {
        let waiting = WaitingClaims::default();
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let (now, late) = (Instant::now(), Instant::now() + Duration::from_secs(3_600));
        let former = waiting.enter(one);
        let (latest, another) = (waiting.enter(one), waiting.enter(other));
        assert_eq!(former.wait(late).await, Woken::InVain);
        drop(former);
        waiting.wake([one]);
        assert_eq!(latest.wait(late).await, Woken::ForWork);
        assert_eq!(another.wait(now).await, Woken::InVain);
        drop(latest);
        assert_eq!(waiting.agents(), [other]);
        waiting.close();
        assert!(waiting.agents().is_empty());
        assert_eq!(another.wait(late).await, Woken::InVain);
        assert_eq!(waiting.enter(one).wait(late).await, Woken::InVain);
    }
}
