//! Every table that holds what the service remembers, described once: its columns in order, what each of them means,
//! and the key that its rows are sorted by.
//!
//! Exports and imports follow these descriptions in both directions, and a test holds them against the schema of both
//! databases: a column that is added to a migration and forgotten here cannot be lost in a move.

use domain::{
    environment::EnvironmentKind,
    operation::{OperationKind, OperationStatus},
    principal::PrincipalKind,
    version::{Availability, SyncMode, VersionStatus},
};
use std::{fmt::Display, str::FromStr};

/// What the values of a column are.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Guid,
    Text,
    /// The name of a storage location.
    Location,
    /// A word that the service knows.
    Word(fn(&str) -> bool),
    /// A version as text.
    Version,
    /// A version as the sixteen bytes that sort as it does.
    VersionKey,
    Int,
    /// Ticks of 100 ns since 1970.
    Ticks,
    Bool,
    /// SHA-256, 32 bytes.
    Digest,
}

impl Kind {
    /// The type that the migrations give such a column.
    #[cfg(test)]
    fn sql_type(self) -> &'static str {
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
    pub name: &'static str,
    pub kind: Kind,
    /// Whether a row may have nothing here.
    pub is_optional: bool,
}

/// A table.
#[derive(Debug)]
pub struct Table {
    pub name: &'static str,
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
}

const fn needed(name: &'static str, kind: Kind) -> Column {
    Column {
        name,
        kind,
        is_optional: false,
    }
}

const fn optional(name: &'static str, kind: Kind) -> Column {
    Column {
        name,
        kind,
        is_optional: true,
    }
}

/// Whether a text is one of the words of `T`, written as the service writes it.
fn is_word<T: FromStr + Display>(text: &str) -> bool {
    text.parse::<T>().is_ok_and(|word| word.to_string() == text)
}

fn is_blob_state(text: &str) -> bool {
    text == "stored"
}

/// The table of package bytes, whose rows are more than rows: each stands for an object in a storage location.
pub const BLOBS: &str = "blobs";

/// All tables, each after those that it refers to.
pub const TABLES: &[Table] = &[
    APPS,
    COUNTRIES,
    PRINCIPALS,
    VERSIONS,
    Table {
        name: BLOBS,
        columns: &[
            needed("location", Kind::Location),
            needed("sha256", Kind::Digest),
            needed("generation", Kind::Guid),
            needed("size", Kind::Int),
            needed("state", Kind::Word(is_blob_state)),
            needed("changed_on", Kind::Ticks),
        ],
        key: &["location", "sha256", "generation"],
    },
    ENVIRONMENTS,
    INSTALLATIONS,
    OPERATIONS,
    IDEMPOTENCY_KEYS,
    AUDIT,
];

const APPS: Table = Table {
    name: "apps",
    columns: &[
        needed("id", Kind::Guid),
        needed("publisher", Kind::Text),
        needed("publisher_tenant_id", Kind::Guid),
        needed("publisher_contact_email", Kind::Text),
        needed("storage_location", Kind::Location),
        optional("name", Kind::Text),
        optional("name_version_key", Kind::VersionKey),
        needed("etag", Kind::Guid),
        needed("created_on", Kind::Ticks),
    ],
    key: &["id"],
};

const COUNTRIES: Table = Table {
    name: "countries",
    columns: &[
        needed("app_id", Kind::Guid),
        needed("code", Kind::Text),
        needed("etag", Kind::Guid),
    ],
    key: &["app_id", "code"],
};

const PRINCIPALS: Table = Table {
    name: "principals",
    columns: &[
        needed("app_id", Kind::Guid),
        needed("id", Kind::Guid),
        needed("kind", Kind::Word(is_word::<PrincipalKind>)),
        optional("tenant_id", Kind::Guid),
        needed("roles", Kind::Int),
        needed("etag", Kind::Guid),
    ],
    key: &["app_id", "id"],
};

const VERSIONS: Table = Table {
    name: "versions",
    columns: &[
        needed("app_id", Kind::Guid),
        needed("country_code", Kind::Text),
        needed("version_key", Kind::VersionKey),
        needed("version", Kind::Version),
        needed("major", Kind::Int),
        needed("minor", Kind::Int),
        needed("build", Kind::Int),
        needed("revision", Kind::Int),
        needed("package_id", Kind::Guid),
        needed("publisher", Kind::Text),
        needed("name", Kind::Text),
        needed("uploaded_on", Kind::Ticks),
        needed("uploaded_by", Kind::Text),
        needed("availability", Kind::Word(is_word::<Availability>)),
        needed("status", Kind::Word(is_word::<VersionStatus>)),
        needed("sync_mode", Kind::Word(is_word::<SyncMode>)),
        needed("dependencies", Kind::Text),
        optional("application", Kind::Version),
        optional("platform", Kind::Version),
        needed("location", Kind::Location),
        needed("sha256", Kind::Digest),
        needed("generation", Kind::Guid),
        needed("size", Kind::Int),
        needed("upload_id", Kind::Guid),
        needed("etag", Kind::Guid),
    ],
    key: &["app_id", "country_code", "version_key"],
};

