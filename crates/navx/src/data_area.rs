//! The part of the ZIP in front of its directory, from the first byte to the last.
//!
//! Programs that unpack front to back never look at the directory: they believe the header in front of each entry's
//! data, and see whatever the directory leaves out. So entries follow each other without a gap, none lies in another,
//! and each says of itself what the directory says of it. Only headers are looked at; data is skipped, but for that
//! whose end is told behind it.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use crate::bytes::Record;
use crate::directory::{Entry, Facts, Forward, bad_zip};
use crate::entry::{DEFLATED, EntryReader, STORED};
use crate::error::PackageError;
use crate::extra;
use crate::limits;
use crate::part_name;
use crate::source::ByteSource;

/// Bytes of a local header without name and extra fields.
pub(crate) const LOCAL_LEN: usize = 30;
const LOCAL_MARK: [u8; 4] = *b"PK\x03\x04";
const DESCRIPTOR_MARK: [u8; 4] = *b"PK\x07\x08";
/// Bit 0: encrypted. Bit 6: strongly encrypted. Bit 13: local header masked.
const ENCRYPTION_FLAGS: u16 = 1 | 1 << 6 | 1 << 13;
/// Bit 3: sizes and checksum follow the data; the local header may have none.
const DESCRIPTOR_FLAG: u16 = 1 << 3;
/// Bit 11: the name is UTF-8.
const UTF8_FLAG: u16 = 1 << 11;
/// Bytes that are unpacked at most to see where data ends whose size is told behind it. Compilers make no such entries.
const MAX_UNPACKED: u64 = 64 << 20;

/// What the directory says about where everything is, a few words for each entry.
#[derive(Debug, Default)]
pub(crate) struct DataArea {
    places: Vec<Place>,
    /// Hashes of the names' normal forms; the keys are of this reading, so that nobody can make two of them equal.
    names: HashSet<u64>,
    hasher: RandomState,
    /// The first fault that can be told from the directory alone.
    fault: Option<String>,
}

#[derive(Debug)]
struct Place {
    facts: Facts,
    /// Hash of the name.
    name: u64,
}

impl DataArea {
    /// Takes down what the directory says about one entry, whose name has this normal form.
    pub(crate) fn note(&mut self, entry: &Entry, normal_form: &[u8]) {
        let is_new = self.names.insert(self.hasher.hash_one(normal_form));
        if self.fault.is_none() {
            self.fault = name_fault(entry, normal_form, is_new);
        }
        self.places.push(Place {
            facts: entry.facts,
            name: self.hasher.hash_one(&entry.name),
        });
    }

    /// Walks over the data in front of the directory at `directory_start`.
    pub(crate) fn check<S: ByteSource>(
        mut self,
        archive: &mut S,
        directory_start: u64,
    ) -> Result<(), PackageError> {
        if let Some(fault) = self.fault {
            return Err(bad_zip(fault));
        }
        self.places.sort_unstable_by_key(|place| place.facts.local_header);
        let short = "an entry of the ZIP reaches beyond the ZIP's data";
        let mut area = Forward::new(archive, 0..directory_start, short);
        let mut unpackable = limits::unpackable(directory_start).min(MAX_UNPACKED);
        let mut places = self.places.iter().peekable();
        while let Some(place) = places.next() {
            let next = places.peek().map(|next| next.facts.local_header);
            check_begin(&area, place.facts.local_header)?;
            let entry = read_local(&mut area, place, &self.hasher)?;
            let data_offset = area.position();
            area.skip(place.facts.compressed_size)?;
            if place.facts.flags & DESCRIPTOR_FLAG != 0 {
                let end = next.unwrap_or(directory_start);
                check_descriptor(&mut area, &entry, end)?;
                check_data_end(area.source, entry, data_offset, &mut unpackable)?;
            }
        }
        check_begin(&area, directory_start)
    }
}

fn name_fault(entry: &Entry, normal_form: &[u8], is_new: bool) -> Option<String> {
    let shown = entry.display_name();
    if std::str::from_utf8(&entry.name).is_err() {
        return Some(format!("the name '{shown}' of an entry of the ZIP is not UTF-8"));
    }
    if part_name::has_control(&entry.name) {
        let shown = shown.escape_debug();
        return Some(format!(
            "the name '{shown}' of an entry of the ZIP has a control character"
        ));
    }
    if has_drive_or_stream(&entry.name) {
        return Some(format!(
            "the name '{shown}' of an entry of the ZIP has a colon where Windows sees a drive or a stream of a file"
        ));
    }
    if normal_form.is_empty() {
        return Some(format!("an entry of the ZIP has no name but '{shown}'"));
    }
    (!is_new).then(|| format!("the ZIP has two entries that others take for one: '{shown}' is the second"))
}

/// Whether Windows, and programs that do as it does, take a part of the name for a drive or for a stream within a file.
fn has_drive_or_stream(name: &[u8]) -> bool {
    let last = name.rsplit(|byte| matches!(byte, b'/' | b'\\')).next();
    last.is_some_and(|last| last.contains(&b':'))
}

