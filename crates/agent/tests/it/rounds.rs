//! Days without an accident, and what a service may get wrong.

use crate::{
    host::{APP, Host, NEW, OLD, TENANT, hotfix},
    service::{SECOND_TOKEN, Service, State},
};
use agent::{check, clock::Clock, driver::Weight, enrol};
use axum::http::Method;
use std::{os::unix::fs::PermissionsExt, time::Duration};
use uuid::Uuid;
use wire::agent::{ClaimedOperation, Progress};

#[tokio::test]
async fn what_is_due_is_carried_out_and_told_with_what_is_installed() {
    let service = Service::start().await;
    let host = Host::of(&service).simulating("takes = \"4m\"");
    let agent = host.runs();
    let due = hotfix(1, "Production");
    service.grants([due.clone()]);
    let finish = service.finish_of(due.operation_id).await;
    assert_eq!(
        (finish.status.as_str(), finish.lease_id),
        ("Succeeded", due.lease_id)
    );
    assert_eq!(finish.installed_version, Some(NEW.to_string()));
    assert_eq!(host.installed("Production"), NEW);
    service
        .until("was the new version reported", |state| {
            let (method, change) = state.inventories.get(1)?;
            let app = change.environments.first()?.apps.first()?;
            (method == Method::PATCH && app.version == NEW.to_string()).then_some(())
        })
        .await;
    agent.stops().await;
    let state = service.state();
    let (method, first) = &state.inventories[0];
    assert_eq!((method, first.environments.len()), (&Method::PUT, 1));
    assert_eq!(first.environments[0].apps[0].version, OLD.to_string());
    assert!(first.environments[0].inventory_complete);
    assert_eq!(state.sessions.len(), 1);
    let told = |renewal: &Progress| renewal.step.as_deref() == Some("Upgrade");
    let renewals = state
        .renewals
        .iter()
        .filter_map(|(_, renewal)| renewal.progress.as_ref());
    assert!(renewals.into_iter().any(told));
    drop(state);
    service.assert_obeyed();
}

#[tokio::test]
async fn what_was_said_last_is_told_before_the_end() {
    let service = Service::start().await;
    // It ends before progress is told by itself.
    let host = Host::of(&service).simulating("takes = \"0s\"");
    let agent = host.runs();
    service.grants([hotfix(1, "Production")]);
    assert_eq!(service.finish_of(Uuid::from_u128(1)).await.status, "Succeeded");
    agent.stops().await;
    let state = service.state();
    let last = state
        .renewals
        .last()
        .and_then(|(_, renewal)| renewal.progress.clone());
    assert_eq!(last.and_then(|told| told.step).as_deref(), Some("Upgrade"));
    drop(state);
    service.assert_obeyed();
}

#[tokio::test]
async fn a_hostile_service_gets_nothing_done() {
    let service = Service::start().await;
    let host = Host::of(&service);
    host.policy(&format!("allowed_apps = [\"{APP}\"]"));
    let agent = host.runs();
    let base = "437dbf0e-84ff-417a-965d-ed2bb9650972".parse().unwrap();
    let changed = |number, change: &dyn Fn(&mut ClaimedOperation)| {
        let mut operation = hotfix(number, "Production");
        change(&mut operation);
        operation
    };
    let asked = [
        (changed(1, &|it| it.app_id = base), "a part of Business Central"),
        (
            changed(2, &|it| it.app_id = Uuid::from_u128(7)),
            "does not allow app",
        ),
        (
            changed(3, &|it| it.target_version = Some("16.0.0.4".into())),
            "which is not newer",
        ),
        (changed(4, &|it| it.kind = "Uninstall".into()), "one too many"),
        (changed(10, &takes_out), "allow_uninstall"),
        (changed(11, &|it| it.delete_data = true), "allow_delete_data"),
        (changed(5, &|it| it.sync_mode = "ForceSync".into()), "'ForceSync'"),
        (
            changed(6, &|it| it.environment.name = "Elsewhere".into()),
            "does not serve",
        ),
        (
            changed(7, &|it| it.environment.aad_tenant_id = Uuid::from_u128(8)),
            "does not serve",
        ),
        (
            changed(8, &|it| {
                it.package.as_mut().unwrap().sha256 = "http://fabrikam.com".into()
            }),
            "SHA-256",
        ),
    ];
    for (operation, reason) in asked {
        service.grants([operation.clone()]);
        let finish = service.finish_of(operation.operation_id).await;
        assert_eq!(finish.status, "Failed");
        let text = finish.error_message.unwrap();
        assert!(
            text.contains(reason) && text.matches("Nothing was started.").count() == 1,
            "{text}"
        );
    }
    // The claim may say that something older is installed.
    host.installs("Production", "17.0.0.0".parse().unwrap());
    service.grants([hotfix(9, "Production")]);
    assert_eq!(service.finish_of(Uuid::from_u128(9)).await.status, "Skipped");
    agent.stops().await;
    assert_eq!(host.installed("Production").to_string(), "17.0.0.0");
    service.assert_obeyed();
}

