//! What is delivered of what happened: all of it and in order, whatever becomes of the process in which it did.

use super::{
    OWNER,
    fleet::{
        Fleet, LEASE, OPEN, TO, app, claim, everywhere, finish_all, name, on_both_databases, schedule,
        success,
    },
    owner_asks, us,
};
use crate::{
    actions::{
        Service,
        events::{OperationState, OperationStep},
        execution::{self, Outcome, Report},
        hotfixes::update_hotfix,
    },
    error::Result,
    jobs::events::{Consumer, Delivery, TelemetryLog},
};
use domain::{ids::OperationId, instant::TICKS_PER_SECOND, version::AppVersion};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    io::{self, Write},
    sync::{Arc, Mutex},
};
use store::{StoreError, events::Event};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wire::hotfixes::HotfixPatch;

/// The application's version of the environments in which it happens.
const VERSION: AppVersion = AppVersion([26, 1, 0, 0]);

/// A consumer that remembers what it was given, and may refuse it.
#[derive(Clone, Default)]
struct Listener {
    delivered: Arc<Mutex<Vec<Event>>>,
    is_deaf: bool,
}

impl Consumer for Listener {
    const NAME: &'static str = TelemetryLog::NAME;

    async fn deliver(&self, events: &[Event]) -> Result<()> {
        // Versions and principals come about beside, to have something to work with.
        let of_operations = events.iter().filter(|event| event.operation_id.is_some());
        self.delivered.lock().unwrap().extend(of_operations.cloned());
        match self.is_deaf {
            true => Err(StoreError::Busy.into()),
            false => Ok(()),
        }
    }
}

impl Listener {
    fn steps(&self) -> Vec<(OperationId, OperationStep)> {
        let delivered = self.delivered.lock().unwrap();
        let step = |event: &Event| (event.operation_id.unwrap(), OperationStep::of(event).unwrap().1);
        delivered.iter().map(step).collect()
    }

    fn steps_of(&self, id: OperationId) -> Vec<OperationStep> {
        let of_it = self.steps().into_iter().filter(|(operation, _)| *operation == id);
        of_it.map(|(_, step)| step).collect()
    }
}

async fn deliver(service: &Arc<Service>, listener: &Listener) -> Result<bool> {
    Delivery::new(Arc::clone(service), listener.clone())
        .catch_up()
        .await
}

