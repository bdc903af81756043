//! `getPackageContents`: the very bytes of the upload.

use crate::harness::{Backend, Harness, Request, bytes_of, on_both_databases, package};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::Method;
use navx::PackageBuilder;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt;

on_both_databases!(
    the_bytes_are_those_of_the_upload,
    an_empty_form_is_as_good_as_nothing,
    parts_can_be_asked_for,
    a_part_of_something_else_is_not_sent,
    known_bytes_are_not_sent_again,
    the_file_is_named_so_that_everybody_can_read_it,
    readers_download_whatever_is_available_or_not,
    a_reader_who_takes_nothing_keeps_their_place_until_they_are_sent_away,
);

const VERSION: &str = "1.0.0.0";

async fn with_package(backend: Backend, package: &PackageBuilder) -> (Harness, String, Vec<u8>) {
    let service = Harness::start(backend).await;
    service.owner().uploads(package, "Available").await.expect(200);
    let path = service
        .owner()
        .us(&format!("versions/{VERSION}/getPackageContents"));
    (service, path, bytes_of(package))
}

async fn the_bytes_are_those_of_the_upload(backend: Backend) {
    let (service, path, bytes) = with_package(backend, &package(VERSION).payload_bytes(1_500_000)).await;
    let digest = Sha256::digest(&bytes);
    for method in [Method::POST, Method::GET] {
        let answer = service.reader().asks(method.clone(), &path).await.expect(200);
        assert!(
            answer.body == bytes,
            "{method}: {} of {} bytes",
            answer.body.len(),
            bytes.len()
        );
        assert_eq!(answer.header("content-type"), "application/octet-stream");
        assert_eq!(answer.header("content-length"), bytes.len().to_string());
        assert_eq!(
            answer.header("repr-digest"),
            format!("sha-256=:{}:", STANDARD.encode(digest))
        );
        assert_eq!(answer.header("accept-ranges"), "bytes");
        assert!(answer.header("etag").starts_with('"'), "{answer:?}");
        let disposition = answer.header("content-disposition");
        assert_eq!(
            disposition,
            "attachment; filename=\"Contoso_ExampleApp_1.0.0.0.app\""
        );
    }
    let head = service.reader().head(&path).await.expect(200);
    assert!(head.body.is_empty());
    assert_eq!(head.header("content-length"), bytes.len().to_string());
}

async fn an_empty_form_is_as_good_as_nothing(backend: Backend) {
    let (service, path, bytes) = with_package(backend, &package(VERSION)).await;
    let form = service.reader().asks(Method::POST, &path).bytes("");
    let answer = form
        .header("content-type", "application/x-www-form-urlencoded")
        .await
        .expect(200);
    assert_eq!(answer.body, bytes);
    let json = service
        .reader()
        .post(&path, serde_json::json!({}))
        .await
        .expect(200);
    assert_eq!(json.body, bytes);
}

