//! Agents at work: what they are told of when answers get lost, when they are woken, and that nothing is carried out
//! twice or forgotten, whatever they and the clock do. On both databases.

use super::fleet::{CLOSED, Fleet, OPEN, TO, app, key, name, on_both_databases, schedule};
use crate::{
    actions::{
        Service,
        agents::AgentCaller,
        environments::release_environment,
        execution,
        preconditions::Preconditions,
        tests::{TENANT, owner_asks},
        work::given::Work,
        work::{WorkRequest, claim_operations, finish_operation, hashed, renew_operation, while_held},
    },
    blobs::{BlobError, ByteStream},
    error::{Error, Result},
    jobs::{claims, signals},
};
use bytes::Bytes;
use domain::{
    ids::OperationId,
    operation::{FailureCause, OperationStatus},
    problem::Code,
};
use futures::{StreamExt, TryStreamExt, future::join_all, stream};
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestRunner},
};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};
use store::{Value, hotfixes::Operation};
use test_support::{
    postgres_cluster::{self, PostgresCluster},
    postgres_proxy::PostgresProxy,
};
use tokio::{runtime::Runtime, sync::Notify, task::JoinHandle};
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;
use wire::agent::{ClaimRequest, Finish, Progress, Renewal};

/// What does not come about within this time never does.
const LONG: Duration = Duration::from_secs(60);

fn asks(max: u32, wait_seconds: u32, holding: &[OperationId]) -> WorkRequest {
    let request = ClaimRequest {
        max,
        wait_seconds,
        holding: holding.iter().map(|id| id.0).collect(),
        kinds: Vec::new(),
    };
    WorkRequest::read(request).unwrap()
}

async fn claims(service: &Service, agent: &AgentCaller, most: u32, holding: &[OperationId]) -> Work {
    let request = asks(most, 0, holding);
    claim_operations(service, agent, &request, || {}).await.unwrap()
}

fn given(work: &Work) -> Vec<OperationId> {
    work.given.iter().map(|given| given.operation.id).collect()
}

/// A claim of one operation that waits; it has begun to.
async fn waits(service: &Arc<Service>, agent: &AgentCaller) -> JoinHandle<Work> {
    waits_for(service, agent, 60).await
}

async fn waits_for(service: &Arc<Service>, agent: &AgentCaller, seconds: u32) -> JoinHandle<Work> {
    let (service, agent) = (Arc::clone(service), agent.clone());
    let parked = Arc::new(Notify::new());
    let tell = Arc::clone(&parked);
    let waiting = tokio::spawn(async move {
        let request = asks(1, seconds, &[]);
        let claimed = claim_operations(&service, &agent, &request, || tell.notify_one());
        claimed.await.unwrap()
    });
    parked.notified().await;
    waiting
}

/// Starts what looks for work on behalf of all claims of a service, and what hears of work made elsewhere.
fn looks(service: &Arc<Service>) -> DropGuard {
    let stop = CancellationToken::new();
    tokio::spawn(claims::run(Arc::clone(service), stop.clone()));
    tokio::spawn(signals::run(Arc::clone(service), stop.clone()));
    stop.drop_guard()
}

fn succeeded(lease_id: Uuid) -> Finish {
    Finish {
        lease_id,
        status: "Succeeded".into(),
        error_message: None,
        failure_cause: None,
        installed_version: Some(TO.to_string()),
    }
}

fn code<T>(refused: Result<T>) -> Code {
    match refused {
        Err(Error::Rule(problem)) => problem.code,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was not refused"),
    }
}

