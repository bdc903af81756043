//! The 40 bytes in front of every package, and where its payload begins and ends.
//!
//! All later reading happens inside the payload window this module computes, so every length is checked here
//! against the real size of the file, with arithmetic that cannot overflow.

use std::ops::Range;

use uuid::Uuid;

use crate::bytes::{Record, first_of};
use crate::error::{PackageError, RefusalCode};
use crate::source::ByteSource;

const LEN: u8 = 40;
/// Length of the header in bytes, which the header also states about itself.
pub(crate) const HEADER_LEN: u64 = LEN as u64;
/// The header as it stands in the file.
pub(crate) type HeaderBytes = [u8; LEN as usize];
/// Both marks of the header.
pub(crate) const MAGIC: [u8; 4] = *b"NAVX";
/// The only header version that any known package has.
pub(crate) const HEADER_VERSION: u32 = 2;
/// What a runtime package has before its opaque bytes: a mark and the format version 1.
pub(crate) const RUNTIME_PREFIX: [u8; 8] = *b".NEA\0\0\0\x01";

/// What the payload is, as told by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PayloadForm {
    /// A ZIP archive.
    Zip,
    /// Obfuscated bytes of a runtime package; nothing in it can be read.
    Runtime,
}

/// The header's facts, checked against the size of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    /// The compiler's random id of this very file.
    pub(crate) package_id: Uuid,
    /// The content length as stated.
    pub(crate) content_length: u64,
    /// The form of the payload.
    pub(crate) form: PayloadForm,
    /// Where the payload lies in the file. A signature may follow it.
    pub(crate) payload: Range<u64>,
}

/// The 40 bytes for a package with this id and content length.
#[cfg(feature = "build")]
pub(crate) fn encode(package_id: Uuid, content_length: u64) -> HeaderBytes {
    let mut bytes = [0; LEN as usize];
    bytes[0..4].copy_from_slice(&MAGIC);
    bytes[4..8].copy_from_slice(&u32::from(LEN).to_le_bytes());
    bytes[8..12].copy_from_slice(&HEADER_VERSION.to_le_bytes());
    bytes[12..28].copy_from_slice(&package_id.to_bytes_le());
    bytes[28..36].copy_from_slice(&content_length.to_le_bytes());
    bytes[36..40].copy_from_slice(&MAGIC);
    bytes
}

/// Reads and checks the header of `file`.
pub(crate) fn read(file: &mut impl ByteSource) -> Result<Header, PackageError> {
    let size = file.len();
    if size < HEADER_LEN {
        let message = format!("the file has {size} bytes; a package starts with a header of {HEADER_LEN}");
        return Err(RefusalCode::TooShort.because(message));
    }
    let mut bytes = [0; LEN as usize];
    file.read_exact_at(0, &mut bytes)?;
    check_marks(&bytes)?;

    let content_length = content_length(&bytes, size)?;
    let form = payload_form(file)?;
    let payload = payload_range(form, content_length, size)?;
    let package_id = Uuid::from_bytes_le(bytes.array_at::<12, 16>());
    Ok(Header {
        package_id,
        content_length,
        form,
        payload,
    })
}

fn check_marks(bytes: &HeaderBytes) -> Result<(), PackageError> {
    if bytes.starts_with(b"PK\x03\x04") {
        return Err(
            RefusalCode::BadMagic.because("the file is a plain ZIP without the NAVX header of a package")
        );
    }
    if !bytes.starts_with(&MAGIC) {
        return Err(
            RefusalCode::BadMagic.because("the file does not start with NAVX: it is not an app package")
        );
    }
    let stated_size = bytes.u32_at::<4>();
    if u64::from(stated_size) != HEADER_LEN {
        let message = format!("the header says it has {stated_size} bytes; packages have {HEADER_LEN}");
        return Err(RefusalCode::BadHeaderSize.because(message));
    }
    let version = bytes.u32_at::<8>();
    if version != HEADER_VERSION {
        let message = format!("the header has version {version}; only version {HEADER_VERSION} is known");
        return Err(RefusalCode::BadHeaderVersion.because(message));
    }
    if !bytes.ends_with(&MAGIC) {
        return Err(RefusalCode::BadMagic.because("the header does not end with NAVX"));
    }
    Ok(())
}

fn content_length(bytes: &HeaderBytes, file_size: u64) -> Result<u64, PackageError> {
    let stated = i64::from_le_bytes(bytes.array_at::<28, 8>());
    let available = file_size - HEADER_LEN;
    match u64::try_from(stated) {
        Ok(length) if length > 0 && length <= available => Ok(length),
        _ => {
            let message =
                format!("the header promises {stated} bytes of content; {available} bytes follow the header");
            Err(RefusalCode::BadLength.because(message))
        }
    }
}

fn payload_form(file: &mut impl ByteSource) -> Result<PayloadForm, PackageError> {
    let mut first = [0; RUNTIME_PREFIX.len()];
    let available = first_of(&mut first, file.len() - HEADER_LEN);
    file.read_exact_at(HEADER_LEN, available)?;
    if first == RUNTIME_PREFIX {
        return Ok(PayloadForm::Runtime);
    }
    match &first.array_at::<0, 4>() {
        b"PK\x03\x04" | b"PK\x05\x06" => Ok(PayloadForm::Zip),
        b".NEA" => Err(RefusalCode::BadPayload.because("the runtime package has an unknown format version")),
        _ => Err(RefusalCode::BadPayload.because("neither a ZIP nor a runtime package follows the header")),
    }
}

/// A runtime package counts its content without the prefix: measured on a signed file, whose signature
/// starts eight bytes later than it would otherwise.
fn payload_range(form: PayloadForm, content_length: u64, size: u64) -> Result<Range<u64>, PackageError> {
    let prefix = match form {
        PayloadForm::Zip => 0,
        PayloadForm::Runtime => RUNTIME_PREFIX.len() as u64,
    };
    let end = HEADER_LEN + prefix + content_length;
    if end > size {
        let message = format!("the content should end at byte {end}, but the file ends at byte {size}");
        return Err(RefusalCode::BadLength.because(message));
    }
    Ok(HEADER_LEN..end)
}
