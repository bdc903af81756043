//! A ZIP writer without a conscience: it writes whatever a test claims, true or not.

use std::io::Write;

use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};
use uuid::Uuid;

/// An entry and the lies about it.
#[derive(Clone)]
pub(crate) struct Entry {
    name: Vec<u8>,
    local_name: Vec<u8>,
    data: Vec<u8>,
    method: u16,
    local_method: u16,
    flags: u16,
    crc32: u32,
    local_crc32: u32,
    size: u64,
    compressed_size: u64,
    local_extra: Vec<u8>,
    extra: Vec<u8>,
    descriptor: bool,
    descriptor_bytes: Option<Vec<u8>>,
    local_sizes: Option<(u32, u32)>,
    gap: Vec<u8>,
    zip64: bool,
    local_header: Option<u32>,
}

impl Entry {
    pub(crate) fn deflated(name: &str, content: &[u8]) -> Self {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(content).unwrap();
        Self::packed(name, content, 8, encoder.finish().unwrap())
    }

    pub(crate) fn stored(name: &str, content: &[u8]) -> Self {
        Self::packed(name, content, 0, content.to_vec())
    }

    /// `data` is written as it is, under the size and checksum of `content`.
    pub(crate) fn packed(name: &str, content: &[u8], method: u16, data: Vec<u8>) -> Self {
        let mut crc = Crc::new();
        crc.update(content);
        Self {
            name: name.into(),
            local_name: name.into(),
            method,
            local_method: method,
            flags: 0,
            crc32: crc.sum(),
            local_crc32: crc.sum(),
            size: content.len() as u64,
            compressed_size: data.len() as u64,
            data,
            local_extra: Vec::new(),
            extra: Vec::new(),
            descriptor: false,
            descriptor_bytes: None,
            local_sizes: None,
            gap: Vec::new(),
            zip64: false,
            local_header: None,
        }
    }

    pub(crate) fn named(mut self, name: &[u8]) -> Self {
        self.name = name.into();
        self.local_name = name.into();
        self
    }

    pub(crate) fn local_name(mut self, name: &str) -> Self {
        self.local_name = name.into();
        self
    }

    pub(crate) fn local_method(mut self, method: u16) -> Self {
        self.local_method = method;
        self
    }

    pub(crate) fn flags(mut self, flags: u16) -> Self {
        self.flags = flags;
        self
    }

    pub(crate) fn crc32(mut self, crc32: u32) -> Self {
        self.crc32 = crc32;
        self.local_crc32 = crc32;
        self
    }

    pub(crate) fn local_crc32(mut self, crc32: u32) -> Self {
        self.local_crc32 = crc32;
        self
    }

    pub(crate) fn size(mut self, size: u64) -> Self {
        self.size = size;
        self
    }

    pub(crate) fn compressed_size(mut self, size: u64) -> Self {
        self.compressed_size = size;
        self
    }

    pub(crate) fn local_extra(mut self, extra: &[u8]) -> Self {
        self.local_extra = extra.to_vec();
        self
    }

    /// Extra fields in the directory.
    pub(crate) fn extra(mut self, extra: &[u8]) -> Self {
        self.extra = extra.to_vec();
        self
    }

    /// Compressed and inflated size in the entry's own header.
    pub(crate) fn local_sizes(mut self, compressed: u32, inflated: u32) -> Self {
        self.local_sizes = Some((compressed, inflated));
        self
    }

    /// Bytes in front of the entry that belong to none.
    pub(crate) fn after(mut self, gap: &[u8]) -> Self {
        self.gap = gap.to_vec();
        self
    }

    /// The entry as it stands in front of the directory.
    pub(crate) fn local_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        write_local(&mut out, self);
        out
    }

    /// Bytes behind the data of which the directory knows.
    pub(crate) fn trailed_by(mut self, bytes: &[u8]) -> Self {
        self.data.extend(bytes);
        self.compressed_size = self.data.len() as u64;
        self
    }

    /// As [`descriptor`](Self::descriptor), with these bytes behind the data.
    pub(crate) fn descriptor_of(mut self, bytes: &[u8]) -> Self {
        self.descriptor_bytes = Some(bytes.to_vec());
        self.descriptor()
    }

    /// Checksum and sizes as a descriptor has them, the latter as `wide` numbers or not.
    pub(crate) fn numbers(&self, wide: bool) -> Vec<u8> {
        let mut out = self.crc32.to_le_bytes().to_vec();
        for size in [self.compressed_size, self.size] {
            out.extend(&size.to_le_bytes()[..if wide { 8 } else { 4 }]);
        }
        out
    }

    pub(crate) fn descriptor(mut self) -> Self {
        self.descriptor = true;
        self.flags |= 1 << 3;
        self
    }

    pub(crate) fn zip64(mut self) -> Self {
        self.zip64 = true;
        self
    }

    /// Only a directory record that points to bytes written by another entry.
    pub(crate) fn pointing_to(mut self, local_header: u32) -> Self {
        self.local_header = Some(local_header);
        self
    }
}

/// An archive and the lies about its directory.
#[derive(Clone, Default)]
pub(crate) struct Zip {
    entries: Vec<Entry>,
    count: Option<u16>,
    directory_offset: Option<u32>,
    directory_size: Option<u32>,
    gap: Vec<u8>,
    comment: Vec<u8>,
    zip64: bool,
    zip64_count: Option<u64>,
}

impl Zip {
    pub(crate) fn with(mut self, entry: Entry) -> Self {
        self.entries.push(entry);
        self
    }

    pub(crate) fn count(mut self, count: u16) -> Self {
        self.count = Some(count);
        self
    }

    pub(crate) fn directory_offset(mut self, offset: u32) -> Self {
        self.directory_offset = Some(offset);
        self
    }

