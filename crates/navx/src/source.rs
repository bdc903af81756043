//! Bytes at positions: the one way this crate looks at a file.
//!
//! A package is windows within windows: a ZIP inside a file, and sometimes a whole package inside an entry of
//! that ZIP. Reading by absolute position keeps the arithmetic in one place, and lets an inflated entry be
//! read by the same code as a file. A window also hides what lies outside it, so that a second archive
//! appended to the first can never be seen.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use crate::bytes::first_of;
use crate::error::PackageError;

/// A fixed number of bytes, readable at any position.
pub(crate) trait ByteSource {
    /// How many bytes there are.
    fn len(&self) -> u64;

    /// Reads some bytes at `offset`; 0 means there are none at or after it.
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<usize, PackageError>;

    /// Fills `buffer` from `offset`. Ranges are checked against [`len`](Self::len) before they are read, so
    /// missing bytes mean that the source changed: an I/O error, not a refusal.
    fn read_exact_at(&mut self, mut offset: u64, mut buffer: &mut [u8]) -> Result<(), PackageError> {
        while !buffer.is_empty() {
            let count = self.read_at(offset, buffer)?;
            match buffer.get_mut(count..) {
                Some(rest) if count > 0 => buffer = rest,
                _ => return Err(PackageError::Io(io::ErrorKind::UnexpectedEof.into())),
            }
            offset += count as u64;
        }
        Ok(())
    }
}

/// A file, or anything else that can seek.
pub(crate) struct SeekSource<R> {
    inner: R,
    len: u64,
    position: u64,
}

impl<R: Read + Seek> SeekSource<R> {
    /// Measures the source once; a later change of its length is an I/O error.
    pub(crate) fn new(mut inner: R) -> Result<Self, PackageError> {
        let len = inner.seek(SeekFrom::End(0)).map_err(PackageError::Io)?;
        Ok(Self {
            inner,
            len,
            position: len,
        })
    }
}

impl<R: Read + Seek> ByteSource for SeekSource<R> {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<usize, PackageError> {
        if self.position != offset {
            self.position = self
                .inner
                .seek(SeekFrom::Start(offset))
                .map_err(PackageError::Io)?;
        }
        loop {
            match self.inner.read(buffer) {
                Ok(count) => {
                    self.position += count as u64;
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(PackageError::Io(error)),
            }
        }
    }
}

/// A part of another source, with positions counted from the part's beginning.
pub(crate) struct Window<'a, S> {
    outer: &'a mut S,
    range: Range<u64>,
}

impl<'a, S: ByteSource> Window<'a, S> {
    /// The bytes of `range`, which the caller has checked to lie inside `outer`.
    pub(crate) fn new(outer: &'a mut S, range: Range<u64>) -> Self {
        Self { outer, range }
    }
}

impl<S: ByteSource> ByteSource for Window<'_, S> {
    fn len(&self) -> u64 {
        self.range.end - self.range.start
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<usize, PackageError> {
        let wanted = first_of(buffer, self.len().saturating_sub(offset));
        if wanted.is_empty() {
            return Ok(0);
        }
        self.outer.read_at(self.range.start + offset, wanted)
    }
}
