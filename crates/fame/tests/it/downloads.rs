//! `fame versions download`

use crate::service::{APP, Answer, Asked, Ended, Service, binary, run};
use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};
use std::path::Path;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const NAME: &str = "attachment; filename=\"Contoso_Sales Pack_16.0.1.2.app\"";

fn package() -> Vec<u8> {
    (0..100_000_u32).flat_map(|number| number.to_le_bytes()).collect()
}

fn digest(bytes: &[u8]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(bytes)))
}

/// A service that has the package and knows ranges.
fn serve(asked: &Asked) -> Answer {
    let bytes = package();
    let answer = match asked.header("range").strip_prefix("bytes=") {
        None => Answer::bytes(200, bytes.clone()),
        Some(range) => {
            let from: usize = range.trim_end_matches('-').parse().unwrap();
            if from >= bytes.len() {
                return Answer::refusal(416, "RangeNotSatisfiable", "There is no more.");
            }
            let range = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
            Answer::bytes(206, bytes[from..].to_vec()).with("content-range", range)
        }
    };
    answer
        .with("content-disposition", NAME)
        .with("repr-digest", digest(&bytes))
}

async fn download(service: &Service, folder: &TempDir, more: &[&str]) -> Ended {
    let args = ["versions", "download", APP, "16.0.1.2", "--country", "US"];
    let mut command = service.command(&[&args[..], more].concat());
    command.current_dir(folder);
    run(command).await
}

