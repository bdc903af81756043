//! Every table that holds what the service remembers, as `row.rs` declares it: its columns in order, what
//! each of them means, and the key that its rows are sorted by.
//!
//! Exports and imports follow these descriptions in both directions, and a test holds them against the schema of both
//! databases: a column that is added to a migration and forgotten here cannot be lost in a move.

use super::{
    agents::Agent, apps::App, audit::AuditRow, blobs::Blob, countries::Country, environments::Environment,
    environments::InstallationRow, hotfixes::Operation, idempotency::KeptKey, principals::AppPrincipal,
    row::Record, versions::Version,
};

/// What the values of a column are.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Sixteen bytes that name something.
    Guid,
    /// Any text.
    Text,
    /// The name of a storage location.
    Location,
    /// A word that the service knows.
    Word(fn(&str) -> bool),
    /// A version as text.
    Version,
    /// A version as the sixteen bytes that sort as it does.
    VersionKey,
    /// A number.
    Int,
    /// Ticks of 100 ns since 1970.
    Ticks,
    /// Yes or no.
    Bool,
    /// SHA-256, 32 bytes.
    Digest,
}

impl Kind {
    /// The type that the migrations give such a column.
    pub(crate) fn sql_type(self) -> &'static str {
        match self {
            Self::Guid => "UUID",
            Self::Text | Self::Location | Self::Word(_) | Self::Version => "TEXT",
            Self::VersionKey | Self::Digest => "BYTEA",
            Self::Int | Self::Ticks => "BIGINT",
            Self::Bool => "BOOLEAN",
        }
    }
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// What SQL and exports call it.
    pub name: &'static str,
    /// What its values are.
    pub kind: Kind,
    /// Whether a row may have nothing here.
    pub is_optional: bool,
}

impl Column {
    /// Its part of a [`Shape`](crate::Shape).
    pub(crate) fn shape(&self) -> (&'static str, &'static str) {
        (self.name, self.kind.sql_type())
    }

    /// The columns of one field.
    #[expect(
        clippy::indexing_slicing,
        reason = "it makes constants: what is out of range does not compile"
    )]
    pub(crate) const fn each<const N: usize>(names: [&'static str; N], kinds: &[(Kind, bool)]) -> [Self; N] {
        let mut columns = [Self {
            name: "",
            kind: Kind::Text,
            is_optional: false,
        }; N];
        let mut at = 0;
        while at < N {
            let (kind, is_optional) = kinds[at];
            columns[at] = Self {
                name: names[at],
                kind,
                is_optional,
            };
            at += 1;
        }
        columns
    }
}

/// A table.
#[derive(Debug)]
pub struct Table {
    /// What SQL and exports call it.
    pub name: &'static str,
    /// In the order of the migrations.
    pub columns: &'static [Column],
    /// The columns of its primary key, in order.
    pub key: &'static [&'static str],
}

impl Table {
    /// Where the column of that name is, counted from 0.
    pub fn position(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|described| described.name == column)
    }

    /// The names of the columns, with commas between.
    pub fn column_names(&self) -> String {
        let names: Vec<_> = self.columns.iter().map(|column| column.name).collect();
        names.join(", ")
    }

    /// The statement that adds so many rows.
    pub(crate) fn insert(&self, rows: usize) -> String {
        let width = self.columns.len();
        let row = |row: usize| {
            let marks: Vec<_> = (1..=width)
                .map(|column| format!("${}", row * width + column))
                .collect();
            format!("({})", marks.join(", "))
        };
        let rows: Vec<_> = (0..rows).map(row).collect();
        format!(
            "INSERT INTO {} ({})\nVALUES {}",
            self.name,
            self.column_names(),
            rows.join(", ")
        )
    }

    /// The statement that writes these columns of a row, whose key is bound behind them.
    pub(crate) fn update(&self, columns: &[&str]) -> String {
        let marked = |names: &[&str], from: usize| -> Vec<_> {
            names
                .iter()
                .zip(from..)
                .map(|(name, number)| format!("{name} = ${number}"))
                .collect()
        };
        format!(
            "UPDATE {}\nSET {}\nWHERE {}",
            self.name,
            marked(columns, 1).join(", "),
            marked(self.key, columns.len() + 1).join(" AND ")
        )
    }
}

/// The table of package bytes, whose rows are more than rows: each stands for an object in a storage location.
pub const BLOBS: &str = "blobs";

/// All tables, each after those that it refers to.
pub const TABLES: &[Table] = &[
    App::TABLE,
    Country::TABLE,
    AppPrincipal::TABLE,
    Version::TABLE,
    Blob::TABLE,
    Agent::TABLE,
    Environment::TABLE,
    InstallationRow::TABLE,
    Operation::TABLE,
    KeptKey::TABLE,
    AuditRow::TABLE,
];

/// How many columns the fields of a row have.
#[expect(
    clippy::indexing_slicing,
    reason = "it makes constants: what is out of range does not compile"
)]
pub(crate) const fn total(fields: &[&[Column]]) -> usize {
    let (mut field, mut total) = (0, 0);
    while field < fields.len() {
        total += fields[field].len();
        field += 1;
    }
    total
}

