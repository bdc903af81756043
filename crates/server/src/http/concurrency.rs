//! No caller may take all of the service: each principal has so many requests under way, some more wait, and the rest
//! are told to come back. A request is under way until its answer has been sent.

use crate::{
    actions::Principal,
    config::LimitSettings,
    error::{Error, Result},
};
use domain::{
    ids::{PrincipalId, TenantId},
    problem::Code,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};
use store::principals::PrincipalRef;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

/// Principals remembered before those without requests are forgotten.
const REMEMBERED: usize = 4096;

/// Whose requests are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Principal(PrincipalRef),
    Agent(Uuid),
    /// Somebody at the customers' door: their own tenant, and their id there.
    Customer(TenantId, PrincipalId),
}

impl From<&Principal> for Key {
    fn from(principal: &Principal) -> Self {
        let reference = principal.reference;
        // All runs of a publisher together have as much as anybody else.
        Self::Principal(PrincipalRef {
            tenant: reference.tenant.filter(|_| !reference.is_run()),
            ..reference
        })
    }
}

/// The permits of every principal.
pub(crate) struct ConcurrencyLimiter {
    at_once: usize,
    waiting: usize,
    principals: Mutex<HashMap<Key, Weak<Permits>>>,
}

struct Permits {
    working: Arc<Semaphore>,
    /// Permits for requests that work or wait.
    admitted: Arc<Semaphore>,
}

/// A permit among the requests that are worked on; it is free again when this goes.
pub(crate) struct Permit {
    _working: OwnedSemaphorePermit,
    _admitted: OwnedSemaphorePermit,
    _permits: Arc<Permits>,
}

impl ConcurrencyLimiter {
    pub(crate) fn new(limits: &LimitSettings) -> Self {
        Self {
            at_once: limits.concurrent_per_principal,
            waiting: limits.queue_per_principal,
            principals: Mutex::default(),
        }
    }

    /// Waits for a permit, if there is room to wait.
    pub(crate) async fn enter(&self, key: Key) -> Result<Permit> {
        let permits = self.permits_of(key);
        let admitted = permits
            .admitted
            .clone()
            .try_acquire_owned()
            .map_err(|_| self.too_many())?;
        let working = permits
            .working
            .clone()
            .acquire_owned()
            .await
            .map_err(Error::fault)?;
        Ok(Permit {
            _working: working,
            _admitted: admitted,
            _permits: permits,
        })
    }

    fn permits_of(&self, key: Key) -> Arc<Permits> {
        let mut principals = self.principals.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(permits) = principals.get(&key).and_then(Weak::upgrade) {
            return permits;
        }
        if principals.len() >= REMEMBERED {
            principals.retain(|_, permits| permits.strong_count() > 0);
        }
        let permits = Arc::new(Permits {
            working: Arc::new(Semaphore::new(self.at_once)),
            admitted: Arc::new(Semaphore::new(self.at_once + self.waiting)),
        });
        principals.insert(key, Arc::downgrade(&permits));
        permits
    }

    fn too_many(&self) -> Error {
        let most = self.at_once + self.waiting;
        let message = format!("More than {most} requests of this principal are under way.");
        Error::try_later(Code::TooManyRequests, message, 1)
    }
}
