//! Lists, each within what its asker may see.
//!
//! A principal's list carries the principal in its statement. Only when it brings nothing is it asked why: no role, no
//! such country, or really nothing.

use super::{Asker, Service, access};
use crate::{
    error::{Error, Result},
    store::{
        FromRow,
        apps::App,
        audit::AuditRow,
        countries::Country,
        environments::{Environment, Installation},
        hotfixes::Operation,
        list::{self, ListError, ListRequest, Listed, Page, Scope},
        principals::Principal,
        versions::Version,
    },
};
use domain::{
    access::{Permission, Resource},
    country::CountryCode,
    ids::AppId,
};

pub(crate) use crate::store::descriptions::*;

/// Whose rows, and what is said when there are none.
struct Within<'a> {
    asker: &'a Asker,
    app: AppId,
    country: Option<CountryCode>,
    resource: Resource,
}

impl Within<'_> {
    fn scope(&self) -> Scope {
        match self.country {
            None => Scope::in_app(self.asker.who, self.app),
            Some(country) => Scope::in_country(self.asker.who, self.app, country),
        }
    }

    async fn explain_nothing(&self, service: &Service) -> Result<()> {
        let permission = Permission::read(self.resource);
        access::explain_nothing(service, self.asker, self.app, self.country, permission).await
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
    listed: &'static Listed<T>,
    scope: Scope,
    request: ListRequest,
) -> Result<Listing<T>> {
    Listing::begin(list::list(&service.db, listed, scope, request, service.clock.now()).await?).await
}

async fn list_within<T: FromRow>(
    service: &Service,
    within: Within<'_>,
    listed: &'static Listed<T>,
    request: ListRequest,
) -> Result<Listing<T>> {
    let listing = list_rows(service, listed, within.scope(), request).await?;
    if listing.first.is_none() {
        within.explain_nothing(service).await?;
    }
    Ok(listing)
}

async fn count_within<T: FromRow>(
    service: &Service,
    within: Within<'_>,
    listed: &'static Listed<T>,
    request: ListRequest,
) -> Result<u64> {
    let now = service.clock.now();
    let count = list::count_only(&service.db, listed, within.scope(), &request, now).await?;
    if count == 0 {
        within.explain_nothing(service).await?;
    }
    Ok(count)
}

/// The apps on which the asker has a role.
pub(crate) async fn list_apps(
    service: &Service,
    asker: &Asker,
    request: ListRequest,
) -> Result<Listing<App>> {
    list_rows(service, &APPS, Scope::apps_of(asker.who), request).await
}

/// How many of them the filter leaves.
pub(crate) async fn count_apps(service: &Service, asker: &Asker, request: ListRequest) -> Result<u64> {
    Ok(list::count_only(
        &service.db,
        &APPS,
        Scope::apps_of(asker.who),
        &request,
        service.clock.now(),
    )
    .await?)
}

/// The countries of the app.
pub(crate) async fn list_countries(
    service: &Service,
    asker: &Asker,
    app: AppId,
    request: ListRequest,
) -> Result<Listing<Country>> {
    let within = Within {
        asker,
        app,
        country: None,
        resource: Resource::Countries,
    };
    list_within(service, within, &COUNTRIES, request).await
}

/// How many of them the filter leaves.
pub(crate) async fn count_countries(
    service: &Service,
    asker: &Asker,
    app: AppId,
    request: ListRequest,
) -> Result<u64> {
    let within = Within {
        asker,
        app,
        country: None,
        resource: Resource::Countries,
    };
    count_within(service, within, &COUNTRIES, request).await
}

/// The principals of the app.
pub(crate) async fn list_principals(
    service: &Service,
    asker: &Asker,
    app: AppId,
    request: ListRequest,
) -> Result<Listing<Principal>> {
    let within = Within {
        asker,
        app,
        country: None,
        resource: Resource::Principals,
    };
    list_within(service, within, &PRINCIPALS, request).await
}

/// How many of them the filter leaves.
pub(crate) async fn count_principals(
    service: &Service,
    asker: &Asker,
    app: AppId,
    request: ListRequest,
) -> Result<u64> {
    let within = Within {
        asker,
        app,
        country: None,
        resource: Resource::Principals,
    };
    count_within(service, within, &PRINCIPALS, request).await
}

/// The versions in the country.
pub(crate) async fn list_versions(
    service: &Service,
    asker: &Asker,
    app: AppId,
    country: CountryCode,
    request: ListRequest,
) -> Result<Listing<Version>> {
    let within = Within {
        asker,
        app,
        country: Some(country),
        resource: Resource::Versions,
    };
    list_within(service, within, &VERSIONS, request).await
}

/// How many of them the filter leaves.
pub(crate) async fn count_versions(
    service: &Service,
    asker: &Asker,
    app: AppId,
    country: CountryCode,
    request: ListRequest,
) -> Result<u64> {
    let within = Within {
        asker,
        app,
        country: Some(country),
        resource: Resource::Versions,
    };
    count_within(service, within, &VERSIONS, request).await
}

/// The environments in the country.
pub(crate) async fn list_environments(
    service: &Service,
    asker: &Asker,
    app: AppId,
    country: CountryCode,
    request: ListRequest,
) -> Result<Listing<Installation>> {
    let within = Within {
        asker,
        app,
        country: Some(country),
        resource: Resource::Environments,
    };
    list_within(service, within, &ENVIRONMENTS, request).await
}

/// How many of them the filter leaves.
pub(crate) async fn count_environments(
    service: &Service,
    asker: &Asker,
    app: AppId,
    country: CountryCode,
    request: ListRequest,
) -> Result<u64> {
    let within = Within {
        asker,
        app,
        country: Some(country),
        resource: Resource::Environments,
    };
    count_within(service, within, &ENVIRONMENTS, request).await
}

/// The hotfixes in the country.
pub(crate) async fn list_hotfixes(
    service: &Service,
    asker: &Asker,
    app: AppId,
    country: CountryCode,
    request: ListRequest,
) -> Result<Listing<Operation>> {
    let within = Within {
        asker,
        app,
        country: Some(country),
        resource: Resource::EnvironmentHotfixes,
    };
    list_within(service, within, &HOTFIXES, request).await
}

/// How many of them the filter leaves.
pub(crate) async fn count_hotfixes(
    service: &Service,
    asker: &Asker,
    app: AppId,
    country: CountryCode,
    request: ListRequest,
) -> Result<u64> {
    let within = Within {
        asker,
        app,
        country: Some(country),
        resource: Resource::EnvironmentHotfixes,
    };
    count_within(service, within, &HOTFIXES, request).await
}

/// All apps, for the operator.
pub(crate) async fn list_registered_apps(service: &Service, request: ListRequest) -> Result<Listing<App>> {
    list_rows(service, &REGISTERED_APPS, Scope::everything(), request).await
}

/// All environments, for the operator.
pub(crate) async fn list_registered_environments(
    service: &Service,
    request: ListRequest,
) -> Result<Listing<Environment>> {
    list_rows(service, &REGISTERED_ENVIRONMENTS, Scope::everything(), request).await
}

/// All operations, for the operator.
pub(crate) async fn list_operations(service: &Service, request: ListRequest) -> Result<Listing<Operation>> {
    list_rows(service, &OPERATIONS, Scope::everything(), request).await
}

/// All changes, for the operator.
pub(crate) async fn list_audit(service: &Service, request: ListRequest) -> Result<Listing<AuditRow>> {
    list_rows(service, &AUDIT, Scope::everything(), request).await
}
