//! The ZIP's central directory, found and walked with more suspicion than general ZIP readers have.
//!
//! General readers repair: they merge entries of one name, believe the count they like, and search whole
//! files for an archive. Repairing untrusted files means that two programs can read two different apps from
//! one package. So there is exactly one place where the directory may be, its count, size and position must
//! all agree, and every record is visited, in order, in constant memory.

use std::ops::Range;

use crate::bytes::{Record, at_most, copy};
use crate::error::{PackageError, RefusalCode};
use crate::extra;
use crate::limits::Limits;
use crate::source::ByteSource;

const END_LEN: usize = 22;
const END_MARK: [u8; 4] = *b"PK\x05\x06";
const LOCATOR_LEN: usize = 20;
const LOCATOR_MARK: [u8; 4] = *b"PK\x06\x07";
const END64_LEN: usize = 56;
const END64_MARK: [u8; 4] = *b"PK\x06\x06";
const RECORD_LEN: usize = 46;
const RECORD_MARK: [u8; 4] = *b"PK\x01\x02";
const MAX_COMMENT: usize = u16::MAX as usize;

/// Where the directory lies in the archive, and how many records it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Directory {
    pub(crate) range: Range<u64>,
    pub(crate) entries: u64,
}

/// What the directory says about one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: Vec<u8>,
    pub(crate) facts: Facts,
}

/// What the directory says about one entry's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) flags: u16,
    pub(crate) method: u16,
    pub(crate) crc32: u32,
    pub(crate) compressed_size: u64,
    pub(crate) size: u64,
    pub(crate) local_header: u64,
}

impl Entry {
    /// The name for messages; names are text to show, never paths to open.
    pub(crate) fn display_name(&self) -> String {
        String::from_utf8_lossy(&self.name).chars().take(120).collect()
    }
}

pub(crate) fn bad_zip(message: impl Into<String>) -> PackageError {
    RefusalCode::BadZip.because(message)
}

/// Finds the directory of the archive that fills `archive` from its first to its last byte.
pub(crate) fn locate(archive: &mut impl ByteSource, limits: &Limits) -> Result<Directory, PackageError> {
    let (end_offset, end) = find_end(archive)?;
    let stated = Stated::from_end(&end)?;
    let (stated, directory_end) = match find_zip64_end(archive, end_offset)? {
        Some((offset, large)) => (stated.widened_by(&large)?, offset),
        None => (stated, end_offset),
    };
    if stated.entries > limits.max_entries {
        let message = format!(
            "the ZIP has {} entries; {} are allowed",
            stated.entries, limits.max_entries
        );
        return Err(bad_zip(message));
    }
    if stated.size > limits.max_directory_bytes {
        let allowed = limits.max_directory_bytes;
        return Err(bad_zip(format!(
            "the ZIP directory has {} bytes; {allowed} are allowed",
            stated.size
        )));
    }
    if stated.offset.checked_add(stated.size) != Some(directory_end) {
        let Stated { offset, size, .. } = stated;
        let message =
            format!("the ZIP directory of {size} bytes at {offset} does not end at {directory_end}");
        return Err(bad_zip(message));
    }
    Ok(Directory {
        range: stated.offset..directory_end,
        entries: stated.entries,
    })
}

/// Visits every record once and proves that count and size are true.
pub(crate) fn visit<S: ByteSource>(
    archive: &mut S,
    directory: &Directory,
    mut each: impl FnMut(Entry) -> Result<(), PackageError>,
) -> Result<(), PackageError> {
    let short = "the ZIP directory has fewer entries than it counts, or is damaged";
    let mut records = Forward::new(archive, directory.range.clone(), short);
    for _ in 0..directory.entries {
        each(read_record(&mut records)?)?;
    }
    if records.left() > 0 {
        let message = format!(
            "the ZIP directory has more than the {} entries it counts",
            directory.entries
        );
        return Err(bad_zip(message));
    }
    Ok(())
}

/// The end record is the last thing in the archive, but for a comment that says how long it is.
fn find_end(archive: &mut impl ByteSource) -> Result<(u64, [u8; END_LEN]), PackageError> {
    let mut tail = vec![0; at_most(archive.len(), END_LEN + MAX_COMMENT)];
    let start = archive.len() - tail.len() as u64;
    archive.read_exact_at(start, &mut tail)?;

    let last_mark = tail
        .windows(END_MARK.len())
        .rposition(|window| window == END_MARK);
    let end = last_mark.and_then(|position| Some((position, *tail.get(position..)?.first_chunk()?)));
    let Some((position, end)) = end else {
        return Err(bad_zip("the ZIP has no end record: it is cut off or damaged"));
    };
    let comment_len = usize::from(end.u16_at::<20>());
    if position + END_LEN + comment_len != tail.len() {
        return Err(bad_zip("the ZIP does not end where the content ends"));
    }
    Ok((start + position as u64, end))
}

/// Position and counts of a directory as an end record states them.
struct Stated {
    entries: u64,
    size: u64,
    offset: u64,
}

impl Stated {
    fn from_end(end: &[u8; END_LEN]) -> Result<Self, PackageError> {
        let disks = (end.u16_at::<4>(), end.u16_at::<6>());
        let entries = end.u16_at::<10>();
        if disks != (0, 0) || end.u16_at::<8>() != entries {
            return Err(bad_zip("the ZIP is one of several disks"));
        }
        Ok(Self {
            entries: entries.into(),
            size: end.u32_at::<12>().into(),
            offset: end.u32_at::<16>().into(),
        })
    }

