//! Trusted publishing: which runs of pipelines are given a token, and how little it opens.

use crate::{
    harness::{
        APP, Answer, Backend, Caller, Environment, Harness, LIBRARY, PARTNER_TENANT, PUBLIC_URL, Person,
        at_once, base64_of, bytes_of, issuer_url, mint, on_both_databases, package, publisher,
        publisher_with, run,
    },
    uploads::begins_upload,
};
use bytes::Bytes;
use entra_local::{SigningKeyChoice, TokenAlgorithm, TokenRequest};
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

on_both_databases!(
    a_usual_run_uploads_previews_and_no_more,
    what_an_owner_allows_besides_is_allowed,
    whatever_a_run_says_otherwise_is_named,
    what_is_no_token_of_the_pipelines_issuer_is_none,
    a_pipelines_token_opens_no_other_door,
    a_token_is_good_once,
    a_taken_name_locks_a_record_that_stays_capped,
    who_waits_for_its_first_run_waits_seven_days,
    one_repository_may_act_for_two_apps_one_at_a_time,
    records_of_others_crowd_out_none,
    records_of_others_with_its_ids_hinder_no_run,
    ids_that_nobody_confirmed_stay_unconfirmed_when_their_record_goes,
    owners_see_which_tokens_there_are_and_end_them,
    the_audit_says_from_where_and_by_which_door,
    a_run_with_that_right_sends_hotfixes_to_production,
    refused_runs_use_up_nothing_of_other_repositories,
    a_runs_token_ends_with_its_time_its_run_and_its_record,
    what_a_record_allows_counts_with_the_next_request,
    an_upload_outlasts_its_token_and_no_revocation,
    fifty_runs_an_hour,
    azure_devops_is_capped,
    owners_hear_of_it,
    where_it_is_off_nothing_of_it_works,
    what_would_trust_too_many_is_refused,
);

const ID: Uuid = Uuid::from_u128(0x0f0f_0000_0000_4000_8000_0000_0000_0001);
const OTHER: Uuid = Uuid::from_u128(0x0f0f_0000_0000_4000_8000_0000_0000_0002);
const QUARTER: Duration = Duration::from_secs(900);

async fn publishing(backend: Backend) -> Harness {
    Harness::with(backend).publishing().start().await
}

/// A service whose app trusts the usual publisher.
async fn trusting(backend: Backend) -> Harness {
    let service = publishing(backend).await;
    service.owner().trusts(ID, &publisher()).await.expect(201);
    service
}

async fn audit(service: &Harness, action: &str) -> Vec<Value> {
    let path = format!("/operator/v1/audit?$filter=action eq '{action}'&$orderby=id");
    service.operator().get(path).await.expect(200).rows()
}

/// What is refused because the record does not allow it, which is said.
fn confined(answer: Answer, may: &str) {
    let answer = answer.refused(403, "Forbidden");
    assert!(answer.message().contains(&format!("may: {may}.")), "{answer:?}");
}

/// P1, abuse case 20.
async fn a_usual_run_uploads_previews_and_no_more(backend: Backend) {
    let service = trusting(backend).await;
    let owner = service.owner();
    owner.has_uploaded("16.0.0.5").await;
    let given = service.exchanges(&run()).await.expect(200);
    assert_eq!(given.header("cache-control"), "no-store");
    assert!(given.property("token").starts_with("fametp_"), "{given:?}");
    assert_eq!(given.property("appId"), APP.to_string());
    let pipeline = service.signs_in_with(&given);
    let preview = package("16.0.1.2");
    pipeline.uploads(&preview, "Preview").await.expect(200);
    let again = owner
        .uploads(&preview, "Preview")
        .await
        .refused(409, "ResourceExists");
    let uploader = format!("by Publisher/{ID}/1001.1;");
    assert!(again.message().contains(&uploader), "{again:?}");
    confined(
        pipeline.uploads(&package("16.0.1.3"), "Available").await,
        "upload",
    );
    pipeline
        .get(pipeline.us("versions/16.0.1.3"))
        .await
        .refused(404, "ResourceDoesNotExist");
    let offered = pipeline.changes_version("16.0.1.2", json!({ "availability": "Available" }));
    confined(offered.await, "upload");
    for kind in [
        Environment::my_customer("16.0.0.5"),
        Environment::named("Box").has(APP, "16.0.0.5").sandbox(),
    ] {
        service.operator().reports(&kind).await.expect(201);
        confined(pipeline.schedules(&kind, "16.0.1.2").await, "upload");
    }
    confined(pipeline.adds_country("DE").await, "upload");
    confined(pipeline.grants(&Person::STRANGER, &["Owner"]).await, "upload");
    confined(pipeline.trusts(OTHER, &publisher()).await, "upload");
    confined(pipeline.trusts(ID, &publisher()).await, "upload");
    confined(pipeline.delete(pipeline.publisher_path(ID)).await, "upload");
    let seen = pipeline.get("/v1.0/apps").await.expect(200);
    assert_eq!(seen.column("id"), [APP.to_string()]);
    let other = pipeline.on(LIBRARY);
    other
        .get(other.app_path())
        .await
        .refused(404, "ResourceDoesNotExist");
    let rows = audit(&service, "versions/upload").await;
    let actor = &rows.last().unwrap()["actor"];
    assert_eq!(actor["type"], "Publisher");
    assert_eq!(actor["id"], ID.to_string());
    assert_eq!(actor["name"], "contoso/sales-pack run 1001.1");
    let allowed = pipeline
        .post(format!("{}/getMyPermissions", pipeline.app_path()), json!({}))
        .await
        .expect(200);
    let mut allowed: Vec<_> = allowed.column("action");
    allowed.sort();
    assert_eq!(
        allowed,
        ["apps/read", "countries/read", "versions/read", "versions/write"]
    );
}

