//! Starting and ending operations, for many environments at once.
//!
//! Which environment may start work is said in its own row: `due_on` is the first instant at which one of its waiting
//! operations may start, and nothing while none waits, one runs, or the environment is held. So the index over it
//! holds one narrow entry for each environment that a claim should look at, however many operations wait there; a
//! claim reads from its head what it needs, and costs the same among a thousand waiting operations as among a million.

use super::{
    Db, StoreError, Tx, Value,
    dialect::Shape,
    environments::{Environment, InstallationRow, InstalledApp},
    hotfixes::Operation,
    row::row,
};
use domain::{
    country::CountryCode,
    environment::AppScope,
    ids::{AppId, Etag, OperationId},
    instant::Instant,
    operation::{FailureCause, OperationStatus},
    version::AppVersion,
};
use std::collections::HashSet;
use uuid::Uuid;

/// Environments of an agent in which work may start at `now`, the longest due first, with their rows locked. Those that another
/// replica holds are passed over.
pub async fn lock_due_environments(
    tx: &mut Tx<'_>,
    agent: Uuid,
    now: Instant,
    limit: usize,
) -> Result<Vec<Environment>, StoreError> {
    tx.query(due_statement())
        .bind(agent)
        .bind(now)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all()
        .await
}

fn due_statement() -> String {
    format!(
        "SELECT {}
         FROM environments t
         WHERE t.agent_id = $1 AND t.due_on <= $2
         ORDER BY t.due_on, t.id
         LIMIT $3
         FOR UPDATE SKIP LOCKED",
        Environment::COLUMNS
    )
}

/// The identities of the same environments, which can be read even when nothing else of a row can.
pub async fn due_environments(
    db: &Db,
    agent: Uuid,
    now: Instant,
    limit: usize,
) -> Result<Vec<Uuid>, StoreError> {
    let rows = db
        .query(
            "SELECT t.id FROM environments t WHERE t.agent_id = $1 AND t.due_on <= $2 ORDER BY t.due_on, t.id LIMIT $3",
        )
        .bind(agent)
        .bind(now)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all::<(Uuid,)>()
        .await?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

const DUE_OF_AGENTS: &str = "SELECT a.id, (
           SELECT t.due_on
           FROM environments t
           WHERE t.agent_id = a.id AND t.due_on IS NOT NULL
           ORDER BY t.due_on
           LIMIT 1
       )
     FROM agents a
     WHERE a.frozen_on IS NULL";

/// When work may next start in the environments of each agent that may take some on.
pub async fn due_of_agents(db: &Db) -> Result<Vec<(Uuid, Instant)>, StoreError> {
    let agents = db
        .query(DUE_OF_AGENTS)
        .fetch_all::<(Uuid, Option<Instant>)>()
        .await?;
    let due = agents.into_iter().filter_map(|(agent, due)| Some((agent, due?)));
    Ok(due.collect())
}

/// Whether an agent may take work on: it is not frozen, and this is the running process of it that called last.
pub async fn may_take_on(tx: &mut Tx<'_>, agent: Uuid, session: Uuid) -> Result<bool, StoreError> {
    let found = tx
        .query("SELECT id FROM agents WHERE id = $1 AND session_id = $2 AND frozen_on IS NULL")
        .bind(agent)
        .bind(session)
        .fetch_optional::<(Uuid,)>()
        .await?;
    Ok(found.is_some())
}

/// In how many environments work may start at `now`, counted to `most`.
pub async fn count_due(db: &Db, now: Instant, most: i64) -> Result<i64, StoreError> {
    let counting =
        "SELECT COUNT(*) FROM (SELECT 1 AS one FROM environments WHERE due_on <= $1 LIMIT $2) AS due";
    let found = db.query(counting).bind(now).bind(most).fetch_one::<(i64,)>();
    found.await.map(|(count,)| count)
}

