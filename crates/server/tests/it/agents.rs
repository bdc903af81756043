//! Agents: how operators make them, how they sign in, and when they are frozen.

use crate::harness::{
    Answer, Backend, CUSTOMER, Caller, Environment, Harness, OTHER_CUSTOMER, Person, agent_of, agent_path,
    agent_registration, identity_of, on_both_databases,
};
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;
use wire::agent::READY_HEADER;

on_both_databases!(
    a_code_is_good_once,
    a_code_ends_and_a_new_one_is_made,
    a_mistyped_code_is_refused_without_a_look,
    few_codes_are_looked_up_in_a_minute,
    who_tells_of_what_nobody_was_given_keeps_nobody_from_enrolling,
    a_token_is_not_replaced_as_soon_as_it_is_got,
    a_copy_does_not_hide_behind_new_sessions,
    a_token_is_replaced_and_the_one_before_is_good_for_a_while,
    a_token_that_was_replaced_freezes_the_agent,
    two_processes_under_one_token_freeze_the_agent,
    copies_that_call_in_turn_freeze_the_agent,
    a_new_process_takes_over,
    an_answer_that_got_lost_is_asked_for_again,
    an_answer_that_got_lost_before_a_long_outage_freezes_nobody,
    a_token_that_got_lost_is_nobodys,
    a_token_ends,
    a_token_that_was_found_is_ended_by_whoever_tells,
    a_call_names_its_process,
    what_is_revoked_dies_at_once,
    an_agent_is_listed_as_it_is,
    an_agent_that_cannot_work_is_seen_to_be_there,
    what_no_scope_can_be_is_refused,
    scopes_that_overlap_are_told,
    only_the_state_that_was_seen_is_changed,
    a_scope_that_shrinks_lets_environments_go,
    a_removed_agent_lets_environments_go,
    what_nobody_reports_is_served_by_the_one_who_may,
    the_operator_says_whose_an_environment_is,
    who_is_an_agent_is_nobody_else,
    an_agent_of_the_cloud_signs_in_by_its_issuer,
);

const MINUTE: Duration = Duration::from_secs(60);

/// Asks for a new token, once the last one is old enough, with which the agent goes on in the same process.
async fn rotates(service: &Harness, agent: &Caller, session: Uuid) -> Caller {
    service.advances(MINUTE).await;
    let rotated = agent
        .in_session(session)
        .post("/agent/v1/token", json!({}))
        .await
        .expect(200);
    service
        .caller_with_token(rotated.property("token"))
        .in_session(session)
}

async fn asks(agent: &Caller) -> Answer {
    agent.post("/agent/v1/token", json!({})).await
}

/// A call that changes nothing.
async fn calls(agent: &Caller) -> Answer {
    agent.post("/agent/v1/claim", json!({ "max": 0 })).await
}

async fn code_of(service: &Harness, name: &str) -> String {
    let registered = service
        .operator()
        .registers_agent(name, agent_registration())
        .await;
    registered.property("enrolmentCode")
}

async fn enrols(service: &Harness, code: &str) -> Answer {
    service
        .nobody()
        .post("/agent/v1/enrol", json!({ "code": code }))
        .await
}

/// Tells of tokens that were found where they do not belong.
async fn tells(service: &Harness, tokens: Value) -> Answer {
    let tokens = json!({ "tokens": tokens });
    service.nobody().post("/tokens/leaked", tokens).await
}

/// The actions of the audit that are about an agent, the newest first.
async fn actions_on(service: &Harness, name: &str) -> Vec<String> {
    let path = format!("/operator/v1/audit?$filter=target eq 'agents/{name}'&$orderby=id desc");
    service.operator().get(path).await.expect(200).column("action")
}

