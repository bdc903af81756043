//! Packages on their way back.

use crate::service::{APP, Service, answer, with};
use client::{Error, StoredPackage};
use domain::version::AppVersion;

/// The digest of `abc`, and as a header has it.
const SHA256: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
const REPR_DIGEST: &str = "sha-256=:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=:";

fn stored(service: &Service) -> StoredPackage {
    service
        .client()
        .get_package_contents(APP, "US", AppVersion([1, 0, 0, 0]))
}

#[tokio::test]
async fn the_bytes_are_those_that_were_stored_or_none() {
    for (sent, is_right) in [("abc", true), ("xyz", false)] {
        let service = Service::start(move |_, _| with(answer(200, sent), "repr-digest", REPR_DIGEST)).await;
        match stored(&service).bytes().await {
            Ok(bytes) => assert!(is_right && bytes == b"abc"),
            Err(Error::Damaged { expected, .. }) => assert!(!is_right && expected == SHA256),
            Err(error) => panic!("{error}"),
        }
        let path = stored(&service).url().path().to_owned();
        assert_eq!(service.lines(), [format!("POST {path}")]);
    }
}

#[tokio::test]
async fn the_rest_is_asked_for_as_a_range() {
    let service = Service::start(
        |asked, _| match (asked.header("range"), asked.header("if-range")) {
            ("bytes=1-", "" | "\"1\"") => with(answer(206, "bc"), "content-range", "bytes 1-2/3"),
            _ => with(answer(200, "abc"), "etag", "\"1\""),
        },
    )
    .await;
    for (etag, begins_at) in [(None, 1), (Some("\"1\""), 1), (Some("\"2\""), 0)] {
        assert_eq!(stored(&service).open(1, etag).await.unwrap().begins_at, begins_at);
    }
    let mut rest = stored(&service).open(1, None).await.unwrap();
    assert_eq!((rest.begins_at, rest.whole_length()), (1, Some(3)));
    assert_eq!(rest.chunk().await.unwrap().unwrap(), "bc");
    let whole = stored(&service).open(0, None).await.unwrap();
    assert_eq!(whole.facts.etag.as_deref(), Some("\"1\""));
    assert_eq!((whole.begins_at, whole.whole_length()), (0, Some(3)));
}

#[tokio::test]
async fn the_digest_is_told_or_else_computed() {
    let telling = Service::start(|_, _| with(answer(200, ""), "repr-digest", REPR_DIGEST)).await;
    let silent = Service::start(|asked, _| match asked.method.as_str() {
        "HEAD" => answer(405, ""),
        _ => answer(200, "abc"),
    })
    .await;
    for (service, requests) in [(telling, 1), (silent, 2)] {
        assert_eq!(stored(&service).sha256().await.unwrap(), SHA256);
        assert_eq!(service.journal().len(), requests);
    }
}
