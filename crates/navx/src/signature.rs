//! The signature block ("NXSB") that may follow the payload.
//!
//! Only its frame is checked: nothing but one well-formed block may follow the payload, otherwise a second
//! archive could hide there and two programs would see two apps in one file. The signature itself is not
//! verified; a package that carries one is "signed, not verified" and proves nothing about its publisher.

use crate::bytes::u32_at;
use crate::error::{PackageError, RefusalCode};
use crate::limits::Limits;
use crate::source::ByteSource;

/// The mark at both ends of the block.
pub(crate) const MARK: [u8; 4] = *b"NXSB";
/// Object identifier 1.2.840.113549.1.7.2 (PKCS#7 SignedData) in DER.
pub(crate) const SIGNED_DATA: [u8; 11] = [0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x07, 0x02];
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
    Ok(Some(Signature { bytes }))
}

fn check_closing(file: &mut impl ByteSource, payload_end: u64, bytes: u64) -> Result<(), PackageError> {
    let mut closing = [0; 8];
    file.read_exact_at(file.len() - 8, &mut closing)?;
    if closing[4..] != MARK {
        return Err(not_a_signature(bytes, "they do not end with NXSB"));
    }
    let offset = u32_at(&closing, 0);
    if u64::from(offset) != payload_end {
        let reason = format!("their offset is {offset}, the content ends at {payload_end}");
        return Err(not_a_signature(bytes, &reason));
    }
    Ok(())
}

fn check_opening(file: &mut impl ByteSource, payload_end: u64, bytes: u64) -> Result<(), PackageError> {
    let mut opening = [0; 24];
    let known = opening.len().min((bytes - 8) as usize);
    file.read_exact_at(payload_end, &mut opening[..known])?;
    if opening[..4] != MARK {
        return Err(not_a_signature(bytes, "they do not start with NXSB"));
    }
    let Some((header_len, value_len)) = der_sequence(&opening[4..]) else {
        return Err(not_a_signature(bytes, "they hold no DER sequence"));
    };
    if header_len + value_len != bytes - FRAME_LEN {
        return Err(not_a_signature(bytes, "the DER sequence does not fill the block"));
    }
    let value = 4 + header_len as usize;
    if !opening[value..].starts_with(&SIGNED_DATA) {
        return Err(not_a_signature(bytes, "they hold no PKCS#7 signed data"));
    }
    Ok(())
}

/// Lengths of a DER sequence's header and value; `None` for anything else, or for lengths over three bytes.
fn der_sequence(der: &[u8]) -> Option<(u64, u64)> {
    if der[0] != 0x30 {
        return None;
    }
    match der[1] {
        short if short < 0x80 => Some((2, u64::from(short))),
        0x81 => Some((3, u64::from(der[2]))),
        0x82 => Some((4, u64::from(u16::from_be_bytes([der[2], der[3]])))),
        0x83 => Some((5, u64::from(u32::from_be_bytes([0, der[2], der[3], der[4]])))),
        _ => None,
    }
}

fn not_a_signature(bytes: u64, reason: &str) -> PackageError {
    let message = format!("{bytes} bytes follow the content and are not a signature block: {reason}");
    RefusalCode::BadTrailer.because(message)
}
