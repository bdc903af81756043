//! Whether the asker may. A role is read in the very statement or transaction that needs it, and never remembered.

use super::{Asker, Service};
use crate::{
    error::{Error, Result},
    store::{
        Tx,
        principals::{self, Standing},
    },
};
use domain::{
    access::{Permission, least_role, permits},
    country::CountryCode,
    ids::AppId,
    problem::{Code, RuleError},
};

/// The asker may do what was asked about; holding this is the proof.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowed(Standing);

impl Allowed {
    /// The same, if the app was added to the country too.
    pub(crate) fn in_country(self, app: AppId, country: CountryCode) -> Result<Self> {
        if self.0.has_country {
            Ok(self)
        } else {
            Err(country_missing(app, country).into())
        }
    }
}

/// Decides within a transaction.
pub(crate) async fn require(
    tx: &mut Tx<'_>,
    asker: &Asker,
    app: AppId,
    permission: Permission,
) -> Result<Allowed> {
    decide(
        asker,
        app,
        permission,
        principals::standing_in(tx, asker.who, app, "").await?,
    )
}

/// The same for something that lies in a country.
pub(crate) async fn require_in_country(
    tx: &mut Tx<'_>,
    asker: &Asker,
    app: AppId,
    country: CountryCode,
    permission: Permission,
) -> Result<Allowed> {
    let standing = principals::standing_in(tx, asker.who, app, country.as_str()).await?;
    decide(asker, app, permission, standing)
}

/// Decides outside a transaction: for what must be known before a body is read, and decided again at its end.
pub(crate) async fn preview(
    service: &Service,
    asker: &Asker,
    app: AppId,
    country: Option<CountryCode>,
    permission: Permission,
) -> Result<Allowed> {
    let country = country.map_or("", CountryCode::as_str);
    decide(
        asker,
        app,
        permission,
        principals::standing(&service.db, asker.who, app, country).await?,
    )
}

/// The answer to a malformed request: what is wrong with it, but only to somebody who may know that the app exists
/// and do this kind of thing with it.
pub(crate) async fn refuse(
    service: &Service,
    asker: &Asker,
    app: AppId,
    permission: Permission,
    problem: RuleError,
) -> Error {
    match preview(service, asker, app, None, permission).await {
        Ok(_) => problem.into(),
        Err(error) => error,
    }
}

/// Why a read that carries the asker in its statement found nothing: no role, no country, or just nothing.
pub(crate) async fn explain_nothing(
    service: &Service,
    asker: &Asker,
    app: AppId,
    country: Option<CountryCode>,
    permission: Permission,
) -> Result<()> {
    let allowed = preview(service, asker, app, country, permission).await?;
    country.map_or(Ok(()), |country| allowed.in_country(app, country).map(drop))
}

fn decide(asker: &Asker, app: AppId, permission: Permission, standing: Standing) -> Result<Allowed> {
    if standing.roles.is_empty() {
        return Err(app_missing(app).into());
    }
    if !permits(standing.roles, permission) {
        return Err(too_weak(asker, permission, standing).into());
    }
    Ok(Allowed(standing))
}

/// The same words whether there is no such app or only no role on it.
pub(crate) fn app_missing(app: AppId) -> RuleError {
    let message = format!("There is no app {app}, or you have no role on it.");
    RuleError::missing(format!("apps/{app}"), message)
}

pub(crate) fn country_missing(app: AppId, country: CountryCode) -> RuleError {
    let message = format!(
        "Country {country} was not added to app {app}. Add it first: PATCH apps/{app}/countries/{country} with {{\"countryCode\":\"{country}\"}}."
    );
    RuleError::missing(format!("apps/{app}/countries/{country}"), message)
}

fn too_weak(asker: &Asker, permission: Permission, standing: Standing) -> RuleError {
    let has: Vec<_> = standing.roles.iter().map(|role| role.as_str()).collect();
    let message = format!(
        "This needs {permission}, which the role {} has. {} {} has {}.",
        least_role(permission),
        asker.kind,
        asker.id,
        has.join(" and ")
    );
    RuleError::new(Code::Forbidden, message)
}
