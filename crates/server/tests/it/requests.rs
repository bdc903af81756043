//! What a request must be, whoever sends it and whatever for, and what every answer says of itself.

use crate::harness::{Answer, Backend, Harness, on_both_databases};

on_both_databases!(
    a_host_is_not_believed,
    what_is_no_text_is_a_wrong_address_like_any_other,
);

/// Links lead to this machine, where it is named, or begin with their path: whoever names another host gets nobody there.
async fn a_host_is_not_believed(backend: Backend) {
    let service = Harness::start(backend).await;
    service.owner().has_uploaded("1.0.0.0").await;
    let reader = service.reader();
    let path = reader.us("versions/1.0.0.0");
    let context = |answer: &Answer| answer.property("@odata.context");
    let here = reader.get(&path).odata().await.expect(200);
    assert!(context(&here).starts_with(&service.base_url()), "{here:?}");
    for host in ["evil.example", "127.0.0.1.evil.example", "10.0.0.1"] {
        let elsewhere = reader.get(&path).odata().header("host", host).await.expect(200);
        assert!(
            context(&elsewhere).starts_with("/v1.4/$metadata#"),
            "{elsewhere:?}"
        );
    }
    let named = Harness::with(backend).setting("server.public_url", "https://fame.contoso.com/x/");
    let named = named.start().await;
    let answer = named
        .reader()
        .get("/v1.4/apps")
        .odata()
        .header("host", "evil.example")
        .await;
    assert!(context(&answer.expect(200)).starts_with("https://fame.contoso.com/x/v1.4/"));
}

async fn what_is_no_text_is_a_wrong_address_like_any_other(backend: Backend) {
    let service = Harness::start(backend).await;
    let reader = service.reader();
    let app = reader.app_path();
    for (path, status, code) in [
        ("/v1.4/apps/%ff".to_owned(), 400, "InvalidInput"),
        (format!("{app}/countries/%ff"), 400, "InvalidInput"),
        (reader.us("versions/%c3%28"), 400, "InvalidInput"),
        (reader.us("environments/a%ffb"), 404, "EnvironmentNotFound"),
        (reader.us("environments('a%ffb')"), 404, "EnvironmentNotFound"),
    ] {
        service.nobody().get(&path).await.refused(401, "Unauthorized");
        reader.get(&path).await.refused(status, code);
    }
    for path in ["/operator/v1/apps/%ff", "/operator/v1/environments/%ff/b/c"] {
        service.nobody().get(path).await.refused(401, "Unauthorized");
        reader.get(path).await.refused(403, "Forbidden");
        service.operator().get(path).await.refused(400, "InvalidInput");
    }
    service
        .nobody()
        .get("/v1.4/%ff")
        .await
        .refused(404, "ResourceDoesNotExist");
}
