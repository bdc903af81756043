//! What schema synchronisation is forecast to refuse: told to whoever uploads, heeded before a hotfix.

use crate::harness::{
    APP, Answer, Backend, Caller, Environment, Harness, LIBRARY, Person, country_path, on_both_databases,
    package, package_needing_library, package_of, upload_body,
};
use navx::PackageBuilder;
use serde_json::{Value, json};

on_both_databases!(
    an_upload_tells_what_would_be_refused_to_whoever_asks,
    a_plan_and_scheduling_heed_the_forecast,
    whoever_knows_better_schedules_despite_the_forecast,
    where_the_installed_version_is_not_known_nothing_is_forecast,
    an_upload_tells_what_its_country_lacks,
    what_other_apps_have_is_told_to_their_callers_alone,
);

const OLD: &str = "16.0.1.1";
const NEW: &str = "16.0.1.2";

/// A package whose table has these fields.
fn with_fields(version: &str, fields: &[&str]) -> PackageBuilder {
    let fields: Vec<_> = (1..)
        .zip(fields)
        .map(|(id, name)| json!({ "Id": id, "Name": name, "TypeDefinition": { "Name": "Code[20]" } }))
        .collect();
    let symbols = json!({
        "RuntimeVersion": "16.0",
        "Tables": [{
            "Id": 50100,
            "Name": "Route",
            "Fields": fields,
            "Keys": [{ "Name": "PK", "FieldNames": ["No."] }],
        }],
        "AppId": APP,
        "Name": "ExampleApp",
        "Publisher": "Contoso",
        "Version": format!("{version}"),
    });
    package(version).symbols(Some(symbols.to_string().as_bytes()))
}

fn versions(select: &str) -> String {
    country_path(APP, "US", &format!("versions?$select={select}"))
}

async fn has_both(service: &Harness) {
    let owner = service.owner();
    for (version, fields) in [(OLD, &["No.", "Name"][..]), (NEW, &["No."])] {
        let package = with_fields(version, fields);
        owner.uploads(&package, "Available").await.expect(200);
    }
}

async fn plan(caller: &Caller) -> Vec<Value> {
    let path = format!("environmentHotfixes/plan?targetAppVersion={NEW}");
    caller.get(caller.us(&path)).await.expect(200).rows()
}

fn scheduling(environment: &Environment) -> Value {
    let mut body = environment.hotfix(NEW);
    body["despiteForecast"] = json!(true);
    body
}

async fn an_upload_tells_what_would_be_refused_to_whoever_asks(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    let first = upload_body(&with_fields(OLD, &["No.", "Name"]), "Available");
    let first = owner.post(versions("version,warnings"), first).await.expect(200);
    assert_eq!(first.json(), json!({ "version": OLD }));
    let plain = owner.uploads(&with_fields("16.0.1.3", &["No.", "Name"]), "Available");
    assert_eq!(plain.await.expect(200).json().get("warnings"), None);

    let new = upload_body(&with_fields(NEW, &["No."]), "Available");
    let new = owner.post(versions("warnings"), new).await.expect(200).json();
    let warnings = &new["warnings"];
    assert_eq!(warnings["verdict"], "refused", "{new}");
    assert_eq!(warnings["old"]["version"], OLD);
    assert_eq!(warnings["new"]["version"], NEW);
    let finding = &warnings["findings"][0];
    assert_eq!(
        (&finding["code"], &finding["rule"]),
        (&json!("field-removed"), &json!("AS0002"))
    );
    assert_eq!(finding["object"]["name"], "Route");
    assert_eq!(finding["member"]["name"], "Name");
    assert_eq!(
        (&warnings["mode"], &warnings["findingsLeftOut"]),
        (&json!("add"), &json!(0))
    );

    let reader = service.reader();
    let again = format!("versions/{NEW}?$select=warnings");
    assert_eq!(
        reader.get(reader.us(&again)).await.expect(200).json()["warnings"],
        *warnings
    );
    let whole = reader.version(NEW).await.expect(200).json();
    assert_eq!(whole.get("warnings"), None);
    let newest = reader.us("versions/16.0.1.3?$select=warnings");
    let newest = reader.get(newest).await.expect(200).json();
    assert_eq!(newest["warnings"]["verdict"], "compatible", "{newest}");
    assert_eq!(newest["warnings"]["old"]["version"], NEW);
    let listed = reader.get(versions("warnings")).await.expect(200).rows();
    assert_eq!(listed[0].get("warnings"), None);

    let other_line = upload_body(&with_fields("16.1.0.0", &["No."]), "Available");
    let other_line = owner.post(versions("warnings"), other_line).await.expect(200);
    assert_eq!(other_line.json().get("warnings"), None);
}