/// How many operations are running, counted to `most`.
pub async fn count_running(db: &Db, most: i64) -> Result<i64, StoreError> {
    let counting = "SELECT COUNT(*) FROM (
            SELECT 1 AS one FROM operations WHERE status = 'Running' AND lease_until IS NOT NULL LIMIT $1
         ) AS running";
    let found = db.query(counting).bind(most).fetch_one::<(i64,)>();
    found.await.map(|(count,)| count)
}

pub(crate) fn one_each<T: Into<Value>>(values: impl IntoIterator<Item = T>) -> Vec<Vec<Value>> {
    values.into_iter().map(|value| vec![value.into()]).collect()
}

/// Environments by their identities, their rows locked in the order of those, so that nobody waits in a circle.
pub async fn lock_environments(
    tx: &mut Tx<'_>,
    ids: impl IntoIterator<Item = Uuid>,
) -> Result<Vec<Environment>, StoreError> {
    let sql = format!(
        "SELECT {} FROM {{rows}}, environments t WHERE t.id = {{environment}} ORDER BY t.id FOR UPDATE OF t",
        Environment::COLUMNS
    );
    tx.each(&sql, &[("environment", "uuid")], one_each(ids))
        .fetch_all()
        .await
}

/// Says when work may next start in environments.
pub async fn set_due(
    tx: &mut Tx<'_>,
    due: impl IntoIterator<Item = (Uuid, Option<Instant>)>,
) -> Result<(), StoreError> {
    let rows = due.into_iter().map(|(id, due)| vec![id.into(), due.into()]);
    tx.each(
        "UPDATE environments SET due_on = {due} FROM {rows} WHERE environments.id = {environment}",
        &[("environment", "uuid"), ("due", "bigint")],
        rows.collect(),
    )
    .execute()
    .await
    .map(drop)
}

/// Says that environments must not start work, because nobody knows how an operation ended there.
pub async fn hold_environments(
    tx: &mut Tx<'_>,
    held: impl IntoIterator<Item = (Uuid, OperationId)>,
    since: Instant,
) -> Result<(), StoreError> {
    let rows = held
        .into_iter()
        .map(|(environment, by)| vec![environment.into(), by.into(), since.into()]);
    tx.each(
        "UPDATE environments SET held_since = {since}, held_by = {operation}, due_on = NULL
         FROM {rows}
         WHERE environments.id = {environment}",
        &[
            ("environment", "uuid"),
            ("operation", "uuid"),
            ("since", "bigint"),
        ],
        rows.collect(),
    )
    .execute()
    .await
    .map(drop)
}

/// The operations that wait or run in environments, their rows locked in the order of their identities.
pub async fn lock_occupying(
    tx: &mut Tx<'_>,
    environments: impl IntoIterator<Item = Uuid>,
) -> Result<Vec<Operation>, StoreError> {
    tx.each(
        &occupying_statement(),
        &[("environment", "uuid")],
        one_each(environments),
    )
    .fetch_all()
    .await
}

fn occupying_statement() -> String {
    format!(
        "SELECT {}
         FROM {{rows}}, operations t
         WHERE t.environment_id = {{environment}} AND t.status IN ('Scheduled', 'Running')
         ORDER BY t.id
         FOR UPDATE OF t",
        Operation::COLUMNS
    )
}

row! {
    /// As much of an operation that waits or runs as says when work may next start in its environment.
    pub struct Occupying {
        /// The environment.
        pub environment: Uuid as (environment_id),
        /// Whether it waits or runs.
        pub status: OperationStatus,
        /// Before when it may not start.
        pub run_after: Instant,
        /// Whether it may start outside the environment's window.
        pub ignore_window: bool,
    }
}

/// What waits or runs in environments, but for what is held because its rollout is.
pub async fn occupying(
    tx: &mut Tx<'_>,
    environments: impl IntoIterator<Item = Uuid>,
) -> Result<Vec<Occupying>, StoreError> {
    let sql = format!(
        "SELECT {}
         FROM {{rows}}, operations t
         WHERE t.environment_id = {{environment}} AND t.status IN ('Scheduled', 'Running')
           AND NOT (t.rollout_id IS NOT NULL AND t.status = 'Scheduled'
                    AND EXISTS (SELECT 1 FROM rollout_members m WHERE m.operation_id = t.id AND m.is_held))",
        Occupying::COLUMNS
    );
    tx.each(&sql, &[("environment", "uuid")], one_each(environments))
        .fetch_all()
        .await
}

