//! Where the guide may show a hotfix: what the service itself says could be updated at this start, which on a folder that
//! was used before is not what it was.

use super::demo::{self, SALES_PACK};
use client::{Client, Error};
use domain::{environment::EnvironmentKey, version::AppVersion};
use wire::hotfixes::PlanRow;

/// The newest Available versions of the release lines of the sample app, as they are at first.
const TARGETS: [AppVersion; 2] = [AppVersion([16, 0, 2, 0]), AppVersion([16, 1, 1, 0])];

/// How many the guide needs.
const ENOUGH: usize = 2;

/// An environment and a version that it could be updated to.
#[derive(Clone, Debug)]
pub(super) struct Example {
    /// Its country.
    pub country: &'static str,
    /// The version.
    pub target: AppVersion,
    /// The environment's name.
    pub name: String,
    /// The customer's tenant.
    pub tenant: String,
}

/// Finds some, all in one country and for one version; fewer, or none, where no more are left.
///
/// # Errors
/// When the service does not answer. What this contributor may not see is no example.
pub(super) async fn find(contributor: &Client) -> client::Result<Vec<Example>> {
    let mut best = Vec::new();
    for target in TARGETS {
        for country in SALES_PACK.countries {
            let plan = contributor.plan_hotfixes(SALES_PACK.id(), country, target);
            let rows = match plan.all().await {
                Ok(rows) => rows,
                Err(Error::Refused(_)) => continue,
                Err(error) => return Err(error),
            };
            let found: Vec<_> = fit(rows, country, target).take(ENOUGH).collect();
            if found.len() > best.len() {
                best = found;
            }
            if best.len() == ENOUGH {
                return Ok(best);
            }
        }
    }
    Ok(best)
}

/// Those in which a hotfix would succeed, and whose names a shell takes as they are.
fn fit(rows: Vec<PlanRow>, country: &'static str, target: AppVersion) -> impl Iterator<Item = Example> {
    let troubled = demo::script();
    rows.into_iter()
        .filter(move |row| {
            let key = EnvironmentKey::new(row.aad_tenant_id, &row.application_family, &row.name);
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            row.eligible && row.name.bytes().all(is_plain) && !troubled.contains_key(&key)
        })
        .map(move |row| Example {
            country,
            target,
            name: row.name,
            tenant: row.aad_tenant_id.to_string(),
        })
}
