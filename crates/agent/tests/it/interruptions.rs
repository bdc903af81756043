//! Agents that are killed at the worst moments, and what those after them make of what they find.

use crate::{
    host::{APP, Host, NEW, OLD, hotfix},
    packages,
    service::Service,
};
use uuid::Uuid;

const FIRST: Uuid = Uuid::from_u128(1);

/// An agent that was killed in the middle of an operation.
async fn killed_at_work(service: &Service, host: &Host) {
    let agent = host.runs();
    service.grants([hotfix(1, "Production")]);
    service
        .until("was progress told", |state| {
            let upgrading = |step: &str| step == "Upgrade";
            let told = state
                .renewals
                .iter()
                .filter_map(|(_, renewal)| renewal.progress.as_ref());
            told.filter_map(|progress| progress.step.as_deref())
                .any(upgrading)
                .then_some(())
        })
        .await;
    agent.dies().await;
}

#[tokio::test]
async fn what_was_begun_is_gone_on_with_and_told_once() {
    let service = Service::start().await;
    let host = Host::of(&service).simulating("takes = \"5m\"");
    killed_at_work(&service, &host).await;
    let begun = std::fs::read_to_string(host.path("state/journal")).unwrap();
    let renewals = service.state().renewals.len();
    let agent = host.runs();
    assert_eq!(service.finish_of(FIRST).await.status, "Succeeded");
    agent.stops().await;
    assert_eq!(host.installed("Production"), NEW);
    let state = service.state();
    assert_eq!((state.finishes.len(), state.sessions.len()), (1, 2));
    assert!(
        state.renewals.len() > renewals,
        "the lease was asked about before anything was done"
    );
    let marks = |text: &str| text.matches("\"entry\":\"mark\"").count();
    let now = std::fs::read_to_string(host.path("state/journal")).unwrap();
    assert_eq!((marks(&begun), marks(&now)), (1, 1), "it was begun once");
    drop(state);
    service.assert_obeyed();
}

#[tokio::test]
async fn without_the_lease_what_was_begun_is_only_watched() {
    let service = Service::start().await;
    let host = Host::of(&service)
        .simulating("takes = \"5m\"")
        .with_agent("watch_within = \"1m\"");
    killed_at_work(&service, &host).await;
    // The service gave it up; nothing brings the version in any more.
    service.state().held.clear();
    let agent = host.runs();
    let finish = service.finish_of(FIRST).await;
    agent.stops().await;
    assert_eq!(finish.status, "Failed");
    assert_eq!(finish.failure_cause.as_deref(), Some("TimeOut"));
    assert_eq!(finish.installed_version, Some(OLD.to_string()));
    assert_eq!(
        host.installed("Production"),
        OLD,
        "nothing was sent without the lease"
    );
    service.assert_obeyed();
}

#[tokio::test]
async fn what_the_policy_forbids_by_now_is_only_watched() {
    let service = Service::start().await;
    let host = Host::of(&service)
        .simulating("takes = \"5m\"")
        .with_agent("watch_within = \"1m\"");
    killed_at_work(&service, &host).await;
    host.policy("allowed_apps = []");
    let agent = host.runs();
    let finish = service.finish_of(FIRST).await;
    agent.stops().await;
    assert_eq!(finish.installed_version, Some(OLD.to_string()));
    let text = finish.error_message.unwrap();
    assert!(
        text.contains("does not allow app") && !text.contains("Nothing was started"),
        "{text}"
    );
    assert_eq!(host.installed("Production"), OLD, "it is not gone on with");
    service.assert_obeyed();
}

#[tokio::test]
async fn of_an_environment_that_is_not_served_any_more_nobody_says_how_it_ended() {
    let service = Service::start().await;
    let host = Host::of(&service).simulating("takes = \"5m\"");
    killed_at_work(&service, &host).await;
    let host = host.serving(&["Elsewhere"]);
    let renewals = service.state().renewals.len();
    let agent = host.runs();
    service
        .until("was the lease asked about", |state| {
            (state.renewals.len() > renewals).then_some(())
        })
        .await;
    agent.stops().await;
    // It is known not to be begun again, and nobody keeps the lease: the service finds out that nobody is at it.
    let journal = std::fs::read_to_string(host.path("state/journal")).unwrap();
    assert!(journal.contains("\"entry\":\"told\""), "{journal}");
    assert!(service.state().finishes.is_empty());
    service.assert_obeyed();
}

#[tokio::test]
async fn what_the_target_did_meanwhile_is_told_though_late() {
    let service = Service::start().await;
    let host = Host::of(&service).simulating("takes = \"5m\"");
    killed_at_work(&service, &host).await;
    service.state().held.clear();
    host.installs("Production", NEW);
    let agent = host.runs();
    assert_eq!(service.finish_of(FIRST).await.status, "Succeeded");
    agent.stops().await;
    // It is told once: nobody tries for ever what came too late.
    let agent = host.runs();
    service.grants([hotfix(2, "Production")]);
    service.finish_of(Uuid::from_u128(2)).await;
    agent.stops().await;
    assert_eq!(
        service
            .state()
            .finishes
            .iter()
            .filter(|(id, _)| *id == FIRST)
            .count(),
        1
    );
    service.assert_obeyed();
}

