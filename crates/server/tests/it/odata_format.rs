//! The format that OData clients get: context, tags, nulls, headers; service document and metadata.

use crate::harness::{APP, Backend, Environment, Harness, Request, country_path, on_both_databases};
use serde_json::{Value, json};

on_both_databases!(
    whoever_speaks_odata_is_answered_in_odata,
    a_list_has_a_context_and_each_row_a_tag,
    an_entity_has_a_context_and_its_nulls,
    a_selection_is_named_in_the_context,
    a_hotfix_shows_what_it_has_not_yet,
    what_is_made_says_where_it_is,
    an_error_is_the_error_object_alone,
    older_versions_than_4_are_refused,
    formats_are_json,
    the_service_document_leads_to_the_apps,
    the_metadata_describes_all_types,
);

async fn whoever_speaks_odata_is_answered_in_odata(backend: Backend) {
    let service = Harness::start(backend).await;
    let reader = service.reader();
    let apps = || reader.get("/v1.4/apps");
    let odata: [Request; 6] = [
        apps().header("odata-maxversion", "4.0"),
        apps().header("odata-maxversion", "4.01"),
        apps().header("odata-version", "4.0"),
        apps().header("accept", "application/json;odata.metadata=full"),
        apps().header("accept", "application/json; metadata=none"),
        reader.get("/v1.4/apps?$format=json"),
    ];
    for request in odata {
        let answer = request.await.expect(200);
        assert_eq!(answer.header("odata-version"), "4.0", "{answer:?}");
        assert_eq!(
            answer.header("content-type"),
            "application/json;odata.metadata=minimal"
        );
        let first = answer.json().as_object().unwrap().keys().next().unwrap().clone();
        assert_eq!(first, "@odata.context");
    }
    for accept in ["application/json", "*/*", "application/json, text/plain, */*"] {
        let bare = apps().header("accept", accept).await.expect(200);
        assert!(!bare.has_header("odata-version"), "{accept}");
        assert_eq!(
            bare.json().as_object().unwrap().keys().collect::<Vec<_>>(),
            ["value"]
        );
    }
}

async fn a_list_has_a_context_and_each_row_a_tag(backend: Backend) {
    let service = Harness::start(backend).await;
    service.owner().has_uploaded("1.0.0.0").await;
    let root = service.base_url();
    let lists = [
        ("/v1.3/apps".to_owned(), "v1.3/$metadata#apps".to_owned()),
        (
            country_path(APP, "US", "versions"),
            format!("v1.4/$metadata#apps({APP})/countries('US')/versions"),
        ),
        (
            format!("/v1.4/apps/{APP}/principals"),
            format!("v1.4/$metadata#apps({APP})/principals"),
        ),
    ];
    for (path, context) in lists {
        let answer = service.reader().get(path).odata().await.expect(200);
        assert_eq!(answer.json()["@odata.context"], format!("{root}/{context}"));
        for row in answer.rows() {
            assert_eq!(
                row["@odata.etag"],
                format!("W/\"{}\"", row["_etag"].as_str().unwrap())
            );
        }
    }
    let counted = service
        .reader()
        .get("/v1.4/apps?$count=true&$top=0")
        .odata()
        .await
        .expect(200);
    assert_eq!(counted.json()["@odata.count"], 1);
}

async fn an_entity_has_a_context_and_its_nulls(backend: Backend) {
    let service = Harness::start(backend).await;
    let path = format!("/v1.4/apps/{APP}");
    let bare = service.reader().get(&path).await.expect(200);
    let app = service.reader().get(&path).odata().await.expect(200);
    let body = app.json();
    assert_eq!(
        body["@odata.context"],
        format!("{}/v1.4/$metadata#apps/$entity", service.base_url())
    );
    assert_eq!(body["@odata.etag"], app.header("etag"));
    assert_eq!(body["name"], Value::Null);
    assert!(body.as_object().unwrap().contains_key("name"));
    assert_eq!(bare.json().get("name"), None);
    assert_eq!(bare.header("etag"), app.header("etag"));
    let principal = service
        .reader()
        .get(format!("{path}/principals/{}", crate::harness::Person::OWNER.id));
    assert_eq!(
        principal.odata().await.expect(200).json()["aadTenantId"],
        Value::Null
    );
}

async fn a_selection_is_named_in_the_context(backend: Backend) {
    let service = Harness::start(backend).await;
    let answer = service
        .reader()
        .get("/v1.4/apps?$select=publisher")
        .odata()
        .await
        .expect(200);
    let context = format!("{}/v1.4/$metadata#apps(id,publisher)", service.base_url());
    assert_eq!(answer.json()["@odata.context"], context);
    let row = &answer.rows()[0];
    assert_eq!(
        (row["id"].clone(), row.get("storageLocation")),
        (json!(APP), None)
    );
}