async fn what_an_owner_allows_besides_is_allowed(backend: Backend) {
    let service = publishing(backend).await;
    let owner = service.owner();
    owner.has_uploaded("16.0.0.5").await;
    owner.adds_country("DE").await.expect(200);
    let wide = publisher_with(json!({
        "may": ["upload", "availability", "hotfix:sandbox"], "maxAvailability": "Available", "countries": ["us"],
    }));
    owner.trusts(ID, &wide).await.expect(201);
    let pipeline = service.has_run().await;
    pipeline
        .uploads(&package("16.0.1.2"), "Available")
        .await
        .expect(200);
    let back = pipeline.changes_version("16.0.1.2", json!({ "availability": "Preview" }));
    back.await.expect(200);
    let forced = pipeline.changes_version("16.0.1.2", json!({ "syncMode": "ForceSync" }));
    confined(forced.await, "upload, availability, hotfix:sandbox");
    let offered = json!({ "availability": "Available" });
    pipeline.changes_version("16.0.1.2", offered).await.expect(200);
    let sandbox = Environment::named("Box").has(APP, "16.0.0.5").sandbox();
    let production = Environment::my_customer("16.0.0.5");
    for environment in [&sandbox, &production] {
        service.operator().reports(environment).await.expect(201);
    }
    let hotfix = pipeline.schedules(&sandbox, "16.0.1.2").await.expect(200);
    let scheduled = audit(&service, "environmentHotfixes/write").await;
    assert_eq!(scheduled.last().unwrap()["actor"]["type"], "Publisher");
    confined(
        pipeline.schedules(&production, "16.0.1.2").await,
        "upload, availability, hotfix:sandbox",
    );
    let of_owner = owner.schedules(&production, "16.0.1.2").await.expect(200);
    confined(
        pipeline.cancels(&of_owner).await,
        "upload, availability, hotfix:sandbox",
    );
    pipeline.cancels(&hotfix).await.expect(200);
    // Other countries are none of its business, whatever it asks.
    let elsewhere = pipeline.uploads_to("DE", &package("16.0.1.2"), "Preview");
    confined(elsewhere.await, "upload, availability, hotfix:sandbox");
    for list in [
        "countries/DE/versions",
        "versions",
        "versions?$apply=groupby((countryCode))",
    ] {
        let list = format!("{}/{list}", pipeline.app_path());
        confined(pipeline.get(list).await, "upload, availability, hotfix:sandbox");
    }
}

/// P2 to P5, abuse case 21.
async fn whatever_a_run_says_otherwise_is_named(backend: Backend) {
    let service = trusting(backend).await;
    for (claim, says, what, expected) in [
        ("ref", "refs/heads/side", "refPattern", "refs/heads/main"),
        (
            "workflow_ref",
            "contoso/sales-pack/.github/workflows/x.yml@refs/heads/main",
            "workflow",
            ".github/workflows/release.yml",
        ),
        (
            "event_name",
            "pull_request_target",
            "events",
            "push, release, workflow_dispatch, schedule",
        ),
        (
            "event_name",
            "workflow_run",
            "events",
            "push, release, workflow_dispatch, schedule",
        ),
        ("repository_owner_id", "8", "ownerId", "7"),
        ("repository_id", "43", "repositoryId", "42"),
        (
            "runner_environment",
            "self-hosted",
            "runnerEnvironment",
            "github-hosted",
        ),
        ("ref_protected", "false", "ref_protected", "true"),
    ] {
        let refused = service
            .exchanges(&run().with_claim(claim, says))
            .await
            .refused(403, "Forbidden");
        let details = refused.json()["error"]["details"].clone();
        let told = details[0]["message"].as_str().unwrap();
        let facts = format!("{what}: expected '{expected}', and the token says '{says}'");
        assert!(told.starts_with(&facts), "{told}");
        assert!(
            details.as_array().unwrap().len() == 1 && told.contains(&ID.to_string()),
            "{details}"
        );
    }
    assert_eq!(
        audit(&service, "trustedPublishers/exchangeRefused").await.len(),
        8
    );
    // However it is said that a ref is not protected.
    for says in [json!(false), json!(0), json!(null), json!("False")] {
        let refused = service
            .exchanges(&run().with_claim("ref_protected", says))
            .await
            .refused(403, "Forbidden");
        let details = refused.json()["error"]["details"].to_string();
        assert!(details.contains("ref_protected: expected 'true'"), "{details}");
    }
    service
        .exchanges(&run().with_claim("ref_protected", true))
        .await
        .expect(200);
    // Of a repository that nobody has named, nothing is said and nothing kept.
    let strange = run()
        .with_claim("repository", "fabrikam/x")
        .with_claim("repository_id", "99");
    let refused = service.exchanges(&strange).await.refused(403, "Forbidden");
    assert!(
        refused.json()["error"]["details"]
            .as_array()
            .is_none_or(Vec::is_empty),
        "{refused:?}"
    );
    assert_eq!(
        audit(&service, "trustedPublishers/exchangeRefused").await.len(),
        12
    );
    // What a refused run may do to the audit has an end.
    for _ in 0..20 {
        service
            .exchanges(&run().with_claim("ref", "refs/heads/side"))
            .await
            .refused(403, "Forbidden");
    }
    assert_eq!(
        audit(&service, "trustedPublishers/exchangeRefused").await.len(),
        20
    );
    // A record by environment is met by that environment alone, in any case.
    let by_environment = publisher_with(json!({ "environment": "Release", "refPattern": null }));
    service.owner().trusts(ID, &by_environment).await.expect(200);
    service.exchanges(&run()).await.refused(403, "Forbidden");
    service
        .exchanges(&run().with_claim("environment", "release"))
        .await
        .expect(200);
}

