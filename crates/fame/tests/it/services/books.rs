//! What is really in the database and in the package folders, whatever the service says.

use super::{Database, Site};
use rusqlite::{Connection, OpenFlags, types::ValueRef};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};
use tokio_postgres::{NoTls, SimpleQueryMessage};
use uuid::Uuid;

/// A row as text: identifiers and bytes as lower-case hexadecimal digits without hyphens, nulls as nothing.
pub(crate) type Row = Vec<String>;

/// How a stored package's name begins: with so many digits of its hash.
const HASH_DIGITS: usize = 64;

/// An identifier as [`Row`] shows it.
pub(crate) fn plain_id(text: &str) -> String {
    Uuid::try_parse(text).map_or_else(|_| text.to_owned(), |id| id.simple().to_string())
}

/// The database and the folders of a site.
pub(crate) struct Books {
    place: Place,
    packages: PathBuf,
}

enum Place {
    Sqlite(PathBuf),
    Postgres(String),
}

impl Books {
    pub(crate) fn of(site: &Site) -> Self {
        let url = site.database_url();
        Self {
            place: if url.starts_with("sqlite:") {
                Place::Sqlite(site.data_dir(0).join("fame.db"))
            } else {
                Place::Postgres(url.to_owned())
            },
            packages: site.packages(),
        }
    }

    pub(crate) fn database(&self) -> Database {
        match self.place {
            Place::Sqlite(_) => Database::Sqlite,
            Place::Postgres(_) => Database::Postgres,
        }
    }

    /// The rows of several queries, all of one instant.
    pub(crate) async fn snapshot<const N: usize>(&self, queries: [&'static str; N]) -> [Vec<Row>; N] {
        match &self.place {
            Place::Sqlite(path) => {
                let path = path.clone();
                tokio::task::spawn_blocking(move || of_sqlite(&path, queries))
                    .await
                    .unwrap()
            }
            Place::Postgres(url) => of_postgres(url, queries).await,
        }
    }

    /// The rows of one query.
    pub(crate) async fn rows(&self, query: &'static str) -> Vec<Row> {
        let [rows] = self.snapshot([query]).await;
        rows
    }

    /// Every stored package, as LOCATION/HASH; one that is stored twice is there twice.
    pub(crate) fn objects(&self) -> Vec<String> {
        let hash_of = |file: &String| {
            let (location, name) = file.split_once('/').unwrap();
            format!("{location}/{}", &name[..HASH_DIGITS.min(name.len())])
        };
        self.files("objects").iter().map(hash_of).collect()
    }

    /// Every file of an upload under way, as LOCATION/NAME.
    pub(crate) fn staged(&self) -> BTreeSet<String> {
        self.files("staging")
    }

    fn files(&self, kind: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for location in fs::read_dir(&self.packages).unwrap() {
            let location = location.unwrap();
            let name = location.file_name().into_string().unwrap();
            add_files(&location.path().join(kind), &name, &mut found);
        }
        found
    }
}

fn add_files(folder: &Path, location: &str, found: &mut BTreeSet<String>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let entry = entry.unwrap();
        if entry.path().is_dir() {
            add_files(&entry.path(), location, found);
        } else {
            found.insert(format!("{location}/{}", entry.file_name().into_string().unwrap()));
        }
    }
}

fn of_sqlite<const N: usize>(path: &Path, queries: [&'static str; N]) -> [Vec<Row>; N] {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).unwrap();
    connection.busy_timeout(super::TIME_LIMIT).unwrap();
    connection.execute_batch("BEGIN").unwrap();
    queries.map(|query| {
        let mut statement = connection.prepare(query).unwrap();
        let columns = statement.column_count();
        let mut rows = statement.query([]).unwrap();
        let mut found = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            found.push(
                (0..columns)
                    .map(|column| sqlite_text(row.get_ref_unwrap(column)))
                    .collect(),
            );
        }
        found
    })
}

fn sqlite_text(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => String::new(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(text) => plain_id(&String::from_utf8_lossy(text)),
        ValueRef::Blob(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

async fn of_postgres<const N: usize>(url: &str, queries: [&'static str; N]) -> [Vec<Row>; N] {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    client
        .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        .await
        .unwrap();
    let mut found = std::array::from_fn(|_| Vec::new());
    for (query, rows) in queries.iter().zip(&mut found) {
        for message in client.simple_query(query).await.unwrap() {
            if let SimpleQueryMessage::Row(row) = message {
                rows.push(
                    (0..row.len())
                        .map(|column| postgres_text(row.get(column)))
                        .collect(),
                );
            }
        }
    }
    drop(client);
    connection.await.unwrap().unwrap();
    found
}

fn postgres_text(value: Option<&str>) -> String {
    let text = value.unwrap_or_default();
    text.strip_prefix("\\x")
        .map_or_else(|| plain_id(text), str::to_owned)
}
