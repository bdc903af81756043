//! Versions: what was uploaded for which country, and where its bytes are.

use super::principals::caller_has_role;
use super::{Db, FromRow, Row, StoreError, Tx, Value, principals::PrincipalRef};
use domain::{
    ids::{AppId, Etag, PackageId},
    instant::Instant,
    version::{AppVersion, Availability, Dependency, SyncMode, VersionStatus},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A row of the table.
#[derive(Clone, Debug, PartialEq)]
pub struct Version {
    pub app_id: AppId,
    pub country_code: String,
    pub version: AppVersion,
    pub package_id: PackageId,
    pub publisher: String,
    pub name: String,
    pub uploaded_on: Instant,
    pub uploaded_by: String,
    pub availability: Availability,
    pub status: VersionStatus,
    pub sync_mode: SyncMode,
    pub dependencies: Vec<Dependency>,
    pub application: Option<AppVersion>,
    pub platform: Option<AppVersion>,
    pub location: String,
    pub sha256: [u8; 32],
    /// Which writing of these bytes is meant.
    pub generation: Uuid,
    pub size: u64,
    pub upload_id: Uuid,
    pub etag: Etag,
}

macro_rules! columns {
    () => {
        "t.app_id, t.country_code, t.version, t.package_id, t.publisher, t.name, t.uploaded_on, t.uploaded_by, t.availability, t.status, t.sync_mode, t.dependencies, t.application, t.platform, t.location, t.sha256, t.size, t.upload_id, t.etag, t.generation"
    };
}

impl Version {
    /// What it is found by.
    pub fn key(&self) -> VersionKey {
        VersionKey {
            app_id: self.app_id,
            country_code: self.country_code.clone(),
            version: self.version,
        }
    }
}

impl FromRow for Version {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            app_id: row.get(0)?,
            country_code: row.get(1)?,
            version: row.get(2)?,
            package_id: row.get(3)?,
            publisher: row.get(4)?,
            name: row.get(5)?,
            uploaded_on: row.get(6)?,
            uploaded_by: row.get(7)?,
            availability: row.get(8)?,
            status: row.get(9)?,
            sync_mode: row.get(10)?,
            dependencies: read_dependencies(&row.get::<String>(11)?)?,
            application: row.get(12)?,
            platform: row.get(13)?,
            location: row.get(14)?,
            sha256: row.get(15)?,
            size: row.get::<i64>(16)?.unsigned_abs(),
            upload_id: row.get(17)?,
            etag: row.get(18)?,
            generation: row.get(19)?,
        })
    }
}

/// What is shown of a version. A list reads many of them, so it reads no more of each.
#[derive(Clone, Debug, PartialEq)]
pub struct VersionEntry {
    pub app_id: AppId,
    pub country_code: String,
    pub version: AppVersion,
    pub package_id: PackageId,
    pub publisher: String,
    pub name: String,
    pub uploaded_on: Instant,
    pub availability: Availability,
    pub status: VersionStatus,
    pub sync_mode: SyncMode,
    pub dependencies: Vec<Dependency>,
    pub etag: Etag,
}

/// What an entry is read from.
pub const ENTRY_COLUMNS: &str = "t.app_id, t.country_code, t.version, t.package_id, t.publisher, t.name, t.uploaded_on, t.availability, t.status, t.sync_mode, t.dependencies, t.etag";

impl FromRow for VersionEntry {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            app_id: row.get(0)?,
            country_code: row.get(1)?,
            version: row.get(2)?,
            package_id: row.get(3)?,
            publisher: row.get(4)?,
            name: row.get(5)?,
            uploaded_on: row.get(6)?,
            availability: row.get(7)?,
            status: row.get(8)?,
            sync_mode: row.get(9)?,
            dependencies: read_dependencies(&row.get::<String>(10)?)?,
            etag: row.get(11)?,
        })
    }
}

impl From<Version> for VersionEntry {
    fn from(version: Version) -> Self {
        Self {
            app_id: version.app_id,
            country_code: version.country_code,
            version: version.version,
            package_id: version.package_id,
            publisher: version.publisher,
            name: version.name,
            uploaded_on: version.uploaded_on,
            availability: version.availability,
            status: version.status,
            sync_mode: version.sync_mode,
            dependencies: version.dependencies,
            etag: version.etag,
        }
    }
}

/// A dependency as the column keeps it.
#[derive(Serialize, Deserialize)]
struct StoredDependency {
    id: Uuid,
    name: String,
    publisher: String,
    min: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    incompatible_from: Option<String>,
    /// Rows of before it was kept say nothing of it, and count as declared.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    implied: bool,
}

