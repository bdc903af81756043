//! Little-endian numbers in fixed-size records whose length the type already guarantees.

/// The `u16` at `offset` of a record.
pub(crate) fn u16_at(record: &[u8], offset: usize) -> u16 {
    u16::from_le_bytes(array_at(record, offset))
}

/// The `u32` at `offset` of a record.
pub(crate) fn u32_at(record: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(array_at(record, offset))
}

/// The `u64` at `offset` of a record.
pub(crate) fn u64_at(record: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(array_at(record, offset))
}

/// The `N` bytes at `offset` of a record.
pub(crate) fn array_at<const N: usize>(record: &[u8], offset: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&record[offset..offset + N]);
    bytes
}
