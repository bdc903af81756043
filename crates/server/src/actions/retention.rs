//! Forgetting what is older than it is to be kept: operations and rollouts that ended, and the audit.
//!
//! A run removes a batch at a time, so that no change waits long for it. Its one audit row is written with the first
//! batch and counts up with each further one, in the same transactions: whatever is gone has been accounted for.

use super::{
    Service,
    audit::{self, Actor, Change},
};
use crate::{config::RetentionSettings, error::Result};
use domain::instant::{Instant, TICKS_PER_SECOND};
use serde_json::{Value, json};
use store::{Tx, retention};
use uuid::Uuid;

/// Rows that one transaction removes.
const BATCH: i64 = 500;
/// A day on the service's clock.
const DAY: i64 = 24 * 3600 * TICKS_PER_SECOND;

/// How many rows were removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Removed {
    pub(crate) operations: u64,
    /// Rollouts, and environments of them.
    pub(crate) rollouts: u64,
    pub(crate) audit: u64,
}

/// One run, from its first batch to its last.
#[derive(Clone)]
pub(crate) struct Run {
    audit_id: Uuid,
    now: Instant,
    operations_before: Option<Instant>,
    audit_before: Option<Instant>,
    removed: Removed,
}

impl Run {
    /// A run that removes what is too old now.
    pub(crate) fn new(service: &Service) -> Self {
        let RetentionSettings {
            audit_days,
            operations_days,
        } = service.settings.retention;
        let now = service.clock.now();
        let before = |days: u16| Instant(now.0.saturating_sub(DAY * i64::from(days)));
        Self {
            audit_id: Uuid::now_v7(),
            now,
            operations_before: operations_days.map(before),
            audit_before: audit_days.map(before),
            removed: Removed::default(),
        }
    }

    /// Removes the next batch; whether there may be more. By a wrong clock nothing is old enough.
    pub(crate) async fn remove_some(&mut self, service: &Service) -> Result<bool> {
        if !service.clock_check.agrees(service).await? {
            return Ok(false);
        }
        let removed = service
            .db
            .write(self.clone(), |tx, run| Box::pin(remove_batch(tx, run)))
            .await?;
        let is_last = removed == self.removed;
        self.removed = removed;
        Ok(!is_last)
    }

    /// What was removed so far.
    pub(crate) fn removed(&self) -> Removed {
        self.removed
    }

    fn state(&self, removed: Removed) -> Value {
        json!({
            "operations": removed.operations,
            "rollouts": removed.rollouts,
            "operationsEndedBefore": self.operations_before.map(|before| before.to_string()),
            "audit": removed.audit,
            "auditRecordedBefore": self.audit_before.map(|before| before.to_string()),
        })
    }
}

async fn remove_batch(mut tx: Tx<'_>, run: &Run) -> Result<Removed> {
    let mut removed = run.removed;
    if let Some(before) = run.operations_before {
        removed.operations += retention::remove_operations(&mut tx, before, BATCH).await?;
        removed.rollouts += retention::remove_rollouts(&mut tx, before, BATCH).await?;
    }
    if let Some(before) = run.audit_before
        && removed == run.removed
    {
        removed.audit += retention::remove_audit(&mut tx, before, BATCH).await?;
    }
    if removed == run.removed {
        return Ok(removed);
    }
    if run.removed == Removed::default() {
        let change = Change {
            action: "retention/remove",
            target: "retention".into(),
            before: None,
            after: Some(run.state(removed)),
        };
        audit::record_under(
            &mut tx,
            run.audit_id,
            Actor::Service("retention"),
            run.now,
            change,
        )
        .await?;
    } else {
        audit::amend(&mut tx, run.audit_id, &run.state(removed)).await?;
    }
    Ok(removed)
}

/// Removes all that is too old now.
pub(crate) async fn remove_all(service: &Service) -> Result<Removed> {
    let mut run = Run::new(service);
    while run.remove_some(service).await? {}
    Ok(run.removed())
}