/// The dependencies that a `dependencies` column holds.
pub fn read_dependencies(text: &str) -> Result<Vec<Dependency>, StoreError> {
    if text == "[]" {
        return Ok(Vec::new());
    }
    let stored: Vec<StoredDependency> = serde_json::from_str(text).map_err(damaged)?;
    stored.into_iter().map(read_dependency).collect()
}

fn read_dependency(stored: StoredDependency) -> Result<Dependency, StoreError> {
    Ok(Dependency {
        app_id: AppId(stored.id),
        name: stored.name,
        publisher: stored.publisher,
        min_version: stored.min.parse().map_err(damaged)?,
        incompatible_from: stored
            .incompatible_from
            .map(|text| text.parse())
            .transpose()
            .map_err(damaged)?,
        is_implied: stored.implied,
    })
}

fn damaged(error: impl std::fmt::Display) -> StoreError {
    StoreError::broken(format!("a dependencies column is damaged: {error}"))
}

fn write_dependencies(dependencies: &[Dependency]) -> Result<String, StoreError> {
    let stored: Vec<_> = dependencies
        .iter()
        .map(|dependency| StoredDependency {
            id: dependency.app_id.0,
            name: dependency.name.clone(),
            publisher: dependency.publisher.clone(),
            min: dependency.min_version.to_string(),
            incompatible_from: dependency.incompatible_from.map(|version| version.to_string()),
            implied: dependency.is_implied,
        })
        .collect();
    serde_json::to_string(&stored).map_err(damaged)
}

/// One version of an app in a country.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VersionKey {
    pub app_id: AppId,
    pub country_code: String,
    pub version: AppVersion,
}

impl VersionKey {
    fn values(&self) -> [Value; 3] {
        [
            self.app_id.into(),
            Value::from(&self.country_code),
            self.version.into(),
        ]
    }
}

impl FromRow for VersionKey {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            app_id: row.get(0)?,
            country_code: row.get(1)?,
            version: row.get(2)?,
        })
    }
}

impl std::fmt::Display for VersionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "apps/{}/countries/{}/versions/{}",
            self.app_id, self.country_code, self.version
        )
    }
}

/// One version, if the caller has a role on the app.
pub async fn find_version(
    db: &Db,
    principal: PrincipalRef,
    key: &VersionKey,
) -> Result<Option<Version>, StoreError> {
    db.query(concat!(
        "SELECT ",
        columns!(),
        "
         FROM versions t
         WHERE t.app_id = $4 AND t.country_code = $5 AND t.version_key = $6
           AND ",
        caller_has_role!()
    ))
    .bind_all(principal.values())
    .bind_all(key.values())
    .fetch_optional()
    .await
}

const FIND_IN: &str = concat!(
    "
    SELECT ",
    columns!(),
    "
    FROM versions t
    WHERE t.app_id = $1 AND t.country_code = $2 AND t.version_key = $3"
);

/// One version within a transaction.
pub async fn version_in(tx: &mut Tx<'_>, key: &VersionKey) -> Result<Option<Version>, StoreError> {
    tx.query(FIND_IN).bind_all(key.values()).fetch_optional().await
}

/// Several versions within a transaction, as far as they are there, in no order.
pub async fn versions_in<'k>(
    tx: &mut Tx<'_>,
    keys: impl IntoIterator<Item = &'k VersionKey>,
) -> Result<Vec<Version>, StoreError> {
    tx.each(
        concat!(
            "SELECT ",
            columns!(),
            "
             FROM {rows}, versions t
             WHERE t.app_id = {app} AND t.country_code = {country} AND t.version_key = {version}"
        ),
        &[("app", "uuid"), ("country", "text"), ("version", "bytea")],
        keys.into_iter().map(|key| key.values().into()).collect(),
    )
    .fetch_all()
    .await
}

/// One version within a transaction, its row locked.
pub async fn lock_version(tx: &mut Tx<'_>, key: &VersionKey) -> Result<Option<Version>, StoreError> {
    tx.query(format!("{FIND_IN}\nFOR UPDATE"))
        .bind_all(key.values())
        .fetch_optional()
        .await
}

