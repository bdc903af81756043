//! What vendors and the operator say of environments beside what is reported of them: tags, customers' names, freezes of an
//! app, and why a hotfix did not come about in one word.

use crate::harness::{
    APP, Answer, Backend, CUSTOMER, Caller, Environment, Harness, LIBRARY, admin_path, country_path,
    on_both_databases, package_of,
};
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

on_both_databases!(
    tags_are_a_vendors_own_words,
    what_is_no_tag_is_refused,
    tags_are_put_on_all_that_a_filter_brings,
    vendors_read_what_the_operator_calls_customers,
    while_an_app_is_frozen_its_hotfixes_wait,
    a_freeze_of_an_app_is_its_owners,
    a_freeze_that_cannot_be_is_refused,
    why_a_hotfix_did_not_come_about_is_one_word,
);

const TARGET: &str = "16.0.1.2";

fn tags_path(environment: &Environment) -> String {
    let Environment {
        tenant, family, name, ..
    } = environment;
    format!("/v1.0/apps/{APP}/environments/{tenant}/{family}/{name}/tags")
}

async fn tags(caller: &Caller, environment: &Environment, tags: Value) -> Answer {
    caller.put(tags_path(environment), json!({ "tags": tags })).await
}

fn environments() -> String {
    country_path(APP, "US", "environments")
}

async fn names(caller: &Caller, filter: &str) -> Vec<String> {
    let path = format!("{}?$filter={filter}", environments());
    caller.get(path).await.expect(200).column("name")
}

async fn reported(service: &Harness, environments: &[&Environment]) {
    for environment in environments {
        service.operator().reports(environment).await.expect(201);
    }
}

async fn tags_are_a_vendors_own_words(backend: Backend) {
    let service = Harness::start(backend).await;
    let (contributor, reader) = (service.contributor(), service.reader());
    contributor.has_uploaded(TARGET).await;
    service.has_app(LIBRARY).await;
    let one = Environment::named("One")
        .has(APP, "16.0.0.5")
        .has(LIBRARY, "1.0.0.0");
    let two = Environment::named("Two").has(APP, "16.0.0.5");
    let without = Environment::named("Without").has(LIBRARY, "1.0.0.0");
    reported(&service, &[&one, &two, &without]).await;

    let put = tags(&contributor, &one, json!(["ring1", "ring0", "ring1"])).await;
    let expected = json!({
        "aadTenantId": one.tenant, "applicationFamily": one.family, "name": "One", "tags": ["ring0", "ring1"]
    });
    assert_eq!(put.expect(200).json(), expected);
    assert_eq!(reader.get(tags_path(&one)).await.expect(200).json(), expected);
    assert_eq!(
        reader.get(tags_path(&two)).await.expect(200).json()["tags"],
        json!([])
    );

    // They are shown to those who select them, and others find by them.
    let shown = reader.get(environments()).await.expect(200).rows();
    assert!(shown.iter().all(|row| row.get("tags").is_none()), "{shown:?}");
    let selected = format!("{}?$select=name,tags&$orderby=name", environments());
    let selected = reader.get(selected).await.expect(200).rows();
    let selected: Vec<_> = selected.iter().map(|row| row["tags"].clone()).collect();
    assert_eq!(selected, [json!(["ring0", "ring1"]), json!([])]);
    let single = format!("{}/One?$select=tags", environments());
    let single = reader.get(single).await.expect(200).json();
    assert_eq!(single["tags"], json!(["ring0", "ring1"]));
    for (filter, wanted) in [
        ("tags/any(t:t eq 'ring0')", vec!["One"]),
        ("not tags/any(t:t eq 'ring0')", vec!["Two"]),
        ("tags/any(t:t eq 'ring')", vec![]),
        ("tags/any(t:startswith(t,'ring'))", vec!["One"]),
        ("'ring1' in tags and type eq 'Production'", vec!["One"]),
    ] {
        assert_eq!(names(&reader, filter).await, wanted, "{filter}");
    }
    let counted = format!("{}/$count?$filter=tags/any()", environments());
    assert_eq!(reader.get(counted).await.expect(200).text(), "1");
    let planned = country_path(APP, "US", "environmentHotfixes/plan");
    let planned = format!("{planned}?targetAppVersion={TARGET}&$filter=tags/any(t:t eq 'ring0')");
    assert_eq!(reader.get(planned).await.expect(200).column("name"), ["One"]);

    // Another app has words of its own, and whoever has no role on this one hears nothing.
    let library = service.owner().on(LIBRARY);
    let of_library = format!("{}?$select=tags", country_path(LIBRARY, "US", "environments"));
    let of_library = library.get(of_library).await.expect(200).rows();
    assert!(
        of_library.iter().all(|row| row["tags"] == json!([])),
        "{of_library:?}"
    );
    tags(&reader, &one, json!([])).await.refused(403, "Forbidden");
    for path in [tags_path(&one), tags_path(&without)] {
        let stranger = service.stranger().get(path).await;
        stranger.refused(404, "ResourceDoesNotExist");
    }
    for caller in [&contributor, &reader] {
        let missing = caller.get(tags_path(&without)).await;
        missing.refused(404, "EnvironmentNotFound");
    }
    let missing = tags(&contributor, &without, json!(["ring0"])).await;
    missing.refused(404, "EnvironmentNotFound");

    // What was said of an environment outlives an inventory that lacks the app.
    let operator = service.operator();
    operator.reports(&one.clone().without(APP)).await.expect(200);
    operator.reports(&one).await.expect(200);
    tags(&contributor, &two, json!(["ring2"])).await.expect(200);
    tags(&contributor, &two, json!([])).await.expect(200);
    assert_eq!(names(&reader, "tags/any()").await, ["One"]);
    let audit = "/operator/v1/audit?$filter=action eq 'tags/write'&$orderby=id";
    let audit = operator.get(audit).await.expect(200).rows();
    let told: Vec<_> = audit
        .iter()
        .map(|row| (&row["before"]["tags"], &row["after"]["tags"]))
        .collect();
    assert_eq!(
        told,
        [
            (&json!([]), &json!(["ring0", "ring1"])),
            (&json!([]), &json!(["ring2"])),
            (&json!(["ring2"]), &json!([])),
        ]
    );
    // It goes with its environment.
    operator.delete(one.operator_path()).await.expect(204);
    operator.reports(&one).await.expect(201);
    assert_eq!(
        reader.get(tags_path(&one)).await.expect(200).json()["tags"],
        json!([])
    );
}

