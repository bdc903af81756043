//! Versions: what was uploaded for which country, and where its bytes are.

use super::{
    ColumnValue, Db, Field, Reader, Row, StoreError, Tx, Value,
    principals::PrincipalRef,
    row::{row, table},
    table::Kind,
    value::from_column_by,
};
use domain::{
    country::CountryCode,
    ids::{AppId, Etag, PackageId},
    instant::Instant,
    signer::{Signer, SignerKey},
    version::{AppVersion, Availability, Dependency, SyncMode, VersionStatus},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

table! {
    /// A version of an app in a country.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Version in "versions" by [app_id, country_code, version_key] {
        /// Whose version it is.
        pub app_id: AppId,
        /// The country that it is for.
        pub country_code: CountryCode,
        derived version_key(row) -> [u8; 16] { row.version.sort_key() },
        /// Its number.
        pub version: AppVersion,
        derived major(row) -> u32 { row.version.0[0] },
        derived minor(row) -> u32 { row.version.0[1] },
        derived build(row) -> u32 { row.version.0[2] },
        derived revision(row) -> u32 { row.version.0[3] },
        /// The package as it was uploaded, for whoever asks for it by an identity.
        pub package_id: PackageId,
        /// The publisher that the package names.
        pub publisher: String,
        /// The name that the package gives the app.
        pub name: String,
        /// When its upload began, and, once that has ended, when it did.
        pub uploaded_on: Instant,
        /// Who uploaded it.
        pub uploaded_by: String,
        /// To whom it may go.
        pub availability: Availability,
        /// Where its upload stands.
        pub status: VersionStatus,
        /// How tables are changed to its schema.
        pub sync_mode: SyncMode,
        /// The apps that it needs.
        pub dependencies: Vec<Dependency>,
        /// The least version of the base application that it needs.
        pub application: Option<AppVersion>,
        /// The least version of the platform that it needs.
        pub platform: Option<AppVersion>,
        /// The storage location that has its bytes.
        pub location: String => Location,
        /// The hash of its bytes.
        pub sha256: [u8; 32],
        /// Which writing of these bytes is meant.
        pub generation: Uuid,
        /// How many bytes it has.
        pub size: u64,
        /// The upload that brought it.
        pub upload_id: Uuid,
        /// The tag of its state.
        pub etag: Etag,
        /// The AL runtime that it was compiled for; versions of before it was kept say nothing of it.
        pub runtime: Option<AppVersion>,
        /// Who signed it, as its package proves; of those of before this was kept, nobody.
        pub signer: Option<Signer> as (signer_key, signer_subject),
    }
}

impl Field for Option<Signer> {
    const COLUMNS: &'static [(Kind, bool)] = &[(Kind::Digest, true), (Kind::Text, true)];

    fn read(row: &Row<'_>, at: &mut usize) -> Result<Self, StoreError> {
        let key: Option<[u8; 32]> = Field::read(row, at)?;
        let subject: Option<String> = Field::read(row, at)?;
        Ok(key.map(|key| Signer {
            key: SignerKey(key),
            subject: subject.unwrap_or_default(),
        }))
    }

    fn write(&self, values: &mut Vec<Value>) {
        let (key, subject) = self
            .as_ref()
            .map(|signer| (signer.key.0, signer.subject.as_str()))
            .unzip();
        values.extend([key.into(), subject.into()]);
    }
}

impl Version {
    /// What it is found by.
    pub fn key(&self) -> VersionKey {
        VersionKey {
            app_id: self.app_id,
            country_code: self.country_code,
            version: self.version,
        }
    }
}

row! {
    /// What is shown of a version. A list reads many of them, so it reads no more of each.
    #[derive(Clone, Debug, PartialEq)]
    pub struct VersionEntry from Version {
        /// Whose version it is.
        pub app_id: AppId,
        /// The country that it is for.
        pub country_code: CountryCode,
        /// Its number.
        pub version: AppVersion,
        /// The package as it was uploaded.
        pub package_id: PackageId,
        /// The publisher that the package names.
        pub publisher: String,
        /// The name that the package gives the app.
        pub name: String,
        /// When it was uploaded.
        pub uploaded_on: Instant,
        /// To whom it may go.
        pub availability: Availability,
        /// Where its upload stands.
        pub status: VersionStatus,
        /// How tables are changed to its schema.
        pub sync_mode: SyncMode,
        /// The apps that it needs.
        pub dependencies: Vec<Dependency>,
        /// The tag of its state.
        pub etag: Etag,
    }
}