async fn a_code_is_good_once(backend: Backend) {
    let service = Harness::start(backend).await;
    let code = code_of(&service, "eu").await;
    assert!(code.starts_with("fameenr_"), "{code}");
    let seen = service.operator().sees_agent("eu").await;
    assert_eq!(
        (seen.property("state"), seen.json()["enrolmentCode"].clone()),
        ("Enrolling".into(), Value::Null),
        "a code is shown once"
    );

    let enrolled = enrols(&service, &code).await.expect(200);
    assert_eq!(enrolled.property("name"), "eu");
    assert_eq!(enrolled.header("cache-control"), "no-store");
    assert!(enrolled.property("token").starts_with("fameagt_"));
    enrols(&service, &code).await.refused(403, "EnrolmentRefused");
    assert_eq!(actions_on(&service, "eu").await, ["agents/enrol", "agents/write"]);
}

async fn a_code_ends_and_a_new_one_is_made(backend: Backend) {
    let service = Harness::start(backend).await;
    let code = code_of(&service, "eu").await;
    service.advances(60 * MINUTE).await;
    enrols(&service, &code).await.refused(403, "EnrolmentRefused");

    let path = format!("{}/rotate", agent_path("eu"));
    let codes = [
        service.operator().post(&path, json!({})).await.expect(200),
        service.operator().post(&path, json!({})).await.expect(200),
    ];
    let [replaced, good] = codes.map(|answer| answer.property("enrolmentCode"));
    enrols(&service, &replaced).await.refused(403, "EnrolmentRefused");
    service.advances(59 * MINUTE).await;
    enrols(&service, &good).await.expect(200);
}

async fn a_mistyped_code_is_refused_without_a_look(backend: Backend) {
    let service = Harness::start(backend).await;
    let code = code_of(&service, "eu").await;
    let last = if code.ends_with('0') { "1" } else { "0" };
    let mistyped = format!("{}{last}", &code[..code.len() - 1]);
    for wrong in [
        mistyped.as_str(),
        &code[1..],
        "",
        &code.replace("fameenr", "fameagt"),
    ] {
        enrols(&service, wrong).await.refused(400, "InvalidInput");
    }
    service
        .nobody()
        .post("/agent/v1/enrol", json!({}))
        .await
        .refused(400, "InvalidInput");
    enrols(&service, &format!(" {code}\n")).await.expect(200);
}

async fn few_codes_are_looked_up_in_a_minute(backend: Backend) {
    let service = Harness::start(backend).await;
    let code = code_of(&service, "eu").await;
    enrols(&service, &code).await.expect(200);
    for _ in 0..120 {
        enrols(&service, &code).await.refused(403, "EnrolmentRefused");
    }
    let refused = enrols(&service, &code).await;
    refused.refused(429, "TooManyRequests");
    // Whoever tells of tokens is counted apart.
    tells(&service, json!(["x"])).await.expect(202);
    service.advances(MINUTE).await;
    enrols(&service, &code).await.refused(403, "EnrolmentRefused");
}

async fn who_tells_of_what_nobody_was_given_keeps_nobody_from_enrolling(backend: Backend) {
    let service = Harness::start(backend).await;
    let code = code_of(&service, "eu").await;
    let refused = tells(&service, json!([])).await.refused(400, "InvalidInput");
    assert_eq!(refused.target(), "tokens");
    let unknown = || auth::OwnToken::random(auth::OwnTokenKind::Agent).unwrap();
    let many: Vec<_> = (0..100).map(|_| unknown().text().to_owned()).collect();
    // What cannot be a token costs no look-up, and is not counted.
    for mistyped in [1; 121] {
        tells(&service, json!(vec!["x"; mistyped])).await.expect(202);
    }
    for _ in 0..11 {
        tells(&service, json!(many)).await.expect(202);
    }
    // What was found is not counted either.
    let found = code_of(&service, "us").await;
    tells(&service, json!([found])).await.expect(202);
    enrols(&service, &found).await.refused(403, "EnrolmentRefused");
    tells(&service, json!(many)).await.expect(202);
    let refused = tells(&service, json!([unknown().text()])).await;
    let refused = refused.refused(429, "TooManyRequests");
    assert!(refused.header("retry-after").parse::<u32>().unwrap() <= 60);
    enrols(&service, &code).await.expect(200);
}

