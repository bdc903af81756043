//! The bare reader: axum, SQLite used in place, fixed SQL, serde_json. No token, no roles, no options, no face.
//!
//! It is as much as a hand-written service for exactly these four questions can do without keeping answers in
//! memory, so what is missing to it is what the real service's generality costs. The rows lie in the file in the form
//! in which they are sent (ids and instants as text), which is the kindest form to this program.

use anyhow::Context;
use axum::{
    Router,
    body::Body,
    extract::{Query, State},
    http::{StatusCode, header},
    response::Response,
    routing::get,
};
use clap::Parser;
use peers::serve;
use rusqlite::{Connection, OpenFlags, Row, params};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::{
    cell::RefCell,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

#[derive(Parser)]
struct Arguments {
    /// Where to listen
    #[arg(long)]
    listen: SocketAddr,
    /// The file with the tables `versions` and `environments`
    #[arg(long)]
    database: PathBuf,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let database: Arc<Path> = arguments.database.into();
    let router = Router::new()
        .route("/versions", get(versions))
        .route("/version", get(version))
        .route("/environments", get(environments))
        .with_state(database);
    serve(arguments.listen, router).await
}

thread_local! {
    /// Each of the runtime's threads has a connection of its own: nothing is shared, nothing waits.
    static CONNECTION: RefCell<Option<Connection>> = const { RefCell::new(None) };
}

type Database = State<Arc<Path>>;
type Outcome<T> = Result<T, (StatusCode, String)>;

fn with_connection<T>(database: &Path, action: impl FnOnce(&Connection) -> anyhow::Result<T>) -> Outcome<T> {
    let outcome = CONNECTION.with_borrow_mut(|connection| {
        if connection.is_none() {
            *connection = Some(open(database)?);
        }
        action(connection.as_ref().context("no connection")?)
    });
    outcome.map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

fn open(database: &Path) -> anyhow::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(database, flags)?;
    connection.execute_batch("PRAGMA cache_size = -8192")?;
    Ok(connection)
}

fn json(value: &impl Serialize) -> Outcome<Response> {
    let mut bytes = Vec::with_capacity(64 * 1024);
    let response = serde_json::to_writer(&mut bytes, value)
        .map_err(anyhow::Error::from)
        .and_then(|()| {
            let response = Response::builder().header(header::CONTENT_TYPE, "application/json");
            Ok(response.body(Body::from(bytes))?)
        });
    response.map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

#[derive(Serialize)]
struct List<T> {
    value: Vec<T>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    version: String,
    app_id: String,
    country_code: String,
    package_id: String,
    publisher: String,
    name: String,
    uploaded_on: String,
    availability: String,
    status: String,
    dependencies: Box<RawValue>,
    major_version: u32,
    minor_version: u32,
    build_version: u32,
    revision_version: u32,
    #[serde(rename = "_etag")]
    etag: String,
}

const VERSION: &str = "SELECT version, appId, countryCode, packageId, publisher, name, uploadedOn, availability, status, \
    dependencies, majorVersion, minorVersion, buildVersion, revisionVersion, _etag FROM versions";

impl Version {
    fn read(row: &Row<'_>) -> anyhow::Result<Self> {
        Ok(Self {
            version: row.get(0)?,
            app_id: row.get(1)?,
            country_code: row.get(2)?,
            package_id: row.get(3)?,
            publisher: row.get(4)?,
            name: row.get(5)?,
            uploaded_on: row.get(6)?,
            availability: row.get(7)?,
            status: row.get(8)?,
            dependencies: RawValue::from_string(row.get(9)?)?,
            major_version: row.get(10)?,
            minor_version: row.get(11)?,
            build_version: row.get(12)?,
            revision_version: row.get(13)?,
            etag: row.get(14)?,
        })
    }
}

#[derive(Deserialize)]
struct Line {
    major: u32,
    minor: u32,
}

/// The first hundred versions of a line.
async fn versions(State(database): Database, Query(line): Query<Line>) -> Outcome<Response> {
    let value = with_connection(&database, |connection| {
        let sql = format!("{VERSION} WHERE majorVersion = ? AND minorVersion = ? ORDER BY id LIMIT 100");
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params![line.major, line.minor])?;
        let mut value = Vec::with_capacity(100);
        while let Some(row) = rows.next()? {
            value.push(Version::read(row)?);
        }
        Ok(value)
    })?;
    json(&List { value })
}

#[derive(Deserialize)]
struct Key {
    version: String,
}

/// One version.
async fn version(State(database): Database, Query(key): Query<Key>) -> Outcome<Response> {
    let found = with_connection(&database, |connection| {
        let mut statement = connection.prepare_cached(&format!("{VERSION} WHERE version = ?"))?;
        let mut rows = statement.query([&key.version])?;
        rows.next()?.map(Version::read).transpose()
    })?;
    match found {
        Some(version) => json(&version),
        None => Err((StatusCode::NOT_FOUND, "no such version".to_owned())),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Environment {
    aad_tenant_id: String,
    version: String,
    app_id: String,
    country_code: String,
    application_family: String,
    location_name: String,
    name: String,
    r#type: String,
}

#[derive(Deserialize)]
struct Where {
    version: String,
    kind: String,
}

/// The first hundred environments of one kind that have one version.
async fn environments(State(database): Database, Query(wanted): Query<Where>) -> Outcome<Response> {
    let value = with_connection(&database, |connection| {
        let mut statement = connection.prepare_cached(
            "SELECT aadTenantId, version, appId, countryCode, applicationFamily, locationName, name, type \
             FROM environments WHERE version = ? AND type = ? ORDER BY id LIMIT 100",
        )?;
        let mut rows = statement.query([&wanted.version, &wanted.kind])?;
        let mut value = Vec::with_capacity(100);
        while let Some(row) = rows.next()? {
            value.push(Environment {
                aad_tenant_id: row.get(0)?,
                version: row.get(1)?,
                app_id: row.get(2)?,
                country_code: row.get(3)?,
                application_family: row.get(4)?,
                location_name: row.get(5)?,
                name: row.get(6)?,
                r#type: row.get(7)?,
            });
        }
        Ok(value)
    })?;
    json(&List { value })
}
