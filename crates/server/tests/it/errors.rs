//! What every answer carries, and how failures look. (That each answer has its correlation id and each error its
//! shape is checked by the harness, for every answer of every test.)

use crate::harness::{APP, Backend, Environment, Harness, on_both_databases};
use http::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

on_both_databases!(
    the_callers_own_ids_are_sent_back_and_never_used,
    an_unknown_address_says_where_the_api_is,
    a_wrong_verb_names_the_right_one,
    head_answers_like_get_without_a_body,
    addresses_are_read_leniently,
    a_character_that_no_name_has_is_refused,
    a_token_in_the_address_is_refused_and_not_repeated,
    a_body_that_is_too_large_is_refused,
    answers_come_in_the_language_and_type_they_say,
    what_is_no_http_is_refused_quickly,
    more_requests_than_fit_are_told_to_wait,
);

async fn the_callers_own_ids_are_sent_back_and_never_used(backend: Backend) {
    let service = Harness::start(backend).await;
    let path = format!("/v1.4/apps/{APP}");
    for name in [
        "client-request-id",
        "x-ms-client-request-id",
        "x-ms-correlation-id",
    ] {
        for (path, status) in [(path.as_str(), 200), ("/nowhere", 404)] {
            let answer = service
                .reader()
                .get(path)
                .header(name, "the caller's 42")
                .await
                .expect(status);
            assert_eq!(answer.header(name), "the caller's 42");
            assert_ne!(answer.header("ms-correlation-x"), "the caller's 42");
        }
        let long = service
            .reader()
            .get(&path)
            .header(name, "x".repeat(129))
            .await
            .expect(200);
        assert!(!long.has_header(name));
        let strange = service
            .reader()
            .get(&path)
            .header(name, "caf\u{e9}".as_bytes())
            .await
            .expect(200);
        assert!(!strange.has_header(name));
    }
    let own = uuid::Uuid::from_u128(42).to_string();
    let answer = service
        .reader()
        .get(&path)
        .header("ms-correlation-x", &own)
        .await
        .expect(200);
    assert_ne!(answer.header("ms-correlation-x"), own);
    let one = service.reader().get(&path).await.header("request-id").to_owned();
    assert_ne!(service.reader().get(&path).await.header("request-id"), one);
}

async fn an_unknown_address_says_where_the_api_is(backend: Backend) {
    let service = Harness::start(backend).await;
    for path in [
        "/v2/apps",
        "/v2.0/apps",
        "/apps",
        "/v1.4/things",
        "/v1.4/apps/x/y/z",
        "/operator/v2/apps",
    ] {
        for caller in [service.owner(), service.nobody()] {
            let answer = caller.get(path).await.refused(404, "ResourceDoesNotExist");
            assert!(answer.message().contains("/v1.4"), "{answer:?}");
        }
    }
}

async fn a_wrong_verb_names_the_right_one(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    let app = owner.app_path();
    let cases = [
        (Method::POST, "/v1.4/apps".to_owned(), "GET"),
        (Method::DELETE, app.clone(), "GET"),
        (Method::PUT, format!("{app}/countries/US"), "PATCH"),
        (Method::DELETE, format!("{app}/countries/US"), "PATCH"),
        (Method::POST, format!("{app}/principals"), "GET"),
        (Method::PUT, owner.us("versions/1.0.0.0"), "PATCH"),
        (Method::DELETE, owner.us("environmentHotfixes"), "POST"),
        // Nor is it the options that are wrong there.
        (Method::DELETE, owner.us("versions?$filter=true&$top=1"), "POST"),
        (Method::DELETE, "/operator/v1/apps?$select=id".to_owned(), "GET"),
        (
            Method::PUT,
            owner.us("versions/1.0.0.0/getPackageContents?$select=id"),
            "POST",
        ),
        (Method::POST, "/operator/v1/apps".to_owned(), "GET"),
    ];
    for (verb, path, right) in cases {
        let answer = owner
            .asks(verb.clone(), &path)
            .await
            .refused(405, "MethodNotAllowed");
        assert!(
            answer
                .header("allow")
                .split(',')
                .any(|allowed| allowed.trim() == right),
            "{answer:?}"
        );
        assert!(
            answer.message().contains(right) && answer.message().contains(verb.as_str()),
            "{answer:?}"
        );
    }
}

