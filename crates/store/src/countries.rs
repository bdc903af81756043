//! The countries that an app was added to.

use super::{Db, Reader, StoreError, Tx, principals::PrincipalRef, row::table};
use domain::{
    country::CountryCode,
    ids::{AppId, Etag},
};

table! {
    /// A country that an app was added to.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Country in "countries" by [app_id, code] {
        /// The app.
        pub app_id: AppId,
        /// The country.
        pub code: CountryCode,
        /// The tag of its state.
        pub etag: Etag,
    }
}

/// One country of an app, if the caller has a role on the app.
pub async fn find_country(
    db: &Db,
    principal: PrincipalRef,
    app: AppId,
    code: CountryCode,
) -> Result<Option<Country>, StoreError> {
    let has_role = principal.has_role();
    db.query(format!(
        "SELECT {}
         FROM countries t
         WHERE t.app_id = $5 AND t.code = $6 AND {has_role}",
        Country::COLUMNS
    ))
    .bind_all(principal.values())
    .bind(app)
    .bind(code)
    .fetch_optional()
    .await
}

/// One country within a transaction.
pub async fn country_in(
    tx: &mut Tx<'_>,
    app: AppId,
    code: CountryCode,
) -> Result<Option<Country>, StoreError> {
    tx.query(format!(
        "SELECT {} FROM countries t WHERE t.app_id = $1 AND t.code = $2",
        Country::COLUMNS
    ))
    .bind(app)
    .bind(code)
    .fetch_optional()
    .await
}

/// Adds a country.
pub async fn insert_country(tx: &mut Tx<'_>, country: &Country) -> Result<(), StoreError> {
    tx.add(country)
        .clause("ON CONFLICT (app_id, code) DO NOTHING")
        .insert()
        .await
}

/// The countries of an app, in order.
pub async fn countries_of<'r, 't: 'r>(
    reader: impl Into<Reader<'r, 't>>,
    app: AppId,
) -> Result<Vec<CountryCode>, StoreError> {
    let mut reader = reader.into();
    let query = reader.query("SELECT t.code FROM countries t WHERE t.app_id = $1 ORDER BY t.code");
    let rows: Vec<(CountryCode,)> = query.bind(app).fetch_all().await?;
    Ok(rows.into_iter().map(|(code,)| code).collect())
}