row! {
    /// An app installed in an environment, by its version only.
    pub struct Installed {
        /// The environment.
        pub environment: Uuid as (environment_id),
        /// The country of its localisation.
        pub country_code: CountryCode,
        /// The app.
        pub app_id: AppId,
        /// The installed version.
        pub version: AppVersion,
        /// The app's name, if the inventory gave it.
        pub name: Option<String> as (app_name),
        /// The app's publisher, if the inventory gave it.
        pub publisher: Option<String> as (app_publisher),
        /// For whom it was published, if the inventory said.
        pub scope: Option<AppScope> as (app_scope),
        /// Whether it can be uninstalled, if the inventory said.
        pub can_be_uninstalled: Option<bool>,
    }
}

/// Everything installed in environments.
pub async fn installed(
    tx: &mut Tx<'_>,
    environments: impl IntoIterator<Item = Uuid>,
) -> Result<Vec<Installed>, StoreError> {
    tx.each(&installed_statement(), INSTALLED_SHAPE, one_each(environments))
        .fetch_all()
        .await
}

pub(crate) const INSTALLED_SHAPE: Shape<'static> = &[("environment", "uuid")];

pub(crate) fn installed_statement() -> String {
    format!(
        "SELECT {}
         FROM {{rows}}, installations t
         WHERE t.environment_id = {{environment}}
         ORDER BY t.app_id",
        Installed::COLUMNS
    )
}

/// What the versions declare is not read with it.
impl From<Installed> for InstalledApp {
    fn from(installed: Installed) -> Self {
        Self {
            app_id: installed.app_id,
            version: installed.version,
            name: installed.name,
            publisher: installed.publisher,
            availability: None,
            dependencies: None,
            scope: installed.scope,
            can_be_uninstalled: installed.can_be_uninstalled,
        }
    }
}

/// An app that now has another version in an environment.
pub struct NowInstalled {
    /// The environment.
    pub environment: Uuid,
    /// The app.
    pub app_id: AppId,
    /// The version that it has now.
    pub version: AppVersion,
}

/// Says what environments now have installed. An inventory that came in the meantime and names a higher version is
/// right: somebody else has brought it there, and nothing goes back to a lower one. An environment in which something
/// changes has another tag from then on.
pub async fn set_installed(
    tx: &mut Tx<'_>,
    installed: impl IntoIterator<Item = NowInstalled>,
) -> Result<(), StoreError> {
    let rows = installed.into_iter().map(|now| {
        let text = now.version.to_string();
        vec![
            now.environment.into(),
            now.app_id.into(),
            now.version.into(),
            text.into(),
        ]
    });
    let rows: Vec<Vec<Value>> = rows.collect();
    let tagged = rows.iter().map(|row| {
        let mut row = row.clone();
        row.truncate(3);
        row.push(Etag::random().into());
        row
    });
    let found = [("environment", "uuid"), ("app", "uuid"), ("version_key", "bytea")];
    tx.each(
        "UPDATE environments SET etag = {etag}
         FROM {rows}
         WHERE environments.id = {environment} AND EXISTS (
             SELECT 1 FROM installations
             WHERE installations.environment_id = {environment} AND installations.app_id = {app}
               AND installations.version_key < {version_key})",
        &[found.as_slice(), &[("etag", "uuid")]].concat(),
        tagged.collect(),
    )
    .execute()
    .await?;
    tx.each(
        "UPDATE installations SET version = {version}, version_key = {version_key}
         FROM {rows}
         WHERE installations.environment_id = {environment} AND installations.app_id = {app}
           AND installations.version_key < {version_key}",
        &[found.as_slice(), &[("version", "text")]].concat(),
        rows,
    )
    .execute()
    .await
    .map(drop)
}