async fn what_is_no_token_of_the_pipelines_issuer_is_none(backend: Backend) {
    let service = trusting(backend).await;
    let now = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
    for (why, token) in [
        (
            "another audience",
            run().with_claim("aud", "https://apps.contoso.com/"),
        ),
        (
            "two audiences",
            run().with_claim("aud", json!([PUBLIC_URL, "https://other.com"])),
        ),
        (
            "a list of one audience",
            run().with_claim("aud", json!([PUBLIC_URL])),
        ),
        ("no audience", run().without_claim("aud")),
        ("no jti", run().without_claim("jti")),
        ("a long jti", run().with_claim("jti", "x".repeat(257))),
        ("no age", run().without_claim("iat")),
        ("an age of eleven minutes", run().with_claim("iat", now - 660)),
        ("expired", run().with_claim("exp", now - 301)),
        ("not yet", run().with_claim("nbf", now + 301)),
        (
            "another key",
            TokenRequest {
                key: SigningKeyChoice::Unknown,
                ..run()
            },
        ),
        (
            "not signed",
            TokenRequest {
                alg: TokenAlgorithm::None,
                ..run()
            },
        ),
        (
            "signed with the public key",
            TokenRequest {
                alg: TokenAlgorithm::Hs256WithPublicKey,
                ..run()
            },
        ),
        (
            "another issuer",
            TokenRequest {
                issuer: Some("https://example.com".into()),
                ..run()
            },
        ),
        (
            "a person's issuer",
            TokenRequest {
                issuer: None,
                ..run()
            },
        ),
        ("a person's token", Person::OWNER.token()),
    ] {
        let refused = service.exchanges(&token).await.refused(401, "Unauthorized");
        assert!(
            refused.header("www-authenticate").starts_with("Bearer "),
            "{why}: {refused:?}"
        );
    }
    let nobody = service.nobody();
    let long = json!({ "token": "x".repeat(16 * 1024 + 1) });
    nobody
        .post("/oidc/exchange", long)
        .await
        .refused(400, "InvalidInput");
    nobody
        .post("/oidc/exchange", json!({ "token": "a.b.c" }))
        .await
        .refused(401, "Unauthorized");
    nobody
        .post("/oidc/exchange", json!({}))
        .await
        .refused(400, "InvalidInput");
    assert_eq!(audit(&service, "trustedPublishers/exchange").await.len(), 0);
}

/// I5: neither token opens a door that is not its own.
async fn a_pipelines_token_opens_no_other_door(backend: Backend) {
    let service = trusting(backend).await;
    let doors = [
        "/v1.0/apps",
        "/operator/v1/apps",
        "/admin/v2.0/applications/environments",
    ];
    let shown = service.caller_with_token(mint(&run()));
    for door in doors {
        shown.get(door).await.expect(401);
    }
    let pipeline = service.has_run().await;
    pipeline.get(doors[0]).await.expect(200);
    for door in &doors[1..] {
        pipeline.get(door).await.expect(401);
    }
    pipeline
        .in_session(Uuid::new_v4())
        .post("/agent/v1/claim", json!({ "max": 1 }))
        .await
        .expect(401);
    let mistyped = service.caller_with_token(format!("fametp_{}", "0".repeat(49)));
    mistyped.get(doors[0]).await.refused(401, "Unauthorized");
    service
        .owner()
        .delete("/oidc/token")
        .await
        .refused(401, "Unauthorized");
    service
        .nobody()
        .delete("/oidc/token")
        .await
        .refused(401, "Unauthorized");
}

async fn a_token_is_good_once(backend: Backend) {
    let service = trusting(backend).await;
    let one = run();
    let answers = at_once((0..8).map(|_| service.exchanges(&one))).await;
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(
        statuses.iter().filter(|status| **status == 200).count(),
        1,
        "{statuses:?}"
    );
    assert_eq!(
        statuses.iter().filter(|status| **status == 403).count(),
        7,
        "{statuses:?}"
    );
    assert_eq!(audit(&service, "trustedPublishers/exchange").await.len(), 1);
    // A service that was killed remembers it.
    let service = service.crash().await.start().await;
    let again = service.exchanges(&one).await.refused(403, "Forbidden");
    assert!(again.message().contains("exchanged before"), "{again:?}");
    service.exchanges(&run()).await.expect(200);
}

/// P4, abuse case 22.
async fn a_taken_name_locks_a_record_that_stays_capped(backend: Backend) {
    let service = publishing(backend).await;
    let owner = service.owner();
    let wide = publisher_with(json!({
        "repositoryId": null, "ownerId": null, "may": ["upload", "availability", "hotfix:production"],
        "maxAvailability": "Available",
    }));
    let made = owner.trusts(ID, &wide).await.expect(201);
    assert_eq!(made.property("state"), "Pending");
    // The name was given up, and a stranger's repository has it now.
    let stranger = || {
        run()
            .with_claim("repository_id", "666")
            .with_claim("repository_owner_id", "66")
    };
    let given = service.exchanges(&stranger()).await.expect(200);
    // What is promised is what it may now.
    assert_eq!(given.json()["may"], json!(["upload"]));
    assert_eq!(given.property("maxAvailability"), "Preview");
    let pipeline = service.signs_in_with(&given);
    let may = "upload, availability, hotfix:production";
    pipeline
        .uploads(&package("16.0.1.2"), "Preview")
        .await
        .expect(200);
    confined(pipeline.uploads(&package("16.0.1.3"), "Available").await, may);
    confined(
        pipeline
            .changes_version("16.0.1.2", json!({ "availability": "Available" }))
            .await,
        may,
    );
    let locked = owner.get(owner.publisher_path(ID)).await.expect(200);
    assert_eq!(locked.property("state"), "Unconfirmed");
    assert_eq!(
        (locked.property("repositoryId"), locked.property("ownerId")),
        ("666".into(), "66".into())
    );
    // From now on the real one is told that somebody else's ids are expected, and which.
    let refused = service.exchanges(&run()).await.refused(403, "Forbidden");
    let details = refused.json()["error"]["details"].to_string();
    for fact in ["expected '66'", "says '7'", "expected '666'", "says '42'"] {
        assert!(details.contains(fact), "{details}");
    }
    // Sending back what is shown confirms nothing, and neither does a confirmation without ids.
    let mut shown = locked.json();
    shown
        .as_object_mut()
        .unwrap()
        .retain(|name, _| !name.starts_with('@'));
    let same = owner.trusts(ID, &shown).await.expect(200);
    assert_eq!(same.property("state"), "Unconfirmed");
    // Nor does it under another name, or as another publisher of the app, unless that is said.
    let mut renamed = shown.clone();
    renamed["repository"] = json!("contoso/renamed");
    let same = owner.trusts(ID, &renamed).await.expect(200);
    assert_eq!(same.property("state"), "Unconfirmed");
    owner.trusts(ID, &shown).await.expect(200);
    shown["id"] = json!(OTHER);
    let copied = owner.trusts(OTHER, &shown).await.expect(201);
    assert_eq!(copied.property("state"), "Unconfirmed");
    owner.delete(owner.publisher_path(OTHER)).await.expect(204);
    shown["confirmed"] = json!(true);
    let said = owner.trusts(OTHER, &shown).await.expect(201);
    assert_eq!(said.property("state"), "Active");
    owner.delete(owner.publisher_path(OTHER)).await.expect(204);
    let pipeline = service.signs_in_with(&service.exchanges(&stranger()).await.expect(200));
    let blind = publisher_with(json!({ "repositoryId": null, "ownerId": null, "confirmed": true }));
    owner.trusts(ID, &blind).await.broke_rule("NothingToConfirm");
    let others = publisher_with(json!({ "confirmed": true }));
    owner.trusts(ID, &others).await.broke_rule("NothingToConfirm");
    // The owner says which ids are right: the stranger's token ends at once.
    let mended = publisher_with(json!({ "may": ["upload"] }));
    let mended = owner.trusts(ID, &mended).await.expect(200);
    assert_eq!(mended.property("state"), "Active");
    pipeline.get("/v1.0/apps").await.refused(401, "Unauthorized");
    service.exchanges(&stranger()).await.refused(403, "Forbidden");
    service.exchanges(&run()).await.expect(200);
    // And where the first run was the right one, repeating its ids lifts the cap.
    owner
        .trusts(
            OTHER,
            &publisher_with(json!({
                "repository": "contoso/library", "repositoryId": null, "ownerId": null,
            })),
        )
        .await
        .expect(201);
    let library = run()
        .with_claim("repository", "contoso/library")
        .with_claim("repository_id", "43")
        .with_claim(
            "workflow_ref",
            "contoso/library/.github/workflows/release.yml@refs/heads/main",
        );
    service.exchanges(&library).await.expect(200);
    let confirmed = publisher_with(json!({
        "repository": "contoso/library", "repositoryId": "43", "confirmed": true,
    }));
    let confirmed = owner.trusts(OTHER, &confirmed).await.expect(200);
    assert_eq!(confirmed.property("state"), "Active");
}

