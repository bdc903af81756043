//! What a signer says about the package, in their own words (SpcSpOpusInfo): the name of a program, and where to read about
//! it. Nobody has checked it.

use cms::cert::x509::der::asn1::ObjectIdentifier;
use cms::cert::x509::der::{AnyRef, Decode, Reader, SliceReader, Tag, Tagged};

use super::certificate::harmless;
use super::signed::Signed;

/// Where the signer says it.
pub(crate) const OPUS_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.2.1.12");

/// The name of the program and the address that the signer claims, as far as they can be read.
pub(super) fn read(signed: &Signed) -> (Option<String>, Option<String>) {
    let claims = signed.signed_beside(OPUS_INFO);
    let parts = claims
        .and_then(|claims| parts(claims.value()))
        .unwrap_or_default();
    let part = |wanted: u8| parts.iter().find(|(number, _)| *number == wanted);
    let name = part(0).and_then(|(_, value)| string(*value));
    let address = part(1).and_then(|(_, value)| link(*value));
    (name, address)
}

/// The parts of a sequence, each with its number and what is in it.
fn parts(bytes: &[u8]) -> Option<Vec<(u8, AnyRef<'_>)>> {
    let mut reader = SliceReader::new(bytes).ok()?;
    let mut parts = Vec::new();
    while !reader.is_finished() {
        let part = AnyRef::decode(&mut reader).ok()?;
        parts.push((number(part.tag())?, AnyRef::from_der(part.value()).ok()?));
    }
    Some(parts)
}

fn number(tag: Tag) -> Option<u8> {
    match tag {
        Tag::ContextSpecific { number, .. } => Some(number.value()),
        _ => None,
    }
}

/// A text in the one alphabet or the other.
fn string(value: AnyRef<'_>) -> Option<String> {
    match number(value.tag())? {
        0 => {
            let units = value
                .value()
                .as_chunks()
                .0
                .iter()
                .map(|unit| u16::from_be_bytes(*unit));
            let text: String = char::decode_utf16(units)
                .map(|char| char.unwrap_or(char::REPLACEMENT_CHARACTER))
                .collect();
            Some(harmless(&text))
        }
        1 => ascii(value.value()),
        _ => None,
    }
}

/// An address, or the name of a file.
fn link(value: AnyRef<'_>) -> Option<String> {
    match number(value.tag())? {
        0 => ascii(value.value()),
        2 => string(AnyRef::from_der(value.value()).ok()?),
        _ => None,
    }
}

fn ascii(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes).ok().map(harmless)
}
