//! Connections: nobody keeps one for nothing, and nobody has all of them.

use crate::{
    harness::{Backend, Harness, on_both_databases, package, upload_body},
    observability::Log,
};
use futures::future::join_all;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

on_both_databases!(
    a_connection_without_a_request_ends_whatever_is_sent,
    what_is_under_way_is_not_cut_off,
    one_address_has_so_many_connections,
    the_connections_of_proxies_are_not_counted,
    when_all_connections_are_open_further_ones_wait,
    a_stream_that_takes_nothing_of_its_answer_ends_alone,
    lines_end_as_they_have_to,
);

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const REQUEST: &[u8] = b"GET /health/live HTTP/1.1\r\nHost: fame\r\n\r\n";

/// How long the head of a request may take in these tests, and how much later a connection has ended for certain.
const HEADER_SECONDS: u64 = 1;
const CERTAIN: Duration = Duration::from_secs(15);

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// `GET` of an address, its authority `fame`, as HPACK writes it without any table but the built-in one.
fn head(path: &[u8]) -> Vec<u8> {
    let literal = |name: u8, value: &[u8]| [&[name, u8::try_from(value.len()).unwrap()], value].concat();
    [vec![0x82, 0x86], literal(0x04, path), literal(0x01, b"fame")].concat()
}

/// What somebody does who wants to keep a connection.
enum Trick {
    /// Sends this and no more.
    Once(Vec<u8>),
    /// Sends the first, then the second again and again.
    Drip(Vec<u8>, Vec<u8>),
    /// Speaks HTTP/2 as it should be, and answers all that asks whether they are there.
    AnswersPings(Vec<u8>),
}

impl Trick {
    async fn play(self, mut connection: TcpStream) {
        match self {
            Self::Once(bytes) => {
                connection.write_all(&bytes).await.unwrap();
                drop(connection.read_to_end(&mut Vec::new()).await);
            }
            Self::Drip(first, again) => {
                connection.write_all(&first).await.unwrap();
                let (mut reading, mut writing) = connection.into_split();
                let dripping = async {
                    while writing.write_all(&again).await.is_ok() {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                };
                let mut answer = Vec::new();
                tokio::select! {
                    () = dripping => {}
                    _ = reading.read_to_end(&mut answer) => {}
                }
            }
            Self::AnswersPings(first) => {
                connection.write_all(&first).await.unwrap();
                while let Some((kind, flags, _, payload)) = next_frame(&mut connection).await {
                    if matches!(kind, SETTINGS | PING) && flags & ACK == 0 {
                        let payload = if kind == PING { payload } else { Vec::new() };
                        if connection
                            .write_all(&frame(kind, ACK, 0, &payload))
                            .await
                            .is_err()
                        {
                            return;
                        }
                    }
                }
            }
        }
    }
}

/// Kind, flags, stream and what it holds.
type Frame = (u8, u8, u32, Vec<u8>);

async fn next_frame(connection: &mut TcpStream) -> Option<Frame> {
    let mut head = [0; 9];
    connection.read_exact(&mut head).await.ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; length as usize];
    connection.read_exact(&mut payload).await.ok()?;
    let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
    Some((head[3], head[4], stream, payload))
}

