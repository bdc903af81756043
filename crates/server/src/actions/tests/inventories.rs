//! What agents report, when two report at once, too late, too much, or again. On both databases.

use super::{
    NOW, TENANT,
    fleet::{self, FROM, Fleet, OPEN, TO, app, key, name, on_both_databases, success},
    owner_asks,
};
use crate::{
    actions::{
        Arrival,
        agents::{AgentCaller, Credential, rebind_environment},
        environments::{delete_environment, get_registered_environment, release_environment, window_text},
        execution::{self, Claimed},
        inventory::{patch_inventory, put_inventory, remove_missing},
        preconditions::Preconditions,
    },
    error::{Error, Result},
};
use domain::{
    agent::AgentScope,
    environment::{AppScope, EnvironmentKind},
    ids::{Etag, TenantId},
    inventory::{MOST_APPS, MOST_ENVIRONMENTS},
    operation::{OperationKind, OperationStatus},
    problem::{Code, RuleError},
    version::AppVersion,
    window::UpdateWindow,
};
use proptest::{
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};
use std::{collections::BTreeMap, time::Duration};
use store::{
    agents::{Agent, FormerSessions, Recorded, insert_agent},
    environments::{Environment, update_environments},
};
use test_support::postgres_cluster;
use tokio::runtime::Runtime;
use uuid::Uuid;
use wire::agent::{
    EnvironmentName, Inventory, InventoryResult, ReportedApp, ReportedEnvironment, ReportedWindow,
};

const DAY: i64 = 24 * 3600;
/// What `agents.remove_missing_hours` is when nobody says otherwise.
const REMOVED_AFTER: Duration = Duration::from_secs(24 * 3600);

fn ours() -> AgentScope {
    AgentScope {
        tenants: Some([TENANT].into()),
        ..AgentScope::default()
    }
}

async fn has_agent(fleet: &Fleet, called: &str, scope: AgentScope) -> AgentCaller {
    let session_id = Uuid::new_v4();
    let agent = Agent {
        id: Uuid::now_v7(),
        name: called.to_owned(),
        scope,
        scope_reason: None,
        serves_unreported: false,
        identity: Some(fleet::identity_of(session_id)),
        created_on: NOW,
        code_sha256: None,
        code_until: None,
        token_sha256: None,
        token_until: None,
        token_used: false,
        former_token_sha256: None,
        former_token_until: None,
        lost_token_sha256: None,
        session_id: Some(session_id),
        former_sessions: FormerSessions::default(),
        frozen_on: None,
        frozen_reason: None,
        last_seen_on: None,
        software: None,
        is_ready: None,
        inventory_sequence: 0,
        inventory_on: None,
        counted_since: None,
        gained: 0,
        recorded: Recorded::default(),
        etag: Etag::random(),
    };
    let id = agent.id;
    let added = fleet.db().write(agent, |mut tx, agent| {
        Box::pin(async move { insert_agent(&mut tx, agent).await })
    });
    added.await.unwrap();
    AgentCaller {
        id,
        name: called.to_owned(),
        credential: Credential::Identity(fleet::identity_of(session_id)),
        session_id,
        arrival: Arrival::direct(),
    }
}

fn called(name: &str) -> EnvironmentName {
    EnvironmentName {
        aad_tenant_id: TENANT.0,
        application_family: "Business Central".into(),
        name: name.into(),
    }
}

/// An environment with app 0 in that version.
fn found(name: &str, version: AppVersion) -> ReportedEnvironment {
    ReportedEnvironment {
        environment: called(name),
        country_code: "US".into(),
        kind: "Production".into(),
        location_name: Some("Rack 7".into()),
        application_version: Some("26.0.0.0".into()),
        platform_version: None,
        web_client_url: None,
        web_service_url: None,
        window: Some(ReportedWindow {
            start: OPEN.0.into(),
            end: OPEN.1.into(),
            time_zone: "UTC".into(),
        }),
        inventory_complete: true,
        apps: vec![installed(0, version)],
    }
}

fn installed(number: usize, version: AppVersion) -> ReportedApp {
    ReportedApp {
        id: app(number).0,
        version: version.to_string(),
        name: Some("Sales".into()),
        publisher: Some("Contoso".into()),
        scope: None,
        can_be_uninstalled: None,
    }
}

fn numbered(numbers: impl IntoIterator<Item = usize>) -> Vec<ReportedEnvironment> {
    numbers
        .into_iter()
        .map(|number| found(&name(number), FROM))
        .collect()
}

fn inventory(sequence: i64, environments: Vec<ReportedEnvironment>) -> Inventory {
    Inventory {
        sequence,
        environments,
        ..Inventory::default()
    }
}

fn meant(sequence: i64, environments: Vec<ReportedEnvironment>) -> Inventory {
    Inventory {
        confirm: true,
        ..inventory(sequence, environments)
    }
}

/// What the agent takes on, so many at most.
async fn claims(fleet: &Fleet, agent: &AgentCaller, most: usize) -> Vec<Claimed> {
    let claimed = execution::claim(fleet.service(), agent, OperationKind::ALL, most, fleet::LEASE);
    claimed.await.unwrap()
}

async fn puts(fleet: &Fleet, agent: &AgentCaller, inventory: Inventory) -> InventoryResult {
    put_inventory(fleet.service(), agent, inventory).await.unwrap()
}

async fn patches(fleet: &Fleet, agent: &AgentCaller, inventory: Inventory) -> InventoryResult {
    patch_inventory(fleet.service(), agent, inventory).await.unwrap()
}

fn counts(result: &InventoryResult) -> [u64; 4] {
    [result.added, result.changed, result.unchanged, result.missing]
}

fn refusals(result: &InventoryResult) -> Vec<(&str, &str)> {
    let refused = result.refused.iter();
    refused
        .map(|one| (one.environment.name.as_str(), one.code.as_str()))
        .collect()
}

fn problem<T: std::fmt::Debug>(outcome: Result<T>) -> RuleError {
    match outcome {
        Err(Error::Rule(problem)) => problem,
        other => panic!("{other:?}"),
    }
}

async fn known(fleet: &Fleet, number: usize) -> Option<Environment> {
    match get_registered_environment(fleet.service(), &key(number)).await {
        Ok((entry, _)) => Some(entry.environment),
        Err(Error::Rule(problem)) if problem.code == Code::EnvironmentNotFound => None,
        Err(error) => panic!("{error}"),
    }
}