async fn cancels(fleet: &Fleet, id: OperationId) {
    let patch = HotfixPatch::read(br#"{"status":"Canceled"}"#).unwrap();
    let canceled = update_hotfix(fleet.service(), &owner_asks(), app(0), us(), id, patch).await;
    canceled.unwrap();
}

/// Four hotfixes: one gets lost, one is canceled, one is carried out and one fails.
async fn happen(fleet: &Fleet) -> Vec<OperationId> {
    fleet.has_apps(1).await;
    let mut ids = Vec::new();
    for environment in 0..4 {
        fleet.has_environment(environment, 1, OPEN).await;
        let sql = "UPDATE environments SET application_version = $1 WHERE name = $2";
        fleet
            .damages(sql, vec![VERSION.to_string().into(), name(environment).into()])
            .await;
        ids.push(fleet.schedules(environment, 0).await.id);
    }
    cancels(fleet, ids[1]).await;
    cancels(fleet, ids[1]).await;
    let claimed = fleet.claims(5).await;
    let of = |id: OperationId| claimed.iter().find(|claimed| claimed.operation.id == id).unwrap();
    let failure = Report {
        outcome: Outcome::Failed {
            message: "no".into(),
            cause: None,
            in_full: None,
        },
        ..success(of(ids[3]))
    };
    let reports = vec![success(of(ids[2])), failure];
    for ended in finish_all(fleet.service(), &everywhere(), reports).await {
        ended.unwrap();
    }
    fleet.advance(i64::try_from(LEASE.as_secs()).unwrap() + 1);
    assert_eq!(execution::end_lost(fleet.service()).await.unwrap(), 1);
    ids
}

fn check(listener: &Listener, ids: &[OperationId]) {
    use OperationStep::{Canceled, Failed, Scheduled, Started, Succeeded};
    assert_eq!(listener.steps_of(ids[0]), [Scheduled, Started, Failed]);
    assert_eq!(listener.steps_of(ids[1]), [Scheduled, Canceled]);
    assert_eq!(listener.steps_of(ids[2]), [Scheduled, Started, Succeeded]);
    assert_eq!(listener.steps_of(ids[3]), [Scheduled, Started, Failed]);
    assert_eq!(listener.steps().len(), 11);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_step_is_delivered_once_with_what_it_came_to() {
    on_both_databases(|fleet| async move {
        let ids = happen(&fleet).await;
        let listener = Listener::default();
        assert!(deliver(fleet.service(), &listener).await.unwrap());
        check(&listener, &ids);
        let delivered = listener.delivered.lock().unwrap().clone();
        let state = |position: usize| OperationState::read(&delivered[position]).unwrap();
        let first = state(0);
        assert_eq!(first.by, ("Application".to_owned(), OWNER.to_string()));
        assert_eq!((first.started_on, first.error_message), (None, None));
        let lost = state(10);
        assert_eq!(lost.by, ("Service".to_owned(), "executor".to_owned()));
        assert_eq!(lost.environment_name, name(0));
        assert!(lost.started_on.is_some() && lost.completed_on.is_some());
        assert!(lost.error_message.unwrap().contains("lease"));
        assert!(deliver(fleet.service(), &listener).await.unwrap());
        assert_eq!(listener.steps().len(), 11);
        let left = "events WHERE position IS NULL \
                    OR position > (SELECT position FROM event_cursors WHERE consumer = 'telemetry')";
        assert_eq!(fleet.count(left).await, 0);
    })
    .await;
}

/// What was logged, a line for each event.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn telemetry_gets_the_documented_events() {
    on_both_databases(|fleet| async move {
        happen(&fleet).await;
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().json().flatten_event(true);
        let subscriber = subscriber.with_writer(move || writer.clone()).finish();
        let _listens = tracing::subscriber::set_default(subscriber);
        let delivery = Delivery::new(Arc::clone(fleet.service()), TelemetryLog);
        assert!(delivery.catch_up().await.unwrap());
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        let logged: Vec<Value> = lines.filter(|line: &Value| !line["eventId"].is_null()).collect();
        let ids: Vec<_> = logged
            .iter()
            .map(|line| line["eventId"].as_str().unwrap())
            .collect();
        let (scheduled, canceled, started) = ("LC0155", "LC0157", "LC0158");
        assert_eq!(ids[..5], [scheduled, scheduled, scheduled, scheduled, canceled]);
        assert_eq!(ids[5..8], [started, started, started]);
        let mut ended = ids[8..10].to_vec();
        ended.sort_unstable();
        assert_eq!((ended, &ids[10..]), (vec!["LC0159", "LC0160"], &["LC0160"][..]));
        for line in &logged {
            assert_eq!(line["environmentVersion"], VERSION.to_string(), "{line}");
        }
        let applied = logged.iter().find(|line| line["eventId"] == "LC0159").unwrap();
        assert_eq!(applied["environmentName"], name(2));
        assert_eq!(applied["totalTime"], "00:00:00.0000000");
        assert_eq!(applied["extensionDestinationVersion"], TO.to_string());
        let lost = &logged[10];
        assert_eq!(
            (&lost["environmentName"], &lost["level"]),
            (&json!(name(0)), &json!("ERROR"))
        );
        assert!(lost["failureReason"].as_str().unwrap().contains("lease"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_left_undelivered_is_delivered_by_the_next_service() {
    on_both_databases(|fleet| async move {
        let ids = happen(&fleet).await;
        let fleet = fleet.after_a_crash().await;
        let listener = Listener::default();
        assert!(deliver(fleet.service(), &listener).await.unwrap());
        check(&listener, &ids);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_consumer_could_not_take_is_delivered_again() {
    on_both_databases(|fleet| async move {
        let ids = happen(&fleet).await;
        let delivered = Arc::default();
        let (deaf, listener) = (
            Listener {
                delivered: Arc::clone(&delivered),
                is_deaf: true,
            },
            Listener::default(),
        );
        let delivery = Delivery::new(Arc::clone(fleet.service()), deaf);
        for times in 1..3 {
            delivery.catch_up().await.unwrap_err();
            assert_eq!(delivered.lock().unwrap().len(), times * 11);
        }
        // Where the database is not its own, another server waits until the first may be taken for dead.
        let is_left = fleet.db().is_shared();
        assert_eq!(deliver(fleet.service(), &listener).await.unwrap(), !is_left);
        if is_left {
            // Its own clock does not count: servers may differ, the database's time is the same for all.
            fleet.service().clock.go_wrong_by(31 * TICKS_PER_SECOND);
            assert!(!deliver(fleet.service(), &listener).await.unwrap());
            let sql =
                "UPDATE event_cursors SET held_until = held_until - 310000000 WHERE held_by IS NOT NULL";
            fleet.damages(sql, Vec::new()).await;
        }
        assert!(deliver(fleet.service(), &listener).await.unwrap());
        check(&listener, &ids);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_servers_deliver_each_event_once_while_more_happens() {
    on_both_databases(|fleet| async move {
        fleet.has_apps(1).await;
        let listener = Listener::default();
        let environments = 40;
        for environment in 0..environments {
            fleet.has_environment(environment, 1, OPEN).await;
        }
        let stop = CancellationToken::new();
        let mut servers = JoinSet::new();
        // A database in a file belongs to one of them.
        for _ in 0..if fleet.db().is_shared() { 3 } else { 1 } {
            let delivery = Delivery::new(fleet.replica().await, listener.clone());
            let stop = stop.clone();
            servers.spawn(async move {
                while !stop.is_cancelled() {
                    delivery.catch_up().await.unwrap();
                    tokio::task::yield_now().await;
                }
            });
        }
        let mut happening = JoinSet::new();
        for part in 0..4 {
            let service = fleet.replica().await;
            happening.spawn(async move {
                for environment in (part..environments).step_by(4) {
                    schedule(&service, environment, 0).await.unwrap();
                    let claimed = claim(&service, 4).await.unwrap();
                    let reports = claimed.iter().map(success).collect();
                    for ended in finish_all(&service, &everywhere(), reports).await {
                        ended.unwrap();
                    }
                }
            });
        }
        happening.join_all().await;
        stop.cancel();
        servers.join_all().await;
        assert!(deliver(fleet.service(), &listener).await.unwrap());
        let mut all: HashMap<_, Vec<_>> = HashMap::new();
        for (id, step) in listener.steps() {
            all.entry(id).or_default().push(step);
        }
        assert_eq!(all.len(), environments);
        let steps = [
            OperationStep::Scheduled,
            OperationStep::Started,
            OperationStep::Succeeded,
        ];
        for delivered in all.values() {
            assert!(
                steps.starts_with(delivered) && !delivered.is_empty(),
                "{delivered:?}"
            );
        }
        let ended = fleet.count("operations WHERE status = 'Succeeded'").await;
        let whole = all.values().filter(|steps| steps.len() == 3).count();
        assert_eq!(i64::try_from(whole).unwrap(), ended);
    })
    .await;
}
