//! Lists and single rows: what is asked for, and what is printed.

use crate::service::{APP, Answer, Service};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_one_table_or_one_array_over_all_its_pages() {
    let service = Service::start(|asked, _| match asked.query.as_str() {
        "" => Answer::json(
            200,
            json!({"value": [{"id": "1", "name": "First\u{1b}[2J", "new": {"a": 1}}], "@odata.nextLink": "/v1.4/apps?page=2"}),
        ),
        _ => Answer::json(200, json!({"value": [{"id": "2", "publisher": "Contoso"}]})),
    })
    .await;
    let table = service.fame(&["apps", "list"]).await;
    insta::assert_snapshot!(table.out, @r"
    ID  NAME       PUBLISHER  STORAGE LOCATION
    1   First�[2J
    2              Contoso
    ");
    let array = service.fame(&["apps", "list", "--json"]).await.json();
    assert_eq!(array[0]["new"]["a"], 1, "what we do not know is passed on");
    assert_eq!(array.as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn options_become_query_options() {
    let service = Service::start(|_, _| Answer::json(200, json!({"value": []}))).await;
    let args = [
        "versions",
        "list",
        APP,
        "-c",
        "us",
        "--filter",
        "majorVersion eq 16",
        "--orderby",
        "version desc",
    ];
    let ended = service
        .fame(&[&args[..], &["--top", "5", "--skip", "2"]].concat())
        .await;
    assert_eq!((ended.code, ended.out.as_str()), (0, ""));
    let asked = &service.journal()[0];
    assert_eq!(asked.path, format!("/v1.4/apps/{APP}/countries/US/versions"));
    assert_eq!(
        asked.query,
        "$filter=majorVersion%20eq%2016&$orderby=version%20desc&$top=5&$skip=2"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_selected_is_what_is_printed() {
    let row = json!({"value": [{"status": "Failed", "failureCause": "SchemaBreak"}]});
    let service = Service::start(move |_, _| Answer::json(200, row.clone())).await;
    let args = [
        "hotfixes",
        "list",
        APP,
        "-c",
        "us",
        "--select",
        "status, failureCause",
    ];
    let ended = service.fame(&args).await;
    let words: Vec<_> = ended.out.split_whitespace().collect();
    assert_eq!(words, ["status", "failureCause", "Failed", "SchemaBreak"]);
    assert_eq!(service.journal()[0].query, "$select=status%2C%20failureCause");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_can_be_counted_also_where_the_service_does_not_count() {
    let counting = Service::start(|_, _| Answer::json(200, json!({"@odata.count": 41, "value": []}))).await;
    assert_eq!(counting.fame(&["apps", "list", "--count"]).await.out, "41\n");
    assert_eq!(counting.journal()[0].query, "$count=true&$top=0");
    let not_counting = Service::start(|_, _| Answer::json(200, json!({"value": [{}, {}, {}]}))).await;
    assert_eq!(not_counting.fame(&["apps", "list", "--count"]).await.out, "3\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_row_is_a_line_per_property() {
    let service = Service::start(|_, _| {
        Answer::json(
            200,
            json!({"version": "16.0.1.2", "availability": "Preview", "majorVersion": 16,
                   "dependencies": [{"appId": "a", "name": "Base"}, {"appId": "b", "name": "System"}]}),
        )
    })
    .await;
    let shown = service
        .fame(&["versions", "get", APP, "16.0.1.2", "--country", "US"])
        .await;
    insta::assert_snapshot!(shown.out, @r"
    version       16.0.1.2
    availability  Preview
    majorVersion  16
    dependencies  a  Base
                  b  System
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_sent_as_documented() {
    let service = Service::start(|asked, _| match asked.method.as_str() {
        "DELETE" => Answer::bytes(204, ""),
        _ => Answer::json(200, json!({})),
    })
    .await;
    let version = [
        "versions",
        "update",
        APP,
        "16.0.1.2",
        "-c",
        "US",
        "--availability",
        "deprecated",
    ];
    let incompatible = ["--incompatible-from", "63ca2fa4-4f03-4f2b-a480-172fef340d3f=16.0"];
    let cleared = [
        "--clear-incompatible",
        "44445555-eeee-6666-ffff-7777aaaa8888",
        "--if-match",
        "W/\"x\"",
    ];
    assert_eq!(
        service
            .fame(&[&version[..], &incompatible, &cleared].concat())
            .await
            .code,
        0
    );
    let principal = "cccccccc-dddd-eeee-3333-444444444444";
    let set = [
        "principals",
        "set",
        APP,
        principal,
        "--type",
        "application",
        "--role",
        "Contributor,Reader",
    ];
    assert_eq!(service.fame(&set).await.code, 0);
    assert_eq!(
        service.fame(&["principals", "remove", APP, principal]).await.code,
        0
    );
    assert_eq!(
        service.fame(&["apps", "permissions", APP]).await.code,
        1,
        "an object is no list"
    );

    let journal = service.journal();
    assert_eq!(journal[0].header("if-match"), "W/\"x\"");
    assert_eq!(
        journal[0].json(),
        json!({"availability": "Deprecated", "dependencies": [
            {"appId": "63ca2fa4-4f03-4f2b-a480-172fef340d3f", "incompatibleFromVersion": "16.0.0.0"},
            {"appId": "44445555-eeee-6666-ffff-7777aaaa8888", "incompatibleFromVersion": null}
        ]})
    );
    assert_eq!(
        journal[1].json(),
        json!({"type": "Application", "roles": ["Contributor", "Reader"]})
    );
    assert_eq!(
        journal[2].line(),
        format!("DELETE /v1.4/apps/{APP}/principals/{principal}")
    );
    assert_eq!(
        journal[3].line(),
        format!("POST /v1.4/apps/{APP}/getMyPermissions")
    );
    assert_eq!(journal[3].header("content-length"), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_door_is_reached_by_flags_or_by_file() {
    let service = Service::start(|asked, _| match asked.method.as_str() {
        "GET" => Answer::refusal(404, "EnvironmentNotFound", "There is none."),
        _ => Answer::json(200, json!({})),
    })
    .await;
    let tenant = crate::service::TENANT;
    let owner = "Application:cccccccc-dddd-eeee-3333-444444444444";
    let put = [
        "operator",
        "apps",
        "put",
        APP,
        "--publisher",
        "Contoso",
        "--publisher-aad-tenant-id",
        tenant,
        "--publisher-contact-email",
        "apps@contoso.com",
        "--storage-location",
        "West Europe",
        "--owner",
        owner,
    ];
    assert_eq!(service.fame(&put).await.code, 0);
    let environment = [
        "operator",
        "environments",
        "put",
        tenant,
        "Business Central",
        "CRONUS/1",
        "-c",
        "dk",
        "--type",
        "sandbox",
        "--window",
        "20:00-06:00",
        "--time-zone",
        "Romance Standard Time",
        "--app",
    ];
    let app = format!("{APP}=16.0.0.5");
    assert_eq!(service.fame(&[&environment[..], &[&app]].concat()).await.code, 0);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "\u{FEFF}{\"anything\": 1}").unwrap();
    let by_file = [
        "operator",
        "apps",
        "put",
        APP,
        "--file",
        file.path().to_str().unwrap(),
    ];
    assert_eq!(service.fame(&by_file).await.code, 0);
    assert_eq!(
        service
            .fame(&["operator", "environments", "release", tenant, "BC", "CRONUS"])
            .await
            .code,
        0
    );

    let journal = service.journal();
    assert_eq!(journal[0].line(), format!("PUT /operator/v1/apps/{APP}"));
    assert_eq!(journal[0].json()["owner"]["type"], "Application");
    let path = format!("/operator/v1/environments/{tenant}/Business%20Central/CRONUS%2F1");
    assert_eq!(journal[1].line(), format!("GET {path}"));
    assert_eq!(journal[2].line(), format!("PUT {path}"));
    assert_eq!(
        journal[2].json(),
        json!({"countryCode": "DK", "type": "Sandbox",
               "window": {"start": "20:00", "end": "06:00", "timeZone": "Romance Standard Time"},
               "apps": [{"id": APP, "version": "16.0.0.5"}]})
    );
    assert_eq!(journal[3].json(), json!({"anything": 1}));
    assert_eq!(
        journal[4].line(),
        format!("POST /operator/v1/environments/{tenant}/BC/CRONUS/release")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_country_can_be_named_again_and_again() {
    let service = Service::start(|asked, _| {
        let country = asked.path.split('/').nth(5).unwrap_or_default();
        let row = |number: u32| json!({"version": format!("1.0.0.{number}"), "countryCode": country});
        match asked.path.ends_with("/versions") {
            true if asked.query.contains("$count") => {
                Answer::json(200, json!({"@odata.count": 2, "value": []}))
            }
            true => Answer::json(200, json!({"value": [row(1), row(2)]})),
            false if country == "DE" => Answer::refusal(404, "ResourceDoesNotExist", "No such version."),
            false => Answer::json(200, row(1)),
        }
    })
    .await;
    let list = ["versions", "list", APP, "-c", "US", "-c", "DK,us", "--json"];
    let rows = service.fame(&list).await.json();
    let seen: Vec<_> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["countryCode"].as_str().unwrap())
        .collect();
    assert_eq!(seen, ["US", "US", "DK", "DK"]);
    assert_eq!(service.fame(&[&list[..], &["--count"]].concat()).await.out, "4\n");
    let window = service
        .fame(&[&list[..], &["--skip", "1", "--top", "2"]].concat())
        .await
        .json();
    assert_eq!(
        (window[0]["version"].as_str(), window[1]["countryCode"].as_str()),
        (Some("1.0.0.2"), Some("DK"))
    );
    assert_eq!(window.as_array().unwrap().len(), 2);

    let several = service
        .fame(&["versions", "get", APP, "1.0.0.1", "-c", "US,DE,DK"])
        .await;
    assert_eq!(several.code, 4, "{several:?}");
    assert!(
        several.out.contains("US") && several.out.contains("DK"),
        "{several:?}"
    );
    assert!(several.err.contains("DE: 404"), "{several:?}");
    let update = [
        "versions",
        "update",
        APP,
        "1.0.0.1",
        "-c",
        "US",
        "-c",
        "DK",
        "--availability",
        "Available",
    ];
    let before = service.lines().len();
    assert_eq!(service.fame(&update).await.code, 0);
    let changed: Vec<_> = service.lines().split_off(before);
    assert_eq!(changed.len(), 2, "{changed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_can_be_named_where_its_name_is_its_own() {
    let service = Service::start(|asked, _| {
        if !asked.path.ends_with("/apps") {
            return Answer::json(200, json!({"value": [{"countryCode": "US"}]}));
        }
        let app = |id: &str| json!({"id": id, "name": "Any"});
        let other = "cccccccc-0000-1111-2222-bbbbbbbbbbbb";
        let found = match asked.query.as_str() {
            "$filter=name%20eq%20%27Contoso%20Sales%27" => vec![app(APP)],
            "$filter=name%20eq%20%27Twice%27" => vec![app(APP), app(other)],
            _ => Vec::new(),
        };
        Answer::json(200, json!({ "value": found }))
    })
    .await;
    let named = service.fame(&["countries", "list", "Contoso Sales"]).await;
    assert_eq!(named.code, 0, "{named:?}");
    assert_eq!(service.lines()[1], format!("GET /v1.4/apps/{APP}/countries"));
    let webhooks = service.fame(&["webhooks", "list", "Contoso Sales"]).await;
    assert_eq!(webhooks.code, 0, "{webhooks:?}");
    assert_eq!(service.lines()[3], format!("GET /v1.4/apps/{APP}/webhooks"));
    let twice = service.fame(&["countries", "list", "Twice"]).await;
    assert_eq!(twice.code, 5, "{twice:?}");
    assert!(twice.err.contains(APP), "{twice:?}");
    let mistyped = service.fame(&["countries", "list", &APP[1..]]).await;
    assert_eq!(mistyped.code, 4, "{mistyped:?}");
    assert!(mistyped.err.contains("no app's id"), "{mistyped:?}");
}

/// A token that says of whom it is; nobody checks its signature here.
fn token_of(claims: &serde_json::Value) -> String {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
    let part = |value: &serde_json::Value| BASE64.encode(value.to_string());
    format!("{}.{}.c2ln", part(&json!({"alg": "RS256"})), part(claims))
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_takes_their_own_roles_by_mistake() {
    let service = Service::start(|_, _| Answer::bytes(204, "")).await;
    let me = "dddddddd-0000-1111-2222-bbbbbbbbbbbb";
    for claims in [
        json!({"oid": me}),
        json!({"appid": me, "oid": APP}),
        json!({"azp": me}),
    ] {
        let remove = |args: &[&str]| {
            let mut command = service.command(&[&["principals", "remove", APP], args].concat());
            command
                .env("FAME_TOKEN", token_of(&claims))
                .stdin(std::process::Stdio::null());
            crate::service::run(command)
        };
        let before = service.lines().len();
        let oneself = remove(&[me]).await;
        assert_eq!(oneself.code, 2, "{oneself:?}");
        assert!(oneself.err.contains("--yes"), "{oneself:?}");
        assert_eq!(service.lines().len(), before, "nothing was sent");
        assert_eq!(remove(&[me, "--yes"]).await.code, 0);
        assert_eq!(remove(&["eeeeeeee-0000-1111-2222-bbbbbbbbbbbb"]).await.code, 0);
    }
}

/// Whoever changes a window must not lose the inventory by it.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_said_of_an_environment_stays() {
    const LIBRARY: &str = "44445555-eeee-6666-ffff-7777aaaa8888";
    let service = Service::start(|_, _| {
        let known = json!({
            "aadTenantId": crate::service::TENANT, "applicationFamily": "BC", "name": "CRONUS", "countryCode": "DK",
            "type": "Production", "locationName": "North Europe", "inventoryComplete": true,
            "window": {"start": "20:00", "end": "06:00", "timeZone": "UTC"},
            "apps": [{"id": APP, "name": "Demo", "version": "16.0.0.5"}, {"id": LIBRARY, "version": "1.0.0.0"}],
            "heldSince": "2026-11-26T20:00:00.0000000Z",
        });
        Answer::json(200, known).with("etag", "W/\"7\"")
    })
    .await;
    let put = [
        "operator",
        "environments",
        "put",
        crate::service::TENANT,
        "BC",
        "CRONUS",
    ];
    let newer = format!("{APP}=16.0.1.2");
    let cases = [
        (
            &["--window", "21:00-05:00", "--time-zone", "UTC", "-c", "dk"][..],
            "PATCH",
            json!({
                "window": {"start": "21:00", "end": "05:00", "timeZone": "UTC"},
            }),
        ),
        (
            &["--app", &newer],
            "PUT",
            json!({
                "countryCode": "DK", "type": "Production", "locationName": "North Europe", "inventoryComplete": true,
                "window": {"start": "20:00", "end": "06:00", "timeZone": "UTC"},
                "apps": [{"id": LIBRARY, "version": "1.0.0.0"}, {"id": APP, "version": "16.0.1.2"}],
            }),
        ),
        (
            &["--app", &newer, "--inventory-complete", "--type", "sandbox"],
            "PUT",
            json!({
                "countryCode": "DK", "type": "Sandbox", "locationName": "North Europe", "inventoryComplete": true,
                "window": {"start": "20:00", "end": "06:00", "timeZone": "UTC"},
                "apps": [{"id": APP, "version": "16.0.1.2"}],
            }),
        ),
    ];
    for (number, (args, method, body)) in cases.into_iter().enumerate() {
        let ended = service.fame(&[&put[..], args].concat()).await;
        assert_eq!(ended.code, 0, "{ended:?}");
        let asked = &service.journal()[2 * number + 1];
        assert_eq!((asked.method.as_str(), asked.json()), (method, body));
        assert_eq!(asked.header("if-match"), "W/\"7\"");
    }
    let replaces = ["--replace", "-c", "dk", "--type", "sandbox"];
    assert_eq!(service.fame(&[&put[..], &replaces].concat()).await.code, 0);
    let last = service.journal().pop().unwrap();
    assert_eq!(last.json(), json!({"countryCode": "DK", "type": "Sandbox"}));
    assert_eq!((last.method.as_str(), last.header("if-match")), ("PUT", ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_environment_needs_its_country_and_type() {
    let service = Service::start(|_, _| Answer::refusal(404, "EnvironmentNotFound", "There is none.")).await;
    let put = [
        "operator",
        "environments",
        "put",
        crate::service::TENANT,
        "BC",
        "CRONUS",
    ];
    for (args, missing) in [
        (&["-c", "dk"][..], "--type"),
        (&["--type", "sandbox"], "--country"),
    ] {
        let ended = service.fame(&[&put[..], args].concat()).await;
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(
            ended.err.contains(missing) && ended.err.contains("CRONUS"),
            "{ended:?}"
        );
    }
    assert!(service.lines().iter().all(|line| line.starts_with("GET ")));
}

/// Whoever writes down a time zone means it, whatever becomes of one that is reported.
#[tokio::test(flavor = "multi_thread")]
async fn a_time_zone_that_is_none_is_told_of() {
    let service = Service::start(|asked, _| match asked.method.as_str() {
        "GET" => Answer::refusal(404, "EnvironmentNotFound", "There is none."),
        _ => Answer::json(
            201,
            json!({"name": "CRONUS", "window": {"start": "20:00", "end": "06:00", "timeZone": "Romance Standard Time"}}),
        ),
    })
    .await;
    let put = [
        "operator",
        "environments",
        "put",
        crate::service::TENANT,
        "BC",
        "CRONUS",
        "-c",
        "dk",
        "--type",
        "sandbox",
    ];
    for (zone, code) in [
        ("Pacific", 5),
        ("Europe/Copenhagen", 0),
        ("romance standard time", 0),
    ] {
        let window = ["--window", "21:00-05:00", "--time-zone", zone];
        let ended = service.fame(&[&put[..], &window].concat()).await;
        assert_eq!(ended.code, code, "{ended:?}");
        assert_eq!(
            ended.err.contains("no time zone 'Pacific'"),
            code == 5,
            "{ended:?}"
        );
    }
}

/// A destination of telemetry has no secret that could be lost; what it needs says which it is.
#[tokio::test(flavor = "multi_thread")]
async fn telemetry_is_told_from_webhooks_by_the_file_that_it_needs() {
    let service = Service::start(|asked, _| {
        let mut made = asked.json();
        made["id"] = asked.path.rsplit('/').next().into();
        made.as_object_mut().unwrap().remove("header");
        Answer::json(201, made)
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("header");
    std::fs::write(&file, "api-key: k\n").unwrap();
    let add = [
        "webhooks",
        "add",
        APP,
        "--to",
        "https://collector.contoso.com/v1/logs",
    ];
    let told = service
        .fame(&[&add[..], &["--header-file", file.to_str().unwrap()]].concat())
        .await;
    assert_eq!((told.code, told.err.contains("secret")), (0, false), "{told:?}");
    let asked = service.journal().pop().unwrap().json();
    assert_eq!(
        (&asked["format"], &asked["header"]),
        (&json!("OpenTelemetry"), &json!("api-key: k"))
    );
    let signed = service
        .fame(&[&add[..], &["--format", "StandardWebhooks"]].concat())
        .await;
    assert!(
        signed.err.contains("The answer that had the secret was lost"),
        "{signed:?}"
    );
}