/// The next entry, or the directory, begins where what was before it ended.
fn check_begin<S: ByteSource>(area: &Forward<'_, S>, begin: u64) -> Result<(), PackageError> {
    let position = area.position();
    if begin > position + area.left() {
        return Err(bad_zip("an entry of the ZIP lies outside the ZIP's data"));
    }
    if begin < position {
        return Err(bad_zip(format!(
            "an entry of the ZIP begins at {begin}, inside another that ends at {position}"
        )));
    }
    if begin > position {
        let count = begin - position;
        return Err(bad_zip(format!(
            "{count} bytes at {position} of the ZIP belong to no entry of its directory"
        )));
    }
    Ok(())
}

/// Compares an entry's own header with the directory.
fn read_local<S: ByteSource>(
    area: &mut Forward<'_, S>,
    place: &Place,
    hasher: &RandomState,
) -> Result<Entry, PackageError> {
    let facts = place.facts;
    let mut local = [0; LOCAL_LEN];
    area.fill(&mut local)?;
    if !local.starts_with(&LOCAL_MARK) {
        return Err(bad_zip(format!(
            "there is no entry at {} of the ZIP, where the directory says that one is",
            facts.local_header
        )));
    }
    let mut name = vec![0; local.u16_at::<26>().into()];
    area.fill(&mut name)?;
    let mut extra = vec![0; local.u16_at::<28>().into()];
    area.fill(&mut extra)?;
    let is_same_name = hasher.hash_one(&name) == place.name;
    let entry = Entry { name, facts };
    let shown = entry.display_name();
    let shown = shown.escape_debug();
    if !is_same_name {
        return Err(bad_zip(format!(
            "the directory of the ZIP has another name for what the entry itself says is '{shown}'"
        )));
    }
    let flags = local.u16_at::<6>();
    if (flags | facts.flags) & ENCRYPTION_FLAGS != 0 {
        return Err(bad_zip(format!("'{shown}' is encrypted")));
    }
    let (mut compressed_size, mut size) = (local.u32_at::<18>().into(), local.u32_at::<22>().into());
    extra::widen([&mut size, &mut compressed_size], &extra)?;
    // What follows the data may be missing here.
    let is_later = facts.flags & DESCRIPTOR_FLAG != 0;
    let agrees = |here: u64, there: u64| here == there || (is_later && here == 0);
    let same_flags = (flags ^ facts.flags) & (DESCRIPTOR_FLAG | UTF8_FLAG) == 0;
    let same_method = local.u16_at::<8>() == facts.method;
    let same_data = agrees(local.u32_at::<14>().into(), facts.crc32.into())
        && agrees(compressed_size, facts.compressed_size)
        && agrees(size, facts.size);
    if !(same_flags && same_method && same_data) {
        return Err(bad_zip(format!(
            "the directory and '{shown}' itself disagree about its data"
        )));
    }
    if facts.method == STORED && facts.compressed_size != facts.size {
        return Err(bad_zip(format!(
            "'{shown}' is stored, but has two different sizes"
        )));
    }
    Ok(entry)
}

/// What stands between data and `end`: checksum and sizes once more, in any of the four spellings.
fn check_descriptor<S: ByteSource>(
    area: &mut Forward<'_, S>,
    entry: &Entry,
    end: u64,
) -> Result<(), PackageError> {
    let length = end.saturating_sub(area.position());
    let mut descriptor = vec![0; usize::try_from(length).unwrap_or(usize::MAX).min(24)];
    area.fill(&mut descriptor)?;
    let Facts {
        crc32,
        compressed_size,
        size,
        ..
    } = entry.facts;
    let numbers = descriptor.strip_prefix(&DESCRIPTOR_MARK).unwrap_or(&descriptor);
    let narrow = |size: u64| u32::try_from(size).map(u32::to_le_bytes);
    let small = narrow(compressed_size)
        .and_then(|compressed| Ok([crc32.to_le_bytes(), compressed, narrow(size)?].concat()));
    let large = [
        &crc32.to_le_bytes()[..],
        &compressed_size.to_le_bytes(),
        &size.to_le_bytes(),
    ]
    .concat();
    if numbers == large || small.is_ok_and(|small| numbers == small) {
        return Ok(());
    }
    Err(bad_zip(format!(
        "what follows '{}' is not its checksum and sizes",
        entry.display_name().escape_debug()
    )))
}

/// Proves that the data ends where the directory says: others look for its end in the data.
fn check_data_end<S: ByteSource>(
    archive: &mut S,
    entry: Entry,
    data_offset: u64,
    unpackable: &mut u64,
) -> Result<(), PackageError> {
    let shown = entry.display_name();
    let shown = shown.escape_debug();
    let Facts { method, size, .. } = entry.facts;
    if method != DEFLATED && size > 0 {
        return Err(bad_zip(format!(
            "'{shown}' is not deflated, and its size only follows its data"
        )));
    }
    let Some(left) = unpackable.checked_sub(size) else {
        return Err(bad_zip(format!(
            "'{shown}' and others whose sizes follow their data are too large to be looked through"
        )));
    };
    *unpackable = left;
    EntryReader::at(archive, entry, data_offset)?.verify()
}
