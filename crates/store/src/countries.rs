//! The countries that an app was added to.

use super::principals::caller_has_role;
use super::{Db, FromRow, Row, StoreError, Tx, principals::PrincipalRef};
use domain::ids::{AppId, Etag};

/// A row of the table.
#[derive(Clone, Debug, PartialEq)]
pub struct Country {
    pub code: String,
    pub etag: Etag,
}

macro_rules! columns {
    () => {
        "t.code, t.etag"
    };
}

/// What a row is read from.
pub const COLUMNS: &str = columns!();

impl FromRow for Country {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            code: row.get(0)?,
            etag: row.get(1)?,
        })
    }
}

/// One country of an app, if the caller has a role on the app.
pub async fn find_country(
    db: &Db,
    principal: PrincipalRef,
    app: AppId,
    code: &str,
) -> Result<Option<Country>, StoreError> {
    db.query(concat!(
        "SELECT ",
        columns!(),
        "
         FROM countries t
         WHERE t.app_id = $4 AND t.code = $5
           AND ",
        caller_has_role!()
    ))
    .bind_all(principal.values())
    .bind(app)
    .bind(code)
    .fetch_optional()
    .await
}

/// One country within a transaction.
pub async fn country_in(tx: &mut Tx<'_>, app: AppId, code: &str) -> Result<Option<Country>, StoreError> {
    tx.query("SELECT code, etag FROM countries WHERE app_id = $1 AND code = $2")
        .bind(app)
        .bind(code)
        .fetch_optional()
        .await
}

/// Adds a country.
pub async fn insert_country(tx: &mut Tx<'_>, app: AppId, country: &Country) -> Result<(), StoreError> {
    tx.query(
        "INSERT INTO countries (app_id, code, etag)
         VALUES ($1, $2, $3)
         ON CONFLICT (app_id, code) DO NOTHING",
    )
    .bind(app)
    .bind(&country.code)
    .bind(country.etag)
    .insert()
    .await
}
