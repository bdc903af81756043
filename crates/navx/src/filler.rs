//! Bytes that look random and are the same every time, so that no packer makes them smaller.

use std::io::{self, Write};

use uuid::Uuid;

use crate::bytes::{copy, first_of};

const CHUNK_BYTES: usize = 64 << 10;

/// The SplitMix64 sequence of a seed.
pub(crate) struct Filler {
    state: u64,
}

impl Filler {
    pub(crate) fn new(seed: Uuid) -> Self {
        let (high, low) = seed.as_u64_pair();
        Self {
            state: high ^ low.rotate_left(32),
        }
    }

    /// Writes the next `size` bytes.
    pub(crate) fn write_to(&mut self, out: &mut impl Write, size: u64) -> io::Result<()> {
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut left = size;
        while left > 0 {
            let part = first_of(&mut chunk, left);
            self.fill(part);
            out.write_all(part)?;
            left -= part.len() as u64;
        }
        Ok(())
    }

    fn fill(&mut self, buffer: &mut [u8]) {
        for word in buffer.chunks_mut(8) {
            copy(&self.next().to_le_bytes(), word);
        }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}
