//! Lists, each within what its caller may see.
//!
//! A principal's list carries the principal in its statement. Only when it brings nothing is it asked why: no role, no
//! such country, or really nothing.

use super::{Principal, Service, access};
use crate::error::{Error, Result};
use domain::{
    access::{Permission, Resource, least_role},
    country::CountryCode,
    ids::AppId,
    principal::Role,
};
use store::{
    FromRow,
    list::{self, Completion, EntitySet, ListError, ListRequest, Page, Scope},
};

use uuid::Uuid;

pub(crate) use store::entity_sets::*;

/// Whose rows a list shows.
#[derive(Clone, Copy)]
pub(crate) enum ListScope<'a> {
    /// Every row there is, for operators.
    Everything,
    /// The apps on which somebody has a role.
    AppsOf(&'a Principal),
    /// What belongs to an app, or to one of its countries, for somebody whose role there lets them read it.
    OfApp {
        principal: &'a Principal,
        app: AppId,
        country: Option<CountryCode>,
        permission: Permission,
    },
    /// The environments of a rollout of an app, for somebody whose role there lets them read it.
    OfRollout {
        principal: &'a Principal,
        app: AppId,
        rollout: Uuid,
    },
    /// What a webhook was told, for the operator, or for somebody whose role on its app lets them read it.
    OfWebhook {
        principal: Option<(&'a Principal, AppId)>,
        webhook: Uuid,
    },
}

impl ListScope<'_> {
    fn rows(self) -> Scope {
        match self {
            Self::Everything => Scope::everything(),
            Self::AppsOf(principal) => Scope::apps_of(principal.reference),
            Self::OfApp {
                principal,
                app,
                country: None,
                permission,
            } => match least_role(permission) {
                Role::Reader => Scope::in_app(principal.reference, app),
                role => Scope::in_app_as(principal.reference, app, role),
            },
            Self::OfApp {
                principal,
                app,
                country: Some(country),
                ..
            } => Scope::in_country(principal.reference, app, country),
            Self::OfRollout {
                principal,
                app,
                rollout,
            } => Scope::of_rollout(principal.reference, app, rollout),
            Self::OfWebhook {
                principal: Some((principal, app)),
                webhook,
            } => {
                let role = least_role(Permission::read(Resource::Webhooks));
                Scope::of_webhook_as(principal.reference, app, role, webhook)
            }
            Self::OfWebhook {
                principal: None,
                webhook,
            } => Scope::of_webhook(webhook),
        }
    }

    /// Makes sure that whoever is confined to some lists asks for one of those.
    async fn admit(self, service: &Service) -> Result<()> {
        match self {
            Self::OfApp {
                principal,
                app,
                country,
                permission,
            } => access::admit(service, principal, app, country, permission).await,
            Self::Everything | Self::AppsOf(_) | Self::OfRollout { .. } | Self::OfWebhook { .. } => Ok(()),
        }
    }

    async fn explain_nothing(self, service: &Service) -> Result<()> {
        match self {
            // Whose webhook or rollout it is has been asked before.
            Self::Everything | Self::AppsOf(_) | Self::OfRollout { .. } | Self::OfWebhook { .. } => Ok(()),
            Self::OfApp {
                principal,
                app,
                country,
                permission,
            } => access::explain_nothing(service, principal, app, country, permission).await,
        }
    }
}

impl From<ListError> for Error {
    fn from(error: ListError) -> Self {
        match error {
            ListError::Query(error) => error.into(),
            ListError::Store(error) => error.into(),
        }
    }
}

/// The rows that the caller may see and asks for, of which the first are there already.
pub(crate) async fn list<T: FromRow>(
    service: &Service,
    scope: ListScope<'_>,
    entity_set: &'static EntitySet<T>,
    request: ListRequest,
) -> Result<Page<T, Error>> {
    list_completed(service, scope, entity_set, request, None).await
}

/// The same of rows that `completion` adds something to, before they are filtered and sorted by it.
pub(crate) async fn list_completed<T: FromRow>(
    service: &Service,
    scope: ListScope<'_>,
    entity_set: &'static EntitySet<T>,
    request: ListRequest,
    completion: Option<Completion<T>>,
) -> Result<Page<T, Error>> {
    scope.admit(service).await?;
    let (db, now) = (&service.db, service.clock.now());
    let mut page = list::list_completed(db, entity_set, scope.rows(), request, now, completion).await?;
    if page.is_empty().await? {
        scope.explain_nothing(service).await?;
    }
    Ok(page.err_into())
}

/// How many of them the filter leaves.
pub(crate) async fn count<T: FromRow>(
    service: &Service,
    scope: ListScope<'_>,
    entity_set: &'static EntitySet<T>,
    request: ListRequest,
) -> Result<u64> {
    scope.admit(service).await?;
    let now = service.clock.now();
    let count = list::count_only(&service.db, entity_set, scope.rows(), &request, now).await?;
    if count == 0 {
        scope.explain_nothing(service).await?;
    }
    Ok(count)
}