async fn who_waits_for_its_first_run_waits_seven_days(backend: Backend) {
    let service = publishing(backend).await;
    let owner = service.owner();
    let nameless = publisher_with(json!({ "repositoryId": null, "ownerId": null }));
    owner.trusts(ID, &nameless).await.expect(201);
    service.advances(Duration::from_secs(7 * 86_400)).await;
    let refused = service.exchanges(&run()).await.refused(403, "Forbidden");
    assert!(refused.message().contains("seven days"), "{refused:?}");
    owner.trusts(ID, &nameless).await.expect(200);
    let at_once = at_once((0..4).map(|_| service.exchanges(&run()))).await;
    assert!(at_once.iter().all(|answer| answer.status == 200), "{at_once:?}");
    assert_eq!(audit(&service, "trustedPublishers/lock").await.len(), 1);
}

/// P7.
async fn one_repository_may_act_for_two_apps_one_at_a_time(backend: Backend) {
    let service = trusting(backend).await;
    service.has_app(LIBRARY).await;
    let of_library = service.owner().on(LIBRARY);
    of_library.trusts(OTHER, &publisher()).await.expect(201);
    of_library
        .trusts(ID, &publisher())
        .await
        .refused(404, "ResourceDoesNotExist");
    let ambiguous = service.exchanges(&run()).await.refused(400, "AmbiguousRequest");
    assert!(
        ambiguous.message().contains(&ID.to_string()) && ambiguous.message().contains(&OTHER.to_string())
    );
    let nobody = service.nobody();
    for (member, value, app) in [
        ("appId", APP, APP),
        ("appId", LIBRARY, LIBRARY),
        ("publisherId", OTHER, LIBRARY),
    ] {
        let mut body = json!({ "token": mint(&run()) });
        body[member] = json!(value);
        let given = nobody.post("/oidc/exchange", body).await.expect(200);
        assert_eq!(given.property("appId"), app.to_string());
        let pipeline = service.caller_with_token(given.property("token"));
        let seen = pipeline.get("/v1.0/apps").await.expect(200);
        assert_eq!(seen.column("id"), [app.to_string()]);
    }
}

/// Anybody may name a repository, and name it often.
async fn records_of_others_crowd_out_none(backend: Backend) {
    let service = publishing(backend).await;
    let by_name = publisher_with(json!({ "repositoryId": null, "ownerId": null }));
    let apps = [LIBRARY, Uuid::from_u128(71), Uuid::from_u128(72)];
    for (app, of_app) in apps.into_iter().zip(0..) {
        service.has_app(app).await;
        let other = service.owner().on(app);
        for number in 0..18 {
            let id = Uuid::from_u128(100 * of_app + number);
            other.trusts(id, &by_name).await.expect(201);
        }
    }
    let owner = service.owner();
    owner.trusts(ID, &by_name).await.expect(201);
    service.exchanges(&run()).await.refused(400, "AmbiguousRequest");
    let asks = async |member: &str, value: Value| {
        let mut body = json!({ "token": mint(&run()) });
        body[member] = value;
        service.nobody().post("/oidc/exchange", body).await.expect(200)
    };
    let given = asks("appId", json!(APP)).await;
    assert_eq!(given.property("publisherId"), ID.to_string());
    // Its ids are known from now on, and nobody else's are.
    let given = service.exchanges(&run()).await.expect(200);
    assert_eq!(given.property("publisherId"), ID.to_string());
    let given = asks("publisherId", json!(ID)).await;
    assert_eq!(given.property("appId"), APP.to_string());
}

/// What a run shows, and the app or the publisher that it names.
async fn names(service: &Harness, member: &str, value: Value) -> Answer {
    let mut body = json!({ "token": mint(&run()) });
    body[member] = value;
    service.nobody().post("/oidc/exchange", body).await
}