/// Makes it an uninstall.
fn takes_out(operation: &mut ClaimedOperation) {
    operation.kind = "Uninstall".into();
    operation.target_version = None;
    operation.package = None;
}

#[tokio::test]
async fn apps_come_and_go_as_the_policy_allows() {
    let service = Service::start().await;
    let host = Host::of(&service);
    host.policy("allowed_apps = \"any\"\nallow_uninstall = true");
    let agent = host.runs();
    let other = Uuid::from_u128(0x0B);
    let install = ClaimedOperation {
        kind: "Install".into(),
        app_id: other,
        source_version: None,
        ..hotfix(1, "Production")
    };
    service.grants([install.clone()]);
    let finish = service.finish_of(install.operation_id).await;
    assert_eq!(
        (finish.status.as_str(), &finish.installed_version),
        ("Succeeded", &install.target_version)
    );
    let mut uninstall = ClaimedOperation {
        app_id: other,
        ..hotfix(2, "Production")
    };
    takes_out(&mut uninstall);
    service.grants([uninstall.clone()]);
    let finish = service.finish_of(uninstall.operation_id).await;
    assert_eq!(
        (finish.status.as_str(), finish.installed_version),
        ("Succeeded", None)
    );
    let kinds = service.state().claims[0].kinds.clone();
    assert_eq!(kinds, ["Update", "Install", "Uninstall"]);
    agent.stops().await;
    service.assert_obeyed();
}

#[tokio::test]
async fn what_has_ended_is_told_again_and_never_done_again() {
    let service = Service::start().await;
    let host = Host::of(&service);
    let agent = host.runs();
    let due = hotfix(1, "Production");
    service.grants([due.clone()]);
    service.finish_of(due.operation_id).await;
    // As if the service had been restored from a backup, and the environment too.
    agent.stops().await;
    host.installs("Production", OLD);
    let agent = host.runs();
    is_told_again(&service, &due, 77).await;
    agent.stops().await;
    assert_eq!(host.installed("Production"), OLD);
    service.assert_obeyed();
}

/// The same operation is granted under another lease.
async fn is_told_again(service: &Service, due: &ClaimedOperation, lease: u128) {
    let lease_id = Uuid::from_u128(lease);
    service.grants([ClaimedOperation {
        lease_id,
        ..due.clone()
    }]);
    let finish = service
        .until("was it told again", |state| {
            let found = state
                .finishes
                .iter()
                .find(|(_, finish)| finish.lease_id == lease_id);
            found.map(|(_, finish)| finish.clone())
        })
        .await;
    assert_eq!(finish.status, "Succeeded");
}

#[tokio::test]
async fn failures_are_told_in_full_but_for_secrets() {
    let service = Service::start().await;
    let host = Host::of(&service)
        .simulating("fails = \"Login failed: password=hunter2 for äöü\"\ncause = \"Permission\"");
    let agent = host.runs();
    service.grants([hotfix(1, "Production")]);
    let finish = service.finish_of(Uuid::from_u128(1)).await;
    agent.stops().await;
    assert_eq!(finish.failure_cause.as_deref(), Some("Permission"));
    assert_eq!(finish.installed_version, Some(OLD.to_string()));
    let text = finish.error_message.unwrap();
    assert_eq!(
        text,
        "Login failed: password=*** for äöü. Asked for 16.0.1.2: 16.0.0.5 is installed."
    );
    service.assert_obeyed();
}

#[tokio::test]
async fn no_more_is_taken_on_than_there_are_places() {
    let service = Service::start().await;
    let host = Host::of(&service)
        .serving(&["One", "Two", "Three"])
        .with_agent("parallel = 2")
        .simulating("takes = \"30s\"");
    let agent = host.runs();
    service.grants([hotfix(1, "One"), hotfix(2, "Two"), hotfix(3, "Three")]);
    for number in 1..=3 {
        service.finish_of(Uuid::from_u128(number)).await;
    }
    agent.stops().await;
    let state = service.state();
    let too_many = |claim: &&wire::agent::ClaimRequest| claim.max as usize + claim.holding.len() > 2;
    assert!(
        !state.claims.iter().any(|claim| too_many(&claim)),
        "{:?}",
        state.claims
    );
    drop(state);
    service.assert_obeyed();
}

