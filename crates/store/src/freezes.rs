//! What the operator has stopped.

use super::{Db, Reader, StoreError, Tx, Value, environments::placeholders, row::table};
use domain::{freeze::Frozen, ids::Etag, instant::Instant};

table! {
    /// Something that is stopped, and why.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Freeze in "freezes" by [subject] {
        /// What is frozen.
        pub subject: Frozen,
        /// Why, for those who are kept from what they ask for.
        pub reason: String,
        /// Since when.
        pub frozen_on: Instant,
        /// Who froze it: `User/tenant/id` or `Application/id`.
        pub frozen_by: String,
        /// The tag of its state.
        pub etag: Etag,
    }
}

fn one() -> String {
    format!("SELECT {} FROM freezes t WHERE t.subject = $1", Freeze::COLUMNS)
}

/// One freeze.
pub async fn find_freeze(db: &Db, subject: Frozen) -> Result<Option<Freeze>, StoreError> {
    db.query(one()).bind(subject.to_string()).fetch_optional().await
}

/// One freeze within a transaction, its row locked.
pub async fn lock_freeze(tx: &mut Tx<'_>, subject: Frozen) -> Result<Option<Freeze>, StoreError> {
    let sql = format!("{} FOR UPDATE", one());
    tx.query(sql).bind(subject.to_string()).fetch_optional().await
}

fn first_of(count: usize) -> String {
    format!(
        "SELECT {}
         FROM freezes t
         WHERE t.subject IN ({})
         ORDER BY t.subject
         LIMIT 1",
        Freeze::COLUMNS,
        placeholders(count)
    )
}

fn texts(subjects: &[Frozen]) -> impl Iterator<Item = Value> {
    subjects.iter().map(|subject| subject.to_string().into())
}

/// The first of these that is frozen.
pub async fn find_first<'r, 't: 'r>(
    reader: impl Into<Reader<'r, 't>>,
    subjects: &[Frozen],
) -> Result<Option<Freeze>, StoreError> {
    if subjects.is_empty() {
        return Ok(None);
    }
    let mut reader = reader.into();
    let query = reader.query(first_of(subjects.len())).bind_all(texts(subjects));
    query.fetch_optional().await
}

/// Everything that is frozen.
pub async fn all<'r, 't: 'r>(reader: impl Into<Reader<'r, 't>>) -> Result<Vec<Frozen>, StoreError> {
    let mut reader = reader.into();
    let rows = reader
        .query("SELECT subject FROM freezes")
        .fetch_all::<(Frozen,)>()
        .await?;
    Ok(rows.into_iter().map(|(subject,)| subject).collect())
}

/// Freezes something, or says anew why.
pub async fn save_freeze(tx: &mut Tx<'_>, freeze: &Freeze) -> Result<(), StoreError> {
    tx.add(freeze)
        .clause(
            "ON CONFLICT (subject) DO UPDATE
             SET reason = excluded.reason, frozen_on = excluded.frozen_on, frozen_by = excluded.frozen_by,
                 etag = excluded.etag",
        )
        .execute()
        .await
        .map(drop)
}

/// Lets it go on.
pub async fn delete_freeze(tx: &mut Tx<'_>, subject: Frozen) -> Result<(), StoreError> {
    tx.query("DELETE FROM freezes WHERE subject = $1")
        .bind(subject.to_string())
        .execute()
        .await
        .map(drop)
}
