//! The countries of an app.

use super::{
    Principal, Service, access,
    audit::{self, Actor, Change},
    preconditions::Preconditions,
    repeat,
};
use crate::error::Result;
use domain::{
    access::{Permission, Resource},
    country::CountryCode,
    ids::{AppId, Etag},
};
use serde_json::json;
use store::countries::{self, Country};

const READ: Permission = Permission::read(Resource::Countries);
const WRITE: Permission = Permission::write(Resource::Countries);

/// One country of an app.
pub(crate) async fn get_country(
    service: &Service,
    principal: &Principal,
    app: AppId,
    code: CountryCode,
) -> Result<Country> {
    access::admit(service, principal, app, Some(code), READ).await?;
    if let Some(country) = countries::find_country(&service.db, principal.reference, app, code).await? {
        return Ok(country);
    }
    access::preview(service, principal, app, None, READ).await?;
    Err(access::country_missing(app, code).into())
}

struct PatchCountry {
    principal: Principal,
    app: AppId,
    code: CountryCode,
    preconditions: Preconditions,
    now: domain::instant::Instant,
}

/// Adds a country to an app; one that is there already stays as it is.
pub(crate) async fn patch_country(
    service: &Service,
    principal: &Principal,
    app: AppId,
    code: CountryCode,
    preconditions: Preconditions,
) -> Result<Country> {
    let input = PatchCountry {
        principal: principal.clone(),
        app,
        code,
        preconditions,
        now: service.clock.now(),
    };
    service
        .db
        .write(input, |mut tx, input| {
            Box::pin(async move {
                access::require(&mut tx, &input.principal, input.app, WRITE).await?;
                let existing = countries::country_in(&mut tx, input.app, input.code).await?;
                if !repeat::is_first(&mut tx, &input.principal, &input.preconditions, input.now).await? {
                    return existing.ok_or_else(|| access::country_missing(input.app, input.code).into());
                }
                input
                    .preconditions
                    .check_write(existing.as_ref().map(|country| country.etag))?;
                if let Some(existing) = existing {
                    return Ok(existing);
                }
                let country = Country {
                    app_id: input.app,
                    code: input.code,
                    etag: Etag::random(),
                };
                countries::insert_country(&mut tx, &country).await?;
                let change = Change {
                    action: WRITE.as_str(),
                    target: format!("apps/{}/countries/{}", input.app, input.code),
                    before: None,
                    after: Some(json!({ "countryCode": country.code.as_str() })),
                };
                audit::record(&mut tx, Actor::Principal(&input.principal), input.now, change).await?;
                Ok(country)
            })
        })
        .await
}