async fn a_token_is_not_replaced_as_soon_as_it_is_got(backend: Backend) {
    let service = Harness::with(backend)
        .setting("agents.token_days", 1)
        .start()
        .await;
    let agent = service.has_agent("eu").await;
    let refused = asks(&agent).await.refused(429, "TooManyRequests");
    assert_eq!(refused.header("retry-after"), "60");
    service.advances(MINUTE - Duration::from_secs(1)).await;
    asks(&agent).await.refused(429, "TooManyRequests");
    service.advances(Duration::from_secs(1)).await;
    asks(&agent).await.expect(200);
    // Nor when its answer was lost; the one before is good meanwhile.
    asks(&agent).await.refused(429, "TooManyRequests");
    calls(&agent).await.expect(200);
    let rotations = actions_on(&service, "eu").await;
    assert_eq!(
        rotations
            .iter()
            .filter(|action| *action == "agents/rotateToken")
            .count(),
        1
    );
}

async fn a_copy_does_not_hide_behind_new_sessions(backend: Backend) {
    let service = Harness::start(backend).await;
    let agent = service.has_agent("eu").await;
    calls(&agent).await.expect(200);
    let as_another = || agent.in_session(Uuid::new_v4());
    for _ in 0..20 {
        calls(&as_another()).await.expect(200);
    }
    let refused = calls(&as_another()).await.refused(403, "AgentFrozen");
    assert!(refused.message().contains("started too often"), "{refused:?}");

    // Slowly, it is found out once the one that was copied calls.
    let agent = service.has_agent("us").await;
    calls(&agent).await.expect(200);
    for _ in 0..30 {
        service.advances(4 * MINUTE).await;
        calls(&agent.in_session(Uuid::new_v4())).await.expect(200);
    }
    let refused = calls(&agent).await.refused(403, "AgentFrozen");
    assert!(refused.message().contains("Two processes"), "{refused:?}");
}

async fn a_token_is_replaced_and_the_one_before_is_good_for_a_while(backend: Backend) {
    let service = Harness::start(backend).await;
    let (first, session) = (service.has_agent("eu").await, Uuid::new_v4());
    let second = rotates(&service, &first, session).await;
    service.advances(9 * MINUTE).await;
    let third = rotates(&service, &second, session).await;
    service.advances(MINUTE).await;
    asks(&second).await.expect(200);
    // The first was followed by two, and is forgotten.
    asks(&first.in_session(session))
        .await
        .refused(401, "Unauthorized");
    asks(&third).await.refused(403, "AgentFrozen");
}

async fn a_token_that_was_replaced_freezes_the_agent(backend: Backend) {
    let service = Harness::start(backend).await;
    let (first, session) = (service.has_agent("eu").await, Uuid::new_v4());
    let second = rotates(&service, &first, session).await;
    calls(&second).await.expect(200);
    service.advances(9 * MINUTE).await;
    calls(&first.in_session(session)).await.expect(200);
    service.advances(MINUTE).await;
    let refused = asks(&first.in_session(session)).await;
    refused.refused(403, "AgentFrozen");
    asks(&second).await.refused(403, "AgentFrozen");

    let seen = service.operator().sees_agent("eu").await;
    assert_eq!(seen.property("state"), "Frozen");
    assert!(seen.property("frozenReason").contains("replaced"), "{seen:?}");
    assert_eq!(actions_on(&service, "eu").await[0], "agents/freeze");
}

async fn two_processes_under_one_token_freeze_the_agent(backend: Backend) {
    let service = Harness::start(backend).await;
    let agent = service.has_agent("eu").await;
    let (original, copy) = (Uuid::new_v4(), Uuid::new_v4());
    let token = rotates(&service, &agent, original).await;
    let copied = rotates(&service, &token, copy).await;
    let refused = asks(&token.in_session(original))
        .await
        .refused(403, "AgentFrozen");
    assert!(refused.message().contains("Two processes"), "{refused:?}");
    asks(&copied).await.refused(403, "AgentFrozen");
    assert_eq!(actions_on(&service, "eu").await[0], "agents/freeze");

    let path = format!("{}/rotate", agent_path("eu"));
    let rotated = service.operator().post(path, json!({})).await.expect(200);
    asks(&copied).await.refused(403, "AgentFrozen");
    let thawed = service.enrols(&rotated.property("enrolmentCode")).await;
    calls(&thawed).await.expect(200);
    asks(&copied).await.refused(401, "Unauthorized");
    assert_eq!(
        service.operator().sees_agent("eu").await.property("state"),
        "Active"
    );
}

