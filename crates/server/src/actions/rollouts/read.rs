//! Rollouts as they are shown: with where their environments stand, and what failed.

use super::{READ, missing};
use crate::{
    actions::{Principal, Service, access, waits},
    error::Result,
};
use domain::{ids::AppId, version::AppVersion, waiting::Wait};
use std::{collections::HashMap, sync::Arc};
use store::{
    hotfixes,
    rollouts::{self as rows, FailureGroup, MemberEntry, Rollout, Tally, Wave},
    versions,
};
use uuid::Uuid;

/// Groups of failures that are shown.
const MOST_FAILURES: i64 = 50;

/// A rollout with what is shown of it besides its row.
pub(crate) struct RolloutEntry {
    pub(crate) rollout: Rollout,
    pub(crate) waves: Vec<Wave>,
    pub(crate) tally: Tally,
    pub(crate) failures: Vec<FailureGroup>,
    pub(crate) superseded_by: Option<AppVersion>,
}

/// One rollout.
pub(crate) async fn get_rollout(
    service: &Service,
    principal: &Principal,
    app: AppId,
    id: Uuid,
) -> Result<RolloutEntry> {
    access::admit(service, principal, app, None, READ).await?;
    match rows::find_rollout(&service.db, principal.reference, app, id).await? {
        Some(rollout) => completed(service, rollout).await,
        None => {
            access::explain_nothing(service, principal, app, None, READ).await?;
            Err(missing(app, id).into())
        }
    }
}

async fn completed(service: &Service, rollout: Rollout) -> Result<RolloutEntry> {
    let db = &service.db;
    Ok(RolloutEntry {
        waves: rows::waves_of(db, rollout.id).await?,
        tally: rows::tally(db, rollout.id).await?,
        failures: rows::failures_of(db, rollout.id, MOST_FAILURES).await?,
        superseded_by: versions::newest_available_above(db, rollout.app_id, rollout.target_version).await?,
        rollout,
    })
}

/// Rollouts of a list, with what is shown of them.
pub(crate) async fn complete(service: &Arc<Service>, batch: Vec<Rollout>) -> Result<Vec<RolloutEntry>> {
    let mut entries = Vec::with_capacity(batch.len());
    for rollout in batch {
        entries.push(completed(service, rollout).await?);
    }
    Ok(entries)
}

/// Environments of a rollout, each with what its hotfix waits for, if that is wanted.
pub(crate) async fn complete_environments(
    service: &Arc<Service>,
    batch: Vec<MemberEntry>,
    with_waits: bool,
) -> Result<Vec<(MemberEntry, Wait)>> {
    let mut waits = HashMap::new();
    if with_waits {
        let ids: Vec<_> = batch
            .iter()
            .filter_map(|entry| entry.member.operation_id)
            .collect();
        let operations = hotfixes::operations_by_ids(&service.db, &ids).await?;
        let found = waits::waits_if(service, operations, true).await?;
        waits.extend(found.into_iter().map(|(operation, wait)| (operation.id, wait)));
    }
    let with_wait = |entry: MemberEntry| {
        let wait = entry.member.operation_id.and_then(|id| waits.get(&id).copied());
        (entry, wait.unwrap_or_default())
    };
    Ok(batch.into_iter().map(with_wait).collect())
}