/// The columns of all fields of a row.
#[expect(
    clippy::indexing_slicing,
    reason = "it makes constants: what is out of range does not compile"
)]
pub(crate) const fn flat<const N: usize>(fields: &[&[Column]]) -> [Column; N] {
    let mut columns = [fields[0][0]; N];
    let (mut field, mut at) = (0, 0);
    while field < fields.len() {
        let mut column = 0;
        while column < fields[field].len() {
            columns[at] = fields[field][column];
            column += 1;
            at += 1;
        }
        field += 1;
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::DatabaseSettings;
    use crate::{Db, FromRow, Row, StoreError, open};
    use std::collections::BTreeMap;
    use test_support::postgres_cluster;

    /// What a database says of itself, or what the descriptions say: columns in order, key.
    type Schema = BTreeMap<String, (Vec<(String, String, bool)>, Vec<String>)>;

    /// Tables that are no state of the service: what was migrated, what was imported, and events that are still to be
    /// told, which is left to the service in which they happened.
    const NOT_CARRIED: &[&str] = &["event_cursors", "events", "imports", "migrations"];

    struct Found {
        table: String,
        column: String,
        sql_type: String,
        is_optional: bool,
    }

    impl FromRow for Found {
        fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
            Ok(Self {
                table: row.get(0)?,
                column: row.get(1)?,
                sql_type: row.get(2)?,
                is_optional: row.get(3)?,
            })
        }
    }

    fn described() -> Schema {
        let columns = |table: &Table| {
            let columns = table.columns.iter();
            columns
                .map(|column| {
                    (
                        column.name.to_owned(),
                        column.kind.sql_type().to_owned(),
                        column.is_optional,
                    )
                })
                .collect()
        };
        let key = |table: &Table| table.key.iter().map(|&name| name.to_owned()).collect();
        TABLES
            .iter()
            .map(|table| (table.name.to_owned(), (columns(table), key(table))))
            .collect()
    }

    async fn schema_of(db: &Db, columns: &str, keys: &str) -> Schema {
        let mut schema = Schema::new();
        for found in db.query(columns).fetch_all::<Found>().await.unwrap() {
            if !NOT_CARRIED.contains(&found.table.as_str()) {
                let sql_type = match found.sql_type.as_str() {
                    "uuid" => "UUID",
                    "text" => "TEXT",
                    "bytea" => "BYTEA",
                    "bigint" => "BIGINT",
                    "boolean" => "BOOLEAN",
                    other => other,
                };
                let column = (found.column, sql_type.to_owned(), found.is_optional);
                schema.entry(found.table).or_default().0.push(column);
            }
        }
        for (table, column) in db.query(keys).fetch_all::<(String, String)>().await.unwrap() {
            if let Some((_, key)) = schema.get_mut(&table) {
                key.push(column);
            }
        }
        schema
    }

    #[tokio::test]
    async fn every_column_of_sqlite_is_described() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("fame.db").display());
        let db = open(&DatabaseSettings::at(&url)).await.unwrap();
        let schema = schema_of(
            &db,
            "SELECT t.name, c.name, c.type, c.\"notnull\" = 0
             FROM sqlite_master t JOIN pragma_table_info(t.name) c
             WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'
             ORDER BY t.name, c.cid",
            "SELECT t.name, c.name
             FROM sqlite_master t JOIN pragma_table_info(t.name) c
             WHERE t.type = 'table' AND c.pk > 0
             ORDER BY t.name, c.pk",
        )
        .await;
        assert_eq!(schema, described());
    }

    #[tokio::test]
    async fn every_column_of_postgres_is_described() {
        let db = open(&DatabaseSettings::at(&postgres_cluster::database_url()))
            .await
            .unwrap();
        let schema = schema_of(
            &db,
            "SELECT table_name::TEXT, column_name::TEXT, data_type::TEXT, is_nullable = 'YES'
             FROM information_schema.columns
             WHERE table_schema = 'public'
             ORDER BY table_name, ordinal_position",
            "SELECT k.table_name::TEXT, k.column_name::TEXT
             FROM information_schema.key_column_usage k
             JOIN information_schema.table_constraints t USING (constraint_schema, constraint_name)
             WHERE t.constraint_type = 'PRIMARY KEY' AND t.table_schema = 'public'
             ORDER BY k.table_name, k.ordinal_position",
        )
        .await;
        assert_eq!(schema, described());
    }

    #[tokio::test]
    async fn each_table_comes_after_those_that_it_refers_to() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("fame.db").display());
        let db = open(&DatabaseSettings::at(&url)).await.unwrap();
        let references = db
            .query(
                "SELECT t.name, f.\"table\"
                 FROM sqlite_master t JOIN pragma_foreign_key_list(t.name) f
                 WHERE t.type = 'table'",
            )
            .fetch_all::<(String, String)>()
            .await
            .unwrap();
        assert!(!references.is_empty());
        let position = |name: &str| TABLES.iter().position(|table| table.name == name);
        for (table, referred) in references {
            assert!(
                position(&referred) < position(&table),
                "{table} refers to {referred}"
            );
        }
    }
}
