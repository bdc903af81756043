//! `fame matrix`, `fame fleet` and `fame hotfixes watch`: where an app is, and how it gets there.

use crate::service::{APP, Answer, Service, TENANT};
use serde_json::{Value, json};

fn version(number: &str, availability: &str, status: &str) -> Value {
    json!({"version": number, "appId": APP, "availability": availability, "status": status})
}

/// A service with an app in three countries. Whether it tells digests is the question.
async fn countries(tells_digests: bool) -> Service {
    Service::start(move |asked, _| {
        let Some(path) = asked.path.strip_prefix(&format!("/v1.4/apps/{APP}/countries")) else {
            return Answer::refusal(404, "NotFound", "There is no such address.");
        };
        let rows = match path {
            "" => json!([{"countryCode": "US"}, {"countryCode": "DE"}, {"countryCode": "DK"}]),
            "/US/versions" => json!([
                version("16.0.10.0", "Preview", "Uploaded"),
                version("16.0.2.0", "Available", "Uploaded"),
                version("15.0.0.0", "Deprecated", "Uploaded"),
            ]),
            "/DE/versions" => json!([
                version("16.0.2.0", "Available", "Uploaded"),
                version("16.0.10.0", "Preview", "UploadFailed"),
            ]),
            "/DK/versions" => json!([
                version("16.0.2.0", "Preview", "Uploaded"),
                version("15.0.0.0", "Deprecated", "Uploaded"),
            ]),
            package => {
                let sha256 = match (package.contains("/DK/"), package.contains("16.0.2.0")) {
                    (true, true) => "GyeT/6LtnSAdlCGLzj21i3PC+SoIJRprnmTCzd+3EmI=",
                    _ => "oqv+2cJDdA9GCB+e3ocOSGjDMzGGm4IxFWFwwmyyhvY=",
                };
                let told = Answer::bytes(200, if asked.method == "HEAD" { "" } else { "bytes" });
                return match tells_digests {
                    true => told.with("repr-digest", format!("sha-256=:{sha256}:")),
                    false if asked.method == "HEAD" => Answer::refusal(404, "ResourceDoesNotExist", "No."),
                    false => told,
                };
            }
        };
        Answer::json(200, json!({ "value": rows }))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_matrix_shows_gaps_and_different_content() {
    let service = countries(true).await;
    let ended = service.fame(&["matrix", APP]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    insta::assert_snapshot!(ended.out, @r"
    COUNTRY  16.0.10.0     16.0.2.0     15.0.0.0
    DE       UploadFailed  Available A  -
    DK       -             Preview B    Deprecated
    US       Preview       Available A  Deprecated
    ");
    insta::assert_snapshot!(ended.err, @r"
    16.0.10.0 is missing in DE, DK.
    16.0.2.0 has different content: DE, US has a2abfed9c243740f46081f9ede870e4868c33331869b8231156170c26cb286f6; DK has 1b2793ffa2ed9d201d94218bce3db58b73c2f92a08251a6b9e64c2cddfb71262.
    15.0.0.0 is missing in DE.
    ");
    let rows = service
        .fame(&["matrix", APP, "--json", "-c", "DK,US"])
        .await
        .json();
    assert_eq!(rows[0]["missing"], json!(["DK"]));
    assert_eq!(rows[1]["differs"], true);
    assert_eq!(rows[2]["differs"], false);
    assert_eq!(rows[1]["countries"]["US"]["availability"], "Available");
    assert_ne!(
        rows[1]["countries"]["US"]["sha256"],
        rows[1]["countries"]["DK"]["sha256"]
    );
    let newest = service.fame(&["matrix", APP, "--newest", "1"]).await;
    assert!(
        newest.err.contains("2 older versions are not shown"),
        "{}",
        newest.err
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_matrix_is_told_at_once_where_a_service_can() {
    let told = |country: &str, number: &str, sha256: &str| {
        let mut row = version(number, "Available", "Uploaded");
        row["countryCode"] = json!(country);
        row["sha256"] = json!(sha256);
        row
    };
    let rows = json!([
        told("DK", "16.0.2.0", "aa"),
        told("US", "16.0.2.0", "bb"),
        told("US", "16.0.1.0", "bb"),
        told("SE", "16.0.3.0", "cc"),
    ]);
    let service = Service::start(move |asked, _| {
        assert_eq!(
            asked.path,
            format!("/v1.4/apps/{APP}/versions"),
            "nothing else is asked"
        );
        Answer::json(200, json!({ "value": rows }))
    })
    .await;
    let lines = service
        .fame(&["matrix", APP, "--json", "-c", "DK,US"])
        .await
        .json();
    assert_eq!(
        lines.as_array().unwrap().len(),
        2,
        "Sweden was not asked for: {lines}"
    );
    assert_eq!(lines[0]["differs"], true);
    assert_eq!(lines[0]["countries"]["DK"]["sha256"], "aa");
    assert_eq!(lines[1]["missing"], json!(["DK"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_told_is_not_claimed() {
    let service = countries(false).await;
    let rows = service.fame(&["matrix", APP, "--json"]).await.json();
    assert_eq!(rows[1]["differs"], Value::Null);
    let told = service.fame(&["matrix", APP]).await;
    assert!(told.err.contains("--fetch compares them"), "{}", told.err);
    let fetched = service.fame(&["matrix", APP, "--json", "--fetch"]).await.json();
    assert_eq!(fetched[1]["differs"], false);
}

fn environment(name: &str, version: &str) -> Value {
    json!({"aadTenantId": TENANT, "applicationFamily": "BusinessCentral", "name": name, "type": "Production",
           "appId": APP, "countryCode": "US", "version": version})
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fleet_is_a_table_json_or_a_spreadsheet() {
    let service = Service::start(|asked, _| {
        let rows = match asked.path.ends_with("/environments") {
            true => json!([
                environment("North", "16.0.2.0"),
                environment("=cmd|' /C calc'!A0", "16.0.10.0"),
                environment("East, \"old\"", "16.0.2.0"),
            ]),
            false => json!([{"countryCode": "US"}]),
        };
        Answer::json(200, json!({ "value": rows }))
    })
    .await;
    let table = service.fame(&["fleet", APP]).await;
    insta::assert_snapshot!(table.out, @r#"
    COUNTRY  TENANT                                FAMILY           ENVIRONMENT         TYPE        VERSION
    US       aaaabbbb-0000-cccc-1111-dddd2222eeee  BusinessCentral  North               Production  16.0.2.0
    US       aaaabbbb-0000-cccc-1111-dddd2222eeee  BusinessCentral  =cmd|' /C calc'!A0  Production  16.0.10.0
    US       aaaabbbb-0000-cccc-1111-dddd2222eeee  BusinessCentral  East, "old"         Production  16.0.2.0
    "#);
    assert_eq!(table.err, "3 environments: 1 with 16.0.10.0, 2 with 16.0.2.0.\n");
    let csv = service
        .fame(&["fleet", APP, "--csv", "--where", "type eq 'Production'"])
        .await;
    insta::assert_snapshot!(csv.out, @r#"
    countryCode,aadTenantId,applicationFamily,name,type,version
    US,aaaabbbb-0000-cccc-1111-dddd2222eeee,BusinessCentral,North,Production,16.0.2.0
    US,aaaabbbb-0000-cccc-1111-dddd2222eeee,BusinessCentral,"'=cmd|' /C calc'!A0",Production,16.0.10.0
    US,aaaabbbb-0000-cccc-1111-dddd2222eeee,BusinessCentral,"East, ""old""",Production,16.0.2.0
    "#);
    let asked = service.journal();
    assert!(asked.last().unwrap().query.contains("type%20eq"), "{asked:?}");
    assert_eq!(
        service.fame(&["fleet", APP, "--json"]).await.json()[1]["version"],
        "16.0.10.0"
    );
    assert_eq!(service.fame(&["fleet", APP, "--json", "--csv"]).await.code, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_watches_sees_each_hotfix() {
    let service = Service::start(|asked, before| {
        let row = |number: usize, status: &str| {
            json!({"id": format!("{number:08}-3333-4444-5555-eeeeeeeeeeee"), "environmentAadTenantId": TENANT,
                   "environmentApplicationFamily": "BusinessCentral", "environmentName": format!("Customer{number}"),
                   "status": status, "targetAppVersion": "16.0.2.0"})
        };
        if asked.path.ends_with("/environments") {
            let rows = [environment("Customer1", "16.0.2.0"), environment("Customer2", "16.0.2.0")];
            return Answer::json(200, json!({ "value": rows }));
        }
        if asked.path.ends_with("/environmentHotfixes") {
            return Answer::json(200, json!({"value": [row(1, "Scheduled"), row(2, "Scheduled")]}));
        }
        let number = if asked.path.contains("00000001-") { 1 } else { 2 };
        let status = ["Scheduled", "Running", "Succeeded"][before.min(2)];
        Answer::json(200, row(number, status))
    })
    .await;
    let args = [APP, "-c", "US", "--target", "16.0.2.0", "--poll-interval", "1ms"];
    let watched = service.fame(&[&["hotfixes", "watch"][..], &args].concat()).await;
    assert_eq!(watched.code, 0, "{watched:?}");
    insta::assert_snapshot!(watched.err, @r"
    00000001-3333-4444-5555-eeeeeeeeeeee Customer1: Scheduled
    00000002-3333-4444-5555-eeeeeeeeeeee Customer2: Scheduled
    00000001-3333-4444-5555-eeeeeeeeeeee Customer1: Running
    00000002-3333-4444-5555-eeeeeeeeeeee Customer2: Running
    00000001-3333-4444-5555-eeeeeeeeeeee Customer1: Succeeded
    00000002-3333-4444-5555-eeeeeeeeeeee Customer2: Succeeded
    2 of 2 have ended: 2 Succeeded.
    ");
    let waited = service.fame(&[&["hotfixes", "wait"][..], &args].concat()).await;
    assert_eq!(
        waited.err, "2 of 2 have ended: 2 Succeeded.\n",
        "what was said is not said again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_nearly_right_is_answered_with_the_right_one() {
    let service = Service::start(|asked, _| {
        let rows = match asked.query.is_empty() {
            true => json!([{"id": APP, "name": "Contoso Sales Pack"}]),
            false => json!([]),
        };
        Answer::json(200, json!({ "value": rows }))
    })
    .await;
    let near = service.fame(&["apps", "get", "Contoso SalesPack"]).await;
    assert!(
        near.code == 4 && near.err.contains("Did you mean 'Contoso Sales Pack'?"),
        "{near:?}"
    );
    let far = service.fame(&["apps", "get", "Fabrikam"]).await;
    assert!(far.code == 4 && !far.err.contains("mean"), "{far:?}");
    let country = service.fame(&["versions", "list", APP, "-c", "Denmark"]).await;
    assert!(
        country.code == 2 && country.err.contains("did you mean DK?"),
        "{country:?}"
    );
}
