//! The description of the API: committed, served, complete, and readable without anything from elsewhere.

use crate::{
    every_operation::{CallerKind, Fixture, Guard, Role, described, samples},
    harness::{Backend, Harness},
    reviewed_file,
};
use http::Method;
use serde_json::Value;
use std::collections::BTreeSet;

fn document() -> Value {
    serde_json::from_str(&server::openapi_json()).unwrap()
}

/// Every operation of the document, with its path.
fn operations(document: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for operation in item
            .as_object()
            .unwrap()
            .values()
            .filter(|value| value.is_object())
        {
            found.push((path.clone(), operation.clone()));
        }
    }
    found
}

#[test]
fn the_committed_document_is_the_one_the_code_makes() {
    reviewed_file::holds("openapi.json", &server::openapi_json());
}

#[test]
fn every_operation_has_an_id_a_summary_and_a_tag() {
    let mut ids = BTreeSet::new();
    for (path, operation) in operations(&document()) {
        let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
        assert!(!id.is_empty(), "{path}: no id");
        assert!(
            operation["summary"].as_str().is_some_and(|text| !text.is_empty()),
            "{id}: no summary"
        );
        assert!(
            operation["tags"][0].as_str().is_some_and(|text| !text.is_empty()),
            "{id}: no tag"
        );
        assert!(ids.insert(id.clone()), "{id} is there twice");
    }
    assert!(ids.contains("schedule_hotfix"), "{ids:?}");
}

#[test]
fn every_parameter_of_an_address_is_described() {
    for (path, operation) in operations(&document()) {
        for name in path.split(['{', '}']).skip(1).step_by(2) {
            let mut parameters = operation["parameters"].as_array().into_iter().flatten();
            let is_described =
                parameters.any(|parameter| parameter["name"] == name && parameter["in"] == "path");
            assert!(is_described, "{path}: {name} is not described");
        }
    }
}

/// Whoever knows nothing but the description can make a request of it. That they succeed is found out by
/// `tests/python/openapi_walk.py`.
#[test]
fn every_address_and_body_has_an_example() {
    for (path, operation) in operations(&document()) {
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let is_needed = parameter["required"] == true;
            assert!(
                !is_needed || parameter["example"].is_string(),
                "{path}: {parameter}"
            );
        }
        let body = &operation["requestBody"]["content"]["application/json"];
        assert!(body.is_null() || body["example"].is_object(), "{path}: {body}");
    }
}

#[test]
fn every_link_leads_to_a_parameter_of_an_operation() {
    let document = document();
    let all = operations(&document);
    let mut count = 0;
    for (_, from) in &all {
        for (name, link) in from["responses"]["200"]["links"]
            .as_object()
            .into_iter()
            .flatten()
        {
            let to = all
                .iter()
                .find(|(_, to)| to["operationId"] == link["operationId"]);
            let (path, _) = to.unwrap_or_else(|| panic!("{name} leads nowhere"));
            for parameter in link["parameters"].as_object().unwrap().keys() {
                assert!(
                    path.contains(&format!("{{{parameter}}}")),
                    "{name}: {path} has no {parameter}"
                );
            }
            count += 1;
        }
    }
    assert!(count > 5, "{count}");
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    let mut open = vec![&document];
    while let Some(value) = open.pop() {
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
        }
        match value {
            Value::Object(members) => open.extend(members.values()),
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
}

/// What a value refers to, or the value itself.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let reference = value["$ref"].as_str().and_then(|text| text.strip_prefix('#'));
    reference.map_or(value, |pointer| document.pointer(pointer).unwrap())
}