/// Says that apps were brought into environments. Where an inventory names them by now, it is right if its version is higher.
pub async fn add_installed(tx: &mut Tx<'_>, installed: &[InstallationRow]) -> Result<(), StoreError> {
    let clause = "ON CONFLICT (environment_id, app_id) DO UPDATE
         SET version = excluded.version, version_key = excluded.version_key
         WHERE installations.version_key < excluded.version_key";
    tx.add_all_unless(installed, clause).await?;
    tag(tx, installed.iter().map(|row| row.environment_id)).await
}

/// Says that an app was taken out of an environment. An inventory that names a higher version by now is right: somebody has
/// brought it in anew.
pub async fn remove_installed(
    tx: &mut Tx<'_>,
    environment: Uuid,
    app: AppId,
    was: AppVersion,
) -> Result<(), StoreError> {
    tx.query("DELETE FROM installations WHERE environment_id = $1 AND app_id = $2 AND version_key <= $3")
        .bind(environment)
        .bind(app)
        .bind(was)
        .execute()
        .await?;
    tag(tx, [environment]).await
}

/// Gives environments another tag.
async fn tag(tx: &mut Tx<'_>, environments: impl IntoIterator<Item = Uuid>) -> Result<(), StoreError> {
    let rows = environments
        .into_iter()
        .map(|id| vec![id.into(), Etag::random().into()]);
    tx.each(
        "UPDATE environments SET etag = {etag} FROM {rows} WHERE environments.id = {environment}",
        &[("environment", "uuid"), ("etag", "uuid")],
        rows.collect(),
    )
    .execute()
    .await
    .map(drop)
}

/// What waits of a customer's plan, its rows locked in the order of their identities.
pub async fn lock_rest_of_plan(
    tx: &mut Tx<'_>,
    environment: Uuid,
    plan: OperationId,
) -> Result<Vec<Operation>, StoreError> {
    tx.query(format!(
        "SELECT {}
         FROM operations t
         WHERE t.environment_id = $1 AND t.status IN ('Scheduled', 'Running') AND t.status = 'Scheduled'
           AND (t.id = $2 OR t.parent_id = $2)
         ORDER BY t.id
         FOR UPDATE",
        Operation::COLUMNS
    ))
    .bind(environment)
    .bind(plan)
    .fetch_all()
    .await
}

/// The environments that operations are about, with the operations.
pub async fn environments_of(
    tx: &mut Tx<'_>,
    operations: impl IntoIterator<Item = OperationId>,
) -> Result<Vec<(OperationId, Uuid)>, StoreError> {
    tx.each(
        "SELECT t.id, t.environment_id FROM {rows}, operations t WHERE t.id = {operation}",
        &[("operation", "uuid")],
        one_each(operations),
    )
    .fetch_all()
    .await
}

/// Operations, their rows locked in the order of their identities.
pub async fn lock_operations(
    tx: &mut Tx<'_>,
    ids: impl IntoIterator<Item = OperationId>,
) -> Result<Vec<Operation>, StoreError> {
    let sql = format!(
        "SELECT {} FROM {{rows}}, operations t WHERE t.id = {{operation}} ORDER BY t.id FOR UPDATE OF t",
        Operation::COLUMNS
    );
    tx.each(&sql, &[("operation", "uuid")], one_each(ids))
        .fetch_all()
        .await
}

/// What holds an operation while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Its identity.
    pub id: Uuid,
    /// When it ends.
    pub until: Instant,
}

