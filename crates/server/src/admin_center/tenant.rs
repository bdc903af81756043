//! What is asked about the tenant, and about more than one.

use super::{AdminContext, answer};
use crate::{actions::customers::reading, error::Result};
use axum::response::Response;
use domain::{
    environment::{DEFAULT_FAMILY, family_key, family_shown},
    principal::CallerKind,
    problem::{Code, RuleError},
    zone::{self, ZoneNow},
};
use std::collections::{BTreeMap, BTreeSet};
use wire::admin_center::{
    AdminError, AdminTimeZone, ApplicationFamily, AuthorizedApp, CountryRings, Listed, ManageableTenant, Ring,
};

/// Lists the application families of the tenant, with the countries of its environments.
#[utoipa::path(get, path = "/applications", tag = "admin",
    responses((status = 200, body = Listed<ApplicationFamily>), (status = "default", body = AdminError)))]
pub(crate) async fn list_families(context: AdminContext) -> Result<Response> {
    let mut families: BTreeMap<String, (String, BTreeSet<String>)> = BTreeMap::new();
    families.insert(
        family_key(DEFAULT_FAMILY),
        (DEFAULT_FAMILY.to_owned(), BTreeSet::new()),
    );
    for environment in reading::list_environments(context.service(), &context.customer, None).await? {
        let family = families.entry(family_key(&environment.family)).or_default();
        family.0 = family_shown(&environment.family).to_owned();
        family.1.insert(environment.country_code.to_string());
    }
    let shown = |(name, countries): (String, BTreeSet<String>)| ApplicationFamily {
        application_family: name,
        countries_ring_details: countries.into_iter().map(with_ring).collect(),
    };
    Ok(answer(&Listed::of(families.into_values().map(shown))))
}

fn with_ring(country_code: String) -> CountryRings {
    CountryRings {
        country_code,
        rings: vec![Ring {
            name: "PROD".to_owned(),
            production_ring: true,
            friendly_name: "Production".to_owned(),
        }],
    }
}

/// Lists the time zones that update windows can be in.
#[utoipa::path(get, path = "/applications/settings/timezones", tag = "admin",
    responses((status = 200, body = Listed<AdminTimeZone>), (status = "default", body = AdminError)))]
pub(crate) async fn list_time_zones(context: AdminContext) -> Result<Response> {
    let now = context.service().clock.now().to_timestamp();
    Ok(answer(&Listed::of(
        zone::of_windows_at(now).into_iter().map(time_zone),
    )))
}

fn time_zone(zone: ZoneNow) -> AdminTimeZone {
    AdminTimeZone {
        id: zone.id.to_owned(),
        display_name: format!("(UTC{}) {}", offset(zone.usual_offset), zone.id),
        current_utc_offset: offset(zone.offset),
        supports_daylight_saving_time: zone.has_summer_time,
        is_currently_daylight_saving_time: zone.is_summer_time,
    }
}

/// `+01:00`
fn offset(seconds: i32) -> String {
    let (sign, minutes) = (if seconds < 0 { '-' } else { '+' }, seconds.abs() / 60);
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

/// Lists the applications that may administer the tenant. The operator of the service keeps the list.
#[utoipa::path(get, path = "/authorizedAadApps", tag = "admin",
    responses((status = 200, body = Vec<AuthorizedApp>), (status = "default", body = AdminError)))]
pub(crate) async fn list_authorized_apps(context: AdminContext) -> Result<Response> {
    if context.customer.kind == CallerKind::Application {
        return Err(only_for("users").into());
    }
    let clients = reading::list_clients(context.service(), &context.customer).await?;
    let shown = |client| AuthorizedApp {
        app_id: client,
        is_admin_consent_granted: true,
    };
    Ok(answer(&clients.into_iter().map(shown).collect::<Vec<_>>()))
}

/// Lists the tenants that the calling application may administer.
#[utoipa::path(get, path = "/authorizedAadApps/manageableTenants", tag = "admin",
    responses((status = 200, body = Listed<ManageableTenant>), (status = "default", body = AdminError)))]
pub(crate) async fn list_manageable_tenants(context: AdminContext) -> Result<Response> {
    if context.customer.kind != CallerKind::Application {
        return Err(only_for("applications").into());
    }
    let tenants = reading::list_manageable_tenants(context.service(), &context.customer).await?;
    let shown = |tenant: domain::ids::TenantId| ManageableTenant {
        entra_tenant_id: tenant.0,
    };
    Ok(answer(&Listed::of(tenants.into_iter().map(shown))))
}

fn only_for(whom: &str) -> RuleError {
    RuleError::new(Code::Forbidden, format!("This is for {whom} alone."))
}
