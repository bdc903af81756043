//! The documented requests, sent to a service that is in the state they speak of, and the documented answers, held
//! against what comes back.
//!
//! The service's clock stands at the documented instants and the packages carry the documented ids, so that every
//! value must be the documented one, except those that the service draws by lot: the tags, and the ids of hotfixes.
//! The documentation addresses one app and shows another one's id in its answers; here it is the shown one.

use crate::harness::{
    Answer, Backend, Caller, Environment, HOME_TENANT, Harness, Person, base64_of, bytes_of, country_path,
    on_both_databases, principal_body, registration,
};
use navx::PackageBuilder;
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs, path::PathBuf};
use uuid::{Uuid, uuid};

on_both_databases!(
    the_documented_apps_are_listed,
    the_documented_countries_are_added_read_and_listed,
    the_documented_principal_is_added_read_listed_and_removed,
    the_documented_version_is_uploaded_read_listed_and_deprecated,
    the_documented_incompatibility_is_taken_in,
    the_documented_environment_is_listed,
    the_documented_hotfix_is_scheduled_read_listed_and_canceled,
);

/// The app whose list is documented.
const CONTOSO_APP: Uuid = uuid!("aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb");
/// The app that the documented versions, environments and hotfixes are of.
const EXAMPLE_APP: Uuid = uuid!("00001111-aaaa-2222-bbbb-3333cccc4444");
const PRINCIPAL: &str = "cccccccc-dddd-eeee-3333-444444444444";
const UPLOADED_ON: &str = "2019-07-09T11:54:45.5414576Z";
const SCHEDULED_ON: &str = "2020-03-05T15:41:20.6468128Z";

fn samples_folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "wire", "samples"]
        .iter()
        .collect()
}

/// A documented body.
fn documented(name: &str) -> Value {
    let file = samples_folder().join(name);
    let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    serde_json::from_str(&text).unwrap()
}

/// The answer must be the documented one.
#[track_caller]
fn answers_as(answer: &Answer, name: &str) {
    assert_eq!(answer.status, 200, "{name}: {}", answer.text());
    assert_eq!(comparable(answer.json()), comparable(documented(name)), "{name}");
}

/// A body whose members are in no particular order, with the rows of a list sorted, and with the kind of value in
/// place of values that are drawn by lot.
fn comparable(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let sorted: BTreeMap<_, _> = members
                .into_iter()
                .map(|(name, value)| (name.clone(), member(&name, value)))
                .collect();
            json!(sorted)
        }
        Value::Array(items) => {
            let mut items: Vec<_> = items.into_iter().map(comparable).collect();
            items.sort_by_key(Value::to_string);
            Value::Array(items)
        }
        other => other,
    }
}

fn member(name: &str, value: Value) -> Value {
    let is_drawn =
        name == "_etag" || (name == "id" && value != CONTOSO_APP.to_string() && value != PRINCIPAL);
    if !is_drawn {
        return comparable(value);
    }
    let text = value.as_str().unwrap_or_default();
    let is_plain_guid = Uuid::try_parse(text).is_ok_and(|id| id.hyphenated().to_string() == text);
    assert!(
        is_plain_guid,
        "'{name}' is {value}, no GUID in lower case with dashes"
    );
    json!("a GUID")
}

/// The documented package.
fn package(version: &str) -> PackageBuilder {
    let old = "15.0.0.0".parse().unwrap();
    PackageBuilder::new(
        EXAMPLE_APP,
        "ExampleApp",
        "Example Publisher",
        version.parse().unwrap(),
    )
    .package_id(if version == "16.0.1.2" {
        uuid!("ffffffff-5555-6666-7777-aaaaaaaaaaaa")
    } else {
        Uuid::new_v5(&EXAMPLE_APP, version.as_bytes())
    })
    .application(Some(old))
    .dependency(
        uuid!("44445555-eeee-6666-ffff-7777aaaa8888"),
        "Example Dependency",
        "Other Publisher",
        "1.0.0.0".parse().unwrap(),
    )
}

/// The documented upload, with a package where the documentation says `<contents>`.
fn upload_request(version: &str) -> Value {
    let mut body = documented("version.upload.request.json");
    body["packageContents"] = json!(base64_of(&bytes_of(&package(version))));
    body
}

