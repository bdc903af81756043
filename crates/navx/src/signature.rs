//! The signature block ("NXSB") that may follow the payload.
//!
//! Only its frame is checked: nothing but one well-formed block may follow the payload, otherwise a second
//! archive could hide there and two programs would see two apps in one file. The signature itself is verified by
//! `proof`, for whoever asks; a package that merely carries one proves nothing about its publisher.

use crate::bytes::{Record, first_of};
use crate::error::{PackageError, RefusalCode};
use crate::limits::Limits;
use crate::source::ByteSource;

/// The mark at both ends of the block.
pub(crate) const MARK: [u8; 4] = *b"NXSB";
/// Object identifier 1.2.840.113549.1.7.2 (PKCS#7 SignedData) in DER.
pub(crate) const SIGNED_DATA: [u8; 11] = [0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x07, 0x02];
/// What the last record of a ZIP begins with.
const END_RECORD: [u8; 4] = *b"PK\x05\x06";
/// Bytes around the DER: a mark before it, the block's offset and a mark after it.
const FRAME_LEN: u64 = 12;

/// A signature block that is present and well formed. Its cryptography was **not** verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "camelCase"))]
#[non_exhaustive]
pub struct Signature {
    /// Length of the whole block in bytes, with its frame.
    pub bytes: u64,
}

/// Looks at everything after the payload: nothing, or exactly one signature block.
pub(crate) fn read(
    file: &mut impl ByteSource,
    payload_end: u64,
    limits: &Limits,
) -> Result<Option<Signature>, PackageError> {
    let bytes = file.len() - payload_end;
    if bytes == 0 {
        return Ok(None);
    }
    let smallest = FRAME_LEN + SIGNED_DATA.len() as u64 + 2;
    if bytes < smallest || bytes > limits.max_signature_bytes {
        return Err(not_a_signature(bytes, "no signature has that size"));
    }
    check_closing(file, payload_end, bytes)?;
    check_opening(file, payload_end, bytes)?;
    check_no_archive(file, payload_end, bytes)?;
    Ok(Some(Signature { bytes }))
}

fn check_closing(file: &mut impl ByteSource, payload_end: u64, bytes: u64) -> Result<(), PackageError> {
    let mut closing = [0; 8];
    file.read_exact_at(file.len() - 8, &mut closing)?;
    if !closing.ends_with(&MARK) {
        return Err(not_a_signature(bytes, "they do not end with NXSB"));
    }
    let offset = closing.u32_at::<0>();
    if u64::from(offset) != payload_end {
        let reason = format!("their offset is {offset}, the content ends at {payload_end}");
        return Err(not_a_signature(bytes, &reason));
    }
    Ok(())
}

fn check_opening(file: &mut impl ByteSource, payload_end: u64, bytes: u64) -> Result<(), PackageError> {
    let mut opening = [0; 24];
    file.read_exact_at(payload_end, first_of(&mut opening, bytes - 8))?;
    let Some(der) = opening.strip_prefix(&MARK) else {
        return Err(not_a_signature(bytes, "they do not start with NXSB"));
    };
    let Some((len, value)) = der_sequence(der) else {
        return Err(not_a_signature(bytes, "they hold no DER sequence"));
    };
    if len != bytes - FRAME_LEN {
        return Err(not_a_signature(bytes, "the DER sequence does not fill the block"));
    }
    if !value.starts_with(&SIGNED_DATA) {
        return Err(not_a_signature(bytes, "they hold no PKCS#7 signed data"));
    }
    Ok(())
}

/// Programs that look for a ZIP from the end of a file would find one in the block before they find the content.
fn check_no_archive(file: &mut impl ByteSource, payload_end: u64, bytes: u64) -> Result<(), PackageError> {
    const CHUNK: usize = 16 << 10;
    let overlap = END_RECORD.len() as u64 - 1;
    let mut chunk = [0; CHUNK];
    let mut begin = 0;
    while begin + overlap < bytes {
        let part = first_of(&mut chunk, bytes - begin);
        file.read_exact_at(payload_end + begin, part)?;
        if part.windows(END_RECORD.len()).any(|four| four == END_RECORD) {
            return Err(not_a_signature(bytes, "they hold the end of a ZIP"));
        }
        begin += CHUNK as u64 - overlap;
    }
    Ok(())
}

/// Length of a whole DER sequence, and where its value begins; `None` for anything else, or for lengths over three
/// bytes.
fn der_sequence(der: &[u8]) -> Option<(u64, &[u8])> {
    let (header_len, value_len, value) = match der {
        [0x30, short @ ..=0x7F, value @ ..] => (2, u32::from(*short), value),
        [0x30, 0x81, len, value @ ..] => (3, u32::from(*len), value),
        [0x30, 0x82, high, low, value @ ..] => (4, u32::from_be_bytes([0, 0, *high, *low]), value),
        [0x30, 0x83, high, middle, low, value @ ..] => {
            (5, u32::from_be_bytes([0, *high, *middle, *low]), value)
        }
        _ => return None,
    };
    Some((header_len + u64::from(value_len), value))
}

fn not_a_signature(bytes: u64, reason: &str) -> PackageError {
    let message = format!("{bytes} bytes follow the content and are not a signature block: {reason}");
    RefusalCode::BadTrailer.because(message)
}
