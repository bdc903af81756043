//! `…/versions`: how they are shown, and what may be said about them after the upload.

use crate::harness::{
    APP, Backend, Harness, LIBRARY, bytes_of, on_both_databases, package, package_needing_library,
};
use data_encoding::HEXLOWER;
use serde_json::json;
use sha2::{Digest, Sha256};
use uuid::{Uuid, uuid};

on_both_databases!(
    a_version_is_shown_as_documented,
    versions_are_listed_by_number_and_found_in_any_spelling,
    the_availability_goes_every_way,
    a_patch_with_nothing_writable_says_what_to_send,
    what_is_read_only_may_be_repeated_but_not_changed,
    dependencies_are_merged,
    a_dependency_that_the_manifest_implies_can_be_marked,
    taking_a_word_back_leaves_what_the_package_declares,
    the_sync_mode_is_only_shown_when_it_forces,
    changes_are_made_under_conditions,
    only_contributors_change_versions,
    all_countries_are_seen_at_once,
);

/// The System Application, which the manifest's `Application` implies.
const SYSTEM_APPLICATION: Uuid = uuid!("63ca2fa4-4f03-4f2b-a480-172fef340d3f");
/// The Base Application, which it implies too.
const BASE_APPLICATION: Uuid = uuid!("437dbf0e-84ff-417a-965d-ed2bb9650972");

async fn a_version_is_shown_as_documented(backend: Backend) {
    let service = Harness::start(backend).await;
    let package = package_needing_library("16.0.1.2", "1.0").package_id(Uuid::from_u128(7));
    let uploaded = service
        .contributor()
        .uploads(&package, "Preview")
        .await
        .expect(200);
    let expected = json!({
        "version": "16.0.1.2",
        "appId": APP,
        "countryCode": "US",
        "packageId": Uuid::from_u128(7),
        "publisher": "Contoso",
        "name": "ExampleApp",
        "uploadedOn": "2020-03-05T12:00:00.0000000Z",
        "availability": "Preview",
        "status": "Uploaded",
        "dependencies": [
            { "appId": LIBRARY, "name": "Example Library", "publisher": "Contoso", "version": "1.0.0.0" },
        ],
        "majorVersion": 16,
        "minorVersion": 0,
        "buildVersion": 1,
        "revisionVersion": 2,
        "_etag": uploaded.etag(),
    });
    assert_eq!(uploaded.json(), expected);
    assert_eq!(uploaded.header("etag"), format!("W/\"{}\"", uploaded.etag()));
    assert_eq!(
        service.reader().version("16.0.1.2").await.expect(200).json(),
        expected
    );
    let listed = service
        .reader()
        .get(service.reader().us("versions"))
        .await
        .expect(200);
    assert_eq!(listed.json(), json!({ "value": [expected] }));
}

async fn versions_are_listed_by_number_and_found_in_any_spelling(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    for version in [
        "16.0.10.0",
        "9.0.0.0",
        "16.0.9.0",
        "16.0.9.10",
        "100.0.0.0",
        "16.0.0.2147483647",
    ] {
        owner.has_uploaded(version).await;
    }
    let listed = owner
        .get(owner.us("versions"))
        .await
        .expect(200)
        .column("version");
    let ascending = [
        "9.0.0.0",
        "16.0.0.2147483647",
        "16.0.9.0",
        "16.0.9.10",
        "16.0.10.0",
        "100.0.0.0",
    ];
    assert_eq!(listed, ascending);
    for spelled in ["9", "9.0", "09.0.0.00", "9.0.0.0/"] {
        assert_eq!(
            owner.version(spelled).await.expect(200).property("version"),
            "9.0.0.0",
            "{spelled}"
        );
    }
    let quoted = format!("{}/countries('us')/versions('16.0.9.10')", owner.app_path());
    assert_eq!(
        owner.get(quoted).await.expect(200).property("version"),
        "16.0.9.10"
    );
    for wrong in ["1.2.3.4.5", "1.x", "-1", "2147483648", "latest"] {
        owner.version(wrong).await.refused(400, "InvalidInput");
    }
    owner
        .version("1.2.3.4")
        .await
        .refused(404, "ResourceDoesNotExist");
}

