//! What the operator has stopped, and when nothing of an app starts.

use super::{
    Db, Field, Reader, Row, StoreError, Tx, Value, environments::placeholders, row::table, table::Kind,
};
use domain::{
    country::CountryCode,
    environment::EnvironmentKind,
    freeze::{Frozen, FrozenPlaces, FrozenSpan},
    ids::{AppId, Etag},
    instant::Instant,
};
use std::{fmt::Display, str::FromStr};
use uuid::Uuid;

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

table! {
    /// A span of time in which nothing of an app starts.
    #[derive(Clone, Debug, PartialEq)]
    pub struct AppFreeze in "app_freezes" by [id] {
        /// By which it is found.
        pub id: Uuid,
        /// The app.
        pub app_id: AppId,
        /// When.
        pub span: FrozenSpan as (begins_on, ends_on),
        /// Where.
        pub places: FrozenPlaces as (countries, kinds),
        /// Why, for those whose hotfixes wait.
        pub reason: String,
        /// When it was declared.
        pub created_on: Instant,
        /// By whom: `User/tenant/id` or `Application/id`.
        pub created_by: String,
        /// The tag of its state.
        pub etag: Etag,
    }
}

impl AppFreeze {
    /// Whether it is about hotfixes of an app in such an environment, whenever.
    pub fn concerns(&self, app: AppId, country: CountryCode, kind: EnvironmentKind) -> bool {
        self.app_id == app && self.places.include(country, kind)
    }
}

/// Its first instant, and the first behind it.
impl Field for FrozenSpan {
    const COLUMNS: &'static [(Kind, bool)] = &[(Kind::Ticks, false); 2];

    fn read(row: &Row<'_>, at: &mut usize) -> Result<Self, StoreError> {
        Ok(Self {
            begins_on: Field::read(row, at)?,
            ends_on: Field::read(row, at)?,
        })
    }

    fn write(&self, values: &mut Vec<Value>) {
        values.extend([self.begins_on, self.ends_on].map(Value::from));
    }
}

/// Countries and kinds, with blanks between; nothing where all are meant.
impl Field for FrozenPlaces {
    const COLUMNS: &'static [(Kind, bool)] = &[(Kind::Text, true); 2];

    fn read(row: &Row<'_>, at: &mut usize) -> Result<Self, StoreError> {
        Ok(Self {
            countries: words(Field::read(row, at)?)?,
            kinds: words(Field::read(row, at)?)?,
        })
    }

    fn write(&self, values: &mut Vec<Value>) {
        values.push(joined(&self.countries).into());
        values.push(joined(&self.kinds).into());
    }
}

fn words<T, C>(text: Option<String>) -> Result<C, StoreError>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
    C: FromIterator<T>,
{
    let read = text.iter().flat_map(|text| text.split(' ')).map(str::parse);
    read.collect::<Result<C, _>>().map_err(StoreError::broken)
}

fn joined<T: Display>(words: impl IntoIterator<Item = T>) -> Option<String> {
    let words: Vec<_> = words.into_iter().map(|word| word.to_string()).collect();
    (!words.is_empty()).then(|| words.join(" "))
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

fn one_of_app() -> String {
    format!("SELECT {} FROM app_freezes t WHERE t.id = $1", AppFreeze::COLUMNS)
}

/// A freeze of an app.
pub async fn find_app_freeze(db: &Db, app: AppId, id: Uuid) -> Result<Option<AppFreeze>, StoreError> {
    db.query(one_of_app())
        .clause("AND t.app_id = $2")
        .bind(id)
        .bind(app)
        .fetch_optional()
        .await
}

/// A freeze of whichever app within a transaction, its row locked.
pub async fn lock_app_freeze(tx: &mut Tx<'_>, id: Uuid) -> Result<Option<AppFreeze>, StoreError> {
    tx.query(one_of_app())
        .clause("FOR UPDATE")
        .bind(id)
        .fetch_optional()
        .await
}

/// How many freezes an app has that are not over.
pub async fn count_app_freezes(tx: &mut Tx<'_>, app: AppId, now: Instant) -> Result<u64, StoreError> {
    let (count,) = tx
        .query("SELECT COUNT(*) FROM app_freezes WHERE app_id = $1 AND ends_on > $2")
        .bind(app)
        .bind(now)
        .fetch_one::<(u64,)>()
        .await?;
    Ok(count)
}

/// Declares a freeze of an app, or changes one.
pub async fn save_app_freeze(tx: &mut Tx<'_>, freeze: &AppFreeze) -> Result<(), StoreError> {
    tx.add(freeze)
        .clause(
            "ON CONFLICT (id) DO UPDATE
             SET begins_on = excluded.begins_on, ends_on = excluded.ends_on, countries = excluded.countries,
                 kinds = excluded.kinds, reason = excluded.reason, etag = excluded.etag",
        )
        .execute()
        .await
        .map(drop)
}

/// Removes a freeze of an app.
pub async fn delete_app_freeze(tx: &mut Tx<'_>, id: Uuid) -> Result<(), StoreError> {
    tx.query("DELETE FROM app_freezes WHERE id = $1")
        .bind(id)
        .execute()
        .await
        .map(drop)
}

/// The freezes of all apps that an instant lies in.
pub async fn app_freezes_at(tx: &mut Tx<'_>, at: Instant) -> Result<Vec<AppFreeze>, StoreError> {
    tx.query(format!(
        "SELECT {} FROM app_freezes t WHERE t.begins_on <= $1 AND t.ends_on > $1",
        AppFreeze::COLUMNS
    ))
    .bind(at)
    .fetch_all()
    .await
}

/// The freezes of an app that are not over at an instant.
pub async fn app_freezes_after(db: &Db, app: AppId, at: Instant) -> Result<Vec<AppFreeze>, StoreError> {
    db.query(format!(
        "SELECT {} FROM app_freezes t WHERE t.app_id = $1 AND t.ends_on > $2",
        AppFreeze::COLUMNS
    ))
    .bind(app)
    .bind(at)
    .fetch_all()
    .await
}
