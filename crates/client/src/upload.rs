//! The body of an upload, made while it is sent.
//!
//! A package travels as base64 in a JSON text. Packages can be half a gigabyte, so that text never exists as a
//! whole: a thread reads the package and encodes it chunk by chunk, never more than a few chunks ahead of the
//! network. The length of the text is known beforehand all the same, because a service may refuse by it.

use crate::error::{Error, Result};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::{Buf, Bytes};
use domain::version::Availability;
use http_body::{Body, Frame, SizeHint};
use std::{
    fmt,
    fs::File,
    io::{self, Read},
    path::PathBuf,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::sync::mpsc;
use wire::versions::UploadVersion;

/// Bytes of the package in one chunk: a multiple of three, so that base64 needs no padding in between.
const CHUNK_BYTES: usize = 192 * 1024;
/// Chunks that may wait for the network.
const CHUNKS_AHEAD: usize = 2;

/// How much of a request has been handed to the network, to tell a slow one from one that has stopped.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sent(Arc<AtomicU64>);

impl Sent {
    fn advance(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Ends when nothing has moved for `timeout`.
    pub(crate) async fn stalled(&self, timeout: Duration) {
        loop {
            let before = self.bytes();
            tokio::time::sleep(timeout).await;
            if self.bytes() == before {
                return;
            }
        }
    }
}

/// A package that is to be uploaded, and how it is to be offered at first.
#[derive(Clone)]
pub struct Upload {
    package: Package,
    availability: Option<Availability>,
    on_progress: Arc<dyn Fn(u64) + Send + Sync>,
}

#[derive(Clone)]
enum Package {
    File { path: PathBuf, size: u64 },
    Bytes(Bytes),
}

const TAIL: &[u8] = b"\"}";

impl Upload {
    /// The first `size` bytes of the file at `path`.
    pub fn file(path: impl Into<PathBuf>, size: u64) -> Self {
        Self::of(Package::File {
            path: path.into(),
            size,
        })
    }

    /// A package in memory.
    pub fn bytes(package: impl Into<Bytes>) -> Self {
        Self::of(Package::Bytes(package.into()))
    }

    fn of(package: Package) -> Self {
        Self {
            package,
            availability: None,
            on_progress: Arc::new(|_| ()),
        }
    }

    /// To whom it is offered at first; without it the service decides.
    #[must_use]
    pub fn availability(mut self, availability: impl Into<Option<Availability>>) -> Self {
        self.availability = availability.into();
        self
    }

    /// Calls `on_progress` with the bytes of the package that are on their way; a new try begins with 0 again.
    #[must_use]
    pub fn on_progress(mut self, on_progress: impl Fn(u64) + Send + Sync + 'static) -> Self {
        self.on_progress = Arc::new(on_progress);
        self
    }

    fn size(&self) -> u64 {
        match &self.package {
            Package::File { size, .. } => *size,
            Package::Bytes(bytes) => bytes.len() as u64,
        }
    }

    /// The body with `contents` for the package.
    pub(crate) fn with_contents(&self, contents: String) -> UploadVersion {
        UploadVersion {
            initial_availability: self.availability.map(|availability| availability.to_string()),
            package_contents: contents,
        }
    }

    /// The body for people, without what nobody can read.
    pub(crate) fn summary(&self) -> UploadVersion {
        self.with_contents(format!("({} bytes in base64)", self.size()))
    }

    /// The JSON up to where the base64 begins.
    fn head(&self) -> Result<Bytes> {
        let mut text = serde_json::to_vec(&self.with_contents(String::new())).map_err(Error::Unwritable)?;
        text.truncate(text.len() - TAIL.len());
        Ok(text.into())
    }

    /// Starts to make the body. `sent` counts what is handed over.
    ///
    /// # Errors
    /// [`Error::File`] when the file cannot be opened.
    pub(crate) fn body(&self, sent: &Sent) -> Result<reqwest::Body> {
        let (head, size) = (self.head()?, self.size());
        let contents: Box<dyn Read + Send> = match &self.package {
            Package::Bytes(bytes) => Box::new(bytes.clone().reader()),
            Package::File { path, .. } => Box::new(File::open(path).map_err(|source| Error::File {
                path: path.clone(),
                source,
            })?),
        };
        let left = head.len() as u64 + size.div_ceil(3) * 4 + TAIL.len() as u64;
        let (sender, chunks) = mpsc::channel(CHUNKS_AHEAD);
        let on_progress = Arc::clone(&self.on_progress);
        tokio::task::spawn_blocking(move || {
            if let Err(error) = encode(contents, size, head, &sender, &*on_progress) {
                // When the other side is gone, nobody is left to tell.
                let _ = sender.blocking_send(Err(error));
            }
        });
        Ok(reqwest::Body::wrap(Chunks {
            chunks,
            left,
            sent: sent.clone(),
        }))
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Upload").field(&self.summary()).finish()
    }
}

type Chunk = io::Result<Bytes>;

/// Reads, encodes and hands over, until all is sent or nobody takes it any more.
fn encode(
    contents: impl Read,
    size: u64,
    head: Bytes,
    sender: &mpsc::Sender<Chunk>,
    on_progress: &dyn Fn(u64),
) -> io::Result<()> {
    let mut contents = contents.take(size);
    let mut chunk = Vec::with_capacity(CHUNK_BYTES);
    let mut read = 0;
    on_progress(read);
    if sender.blocking_send(Ok(head)).is_err() {
        return Ok(());
    }
    while read < size {
        // A short chunk in the middle would need padding.
        chunk.clear();
        let mut next = contents.by_ref().take(CHUNK_BYTES as u64);
        let bytes = next.read_to_end(&mut chunk)?;
        if bytes == 0 {
            let message = format!("the file shrank to {read} bytes while it was being sent");
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
        }
        let text = STANDARD.encode(&chunk);
        if sender.blocking_send(Ok(text.into())).is_err() {
            return Ok(());
        }
        read += bytes as u64;
        on_progress(read);
    }
    // Nobody takes the end only when the request is over already.
    let _ = sender.blocking_send(Ok(Bytes::from_static(TAIL)));
    Ok(())
}

/// The chunks as a body of known length.
struct Chunks {
    chunks: mpsc::Receiver<Chunk>,
    left: u64,
    sent: Sent,
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.chunks.poll_recv(context).map(|chunk| match chunk? {
            Ok(chunk) => {
                self.left = self.left.saturating_sub(chunk.len() as u64);
                self.sent.advance(chunk.len());
                Some(Ok(Frame::data(chunk)))
            }
            Err(error) => Some(Err(error)),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The length that the body says it has, and the body; nothing when it breaks off.
    async fn text_of(upload: Upload) -> Option<(u64, Vec<u8>)> {
        let mut body = Box::pin(upload.body(&Sent::default()).unwrap());
        let length = body.size_hint().exact().unwrap();
        let mut text = Vec::new();
        while let Some(frame) = std::future::poll_fn(|context| body.as_mut().poll_frame(context)).await {
            text.extend_from_slice(&frame.ok()?.into_data().ok()?);
        }
        Some((length, text))
    }

    #[tokio::test]
    async fn the_body_is_the_documented_json_and_as_long_as_it_said() {
        for size in [
            0,
            1,
            2,
            3,
            CHUNK_BYTES - 1,
            CHUNK_BYTES,
            CHUNK_BYTES + 1,
            3 * CHUNK_BYTES + 2,
        ] {
            let contents: Vec<u8> = (0..size).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let upload = Upload::bytes(contents.clone()).availability(Availability::Available);
            let (length, text) = text_of(upload).await.unwrap();
            assert_eq!(length, text.len() as u64, "{size}");
            let sent: serde_json::Value = serde_json::from_slice(&text).unwrap();
            assert_eq!(sent["initialAvailability"], "Available");
            let decoded = STANDARD
                .decode(sent["packageContents"].as_str().unwrap())
                .unwrap();
            assert_eq!(decoded, contents, "{size}");
        }
    }

    #[tokio::test]
    async fn without_an_availability_the_service_decides_it() {
        let (_, text) = text_of(Upload::bytes(&b"abc"[..])).await.unwrap();
        assert_eq!(text, br#"{"packageContents":"YWJj"}"#);
    }

    #[tokio::test]
    async fn a_file_that_shrinks_breaks_the_body_off() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"abc").unwrap();
        assert!(text_of(Upload::file(file.path(), 3)).await.is_some());
        assert!(text_of(Upload::file(file.path(), 10)).await.is_none());
    }
}