async fn copies_that_call_in_turn_freeze_the_agent(backend: Backend) {
    for copies in [3, 7] {
        let service = Harness::start(backend).await;
        let agent = service.has_agent("eu").await;
        let copies: Vec<_> = (0..copies).map(|_| agent.in_session(Uuid::new_v4())).collect();
        let claim = json!({ "max": 0 });
        for copy in &copies {
            copy.post("/agent/v1/claim", claim.clone()).await.expect(200);
        }
        for copy in &copies {
            let refused = copy.post("/agent/v1/claim", claim.clone()).await;
            refused.refused(403, "AgentFrozen");
        }
        assert_eq!(actions_on(&service, "eu").await[0], "agents/freeze");
    }
}

async fn a_new_process_takes_over(backend: Backend) {
    let service = Harness::start(backend).await;
    let mut agent = service.has_agent("eu").await;
    for _ in 0..3 {
        agent = rotates(&service, &agent, Uuid::new_v4()).await;
    }
    assert_eq!(
        service.operator().sees_agent("eu").await.property("state"),
        "Active"
    );
}

async fn an_answer_that_got_lost_is_asked_for_again(backend: Backend) {
    let service = Harness::start(backend).await;
    let (first, session) = (service.has_agent("eu").await, Uuid::new_v4());
    for _ in 0..3 {
        rotates(&service, &first, session).await;
    }
    let got = rotates(&service, &first, session).await;
    service.advances(30 * MINUTE).await;
    asks(&got).await.expect(200);
}

async fn an_answer_that_got_lost_before_a_long_outage_freezes_nobody(backend: Backend) {
    let service = Harness::start(backend).await;
    let (first, session) = (service.has_agent("eu").await, Uuid::new_v4());
    rotates(&service, &first, session).await;
    service.advances(24 * 60 * MINUTE).await;
    calls(&first.in_session(session)).await.expect(200);
    let got = rotates(&service, &first, session).await;
    // It ends when it would have ended anyway.
    service.advances(89 * 24 * 60 * MINUTE).await;
    calls(&first.in_session(session))
        .await
        .refused(401, "Unauthorized");
    calls(&got).await.expect(200);
}

async fn a_token_that_got_lost_is_nobodys(backend: Backend) {
    let service = Harness::start(backend).await;
    let (first, session) = (service.has_agent("eu").await, Uuid::new_v4());
    let lost = rotates(&service, &first, session).await;
    rotates(&service, &first, session).await;
    asks(&lost).await.refused(403, "AgentFrozen");
}

async fn a_token_ends(backend: Backend) {
    let service = Harness::start(backend).await;
    let agent = service.has_agent("eu").await;
    service.advances(90 * 24 * 60 * MINUTE).await;
    asks(&agent).await.refused(401, "Unauthorized");
    assert_eq!(
        service.operator().sees_agent("eu").await.property("state"),
        "Enrolling"
    );
}

