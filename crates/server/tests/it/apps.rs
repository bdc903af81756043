//! `/apps`: only those on which the caller has a role, and what the caller may do with them.

use crate::harness::{APP, Backend, HOME_TENANT, Harness, LIBRARY, Person, on_both_databases, package};
use serde_json::{Value, json};

on_both_databases!(
    an_app_is_shown_as_documented,
    only_apps_with_a_role_are_listed,
    an_app_without_a_role_is_as_if_it_did_not_exist,
    the_name_is_that_of_the_highest_version_and_leaves_the_tag_alone,
    permissions_follow_from_the_role,
    roles_are_explained_to_every_principal,
    every_version_of_the_api_behaves_the_same,
);

async fn an_app_is_shown_as_documented(backend: Backend) {
    let service = Harness::start(backend).await;
    let app = service
        .reader()
        .get(format!("/v1.0/apps/{APP}"))
        .await
        .expect(200);
    let expected = json!({
        "id": APP,
        "publisher": "Contoso",
        "publisherAadTenantId": HOME_TENANT,
        "publisherContactEmail": "publisher@contoso.com",
        "storageLocation": "West Europe",
        "_etag": app.etag(),
    });
    assert_eq!(app.json(), expected);
    assert_eq!(app.header("etag"), format!("W/\"{}\"", app.etag()));
    assert_eq!(app.header("content-type"), "application/json; charset=utf-8");
    let listed = service
        .reader()
        .get("/v1.0/apps?$filter=storageLocation eq 'West Europe'")
        .await
        .expect(200);
    assert_eq!(listed.json(), json!({ "value": [expected] }));
}

async fn only_apps_with_a_role_are_listed(backend: Backend) {
    let service = Harness::start(backend).await;
    service.operator().on(LIBRARY).registers_app().await.expect(201);
    assert_eq!(
        service.owner().get("/v1.4/apps").await.expect(200).column("id"),
        [LIBRARY, APP].map(|id| id.to_string())
    );
    assert_eq!(
        service.reader().get("/v1.4/apps").await.expect(200).column("id"),
        [APP.to_string()]
    );
    for caller in [service.stranger(), service.operator()] {
        assert_eq!(
            caller.get("/v1.4/apps").await.expect(200).json(),
            json!({ "value": [] })
        );
        assert_eq!(caller.get("/v1.4/apps/$count").await.expect(200).text(), "0");
    }
    assert_eq!(
        service.owner().get("/v1.4/apps/$count").await.expect(200).text(),
        "2"
    );
}

async fn an_app_without_a_role_is_as_if_it_did_not_exist(backend: Backend) {
    let service = Harness::start(backend).await;
    let stranger = service.stranger();
    let told = |text: String, id: &str| text.replace(id, "APP");
    for rest in [
        "",
        "/countries",
        "/principals",
        "/roles",
        "/countries/US/versions",
    ] {
        let hidden = stranger
            .get(format!("/v1.4/apps/{APP}{rest}"))
            .await
            .refused(404, "ResourceDoesNotExist");
        let absent = stranger
            .get(format!("/v1.4/apps/{LIBRARY}{rest}"))
            .await
            .refused(404, "ResourceDoesNotExist");
        assert_eq!(
            told(hidden.message(), &APP.to_string()),
            told(absent.message(), &LIBRARY.to_string()),
            "{rest}"
        );
    }
    let answer = service.reader().get("/v1.4/apps/no-guid").await;
    assert!([400, 404].contains(&answer.status), "{answer:?}");
}

async fn the_name_is_that_of_the_highest_version_and_leaves_the_tag_alone(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    let before = owner.get(owner.app_path()).await.expect(200);
    assert_eq!(before.json().get("name"), None);
    let named =
        |version: &str, name: &str| navx::PackageBuilder::new(APP, name, "Contoso", version.parse().unwrap());
    owner
        .uploads(&named("10.0.0.0", "Sales Pack"), "Preview")
        .await
        .expect(200);
    owner
        .uploads(&named("9.9.9.9", "Old Pack"), "Available")
        .await
        .expect(200);
    let after = owner.get(owner.app_path()).await.expect(200);
    assert_eq!(after.property("name"), "Sales Pack");
    assert_eq!(after.etag(), before.etag());
    owner.uploads(&package("10.0.0.1"), "Preview").await.expect(200);
    assert_eq!(owner.get("/v1.4/apps").await.column("name"), ["ExampleApp"]);
}

