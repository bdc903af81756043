//! Where the log goes: to standard error, in as few writes as may be.
//!
//! Writing a line costs the system more than the line costs us. So the lines of the access log, of which there is one for
//! each request, wait while the thread has other requests to answer, and go out together before it rests. Whatever else
//! is said goes out at once, behind what waits.

use super::ACCESS;
use std::{
    borrow::Cow,
    io::{self, Write},
    sync::{Mutex, OnceLock, PoisonError},
};
use tracing::Metadata;

/// So many bytes do not wait any longer.
const MOST: usize = 16 * 1024;

static GATHERED: Gathered = Gathered(Mutex::new(Vec::new()));

/// Lines that wait to be written.
struct Gathered(Mutex<Vec<u8>>);

impl Gathered {
    fn add(&self, line: &[u8], may_wait: bool, out: impl Write) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.extend_from_slice(line);
        if !may_wait || lines.len() >= MOST {
            write_out(&mut lines, out);
        }
    }

    fn flush(&self, out: impl Write) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !lines.is_empty() {
            write_out(&mut lines, out);
        }
    }
}

fn write_out(lines: &mut Vec<u8>, mut out: impl Write) {
    // Nobody is left to be told that the log cannot be written.
    drop(out.write_all(lines));
    lines.clear();
}

/// What is made of lines before they are written.
type Rewriting = fn(&str) -> Cow<'_, str>;

static REWRITING: OnceLock<Rewriting> = OnceLock::new();

/// Has lines of the log rewritten, for readers who would take some of them for something else. Once in a process.
pub fn rewrite_log(how: Rewriting) {
    REWRITING.get_or_init(|| how);
}

/// Writes a line, or lets it wait until [`flush_log`].
pub(super) fn write(metadata: &Metadata<'_>, line: &[u8]) {
    let line = rewritten(line, REWRITING.get());
    GATHERED.add(&line, metadata.target() == ACCESS, io::stderr());
}

fn rewritten<'l>(line: &'l [u8], how: Option<&Rewriting>) -> Cow<'l, [u8]> {
    let rewritten = how.and_then(|how| Some(how(str::from_utf8(line).ok()?)));
    match rewritten {
        Some(Cow::Owned(text)) => text.into_bytes().into(),
        Some(Cow::Borrowed(text)) => text.as_bytes().into(),
        None => line.into(),
    }
}

/// Writes the lines that wait. Whoever runs the service calls it when a thread of the runtime has nothing to do
/// (`tokio::runtime::Builder::on_thread_park`), and at the end.
pub fn flush_log() {
    GATHERED.flush(io::stderr());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_wait_is_written_with_what_may_not_and_in_the_order_in_which_it_was_said() {
        let (gathered, mut out) = (Gathered(Mutex::default()), Vec::new());
        gathered.add(b"one\n", true, &mut out);
        assert_eq!(out, b"");
        gathered.add(b"two\n", false, &mut out);
        assert_eq!(out, b"one\ntwo\n");
        gathered.add(b"three\n", true, &mut out);
        gathered.flush(&mut out);
        gathered.flush(&mut out);
        assert_eq!(out, b"one\ntwo\nthree\n");
    }

    #[test]
    fn lines_are_rewritten_where_that_is_asked_for() {
        let how: Rewriting = |line| line.replace("##", "# #").into();
        assert_eq!(*rewritten(b"a ##vso[b\n", Some(&how)), *b"a # #vso[b\n");
        assert_eq!(*rewritten(b"a ##vso[b\n", None), *b"a ##vso[b\n");
        assert_eq!(*rewritten(b"\xff##\n", Some(&how)), *b"\xff##\n");
    }

    #[test]
    fn no_more_waits_than_fits() {
        let (gathered, mut out) = (Gathered(Mutex::default()), Vec::new());
        let line = [b'a'; MOST / 4];
        for written in [0, 0, 0, MOST] {
            gathered.add(&line, true, &mut out);
            assert_eq!(out.len(), written);
        }
    }
}