row! {
    /// A version, as far as it matters for what else has to change with it.
    #[derive(Clone, Debug, PartialEq)]
    pub struct OfferedVersion from Version {
        /// Whose version it is.
        pub app_id: AppId,
        /// Its number.
        pub version: AppVersion,
        /// The publisher that the package names.
        pub publisher: String,
        /// The name that the package gives the app.
        pub name: String,
        /// To whom it may go.
        pub availability: Availability,
        /// The apps that it needs.
        pub dependencies: Vec<Dependency>,
        /// The least version of the base application that it needs.
        pub application: Option<AppVersion>,
        /// The least version of the platform that it needs.
        pub platform: Option<AppVersion>,
        /// The hash of its bytes.
        pub sha256: [u8; 32],
        /// How many bytes it has.
        pub size: u64,
        /// The AL runtime that it was compiled for.
        pub runtime: Option<AppVersion>,
        /// Who signed the package.
        pub signer: Option<Signer> as (signer_key, signer_subject),
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

from_column_by! {
    Vec<Dependency>: String, |text| read_dependencies(&text);
}

/// The dependencies that a column holds.
fn read_dependencies(text: &str) -> Result<Vec<Dependency>, StoreError> {
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

impl ColumnValue for Vec<Dependency> {
    const KIND: Kind = Kind::Text;

    /// JSON; were it none, the column would refuse to be empty.
    fn value(&self) -> Value {
        let stored: Vec<_> = self.iter().map(StoredDependency::from).collect();
        serde_json::to_string(&stored).map_or(Value::Null, Value::Text)
    }
}

impl From<&Dependency> for StoredDependency {
    fn from(dependency: &Dependency) -> Self {
        Self {
            id: dependency.app_id.0,
            name: dependency.name.clone(),
            publisher: dependency.publisher.clone(),
            min: dependency.min_version.to_string(),
            incompatible_from: dependency.incompatible_from.map(|version| version.to_string()),
            implied: dependency.is_implied,
        }
    }
}

row! {
    /// One version of an app in a country.
    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    pub struct VersionKey {
        /// Whose version it is.
        pub app_id: AppId,
        /// The country that it is for.
        pub country_code: CountryCode,
        /// Its number.
        pub version: AppVersion,
    }
}

impl VersionKey {
    fn values(&self) -> [Value; 3] {
        [self.app_id.into(), self.country_code.into(), self.version.into()]
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
    let has_role = principal.has_role();
    db.query(format!(
        "SELECT {}
         FROM versions t
         WHERE t.app_id = $5 AND t.country_code = $6 AND t.version_key = $7
           AND {has_role}",
        Version::COLUMNS
    ))
    .bind_all(principal.values())
    .bind_all(key.values())
    .fetch_optional()
    .await
}

fn find_in() -> String {
    format!(
        "SELECT {}
         FROM versions t
         WHERE t.app_id = $1 AND t.country_code = $2 AND t.version_key = $3",
        Version::COLUMNS
    )
}

/// One version within a transaction.
pub async fn version_in(tx: &mut Tx<'_>, key: &VersionKey) -> Result<Option<Version>, StoreError> {
    tx.query(find_in()).bind_all(key.values()).fetch_optional().await
}

/// One version, for the service itself.
pub async fn version(db: &Db, key: &VersionKey) -> Result<Option<Version>, StoreError> {
    db.query(find_in()).bind_all(key.values()).fetch_optional().await
}

/// The newest of the versions below one that have its major and minor numbers, if the caller has a role on the app.
pub async fn find_newest_before(
    db: &Db,
    principal: PrincipalRef,
    key: &VersionKey,
) -> Result<Option<Version>, StoreError> {
    let first = AppVersion([key.version.major(), key.version.minor(), 0, 0]);
    db.query(format!(
        "SELECT {}
         FROM versions t
         WHERE t.app_id = $5 AND t.country_code = $6 AND t.version_key < $7 AND t.version_key >= $8
           AND t.status = 'Uploaded' AND {}
         ORDER BY t.version_key DESC
         LIMIT 1",
        Version::COLUMNS,
        principal.has_role()
    ))
    .bind_all(principal.values())
    .bind_all(key.values())
    .bind(first)
    .fetch_optional()
    .await
}

/// The newest version of an app that is Available in any country, of the line of `version` and above it.
pub async fn newest_available_above(
    db: &Db,
    app: AppId,
    version: AppVersion,
) -> Result<Option<AppVersion>, StoreError> {
    let found = db
        .query(
            "SELECT t.version
             FROM versions t
             WHERE t.app_id = $1 AND t.major = $2 AND t.minor = $3 AND t.version_key > $4
               AND t.status = 'Uploaded' AND t.availability = 'Available'
             ORDER BY t.version_key DESC
             LIMIT 1",
        )
        .bind(app)
        .bind(version.major())
        .bind(version.minor())
        .bind(version)
        .fetch_optional::<(AppVersion,)>()
        .await?;
    Ok(found.map(|(version,)| version))
}

/// The countries that have a version of an app from `least` on, if the caller has a role on the app; in order.
pub async fn countries_with(
    db: &Db,
    principal: PrincipalRef,
    app: AppId,
    least: AppVersion,
) -> Result<Vec<CountryCode>, StoreError> {
    let sql = format!(
        "SELECT DISTINCT t.country_code
         FROM versions t
         WHERE t.app_id = $5 AND t.version_key >= $6 AND t.status = 'Uploaded' AND {}
         ORDER BY t.country_code",
        principal.has_role()
    );
    let query = db.query(sql).bind_all(principal.values()).bind(app).bind(least);
    let rows: Vec<(CountryCode,)> = query.fetch_all().await?;
    Ok(rows.into_iter().map(|(country,)| country).collect())
}

/// Several versions within a transaction, as far as they are there, in no order.
pub async fn versions_in<'k>(
    tx: &mut Tx<'_>,
    keys: impl IntoIterator<Item = &'k VersionKey>,
) -> Result<Vec<Version>, StoreError> {
    let sql = format!(
        "SELECT {}
         FROM {{rows}}, versions t
         WHERE t.app_id = {{app}} AND t.country_code = {{country}} AND t.version_key = {{version}}",
        Version::COLUMNS
    );
    tx.each(
        &sql,
        &[("app", "uuid"), ("country", "text"), ("version", "bytea")],
        keys.into_iter().map(|key| key.values().into()).collect(),
    )
    .fetch_all()
    .await
}

/// The versions of apps that customers of a country are offered, in no order; of `asked` also those that they are not.
pub async fn offered(
    reader: &mut Reader<'_, '_>,
    country: CountryCode,
    apps: impl IntoIterator<Item = AppId>,
    asked: Option<AppId>,
) -> Result<Vec<OfferedVersion>, StoreError> {
    let sql = format!(
        "SELECT {}
         FROM {{rows}}, versions t
         WHERE t.app_id = {{app}} AND t.country_code = {{country}} AND t.status = 'Uploaded'
           AND (t.availability = 'Available' OR {{every}})",
        OfferedVersion::COLUMNS
    );
    let row = |app: AppId| vec![app.into(), country.into(), (asked == Some(app)).into()];
    let shape = &[("app", "uuid"), ("country", "text"), ("every", "boolean")];
    reader
        .fetch_each(&sql, shape, apps.into_iter().map(row).collect())
        .await
}

/// One version within a transaction, its row locked.
pub async fn lock_version(tx: &mut Tx<'_>, key: &VersionKey) -> Result<Option<Version>, StoreError> {
    tx.query(find_in())
        .clause("FOR UPDATE")
        .bind_all(key.values())
        .fetch_optional()
        .await
}

/// Adds a version.
pub async fn insert_version(tx: &mut Tx<'_>, version: &Version) -> Result<(), StoreError> {
    tx.add(version).execute().await.map(drop)
}

/// What of a version changes: what a publisher may change, and where the upload stands.
const CHANGEABLE: &[&str] = &[
    "availability",
    "status",
    "sync_mode",
    "dependencies",
    "uploaded_on",
    "etag",
];

/// Changes what a publisher may change, and where the upload stands.
pub async fn update_version(tx: &mut Tx<'_>, version: &Version) -> Result<(), StoreError> {
    tx.update(version, CHANGEABLE).execute().await.map(drop)
}

/// Removes a version that never became whole.
pub async fn delete_version(tx: &mut Tx<'_>, key: &VersionKey) -> Result<(), StoreError> {
    tx.query("DELETE FROM versions WHERE app_id = $1 AND country_code = $2 AND version_key = $3")
        .bind_all(key.values())
        .execute()
        .await
        .map(drop)
}

row! {
    /// Another country's copy of a version, with other bytes.
    pub struct OtherBytes {
        /// The other country.
        pub country_code: CountryCode,
        /// Where the upload of its copy stands.
        pub status: VersionStatus,
    }
}

const OTHER_BYTES: &str = "SELECT country_code, status
     FROM versions
     WHERE app_id = $1 AND country_code <> $2 AND version_key = $3 AND sha256 <> $4 AND status <> 'UploadFailed'
     ORDER BY country_code
     LIMIT 1";

/// How many versions an app has, and how many bytes their packages have that came or are coming.
pub async fn usage_of(tx: &mut Tx<'_>, app: AppId) -> Result<(u64, u64), StoreError> {
    tx.query(
        "SELECT COUNT(*),
                CAST(COALESCE(SUM(CASE WHEN status = 'UploadFailed' THEN 0 ELSE size END), 0) AS BIGINT)
         FROM versions
         WHERE app_id = $1",
    )
    .bind(app)
    .fetch_one()
    .await
}

/// Another country's copy of the same version with other bytes, if there is one or is just being uploaded. The app's row
/// must be locked, or two may be begun at once.
pub async fn other_bytes_elsewhere(
    tx: &mut Tx<'_>,
    key: &VersionKey,
    sha256: [u8; 32],
) -> Result<Option<OtherBytes>, StoreError> {
    tx.query(OTHER_BYTES)
        .bind_all(key.values())
        .bind(sha256)
        .fetch_optional()
        .await
}

/// Whether another country has other bytes of a version than these.
pub async fn differs_elsewhere(db: &Db, key: &VersionKey, sha256: [u8; 32]) -> Result<bool, StoreError> {
    let found = db.query(OTHER_BYTES).bind_all(key.values()).bind(sha256);
    Ok(found.fetch_optional::<OtherBytes>().await?.is_some())
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
        Version::COLUMNS
    ))
    .bind(before)
    .bind_all(key.values())
    .fetch_optional()
    .await
}
