//! What a request must be, whoever sends it and whatever for, and what every answer says of itself.

use crate::connections::raw;
use crate::harness::{APP, Answer, Backend, Caller, Environment, Harness, Person, on_both_databases};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::Method;
use serde_json::json;
use sha2::{Digest, Sha256};
use wire::agent::{READY_HEADER, SESSION_HEADER};

on_both_databases!(
    a_tag_of_other_bytes_changes_nothing,
    what_cannot_be_read_is_refused_by_name,
    what_decides_something_is_there_once,
    every_request_names_a_plain_host,
    a_host_is_not_believed,
    only_what_is_accepted_is_sent,
    only_the_version_that_is_spoken_is_promised,
    options_are_read_or_refused,
    what_is_no_text_is_a_wrong_address_like_any_other,
    answers_are_not_kept_and_pages_are_shut,
);

async fn a_tag_of_other_bytes_changes_nothing(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    let version = owner.has_uploaded("1.0.0.0").await;
    let (tag, path) = (version.etag(), owner.us("versions/1.0.0.0"));
    let beyond = |tag: &str| [tag.trim_end_matches('"').as_bytes(), b"\xe9\""].concat();
    let change = json!({ "availability": "Available" });
    for wrong in [
        b"\"wrong\xe9\"".to_vec(),
        beyond(&tag),
        [tag.as_bytes(), b"\xa0"].concat(),
    ] {
        let refused = owner
            .patch(&path, change.clone())
            .header("if-match", &wrong)
            .await;
        refused.refused(412, "PreconditionFailed");
    }
    let reading = owner.get(&path).header("if-none-match", beyond(&tag)).await;
    reading.expect(200);
    let wrong = owner
        .removes(&Person::READER)
        .header("if-match", b"\"wrong\xe9\"")
        .await;
    wrong.refused(412, "PreconditionFailed");
    let right = [b"\"\xfc\", ", tag.as_bytes()].concat();
    owner
        .patch(&path, change)
        .header("if-match", right)
        .await
        .expect(200);
}

async fn what_cannot_be_read_is_refused_by_name(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    owner.has_uploaded("2.0.0.0").await;
    let environment = Environment::my_customer("1.0.0.0");
    service.operator().reports(&environment).await.expect(201);
    for name in [
        "Idempotency-Key",
        "Accept",
        "OData-MaxVersion",
        "OData-Version",
        "Prefer",
        READY_HEADER,
        SESSION_HEADER,
    ] {
        for value in ["Pr\u{fc}flauf-1".as_bytes(), b"4.0\xe9"] {
            let scheduling = owner.schedules(&environment, "2.0.0.0").header(name, value);
            let refused = scheduling.await.refused(400, "InvalidInput");
            assert_eq!(refused.target(), name);
            assert!(refused.message().contains("0x"), "{refused:?}");
        }
    }
    let none = owner.get(owner.us("environmentHotfixes")).await.expect(200);
    assert_eq!(none.rows(), Vec::<serde_json::Value>::new());
}

fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or(answer)
}

async fn what_decides_something_is_there_once(backend: Backend) {
    let service = Harness::start(backend).await;
    let reader = service.reader().authorization();
    for name in [
        "Authorization",
        "Host",
        "Idempotency-Key",
        "If-Range",
        "OData-MaxVersion",
        "OData-Version",
        "Range",
        READY_HEADER,
        SESSION_HEADER,
    ] {
        let value = match name {
            "Authorization" => reader.as_str(),
            "OData-MaxVersion" | "OData-Version" => "4.0",
            _ => "fame",
        };
        let rest = match name {
            "Authorization" => "Host: fame\r\n".to_owned(),
            "Host" => format!("Authorization: {reader}\r\n"),
            _ => format!("Host: fame\r\nAuthorization: {reader}\r\n"),
        };
        let once = format!("GET /v1.4/apps HTTP/1.1\r\n{rest}{name}: {value}\r\n");
        let end = "Connection: close\r\n\r\n";
        assert_eq!(
            status(&raw(&service, format!("{once}{end}").as_bytes()).await),
            "200",
            "{name}"
        );
        for second in [value, "another", ""] {
            let twice = format!("{once}{}: {second}\r\n{end}", name.to_lowercase());
            let answer = raw(&service, twice.as_bytes()).await;
            assert_eq!(status(&answer), "400", "{answer}");
            assert!(
                answer.contains(name) && answer.contains("InvalidInput"),
                "{answer}"
            );
        }
    }
}