    /// The zip64 record speaks only where the small fields say "too large"; elsewhere the two must agree,
    /// because readers differ in which of them they believe.
    fn widened_by(self, large: &[u8; END64_LEN]) -> Result<Self, PackageError> {
        let wide = Self {
            entries: large.u64_at::<32>(),
            size: large.u64_at::<40>(),
            offset: large.u64_at::<48>(),
        };
        let agrees = |small: u64, mask: u64, wide: u64| small == mask || small == wide;
        let entries_agree = agrees(self.entries, u16::MAX.into(), wide.entries);
        let size_agrees = agrees(self.size, u32::MAX.into(), wide.size);
        let offset_agrees = agrees(self.offset, u32::MAX.into(), wide.offset);
        let one_disk =
            large.u32_at::<16>() == 0 && large.u32_at::<20>() == 0 && large.u64_at::<24>() == wide.entries;
        if !(entries_agree && size_agrees && offset_agrees && one_disk) {
            return Err(bad_zip("the two end records of the ZIP contradict each other"));
        }
        Ok(wide)
    }
}

/// The zip64 end record and its offset, when a locator stands right before the end record.
fn find_zip64_end(
    archive: &mut impl ByteSource,
    end_offset: u64,
) -> Result<Option<(u64, [u8; END64_LEN])>, PackageError> {
    let Some(locator_offset) = end_offset.checked_sub(LOCATOR_LEN as u64) else {
        return Ok(None);
    };
    let mut locator = [0; LOCATOR_LEN];
    archive.read_exact_at(locator_offset, &mut locator)?;
    if !locator.starts_with(&LOCATOR_MARK) {
        return Ok(None);
    }
    let offset = locator.u64_at::<8>();
    let fits = offset.checked_add(END64_LEN as u64) == Some(locator_offset);
    if !fits || locator.u32_at::<4>() != 0 || locator.u32_at::<16>() > 1 {
        return Err(bad_zip(
            "the zip64 end record of the ZIP is not where its locator says",
        ));
    }
    let mut record = [0; END64_LEN];
    archive.read_exact_at(offset, &mut record)?;
    if !record.starts_with(&END64_MARK) || record.u64_at::<4>() != END64_LEN as u64 - 12 {
        return Err(bad_zip("the zip64 end record of the ZIP is damaged"));
    }
    Ok(Some((offset, record)))
}

fn read_record<S: ByteSource>(records: &mut Forward<'_, S>) -> Result<Entry, PackageError> {
    let mut fixed = [0; RECORD_LEN];
    records.fill(&mut fixed)?;
    if !fixed.starts_with(&RECORD_MARK) {
        return Err(bad_zip(
            "the ZIP directory has fewer entries than it counts, or is damaged",
        ));
    }
    let mut name = vec![0; usize::from(fixed.u16_at::<28>())];
    records.fill(&mut name)?;
    let mut extra = vec![0; usize::from(fixed.u16_at::<30>())];
    records.fill(&mut extra)?;
    let mut comment = vec![0; usize::from(fixed.u16_at::<32>())];
    records.fill(&mut comment)?;
    if fixed.u16_at::<34>() != 0 {
        return Err(bad_zip("an entry of the ZIP lies on another disk"));
    }
    let mut facts = Facts {
        flags: fixed.u16_at::<8>(),
        method: fixed.u16_at::<10>(),
        crc32: fixed.u32_at::<16>(),
        compressed_size: fixed.u32_at::<20>().into(),
        size: fixed.u32_at::<24>().into(),
        local_header: fixed.u32_at::<42>().into(),
    };
    let Facts {
        size,
        compressed_size,
        local_header,
        ..
    } = &mut facts;
    extra::widen([size, compressed_size, local_header], &extra)?;
    Ok(Entry { name, facts })
}

/// Reads a range from front to back through one small buffer.
pub(crate) struct Forward<'a, S> {
    pub(crate) source: &'a mut S,
    unread: Range<u64>,
    buffer: Vec<u8>,
    used: usize,
    /// The refusal when more is wanted than there is.
    short: &'static str,
}

impl<'a, S: ByteSource> Forward<'a, S> {
    const BUFFER_LEN: usize = 64 << 10;

    pub(crate) fn new(source: &'a mut S, range: Range<u64>, short: &'static str) -> Self {
        Self {
            source,
            unread: range,
            buffer: Vec::new(),
            used: 0,
            short,
        }
    }

    fn buffered(&self) -> u64 {
        (self.buffer.len() - self.used) as u64
    }

    pub(crate) fn left(&self) -> u64 {
        self.buffered() + self.unread.end - self.unread.start
    }

    pub(crate) fn position(&self) -> u64 {
        self.unread.start - self.buffered()
    }

    pub(crate) fn skip(&mut self, count: u64) -> Result<(), PackageError> {
        if count > self.left() {
            return Err(bad_zip(self.short));
        }
        let inside = at_most(count, self.buffer.len() - self.used);
        self.used += inside;
        self.unread.start += count - inside as u64;
        Ok(())
    }

    pub(crate) fn fill(&mut self, mut wanted: &mut [u8]) -> Result<(), PackageError> {
        if wanted.len() as u64 > self.left() {
            return Err(bad_zip(self.short));
        }
        while !wanted.is_empty() {
            if self.used == self.buffer.len() {
                self.refill()?;
            }
            let count = copy(self.buffer.get(self.used..).unwrap_or_default(), wanted);
            self.used += count;
            wanted = wanted.get_mut(count..).unwrap_or_default();
        }
        Ok(())
    }

    fn refill(&mut self) -> Result<(), PackageError> {
        let count = at_most(self.unread.end - self.unread.start, Self::BUFFER_LEN);
        self.buffer.resize(count, 0);
        self.source.read_exact_at(self.unread.start, &mut self.buffer)?;
        self.unread.start += count as u64;
        self.used = 0;
        Ok(())
    }
}
