//! Bodies that are streamed, know their length, and tell whether a byte of them was asked for.

use bytes::Bytes;
use futures::Stream;
use http_body::{Body, Frame, SizeHint};
use std::{
    io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};
use tokio::{fs::File, io::AsyncReadExt};
use tokio_util::io::ReaderStream;
use uuid::Uuid;

/// How much of a file is read at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// What a request carries.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// Nothing.
    Empty,
    /// JSON.
    Json(serde_json::Value),
    /// A file as it is.
    File(PathBuf),
    /// A form with a file in it.
    Form(Form),
}

/// A form with texts and a file, as `multipart/form-data`.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    texts: Vec<(&'static str, String)>,
    field: &'static str,
    file_name: String,
    path: PathBuf,
    boundary: String,
}

impl Form {
    /// A form with one file, which is called `file_name` in it.
    pub(crate) fn new(field: &'static str, file_name: &str, path: &Path) -> Self {
        Self {
            texts: Vec::new(),
            field,
            file_name: harmless(file_name),
            path: path.to_owned(),
            boundary: format!("fame-{}", Uuid::new_v4().simple()),
        }
    }

    /// With this text before the file.
    pub(crate) fn text(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.texts.push((name, value.into()));
        self
    }

    fn head(&self) -> String {
        let Self {
            field,
            file_name,
            boundary,
            ..
        } = self;
        let texts = self.texts.iter().map(|(name, value)| {
            format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        });
        let file = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"{file_name}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        texts.chain([file]).collect()
    }
}

/// A file's name that no reader of a form can misunderstand: ASCII, without quotes and paths.
fn harmless(name: &str) -> String {
    name.chars()
        .map(|char| match char {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' | '_' | ' ' => char,
            _ => '_',
        })
        .collect()
}

impl Content {
    /// The type that the request says it has.
    pub(crate) fn media_type(&self) -> Option<String> {
        match self {
            Self::Empty => None,
            Self::Json(_) => Some("application/json".to_owned()),
            Self::File(_) => Some("application/octet-stream".to_owned()),
            Self::Form(form) => Some(format!("multipart/form-data; boundary={}", form.boundary)),
        }
    }

    /// The bytes, opened anew.
    pub(crate) async fn open(&self) -> io::Result<Outgoing> {
        match self {
            Self::Empty => Ok(Outgoing::of(String::new())),
            Self::Json(value) => Ok(Outgoing::of(value.to_string())),
            Self::File(path) => Outgoing::of(String::new()).with_file(path, String::new()).await,
            Self::Form(form) => {
                let end = format!("\r\n--{}--\r\n", form.boundary);
                Outgoing::of(form.head()).with_file(&form.path, end).await
            }
        }
    }
}

/// Whether anything of a body was asked for: if not, nothing of it can have arrived.
#[derive(Clone, Debug, Default)]
pub(crate) struct Begun(Arc<AtomicBool>);

impl Begun {
    pub(crate) fn has(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A body on its way.
pub(crate) struct Outgoing {
    head: Bytes,
    file: Option<ReaderStream<tokio::io::Take<File>>>,
    tail: Bytes,
    left: u64,
    pub(crate) begun: Begun,
}

impl Outgoing {
    fn of(text: String) -> Self {
        let head = Bytes::from(text);
        Self {
            left: head.len() as u64,
            head,
            file: None,
            tail: Bytes::new(),
            begun: Begun::default(),
        }
    }

    async fn with_file(mut self, path: &Path, tail: String) -> io::Result<Self> {
        let file = File::open(path).await?;
        let size = file.metadata().await?.len();
        self.left += size + tail.len() as u64;
        self.file = Some(ReaderStream::with_capacity(file.take(size), CHUNK_BYTES));
        self.tail = tail.into();
        Ok(self)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.left == 0
    }

    fn poll_bytes(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if !self.head.is_empty() {
            return Poll::Ready(Some(Ok(std::mem::take(&mut self.head))));
        }
        if let Some(file) = &mut self.file {
            if let Some(chunk) = ready!(Pin::new(file).poll_next(context)) {
                return Poll::Ready(Some(chunk));
            }
            self.file = None;
        }
        match self.tail.is_empty() {
            true => Poll::Ready(None),
            false => Poll::Ready(Some(Ok(std::mem::take(&mut self.tail)))),
        }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.begun.0.store(true, Ordering::Release);
        let chunk = ready!(self.poll_bytes(context));
        if let Some(Ok(chunk)) = &chunk {
            self.left = self.left.saturating_sub(chunk.len() as u64);
        }
        Poll::Ready(chunk.map(|chunk| chunk.map(Frame::data)))
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

    async fn sent(content: &Content) -> (u64, Vec<u8>) {
        let mut body = Box::pin(content.open().await.unwrap());
        let told = body.size_hint().exact().unwrap();
        assert!(!body.begun.has());
        let mut bytes = Vec::new();
        while let Some(frame) = std::future::poll_fn(|context| body.as_mut().poll_frame(context)).await {
            bytes.extend_from_slice(&frame.unwrap().into_data().unwrap());
        }
        (told, bytes)
    }

    #[tokio::test]
    async fn bodies_are_as_long_as_they_say() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("package.app");
        for size in [0, 1, CHUNK_BYTES, 2 * CHUNK_BYTES + 1] {
            std::fs::write(&path, vec![7; size]).unwrap();
            let form = Form::new("file", "Ünï\"c/o\\de.app", &path).text("syncMode", "Add");
            for content in [Content::File(path.clone()), Content::Form(form)] {
                let (told, bytes) = sent(&content).await;
                assert_eq!(told, bytes.len() as u64);
                assert_eq!(bytes.iter().filter(|byte| **byte == 7).count(), size);
            }
        }
    }

    #[test]
    fn no_name_can_break_out_of_a_form() {
        assert_eq!(harmless("Ünï\"\r\nX: c/o\\de_1.2.app"), "_n____X_ c_o_de_1.2.app");
    }
}