/// Ids of public repositories are public: others may put them into records of their own, confirm them, and be there first.
async fn records_of_others_with_its_ids_hinder_no_run(backend: Backend) {
    let service = publishing(backend).await;
    let confirmed = publisher_with(json!({ "confirmed": true }));
    let apps = [LIBRARY, Uuid::from_u128(71), Uuid::from_u128(72)];
    for (app, of_app) in apps.into_iter().zip(0..) {
        service.has_app(app).await;
        let other = service.owner().on(app);
        for number in 0..18 {
            let id = Uuid::from_u128(100 * of_app + number);
            other.trusts(id, &confirmed).await.expect(201);
        }
    }
    service.owner().trusts(ID, &publisher()).await.expect(201);
    // Which one it means, a run can say at any time.
    let asked = service.exchanges(&run()).await.refused(400, "AmbiguousRequest");
    assert!(
        asked
            .message()
            .ends_with("others. Say which by 'appId' or 'publisherId'."),
        "{asked:?}"
    );
    let given = names(&service, "appId", json!(APP)).await.expect(200);
    assert_eq!(given.property("publisherId"), ID.to_string());
    // Once one has, it need not be said again: nobody else can have a run that says otherwise.
    let given = service.exchanges(&run()).await.expect(200);
    assert_eq!(given.property("publisherId"), ID.to_string());
    // What a record was named for counts for the repository of which it was.
    let own = publisher_with(json!({ "repository": "fabrikam/own", "repositoryId": "666", "ownerId": "66" }));
    let other = service.owner().on(LIBRARY);
    other.trusts(OTHER, &own).await.expect(201);
    let theirs = run()
        .with_claim("repository", "fabrikam/own")
        .with_claim("repository_id", "666")
        .with_claim("repository_owner_id", "66")
        .with_claim(
            "workflow_ref",
            "fabrikam/own/.github/workflows/release.yml@refs/heads/main",
        );
    let body = json!({ "token": mint(&theirs), "appId": LIBRARY });
    service.nobody().post("/oidc/exchange", body).await.expect(200);
    other.trusts(OTHER, &confirmed).await.expect(200);
    let given = service.exchanges(&run()).await.expect(200);
    assert_eq!(given.property("publisherId"), ID.to_string());
}

/// P4: what a stranger's run was locked to does not become right by being written down anew.
async fn ids_that_nobody_confirmed_stay_unconfirmed_when_their_record_goes(backend: Backend) {
    let service = publishing(backend).await;
    let owner = service.owner();
    let nameless = publisher_with(json!({ "repositoryId": null, "ownerId": null }));
    owner.trusts(ID, &nameless).await.expect(201);
    service.exchanges(&run()).await.expect(200);
    owner.delete(owner.publisher_path(ID)).await.expect(204);
    for id in [ID, OTHER] {
        let again = owner.trusts(id, &publisher_with(json!({ "maxAvailability": "Available" })));
        assert_eq!(again.await.expect(201).property("state"), "Unconfirmed");
    }
    let given = names(&service, "publisherId", json!(ID)).await.expect(200);
    assert_eq!(given.property("maxAvailability"), "Preview");
    // Of another app's owners nobody was told of them.
    service.has_app(LIBRARY).await;
    let library = service.owner().on(LIBRARY);
    let elsewhere = Uuid::from_u128(71);
    let of_library = library.trusts(elsewhere, &publisher()).await.expect(201);
    assert_eq!(of_library.property("state"), "Active");
    let said = owner.trusts(ID, &publisher_with(json!({ "confirmed": true })));
    assert_eq!(said.await.expect(200).property("state"), "Active");
    // What was confirmed once is so for whatever comes.
    owner.delete(owner.publisher_path(ID)).await.expect(204);
    let later = owner.trusts(ID, &publisher()).await.expect(201);
    assert_eq!(later.property("state"), "Active");
}

async fn owners_see_which_tokens_there_are_and_end_them(backend: Backend) {
    let service = trusting(backend).await;
    let owner = service.owner();
    let path = format!("{}/tokens", owner.app_path());
    let tokens = async || owner.get(&path).await.expect(200).rows();
    assert_eq!(tokens().await, Vec::<Value>::new());
    let (used, unused, ended) = (
        service.has_run().await,
        service.has_run().await,
        service.has_run().await,
    );
    used.get("/v1.0/apps").await.expect(200);
    ended.delete("/oidc/token").await.expect(204);
    let found = tokens().await;
    assert_eq!(found.len(), 2, "{found:?}");
    let of = |caller: &Caller| {
        let text = caller.authorization().to_owned();
        let token = found
            .iter()
            .find(|token| text.ends_with(token["lastFour"].as_str().unwrap()));
        token.unwrap().clone()
    };
    let shown = of(&used);
    assert_eq!(shown["kind"], "Publisher");
    assert_eq!(shown["publisherId"], ID.to_string());
    assert_eq!(shown["run"], "1001.1");
    assert_eq!(shown["repository"], "contoso/sales-pack");
    assert_eq!(shown["usedOn"], shown["createdOn"]);
    assert_eq!(of(&unused)["usedOn"], Value::Null);
    assert!(!shown.to_string().contains("fametp_"), "{shown}");
    let one = format!("{path}/{}", shown["id"].as_str().unwrap());
    owner.delete(&one).await.expect(204);
    used.get("/v1.0/apps").await.refused(401, "Unauthorized");
    unused.get("/v1.0/apps").await.expect(200);
    owner.delete(&one).await.refused(404, "ResourceDoesNotExist");
    assert_eq!(tokens().await.len(), 1);
    let revoked = audit(&service, "tokens/revoke").await;
    assert_eq!(revoked.len(), 1);
    assert_eq!(revoked[0]["before"]["lastFour"], shown["lastFour"]);
    // It is the app's owners' alone, each for their own app.
    service.has_app(LIBRARY).await;
    let elsewhere = service.owner().on(LIBRARY);
    let theirs = format!("{}/tokens", elsewhere.app_path());
    assert_eq!(
        elsewhere.get(&theirs).await.expect(200).rows(),
        Vec::<Value>::new()
    );
    let other = format!("{theirs}/{}", of(&unused)["id"].as_str().unwrap());
    elsewhere
        .delete(&other)
        .await
        .refused(404, "ResourceDoesNotExist");
    service.contributor().get(&path).await.refused(403, "Forbidden");
    confined(unused.get(&path).await, "upload");
    unused.get("/v1.0/apps").await.expect(200);
    // Its time ends one as well.
    service.advances(QUARTER).await;
    assert_eq!(tokens().await, Vec::<Value>::new());
    let late = owner.delete(format!("{path}/{}", of(&unused)["id"].as_str().unwrap()));
    late.await.refused(404, "ResourceDoesNotExist");
}