async fn what_is_no_tag_is_refused(backend: Backend) {
    let service = Harness::start(backend).await;
    let contributor = service.contributor();
    let one = Environment::named("One").has(APP, "16.0.0.5");
    reported(&service, &[&one]).await;
    let many: Vec<_> = (0..21).map(|number| number.to_string()).collect();
    for (wrong, target) in [
        (json!([""]), "tags"),
        (json!([" ring0"]), "tags"),
        (json!(["a\nb"]), "tags[0]"),
        (json!(["\u{202E}0gnir"]), "tags"),
        (json!(["x".repeat(51)]), "tags"),
        (json!(many), "tags"),
        (json!("ring0"), "tags"),
        (json!([1]), "tags"),
    ] {
        let refused = tags(&contributor, &one, wrong.clone()).await;
        assert_eq!(refused.refused(400, "InvalidInput").target(), target, "{wrong}");
    }
    let path = tags_path(&one);
    for (body, target) in [
        (json!({}), "tags"),
        (json!({ "tags": [], "name": "Two" }), "name"),
        (json!({ "tags": [], "tag": 1 }), "tag"),
    ] {
        let refused = contributor.put(&path, body).await.refused(400, "InvalidInput");
        assert_eq!(refused.target(), target);
    }
    for (body, code) in [
        (json!({ "add": ["a"] }), "InvalidInput"),
        (json!({ "filter": "true" }), "InvalidInput"),
        (
            json!({ "filter": "true", "add": ["a"], "remove": ["a"] }),
            "InvalidInput",
        ),
        (json!({ "filter": "nothing eq 1", "add": ["a"] }), "InvalidFilter"),
        (json!({ "filter": "name eq", "add": ["a"] }), "InvalidFilter"),
    ] {
        let refused = contributor.post(many_path(), body).await;
        refused.refused(400, code);
    }
    assert_eq!(contributor.get(path).await.expect(200).json()["tags"], json!([]));
}

