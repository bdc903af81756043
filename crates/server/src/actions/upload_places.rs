//! Places for uploads. Whoever finds none waits, each in their turn; nobody has more than a quarter of the places at once,
//! and no app takes in more, so that slow senders keep out nobody but themselves.

use crate::error::{Error, Result};
use domain::{ids::AppId, problem::Code};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};
use store::principals::PrincipalRef;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What part of all places one principal has, and one app.
const SHARE: usize = 4;
/// Shares remembered before those of which nothing is taken are forgotten.
const REMEMBERED: usize = 4096;
/// After how many seconds somebody who waited in vain may ask again.
const ASK_AGAIN: u32 = 5;

/// Whose uploads are counted together.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Whose {
    Principal(PrincipalRef),
    App(AppId),
}

/// All places.
pub(crate) struct UploadPlaces {
    all: Arc<Semaphore>,
    places: usize,
    patience: Duration,
    shares: Mutex<HashMap<Whose, Weak<Semaphore>>>,
}

/// A place among the uploads that are taken in; it is free again when this goes.
pub(crate) struct UploadPlace {
    _permits: [OwnedSemaphorePermit; 3],
}

impl UploadPlaces {
    /// So many places, for each of which somebody waits so long at most.
    pub(crate) fn new(places: usize, patience: Duration) -> Self {
        Self {
            all: Arc::new(Semaphore::new(places)),
            places,
            patience,
            shares: Mutex::default(),
        }
    }

    /// Waits for a place.
    ///
    /// # Errors
    /// `TooManyRequests` if there is none in time.
    pub(crate) async fn enter(&self, principal: PrincipalRef, app: AppId) -> Result<UploadPlace> {
        let entering = async {
            // What is one's own comes first: whoever waits there stands in nobody's way.
            let of_principal = self.share_of(Whose::Principal(principal)).acquire_owned().await?;
            let of_app = self.share_of(Whose::App(app)).acquire_owned().await?;
            let of_all = Arc::clone(&self.all).acquire_owned().await?;
            Ok([of_principal, of_app, of_all])
        };
        let entered = tokio::time::timeout(self.patience, entering).await;
        let permits = entered.map_err(|_| self.none_in_time())?;
        Ok(UploadPlace {
            _permits: permits.map_err(|error: tokio::sync::AcquireError| Error::fault(error))?,
        })
    }

    /// Waits until no upload is taken in any more.
    pub(crate) async fn all_ended(&self) {
        // They are never closed.
        drop(
            self.all
                .acquire_many(u32::try_from(self.places).unwrap_or(u32::MAX))
                .await,
        );
    }

    fn share_of(&self, whose: Whose) -> Arc<Semaphore> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = shares.get(&whose).and_then(Weak::upgrade) {
            return share;
        }
        if shares.len() >= REMEMBERED {
            shares.retain(|_, share| share.strong_count() > 0);
        }
        let share = Arc::new(Semaphore::new(self.places.div_ceil(SHARE)));
        shares.insert(whose, Arc::downgrade(&share));
        share
    }

    fn none_in_time(&self) -> Error {
        let (all, each) = (self.places, self.places.div_ceil(SHARE));
        let waited = self.patience.as_secs();
        let message = format!(
            "No place for an upload came free within {waited} seconds: {all} are taken in at the same time, {each} of one \
             principal or app."
        );
        Error::try_later(Code::TooManyRequests, message, ASK_AGAIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::principal::CallerKind;
    use futures::FutureExt;
    use uuid::Uuid;

    fn principal(number: u128) -> PrincipalRef {
        let id = Uuid::from_u128(number);
        PrincipalRef {
            kind: CallerKind::User,
            first: id,
            second: id,
            tenant: None,
        }
    }

    fn app(number: u128) -> AppId {
        AppId(Uuid::from_u128(number))
    }

    #[tokio::test]
    async fn nobody_and_no_app_has_more_than_a_quarter() {
        let places = UploadPlaces::new(8, Duration::from_millis(50));
        let mut taken = Vec::new();
        for (who, what) in [(1, 1), (1, 2), (2, 1), (3, 2)] {
            taken.push(places.enter(principal(who), app(what)).await.ok().unwrap());
        }
        // Either the principal or the app has its share.
        for (who, what) in [(1, 9), (9, 1), (9, 2)] {
            assert!(places.enter(principal(who), app(what)).await.is_err());
        }
        drop(places.enter(principal(9), app(9)).await.ok().unwrap());
        drop(taken);
        places.all_ended().await;
    }

    #[tokio::test]
    async fn whoever_waits_gets_the_place_that_comes_free_in_their_turn() {
        let places = UploadPlaces::new(1, Duration::from_secs(60));
        let first = places.enter(principal(1), app(1)).await.ok().unwrap();
        let mut second = Box::pin(places.enter(principal(2), app(2)));
        let mut third = Box::pin(places.enter(principal(3), app(3)));
        assert!(second.as_mut().now_or_never().is_none());
        assert!(third.as_mut().now_or_never().is_none());
        drop(first);
        assert!(third.as_mut().now_or_never().is_none());
        let second = second.await.ok().unwrap();
        drop(second);
        assert!(third.await.is_ok());
    }
}