async fn a_connection_without_a_request_ends_whatever_is_sent(backend: Backend) {
    let service = Harness::with(backend)
        .setting("limits.request_header_seconds", HEADER_SECONDS)
        .start_empty()
        .await;
    let settings = frame(SETTINGS, 0, 0, &[]);
    let begun = [PREFACE, &settings].concat();
    let complete = frame(HEADERS, END_HEADERS | END_STREAM, 1, &head(b"/health/live"));
    let open = frame(HEADERS, END_STREAM, 1, &head(b"/health/live"));
    let ping = frame(PING, 0, 0, &[7; 8]);
    let once = |bytes: &[u8]| Trick::Once(bytes.to_vec());
    let drip = |first: &[u8], again: &[u8]| Trick::Drip(first.to_vec(), again.to_vec());
    let tricks = [
        ("nothing", once(b"")),
        ("one byte of either version", once(b"P")),
        ("half of a preface", once(&PREFACE[..14])),
        ("a preface", once(PREFACE)),
        ("a preface and settings", once(&begun)),
        ("half of a head", once(b"GET /health/live HTTP/1.1\r\nHost:")),
        (
            "no end of a head",
            drip(b"GET /health/live HTTP/1.1\r\n", b"a: b\r\n"),
        ),
        ("blank lines", drip(b"", b"\r\n")),
        ("settings again and again", drip(&begun, &settings)),
        ("pings", drip(&begun, &ping)),
        ("answers to pings", Trick::AnswersPings(begun.clone())),
        ("an open head", once(&[begun.clone(), open.clone()].concat())),
        (
            "an open head that goes on",
            drip(
                &[begun.clone(), open].concat(),
                &frame(CONTINUATION, 0, 1, &[0, 1, b'a', 1, b'b']),
            ),
        ),
        ("nothing after a request", once(REQUEST)),
        ("half of a second request", once(&[REQUEST, b"GET"].concat())),
        (
            "pings after a request",
            Trick::AnswersPings([begun, complete].concat()),
        ),
    ];
    let played = tricks.into_iter().map(async |(name, trick)| {
        let connection = service.connection().await;
        let ended = timeout(CERTAIN, trick.play(connection)).await;
        assert!(ended.is_ok(), "{name} keeps a connection");
    });
    join_all(played).await;
}

