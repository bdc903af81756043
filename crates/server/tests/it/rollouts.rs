//! Rollouts before anything of them begins: planned, made, approved, and held by those who may.

use crate::harness::{
    APP, Answer, Backend, CUSTOMER, Caller, Environment, Harness, Person, on_both_databases,
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

on_both_databases!(
    a_plan_adds_up_what_the_rules_say_and_changes_nothing,
    a_plan_streams_its_rows_and_ends_with_what_they_come_to,
    a_plan_tells_what_each_wave_would_take,
    equal_plans_have_equal_fingerprints,
    a_rollout_is_made_of_what_was_planned,
    what_changed_since_the_plan_is_told_and_nothing_is_made,
    what_only_fell_out_may_pass,
    a_selection_without_anything_to_do_is_refused,
    an_environment_to_leave_out_has_to_be_known,
    the_same_key_makes_one_rollout,
    a_definition_is_refused_by_the_way_to_what_is_wrong,
    who_approves_is_somebody_else,
    whoever_rejects_ends_it,
    verbs_may_be_repeated_and_are_refused_elsewhere,
    readers_read_and_contributors_act_and_owners_set_the_policy,
    seeds_of_waves_are_the_same,
    its_environments_are_listed,
);

const TARGET: &str = "16.0.1.2";
/// Long after every test: nothing begins before.
const LATER: &str = "2021-01-01T00:00:00Z";

fn all() -> String {
    format!("/v1.0/apps/{APP}/rollouts")
}

fn definition() -> Value {
    json!({
        "name": "the tax fix",
        "targetAppVersion": TARGET,
        "runAfter": LATER,
        "select": { "countries": ["US"] },
        "waves": [
            { "name": "canary", "take": { "count": 1 }, "proceed": { "gate": "manual" } },
            { "name": "rest", "take": "rest" },
        ],
    })
}

fn with(mut body: Value, members: &[(&str, Value)]) -> Value {
    for (name, value) in members {
        body[*name] = value.clone();
    }
    body
}

/// A service with two versions of the app, and environments that have these.
async fn fleet(backend: Backend, installed: &[(&str, &str)]) -> Harness {
    let service = Harness::with(backend).without_simulator().start().await;
    for version in ["16.0.0.5", TARGET] {
        service.owner().has_uploaded(version).await;
    }
    for (name, version) in installed {
        reports(&service, name, version).await;
    }
    service
}

async fn reports(service: &Harness, name: &str, version: &str) {
    let environment = Environment::named(name).has(APP, version);
    service.operator().reports(&environment).await;
}

async fn plans(caller: &Caller, body: Value) -> Answer {
    caller.post(format!("{}/plan", all()), body).await
}

async fn makes(caller: &Caller, body: Value) -> Answer {
    caller.post(all(), body).await
}

async fn does(caller: &Caller, rollout: &Answer, verb: &str, body: Value) -> Answer {
    caller
        .post(format!("{}/{}/{verb}", all(), rollout.property("id")), body)
        .await
}

async fn has_none(service: &Harness) {
    let listed = service.reader().get(all()).await.expect(200);
    assert_eq!(listed.rows(), Vec::<Value>::new());
}

async fn a_plan_adds_up_what_the_rules_say_and_changes_nothing(backend: Backend) {
    let fleet = [
        ("a", "16.0.0.5"),
        ("b", "16.0.0.5"),
        ("c", TARGET),
        ("d", "15.0.0.0"),
        ("e", "16.0.0.5"),
    ];
    let service = self::fleet(backend, &fleet).await;
    let busy = Environment::named("e").has(APP, "16.0.0.5");
    service.contributor().schedules(&busy, TARGET).await.expect(200);
    let plan = plans(&service.reader(), definition()).await.expect(200).json();
    let counts = [
        "environments",
        "production",
        "eligible",
        "alreadyThere",
        "blocked",
        "refused",
    ];
    let counts = counts.map(|name| plan[name].as_u64().unwrap());
    assert_eq!(counts, [5, 5, 2, 1, 1, 1], "{plan}");
    let reasons: BTreeMap<_, _> = plan["reasons"]
        .as_array()
        .unwrap()
        .iter()
        .map(|reason| {
            let sample = &reason["sample"][0];
            (
                reason["code"].as_str().unwrap(),
                (
                    reason["environments"].as_u64().unwrap(),
                    sample["name"].as_str().unwrap(),
                ),
            )
        })
        .collect();
    let expected = [
        ("AlreadyScheduled", (1, "e")),
        ("AlreadyThere", (1, "c")),
        ("LineDiffers", (1, "d")),
    ];
    assert_eq!(reasons, BTreeMap::from(expected));
    // Nobody is there to carry anything out.
    assert_eq!(
        (plan["withoutStart"].as_u64(), &plan["starts"]),
        (Some(2), &json!([]))
    );
    assert_eq!(plan["needsApproval"], false);
    has_none(&service).await;
}

async fn a_plan_streams_its_rows_and_ends_with_what_they_come_to(backend: Backend) {
    let service = fleet(backend, &[("a", "16.0.0.5"), ("b", TARGET)]).await;
    let streamed = service
        .reader()
        .post(format!("{}/plan", all()), definition())
        .header("accept", "application/x-ndjson")
        .await
        .expect(200);
    let text = streamed.text();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let verdicts: Vec<_> = lines.iter().filter_map(|line| line["verdict"].as_str()).collect();
    assert_eq!(verdicts, ["Eligible", "AlreadyThere"]);
    let plan = plans(&service.reader(), definition()).await.expect(200);
    let last = lines.last().unwrap();
    assert_eq!(last["summary"]["fingerprint"], plan.json()["fingerprint"]);
    assert_eq!(last["summary"]["environments"], 2);
}

async fn a_plan_tells_what_each_wave_would_take(backend: Backend) {
    let names: Vec<_> = (0..11).map(|number| format!("e{number:02}")).collect();
    let installed: Vec<_> = names.iter().map(|name| (name.as_str(), "16.0.0.5")).collect();
    let service = fleet(backend, &installed).await;
    let wave = |name: &str, take: Value| json!({ "name": name, "take": take });
    let waves = json!([
        wave("one", json!({ "filter": "name eq 'e00' or name eq 'e01'" })),
        wave("two", json!({ "filter": "name eq 'e01' or name eq 'e02'" })),
        wave("three", json!({ "percent": 10 })),
        wave("four", json!({ "count": 5 })),
    ]);
    let plan = plans(&service.reader(), with(definition(), &[("waves", waves)]))
        .await
        .expect(200)
        .json();
    let taken: Vec<_> = plan["waves"]
        .as_array()
        .unwrap()
        .iter()
        .map(|wave| {
            (
                wave["environments"].as_u64().unwrap(),
                wave["overlap"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(taken, [(2, 0), (1, 1), (2, 0), (5, 0)]);
    let codes: Vec<_> = plan["warnings"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|warning| warning["code"].as_str())
        .collect();
    assert!(
        codes.contains(&"NotCovered") && codes.contains(&"WavesOverlap"),
        "{codes:?}"
    );
}

async fn equal_plans_have_equal_fingerprints(backend: Backend) {
    let service = fleet(backend, &[("a", "16.0.0.5"), ("b", "16.0.0.5")]).await;
    let reader = service.reader();
    let fingerprint = async |body: Value| plans(&reader, body).await.expect(200).property("fingerprint");
    let first = fingerprint(definition()).await;
    service.advances(Duration::from_secs(60)).await;
    assert_eq!(fingerprint(definition()).await, first, "time is no part of it");
    let named = with(
        definition(),
        &[("name", json!("another")), ("note", json!("and why"))],
    );
    assert_eq!(
        fingerprint(named).await,
        first,
        "what it is called is no part of it"
    );
    let later = with(definition(), &[("runAfter", json!("2021-02-01T00:00:00Z"))]);
    assert_ne!(fingerprint(later).await, first);
    reports(&service, "b", "16.0.0.4").await;
    let of_another = fingerprint(definition()).await;
    assert_ne!(of_another, first, "an installed version is a part of it");
    reports(&service, "c", "16.0.0.4").await;
    assert_ne!(
        fingerprint(definition()).await,
        of_another,
        "an environment is a part of it"
    );
}

async fn a_rollout_is_made_of_what_was_planned(backend: Backend) {
    let service = fleet(backend, &[("a", "16.0.0.5"), ("b", TARGET), ("c", "16.0.0.5")]).await;
    let plan = plans(&service.reader(), definition()).await.expect(200);
    let planned = [("fingerprint", json!(plan.property("fingerprint")))];
    let made = makes(&service.contributor(), with(definition(), &planned))
        .await
        .expect(201);
    let rollout = made.json();
    assert_eq!(
        (&rollout["state"], &rollout["environments"]),
        (&json!("Active"), &json!(3))
    );
    assert_eq!(rollout["fingerprint"], plan.json()["fingerprint"]);
    assert_eq!(rollout["counts"]["untaken"], 3);
    let waves: Vec<_> = rollout["waves"]
        .as_array()
        .unwrap()
        .iter()
        .map(|wave| &wave["name"])
        .collect();
    assert_eq!(waves, ["canary", "rest"]);
    let path = format!("{}/{}", all(), made.property("id"));
    let shown = service
        .reader()
        .get(format!("{path}?$select=definition,state"))
        .await
        .expect(200)
        .json();
    assert_eq!(shown["definition"]["waves"][0]["proceed"]["gate"], "manual");
    assert_eq!(
        shown["definition"]["waves"][1]["stop"]["failed"],
        json!({ "percent": 10, "min": 5 })
    );
    let listed = service
        .reader()
        .get(format!("{}?$filter=state eq 'Active'", all()))
        .await
        .expect(200);
    assert_eq!(listed.column("id"), [made.property("id")]);
    let audited = service
        .operator()
        .get("/operator/v1/audit?$filter=action eq 'rollouts/write'")
        .await
        .expect(200);
    assert_eq!(audited.rows().len(), 1);
}

async fn what_changed_since_the_plan_is_told_and_nothing_is_made(backend: Backend) {
    let service = fleet(backend, &[("a", "16.0.0.5"), ("b", "16.0.0.5")]).await;
    let plan = plans(&service.contributor(), definition()).await.expect(200);
    let planned = with(
        definition(),
        &[("fingerprint", json!(plan.property("fingerprint")))],
    );
    reports(&service, "b", TARGET).await;
    reports(&service, "c", "16.0.0.5").await;
    let refused = makes(&service.contributor(), planned.clone())
        .await
        .refused(409, "PlanChanged");
    let text = refused.text();
    for part in [
        r#""added":"1""#,
        r#""removed":"0""#,
        r#""verdictChanged":"1""#,
        "/businesscentral/c",
    ] {
        assert!(text.replace(' ', "").contains(part), "{part} in {text}");
    }
    let shrunk = with(planned, &[("drift", json!("shrink"))]);
    makes(&service.contributor(), shrunk)
        .await
        .refused(409, "PlanChanged");
    has_none(&service).await;
}

async fn what_only_fell_out_may_pass(backend: Backend) {
    let service = fleet(backend, &[("a", "16.0.0.5"), ("b", "16.0.0.5")]).await;
    let plan = plans(&service.contributor(), definition()).await.expect(200);
    let planned = with(
        definition(),
        &[("fingerprint", json!(plan.property("fingerprint")))],
    );
    reports(&service, "b", TARGET).await;
    makes(&service.contributor(), planned.clone())
        .await
        .refused(409, "PlanChanged");
    let shrunk = with(planned, &[("drift", json!("shrink"))]);
    // What was planned is another rollout than one without a canary, whatever became of the environments.
    let other = with(
        shrunk.clone(),
        &[("waves", json!([{ "name": "all", "take": "rest" }]))],
    );
    makes(&service.contributor(), other)
        .await
        .refused(409, "PlanChanged");
    makes(&service.contributor(), shrunk).await.expect(201);
}

async fn a_selection_without_anything_to_do_is_refused(backend: Backend) {
    let service = fleet(backend, &[("a", TARGET), ("b", "15.0.0.0")]).await;
    plans(&service.contributor(), definition()).await.expect(200);
    let refused = makes(&service.contributor(), definition())
        .await
        .broke_rule("NothingSelected");
    let message = refused.message();
    assert!(
        message.contains("AlreadyThere: 1") && message.contains("LineDiffers: 1"),
        "{message}"
    );
    let none = with(
        definition(),
        &[("select", json!({ "countries": "all", "filter": "name eq 'z'" }))],
    );
    makes(&service.contributor(), none)
        .await
        .broke_rule("NothingSelected");
    has_none(&service).await;
}

async fn an_environment_to_leave_out_has_to_be_known(backend: Backend) {
    let service = fleet(backend, &[("alpha", "16.0.0.5"), ("beta", "16.0.0.5")]).await;
    let except = |name: &str| {
        let key = format!("{CUSTOMER}/BusinessCentral/{name}");
        with(
            definition(),
            &[("select", json!({ "countries": ["US"], "except": [key] }))],
        )
    };
    let refused = plans(&service.reader(), except("alpa"))
        .await
        .broke_rule("UnknownEnvironment");
    assert!(
        refused.message().contains("/businesscentral/alpha"),
        "{}",
        refused.message()
    );
    makes(&service.contributor(), except("alpa"))
        .await
        .broke_rule("UnknownEnvironment");
    let made = makes(&service.contributor(), except("Alpha")).await.expect(201);
    assert_eq!(made.json()["environments"], 1);
}

async fn the_same_key_makes_one_rollout(backend: Backend) {
    let service = fleet(backend, &[("a", "16.0.0.5")]).await;
    let contributor = service.contributor();
    let under = async |body: Value| {
        contributor
            .post(all(), body)
            .header("idempotency-key", "night")
            .await
    };
    let first = under(definition()).await.expect(201);
    // What has changed since makes no difference to what was made.
    reports(&service, "a", TARGET).await;
    let second = under(definition()).await.expect(201);
    assert_eq!(second.property("id"), first.property("id"));
    under(with(definition(), &[("name", json!("another"))]))
        .await
        .refused(422, "IdempotencyKeyReused");
    assert_eq!(service.reader().get(all()).await.expect(200).rows().len(), 1);
}

async fn a_definition_is_refused_by_the_way_to_what_is_wrong(backend: Backend) {
    let service = fleet(backend, &[("a", "16.0.0.5")]).await;
    let contributor = service.contributor();
    let waves = |take: Value| {
        with(
            definition(),
            &[("waves", json!([{ "name": "one", "take": take }]))],
        )
    };
    for (body, code, target) in [
        (
            waves(json!({ "count": 0 })),
            "InvalidInput",
            "waves[0].take.count",
        ),
        (
            waves(json!({ "filter": "nam eq 'a'" })),
            "InvalidFilter",
            "waves[0].take.filter",
        ),
        (
            with(definition(), &[("select", json!({}))]),
            "InvalidInput",
            "select.countries",
        ),
        (
            with(definition(), &[("fingerprint", json!("abc"))]),
            "InvalidInput",
            "fingerprint",
        ),
        (with(definition(), &[("wavs", json!([]))]), "InvalidInput", "wavs"),
    ] {
        let refused = makes(&contributor, body.clone()).await.refused(400, code);
        assert_eq!(refused.target(), target, "{body}");
    }
    let elsewhere = with(definition(), &[("select", json!({ "countries": ["DK"] }))]);
    makes(&contributor, elsewhere)
        .await
        .refused(404, "ResourceDoesNotExist");
    has_none(&service).await;
}

/// The app's rollouts have to be approved, all of them.
async fn has_them_approved(service: &Harness) {
    let path = format!("/v1.0/apps/{APP}/approvalPolicy");
    let policy = service
        .owner()
        .put(path, json!({ "approval": "Always" }))
        .await
        .expect(200);
    assert_eq!(policy.property("approval"), "Always");
}

const DAY: Duration = Duration::from_secs(24 * 3_600);
const MINUTE: Duration = Duration::from_secs(60);

async fn who_approves_is_somebody_else(backend: Backend) {
    let service = fleet(backend, &[("a", "16.0.0.5")]).await;
    has_them_approved(&service).await;
    let plan = plans(&service.reader(), definition()).await.expect(200);
    assert_eq!(plan.json()["needsApproval"], true);
    let made = makes(&service.contributor(), definition()).await.expect(201);
    assert_eq!(made.property("state"), "AwaitingApproval");
    let by_application = does(&service.owner(), &made, "approve", json!({})).await;
    assert_eq!(
        by_application.refused(403, "Forbidden").reason(),
        "ApproverMustBeUser"
    );
    does(&service.reader_user(), &made, "approve", json!({}))
        .await
        .refused(403, "Forbidden");
    // Somebody who became Owner a moment ago cannot.
    service.advances(DAY - MINUTE).await;
    let too_new = does(&service.owner_user(), &made, "approve", json!({})).await;
    assert_eq!(too_new.refused(403, "Forbidden").reason(), "RoleTooNew");
    let looked_at = service
        .reader()
        .get(format!("{}/{}", all(), made.property("id")))
        .await
        .expect(200);
    assert_eq!(looked_at.property("state"), "AwaitingApproval");
    service.advances(MINUTE).await;
    let approved = does(
        &service.owner_user(),
        &made,
        "approve",
        json!({ "remark": "looks good" }),
    )
    .await
    .expect(200)
    .json();
    assert_eq!(
        (&approved["state"], &approved["approval"]["remark"]),
        (&json!("Active"), &json!("looks good"))
    );
    let by = approved["approval"]["approvedBy"].as_str().unwrap();
    assert!(by.ends_with(&Person::OWNER_USER.id.to_string()), "{by}");
    does(&service.owner_user(), &made, "approve", json!({}))
        .await
        .expect(200);

    let own = makes(&service.owner_user(), definition()).await.expect(201);
    let by_creator = does(&service.owner_user(), &own, "approve", json!({})).await;
    assert_eq!(
        by_creator.refused(403, "Forbidden").reason(),
        "CreatorMayNotApprove"
    );
    let warnings = &own.json()["warnings"];
    let codes: Vec<_> = warnings
        .as_array()
        .unwrap()
        .iter()
        .map(|warning| &warning["code"])
        .collect();
    assert_eq!(codes, ["NoApprover", "OverlapsRollout"]);
}

async fn whoever_rejects_ends_it(backend: Backend) {
    let service = fleet(backend, &[("a", "16.0.0.5")]).await;
    has_them_approved(&service).await;
    let made = makes(&service.contributor(), definition()).await.expect(201);
    let rejected = does(
        &service.owner_user(),
        &made,
        "reject",
        json!({ "remark": "not now" }),
    )
    .await
    .expect(200);
    let facts = ["state", "reasonCode", "reason"].map(|name| rejected.property(name));
    assert_eq!(facts, ["Aborted", "Rejected", "not now"]);
    does(&service.owner_user(), &made, "reject", json!({}))
        .await
        .expect(200);
    does(&service.owner_user(), &made, "approve", json!({}))
        .await
        .refused(409, "RolloutNotInState");
}

async fn verbs_may_be_repeated_and_are_refused_elsewhere(backend: Backend) {
    let service = fleet(backend, &[("a", "16.0.0.5"), ("b", "16.0.0.5")]).await;
    let contributor = service.contributor();
    let made = makes(&contributor, definition()).await.expect(201);
    let does = async |verb: &str, body: Value| self::does(&contributor, &made, verb, body).await;
    does("reject", json!({})).await.refused(409, "RolloutNotInState");
    does("advance", json!({ "wave": "canary" }))
        .await
        .refused(409, "RolloutNotInState");
    does("advance", json!({ "wave": "canary bird" }))
        .await
        .refused(404, "ResourceDoesNotExist");
    assert_eq!(
        does("advance", json!({}))
            .await
            .refused(400, "InvalidInput")
            .target(),
        "wave"
    );
    let paused = does("pause", json!({ "reason": "a call from support" }))
        .await
        .expect(200);
    let facts = ["state", "reasonCode", "reason"].map(|name| paused.property(name));
    assert_eq!(facts, ["Paused", "Requested", "a call from support"]);
    let again = does("pause", json!({})).await.expect(200);
    assert_eq!(again.etag(), paused.etag(), "nothing has changed");
    assert_eq!(
        does("resume", json!({})).await.expect(200).property("state"),
        "Active"
    );
    assert_eq!(
        does("resume", json!({})).await.expect(200).property("state"),
        "Active"
    );
    assert_eq!(
        does("retry", json!({})).await.expect(200).property("state"),
        "Active"
    );
    let stranger = json!({ "environments": [format!("{CUSTOMER}/BusinessCentral/z")] });
    does("retry", stranger).await.broke_rule("UnknownEnvironment");
    assert_eq!(
        does("abort", json!({})).await.expect(200).property("state"),
        "Aborted"
    );
    assert_eq!(
        does("abort", json!({})).await.expect(200).property("state"),
        "Aborted"
    );
    for verb in ["pause", "resume", "retry"] {
        does(verb, json!({})).await.refused(409, "RolloutNotInState");
    }
    let audited = service
        .operator()
        .get("/operator/v1/audit?$filter=startswith(action,'rollouts/')")
        .await
        .expect(200);
    let actions: BTreeSet<_> = audited.column("action").into_iter().collect();
    let expected = ["abort", "pause", "resume", "write"].map(|verb| format!("rollouts/{verb}"));
    assert_eq!((audited.rows().len(), actions), (4, BTreeSet::from(expected)));
}

async fn readers_read_and_contributors_act_and_owners_set_the_policy(backend: Backend) {
    let service = fleet(backend, &[("a", "16.0.0.5")]).await;
    let reader = service.reader();
    plans(&reader, definition()).await.expect(200);
    makes(&reader, definition()).await.refused(403, "Forbidden");
    plans(&service.stranger(), definition())
        .await
        .refused(404, "ResourceDoesNotExist");
    makes(&service.stranger(), definition())
        .await
        .refused(404, "ResourceDoesNotExist");
    let made = makes(&service.contributor(), definition()).await.expect(201);
    let path = format!("{}/{}", all(), made.property("id"));
    reader.get(&path).await.expect(200);
    reader.get(format!("{path}/environments")).await.expect(200);
    for verb in ["approve", "reject", "pause", "resume", "retry", "abort"] {
        does(&reader, &made, verb, json!({}))
            .await
            .refused(403, "Forbidden");
        does(&service.stranger(), &made, verb, json!({}))
            .await
            .refused(404, "ResourceDoesNotExist");
    }
    let policy = format!("/v1.0/apps/{APP}/approvalPolicy");
    let above = json!({ "approval": "ProductionAbove", "productionAbove": 10 });
    service
        .contributor()
        .put(&policy, above.clone())
        .await
        .refused(403, "Forbidden");
    assert_eq!(
        reader.get(&policy).await.expect(200).property("approval"),
        "Never"
    );
    let saved = service.owner().put(&policy, above).await.expect(200).json();
    assert_eq!(
        (&saved["approval"], &saved["productionAbove"]),
        (&json!("ProductionAbove"), &json!(10))
    );
    assert_eq!(reader.get(&policy).await.expect(200).json(), saved);
    service
        .owner()
        .put(&policy, json!({ "approval": "ProductionAbove" }))
        .await
        .refused(400, "InvalidInput");
    assert_eq!(
        makes(&service.contributor(), definition())
            .await
            .expect(201)
            .property("state"),
        "Active"
    );
    let reason = [("ignoreUpgradeWindow", json!({ "reason": "it is urgent" }))];
    let urgent = makes(&service.contributor(), with(definition(), &reason))
        .await
        .expect(201);
    assert_eq!(urgent.property("state"), "AwaitingApproval");
}

async fn its_environments_are_listed(backend: Backend) {
    let service = fleet(backend, &[("a", "16.0.0.5"), ("b", TARGET)]).await;
    let made = makes(&service.contributor(), definition()).await.expect(201);
    let path = format!("{}/{}/environments", all(), made.property("id"));
    let listed = service.reader().get(&path).await.expect(200);
    assert_eq!(listed.column("name"), ["a", "b"]);
    assert_eq!(listed.column("version"), ["16.0.0.5", TARGET]);
    assert_eq!(listed.column("state"), ["Untaken", "Untaken"]);
    let some = service
        .reader()
        .get(format!(
            "{path}?$filter=name eq 'B' and state eq 'Untaken'&$count=true"
        ))
        .await;
    assert_eq!(some.expect(200).column("name"), ["b"]);
    let waiting = service
        .reader()
        .get(format!("{path}?$select=state,expectedStart"))
        .await
        .expect(200);
    assert_eq!(waiting.rows().len(), 2);
    let elsewhere = format!("{}/{}/environments", all(), uuid::Uuid::from_u128(1));
    service
        .reader()
        .get(elsewhere)
        .await
        .refused(404, "ResourceDoesNotExist");
}

async fn seeds_of_waves_are_the_same(backend: Backend) {
    let service = fleet(backend, &[("a", "16.0.0.5")]).await;
    let waves = |first: &str, second: &str| {
        with(
            definition(),
            &[(
                "waves",
                json!([
                    { "name": "one", "take": { "count": 1 }, "order": first },
                    { "name": "two", "take": "rest", "order": second },
                ]),
            )],
        )
    };
    plans(&service.reader(), waves("random(1)", "random(2)"))
        .await
        .refused(400, "InvalidInput");
    plans(&service.reader(), waves("random(1)", "random(1)"))
        .await
        .expect(200);
}