async fn the_audit_says_from_where_and_by_which_door(backend: Backend) {
    let service = Harness::with(backend)
        .publishing()
        .setting("limits.proxies", json!(["127.0.0.0/8", "10.0.0.0/8"]))
        .start()
        .await;
    let owner = service.owner();
    let came = async |action: &str| {
        let row = audit(&service, action).await.pop().unwrap();
        (row["address"].clone(), row["via"].clone())
    };
    owner.trusts(ID, &publisher()).await.expect(201);
    assert_eq!(
        came("trustedPublishers/write").await,
        (json!("127.0.0.1"), json!("vendor"))
    );
    // What a proxy was asked by, the last proxy says; what stands before that, anybody can have written.
    for (said, address) in [
        ("203.0.113.7", "203.0.113.7"),
        ("198.51.100.1, 203.0.113.8, 10.1.1.1", "203.0.113.8"),
        ("2001:db8::1", "2001:db8::1"),
        ("nobody, 10.1.1.1", "10.1.1.1"),
    ] {
        let changed = owner.trusts(ID, &publisher()).header("x-forwarded-for", said);
        changed.await.expect(200);
        assert_eq!(
            came("trustedPublishers/write").await,
            (json!(address), json!("vendor"))
        );
    }
    service.exchanges(&run()).await.expect(200);
    assert_eq!(came("trustedPublishers/exchange").await.1, "oidc");
    service
        .operator()
        .reports(&Environment::my_customer("16.0.0.5"))
        .await
        .expect(201);
    assert_eq!(came("environments/write").await.1, "operator");
    let filtered = "/operator/v1/audit?$filter=address eq '203.0.113.7' and via eq 'vendor'";
    let filtered = service.operator().get(filtered).await.expect(200).rows();
    assert_eq!(filtered.len(), 1, "{filtered:?}");

    // Where no proxy is named, nobody's word counts.
    let direct = trusting(backend).await;
    let changed = direct
        .owner()
        .trusts(ID, &publisher())
        .header("x-forwarded-for", "203.0.113.7");
    changed.await.expect(200);
    let row = audit(&direct, "trustedPublishers/write").await.pop().unwrap();
    assert_eq!(row["address"], "127.0.0.1");
}

/// R3: where an Owner has widened a record so far.
async fn a_run_with_that_right_sends_hotfixes_to_production(backend: Backend) {
    let service = publishing(backend).await;
    let owner = service.owner();
    for version in ["16.0.0.5", "16.0.1.2"] {
        owner.has_uploaded(version).await;
    }
    let record = publisher_with(json!({ "may": ["hotfix:production"] }));
    owner.trusts(ID, &record).await.expect(201);
    let pipeline = service.has_run().await;
    let production = Environment::my_customer("16.0.0.5");
    let sandbox = Environment::named("Box").has(APP, "16.0.0.5").sandbox();
    for environment in [&production, &sandbox] {
        service.operator().reports(environment).await.expect(201);
    }
    let hotfix = pipeline.schedules(&production, "16.0.1.2").await.expect(200);
    assert_eq!(hotfix.property("status"), "Scheduled");
    let by = &audit(&service, "environmentHotfixes/write").await[0]["actor"];
    assert_eq!((&by["type"], &by["id"]), (&json!("Publisher"), &json!(ID)));
    pipeline.cancels(&hotfix).await.expect(200);
    confined(
        pipeline.schedules(&sandbox, "16.0.1.2").await,
        "hotfix:production",
    );
    confined(
        pipeline.uploads(&package("16.0.1.3"), "Preview").await,
        "hotfix:production",
    );
}

/// A genuine token of some repository is no hard thing to come by.
async fn refused_runs_use_up_nothing_of_other_repositories(backend: Backend) {
    let service = trusting(backend).await;
    for id in ["666", "42"] {
        let refused = run()
            .with_claim("repository_id", id)
            .with_claim("ref", "refs/heads/side");
        for _ in 0..120 {
            service.exchanges(&refused).await.refused(403, "Forbidden");
        }
        let too_many = service.exchanges(&refused).await.refused(429, "TooManyRequests");
        assert!(!too_many.header("retry-after").is_empty());
        if id == "666" {
            service.exchanges(&run()).await.expect(200);
        }
    }
    service.exchanges(&run()).await.refused(429, "TooManyRequests");
    service.advances(Duration::from_secs(60)).await;
    service.exchanges(&run()).await.expect(200);
}

async fn a_runs_token_ends_with_its_time_its_run_and_its_record(backend: Backend) {
    let service = trusting(backend).await;
    let owner = service.owner();
    let works = async |pipeline: &Caller, status| {
        pipeline.get("/v1.0/apps").await.expect(status);
    };
    let by_time = service.has_run().await;
    service.advances(QUARTER - Duration::from_secs(1)).await;
    works(&by_time, 200).await;
    service.advances(Duration::from_secs(1)).await;
    let expired = by_time.get("/v1.0/apps").await.refused(401, "Unauthorized");
    assert!(expired.message().contains("expired"), "{expired:?}");

    let (by_run, by_leak, by_record) = (
        service.has_run().await,
        service.has_run().await,
        service.has_run().await,
    );
    by_run.delete("/oidc/token").await.expect(204);
    works(&by_run, 401).await;
    by_run.delete("/oidc/token").await.refused(401, "Unauthorized");
    let leaked = by_leak.authorization().replace("Bearer ", "");
    service
        .nobody()
        .post("/tokens/leaked", json!({ "tokens": [leaked] }))
        .await
        .expect(202);
    works(&by_leak, 401).await;
    works(&by_record, 200).await;
    owner.delete(owner.publisher_path(ID)).await.expect(204);
    works(&by_record, 401).await;
    service.exchanges(&run()).await.refused(403, "Forbidden");
    for action in ["endToken", "endLeaked", "delete"] {
        assert_eq!(
            audit(&service, &format!("trustedPublishers/{action}"))
                .await
                .len(),
            1,
            "{action}"
        );
    }
}