async fn every_request_names_a_plain_host(backend: Backend) {
    let service = Harness::with(backend).start_empty().await;
    let with = |line: &str, host: &str| format!("GET {line}\r\n{host}Connection: close\r\n\r\n");
    for (line, host, expected) in [
        ("/health/live HTTP/1.1", "Host: fame.contoso.com:8080\r\n", "200"),
        ("/health/live HTTP/1.1", "Host: [::1]:80\r\n", "200"),
        ("/health/live HTTP/1.0", "", "200"),
        ("http://fame/health/live HTTP/1.1", "Host: fame\r\n", "200"),
        ("/health/live HTTP/1.1", "", "400"),
        ("/health/live HTTP/1.1", "Host:\r\n", "400"),
        ("/health/live HTTP/1.1", "Host: user@fame\r\n", "400"),
        ("/health/live HTTP/1.1", "Host: fame/evil\r\n", "400"),
        ("/health/live HTTP/1.1", "Host: fame, evil\r\n", "400"),
        ("/health/live HTTP/1.1", "Host: fame:port\r\n", "400"),
        ("http://fame/health/live HTTP/1.1", "Host: evil\r\n", "400"),
    ] {
        let answer = raw(&service, with(line, host).as_bytes()).await;
        assert_eq!(status(&answer), expected, "{line} {host}: {answer}");
    }
    for coding in [
        "gzip, chunked",
        "chunked, chunked",
        "chunked\r\nTransfer-Encoding: chunked",
    ] {
        let host = format!("Host: fame\r\nTransfer-Encoding: {coding}\r\n");
        let answer = raw(
            &service,
            (with("/health/live HTTP/1.1", &host) + "0\r\n\r\n").as_bytes(),
        )
        .await;
        assert_eq!(status(&answer), "400", "{coding}: {answer}");
    }
}

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

async fn only_what_is_accepted_is_sent(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    owner.has_uploaded("1.0.0.0").await;
    let contents = owner.us("versions/1.0.0.0/getPackageContents");
    let count = owner.us("versions/$count");
    let environment = Environment::named("package").has(APP, "1.0.0.0");
    service.operator().reports(&environment).await.expect(201);
    let called_package = owner.us("environments/package");
    for (path, accepted) in [
        (&*called_package, "application/octet-stream"),
        ("/v1.4/apps", "application/xml"),
        ("/v1.4/apps", "application/json;q=0"),
        ("/v1.4/apps", "application/json;q=0, */*"),
        ("/v1.4/$metadata", "text/csv"),
        (&contents, "application/zip"),
        (&count, "text/html"),
    ] {
        let refused = owner
            .get(path)
            .header("accept", accepted)
            .await
            .refused(406, "NotAcceptable");
        assert!(refused.message().contains(accepted), "{refused:?}");
    }
    for (path, accepted) in [
        ("/v1.4/apps", "text/csv, application/*;q=0.1"),
        ("/v1.4/apps", ""),
        ("/v1.4/$metadata", "application/xml"),
        ("/v1.4/$metadata", "application/json"),
        (&contents, "application/octet-stream"),
        (&contents, "application/json, text/plain, */*"),
        (&contents, "application/json"),
        (&count, "text/plain"),
        (&called_package, "application/json"),
        (
            "/",
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        ),
    ] {
        owner.get(path).header("accept", accepted).await.expect(200);
    }
    owner
        .get("/v1.4/apps")
        .header("accept", "*/*;q=x")
        .await
        .refused(400, "InvalidInput");
    // Nothing is done whose answer is not wanted.
    let change = owner.changes_version("1.0.0.0", json!({ "availability": "Deprecated" }));
    change
        .header("accept", "text/csv")
        .await
        .refused(406, "NotAcceptable");
    assert_eq!(
        owner.version("1.0.0.0").await.property("availability"),
        "Available"
    );
}

async fn only_the_version_that_is_spoken_is_promised(backend: Backend) {
    let service = Harness::start(backend).await;
    let reader = service.reader();
    for (name, value) in [
        ("odata-maxversion", "3.0"),
        ("odata-maxversion", "3.0;NetFx"),
        ("odata-maxversion", "four"),
        ("odata-maxversion", "inf"),
        ("odata-maxversion", ""),
        ("odata-version", "3.0"),
        ("odata-version", "5.0"),
    ] {
        for path in [
            "/v1.4/apps",
            "/v1.4/$metadata",
            &reader.us("versions/$count"),
            "/health/live",
        ] {
            reader
                .get(path)
                .header(name, value)
                .await
                .refused(400, "BadArgument");
        }
    }
    for (name, value) in [
        ("odata-maxversion", "4.01"),
        ("odata-maxversion", "4.0;NetFx"),
        ("odata-version", "4.0"),
    ] {
        reader.get("/v1.4/apps").header(name, value).await.expect(200);
    }
}

