//! A vendor's own words on the environments that have its app.

use super::{StoreError, Tx, environments::Installation, row::table};
use domain::{ids::AppId, tags::Tags};
use uuid::Uuid;

table! {
    /// The tags of an app on an environment. Where there is none there is no row.
    #[derive(Clone, Debug, PartialEq)]
    pub struct EnvironmentTags in "environment_tags" by [environment_id, app_id] {
        /// The app.
        pub app_id: AppId,
        /// The environment.
        pub environment_id: Uuid,
        /// The tags.
        pub tags: Tags,
    }
}

/// Those of these environments that have the app installed, within the transaction that has locked them.
pub async fn tagged_in(
    tx: &mut Tx<'_>,
    app: AppId,
    environments: impl IntoIterator<Item = Uuid>,
) -> Result<Vec<Installation>, StoreError> {
    let sql = format!(
        "SELECT {} FROM {{rows}}, installations t WHERE t.environment_id = {{environment}} AND t.app_id = {{app}}",
        Installation::COLUMNS
    );
    tx.each(&sql, KEY, keys(app, environments)).fetch_all().await
}

const KEY: &[(&str, &str)] = &[("environment", "uuid"), ("app", "uuid")];

fn keys(app: AppId, environments: impl IntoIterator<Item = Uuid>) -> Vec<Vec<super::Value>> {
    let keys = environments.into_iter();
    keys.map(|environment| vec![environment.into(), app.into()])
        .collect()
}

/// Gives environments of an app these tags in place of those that they have.
pub async fn save_tags(tx: &mut Tx<'_>, app: AppId, tagged: &[(Uuid, Tags)]) -> Result<(), StoreError> {
    let (bare, tagged): (Vec<_>, Vec<_>) = tagged.iter().partition(|(_, tags)| tags.is_empty());
    let sql = "DELETE FROM environment_tags WHERE (environment_id, app_id) IN (SELECT {environment}, {app} FROM {rows})";
    let bare = bare.into_iter().map(|(environment, _)| *environment);
    tx.each(sql, KEY, keys(app, bare)).execute().await?;
    let rows: Vec<_> = tagged
        .into_iter()
        .map(|(environment_id, tags)| EnvironmentTags {
            app_id: app,
            environment_id: *environment_id,
            tags: tags.clone(),
        })
        .collect();
    let clause = "ON CONFLICT (environment_id, app_id) DO UPDATE SET tags = excluded.tags";
    tx.add_all_unless(&rows, clause).await.map(drop)
}
