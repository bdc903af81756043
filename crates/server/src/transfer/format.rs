//! What an export says of itself: the manifest.
//!
//! It is read with care, since an export may come from anywhere: names of parts are not taken from it but compared
//! with the only names that there can be, so none of them can lead out of the folder.

use super::{Contents, TableContents, TransferError};
use data_encoding::HEXLOWER;
use domain::instant::Instant;
use serde::{Deserialize, Serialize};
use store::{table::Table, tables::TABLES};

/// What the manifest calls the format.
const FORMAT: &str = "fame-export";
/// The version of the format that is written and read.
const FORMAT_VERSION: u32 = 1;
/// The manifest's file.
pub(super) const MANIFEST: &str = "manifest.json";
/// The largest manifest that is read, in bytes: more than a hundred thousand parts.
pub(super) const MOST_MANIFEST_BYTES: u64 = 32 * 1024 * 1024;
/// A part is closed when it has so many bytes or rows, whichever comes first.
pub(super) const PART_BYTES: usize = 4 * 1024 * 1024;
pub(super) const PART_ROWS: u64 = 10_000;
/// The largest part that is read, in bytes; a single row may be larger than a part is meant to be.
const MOST_PART_BYTES: u64 = 256 * 1024 * 1024;

/// The manifest of an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Manifest {
    format: String,
    format_version: u32,
    /// The last migration that changed what is carried.
    pub(super) schema_version: i64,
    /// Which fame made it, for people.
    program: String,
    /// When, in UTC.
    pub(super) made_on: String,
    /// Packages, counted once for each storage location that has them.
    pub(super) packages: u64,
    /// In bytes.
    pub(super) package_bytes: u64,
    /// Operations that were running.
    pub(super) running_operations: u64,
    /// Rows in files, in the order in which they are imported.
    pub(super) parts: Vec<Part>,
}

/// A file of rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Part {
    /// Relative to the export's folder.
    pub(super) file: String,
    pub(super) rows: u64,
    pub(super) bytes: u64,
    /// 64 lower-case hexadecimal digits.
    pub(super) sha256: String,
}

/// The part of a manifest that every version of the format has.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Heading {
    #[serde(default)]
    format: String,
    #[serde(default)]
    format_version: u32,
    #[serde(default)]
    program: String,
    #[serde(default)]
    schema_version: i64,
}

/// What the `number`th part of a table's rows is called; counted from 1.
pub(super) fn part_name(table: &Table, number: usize) -> String {
    format!("rows/{}-{number:05}.jsonl", table.name)
}

/// Where a package is; relative to the export's folder.
pub(super) fn package_name(sha256: &[u8; 32]) -> String {
    let [first, ..] = sha256;
    format!("packages/{first:02x}/{}.app", HEXLOWER.encode(sha256))
}