fn many_path() -> String {
    format!("/v1.0/apps/{APP}/environments/tags")
}

async fn tags_are_put_on_all_that_a_filter_brings(backend: Backend) {
    let service = Harness::start(backend).await;
    let contributor = service.contributor();
    service.owner().adds_country("DE").await.expect(200);
    let named = |name: &str| Environment::named(name).has(APP, "16.0.0.5");
    let (one, two) = (named("One").sandbox(), named("Two"));
    let (three, full) = (named("Three").sandbox().in_country("DE"), named("Full").sandbox());
    reported(&service, &[&one, &two, &three, &full]).await;
    let most: Vec<_> = (0..20).map(|number| format!("tag{number}")).collect();
    tags(&contributor, &full, json!(most)).await.expect(200);
    tags(&contributor, &one, json!(["hold"])).await.expect(200);

    let change = json!({ "filter": "type eq 'Sandbox'", "add": ["ring0"], "remove": ["hold", "never"] });
    let counts = async |body: &Value| {
        let answer = contributor
            .post(many_path(), body.clone())
            .await
            .expect(200)
            .json();
        ["matched", "changed", "full"].map(|name| answer[name].as_u64().unwrap())
    };
    assert_eq!(counts(&change).await, [3, 2, 1]);
    // The same again changes nothing.
    assert_eq!(counts(&change).await, [3, 0, 1]);
    assert_eq!(names(&contributor, "tags/any(t:t eq 'ring0')").await, ["One"]);
    let in_germany = country_path(APP, "DE", "environments");
    let in_germany = format!("{in_germany}?$filter='ring0' in tags");
    assert_eq!(
        contributor.get(in_germany).await.expect(200).column("name"),
        ["Three"]
    );
    assert_eq!(names(&contributor, "'hold' in tags").await, [""; 0]);
    // What the filter looks at may change on the way.
    let back = json!({ "filter": "'ring0' in tags", "add": ["done"], "remove": ["ring0"] });
    assert_eq!(counts(&back).await, [2, 2, 0]);
    let none = json!({ "filter": "'ring0' in tags", "remove": ["ring0"] });
    assert_eq!(counts(&none).await, [0, 0, 0]);
    let reader = service.reader().post(many_path(), change.clone()).await;
    reader.refused(403, "Forbidden");
    let stranger = service
        .stranger()
        .post(many_path(), json!({ "filter": "x" }))
        .await;
    stranger.refused(404, "ResourceDoesNotExist");
    let audit = "/operator/v1/audit?$filter=action eq 'tags/write'";
    let audit = service.operator().get(audit).await.expect(200);
    assert_eq!(audit.rows().len(), 6);
}