async fn a_token_that_was_found_is_ended_by_whoever_tells(backend: Backend) {
    let service = Harness::start(backend).await;
    let told = async |tokens: Value| tells(&service, tokens).await;
    let token = enrols(&service, &code_of(&service, "eu").await).await.expect(200);
    let token = token.property("token");
    let agent = service
        .caller_with_token(token.clone())
        .in_session(Uuid::new_v4());
    let code = code_of(&service, "us").await;
    let unknown = auth::OwnToken::random(auth::OwnTokenKind::Agent).unwrap();
    let mistyped = &token[..token.len() - 1];
    told(json!([unknown.text(), mistyped, "", "eyJ"]))
        .await
        .expect(202);
    agent
        .post("/agent/v1/claim", json!({ "max": 0 }))
        .await
        .expect(200);

    let both = told(json!(["x", token, code])).await.expect(202);
    assert_eq!(both.text(), "");
    let refused = asks(&agent).await.refused(403, "AgentFrozen");
    assert!(refused.message().contains("was found"), "{refused:?}");
    enrols(&service, &code).await.refused(403, "EnrolmentRefused");
    assert_eq!(actions_on(&service, "eu").await[0], "agents/freeze");
    assert_eq!(
        actions_on(&service, "us").await,
        ["agents/endCode", "agents/write"]
    );
    told(json!([token])).await.expect(202);
    assert_eq!(
        actions_on(&service, "eu").await.len(),
        3,
        "told twice, ended once"
    );
    let refused = told(json!(vec!["x"; 101])).await.refused(400, "InvalidInput");
    assert_eq!(refused.target(), "tokens");
}

async fn a_call_names_its_process(backend: Backend) {
    let service = Harness::start(backend).await;
    let enrolled = enrols(&service, &code_of(&service, "eu").await).await.expect(200);
    let nameless = service.caller_with_token(enrolled.property("token"));
    asks(&nameless).await.refused(400, "InvalidInput");
    let request = nameless.post("/agent/v1/token", json!({}));
    request
        .header("fame-agent-session", "mine")
        .await
        .refused(400, "InvalidInput");
    // What a program has that made none.
    calls(&nameless.in_session(Uuid::nil()))
        .await
        .refused(400, "InvalidInput");
    calls(&nameless.in_session(Uuid::new_v4())).await.expect(200);
}

async fn what_is_revoked_dies_at_once(backend: Backend) {
    let service = Harness::start(backend).await;
    let (agent, session) = (service.has_agent("eu").await, Uuid::new_v4());
    let path = format!("{}/rotate", agent_path("eu"));
    service.operator().post(&path, json!({})).await.expect(200);
    let agent = rotates(&service, &agent, session).await;
    service
        .operator()
        .post(&path, json!({ "revoke": true }))
        .await
        .expect(200);
    asks(&agent).await.refused(401, "Unauthorized");
}

async fn an_agent_is_listed_as_it_is(backend: Backend) {
    let service = Harness::with(backend).without_simulator().start().await;
    let operator = service.operator();
    service.has_agent("EU").await;
    let (us, session) = (service.has_agent("us").await, Uuid::new_v4());
    let replaced = rotates(&service, &us, session).await;
    service.advances(MINUTE).await;
    let request = replaced.post("/agent/v1/token", json!({}));
    let rotated = request.header("user-agent", "fame/1.0 (exec)").await.expect(200);
    let latest = service.caller_with_token(rotated.property("token"));
    calls(&latest.in_session(session)).await.expect(200);
    service.advances(11 * MINUTE).await;
    asks(&replaced).await.refused(403, "AgentFrozen");

    let listed = async |query: &str| {
        let path = format!("/operator/v1/agents{query}");
        operator.get(path).await.expect(200).column("name")
    };
    assert_eq!(listed("").await, ["EU", "us"]);
    assert_eq!(listed("?$orderby=name desc&$top=1").await, ["us"]);
    assert_eq!(listed("?$filter=frozenOn ne null").await, ["us"]);
    assert_eq!(
        listed("?$filter=name eq 'eu' and lastSeenOn eq null").await,
        ["EU"]
    );
    assert_eq!(
        listed("?$filter=environments eq 0 and running lt 1 and dueOn eq null")
            .await
            .len(),
        2
    );
    let seen = operator.sees_agent("US").await;
    assert_eq!(seen.property("software"), "fame/1.0 (exec)");
    assert_eq!(seen.json()["scope"]["allTenants"], true);
    operator
        .get(agent_path("asia"))
        .await
        .refused(404, "ResourceDoesNotExist");
    // What follows from the time is not asked for by its word, and the refusal says no more than that.
    let refusal = operator
        .get("/operator/v1/agents?$filter=state eq 'Silent'")
        .await;
    let refusal = refusal.refused(400, "InvalidFilter");
    assert!(
        refusal.message().contains("cannot be filtered by `state`"),
        "{refusal:?}"
    );
}