async fn what_a_record_allows_counts_with_the_next_request(backend: Backend) {
    let service = publishing(backend).await;
    let (owner, operator) = (service.owner(), service.operator());
    let wide = publisher_with(json!({ "may": ["upload", "availability"], "maxAvailability": "Available" }));
    owner.trusts(ID, &wide).await.expect(201);
    let pipeline = service.has_run().await;
    pipeline
        .uploads(&package("16.0.1.2"), "Available")
        .await
        .expect(200);
    owner.trusts(ID, &publisher()).await.expect(200);
    confined(
        pipeline.uploads(&package("16.0.1.3"), "Available").await,
        "upload",
    );
    pipeline
        .uploads(&package("16.0.1.3"), "Preview")
        .await
        .expect(200);
    let freeze = format!("/operator/v1/freezes/principal:{ID}");
    operator
        .put(&freeze, json!({ "reason": "its runner was taken over" }))
        .await
        .expect(201);
    let frozen = pipeline
        .uploads(&package("16.0.1.4"), "Preview")
        .await
        .refused(403, "Forbidden");
    assert!(frozen.message().contains("taken over"), "{frozen:?}");
    // A record that means other runs from now on ends what is under way.
    let elsewhere = publisher_with(json!({ "refPattern": "refs/tags/v*" }));
    owner.trusts(ID, &elsewhere).await.expect(200);
    pipeline.get("/v1.0/apps").await.refused(401, "Unauthorized");
}

/// Checked before the first byte, and again at the end: role and revocation count there, time does not.
async fn an_upload_outlasts_its_token_and_no_revocation(backend: Backend) {
    let service = trusting(backend).await;
    let rest = |version: &str| Bytes::from(format!("{}\"}}", base64_of(&bytes_of(&package(version)))));
    let pipeline = service.has_run().await;
    let (chunks, answer) = begins_upload(&service, &pipeline).await;
    service.advances(2 * QUARTER).await;
    pipeline.get("/v1.0/apps").await.expect(401);
    chunks.unbounded_send(Ok(rest("1.0.0.0"))).unwrap();
    drop(chunks);
    answer.await.unwrap().unwrap().expect(200);

    let pipeline = service.has_run().await;
    let (chunks, answer) = begins_upload(&service, &pipeline).await;
    pipeline.delete("/oidc/token").await.expect(204);
    chunks.unbounded_send(Ok(rest("1.0.0.1"))).unwrap();
    drop(chunks);
    answer
        .await
        .unwrap()
        .unwrap()
        .refused(404, "ResourceDoesNotExist");
    let versions = service
        .owner()
        .get(service.owner().us("versions"))
        .await
        .expect(200);
    assert_eq!(versions.column("version"), ["1.0.0.0"]);
}

async fn fifty_runs_an_hour(backend: Backend) {
    let service = trusting(backend).await;
    for _ in 0..50 {
        service.exchanges(&run()).await.expect(200);
    }
    let refused = service.exchanges(&run()).await.refused(429, "TooManyRequests");
    assert!(!refused.header("retry-after").is_empty());
    service.advances(Duration::from_secs(3_601)).await;
    service.exchanges(&run()).await.expect(200);
}

/// P6.
async fn azure_devops_is_capped(backend: Backend) {
    let service = Harness::with(backend)
        .publishing_from_azure_devops(PARTNER_TENANT)
        .start()
        .await;
    let owner = service.owner();
    let record = |more: Value| {
        let mut record = json!({
            "provider": "AzureDevOps", "repository": "contoso/Sales", "ownerId": "org", "repositoryId": "project",
            "workflow": "12", "refPattern": "refs/heads/main",
        });
        record
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        record
    };
    for wide in [
        json!({ "maxAvailability": "Available" }),
        json!({ "may": ["availability"] }),
        json!({ "may": ["hotfix:production"] }),
    ] {
        owner.trusts(ID, &record(wide)).await.broke_rule("NotForProvider");
    }
    owner
        .trusts(ID, &record(json!({ "ownerId": null, "repositoryId": null })))
        .await
        .broke_rule("IdsRequired");
    // What else is wrong is said first; of issuers it is said which there are, whosever they are.
    let short = publisher_with(json!({ "workflow": "release.yml" }));
    let refused = owner.trusts(ID, &short).await.refused(400, "InvalidInput");
    assert!(refused.message().contains("'workflow'"), "{refused:?}");
    owner
        .trusts(ID, &publisher_with(json!({ "refPattern": "refs/tags/**" })))
        .await
        .broke_rule("BindingTooWide");
    let refused = owner
        .trusts(ID, &publisher())
        .await
        .broke_rule("IssuerNotEnabled");
    for fact in [
        "one issuer of GitHub",
        "Enabled are: http",
        "(AzureDevOps)",
        "identity.publishers",
    ] {
        assert!(refused.message().contains(fact), "{fact}: {refused:?}");
    }
    owner.trusts(ID, &record(json!({}))).await.expect(201);
    let run = || {
        let claims = [
            ("aud", "api://AzureADTokenExchange"),
            ("org_id", "org"),
            ("prj_id", "project"),
            ("def_id", "12"),
            ("rpo_ref", "refs/heads/main"),
            ("run_id", "5"),
            ("sub", "p://contoso/Sales/release"),
        ];
        let issuer = Some(format!("{}/{PARTNER_TENANT}/v2.0", issuer_url()));
        let request = TokenRequest {
            issuer,
            ..Person::OWNER.token()
        };
        let request = claims
            .into_iter()
            .fold(request, |request, (name, value)| request.with_claim(name, value));
        request.with_claim("jti", Uuid::new_v4().to_string())
    };
    let one = run();
    let pipeline = service.signs_in_with(&service.exchanges(&one).await.expect(200));
    service.exchanges(&one).await.refused(403, "Forbidden");
    pipeline
        .uploads(&package("16.0.1.2"), "Preview")
        .await
        .expect(200);
    confined(
        pipeline.uploads(&package("16.0.1.3"), "Available").await,
        "upload",
    );
    service
        .exchanges(&run().with_claim("def_id", "13"))
        .await
        .refused(403, "Forbidden");
    // With a service connection it names no project by id, and is nobody's.
    let connected = run()
        .without_claim("prj_id")
        .with_claim("sub", "sc://contoso/Sales/azure");
    service.exchanges(&connected).await.refused(403, "Forbidden");
}