async fn permissions_follow_from_the_role(backend: Backend) {
    let service = Harness::start(backend).await;
    let path = format!("/v1.4/apps/{APP}/getMyPermissions");
    let actions = |answer: &crate::harness::Answer| {
        let mut actions = answer.column("action");
        actions.sort();
        actions
    };
    let reads = [
        "apps",
        "countries",
        "environmentHotfixes",
        "environments",
        "principals",
        "versions",
    ];
    let reader = service.reader().post(&path, json!({})).await.expect(200);
    assert_eq!(actions(&reader), reads.map(|resource| format!("{resource}/read")));
    let empty = service.reader().asks(http::Method::POST, &path);
    assert_eq!(empty.await.expect(200).json(), reader.json());
    assert_eq!(
        service.reader().get(&path).await.expect(200).json(),
        reader.json()
    );

    let contributor = actions(&service.contributor().get(&path).await);
    for resource in ["countries", "versions", "environmentHotfixes"] {
        assert!(
            contributor.contains(&format!("{resource}/write")),
            "{contributor:?}"
        );
    }
    assert!(!contributor.contains(&"principals/write".to_owned()));
    let owner = actions(&service.owner().get(&path).await);
    assert!(owner.contains(&"principals/write".to_owned()));
    service
        .stranger()
        .post(&path, json!({}))
        .await
        .refused(404, "ResourceDoesNotExist");
}

async fn roles_are_explained_to_every_principal(backend: Backend) {
    let service = Harness::start(backend).await;
    let roles = service
        .reader()
        .get(format!("/v1.4/apps/{APP}/roles"))
        .await
        .expect(200);
    let mut names = roles.column("name");
    names.sort();
    assert_eq!(names, ["Contributor", "Owner", "Reader"]);
    let rows = roles.rows();
    let of = |name: &str| rows.iter().find(|row| row["name"] == name).unwrap()["permissions"].clone();
    let has = |name: &str, action: &str| of(name).as_array().unwrap().contains(&Value::from(action));
    assert!(
        has("Owner", "principals/write")
            && has("Contributor", "versions/write")
            && has("Reader", "apps/read")
    );
    assert!(!has("Contributor", "principals/write") && !has("Reader", "versions/write"));
    // What is explained is what is enforced.
    let mine = service
        .caller(&Person::READER)
        .get(format!("/v1.4/apps/{APP}/getMyPermissions"))
        .await;
    assert_eq!(json!(mine.column("action")), of("Reader"));
}

async fn every_version_of_the_api_behaves_the_same(backend: Backend) {
    let service = Harness::start(backend).await;
    let reader = service.reader();
    let expected = reader.get("/v1.0/apps").await.expect(200).json();
    for path in [
        "/v1.1/apps",
        "/v1.2/apps/",
        "/v1.3/Apps",
        "/V1.4/APPS",
        "/v1.4/apps?",
    ] {
        assert_eq!(reader.get(path).await.expect(200).json(), expected, "{path}");
    }
    for path in [
        "/v1.5/apps",
        "/v2.0/apps",
        "/v2/apps",
        "/v1/apps",
        "/apps",
        "/v1.40/apps",
    ] {
        reader.get(path).await.refused(404, "ResourceDoesNotExist");
    }
    for id in [
        APP.to_string().to_uppercase(),
        format!("{{{APP}}}"),
        APP.simple().to_string(),
    ] {
        assert_eq!(
            reader
                .get(format!("/v1.4/apps/{id}"))
                .await
                .expect(200)
                .property("id"),
            APP.to_string()
        );
        assert_eq!(
            reader
                .get(format!("/v1.4/apps({id})"))
                .await
                .expect(200)
                .property("id"),
            APP.to_string()
        );
    }
}
