//! What one app may take up, so that whoever may change it cannot fill the service for all others.

use crate::{config::QuotaSettings, error::Result};
use domain::{ids::AppId, problem::RuleError};
use store::{Tx, hotfixes, principals, versions, versions::Version};

/// Whether the app may have one version more. Its row must be locked.
pub(super) async fn check_version(tx: &mut Tx<'_>, quotas: QuotaSettings, version: &Version) -> Result<()> {
    let (count, bytes) = versions::usage_of(tx, version.app_id).await?;
    let app = version.app_id;
    if exceeds(count, 1, quotas.app_versions) {
        return Err(exceeded(
            app,
            "app_versions",
            format!("has {count} versions"),
            quotas.app_versions,
        )
        .into());
    }
    if exceeds(bytes, version.size, quotas.app_bytes) {
        let has = format!(
            "has {bytes} bytes in its packages, and this one has {}",
            version.size
        );
        return Err(exceeded(app, "app_bytes", has, quotas.app_bytes).into());
    }
    Ok(())
}

/// Whether one hotfix more of the app may wait. Requests at the same time may pass the quota together, by no more than
/// there are of them.
pub(super) async fn check_hotfix(tx: &mut Tx<'_>, quotas: QuotaSettings, app: AppId) -> Result<()> {
    let quota = quotas.app_scheduled_hotfixes;
    let count = hotfixes::count_scheduled_of(tx, app).await?;
    match exceeds(count, 1, quota) {
        true => {
            let has = format!("has {count} hotfixes that have not begun");
            Err(exceeded(app, "app_scheduled_hotfixes", has, quota).into())
        }
        false => Ok(()),
    }
}

/// Whether the app may have one principal more. Its row must be locked.
pub(super) async fn check_principal(tx: &mut Tx<'_>, quotas: QuotaSettings, app: AppId) -> Result<()> {
    let count = principals::count_principals(tx, app).await?;
    match exceeds(count, 1, quotas.app_principals) {
        true => {
            let has = format!("has {count} principals");
            Err(exceeded(app, "app_principals", has, quotas.app_principals).into())
        }
        false => Ok(()),
    }
}

/// Whether so much more is more than may be; 0 is no quota.
fn exceeds(has: u64, more: u64, quota: u64) -> bool {
    quota != 0 && has.saturating_add(more) > quota
}

fn exceeded(app: AppId, setting: &str, has: String, quota: u64) -> RuleError {
    let message =
        format!("App {app} {has}. Its quota is {quota} (quotas.{setting}, which the operator sets).");
    RuleError::broken("QuotaExceeded", message)
}
