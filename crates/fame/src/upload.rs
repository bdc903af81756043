//! The body of an upload, made while it is sent.
//!
//! A package travels as base64 in a JSON text. Packages can be half a gigabyte, so that text never exists as a
//! whole: a thread reads the file and encodes it piece by piece, never more than a few pieces ahead of the
//! network. The length of the text is known beforehand all the same, because a service may refuse by it.

use crate::failure::Failure;
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use serde::Serialize;
use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::sync::mpsc;

/// Bytes of the file in one piece: a multiple of three, so that base64 needs no padding in between.
const PIECE: usize = 192 * 1024;
/// Pieces that may wait for the network.
const PIECES_AHEAD: usize = 2;

/// How much of a request has been handed to the network, to tell a slow one from one that has stopped.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<AtomicU64>);

impl Meter {
    fn advance(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Bytes so far.
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Ends when nothing has moved for `patience`.
    pub async fn stalls_for(&self, patience: Duration) {
        loop {
            let before = self.bytes();
            tokio::time::sleep(patience).await;
            if self.bytes() == before {
                return;
            }
        }
    }
}

/// A package that is to be uploaded, and how it is to be offered at first.
#[derive(Clone, Debug)]
pub struct PackageUpload {
    file: PathBuf,
    size: u64,
    head: Bytes,
}

const TAIL: &[u8] = b"\"}";

impl PackageUpload {
    /// The upload of the first `size` bytes of `file`.
    ///
    /// # Errors
    /// When the availability cannot be written as JSON.
    pub fn new(file: &Path, size: u64, availability: Option<&str>) -> Result<Self, Failure> {
        Ok(Self {
            file: file.to_owned(),
            size,
            head: head(availability)?,
        })
    }

    /// The length of the body, in bytes.
    pub fn content_length(&self) -> u64 {
        self.head.len() as u64 + self.size.div_ceil(3) * 4 + TAIL.len() as u64
    }

    /// Starts to make the body. `meter` counts what is handed over, `on_piece` hears of each piece of the file.
    ///
    /// # Errors
    /// [`Failure::Io`] when the file cannot be opened.
    pub fn body(
        &self,
        meter: &Meter,
        on_piece: impl Fn(u64) + Send + 'static,
    ) -> Result<reqwest::Body, Failure> {
        let file = File::open(&self.file).map_err(|error| Failure::file("read", &self.file, error))?;
        let (sender, pieces) = mpsc::channel(PIECES_AHEAD);
        let (head, size) = (self.head.clone(), self.size);
        tokio::task::spawn_blocking(move || {
            let outcome = encode(file, size, head, &sender, on_piece);
            if let Err(error) = outcome {
                // When the other side is gone, nobody is left to tell.
                let _ = sender.blocking_send(Err(error));
            }
        });
        Ok(reqwest::Body::wrap(Pieces {
            pieces,
            left: self.content_length(),
            meter: meter.clone(),
        }))
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Head<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    initial_availability: Option<&'a str>,
    package_contents: &'a str,
}

/// The JSON up to where the base64 begins.
fn head(availability: Option<&str>) -> Result<Bytes, Failure> {
    let empty = Head {
        initial_availability: availability,
        package_contents: "",
    };
    let mut text = serde_json::to_vec(&empty).map_err(|error| Failure::Unexpected(error.to_string()))?;
    text.truncate(text.len() - TAIL.len());
    Ok(text.into())
}

type Piece = io::Result<Bytes>;

/// Reads, encodes and hands over, until all is sent or nobody takes it any more.
fn encode(
    file: File,
    size: u64,
    head: Bytes,
    sender: &mpsc::Sender<Piece>,
    on_piece: impl Fn(u64),
) -> io::Result<()> {
    let mut file = file.take(size);
    let mut piece = vec![0; PIECE];
    let mut read = 0;
    if sender.blocking_send(Ok(head)).is_err() {
        return Ok(());
    }
    while read < size {
        let bytes = fill(&mut file, &mut piece)?;
        if bytes == 0 {
            let message = format!("the file shrank to {read} bytes while it was being sent");
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
        }
        let text = STANDARD.encode(&piece[..bytes]);
        if sender.blocking_send(Ok(text.into())).is_err() {
            return Ok(());
        }
        read += bytes as u64;
        on_piece(bytes as u64);
    }
    // Nobody takes the end only when the request is over already.
    let _ = sender.blocking_send(Ok(Bytes::from_static(TAIL)));
    Ok(())
}

/// Reads until `piece` is full or the file ends: a short piece in the middle would need padding.
fn fill(file: &mut impl Read, piece: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < piece.len() {
        match file.read(&mut piece[filled..]) {
            Ok(0) => break,
            Ok(bytes) => filled += bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// The pieces as a body of known length.
struct Pieces {
    pieces: mpsc::Receiver<Piece>,
    left: u64,
    meter: Meter,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.pieces.poll_recv(context).map(|piece| match piece? {
            Ok(piece) => {
                self.left = self.left.saturating_sub(piece.len() as u64);
                self.meter.advance(piece.len());
                Some(Ok(Frame::data(piece)))
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

    async fn text_of(contents: &[u8], availability: Option<&str>) -> (u64, Vec<u8>) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), contents).unwrap();
        let upload = PackageUpload::new(file.path(), contents.len() as u64, availability).unwrap();
        let mut body = Box::pin(upload.body(&Meter::default(), |_| ()).unwrap());
        let mut text = Vec::new();
        while let Some(frame) = std::future::poll_fn(|context| body.as_mut().poll_frame(context)).await {
            text.extend_from_slice(&frame.unwrap().into_data().unwrap());
        }
        (upload.content_length(), text)
    }

    #[tokio::test]
    async fn the_body_is_the_documented_json_and_as_long_as_it_said() {
        for size in [0, 1, 2, 3, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 2] {
            let contents: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
            let (length, text) = text_of(&contents, Some("Available")).await;
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
    async fn without_a_wish_the_service_decides_the_availability() {
        let (_, text) = text_of(b"abc", None).await;
        assert_eq!(text, br#"{"packageContents":"YWJj"}"#);
    }

    #[tokio::test]
    async fn a_file_that_shrinks_breaks_the_body_off() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"abc").unwrap();
        let upload = PackageUpload::new(file.path(), 10, None).unwrap();
        let mut body = Box::pin(upload.body(&Meter::default(), |_| ()).unwrap());
        let mut broken = false;
        while let Some(frame) = std::future::poll_fn(|context| body.as_mut().poll_frame(context)).await {
            broken |= frame.is_err();
        }
        assert!(broken);
    }
}