async fn the_availability_goes_every_way(backend: Backend) {
    let service = Harness::start(backend).await;
    let contributor = service.contributor();
    contributor
        .uploads(&package("1.0.0.0"), "Deprecated")
        .await
        .expect(200);
    let all = [
        "Preview",
        "Available",
        "Deprecated",
        "Preview",
        "Deprecated",
        "Available",
        "Preview",
    ];
    let mut tag = String::new();
    for availability in all {
        let changed = contributor
            .changes_version("1.0.0.0", json!({ "availability": availability }))
            .await;
        let changed = changed.expect(200);
        assert_eq!(changed.property("availability"), availability);
        assert_ne!(changed.etag(), tag);
        tag = changed.etag();
        assert_eq!(contributor.version("1.0.0.0").await.json(), changed.json());
    }
    let folded = contributor
        .changes_version("1.0.0.0", json!({ "AVAILABILITY": "preview" }))
        .await
        .expect(200);
    assert_eq!(folded.etag(), tag);
    let unknown = contributor
        .changes_version("1.0.0.0", json!({ "availability": "Beta" }))
        .await;
    assert_eq!(unknown.refused(400, "InvalidInput").target(), "availability");
}

async fn a_patch_with_nothing_writable_says_what_to_send(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    owner.has_uploaded("1.0.0.0").await;
    let flat = json!({ "appId": LIBRARY, "incompatibleFromVersion": "2.0.0.0" });
    let answer = owner
        .changes_version("1.0.0.0", flat)
        .await
        .broke_rule("NothingWritable");
    assert!(answer.message().contains("dependencies"), "{answer:?}");
    owner
        .changes_version("1.0.0.0", json!({}))
        .await
        .broke_rule("NothingWritable");
    owner
        .changes_version("1.0.0.0", json!({ "name": "ExampleApp" }))
        .await
        .broke_rule("NothingWritable");
    let nothing = owner.asks(http::Method::PATCH, owner.us("versions/1.0.0.0"));
    nothing.await.refused(400, "RequestBodyRequired");
}

async fn what_is_read_only_may_be_repeated_but_not_changed(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    let whole = owner.has_uploaded("1.0.0.0").await.json();
    let mut repeated = whole.clone();
    repeated["availability"] = json!("Preview");
    let changed = owner.changes_version("1.0.0.0", repeated).await.expect(200);
    assert_eq!(changed.property("availability"), "Preview");
    let fields = [
        ("name", json!("Another")),
        ("publisher", json!("Fabrikam")),
        ("version", json!("1.0.0.1")),
        ("status", json!("Uploading")),
        ("packageId", json!(Uuid::from_u128(1))),
        ("majorVersion", json!(2)),
        ("uploadedOn", json!("2020-01-01T00:00:00Z")),
        ("countryCode", json!("DK")),
        ("appId", json!(LIBRARY)),
    ];
    for (field, value) in fields {
        let body = json!({ "availability": "Available", field: value });
        let answer = owner
            .changes_version("1.0.0.0", body)
            .await
            .broke_rule("ReadOnly");
        assert_eq!(answer.target(), field);
        assert!(answer.message().contains("read-only"), "{answer:?}");
    }
    assert_eq!(owner.version("1.0.0.0").await.json(), changed.json());
}