async fn vendors_read_what_the_operator_calls_customers(backend: Backend) {
    let service = Harness::start(backend).await;
    let (owner, reader) = (service.owner(), service.reader());
    owner.has_uploaded(TARGET).await;
    let (one, other) = (
        Environment::named("One").has(APP, "16.0.0.5"),
        Environment::named("Other")
            .of(Uuid::from_u128(7))
            .has(APP, "16.0.0.5"),
    );
    reported(&service, &[&one, &other]).await;
    service.catches_up().await;
    let registration =
        json!({ "displayName": "CRONUS Ltd.", "domain": "cronus.example", "notes": "Pays late." });
    let registered = service
        .registers_customer(CUSTOMER, registration)
        .await
        .expect(201);
    assert_eq!(registered.property("notes"), "Pays late.");
    let listed = "/operator/v1/customers?$filter=startswith(displayName,'CRONUS')";
    let listed = service.operator().get(listed).await.expect(200);
    assert_eq!(listed.column("domain"), ["cronus.example"]);

    let shown = reader.get(environments()).await.expect(200).rows();
    assert!(
        shown.iter().all(|row| row.get("customerName").is_none()),
        "{shown:?}"
    );
    let selected = format!("{}?$select=customerName&$filter=name eq 'One'", environments());
    let selected = reader.get(selected).await.expect(200);
    assert_eq!(selected.column("customerName"), ["CRONUS Ltd."]);
    let single = format!("{}/One?$select=customerName", environments());
    assert_eq!(
        reader.get(single).await.expect(200).property("customerName"),
        "CRONUS Ltd."
    );
    assert_eq!(names(&reader, "customerName eq 'CRONUS Ltd.'").await, ["One"]);
    assert_eq!(names(&reader, "customerName eq null").await, ["Other"]);
    let sorted = format!("{}?$orderby=customerName desc", environments());
    assert_eq!(
        reader.get(sorted).await.expect(200).column("name"),
        ["One", "Other"]
    );

    let hotfix = owner.schedules(&one, TARGET).await.expect(200);
    owner.schedules(&other, TARGET).await.expect(200);
    assert_eq!(hotfix.json().get("customerName"), None);
    let hotfixes = country_path(APP, "US", "environmentHotfixes");
    let filtered =
        format!("{hotfixes}?$filter=customerName ne null&$select=environmentName,customerName,waitingFor");
    let filtered = reader.get(filtered).await.expect(200);
    assert_eq!(filtered.column("customerName"), ["CRONUS Ltd."]);
    assert_eq!(filtered.column("waitingFor"), ["Window"]);
    let id = hotfix.property("id");
    let single = format!("{hotfixes}/{id}?$select=customerName");
    assert_eq!(
        reader.get(single).await.expect(200).property("customerName"),
        "CRONUS Ltd."
    );

    // Nobody is led astray by a name, and it goes where it is said no more.
    for (wrong, target) in [
        (json!({ "displayName": "CRONUS\u{202E}" }), "displayName"),
        (json!({ "notes": "a\u{1B}[2J" }), "notes"),
        (json!({ "domain": "x".repeat(251) }), "domain"),
    ] {
        let refused = service.registers_customer(CUSTOMER, wrong).await;
        assert_eq!(refused.refused(400, "InvalidInput").target(), target);
    }
    service.registers_customer(CUSTOMER, json!({})).await.expect(200);
    assert_eq!(names(&reader, "customerName ne null").await, [""; 0]);
}

fn freeze_path(id: Uuid) -> String {
    format!("/v1.0/apps/{APP}/freezes/{id}")
}

const FREEZE: Uuid = Uuid::from_u128(0xf);

fn production_until(to: &str) -> Value {
    json!({ "from": "2020-03-05T00:00:00Z", "to": to, "types": ["Production"], "reason": "Nobody is there." })
}

async fn freezes(service: &Harness, to: &str) -> Answer {
    service
        .owner()
        .put(freeze_path(FREEZE), production_until(to))
        .await
}

async fn status(service: &Harness, hotfix: &Answer) -> String {
    service
        .owner()
        .looks_at(hotfix)
        .await
        .expect(200)
        .property("status")
}

/// What a hotfix waits for, and when it is expected to start.
async fn told(service: &Harness, hotfix: &Answer) -> (Value, Value) {
    let path = country_path(APP, "US", "environmentHotfixes");
    let path = format!(
        "{path}/{}?$select=waitingFor,expectedStart",
        hotfix.property("id")
    );
    let told = service.owner().get(path).await.expect(200).json();
    let member = |name: &str| told.get(name).cloned().unwrap_or_default();
    (member("waitingFor"), member("expectedStart"))
}

