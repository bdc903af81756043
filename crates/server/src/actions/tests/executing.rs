//! The service's own executor: what it carries it goes on carrying, and it stops without leaving anything unknown.

use super::fleet::{Fleet, OPEN, app, key, name, on_both_databases};
use crate::{
    jobs::{executor::ExecutorJob, leases::end_lost},
    simulate::{Fault, Script, Simulator},
};
use domain::operation::OperationStatus;
use std::{sync::Arc, time::Duration};
use store::Value;
use tokio_util::sync::CancellationToken;

const LONG: Duration = Duration::from_secs(60);

/// Environments, each with a hotfix that is due, and an executor for them.
async fn executor_for(fleet: &Fleet, environments: usize, script: Script) -> Arc<ExecutorJob> {
    fleet.has_apps(1).await;
    for environment in 0..environments {
        fleet.has_environment(environment, 1, OPEN).await;
        fleet.schedules(environment, 0).await;
    }
    Arc::new(ExecutorJob::new(
        Arc::clone(fleet.service()),
        Simulator::new(script),
    ))
}

async fn statuses(fleet: &Fleet) -> [i64; 3] {
    let mut counts = [0; 3];
    for (count, status) in counts.iter_mut().zip(["Scheduled", "Running", "Succeeded"]) {
        *count = fleet
            .count(&format!("operations WHERE status = '{status}'"))
            .await;
    }
    counts
}

#[tokio::test(flavor = "multi_thread")]
async fn it_carries_as_many_as_it_has_slots_for() {
    on_both_databases(|fleet| async move {
        let slots = i64::try_from(fleet.service().settings.executor.slots).unwrap();
        let executor = executor_for(&fleet, 7, Script::new()).await;
        executor.catch_up().await.unwrap();
        assert_eq!(statuses(&fleet).await, [7 - slots, slots, 0]);
        fleet.advance(2);
        executor.catch_up().await.unwrap();
        assert_eq!(statuses(&fleet).await, [0, 7 - slots, slots]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn work_that_lasts_longer_than_a_lease_is_not_lost() {
    on_both_databases(|fleet| async move {
        let lasting = Fault::Takes(Duration::from_secs(3_600));
        let script = [(key(0), lasting), (key(1), Fault::GetsLost)].into();
        let executor = executor_for(&fleet, 2, script).await;
        executor.catch_up().await.unwrap();
        let lease = fleet.service().settings.executor.lease;
        let half = i64::try_from(lease.as_secs()).unwrap() / 2;
        for _ in 0..3 {
            fleet.advance(half);
            end_lost(fleet.service(), Some(&executor)).await.unwrap();
        }
        assert_eq!(statuses(&fleet).await, [0, 1, 0]);
        assert_eq!(fleet.count("operations WHERE reason = 'OutcomeUnknown'").await, 1);
        fleet.advance(3_600 - 3 * half);
        executor.catch_up().await.unwrap();
        assert_eq!(statuses(&fleet).await, [0, 0, 1]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_could_not_be_written_down_is_made_again() {
    on_both_databases(|fleet| async move {
        let executor = executor_for(&fleet, 2, Script::new()).await;
        executor.catch_up().await.unwrap();
        let damage = "UPDATE operations SET kind = $2 WHERE environment_name = $1";
        fleet
            .damages(damage, vec![name(1).into(), "Nothing".into()])
            .await;
        fleet.advance(2);
        executor.catch_up().await.unwrap_err();
        assert_eq!(statuses(&fleet).await, [0, 1, 1]);
        fleet
            .damages(damage, vec![name(1).into(), Value::from("Hotfix")])
            .await;
        executor.catch_up().await.unwrap();
        assert_eq!(statuses(&fleet).await, [0, 0, 2]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planned_stop_waits_for_what_is_carried_and_takes_on_nothing_more() {
    on_both_databases(|fleet| async move {
        let executor = executor_for(&fleet, 2, Script::new()).await;
        executor.catch_up().await.unwrap();
        let stop = CancellationToken::new();
        let job = tokio::spawn({
            let (executor, stop) = (Arc::clone(&executor), stop.clone());
            async move { executor.run(stop).await }
        });
        assert!(
            !executor.drain(Duration::ZERO).await,
            "two operations are being carried out"
        );
        fleet.has_environment(2, 1, OPEN).await;
        let late = fleet.schedules(2, 0).await;
        let drained = tokio::spawn({
            let executor = Arc::clone(&executor);
            async move { executor.drain(LONG).await }
        });
        fleet.advance(2);
        assert!(drained.await.unwrap());
        stop.cancel();
        job.await.unwrap();
        assert_eq!(statuses(&fleet).await, [1, 0, 2]);
        let late = fleet.looks_at(app(0), late.id).await;
        assert_eq!(late.status, OperationStatus::Scheduled);
        assert!(
            ExecutorJob::new(Arc::clone(fleet.service()), Simulator::new(Script::new()))
                .drain(Duration::ZERO)
                .await
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_damaged_operation_costs_no_other_its_lease_or_its_start() {
    on_both_databases(|fleet| async move {
        let lasting = |number| (key(number), Fault::Takes(Duration::from_secs(3_600)));
        let script = [lasting(1), lasting(2)].into();
        let executor = executor_for(&fleet, 3, script).await;
        executor.catch_up().await.unwrap();
        let damage = "UPDATE operations SET kind = $2 WHERE environment_name = $1";
        for number in [0, 1] {
            fleet
                .damages(damage, vec![name(number).into(), "Nothing".into()])
                .await;
        }
        fleet.has_environment(3, 1, OPEN).await;
        fleet.schedules(3, 0).await;
        let lease = fleet.service().settings.executor.lease;
        let half = i64::try_from(lease.as_secs()).unwrap() / 2;
        for _ in 0..3 {
            fleet.advance(half + 1);
            // One of them is done and cannot be reported; the other cannot be renewed.
            let _told = end_lost(fleet.service(), Some(&executor)).await;
        }
        let of_the_others = "operations WHERE environment_name IN ('Environment 2', 'Environment 3')";
        let statuses = |status| format!("{of_the_others} AND status = '{status}'");
        assert_eq!(fleet.count(&statuses("Running")).await, 1);
        assert_eq!(fleet.count(&statuses("Succeeded")).await, 1);
    })
    .await;
}