async fn dependencies_are_merged(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    let other = Uuid::from_u128(0xABC);
    let package = package_needing_library("1.0.0.0", "1.5").dependency(
        other,
        "Other",
        "Fabrikam",
        "2.0".parse().unwrap(),
    );
    owner.uploads(&package, "Available").await.expect(200);
    let mark = |from: serde_json::Value| json!({ "dependencies": [{ "appId": LIBRARY, "incompatibleFromVersion": from }] });
    let marked = owner
        .changes_version("1.0.0.0", mark(json!("3.0")))
        .await
        .expect(200);
    let rows = marked.json()["dependencies"].as_array().unwrap().clone();
    assert_eq!(rows.len(), 2);
    assert_eq!(
        (&rows[0]["appId"], &rows[0]["incompatibleFromVersion"]),
        (&json!(LIBRARY), &json!("3.0.0.0"))
    );
    assert_eq!(rows[1].get("incompatibleFromVersion"), None);
    assert_eq!(marked.property("availability"), "Available");
    assert!(!marked.has_header("warning"));
    for from in ["1.5.0.0", "0.0.0.0"] {
        let never = owner
            .changes_version("1.0.0.0", mark(json!(from)))
            .await
            .expect(200);
        assert_eq!(never.json()["dependencies"][0]["incompatibleFromVersion"], from);
        let warning = never.header("warning");
        assert!(
            warning.starts_with("299 - \"") && warning.contains(&LIBRARY.to_string()),
            "{warning}"
        );
        assert!(warning.contains(from) && warning.contains("1.5.0.0"), "{warning}");
    }
    let marked = owner
        .changes_version("1.0.0.0", mark(json!("3.0")))
        .await
        .expect(200);
    owner
        .changes_version("1.0.0.0", mark(json!("none")))
        .await
        .refused(400, "InvalidInput");
    let unknown =
        json!({ "dependencies": [{ "appId": Uuid::from_u128(9), "incompatibleFromVersion": "2.0" }] });
    owner
        .changes_version("1.0.0.0", unknown)
        .await
        .broke_rule("UnknownDependency");
    let silent = json!({ "availability": "Preview", "dependencies": [{ "appId": Uuid::from_u128(9) }] });
    let refused = owner
        .changes_version("1.0.0.0", silent)
        .await
        .broke_rule("UnknownDependency");
    assert_eq!(refused.target(), "dependencies[0].appId");
    let renamed =
        json!({ "dependencies": [{ "appId": LIBRARY, "name": "X", "incompatibleFromVersion": "4.0" }] });
    owner
        .changes_version("1.0.0.0", renamed)
        .await
        .broke_rule("ReadOnly");
    assert_eq!(owner.version("1.0.0.0").await.json(), marked.json());
    let cleared = owner
        .changes_version("1.0.0.0", mark(json!(null)))
        .await
        .expect(200);
    assert_eq!(
        cleared.json()["dependencies"][0].get("incompatibleFromVersion"),
        None
    );
}

async fn a_dependency_that_the_manifest_implies_can_be_marked(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    let package = package("16.0.1.2").application(Some("15.0.0.0".parse().unwrap()));
    let uploaded = owner.uploads(&package, "Available").await.expect(200);
    assert_eq!(uploaded.json()["dependencies"], json!([]));
    let documented =
        json!({ "dependencies": [{ "appId": SYSTEM_APPLICATION, "incompatibleFromVersion": "16.0.0.0" }] });
    let marked = owner.changes_version("16.0.1.2", documented).await.expect(200);
    let row = json!({
        "appId": SYSTEM_APPLICATION,
        "name": "System Application",
        "publisher": "Microsoft",
        "version": "15.0.0.0",
        "incompatibleFromVersion": "16.0.0.0",
    });
    assert_eq!(marked.json()["dependencies"], json!([row]));
    let taken_back =
        json!({ "dependencies": [{ "appId": SYSTEM_APPLICATION, "incompatibleFromVersion": null }] });
    let unmarked = owner.changes_version("16.0.1.2", taken_back).await.expect(200);
    assert_eq!(unmarked.json()["dependencies"], json!([]));
}

async fn taking_a_word_back_leaves_what_the_package_declares(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    let needed = "15.0.0.0".parse().unwrap();
    let package = package_needing_library("16.0.1.2", "1.0")
        .dependency(SYSTEM_APPLICATION, "System Application", "Microsoft", needed)
        .application(Some(needed));
    let uploaded = owner.uploads(&package, "Available").await.expect(200);
    assert_eq!(uploaded.json()["dependencies"].as_array().unwrap().len(), 2);
    let says = async |from: [serde_json::Value; 3]| {
        let rows: Vec<_> = [LIBRARY, SYSTEM_APPLICATION, BASE_APPLICATION]
            .into_iter()
            .zip(from)
            .map(|(app, from)| json!({ "appId": app, "incompatibleFromVersion": from }))
            .collect();
        let changed = owner.changes_version("16.0.1.2", json!({ "dependencies": rows }));
        changed.await.expect(200).json()["dependencies"].clone()
    };
    let marked = says([json!("2.0"), json!("17.0"), json!("18.0")]).await;
    assert_eq!(marked.as_array().unwrap().len(), 3);
    let taken_back = says([json!(null), json!(null), json!(null)]).await;
    assert_eq!(taken_back, uploaded.json()["dependencies"]);
}

async fn the_sync_mode_is_only_shown_when_it_forces(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    assert_eq!(owner.has_uploaded("1.0.0.0").await.json().get("syncMode"), None);
    let forced = owner
        .changes_version("1.0.0.0", json!({ "syncMode": "forcesync" }))
        .await
        .expect(200);
    assert_eq!(forced.property("syncMode"), "ForceSync");
    let back = owner
        .changes_version("1.0.0.0", json!({ "syncMode": "Add" }))
        .await
        .expect(200);
    assert_eq!(back.json().get("syncMode"), None);
    owner
        .changes_version("1.0.0.0", json!({ "syncMode": "Sometimes" }))
        .await
        .refused(400, "InvalidInput");
}

