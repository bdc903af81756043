//! Lists, each within what its caller may see.
//!
//! A principal's list carries the principal in its statement. Only when it brings nothing is it asked why: no role, no
//! such country, or really nothing.

use super::{Principal, Service, access};
use crate::error::{Error, Result};
use domain::{
    access::{Permission, Resource},
    country::CountryCode,
    ids::AppId,
};
use store::{
    FromRow,
    apps::App,
    list::{self, EntitySet, ListError, ListRequest, Page, Scope},
};

pub(crate) use store::entity_sets::*;

/// Whose rows, and of what: everything of one kind in an app, or in one of its countries.
#[derive(Clone, Copy)]
pub(crate) struct Within<'a> {
    pub(crate) principal: &'a Principal,
    pub(crate) app: AppId,
    pub(crate) country: Option<CountryCode>,
    pub(crate) resource: Resource,
}

impl Within<'_> {
    fn scope(&self) -> Scope {
        match self.country {
            None => Scope::in_app(self.principal.reference, self.app),
            Some(country) => Scope::in_country(self.principal.reference, self.app, country),
        }
    }

    async fn explain_nothing(&self, service: &Service) -> Result<()> {
        let permission = Permission::read(self.resource);
        access::explain_nothing(service, self.principal, self.app, self.country, permission).await
    }
}

/// Rows on their way, of which the first are there already.
pub(crate) struct Listing<T: 'static> {
    first: Option<Vec<T>>,
    page: Page<T>,
}

impl<T: FromRow> Listing<T> {
    async fn begin(mut page: Page<T>) -> Result<Self> {
        let first = page.next().await?;
        Ok(Self { first, page })
    }

    /// How many rows there are, if that was asked for.
    pub(crate) fn count(&self) -> Option<u64> {
        self.page.count
    }

    /// The next rows; `None` after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<T>>> {
        match self.first.take() {
            Some(rows) => Ok(Some(rows)),
            None => Ok(self.page.next().await?),
        }
    }

    /// The token of the next page, once this one is through.
    pub(crate) fn next_token(&self) -> Option<String> {
        self.page.next_token()
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

async fn list_rows<T: FromRow>(
    service: &Service,
    entity_set: &'static EntitySet<T>,
    scope: Scope,
    request: ListRequest,
) -> Result<Listing<T>> {
    Listing::begin(list::list(&service.db, entity_set, scope, request, service.clock.now()).await?).await
}

/// The rows that the caller may see and asks for.
pub(crate) async fn list_within<T: FromRow>(
    service: &Service,
    within: Within<'_>,
    entity_set: &'static EntitySet<T>,
    request: ListRequest,
) -> Result<Listing<T>> {
    let listing = list_rows(service, entity_set, within.scope(), request).await?;
    if listing.first.is_none() {
        within.explain_nothing(service).await?;
    }
    Ok(listing)
}

/// How many of them the filter leaves.
pub(crate) async fn count_within<T: FromRow>(
    service: &Service,
    within: Within<'_>,
    entity_set: &'static EntitySet<T>,
    request: ListRequest,
) -> Result<u64> {
    let now = service.clock.now();
    let count = list::count_only(&service.db, entity_set, within.scope(), &request, now).await?;
    if count == 0 {
        within.explain_nothing(service).await?;
    }
    Ok(count)
}

/// The apps on which the caller has a role.
pub(crate) async fn list_apps(
    service: &Service,
    principal: &Principal,
    request: ListRequest,
) -> Result<Listing<App>> {
    list_rows(service, &APPS, Scope::apps_of(principal.reference), request).await
}

/// How many of them the filter leaves.
pub(crate) async fn count_apps(
    service: &Service,
    principal: &Principal,
    request: ListRequest,
) -> Result<u64> {
    Ok(list::count_only(
        &service.db,
        &APPS,
        Scope::apps_of(principal.reference),
        &request,
        service.clock.now(),
    )
    .await?)
}

/// Every row of a table, for operators.
pub(crate) async fn list_everything<T: FromRow>(
    service: &Service,
    entity_set: &'static EntitySet<T>,
    request: ListRequest,
) -> Result<Listing<T>> {
    list_rows(service, entity_set, Scope::everything(), request).await
}
