//! The extra fields of an entry, in the directory and in front of its data.

use crate::bytes::Record;
use crate::directory::bad_zip;
use crate::error::PackageError;

/// The numbers that are too large for a record.
const ZIP64: u16 = 1;
/// Fields by which an entry has another name for some programs: Info-ZIP's Unicode path, and those of `ZipIt` and
/// Info-ZIP for the Macintosh.
const OTHER_NAMES: [u16; 5] = [0x7075, 0x2605, 0x2705, 0x334D, 0x07C8];

/// The zip64 field, if there is one. Fields that others would read in another way are refused.
pub(crate) fn zip64_field(mut extra: &[u8]) -> Result<Option<&[u8]>, PackageError> {
    let mut found = None;
    while !extra.is_empty() {
        let head = extra.split_first_chunk::<4>();
        let field = head.and_then(|(head, rest)| {
            let (field, next) = rest.split_at_checked(head.u16_at::<2>().into())?;
            Some((head.u16_at::<0>(), field, next))
        });
        let Some((id, field, next)) = field else {
            return Err(bad_zip("the extra fields of an entry of the ZIP are damaged"));
        };
        if OTHER_NAMES.contains(&id) {
            return Err(bad_zip(format!(
                "an entry of the ZIP has another name in its extra field {id:#06x}"
            )));
        }
        if id == ZIP64 && found.replace(field).is_some() {
            return Err(bad_zip("an entry of the ZIP has two zip64 fields"));
        }
        extra = next;
    }
    Ok(found)
}

/// Takes the numbers that are marked as too large from the zip64 field, in the order the format fixes.
pub(crate) fn widen<const N: usize>(numbers: [&mut u64; N], extra: &[u8]) -> Result<(), PackageError> {
    let mut field = zip64_field(extra)?.unwrap_or_default();
    for number in numbers {
        if *number != u64::from(u32::MAX) {
            continue;
        }
        let Some((wide, rest)) = field.split_first_chunk::<8>() else {
            return Err(bad_zip(
                "an entry of the ZIP lacks the zip64 numbers it refers to",
            ));
        };
        *number = u64::from_le_bytes(*wide);
        field = rest;
    }
    Ok(())
}
