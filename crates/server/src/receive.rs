//! Taking in an upload: decoded, hashed and written to staging while it arrives, in constant memory.
//!
//! The task that reads from the network only hands chunks over; another decodes, hashes and stages them, so that
//! receiving and storing overlap. That one ends, and what it staged goes, as soon as anything is wrong or the caller has
//! hung up.

use crate::{
    blobs::{BlobError, Staged, StorageLocation},
    error::{Error, Result},
    pace::Pace,
    upload::{UploadDecoder, UploadEnvelope, UploadError, UploadLimits},
};
use bytes::Bytes;
use domain::problem::{Code, RuleError};
use futures::{Stream, StreamExt};
use navx::{Package, Signer, Unproven};
use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};
use tokio::{sync::mpsc, time::Instant};
use tracing::Instrument;

/// Chunks that may wait to be staged.
const MAX_CHUNKS_AHEAD: usize = 8;
/// How many bytes are decoded and hashed before other tasks get their turn; larger chunks are cut.
const MAX_CHUNK_BYTES: usize = 64 * 1024;

/// What bounds an upload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReceiveLimits {
    /// The largest package, in bytes.
    pub(crate) max_package_bytes: u64,
    /// How far an upload may be behind.
    pub(crate) idle: Duration,
    /// How many bytes of its package it must bring in a second.
    pub(crate) bytes_per_second: u64,
    /// When a certificate must be valid of which nothing says when it was used.
    pub(crate) now: SystemTime,
}

/// A package that arrived whole and can be read.
pub(crate) struct Received {
    pub(crate) staged: Staged,
    pub(crate) sha256: [u8; 32],
    pub(crate) package: Package,
    /// Who signed it, or why nobody is proven to have.
    pub(crate) signer: std::result::Result<Signer, Unproven>,
    /// The availability asked for, as it was written.
    pub(crate) initial_availability: Option<String>,
}

/// A body in chunks; an error says why no more of it can be had.
pub(crate) trait Body: Stream<Item = Result<Bytes, RuleError>> + Send + Unpin {}
impl<S: Stream<Item = Result<Bytes, RuleError>> + Send + Unpin> Body for S {}

/// Takes a body in, to the staging part of `location`.
pub(crate) async fn receive(
    location: &StorageLocation,
    limits: ReceiveLimits,
    body: &mut impl Body,
) -> Result<Received> {
    let (chunks, queue) = mpsc::channel(MAX_CHUNKS_AHEAD);
    let decoded = Arc::new(AtomicU64::new(0));
    let sender = Sender::new(limits, Arc::clone(&decoded));
    let staging = tokio::spawn(stage_chunks(location.clone(), limits, queue, decoded).in_current_span());
    let fed = feed(body, &chunks, sender).await;
    drop(chunks);
    let received = staging.await.map_err(Error::fault)?;
    match (fed, received) {
        // What was found wrong with the chunks says more than that no more of them are wanted.
        (Ok(()) | Err(FeedError::Refused), Err(error)) => Err(error),
        (Err(FeedError::Failed(error)), _) => Err(error),
        (Err(FeedError::Refused), Ok(_)) => Err(Error::fault("an upload ended before its end")),
        (Ok(()), Ok(received)) => Ok(received),
    }
}

enum Chunk {
    Bytes(Bytes),
    /// The body is complete; without it, it was cut.
    End,
}

enum FeedError {
    /// No more chunks are wanted.
    Refused,
    Failed(Error),
}

async fn feed(
    body: &mut impl Body,
    chunks: &mpsc::Sender<Chunk>,
    mut sender: Sender,
) -> std::result::Result<(), FeedError> {
    loop {
        let next = sender.within_pace(body.next()).await.map_err(FeedError::Failed)?;
        let chunk = match next {
            Some(Ok(bytes)) => Chunk::Bytes(bytes),
            Some(Err(problem)) => return Err(FeedError::Failed(problem.into())),
            None => Chunk::End,
        };
        let is_end = matches!(chunk, Chunk::End);
        let sending = chunks.send(chunk);
        sender
            .at_our_cost(sending)
            .await
            .map_err(|_| FeedError::Refused)?;
        if is_end {
            return Ok(());
        }
    }
}

/// A sender, and how much of the package has come from them. Whatever else comes earns them no time.
struct Sender {
    limits: ReceiveLimits,
    decoded: Arc<AtomicU64>,
    /// How much of the package has earned its time.
    paid: u64,
    pace: Pace,
}

