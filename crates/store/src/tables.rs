//! Every table that holds what the service remembers, as `row.rs` declares it: its columns in order, what
//! each of them means, and the key that its rows are sorted by.
//!
//! Exports and imports follow these descriptions in both directions, and a test holds them against the schema of both
//! databases: a column that is added to a migration and forgotten here cannot be lost in a move.

use super::{
    agents::Agent, apps::App, audit::AuditRow, blobs::Blob, countries::Country, customers::Customer,
    environments::Environment, environments::InstallationRow, freezes::Freeze, hotfixes::Operation,
    idempotency::KeptKey, principals::AppPrincipal, publishers::TrustedPublisher, rollouts, row::Record,
    table::Table, versions::Version,
};

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
    Freeze::TABLE,
    Customer::TABLE,
    TrustedPublisher::TABLE,
    rollouts::Rollout::TABLE,
    rollouts::Wave::TABLE,
    rollouts::Member::TABLE,
    rollouts::Counted::TABLE,
    rollouts::Policy::TABLE,
];

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
    /// told, which is left to the service in which they happened. Nor are webhooks, whose secrets leave no service, and what
    /// runs of pipelines were given there.
    const NOT_CARRIED: &[&str] = &[
        "event_cursors",
        "events",
        "imports",
        "migrations",
        "publisher_exchanges",
        "publisher_tokens",
        "webhook_deliveries",
        "webhook_senders",
        "webhooks",
    ];

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
