//! What one app may take up.

use crate::harness::{
    APP, Backend, Environment, Harness, LIBRARY, Person, bytes_of, on_both_databases, package, package_of,
};

on_both_databases!(
    an_app_has_so_many_versions,
    an_app_has_so_many_bytes,
    so_many_hotfixes_of_an_app_wait,
    owners_add_so_many_principals,
);

async fn an_app_has_so_many_versions(backend: Backend) {
    let service = Harness::with(backend)
        .setting("quotas.app_versions", 2)
        .start()
        .await;
    let owner = service.owner();
    owner.has_uploaded("1.0.0.0").await;
    owner.adds_country("DK").await.expect(200);
    let denmark = || owner.uploads_to("DK", &package("1.0.0.0"), "Available");
    denmark().await.expect(200);
    let refused = owner.uploads(&package("1.0.0.1"), "Available").await;
    let refused = refused.broke_rule("QuotaExceeded");
    for fact in [APP.to_string().as_str(), "2 versions", "quotas.app_versions"] {
        assert!(refused.message().contains(fact), "{}", refused.message());
    }
    service
        .until("nothing of it is left", async || {
            service.staged_files().is_empty()
        })
        .await;
    // What is there stays as it is, and another app has a quota of its own.
    denmark().await.refused(409, "ResourceExists");
    owner.version("1.0.0.0").await.expect(200);
    service.has_app(LIBRARY).await;
    let other = owner
        .on(LIBRARY)
        .uploads(&package_of(LIBRARY, "1.0.0.0"), "Available");
    other.await.expect(200);
}

async fn an_app_has_so_many_bytes(backend: Backend) {
    let size = bytes_of(&package("1.0.0.0")).len();
    let quota = size * 2 + 10;
    let service = Harness::with(backend)
        .setting("quotas.app_bytes", quota)
        .start()
        .await;
    let owner = service.owner();
    owner.has_uploaded("1.0.0.0").await;
    owner.has_uploaded("1.0.0.1").await;
    let refused = owner.uploads(&package("1.0.0.2"), "Available").await;
    let refused = refused.broke_rule("QuotaExceeded");
    assert!(
        refused.message().contains(&quota.to_string()),
        "{}",
        refused.message()
    );
    service
        .until("nothing of it is left", async || {
            service.staged_files().is_empty()
        })
        .await;
}

async fn so_many_hotfixes_of_an_app_wait(backend: Backend) {
    let plan = Harness::with(backend).setting("quotas.app_scheduled_hotfixes", 1);
    let service = plan.start().await;
    let owner = service.owner();
    owner.has_uploaded("1.0.0.1").await;
    let places = ["One", "Two"].map(|name| Environment::named(name).has(APP, "1.0.0.0"));
    for place in &places {
        service.operator().reports(place).await.expect(201);
    }
    let [one, two] = &places;
    let first = owner.schedules(one, "1.0.0.1").await.expect(200);
    owner.schedules(two, "1.0.0.1").await.broke_rule("QuotaExceeded");
    owner.cancels(&first).await.expect(200);
    owner.schedules(two, "1.0.0.1").await.expect(200);
}

async fn owners_add_so_many_principals(backend: Backend) {
    // The sample app has five.
    let service = Harness::with(backend)
        .setting("quotas.app_principals", 6)
        .start()
        .await;
    let owner = service.owner();
    owner.grants(&Person::STRANGER, &["Reader"]).await.expect(200);
    let refused = owner.grants(&Person::SECOND_OWNER, &["Reader"]).await;
    refused.broke_rule("QuotaExceeded");
    owner
        .grants(&Person::STRANGER, &["Contributor"])
        .await
        .expect(200);
    let broken_glass = format!("/operator/v1/apps/{APP}/principals/{}", Person::SECOND_OWNER.id);
    let body = crate::harness::principal_body(&Person::SECOND_OWNER, &["Owner"]);
    service.operator().put(broken_glass, body).await.expect(200);
}
