//! The package inside the body: base64 of any length, decoded as it comes.
//!
//! Nearly all of a body is one unbroken run of base64, so that is tried first: a block is decoded straight
//! from the input, by vector instructions that also check it. Only a block that turns out to hold something
//! else (the end, a line break, an escape) is gone through by runs, collected, and decoded in one go.

use base64_simd::{AppendBase64Decode, STANDARD_NO_PAD};

/// Characters decoded at a time; a multiple of four.
const BLOCK_CHARS: usize = 16 << 10;

/// The state of `packageContents` between two chunks of the body.
#[derive(Debug, Default)]
pub(super) struct PackageContents {
    value_start: u64,
    /// Base64 characters that were seen and not yet decoded.
    waiting: Vec<u8>,
    /// Whether the block at hand is known to be interrupted, so that trying it whole would be in vain.
    is_interrupted: bool,
    padding: usize,
    decoded_bytes: u64,
}

/// Why the value is not base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ContentsFault {
    /// A character outside the alphabet.
    Character,
    /// Something after `=`.
    AfterPadding,
    /// The number of characters or of `=` cannot be.
    Length,
    /// The last character says more bits than belong to a byte.
    StrayBits,
}

impl ContentsFault {
    /// What was found, in words.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Character => "a character outside the standard alphabet",
            Self::AfterPadding => "something after the padding",
            Self::Length => "an impossible length or padding",
            Self::StrayBits => "stray bits in the last character",
        }
    }
}

impl PackageContents {
    /// Remembers where in the body the value begins.
    pub(super) fn start(&mut self, offset: u64) {
        self.value_start = offset;
    }

    pub(super) fn value_start(&self) -> u64 {
        self.value_start
    }

    /// Bytes decoded so far.
    pub(super) fn decoded_bytes(&self) -> u64 {
        self.decoded_bytes
    }

    /// Takes some of `input`, which neither begins with a quote nor with a backslash, and says how much.
    pub(super) fn take(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, ContentsFault> {
        let is_aligned = self.waiting.is_empty() && self.padding == 0;
        if is_aligned && !self.is_interrupted {
            let (fours, _) = input.get(..BLOCK_CHARS).unwrap_or(input).as_chunks::<4>();
            let whole = fours.as_flattened();
            if !whole.is_empty() && self.decode_whole(whole, out) {
                return Ok(whole.len());
            }
            self.is_interrupted = !whole.is_empty();
        }
        let run = self.run(input);
        if run.is_empty()
            && let Some(other) = input.first()
        {
            self.take_other(*other)?;
            return Ok(1);
        }
        if self.padding > 0 {
            return Err(ContentsFault::AfterPadding);
        }
        self.collect(run, out)?;
        Ok(run.len())
    }

    /// Takes a character that was written as an escape.
    pub(super) fn take_unescaped(&mut self, character: u8, out: &mut Vec<u8>) -> Result<(), ContentsFault> {
        if !is_base64(character) {
            return self.take_other(character);
        }
        if self.padding > 0 {
            return Err(ContentsFault::AfterPadding);
        }
        self.is_interrupted = true;
        self.collect(&[character], out)
    }

    /// Ends the value. Padding may be left out, but not be wrong.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), ContentsFault> {
        let is_possible = matches!(
            (self.waiting.len() % 4, self.padding),
            (0, 0) | (2, 0 | 2) | (3, 0 | 1)
        );
        if !is_possible {
            return Err(ContentsFault::Length);
        }
        self.decode_waiting(out)
    }

    fn take_other(&mut self, character: u8) -> Result<(), ContentsFault> {
        match character {
            b' ' | b'\t' | b'\r' | b'\n' => Ok(()),
            b'=' if self.padding < 2 => {
                self.padding += 1;
                Ok(())
            }
            b'=' => Err(ContentsFault::Length),
            _ => Err(ContentsFault::Character),
        }
    }

    /// Base64 characters at the beginning of `input`, as many as may be collected now: a whole block where
    /// interruptions abound, otherwise no more than it takes to be aligned again.
    fn run<'i>(&self, input: &'i [u8]) -> &'i [u8] {
        let room = if self.is_interrupted {
            BLOCK_CHARS - self.waiting.len()
        } else {
            4 - self.waiting.len() % 4
        };
        let candidates = input.get(..room).unwrap_or(input);
        let mut runs = candidates.split(|byte| !is_base64(*byte));
        runs.next().unwrap_or_default()
    }

    fn collect(&mut self, characters: &[u8], out: &mut Vec<u8>) -> Result<(), ContentsFault> {
        self.waiting.extend_from_slice(characters);
        let is_full = self.waiting.len() >= BLOCK_CHARS;
        let is_aligned = !self.is_interrupted && self.waiting.len().is_multiple_of(4);
        if !is_full && !is_aligned {
            return Ok(());
        }
        self.is_interrupted = false;
        self.decode_waiting(out)
    }

    fn decode_waiting(&mut self, out: &mut Vec<u8>) -> Result<(), ContentsFault> {
        let waiting = std::mem::take(&mut self.waiting);
        let is_decoded = self.decode_whole(&waiting, out);
        self.waiting = waiting;
        self.waiting.clear();
        if is_decoded {
            Ok(())
        } else {
            Err(ContentsFault::StrayBits)
        }
    }

    /// Decodes all of `characters`, or nothing.
    fn decode_whole(&mut self, characters: &[u8], out: &mut Vec<u8>) -> bool {
        let before = out.len();
        out.reserve(characters.len());
        if Vec::append_base64_decode(&STANDARD_NO_PAD, characters, out).is_err() {
            return false;
        }
        self.decoded_bytes += (out.len() - before) as u64;
        true
    }
}

#[expect(clippy::indexing_slicing, reason = "a byte is less than 256")]
fn is_base64(character: u8) -> bool {
    const ALPHABET: [bool; 256] = alphabet();
    ALPHABET[usize::from(character)]
}

#[expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "it counts to 255"
)]
const fn alphabet() -> [bool; 256] {
    let mut table = [false; 256];
    let mut character = 0;
    while character < 256 {
        table[character] = (character as u8).is_ascii_alphanumeric() || character == 43 || character == 47;
        character += 1;
    }
    table
}
