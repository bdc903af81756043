//! The bytes of one ZIP entry, inflated with a hard end.
//!
//! What an entry says about itself is a claim. It is read chunk by chunk, never beyond the size it claims,
//! and its last byte is handed out only after size and checksum turned out to be true.

use flate2::{Crc, Decompress, FlushDecompress, Status};

use crate::bytes::{Record, at_most, copy, first_of};
use crate::directory::{Entry, bad_zip};
use crate::error::PackageError;
use crate::source::ByteSource;

const LOCAL_LEN: usize = 30;
const LOCAL_MARK: [u8; 4] = *b"PK\x03\x04";
const STORED: u16 = 0;
const DEFLATED: u16 = 8;
/// Bit 0: encrypted. Bit 6: strongly encrypted. Bit 13: local header masked.
const ENCRYPTION_FLAGS: u16 = 1 | 1 << 6 | 1 << 13;
/// Bit 3: sizes and checksum follow the data; the local header has none.
const DESCRIPTOR_FLAG: u16 = 1 << 3;

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

    /// Checks the entry's local header; all data must lie before `directory_start`.
    pub(crate) fn open(archive: &'a mut S, entry: Entry, directory_start: u64) -> Result<Self, PackageError> {
        let data_offset = check_local_header(archive, &entry, directory_start)?;
        let inflater = match entry.method {
            STORED => None,
            DEFLATED => Some(Decompress::new(false)),
            other => {
                let name = entry.display_name();
                return Err(bad_zip(format!(
                    "'{name}' is packed with method {other}; only 0 and 8 are known"
                )));
            }
        };
        if entry.method == STORED && entry.compressed_size != entry.size {
            return Err(bad_zip(format!(
                "'{}' is stored, but has two different sizes",
                entry.display_name()
            )));
        }
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
        self.entry.size
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
        let wanted = first_of(buffer, self.entry.size - self.produced);
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
        if self.produced == self.entry.size {
            self.check_end()?;
        }
        Ok(count)
    }

    /// All of the entry. The caller has checked that its size is acceptable.
    pub(crate) fn read_to_end(mut self) -> Result<Vec<u8>, PackageError> {
        let mut all = Vec::new();
        let mut chunk = vec![0; 32 << 10];
        if self.entry.size == 0 {
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
            self.entry.size
        )
    }

    fn check_end(&mut self) -> Result<(), PackageError> {
        if self.produce(&mut [0])? != 0 {
            return Err(bad_zip(format!("{} has more", self.claim())));
        }
        if self.crc.sum() != self.entry.crc32 {
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
        let count = at_most(self.entry.compressed_size - self.compressed_read, Self::INPUT_LEN);
        self.input.resize(count, 0);
        self.input_used = 0;
        self.archive
            .read_exact_at(self.data_offset + self.compressed_read, &mut self.input)?;
        self.compressed_read += count as u64;
        Ok(())
    }
}

/// Compares the entry's own header with the directory and returns where its data begins.
///
/// Programs that unpack front to back believe the local header, others the directory. Where the two differ,
/// the programs would see different packages.
fn check_local_header(
    archive: &mut impl ByteSource,
    entry: &Entry,
    directory_start: u64,
) -> Result<u64, PackageError> {
    let name = entry.display_name();
    let name_offset = entry.local_header.checked_add(LOCAL_LEN as u64);
    let Some(name_offset) = name_offset.filter(|offset| *offset <= directory_start) else {
        return Err(bad_zip(format!("'{name}' lies outside the ZIP's data")));
    };
    let mut local = [0; LOCAL_LEN];
    archive.read_exact_at(entry.local_header, &mut local)?;
    if !local.starts_with(&LOCAL_MARK) {
        return Err(bad_zip(format!(
            "there is no entry where the directory says that '{name}' is"
        )));
    }
    check_local_facts(&local, entry)?;

    let name_len = local.u16_at::<26>();
    let data_offset = name_offset + u64::from(name_len) + u64::from(local.u16_at::<28>());
    let data_end = data_offset.checked_add(entry.compressed_size);
    if data_end.is_none_or(|end| end > directory_start) {
        return Err(bad_zip(format!("'{name}' reaches beyond the ZIP's data")));
    }
    let mut local_name = vec![0; name_len.into()];
    archive.read_exact_at(name_offset, &mut local_name)?;
    if local_name != entry.name {
        let other: String = String::from_utf8_lossy(&local_name).chars().take(120).collect();
        return Err(bad_zip(format!(
            "the directory says '{name}', the entry itself says '{other}'"
        )));
    }
    Ok(data_offset)
}

fn check_local_facts(local: &[u8; LOCAL_LEN], entry: &Entry) -> Result<(), PackageError> {
    let flags = local.u16_at::<6>();
    if (flags | entry.flags) & ENCRYPTION_FLAGS != 0 {
        return Err(bad_zip(format!("'{}' is encrypted", entry.display_name())));
    }
    let same_size = |narrow: u32, wide: u64| narrow == u32::MAX || u64::from(narrow) == wide;
    let same_method = local.u16_at::<8>() == entry.method;
    let same_data = flags & DESCRIPTOR_FLAG != 0
        || local.u32_at::<14>() == entry.crc32
            && same_size(local.u32_at::<18>(), entry.compressed_size)
            && same_size(local.u32_at::<22>(), entry.size);
    if !same_method || !same_data {
        let name = entry.display_name();
        return Err(bad_zip(format!(
            "the directory and '{name}' itself disagree about its data"
        )));
    }
    Ok(())
}