/// Adds a version.
pub async fn insert_version(tx: &mut Tx<'_>, version: &Version) -> Result<(), StoreError> {
    let [major, minor, build, revision] = version.version.0;
    tx.query(
        "INSERT INTO versions (app_id, country_code, version_key, version, major, minor, build, revision, package_id, publisher, name, uploaded_on, uploaded_by, availability, status, sync_mode, dependencies, application, platform, location, sha256, size, upload_id, etag, generation)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25)",
    )
    .bind(version.app_id)
    .bind(&version.country_code)
    .bind(version.version)
    .bind(version.version.to_string())
    .bind_all([major, minor, build, revision].map(Value::from))
    .bind(version.package_id)
    .bind(&version.publisher)
    .bind(&version.name)
    .bind(version.uploaded_on)
    .bind(&version.uploaded_by)
    .bind(version.availability.as_str())
    .bind(version.status.as_str())
    .bind(version.sync_mode.as_str())
    .bind(write_dependencies(&version.dependencies)?)
    .bind(version.application.map(|minimum| minimum.to_string()))
    .bind(version.platform.map(|minimum| minimum.to_string()))
    .bind(&version.location)
    .bind(version.sha256)
    .bind(i64::try_from(version.size).unwrap_or(i64::MAX))
    .bind(version.upload_id)
    .bind(version.etag)
    .bind(version.generation)
    .execute()
    .await
    .map(drop)
}

/// Changes what a publisher may change, and where the upload stands.
pub async fn update_version(tx: &mut Tx<'_>, version: &Version) -> Result<(), StoreError> {
    tx.query(
        "UPDATE versions
         SET availability = $4, status = $5, sync_mode = $6, dependencies = $7, uploaded_on = $8, etag = $9
         WHERE app_id = $1 AND country_code = $2 AND version_key = $3",
    )
    .bind(version.app_id)
    .bind(&version.country_code)
    .bind(version.version)
    .bind(version.availability.as_str())
    .bind(version.status.as_str())
    .bind(version.sync_mode.as_str())
    .bind(write_dependencies(&version.dependencies)?)
    .bind(version.uploaded_on)
    .bind(version.etag)
    .execute()
    .await
    .map(drop)
}

/// Removes a version that never became whole.
pub async fn delete_version(tx: &mut Tx<'_>, key: &VersionKey) -> Result<(), StoreError> {
    tx.query("DELETE FROM versions WHERE app_id = $1 AND country_code = $2 AND version_key = $3")
        .bind_all(key.values())
        .execute()
        .await
        .map(drop)
}

/// Another country's copy of a version, with other bytes.
pub struct OtherBytes {
    pub country_code: String,
    pub status: VersionStatus,
}

impl FromRow for OtherBytes {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            country_code: row.get(0)?,
            status: row.get(1)?,
        })
    }
}

/// Another country's copy of the same version with other bytes, if there is one or is just being uploaded. The app's row
/// must be locked, or two may be begun at once.
pub async fn other_bytes_elsewhere(
    tx: &mut Tx<'_>,
    key: &VersionKey,
    sha256: [u8; 32],
) -> Result<Option<OtherBytes>, StoreError> {
    tx.query(
        "SELECT country_code, status
         FROM versions
         WHERE app_id = $1 AND country_code <> $2 AND version_key = $3 AND sha256 <> $4 AND status <> 'UploadFailed'
         ORDER BY country_code
         LIMIT 1",
    )
    .bind_all(key.values())
    .bind(sha256)
    .fetch_optional()
    .await
}

/// Whether the version `t` is an upload begun before `$1` whose process is gone. A process that is still storing the bytes
/// says so in their blob's row from time to time.
const IS_STALE: &str = "t.status = 'Uploading' AND t.uploaded_on < $1
           AND NOT EXISTS (SELECT 1
                           FROM blobs b
                           WHERE b.location = t.location AND b.sha256 = t.sha256
                             AND b.generation = t.generation AND b.changed_on >= $1)";

/// Uploads begun before `before` whose process is gone.
pub async fn stale_uploads(db: &Db, before: Instant) -> Result<Vec<VersionKey>, StoreError> {
    db.query(format!(
        "SELECT t.app_id, t.country_code, t.version FROM versions t WHERE {IS_STALE} ORDER BY t.uploaded_on"
    ))
    .bind(before)
    .fetch_all()
    .await
}

/// One of them, its row locked, if it still is.
pub async fn lock_stale_upload(
    tx: &mut Tx<'_>,
    key: &VersionKey,
    before: Instant,
) -> Result<Option<Version>, StoreError> {
    tx.query(format!(
        "SELECT {}
         FROM versions t
         WHERE {IS_STALE} AND t.app_id = $2 AND t.country_code = $3 AND t.version_key = $4
         FOR UPDATE OF t",
        columns!()
    ))
    .bind(before)
    .bind_all(key.values())
    .fetch_optional()
    .await
}
