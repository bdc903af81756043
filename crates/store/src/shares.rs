//! Places of which there are few, and of which nobody takes all: a quarter at most for one holder, who waits for their
//! own places first, so that what they ask for too much stands in nobody else's way.

use crate::{StoreError, db::WAIT_SECONDS};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};
use tokio::{
    sync::{AcquireError, OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use uuid::Uuid;

/// How long anybody waits for a place.
pub(crate) const ROOM: Duration = Duration::from_secs(5);

/// Who takes places: somebody of whom there may be too much, or the service itself and its operators.
pub(crate) type Holder = Option<Uuid>;

pub(crate) struct Shares {
    /// What the places are for.
    name: &'static str,
    all: Arc<Semaphore>,
    each: usize,
    holders: Mutex<HashMap<Uuid, Weak<Semaphore>>>,
}

/// A place, free again when dropped.
pub(crate) struct Place {
    _of_holder: Option<OwnedSemaphorePermit>,
    _of_all: OwnedSemaphorePermit,
}

impl Shares {
    pub(crate) fn new(name: &'static str, places: usize) -> Self {
        Self {
            name,
            all: Arc::new(Semaphore::new(places)),
            each: (places / 4).max(1),
            holders: Mutex::default(),
        }
    }

    /// Places for requests that decide about rows in memory. They work on processors, of which some are left to others.
    pub(crate) fn of_processors() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self::new("filter", (cores / 2).max(1))
    }

    /// How many places one holder may have.
    pub(crate) fn each(&self) -> usize {
        self.each
    }

    #[cfg(test)]
    pub(crate) fn free(&self) -> usize {
        self.all.available_permits()
    }

    /// A place, waited for in the order of asking.
    ///
    /// # Errors
    /// [`StoreError::Busy`] where none is free for too long.
    pub(crate) async fn place(&self, holder: Holder) -> Result<Place, StoreError> {
        let asked = std::time::Instant::now();
        let found = timeout(ROOM, self.wait(holder)).await;
        metrics::histogram!(WAIT_SECONDS, "for" => self.name).record(asked.elapsed());
        match found {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) => Err(StoreError::unavailable("the database is closed")),
            Err(_) => Err(StoreError::Busy),
        }
    }

    async fn wait(&self, holder: Holder) -> Result<Place, AcquireError> {
        let of_holder = match holder {
            Some(holder) => Some(self.of(holder).acquire_owned().await?),
            None => None,
        };
        Ok(Place {
            _of_holder: of_holder,
            _of_all: Arc::clone(&self.all).acquire_owned().await?,
        })
    }

    /// The holder's own places; they are kept for as long as one is taken or waited for.
    fn of(&self, holder: Uuid) -> Arc<Semaphore> {
        let mut holders = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(places) = holders.get(&holder).and_then(Weak::upgrade) {
            return places;
        }
        holders.retain(|_, places| places.strong_count() > 0);
        let places = Arc::new(Semaphore::new(self.each));
        holders.insert(holder, Arc::downgrade(&places));
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{FutureExt, future::try_join_all};

    #[tokio::test]
    async fn nobody_takes_all_places() {
        let shares = Shares::new("test", 8);
        let (greedy, other) = (Some(Uuid::from_u128(1)), Some(Uuid::from_u128(2)));
        let waits = |holder| shares.place(holder).now_or_never().is_none();
        let first = shares.place(greedy).await.unwrap();
        let second = shares.place(greedy).await.unwrap();
        assert!(waits(greedy) && !waits(other));
        drop(first);
        assert!(!waits(greedy));
        drop(second);
        let all = try_join_all((0..8).map(|_| shares.place(None))).await.unwrap();
        assert!(waits(other) && waits(None));
        drop(all);
        drop(shares.place(other).await.unwrap());
        let known = shares.holders.lock().unwrap();
        assert_eq!(known.len(), 1, "those who are gone are forgotten");
    }
}
