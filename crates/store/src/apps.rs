//! Registered apps.

use super::{Db, Reader, StoreError, Tx, principals::PrincipalRef, row::table};
use domain::{
    ids::{AppId, Etag, TenantId},
    instant::Instant,
    signer::SignerRule,
    version::AppVersion,
};
use std::collections::HashMap;

table! {
    /// An app as the operator registered it.
    #[derive(Clone, Debug, PartialEq)]
    pub struct App in "apps" by [id] {
        /// The app id that its packages name.
        pub id: AppId,
        /// Who publishes it.
        pub publisher: String,
        /// The publisher's directory.
        pub publisher_tenant_id: TenantId,
        /// Where the publisher is reached.
        pub publisher_contact_email: String,
        /// The storage location that its packages go to.
        pub storage_location: String => Location,
        /// The name that its highest version gives it; none before the first.
        pub name: Option<String>,
        // Only `name_app` knows the version that gave the name; a new app has none.
        derived name_version_key(_row) -> Option<[u8; 16]> { None },
        /// The tag of its state.
        pub etag: Etag,
        /// When it was registered.
        pub created_on: Instant,
        /// Who must have signed its packages.
        pub signer_rule: SignerRule,
    }
}

/// One app, if the caller has a role on it.
pub async fn find_app(db: &Db, principal: PrincipalRef, app: AppId) -> Result<Option<App>, StoreError> {
    let has_role = principal.has_role();
    db.query(format!(
        "SELECT {} FROM apps t WHERE t.id = $5 AND {has_role}",
        App::COLUMNS
    ))
    .bind_all(principal.values())
    .bind(app)
    .fetch_optional()
    .await
}

/// One app, for the operator.
pub async fn find_any_app(db: &Db, app: AppId) -> Result<Option<App>, StoreError> {
    db.query(format!("SELECT {} FROM apps t WHERE t.id = $1", App::COLUMNS))
        .bind(app)
        .fetch_optional()
        .await
}

/// One app within a transaction, its row locked: what is decided about its owners and versions then holds.
pub async fn lock_app(tx: &mut Tx<'_>, app: AppId) -> Result<Option<App>, StoreError> {
    tx.query(format!(
        "SELECT {} FROM apps t WHERE t.id = $1 FOR UPDATE",
        App::COLUMNS
    ))
    .bind(app)
    .fetch_optional()
    .await
}

/// Registers an app.
pub async fn insert_app(tx: &mut Tx<'_>, app: &App) -> Result<(), StoreError> {
    tx.add(app).clause("ON CONFLICT (id) DO NOTHING").insert().await
}

/// What the operator registers of an app.
const REGISTERED: &[&str] = &[
    "publisher",
    "publisher_tenant_id",
    "publisher_contact_email",
    "storage_location",
    "etag",
    "signer_rule",
];

/// Replaces what was registered of an app. Its name comes from its versions and stays.
pub async fn update_app(tx: &mut Tx<'_>, app: &App) -> Result<(), StoreError> {
    tx.update(app, REGISTERED).execute().await.map(drop)
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

/// Who must have signed an app's packages.
pub async fn signer_rule(tx: &mut Tx<'_>, app: AppId) -> Result<SignerRule, StoreError> {
    let (rule,) = tx
        .query("SELECT signer_rule FROM apps WHERE id = $1")
        .bind(app)
        .fetch_one()
        .await?;
    Ok(rule)
}

/// Who must have signed the packages of apps, where somebody must.
pub async fn signer_rules(reader: &mut Reader<'_, '_>) -> Result<HashMap<AppId, SignerRule>, StoreError> {
    let rows = reader
        .query("SELECT id, signer_rule FROM apps WHERE signer_rule <> 'none'")
        .fetch_all::<(AppId, SignerRule)>()
        .await?;
    Ok(rows.into_iter().collect())
}

/// The storage locations that hold, or are to hold, packages.
pub async fn locations_in_use(db: &Db) -> Result<Vec<String>, StoreError> {
    let rows = db
        .query("SELECT storage_location FROM apps UNION SELECT location FROM versions UNION SELECT location FROM blobs")
        .fetch_all::<(String,)>()
        .await?;
    Ok(rows.into_iter().map(|(location,)| location).collect())
}