#[tokio::test]
async fn operations_of_one_environment_come_one_after_the_other() {
    let service = Service::start().await;
    let host = Host::of(&service).simulating("takes = \"10s\"");
    let agent = host.runs();
    let second = ClaimedOperation {
        source_version: Some(NEW.to_string()),
        target_version: Some("16.0.1.3".into()),
        ..hotfix(2, "Production")
    };
    service.grants([hotfix(1, "Production"), second]);
    for number in [1, 2] {
        assert_eq!(
            service.finish_of(Uuid::from_u128(number)).await.status,
            "Succeeded"
        );
    }
    agent.stops().await;
    assert_eq!(host.installed("Production").to_string(), "16.0.1.3");
    service.assert_obeyed();
}

#[tokio::test]
async fn no_more_is_begun_in_an_hour_than_the_policy_allows() {
    let service = Service::start().await;
    let host = Host::of(&service).hurried(2_000).serving(&["One", "Two"]);
    host.policy("allowed_apps = \"any\"\nmax_starts_per_hour = 1");
    let agent = host.runs();
    let patient = |number, environment| ClaimedOperation {
        lease_seconds: 100_000,
        ..hotfix(number, environment)
    };
    service.grants([patient(1, "One"), patient(2, "Two")]);
    service.finish_of(Uuid::from_u128(1)).await;
    let first = host.clock.now();
    service.finish_of(Uuid::from_u128(2)).await;
    let between = host.clock.now().since(first);
    agent.stops().await;
    assert!(between > Duration::from_secs(3_000), "{between:?}");
    service.assert_obeyed();
}

#[tokio::test]
async fn a_service_that_is_away_is_waited_for() {
    let service = Service::start().await;
    let host = Host::of(&service);
    service.state().faults = vec![
        ("PUT /agent/v1/inventory", 503),
        ("PUT /agent/v1/inventory", 500),
        ("PUT /agent/v1/inventory", 502),
        ("PUT /agent/v1/inventory", 500),
        ("POST /agent/v1/claim", 500),
        ("POST /agent/v1/claim", 401),
    ];
    let finish = format!("POST /agent/v1/operations/{}/finish", Uuid::from_u128(1));
    let agent = host.runs();
    service.state().faults.extend([(&*finish.leak(), 500); 7]);
    service.grants([hotfix(1, "Production")]);
    assert_eq!(service.finish_of(Uuid::from_u128(1)).await.status, "Succeeded");
    agent.stops().await;
    assert!(service.state().faults.is_empty(), "{:?}", service.state().faults);
    service.assert_obeyed();
}

#[tokio::test]
async fn an_environment_in_which_work_goes_on_is_named_and_nothing_is_said_of_its_apps() {
    let service = Service::start().await;
    let host = Host::of(&service)
        .serving(&["One", "Two"])
        .with_agent("full_inventory_every = \"2m\"\ninventory_every = \"1m\"")
        .simulating("takes = \"10m\"");
    let agent = host.runs();
    service.grants([hotfix(1, "One")]);
    let full = service
        .until("was all reported while work went on", |state: &State| {
            let puts = state
                .inventories
                .iter()
                .filter(|(method, _)| *method == Method::PUT);
            puts.map(|(_, inventory)| inventory.clone()).nth(1)
        })
        .await;
    let read: Vec<_> = full
        .environments
        .iter()
        .map(|row| (row.environment.name.as_str(), row.apps.len()))
        .collect();
    assert_eq!(read, [("Two", 1)]);
    let unread: Vec<_> = full.unread.iter().map(|name| name.name.as_str()).collect();
    assert_eq!(unread, ["One"]);
    agent.dies().await;
    service.assert_obeyed();
}