/// Starts operations that are still scheduled; how many were. Each is given as it is from now on.
pub async fn start_operations<'o>(
    tx: &mut Tx<'_>,
    started: impl IntoIterator<Item = &'o Operation>,
) -> Result<u64, StoreError> {
    let rows = started.into_iter().map(|operation| {
        vec![
            operation.id.into(),
            operation.source_version.map(|version| version.to_string()).into(),
            operation.source_version.map(AppVersion::sort_key).into(),
            operation.started_on.into(),
            operation.lease_id.into(),
            operation.lease_until.into(),
            operation.package_sha256.into(),
            operation.package_size.into(),
            operation.agent_id.into(),
            operation.agent_name.clone().into(),
        ]
    });
    tx.each(
        "UPDATE operations
         SET status = 'Running', source_version = {source}, source_version_key = {source_key}, started_on = {started},
             lease_id = {lease}, lease_until = {until}, package_sha256 = {sha256}, package_size = {size},
             agent_id = {agent}, agent_name = {agent_name}
         FROM {rows}
         WHERE operations.id = {operation} AND operations.status = 'Scheduled'",
        &[
            ("operation", "uuid"),
            ("source", "text"),
            ("source_key", "bytea"),
            ("started", "bigint"),
            ("lease", "uuid"),
            ("until", "bigint"),
            ("sha256", "bytea"),
            ("size", "bigint"),
            ("agent", "uuid"),
            ("agent_name", "text"),
        ],
        rows.collect(),
    )
    .execute()
    .await
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Ending {
    /// In which way.
    pub status: OperationStatus,
    /// When it succeeded.
    pub completed_on: Option<Instant>,
    /// When it ended.
    pub ended_on: Instant,
    /// What its agent said of its failure.
    pub error_message: Option<String>,
    /// Why it was skipped or lost.
    pub reason: Option<String>,
    /// Why it failed, as its agent understood it.
    pub failure_cause: Option<FailureCause>,
}

/// Ends operations, each of which is given as it was before; how many still were so.
pub async fn end_operations<'o>(
    tx: &mut Tx<'_>,
    ended: impl IntoIterator<Item = (&'o Operation, &'o Ending)>,
) -> Result<u64, StoreError> {
    let rows = ended.into_iter().map(|(operation, ending)| {
        vec![
            operation.id.into(),
            operation.status.as_str().into(),
            ending.status.as_str().into(),
            ending.completed_on.into(),
            ending.ended_on.into(),
            ending.error_message.clone().into(),
            ending.reason.clone().into(),
            ending.failure_cause.map(FailureCause::as_str).into(),
        ]
    });
    tx.each(
        "UPDATE operations
         SET status = {ending}, completed_on = {completed}, ended_on = {ended}, error_message = {message},
             reason = {reason}, failure_cause = {cause}, lease_until = NULL
         FROM {rows}
         WHERE operations.id = {operation} AND operations.status = {was}",
        &[
            ("operation", "uuid"),
            ("was", "text"),
            ("ending", "text"),
            ("completed", "bigint"),
            ("ended", "bigint"),
            ("message", "text"),
            ("reason", "text"),
            ("cause", "text"),
        ],
        rows.collect(),
    )
    .execute()
    .await
}

/// Lets leases end at `until`, where they do not end later: they do when another server's clock is ahead.
pub async fn renew_leases(
    tx: &mut Tx<'_>,
    operations: impl IntoIterator<Item = OperationId>,
    until: Instant,
) -> Result<(), StoreError> {
    let rows = operations.into_iter().map(|id| vec![id.into(), until.into()]);
    tx.each(
        "UPDATE operations SET lease_until = {until}
         FROM {rows}
         WHERE operations.id = {operation} AND operations.status = 'Running' AND operations.lease_until < {until}",
        &[("operation", "uuid"), ("until", "bigint")],
        rows.collect(),
    )
    .execute()
    .await
    .map(drop)
}

/// What an agent carries out.
pub async fn operations_of_agent(db: &Db, agent: Uuid) -> Result<Vec<Operation>, StoreError> {
    db.query(of_agent_statement()).bind(agent).fetch_all().await
}

fn of_agent_statement() -> String {
    format!(
        "SELECT {} FROM operations t WHERE t.agent_id = $1 AND t.status = 'Running' ORDER BY t.id",
        Operation::COLUMNS
    )
}

