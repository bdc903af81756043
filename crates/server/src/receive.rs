//! Taking in an upload: decoded, hashed and written to staging while it arrives, in constant memory.
//!
//! The task that reads from the network only hands chunks over; a thread decodes, hashes and writes them, so that
//! receiving and storing overlap. The thread ends, and what it staged goes, as soon as anything is wrong.

use crate::{
    blobs::{Staged, StorageLocation},
    error::{Error, Result},
    upload::{UploadDecoder, UploadEnvelope, UploadError, UploadLimits},
};
use bytes::Bytes;
use domain::problem::{Code, RuleError};
use futures::{Stream, StreamExt};
use navx::Package;
use std::time::Duration;
use tokio::sync::mpsc;

/// Chunks that may wait for the thread.
const CHUNKS_AHEAD: usize = 8;
/// The largest piece that the thread decodes at once; larger chunks are cut.
const PIECE: usize = 256 * 1024;
/// What bounds an upload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReceiveLimits {
    /// The largest package, in bytes.
    pub(crate) max_package_bytes: u64,
    /// How long nothing may arrive.
    pub(crate) idle: Duration,
}

/// A package that arrived whole and can be read.
pub(crate) struct Received {
    pub(crate) staged: Staged,
    pub(crate) sha256: [u8; 32],
    pub(crate) package: Package,
    /// The availability asked for, as it was written.
    pub(crate) initial_availability: Option<String>,
}

/// A body in pieces; an error is a cut connection.
pub(crate) trait Body: Stream<Item = Result<Bytes, String>> + Send + Unpin {}
impl<S: Stream<Item = Result<Bytes, String>> + Send + Unpin> Body for S {}

/// Takes a body in, to the staging part of `location`.
pub(crate) async fn receive(
    location: &StorageLocation,
    limits: ReceiveLimits,
    body: &mut impl Body,
) -> Result<Received> {
    let (chunks, queue) = mpsc::channel(CHUNKS_AHEAD);
    let location = location.clone();
    let thread = tokio::task::spawn_blocking(move || store_chunks(&location, limits, queue));
    let outcome = feed(body, &chunks, limits.idle).await;
    drop(chunks);
    let stored = thread.await.map_err(Error::fault)?;
    match (outcome, stored) {
        // What the thread found wrong says more than that it no longer listens.
        (Ok(()) | Err(Fed::Refused), Err(error)) => Err(error),
        (Err(Fed::Failed(error)), _) => Err(error),
        (Err(Fed::Refused), Ok(_)) => Err(Error::fault("an upload ended before its end")),
        (Ok(()), Ok(received)) => Ok(received),
    }
}

enum Piece {
    Bytes(Bytes),
    /// The body is complete; without it, it was cut.
    End,
}

enum Fed {
    /// The thread wants no more.
    Refused,
    Failed(Error),
}

async fn feed(
    body: &mut impl Body,
    chunks: &mpsc::Sender<Piece>,
    idle: Duration,
) -> std::result::Result<(), Fed> {
    loop {
        let next = tokio::time::timeout(idle, body.next())
            .await
            .map_err(|_| Fed::Failed(too_slow(idle)))?;
        let piece = match next {
            Some(Ok(bytes)) => Piece::Bytes(bytes),
            Some(Err(reason)) => return Err(Fed::Failed(cut(&reason))),
            None => Piece::End,
        };
        let is_end = matches!(piece, Piece::End);
        chunks.send(piece).await.map_err(|_| Fed::Refused)?;
        if is_end {
            return Ok(());
        }
    }
}

fn too_slow(idle: Duration) -> Error {
    let message = format!("Nothing arrived for {} seconds.", idle.as_secs());
    RuleError::new(Code::RequestTimeout, message).into()
}

fn cut(reason: &str) -> Error {
    RuleError::invalid(
        "packageContents",
        format!("The body ended before its end: {reason}."),
    )
    .into()
}

fn store_chunks(
    location: &StorageLocation,
    limits: ReceiveLimits,
    mut queue: mpsc::Receiver<Piece>,
) -> Result<Received> {
    let mut staged = location.stage()?;
    let mut decoder = UploadDecoder::new(UploadLimits {
        max_package_bytes: limits.max_package_bytes,
    });
    let mut decoded = Vec::with_capacity(PIECE);
    while let Some(piece) = queue.blocking_recv() {
        let Piece::Bytes(bytes) = piece else {
            let envelope = decoder.finish().map_err(refusal)?;
            return inspect(staged, envelope);
        };
        for piece in bytes.chunks(PIECE) {
            decoder.push(piece, &mut decoded).map_err(refusal)?;
            staged.write(&decoded)?;
            decoded.clear();
        }
    }
    Err(cut("the connection was closed"))
}

fn inspect(mut staged: Staged, envelope: UploadEnvelope) -> Result<Received> {
    let package = navx::read(staged.reader()?, &navx::Limits::default()).map_err(package_refusal)?;
    Ok(Received {
        sha256: staged.sha256(),
        staged,
        package,
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
        navx::PackageError::Io(error) => Error::Blobs(error),
        refused => invalid_package(refused.code(), &refused.to_string()).into(),
    }
}

/// The refusal of a package for the reason that `code` stands for.
pub(crate) fn invalid_package(code: &str, message: &str) -> RuleError {
    RuleError::new(Code::InvalidPackage, message)
        .about("packageContents")
        .because(code, message)
}