#[test]
fn every_answer_is_described_and_so_is_what_goes_wrong() {
    let document = document();
    for (path, operation) in operations(&document) {
        let answers = operation["responses"].as_object().unwrap();
        assert!(
            answers.contains_key("4XX") && answers.contains_key("default"),
            "{path}"
        );
        for (status, answer) in answers {
            let answer = resolved(&document, answer);
            let said = answer["description"].as_str().unwrap_or_default();
            assert!(said.ends_with('.'), "{path} {status}: {said}");
            assert!(
                answer["headers"].get("Ms-Correlation-X").is_some(),
                "{path} {status}"
            );
        }
        let said = |name: &str| operation[name].as_str().unwrap().to_owned();
        assert!(!said("summary").contains('\n'), "{path}: {}", said("summary"));
        let whole = said("description");
        assert!(
            whole.starts_with(&said("summary")) && whole.len() > said("summary").len(),
            "{path}: {whole}"
        );
    }
}

#[test]
fn every_parameter_says_what_it_is_and_is_never_null() {
    for (path, operation) in operations(&document()) {
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(parameter["description"].is_string(), "{path}: {parameter}");
            assert!(parameter["schema"]["type"].is_string(), "{path}: {parameter}");
            let counts = ["$top", "$skip"].contains(&parameter["name"].as_str().unwrap());
            assert!(
                !counts || parameter["schema"]["minimum"] == 0,
                "{path}: {parameter}"
            );
        }
    }
}

#[test]
fn a_list_has_rows_of_a_shape_with_a_name() {
    let document = document();
    let mut count = 0;
    for (name, shape) in document["components"]["schemas"].as_object().unwrap() {
        if name.starts_with("List") && name != "Listed_String" {
            assert!(
                shape["properties"]["value"]["items"]["$ref"].is_string(),
                "{name}: {shape}"
            );
            let required = shape["required"].as_array().unwrap();
            assert!(required.contains(&"value".into()), "{name}: {shape}");
            count += 1;
        }
    }
    assert!(count > 20, "{count}");
}

#[test]
fn words_of_a_closed_list_are_listed() {
    let document = document();
    let listed = |shape: &str, property: &str| {
        let described = &document["components"]["schemas"][shape]["properties"][property];
        let one_of = described["oneOf"].as_array().into_iter().flatten();
        let mut all = one_of.chain([described, &described["items"]]);
        let word = all.find_map(|shape| resolved(&document, shape)["enum"].as_array().cloned());
        word.unwrap_or_else(|| panic!("{shape}.{property}: {described}"))
    };
    assert_eq!(
        listed("Version", "availability"),
        ["Preview", "Available", "Deprecated"]
    );
    assert_eq!(listed("VersionPatchBody", "syncMode"), ["Sync", "ForceSync"]);
    assert_eq!(listed("Principal", "roles"), ["Owner", "Contributor", "Reader"]);
    assert_eq!(listed("AdminOperation", "status")[0], "scheduled");
    for (shape, property) in [
        ("EnvironmentHotfix", "status"),
        ("EnvironmentHotfix", "failureCause"),
        ("EnvironmentHotfix", "waitingFor"),
        ("HotfixRequestBody", "environmentType"),
        ("Environment", "type"),
        ("OperationRow", "kind"),
        ("Webhook", "format"),
        ("WebhookDelivery", "status"),
        ("RegisteredAgent", "state"),
        ("Finish", "status"),
        ("AdminApp", "state"),
        ("AdminEnvironment", "appSourceAppsUpdateCadence"),
    ] {
        listed(shape, property);
    }
}

