//! What inventory commands print, and how it is taken.

use super::*;
use agent::driver::{AppScope, Weight};
use domain::operation::FailureCause;

/// What a command that prints these bytes tells.
async fn printed(bytes: &[u8]) -> Result<Found, Failure> {
    let place = Place::new();
    fs::write(place.path("printed"), bytes).unwrap();
    exec(place.settings("", "cat printed")).inventory().await
}

async fn wrong(text: &str) -> String {
    printed(text.as_bytes()).await.unwrap_err().text
}

const WHOLE: &str = r#"{
  "countryCode": "DK", "type": "Production", "locationName": "Rack 7",
  "applicationVersion": "26.0.1.2", "platformVersion": "26.0.3.4",
  "window": {"start": "20:00", "end": "06:00", "timeZone": "Romance Standard Time"},
  "inventoryComplete": true, "ready": false, "whatever": {"else": 1}, "published": [],
  "apps": [
    {"id": "00000000-0000-0000-0000-0000000000a1", "version": "1.2.3.4", "name": "Sålg", "publisher": "P", "scope": "Global"},
    {"id": "00000000-0000-0000-0000-0000000000a2", "version": "1.2.3.4", "name": null, "scope": " PTE"},
    {"id": "00000000-0000-0000-0000-0000000000a1", "version": "1.2.3.4"}
  ]
}"#;

#[tokio::test]
async fn an_inventory_is_read_whole_in_every_coding() {
    let utf16: Vec<u8> = format!("\u{FEFF}{WHOLE}")
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let marked = format!("\u{FEFF}{WHOLE}\r\n");
    for bytes in [WHOLE.as_bytes(), marked.as_bytes(), &utf16] {
        let found = printed(bytes).await.unwrap();
        assert_eq!(found.country_code, Some("DK".parse().unwrap()));
        assert_eq!(found.kind, Some(EnvironmentKind::Production));
        assert_eq!(found.location_name.as_deref(), Some("Rack 7"));
        assert_eq!(found.application_version, Some("26.0.1.2".parse().unwrap()));
        assert_eq!(found.platform_version, Some("26.0.3.4".parse().unwrap()));
        assert_eq!(found.window.as_ref().unwrap()[2], "Romance Standard Time");
        assert!(found.is_complete && !found.is_ready && !found.is_gone);
        assert_eq!(found.apps.len(), 2, "a row that is there twice is one");
        assert_eq!(found.apps[0].name.as_deref(), Some("Sålg"));
        assert_eq!(found.apps[0].scope, Some(AppScope::Global));
        assert_eq!(found.apps[1].scope, Some(AppScope::Tenant));
    }
}

#[tokio::test]
async fn what_is_not_said_is_not_assumed_but_that_work_can_start() {
    let found = printed(br#"{"apps":[]}"#).await.unwrap();
    assert_eq!(
        found,
        Found {
            is_ready: true,
            ..Found::default()
        }
    );
}

#[tokio::test]
async fn what_is_no_inventory_is_refused_with_the_fact() {
    let cut = &WHOLE[..WHOLE.len() / 2];
    let app =
        |version: &str| format!(r#"{{"id":"00000000-0000-0000-0000-0000000000a1","version":"{version}"}}"#);
    let many = (0..1001)
        .map(|number: u128| format!(r#"{{"id":"{}","version":"1.0.0.0"}}"#, Uuid::from_u128(number)));
    let many = many.collect::<Vec<_>>().join(",");
    for (text, fact) in [
        (String::new(), "it printed nothing"),
        (" \r\n".into(), "it printed nothing"),
        (cut.into(), "EOF while parsing"),
        (
            format!("WARNING: module is old\n{WHOLE}"),
            "expected value at line 1",
        ),
        (format!("{WHOLE}\n{WHOLE}"), "trailing characters"),
        ("[]".into(), "invalid length 0"),
        (r#"{"inventoryComplete":true}"#.into(), "missing field `apps`"),
        (r#"{"apps":[{"id":"x","version":"1.0.0.0"}]}"#.into(), "UUID"),
        (format!(r#"{{"apps":[{}]}}"#, app("one")), "'one' is no version"),
        (
            format!(r#"{{"apps":[{},{}]}}"#, app("1.0.0.0"), app("1.0.0.1")),
            "is named in two versions, 1.0.0.0 and 1.0.0.1",
        ),
        (format!(r#"{{"apps":[{many}]}}"#), "1001 apps"),
        (r#"{"apps":[],"countryCode":"Denmark"}"#.into(), "countryCode: "),
        (r#"{"apps":[],"type":"Test"}"#.into(), "type: "),
        (
            r#"{"apps":[],"platformVersion":"newest"}"#.into(),
            "platformVersion: ",
        ),
    ] {
        let said = wrong(&text).await;
        assert!(
            said.contains(fact) && said.contains("inventory"),
            "{fact}: {said}"
        );
    }
}

#[tokio::test]
async fn a_command_that_prints_more_than_an_inventory_is_ended() {
    let place = Place::new();
    // It would go on for ever.
    let settings = place.settings("", "cat /dev/zero");
    let failure = exec(settings).inventory().await.unwrap_err();
    assert_eq!(
        failure.text,
        "The command printed more than 8388608 bytes, which no inventory has, and was ended."
    );
}

#[tokio::test]
async fn an_inventory_command_that_fails_tells_why() {
    let place = Place::new();
    let script = "echo '{\"apps\":[]}'; echo 'The server instance is currently not ready to serve requests' >&2; exit 1";
    let failure = exec(place.settings("", script)).inventory().await.unwrap_err();
    assert_eq!(failure.cause, FailureCause::Connection);
    assert!(
        failure.text.starts_with("The command ended with exit code 1.\n"),
        "{failure}"
    );

    let mut settings = place.settings("", "echo half; sleep 1000");
    settings["inventory_time_limit"] = json!("200ms");
    let failure = exec(settings).inventory().await.unwrap_err();
    assert_eq!(failure.cause, FailureCause::TimeOut);
}

#[tokio::test]
async fn a_check_reads_the_inventory_and_changes_nothing() {
    let place = Place::new();
    let mut settings = place.settings("touch ran", r#"echo '{"apps":[]}'"#);
    settings["reenterable"] = json!(true);
    let findings = exec(settings.clone()).check().await;
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].weight, Weight::Good);
    assert_eq!(
        findings[0].text,
        "The inventory command tells of 0 installed apps."
    );

    settings["reenterable"] = json!(false);
    let findings = exec(settings).check().await;
    assert_eq!(findings[1].weight, Weight::Warning);

    let findings = place.exec("touch ran").check().await;
    assert_eq!(findings[0].weight, Weight::Problem);
    assert!(!place.path("ran").exists());
}
