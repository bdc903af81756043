//! The bytes of one ZIP entry, inflated with a hard end.
//!
//! What an entry says about itself is a claim. It is read chunk by chunk, never beyond the size it claims,
//! and its last byte is handed out only after size and checksum turned out to be true.

use flate2::{Crc, Decompress, FlushDecompress, Status};

use crate::bytes::{Record, at_most, copy, first_of};
use crate::data_area::LOCAL_LEN;
use crate::directory::{Entry, bad_zip};
use crate::error::PackageError;
use crate::source::ByteSource;

pub(crate) const STORED: u16 = 0;
pub(crate) const DEFLATED: u16 = 8;

/// Reads one entry from front to back.
pub(crate) struct EntryReader<'a, S> {
    archive: &'a mut S,
    entry: Entry,
    data_offset: u64,
    compressed_read: u64,
    input: Vec<u8>,
    input_used: usize,
    inflater: Option<Decompress>,
    crc: Crc,
    produced: u64,
}

impl<'a, S: ByteSource> EntryReader<'a, S> {
    const INPUT_LEN: usize = 64 << 10;

    /// Finds the data behind the entry's own header, which was compared with the directory in the walk over the data.
    pub(crate) fn open(archive: &'a mut S, entry: Entry) -> Result<Self, PackageError> {
        let header = entry.facts.local_header;
        let mut local = [0; LOCAL_LEN];
        archive.read_exact_at(header, &mut local)?;
        let lengths = u64::from(local.u16_at::<26>()) + u64::from(local.u16_at::<28>());
        Self::at(archive, entry, header + LOCAL_LEN as u64 + lengths)
    }

    /// Reads the entry whose data begins at `data_offset`.
    pub(crate) fn at(archive: &'a mut S, entry: Entry, data_offset: u64) -> Result<Self, PackageError> {
        let inflater = match entry.facts.method {
            STORED => None,
            DEFLATED => Some(Decompress::new(false)),
            other => {
                let name = entry.display_name();
                return Err(bad_zip(format!(
                    "'{name}' is packed with method {other}; only 0 and 8 are known"
                )));
            }
        };
        let crc = Crc::new();
        let input = Vec::new();
        Ok(Self {
            archive,
            entry,
            data_offset,
            compressed_read: 0,
            input,
            input_used: 0,
            inflater,
            crc,
            produced: 0,
        })
    }

    /// The size the entry claims, in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.entry.facts.size
    }

    /// Starts again at the entry's first byte.
    pub(crate) fn rewind(&mut self) {
        self.compressed_read = 0;
        self.input.clear();
        self.input_used = 0;
        self.crc.reset();
        self.produced = 0;
        if let Some(inflater) = &mut self.inflater {
            inflater.reset(false);
        }
    }

    /// Reads the next bytes; 0 means that the entry is complete, or that `buffer` is empty.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, PackageError> {
        let wanted = first_of(buffer, self.entry.facts.size - self.produced);
        if wanted.is_empty() {
            return Ok(0);
        }
        let count = self.produce(wanted)?;
        if count == 0 {
            let message = format!("{} ends after {} bytes", self.claim(), self.produced);
            return Err(bad_zip(message));
        }
        self.crc.update(wanted.get(..count).unwrap_or_default());
        self.produced += count as u64;
        if self.produced == self.entry.facts.size {
            self.check_end()?;
        }
        Ok(count)
    }

    /// Proves that the data is what the entry says, and ends where it says.
    pub(crate) fn verify(mut self) -> Result<(), PackageError> {
        let mut chunk = vec![0; 32 << 10];
        if self.entry.facts.size == 0 {
            self.check_end()?;
        }
        while self.read(&mut chunk)? > 0 {}
        Ok(())
    }

    /// All of the entry. The caller has checked that its size is acceptable.
    pub(crate) fn read_to_end(mut self) -> Result<Vec<u8>, PackageError> {
        let mut all = Vec::new();
        let mut chunk = vec![0; 32 << 10];
        if self.entry.facts.size == 0 {
            self.check_end()?;
        }
        loop {
            let count = self.read(&mut chunk)?;
            if count == 0 {
                return Ok(all);
            }
            all.extend_from_slice(chunk.get(..count).unwrap_or_default());
        }
    }

    fn claim(&self) -> String {
        format!(
            "'{}' should have {} bytes, but",
            self.entry.display_name(),
            self.entry.facts.size
        )
    }

    fn check_end(&mut self) -> Result<(), PackageError> {
        if self.produce(&mut [0])? != 0 {
            return Err(bad_zip(format!("{} has more", self.claim())));
        }
        let packed_left = self.entry.facts.compressed_size - self.compressed_read;
        if self.input_used < self.input.len() || packed_left > 0 {
            return Err(bad_zip(format!(
                "'{}' is followed by bytes that do not belong to it",
                self.entry.display_name()
            )));
        }
        if self.crc.sum() != self.entry.facts.crc32 {
            return Err(bad_zip(format!(
                "'{}' does not have the checksum it should",
                self.entry.display_name()
            )));
        }
        Ok(())
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "what one call takes and makes fits into memory"
    )]
    fn produce(&mut self, buffer: &mut [u8]) -> Result<usize, PackageError> {
        loop {
            if self.input_used == self.input.len() {
                self.refill()?;
            }
            let input = self.input.get(self.input_used..).unwrap_or_default();
            let Some(inflater) = &mut self.inflater else {
                let count = copy(input, buffer);
                self.input_used += count;
                return Ok(count);
            };
            let (read_before, written_before) = (inflater.total_in(), inflater.total_out());
            let Ok(status) = inflater.decompress(input, buffer, FlushDecompress::None) else {
                return Err(bad_zip(format!("'{}' is damaged", self.entry.display_name())));
            };
            let consumed = (inflater.total_in() - read_before) as usize;
            let produced = (inflater.total_out() - written_before) as usize;
            self.input_used += consumed;
            let stuck = consumed == 0 && produced == 0;
            if produced > 0 || status == Status::StreamEnd {
                return Ok(produced);
            }
            if stuck {
                return Err(bad_zip(format!(
                    "'{}' is cut off or damaged",
                    self.entry.display_name()
                )));
            }
        }
    }

    /// Leaves the input empty once all compressed bytes have been read.
    fn refill(&mut self) -> Result<(), PackageError> {
        let count = at_most(
            self.entry.facts.compressed_size - self.compressed_read,
            Self::INPUT_LEN,
        );
        self.input.resize(count, 0);
        self.input_used = 0;
        self.archive
            .read_exact_at(self.data_offset + self.compressed_read, &mut self.input)?;
        self.compressed_read += count as u64;
        Ok(())
    }
}