#[tokio::test]
async fn an_end_that_nobody_heard_of_is_told_by_the_next() {
    let service = Service::start().await;
    let host = Host::of(&service);
    let finish = "POST /agent/v1/operations/00000000-0000-0000-0000-000000000001/finish";
    service.state().faults = vec![(finish, 500); 1_000];
    let agent = host.runs();
    service.grants([hotfix(1, "Production")]);
    service
        .until("was its end told in vain", |state| {
            (state.faults.len() < 1_000).then_some(())
        })
        .await;
    agent.dies().await;
    service.state().faults.clear();
    // If it were done again, it would succeed again.
    host.installs("Production", OLD);
    let agent = host.runs();
    assert_eq!(service.finish_of(FIRST).await.status, "Succeeded");
    agent.stops().await;
    assert_eq!(host.installed("Production"), OLD);
    service.assert_obeyed();
}

#[tokio::test]
async fn an_answer_that_was_lost_is_told_again_and_carried_out_once() {
    let service = Service::start().await;
    let host = Host::of(&service);
    // Granted to nobody who heard of it.
    let lost = hotfix(1, "Production");
    service.state().held.insert(FIRST, lost);
    let agent = host.runs();
    assert_eq!(service.finish_of(FIRST).await.status, "Succeeded");
    agent.stops().await;
    assert_eq!(service.state().finishes.len(), 1);
    service.assert_obeyed();
}

#[tokio::test]
async fn a_damaged_journal_is_for_a_person_to_look_at() {
    let service = Service::start().await;
    let host = Host::of(&service);
    std::fs::write(host.path("state/journal"), "{}\n{\"entry\":\"told\"}\n").unwrap();
    let refused = host.refused();
    assert!(refused.contains("Line 1 of the journal"), "{refused}");
    assert!(service.state().sessions.is_empty());
}

#[tokio::test]
async fn who_falls_silent_is_found_out_by_the_service() {
    let service = Service::start().await;
    let host = Host::of(&service)
        .simulating("gets_lost = true")
        .with_agent("parallel = 1");
    let agent = host.runs();
    service.grants([hotfix(1, "Production")]);
    // The place is free again once the lease has ended.
    service
        .until("was more asked for", |state| {
            let claims = state.claims.iter().filter(|claim| claim.max > 0);
            (claims.count() > 1).then_some(())
        })
        .await;
    agent.dies().await;
    let state = service.state();
    assert!(state.finishes.is_empty() && state.renewals.is_empty());
    // It does not let itself be told of it again, which would keep the lease alive.
    let given_up = [hotfix(1, "Production").operation_id];
    assert_eq!(state.claims.last().unwrap().holding, given_up);
    drop(state);
    service.assert_obeyed();
}

#[tokio::test]
async fn a_planned_stop_does_not_wait_for_what_only_waits_and_the_next_start_goes_on() {
    let service = Service::start().await;
    let deploy = format!(
        "if [ -e again ]; then echo {NEW} > version; exit 0; fi; touch again\n\
         echo 'The operation failed to acquire a lock on the table'; exit 1"
    );
    let inventory =
        format!(r#"echo "{{\"apps\": [{{\"id\": \"{APP}\", \"version\": \"$(cat version)\"}}]}}""#);
    let host = Host::of(&service)
        .with_agent("stop_within = \"10000h\"")
        .with_scripts(
            &deploy,
            &inventory,
            "reenterable = true\n\
             repeats = { shortest_lock_pause = \"10000h\", longest_lock_pause = \"10001h\" }",
        );
    std::fs::write(host.path("version"), OLD.to_string()).unwrap();
    let bytes = packages::package(APP, NEW.0);
    service.state().packages.insert(FIRST, bytes.clone());
    let agent = host.runs();
    service.grants([packages::of(&bytes)]);
    service
        .until("was it told that it is begun anew", |state| {
            let told = state
                .renewals
                .iter()
                .filter_map(|(_, renewal)| renewal.progress.as_ref());
            told.filter_map(|progress| progress.step.as_deref())
                .any(|step| step == "Again")
                .then_some(())
        })
        .await;
    let stopped = tokio::time::timeout(std::time::Duration::from_secs(60), agent.stops()).await;
    stopped.expect("it stops");
    assert!(service.state().finishes.is_empty());
    let agent = host.runs();
    assert_eq!(service.finish_of(FIRST).await.status, "Succeeded");
    agent.stops().await;
    service.assert_obeyed();
}