async fn version_in(fleet: &Fleet, number: usize) -> AppVersion {
    let (_, apps) = get_registered_environment(fleet.service(), &key(number))
        .await
        .unwrap();
    apps[0].version
}

/// What drift was written down, in the order in which it was found.
async fn drift(fleet: &Fleet) -> Vec<String> {
    let audit = fleet
        .db()
        .query("SELECT after_state FROM audit WHERE action = 'environments/drift' ORDER BY recorded_on, id");
    let rows: Vec<(String,)> = audit.fetch_all().await.unwrap();
    let kind = |(after,): (String,)| {
        let after: serde_json::Value = serde_json::from_str(&after).unwrap();
        let contradicts = after["contradicts"]
            .as_str()
            .map(|_| " contradicts")
            .unwrap_or_default();
        format!("{}{contradicts}", after["kind"].as_str().unwrap())
    };
    rows.into_iter().map(kind).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_agent_reports_is_what_there_is_and_costs_nothing_when_nothing_changed() {
    on_both_databases(|fleet| async move {
        let agent = has_agent(&fleet, "hoster", ours()).await;
        let first = puts(&fleet, &agent, inventory(1, numbered(0..3))).await;
        assert_eq!(counts(&first), [3, 0, 0, 0]);
        assert_eq!((first.refused.len(), first.warnings.len()), (0, 0));
        let (entry, apps) = get_registered_environment(fleet.service(), &key(1))
            .await
            .unwrap();
        let environment = entry.environment;
        assert_eq!(entry.agent.as_deref(), Some("hoster"));
        assert_eq!(environment.agent_id, Some(agent.id));
        assert_eq!(environment.location_name, "Rack 7");
        assert_eq!((apps.len(), apps[0].version), (1, FROM));
        assert_eq!(apps[0].name.as_deref(), Some("Sales"));

        let audited = fleet.count("audit").await;
        fleet.advance(60);
        let again = puts(&fleet, &agent, inventory(2, numbered(0..3))).await;
        assert_eq!(counts(&again), [0, 0, 3, 0]);
        assert_eq!(
            known(&fleet, 1).await.unwrap(),
            environment,
            "not even its tag is new"
        );
        assert_eq!(fleet.count("audit").await, audited);

        let mut changed = numbered(0..3);
        changed[1].location_name = Some("Rack 8".into());
        changed[2].apps.push(installed(1, TO));
        let third = puts(&fleet, &agent, inventory(3, changed)).await;
        assert_eq!(counts(&third), [0, 2, 1, 0]);
        assert_eq!(
            fleet.count("installations WHERE location_name = 'Rack 8'").await,
            1
        );
        assert_eq!(fleet.count("installations").await, 4);
        assert_eq!(
            fleet
                .count("audit WHERE actor_kind = 'Agent' AND actor_name = 'hoster'")
                .await,
            5
        );
        assert_eq!(drift(&fleet).await, Vec::<String>::new());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_outside_the_scope_is_refused_and_the_rest_is_taken() {
    on_both_databases(|fleet| async move {
        let agent = has_agent(&fleet, "hoster", ours()).await;
        let mut abroad = found("Abroad", FROM);
        abroad.environment.aad_tenant_id = TenantId::random().0;
        let taken = puts(&fleet, &agent, inventory(1, vec![abroad, found(&name(0), FROM)])).await;
        assert_eq!(refusals(&taken), [("Abroad", "OutOfScope")]);
        assert_eq!(counts(&taken), [1, 0, 0, 0]);
        assert_eq!(fleet.count("environments").await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_stays_with_the_agent_that_reported_it_first() {
    on_both_databases(|fleet| async move {
        let first = has_agent(&fleet, "first", ours()).await;
        let second = has_agent(&fleet, "second", ours()).await;
        puts(&fleet, &first, inventory(1, numbered(0..1))).await;
        let mut theirs = numbered(0..2);
        theirs[0].apps = vec![installed(0, TO)];
        let taken = puts(&fleet, &second, inventory(1, theirs)).await;
        assert_eq!(refusals(&taken), [(name(0).as_str(), "BoundElsewhere")]);
        assert_eq!(counts(&taken), [1, 0, 0, 0]);
        assert_eq!(known(&fleet, 0).await.unwrap().agent_id, Some(first.id));
        assert_eq!(version_in(&fleet, 0).await, FROM);
        // That is told of once.
        let told = async || {
            let written = fleet
                .count("audit WHERE action = 'environments/boundElsewhere'")
                .await;
            let told = fleet
                .count("events WHERE kind = 'environment.boundElsewhere'")
                .await;
            assert_eq!(written, told);
            told
        };
        let report = |sequence| Inventory {
            sequence,
            environments: numbered(0..1),
            ..Inventory::default()
        };
        assert_eq!(told().await, 1);
        patches(&fleet, &second, report(2)).await;
        let unchanged = puts(&fleet, &first, inventory(2, numbered(0..1))).await;
        assert_eq!((counts(&unchanged), told().await), ([0, 0, 1, 0], 1));
        let gone = Inventory {
            sequence: 3,
            gone: vec![called(&name(0)), called("Nobody's")],
            ..Inventory::default()
        };
        let taken = patches(&fleet, &second, gone).await;
        assert_eq!(refusals(&taken), [(name(0).as_str(), "BoundElsewhere")]);
        assert_eq!(known(&fleet, 0).await.unwrap().missing_since, None);
        // Nor does a full set speak for what others have.
        let taken = puts(&fleet, &second, meant(4, Vec::new())).await;
        assert_eq!(counts(&taken), [0, 0, 0, 1]);
        assert_eq!(known(&fleet, 0).await.unwrap().missing_since, None);
        // Once it belongs to the second, it is news that the first reports it.
        let (operator, to) = (owner_asks(), Some("second".into()));
        rebind_environment(fleet.service(), &operator, key(0), to, Preconditions::default())
            .await
            .unwrap();
        let taken = puts(&fleet, &first, meant(3, numbered(0..1))).await;
        assert_eq!(refusals(&taken), [(name(0).as_str(), "BoundElsewhere")]);
        assert_eq!(told().await, 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_operator_registered_belongs_to_whoever_reports_it_first() {
    on_both_databases(|fleet| async move {
        fleet.has_apps(1).await;
        fleet.has_environment(0, 1, OPEN).await;
        fleet.belongs_to_nobody(0).await;
        let agent = has_agent(&fleet, "hoster", ours()).await;
        let taken = puts(&fleet, &agent, inventory(1, numbered(0..1))).await;
        assert_eq!(counts(&taken), [0, 1, 0, 0]);
        assert_eq!(known(&fleet, 0).await.unwrap().agent_id, Some(agent.id));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn production_that_is_reported_as_a_sandbox_is_disputed_until_the_operator_has_looked() {
    on_both_databases(|fleet| async move {
        fleet.has_apps(1).await;
        let agent = has_agent(&fleet, "hoster", ours()).await;
        puts(&fleet, &agent, inventory(1, numbered(0..1))).await;
        fleet.schedules(0, 0).await;
        let sandbox = || {
            let mut environments = numbered(0..1);
            environments[0].kind = "Sandbox".into();
            environments
        };
        let taken = puts(&fleet, &agent, inventory(2, sandbox())).await;
        assert_eq!(taken.disputed, [called(&name(0))]);
        let disputed = known(&fleet, 0).await.unwrap();
        assert_eq!(disputed.kind, EnvironmentKind::Production);
        assert_eq!(disputed.disputed_since, Some(fleet.now()));
        assert!(claims(&fleet, &agent, 9).await.is_empty(), "nothing starts there");

        fleet.advance(60);
        let again = puts(&fleet, &agent, inventory(3, sandbox())).await;
        assert_eq!((counts(&again), again.disputed.len()), ([0, 0, 1, 0], 1));
        // What is reported as it was is disputed no more.
        let back = puts(&fleet, &agent, inventory(4, numbered(0..1))).await;
        assert_eq!((counts(&back), back.disputed.len()), ([0, 1, 0, 0], 0));
        assert_eq!(known(&fleet, 0).await.unwrap().disputed_since, None);

        puts(&fleet, &agent, inventory(5, sandbox())).await;
        release_environment(fleet.service(), &owner_asks(), key(0), Preconditions::default())
            .await
            .unwrap();
        let accepted = known(&fleet, 0).await.unwrap();
        assert_eq!(
            (accepted.kind, accepted.disputed_since),
            (EnvironmentKind::Sandbox, None)
        );
        assert_eq!(fleet.count("installations WHERE kind = 'Sandbox'").await, 1);
        let taken = puts(&fleet, &agent, inventory(6, sandbox())).await;
        assert_eq!((counts(&taken), taken.disputed.len()), ([0, 0, 1, 0], 0));
        assert_eq!(drift(&fleet).await, ["EnvironmentDisputed"; 2]);
        assert_eq!(claims(&fleet, &agent, 9).await.len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn far_fewer_or_far_more_environments_have_to_be_meant() {
    on_both_databases(|fleet| async move {
        let agent = has_agent(&fleet, "hoster", ours()).await;
        puts(&fleet, &agent, inventory(1, numbered(0..10))).await;
        let fewer = put_inventory(fleet.service(), &agent, inventory(2, numbered(0..7))).await;
        let fewer = problem(fewer);
        assert_eq!(fewer.code, Code::ConfirmationRequired);
        assert!(fewer.extension.contains(&("lost", "3".into())), "{fewer:?}");
        let more = put_inventory(fleet.service(), &agent, inventory(2, numbered(0..61))).await;
        let more = problem(more);
        assert_eq!(more.code, Code::ConfirmationRequired);
        assert!(more.extension.contains(&("gained", "51".into())), "{more:?}");
        assert_eq!(fleet.count("environments").await, 10);
        assert_eq!(
            fleet.count("environments WHERE missing_since IS NOT NULL").await,
            0
        );

        // Nothing has changed, so the number is still to be had.
        let fewer = puts(&fleet, &agent, meant(2, numbered(0..7))).await;
        assert_eq!(counts(&fewer), [0, 0, 7, 3]);
        let more = puts(&fleet, &agent, meant(3, numbered(0..61))).await;
        assert_eq!(counts(&more), [51, 3, 7, 0]);
        // What belongs to another is no gain.
        let other = has_agent(&fleet, "other", ours()).await;
        puts(&fleet, &other, inventory(1, numbered(100..101))).await;
        let taken = puts(&fleet, &other, inventory(2, numbered((0..61).chain(100..101)))).await;
        assert_eq!((counts(&taken), taken.refused.len()), ([0, 0, 1, 0], 61));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_small_changes_do_not_come_to_what_a_full_set_may_not() {
    on_both_databases(|fleet| async move {
        let agent = has_agent(&fleet, "hoster", ours()).await;
        puts(&fleet, &agent, inventory(1, numbered(0..10))).await;
        let gone = |sequence, number| Inventory {
            sequence,
            gone: vec![called(&name(number))],
            ..Inventory::default()
        };
        fleet.advance(1);
        patches(&fleet, &agent, gone(2, 0)).await;
        // What comes and goes again is lost once.
        patches(&fleet, &agent, inventory(3, numbered(0..1))).await;
        patches(&fleet, &agent, gone(4, 0)).await;
        patches(&fleet, &agent, gone(5, 1)).await;
        let third = problem(patch_inventory(fleet.service(), &agent, gone(6, 2)).await);
        assert_eq!(third.code, Code::ConfirmationRequired);
        assert!(third.extension.contains(&("lost", "3".into())), "{third:?}");
        let missing = "environments WHERE missing_since IS NOT NULL";
        assert_eq!(fleet.count(missing).await, 2);
        let confirmed = Inventory {
            confirm: true,
            ..gone(6, 2)
        };
        patches(&fleet, &agent, confirmed).await;
        fleet.advance(1);
        patches(&fleet, &agent, gone(7, 3)).await;
        assert_eq!(fleet.count(missing).await, 4);

        // Each of them few, together many, until a full set has come.
        patches(&fleet, &agent, inventory(8, numbered(20..60))).await;
        let more = problem(patch_inventory(fleet.service(), &agent, inventory(9, numbered(60..71))).await);
        assert_eq!(more.code, Code::ConfirmationRequired);
        assert!(more.extension.contains(&("gained", "51".into())), "{more:?}");
        puts(&fleet, &agent, inventory(9, numbered((4..10).chain(20..60)))).await;
        patches(&fleet, &agent, inventory(10, numbered(60..71))).await;
        assert_eq!(fleet.count("environments").await, 61);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn production_that_was_removed_comes_back_as_no_sandbox() {
    on_both_databases(|fleet| async move {
        let agent = has_agent(&fleet, "hoster", ours()).await;
        puts(&fleet, &agent, inventory(1, numbered(0..2))).await;
        puts(&fleet, &agent, meant(2, Vec::new())).await;
        fleet.advance(DAY);
        assert_eq!(remove_missing(fleet.service(), REMOVED_AFTER).await.unwrap(), 2);
        assert!(known(&fleet, 0).await.is_none());
        let sandboxes = || {
            let mut environments = numbered(0..3);
            environments
                .iter_mut()
                .for_each(|one| one.kind = "Sandbox".into());
            environments
        };
        let taken = puts(&fleet, &agent, inventory(3, sandboxes())).await;
        assert_eq!(counts(&taken), [3, 0, 0, 0]);
        assert_eq!(taken.disputed, [called(&name(0)), called(&name(1))]);
        let disputed = known(&fleet, 0).await.unwrap();
        assert_eq!(
            (disputed.kind, disputed.disputed_since),
            (EnvironmentKind::Production, Some(fleet.now()))
        );
        let told = "events WHERE kind = 'environment.drift' AND payload LIKE '%EnvironmentDisputed%'";
        assert_eq!(fleet.count(told).await, 2);

        // What the operator has accepted, or removed, is what it is reported as.
        release_environment(fleet.service(), &owner_asks(), key(0), Preconditions::default())
            .await
            .unwrap();
        delete_environment(fleet.service(), &owner_asks(), key(1), Preconditions::default())
            .await
            .unwrap();
        let taken = puts(&fleet, &agent, inventory(4, sandboxes())).await;
        assert_eq!((counts(&taken), taken.disputed.len()), ([1, 0, 2, 0], 0));
        puts(&fleet, &agent, meant(5, Vec::new())).await;
        fleet.advance(DAY);
        remove_missing(fleet.service(), REMOVED_AFTER).await.unwrap();
        let taken = puts(&fleet, &agent, meant(6, sandboxes())).await;
        assert_eq!((counts(&taken), taken.disputed.len()), ([3, 0, 0, 0], 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inventory_that_comes_late_or_twice_is_refused() {
    on_both_databases(|fleet| async move {
        let agent = has_agent(&fleet, "hoster", ours()).await;
        puts(&fleet, &agent, inventory(5, numbered(0..2))).await;
        for sequence in [5, 4, 0, -1] {
            let late = put_inventory(fleet.service(), &agent, meant(sequence, Vec::new())).await;
            let late = problem(late);
            assert_eq!(late.code, Code::StaleInventory);
            assert!(late.message.contains("the number 5"), "{late}");
            let late = patch_inventory(fleet.service(), &agent, inventory(sequence, numbered(2..3))).await;
            assert_eq!(problem(late).code, Code::StaleInventory);
        }
        assert_eq!(fleet.count("environments").await, 2);
        assert_eq!(fleet.count("environments WHERE missing_since IS NULL").await, 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_inventories_at_once_the_later_one_decides() {
    on_both_databases(|fleet| async move {
        let agent = has_agent(&fleet, "hoster", ours()).await;
        let replica = fleet.replica().await;
        let sized = |version, numbers: std::ops::Range<usize>| -> Vec<_> {
            numbers.map(|number| found(&name(number), version)).collect()
        };
        for round in 0..4 {
            let older = AppVersion([16, round, 0, 0]);
            let newer = AppVersion([16, round, 0, 1]);
            let (low, high) = (i64::from(round) * 2 + 1, i64::from(round) * 2 + 2);
            let older = put_inventory(fleet.service(), &agent, meant(low, sized(older, 0..600)));
            let newer_set = put_inventory(&replica, &agent, meant(high, sized(newer, 100..600)));
            let (older, newer_taken) = tokio::join!(older, newer_set);
            newer_taken.unwrap();
            if let Err(error) = older {
                assert_eq!(problem::<()>(Err(error)).code, Code::StaleInventory);
            }
            let wrong = format!(
                "installations WHERE version <> '{newer}' AND environment_id NOT IN
                (SELECT id FROM environments WHERE missing_since IS NOT NULL)"
            );
            assert_eq!(fleet.count(&wrong).await, 0);
            let present = "environments WHERE missing_since IS NULL";
            assert_eq!(fleet.count(present).await, 500);
        }
        fleet.ends_without_deadlocks().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_agents_that_find_the_same_environment_at_once_do_not_both_get_it() {
    on_both_databases(|fleet| async move {
        let agents = [
            has_agent(&fleet, "one", ours()).await,
            has_agent(&fleet, "two", ours()).await,
        ];
        let replica = fleet.replica().await;
        let one = put_inventory(fleet.service(), &agents[0], inventory(1, numbered(0..300)));
        let two = put_inventory(&replica, &agents[1], inventory(1, numbered((0..300).rev())));
        let (one, two) = tokio::join!(one, two);
        let (one, two) = (one.unwrap(), two.unwrap());
        assert_eq!(one.added + two.added, 300);
        assert_eq!(one.refused.len() as u64, two.added);
        assert_eq!(two.refused.len() as u64, one.added);
        fleet.ends_without_deadlocks().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_named_any_more_is_missing_and_goes_after_a_day() {
    on_both_databases(|fleet| async move {
        fleet.has_apps(1).await;
        let agent = has_agent(&fleet, "hoster", ours()).await;
        puts(&fleet, &agent, inventory(1, numbered(0..10))).await;
        let waiting = fleet.schedules(0, 0).await;
        let taken = puts(&fleet, &agent, inventory(2, numbered(1..10))).await;
        assert_eq!(counts(&taken), [0, 0, 9, 1]);
        assert_eq!(drift(&fleet).await, ["EnvironmentGone"]);
        let missing = known(&fleet, 0).await.unwrap();
        assert_eq!((missing.missing_since, missing.due_on), (Some(fleet.now()), None));
        assert!(claims(&fleet, &agent, 9).await.is_empty());
        let refused = problem(fleet::schedule(fleet.service(), 0, 0).await);
        assert_eq!(refused.code, Code::EnvironmentNotFound);
        assert!(
            refused.message.contains("has not been found any more since"),
            "{refused}"
        );

        fleet.advance(DAY - 1);
        assert_eq!(remove_missing(fleet.service(), REMOVED_AFTER).await.unwrap(), 0);
        let still = puts(&fleet, &agent, inventory(3, numbered(1..10))).await;
        assert_eq!(
            counts(&still),
            [0, 0, 9, 1],
            "it is missing for no shorter time because it still is"
        );
        fleet.advance(1);
        assert_eq!(remove_missing(fleet.service(), REMOVED_AFTER).await.unwrap(), 1);
        assert_eq!(known(&fleet, 0).await, None);
        let skipped = fleet.looks_at(app(0), waiting.id).await;
        assert_eq!(skipped.status, OperationStatus::Skipped);
        assert_eq!(skipped.reason.as_deref(), Some("EnvironmentGone"));
        assert_eq!(remove_missing(fleet.service(), REMOVED_AFTER).await.unwrap(), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_back_works_again_and_nothing_is_removed_in_which_something_runs() {
    on_both_databases(|fleet| async move {
        fleet.has_apps(1).await;
        let agent = has_agent(&fleet, "hoster", ours()).await;
        puts(&fleet, &agent, inventory(1, numbered(0..2))).await;
        fleet.schedules(0, 0).await;
        let gone = |sequence| Inventory {
            sequence,
            confirm: true,
            gone: vec![called(&name(0))],
            ..Inventory::default()
        };
        assert_eq!(counts(&patches(&fleet, &agent, gone(2)).await), [0, 0, 0, 1]);
        assert!(claims(&fleet, &agent, 9).await.is_empty());
        let back = patches(&fleet, &agent, inventory(3, numbered(0..1))).await;
        assert_eq!(counts(&back), [0, 1, 0, 0]);
        assert_eq!(drift(&fleet).await, ["EnvironmentGone", "EnvironmentBack"]);
        let running = claims(&fleet, &agent, 9).await.remove(0);

        patches(&fleet, &agent, gone(4)).await;
        fleet.advance(2 * DAY);
        assert_eq!(remove_missing(fleet.service(), REMOVED_AFTER).await.unwrap(), 0);
        let reported = fleet::finish_all(fleet.service(), &agent, vec![success(&running)]).await;
        assert_eq!(reported[0].as_ref().unwrap().status, OperationStatus::Succeeded);
        assert_eq!(remove_missing(fleet.service(), REMOVED_AFTER).await.unwrap(), 1);
        assert_eq!(known(&fleet, 0).await, None);
        assert!(known(&fleet, 1).await.is_some());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_that_was_held_works_again_once_it_is_reported() {
    on_both_databases(|fleet| async move {
        fleet.has_apps(2).await;
        let agent = has_agent(&fleet, "hoster", ours()).await;
        let both = || {
            let mut environments = numbered(0..1);
            environments[0].apps.push(installed(1, FROM));
            environments
        };
        puts(&fleet, &agent, inventory(1, both())).await;
        fleet.schedules(0, 0).await;
        claims(&fleet, &agent, 1).await;
        fleet.advance(3600);
        assert_eq!(execution::end_lost(fleet.service()).await.unwrap(), 1);
        assert!(known(&fleet, 0).await.unwrap().held_since.is_some());
        fleet.schedules(0, 1).await;
        assert!(claims(&fleet, &agent, 1).await.is_empty());
        // What could not be read in full says nothing of what happened there.
        let mut partly = both();
        partly[0].inventory_complete = false;
        puts(&fleet, &agent, inventory(2, partly)).await;
        assert!(known(&fleet, 0).await.unwrap().held_since.is_some());
        assert!(claims(&fleet, &agent, 1).await.is_empty());
        let taken = puts(&fleet, &agent, inventory(3, both())).await;
        assert_eq!(counts(&taken), [0, 1, 0, 0]);
        assert_eq!(known(&fleet, 0).await.unwrap().held_since, None);
        assert_eq!(claims(&fleet, &agent, 1).await.len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_is_written_down_and_told() {
    on_both_databases(|fleet| async move {
        fleet.has_apps(2).await;
        let agent = has_agent(&fleet, "hoster", ours()).await;
        let with = |apps: &[(usize, AppVersion)]| {
            let mut environment = found(&name(0), FROM);
            environment.apps = apps
                .iter()
                .map(|&(number, version)| installed(number, version))
                .collect();
            vec![environment]
        };
        let higher = AppVersion([16, 0, 0, 9]);
        puts(&fleet, &agent, inventory(1, with(&[(0, FROM), (1, FROM)]))).await;
        fleet.schedules(0, 0).await;
        let running = claims(&fleet, &agent, 1).await.remove(0);
        // The agent sees what it is doing, before it says that it is done.
        puts(&fleet, &agent, inventory(2, with(&[(0, TO), (1, FROM)]))).await;
        assert_eq!(drift(&fleet).await, Vec::<String>::new());
        fleet::finish_all(fleet.service(), &agent, vec![success(&running)]).await;

        fleet.advance(1);
        puts(&fleet, &agent, inventory(3, with(&[(0, TO), (1, higher)]))).await;
        fleet.advance(1);
        puts(&fleet, &agent, inventory(4, with(&[(0, FROM), (1, higher)]))).await;
        fleet.advance(1);
        puts(&fleet, &agent, inventory(5, with(&[(0, FROM)]))).await;
        fleet.advance(1);
        puts(
            &fleet,
            &agent,
            inventory(6, with(&[(0, AppVersion([15, 0, 0, 0]))])),
        )
        .await;
        assert_eq!(
            drift(&fleet).await,
            ["AppChanged", "AppOlder contradicts", "AppGone", "AppOlder"]
        );
        let told =
            "events WHERE kind = 'environment.drift' AND environment_id IS NOT NULL AND app_id IS NOT NULL";
        assert_eq!(fleet.count(told).await, 4);
        let contradiction = format!(
            "events WHERE kind = 'environment.drift' AND payload LIKE '%\"contradicts\":\"{}\"%'",
            running.operation.id
        );
        assert_eq!(fleet.count(&contradiction).await, 1);
    })
    .await;
}

/// Each report changes three environments, which comes to three rows for what is known of them and three for drift.
#[tokio::test(flavor = "multi_thread")]
async fn one_agent_writes_only_so_much_history_in_an_hour() {
    for url in [None, Some(postgres_cluster::database_url())] {
        let fleet = Fleet::on_with(url, &[("agents.recorded_changes_per_hour", "10")]).await;
        let agent = has_agent(&fleet, "hoster", ours()).await;
        let report = |sequence, version| {
            let rows = (0..3).map(|number| found(&name(number), version));
            inventory(sequence, rows.collect())
        };
        // What is new counts for nothing.
        puts(&fleet, &agent, report(1, TO)).await;
        assert_eq!(fleet.count("audit WHERE actor_kind = 'Agent'").await, 3);
        let replica = fleet.replica().await;
        for sequence in 2..20 {
            let version = if sequence % 2 == 0 { FROM } else { TO };
            let service = if sequence % 3 == 0 {
                &replica
            } else {
                fleet.service()
            };
            let inventory = report(sequence, version);
            let taken = match sequence % 4 {
                0 => put_inventory(service, &agent, inventory).await,
                _ => patch_inventory(service, &agent, inventory).await,
            };
            assert_eq!(counts(&taken.unwrap()), [0, 3, 0, 0]);
            for number in 0..3 {
                assert_eq!(version_in(&fleet, number).await, version);
            }
        }
        assert_eq!(fleet.count("audit WHERE actor_kind = 'Agent'").await, 3 + 10 + 1);
        assert_eq!(drift(&fleet).await.len(), 6, "drift goes first");
        assert_eq!(fleet.count("events WHERE kind = 'environment.drift'").await, 6);
        assert_eq!(fleet.count("events WHERE kind = 'agent.unrecorded'").await, 1);
        assert_eq!(unrecorded(&fleet).await, [(10, 18 * 6 - 10)]);
        let gone = Inventory {
            gone: vec![called(&name(0))],
            ..meant(20, Vec::new())
        };
        assert_eq!(counts(&patches(&fleet, &agent, gone).await), [0, 0, 0, 1]);
        assert_eq!(unrecorded(&fleet).await, [(10, 18 * 6 - 9)]);

        // Another hour, and another agent.
        fleet.advance(3_600);
        patches(&fleet, &agent, report(21, FROM)).await;
        let other = has_agent(&fleet, "other", ours()).await;
        puts(&fleet, &other, inventory(1, numbered(5..6))).await;
        let mut changed = numbered(5..6);
        changed[0].location_name = Some("Rack 8".into());
        puts(&fleet, &other, inventory(2, changed)).await;
        assert_eq!(unrecorded(&fleet).await, [(10, 18 * 6 - 9)]);
        assert_eq!(
            fleet.count("audit WHERE actor_name = 'other'").await,
            2,
            "what one agent wrote is not held against another"
        );
        assert_eq!(drift(&fleet).await.len(), 6 + 3 + 1);
    }
}

/// How many changes were written down one by one, and how many more there were, hour by hour.
async fn unrecorded(fleet: &Fleet) -> Vec<(u64, u64)> {
    let audit = fleet.db().query(
        "SELECT after_state FROM audit WHERE action = 'agents/unrecorded' AND target = 'agents/hoster' ORDER BY id",
    );
    let rows: Vec<(String,)> = audit.fetch_all().await.unwrap();
    let number = |(after,): (String,)| {
        let after: serde_json::Value = serde_json::from_str(&after).unwrap();
        (
            after["recorded"].as_u64().unwrap(),
            after["unrecorded"].as_u64().unwrap(),
        )
    };
    rows.into_iter().map(number).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_decides_what_waits() {
    on_both_databases(|fleet| async move {
        fleet.has_apps(1).await;
        let agent = has_agent(&fleet, "hoster", ours()).await;
        puts(&fleet, &agent, inventory(1, numbered(0..1))).await;
        let waiting = fleet.schedules(0, 0).await;
        puts(&fleet, &agent, inventory(2, vec![found(&name(0), TO)])).await;
        assert!(claims(&fleet, &agent, 1).await.is_empty());
        let skipped = fleet.looks_at(app(0), waiting.id).await;
        assert_eq!(skipped.reason.as_deref(), Some("AlreadyUpToDate"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_row_is_refused_with_the_fact_and_costs_no_other() {
    on_both_databases(|fleet| async move {
        let agent = has_agent(&fleet, "hoster", ours()).await;
        let wrong = |change: fn(&mut ReportedEnvironment)| {
            let mut environment = found("Wrong", FROM);
            change(&mut environment);
            environment
        };
        let cases: [(&str, ReportedEnvironment); 11] = [
            (
                "U+202E",
                wrong(|row| row.environment.name = "Prod\u{202E}noitcud".into()),
            ),
            (
                "U+E0041",
                wrong(|row| row.environment.name = "Prod\u{E0041}".into()),
            ),
            (
                "U+200B",
                wrong(|row| row.environment.application_family = "Business\u{200B}Central".into()),
            ),
            ("U+0007", wrong(|row| row.location_name = Some("a\u{7}".into()))),
            (
                "U+2066",
                wrong(|row| row.apps[0].publisher = Some("\u{2066}Contoso".into())),
            ),
            ("more than blanks", wrong(|row| row.environment.name = " ".into())),
            ("'XX'", wrong(|row| row.country_code = "XX".into())),
            ("'Test'", wrong(|row| row.kind = "Test".into())),
            ("sixteen", wrong(|row| row.apps[0].version = "sixteen".into())),
            ("listed twice", wrong(|row| row.apps.push(row.apps[0].clone()))),
            (
                "too short",
                wrong(|row| row.window.as_mut().unwrap().end = "09:00".into()),
            ),
        ];
        for (index, (fact, row)) in cases.into_iter().enumerate() {
            let sequence = index as i64 + 1;
            let taken = puts(&fleet, &agent, meant(sequence, vec![row, found(&name(0), FROM)])).await;
            assert_eq!(taken.refused.len(), 1, "{fact}");
            assert_eq!(taken.refused[0].code, "InvalidInput");
            assert!(
                taken.refused[0].message.contains(fact),
                "{fact}: {:?}",
                taken.refused
            );
        }
        assert_eq!(fleet.count("environments").await, 1);

        let mut many = found("Many", FROM);
        many.apps = (0..=MOST_APPS).map(|number| installed(number, FROM)).collect();
        let twice = vec![many, found(&name(0), FROM), found(&name(0).to_uppercase(), TO)];
        let taken = puts(&fleet, &agent, meant(100, twice)).await;
        let messages: Vec<_> = taken.refused.iter().map(|one| one.message.as_str()).collect();
        assert_eq!(
            messages,
            [
                "The environment has 1001 apps; it may have 1000.",
                "The environment is named twice."
            ]
        );
        assert_eq!(version_in(&fleet, 0).await, FROM);
        // Named is named, however wrong the rest of a row is.
        let mut wrong = found(&name(0), FROM);
        wrong.kind = "Test".into();
        let taken = puts(&fleet, &agent, meant(101, vec![wrong])).await;
        assert_eq!((counts(&taken), taken.refused.len()), ([0, 0, 0, 0], 1));
        assert_eq!(known(&fleet, 0).await.unwrap().missing_since, None);
        // What could not be read is there, with all that is known of it.
        let unread = Inventory {
            unread: vec![called(&name(0))],
            ..meant(102, Vec::new())
        };
        assert_eq!(counts(&puts(&fleet, &agent, unread).await), [0, 0, 0, 0]);
        assert_eq!(known(&fleet, 0).await.unwrap().missing_since, None);
        assert_eq!(version_in(&fleet, 0).await, FROM);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_reports_more_than_an_agent_may_have() {
    on_both_databases(|fleet| async move {
        let agent = has_agent(&fleet, "hoster", ours()).await;
        let names = 0..=MOST_ENVIRONMENTS;
        let bare = |number| ReportedEnvironment {
            apps: Vec::new(),
            ..found(&name(number), FROM)
        };
        let many: Vec<_> = names.map(bare).collect();
        let refused = put_inventory(fleet.service(), &agent, meant(1, many.clone())).await;
        let refused = problem(refused);
        assert_eq!(refused.code, Code::InvalidInput);
        assert!(refused.message.contains("20001"), "{refused}");
        assert_eq!(fleet.count("environments").await, 0);

        let known = "INSERT INTO environments (id, tenant_id, family, family_key, name, name_key, country_code, kind,
                location_name, window_start, window_end, window_zone, inventory_complete, inventory_on, etag, agent_id)
             SELECT $1, $2, 'F', 'f', $3, $3, 'US', 'Sandbox', '', '20:00', '06:00', 'UTC', $4, 0, $1, $5";
        let has = |number: usize| -> Vec<store::Value> {
            let id = Uuid::from_u128(number as u128);
            vec![id.into(), TENANT.into(), name(number).to_lowercase().into(), true.into(), agent.id.into()]
        };
        let rows: Vec<_> = (0..MOST_ENVIRONMENTS).map(has).collect();
        let added = fleet.db().write(rows, move |mut tx, rows| {
            Box::pin(async move {
                for row in rows {
                    tx.query(known).bind_all(row.iter().cloned()).execute().await?;
                }
                Ok::<_, store::StoreError>(())
            })
        });
        added.await.unwrap();
        let one_more = patch_inventory(fleet.service(), &agent, inventory(1, vec![bare(0)])).await;
        assert!(problem(one_more).message.contains("would have 20001"));
        let mut gone = called(&name(7));
        gone.application_family = "F".into();
        // What is gone is missing, and still there.
        let one_for_another = Inventory {
            gone: vec![gone.clone()],
            ..inventory(1, vec![bare(0)])
        };
        let refused = problem(patch_inventory(fleet.service(), &agent, one_for_another).await);
        assert!(refused.message.contains("would have 20001"), "{refused}");
        let less = Inventory {
            gone: vec![gone],
            ..inventory(1, Vec::new())
        };
        assert_eq!(counts(&patches(&fleet, &agent, less).await), [0, 0, 0, 1]);
        for is_full in [true, false] {
            let refused = match is_full {
                true => put_inventory(fleet.service(), &agent, meant(2, vec![bare(0)])).await,
                false => patch_inventory(fleet.service(), &agent, meant(2, vec![bare(0)])).await,
            };
            let refused = problem(refused);
            assert!(refused.message.contains("would have 20001"), "{refused}");
        }
    })
    .await;
}

/// Choosing another window is what a customer does; this is what is kept of it.
async fn customer_chooses(fleet: &Fleet, number: usize, window: &UpdateWindow) {
    let environment = known(fleet, number).await.unwrap();
    let chosen = Environment {
        reported_window: Some(window_text(environment.window.as_ref().unwrap())),
        window: Ok(window.clone()),
        ..environment
    };
    let written = fleet.db().write(chosen, |mut tx, chosen| {
        Box::pin(async move { update_environments(&mut tx, std::slice::from_ref(chosen)).await })
    });
    written.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_the_customer_chose_holds_until_the_agent_reports_another_one() {
    on_both_databases(|fleet| async move {
        let agent = has_agent(&fleet, "hoster", ours()).await;
        puts(&fleet, &agent, inventory(1, numbered(0..1))).await;
        let chosen = UpdateWindow::new("01:00", "09:00", "UTC").unwrap();
        customer_chooses(&fleet, 0, &chosen).await;

        let again = puts(&fleet, &agent, inventory(2, numbered(0..1))).await;
        assert_eq!(counts(&again), [0, 0, 1, 0]);
        let silent = ReportedEnvironment {
            window: None,
            location_name: Some("Rack 8".into()),
            ..found(&name(0), FROM)
        };
        puts(&fleet, &agent, inventory(3, vec![silent])).await;
        puts(&fleet, &agent, inventory(4, numbered(0..1))).await;
        assert_eq!(known(&fleet, 0).await.unwrap().window, Ok(chosen));

        let mut moved = found(&name(0), FROM);
        moved.window = Some(ReportedWindow {
            start: "02:00".into(),
            end: "10:00".into(),
            time_zone: "UTC".into(),
        });
        puts(&fleet, &agent, inventory(5, vec![moved.clone()])).await;
        let reported = UpdateWindow::new("02:00", "10:00", "UTC").unwrap();
        let environment = known(&fleet, 0).await.unwrap();
        assert_eq!(
            (environment.window, environment.reported_window),
            (Ok(reported), None)
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_customers_are_shown_of_an_environment_is_taken_from_reports() {
    on_both_databases(|fleet| async move {
        let agent = has_agent(&fleet, "hoster", ours()).await;
        let mut reported = found(&name(0), FROM);
        reported.web_client_url = Some("https://bc.example.test/nav".into());
        reported.apps[0].scope = Some("tenant".into());
        reported.apps[0].can_be_uninstalled = Some(false);
        puts(&fleet, &agent, inventory(1, vec![reported.clone()])).await;
        let (entry, apps) = get_registered_environment(fleet.service(), &key(0))
            .await
            .unwrap();
        let url = entry.environment.web_client_url;
        assert_eq!(url.as_deref(), Some("https://bc.example.test/nav"));
        let told = (apps[0].scope, apps[0].can_be_uninstalled);
        assert_eq!(told, (Some(AppScope::Tenant), Some(false)));
        let again = puts(&fleet, &agent, inventory(2, vec![reported.clone()])).await;
        assert_eq!(
            counts(&again),
            [0, 0, 1, 0],
            "what was read back is what was reported"
        );

        reported.apps[0].scope = Some("Nobody".into());
        let refused = puts(&fleet, &agent, inventory(3, vec![reported])).await;
        assert_eq!(refusals(&refused), [(name(0).as_str(), "InvalidInput")]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_zone_that_nobody_knows_costs_the_window_only() {
    on_both_databases(|fleet| async move {
        let agent = has_agent(&fleet, "hoster", ours()).await;
        let mut environments = numbered(0..3);
        for environment in &mut environments[..2] {
            environment.window.as_mut().unwrap().time_zone = "Mars Standard Time".into();
        }
        environments[2].window.as_mut().unwrap().time_zone = "Europe/Paris".into();
        let taken = puts(&fleet, &agent, inventory(1, environments)).await;
        assert_eq!(counts(&taken), [3, 0, 0, 0]);
        assert_eq!(taken.warnings.len(), 1);
        assert!(
            taken.warnings[0].contains("'Mars Standard Time'"),
            "{:?}",
            taken.warnings
        );
        assert!(taken.warnings[0].contains("and 1 others"), "{:?}", taken.warnings);
        let window = |environment: Environment| environment.window_texts();
        assert_eq!(window(known(&fleet, 0).await.unwrap())[..2], ["20:00", "06:00"]);
        let in_paris = [OPEN.0, OPEN.1, "Romance Standard Time"];
        assert_eq!(window(known(&fleet, 2).await.unwrap()), in_paris);
        // What is left out is as it was known.
        let mut without = numbered(0..3);
        without[2].window = None;
        without[1].window = None;
        without[0].window = None;
        let taken = puts(&fleet, &agent, inventory(2, without)).await;
        assert_eq!(counts(&taken), [0, 0, 3, 0]);
        assert_eq!(window(known(&fleet, 2).await.unwrap()), in_paris);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_frozen_meanwhile_changes_nothing() {
    on_both_databases(|fleet| async move {
        let agent = has_agent(&fleet, "hoster", ours()).await;
        let frozen = "UPDATE agents SET frozen_on = 1, frozen_reason = 'Two processes.' WHERE id = $1";
        fleet.damages(frozen, vec![agent.id.into()]).await;
        let refused = put_inventory(fleet.service(), &agent, inventory(1, numbered(0..1))).await;
        assert_eq!(problem(refused).code, Code::AgentFrozen);
        let removed = "DELETE FROM agents WHERE id = $1";
        fleet.damages(removed, vec![agent.id.into()]).await;
        let refused = put_inventory(fleet.service(), &agent, inventory(1, numbered(0..1))).await;
        assert_eq!(problem(refused).code, Code::Unauthorized);
        assert_eq!(fleet.count("environments").await, 0);
    })
    .await;
}

/// Environments that the walks below are about.
const FEW: usize = 4;

/// An inventory as it may come.
#[derive(Clone, Debug)]
struct Sent {
    agent: usize,
    is_full: bool,
    /// Whether it comes late.
    is_late: bool,
    /// What is found, with the version of its app.
    found: BTreeMap<usize, u16>,
    gone: Vec<usize>,
}

fn sent() -> impl Strategy<Value = Sent> {
    let found = prop::collection::btree_map(0..FEW, 0..3_u16, 0..=FEW);
    let gone = prop::collection::vec(0..FEW, 0..3);
    (0..2_usize, any::<bool>(), prop::bool::weighted(0.15), found, gone).prop_map(
        |(agent, is_full, is_late, found, gone)| Sent {
            agent,
            is_full,
            is_late,
            gone: gone
                .into_iter()
                .filter(|number| !found.contains_key(number))
                .collect(),
            found,
        },
    )
}

/// What the last accepted reports say of an environment.
#[derive(Clone, Debug, PartialEq)]
struct Said {
    agent: usize,
    version: u16,
    is_missing: bool,
}

fn take(world: &mut [Option<Said>; FEW], sent: &Sent) {
    for (number, environment) in world.iter_mut().enumerate() {
        let of_other = environment.as_ref().is_some_and(|said| said.agent != sent.agent);
        if of_other {
            continue;
        }
        let is_unnamed = sent.is_full || sent.gone.contains(&number);
        if let Some(&version) = sent.found.get(&number) {
            *environment = Some(Said {
                agent: sent.agent,
                version,
                is_missing: false,
            });
        } else if let Some(said) = environment
            && is_unnamed
        {
            said.is_missing = true;
        }
    }
}

async fn walk(fleet: Fleet, steps: &[Sent]) -> Result<(), TestCaseError> {
    let agents = [
        has_agent(&fleet, "one", ours()).await,
        has_agent(&fleet, "two", ours()).await,
    ];
    let mut world = [const { None }; FEW];
    let mut sequences = [0_i64; 2];
    for step in steps {
        let last = &mut sequences[step.agent];
        *last += i64::from(!step.is_late);
        let reported = |(&number, &version): (&usize, &u16)| {
            found(&name(number), AppVersion([16, 0, 0, version.into()]))
        };
        let report = Inventory {
            sequence: *last,
            confirm: true,
            environments: step.found.iter().map(reported).collect(),
            unread: Vec::new(),
            gone: match step.is_full {
                true => Vec::new(),
                false => step.gone.iter().map(|&number| called(&name(number))).collect(),
            },
        };
        let agent = &agents[step.agent];
        let taken = match step.is_full {
            true => put_inventory(fleet.service(), agent, report).await,
            false => patch_inventory(fleet.service(), agent, report).await,
        };
        prop_assert_eq!(taken.is_err(), step.is_late, "{:?}", taken);
        if !step.is_late {
            take(&mut world, step);
        }
    }
    for (number, said) in world.iter().enumerate() {
        let Some(environment) = known(&fleet, number).await else {
            prop_assert_eq!(said, &None);
            continue;
        };
        let agent = agents
            .iter()
            .position(|agent| Some(agent.id) == environment.agent_id);
        let found = Said {
            agent: agent.unwrap(),
            version: version_in(&fleet, number).await.0[3].try_into().unwrap(),
            is_missing: environment.missing_since.is_some(),
        };
        prop_assert_eq!(said.as_ref(), Some(&found));
    }
    Ok(())
}

fn try_walks(cases: u32, database: impl Fn() -> Option<String>) {
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let runtime = Runtime::new().unwrap();
    let walks = prop::collection::vec(sent(), 1..12);
    let outcome = TestRunner::new(config).run(&walks, |steps| {
        runtime.block_on(async { walk(Fleet::on(database()).await, &steps).await })
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn whatever_two_agents_send_the_last_accepted_reports_are_what_is_known_on_sqlite() {
    try_walks(24, || None);
}

#[test]
fn whatever_two_agents_send_the_last_accepted_reports_are_what_is_known_on_postgresql() {
    try_walks(8, || Some(postgres_cluster::database_url()));
}