impl Manifest {
    pub(super) fn new(schema_version: i64, made_on: Instant) -> Self {
        Self {
            format: FORMAT.into(),
            format_version: FORMAT_VERSION,
            schema_version,
            program: format!("fame {}", env!("CARGO_PKG_VERSION")),
            made_on: made_on.to_string(),
            packages: 0,
            package_bytes: 0,
            running_operations: 0,
            parts: Vec::new(),
        }
    }

    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, TransferError> {
        let mut bytes =
            serde_json::to_vec_pretty(self).map_err(|error| TransferError::Fault(error.into()))?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Reads a manifest whose rows fit the schema `expected`.
    pub(super) fn read(bytes: &[u8], expected: i64) -> Result<Self, TransferError> {
        let damaged = |error: serde_json::Error| TransferError::damaged(MANIFEST, error);
        let heading: Heading = serde_json::from_slice(bytes).map_err(damaged)?;
        if heading.format != FORMAT {
            return Err(TransferError::damaged(
                MANIFEST,
                "is not the manifest of an export",
            ));
        }
        if (heading.format_version, heading.schema_version) != (FORMAT_VERSION, expected) {
            return Err(TransferError::Refused(format!(
                "The export was made by {} in format {} with schema {}; this program reads format {FORMAT_VERSION} \
                 with schema {expected}. Import it with the program that made it, and update afterwards.",
                heading.program, heading.format_version, heading.schema_version
            )));
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(damaged)?;
        manifest.check()?;
        Ok(manifest)
    }

    /// Makes sure that the parts are those that there can be: each table's parts together and numbered, the tables
    /// in their order.
    fn check(&self) -> Result<(), TransferError> {
        let mut expected = Expected::default();
        for part in &self.parts {
            let problem = if !expected.follows(&part.file) {
                Some("has no place among the parts")
            } else if part.bytes > MOST_PART_BYTES {
                Some("is larger than a part may be")
            } else if part.rows == 0 || part.rows > PART_ROWS {
                Some("has a number of rows that no part has")
            } else if super::row::digest_of(&part.sha256).is_none() {
                Some("has no SHA-256")
            } else {
                None
            };
            if let Some(problem) = problem {
                let shown: String = part.file.chars().take(80).collect();
                return Err(TransferError::damaged(
                    MANIFEST,
                    format!("the part '{shown}' {problem}"),
                ));
            }
        }
        Ok(())
    }

    /// The part at `index`, counted from 0, with its table.
    pub(super) fn part(&self, index: usize) -> Option<(&'static Table, &Part)> {
        let part = self.parts.get(index)?;
        table_of(&part.file).map(|table| (table, part))
    }

    /// The parts, each with its table.
    pub(super) fn parts(&self) -> impl Iterator<Item = (&'static Table, &Part)> {
        self.parts
            .iter()
            .filter_map(|part| table_of(&part.file).map(|table| (table, part)))
    }

    /// How many rows a table has.
    pub(super) fn rows_of(&self, table: &Table) -> u64 {
        let parts = self.parts().filter(|(of, _)| of.name == table.name);
        parts.map(|(_, part)| part.rows).sum()
    }

    /// How many rows there are.
    pub(super) fn rows(&self) -> u64 {
        self.parts.iter().map(|part| part.rows).sum()
    }

    pub(super) fn contents(&self) -> Contents {
        let rows = |table: &Table| TableContents {
            name: table.name.to_owned(),
            rows: self.rows_of(table),
        };
        Contents {
            tables: TABLES.iter().map(rows).collect(),
            packages: self.packages,
            package_bytes: self.package_bytes,
            running_operations: self.running_operations,
        }
    }
}

fn table_of(file: &str) -> Option<&'static Table> {
    let (name, _) = file.strip_prefix("rows/")?.rsplit_once('-')?;
    TABLES.iter().find(|table| table.name == name)
}

/// Which part may come next.
#[derive(Default)]
struct Expected {
    table: usize,
    number: usize,
}

impl Expected {
    fn follows(&mut self, file: &str) -> bool {
        let of_file = table_of(file);
        let mut not_passed = TABLES.iter().enumerate().skip(self.table);
        let Some((position, table)) =
            not_passed.find(|(_, table)| of_file.is_some_and(|found| found.name == table.name))
        else {
            return false;
        };
        let number = if position == self.table {
            self.number + 1
        } else {
            1
        };
        (self.table, self.number) = (position, number);
        file == part_name(table, number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_parts(files: &[&str]) -> Manifest {
        let mut manifest = Manifest::new(1, Instant(0));
        manifest.parts = files
            .iter()
            .map(|file| Part {
                file: (*file).to_owned(),
                rows: 1,
                bytes: 1,
                sha256: "0".repeat(64),
            })
            .collect();
        manifest
    }

    fn read(manifest: &Manifest) -> Result<Manifest, String> {
        Manifest::read(&manifest.to_bytes().unwrap(), 1).map_err(|error| error.to_string())
    }

    #[test]
    fn a_manifest_is_read_as_it_was_written() {
        let manifest = with_parts(&[
            "rows/apps-00001.jsonl",
            "rows/environments-00001.jsonl",
            "rows/environments-00002.jsonl",
            "rows/audit-00001.jsonl",
        ]);
        assert_eq!(read(&manifest), Ok(manifest.clone()));
        let environments = TABLES.iter().find(|table| table.name == "environments").unwrap();
        assert_eq!(manifest.rows_of(environments), 2);
        assert_eq!(manifest.rows(), 4);
    }

    #[test]
    fn no_name_of_a_part_leads_elsewhere() {
        for files in [
            &["../apps-00001.jsonl"][..],
            &["/etc/passwd"],
            &["rows/../rows/apps-00001.jsonl"],
            &["rows/apps-1.jsonl"],
            &["rows/apps-00002.jsonl"],
            &["rows/apps-00001.jsonl", "rows/apps-00001.jsonl"],
            &["rows/countries-00001.jsonl", "rows/apps-00001.jsonl"],
            &["rows/imports-00001.jsonl"],
            &["rows/apps-00001.jsonl\0"],
            &[""],
        ] {
            let refused = read(&with_parts(files)).unwrap_err();
            assert!(refused.contains("has no place"), "{files:?}: {refused}");
        }
    }

    #[test]
    fn what_no_part_can_be_is_refused() {
        let good = with_parts(&["rows/apps-00001.jsonl"]);
        let mut huge = good.clone();
        huge.parts[0].bytes = u64::MAX;
        let mut crowded = good.clone();
        crowded.parts[0].rows = u64::MAX;
        let mut nameless = good.clone();
        nameless.parts[0].sha256 = "0".repeat(63) + "\u{e9}";
        for (manifest, problem) in [(huge, "larger"), (crowded, "rows"), (nameless, "SHA-256")] {
            assert!(read(&manifest).unwrap_err().contains(problem));
        }
    }

    #[test]
    fn other_versions_are_named() {
        let mut later = with_parts(&[]);
        later.format_version = 2;
        let refused = read(&later).unwrap_err();
        assert!(refused.contains("in format 2 with schema 1"), "{refused}");
        let refused = Manifest::read(&with_parts(&[]).to_bytes().unwrap(), 9).unwrap_err();
        assert!(refused.to_string().contains("with schema 9"), "{refused}");
        assert!(Manifest::read(b"{}", 1).is_err());
        assert!(Manifest::read(b"", 1).is_err());
    }
}
