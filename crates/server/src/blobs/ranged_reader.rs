//! Reading an object here and there without having it here: what a package says of itself stands at its beginning and
//! end and in a few places between, so most of a large package is never fetched.

use bytes::Bytes;
use std::{
    collections::VecDeque,
    io::{self, Read, Seek, SeekFrom},
    ops::Range,
};

/// How much is fetched by one request, in bytes.
const BLOCK_BYTES: u64 = 512 * 1024;
/// Blocks that are kept, the latest used ones.
const MAX_BLOCKS: usize = 8;

/// A reader over an object of which `fetch` gets ranges.
pub(super) struct RangedReader<F> {
    fetch: F,
    size: u64,
    position: u64,
    /// Latest used first.
    blocks: VecDeque<(u64, Bytes)>,
}

impl<F: FnMut(Range<u64>) -> io::Result<Bytes>> RangedReader<F> {
    /// A reader over `size` bytes.
    pub(super) fn new(size: u64, fetch: F) -> Self {
        Self {
            fetch,
            size,
            position: 0,
            blocks: VecDeque::with_capacity(MAX_BLOCKS),
        }
    }

    fn block(&mut self, index: u64) -> io::Result<Bytes> {
        let found = self.blocks.iter().position(|(kept, _)| *kept == index);
        let block = match found.and_then(|at| self.blocks.remove(at)) {
            Some((_, block)) => block,
            None => self.fetch_block(index)?,
        };
        self.blocks.truncate(MAX_BLOCKS - 1);
        self.blocks.push_front((index, block.clone()));
        Ok(block)
    }

    fn fetch_block(&mut self, index: u64) -> io::Result<Bytes> {
        let start = index * BLOCK_BYTES;
        let range = start..(start + BLOCK_BYTES).min(self.size);
        let expected = range.end - range.start;
        let block = (self.fetch)(range)?;
        if block.len() as u64 == expected {
            Ok(block)
        } else {
            let message = format!(
                "the object store sent {} bytes where {expected} were asked for",
                block.len()
            );
            Err(io::Error::other(message))
        }
    }
}

impl<F: FnMut(Range<u64>) -> io::Result<Bytes>> Read for RangedReader<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.position >= self.size || buffer.is_empty() {
            return Ok(0);
        }
        let block = self.block(self.position / BLOCK_BYTES)?;
        let offset = usize::try_from(self.position % BLOCK_BYTES).map_err(io::Error::other)?;
        let count = block.get(offset..).unwrap_or_default().read(buffer)?;
        self.position += count as u64;
        Ok(count)
    }
}

impl<F> Seek for RangedReader<F> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.size.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        let outside = || io::Error::new(io::ErrorKind::InvalidInput, "a seek to before the beginning");
        self.position = position.ok_or_else(outside)?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Cursor;

    fn bytes(size: u64) -> Vec<u8> {
        (0..size).map(|at| (at * 31 % 251) as u8).collect()
    }

    fn over<'a>(
        content: &'a [u8],
        requests: &'a mut usize,
    ) -> RangedReader<impl FnMut(Range<u64>) -> io::Result<Bytes>> {
        RangedReader::new(content.len() as u64, move |range: Range<u64>| {
            *requests += 1;
            assert!(range.end - range.start <= BLOCK_BYTES);
            Ok(Bytes::copy_from_slice(
                &content[range.start as usize..range.end as usize],
            ))
        })
    }

    #[test]
    fn reading_on_and_coming_back_costs_one_request_for_each_block() {
        let content = bytes(3 * BLOCK_BYTES + 5);
        let (mut requests, mut read) = (0, Vec::new());
        let mut reader = over(&content, &mut requests);
        reader.read_to_end(&mut read).unwrap();
        assert_eq!(reader.seek(SeekFrom::Start(7)).unwrap(), 7);
        reader.read_exact(&mut [0; 100]).unwrap();
        drop(reader);
        assert!(read == content);
        assert_eq!(requests, 4);
    }

    #[test]
    fn little_of_a_large_package_is_fetched() {
        let version = "1.0.0.0".parse().unwrap();
        let id = uuid::Uuid::from_u128(0xA);
        let package = navx::PackageBuilder::new(id, "Sales", "Contoso", version).payload_bytes(24 << 20);
        let content = package.to_bytes().unwrap();
        let mut requests = 0;
        let read = navx::read(over(&content, &mut requests), &navx::Limits::default()).unwrap();
        assert_eq!(read.manifest.unwrap().app_id, id);
        assert!(requests <= 4, "{requests}");
    }

    #[test]
    fn a_short_answer_is_no_content() {
        let mut reader = RangedReader::new(10, |_| Ok(Bytes::from_static(b"short")));
        assert!(reader.read(&mut [0; 10]).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn it_reads_what_a_cursor_reads(
            size in 0..3 * BLOCK_BYTES,
            steps in prop::collection::vec((0..3 * BLOCK_BYTES, 0..9000_usize), 0..20),
        ) {
            let content = bytes(size);
            let mut requests = 0;
            let mut reader = over(&content, &mut requests);
            let mut cursor = Cursor::new(&content);
            for (to, count) in steps {
                reader.seek(SeekFrom::Start(to)).unwrap();
                cursor.seek(SeekFrom::Start(to)).unwrap();
                let (mut one, mut other) = (Vec::new(), Vec::new());
                reader.by_ref().take(count as u64).read_to_end(&mut one).unwrap();
                cursor.by_ref().take(count as u64).read_to_end(&mut other).unwrap();
                prop_assert!(one == other);
            }
        }
    }
}
