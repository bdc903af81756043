//! Tags, customers' names and freezes from the command line, against the real service.

use crate::{
    service::{Ended, binary, run},
    services::{APPS, Database, Person, Process, Site, fill},
};
use serde_json::{Value, json};
use test_support::issuer;

const TENANT: &str = "ccccdddd-2222-eeee-3333-ffff4444aaaa";

/// `fame … --json` against the service as somebody.
async fn fame(service: &Process, who: &Person, args: &[&str]) -> Ended {
    let mut command = binary(args);
    command
        .arg("--json")
        .env("FAME_URL", service.base_url())
        .env("FAME_TOKEN", issuer::token_of(who));
    run(command).await
}

async fn done(service: &Process, who: &Person, args: &[&str]) -> Value {
    let ended = fame(service, who, args).await;
    assert_eq!(ended.code, 0, "{args:?}: {ended:?}");
    ended.json()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn environments_are_sorted_by_tags_and_names_and_an_app_is_frozen() {
    let site = Site::on(Database::Sqlite);
    let service = site.start(0).await;
    fill(&service.operator(), &service.owner()).await;
    let (app, owner, operator) = (APPS[0].to_string(), &Person::OWNER, &Person::OPERATOR);
    for (name, kind) in [("Production", "Production"), ("Try it", "Sandbox")] {
        let installed = format!("{app}=16.0.0.5");
        let put = ["operator", "environments", "put", TENANT, "BusinessCentral", name];
        let facts = ["--country", "US", "--type", kind, "--app", &installed];
        done(&service, operator, &[&put[..], &facts].concat()).await;
    }

    let set = [
        "tags",
        "set",
        &app,
        TENANT,
        "BusinessCentral",
        "Try it",
        "ring 0",
        "eu",
    ];
    let set = done(&service, owner, &set).await;
    assert_eq!(set["tags"], json!(["eu", "ring 0"]));
    let production = "type eq 'Production'";
    let added = done(
        &service,
        owner,
        &["tags", "add", &app, "ring1", "--filter", production],
    )
    .await;
    assert_eq!((&added["matched"], &added["changed"]), (&json!(1), &json!(1)));
    let all = ["tags", "remove", &app, "eu", "--filter", "true"];
    assert_eq!(done(&service, owner, &all).await["changed"], json!(1));
    let nothing_said = fame(
        &service,
        owner,
        &["tags", "set", &app, TENANT, "BusinessCentral", "Try it"],
    )
    .await;
    assert_eq!(nothing_said.code, 2, "{nothing_said:?}");

    // A name leaves everything else of a customer as it is.
    let client = "20000000-0000-4000-8000-000000000009";
    done(
        &service,
        operator,
        &["operator", "customers", "put", TENANT, "--client", client],
    )
    .await;
    let name = [
        "operator",
        "customers",
        "name",
        TENANT,
        "--display-name",
        "CRONUS Ltd.",
    ];
    let named = done(&service, operator, &name).await;
    assert_eq!(
        (&named["displayName"], &named["clients"]),
        (&json!("CRONUS Ltd."), &json!([client]))
    );

    let listed = done(&service, owner, &["tags", "list", &app, "--country", "US"]).await;
    let listed = listed.as_array().unwrap().iter();
    let listed: Vec<_> = listed
        .map(|row| (&row["name"], &row["tags"], &row["customerName"]))
        .collect();
    let name = json!("CRONUS Ltd.");
    assert_eq!(
        listed,
        [
            (&json!("Production"), &json!(["ring1"]), &name),
            (&json!("Try it"), &json!(["ring 0"]), &name),
        ]
    );

    let span = [
        "--from",
        "2098-12-20T00:00:00+01:00",
        "--to",
        "2099-01-04T00:00:00+01:00",
    ];
    let why = [
        "--type",
        "Production",
        "--country",
        "us",
        "--reason",
        "Nobody is there.",
    ];
    let added = [&["freezes", "add", &app][..], &span, &why].concat();
    let added = done(&service, owner, &added).await;
    assert_eq!(
        (&added["countries"], &added["types"]),
        (&json!(["US"]), &json!(["Production"]))
    );
    let id = added["id"].as_str().unwrap();
    assert_eq!(done(&service, owner, &["freezes", "get", &app, id]).await, added);
    let removed = fame(&service, owner, &["freezes", "remove", &app, id]).await;
    assert_eq!(removed.code, 0, "{removed:?}");
    assert_eq!(done(&service, owner, &["freezes", "list", &app]).await, json!([]));
}
