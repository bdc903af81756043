//! `/apps/{appId}/countries`: an idempotent upsert, and nothing implicit.

use crate::harness::{APP, Backend, Environment, Harness, LIBRARY, country_path, on_both_databases, package};
use serde_json::json;

on_both_databases!(
    adding_a_country_again_changes_nothing,
    a_body_must_be_there_but_may_be_empty,
    path_and_body_must_name_the_same_country,
    only_countries_of_the_table_are_known,
    the_worldwide_localisation_is_a_country_where_it_is_switched_on,
    countries_are_listed_by_code_and_found_in_any_case,
    what_needs_a_country_does_not_create_it,
    contributors_add_countries_and_readers_do_not,
    conditions_are_kept,
);

fn path(code: &str) -> String {
    format!("/v1.4/apps/{APP}/countries/{code}")
}

async fn adding_a_country_again_changes_nothing(backend: Backend) {
    let service = Harness::start(backend).await;
    let contributor = service.contributor();
    let added = contributor.adds_country("AT").await.expect(200);
    assert_eq!(
        added.json(),
        json!({ "countryCode": "AT", "_etag": added.etag() })
    );
    let again = contributor.adds_country("AT").await.expect(200);
    assert_eq!(again.json(), added.json());
    assert_eq!(again.header("etag"), format!("W/\"{}\"", added.etag()));
    let read = contributor.get(path("AT")).await.expect(200);
    assert_eq!(read.json(), added.json());
}

async fn a_body_must_be_there_but_may_be_empty(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    let nothing = owner.asks(http::Method::PATCH, path("AT"));
    nothing.await.refused(400, "RequestBodyRequired");
    for body in ["null", "[]", "\"AT\"", "{"] {
        let answer = owner
            .asks(http::Method::PATCH, path("AT"))
            .bytes(body)
            .await
            .expect(400);
        assert!(
            ["RequestBodyRequired", "InvalidInput"].contains(&answer.code().as_str()),
            "{answer:?}"
        );
    }
    owner.get(path("AT")).await.refused(404, "ResourceDoesNotExist");
    owner.patch(path("AT"), json!({})).await.expect(200);
    let with_more = json!({ "COUNTRYCODE": "at", "_etag": "ignored", "@odata.context": "ignored" });
    owner.patch(path("AT"), with_more).await.expect(200);
    let marked = owner
        .asks(http::Method::PATCH, path("DK"))
        .bytes("\u{FEFF}{\"countryCode\":\"DK\"}");
    marked.await.expect(200);
}

async fn path_and_body_must_name_the_same_country(backend: Backend) {
    let service = Harness::start(backend).await;
    let answer = service
        .owner()
        .patch(path("AT"), json!({ "countryCode": "DK" }))
        .await;
    let answer = answer.refused(400, "InvalidInput");
    assert_eq!(answer.target(), "countryCode");
    assert_eq!(service.owner().get(path("$count")).await.text(), "1");
}

async fn only_countries_of_the_table_are_known(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    for code in ["ZZ", "USA", "U", "UK", "1", "%20", "W1", "w1"] {
        owner
            .patch(path(code), json!({}))
            .await
            .refused(400, "InvalidInput");
    }
    assert_eq!(
        owner.get(path("")).await.expect(200).column("countryCode"),
        ["US"]
    );
}

async fn the_worldwide_localisation_is_a_country_where_it_is_switched_on(backend: Backend) {
    let service = Harness::with(backend)
        .setting("countries.allow_w1", true)
        .start()
        .await;
    let owner = service.owner();
    owner.patch(path("w1"), json!({})).await.expect(200);
    assert_eq!(
        owner.get(path("")).await.expect(200).column("countryCode"),
        ["US", "W1"]
    );
    // What is stored stays and is shown when it is switched off again.
    let stopped = service.crash().await.with("countries.allow_w1", "false");
    let without = stopped.start().await;
    let reader = without.reader();
    assert_eq!(
        reader.get(path("")).await.expect(200).column("countryCode"),
        ["US", "W1"]
    );
    let refused = without.owner().patch(path("W1"), json!({})).await;
    assert!(refused.refused(400, "InvalidInput").message().contains("W1"));
}

async fn countries_are_listed_by_code_and_found_in_any_case(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    for code in ["dk", "At", "ZM"] {
        owner
            .patch(path(code), json!({ "countryCode": code.to_uppercase() }))
            .await
            .expect(200);
    }
    let listed = service.reader().get(path("")).await.expect(200);
    assert_eq!(listed.column("countryCode"), ["AT", "DK", "US", "ZM"]);
    for spelled in [
        path("dk"),
        path("Dk/"),
        format!("/v1.0/APPS/{{{APP}}}/Countries('DK')"),
    ] {
        assert_eq!(owner.get(spelled).await.expect(200).property("countryCode"), "DK");
    }
    let filtered = owner
        .get(format!("{}?$filter=countryCode eq 'dk'", path("")))
        .await
        .expect(200);
    assert_eq!(filtered.column("countryCode"), ["DK"]);
}

async fn what_needs_a_country_does_not_create_it(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    let upload = owner.uploads_to("DK", &package("1.0.0.0"), "Available").await;
    let message = upload.refused(404, "ResourceDoesNotExist").message();
    assert!(
        message.contains(&format!("fame countries add {APP} DK")),
        "{message}"
    );
    for rest in [
        "versions",
        "versions/1.0.0.0",
        "environments",
        "environmentHotfixes",
    ] {
        let answer = owner.get(country_path(APP, "DK", rest)).await;
        let answer = answer.refused(404, "ResourceDoesNotExist");
        assert_eq!(answer.target(), format!("apps/{APP}/countries/DK"), "{rest}");
    }
    let hotfix = Environment::my_customer("1.0.0.0").hotfix("1.0.0.1");
    owner
        .post(country_path(APP, "DK", "environmentHotfixes"), hotfix)
        .await
        .refused(404, "ResourceDoesNotExist");
    owner.get(path("DK")).await.refused(404, "ResourceDoesNotExist");
}

async fn contributors_add_countries_and_readers_do_not(backend: Backend) {
    let service = Harness::start(backend).await;
    service.contributor().adds_country("AT").await.expect(200);
    service.owner_user().adds_country("DE").await.expect(200);
    let refused = service
        .reader()
        .adds_country("DK")
        .await
        .refused(403, "Forbidden");
    assert!(refused.message().contains("Contributor"), "{refused:?}");
    service
        .stranger()
        .adds_country("DK")
        .await
        .refused(404, "ResourceDoesNotExist");
    service
        .operator()
        .adds_country("DK")
        .await
        .refused(404, "ResourceDoesNotExist");
    service
        .owner()
        .on(LIBRARY)
        .adds_country("DK")
        .await
        .refused(404, "ResourceDoesNotExist");
    assert_eq!(
        service.reader().get(path("")).await.column("countryCode"),
        ["AT", "DE", "US"]
    );
}

async fn conditions_are_kept(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    owner
        .adds_country("AT")
        .header("if-match", "*")
        .await
        .refused(412, "PreconditionFailed");
    owner.get(path("AT")).await.refused(404, "ResourceDoesNotExist");
    owner
        .adds_country("AT")
        .header("if-none-match", "*")
        .await
        .expect(200);
    owner
        .adds_country("AT")
        .header("if-none-match", "*")
        .await
        .refused(412, "PreconditionFailed");
}