async fn owners_hear_of_it(backend: Backend) {
    let service = publishing(backend).await;
    let owner = service.owner();
    let webhook = format!("{}/webhooks/{OTHER}", owner.app_path());
    let events = json!({ "url": "http://127.0.0.1:9/", "events": ["publisher.*"] });
    owner.put(&webhook, events).await.expect(201);
    let nameless = publisher_with(json!({ "repositoryId": null, "ownerId": null }));
    owner.trusts(ID, &nameless).await.expect(201);
    service.exchanges(&run()).await.expect(200);
    let narrower = publisher_with(json!({ "repositoryId": null, "ownerId": null, "lifetimeSeconds": 60 }));
    owner.trusts(ID, &narrower).await.expect(200);
    let wider = publisher_with(json!({ "may": ["upload", "availability"], "confirmed": true }));
    owner.trusts(ID, &wider).await.expect(200);
    // Whoever comes with one token again and again is heard of once an hour.
    let reused = run();
    let given = service.exchanges(&reused).await.expect(200);
    for _ in 0..3 {
        service.exchanges(&reused).await.refused(403, "Forbidden");
    }
    let given = &given.json()["token"];
    for _ in 0..2 {
        let leaked = json!({ "tokens": [given] });
        service.nobody().post("/tokens/leaked", leaked).await.expect(202);
    }
    let told = async || {
        let deliveries = owner.get(format!("{webhook}/deliveries")).await.expect(200);
        let mut types = deliveries.column("type");
        types.retain(|kind| kind.starts_with("publisher."));
        types.sort();
        types
    };
    service
        .until("all are told", async || told().await.len() >= 4)
        .await;
    let all = [
        "publisher.locked",
        "publisher.tokenLeaked",
        "publisher.tokenReused",
        "publisher.widened",
    ];
    assert_eq!(told().await, all);
    assert_eq!(audit(&service, "trustedPublishers/tokenReused").await.len(), 1);
    service.advances(Duration::from_hours(1)).await;
    let later = run();
    service.exchanges(&later).await.expect(200);
    service.exchanges(&later).await.refused(403, "Forbidden");
    service
        .until("it is told anew", async || told().await.len() >= 5)
        .await;
    let reuses = told()
        .await
        .iter()
        .filter(|kind| *kind == "publisher.tokenReused")
        .count();
    assert_eq!(reuses, 2);
}

async fn where_it_is_off_nothing_of_it_works(backend: Backend) {
    let service = Harness::with(backend)
        .publishing()
        .setting("identity.publishers", "[]")
        .start()
        .await;
    service
        .nobody()
        .get("/oidc/audience")
        .await
        .refused(404, "ResourceDoesNotExist");
    service
        .exchanges(&run())
        .await
        .refused(404, "ResourceDoesNotExist");
    let refused = service
        .owner()
        .trusts(ID, &publisher())
        .await
        .broke_rule("IssuerNotEnabled");
    assert!(refused.message().contains("None is enabled"), "{refused:?}");
    let on = publishing(backend).await;
    assert_eq!(
        on.nobody()
            .get("/oidc/audience")
            .await
            .expect(200)
            .property("audience"),
        PUBLIC_URL
    );
    let unknown = publisher_with(json!({ "issuer": "https://169.254.169.254" }));
    let refused = on
        .owner()
        .trusts(ID, &unknown)
        .await
        .broke_rule("IssuerNotEnabled");
    for fact in [
        "'https://169.254.169.254' is no issuer of GitHub",
        "(GitHub). Name one of them",
    ] {
        assert!(refused.message().contains(fact), "{fact}: {refused:?}");
    }
}

async fn what_would_trust_too_many_is_refused(backend: Backend) {
    let service = publishing(backend).await;
    let owner = service.owner();
    for (rule, more) in [
        ("BindingTooWide", json!({ "refPattern": null })),
        ("BindingTooWide", json!({ "refPattern": "refs/heads/*" })),
        ("BindingTooWide", json!({ "refPattern": "refs/tags/*" })),
        ("EventNotAllowed", json!({ "events": ["push", "issues"] })),
        (
            "EventNotAllowed",
            json!({ "events": ["push", "pull_request_target"] }),
        ),
        ("IdsRequired", json!({ "ownerId": null })),
        ("ProviderNotSupported", json!({ "provider": "GitLab" })),
    ] {
        owner.trusts(ID, &publisher_with(more)).await.broke_rule(rule);
    }
    for more in [
        json!({ "may": [] }),
        json!({ "countries": ["XX"] }),
        json!({ "lifetimeSeconds": 4_000 }),
    ] {
        owner
            .trusts(ID, &publisher_with(more))
            .await
            .refused(400, "InvalidInput");
    }
    for number in 0..20 {
        owner
            .trusts(Uuid::from_u128(number), &publisher())
            .await
            .expect(201);
    }
    owner
        .trusts(ID, &publisher())
        .await
        .broke_rule("TooManyPublishers");
    let rows = owner
        .get(format!(
            "{}/trustedPublishers?$filter=state eq 'active'",
            owner.app_path()
        ))
        .await;
    assert_eq!(rows.expect(200).rows().len(), 20);
}