/// A service with one app that only its owner may touch, and whoever the owner lets in.
async fn service_with(backend: Backend, app: Uuid, now: &str) -> (Harness, Caller) {
    let service = Harness::with(backend).at(now).start_empty().await;
    let path = format!("/operator/v1/apps/{app}");
    service.operator().put(path, registration()).await.expect(201);
    let owner = service.owner().on(app);
    (service, owner)
}

/// The same with the documented version and the one before it, in the documented country.
async fn service_with_versions(backend: Backend) -> (Harness, Caller) {
    let (service, owner) = service_with(backend, EXAMPLE_APP, UPLOADED_ON).await;
    owner.adds_country("US").await.expect(200);
    for version in ["16.0.0.5", "16.0.1.2"] {
        owner
            .post(owner.us("versions"), upload_request(version))
            .await
            .expect(200);
        owner
            .changes_version(version, json!({ "availability": "Available" }))
            .await
            .expect(200);
    }
    (service, owner)
}

/// The documented environment.
fn my_customer(version: &str) -> Environment {
    Environment::named("MyCustomer")
        .of(HOME_TENANT)
        .has(EXAMPLE_APP, version)
}

async fn the_documented_apps_are_listed(backend: Backend) {
    let (_service, owner) = service_with(backend, CONTOSO_APP, UPLOADED_ON).await;
    answers_as(&owner.get("/v1.0/apps").await, "apps.list.json");
    let filtered = owner
        .get("/v1.0/apps?$filter=storageLocation eq 'West Europe'")
        .await;
    answers_as(&filtered, "apps.list.json");
    let elsewhere = owner.get("/v1.0/apps?$filter=storageLocation eq 'East US'").await;
    assert_eq!(elsewhere.expect(200).json(), json!({ "value": [] }));
}

async fn the_documented_countries_are_added_read_and_listed(backend: Backend) {
    let (_service, owner) = service_with(backend, CONTOSO_APP, UPLOADED_ON).await;
    for code in ["US", "DK"] {
        owner.adds_country(code).await.expect(200);
    }
    let countries = format!("/v1.0/apps/{CONTOSO_APP}/countries");
    answers_as(&owner.get(&countries).await, "countries.list.json");
    answers_as(&owner.get(format!("{countries}/US")).await, "country.get.json");
    let added = owner
        .patch(
            format!("{countries}/AT"),
            documented("country.patch.request.json"),
        )
        .await;
    answers_as(&added, "country.patch.json");
}

async fn the_documented_principal_is_added_read_listed_and_removed(backend: Backend) {
    let (_service, owner) = service_with(backend, CONTOSO_APP, UPLOADED_ON).await;
    let principals = format!("/v1.0/apps/{CONTOSO_APP}/principals");
    let one = format!("{principals}/{PRINCIPAL}");
    let request = documented("principal.patch.request.json");
    assert!(
        request.get("Type").is_some(),
        "the documented spelling is the point"
    );
    answers_as(&owner.patch(&one, request).await, "principal.patch.json");

    owner
        .patch(&one, principal_body(&Person::OWNER_USER, &["Owner"]))
        .await
        .expect(200);
    answers_as(&owner.get(&one).await, "principal.get.json");
    let filtered = owner
        .get(format!(
            "{principals}?$filter=type eq 'User' and 'Owner' in roles"
        ))
        .await;
    answers_as(&filtered, "principals.list.json");

    let removed = owner.delete(&one).await.expect(204);
    assert!(removed.body.is_empty());
    owner.get(&one).await.refused(404, "ResourceDoesNotExist");
}

async fn the_documented_version_is_uploaded_read_listed_and_deprecated(backend: Backend) {
    let (_service, owner) = service_with(backend, EXAMPLE_APP, UPLOADED_ON).await;
    owner.adds_country("US").await.expect(200);
    let versions = country_path(EXAMPLE_APP, "US", "versions").replace("v1.4", "v1.0");
    let one = format!("{versions}/16.0.1.2");
    answers_as(
        &owner.post(&versions, upload_request("16.0.1.2")).await,
        "version.upload.json",
    );
    answers_as(&owner.get(&one).await, "version.get.json");

    owner
        .patch(&one, json!({ "availability": "Available" }))
        .await
        .expect(200);
    let filtered = owner
        .get(format!(
            "{versions}?$filter=MajorVersion eq 16 and MinorVersion eq 0"
        ))
        .await;
    answers_as(&filtered, "versions.list.json");

    let deprecated = owner
        .patch(&one, documented("version.patch-availability.request.json"))
        .await;
    answers_as(&deprecated, "version.patch.json");
    let contents = owner
        .asks(http::Method::POST, format!("{one}/getPackageContents"))
        .await
        .expect(200);
    assert_eq!(contents.body, bytes_of(&package("16.0.1.2")));
}

