//! Reading what an export holds: its parts of rows, and the packages that they name.

use super::{TransferError, folder::Folder, format::Part, row::read_row};
use store::{Value, blobs::BlobKey, table::Table};

/// Bytes that the rows of an export say are stored somewhere.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) key: BlobKey,
    /// In bytes.
    pub(super) size: u64,
}

impl Stored {
    /// What a row of the table of bytes says.
    pub(super) fn of(table: &Table, row: &[Value]) -> Option<Self> {
        let cell = |name: &str| table.position(name).and_then(|position| row.get(position));
        let (Value::Text(location), Value::Bytes(sha256)) = (cell("location")?, cell("sha256")?) else {
            return None;
        };
        let (Value::Uuid(generation), Value::Int(size)) = (cell("generation")?, cell("size")?) else {
            return None;
        };
        Some(Self {
            key: BlobKey {
                location: location.clone(),
                sha256: sha256.as_slice().try_into().ok()?,
                generation: *generation,
            },
            size: u64::try_from(*size).ok()?,
        })
    }
}

/// What a part of the table of bytes lists. Blocks.
pub(super) fn stored_in(
    folder: &Folder,
    table: &'static Table,
    part: &Part,
) -> Result<Vec<Stored>, TransferError> {
    let mut listed = Vec::new();
    for row in rows_in(folder, table, part)? {
        let stored = Stored::of(table, &row)
            .ok_or_else(|| TransferError::damaged(&part.file, "lists something impossible"))?;
        listed.push(stored);
    }
    Ok(listed)
}

/// The rows of a part, which is what the manifest says. Blocks.
pub(super) fn rows_in(
    folder: &Folder,
    table: &'static Table,
    part: &Part,
) -> Result<Vec<Vec<Value>>, TransferError> {
    let bytes = folder.part(part)?;
    let mut rows = Vec::new();
    let Some(lines) = bytes.strip_suffix(b"\n") else {
        return Err(TransferError::damaged(&part.file, "does not end with a line"));
    };
    for (index, line) in lines.split(|byte| *byte == b'\n').enumerate() {
        let row = read_row(table, line).map_err(|problem| {
            TransferError::damaged(format!("{}, line {}", part.file, index + 1), problem)
        })?;
        rows.push(row);
    }
    if rows.len() as u64 == part.rows {
        Ok(rows)
    } else {
        let problem = format!("has {} rows, not {}", rows.len(), part.rows);
        Err(TransferError::damaged(&part.file, problem))
    }
}