async fn while_an_app_is_frozen_its_hotfixes_wait(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    for version in ["16.0.0.5", TARGET] {
        owner.has_uploaded(version).await;
    }
    service.has_app(LIBRARY).await;
    let library = owner.on(LIBRARY);
    let of_library = package_of(LIBRARY, "1.0.0.1");
    library.uploads(&of_library, "Available").await.expect(200);
    let named = |name: &str| Environment::named(name).has(APP, "16.0.0.5");
    let (production, sandbox) = (named("Production"), named("Sandbox").sandbox());
    let customers = named("Customers");
    let beside = named("Beside").has(LIBRARY, "1.0.0.0");
    reported(&service, &[&production, &sandbox, &customers, &beside]).await;
    service.catches_up().await;
    freezes(&service, "2020-03-06T22:00:00Z").await.expect(201);

    // It may be scheduled, and waits, however soon it was wanted; the next window behind the freeze counts.
    let plan = country_path(APP, "US", "environmentHotfixes/plan");
    let plan = format!("{plan}?targetAppVersion={TARGET}&$filter=name eq 'Production'");
    let planned = service.reader().get(plan).await.expect(200).rows();
    assert_eq!(
        (
            &planned[0]["eligible"],
            &planned[0]["waitingFor"],
            &planned[0]["startsAt"]
        ),
        (
            &json!(true),
            &json!("Freeze"),
            &json!("2020-03-06T22:00:00.0000000Z")
        )
    );
    let frozen = owner.schedules_at_once(&production, TARGET).await.expect(200);
    assert_eq!(frozen.header("fame-waiting-for"), "Freeze");
    let end = json!("2020-03-06T22:00:00.0000000Z");
    assert_eq!(told(&service, &frozen).await, (json!("Freeze"), end));
    let free = owner.schedules_at_once(&sandbox, TARGET).await.expect(200);
    let others = library.schedules_at_once(&beside, "1.0.0.1").await.expect(200);
    // What customers ask for themselves goes on.
    let update = admin_path("Customers", &format!("apps/{APP}/update"));
    let body = json!({ "targetVersion": TARGET, "useEnvironmentUpdateWindow": false });
    let update = service.administrator().post(update, body).await.expect(200);
    service.finishes_work().await;
    assert_eq!(status(&service, &frozen).await, "Scheduled");
    assert_eq!(status(&service, &free).await, "Succeeded");
    assert_eq!(
        library.looks_at(&others).await.expect(200).property("status"),
        "Succeeded"
    );
    let update = format!("/operator/v1/operations?$filter=id eq {}", update.property("id"));
    let update = service.operator().get(update).await.expect(200);
    assert_eq!(update.column("status"), ["Succeeded"]);

    // It is over when it says.
    service.moves_clock_to("2020-03-06T21:50:00Z").await;
    service.finishes_work().await;
    assert_eq!(status(&service, &frozen).await, "Scheduled");
    service.moves_clock_to("2020-03-06T22:02:00Z").await;
    service.finishes_work().await;
    assert_eq!(status(&service, &frozen).await, "Succeeded");
}

async fn a_freeze_of_an_app_is_its_owners(backend: Backend) {
    let service = Harness::start(backend).await;
    let (owner, reader) = (service.owner(), service.reader());
    owner.has_uploaded(TARGET).await;
    let production = Environment::named("Production").has(APP, "16.0.0.5");
    reported(&service, &[&production]).await;
    service.catches_up().await;
    let path = freeze_path(FREEZE);
    let body = production_until("2020-03-20T00:00:00+01:00");
    for weak in [service.contributor(), service.reader()] {
        weak.put(&path, body.clone()).await.refused(403, "Forbidden");
    }
    let stranger = service.stranger().put(&path, body.clone()).await;
    stranger.refused(404, "ResourceDoesNotExist");
    let made = owner.put(&path, body.clone()).await.expect(201);
    assert_eq!(made.property("to"), "2020-03-19T23:00:00.0000000Z");
    let changed = json!({ "from": "2020-03-05T00:00:00Z", "to": "2020-03-21T00:00:00Z", "countries": ["us"], "reason": "Longer." });
    let stale = owner
        .put(&path, changed.clone())
        .header("if-match", Uuid::new_v4().to_string());
    stale.await.refused(412, "PreconditionFailed");
    let again = owner
        .put(&path, changed)
        .header("if-match", made.etag())
        .await
        .expect(200);
    assert_eq!(
        (&again.json()["types"], &again.json()["countries"]),
        (&json!([]), &json!(["US"]))
    );
    assert_ne!(again.etag(), made.etag());
    assert_eq!(reader.get(&path).await.expect(200).json(), again.json());
    let listed = format!("/v1.0/apps/{APP}/freezes?$filter=to gt 2020-03-20T00:00:00Z");
    assert_eq!(reader.get(listed).await.expect(200).rows(), [again.json()]);
    // Another app's id is no id here.
    service.has_app(LIBRARY).await;
    let elsewhere = format!("/v1.0/apps/{LIBRARY}/freezes/{FREEZE}");
    let library = owner.on(LIBRARY);
    library.get(&elsewhere).await.refused(404, "ResourceDoesNotExist");
    library
        .put(&elsewhere, body)
        .await
        .refused(404, "ResourceDoesNotExist");

    let frozen = owner.schedules_at_once(&production, TARGET).await.expect(200);
    service.finishes_work().await;
    assert_eq!(status(&service, &frozen).await, "Scheduled");
    service
        .contributor()
        .delete(&path)
        .await
        .refused(403, "Forbidden");
    owner.delete(&path).await.expect(204);
    owner.delete(&path).await.refused(404, "ResourceDoesNotExist");
    service.advances(Duration::from_secs(60)).await;
    service.finishes_work().await;
    assert_eq!(status(&service, &frozen).await, "Succeeded");
    let audit = format!("/operator/v1/audit?$filter=target eq 'apps/{APP}/freezes/{FREEZE}'&$orderby=id");
    let audit = service.operator().get(audit).await.expect(200).rows();
    let told: Vec<_> = audit
        .iter()
        .map(|row| (row["action"].clone(), row["after"]["reason"].clone()))
        .collect();
    assert_eq!(
        told,
        [
            (json!("freezes/write"), json!("Nobody is there.")),
            (json!("freezes/write"), json!("Longer.")),
            (json!("freezes/delete"), Value::Null),
        ]
    );
}