/// An operation that an agent carries out, or did.
pub async fn find_operation_of_agent(
    db: &Db,
    agent: Uuid,
    id: OperationId,
) -> Result<Option<Operation>, StoreError> {
    db.query(format!(
        "SELECT {} FROM operations t WHERE t.id = $2 AND t.agent_id = $1",
        Operation::COLUMNS
    ))
    .bind(agent)
    .bind(id)
    .fetch_optional()
    .await
}

/// An operation that an agent carries out, or did, in an environment that belongs to it still.
pub async fn find_operation_within_reach(
    db: &Db,
    agent: Uuid,
    id: OperationId,
) -> Result<Option<Operation>, StoreError> {
    db.query(format!(
        "SELECT {} FROM operations t
         WHERE t.id = $2 AND t.agent_id = $1
           AND EXISTS (SELECT 1 FROM environments e WHERE e.id = t.environment_id AND e.agent_id = $1)",
        Operation::COLUMNS
    ))
    .bind(agent)
    .bind(id)
    .fetch_optional()
    .await
}

/// Which of these operations are in environments that belong to an agent.
pub async fn operations_within_reach(
    tx: &mut Tx<'_>,
    agent: Uuid,
    operations: impl IntoIterator<Item = OperationId>,
) -> Result<HashSet<OperationId>, StoreError> {
    let rows = operations.into_iter().map(|id| vec![id.into(), agent.into()]);
    let found: Vec<(OperationId,)> = tx
        .each(
            "SELECT o.id
             FROM {rows}, operations o, environments e
             WHERE o.id = {operation} AND e.id = o.environment_id AND e.agent_id = {agent}",
            &[("operation", "uuid"), ("agent", "uuid")],
            rows.collect(),
        )
        .fetch_all()
        .await?;
    Ok(found.into_iter().map(|(id,)| id).collect())
}

/// How far an operation has come, as whoever carries it out says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Of a hundred.
    pub percent: Option<u8>,
    /// What is being done.
    pub step: Option<String>,
    /// What was said of it last.
    pub text: Option<String>,
}

/// Says how far an operation has come.
pub async fn set_progress(
    tx: &mut Tx<'_>,
    id: OperationId,
    progress: &Progress,
    now: Instant,
) -> Result<(), StoreError> {
    tx.query(
        "UPDATE operations
         SET progress_percent = $2, progress_step = $3, progress_text = $4, progress_on = $5
         WHERE id = $1",
    )
    .bind(id)
    .bind(progress.percent.map(i64::from))
    .bind(progress.step.clone())
    .bind(progress.text.clone())
    .bind(now)
    .execute()
    .await
    .map(drop)
}

/// Counts that the package of an operation is fetched from its beginning, unless it was so often; whether it is counted.
pub async fn count_download(tx: &mut Tx<'_>, id: OperationId, most: i64) -> Result<bool, StoreError> {
    let changed = tx
        .query(
            "UPDATE operations
             SET downloads = COALESCE(downloads, 0) + 1
             WHERE id = $1 AND COALESCE(downloads, 0) < $2",
        )
        .bind(id)
        .bind(most)
        .execute()
        .await?;
    Ok(changed == 1)
}

/// Where a walk over the leases stands: behind the lease that ends then, of that operation.
pub type LeaseEnd = (Instant, OperationId);

/// Running operations whose lease ended before `now`, with its end, behind `after` in that order.
pub async fn lost_operations(
    db: &Db,
    now: Instant,
    after: Option<LeaseEnd>,
    limit: usize,
) -> Result<Vec<LeaseEnd>, StoreError> {
    let (until, id) = after.unwrap_or((Instant(i64::MIN), OperationId(Uuid::nil())));
    db.query(
        "SELECT lease_until, id
         FROM operations
         WHERE status = 'Running' AND lease_until < $1 AND (lease_until, id) > ($2, $3)
         ORDER BY lease_until, id
         LIMIT $4",
    )
    .bind(now)
    .bind(until)
    .bind(id)
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all()
    .await
}

