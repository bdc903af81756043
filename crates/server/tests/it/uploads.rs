//! Uploads: streamed, checked, all or nothing.

use crate::harness::{
    APP, Answer, Backend, Caller, Environment, Harness, LIBRARY, Person, base64_of, bytes_of, country_path,
    on_both_databases, package, package_of, upload_body,
};
use bytes::Bytes;
use futures::{StreamExt, channel::mpsc, future::join_all};
use navx::{Kind, PackageBuilder};
use serde_json::json;
use std::{io, time::Duration};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use uuid::Uuid;

on_both_databases!(
    the_order_of_the_properties_does_not_matter,
    what_senders_do_to_bodies_is_tolerated,
    without_an_availability_it_is_a_preview,
    a_wrong_body_leaves_nothing,
    a_wrong_package_leaves_nothing,
    a_declared_length_beyond_the_limit_is_refused_unread,
    a_stream_beyond_the_limit_is_refused,
    an_upload_that_is_cut_off_leaves_nothing,
    an_upload_in_pieces_arrives_whole,
    the_same_version_again_is_refused_with_the_facts,
    another_country_takes_the_same_version_and_stores_the_bytes_once,
    other_bytes_in_another_country_can_be_refused,
    of_many_at_once_one_wins,
    an_older_version_may_follow_a_newer_one,
    a_role_that_is_taken_away_meanwhile_counts,
    rights_and_country_are_checked_before_the_body_is_read,
    a_location_that_changes_affects_later_uploads_only,
    ready_to_run_and_signed_packages_are_read,
    a_kept_connection_answers_after_a_refused_upload,
    an_upload_without_progress_is_given_up,
    whoever_sends_anything_but_a_package_is_given_up,
    slow_senders_keep_out_nobody_for_long,
    an_upload_waits_for_its_place,
    a_package_that_could_not_be_stored_may_be_sent_again,
);

fn versions() -> String {
    country_path(APP, "US", "versions")
}

/// No version, no package and no half package may be there.
async fn nothing_is_left(service: &Harness) {
    assert_eq!(
        service.owner().get(versions()).await.expect(200).rows(),
        Vec::<serde_json::Value>::new()
    );
    assert_eq!(service.stored_packages(), Vec::<std::path::PathBuf>::new());
    service
        .until("staging is empty", async || service.staged_files().is_empty())
        .await;
}

fn sends(caller: &Caller, body: impl Into<Bytes>) -> crate::harness::Request {
    caller.asks(http::Method::POST, versions()).bytes(body)
}