const ENVIRONMENTS: Table = Table {
    name: "environments",
    columns: &[
        needed("id", Kind::Guid),
        needed("tenant_id", Kind::Guid),
        needed("family", Kind::Text),
        needed("family_key", Kind::Text),
        needed("name", Kind::Text),
        needed("name_key", Kind::Text),
        needed("country_code", Kind::Text),
        needed("kind", Kind::Word(is_word::<EnvironmentKind>)),
        needed("location_name", Kind::Text),
        optional("application_version", Kind::Version),
        optional("platform_version", Kind::Version),
        needed("window_start", Kind::Text),
        needed("window_end", Kind::Text),
        needed("window_zone", Kind::Text),
        needed("inventory_complete", Kind::Bool),
        needed("inventory_on", Kind::Ticks),
        optional("held_since", Kind::Ticks),
        optional("held_by", Kind::Guid),
        optional("due_on", Kind::Ticks),
        needed("etag", Kind::Guid),
    ],
    key: &["id"],
};

const INSTALLATIONS: Table = Table {
    name: "installations",
    columns: &[
        needed("app_id", Kind::Guid),
        needed("environment_id", Kind::Guid),
        needed("country_code", Kind::Text),
        needed("tenant_id", Kind::Guid),
        needed("family", Kind::Text),
        needed("family_key", Kind::Text),
        needed("name", Kind::Text),
        needed("name_key", Kind::Text),
        needed("kind", Kind::Word(is_word::<EnvironmentKind>)),
        needed("location_name", Kind::Text),
        needed("version", Kind::Version),
        needed("version_key", Kind::VersionKey),
        optional("app_name", Kind::Text),
        optional("app_publisher", Kind::Text),
    ],
    key: &["environment_id", "app_id"],
};

const OPERATIONS: Table = Table {
    name: "operations",
    columns: &[
        needed("id", Kind::Guid),
        needed("kind", Kind::Word(is_word::<OperationKind>)),
        needed("app_id", Kind::Guid),
        optional("app_name", Kind::Text),
        optional("app_publisher", Kind::Text),
        needed("country_code", Kind::Text),
        needed("environment_id", Kind::Guid),
        needed("tenant_id", Kind::Guid),
        needed("family", Kind::Text),
        needed("family_key", Kind::Text),
        needed("environment_name", Kind::Text),
        needed("environment_name_key", Kind::Text),
        needed("environment_kind", Kind::Word(is_word::<EnvironmentKind>)),
        needed("source_version", Kind::Version),
        needed("source_version_key", Kind::VersionKey),
        needed("target_version", Kind::Version),
        needed("target_version_key", Kind::VersionKey),
        needed("status", Kind::Word(is_word::<OperationStatus>)),
        needed("ignore_window", Kind::Bool),
        needed("run_after", Kind::Ticks),
        needed("created_on", Kind::Ticks),
        needed("created_by", Kind::Text),
        optional("started_on", Kind::Ticks),
        optional("completed_on", Kind::Ticks),
        optional("ended_on", Kind::Ticks),
        optional("error_message", Kind::Text),
        optional("reason", Kind::Text),
        optional("lease_id", Kind::Guid),
        optional("lease_until", Kind::Ticks),
    ],
    key: &["id"],
};

const IDEMPOTENCY_KEYS: Table = Table {
    name: "idempotency_keys",
    columns: &[
        needed("principal", Kind::Text),
        needed("method", Kind::Text),
        needed("path", Kind::Text),
        needed("idempotency_key", Kind::Text),
        needed("body_sha256", Kind::Digest),
        needed("operation_id", Kind::Guid),
        needed("created_on", Kind::Ticks),
    ],
    key: &["principal", "method", "path", "idempotency_key"],
};

const AUDIT: Table = Table {
    name: "audit",
    columns: &[
        needed("id", Kind::Guid),
        needed("recorded_on", Kind::Ticks),
        needed("actor_kind", Kind::Text),
        needed("actor_id", Kind::Text),
        optional("actor_tenant_id", Kind::Guid),
        optional("actor_name", Kind::Text),
        needed("action", Kind::Text),
        needed("target", Kind::Text),
        needed("correlation_id", Kind::Guid),
        optional("before_state", Kind::Text),
        optional("after_state", Kind::Text),
    ],
    key: &["id"],
};

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