async fn options_are_read_or_refused(backend: Backend) {
    let service = Harness::start(backend).await;
    let (owner, operator) = (service.owner(), service.operator());
    owner.has_uploaded("1.0.0.0").await;
    owner.has_uploaded("1.0.1.0").await;
    let environment = Environment::my_customer("1.0.0.0");
    operator.reports(&environment).await.expect(201);
    let hotfix = owner.schedules(&environment, "1.0.1.0").await.expect(200);
    let asks = |caller: &Caller, method: Method, path: String| caller.asks(method, format!("{path}?$top=1"));
    let cancelling = json!({ "status": "Canceled" });
    let app = json!({ "publisher": "Contoso" });
    let removed = owner.principal_path(&Person::READER);
    for refused in [
        asks(
            &owner,
            Method::POST,
            owner.us("versions/1.0.0.0/getPackageContents"),
        ),
        asks(
            &owner,
            Method::GET,
            owner.us("versions/1.0.0.0/getPackageContents"),
        ),
        asks(&owner, Method::PATCH, owner.hotfix_path(&hotfix)).json(&cancelling),
        asks(&owner, Method::DELETE, removed.clone()),
        asks(&owner, Method::GET, owner.app_path()),
        asks(&owner, Method::GET, "/health/live".into()),
        asks(&operator, Method::PATCH, format!("/operator/v1/apps/{APP}")).json(&app),
        asks(&operator, Method::PUT, environment.operator_path()).json(&environment.report()),
        asks(&operator, Method::DELETE, environment.operator_path()),
        asks(&operator, Method::POST, "/agent/v1/claim".into()),
    ] {
        refused.await.refused(400, "InvalidQueryOption");
    }
    let called_so = Environment::named("getPackageContents").has(APP, "1.0.0.0");
    operator.reports(&called_so).await.expect(201);
    let read = owner
        .get(owner.us("environments/getPackageContents?$select=name"))
        .await;
    assert_eq!(read.expect(200).property("name"), "getPackageContents");
    assert_eq!(owner.looks_at(&hotfix).await.property("status"), "Scheduled");
    owner.get(removed).await.expect(200);
    operator.get(environment.operator_path()).await.expect(200);
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

async fn answers_are_not_kept_and_pages_are_shut(backend: Backend) {
    let service = Harness::start(backend).await;
    service.owner().has_uploaded("1.0.0.0").await;
    let reader = service.reader();
    for path in [
        "/v1.4/apps",
        "/v1.4/nowhere",
        "/health/ready",
        &reader.us("versions/1.0.0.0"),
        &reader.us("versions/1.0.0.0/getPackageContents"),
    ] {
        assert_eq!(
            reader.get(path).await.header("cache-control"),
            "no-store",
            "{path}"
        );
    }
    assert_eq!(
        service.nobody().get("/v1.4/apps").await.header("cache-control"),
        "no-store"
    );
    for (path, whose) in [
        ("/", "public"),
        ("/openapi.json", "public"),
        ("/v1.4/$metadata", "private"),
    ] {
        let cached = reader.get(path).await.expect(200);
        assert_eq!(
            cached.header("cache-control"),
            format!("{whose}, max-age=300"),
            "{path}"
        );
    }
    let page = service.nobody().get("/").await.expect(200);
    let text = page.text();
    let style = text
        .split_once("<style>")
        .unwrap()
        .1
        .split_once("</style>")
        .unwrap()
        .0;
    let allowed = format!("style-src 'sha256-{}'", STANDARD.encode(Sha256::digest(style)));
    let policy = page.header("content-security-policy");
    for directive in ["default-src 'none'", "frame-ancestors 'none'", &allowed] {
        assert!(policy.contains(directive), "{policy}");
    }
    assert!(!text.contains("<script") && !text.contains(" style="));
    assert_eq!(page.header("x-frame-options"), "DENY");
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    assert_eq!(
        reader
            .get(format!("/v1.4/apps/{APP}"))
            .await
            .header("x-content-type-options"),
        "nosniff"
    );
}
