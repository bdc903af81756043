//! The description of the API: committed, served, complete, and readable without anything from elsewhere.

use crate::{
    harness::{Backend, Harness},
    reviewed_file,
};
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
