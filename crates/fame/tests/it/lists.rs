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
    let service = Service::start(|_, _| Answer::json(200, json!({}))).await;
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
    assert_eq!(journal[1].path, path);
    assert_eq!(
        journal[1].json(),
        json!({"countryCode": "DK", "type": "Sandbox",
               "window": {"start": "20:00", "end": "06:00", "timeZone": "Romance Standard Time"},
               "inventoryComplete": false, "apps": [{"id": APP, "version": "16.0.0.5"}]})
    );
    assert_eq!(journal[2].json(), json!({"anything": 1}));
    assert_eq!(
        journal[3].line(),
        format!("POST /operator/v1/environments/{tenant}/BC/CRONUS/release")
    );
}
