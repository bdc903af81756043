//! A ZIP as the AL compiler writes it: no comment, no descriptors, no extra fields, one fixed time.
//!
//! Written to a stream that starts somewhere inside a file; offsets count from there. The same entries give
//! the same bytes. Archives beyond 4 GiB get the zip64 records they need, smaller ones never have them.

use std::io::{self, Seek, SeekFrom, Write};

use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};

const STORED: u16 = 0;
const DEFLATED: u16 = 8;
/// 1 January 2025, in the format's own notation.
const DATE: u16 = 45 << 9 | 1 << 5 | 1;
const VERSION: u16 = 20;
const VERSION_ZIP64: u16 = 45;

/// Writes entries one after the other, then the directory.
pub(crate) struct ZipWriter<'a, W> {
    out: &'a mut W,
    base: u64,
    directory: Vec<u8>,
    entries: u64,
}

struct Facts {
    method: u16,
    crc32: u32,
    compressed_size: u32,
    size: u32,
}

impl<'a, W: Write + Seek> ZipWriter<'a, W> {
    /// Starts an archive at the current position.
    pub(crate) fn new(out: &'a mut W) -> io::Result<Self> {
        let base = out.stream_position()?;
        Ok(Self {
            out,
            base,
            directory: Vec::new(),
            entries: 0,
        })
    }

    /// Adds a packed entry.
    pub(crate) fn add(&mut self, name: &str, content: &[u8]) -> io::Result<()> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(content)?;
        let packed = encoder.finish()?;
        let mut crc = Crc::new();
        crc.update(content);
        let facts = Facts {
            method: DEFLATED,
            crc32: crc.sum(),
            compressed_size: entry_size(packed.len() as u64)?,
            size: entry_size(content.len() as u64)?,
        };
        self.start(name, &facts)?;
        self.out.write_all(&packed)
    }

    /// Adds an unpacked entry of `size` bytes, which `fill` delivers buffer by buffer.
    pub(crate) fn add_stored(
        &mut self,
        name: &str,
        size: u64,
        mut fill: impl FnMut(&mut [u8]),
    ) -> io::Result<()> {
        let stored_size = entry_size(size)?;
        let mut facts = Facts {
            method: STORED,
            crc32: 0,
            compressed_size: stored_size,
            size: stored_size,
        };
        let header = self.offset()?;
        let directory_len = self.directory.len();
        self.start(name, &facts)?;

        let mut crc = Crc::new();
        let mut buffer = vec![0; 64 << 10];
        let mut left = size;
        while left > 0 {
            let count = left.min(buffer.len() as u64) as usize;
            fill(&mut buffer[..count]);
            crc.update(&buffer[..count]);
            self.out.write_all(&buffer[..count])?;
            left -= count as u64;
        }

        facts.crc32 = crc.sum();
        self.directory.truncate(directory_len);
        self.write_record(name, &facts, header);
        self.out.seek(SeekFrom::Start(self.base + header + 14))?;
        self.out.write_all(&facts.crc32.to_le_bytes())?;
        self.out.seek(SeekFrom::End(0)).map(drop)
    }

    /// Writes the directory. What was written so far is no archive without it.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        let offset = self.offset()?;
        self.out.write_all(&self.directory)?;
        let size = self.directory.len() as u64;
        let needs_zip64 =
            self.entries >= u16::MAX.into() || offset >= u32::MAX.into() || size >= u32::MAX.into();
        if needs_zip64 {
            self.out.write_all(&zip64_end(self.entries, size, offset))?;
        }
        let count = u16::try_from(self.entries).unwrap_or(u16::MAX);
        let mut end = Vec::with_capacity(22);
        end.extend(b"PK\x05\x06\0\0\0\0");
        end.extend(count.to_le_bytes());
        end.extend(count.to_le_bytes());
        end.extend(saturated(size).to_le_bytes());
        end.extend(saturated(offset).to_le_bytes());
        end.extend([0, 0]);
        self.out.write_all(&end)
    }

    fn offset(&mut self) -> io::Result<u64> {
        Ok(self.out.stream_position()? - self.base)
    }

    fn start(&mut self, name: &str, facts: &Facts) -> io::Result<()> {
        let offset = self.offset()?;
        let mut local = Vec::with_capacity(30 + name.len());
        local.extend(b"PK\x03\x04");
        local.extend(VERSION.to_le_bytes());
        local.extend(common_fields(name, facts));
        local.extend(0u16.to_le_bytes());
        local.extend(name.as_bytes());
        self.out.write_all(&local)?;
        self.write_record(name, facts, offset);
        self.entries += 1;
        Ok(())
    }

    fn write_record(&mut self, name: &str, facts: &Facts, offset: u64) {
        let extra = offset_extra(offset);
        let version = if extra.is_empty() { VERSION } else { VERSION_ZIP64 };
        self.directory.extend(b"PK\x01\x02");
        self.directory.extend(version.to_le_bytes());
        self.directory.extend(version.to_le_bytes());
        self.directory.extend(common_fields(name, facts));
        self.directory.extend((extra.len() as u16).to_le_bytes());
        self.directory.extend([0; 10]);
        self.directory.extend(saturated(offset).to_le_bytes());
        self.directory.extend(name.as_bytes());
        self.directory.extend(extra);
    }
}

/// The part that a local header and its directory record have in common, flags to name length.
fn common_fields(name: &str, facts: &Facts) -> Vec<u8> {
    let mut fields = Vec::with_capacity(22);
    // No flags: the names are ASCII, the sizes are known.
    fields.extend(0u16.to_le_bytes());
    fields.extend(facts.method.to_le_bytes());
    fields.extend(0u16.to_le_bytes());
    fields.extend(DATE.to_le_bytes());
    fields.extend(facts.crc32.to_le_bytes());
    fields.extend(facts.compressed_size.to_le_bytes());
    fields.extend(facts.size.to_le_bytes());
    fields.extend((name.len() as u16).to_le_bytes());
    fields
}

/// The zip64 field of an entry that begins beyond 4 GiB.
fn offset_extra(offset: u64) -> Vec<u8> {
    if offset < u32::MAX.into() {
        return Vec::new();
    }
    let mut extra = Vec::with_capacity(12);
    extra.extend([1, 0, 8, 0]);
    extra.extend(offset.to_le_bytes());
    extra
}

/// The zip64 end record and its locator.
fn zip64_end(entries: u64, size: u64, offset: u64) -> Vec<u8> {
    let mut record = Vec::with_capacity(76);
    record.extend(b"PK\x06\x06");
    record.extend(44u64.to_le_bytes());
    record.extend(VERSION_ZIP64.to_le_bytes());
    record.extend(VERSION_ZIP64.to_le_bytes());
    record.extend([0; 8]);
    record.extend(entries.to_le_bytes());
    record.extend(entries.to_le_bytes());
    record.extend(size.to_le_bytes());
    record.extend(offset.to_le_bytes());
    record.extend(b"PK\x06\x07\0\0\0\0");
    record.extend((offset + size).to_le_bytes());
    record.extend(1u32.to_le_bytes());
    record
}

fn saturated(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// One entry stays below 4 GiB; packages larger than that have more entries instead.
fn entry_size(size: u64) -> io::Result<u32> {
    let too_large = || {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("an entry of {size} bytes is too large"),
        )
    };
    u32::try_from(size)
        .ok()
        .filter(|size| *size < u32::MAX)
        .ok_or_else(too_large)
}
