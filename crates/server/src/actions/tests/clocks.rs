//! A server whose clock is not the others' must not end what they carry.

use super::{
    GRACE, TARGET,
    fleet::{Fleet, LEASE, OPEN, claim, everywhere, finish_all, on_both_databases, success},
    owner_asks, version_row,
};
use crate::{
    actions::{
        Service, execution,
        sweep::{self, Swept},
        upload,
    },
    clock::Clock,
};
use domain::{
    instant::{Instant, TICKS_PER_SECOND},
    version::VersionStatus,
};
use std::sync::Arc;
use test_support::postgres_cluster;

/// Servers on different machines can share this one only.
pub(super) async fn on_postgres<F: Future<Output = ()>>(test: impl FnOnce(Fleet) -> F) {
    test(Fleet::on(Some(postgres_cluster::database_url())).await).await;
}

/// Another server, whose machine's clock goes wrong by so many seconds, and which believes that it is so much later.
pub(super) async fn wrong_by(fleet: &Fleet, seconds: i64, later: i64) -> Arc<Service> {
    let clock = Clock::stopped(fleet.service().clock.now());
    clock.go_wrong_by(seconds * TICKS_PER_SECOND);
    clock.set(Instant(clock.now().0 + later * TICKS_PER_SECOND));
    fleet.replica_at(clock).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_clock_is_wrong_ends_no_leases_and_starts_nothing() {
    on_postgres(|fleet| async move {
        fleet.has_apps(1).await;
        for environment in 0..20 {
            fleet.has_environment(environment, 1, OPEN).await;
            fleet.schedules(environment, 0).await;
        }
        let carried = fleet.claims(18).await;
        assert_eq!(carried.len(), 18);
        let beyond = i64::try_from(LEASE.as_secs()).unwrap() + 1;
        for wrong in [beyond, -beyond] {
            let server = wrong_by(&fleet, wrong, beyond).await;
            assert_eq!(execution::end_lost(&server).await.unwrap(), 0);
            assert!(!server.clock_check.is_right());
            assert_eq!(claim(&server, 20).await.unwrap().len(), 0);
        }
        let reports = carried.iter().map(success).collect();
        let answers = finish_all(fleet.service(), &everywhere(), reports).await;
        assert!(answers.iter().all(|answer| {
            answer
                .as_ref()
                .is_ok_and(|operation| operation.completed_on.is_some())
        }));
        assert_eq!(fleet.count("operations WHERE status = 'Succeeded'").await, 18);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_clock_is_right_again_goes_on() {
    on_postgres(|fleet| async move {
        fleet.has_apps(1).await;
        fleet.has_environment(0, 1, OPEN).await;
        fleet.schedules(0, 0).await;
        assert_eq!(fleet.claims(1).await.len(), 1);
        let server = wrong_by(&fleet, 3_600, 61).await;
        assert_eq!(execution::end_lost(&server).await.unwrap(), 0);
        server.clock.go_wrong_by(0);
        assert_eq!(execution::end_lost(&server).await.unwrap(), 1);
        assert!(server.clock_check.is_right());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_never_shortens_a_lease() {
    on_both_databases(|fleet| async move {
        fleet.has_apps(1).await;
        fleet.has_environment(0, 1, OPEN).await;
        fleet.schedules(0, 0).await;
        let carried = fleet.claims(1).await.remove(0);
        let held = || vec![(carried.operation.id, carried.lease.id)];
        let renewed = execution::renew(fleet.service(), &everywhere(), held(), fleet.now() + LEASE / 2)
            .await
            .unwrap();
        assert_eq!(renewed, [carried.operation.id]);
        assert_eq!(
            execution::next_lease_end(fleet.service()).await.unwrap(),
            Some(carried.lease.until)
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_clock_is_wrong_tidies_up_nothing() {
    on_postgres(|fleet| async move {
        let begun = version_row(TARGET, VersionStatus::Uploading, [7; 32]);
        upload::begin(fleet.service(), &owner_asks(), begun, None)
            .await
            .unwrap();
        let server = wrong_by(&fleet, 3_600, 3_600).await;
        let swept = sweep::sweep(&server, GRACE).await.unwrap();
        assert_eq!(swept, Swept::default());
        assert_eq!(sweep::settle(&server, GRACE).await.unwrap(), Swept::default());
        server.clock.go_wrong_by(0);
        assert_eq!(sweep::sweep(&server, GRACE).await.unwrap().uploads_failed, 1);
    })
    .await;
}

/// A lease that a wrong clock granted would outlast its agent, or be over before it began.
#[tokio::test(flavor = "multi_thread")]
async fn leases_are_granted_by_the_clock_of_the_database() {
    on_postgres(|fleet| async move {
        let right = fleet.service().clock.now();
        for hours in [1, -1] {
            let server = wrong_by(&fleet, hours * 3_600, hours * 3_600).await;
            let now = server.clock_check.compare(&server).await.unwrap();
            let differs_by = now.since(right).max(right.since(now));
            assert!(differs_by < LEASE, "{differs_by:?}");
        }
    })
    .await;
}