fn partial(folder: &TempDir) -> std::path::PathBuf {
    folder.path().join(format!("{APP}_US_16.0.1.2.app.part"))
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_is_fetched_checked_and_named() {
    let service = Service::start(|asked, _| serve(asked)).await;
    let folder = tempfile::tempdir().unwrap();
    let ended = download(&service, &folder, &[]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(names(folder.path()), ["Contoso_Sales Pack_16.0.1.2.app"]);
    assert_eq!(
        std::fs::read(folder.path().join("Contoso_Sales Pack_16.0.1.2.app")).unwrap(),
        package()
    );
    let path = format!("/v1.4/apps/{APP}/countries/US/versions/16.0.1.2/getPackageContents");
    assert_eq!(service.lines(), [format!("POST {path}")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_try_is_continued() {
    let service = Service::start(|asked, _| serve(asked)).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(partial(&folder), &package()[..123_457]).unwrap();
    let ended = download(&service, &folder, &["--output", "."]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(service.journal()[0].header("range"), "bytes=123457-");
    assert_eq!(names(folder.path()), ["Contoso_Sales Pack_16.0.1.2.app"]);
    assert_eq!(
        std::fs::read(folder.path().join("Contoso_Sales Pack_16.0.1.2.app")).unwrap(),
        package()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_try_that_had_everything_needs_nothing_more() {
    let service = Service::start(|asked, _| serve(asked)).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(partial(&folder), package()).unwrap();
    let ended = download(&service, &folder, &[]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(names(folder.path()), ["Contoso_Sales Pack_16.0.1.2.app"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_try_left_of_something_else_is_thrown_away() {
    let service = Service::start(|asked, _| serve(asked)).await;
    for leftover in [vec![0; 1_000], vec![0; 500_000]] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("here.app.part"), leftover).unwrap();
        let ended = download(&service, &folder, &["-o", "here.app"]).await;
        assert_eq!(ended.code, 0, "{ended:?}");
        assert_eq!(std::fs::read(folder.path().join("here.app")).unwrap(), package());
    }
}

/// Without a digest, nobody can tell whether what an earlier try left belongs to the package.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_checked_is_not_continued() {
    let service = Service::start(|asked, _| match asked.header("range").strip_prefix("bytes=") {
        None => Answer::bytes(200, package()),
        Some(_) => {
            Answer::bytes(206, package()[10..].to_vec()).with("content-range", "bytes 10-399999/400000")
        }
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("here.app.part"), "of another").unwrap();
    let ended = download(&service, &folder, &["-o", "here.app"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.err.contains("named no digest"), "{ended:?}");
    assert_eq!(std::fs::read(folder.path().join("here.app")).unwrap(), package());
}

/// A service that sends half of the package of a version, and the rest when it is told to.
struct Halting {
    url: String,
    halves: tokio::sync::watch::Sender<usize>,
    go_on: tokio::sync::watch::Sender<bool>,
}

/// The package of a version: each has its own.
fn package_of(path: &str) -> Vec<u8> {
    let mut bytes = package();
    bytes[399_999] = path.len() as u8;
    bytes[399_998] = u8::from(path.contains("16.0.1.2"));
    bytes
}

impl Halting {
    async fn start() -> Self {
        use axum::{Router, body::Body, extract::Request, response::Response};
        let halves = tokio::sync::watch::channel(0).0;
        let go_on = tokio::sync::watch::channel(false).0;
        let (sent, goes) = (halves.clone(), go_on.clone());
        let router = Router::new().fallback(async move |request: Request| {
            let bytes = package_of(request.uri().path());
            let told = digest(&bytes);
            let (first, rest) = (bytes[..200_000].to_vec(), bytes[200_000..].to_vec());
            let (sent, goes) = (sent.clone(), goes.subscribe());
            let parts = futures::stream::unfold(0, move |part| {
                let (sent, mut goes) = (sent.clone(), goes.clone());
                let next = match part {
                    0 => Some(first.clone()),
                    1 => Some(rest.clone()),
                    _ => None,
                };
                async move {
                    if part == 1 {
                        sent.send_modify(|halves| *halves += 1);
                        goes.wait_for(|goes| *goes).await.unwrap();
                    }
                    next.map(|bytes| (Ok::<_, std::convert::Infallible>(bytes), part + 1))
                }
            });
            Response::builder()
                .header("ms-correlation-x", "-")
                .header("content-length", bytes.len())
                .header("repr-digest", told)
                .body(Body::from_stream(parts))
                .unwrap()
        });
        let address = crate::service::serve(router).await;
        Self {
            url: format!("http://{address}"),
            halves,
            go_on,
        }
    }

    /// Begins a download in `folder`; it has the first half when this returns.
    async fn begins(&self, folder: &TempDir, version: &str) -> tokio::task::JoinHandle<Ended> {
        let before = *self.halves.borrow();
        let args = [
            "versions", "download", APP, version, "-c", "US", "-o", "here.app", "--url", &self.url,
        ];
        let mut command = binary(&args);
        command.env("FAME_TOKEN", "the-token").current_dir(folder);
        let running = tokio::spawn(run(command));
        let mut halves = self.halves.subscribe();
        halves.wait_for(|halves| *halves > before).await.unwrap();
        running
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_at_once_do_not_meet() {
    for (versions, codes) in [
        (["16.0.1.2", "16.0.1.2"], [0, 0]),
        (["16.0.1.2", "16.0.1.30"], [0, 5]),
    ] {
        let service = Halting::start().await;
        let folder = tempfile::tempdir().unwrap();
        let first = service.begins(&folder, versions[0]).await;
        let second = service.begins(&folder, versions[1]).await;
        service.go_on.send_replace(true);
        let ended = [first.await.unwrap(), second.await.unwrap()];
        let mut seen = ended.each_ref().map(|ended| ended.code);
        seen.sort_unstable();
        assert_eq!(seen, codes, "{ended:?}");
        assert_eq!(names(folder.path()), ["here.app"], "{ended:?}");
        let there = std::fs::read(folder.path().join("here.app")).unwrap();
        let winner = ended.iter().find(|ended| ended.code == 0).unwrap();
        let sha256 = data_encoding::HEXLOWER.encode(&Sha256::digest(&there));
        assert!(
            winner.out.contains(&sha256),
            "what is named is what lies there: {winner:?}"
        );
        let whole = versions.map(|version| {
            package_of(&format!(
                "/v1.4/apps/{APP}/countries/US/versions/{version}/getPackageContents"
            ))
        });
        assert!(whole.contains(&there));
    }
}

/// What was right when it arrived may be another by the time it gets its name.
#[tokio::test(flavor = "multi_thread")]
async fn what_lies_there_is_checked() {
    let service = Halting::start().await;
    let folder = tempfile::tempdir().unwrap();
    let running = service.begins(&folder, "16.0.1.2").await;
    let path = folder.path().join("here.app.part");
    crate::services::eventually("the first half is there", async || {
        let length = std::fs::metadata(&path).ok()?.len();
        (length >= 200_000).then_some(())
    })
    .await;
    let mut part = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    std::io::Write::write_all(&mut part, b"damaged").unwrap();
    service.go_on.send_replace(true);
    let ended = running.await.unwrap();
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.err.contains("does not fit the package"), "{ended:?}");
    let path = format!("/v1.4/apps/{APP}/countries/US/versions/16.0.1.2/getPackageContents");
    assert_eq!(
        std::fs::read(folder.path().join("here.app")).unwrap(),
        package_of(&path)
    );
}

/// Reads the head of a request.
async fn read_head(connection: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(connection.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap().to_lowercase()
}

/// A service that sends the first 200000 bytes and hangs up; asked again, it sends the rest.
async fn serve_in_two_halves(listener: TcpListener) -> String {
    let (bytes, digest) = (package(), digest(&package()));
    let (first, rest) = bytes.split_at(200_000);
    let (mut connection, _) = listener.accept().await.unwrap();
    read_head(&mut connection).await;
    let head = format!(
        "HTTP/1.1 200 OK\r\nms-correlation-x: -\r\netag: \"whole\"\r\ncontent-length: {}\r\n\
         repr-digest: {digest}\r\n\r\n",
        bytes.len()
    );
    connection
        .write_all(&[head.as_bytes(), first].concat())
        .await
        .unwrap();
    connection.shutdown().await.unwrap();

    let (mut connection, _) = listener.accept().await.unwrap();
    let asked = read_head(&mut connection).await;
    let range = format!("content-range: bytes 200000-{}/{}", bytes.len() - 1, bytes.len());
    let length = rest.len();
    let head = format!(
        "HTTP/1.1 206 Partial\r\nms-correlation-x: -\r\ncontent-length: {length}\r\n{range}\r\nrepr-digest: {digest}\r\n\r\n"
    );
    connection
        .write_all(&[head.as_bytes(), rest].concat())
        .await
        .unwrap();
    connection.shutdown().await.unwrap();
    asked
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_is_taken_up_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(serve_in_two_halves(listener));
    let folder = tempfile::tempdir().unwrap();
    let args = [
        "versions", "download", APP, "16.0.1.2", "-c", "US", "-o", "here.app", "--url", &url,
    ];
    let mut command = binary(&args);
    command.env("FAME_TOKEN", "the-token").current_dir(&folder);
    let ended = run(command).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(std::fs::read(folder.path().join("here.app")).unwrap(), package());
    let asked = serving.await.unwrap();
    assert!(
        asked.starts_with("get ") && asked.contains("range: bytes=200000-"),
        "{asked}"
    );
    assert!(asked.contains("if-range: \"whole\""), "{asked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_package_gets_no_name() {
    let service =
        Service::start(|_, _| Answer::bytes(200, "damaged").with("repr-digest", digest(b"whole"))).await;
    let folder = tempfile::tempdir().unwrap();
    let ended = download(&service, &folder, &["-o", "here.app"]).await;
    assert_eq!(ended.code, 6, "{ended:?}");
    assert!(!folder.path().join("here.app").exists());
    assert_eq!(service.lines().len(), 2, "it was tried twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_file_is_not_replaced_unless_that_is_wanted() {
    let service = Service::start(|asked, _| serve(asked)).await;
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("here.app");
    std::fs::write(&target, "something else").unwrap();
    assert_eq!(download(&service, &folder, &["-o", "here.app"]).await.code, 5);
    assert_eq!(std::fs::read(&target).unwrap(), b"something else");
    assert_eq!(
        download(&service, &folder, &["-o", "here.app", "--force"])
            .await
            .code,
        0
    );
    assert_eq!(std::fs::read(&target).unwrap(), package());
    assert_eq!(
        download(&service, &folder, &["-o", "here.app"]).await.code,
        0,
        "the same again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bytes_can_go_to_standard_output() {
    let service = Service::start(|asked, _| serve(asked)).await;
    let folder = tempfile::tempdir().unwrap();
    let ended = download(&service, &folder, &["-o", "-"]).await;
    assert_eq!((ended.code, ended.raw), (0, package()));
    assert!(names(folder.path()).is_empty());
}
