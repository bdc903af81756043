//! What a change of a version would hit, told before anything is changed.

use crate::harness::{
    APP, Answer, Backend, Caller, Environment, Harness, LIBRARY, on_both_databases, package_needing_library,
    package_of,
};
use serde_json::{Value, json};

on_both_databases!(
    who_has_a_version_and_who_needs_it_is_told_and_nothing_changes,
    whoever_has_or_could_not_get_an_incompatible_version_is_counted,
    a_change_that_could_not_be_made_is_refused_as_if_it_were,
);

const TARGET: &str = "16.0.1.2";

async fn asks(caller: &Caller, version: &str, change: Value) -> Answer {
    caller
        .post(caller.us(&format!("versions/{version}/whatIf")), change)
        .await
}

fn withdrawn() -> Value {
    json!({ "availability": "Deprecated" })
}

async fn who_has_a_version_and_who_needs_it_is_told_and_nothing_changes(backend: Backend) {
    let service = Harness::start(backend).await;
    service.has_app(LIBRARY).await;
    let (owner, operator) = (service.owner(), service.operator());
    let library = owner.on(LIBRARY);
    library
        .uploads(&package_of(LIBRARY, "1.5.0.3"), "Available")
        .await
        .expect(200);
    let needing = package_needing_library(TARGET, "1.5");
    owner.uploads(&needing, "Available").await.expect(200);
    let production = Environment::my_customer("16.0.0.5").has(LIBRARY, "1.5.0.3");
    let sandbox = Environment::named("Sandbox").sandbox().has(LIBRARY, "1.5.0.3");
    let old = Environment::named("Old").has(LIBRARY, "1.5.0.1");
    let abroad = Environment::named("Abroad")
        .in_country("DE")
        .has(LIBRARY, "1.5.0.3");
    for environment in [&production, &sandbox, &old, &abroad] {
        operator.reports(environment).await.expect(201);
    }
    library.schedules(&old, "1.5.0.3").await.expect(200);
    let before = library.version("1.5.0.3").await.expect(200).json();
    let audited = operator.get("/operator/v1/audit?$top=0&$count=true").await.json();

    let hit = asks(&service.reader().on(LIBRARY), "1.5.0.3", withdrawn())
        .await
        .expect(200)
        .json();
    let counts = ["environments", "production", "scheduledHotfixes", "dependants"];
    assert_eq!(
        counts.map(|name| hit[name].as_u64()),
        [2, 1, 1, 1].map(Some),
        "{hit}"
    );
    let mut sample: Vec<_> = hit["sample"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["name"])
        .collect();
    sample.sort_by_key(|name| name.to_string());
    assert_eq!(sample, ["MyCustomer", "Sandbox"]);
    assert_eq!(library.version("1.5.0.3").await.expect(200).json(), before);
    let now = operator.get("/operator/v1/audit?$top=0&$count=true").await.json();
    assert_eq!(now["@odata.count"], audited["@odata.count"]);

    // Another one would do.
    library
        .uploads(&package_of(LIBRARY, "1.5.0.4"), "Available")
        .await
        .expect(200);
    let hit = asks(&library, "1.5.0.3", withdrawn()).await.expect(200).json();
    assert_eq!(hit["dependants"], 0);
    let offered = json!({ "availability": "Preview" });
    let hit = asks(&library, "1.5.0.3", offered).await.expect(200).json();
    assert_eq!(
        (&hit["environments"], &hit["scheduledHotfixes"]),
        (&json!(2), &json!(0))
    );
}

async fn whoever_has_or_could_not_get_an_incompatible_version_is_counted(backend: Backend) {
    let service = Harness::start(backend).await;
    let (owner, operator) = (service.owner(), service.operator());
    let needing = package_needing_library(TARGET, "1.5");
    owner.uploads(&needing, "Available").await.expect(200);
    for (name, library) in [
        ("A", Some("1.5.0.0")),
        ("B", Some("2.0.0.0")),
        ("C", Some("2.1.0.0")),
        ("D", None),
    ] {
        let mut environment = Environment::named(name).has(APP, TARGET);
        if let Some(version) = library {
            environment = environment.has(LIBRARY, version);
        }
        operator.reports(&environment).await.expect(201);
    }
    let elsewhere = Environment::named("Old")
        .has(APP, "16.0.0.5")
        .has(LIBRARY, "2.0.0.0");
    operator.reports(&elsewhere).await.expect(201);
    let marked = json!({ "dependencies": [{ "appId": LIBRARY, "incompatibleFromVersion": "2.0" }] });
    let hit = asks(&owner, TARGET, marked).await.expect(200).json();
    assert_eq!(hit["environments"], 4);
    assert_eq!(
        hit["dependencies"],
        json!([{
            "appId": LIBRARY,
            "incompatibleFromVersion": "2.0.0.0",
            "broken": 2,
            "heldBack": 1,
            "unknown": 1,
        }])
    );
}

async fn a_change_that_could_not_be_made_is_refused_as_if_it_were(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    owner.has_uploaded(TARGET).await;
    let unknown = json!({ "dependencies": [{ "appId": LIBRARY, "incompatibleFromVersion": "2.0" }] });
    asks(&owner, TARGET, unknown)
        .await
        .refused(400, "EntityValidationFailed");
    asks(&owner, TARGET, json!({}))
        .await
        .refused(400, "EntityValidationFailed");
    asks(&owner, "9.9.9.9", withdrawn())
        .await
        .refused(404, "ResourceDoesNotExist");
    asks(&service.stranger(), TARGET, withdrawn())
        .await
        .refused(404, "ResourceDoesNotExist");
}
