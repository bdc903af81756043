//! The streamed sink: JSON with base64 in, a durable file out, and nothing else.
//!
//! The task that reads the network hands pieces to a thread that undoes base64, hashes, and writes; then the file is
//! made durable, gets its name, and the name is made durable too. This is the least that a service can do that takes
//! packages in this form and does not lose them: no token, no database, no look at what the package is.

use anyhow::{Context, bail};
use axum::{
    Router,
    body::Body,
    extract::{Path as PathParameter, State},
    http::StatusCode,
    routing::post,
};
use base64_simd::Out;
use bytes::Bytes;
use clap::Parser;
use http_body_util::BodyExt;
use peers::serve;
use sha2::{Digest, Sha256};
use std::{
    fs::File,
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::sync::mpsc;

/// Pieces that may wait for the thread.
const AHEAD: usize = 16;
/// Characters that are decoded, hashed and written at once.
const BLOCK: usize = 128 * 1024;
/// Where the content begins; the property has to come first.
const OPENING: &[u8] = b"\"packageContents\":\"";

#[derive(Parser)]
struct Arguments {
    /// Where to listen
    #[arg(long)]
    listen: SocketAddr,
    /// Where files go
    #[arg(long)]
    folder: PathBuf,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    std::fs::create_dir_all(&arguments.folder)?;
    let folder: Arc<Path> = arguments.folder.into();
    let router = Router::new()
        .route("/{name}", post(take))
        .with_state(folder)
        .layer(axum::extract::DefaultBodyLimit::disable());
    serve(arguments.listen, router).await
}

async fn take(
    State(folder): State<Arc<Path>>,
    PathParameter(name): PathParameter<String>,
    body: Body,
) -> Result<String, (StatusCode, String)> {
    receive(folder, name, body)
        .await
        .map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))
}

async fn receive(folder: Arc<Path>, name: String, mut body: Body) -> anyhow::Result<String> {
    if !name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    {
        bail!("a name has letters, digits and hyphens");
    }
    let (pieces, waiting) = mpsc::channel(AHEAD);
    let storing = tokio::task::spawn_blocking(move || store(&folder, &name, waiting));
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame?.into_data() else { continue };
        if pieces.send(piece).await.is_err() {
            break;
        }
    }
    drop(pieces);
    storing.await?
}

/// Undoes base64, hashes and writes what comes, until the end; then makes it last.
fn store(folder: &Path, name: &str, mut pieces: mpsc::Receiver<Bytes>) -> anyhow::Result<String> {
    let staged = folder.join(format!("{name}.part"));
    let mut content = Content::new(File::create(&staged)?);
    let mut head = Vec::new();
    let mut place = Place::Head;
    while let Some(piece) = pieces.blocking_recv() {
        match place {
            Place::Head => {
                head.extend_from_slice(&piece);
                if let Some(at) = find(&head, OPENING) {
                    place = content.take(&head[at + OPENING.len()..])?;
                }
            }
            Place::Inside => place = content.take(&piece)?,
            Place::Tail => {}
        }
    }
    if place != Place::Tail {
        bail!("the body ended before its end");
    }
    content.file.sync_all()?;
    std::fs::rename(&staged, folder.join(name))?;
    File::open(folder)?.sync_all()?;
    Ok(hexadecimal(&content.sha256.finalize()))
}

/// Where in the body the next byte is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Head,
    Inside,
    Tail,
}

/// The file that is being written.
struct Content {
    file: File,
    sha256: Sha256,
    /// Characters of a group of four that is not complete yet.
    carried: Vec<u8>,
    decoded: Vec<u8>,
}

impl Content {
    fn new(file: File) -> Self {
        Self {
            file,
            sha256: Sha256::new(),
            carried: Vec::with_capacity(BLOCK),
            decoded: vec![0; BLOCK / 4 * 3],
        }
    }

    /// Takes a piece of text, up to the quote that ends it if that is there.
    fn take(&mut self, piece: &[u8]) -> anyhow::Result<Place> {
        // Base64 has no quotes; only the last piece has one, near its end.
        let tail = piece.len().saturating_sub(16);
        let quote = piece[tail..].iter().position(|byte| *byte == b'"');
        let text = quote.map_or(piece, |at| &piece[..tail + at]);
        let missing = (4 - self.carried.len()) % 4;
        let (first, rest) = text.split_at(missing.min(text.len()));
        self.carried.extend_from_slice(first);
        if self.carried.len() == 4 {
            let group = std::mem::take(&mut self.carried);
            self.write(&group)?;
        }
        let (whole, open) = rest.split_at(rest.len() / 4 * 4);
        for block in whole.chunks(BLOCK) {
            self.write(block)?;
        }
        self.carried.extend_from_slice(open);
        Ok(if quote.is_some() {
            Place::Tail
        } else {
            Place::Inside
        })
    }

    /// Small enough a block that what is decoded is still in the cache when it is hashed and written.
    fn write(&mut self, block: &[u8]) -> anyhow::Result<()> {
        let bytes = base64_simd::STANDARD
            .decode(block, Out::from_slice(&mut self.decoded))
            .ok()
            .context("this is not base64")?;
        self.sha256.update(&*bytes);
        Ok(self.file.write_all(bytes)?)
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