/// An upload takes longer than the head of a request may, and the connection is used again after it.
async fn what_is_under_way_is_not_cut_off(backend: Backend) {
    let service = Harness::with(backend)
        .setting("limits.request_header_seconds", HEADER_SECONDS)
        .start()
        .await;
    let body = upload_body(&package("1.0.0.0"), "Available").to_string();
    let (chunks, stream) = futures::channel::mpsc::unbounded();
    let send = |text: &str| {
        let chunk = bytes::Bytes::copy_from_slice(text.as_bytes());
        chunks.unbounded_send(Ok(chunk)).unwrap();
    };
    let owner = service.owner();
    let upload = tokio::spawn(
        owner
            .asks(http::Method::POST, owner.us("versions"))
            .stream(stream)
            .send(),
    );
    for (number, part) in body.as_bytes().chunks(body.len().div_ceil(8)).enumerate() {
        if number > 0 {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        send(std::str::from_utf8(part).unwrap());
    }
    drop(chunks);
    upload.await.unwrap().unwrap().expect(200);
}

/// Whether whoever is at the door answers.
async fn is_answered(connection: &mut TcpStream) -> bool {
    let mut answer = [0; 12];
    // A connection that was closed may take what is sent, or not.
    drop(connection.write_all(REQUEST).await);
    connection.read_exact(&mut answer).await.is_ok() && &answer == b"HTTP/1.1 200"
}

async fn one_address_has_so_many_connections(backend: Backend) {
    let log = Log::listening();
    let service = Harness::with(backend)
        .setting("limits.connections_per_address", 2)
        .start_empty()
        .await;
    let mut first = service.connection().await;
    let mut second = service.connection().await;
    assert!(is_answered(&mut first).await && is_answered(&mut second).await);
    assert!(!is_answered(&mut service.connection().await).await);
    log.any_line(|line| {
        let message = line["message"].as_str().unwrap_or_default();
        line["level"] == "WARN"
            && message.starts_with("2 connections of one address")
            && line["peer"] == "127.0.0.1"
    });
    drop(first);
    service
        .until("there is a place again", async || {
            is_answered(&mut service.connection().await).await
        })
        .await;
}

async fn the_connections_of_proxies_are_not_counted(backend: Backend) {
    let service = Harness::with(backend)
        .setting("limits.connections_per_address", 1)
        .setting("limits.proxies", "192.0.2.1,127.0.0.0/8")
        .start_empty()
        .await;
    let mut connections = Vec::new();
    for _ in 0..5 {
        let mut connection = service.connection().await;
        assert!(is_answered(&mut connection).await);
        connections.push(connection);
    }
}

async fn when_all_connections_are_open_further_ones_wait(backend: Backend) {
    let log = Log::listening();
    let service = Harness::with(backend)
        .setting("limits.connections", 17)
        .start_empty()
        .await;
    let mut connections = Vec::new();
    for _ in 0..17 {
        let mut connection = service.connection().await;
        assert!(is_answered(&mut connection).await);
        connections.push(connection);
    }
    let mut waiting = service.connection().await;
    log.any_line(|line| {
        let message = line["message"].as_str().unwrap_or_default();
        line["level"] == "WARN" && message.starts_with("all 17 connections")
    });
    connections.pop();
    assert!(is_answered(&mut waiting).await);
}

/// Every answer of HTTP/2 has a window of its own. Whoever leaves it shut has that answer ended, whether it is long or
/// short; the others of the connection go on.
async fn a_stream_that_takes_nothing_of_its_answer_ends_alone(backend: Backend) {
    const INITIAL_WINDOW_SIZE: [u8; 2] = [0, 4];
    let service = Harness::with(backend)
        .setting("limits.response_idle_seconds", 1)
        .start_empty()
        .await;
    let window = |bytes: u32| {
        frame(
            SETTINGS,
            0,
            0,
            &[&INITIAL_WINDOW_SIZE[..], &bytes.to_be_bytes()].concat(),
        )
    };
    let get = |stream, path: &[u8]| frame(HEADERS, END_HEADERS | END_STREAM, stream, &head(path));
    let mut connection = service.connection().await;
    let begun = [
        PREFACE,
        &window(0),
        &get(1, b"/openapi.json"),
        &get(3, b"/v1.4/nowhere"),
    ]
    .concat();
    connection.write_all(&begun).await.unwrap();
    let mut ended = Vec::new();
    while ended.len() < 2 {
        let next = timeout(CERTAIN, next_frame(&mut connection)).await;
        let (kind, _, stream, _) = next.unwrap().unwrap();
        assert_ne!(kind, DATA);
        if kind == RST_STREAM {
            ended.push(stream);
        }
    }
    ended.sort_unstable();
    assert_eq!(ended, [1, 3]);
    let again = [window(1000), get(5, b"/v1.4/nowhere")].concat();
    connection.write_all(&again).await.unwrap();
    loop {
        let (kind, flags, stream, _) = next_frame(&mut connection).await.unwrap();
        if (kind, stream) == (DATA, 5) && flags & END_STREAM != 0 {
            break;
        }
    }
}

/// Sends bytes as they are, and gets all that comes back.
pub(crate) async fn raw(service: &Harness, request: &[u8]) -> String {
    let mut connection = service.connection().await;
    connection.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// A line feed alone ends a line for some and not for others, so that two on the way may see two requests.
async fn lines_end_as_they_have_to(backend: Backend) {
    let service = Harness::with(backend).start_empty().await;
    let good = "GET /health/live HTTP/1.1\r\nHost: fame\r\n\r\n";
    let posted = "POST /health/live HTTP/1.1\r\nHost: fame\r\nContent-Length: 4\r\n\r\n\n\r\na";
    let chunked = "POST /health/live HTTP/1.1\r\nHost: fame\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n\n\na\r\n0\r\n\r\n";
    let last = "GET /health/live HTTP/1.1\r\nHost: fame\r\nConnection: close\r\n\r\n";
    for bare in [
        "GET /health/live HTTP/1.1\nHost: fame\r\nConnection: close\r\n\r\n",
        "GET /health/live HTTP/1.1\r\nHost: fame\nConnection: close\r\n\r\n",
        "GET /health/live HTTP/1.1\r\nHost: fame\r\nConnection: close\r\n\n",
        "GET /health/live HTTP/1.1\r\nHost: fame\r\nConnection: close\n\n",
        "\nGET /health/live HTTP/1.1\r\nHost: fame\r\nConnection: close\r\n\r\n",
    ] {
        for before in ["", good, posted, chunked] {
            let answer = raw(&service, format!("{before}{bare}").as_bytes()).await;
            let statuses: Vec<_> = answer
                .split("HTTP/1.1 ")
                .skip(1)
                .map(|answer| &answer[..3])
                .collect();
            assert_eq!(statuses.last(), Some(&"400"), "{before:?} {bare:?}: {answer}");
            assert_eq!(
                statuses.len(),
                if before.is_empty() { 1 } else { 2 },
                "{before:?} {bare:?}: {answer}"
            );
        }
    }
    for before in [good, posted, chunked, "\r\n"] {
        let answer = raw(&service, format!("{before}{last}").as_bytes()).await;
        assert!(!answer.contains("HTTP/1.1 400"), "{before:?}: {answer}");
    }
}
