//! Asked to stop under load, a replica finishes what it began and loses nothing.

use super::{Fleet, upload_body, versions_path};
use crate::services::{
    APPS, Answer, COUNTRIES, Caller, Environment, Lost, Method, Process, eventually, package,
};
use axum::body::Bytes;
use futures::{channel::mpsc, future::join_all};
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinHandle,
};

/// Uploads that are in the middle when the stop comes.
const UPLOADS: u32 = 4;
/// Clients that report without pause.
const REPORTERS: usize = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_begun_is_finished_and_what_was_acknowledged_is_there() {
    let mut fleet = Fleet::start().await;
    let mut stopping = fleet.replicas.remove(0);
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let reporters: Vec<_> = (0..REPORTERS)
        .map(|index| {
            tokio::spawn(report_until_the_end(
                stopping.operator(),
                index,
                acknowledged.clone(),
            ))
        })
        .collect();
    let mut uploads = Vec::new();
    for number in 1..=UPLOADS {
        uploads.push(HalfUpload::begin(stopping.owner().elsewhere(), number));
    }
    let mut idle = idle_connection(&stopping).await;
    eventually("all uploads are under way", async || {
        let is_busy =
            fleet.books.staged().len() == UPLOADS as usize && acknowledged.load(Ordering::SeqCst) > 50;
        is_busy.then_some(())
    })
    .await;

    stopping.signal("TERM");
    let address = stopping.base_url().replace("http://", "");
    eventually("nobody new is let in", async || {
        TcpStream::connect(&address).await.err()
    })
    .await;
    for upload in uploads {
        let answer = upload.finish().await;
        assert_eq!(answer.status, 200, "it had begun before the stop: {answer}");
    }
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty(), "an idle connection is closed without a word");
    assert_eq!(stopping.ended().await.code(), Some(0), "{}", stopping.log_tail());
    assert!(
        !stopping.log_tail().contains("still under way"),
        "{}",
        stopping.log_tail()
    );

    for reporter in reporters {
        reporter.await.unwrap().must_be_kept(&fleet).await;
    }
    let contents = (1..=UPLOADS).map(|number| {
        let owner = fleet.owner(1);
        async move {
            let path = format!(
                "{}/1.0.{number}.0/getPackageContents",
                versions_path(APPS[0], "US")
            );
            let contents = owner
                .ask(Method::POST, &path, &[], None)
                .await
                .unwrap()
                .expect(200);
            assert!(contents.body == package(APPS[0], number), "{path}");
        }
    });
    join_all(contents).await;
}

/// An upload of which the first half was sent.
struct HalfUpload {
    rest: Bytes,
    chunks: mpsc::UnboundedSender<io::Result<Bytes>>,
    answer: JoinHandle<Result<Answer, Lost>>,
}

impl HalfUpload {
    fn begin(caller: Caller, number: u32) -> Self {
        let mut body = Bytes::from(upload_body(&package(APPS[0], number)).to_string());
        let rest = body.split_off(body.len() / 2);
        let (chunks, stream) = mpsc::unbounded();
        chunks.unbounded_send(Ok(body)).unwrap();
        let path = versions_path(APPS[0], "US");
        Self {
            rest,
            chunks,
            answer: tokio::spawn(async move { caller.post_in_chunks(&path, stream).await }),
        }
    }

    async fn finish(self) -> Answer {
        self.chunks.unbounded_send(Ok(self.rest)).unwrap();
        drop(self.chunks);
        self.answer.await.unwrap().unwrap()
    }
}

/// A connection over which one request was answered, and which waits for another.
async fn idle_connection(process: &Process) -> TcpStream {
    let mut stream = TcpStream::connect(process.base_url().replace("http://", ""))
        .await
        .unwrap();
    stream
        .write_all(b"HEAD /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.unwrap());
    }
    assert!(
        answer.starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    stream
}

/// What one client knows of its environment.
struct Reported {
    environment: Environment,
    acknowledged: usize,
}

impl Reported {
    /// The environment is as the last answer said, or as the request after it, which nobody answered.
    async fn must_be_kept(self, fleet: &Fleet) {
        let shown = fleet
            .operator(0)
            .get(&self.environment.path())
            .await
            .unwrap()
            .expect(200);
        let possible = [self.acknowledged, self.acknowledged + 1].map(|number| format!("report {number}"));
        assert!(
            possible.contains(&shown.property("locationName")),
            "{possible:?}: {shown}"
        );
    }
}

/// Reports one environment again and again, until no answer comes any more.
async fn report_until_the_end(caller: Caller, index: usize, count: Arc<AtomicUsize>) -> Reported {
    let environment = Environment::new(format!("customer-{index}"), COUNTRIES[0]);
    let mut acknowledged = 0;
    loop {
        let report = environment.report("1.0.0.0", &format!("report {}", acknowledged + 1));
        let Ok(answer) = caller.put(&environment.path(), &report).await else {
            return Reported {
                environment,
                acknowledged,
            };
        };
        assert!(
            answer.status < 300,
            "a request that is taken is carried out: {answer}"
        );
        acknowledged += 1;
        count.fetch_add(1, Ordering::SeqCst);
    }
}