async fn an_agent_that_cannot_work_is_seen_to_be_there(backend: Backend) {
    let service = Harness::with(backend).without_simulator().start().await;
    let agent = service.has_agent("hoster").await;
    service.has_agent("silent").await;
    let says = async |word: &str| {
        let request = agent.post("/agent/v1/claim", json!({ "max": 0 }));
        request.header(READY_HEADER, word).await
    };
    let listed = async |ready: &str| {
        let path = format!("/operator/v1/agents?$filter=ready eq {ready}&$select=name,ready");
        service.operator().get(path).await.expect(200).column("name")
    };
    says("false").await.expect(200);
    let seen = service.operator().sees_agent("hoster").await.json();
    assert_eq!(
        (&seen["state"], &seen["ready"]),
        (&json!("Active"), &json!(false))
    );
    assert_eq!(listed("false").await, ["hoster"]);
    assert_eq!(listed("null").await, ["silent"]);
    // It is noted with the time at which it called, to the minute.
    service.advances(MINUTE).await;
    says("true").await.expect(200);
    assert_eq!(listed("true").await, ["hoster"]);
    service.advances(MINUTE).await;
    calls(&agent).await.expect(200);
    assert_eq!(listed("null").await, ["hoster", "silent"]);
    let refusal = says("perhaps").await;
    let refusal = refusal.refused(400, "InvalidInput");
    assert!(refusal.message().contains(READY_HEADER), "{refusal:?}");
}

async fn what_no_scope_can_be_is_refused(backend: Backend) {
    let service = Harness::start(backend).await;
    for (scope, code) in [
        (json!({}), "InvalidInput"),
        (json!({ "tenants": [] }), "InvalidInput"),
        (json!({ "allTenants": true }), "InvalidInput"),
        (json!({ "allTenants": true, "reason": " " }), "InvalidInput"),
        (
            json!({ "allTenants": true, "reason": "All", "tenants": [CUSTOMER] }),
            "BadArgument",
        ),
        (json!({ "tenants": [CUSTOMER], "names": [""] }), "InvalidInput"),
    ] {
        let request = service
            .operator()
            .put(agent_path("eu"), json!({ "scope": scope }));
        request.await.refused(400, code);
    }
    for name in ["%20", "%20eu", "eu%20", "%2E%2E%20"] {
        let nameless = service.operator().put(agent_path(name), agent_registration());
        nameless.await.refused(400, "InvalidInput");
    }
    assert!(
        service
            .operator()
            .get("/operator/v1/agents")
            .await
            .expect(200)
            .rows()
            .is_empty()
    );
}

async fn scopes_that_overlap_are_told(backend: Backend) {
    let service = Harness::start(backend).await;
    let operator = service.operator();
    let of = |tenant: Uuid, names: &[&str]| json!({ "scope": { "tenants": [tenant], "names": names } });
    let overlaps = |answer: Answer| answer.json()["overlaps"].clone();
    let first = operator.registers_agent("eu", of(CUSTOMER, &["prod*"])).await;
    assert_eq!(overlaps(first), json!([]));
    let apart = operator.registers_agent("us", of(CUSTOMER, &["test*"])).await;
    assert_eq!(overlaps(apart), json!([]));
    let all = operator.registers_agent("all", agent_registration()).await;
    assert_eq!(overlaps(all), json!(["eu", "us"]));
    let wider = of(CUSTOMER, &["*t*"]);
    let changed = operator.put(agent_path("us"), wider).await.expect(200);
    assert_eq!(overlaps(changed), json!(["all", "eu"]));
    let elsewhere = of(OTHER_CUSTOMER, &["*"]);
    let changed = operator.put(agent_path("us"), elsewhere).await.expect(200);
    assert_eq!(overlaps(changed), json!(["all"]));
    assert_eq!(overlaps(operator.sees_agent("us").await), Value::Null);
}

