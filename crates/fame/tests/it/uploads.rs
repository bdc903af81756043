//! `fame versions upload`

use crate::{
    packages::{PackageFile, builder},
    service::{APP, Answer, Asked, Service},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

fn uploaded(number: &str, status: &str) -> Value {
    json!({"version": number, "countryCode": "US", "availability": "Preview", "status": status, "name": "Sales Pack"})
}

fn contents(asked: &Asked) -> Vec<u8> {
    STANDARD
        .decode(asked.json()["packageContents"].as_str().unwrap())
        .unwrap()
}

/// The digest as the header has it.
fn repr_digest(bytes: &[u8]) -> String {
    let digest = sha256_of(bytes);
    format!("sha-256=:{}:", STANDARD.encode(digest))
}

fn sha256_of(bytes: &[u8]) -> Vec<u8> {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_package_arrives_in_every_country_byte_for_byte() {
    let package = PackageFile::new("16.0.1.2");
    let service = Service::start(|_, _| Answer::json(200, uploaded("16.0.1.2", "Uploaded"))).await;
    let args = [
        "versions",
        "upload",
        package.name(),
        "--country",
        "US",
        "--country",
        "dk",
        "--availability",
        "available",
    ];
    let ended = service.fame(&args).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    insta::assert_snapshot!(ended.out, @r"
    VERSION   COUNTRY  AVAILABILITY  STATUS    UPLOADED ON  NAME
    16.0.1.2  US       Preview       Uploaded               Sales Pack
    16.0.1.2  US       Preview       Uploaded               Sales Pack
    ");
    let journal = service.journal();
    let lines: Vec<String> = journal.iter().map(Asked::line).collect();
    assert_eq!(
        lines,
        ["US", "DK"].map(|country| format!("POST /v1.4/apps/{APP}/countries/{country}/versions"))
    );
    for asked in &journal {
        assert_eq!(contents(asked), package.bytes());
        assert_eq!(asked.json()["initialAvailability"], "Available");
        assert_eq!(asked.header("content-length"), asked.body.len().to_string());
        assert_eq!(asked.header("content-type"), "application/json");
        assert!(asked.headers.get("transfer-encoding").is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_service_gets_the_whole_package_again() {
    let package = PackageFile::new("16.0.1.2");
    let service = Service::start(|_, before| match before {
        0 => Answer::refusal(503, "ServiceUnavailable", "Later.").with("retry-after", 0),
        1 => Answer::refusal(409, "UploadInProgress", "Somebody else is at it.").with("retry-after", 0),
        _ => Answer::json(200, uploaded("16.0.1.2", "Uploaded")),
    })
    .await;
    let ended = service
        .fame(&["versions", "upload", package.name(), "--country", "US"])
        .await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let journal = service.journal();
    assert_eq!(journal.len(), 3);
    assert!(journal.iter().all(|asked| contents(asked) == package.bytes()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_of_unknown_outcome_is_tried_again_and_looked_for() {
    let package = PackageFile::new("16.0.1.2");
    let service =
        Service::start(|_, _| Answer::refusal(500, "Unknown", "Something broke.").with("retry-after", 0))
            .await;
    let args = ["versions", "upload", package.name(), "--country", "US"];
    let ended = service.fame(&[&args[..], &["--retries", "2"]].concat()).await;
    assert_eq!(ended.code, 6, "{ended:?}");
    let posts = service
        .lines()
        .iter()
        .filter(|line| line.starts_with("POST"))
        .count();
    assert_eq!((posts, service.lines().len()), (3, 6), "and looked for");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_damaged_package_keeps_all_from_being_sent() {
    let good = PackageFile::new("16.0.1.2");
    let bad = good.folder.path().join("bad.app");
    std::fs::write(&bad, &good.bytes()[..100]).unwrap();
    let service = Service::start(|_, _| Answer::json(200, json!({}))).await;
    let args = [
        "versions",
        "upload",
        good.name(),
        bad.to_str().unwrap(),
        "--country",
        "US",
    ];
    let ended = service.fame(&args).await;
    assert_eq!(ended.code, 14);
    assert!(service.lines().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_failing_country_does_not_hold_up_the_others() {
    let package = PackageFile::new("16.0.1.2");
    let service = Service::start(|asked, _| {
        if asked.path.contains("/DK/") {
            Answer::refusal(404, "ResourceDoesNotExist", "Country DK was not added.")
        } else {
            Answer::json(200, uploaded("16.0.1.2", "Uploaded"))
        }
    })
    .await;
    let ended = service
        .fame(&[
            "versions",
            "upload",
            package.name(),
            "--country",
            "DK,US",
            "--json",
        ])
        .await;
    assert_eq!(ended.code, 4);
    assert_eq!(ended.json().as_array().unwrap().len(), 1);
    let told: serde_json::Value = serde_json::from_str(ended.err.lines().last().unwrap()).unwrap();
    let error = &told["error"];
    assert_eq!(
        (&error["code"], &error["exitCode"]),
        (&json!("ResourceDoesNotExist"), &json!(4))
    );
    assert!(error["about"].as_str().unwrap().ends_with("for DK"), "{told}");
}

/// A service that has version 16.0.1.2 already, in these bytes.
async fn with_existing(bytes: Vec<u8>, tells_digest: bool) -> Service {
    Service::start(move |asked, _| match asked.method.as_str() {
        "GET" => Answer::json(200, uploaded("16.0.1.2", "Uploaded")),
        "HEAD" if tells_digest => Answer::bytes(200, "").with("repr-digest", repr_digest(&bytes)),
        "HEAD" => Answer::bytes(405, ""),
        _ if asked.path.ends_with("/getPackageContents") => Answer::bytes(200, bytes.clone()),
        _ => Answer::refusal(409, "ResourceExists", "It is there already."),
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_already_is_skipped_when_it_is_the_same() {
    let package = PackageFile::new("16.0.1.2");
    for tells_digest in [true, false] {
        let service = with_existing(package.bytes(), tells_digest).await;
        let args = [
            "versions",
            "upload",
            package.name(),
            "--country",
            "US",
            "--skip-existing",
        ];
        let ended = service.fame(&args).await;
        assert_eq!(ended.code, 0, "{ended:?}");
        assert!(
            ended.err.contains("already, with the same bytes"),
            "{}",
            ended.err
        );
        assert!(
            service.lines().iter().all(|line| !line.ends_with("/versions")),
            "nothing was uploaded"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_number_with_other_bytes_is_never_a_success() {
    let package = PackageFile::new("16.0.1.2");
    let other = PackageFile::built(builder("16.0.1.2").description("other")).bytes();
    for tells_digest in [true, false] {
        for flags in [&["--skip-existing"][..], &[]] {
            let service = with_existing(other.clone(), tells_digest).await;
            let args = [&["versions", "upload", package.name(), "--country", "US"], flags].concat();
            let ended = service.fame(&args).await;
            assert_eq!(ended.code, 15, "{ended:?}");
            assert!(ended.err.contains("different content"), "{}", ended.err);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_flag_even_the_same_bytes_are_a_refusal() {
    let package = PackageFile::new("16.0.1.2");
    let service = with_existing(package.bytes(), true).await;
    let ended = service
        .fame(&["versions", "upload", package.name(), "--country", "US"])
        .await;
    assert_eq!(ended.code, 5);
    assert!(ended.err.contains("--skip-existing"), "{}", ended.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_was_faster_with_the_same_bytes_is_no_failure() {
    let package = PackageFile::new("16.0.1.2");
    let sha256: String = sha256_of(&package.bytes())
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    let service = Service::start(move |asked, before| match (asked.method.as_str(), before) {
        ("GET", 0) => Answer::refusal(404, "ResourceDoesNotExist", "No such version."),
        ("GET", _) => Answer::json(200, uploaded("16.0.1.2", "Uploaded")),
        _ => Answer::json(
            409,
            json!({"error": {"code": "ResourceExists", "message": "There."}, "extensionData": {"sha256": sha256}}),
        ),
    })
    .await;
    let args = [
        "versions",
        "upload",
        package.name(),
        "--country",
        "US",
        "--skip-existing",
    ];
    let ended = service.fame(&args).await;
    assert_eq!(ended.code, 0, "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_failed_may_be_made_again() {
    let package = PackageFile::new("16.0.1.2");
    let service = Service::start(|asked, _| match asked.method.as_str() {
        "GET" => Answer::json(200, uploaded("16.0.1.2", "UploadFailed")),
        _ => Answer::json(200, uploaded("16.0.1.2", "Uploaded")),
    })
    .await;
    let args = [
        "versions",
        "upload",
        package.name(),
        "--country",
        "US",
        "--skip-existing",
    ];
    assert_eq!(service.fame(&args).await.code, 0);
    assert_eq!(service.journal()[1].method, "POST");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_judged_beside_each_other() {
    let service = Service::start(|_, _| Answer::json(200, uploaded("16.0.1.2", "Uploaded"))).await;
    let package = PackageFile::new("16.0.1.2");
    let copy = package.folder.path().join("copy.app");
    std::fs::copy(&package.path, &copy).unwrap();
    let copy = copy.to_str().unwrap();
    let upload = |files: &[&str]| {
        [&["versions", "upload"], files, &["-c", "US,us"]]
            .concat()
            .join("\n")
    };
    let run = async |files: &[&str]| {
        let args = upload(files);
        service.fame(&args.split('\n').collect::<Vec<_>>()).await
    };
    let ended = run(&[package.name(), copy]).await;
    assert_eq!((ended.code, service.lines().len()), (0, 1), "{ended:?}");
    assert!(ended.err.contains("copy.app are the same package"), "{ended:?}");

    let other = PackageFile::built(builder("16.0.1.2").description("other"));
    let again = PackageFile::built(builder("16.0.1.2").package_id(uuid::Uuid::from_u128(8)));
    for (second, is_built_again) in [(&other, false), (&again, true)] {
        let ended = run(&[package.name(), second.name()]).await;
        assert_eq!((ended.code, service.lines().len()), (15, 1), "{ended:?}");
        for file in [package.name(), second.name()] {
            assert!(ended.err.contains(file), "{ended:?}");
        }
        assert_eq!(ended.err.contains("built again"), is_built_again, "{ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_needed_goes_first_and_what_is_lacking_is_told() {
    let (base, foreign) = (uuid::Uuid::from_u128(0xb), uuid::Uuid::from_u128(0xf));
    let minimum = || "2.0.0.0".parse().unwrap();
    let named =
        |id, name, version: &str| navx::PackageBuilder::new(id, name, "Contoso", version.parse().unwrap());
    let app: uuid::Uuid = APP.parse().unwrap();
    let needing = builder("16.0.1.2")
        .dependency(base, "Base", "Contoso", minimum())
        .dependency(foreign, "System", "Fabrikam", minimum());
    let needing = PackageFile::built(needing);
    let top = PackageFile::built(named(uuid::Uuid::from_u128(0xa), "Top", "1.0.0.0").dependency(
        app,
        "Sales Pack",
        "Contoso",
        minimum(),
    ));
    let older = PackageFile::built(named(base, "Base", "1.9.0.0"));
    let service = Service::start(move |asked, _| match asked.path.as_str() {
        _ if asked.method == "POST" => Answer::json(200, uploaded("1.0.0.0", "Uploaded")),
        path if path.contains(&foreign.to_string()) => {
            Answer::refusal(404, "ResourceDoesNotExist", "No such app.")
        }
        path if path.ends_with("/countries") => Answer::json(
            200,
            json!({"value": [
                {"countryCode": "US"}, {"countryCode": "DE"}, {"countryCode": "DK"}
            ]}),
        ),
        path if path.contains("/DE/") || path.contains(APP) => {
            Answer::json(200, json!({"value": [uploaded("2.0.0.1", "Uploaded")]}))
        }
        _ => Answer::json(
            200,
            json!({"value": [uploaded("1.9.0.0", "Uploaded"), uploaded("2.1.0.0", "UploadFailed")]}),
        ),
    })
    .await;
    let args = [
        "versions",
        "upload",
        top.name(),
        needing.name(),
        older.name(),
        "-c",
        "US,DE",
    ];
    let ended = service.fame(&args).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let lines = service.lines();
    let sent: Vec<&str> = lines
        .iter()
        .filter_map(|line| line.strip_prefix("POST /v1.4/apps/"))
        .collect();
    let expected = [base, app, uuid::Uuid::from_u128(0xa)]
        .map(|id| ["US", "DE"].map(|country| format!("{id}/countries/{country}/versions")));
    assert_eq!(sent, expected.concat());
    let warnings: Vec<&str> = ended
        .err
        .lines()
        .filter(|line| line.starts_with("warning: "))
        .collect();
    assert_eq!(warnings.len(), 1, "{ended:?}");
    let told = format!("it needs Base 2.0.0.0 or newer ({base}), which is not in US; there is one in DE.");
    assert!(warnings[0].ends_with(&told), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_content_built_again_is_called_so() {
    let package = PackageFile::new("16.0.1.2");
    let again = PackageFile::built(builder("16.0.1.2").package_id(uuid::Uuid::from_u128(8)));
    let service = with_existing(again.bytes(), true).await;
    let args = [
        "versions",
        "upload",
        package.name(),
        "-c",
        "US",
        "--skip-existing",
    ];
    let ended = service.fame(&args).await;
    assert_eq!(ended.code, 15, "{ended:?}");
    assert!(ended.err.contains("built again"), "{ended:?}");
}

/// The most memory that a process ever had, as Linux tells it, read by the service before it answers.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn memory_does_not_grow_with_the_package() {
    use axum::{Router, body::Body, routing::post};
    use std::sync::{Arc, OnceLock};
    const PACKAGE_BYTES: u64 = 96 << 20;
    const ALLOWED_KIB: u64 = 56 << 10;

    let package = PackageFile::built(builder("16.0.1.2").payload_bytes(PACKAGE_BYTES));
    let process: Arc<OnceLock<u32>> = Arc::default();
    let seen = process.clone();
    let peak: Arc<OnceLock<u64>> = Arc::default();
    let measured = peak.clone();
    let receive = move |body: Body| async move {
        let mut frames = body.into_data_stream();
        let mut received = 0;
        while let Some(Ok(frame)) = futures::StreamExt::next(&mut frames).await {
            received += frame.len() as u64;
        }
        assert!(received > PACKAGE_BYTES * 4 / 3);
        let status = std::fs::read_to_string(format!("/proc/{}/status", seen.wait())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        let kib = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        measured.set(kib).unwrap();
        (
            [("ms-correlation-x", "-")],
            axum::Json(uploaded("16.0.1.2", "Uploaded")),
        )
    };
    let path = format!("/v1.4/apps/{APP}/countries/US/versions");
    let address = crate::service::serve(Router::new().route(&path, post(receive))).await;
    let url = format!("http://{address}");
    let mut command =
        crate::service::binary(&["versions", "upload", package.name(), "-c", "US", "--url", &url]);
    command.env("FAME_TOKEN", "the-token");
    let code = tokio::task::spawn_blocking(move || {
        let mut child = command.stdout(std::process::Stdio::null()).spawn().unwrap();
        process.set(child.id()).unwrap();
        child.wait().unwrap().code()
    });
    assert_eq!(code.await.unwrap(), Some(0));
    let peak = *peak.get().unwrap();
    assert!(
        peak < ALLOWED_KIB,
        "{peak} KiB for a package of {} KiB",
        PACKAGE_BYTES >> 10
    );
}
