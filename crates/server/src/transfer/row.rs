//! A row as a line of JSON: GUIDs, digests and versions as text, instants as ticks since 1970, in the order of the
//! table's columns. The same row is the same bytes whichever database it came from.
//!
//! A line that is read comes from outside and is believed in nothing: every column must be there once and be what its
//! description says.

use data_encoding::HEXLOWER;
use domain::{
    text::{control_in_lines, holds_control},
    version::AppVersion,
};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use std::{borrow::Cow, fmt, io::Write};
use store::{
    StoreError, Value,
    table::{Column, Kind, Table},
};

/// Appends the row as a line to `out`.
pub(super) fn write_row(out: &mut Vec<u8>, table: &Table, row: &[Value]) -> Result<(), StoreError> {
    for (index, (column, value)) in table.columns.iter().zip(row).enumerate() {
        out.extend_from_slice(if index == 0 { b"{\"" } else { b",\"" });
        out.extend_from_slice(column.name.as_bytes());
        out.extend_from_slice(b"\":");
        write_value(out, column, value)?;
    }
    out.extend_from_slice(b"}\n");
    Ok(())
}

fn write_value(out: &mut Vec<u8>, column: &Column, value: &Value) -> Result<(), StoreError> {
    let unwritable = |error: std::io::Error| StoreError::broken(error);
    match (column.kind, value) {
        (_, Value::Null) => out.extend_from_slice(b"null"),
        (_, Value::Bool(truth)) => out.extend_from_slice(if *truth { b"true" } else { b"false" }),
        (_, Value::Int(number)) => write!(out, "{number}").map_err(unwritable)?,
        (_, Value::Text(text)) => {
            serde_json::to_writer(out, text).map_err(|error| unwritable(error.into()))?
        }
        (_, Value::Uuid(id)) => write!(out, "\"{}\"", id.hyphenated()).map_err(unwritable)?,
        (Kind::VersionKey, Value::Bytes(key)) => {
            write!(out, "\"{}\"", version_of(column, key)?).map_err(unwritable)?;
        }
        (_, Value::Bytes(bytes)) => write!(out, "\"{}\"", HEXLOWER.encode(bytes)).map_err(unwritable)?,
    }
    Ok(())
}

/// The version whose sort key this is.
fn version_of(column: &Column, key: &[u8]) -> Result<AppVersion, StoreError> {
    let mut parts = [0; 4];
    if key.len() != 16 {
        return Err(StoreError::broken(format!(
            "{} is not 16 bytes long",
            column.name
        )));
    }
    for (part, bytes) in parts.iter_mut().zip(key.chunks_exact(4)) {
        *part = bytes.iter().fold(0, |part, byte| part << 8 | u32::from(*byte));
    }
    Ok(AppVersion(parts))
}

/// Reads a line.
///
/// # Errors
/// What is wrong with it, for people.
pub(super) fn read_row(table: &'static Table, line: &[u8]) -> Result<Vec<Value>, String> {
    let mut reader = serde_json::Deserializer::from_slice(line);
    let row = RowOf(table)
        .deserialize(&mut reader)
        .map_err(|error| error.to_string())?;
    reader.end().map_err(|error| error.to_string())?;
    Ok(row)
}

struct RowOf(&'static Table);

impl<'de> DeserializeSeed<'de> for RowOf {
    type Value = Vec<Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RowOf {
    type Value = Vec<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a row of {}", self.0.name)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut row: Vec<Option<Value>> = vec![None; self.0.columns.len()];
        while let Some(name) = map.next_key::<Name<'de>>()? {
            let mut cells = self.0.columns.iter().zip(&mut row);
            let (column, cell) = cells
                .find(|(column, _)| column.name == name.0)
                .ok_or_else(|| A::Error::custom(format!("{} has no column '{}'", self.0.name, name.0)))?;
            let value = map.next_value_seed(Cell(column))?;
            if cell.replace(value).is_some() {
                return Err(A::Error::custom(format!("'{}' stands there twice", column.name)));
            }
        }
        let cells = self.0.columns.iter().zip(row);
        cells
            .map(|(column, cell)| {
                cell.ok_or_else(|| A::Error::custom(format!("'{}' is missing", column.name)))
            })
            .collect()
    }
}

