//! What a version is to others in its country: which environments have it, and which apps need it.

use super::{Db, StoreError, environments::Installation, row::row, versions::VersionKey};
use domain::{
    catalogue::{StandardPart, standard_part},
    ids::AppId,
    version::{AppVersion, Availability, Dependency},
};

row! {
    /// A version of an app that may need another.
    pub struct Dependant {
        /// What it needs.
        pub dependencies: Vec<Dependency>,
    }
}

/// How many environments have a version, and how many of these are for production.
pub async fn count_installations(db: &Db, key: &VersionKey) -> Result<(u64, u64), StoreError> {
    db.query(
        "SELECT COUNT(*), COUNT(CASE WHEN kind = 'Production' THEN 1 END)
         FROM installations
         WHERE app_id = $1 AND country_code = $2 AND version_key = $3",
    )
    .bind_all(key.values())
    .fetch_one()
    .await
}

/// The first `most` environments that have a version.
pub async fn some_installations(
    db: &Db,
    key: &VersionKey,
    most: i64,
) -> Result<Vec<Installation>, StoreError> {
    db.query(format!(
        "SELECT {}
         FROM installations t
         WHERE t.app_id = $1 AND t.country_code = $2 AND t.version_key = $3
         ORDER BY t.tenant_id, t.name_key, t.family_key
         LIMIT $4",
        Installation::COLUMNS
    ))
    .bind_all(key.values())
    .bind(most)
    .fetch_all()
    .await
}

/// How many hotfixes wait that lead to a version.
pub async fn count_scheduled(db: &Db, key: &VersionKey) -> Result<u64, StoreError> {
    db.query(
        "SELECT COUNT(*)
         FROM operations
         WHERE app_id = $1 AND country_code = $2 AND target_version_key = $3 AND status = 'Scheduled' AND kind = 'Hotfix'",
    )
    .bind_all(key.values())
    .fetch_one::<(u64,)>()
    .await
    .map(|(count,)| count)
}

/// Which versions of another app the environments have that have a version, and how many have each.
pub async fn versions_beside(
    db: &Db,
    key: &VersionKey,
    other: AppId,
) -> Result<Vec<(Option<AppVersion>, u64)>, StoreError> {
    let (version, joined) = match standard_part(other) {
        Some(StandardPart::Application) => ("e.application_version", ""),
        Some(StandardPart::Platform) => ("e.platform_version", ""),
        None => (
            "o.version",
            "LEFT JOIN installations o ON o.environment_id = t.environment_id AND o.app_id = $4",
        ),
    };
    let query = db.query(format!(
        "SELECT {version}, COUNT(*)
         FROM installations t
         JOIN environments e ON e.id = t.environment_id
         {joined}
         WHERE t.app_id = $1 AND t.country_code = $2 AND t.version_key = $3
         GROUP BY {version}"
    ));
    let query = query.bind_all(key.values());
    match joined {
        "" => query.fetch_all().await,
        _ => query.bind(other).fetch_all().await,
    }
}

/// What the versions of other apps need that are offered in the country and may need this app.
pub async fn dependants(db: &Db, key: &VersionKey) -> Result<Vec<Dependant>, StoreError> {
    db.query(format!(
        "SELECT {}
         FROM versions t
         WHERE t.country_code = $1 AND t.app_id <> $2 AND t.status = 'Uploaded' AND t.availability <> 'Deprecated'
           AND t.dependencies LIKE $3",
        Dependant::COLUMNS
    ))
    .bind(key.country_code)
    .bind(key.app_id)
    .bind(format!("%{}%", key.app_id))
    .fetch_all()
    .await
}

/// The versions of an app in a country, and to whom each is offered.
pub async fn availabilities(
    db: &Db,
    key: &VersionKey,
) -> Result<Vec<(AppVersion, Availability)>, StoreError> {
    db.query(
        "SELECT version, availability
         FROM versions
         WHERE app_id = $1 AND country_code = $2 AND status = 'Uploaded'",
    )
    .bind(key.app_id)
    .bind(key.country_code)
    .fetch_all()
    .await
}
