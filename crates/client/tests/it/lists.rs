//! Lists: pages, options, and rows of which somebody else knows more than we do.

use crate::service::{APP, Service, TAG, answer, json};
use client::{Error, Query};
use futures::StreamExt;
use serde_json::{Value, json};

fn country(code: &str) -> Value {
    json!({"countryCode": code, "_etag": TAG, "new": {"a": 1}})
}

#[tokio::test]
async fn rows_come_over_all_pages_and_no_page_is_asked_for_before_it_is_needed() {
    let service = Service::start(|asked, _| match asked.uri.query() {
        None => json(&json!({"value": [country("DK"), country("DE")], "@odata.nextLink": "?page=2"})),
        _ => json(&json!({"value": [country("US")]})),
    })
    .await;
    let countries = service.client().list_countries(APP);
    let mut rows = Box::pin(countries.rows());
    assert_eq!(rows.next().await.unwrap().unwrap().country_code.as_str(), "DK");
    assert_eq!(rows.next().await.unwrap().unwrap().country_code.as_str(), "DE");
    assert_eq!(service.journal().len(), 1);
    assert_eq!(rows.next().await.unwrap().unwrap().country_code.as_str(), "US");
    assert!(rows.next().await.is_none());
    let plain = countries.json().all().await.unwrap();
    assert_eq!(plain[2]["new"]["a"], 1, "what we do not know is passed on");
}

#[tokio::test]
async fn options_are_those_of_every_service() {
    let service = Service::start(|_, _| json(&json!({"value": []}))).await;
    let query = Query::default()
        .filter("type eq 'Sandbox'".to_owned())
        .orderby("name desc".to_owned())
        .top(5)
        .skip(2)
        .select("name".to_owned());
    let plan = service
        .client()
        .plan_hotfixes(APP, "US", domain::version::AppVersion([1, 0, 0, 0]))
        .run_after("2026-11-30T18:00:00Z".parse().unwrap())
        .ignoring_windows();
    assert_eq!(plan.query(query).all().await.unwrap(), []);
    let asked = service.journal();
    assert_eq!(
        asked[0].uri.query().unwrap(),
        "targetAppVersion=1%2E0%2E0%2E0&runAfter=2026%2D11%2D30T18%3A00%3A00%2E0000000Z&ignoreUpgradeWindow=true\
         &$filter=type%20eq%20%27Sandbox%27&$orderby=name%20desc&$top=5&$skip=2\
         &$select=name"
    );
}

#[tokio::test]
async fn rows_are_counted_by_the_service_or_else_here() {
    let counting = Service::start(|_, _| json(&json!({"@odata.count": 41, "value": []}))).await;
    let filtered = Query::default().filter("name eq 'A'".to_owned()).top(3);
    let count = counting.client().list_apps().query(filtered).count().await;
    assert_eq!(count.unwrap(), 41);
    assert_eq!(
        counting.journal()[0].uri.query().unwrap(),
        "$filter=name%20eq%20%27A%27&$count=true&$top=0"
    );
    let not_counting = Service::start(|asked, _| match asked.uri.query() {
        Some("page=2") => json(&json!({"value": [{}]})),
        _ => json(&json!({"value": [{}, {}], "@odata.nextLink": "?page=2"})),
    })
    .await;
    assert_eq!(not_counting.client().list_apps().count().await.unwrap(), 3);
}

#[tokio::test]
async fn the_token_does_not_follow_a_link_to_somebody_else() {
    let elsewhere = Service::start(|_, _| json(&json!({"value": []}))).await;
    let link = elsewhere.url().to_string();
    let service =
        Service::start(move |_, _| json(&json!({"value": [country("US")], "@odata.nextLink": link}))).await;
    let error = service.client().list_countries(APP).all().await.unwrap_err();
    assert!(matches!(error, Error::ForeignLink { .. }), "{error}");
    assert!(elsewhere.journal().is_empty());
}

#[tokio::test]
async fn what_is_no_list_is_no_empty_one() {
    let service = Service::start(|_, _| answer(200, "{}")).await;
    let error = service.client().list_apps().all().await.unwrap_err();
    assert!(matches!(error, Error::Unreadable { .. }), "{error}");
}