/// The name of a column, without a copy where it is written plainly.
struct Name<'de>(Cow<'de, str>);

impl<'de> serde::Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Plain;
        impl<'de> Visitor<'de> for Plain {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a column")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Plain)
    }
}

struct Cell(&'static Column);

impl<'de> DeserializeSeed<'de> for Cell {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Cell {
    fn unfit<E: Error>(&self, what: impl fmt::Display) -> E {
        E::custom(format!("'{}' {what}", self.0.name))
    }
}

impl Visitor<'_> for Cell {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a value of '{}'", self.0.name)
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        if self.0.is_optional {
            Ok(Value::Null)
        } else {
            Err(self.unfit("may not be null"))
        }
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<Value, E> {
        match self.0.kind {
            Kind::Bool => Ok(Value::Bool(truth)),
            _ => Err(self.unfit("is no truth value")),
        }
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        match self.0.kind {
            Kind::Int | Kind::Ticks => Ok(Value::Int(number)),
            _ => Err(self.unfit("is no number")),
        }
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        let number = i64::try_from(number).map_err(|_| self.unfit::<E>("is beyond 64 bits"))?;
        self.visit_i64(number)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        if let Some(control) = control_in_lines(text) {
            return Err(E::custom(holds_control(
                format_args!("'{}'", self.0.name),
                control,
            )));
        }
        match self.0.kind {
            Kind::Text | Kind::Location => Ok(text.into()),
            Kind::Word(is_known) if is_known(text) => Ok(text.into()),
            Kind::Word(_) => Err(self.unfit("is no word that is known here")),
            Kind::Guid => text
                .parse()
                .map(Value::Uuid)
                .map_err(|_| self.unfit("is no GUID")),
            Kind::Version => match text.parse::<AppVersion>() {
                Ok(_) => Ok(text.into()),
                Err(_) => Err(self.unfit("is no version")),
            },
            Kind::VersionKey => match text.parse::<AppVersion>() {
                Ok(version) => Ok(version.into()),
                Err(_) => Err(self.unfit("is no version")),
            },
            Kind::Digest => digest_of(text)
                .map(Value::from)
                .ok_or_else(|| self.unfit("is no SHA-256 in hexadecimal digits")),
            Kind::Int | Kind::Ticks | Kind::Bool => Err(self.unfit("may not be a text")),
        }
    }
}

/// Reads 64 lower-case hexadecimal digits.
pub(super) fn digest_of(text: &str) -> Option<[u8; 32]> {
    HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::text::is_control_in_lines;
    use proptest::prelude::*;
    use store::tables::TABLES;
    use uuid::Uuid;

    /// Words that every column of words takes one of.
    const WORDS: &[&str] = &[
        "none",
        "stored",
        "scheduling",
        "app:11111111-1111-4111-8111-111111111111",
        "11111111-1111-4111-8111-111111111111/22222222-2222-4222-8222-222222222222/33333333-3333-4333-8333-333333333333",
        "SchemaBreak",
        "TimeOut",
        "User",
        "Application",
        "Preview",
        "Available",
        "Uploaded",
        "UploadFailed",
        "Add",
        "ForceSync",
        "Production",
        "Sandbox",
        "Scheduled",
        "Running",
        "Hotfix",
        "Update",
        "Delegated",
        "DuringMajorUpgrade",
        "Tenant",
        "Dev",
        "Custom",
        "Pending",
        "Active",
        "Waiting",
        "Untaken",
        "Succeeded",
        "StopRule",
        "Never",
        "Always",
        // A vendor's tags.
        "\nring0\nring1\n",
    ];

    fn a_version() -> impl Strategy<Value = AppVersion> {
        prop::array::uniform4(0..=0x7fff_ffff_u32).prop_map(AppVersion)
    }

    fn a_value(column: &'static Column) -> BoxedStrategy<Value> {
        let present = match column.kind {
            Kind::Guid => any::<u128>()
                .prop_map(|bits| Value::Uuid(Uuid::from_u128(bits)))
                .boxed(),
            Kind::Text | Kind::Location => any::<String>()
                .prop_map(|text| Value::Text(text.replace(is_control_in_lines, "\n")))
                .boxed(),
            Kind::Word(is_known) => {
                let known: Vec<_> = WORDS.iter().filter(|word| is_known(word)).collect();
                assert!(!known.is_empty(), "no word for {}", column.name);
                prop::sample::select(known)
                    .prop_map(|word| Value::from(*word))
                    .boxed()
            }
            Kind::Version => a_version().prop_map(|version| version.to_string().into()).boxed(),
            Kind::VersionKey => a_version().prop_map(Value::from).boxed(),
            Kind::Int | Kind::Ticks => any::<i64>().prop_map(Value::Int).boxed(),
            Kind::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
            Kind::Digest => any::<[u8; 32]>().prop_map(Value::from).boxed(),
        };
        if column.is_optional {
            prop_oneof![Just(Value::Null), present].boxed()
        } else {
            present
        }
    }

    fn a_row() -> impl Strategy<Value = (&'static Table, Vec<Value>)> {
        prop::sample::select(TABLES.iter().collect::<Vec<_>>()).prop_flat_map(|table: &'static Table| {
            let cells: Vec<_> = table.columns.iter().map(a_value).collect();
            cells.prop_map(move |row| (table, row))
        })
    }

    fn line_of(table: &Table, row: &[Value]) -> Vec<u8> {
        let mut line = Vec::new();
        write_row(&mut line, table, row).unwrap();
        line
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn a_row_is_one_line_and_is_read_as_it_was_written((table, row) in a_row()) {
            let line = line_of(table, &row);
            prop_assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
            prop_assert_eq!(read_row(table, &line[..line.len() - 1]), Ok(row));
        }

        /// Whatever is done to a line, reading it ends with a row or with a problem.
        #[test]
        fn a_damaged_line_is_no_calamity(
            (table, row) in a_row(),
            hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
            length in any::<prop::sample::Index>(),
        ) {
            let mut line = line_of(table, &row);
            for (at, byte) in hits {
                let at = at.index(line.len());
                line[at] = byte;
            }
            line.truncate(length.index(line.len()) + 1);
            if let Ok(read) = read_row(table, &line) {
                prop_assert_eq!(read.len(), table.columns.len());
            }
        }

        #[test]
        fn random_bytes_are_no_row(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(read_row(&TABLES[0], &bytes).is_err());
        }
    }

    const COUNTRY: &str = r#"{"app_id":"00000000-0000-0000-0000-000000000001","code":"US","etag":"00000000-0000-0000-0000-000000000002"}"#;

    #[test]
    fn a_line_is_plain_json_in_the_order_of_the_columns() {
        let row = read_row(&TABLES[1], COUNTRY.as_bytes()).unwrap();
        assert_eq!(row[1], Value::from("US"));
        assert_eq!(line_of(&TABLES[1], &row), format!("{COUNTRY}\n").into_bytes());
    }

    #[test]
    fn what_is_wrong_with_a_line_is_said() {
        for (from, to, problem) in [
            (r#""code":"US","#, "", "'code' is missing"),
            (
                r#""code":"US","#,
                r#""code":"US","code":"DK","#,
                "'code' stands there twice",
            ),
            (r#""code":"#, r#""colour":"#, "countries has no column 'colour'"),
            (r#""US""#, "null", "'code' may not be null"),
            (r#""US""#, "7", "'code' is no number"),
            (
                r#""US""#,
                r#""U\u0000S""#,
                "'code' holds the control character U+0000",
            ),
            (
                r#""US""#,
                "[]",
                "invalid type: sequence, expected a value of 'code'",
            ),
            ("0000001\"", "000000g\"", "'app_id' is no GUID"),
            ("}", "} {}", "trailing characters"),
        ] {
            let line = COUNTRY.replacen(from, to, 1);
            assert_ne!(line, COUNTRY);
            let said = read_row(&TABLES[1], line.as_bytes()).unwrap_err();
            assert!(said.contains(problem), "{line}: {said}");
        }
    }

    #[test]
    fn a_nest_without_end_is_refused() {
        let deep = format!("{{\"code\":{}", "[".repeat(100_000));
        assert!(read_row(&TABLES[1], deep.as_bytes()).is_err());
    }
}