async fn head_answers_like_get_without_a_body(backend: Backend) {
    let service = Harness::start(backend).await;
    service.owner().has_uploaded("1.0.0.0").await;
    let reader = service.reader();
    let paths = [
        "/v1.4/apps".to_owned(),
        reader.app_path(),
        reader.us("versions"),
        reader.us("versions/1.0.0.0"),
        "/v1.4/".into(),
    ];
    for path in paths {
        let get = reader.get(&path).await.expect(200);
        let head = reader.head(&path).await.expect(200);
        assert!(head.body.is_empty());
        assert_eq!(head.header("content-type"), get.header("content-type"));
        assert_eq!(head.headers.get("etag"), get.headers.get("etag"));
    }
    assert_eq!(service.stranger().head(reader.app_path()).await.status, 404);
    assert_eq!(service.nobody().head(reader.app_path()).await.status, 401);
    assert_eq!(reader.head("/v2/apps").await.status, 404);
}

async fn addresses_are_read_leniently(backend: Backend) {
    let service = Harness::start(backend).await;
    service.owner().has_uploaded("1.0.0.0").await;
    let expected = service.reader().version("1.0.0.0").await.expect(200).json();
    for path in [
        format!(
            "/V1.4/APPS/{}/COUNTRIES/us/VERSIONS/1.0.0.0/",
            APP.to_string().to_uppercase()
        ),
        format!("/v1.0/apps({APP})/countries('US')/versions('1.0.0.0')"),
        format!("/v1.0/apps(id={APP})/countries(countryCode='us')/versions(version='1.0.0.0')"),
        format!("/v1.2/apps/%7B{APP}%7D/countries/u%73/versions/1%2E0.0.0"),
    ] {
        assert_eq!(
            service.reader().get(&path).await.expect(200).json(),
            expected,
            "{path}"
        );
    }
    let posted = service
        .reader()
        .post(format!("/v1.4/apps/{APP}/GETMYPERMISSIONS/"), json!({}))
        .await;
    posted.expect(200);
}

async fn a_token_in_the_address_is_refused_and_not_repeated(backend: Backend) {
    let service = Harness::start(backend).await;
    let authorization = service.reader().authorization();
    let token = authorization.trim_start_matches("Bearer ").to_owned();
    let own = format!("fameagt_{}", "a".repeat(49));
    for query in [
        format!("access_token={token}"),
        format!("$top=1&Token={token}"),
        format!("%74oken={token}"),
        format!("anything={own}"),
        format!("code=fame%65nr_{}", "a".repeat(49)),
    ] {
        for path in [
            "/v1.4/apps",
            "/operator/v1/apps",
            "/agent/v1/claim",
            "/health/live",
            "/nowhere",
        ] {
            let refused = service.reader().get(format!("{path}?{query}")).await;
            let refused = refused.refused(400, "InvalidInput");
            assert!(
                !refused.text().contains(&token) && !refused.text().contains("aaaa"),
                "{refused:?}"
            );
        }
    }
    let other = "/v1.4/apps?tokens=1&$filter=publisher ne 'token=fameagt_'";
    service.reader().get(other).await.expect(200);
}