/// What is described of a success is what comes: its status, and its headers. And what has a tag is changed under one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_have_the_headers_that_are_described() {
    let fixture = Fixture::set(Backend::Sqlite).await;
    let document = document();
    let samples = samples();
    for operation in described(&document) {
        let sample = samples
            .iter()
            .find(|sample| sample.operation == operation.id)
            .unwrap();
        let who = match sample.guard {
            Guard::Public => CallerKind::Nobody,
            Guard::AnyToken | Guard::Role(_) => CallerKind::Holder(Role::Owner),
            Guard::Operator => CallerKind::Operator,
            Guard::Agent | Guard::OwnToken => CallerKind::Agent,
            Guard::Run => CallerKind::Run,
            Guard::Administrator(_) if sample.operation == "list_manageable_tenants" => CallerKind::Client,
            Guard::Administrator(_) => CallerKind::Administrator,
        };
        let answer = fixture
            .answer(who, sample, &operation)
            .await
            .expect(sample.success);
        // What the fixture has is not in a state in which it could be done: that answer has no headers of its own.
        if sample.success >= 400 {
            continue;
        }
        let verb = operation.method.as_str().to_lowercase();
        let of_operation = &document["paths"][&operation.path][&verb];
        let described = &of_operation["responses"][sample.success.to_string()]["headers"];
        let described: BTreeSet<_> = described
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        for name in &described {
            // Only to those who asked for pages, and only while something is in the way.
            if !["Preference-Applied", "fame-waiting-for"].contains(name) {
                assert!(answer.has_header(name), "{}: {name}", operation.id);
            }
        }
        let is_tagged = answer.has_header("etag");
        assert_eq!(described.contains("ETag"), is_tagged, "{}", operation.id);
        let mut parameters = of_operation["parameters"].as_array().into_iter().flatten();
        let has_condition = parameters.any(|parameter| parameter["name"] == "If-Match");
        if [Method::PUT, Method::PATCH].contains(&operation.method) {
            assert_eq!(has_condition, is_tagged, "{}", operation.id);
        }
        let only_writes_have_one = !has_condition || operation.method != Method::GET;
        assert!(only_writes_have_one, "{}", operation.id);
    }
}

#[test]
fn operations_say_that_they_need_a_token() {
    let document = document();
    assert_eq!(document["security"][0]["bearer"], Value::Array(Vec::new()));
    assert_eq!(
        document["components"]["securitySchemes"]["bearer"]["scheme"],
        "bearer"
    );
    for (path, operation) in operations(&document) {
        if path.starts_with("/health/") {
            assert_eq!(
                operation["security"],
                serde_json::json!([{}]),
                "{path} needs no token, and should say so"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_served_document_is_the_same() {
    let service = Harness::with(Backend::Sqlite).start_empty().await;
    let served = service.nobody().get("/openapi.json").await.expect(200);
    assert!(
        served.header("content-type").starts_with("application/json"),
        "{served:?}"
    );
    assert_eq!(served.text(), server::openapi_json());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_compressed_for_whoever_asks_for_that() {
    let service = Harness::with(Backend::Sqlite).start_empty().await;
    let nobody = service.nobody();
    let plain = nobody.get("/openapi.json").await.expect(200);
    assert_eq!(plain.header("vary"), "Accept-Encoding");
    let short = nobody.get("/openapi.json").header("accept-encoding", "gzip");
    let short = short.await.expect(200);
    assert_eq!(short.header("content-encoding"), "gzip");
    assert_eq!(short.decompressed().text(), plain.text());
    let refused = nobody.get("/openapi.json").header("accept-encoding", "gzip;q=0");
    assert_eq!(refused.await.expect(200).text(), plain.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_needs_nothing_from_elsewhere() {
    let service = Harness::with(Backend::Sqlite).start_empty().await;
    let page = service.nobody().get("/").await.expect(200);
    assert!(page.header("content-type").starts_with("text/html"), "{page:?}");
    let text = page.text();
    for (_, operation) in operations(&document()) {
        let id = operation["operationId"].as_str().unwrap();
        assert!(
            text.contains(&format!("<tr id=\"{id}\">")),
            "{id} is not on the page"
        );
    }
    for foreign in [
        "<script",
        "javascript:",
        "onload",
        "onclick",
        "src=",
        "://",
        "=\"//",
        "@import",
        "url(",
        "<link",
    ] {
        assert!(!text.contains(foreign), "the page has {foreign}");
    }
}
