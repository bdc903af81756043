//! Bytes within bounds: little-endian numbers in records of fixed length, and as much as there is room for.

/// A record of fixed length. What would lie beyond its end does not compile.
pub(crate) trait Record {
    /// The `N` bytes at `OFFSET`.
    fn array_at<const OFFSET: usize, const N: usize>(&self) -> [u8; N];

    /// The `u16` at `OFFSET`.
    fn u16_at<const OFFSET: usize>(&self) -> u16 {
        u16::from_le_bytes(self.array_at::<OFFSET, 2>())
    }

    /// The `u32` at `OFFSET`.
    fn u32_at<const OFFSET: usize>(&self) -> u32 {
        u32::from_le_bytes(self.array_at::<OFFSET, 4>())
    }

    /// The `u64` at `OFFSET`.
    fn u64_at<const OFFSET: usize>(&self) -> u64 {
        u64::from_le_bytes(self.array_at::<OFFSET, 8>())
    }
}

impl<const LEN: usize> Record for [u8; LEN] {
    #[expect(clippy::indexing_slicing, reason = "asserted when it is compiled")]
    fn array_at<const OFFSET: usize, const N: usize>(&self) -> [u8; N] {
        const { assert!(OFFSET + N <= LEN, "the record ends before") };
        std::array::from_fn(|index| self[OFFSET + index])
    }
}

/// `len`, or `most` if that is less.
pub(crate) fn at_most(len: u64, most: usize) -> usize {
    usize::try_from(len).map_or(most, |len| len.min(most))
}

/// The first `len` bytes of `buffer`, or all.
pub(crate) fn first_of(buffer: &mut [u8], len: u64) -> &mut [u8] {
    buffer.split_at_mut(at_most(len, buffer.len())).0
}

/// Copies as many bytes as there are and as have room; how many that was.
pub(crate) fn copy(from: &[u8], to: &mut [u8]) -> usize {
    let count = from.len().min(to.len());
    to.split_at_mut(count).0.copy_from_slice(from.split_at(count).0);
    count
}
