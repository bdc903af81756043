//! The documented requests and answers: what is written is them, byte for byte but for blanks, and what they
//! ask for is understood.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use domain::{
    country::CountryCode,
    environment::EnvironmentKind,
    ids::{AppId, PrincipalId},
    operation::{FailureCause, OperationStatus},
    principal::{PrincipalKind, Role, Roles},
    version::{Availability, SyncMode},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::{fs, path::PathBuf};
use wire::{
    Entity, List, ListWriter, Projection, ResponseFormat, apps, countries, entity::to_json, environments,
    hotfixes, principals, versions,
};

fn sample(name: &str) -> String {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "samples", name].iter().collect();
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The sample without blanks; its properties keep their order.
fn compact(name: &str) -> String {
    serde_json::from_str::<Value>(&sample(name)).unwrap().to_string()
}

fn read<T: DeserializeOwned>(name: &str) -> T {
    serde_json::from_str(&sample(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn text(json: Vec<u8>) -> String {
    String::from_utf8(json).unwrap()
}

fn answers_as<E: Entity + DeserializeOwned>(name: &str) -> E {
    let entity: E = read(name);
    assert_eq!(text(to_json(&entity)), compact(name), "{name}");
    entity
}

fn lists_as<E: Entity + DeserializeOwned>(name: &str) {
    let list: List<E> = read(name);
    let written = ListWriter::whole(Projection::all(ResponseFormat::Bare), "", &list.value);
    assert_eq!(text(written), compact(name), "{name}");
}

fn is_sent_as(body: &impl Serialize, name: &str) {
    assert_eq!(serde_json::to_value(body).unwrap(), read::<Value>(name), "{name}");
}

const TENANT: &str = "aaaabbbb-0000-cccc-1111-dddd2222eeee";

#[test]
fn the_documented_lists_are_written_as_documented() {
    lists_as::<apps::App>("apps.list.json");
    lists_as::<countries::Country>("countries.list.json");
    lists_as::<principals::Principal>("principals.list.json");
    lists_as::<versions::Version>("versions.list.json");
    lists_as::<environments::Environment>("environments.list.json");
    lists_as::<hotfixes::EnvironmentHotfix>("hotfixes.list.json");
}

#[test]
fn the_documented_answers_are_written_as_documented() {
    answers_as::<countries::Country>("country.get.json");
    answers_as::<countries::Country>("country.patch.json");
    answers_as::<principals::Principal>("principal.get.json");
    answers_as::<principals::Principal>("principal.patch.json");
    answers_as::<versions::Version>("version.upload.json");
    answers_as::<versions::Version>("version.get.json");
    answers_as::<versions::Version>("version.patch.json");
    answers_as::<hotfixes::EnvironmentHotfix>("hotfix.get.json");
    answers_as::<hotfixes::EnvironmentHotfix>("hotfix.schedule.json");
    answers_as::<hotfixes::EnvironmentHotfix>("hotfix.cancel.json");
}

#[test]
fn the_types_are_described_as_promised() {
    let sample: &'static str = sample("metadata.xml").leak();
    // Which words filters know is the service's to say.
    let (_, words) = sample
        .split_once("FilterFunctions\"><Collection><String>")
        .unwrap();
    let (words, _) = words.split_once("</String></Collection>").unwrap();
    assert_eq!(wire::csdl::document(words.split("</String><String>")), sample);
}

#[test]
fn every_sample_is_held_to_something() {
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "samples"].iter().collect();
    let held = include_str!("samples.rs");
    for file in fs::read_dir(folder).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(
            held.contains(&format!("\"{name}\"")),
            "{name} is not used by any test"
        );
    }
}

#[test]
fn adding_a_country() {
    let austria = CountryCode::parse("AT", false).unwrap();
    let patch = countries::CountryPatch::read(sample("country.patch.request.json").as_bytes()).unwrap();
    assert!(patch.check_path(austria).is_ok());
    let refused = patch
        .check_path(CountryCode::parse("DE", false).unwrap())
        .unwrap_err();
    assert_eq!(refused.target.as_deref(), Some("countryCode"));
    is_sent_as(&patch, "country.patch.request.json");
    assert!(
        countries::CountryPatch::read(b"{}")
            .unwrap()
            .check_path(austria)
            .is_ok()
    );
}

#[test]
fn adding_a_principal_spelled_as_in_the_documentation() {
    let id: PrincipalId = "cccccccc-dddd-eeee-3333-444444444444".parse().unwrap();
    let body = sample("principal.patch.request.json");
    assert!(body.contains("\"Type\""), "the spelling is the point");
    let change = principals::PrincipalPatch::read(body.as_bytes(), id).unwrap();
    assert_eq!(change.kind, Some(PrincipalKind::User));
    assert_eq!(change.tenant_id.unwrap().to_string(), TENANT);
    assert_eq!(change.roles, Some(Roles::NONE.with(Role::Reader)));
}

#[test]
fn uploading_a_version() {
    let body = versions::UploadVersion {
        initial_availability: Some("Preview".into()),
        package_contents: "TkFWWA==".into(),
    };
    is_sent_as(&body, "version.upload.request.json");
}

#[test]
fn deprecating_a_version() {
    let body = sample("version.patch-availability.request.json");
    let patch = versions::VersionPatch::read(body.as_bytes()).unwrap();
    assert_eq!(patch.availability, Some(Availability::Deprecated));
    assert!(patch.dependencies.is_empty() && patch.sync_mode.is_none());
    assert!(patch.check_read_only(&read("version.get.json")).is_ok());
}

#[test]
fn marking_a_version_incompatible_with_a_dependency() {
    let name = "version.patch-dependency.request.json";
    let patch = versions::VersionPatch::read(sample(name).as_bytes()).unwrap();
    assert_eq!(
        patch.dependencies[0].app_id.to_string(),
        "63ca2fa4-4f03-4f2b-a480-172fef340d3f"
    );
    assert_eq!(patch.dependencies[0].from.unwrap().to_string(), "16.0.0.0");
    let sent = versions::VersionPatchBody {
        dependencies: vec![versions::DependencyPatch {
            app_id: patch.dependencies[0].app_id.0,
            incompatible_from_version: Some("16.0.0.0".into()),
        }],
        ..Default::default()
    };
    is_sent_as(&sent, name);
}

#[test]
fn scheduling_a_hotfix() {
    let app: AppId = "aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb".parse().unwrap();
    let country = CountryCode::parse("US", false).unwrap();
    let name = "hotfix.schedule.request.json";
    let request = hotfixes::HotfixRequest::read(sample(name).as_bytes(), app, country).unwrap();
    assert_eq!(request.tenant_id.to_string(), TENANT);
    assert_eq!(
        (
            request.application_family.as_str(),
            request.environment_name.as_str()
        ),
        ("Business Central", "MyCustomer")
    );
    assert_eq!(request.environment_kind, Some(EnvironmentKind::Production));
    assert_eq!(request.target.to_string(), "16.0.1.2");
    assert_eq!(
        request.run_after.unwrap().to_string(),
        "2020-03-05T17:30:00.0000000Z"
    );
    assert!(!request.ignore_window);
    let sent = hotfixes::HotfixRequestBody {
        environment_aad_tenant_id: request.tenant_id.0,
        target_app_version: "16.0.1.2".into(),
        run_after: Some("2020-03-05T17:30:00.0000000Z".into()),
        ignore_upgrade_window: false,
        environment_application_family: "Business Central".into(),
        environment_name: "MyCustomer".into(),
        environment_type: Some("Production".into()),
        despite_forecast: false,
    };
    is_sent_as(&sent, name);
}

#[test]
fn canceling_a_hotfix() {
    let name = "hotfix.cancel.request.json";
    let patch = hotfixes::HotfixPatch::read(sample(name).as_bytes()).unwrap();
    assert_eq!(patch.status, Some(OperationStatus::Canceled));
    is_sent_as(
        &hotfixes::HotfixPatchBody {
            status: "Canceled".into(),
        },
        name,
    );
}

#[test]
fn sending_a_whole_entity_back_with_one_value_changed_is_fine() {
    let hotfix: hotfixes::EnvironmentHotfix = read("hotfix.get.json");
    let back = hotfixes::HotfixPatch::read(sample("hotfix.cancel.json").as_bytes()).unwrap();
    assert!(back.check_read_only(&hotfix).is_ok());

    let version: versions::Version = read("version.get.json");
    let other_spelling = sample("version.patch.json")
        .replace("16.0.1.2", "16.00.1.2")
        .replace(
            "00001111-aaaa-2222-bbbb-3333cccc4444",
            "{00001111-AAAA-2222-BBBB-3333CCCC4444}",
        )
        .replace(
            "2019-07-09T11:54:45.5414576Z",
            "2019-07-09T13:54:45.5414576+02:00",
        );
    let back = versions::VersionPatch::read(other_spelling.as_bytes()).unwrap();
    assert_eq!(back.check_read_only(&version), Ok(()));
}

#[test]
fn changing_what_is_read_only_is_refused_by_name() {
    let hotfix: hotfixes::EnvironmentHotfix = read("hotfix.get.json");
    let other_target = sample("hotfix.cancel.json").replace("16.0.1.2", "16.0.1.3");
    let patch = hotfixes::HotfixPatch::read(other_target.as_bytes()).unwrap();
    let refused = patch.check_read_only(&hotfix).unwrap_err();
    assert_eq!(
        (refused.details[0].code.as_str(), refused.target.as_deref()),
        ("ReadOnly", Some("targetAppVersion"))
    );

    let version: versions::Version = read("version.get.json");
    let change = |from: &str, to: &str| {
        let patch =
            versions::VersionPatch::read(sample("version.patch.json").replace(from, to).as_bytes()).unwrap();
        patch.check_read_only(&version).unwrap_err().target.unwrap()
    };
    assert_eq!(
        change("\"majorVersion\": 16", "\"majorVersion\": 17"),
        "majorVersion"
    );
    assert_eq!(change("Other Publisher", "Fabrikam"), "dependencies[0].publisher");
}

#[test]
fn what_the_documentation_does_not_show_is_shown_only_when_it_says_something() {
    let mut hotfix: hotfixes::EnvironmentHotfix = read("hotfix.get.json");
    assert!(!text(to_json(&hotfix)).contains("ignoreUpgradeWindow"));
    hotfix.ignore_upgrade_window.0 = true;
    hotfix.error_message = Some("EnvironmentGone: …".into());
    let shown = text(to_json(&hotfix));
    assert!(
        shown.contains(r#""errorMessage":"EnvironmentGone: …","ignoreUpgradeWindow":true,"appId""#),
        "{shown}"
    );

    let mut version: versions::Version = read("version.get.json");
    assert!(!text(to_json(&version)).contains("syncMode"));
    version.sync_mode = SyncMode::ForceSync;
    assert!(text(to_json(&version)).contains(r#""revisionVersion":2,"syncMode":"ForceSync","_etag""#));
}

#[test]
fn what_is_shown_only_when_it_is_selected_is_shown_then() {
    let hotfix: hotfixes::EnvironmentHotfix = read("hotfix.get.json");
    let hotfix = hotfixes::EnvironmentHotfix {
        progress_percent: Some(40),
        failure_cause: Some(FailureCause::Lock),
        ..hotfix
    };
    assert!(!text(to_json(&hotfix)).contains("failureCause"));
    let wanted = ["failureCause", "progressPercent"];
    let wanted = wanted.map(|name| hotfixes::EnvironmentHotfix::position(name).unwrap());
    let shown = Projection::select(ResponseFormat::Bare, &wanted).single(&hotfix, "");
    let expected = format!(
        r#"{{"id":"{}","progressPercent":40,"failureCause":"Lock"}}"#,
        hotfix.id
    );
    assert_eq!(text(shown), expected);
}

#[test]
fn the_odata_format_shows_every_property_that_nobody_has_to_select() {
    let hotfix: hotfixes::EnvironmentHotfix = read("hotfix.get.json");
    let shown: Value =
        serde_json::from_slice(&Projection::all(ResponseFormat::OData).single(&hotfix, "ctx")).unwrap();
    let names: Vec<_> = shown.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names[0], "@odata.context");
    let shown_to_all = hotfixes::EnvironmentHotfix::SHOWN;
    assert_eq!(
        names[1..],
        hotfixes::EnvironmentHotfix::PROPERTIES[..shown_to_all]
    );
    assert_eq!(
        (&shown["completedOn"], &shown["ignoreUpgradeWindow"]),
        (&Value::Null, &Value::Bool(false))
    );

    let version: versions::Version = read("version.get.json");
    let shown: Value =
        serde_json::from_slice(&Projection::all(ResponseFormat::OData).single(&version, "ctx")).unwrap();
    assert_eq!(shown["@odata.etag"], "W/\"c2c2c2c2-dddd-eeee-ffff-a3a3a3a3a3a3\"");
    assert_eq!(shown["dependencies"][0]["incompatibleFromVersion"], Value::Null);
    assert!(shown["dependencies"][0].get("@odata.etag").is_none());
}

#[test]
fn a_selection_keeps_the_keys_and_the_order() {
    let version: versions::Version = read("version.get.json");
    let wanted = ["NAME", "appId"].map(|name| versions::Version::position(name).unwrap());
    let shown = Projection::select(ResponseFormat::Bare, &wanted).single(&version, "");
    let expected =
        r#"{"version":"16.0.1.2","appId":"00001111-aaaa-2222-bbbb-3333cccc4444","name":"ExampleApp"}"#;
    assert_eq!(text(shown), expected);
    assert_eq!(versions::Version::position("nothing"), None);
}

#[test]
fn clients_tolerate_what_is_missing_and_what_is_new() {
    let tag = "5c47bfb0-d80c-4780-99ed-c3a3d38ac539";
    let id = "{AAAAAAAA-0000-1111-2222-BBBBBBBBBBBB}";
    let body = format!(r#"{{"id":"{id}","_etag":"{tag}","publisher":null,"new":[1]}}"#);
    let app: apps::App = serde_json::from_str(&body).unwrap();
    assert_eq!((app.publisher.as_str(), app.name), ("", None));
}