async fn only_the_state_that_was_seen_is_changed(backend: Backend) {
    let service = Harness::start(backend).await;
    let operator = service.operator();
    let made = operator.registers_agent("eu", agent_registration()).await;
    let put = || operator.put(agent_path("eu"), agent_of(CUSTOMER));
    put()
        .header("if-none-match", "*")
        .await
        .refused(412, "PreconditionFailed");
    put().header("if-match", made.etag()).await.expect(200);
    put()
        .header("if-match", made.etag())
        .await
        .refused(412, "PreconditionFailed");
    let delete = operator.delete(agent_path("eu")).header("if-match", made.etag());
    delete.await.refused(412, "PreconditionFailed");
}

/// Registers environments, each bound to an agent that may serve it.
async fn bound(service: &Harness, agent: &str, environments: &[&Environment]) {
    for environment in environments {
        service.operator().reports(environment).await.expect(201);
        rebinds(service, environment, json!(agent)).await.expect(200);
    }
}

async fn rebinds(service: &Harness, environment: &Environment, agent: Value) -> Answer {
    let path = format!("{}/rebind", environment.operator_path());
    service.operator().post(path, json!({ "agent": agent })).await
}

async fn names_where(service: &Harness, filter: &str) -> Vec<String> {
    let path = format!("/operator/v1/environments?$filter={filter}");
    service.operator().get(path).await.expect(200).column("name")
}

async fn a_scope_that_shrinks_lets_environments_go(backend: Backend) {
    let service = Harness::start(backend).await;
    let operator = service.operator();
    operator.registers_agent("eu", agent_registration()).await;
    let [kept, gone] = ["Production", "Test"].map(Environment::named);
    let elsewhere = Environment::named("Elsewhere").of(OTHER_CUSTOMER);
    bound(&service, "eu", &[&kept, &gone, &elsewhere]).await;
    assert_eq!(operator.sees_agent("EU").await.json()["environments"], 3);

    let scope = json!({ "scope": { "tenants": [CUSTOMER], "names": ["prod*"] } });
    operator.put(agent_path("eu"), scope).await.expect(200);
    assert_eq!(names_where(&service, "agent eq 'EU'").await, ["Production"]);
    assert_eq!(
        names_where(&service, "agent eq null").await,
        ["Test", "Elsewhere"]
    );
    let path = "/operator/v1/audit?$filter=action eq 'agents/write'&$orderby=id desc&$top=1";
    let audit = operator.get(path).await.expect(200);
    assert_eq!(audit.rows()[0]["after"]["environmentsUnbound"], 2);
}

async fn a_removed_agent_lets_environments_go(backend: Backend) {
    let service = Harness::start(backend).await;
    let operator = service.operator();
    let agent = service.has_agent("eu").await;
    let environment = Environment::named("Production");
    bound(&service, "eu", &[&environment]).await;
    operator.delete(agent_path("eu")).await.expect(204);
    asks(&agent).await.refused(401, "Unauthorized");
    assert_eq!(names_where(&service, "agent eq null").await, ["Production"]);
    operator
        .delete(agent_path("eu"))
        .await
        .refused(404, "ResourceDoesNotExist");
}

async fn what_nobody_reports_is_served_by_the_one_who_may(backend: Backend) {
    let service = Harness::start(backend).await;
    let operator = service.operator();
    let serving = |tenant| {
        let mut registration = agent_of(tenant);
        registration["servesUnreported"] = json!(true);
        registration
    };
    operator.reports(&Environment::named("Before")).await.expect(201);
    operator
        .reports(&Environment::named("Other").of(OTHER_CUSTOMER))
        .await
        .expect(201);
    operator.registers_agent("eu", serving(CUSTOMER)).await;
    assert_eq!(names_where(&service, "agent eq 'eu'").await, ["Before"]);
    let after = operator.reports(&Environment::named("After")).await.expect(201);
    assert_eq!(after.property("agent"), "eu");

    // Where two may, the operator has to say which.
    operator.registers_agent("us", serving(CUSTOMER)).await;
    operator.reports(&Environment::named("Unclear")).await.expect(201);
    assert_eq!(names_where(&service, "agent eq null").await, ["Unclear", "Other"]);
    // What was another's is not inherited: whoever is left may know nothing of it. It is the operator's to say so.
    operator.delete(agent_path("eu")).await.expect(204);
    assert_eq!(names_where(&service, "agent eq 'us'").await, [""; 0]);
    operator
        .put(agent_path("us"), serving(CUSTOMER))
        .await
        .expect(200);
    assert_eq!(
        names_where(&service, "agent eq 'us'").await,
        ["After", "Before", "Unclear"]
    );
}