async fn the_order_of_the_properties_does_not_matter(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    let one = base64_of(&bytes_of(&package("1.0.0.0")));
    let first = format!(r#"{{"initialAvailability":"Available","packageContents":"{one}"}}"#);
    assert_eq!(
        sends(&owner, first).await.expect(200).property("availability"),
        "Available"
    );
    let two = base64_of(&bytes_of(&package("2.0.0.0")));
    let last = format!(r#"{{"packageContents":"{two}","initialAvailability":"Deprecated"}}"#);
    assert_eq!(
        sends(&owner, last).await.expect(200).property("availability"),
        "Deprecated"
    );
}

async fn what_senders_do_to_bodies_is_tolerated(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    let contents = |version: &str| base64_of(&bytes_of(&package(version)));
    let marked = format!("\u{FEFF}{{\"packageContents\":\"{}\"}}", contents("1.0.0.1"));
    sends(&owner, marked).await.expect(200);
    let with_more = format!(
        r#"{{"@x":{{"packageContents":["deep",{{"a":null}}]}},"PACKAGECONTENTS":"{}","InitialAvailability":"available","y@y.z":[1.5e3,true]}}"#,
        contents("1.0.0.2")
    );
    assert_eq!(
        sends(&owner, with_more)
            .await
            .expect(200)
            .property("availability"),
        "Available"
    );
    let unpadded = contents("1.0.0.3").trim_end_matches('=').to_owned();
    sends(&owner, format!(r#" {{ "packageContents" : "{unpadded}" }} "#))
        .await
        .expect(200);
    let lines: Vec<_> = contents("1.0.0.4")
        .as_bytes()
        .chunks(76)
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect();
    sends(
        &owner,
        format!(r#"{{"packageContents":"{}"}}"#, lines.join("\\r\\n")),
    )
    .await
    .expect(200);
    let escaped = contents("1.0.0.5").replace('/', "\\/");
    let typed =
        sends(&owner, format!(r#"{{"packageContents":"{escaped}"}}"#)).header("content-type", "text/plain");
    typed.await.expect(200);
    for version in ["1.0.0.1", "1.0.0.2", "1.0.0.3", "1.0.0.4", "1.0.0.5"] {
        let path = owner.us(&format!("versions/{version}/getPackageContents"));
        assert_eq!(
            owner.get(path).await.expect(200).body,
            bytes_of(&package(version)),
            "{version}"
        );
    }
}

async fn without_an_availability_it_is_a_preview(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    for (version, body) in [
        ("1.0.0.0", json!({})),
        ("1.0.0.1", json!({ "initialAvailability": null })),
    ] {
        let mut body = body;
        body["packageContents"] = json!(base64_of(&bytes_of(&package(version))));
        let uploaded = owner.post(versions(), body).await.expect(200);
        assert_eq!(uploaded.property("availability"), "Preview");
        assert_eq!(uploaded.property("status"), "Uploaded");
    }
}

async fn a_wrong_body_leaves_nothing(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    let good = base64_of(&bytes_of(&package("1.0.0.0")));
    sends(&owner, "").await.refused(400, "RequestBodyRequired");
    for body in [
        "{",
        "[]",
        "no json",
        r#"{"packageContents":"#,
        "{}",
        r#"{"packageContents":null}"#,
        r#"{"packageContents":7}"#,
    ] {
        sends(&owner, body).await.refused(400, "InvalidInput");
    }
    let wrong_word = format!(r#"{{"initialAvailability":"Beta","packageContents":"{good}"}}"#);
    assert_eq!(
        sends(&owner, wrong_word)
            .await
            .refused(400, "InvalidInput")
            .target(),
        "initialAvailability"
    );
    let cut_off = format!(r#"{{"packageContents":"{good}"#);
    sends(&owner, cut_off).await.refused(400, "InvalidInput");
    let trailing = format!(r#"{{"packageContents":"{good}"}} more"#);
    sends(&owner, trailing).await.refused(400, "InvalidInput");
    for contents in ["a*b=", "abc=d", "A"] {
        let answer = sends(&owner, format!(r#"{{"packageContents":"{contents}"}}"#)).await;
        assert_eq!(
            answer.refused(400, "InvalidPackage").reason(),
            "InvalidBase64",
            "{contents}"
        );
    }
    nothing_is_left(&service).await;
}

async fn a_wrong_package_leaves_nothing(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    let of =
        |bytes: &[u8]| json!({ "initialAvailability": "Available", "packageContents": base64_of(bytes) });
    let good = bytes_of(&package("1.0.0.0"));
    for bytes in [b"".as_slice(), b"PK\x03\x04", &good[..good.len() / 2], &good[1..]] {
        let answer = owner
            .post(versions(), of(bytes))
            .await
            .refused(400, "InvalidPackage");
        assert!(!answer.reason().is_empty());
        assert_eq!(answer.target(), "packageContents");
    }
    let of_another = owner.uploads(&package_of(LIBRARY, "1.0.0.0"), "Available").await;
    let of_another = of_another.refused(400, "InvalidPackage");
    assert_eq!(of_another.reason(), "AppIdMismatch");
    assert!(
        of_another.message().contains(&LIBRARY.to_string()),
        "{of_another:?}"
    );
    let runtime = owner
        .uploads(&package("1.0.0.0").kind(Kind::Runtime), "Available")
        .await;
    assert_eq!(runtime.refused(400, "InvalidPackage").reason(), "RuntimePackage");
    let symbols = owner
        .uploads(&package("1.0.0.0").kind(Kind::SymbolsOnly), "Available")
        .await;
    assert_eq!(symbols.refused(400, "InvalidPackage").reason(), "SymbolsOnly");
    nothing_is_left(&service).await;
    owner.has_uploaded("1.0.0.0").await;
}

async fn a_declared_length_beyond_the_limit_is_refused_unread(backend: Backend) {
    let service = Harness::with(backend)
        .setting("packages.max_bytes", 4096)
        .start()
        .await;
    let mut connection = service.connection().await;
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: fame\r\nAuthorization: Bearer {}\r\nContent-Length: 999999999\r\n\r\n",
        versions(),
        crate::harness::mint(&Person::OWNER.token())
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    // Not one byte of the body is sent; the answer comes all the same.
    let mut answer = [0; 12];
    connection.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
    drop(connection);
    nothing_is_left(&service).await;
}

async fn a_stream_beyond_the_limit_is_refused(backend: Backend) {
    let service = Harness::with(backend)
        .setting("packages.max_bytes", 40_000)
        .start()
        .await;
    let owner = service.owner();
    let fits = package("1.0.0.0").payload_bytes(20_000);
    assert!(bytes_of(&fits).len() < 40_000);
    owner.uploads(&fits, "Available").await.expect(200);
    let body = upload_body(&package("1.0.0.1").payload_bytes(60_000), "Available").to_string();
    let chunks: Vec<_> = body
        .as_bytes()
        .chunks(1000)
        .map(|chunk| Ok(Bytes::copy_from_slice(chunk)))
        .collect();
    let streamed = owner
        .asks(http::Method::POST, versions())
        .stream(futures::stream::iter(chunks));
    streamed.await.refused(413, "RequestEntityTooLarge");
    let declared = owner.uploads(&package("1.0.0.1").payload_bytes(60_000), "Available");
    declared.await.refused(413, "RequestEntityTooLarge");
    assert_eq!(owner.get(versions()).await.column("version"), ["1.0.0.0"]);
    assert_eq!(service.stored_packages().len(), 1);
    service
        .until("staging is empty", async || service.staged_files().is_empty())
        .await;
}

/// Starts an upload, and waits until the service is writing its bytes down.
pub(crate) async fn begins_upload(
    service: &Harness,
    caller: &Caller,
) -> (mpsc::UnboundedSender<io::Result<Bytes>>, Begun) {
    let (chunks, body) = mpsc::unbounded();
    let answer = tokio::spawn(caller.asks(http::Method::POST, versions()).stream(body).send());
    chunks
        .unbounded_send(Ok(Bytes::from_static(b"{\"packageContents\":\"")))
        .unwrap();
    service
        .until("the upload has begun", async || {
            !service.staged_files().is_empty()
        })
        .await;
    (chunks, answer)
}

pub(crate) type Begun = tokio::task::JoinHandle<reqwest::Result<Answer>>;

async fn an_upload_that_is_cut_off_leaves_nothing(backend: Backend) {
    let service = Harness::start(backend).await;
    let contents = base64_of(&bytes_of(&package("1.0.0.0")));
    for sent in [0, 40, contents.len() / 2, contents.len()] {
        let (chunks, answer) = begins_upload(&service, &service.owner()).await;
        chunks
            .unbounded_send(Ok(Bytes::from(contents[..sent].to_owned())))
            .unwrap();
        chunks
            .unbounded_send(Err(io::Error::other("the sender gave up")))
            .unwrap();
        assert!(answer.await.unwrap().is_err());
        nothing_is_left(&service).await;
    }
    service.owner().has_uploaded("1.0.0.0").await;
}

async fn an_upload_in_pieces_arrives_whole(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    let package = package("1.0.0.0").payload_bytes(300_000);
    let body = upload_body(&package, "Available").to_string();
    for (size, country) in [(777, "US"), (65_536, "DK")] {
        owner.adds_country(country).await.expect(200);
        let chunks: Vec<_> = body
            .as_bytes()
            .chunks(size)
            .map(|chunk| Ok(Bytes::copy_from_slice(chunk)))
            .collect();
        let path = country_path(APP, country, "versions");
        let request = owner
            .asks(http::Method::POST, path)
            .stream(futures::stream::iter(chunks).boxed());
        request.await.expect(200);
        let path = country_path(APP, country, "versions/1.0.0.0/getPackageContents");
        assert_eq!(owner.get(path).await.expect(200).body, bytes_of(&package));
    }
}

async fn the_same_version_again_is_refused_with_the_facts(backend: Backend) {
    let service = Harness::start(backend).await;
    let first = service
        .contributor()
        .uploads(&package("1.0.0.0"), "Preview")
        .await
        .expect(200);
    let identical = service.owner().uploads(&package("1.0.0.0"), "Available").await;
    let identical = identical.refused(409, "ResourceExists");
    assert_eq!(identical.reason(), "IdenticalContent");
    let facts = [
        first.property("packageId"),
        Person::CONTRIBUTOR.id.to_string(),
        "2020-03-05T12:00:00.0000000Z".into(),
        sha256_of(&bytes_of(&package("1.0.0.0"))),
    ];
    for fact in facts {
        assert!(identical.message().contains(&fact), "{fact}: {identical:?}");
    }
    let different = service
        .owner()
        .uploads(&package("1.0.0.0").brief("Another"), "Available")
        .await;
    let reasons = |refused: &Answer| {
        let details = refused.json()["error"]["details"].as_array().unwrap().clone();
        details
            .iter()
            .map(|detail| detail["code"].clone())
            .collect::<Vec<_>>()
    };
    let different = different.refused(409, "ResourceExists");
    assert_eq!(reasons(&different), ["DifferentContent"]);
    let again = package("1.0.0.0").package_id(Uuid::from_u128(0xA6A1));
    let again = service.owner().uploads(&again, "Available").await;
    let again = again.refused(409, "ResourceExists");
    assert_eq!(reasons(&again), ["DifferentContent", "SameContentBuiltAgain"]);
    assert_eq!(service.owner().version("1.0.0.0").await.json(), first.json());
    assert_eq!(service.stored_packages().len(), 1);
}

fn sha256_of(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

async fn another_country_takes_the_same_version_and_stores_the_bytes_once(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    owner.adds_country("DK").await.expect(200);
    owner.adds_country("AT").await.expect(200);
    owner
        .uploads_to("US", &package("1.0.0.0"), "Preview")
        .await
        .expect(200);
    owner
        .uploads_to("DK", &package("1.0.0.0"), "Available")
        .await
        .expect(200);
    assert_eq!(service.stored_packages().len(), 1);
    let name = service.stored_packages()[0]
        .file_name()
        .unwrap()
        .to_string_lossy()
        .into_owned();
    assert!(
        name.starts_with(&sha256_of(&bytes_of(&package("1.0.0.0")))),
        "{name}"
    );
    owner
        .uploads_to("AT", &package("1.0.0.0").brief("Compiled anew"), "Available")
        .await
        .expect(200);
    assert_eq!(service.stored_packages().len(), 2);
    let path = country_path(APP, "DK", "versions/1.0.0.0");
    assert_eq!(owner.get(&path).await.property("availability"), "Available");
    let audit = service
        .operator()
        .get("/operator/v1/audit?$filter=action eq 'versions/upload'")
        .await
        .expect(200);
    let flags: Vec<_> = audit
        .rows()
        .iter()
        .map(|row| row["after"].get("differsFromCountry").cloned())
        .collect();
    assert_eq!(flags.iter().filter(|flag| flag.is_some()).count(), 1, "{audit:?}");
}

async fn other_bytes_in_another_country_can_be_refused(backend: Backend) {
    let service = Harness::with(backend)
        .setting("packages.same_bytes_across_countries", true)
        .start()
        .await;
    let owner = service.owner();
    owner.adds_country("DK").await.expect(200);
    owner
        .uploads_to("US", &package("1.0.0.0"), "Preview")
        .await
        .expect(200);
    let other = owner
        .uploads_to("DK", &package("1.0.0.0").brief("Compiled anew"), "Preview")
        .await;
    assert!(
        other
            .broke_rule("DifferentContentElsewhere")
            .message()
            .contains("US")
    );
    owner
        .uploads_to("DK", &package("1.0.0.0"), "Preview")
        .await
        .expect(200);
}

async fn of_many_at_once_one_wins(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    for round in 0..4 {
        let version = format!("1.0.{round}.0");
        let uploads = (0..5).map(|number| {
            let brief = if round % 2 == 0 {
                String::new()
            } else {
                format!("Build {number}")
            };
            owner
                .uploads(&package(&version).brief(&brief), "Available")
                .into_future()
        });
        let mut statuses = Vec::new();
        for answer in join_all(uploads).await {
            statuses.push(answer.status);
            if answer.status == 409 {
                let code = answer.code();
                assert!(
                    code == "ResourceExists" || code == "UploadInProgress",
                    "{answer:?}"
                );
                assert_eq!(
                    answer.has_header("retry-after"),
                    code == "UploadInProgress",
                    "{answer:?}"
                );
            }
        }
        statuses.sort();
        assert_eq!(statuses, [200, 409, 409, 409, 409], "round {round}");
        let path = owner.us(&format!("versions/{version}/getPackageContents"));
        owner.get(path).await.expect(200);
    }
    assert_eq!(service.staged_files(), Vec::<std::path::PathBuf>::new());
}

async fn an_older_version_may_follow_a_newer_one(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    for version in ["2.0.0.0", "1.0.0.0", "1.5.0.0"] {
        let package = package(version).dependency(LIBRARY, "Not here", "Fabrikam", "9.9".parse().unwrap());
        owner.uploads(&package, "Available").await.expect(200);
    }
    assert_eq!(
        owner.get(versions()).await.column("version"),
        ["1.0.0.0", "1.5.0.0", "2.0.0.0"]
    );
}

async fn a_role_that_is_taken_away_meanwhile_counts(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    let contents = base64_of(&bytes_of(&package("1.0.0.0")));
    let (chunks, answer) = begins_upload(&service, &service.contributor()).await;
    owner.grants(&Person::CONTRIBUTOR, &["Reader"]).await.expect(200);
    chunks
        .unbounded_send(Ok(Bytes::from(format!("{contents}\"}}"))))
        .unwrap();
    drop(chunks);
    answer.await.unwrap().unwrap().refused(403, "Forbidden");
    nothing_is_left(&service).await;

    owner
        .grants(&Person::CONTRIBUTOR, &["Contributor"])
        .await
        .expect(200);
    let (chunks, answer) = begins_upload(&service, &service.contributor()).await;
    owner.removes(&Person::CONTRIBUTOR).await.expect(204);
    chunks
        .unbounded_send(Ok(Bytes::from(format!("{contents}\"}}"))))
        .unwrap();
    drop(chunks);
    answer
        .await
        .unwrap()
        .unwrap()
        .refused(404, "ResourceDoesNotExist");
    nothing_is_left(&service).await;
}

async fn rights_and_country_are_checked_before_the_body_is_read(backend: Backend) {
    let service = Harness::start(backend).await;
    let cases = [
        (Some(Person::STRANGER), "US", "404"),
        (Some(Person::READER), "US", "403"),
        (Some(Person::OWNER), "DK", "404"),
        (None, "US", "401"),
    ];
    for (person, country, status) in cases {
        let mut connection = service.connection().await;
        let token = person.map_or(String::new(), |person| {
            format!(
                "Authorization: Bearer {}\r\n",
                crate::harness::mint(&person.token())
            )
        });
        let path = country_path(APP, country, "versions");
        let head = format!("POST {path} HTTP/1.1\r\nHost: fame\r\n{token}Content-Length: 5000\r\n\r\n");
        connection.write_all(head.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        connection.read_exact(&mut answer).await.unwrap();
        assert_eq!(
            String::from_utf8_lossy(&answer),
            format!("HTTP/1.1 {status}"),
            "{person:?} {country}"
        );
    }
    nothing_is_left(&service).await;
}

async fn a_location_that_changes_affects_later_uploads_only(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    owner.has_uploaded("1.0.0.0").await;
    let change = json!({ "storageLocation": "north europe" });
    service
        .operator()
        .patch(format!("/operator/v1/apps/{APP}"), change)
        .await
        .expect(200);
    owner.has_uploaded("1.0.0.1").await;
    let stored = service.stored_packages();
    let count_in = |name: &str| {
        stored
            .iter()
            .filter(|path| path.starts_with(service.location(name)))
            .count()
    };
    assert_eq!((count_in("West Europe"), count_in("North Europe")), (1, 1));
    for version in ["1.0.0.0", "1.0.0.1"] {
        let path = owner.us(&format!("versions/{version}/getPackageContents"));
        assert_eq!(
            owner.get(path).await.expect(200).body,
            bytes_of(&package(version))
        );
    }
}

async fn ready_to_run_and_signed_packages_are_read(backend: Backend) {
    let service = Harness::with(backend)
        .setting("packages.allow_symbols_only", true)
        .start()
        .await;
    let owner = service.owner();
    let packages: [PackageBuilder; 3] = [
        package("1.0.0.1").kind(Kind::ReadyToRun),
        package("1.0.0.2").signed(),
        package("1.0.0.3").kind(Kind::SymbolsOnly),
    ];
    for package in &packages {
        let uploaded = owner.uploads(package, "Available").await.expect(200);
        assert_eq!(uploaded.property("name"), "ExampleApp");
    }
    assert_eq!(
        owner.get(versions()).await.column("version"),
        ["1.0.0.1", "1.0.0.2", "1.0.0.3"]
    );
    let environment = Environment::my_customer("1.0.0.1");
    service.operator().reports(&environment).await.expect(201);
    owner.schedules(&environment, "1.0.0.2").await.expect(200);
}

async fn a_kept_connection_answers_after_a_refused_upload(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    for _ in 0..3 {
        let large = package_of(LIBRARY, "1.0.0.0").payload_bytes(400_000);
        owner
            .uploads(&large, "Available")
            .await
            .refused(400, "InvalidPackage");
        let broken = format!("{{\"packageContents\":\"***{}", "A".repeat(400_000));
        sends(&owner, broken).await.refused(400, "InvalidPackage");
        owner.get(versions()).await.expect(200);
    }
}

async fn an_upload_without_progress_is_given_up(backend: Backend) {
    let service = Harness::with(backend)
        .setting("packages.upload_idle_seconds", 1)
        .start()
        .await;
    let (chunks, answer) = begins_upload(&service, &service.owner()).await;
    answer.await.unwrap().unwrap().refused(408, "RequestTimeout");
    drop(chunks);
    nothing_is_left(&service).await;
}

/// Sends the beginning, and then the same again and again until somebody has had enough.
async fn drips(caller: Caller, first: String, again: &'static str) -> Answer {
    let first = futures::stream::iter([Ok(Bytes::from(first))]);
    let drops = futures::stream::unfold((), move |()| async move {
        tokio::time::sleep(Duration::from_millis(50)).await;
        Some((Ok(Bytes::from_static(again.as_bytes())), ()))
    });
    let body = first.chain(drops);
    caller.asks(http::Method::POST, versions()).stream(body).await
}

/// Nothing else that is sent is progress: neither blanks, wherever they may stand, nor what is no package, nor a package
/// that comes a byte at a time.
async fn whoever_sends_anything_but_a_package_is_given_up(backend: Backend) {
    let service = Harness::with(backend)
        .setting("packages.upload_idle_seconds", 2)
        .start()
        .await;
    let begun = base64_of(&bytes_of(&package("1.0.0.0").payload_bytes(20_000)));
    let contents = format!("{{\"packageContents\":\"{}", &begun[..20_000]);
    let tricks = [
        ("{".to_owned(), " "),
        ("{\"packageContents\":\"".to_owned(), "AAAA"),
        (contents.clone(), "\\n"),
        (contents.clone(), "AAAA"),
        (format!("{contents}\""), " "),
        ("{\"@note\":\"".to_owned(), "x"),
        ("{\"@note\":[".to_owned(), "0,"),
        (format!("{contents}\",\"@note\":\""), "x"),
    ];
    for tricks in tricks.chunks(4) {
        let played = tricks.iter().map(|(first, again)| {
            let dripped = drips(service.owner(), first.clone(), again);
            async move {
                (
                    first,
                    tokio::time::timeout(Duration::from_secs(15), dripped).await,
                )
            }
        });
        for (first, answer) in join_all(played).await {
            let answer = answer.unwrap_or_else(|_| panic!("{first} keeps a place"));
            let message = answer.refused(408, "RequestTimeout").message();
            assert!(message.contains("16384 a second"), "{message}");
        }
    }
    nothing_is_left(&service).await;
}

async fn slow_senders_keep_out_nobody_for_long(backend: Backend) {
    let service = Harness::with(backend)
        .setting("packages.upload_idle_seconds", 2)
        .start()
        .await;
    let slow: Vec<_> = (0..16)
        .map(|_| tokio::spawn(drips(service.owner(), "{".into(), " ")))
        .collect();
    service
        .until("the slow ones have all places of theirs", async || {
            service.staged_files().len() >= 4
        })
        .await;
    assert_eq!(service.staged_files().len(), 4);
    service.contributor().has_uploaded("1.0.0.0").await;
    for answer in join_all(slow).await {
        let status = answer.unwrap().status;
        assert!(matches!(status, 408 | 429), "{status}");
    }
}

/// Its body is asked for once it has the place, and arrives whole.
async fn an_upload_waits_for_its_place(backend: Backend) {
    let service = Harness::with(backend)
        .setting("packages.concurrent_uploads", 1)
        .start()
        .await;
    let (chunks, first) = begins_upload(&service, &service.owner()).await;
    let contributor = service.contributor();
    let waiting = contributor.uploads(&package("2.0.0.0").payload_bytes(3_000_000), "Available");
    let waiting = tokio::spawn(waiting.send());
    let contents = base64_of(&bytes_of(&package("1.0.0.0")));
    for part in [contents.as_str(), "\"}"] {
        chunks.unbounded_send(Ok(Bytes::from(part.to_owned()))).unwrap();
    }
    drop(chunks);
    first.await.unwrap().unwrap().expect(200);
    waiting.await.unwrap().unwrap().expect(200);
    assert_eq!(
        service.owner().get(versions()).await.column("version"),
        ["1.0.0.0", "2.0.0.0"]
    );
}

async fn a_package_that_could_not_be_stored_may_be_sent_again(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    let objects = service.location("West Europe").join("objects");
    std::fs::remove_dir(&objects).unwrap();
    std::fs::write(&objects, "no folder").unwrap();
    let failed = owner.uploads(&package("1.0.0.0"), "Available").await;
    assert!(failed.status >= 500, "{failed:?}");
    assert_eq!(
        owner.version("1.0.0.0").await.expect(200).property("status"),
        "UploadFailed"
    );
    let path = owner.us("versions/1.0.0.0/getPackageContents");
    owner.get(&path).await.refused(404, "ResourceDoesNotExist");
    let environment = Environment::my_customer("0.9.0.0");
    service.operator().reports(&environment).await.expect(201);
    owner
        .schedules(&environment, "1.0.0.0")
        .await
        .refused(404, "ResourceDoesNotExist");
    std::fs::remove_file(&objects).unwrap();
    std::fs::create_dir(&objects).unwrap();
    let again = owner.uploads(&package("1.0.0.0"), "Available").await.expect(200);
    assert_eq!(again.property("status"), "Uploaded");
    assert_eq!(
        owner.get(&path).await.expect(200).body,
        bytes_of(&package("1.0.0.0"))
    );
}