    pub(crate) fn directory_size(mut self, size: u32) -> Self {
        self.directory_size = Some(size);
        self
    }

    /// Bytes in front of the directory that belong to no entry.
    pub(crate) fn gap(mut self, gap: &[u8]) -> Self {
        self.gap = gap.to_vec();
        self
    }

    pub(crate) fn comment(mut self, comment: &[u8]) -> Self {
        self.comment = comment.to_vec();
        self
    }

    pub(crate) fn zip64(mut self) -> Self {
        self.zip64 = true;
        self
    }

    pub(crate) fn zip64_count(mut self, count: u64) -> Self {
        self.zip64_count = Some(count);
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut directory = Vec::new();
        for entry in &self.entries {
            out.extend(&entry.gap);
            let offset = entry.local_header.unwrap_or(out.len() as u32);
            if entry.local_header.is_none() {
                write_local(&mut out, entry);
            }
            write_record(&mut directory, entry, offset);
        }
        out.extend(&self.gap);
        let offset = out.len() as u64;
        out.extend(&directory);
        let count = self.entries.len() as u64;
        if self.zip64 {
            write_zip64_end(
                &mut out,
                self.zip64_count.unwrap_or(count),
                directory.len() as u64,
                offset,
            );
        }
        let small = |value: u64| if self.zip64 { u32::MAX } else { value as u32 };
        let count = self
            .count
            .unwrap_or(if self.zip64 { u16::MAX } else { count as u16 });
        out.extend(b"PK\x05\x06\0\0\0\0");
        out.extend(count.to_le_bytes());
        out.extend(count.to_le_bytes());
        out.extend(
            self.directory_size
                .unwrap_or(small(directory.len() as u64))
                .to_le_bytes(),
        );
        out.extend(self.directory_offset.unwrap_or(small(offset)).to_le_bytes());
        out.extend((self.comment.len() as u16).to_le_bytes());
        out.extend(&self.comment);
        out
    }

    /// The archive behind a header.
    pub(crate) fn package(&self) -> Vec<u8> {
        package_around(&self.bytes())
    }
}

pub(crate) fn package_around(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::from(*b"NAVX");
    out.extend(40u32.to_le_bytes());
    out.extend(2u32.to_le_bytes());
    out.extend(Uuid::from_u128(0x0123_4567_89ab_4def_8123_4567_89ab_cdef).to_bytes_le());
    out.extend((payload.len() as u64).to_le_bytes());
    out.extend(b"NAVX");
    out.extend(payload);
    out
}

fn write_local(out: &mut Vec<u8>, entry: &Entry) {
    let (crc32, compressed_size, size) = match (entry.descriptor, entry.zip64) {
        (true, _) => (0, 0, 0),
        (_, true) => (entry.local_crc32, u32::MAX, u32::MAX),
        _ => (entry.local_crc32, entry.compressed_size as u32, entry.size as u32),
    };
    let (compressed_size, size) = entry.local_sizes.unwrap_or((compressed_size, size));
    let mut extra = entry.local_extra.clone();
    if entry.zip64 && !entry.descriptor {
        extra.extend([1, 0, 16, 0]);
        extra.extend(entry.size.to_le_bytes());
        extra.extend(entry.compressed_size.to_le_bytes());
    }
    out.extend(b"PK\x03\x04\x14\0");
    out.extend(entry.flags.to_le_bytes());
    out.extend(entry.local_method.to_le_bytes());
    out.extend([0; 4]);
    out.extend(crc32.to_le_bytes());
    out.extend(compressed_size.to_le_bytes());
    out.extend(size.to_le_bytes());
    out.extend((entry.local_name.len() as u16).to_le_bytes());
    out.extend((extra.len() as u16).to_le_bytes());
    out.extend(&entry.local_name);
    out.extend(extra);
    out.extend(&entry.data);
    if let Some(bytes) = &entry.descriptor_bytes {
        out.extend(bytes);
    } else if entry.descriptor {
        out.extend(b"PK\x07\x08");
        out.extend(entry.numbers(false));
    }
}

fn write_record(directory: &mut Vec<u8>, entry: &Entry, offset: u32) {
    let mut extra = entry.extra.clone();
    if entry.zip64 {
        extra.extend([1, 0, 24, 0]);
        extra.extend(entry.size.to_le_bytes());
        extra.extend(entry.compressed_size.to_le_bytes());
        extra.extend(u64::from(offset).to_le_bytes());
    }
    let small = |value: u64| if entry.zip64 { u32::MAX } else { value as u32 };
    directory.extend(b"PK\x01\x02\x14\0\x14\0");
    directory.extend(entry.flags.to_le_bytes());
    directory.extend(entry.method.to_le_bytes());
    directory.extend([0; 4]);
    directory.extend(entry.crc32.to_le_bytes());
    directory.extend(small(entry.compressed_size).to_le_bytes());
    directory.extend(small(entry.size).to_le_bytes());
    directory.extend((entry.name.len() as u16).to_le_bytes());
    directory.extend((extra.len() as u16).to_le_bytes());
    directory.extend([0; 10]);
    directory.extend(small(offset.into()).to_le_bytes());
    directory.extend(&entry.name);
    directory.extend(extra);
}

fn write_zip64_end(out: &mut Vec<u8>, count: u64, size: u64, offset: u64) {
    let record = out.len() as u64;
    out.extend(b"PK\x06\x06");
    out.extend(44u64.to_le_bytes());
    out.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    out.extend(count.to_le_bytes());
    out.extend(count.to_le_bytes());
    out.extend(size.to_le_bytes());
    out.extend(offset.to_le_bytes());
    out.extend(b"PK\x06\x07\0\0\0\0");
    out.extend(record.to_le_bytes());
    out.extend(1u32.to_le_bytes());
}