async fn changes_are_made_under_conditions(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    let tag = owner.has_uploaded("1.0.0.0").await.etag();
    let change = || json!({ "availability": "Preview" });
    let stale = owner
        .changes_version("1.0.0.0", change())
        .header("if-match", "\"00000000-0000-0000-0000-000000000000\"");
    stale.await.refused(412, "PreconditionFailed");
    assert_eq!(owner.version("1.0.0.0").await.etag(), tag);
    let missing = owner.changes_version("2.0.0.0", change());
    missing.await.refused(404, "ResourceDoesNotExist");
    owner
        .changes_version("2.0.0.0", change())
        .header("if-match", "*")
        .await
        .refused(412, "PreconditionFailed");
    owner
        .changes_version("1.0.0.0", change())
        .header("if-match", &tag)
        .await
        .expect(200);
}

async fn only_contributors_change_versions(backend: Backend) {
    let service = Harness::start(backend).await;
    service.owner().has_uploaded("1.0.0.0").await;
    let change = || json!({ "availability": "Preview" });
    service
        .reader()
        .changes_version("1.0.0.0", change())
        .await
        .refused(403, "Forbidden");
    service
        .stranger()
        .changes_version("1.0.0.0", change())
        .await
        .refused(404, "ResourceDoesNotExist");
    service
        .owner_user()
        .changes_version("1.0.0.0", change())
        .await
        .expect(200);
    // A wrong body is nothing that somebody without the right is told about.
    service
        .reader()
        .changes_version("1.0.0.0", json!({}))
        .await
        .refused(403, "Forbidden");
    service
        .reader()
        .changes_version("x", json!({}))
        .await
        .refused(403, "Forbidden");
}

async fn all_countries_are_seen_at_once(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    owner.adds_country("DK").await.expect(200);
    let first = package("16.0.1.2").package_id(Uuid::from_u128(7));
    let other = package("16.0.1.2")
        .package_id(Uuid::from_u128(8))
        .payload_bytes(99);
    owner.uploads(&first, "Available").await.expect(200);
    owner.uploads_to("DK", &other, "Preview").await.expect(200);
    owner
        .uploads_to("DK", &package("16.0.2.0"), "Preview")
        .await
        .expect(200);
    let all = format!("/v1.0/apps/{APP}/versions");
    let list = service.reader().get(&all).await.expect(200);
    assert_eq!(list.column("version"), ["16.0.1.2", "16.0.1.2", "16.0.2.0"]);
    assert_eq!(list.column("countryCode"), ["DK", "US", "DK"]);
    let bytes = bytes_of(&first);
    let expected = json!({
        "version": "16.0.1.2",
        "countryCode": "US",
        "appId": APP,
        "availability": "Available",
        "status": "Uploaded",
        "packageId": Uuid::from_u128(7),
        "publisher": "Contoso",
        "name": "ExampleApp",
        "uploadedOn": "2020-03-05T12:00:00.0000000Z",
        "uploadedBy": list.rows()[1]["uploadedBy"],
        "size": bytes.len(),
        "sha256": HEXLOWER.encode(&Sha256::digest(&bytes)),
        "_etag": list.rows()[1]["_etag"],
    });
    assert_eq!(list.rows()[1], expected);
    let differing = format!("{all}?$apply=groupby((version,sha256))/aggregate($count as n)");
    service
        .reader()
        .get(differing)
        .await
        .refused(501, "NotImplemented");
    let contents = format!("{all}?$apply=groupby((version,sha256),aggregate($count as n))");
    let contents = service.reader().get(contents).await.expect(200);
    assert_eq!(
        contents.column("version"),
        ["16.0.1.2", "16.0.1.2", "16.0.2.0"],
        "two packages"
    );
    let filtered = format!(
        "{all}?$filter=sha256 eq '{}'&$select=size",
        expected["sha256"].as_str().unwrap()
    );
    assert_eq!(service.reader().get(filtered).await.expect(200).rows().len(), 1);
    let bracketed = format!("/v1.4/Apps({APP})/Versions");
    assert_eq!(service.reader().get(bracketed).await.expect(200).rows().len(), 3);
    service
        .stranger()
        .get(&all)
        .await
        .refused(404, "ResourceDoesNotExist");
}
