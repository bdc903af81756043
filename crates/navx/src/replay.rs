//! Looking around in a packed entry as if it were a file.
//!
//! The app inside a ready-to-run package is read like any other package: its first bytes, its last bytes, its
//! directory, its manifest. It may be large, so it is neither inflated into memory nor written to disk:
//! it is inflated past, only its last few megabytes (where the directory is) are kept, and it is inflated
//! again from the front when something earlier is asked for. An honest app needs two starts, of which the
//! second stops at the manifest. A hostile one can force a third, by a directory larger than what is kept: the
//! package reader looks at header, tail, directory and manifest once each, and never goes back further.

use crate::bytes::copy;
use crate::entry::EntryReader;
use crate::error::PackageError;
use crate::source::ByteSource;

/// A whole entry as bytes at positions.
pub(crate) struct ReplayedEntry<'a, S> {
    reader: EntryReader<'a, S>,
    /// The most recently inflated bytes.
    recent: Vec<u8>,
    /// Position in the entry of the byte after `recent`.
    produced: u64,
    chunk: Vec<u8>,
}

impl<'a, S: ByteSource> ReplayedEntry<'a, S> {
    /// Bytes kept at least. A directory of 8,000 entries has about one megabyte.
    const KEPT: usize = 4 << 20;

    pub(crate) fn new(reader: EntryReader<'a, S>) -> Self {
        let chunk = vec![0; 64 << 10];
        Self {
            reader,
            recent: Vec::new(),
            produced: 0,
            chunk,
        }
    }

    /// Inflates whatever is left, so that size and checksum are known to be true.
    pub(crate) fn verify(&mut self) -> Result<(), PackageError> {
        while self.advance()? {}
        Ok(())
    }

    fn recent_start(&self) -> u64 {
        self.produced - self.recent.len() as u64
    }

    fn advance(&mut self) -> Result<bool, PackageError> {
        let count = self.reader.read(&mut self.chunk)?;
        if self.recent.len() >= 2 * Self::KEPT {
            let surplus = self.recent.len() - Self::KEPT;
            self.recent.drain(..surplus);
        }
        let inflated = self.chunk.get(..count).unwrap_or_default();
        self.recent.extend_from_slice(inflated);
        self.produced += count as u64;
        Ok(count > 0)
    }

    fn restart(&mut self) {
        self.reader.rewind();
        self.recent.clear();
        self.produced = 0;
    }
}

impl<S: ByteSource> ByteSource for ReplayedEntry<'_, S> {
    fn len(&self) -> u64 {
        self.reader.size()
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<usize, PackageError> {
        if offset < self.recent_start() {
            self.restart();
        }
        while offset >= self.produced {
            if !self.advance()? {
                return Ok(0);
            }
        }
        let from = usize::try_from(offset - self.recent_start()).unwrap_or(usize::MAX);
        Ok(copy(self.recent.get(from..).unwrap_or_default(), buffer))
    }
}
