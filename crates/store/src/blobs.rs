//! Which package bytes are in which storage location.
//!
//! A row exists before an object reaches its final key, and goes after the object has gone: at every instant the
//! table knows at least what the store holds. States: `storing`, `stored`, `deleting`.
//!
//! Of one content, a location has at most one row that is not `deleting`. Each row has a generation of its own, which is
//! part of its object's key: whoever writes content anew while an older row is being removed writes to another key.

use super::{
    ColumnValue, Db, StoreError, Tx, Value,
    row::{row, table},
    table::Kind,
    value::from_column_by,
};
use domain::instant::Instant;
use uuid::Uuid;

/// Where bytes are on their way to being kept, or to being gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlobState {
    /// They are not all there yet.
    Storing,
    /// They are all there.
    Stored,
    /// They are being removed.
    Deleting,
}

impl BlobState {
    fn as_str(self) -> &'static str {
        match self {
            Self::Storing => "storing",
            Self::Stored => "stored",
            Self::Deleting => "deleting",
        }
    }

    pub(crate) fn read(text: &str) -> Self {
        match text {
            "stored" => Self::Stored,
            "deleting" => Self::Deleting,
            _ => Self::Storing,
        }
    }
}

from_column_by! {
    BlobState: String, |text| Ok(Self::read(&text));
}

/// An export has only what is stored.
impl ColumnValue for BlobState {
    const KIND: Kind = Kind::Word(|text| text == "stored");

    fn value(&self) -> Value {
        self.as_str().into()
    }
}

row! {
    /// Bytes in a location, by their hash, as they were written once.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct BlobKey {
        /// The storage location.
        pub location: String,
        /// The hash of the bytes.
        pub sha256: [u8; 32],
        /// Which writing of these bytes is meant.
        pub generation: Uuid,
    }
}

impl BlobKey {
    /// The three values of the key, in its order.
    pub(crate) fn values(&self) -> [Value; 3] {
        [
            Value::from(&self.location),
            self.sha256.into(),
            self.generation.into(),
        ]
    }
}

table! {
    /// Bytes in a location, or on their way.
    pub struct Blob in "blobs" by [location, sha256, generation] {
        /// The storage location.
        pub location: String => Location,
        /// The hash of the bytes.
        pub sha256: [u8; 32],
        /// Which writing of these bytes is meant.
        pub generation: Uuid,
        /// How many bytes.
        pub size: u64,
        /// Where they are on their way.
        pub state: BlobState,
        /// When somebody last was at work on them.
        pub changed_on: Instant,
    }
}

/// The state of a blob, its row locked.
pub async fn lock_blob(tx: &mut Tx<'_>, key: &BlobKey) -> Result<Option<BlobState>, StoreError> {
    let found = tx
        .query(
            "SELECT state
             FROM blobs
             WHERE location = $1 AND sha256 = $2 AND generation = $3
             FOR UPDATE",
        )
        .bind_all(key.values())
        .fetch_optional::<(BlobState,)>()
        .await?;
    Ok(found.map(|(state,)| state))
}

/// The generation of some content that a location keeps or is about to keep, and its state, its row locked.
pub async fn lock_kept_blob(
    tx: &mut Tx<'_>,
    location: &str,
    sha256: [u8; 32],
) -> Result<Option<(Uuid, BlobState)>, StoreError> {
    tx.query(
        "SELECT generation, state
         FROM blobs
         WHERE location = $1 AND sha256 = $2 AND state <> 'deleting'
         FOR UPDATE",
    )
    .bind(location)
    .bind(sha256)
    .fetch_optional()
    .await
}

/// Says where a blob stands.
pub async fn save_blob(
    tx: &mut Tx<'_>,
    key: &BlobKey,
    size: u64,
    state: BlobState,
    now: Instant,
) -> Result<(), StoreError> {
    let blob = Blob {
        location: key.location.clone(),
        sha256: key.sha256,
        generation: key.generation,
        size,
        state,
        changed_on: now,
    };
    tx.add(&blob)
        .clause(
            "ON CONFLICT (location, sha256, generation) DO UPDATE
             SET state = excluded.state, changed_on = excluded.changed_on",
        )
        .execute()
        .await
        .map(drop)
}

/// Says that somebody is still at work on a blob; whether there was one to say it of.
pub async fn touch_blob(tx: &mut Tx<'_>, key: &BlobKey, now: Instant) -> Result<bool, StoreError> {
    let touched = tx
        .query(
            "UPDATE blobs
             SET changed_on = $4
             WHERE location = $1 AND sha256 = $2 AND generation = $3 AND state <> 'deleting'",
        )
        .bind_all(key.values())
        .bind(now)
        .execute()
        .await?;
    Ok(touched > 0)
}

/// Forgets a blob whose bytes are gone.
pub async fn delete_blob(tx: &mut Tx<'_>, key: &BlobKey) -> Result<(), StoreError> {
    tx.query(
        "DELETE FROM blobs WHERE location = $1 AND sha256 = $2 AND generation = $3 AND state = 'deleting'",
    )
    .bind_all(key.values())
    .execute()
    .await
    .map(drop)
}

/// Blobs that no version needs and that have not changed since `before`.
pub async fn unreferenced(db: &Db, before: Instant) -> Result<Vec<BlobKey>, StoreError> {
    db.query(
        "SELECT b.location, b.sha256, b.generation
         FROM blobs b
         WHERE b.changed_on < $1
           AND NOT EXISTS (SELECT 1 FROM versions v
                           WHERE v.location = b.location AND v.sha256 = b.sha256
                             AND v.generation = b.generation AND v.status <> 'UploadFailed')
         ORDER BY b.changed_on
         LIMIT 100",
    )
    .bind(before)
    .fetch_all()
    .await
}

/// Whether a version needs the blob.
pub async fn is_referenced(tx: &mut Tx<'_>, key: &BlobKey) -> Result<bool, StoreError> {
    let (count,) = tx
        .query(
            "SELECT COUNT(*)
             FROM versions
             WHERE location = $1 AND sha256 = $2 AND generation = $3 AND status <> 'UploadFailed'",
        )
        .bind_all(key.values())
        .fetch_one::<(i64,)>()
        .await?;
    Ok(count > 0)
}