async fn the_operator_says_whose_an_environment_is(backend: Backend) {
    let service = Harness::start(backend).await;
    let operator = service.operator();
    for (name, tenant) in [("eu", CUSTOMER), ("us", CUSTOMER), ("asia", OTHER_CUSTOMER)] {
        operator.registers_agent(name, agent_of(tenant)).await;
    }
    let environment = Environment::named("Production");
    bound(&service, "eu", &[&environment]).await;
    let rebound = rebinds(&service, &environment, json!("US")).await.expect(200);
    assert_eq!(rebound.property("agent"), "us");
    rebinds(&service, &environment, json!("asia"))
        .await
        .refused(400, "BadArgument");
    rebinds(&service, &environment, json!("africa"))
        .await
        .refused(404, "ResourceDoesNotExist");
    let path = format!("{}/rebind", environment.operator_path());
    operator.post(path, json!({})).await.refused(400, "InvalidInput");
    let nobodys = rebinds(&service, &environment, Value::Null).await.expect(200);
    assert_eq!(nobodys.json()["agent"], Value::Null);
    let missing = rebinds(&service, &Environment::named("Missing"), json!("eu")).await;
    missing.refused(404, "EnvironmentNotFound");
    let path = "/operator/v1/audit?$filter=action eq 'environments/rebind'&$orderby=id desc";
    let audit = operator.get(path).await.expect(200);
    let changes: Vec<_> = audit
        .rows()
        .iter()
        .map(|row| row["after"]["agent"].clone())
        .collect();
    assert_eq!(changes, [Value::Null, json!("us"), json!("eu")]);
}

async fn who_is_an_agent_is_nobody_else(backend: Backend) {
    let service = Harness::start(backend).await;
    let operator = service.operator();
    let of = |person: &Person| {
        let mut registration = agent_registration();
        registration["identity"] = identity_of(person);
        registration
    };
    for taken in [&Person::OWNER, &Person::OPERATOR] {
        let refused = operator.put(agent_path("cloud"), of(taken)).await;
        refused.refused(409, "IdentityInUse");
    }
    let cloud = operator.registers_agent("cloud", of(&Person::STRANGER)).await;
    assert_eq!(cloud.json()["enrolmentCode"], Value::Null);
    operator
        .put(agent_path("cloud"), of(&Person::STRANGER))
        .await
        .expect(200);
    let refused = operator.put(agent_path("other"), of(&Person::STRANGER)).await;
    refused.refused(409, "IdentityInUse");
    for id in [Person::STRANGER.id, Person::STRANGER.service_principal()] {
        let path = format!("{}/principals/{id}", service.owner().app_path());
        let granted = service
            .owner()
            .patch(path, json!({ "type": "Application", "roles": ["Reader"] }));
        granted.await.refused(409, "IdentityInUse");
    }
}

async fn an_agent_of_the_cloud_signs_in_by_its_issuer(backend: Backend) {
    let service = Harness::start(backend).await;
    let agent = service.cloud_agent(&Person::STRANGER);
    asks(&agent).await.refused(401, "Unauthorized");
    let mut registration = agent_registration();
    registration["identity"] = identity_of(&Person::STRANGER);
    service.operator().registers_agent("cloud", registration).await;
    asks(&agent).await.refused(400, "BadArgument");
    asks(&service.stranger()).await.refused(401, "Unauthorized");
    assert_eq!(
        service.operator().sees_agent("cloud").await.property("state"),
        "Active"
    );
    asks(&agent.in_session(Uuid::new_v4()))
        .await
        .refused(400, "BadArgument");
    asks(&agent).await.refused(403, "AgentFrozen");
}