#[tokio::test]
async fn a_change_is_reported_between_full_sets_and_alone() {
    let service = Service::start().await;
    let host = Host::of(&service)
        .serving(&["One", "Two"])
        .with_agent("inventory_every = \"1m\"");
    let agent = host.runs();
    service
        .until("was all reported", |state| {
            (!state.inventories.is_empty()).then_some(())
        })
        .await;
    host.installs("Two", NEW);
    let change = service
        .until("was the change reported", |state| {
            state.inventories.get(1).cloned()
        })
        .await;
    agent.stops().await;
    assert_eq!(change.0, Method::PATCH);
    assert_eq!(change.1.environments.len(), 1);
    assert_eq!(change.1.environments[0].environment.name, "Two");
    service.assert_obeyed();
}

#[tokio::test]
async fn an_inventory_that_is_not_taken_is_told_and_keeps_nothing_from_going_on() {
    let service = Service::start().await;
    let host = Host::of(&service).with_agent("inventory_every = \"1m\"");
    service.state().faults = vec![("PUT /agent/v1/inventory", 409)];
    let agent = host.runs();
    service.grants([hotfix(1, "Production")]);
    assert_eq!(service.finish_of(Uuid::from_u128(1)).await.status, "Succeeded");
    service
        .until("was all reported anew", |state| {
            (!state.inventories.is_empty()).then_some(())
        })
        .await;
    agent.stops().await;
    service.assert_obeyed();
}

#[tokio::test]
async fn the_token_is_replaced_in_time_and_kept() {
    let service = Service::start().await;
    let host = Host::of(&service).enrolled(Duration::from_secs(31 * 24 * 3_600));
    service.state().faults = vec![("POST /agent/v1/token", 500)];
    let agent = host.runs();
    service
        .until("was the token replaced", |state| {
            (state.token == SECOND_TOKEN).then_some(())
        })
        .await;
    service.grants([hotfix(1, "Production")]);
    service
        .until("was the new token used", |state| {
            state.tokens.contains(&SECOND_TOKEN.into()).then_some(())
        })
        .await;
    agent.dies().await;
    service.state().tokens.clear();
    let agent = host.runs();
    service.grants([hotfix(2, "Production")]);
    service.finish_of(Uuid::from_u128(2)).await;
    agent.stops().await;
    let state = service.state();
    assert!(
        state.tokens.iter().all(|token| token == SECOND_TOKEN),
        "{:?}",
        state.tokens
    );
    drop(state);
    service.assert_obeyed();
}

#[tokio::test]
async fn a_planned_stop_ends_what_was_begun_and_takes_on_nothing_more() {
    let service = Service::start().await;
    let host = Host::of(&service).simulating("takes = \"2m\"");
    let agent = host.runs();
    service.grants([hotfix(1, "Production")]);
    service
        .until("was it begun", |state| {
            state.held.contains_key(&Uuid::from_u128(1)).then_some(())
        })
        .await;
    agent.stops().await;
    assert_eq!(service.finish_of(Uuid::from_u128(1)).await.status, "Succeeded");
    assert_eq!(service.state().claims.last().unwrap().max, 0);
    service.assert_obeyed();
}

#[tokio::test]
async fn a_code_becomes_a_token_and_a_check_signs_nobody_in() {
    let service = Service::start().await;
    let host = Host::of(&service).serving(&["One"]);
    std::fs::remove_file(host.path("state/token")).unwrap();
    let config = host.config().unwrap();
    let around = host.surroundings();
    let weight_of_agent = async || check::check(&config, &around).await[0].findings[0].weight;
    assert_eq!(weight_of_agent().await, Weight::Problem);
    assert!(enrol::enrol(&config, "another", &host.clock).await.is_err());
    let kept = enrol::enrol(&config, "the-code", &host.clock).await.unwrap();
    assert_eq!(kept.name, "north");
    assert_eq!(weight_of_agent().await, Weight::Good);
    let checked = check::check(&config, &around).await;
    assert_eq!(checked[1].about, format!("{TENANT}/businesscentral/one"));
    assert_eq!(checked[1].findings[0].weight, Weight::Warning);
    assert!(service.state().sessions.is_empty());
    service.assert_obeyed();
}

#[tokio::test]
async fn a_check_tells_what_would_keep_the_agent_from_its_work() {
    let service = Service::start().await;
    let host = Host::of(&service);
    let around = host.surroundings();
    let found = async |host: &Host| {
        let checked = check::check(&host.config().unwrap(), &around).await;
        let first = &checked[0].findings[0];
        (first.weight, first.text.clone())
    };
    host.policy("allowed_apps = []");
    let (weight, text) = found(&host).await;
    assert!(
        weight == Weight::Warning && text.contains("allowed_apps is empty"),
        "{text}"
    );
    host.policy("allowed_apps = \"any\"\nmax_starts_per_hour = 0");
    let (_, text) = found(&host).await;
    assert!(text.contains("max_starts_per_hour is 0"), "{text}");
    let folder = host.path("state");
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    let (weight, text) = found(&host).await;
    assert!(weight == Weight::Problem && text.contains("0755"), "{text}");
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700)).unwrap();
    let (weight, text) = found(&host.of_nobody()).await;
    assert!(
        weight == Weight::Problem && text.contains("does not answer"),
        "{text}"
    );
}