async fn a_hotfix_shows_what_it_has_not_yet(backend: Backend) {
    let service = Harness::start(backend).await;
    service.owner().has_uploaded("1.0.0.1").await;
    let environment = Environment::my_customer("1.0.0.0");
    service.operator().reports(&environment).await.expect(201);
    let hotfix = service
        .owner()
        .schedules(&environment, "1.0.0.1")
        .await
        .expect(200);
    let path = service.reader().hotfix_path(&hotfix);
    let seen = service.reader().get(path).odata().await.expect(200).json();
    for property in ["startedOn", "completedOn", "errorMessage"] {
        assert_eq!(seen.get(property), Some(&Value::Null), "{property}");
        assert_eq!(hotfix.json().get(property), None, "{property}");
    }
    assert_eq!(seen["ignoreUpgradeWindow"], false);
}

async fn what_is_made_says_where_it_is(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    let uploaded = owner
        .uploads(&crate::harness::package("1.0.0.1"), "Available")
        .odata()
        .await
        .expect(201);
    let path = country_path(APP, "US", "versions");
    let location = uploaded.header("location").to_owned();
    assert!(
        location.starts_with(&format!("{}{path}", service.base_url())),
        "{location}"
    );
    let local = location.strip_prefix(&service.base_url()).unwrap();
    assert_eq!(owner.get(local).await.expect(200).property("version"), "1.0.0.1");
    let environment = Environment::my_customer("1.0.0.0");
    service.operator().reports(&environment).await.expect(201);
    let hotfix = owner.schedules(&environment, "1.0.0.1").odata().await.expect(201);
    let local = hotfix
        .header("location")
        .strip_prefix(&service.base_url())
        .unwrap()
        .to_owned();
    assert_eq!(
        owner.get(local).await.expect(200).property("id"),
        hotfix.property("id")
    );
}

async fn an_error_is_the_error_object_alone(backend: Backend) {
    let service = Harness::start(backend).await;
    let missing = service
        .reader()
        .get(format!("/v1.4/apps/{APP}/countries/DK"))
        .odata()
        .await;
    let missing = missing.refused(404, "ResourceDoesNotExist");
    assert_eq!(missing.header("odata-version"), "4.0");
    assert_eq!(missing.json().as_object().unwrap().len(), 1);
}

async fn older_versions_than_4_are_refused(backend: Backend) {
    let service = Harness::start(backend).await;
    for version in ["3.0", "2.0", "1.0"] {
        for path in ["/v1.4/apps", "/v1.4/", "/v1.4/$metadata"] {
            let answer = service
                .reader()
                .get(path)
                .header("odata-maxversion", version)
                .await;
            assert_eq!(answer.status, 400, "{path} {version}");
        }
    }
}

async fn formats_are_json(backend: Backend) {
    let service = Harness::start(backend).await;
    for format in ["json", "application/json", "application/json;odata.metadata=none"] {
        service
            .reader()
            .get(format!("/v1.4/apps?$format={format}"))
            .await
            .expect(200);
    }
    for format in ["xml", "atom", "application/atom%2Bxml"] {
        let answer = service.reader().get(format!("/v1.4/apps?$format={format}")).await;
        assert!([406, 415].contains(&answer.status), "{answer:?}");
    }
    let wins = service
        .reader()
        .get("/v1.4/apps?$format=json")
        .header("accept", "application/atom+xml")
        .await;
    wins.expect(200);
}

async fn the_service_document_leads_to_the_apps(backend: Backend) {
    let service = Harness::start(backend).await;
    let expected = json!({
        "@odata.context": format!("{}/v1.4/$metadata", service.base_url()),
        "value": [{ "name": "apps", "kind": "EntitySet", "url": "apps" }],
    });
    for path in ["/v1.4/", "/v1.4", "/V1.4/"] {
        let document = service.stranger().get(path).await.expect(200);
        assert_eq!(document.header("odata-version"), "4.0");
        assert_eq!(document.json()["value"], expected["value"]);
    }
    assert_eq!(service.stranger().get("/v1.4/").await.json(), expected);
    service.nobody().get("/v1.4/").await.refused(401, "Unauthorized");
}

async fn the_metadata_describes_all_types(backend: Backend) {
    let service = Harness::start(backend).await;
    let metadata = service.stranger().get("/v1.4/$metadata").await.expect(200);
    assert!(metadata.header("content-type").starts_with("application/xml"));
    assert_eq!(metadata.header("odata-version"), "4.0");
    for name in [
        "app",
        "country",
        "principal",
        "version",
        "environment",
        "environmentHotfix",
    ] {
        assert!(
            metadata.text().contains(&format!("<EntityType Name=\"{name}\"")),
            "{name}"
        );
    }
    assert!(metadata.text().contains("EntitySet Name=\"apps\""));
    let known = service
        .stranger()
        .get("/v1.0/$METADATA")
        .header("if-none-match", metadata.header("etag"))
        .await;
    known.expect(304);
    service
        .nobody()
        .get("/v1.4/$metadata")
        .await
        .refused(401, "Unauthorized");
    let xml = service
        .stranger()
        .get("/v1.4/$metadata?$format=xml")
        .await
        .expect(200);
    assert_eq!(xml.body, metadata.body);
}
