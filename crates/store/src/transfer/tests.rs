//! What a snapshot holds: one instant, and nothing that somebody was in the middle of.

use super::*;
use crate::{SCHEMA_VERSION, open};
use uuid::Uuid;

/// An empty database, migrated, and how it is configured.
struct Fixture {
    _folder: tempfile::TempDir,
    settings: DatabaseSettings,
    db: Db,
}

impl Fixture {
    async fn new(url: Option<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = url.unwrap_or_else(|| format!("sqlite:{}", folder.path().join("fame.db").display()));
        let settings = DatabaseSettings::at(&url);
        Self {
            _folder: folder,
            db: open(&settings).await.unwrap(),
            settings,
        }
    }

    async fn has(&self, table: &'static Table, rows: Vec<Vec<Value>>) {
        let insert = self.db.write((table, rows), |mut tx, (table, rows)| {
            Box::pin(async move { insert_rows(&mut tx, table, rows).await })
        });
        insert.await.unwrap();
    }

    async fn change(&self, sql: &'static str) {
        let change = self.db.write(sql, |mut tx, sql| {
            Box::pin(async move { tx.query(*sql).execute().await })
        });
        assert!(change.await.unwrap() > 0, "{sql}");
    }

    async fn snapshot(&self) -> Snapshot {
        Snapshot::take(&self.settings, SCHEMA_VERSION).await.unwrap()
    }
}

fn table(name: &str) -> &'static Table {
    TABLES.iter().find(|table| table.name == name).unwrap()
}

/// A row with something in each column that must have something; `number` tells it from others.
fn row_of(table: &Table, number: u128, given: &[(&str, Value)]) -> Vec<Value> {
    let columns = table.columns.iter();
    columns
        .map(|column| {
            let given = given.iter().find(|(name, _)| *name == column.name);
            match (given, column.is_optional, column.kind) {
                (Some((_, value)), _, _) => value.clone(),
                (None, true, _) => Value::Null,
                (None, false, Kind::Guid) => Value::Uuid(Uuid::from_u128(number)),
                (None, false, Kind::VersionKey) => Value::Bytes(vec![0; 16]),
                (None, false, Kind::Digest) => Value::Bytes(vec![7; 32]),
                (None, false, Kind::Int | Kind::Ticks) => Value::Int(1),
                (None, false, Kind::Bool) => Value::Bool(true),
                (None, false, _) => Value::Text(format!("{number}")),
            }
        })
        .collect()
}

/// All rows of a table in the snapshot.
async fn rows_in(mut snapshot: Snapshot, name: &'static str) -> Vec<Vec<Value>> {
    let read = tokio::task::spawn_blocking(move || {
        let mut rows = Vec::new();
        while let Some(batch) = snapshot.next_batch().unwrap() {
            if batch.table.name == name {
                rows.extend(batch.rows);
            }
        }
        rows
    });
    read.await.unwrap()
}

async fn what_changes_after_a_snapshot_is_not_in_it(fixture: Fixture) {
    fixture
        .has(table("apps"), vec![row_of(table("apps"), 1, &[])])
        .await;
    let countries = (0..10_000_u128).map(|number| {
        let code = ("code", Value::Text(format!("{number:05}")));
        row_of(table("countries"), 1, &[code])
    });
    fixture.has(table("countries"), countries.collect()).await;
    // More countries than are read ahead: later tables have not been read yet when this returns.
    let snapshot = fixture.snapshot().await;
    let environment = row_of(table("environments"), 5, &[]);
    fixture
        .has(table("environments"), vec![environment.clone()])
        .await;
    fixture.change("DELETE FROM countries WHERE code > '05000'").await;
    assert_eq!(rows_in(snapshot, "environments").await, Vec::<Vec<Value>>::new());
    assert_eq!(
        rows_in(fixture.snapshot().await, "environments").await,
        [environment]
    );
    assert_eq!(rows_in(fixture.snapshot().await, "countries").await.len(), 5_001);
}

async fn nothing_half_done_is_carried_over(fixture: Fixture) {
    fixture
        .has(table("apps"), vec![row_of(table("apps"), 1, &[])])
        .await;
    fixture
        .has(table("countries"), vec![row_of(table("countries"), 1, &[])])
        .await;
    let digest = |number: u8| Value::Bytes(vec![number; 32]);
    let version = |number: u8, status: &str| {
        let given = [
            ("country_code", Value::from("1")),
            ("version_key", Value::Bytes(vec![number; 16])),
            ("status", status.into()),
            ("location", "EU".into()),
            ("sha256", digest(number)),
        ];
        row_of(table("versions"), 1, &given)
    };
    let versions = vec![
        version(1, "Uploaded"),
        version(2, "Uploading"),
        version(3, "UploadFailed"),
    ];
    fixture.has(table("versions"), versions).await;
    let blobs = (1..=5).map(|number| {
        let given = [("location", Value::from("EU")), ("sha256", digest(number))];
        row_of(table(BLOBS), 1, &given)
    });
    fixture.has(table(BLOBS), blobs.collect()).await;
    // Number 5 is only announced, by an upload or by an import.
    fixture
        .change("UPDATE blobs SET state = 'stored' WHERE sha256 <> (SELECT sha256 FROM blobs ORDER BY sha256 DESC LIMIT 1)")
        .await;
    let status = table("versions").position("status").unwrap();
    let versions = rows_in(fixture.snapshot().await, "versions").await;
    let statuses: Vec<_> = versions.iter().map(|row| row[status].clone()).collect();
    assert_eq!(
        statuses,
        ["Uploaded", "UploadFailed", "UploadFailed"].map(Value::from)
    );
    let sha256 = table(BLOBS).position("sha256").unwrap();
    let blobs = rows_in(fixture.snapshot().await, BLOBS).await;
    let kept: Vec<_> = blobs.iter().map(|row| row[sha256].clone()).collect();
    assert_eq!(kept, [digest(1)], "what a version needs, and is there");
}

async fn another_schema_and_half_an_import_are_refused(fixture: Fixture) {
    let other = Snapshot::take(&fixture.settings, SCHEMA_VERSION + 1).await;
    assert!(matches!(other, Err(NoSnapshot::Schema(SCHEMA_VERSION))));
    let import = Import {
        manifest_sha256: [1; 32],
        locations: "{}".into(),
        parts_done: 0,
        started_on: Instant(1),
        ended_on: None,
    };
    let begun = fixture.db.write(import.clone(), |mut tx, import| {
        Box::pin(async move { begin_import(&mut tx, import).await })
    });
    begun.await.unwrap();
    assert_eq!(find_import(&fixture.db).await.unwrap(), Some(import));
    let half = Snapshot::take(&fixture.settings, SCHEMA_VERSION).await;
    assert!(matches!(half, Err(NoSnapshot::Unfinished)));
    // Of two that think they are at the same place, one goes on.
    for expected in [true, false] {
        let advanced = fixture.db.write((), |mut tx, ()| {
            Box::pin(async move { advance_import(&mut tx, [1; 32], 0).await })
        });
        assert_eq!(advanced.await.unwrap(), expected);
    }
}

macro_rules! on_both {
    ($($test:ident),+ $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test]
            async fn $test() {
                super::$test(super::Fixture::new(None).await).await;
            })+
        }
        mod on_postgres {
            $(#[tokio::test]
            async fn $test() {
                let url = test_support::postgres_cluster::database_url();
                super::$test(super::Fixture::new(Some(url)).await).await;
            })+
        }
    };
}

on_both!(
    what_changes_after_a_snapshot_is_not_in_it,
    nothing_half_done_is_carried_over,
    another_schema_and_half_an_import_are_refused,
);