#[tokio::test]
async fn what_no_name_can_be_is_not_written_down() {
    let service = Service::start().await;
    let host = Host::of(&service);
    let agent = host.runs();
    let oversized = ClaimedOperation {
        app_name: Some("ä".repeat(251)),
        ..hotfix(1, "Production")
    };
    let longest = ClaimedOperation {
        app_name: Some("ä".repeat(250)),
        ..hotfix(2, "Production")
    };
    service.grants([oversized, longest]);
    assert_eq!(service.finish_of(Uuid::from_u128(2)).await.status, "Succeeded");
    agent.stops().await;
    let journal = std::fs::read_to_string(host.path("state/journal")).unwrap();
    assert!(journal.contains(&Uuid::from_u128(2).to_string()));
    assert!(!journal.contains(&Uuid::from_u128(1).to_string()));
    service.assert_obeyed();
}

#[tokio::test]
async fn who_grants_what_may_not_be_begun_is_asked_less_and_less_often() {
    let service = Service::start().await;
    let host = Host::of(&service).with_agent("parallel = 1");
    host.policy("allowed_apps = []");
    let agent = host.runs();
    service.grants((1..=7).map(|number| hotfix(number, "Production")));
    service.finish_of(Uuid::from_u128(1)).await;
    let first = host.clock.now();
    service.finish_of(Uuid::from_u128(7)).await;
    let between = host.clock.now().since(first);
    // A second, two, four, and so on, or half of each.
    assert!(between >= Duration::from_secs(31), "{between:?}");
    agent.stops().await;
    service.assert_obeyed();
}

#[tokio::test]
async fn an_agent_of_which_a_part_breaks_ends() {
    let service = Service::start().await;
    // The token is to be replaced in a month.
    let host = Host::of(&service).with_a_clock_that_breaks(Duration::from_secs(24 * 3_600));
    host.runs().breaks().await;
}

#[tokio::test]
async fn an_operation_that_breaks_frees_its_place() {
    let service = Service::start().await;
    let host = Host::of(&service)
        .serving(&["One", "Two"])
        .with_agent("parallel = 1")
        .with_a_clock_that_breaks(Duration::from_secs(1_000 * 3_600))
        .simulating("takes = \"2000h\"");
    let agent = host.runs();
    service.grants([hotfix(1, "One"), hotfix(2, "Two")]);
    service
        .until("was the second one granted", |state| {
            state.due.is_empty().then_some(())
        })
        .await;
    agent.stops().await;
    assert!(service.state().finishes.is_empty(), "nobody knows how they ended");
    service.assert_obeyed();
}

#[tokio::test]
async fn an_environment_that_hangs_keeps_no_other_from_being_told_of() {
    let service = Service::start().await;
    let inventory = format!(
        r#"case $FAME_ENVIRONMENT_NAME in Hangs) until [ -e ends ]; do sleep 0.1; done;; esac
        echo '{{"apps": [{{"id": "{APP}", "version": "{OLD}"}}]}}'"#
    );
    let host = Host::of(&service)
        .hurried(10)
        .serving(&["Fine", "Hangs"])
        .with_scripts("", &inventory, "inventory_time_limit = \"10h\"");
    let agent = host.runs();
    let (_, first) = service
        .until("was reported what could be read", |state| {
            state.inventories.first().cloned()
        })
        .await;
    assert_eq!(first.environments[0].environment.name, "Fine");
    assert_eq!((first.environments.len(), first.unread.len()), (1, 1));
    assert_eq!(first.unread[0].name, "Hangs");
    std::fs::write(host.path("ends"), "").unwrap();
    let (method, second) = service
        .until("was the rest reported", |state| state.inventories.get(1).cloned())
        .await;
    assert_eq!((method, second.environments.len()), (Method::PATCH, 1));
    assert_eq!(second.environments[0].environment.name, "Hangs");
    agent.stops().await;
    service.assert_obeyed();
}