async fn the_documented_incompatibility_is_taken_in(backend: Backend) {
    let (_service, owner) = service_with_versions(backend).await;
    let request = documented("version.patch-dependency.request.json");
    let answer = owner
        .changes_version("16.0.1.2", request.clone())
        .await
        .expect(200);
    let mut rows = answer.json()["dependencies"].as_array().unwrap().clone();
    let marked = rows.pop().unwrap();
    for (name, value) in request["dependencies"][0].as_object().unwrap() {
        assert_eq!(&marked[name], value, "{name}");
    }
    assert_eq!(
        json!(rows),
        documented("version.patch.json")["dependencies"],
        "the manifest's rows stay"
    );
    let ordinary = package("16.0.1.9").application(None).platform(None);
    owner.uploads(&ordinary, "Available").await.expect(200);
    let answer = owner
        .changes_version("16.0.1.9", request.clone())
        .await
        .expect(200);
    let rows = answer.json()["dependencies"].as_array().unwrap().clone();
    assert_eq!(rows.len(), 2, "its own and the one that was marked");
    for (name, value) in request["dependencies"][0].as_object().unwrap() {
        assert_eq!(&rows[1][name], value, "{name}");
    }
}

async fn the_documented_environment_is_listed(backend: Backend) {
    let (service, owner) = service_with_versions(backend).await;
    service
        .operator()
        .reports(&my_customer("16.0.1.2"))
        .await
        .expect(201);
    service
        .operator()
        .reports(&my_customer("16.0.0.5").of(EXAMPLE_APP))
        .await
        .expect(201);
    let path = owner
        .us("environments?$filter=version eq '16.0.1.2'")
        .replace("v1.4", "v1.0");
    answers_as(&owner.get(path).await, "environments.list.json");
}

async fn the_documented_hotfix_is_scheduled_read_listed_and_canceled(backend: Backend) {
    let (service, owner) = service_with_versions(backend).await;
    service
        .operator()
        .reports(&my_customer("16.0.0.5"))
        .await
        .expect(201);
    service.moves_clock_to(SCHEDULED_ON).await;

    let hotfixes = owner.us("environmentHotfixes").replace("v1.4", "v1.0");
    let scheduled = owner
        .post(&hotfixes, documented("hotfix.schedule.request.json"))
        .await;
    answers_as(&scheduled, "hotfix.schedule.json");
    let one = format!("{hotfixes}/{}", scheduled.property("id"));
    answers_as(&owner.get(&one).await, "hotfix.get.json");
    let filtered = owner
        .get(format!("{hotfixes}?$filter=targetAppVersion eq '16.0.1.2'"))
        .await;
    answers_as(&filtered, "hotfixes.list.json");
    answers_as(
        &owner.patch(&one, documented("hotfix.cancel.request.json")).await,
        "hotfix.cancel.json",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_placeholder_of_the_documented_upload_is_no_package() {
    let (_service, owner) = service_with(Backend::Sqlite, EXAMPLE_APP, UPLOADED_ON).await;
    owner.adds_country("US").await.expect(200);
    let refused = owner
        .post(owner.us("versions"), documented("version.upload.request.json"))
        .await;
    assert_eq!(refused.refused(400, "InvalidPackage").reason(), "too_short");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_description_of_all_types_is_sent_as_it_is() {
    let service = Harness::with(Backend::Sqlite).start_empty().await;
    let answer = service.stranger().get("/v1.4/$metadata").await.expect(200);
    let sample = fs::read_to_string(samples_folder().join("metadata.xml")).unwrap();
    assert_eq!(answer.text(), sample);
}

#[test]
fn every_sample_is_replayed() {
    let tests = include_str!("samples.rs");
    for file in fs::read_dir(samples_folder()).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(
            tests.contains(&format!("\"{name}\"")),
            "{name} is not used by any test"
        );
    }
}