/// The first instant after `after` at which work may start in an environment.
pub async fn next_due(db: &Db, after: Instant) -> Result<Option<Instant>, StoreError> {
    let found = db
        .query("SELECT due_on FROM environments WHERE due_on > $1 ORDER BY due_on LIMIT 1")
        .bind(after)
        .fetch_optional::<(Option<Instant>,)>()
        .await?;
    Ok(found.and_then(|(due,)| due))
}

/// When the next lease ends, if any operation runs.
pub async fn next_lease_end(db: &Db) -> Result<Option<Instant>, StoreError> {
    let found = db
        .query("SELECT lease_until FROM operations WHERE status = 'Running' ORDER BY lease_until LIMIT 1")
        .fetch_optional::<(Option<Instant>,)>()
        .await?;
    Ok(found.and_then(|(until,)| until))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::DatabaseSettings;
    use crate::{
        FromRow, Row,
        dialect::{Dialect, Shape, for_each_row},
        open,
    };
    use test_support::postgres_cluster;

    struct Step(String);

    impl FromRow for Step {
        fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
            Ok(Self(row.get(3)?))
        }
    }

    async fn plan(db: &Db, sql: &str, shape: Shape<'_>) -> String {
        let sql = for_each_row(Dialect::Sqlite, sql, shape);
        let values = std::iter::repeat_n(Value::Null, sql.matches('?').count());
        let steps = db.query(format!("EXPLAIN QUERY PLAN {sql}")).bind_all(values);
        let steps = steps.fetch_all::<Step>().await.unwrap();
        steps.into_iter().map(|Step(step)| step + "\n").collect()
    }

    #[tokio::test]
    async fn a_claim_walks_from_the_head_of_an_index_and_sorts_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("fame.db").display());
        let db = open(&DatabaseSettings::at(&url)).await.unwrap();
        let due = plan(&db, &due_statement(), &[]).await;
        assert!(due.contains("USING INDEX environments_due_of_agent ("), "{due}");
        assert!(!due.contains("TEMP B-TREE"), "{due}");
        let of_agents = plan(&db, DUE_OF_AGENTS, &[]).await;
        assert!(
            of_agents.contains("USING COVERING INDEX environments_due_of_agent ("),
            "{of_agents}"
        );
        assert!(!of_agents.contains("TEMP B-TREE"), "{of_agents}");
        let of_one = plan(&db, &of_agent_statement(), &[]).await;
        assert!(of_one.contains("USING INDEX operations_of_agent ("), "{of_one}");
        let occupying = plan(&db, &occupying_statement(), &[("environment", "uuid")]).await;
        assert!(occupying.contains("USING INDEX operations_slot"), "{occupying}");
    }

    #[tokio::test]
    async fn a_claim_walks_from_the_head_of_an_index_in_postgres_too() {
        let url = postgres_cluster::database_url();
        drop(open(&DatabaseSettings::at(&url)).await.unwrap());
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
            .await
            .unwrap();
        tokio::spawn(connection);
        // An empty table it would rather read whole.
        let whole = "SET enable_seqscan = off; SET enable_bitmapscan = off";
        client.batch_execute(whole).await.unwrap();
        let plan = async |sql: &str, values: Vec<Value>| {
            let statement = client.prepare(&format!("EXPLAIN {sql}")).await.unwrap();
            let bound: Vec<_> = values
                .iter()
                .map(|value| value as &(dyn tokio_postgres::types::ToSql + Sync))
                .collect();
            let steps = client.query(&statement, &bound).await.unwrap();
            let steps: Vec<String> = steps.iter().map(|step| step.get(0)).collect();
            steps.join("\n")
        };
        let values = vec![Uuid::nil().into(), Value::Int(0), Value::Int(1)];
        let due = plan(&due_statement(), values).await;
        assert!(
            due.contains("Index Scan using environments_due_of_agent on"),
            "{due}"
        );
        assert!(!due.contains("Sort"), "{due}");
        let of_agents = plan(DUE_OF_AGENTS, Vec::new()).await;
        assert!(
            of_agents.contains("using environments_due_of_agent on"),
            "{of_agents}"
        );
        assert!(!of_agents.contains("Sort"), "{of_agents}");
    }
}