async fn parts_can_be_asked_for(backend: Backend) {
    let (service, path, bytes) = with_package(backend, &package(VERSION)).await;
    let size = bytes.len();
    let part = |range: &'static str| service.reader().get(&path).header("range", range).into_future();
    let cases: [(&'static str, usize, usize); 4] = [
        ("bytes=0-9", 0, 10),
        ("bytes=100-", 100, size),
        ("bytes=-7", size - 7, size),
        ("bytes=5-999999999", 5, size),
    ];
    for (range, first, end) in cases {
        let answer = part(range).await.expect(206);
        assert_eq!(answer.body, bytes[first..end], "{range}");
        assert_eq!(
            answer.header("content-range"),
            format!("bytes {first}-{}/{size}", end - 1)
        );
        assert_eq!(answer.header("content-length"), (end - first).to_string());
    }
    let beyond = service
        .reader()
        .get(&path)
        .header("range", format!("bytes={size}-"));
    let beyond = beyond.await.refused(416, "RangeNotSatisfiable");
    assert_eq!(beyond.header("content-range"), format!("bytes */{size}"));
    for ignored in ["bytes=9-1", "lines=0-1", "bytes=0-1,4-5", "nonsense"] {
        assert_eq!(part(ignored).await.expect(200).body, bytes, "{ignored}");
    }
    let posted = service
        .reader()
        .asks(Method::POST, &path)
        .header("range", "bytes=0-9")
        .await;
    assert!([200, 206].contains(&posted.status), "{}", posted.status);
}

async fn a_part_of_something_else_is_not_sent(backend: Backend) {
    let (service, path, bytes) = with_package(backend, &package(VERSION)).await;
    let tag = service.reader().head(&path).await.header("etag").to_owned();
    let part = |tag: String| -> Request {
        service
            .reader()
            .get(&path)
            .header("range", "bytes=0-9")
            .header("if-range", tag)
    };
    assert_eq!(part(tag.clone()).await.expect(206).body, bytes[..10]);
    assert_eq!(part("\"another\"".into()).await.expect(200).body, bytes);
    // A weak tag never promises the same bytes (RFC 9110 §13.1.5).
    assert_eq!(part(format!("W/{tag}")).await.expect(200).body, bytes);
    let changed = service
        .reader()
        .get(&path)
        .header("if-match", "\"another\"")
        .await;
    changed.refused(412, "PreconditionFailed");
}

async fn known_bytes_are_not_sent_again(backend: Backend) {
    let (service, path, _) = with_package(backend, &package(VERSION)).await;
    let tag = service.reader().head(&path).await.header("etag").to_owned();
    let known = service
        .reader()
        .get(&path)
        .header("if-none-match", &tag)
        .await
        .expect(304);
    assert!(known.body.is_empty());
    assert_eq!(known.header("etag"), tag);
}

async fn the_file_is_named_so_that_everybody_can_read_it(backend: Backend) {
    let odd = PackageBuilder::new(
        crate::harness::APP,
        "Süß \"&\" /Co",
        "Größe\\Contoso",
        VERSION.parse().unwrap(),
    );
    let (service, path, _) = with_package(backend, &odd).await;
    let answer = service.reader().get(&path).await.expect(200);
    let disposition = answer.header("content-disposition");
    let (plain, extended) = disposition.split_once("; filename*=UTF-8''").unwrap();
    let plain = plain
        .strip_prefix("attachment; filename=\"")
        .unwrap()
        .strip_suffix('"')
        .unwrap();
    assert!(
        plain.is_ascii() && !plain.contains(['/', '\\', '"']),
        "{disposition}"
    );
    assert!(plain.ends_with("_1.0.0.0.app"), "{disposition}");
    assert!(
        extended.contains("S%C3%BC%C3%9F") && !extended.contains(['"', '/', ' ']),
        "{disposition}"
    );
}

async fn readers_download_whatever_is_available_or_not(backend: Backend) {
    let (service, path, bytes) = with_package(backend, &package(VERSION)).await;
    for availability in ["Deprecated", "Preview"] {
        let change = serde_json::json!({ "availability": availability });
        service.owner().changes_version(VERSION, change).await.expect(200);
        assert_eq!(service.reader().get(&path).await.expect(200).body, bytes);
    }
    service
        .stranger()
        .get(&path)
        .await
        .refused(404, "ResourceDoesNotExist");
    service.nobody().get(&path).await.refused(401, "Unauthorized");
    let missing = path.replace(VERSION, "9.9.9.9");
    service
        .reader()
        .get(missing)
        .await
        .refused(404, "ResourceDoesNotExist");
}

async fn a_reader_who_takes_nothing_keeps_their_place_until_they_are_sent_away(backend: Backend) {
    let plan = Harness::with(backend)
        .setting("limits.concurrent_per_principal", 1)
        .setting("limits.queue_per_principal", 0)
        .setting("limits.response_idle_seconds", 2);
    let service = plan.start().await;
    // More than all buffers on the way hold.
    let large = package(VERSION).payload_bytes(64 * 1024 * 1024);
    service.owner().uploads(&large, "Available").await.expect(200);
    let path = service
        .owner()
        .us(&format!("versions/{VERSION}/getPackageContents"));
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: {}\r\n\r\n",
        service.reader().authorization()
    );
    let mut slow = service.connection().await;
    slow.write_all(request.as_bytes()).await.unwrap();
    slow.readable().await.unwrap();
    let reader = service.reader();
    reader.get("/v1.4/apps").await.refused(429, "TooManyRequests");
    service
        .until("the reader is sent away", async || {
            reader.get("/v1.4/apps").await.status == 200
        })
        .await;
}