async fn a_plan_and_scheduling_heed_the_forecast(backend: Backend) {
    let service = Harness::start(backend).await;
    has_both(&service).await;
    let environment = Environment::my_customer(OLD);
    service.operator().reports(&environment).await.expect(201);
    let rows = plan(&service.reader()).await;
    assert_eq!(rows[0]["eligible"], false);
    let reason = &rows[0]["reasons"][0];
    assert_eq!(reason["code"], "SchemaBreak");
    let refused = service.owner().schedules(&environment, NEW).await;
    let refused = refused.broke_rule("SchemaBreak").message();
    for message in [reason["message"].as_str().unwrap(), &refused] {
        for named in [OLD, NEW, "50100", "Route", "Name", "field-removed"] {
            assert!(message.contains(named), "{message}");
        }
    }
    let path = format!("environmentHotfixes/plan?targetAppVersion={NEW}&$filter=eligible eq false");
    let reader = service.reader();
    let filtered = reader.get(reader.us(&path)).await.expect(200).rows();
    assert_eq!(filtered.len(), 1);
}

async fn whoever_knows_better_schedules_despite_the_forecast(backend: Backend) {
    let service = Harness::start(backend).await;
    has_both(&service).await;
    let environment = Environment::my_customer(OLD);
    service.operator().reports(&environment).await.expect(201);
    let owner = service.owner();
    let hotfix = owner
        .post(owner.us("environmentHotfixes"), scheduling(&environment))
        .await;
    assert_eq!(hotfix.expect(200).property("status"), "Scheduled");
    let audit = "/operator/v1/audit?$filter=action eq 'environmentHotfixes/write'";
    let audit = service.operator().get(audit).await.expect(200).rows();
    let after = &audit[0]["after"];
    assert_eq!(after["despiteForecast"], true, "{audit:?}");
    let forecast = after["forecast"].as_str().unwrap();
    for named in ["Route", "Name", "field-removed"] {
        assert!(forecast.contains(named), "{forecast}");
    }
    let wrong = json!({ "despiteForecast": "perhaps" });
    let mut body = environment.hotfix(NEW);
    body.as_object_mut()
        .unwrap()
        .extend(wrong.as_object().unwrap().clone());
    let refused = owner.post(owner.us("environmentHotfixes"), body).await;
    assert_eq!(refused.refused(400, "InvalidInput").target(), "despiteForecast");
}

async fn where_the_installed_version_is_not_known_nothing_is_forecast(backend: Backend) {
    let service = Harness::start(backend).await;
    has_both(&service).await;
    let environment = Environment::my_customer("16.0.1.0");
    service.operator().reports(&environment).await.expect(201);
    let rows = plan(&service.owner()).await;
    assert_eq!(rows[0]["reasons"].to_string().matches("SchemaBreak").count(), 0);
    let scheduled = service.owner().schedules(&environment, NEW).await;
    assert!(!scheduled.text().contains("SchemaBreak"), "{scheduled:?}");
}

async fn lacks(caller: &Caller, package: &PackageBuilder) -> Answer {
    let body = upload_body(package, "Available");
    let answer = caller.post(versions("missingDependencies"), body).await;
    answer.expect(200)
}

async fn an_upload_tells_what_its_country_lacks(backend: Backend) {
    let service = Harness::start(backend).await;
    service.has_app(LIBRARY).await;
    let (owner, library) = (service.owner(), service.owner().on(LIBRARY));
    let missing = |answer: &Answer| answer.json()["missingDependencies"].clone();
    let row = |countries: &[&str]| {
        json!([{
            "appId": LIBRARY,
            "name": "Example Library",
            "version": "2.0.0.0",
            "countries": countries,
        }])
    };
    library.has_uploaded("1.9.0.0").await;
    let nowhere = lacks(&owner, &package_needing_library("16.0.1.0", "2.0.0.0")).await;
    assert_eq!(missing(&nowhere), row(&[]));
    library.adds_country("DE").await.expect(200);
    let german = library.uploads_to("DE", &package_of(LIBRARY, "2.1.0.0"), "Available");
    german.await.expect(200);
    let elsewhere = lacks(&owner, &package_needing_library("16.0.1.1", "2.0.0.0")).await;
    assert_eq!(missing(&elsewhere), row(&["DE"]));
    library
        .uploads(&package_of(LIBRARY, "2.1.0.0"), "Available")
        .await
        .expect(200);
    let here = lacks(&owner, &package_needing_library("16.0.1.2", "2.0.0.0")).await;
    assert_eq!(missing(&here), json!([]));
}

async fn what_other_apps_have_is_told_to_their_callers_alone(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    let unknown = lacks(&owner, &package_needing_library("16.0.1.0", "2.0.0.0")).await;
    assert_eq!(unknown.json()["missingDependencies"], json!([]));
    service.has_app(LIBRARY).await;
    let library = owner.on(LIBRARY);
    library.removes(&Person::CONTRIBUTOR).await.expect(204);
    let (contributor, package) = (
        service.contributor(),
        package_needing_library("16.0.1.1", "2.0.0.0"),
    );
    let answer = lacks(&contributor, &package).await;
    assert_eq!(answer.json()["missingDependencies"], json!([]));
}
