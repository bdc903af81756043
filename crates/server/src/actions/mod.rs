//! What may happen: access, rules and transactions, once, for whoever asks through whichever API.
//!
//! Nothing here knows axum or SQL. An action gets who is asking and what for, decides in one transaction, writes its
//! audit row in the same one, and answers with what is stored now.

pub(crate) mod access;
pub(crate) mod agents;
pub(crate) mod apps;
pub(crate) mod audit;
pub(crate) mod clock_check;
pub(crate) mod countries;
pub(crate) mod customers;
pub(crate) mod environments;
pub(crate) mod events;
pub(crate) mod execution;
pub(crate) mod facts;
pub(crate) mod forecasts;
pub(crate) mod freezes;
pub(crate) mod hotfixes;
pub(crate) mod inventory;
pub(crate) mod listing;
pub(crate) mod plan;
pub(crate) mod preconditions;
pub(crate) mod principals;
pub(crate) mod publishers;
mod quotas;
pub(crate) mod readiness;
mod refused;
pub(crate) mod repeat;
pub(crate) mod retention;
pub(crate) mod rollouts;
pub(crate) mod sweep;
#[cfg(test)]
mod tests;
pub(crate) mod upload;
pub(crate) mod upload_places;
pub(crate) mod versions;
pub(crate) mod waits;
pub(crate) mod webhooks;
pub(crate) mod work;

use crate::{
    blobs::Blobs,
    clock::Clock,
    config::Settings,
    destinations::Connector,
    error::{Error, Result},
    free_space,
    secrets::KeyRing,
};
use agents::LookUps;
use clock_check::ClockCheck;
use domain::{
    ids::{PrincipalId, TenantId},
    principal::CallerKind,
    problem::Code,
};
use execution::WaitingClaims;
use forecasts::Forecasts;
use futures::FutureExt as _;
use std::sync::Arc;
use store::wakeup::Wakeup;
use store::{Db, principals::PrincipalRef};
use tokio_util::task::TaskTracker;
use tracing::Instrument;
use upload_places::UploadPlaces;
use uuid::Uuid;

/// Everything that actions work with.
pub(crate) struct Service {
    pub(crate) db: Db,
    pub(crate) blobs: Arc<Blobs>,
    pub(crate) clock: Clock,
    pub(crate) clock_check: ClockCheck,
    pub(crate) settings: Arc<Settings>,
    /// Tells waiting claims, here and on other servers, that there may be work.
    pub(crate) wakeup: Wakeup,
    /// Claims of agents that wait for work.
    pub(crate) waiting: WaitingClaims,
    /// Tells those who deliver events, here alone, that there may be some.
    pub(crate) emitted: Wakeup,
    /// Tells those who send to webhooks, here alone, that there is something to send.
    pub(crate) deliveries: Wakeup,
    /// Sends where somebody else chose the address.
    pub(crate) connector: Connector,
    /// The keys under which secrets are kept.
    pub(crate) secrets: Arc<KeyRing>,
    /// Places for uploads under way.
    pub(crate) uploads: UploadPlaces,
    /// What schema synchronisation is forecast to make of versions.
    pub(crate) forecasts: Forecasts,
    /// How much customers' callers change in an hour.
    pub(crate) customers_changes: customers::changes::Changes,
    /// How many agents try to enrol in vain.
    pub(crate) enrolments: LookUps,
    /// How many tokens are said to have leaked that are none.
    pub(crate) leaks: LookUps,
    /// How many runs of pipelines ask for a token in vain.
    pub(crate) exchanges: publishers::Refusals,
    /// Plans of rollouts that were made of late.
    pub(crate) plans: rollouts::Plans,
    /// Changes that are seen through, whoever hangs up.
    pub(crate) changes: TaskTracker,
}

impl Service {
    /// Whether the database may grow.
    ///
    /// # Errors
    /// `ServiceUnavailable` where its disk has less room than is kept free.
    pub(crate) fn check_room(&self) -> Result<()> {
        let Some(database) = self.settings.database.url.sqlite_path() else {
            return Ok(());
        };
        free_space::check(free_space::folder_of(&database), self.settings.storage.min_free_bytes).map_err(|full| {
            tracing::warn!("the disk of the database is nearly full: {full}");
            let message = "The disk of the database is nearly full, and nothing is added to it until its operator has made \
                           room. What is there can be read, canceled and removed.";
            Error::try_later(Code::ServiceUnavailable, message, 60)
        })
    }

    /// Does what must not end halfway when whoever asked for it hangs up: a change, and what follows from it once it is
    /// committed.
    pub(crate) async fn see_through<T, W>(self: &Arc<Self>, work: impl FnOnce(Arc<Self>) -> W) -> Result<T>
    where
        T: Send + 'static,
        W: Future<Output = Result<T>> + Send + 'static,
    {
        let work = self
            .changes
            .spawn(work(Arc::clone(self)).in_current_span().boxed());
        work.await.map_err(Error::fault)?
    }
}

/// Who asks, and under which correlation id.
#[derive(Clone, Debug)]
pub(crate) struct Principal {
    pub(crate) kind: CallerKind,
    pub(crate) id: PrincipalId,
    pub(crate) tenant_id: TenantId,
    /// An application's service principal in that tenant.
    pub(crate) object_id: Option<Uuid>,
    /// How the principals table may know the caller.
    pub(crate) reference: PrincipalRef,
    /// For display only.
    pub(crate) name: Option<String>,
    /// The run of a pipeline, as that numbers it.
    pub(crate) run: Option<String>,
    pub(crate) correlation_id: Uuid,
}

impl Principal {
    /// The principal in one word, as rows keep it: `User/tenant/id`, `Application/id`, or `Publisher/id/run` without the
    /// run where its pipeline numbers none.
    pub(crate) fn signature(&self) -> String {
        match self.kind {
            CallerKind::User => format!("User/{}/{}", self.tenant_id, self.id),
            CallerKind::Publisher => match &self.run {
                Some(run) => format!("Publisher/{}/{run}", self.id),
                None => format!("Publisher/{}", self.id),
            },
            CallerKind::Application | CallerKind::Delegated => format!("{}/{}", self.kind, self.id),
        }
    }
}
