//! What is left of a body that was refused.
//!
//! Most clients read an answer only once they have sent everything, and a connection that is closed on them before takes
//! the answer with it. So the rest is read and forgotten, within bounds, while the answer is on its way.

use bytes::Bytes;
use futures::{Stream, StreamExt};
use std::time::Duration;

/// How much is still read, in bytes.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// For how long.
const LONGEST: Duration = Duration::from_secs(10);

/// Reads and forgets the rest of a body, in a task of its own.
pub(super) fn forget<E>(mut chunks: impl Stream<Item = Result<Bytes, E>> + Send + Unpin + 'static)
where
    E: Send + 'static,
{
    let reading = async move {
        let mut seen = 0;
        while let Some(Ok(bytes)) = chunks.next().await {
            seen += bytes.len();
            if seen > MAX_BYTES {
                return;
            }
        }
    };
    // Whoever sends more than that, or more slowly, finds the connection closed.
    tokio::spawn(tokio::time::timeout(LONGEST, reading));
}
