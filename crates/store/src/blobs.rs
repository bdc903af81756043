//! Which package bytes are in which storage location.
//!
//! A row exists before an object reaches its final key, and goes after the object has gone: at every instant the
//! table knows at least what the store holds. States: `storing`, `stored`, `deleting`.
//!
//! Of one content, a location has at most one row that is not `deleting`. Each row has a generation of its own, which is
//! part of its object's key: whoever writes content anew while an older row is being removed writes to another key.

use super::{Db, FromRow, Row, StoreError, Tx};
use domain::instant::Instant;
use uuid::Uuid;

/// Where bytes are on their way to being kept, or to being gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlobState {
    Storing,
    Stored,
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

    fn read(text: &str) -> Self {
        match text {
            "stored" => Self::Stored,
            "deleting" => Self::Deleting,
            _ => Self::Storing,
        }
    }
}

/// Bytes in a location, by their hash, as they were written once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobKey {
    pub location: String,
    pub sha256: [u8; 32],
    pub generation: Uuid,
}

impl FromRow for BlobKey {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            location: row.get(0)?,
            sha256: row.get(1)?,
            generation: row.get(2)?,
        })
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
        .bind(&key.location)
        .bind(key.sha256)
        .bind(key.generation)
        .fetch_optional::<(String,)>()
        .await?;
    Ok(found.map(|(state,)| BlobState::read(&state)))
}

/// The generation of some content that a location keeps or is about to keep, and its state, its row locked.
pub async fn lock_kept_blob(
    tx: &mut Tx<'_>,
    location: &str,
    sha256: [u8; 32],
) -> Result<Option<(Uuid, BlobState)>, StoreError> {
    let found = tx
        .query(
            "SELECT generation, state
             FROM blobs
             WHERE location = $1 AND sha256 = $2 AND state <> 'deleting'
             FOR UPDATE",
        )
        .bind(location)
        .bind(sha256)
        .fetch_optional::<(Uuid, String)>()
        .await?;
    Ok(found.map(|(generation, state)| (generation, BlobState::read(&state))))
}

/// Says where a blob stands.
pub async fn save_blob(
    tx: &mut Tx<'_>,
    key: &BlobKey,
    size: u64,
    state: BlobState,
    now: Instant,
) -> Result<(), StoreError> {
    tx.query(
        "INSERT INTO blobs (location, sha256, generation, size, state, changed_on)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (location, sha256, generation) DO UPDATE
         SET state = excluded.state, changed_on = excluded.changed_on",
    )
    .bind(&key.location)
    .bind(key.sha256)
    .bind(key.generation)
    .bind(i64::try_from(size).unwrap_or(i64::MAX))
    .bind(state.as_str())
    .bind(now)
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
        .bind(&key.location)
        .bind(key.sha256)
        .bind(key.generation)
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
    .bind(&key.location)
    .bind(key.sha256)
    .bind(key.generation)
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
        .bind(&key.location)
        .bind(key.sha256)
        .bind(key.generation)
        .fetch_one::<(i64,)>()
        .await?;
    Ok(count > 0)
}