impl Sender {
    fn new(limits: ReceiveLimits, decoded: Arc<AtomicU64>) -> Self {
        Self {
            limits,
            decoded,
            paid: 0,
            pace: Pace::new(limits.idle, limits.bytes_per_second),
        }
    }

    /// Waits for what the sender does, as long as they have time for it.
    async fn within_pace<T>(&mut self, doing: impl Future<Output = T>) -> Result<T> {
        let mut doing = pin!(doing);
        loop {
            self.pay();
            if let Ok(done) = tokio::time::timeout_at(self.pace.until(), doing.as_mut()).await {
                return Ok(done);
            }
            self.pay();
            if self.pace.is_over() {
                return Err(self.too_slow());
            }
        }
    }

    /// Waits for what the sender has nothing to do with.
    async fn at_our_cost<T>(&mut self, waiting: impl Future<Output = T>) -> T {
        let begun = Instant::now();
        let done = waiting.await;
        self.pace.forgive(begun.elapsed());
        done
    }

    fn pay(&mut self) {
        let decoded = self.decoded.load(Ordering::Relaxed);
        self.pace.earn(decoded - self.paid);
        self.paid = decoded;
    }

    fn too_slow(&self) -> Error {
        let message = format!(
            "The package arrives too slowly: {} bytes of it so far, where {} a second are the least, and {} seconds the \
             most that it may be behind.",
            self.paid,
            self.limits.bytes_per_second,
            self.limits.idle.as_secs(),
        );
        RuleError::new(Code::RequestTimeout, message).into()
    }
}

fn cut() -> Error {
    RuleError::invalid(
        "body",
        "The body ended before its end: the connection was closed.",
    )
    .into()
}

async fn stage_chunks(
    location: StorageLocation,
    limits: ReceiveLimits,
    mut queue: mpsc::Receiver<Chunk>,
    count: Arc<AtomicU64>,
) -> Result<Received> {
    let mut staged = location.stage().await?;
    let mut decoder = UploadDecoder::new(UploadLimits {
        max_package_bytes: limits.max_package_bytes,
    });
    let mut decoded = Vec::with_capacity(MAX_CHUNK_BYTES);
    while let Some(chunk) = queue.recv().await {
        let Chunk::Bytes(bytes) = chunk else {
            let envelope = decoder.finish().map_err(refusal)?;
            return inspect(staged, envelope, limits.now).await;
        };
        for part in bytes.chunks(MAX_CHUNK_BYTES) {
            decoder.push(part, &mut decoded).map_err(refusal)?;
            staged.write(&decoded).await?;
            count.fetch_add(decoded.len() as u64, Ordering::Relaxed);
            decoded.clear();
            tokio::task::yield_now().await;
        }
    }
    Err(cut())
}

async fn inspect(mut staged: Staged, envelope: UploadEnvelope, now: SystemTime) -> Result<Received> {
    let read = move |mut staged| {
        let package = navx::read(&mut staged, &navx::Limits::default())?;
        let signer = navx::prove(&mut staged, &package, now)?;
        Ok((package, signer))
    };
    let (package, signer) = staged.read(read).await?.map_err(package_refusal)?;
    Ok(Received {
        sha256: staged.sha256(),
        staged,
        package,
        signer,
        initial_availability: envelope.initial_availability,
    })
}

fn refusal(error: UploadError) -> Error {
    let message = error.to_string();
    let problem = match (&error, error.details_code()) {
        (UploadError::PackageTooLarge { .. }, _) => RuleError::new(Code::RequestEntityTooLarge, message),
        (UploadError::Empty, _) => RuleError::new(Code::RequestBodyRequired, message),
        (_, Some(code)) => invalid_package(code, &message),
        (_, None) => RuleError::new(Code::InvalidInput, message),
    };
    let target = error.target();
    Error::Rule(problem).about(target.unwrap_or("body"))
}

fn package_refusal(error: navx::PackageError) -> Error {
    match error {
        navx::PackageError::Io(error) => BlobError::reading_staged(error).into(),
        refused => invalid_package(refused.code(), &refused.to_string()).into(),
    }
}

/// The refusal of a package for the reason that `code` stands for.
pub(crate) fn invalid_package(code: &str, message: &str) -> RuleError {
    RuleError::new(Code::InvalidPackage, message)
        .about("packageContents")
        .because(code, message)
}
