//! Registered apps.

use super::principals::caller_has_role;
use super::{Db, FromRow, Row, StoreError, Tx, principals::PrincipalRef};
use domain::{
    ids::{AppId, Etag, TenantId},
    instant::Instant,
    version::AppVersion,
};

/// A row of the table.
#[derive(Clone, Debug, PartialEq)]
pub struct App {
    pub id: AppId,
    pub publisher: String,
    pub publisher_tenant_id: TenantId,
    pub publisher_contact_email: String,
    pub storage_location: String,
    pub name: Option<String>,
    pub etag: Etag,
    pub created_on: Instant,
}

macro_rules! columns {
    () => {
        "t.id, t.publisher, t.publisher_tenant_id, t.publisher_contact_email, t.storage_location, t.name, t.etag, t.created_on"
    };
}

/// What a row is read from.
pub const COLUMNS: &str = columns!();

impl FromRow for App {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.get(0)?,
            publisher: row.get(1)?,
            publisher_tenant_id: row.get(2)?,
            publisher_contact_email: row.get(3)?,
            storage_location: row.get(4)?,
            name: row.get(5)?,
            etag: row.get(6)?,
            created_on: row.get(7)?,
        })
    }
}

/// One app, if the caller has a role on it.
pub async fn find_app(db: &Db, principal: PrincipalRef, app: AppId) -> Result<Option<App>, StoreError> {
    db.query(concat!(
        "SELECT ",
        columns!(),
        "
         FROM apps t
         WHERE t.id = $4
           AND ",
        caller_has_role!()
    ))
    .bind_all(principal.values())
    .bind(app)
    .fetch_optional()
    .await
}

/// One app, for the operator.
pub async fn find_any_app(db: &Db, app: AppId) -> Result<Option<App>, StoreError> {
    db.query(concat!(
        "SELECT ",
        columns!(),
        "
         FROM apps t
         WHERE t.id = $1"
    ))
    .bind(app)
    .fetch_optional()
    .await
}

/// One app within a transaction, its row locked: what is decided about its owners and versions then holds.
pub async fn lock_app(tx: &mut Tx<'_>, app: AppId) -> Result<Option<App>, StoreError> {
    tx.query(concat!(
        "SELECT ",
        columns!(),
        " FROM apps t WHERE t.id = $1 FOR UPDATE"
    ))
    .bind(app)
    .fetch_optional()
    .await
}

/// Registers an app.
pub async fn insert_app(tx: &mut Tx<'_>, app: &App) -> Result<(), StoreError> {
    tx.query(
        "INSERT INTO apps (id, publisher, publisher_tenant_id, publisher_contact_email, storage_location, etag, created_on)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (id) DO NOTHING",
    )
    .bind(app.id)
    .bind(&app.publisher)
    .bind(app.publisher_tenant_id)
    .bind(&app.publisher_contact_email)
    .bind(&app.storage_location)
    .bind(app.etag)
    .bind(app.created_on)
    .insert()
    .await
}

/// Replaces what was registered of an app. Its name comes from its versions and stays.
pub async fn update_app(tx: &mut Tx<'_>, app: &App) -> Result<(), StoreError> {
    tx.query(
        "UPDATE apps
         SET publisher = $2, publisher_tenant_id = $3, publisher_contact_email = $4, storage_location = $5, etag = $6
         WHERE id = $1",
    )
    .bind(app.id)
    .bind(&app.publisher)
    .bind(app.publisher_tenant_id)
    .bind(&app.publisher_contact_email)
    .bind(&app.storage_location)
    .bind(app.etag)
    .execute()
    .await
    .map(drop)
}

/// Names an app after its highest version. The name is no part of the app's state, so its tag stays.
pub async fn name_app(
    tx: &mut Tx<'_>,
    app: AppId,
    name: &str,
    version: AppVersion,
) -> Result<(), StoreError> {
    tx.query(
        "UPDATE apps
         SET name = $2, name_version_key = $3
         WHERE id = $1 AND (name_version_key IS NULL OR name_version_key <= $3)",
    )
    .bind(app)
    .bind(name)
    .bind(version)
    .execute()
    .await
    .map(drop)
}

/// The storage locations that hold, or are to hold, packages.
pub async fn locations_in_use(db: &Db) -> Result<Vec<String>, StoreError> {
    let rows = db
        .query("SELECT storage_location FROM apps UNION SELECT location FROM versions UNION SELECT location FROM blobs")
        .fetch_all::<(String,)>()
        .await?;
    Ok(rows.into_iter().map(|(location,)| location).collect())
}
