//! What one app may take up, so that whoever may change it cannot fill the service for all others.

use crate::{config::QuotaSettings, error::Result};
use domain::{ids::AppId, problem::RuleError};
use store::{Tx, hotfixes, principals, versions, versions::Version};

/// Whether the app may have one version more. Its row must be locked.
pub(super) async fn check_version(tx: &mut Tx<'_>, quotas: QuotaSettings, version: &Version) -> Result<()> {
    let (app, size) = (version.app_id, version.size);
    let (count, bytes) = versions::usage_of(tx, app).await?;
    let versions = format!("has {count} versions");
    check(app, ("app_versions", quotas.app_versions), (count, 1), versions)?;
    let packages = format!("has {bytes} bytes in its packages, and this one has {size}");
    check(app, ("app_bytes", quotas.app_bytes), (bytes, size), packages)
}

/// Whether one hotfix more of the app may wait. Requests at the same time may pass the quota together, by no more than
/// there are of them.
pub(super) async fn check_hotfix(tx: &mut Tx<'_>, quotas: QuotaSettings, app: AppId) -> Result<()> {
    let count = hotfixes::count_scheduled_of(tx, app).await?;
    let quota = ("app_scheduled_hotfixes", quotas.app_scheduled_hotfixes);
    check(
        app,
        quota,
        (count, 1),
        format!("has {count} hotfixes that have not begun"),
    )
}

/// Whether the app may have one principal more. Its row must be locked.
pub(super) async fn check_principal(tx: &mut Tx<'_>, quotas: QuotaSettings, app: AppId) -> Result<()> {
    let count = principals::count_principals(tx, app).await?;
    let quota = ("app_principals", quotas.app_principals);
    check(app, quota, (count, 1), format!("has {count} principals"))
}

/// Whether so much more is not more than may be; 0 is no quota. `told` says what there is.
fn check(app: AppId, (setting, quota): (&str, u64), (has, more): (u64, u64), told: String) -> Result<()> {
    if quota == 0 || has.saturating_add(more) <= quota {
        return Ok(());
    }
    let message =
        format!("App {app} {told}. Its quota is {quota} (quotas.{setting}, which the operator sets).");
    Err(RuleError::broken("QuotaExceeded", message).into())
}