/// An agent, and environments that belong to it, each with a hotfix that is due.
async fn with_work(fleet: &Fleet, environments: usize) -> AgentCaller {
    fleet.has_apps(1).await;
    let agent = fleet.has_agent("one").await;
    for environment in 0..environments {
        fleet.has_environment(environment, 1, OPEN).await;
        fleet.binds(environment, &agent).await;
        fleet.schedules(environment, 0).await;
    }
    agent
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_agent_did_not_hear_of_it_is_told_again_and_of_what_it_lost_nothing() {
    on_both_databases(|fleet| async move {
        let agent = with_work(&fleet, 3).await;
        let service = fleet.service();
        let unheard = claims(service, &agent, 2, &[]).await;
        fleet.advance(200);
        let again = claims(service, &agent, 3, &[]).await;
        assert_eq!(again.given.len(), 3);
        assert_eq!(given(&again)[..2], given(&unheard)[..]);
        assert_eq!(again.given[0].lease_id, unheard.given[0].lease_id);
        // What was told again is held anew from then on.
        fleet.advance(200);
        assert_eq!(execution::end_lost(service).await.unwrap(), 0);
        let holding = given(&again);
        let nothing = claims(service, &agent, 3, &holding).await;
        assert!(nothing.given.is_empty());

        fleet.advance(101);
        assert_eq!(execution::end_lost(service).await.unwrap(), 3);
        let nothing = claims(service, &agent, 3, &holding).await;
        assert!(nothing.given.is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_waiting_claim_is_woken_by_work_wherever_it_is_made_and_when_it_becomes_due() {
    for url in [None, Some(postgres_cluster::database_url())] {
        let is_shared = url.is_some();
        // Only a signal wakes anybody within the hour.
        let fleet = Fleet::on_with(url, &[("executor.poll_seconds", "3600")]).await;
        fleet.has_apps(1).await;
        let agent = fleet.has_agent("one").await;
        for (environment, window) in [OPEN, OPEN, CLOSED].into_iter().enumerate() {
            fleet.has_environment(environment, 1, window).await;
            fleet.binds(environment, &agent).await;
        }
        let service = fleet.service();
        let _looks = looks(service);
        let woken = async |waiting: JoinHandle<Work>, environment: usize| {
            let begun = Instant::now();
            let work = tokio::time::timeout(LONG, waiting).await.unwrap().unwrap();
            assert_eq!(work.given[0].operation.environment_name, name(environment));
            assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
            let Work { given, .. } = work;
            let (id, lease_id) = (given[0].operation.id, given[0].lease_id);
            finish_operation(service, &agent, id, succeeded(lease_id))
                .await
                .unwrap();
        };

        let waiting = waits(service, &agent).await;
        schedule(service, 0, 0).await.unwrap();
        woken(waiting, 0).await;
        if is_shared {
            let other = fleet.replica().await;
            let _looks = looks(&other);
            let waiting = waits(&other, &agent).await;
            schedule(service, 1, 0).await.unwrap();
            woken(waiting, 1).await;
        }
        schedule(service, 2, 0).await.unwrap();
        let waiting = waits(service, &agent).await;
        fleet.advance(8 * 3_600 - 1);
        assert!(!waiting.is_finished());
        fleet.advance(1);
        woken(waiting, 2).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn for_one_who_hung_up_nothing_is_started() {
    on_both_databases(|fleet| async move {
        fleet.has_apps(1).await;
        let agent = fleet.has_agent("one").await;
        fleet.has_environment(0, 1, OPEN).await;
        fleet.binds(0, &agent).await;
        let service = fleet.service();
        let _looks = looks(service);
        let waiting = waits(service, &agent).await;
        waiting.abort();
        assert!(waiting.await.unwrap_err().is_cancelled());
        assert!(service.waiting.agents().is_empty());
        fleet.schedules(0, 0).await;
        assert_eq!(fleet.count("operations WHERE status = 'Running'").await, 0);
        assert_eq!(claims(service, &agent, 1, &[]).await.given.len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn claims_that_wait_ask_the_database_nothing() {
    let cluster = PostgresCluster::shared();
    let proxy = PostgresProxy::to(cluster).await;
    let fleet = Fleet::on(Some(proxy.url_of(&cluster.new_database().await))).await;
    let mut agents = Vec::new();
    for number in 0..200 {
        agents.push(fleet.has_agent(&format!("agent {number}")).await);
    }
    let service = fleet.service();
    let looks = looks(service);
    let waiting = join_all(agents.iter().map(|agent| waits_for(service, agent, 10))).await;
    assert_eq!(service.waiting.agents().len(), agents.len());
    // Whoever asks the database from now on gets no answer.
    proxy.freeze();
    drop(looks);
    for claim in waiting {
        let work = tokio::time::timeout(LONG, claim).await.unwrap().unwrap();
        assert!(work.given.is_empty());
    }
    proxy.release();
}

#[tokio::test(flavor = "multi_thread")]
async fn frozen_agents_and_processes_that_were_replaced_are_given_nothing() {
    on_both_databases(|fleet| async move {
        let agent = with_work(&fleet, 1).await;
        let service = fleet.service();
        let mut before = agent.clone();
        before.session_id = Uuid::new_v4();
        let replaced = before.clone();
        assert!(claims(service, &replaced, 1, &[]).await.given.is_empty());
        let id = agent.id;
        let freeze = "UPDATE agents SET frozen_on = $2 WHERE id = $1";
        fleet.damages(freeze, vec![id.into(), Value::Int(1)]).await;
        assert!(claims(service, &agent, 1, &[]).await.given.is_empty());
        assert_eq!(fleet.count("operations WHERE status = 'Running'").await, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_counts_once_and_a_late_one_is_only_written_down() {
    on_both_databases(|fleet| async move {
        let agent = with_work(&fleet, 3).await;
        let other = fleet.has_agent("other").await;
        let service = fleet.service();
        let work = claims(service, &agent, 3, &[]).await;
        let [ends, lost, fails] = &work.given[..] else {
            panic!("three were due");
        };
        let (id, lease_id) = (ends.operation.id, ends.lease_id);
        let finish = async |by: &AgentCaller, id: OperationId, finish: Finish| {
            finish_operation(service, by, id, finish).await
        };
        // Nobody else ends it, and it does not succeed with another version.
        assert_eq!(
            code(finish(&other, id, succeeded(lease_id)).await),
            Code::LeaseLost
        );
        assert_eq!(
            code(finish(&agent, id, succeeded(Uuid::new_v4())).await),
            Code::LeaseLost
        );
        for installed in [None, Some("16.0.0.1"), Some("one")] {
            let wrong = Finish {
                installed_version: installed.map(str::to_owned),
                ..succeeded(lease_id)
            };
            assert_eq!(code(finish(&agent, id, wrong).await), Code::InvalidInput);
        }
        for status in ["Running", "Done"] {
            let wrong = Finish {
                status: status.into(),
                ..succeeded(lease_id)
            };
            assert_eq!(code(finish(&agent, id, wrong).await), Code::InvalidInput);
        }
        for _ in 0..2 {
            let ended = finish(&agent, id, succeeded(lease_id)).await.unwrap();
            assert_eq!(ended.status, OperationStatus::Succeeded);
        }
        let failed = |lease_id, message: &str, cause: &str| Finish {
            lease_id,
            status: "Failed".into(),
            error_message: Some(message.into()),
            failure_cause: Some(cause.into()),
            installed_version: None,
        };
        let contradicts = finish(&agent, id, failed(lease_id, "no", "Lock")).await;
        assert_eq!(code(contradicts), Code::LeaseLost);

        let words = format!("no\0 Password=hunter2 {}é", "x".repeat(32 * 1024));
        let (id, lease_id) = (fails.operation.id, fails.lease_id);
        let unsaid = finish(&agent, id, failed(lease_id, " ", "Lock")).await;
        assert_eq!(code(unsaid), Code::InvalidInput);
        finish(&agent, id, failed(lease_id, &words, "Sunspots"))
            .await
            .unwrap();
        let kept = fleet.looks_at(app(0), id).await;
        assert_eq!(kept.failure_cause, Some(FailureCause::Other));
        let message = kept.error_message.unwrap();
        assert!(
            message.starts_with("no\u{FFFD} Password=*** x") && message.ends_with('x'),
            "{}",
            message.len()
        );
        let told = r#"events WHERE kind = 'hotfix.failed' AND payload LIKE '%"failureCause":"Other"%'"#;
        assert_eq!(fleet.count(told).await, 1);
        assert_eq!(fleet.count("audit WHERE after_state LIKE '%hunter2%'").await, 0);

        fleet.advance(301);
        assert_eq!(execution::end_lost(service).await.unwrap(), 1);
        let (id, lease_id) = (lost.operation.id, lost.lease_id);
        let renewal = Renewal {
            lease_id,
            progress: None,
        };
        let renewed = renew_operation(service, &agent, id, renewal).await;
        assert_eq!(code(renewed), Code::LeaseLost);
        let late = finish(&agent, id, failed(lease_id, "It broke.", "Lock")).await;
        assert_eq!(code(late), Code::LeaseLost);
        let written = "audit WHERE action = 'operations/lateReport' AND actor_name = 'one'";
        // By another lease, otherwise than before, and after the lease.
        assert_eq!(fleet.count(written).await, 3);
        assert_eq!(
            fleet
                .count(&format!("{written} AND after_state LIKE '%It broke.%'"))
                .await,
            1
        );
        let by_others = "audit WHERE action = 'operations/lateReport' AND actor_name = 'other'";
        assert_eq!(fleet.count(by_others).await, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_kept_by_whoever_holds_the_operation() {
    on_both_databases(|fleet| async move {
        let agent = with_work(&fleet, 1).await;
        let other = fleet.has_agent("other").await;
        let service = fleet.service();
        let work = claims(service, &agent, 1, &[]).await;
        let (id, lease_id) = (work.given[0].operation.id, work.given[0].lease_id);
        let says = async |by: &AgentCaller, percent: u8| {
            let progress = Progress {
                percent: Some(percent),
                step: Some("Publish".into()),
                text: Some(format!("Bearer abcdefgh12345 {}", "y".repeat(5_000))),
            };
            let renewal = Renewal {
                lease_id,
                progress: Some(progress),
            };
            renew_operation(service, by, id, renewal).await
        };
        fleet.advance(250);
        assert_eq!(code(says(&other, 30).await), Code::LeaseLost);
        assert_eq!(code(says(&agent, 101).await), Code::InvalidInput);
        assert_eq!(says(&agent, 40).await.unwrap(), Duration::from_secs(300));
        let Operation {
            progress_percent,
            progress_step,
            progress_text,
            progress_on,
            agent_name,
            lease_until,
            ..
        } = fleet.looks_at(app(0), id).await;
        assert_eq!(
            (progress_percent, progress_step.as_deref(), agent_name.as_deref()),
            (Some(40), Some("Publish"), Some("one"))
        );
        let text = progress_text.unwrap();
        assert_eq!(text.len(), 4_096);
        assert!(text.starts_with("Bearer *** y"), "{text}");
        assert_eq!(progress_on, Some(fleet.now()));
        assert_eq!(lease_until, Some(fleet.now() + Duration::from_secs(300)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_some_customers_vendors_learn_the_cause_only() {
    let tenants = json!([TENANT.to_string()]).to_string();
    let fleet = Fleet::on_with(None, &[("agents.only_cause_to_vendor", &tenants)]).await;
    let agent = with_work(&fleet, 1).await;
    let service = fleet.service();
    let work = claims(service, &agent, 1, &[]).await;
    let (id, lease_id) = (work.given[0].operation.id, work.given[0].lease_id);
    let renewal = Renewal {
        lease_id,
        progress: Some(Progress {
            text: Some("Customer 10000".into()),
            ..Progress::default()
        }),
    };
    renew_operation(service, &agent, id, renewal).await.unwrap();
    let failed = Finish {
        lease_id,
        status: "Failed".into(),
        error_message: Some("Customer 10000 has no name.".into()),
        failure_cause: Some("UpgradeCode".into()),
        installed_version: None,
    };
    for _ in 0..2 {
        finish_operation(service, &agent, id, failed.clone())
            .await
            .unwrap();
    }
    let told = fleet.looks_at(app(0), id).await;
    assert_eq!(
        told.error_message.as_deref(),
        Some("UpgradeCode: The operator of the service knows more.")
    );
    assert_eq!(
        (told.failure_cause, told.progress_text),
        (Some(FailureCause::UpgradeCode), None)
    );
    assert_eq!(fleet.count("events WHERE payload LIKE '%10000%'").await, 0);
    let kept = "audit WHERE action = 'operations/end' AND after_state LIKE '%Customer 10000 has no name.%'";
    assert_eq!(fleet.count(kept).await, 1);
}

/// A download of which something has come and something is still to come.
fn begun() -> ByteStream {
    let first = stream::iter([Ok(Bytes::from_static(b"first"))]);
    Box::pin(first.chain(stream::pending()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_ends_within_five_seconds_after_the_lease_or_the_agent_was_frozen() {
    for freezes in [false, true] {
        on_both_databases(|fleet| async move {
            let agent = with_work(&fleet, 1).await;
            let service = fleet.service();
            let work = claims(service, &agent, 1, &[]).await;
            let id = work.given[0].operation.id;
            let mut bytes = while_held(begun(), Arc::clone(service), agent.clone(), id);
            assert_eq!(bytes.next().await.unwrap().unwrap(), "first");
            if freezes {
                let freeze = "UPDATE agents SET frozen_on = $2 WHERE id = $1";
                fleet.damages(freeze, vec![agent.id.into(), Value::Int(1)]).await;
            } else {
                fleet.advance(301);
            }
            let ended = tokio::time::timeout(Duration::from_secs(5), bytes.next()).await;
            assert!(matches!(ended, Ok(Some(Err(BlobError::Withdrawn)))), "{ended:?}");
        })
        .await;
    }
}

#[tokio::test]
async fn the_last_bytes_of_a_changed_package_are_not_sent() {
    let sent = |expected: &[u8]| {
        let chunks = ["ab", "c"].map(|chunk| Ok(Bytes::from_static(chunk.as_bytes())));
        hashed(Box::pin(stream::iter(chunks)), Sha256::digest(expected).into())
    };
    assert_eq!(
        sent(b"abc").try_collect::<Vec<_>>().await.unwrap().concat(),
        b"abc"
    );
    let all: Vec<_> = sent(b"xyz").collect().await;
    assert!(matches!(&all[..], [Ok(_), Err(BlobError::Changed)]), "{all:?}");
}

#[derive(Clone, Debug)]
enum Step {
    Claims {
        agent: usize,
        most: u32,
        is_answer_lost: bool,
    },
    Renews(usize),
    Finishes {
        agent: usize,
        which: usize,
        times: usize,
    },
    /// It knows of nothing any more that it was at.
    Forgets(usize),
    TimePasses(i64),
}

const AGENTS: usize = 2;
const PLACES: usize = 4;
const WISHES: usize = 2;

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..AGENTS, 0..4_u32, prop::bool::weighted(0.3))
            .prop_map(|(agent, most, is_answer_lost)| Step::Claims { agent, most, is_answer_lost }),
        2 => (0..AGENTS).prop_map(Step::Renews),
        5 => (0..AGENTS, any::<usize>(), 1..3_usize)
            .prop_map(|(agent, which, times)| Step::Finishes { agent, which, times }),
        1 => (0..AGENTS).prop_map(Step::Forgets),
        2 => prop::sample::select(vec![100, 250, 301]).prop_map(Step::TimePasses),
    ]
}

/// Two agents as they see their work.
struct Agents {
    fleet: Fleet,
    agents: Vec<AgentCaller>,
    held: Vec<BTreeMap<OperationId, Uuid>>,
    /// Whom each operation was given to.
    given_to: HashMap<OperationId, usize>,
}

impl Agents {
    async fn on(url: Option<String>) -> Self {
        let fleet = Fleet::on(url).await;
        fleet.has_apps(WISHES).await;
        let mut agents = Vec::new();
        for number in 0..AGENTS {
            agents.push(fleet.has_agent(&format!("agent {number}")).await);
        }
        for place in 0..PLACES {
            fleet.has_environment(place, WISHES, OPEN).await;
            fleet.binds(place, &agents[place % AGENTS]).await;
            for of in 0..WISHES {
                fleet.schedules(place, of).await;
            }
        }
        Self {
            fleet,
            agents,
            held: vec![BTreeMap::new(); AGENTS],
            given_to: HashMap::new(),
        }
    }

    async fn take(&mut self, step: &Step) {
        match *step {
            Step::Claims {
                agent,
                most,
                is_answer_lost,
            } => self.claim(agent, most, is_answer_lost).await,
            Step::Renews(agent) => {
                for (id, lease_id) in self.held[agent].clone() {
                    let renewal = Renewal {
                        lease_id,
                        progress: None,
                    };
                    let by = &self.agents[agent];
                    if let Err(refused) = renew_operation(self.fleet.service(), by, id, renewal).await {
                        assert_eq!(code::<()>(Err(refused)), Code::LeaseLost);
                        self.held[agent].remove(&id);
                    }
                }
            }
            Step::Finishes { agent, which, times } => {
                let held: Vec<_> = self.held[agent].keys().copied().collect();
                if let Some(index) = which.checked_rem(held.len()) {
                    self.finish(agent, held[index], times).await;
                }
            }
            Step::Forgets(agent) => self.held[agent].clear(),
            Step::TimePasses(seconds) => {
                self.fleet.advance(seconds);
                execution::end_lost(self.fleet.service()).await.unwrap();
            }
        }
    }

    async fn claim(&mut self, agent: usize, most: u32, is_answer_lost: bool) {
        let holding: Vec<_> = self.held[agent].keys().copied().collect();
        let work = claims(self.fleet.service(), &self.agents[agent], most, &holding).await;
        for one in &work.given {
            let id = one.operation.id;
            let before = self.given_to.insert(id, agent);
            assert!(
                before.is_none_or(|before| before == agent),
                "{id} was given to both"
            );
            assert!(!holding.contains(&id), "{id} was told of though it is known");
        }
        if is_answer_lost {
            return;
        }
        let given = work.given.into_iter();
        self.held[agent].extend(given.map(|one| (one.operation.id, one.lease_id)));
    }

    async fn finish(&mut self, agent: usize, id: OperationId, times: usize) {
        let lease_id = self.held[agent].remove(&id).unwrap();
        for _ in 0..times {
            let by = &self.agents[agent];
            match finish_operation(self.fleet.service(), by, id, succeeded(lease_id)).await {
                Ok(ended) => assert_eq!(ended.status, OperationStatus::Succeeded),
                refused => assert_eq!(code(refused), Code::LeaseLost),
            }
        }
    }

    /// Everybody goes on until nothing is left to do, and somebody looks after environments that are held.
    async fn come_to_an_end(&mut self) {
        for _ in 0..=PLACES * WISHES {
            for place in 0..PLACES {
                let service = self.fleet.service();
                drop(release_environment(service, &owner_asks(), key(place), Preconditions::default()).await);
            }
            for agent in 0..AGENTS {
                self.claim(agent, 250, false).await;
                for id in self.held[agent].clone().into_keys() {
                    self.finish(agent, id, 1).await;
                }
            }
        }
    }

    async fn is_done_once(&self) {
        let all = i64::try_from(PLACES * WISHES).unwrap();
        let ended = "operations WHERE status IN ('Succeeded', 'Failed')";
        assert_eq!(self.fleet.count(ended).await, all, "nothing is forgotten");
        for action in ["operations/start", "operations/end"] {
            let rows = format!("audit WHERE action = '{action}'");
            let targets = format!("(SELECT DISTINCT target FROM {rows}) AS targets");
            let counted = (self.fleet.count(&rows).await, self.fleet.count(&targets).await);
            assert_eq!(counted, (all, all), "{action}");
        }
        let astray =
            "operations o, environments e WHERE o.environment_id = e.id AND o.agent_id <> e.agent_id";
        assert_eq!(self.fleet.count(astray).await, 0);
    }
}

#[test]
fn two_agents_do_everything_once_whatever_gets_lost() {
    let runtime = Runtime::new().unwrap();
    for (cases, is_shared) in [(12, false), (4, true)] {
        let config = Config {
            cases,
            failure_persistence: None,
            max_shrink_iters: 50,
            ..Config::default()
        };
        let walked = TestRunner::new(config).run(&vec(step(), 5..30), |steps| {
            runtime.block_on(async {
                let mut agents = Agents::on(is_shared.then(postgres_cluster::database_url)).await;
                for step in &steps {
                    agents.take(step).await;
                }
                agents.come_to_an_end().await;
                agents.is_done_once().await;
            });
            Ok(())
        });
        walked.unwrap();
    }
}