async fn a_freeze_that_cannot_be_is_refused(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    let with = |member: &str, value: Value| {
        let mut body = production_until("2020-03-20T00:00:00Z");
        body[member] = value;
        body
    };
    for (body, target) in [
        (with("from", json!("2020-03-05T00:00:00")), "from"),
        (with("to", json!("tomorrow")), "to"),
        (with("to", json!("2020-03-05T00:00:00Z")), "to"),
        (with("to", json!("2020-03-05T11:59:59Z")), "to"),
        (with("countries", json!(["Atlantis"])), "countries"),
        (with("types", json!(["Test"])), "types"),
        (with("reason", json!("")), "reason"),
        (with("reason", json!("a\u{202E}b")), "reason"),
        (with("id", json!(Uuid::new_v4())), "id"),
        (with("until", json!("2020-03-20T00:00:00Z")), "until"),
    ] {
        let refused = owner.put(freeze_path(FREEZE), body).await;
        assert_eq!(refused.refused(400, "InvalidInput").target(), target);
    }
    for number in 100..150 {
        let body = production_until("2020-03-20T00:00:00Z");
        owner
            .put(freeze_path(Uuid::from_u128(number)), body)
            .await
            .expect(201);
    }
    let one_more = freezes(&service, "2020-03-20T00:00:00Z").await;
    one_more.broke_rule("TooManyFreezes");
    // Those that are over do not count.
    service.moves_clock_to("2020-03-21T12:00:00Z").await;
    freezes(&service, "2020-03-25T00:00:00Z").await.expect(201);
}

async fn why_a_hotfix_did_not_come_about_is_one_word(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    owner.has_uploaded(TARGET).await;
    let one = Environment::named("One").has(APP, "16.0.0.5");
    reported(&service, &[&one]).await;
    let hotfix = owner.schedules(&one, TARGET).await.expect(200);
    service
        .operator()
        .reports(&one.has(APP, TARGET))
        .await
        .expect(200);
    service.moves_clock_to("2020-03-05T20:00:00Z").await;
    service.finishes_work().await;
    let ended = owner.looks_at(&hotfix).await.expect(200);
    assert_eq!(ended.property("status"), "Skipped");
    assert_eq!(ended.json().get("reasonCode"), None);
    let hotfixes = country_path(APP, "US", "environmentHotfixes");
    let found = format!("{hotfixes}?$filter=reasonCode eq 'AlreadyUpToDate'&$select=reasonCode");
    let found = owner.get(found).await.expect(200);
    assert_eq!(found.column("reasonCode"), ["AlreadyUpToDate"]);
    assert_eq!(found.column("id"), [hotfix.property("id")]);
}