async fn a_body_that_is_too_large_is_refused(backend: Backend) {
    let service = Harness::with(backend)
        .setting("limits.json_body_bytes", 2048)
        .start()
        .await;
    let owner = service.owner();
    let large = json!({ "countryCode": "DK", "padding": "x".repeat(4096) });
    owner
        .patch(format!("{}/countries/DK", owner.app_path()), large)
        .await
        .refused(413, "RequestEntityTooLarge");
    let chunks = (0..100).map(|_| Ok(bytes::Bytes::from_static(&[b' '; 100])));
    let streamed = owner.asks(Method::PATCH, format!("{}/countries/DK", owner.app_path()));
    streamed
        .stream(futures::stream::iter(chunks))
        .await
        .refused(413, "RequestEntityTooLarge");
    owner
        .get(format!("{}/countries/DK", owner.app_path()))
        .await
        .refused(404, "ResourceDoesNotExist");
}

async fn answers_come_in_the_language_and_type_they_say(backend: Backend) {
    let service = Harness::start(backend).await;
    let bare = service.reader().get("/v1.4/apps").await.expect(200);
    assert_eq!(bare.header("content-type"), "application/json; charset=utf-8");
    assert_eq!(bare.header("x-content-type-options"), "nosniff");
    let error = service.reader().get("/v1.4/nowhere").await.expect(404);
    assert_eq!(error.header("content-type"), "application/json; charset=utf-8");
    for content_type in [
        "application/json",
        "application/json; charset=utf-8",
        "text/json",
        "text/plain",
    ] {
        let request = service
            .owner()
            .adds_country("DK")
            .header("content-type", content_type);
        request.await.expect(200);
    }
}

async fn what_is_no_http_is_refused_quickly(backend: Backend) {
    let service = Harness::start(backend).await;
    for request in [
        "GET /v1.4/apps?$filter=a eq b HTTP/1.1\r\nHost: fame\r\n\r\n",
        "nonsense\r\n\r\n",
    ] {
        let mut connection = service.connection().await;
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).await.unwrap();
        let text = String::from_utf8_lossy(&answer);
        assert!(text.starts_with("HTTP/1.1 4"), "{text}");
    }
    let long = format!("/v1.4/apps?$filter=name eq '{}'", "x".repeat(9000));
    let answer = service.reader().get(long).await;
    assert!((400..500).contains(&answer.status), "{}", answer.status);
}

async fn more_requests_than_fit_are_told_to_wait(backend: Backend) {
    let service = Harness::with(backend)
        .setting("limits.concurrent_per_principal", 1)
        .setting("limits.queue_per_principal", 0)
        .start()
        .await;
    // One upload that does not end holds its principal's only place.
    let (chunks, body) = futures::channel::mpsc::unbounded();
    let owner = service.owner();
    let upload = tokio::spawn(owner.asks(Method::POST, owner.us("versions")).stream(body).send());
    chunks
        .unbounded_send(Ok(bytes::Bytes::from_static(b"{")))
        .unwrap();
    service
        .until("the upload has begun", async || {
            !service.staged_files().is_empty()
        })
        .await;
    let refused = owner.get("/v1.4/apps").await.refused(429, "TooManyRequests");
    assert!(refused.header("retry-after").parse::<u32>().unwrap() >= 1);
    service.reader().get("/v1.4/apps").await.expect(200);
    drop(chunks);
    upload.await.unwrap().unwrap().refused(400, "InvalidInput");
    owner.get("/v1.4/apps").await.expect(200);
}

/// PostgreSQL cannot keep it; where it got in, nothing could be moved there any more.
async fn a_character_that_no_name_has_is_refused(backend: Backend) {
    let service = Harness::start(backend).await;
    let (reader, operator) = (service.reader(), service.operator());
    let path = reader.us("environments/a%00b");
    reader.get(path).await.refused(400, "InvalidInput");
    let environment = Environment::named("Nothing");
    let body = json!({ "countryCode": "US", "type": "Production", "locationName": "a\0b" });
    let refused = operator.put(environment.operator_path(), body).await;
    assert!(refused.refused(400, "InvalidInput").message().contains("U+0000"));
    let body = json!({ "publisher": "Contoso\0" });
    operator
        .patch(format!("/operator/v1/apps/{APP}"), body)
        .await
        .refused(400, "InvalidInput");
}
