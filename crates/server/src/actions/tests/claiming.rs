//! Claims, reports, cancellations and silence at the same moment, from several services on one database; and what one
//! damaged environment does to the others.

use super::{
    fleet::{
        CLOSED, Fleet, LEASE, OPEN, TO, app, claim, everywhere, finish_all, key, name, on_both_databases,
        schedule, success,
    },
    owner_asks, us,
};
use crate::actions::{
    Service,
    agents::AgentCaller,
    environments::get_registered_environment,
    execution::{self, Outcome, Report},
    hotfixes::update_hotfix,
};
use domain::{
    ids::OperationId,
    operation::{OperationKind, OperationStatus},
};
use std::{
    collections::{HashMap, HashSet},
    future::poll_fn,
    sync::{Arc, Mutex},
    task::Poll,
    time::Duration,
};
use store::Value;
use tokio::task::JoinSet;
use uuid::Uuid;
use wire::hotfixes::HotfixPatch;

/// Services at work at the same time.
const REPLICAS: usize = 4;
/// A race that never ends is a failure.
const LONG: Duration = Duration::from_secs(60);

/// What runs where, as the agents see it.
#[derive(Default)]
struct Seen {
    running: HashMap<Uuid, OperationId>,
    started: HashSet<OperationId>,
}

/// Claims, carries out and reports until `all` operations have been started, by whomever.
async fn work_until(service: Arc<Service>, limit: usize, all: usize, seen: Arc<Mutex<Seen>>) {
    loop {
        let claimed = claim(&service, limit).await.unwrap();
        {
            let mut seen = seen.lock().unwrap();
            for one in &claimed {
                let (id, environment) = (one.operation.id, one.operation.environment_id);
                assert!(seen.started.insert(id), "{id} was started twice");
                let other = seen.running.insert(environment, id);
                assert_eq!(other, None, "two at once in {environment}");
            }
            if claimed.is_empty() && seen.started.len() == all {
                return;
            }
        }
        {
            let mut seen = seen.lock().unwrap();
            for one in &claimed {
                seen.running.remove(&one.operation.environment_id);
            }
        }
        let reports = claimed.iter().map(success).collect();
        for ended in finish_all(&service, &everywhere(), reports).await {
            assert_eq!(ended.unwrap().status, OperationStatus::Succeeded);
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_services_start_each_operation_once_and_one_at_a_time_in_an_environment() {
    on_both_databases(|fleet| async move {
        let (environments, apps) = (24, 4);
        fleet.has_apps(apps).await;
        for environment in 0..environments {
            let window = if environment % 4 == 0 { CLOSED } else { OPEN };
            fleet.has_environment(environment, apps, window).await;
            for of in 0..apps {
                fleet.schedules(environment, of).await;
            }
        }
        let open = environments - environments.div_ceil(4);
        let seen = Arc::new(Mutex::new(Seen::default()));
        let mut work = JoinSet::new();
        for replica in 0..REPLICAS {
            let service = fleet.replica().await;
            work.spawn(work_until(service, 3 + replica, open * apps, Arc::clone(&seen)));
        }
        tokio::time::timeout(LONG, work.join_all()).await.unwrap();

        let all = i64::try_from(open * apps).unwrap();
        assert_eq!(fleet.count("operations WHERE status = 'Succeeded'").await, all);
        let (starts, ends) = ("operations/start", "operations/end");
        for action in [starts, ends] {
            assert_eq!(
                fleet.count(&format!("audit WHERE action = '{action}'")).await,
                all
            );
        }
        for environment in 0..environments {
            let (_, installed) = get_registered_environment(fleet.service(), &key(environment))
                .await
                .unwrap();
            let has_target = installed.iter().all(|app| app.version == TO);
            assert_eq!(has_target, environment % 4 != 0, "{}", name(environment));
        }
        let waiting = fleet.count("operations WHERE status = 'Scheduled'").await;
        assert_eq!(
            waiting,
            i64::try_from((environments - open) * apps).unwrap(),
            "windows hold"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_several_wishes_for_one_installation_one_gets_the_slot() {
    on_both_databases(|fleet| async move {
        fleet.has_apps(1).await;
        fleet.has_environment(0, 1, OPEN).await;
        let mut requests = JoinSet::new();
        for _ in 0..8 {
            let service = fleet.replica().await;
            requests.spawn(async move { schedule(&service, 0, 0).await.is_ok() });
        }
        let granted = requests
            .join_all()
            .await
            .into_iter()
            .filter(|granted| *granted)
            .count();
        assert_eq!(granted, 1);
        assert_eq!(fleet.claims(8).await.len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_canceling_and_starting_exactly_one_happens() {
    on_both_databases(|fleet| async move {
        let environments = 30;
        fleet.has_apps(1).await;
        let mut waiting = Vec::new();
        for environment in 0..environments {
            fleet.has_environment(environment, 1, OPEN).await;
            waiting.push(fleet.schedules(environment, 0).await.id);
        }
        let mut claims = JoinSet::new();
        for _ in 0..2 {
            let service = fleet.replica().await;
            claims.spawn(async move { claim(&service, environments).await.unwrap() });
        }
        let mut cancels = JoinSet::new();
        let canceler = fleet.replica().await;
        for id in waiting.clone() {
            let service = Arc::clone(&canceler);
            cancels.spawn(async move {
                let patch = HotfixPatch::read(br#"{"status":"Canceled"}"#).unwrap();
                let canceled = update_hotfix(&service, &owner_asks(), app(0), us(), id, patch).await;
                (id, canceled.is_ok())
            });
        }
        let canceled: HashMap<_, _> = cancels.join_all().await.into_iter().collect();
        let mut started = HashSet::new();
        for claimed in claims.join_all().await.into_iter().flatten() {
            assert!(started.insert(claimed.operation.id));
        }
        // A row that the cancellation held while the claim passed by is started by the next claim, or not at all.
        started.extend(
            fleet
                .claims(environments)
                .await
                .iter()
                .map(|claimed| claimed.operation.id),
        );
        for id in waiting {
            assert_ne!(canceled[&id], started.contains(&id), "{id}");
            let expected = if canceled[&id] {
                OperationStatus::Canceled
            } else {
                OperationStatus::Running
            };
            assert_eq!(fleet.looks_at(app(0), id).await.status, expected);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_late_report_and_the_end_of_a_lease_exactly_one_counts() {
    on_both_databases(|fleet| async move {
        let environments = 30;
        fleet.has_apps(1).await;
        for environment in 0..environments {
            fleet.has_environment(environment, 1, OPEN).await;
            fleet.schedules(environment, 0).await;
        }
        let claimed = fleet.claims(environments).await;
        assert_eq!(claimed.len(), environments);
        fleet.advance(61);
        let mut reports = JoinSet::new();
        for part in claimed.chunks(5) {
            let service = fleet.replica().await;
            let part: Vec<_> = part.iter().map(success).collect();
            reports.spawn(async move { finish_all(&service, &everywhere(), part).await });
        }
        let mut silence = JoinSet::new();
        for _ in 0..2 {
            let service = fleet.replica().await;
            silence.spawn(async move { execution::end_lost(&service).await.unwrap() });
        }
        let reported = reports.join_all().await.into_iter().flatten();
        let succeeded = reported
            .filter(|ended| ended.as_ref().unwrap().status == OperationStatus::Succeeded)
            .count();
        let lost: usize = silence.join_all().await.into_iter().sum();
        assert_eq!(succeeded + lost, environments);
        for (number, claimed) in claimed.iter().enumerate() {
            let ended = fleet.looks_at(app(0), claimed.operation.id).await;
            let is_lost = ended.status == OperationStatus::Failed;
            let (environment, _) = get_registered_environment(
                fleet.service(),
                &domain::environment::EnvironmentKey::new(
                    ended.tenant_id,
                    &ended.family,
                    &ended.environment_name,
                ),
            )
            .await
            .unwrap();
            assert_eq!(
                environment.environment.held_by,
                is_lost.then_some(ended.id),
                "{number}"
            );
        }
        let ends = fleet.count("audit WHERE action = 'operations/end'").await;
        assert_eq!(ends, i64::try_from(environments).unwrap());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_full_of_waiting_operations_hides_no_other() {
    on_both_databases(|fleet| async move {
        let many = 210;
        fleet.has_apps(many).await;
        fleet.has_environment(0, many, OPEN).await;
        for of in 0..many {
            fleet.schedules(0, of).await;
        }
        fleet.advance(1);
        for environment in 1..4 {
            fleet.has_environment(environment, 1, OPEN).await;
            fleet.schedules(environment, 0).await;
        }
        let claimed = fleet.claims(4).await;
        let environments: HashSet<_> = claimed.iter().map(|one| one.operation.environment_id).collect();
        assert_eq!(environments.len(), 4);
        assert_eq!(fleet.count("environments WHERE due_on IS NOT NULL").await, 0);
        assert!(fleet.claims(4).await.is_empty());
        let reports = claimed.iter().map(success).collect();
        finish_all(fleet.service(), &everywhere(), reports).await;
        assert_eq!(fleet.count("environments WHERE due_on IS NOT NULL").await, 1);
        assert_eq!(fleet.claims(4).await.len(), 1, "the next of the many");
    })
    .await;
}

/// More than one transaction decides about.
const MANY: usize = 300;

#[tokio::test(flavor = "multi_thread")]
async fn one_claim_starts_as_many_as_are_asked_for_and_no_more() {
    on_both_databases(|fleet| async move {
        fleet.has_apps(1).await;
        for environment in 0..MANY {
            fleet.has_environment(environment, 1, OPEN).await;
            fleet.schedules(environment, 0).await;
        }
        assert!(fleet.claims(0).await.is_empty());
        let first = fleet.claims(MANY - 50).await;
        assert_eq!(first.len(), MANY - 50);
        assert_eq!(fleet.claims(MANY).await.len(), 50);
        let reports: Vec<_> = first.iter().map(success).collect();
        let twice = [reports.clone(), reports].concat();
        let ended = finish_all(fleet.service(), &everywhere(), twice).await;
        assert!(
            ended
                .iter()
                .all(|one| one.as_ref().unwrap().status == OperationStatus::Succeeded)
        );
        let ends = fleet.count("audit WHERE action = 'operations/end'").await;
        assert_eq!(ends, i64::try_from(first.len()).unwrap());
        assert_eq!(
            fleet.count("audit WHERE action = 'operations/lateReport'").await,
            0
        );
        fleet.advance(61);
        assert_eq!(execution::end_lost(fleet.service()).await.unwrap(), 50);
    })
    .await;
}

/// Three environments, each with a hotfix that is due.
async fn three(fleet: &Fleet) -> [OperationId; 3] {
    fleet.has_apps(1).await;
    let mut waiting = Vec::new();
    for environment in 0..3 {
        fleet.has_environment(environment, 1, OPEN).await;
        waiting.push(fleet.schedules(environment, 0).await.id);
    }
    waiting.try_into().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_environment_is_set_aside_and_the_others_go_on() {
    for sql in [
        "UPDATE environments SET window_zone = 'Nowhere' WHERE name = $1",
        "UPDATE environments SET kind = 'Nothing' WHERE name = $1",
        "UPDATE operations SET target_version = 'None' WHERE environment_name = $1",
        "UPDATE installations SET version = 'None' WHERE name = $1",
    ] {
        on_both_databases(|fleet| async move {
            let [damaged, ..] = three(&fleet).await;
            fleet.damages(sql, vec![name(0).into()]).await;
            let started = fleet.claims(3).await;
            let started: HashSet<_> = started.iter().map(|one| one.operation.id).collect();
            assert_eq!(started.len(), 2, "{sql}");
            assert!(!started.contains(&damaged));
            // It is not looked at again until its minute is over.
            assert_eq!(fleet.count("environments WHERE due_on IS NOT NULL").await, 1);
            let due = execution::due_of_agents(fleet.service()).await.unwrap();
            assert_eq!(
                due[&everywhere().id],
                fleet.now() + Duration::from_secs(60),
                "{sql}"
            );
            assert!(fleet.claims(3).await.is_empty());
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repaired_environment_works_again() {
    on_both_databases(|fleet| async move {
        let [damaged, ..] = three(&fleet).await;
        let (damage, repair) = (
            "UPDATE environments SET window_zone = 'Nowhere' WHERE name = $1",
            "UPDATE environments SET window_zone = 'UTC' WHERE name = $1",
        );
        fleet.damages(damage, vec![name(0).into()]).await;
        assert_eq!(fleet.claims(3).await.len(), 2);
        fleet.damages(repair, vec![name(0).into()]).await;
        assert!(fleet.claims(3).await.is_empty());
        fleet.advance(60);
        assert_eq!(fleet.claims(3).await[0].operation.id, damaged);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_written_down_whatever_became_of_the_window() {
    on_both_databases(|fleet| async move {
        fleet.has_apps(2).await;
        fleet.has_environment(0, 2, OPEN).await;
        for of in 0..2 {
            fleet.schedules(0, of).await;
        }
        let claimed = fleet.claims(1).await;
        fleet
            .damages(
                "UPDATE environments SET window_zone = 'Nowhere' WHERE name = $1",
                vec![name(0).into()],
            )
            .await;
        let ended = finish_all(fleet.service(), &everywhere(), vec![success(&claimed[0])]).await;
        assert_eq!(ended[0].as_ref().unwrap().status, OperationStatus::Succeeded);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_cannot_be_written_down_keeps_no_other_from_it() {
    on_both_databases(|fleet| async move {
        three(&fleet).await;
        let claimed = fleet.claims(3).await;
        let damage = "UPDATE operations SET kind = $2 WHERE id = $1";
        let damaged = Value::from(claimed[1].operation.id);
        fleet
            .damages(damage, vec![damaged.clone(), "Nothing".into()])
            .await;
        let mut reports: Vec<_> = claimed.iter().map(success).collect();
        reports.push(Report {
            id: OperationId(Uuid::nil()),
            lease_id: Uuid::nil(),
            outcome: Outcome::Succeeded,
        });
        let ended = finish_all(fleet.service(), &everywhere(), reports.clone()).await;
        let written: Vec<_> = ended.iter().map(Result::is_ok).collect();
        assert_eq!(written, [true, false, true, false]);
        fleet.advance(61);
        assert_eq!(execution::end_lost(fleet.service()).await.unwrap(), 0);
        fleet.damages(damage, vec![damaged, "Hotfix".into()]).await;
        let again = finish_all(fleet.service(), &everywhere(), vec![reports.swap_remove(1)]).await;
        assert_eq!(again[0].as_ref().unwrap().status, OperationStatus::Succeeded);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_operation_that_cannot_be_ended_keeps_no_other_from_it() {
    on_both_databases(|fleet| async move {
        three(&fleet).await;
        let claimed = fleet.claims(3).await;
        let damaged = Value::from(claimed[1].operation.id);
        fleet
            .damages(
                "UPDATE operations SET kind = $2 WHERE id = $1",
                vec![damaged, "Nothing".into()],
            )
            .await;
        fleet.advance(61);
        assert_eq!(execution::end_lost(fleet.service()).await.unwrap(), 2);
        assert_eq!(execution::end_lost(fleet.service()).await.unwrap(), 0);
        assert_eq!(fleet.count("environments WHERE held_since IS NOT NULL").await, 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_renewed_by_its_holder_as_long_as_the_operation_runs() {
    on_both_databases(|fleet| async move {
        three(&fleet).await;
        let claimed = fleet.claims(3).await;
        let [kept, stranger, over] = [0, 1, 2].map(|number: usize| claimed[number].clone());
        finish_all(fleet.service(), &everywhere(), vec![success(&over)]).await;
        fleet.advance(50);
        let asked = vec![
            (kept.operation.id, kept.lease.id),
            (stranger.operation.id, Uuid::new_v4()),
            (over.operation.id, over.lease.id),
            (OperationId(Uuid::nil()), kept.lease.id),
        ];
        let renewed = execution::renew(fleet.service(), &everywhere(), asked, fleet.now() + LEASE)
            .await
            .unwrap();
        assert_eq!(renewed, [kept.operation.id]);
        let now = fleet.looks_at(app(0), kept.operation.id).await;
        assert_eq!(now.lease_until, Some(fleet.service().clock.now() + LEASE));
        let ended = fleet.looks_at(app(0), over.operation.id).await;
        assert_eq!(ended.lease_until, None);
        fleet.advance(20);
        assert_eq!(execution::end_lost(fleet.service()).await.unwrap(), 1);
        let statuses = [&kept, &stranger].map(|claimed| fleet.looks_at(app(0), claimed.operation.id));
        let statuses = futures::future::join_all(statuses).await;
        assert_eq!(
            [statuses[0].status, statuses[1].status],
            [OperationStatus::Running, OperationStatus::Failed]
        );
    })
    .await;
}

/// Rows that two transactions lock are locked by both in the same order, also those that a claim need not have looked at.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn claims_and_renewals_never_wait_in_a_circle() {
    on_both_databases(|fleet| async move {
        let environments = 60;
        fleet.has_apps(1).await;
        for environment in 0..environments {
            fleet.has_environment(environment, 1, OPEN).await;
        }
        // Operations are in another order than the environments that a claim walks along.
        for environment in (0..environments).rev() {
            fleet.schedules(environment, 0).await;
        }
        let claimed = fleet.claims(environments).await;
        let held: Vec<_> = claimed
            .iter()
            .map(|one| (one.operation.id, one.lease.id))
            .collect();
        let (other, by) = (fleet.replica().await, everywhere());
        for _ in 0..20 {
            fleet.makes_all_due().await;
            let renewing = execution::renew(&other, &by, held.clone(), fleet.now() + LEASE);
            let (claims, renewed) = tokio::join!(claim(fleet.service(), environments), renewing);
            assert_eq!((claims.unwrap().len(), renewed.unwrap().len()), (0, environments));
        }
        drop(other);
        fleet.ends_without_deadlocks().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_hangs_up_takes_no_wake_up_along() {
    on_both_databases(|fleet| async move {
        fleet.has_apps(1).await;
        fleet.has_environment(0, 1, OPEN).await;
        let service = fleet.service();
        let mut wakeup = service.wakeup.listener();
        let mut scheduling = Box::pin(schedule(service, 0, 0));
        let has_begun = poll_fn(|context| {
            let ended = scheduling.as_mut().poll(context).is_ready();
            let begun = ended || !service.changes.is_empty();
            if begun { Poll::Ready(()) } else { Poll::Pending }
        });
        has_begun.await;
        drop(scheduling);
        tokio::time::timeout(LONG, wakeup.notified()).await.unwrap();
        assert_eq!(fleet.claims(1).await.len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_claims_is_given_nothing_but_what_belongs_to_them() {
    on_both_databases(|fleet| async move {
        fleet.has_apps(1).await;
        let mut ids = Vec::new();
        for environment in 0..3 {
            fleet.has_environment(environment, 1, OPEN).await;
            ids.push(fleet.schedules(environment, 0).await.environment_id);
        }
        let service = fleet.service();
        let (one, other) = (fleet.has_agent("one").await, fleet.has_agent("other").await);
        fleet.binds(1, &one).await;
        fleet.binds(2, &other).await;
        let claims = async |by: &AgentCaller| {
            execution::claim(service, by, OperationKind::ALL, 3, LEASE)
                .await
                .unwrap()
        };
        for (by, environment) in [(everywhere(), ids[0]), (one, ids[1]), (other, ids[2])] {
            let is_due = async || {
                execution::due_of_agents(service)
                    .await
                    .unwrap()
                    .contains_key(&by.id)
            };
            assert!(is_due().await);
            let claimed = claims(&by).await;
            let environments: Vec<_> = claimed.iter().map(|one| one.operation.environment_id).collect();
            assert_eq!(environments, [environment], "{by:?}");
            assert!(claims(&by).await.is_empty());
            assert!(!is_due().await, "{by:?}");
            let ended = finish_all(service, &by, vec![success(&claimed[0])]).await;
            assert_eq!(ended[0].as_ref().unwrap().status, OperationStatus::Succeeded);
        }
        for action in ["operations/start", "operations/end"] {
            let by_one =
                format!("audit WHERE action = '{action}' AND actor_kind = 'Agent' AND actor_name = 'one'");
            assert_eq!(fleet.count(&by_one).await, 1);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_environment_keeps_no_other_of_its_agent_from_work() {
    on_both_databases(|fleet| async move {
        fleet.has_apps(1).await;
        let agent = fleet.has_agent("one").await;
        let mut ids = Vec::new();
        for environment in 0..3 {
            fleet.has_environment(environment, 1, OPEN).await;
            ids.push(fleet.schedules(environment, 0).await.environment_id);
        }
        fleet.binds(0, &agent).await;
        fleet.binds(1, &agent).await;
        let damage = "UPDATE environments SET window_zone = $2 WHERE name = $1";
        fleet
            .damages(damage, vec![name(0).into(), "Nothing".into()])
            .await;
        let claimed = execution::claim(fleet.service(), &agent, OperationKind::ALL, 3, LEASE).await;
        let claimed: Vec<_> = claimed
            .unwrap()
            .into_iter()
            .map(|one| one.operation.environment_id)
            .collect();
        assert_eq!(claimed, [ids[1]]);
    })
    .await;
}
