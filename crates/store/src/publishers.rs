//! Trusted publishers, the tokens that runs of their pipelines were given, and which tokens of pipelines were exchanged.

use super::{
    Db, FromRow, Row, StoreError, Tx,
    principals::{AppAccess, PrincipalRef},
    row::{row, table},
};
use domain::{
    country::CountryCode,
    ids::{AppId, Etag},
    instant::Instant,
    principal::{Role, Roles},
    publisher::{Binding, Grant, PipelineToken, Provider, PublisherState, Right},
    version::Availability,
};
use std::{collections::BTreeSet, str::FromStr};
use uuid::Uuid;

table! {
    /// Which runs of a pipeline may act for an app, and what they may.
    #[derive(Clone, Debug, PartialEq)]
    pub struct TrustedPublisher in "trusted_publishers" by [id] {
        /// By which it is found.
        pub id: Uuid,
        /// The app.
        pub app_id: AppId,
        /// Whose pipeline.
        pub provider: Provider,
        /// Who issues its tokens.
        pub issuer: String,
        /// The repository, as it was written.
        pub repository: String,
        derived repository_key(row) -> String { repository_key(&row.repository) },
        /// Its id.
        pub repository_id: Option<String>,
        /// The id of its owner.
        pub owner_id: Option<String>,
        /// The workflow's file, or the pipeline's id.
        pub workflow: String,
        /// The workflow that the job itself has to be in.
        pub job_workflow: Option<String>,
        /// The deployment environment that the job has to have.
        pub environment: Option<String>,
        /// The pattern that the branch or tag has to fit.
        pub ref_pattern: Option<String>,
        /// What may begin a run, with blanks between.
        pub events: String,
        /// What it has to run on.
        pub runner_environment: String,
        /// What it may, with blanks between.
        pub may: String,
        /// The highest availability that it may give.
        pub max_availability: Availability,
        /// The countries that it is confined to, with blanks between; none: all of the app's.
        pub countries: Option<String>,
        /// How long its tokens are good.
        pub lifetime_seconds: u32,
        /// How far it has come.
        pub state: PublisherState,
        /// Until when it waits for its first exchange.
        pub pending_until: Option<Instant>,
        /// When its ids were locked to those of a run.
        pub locked_on: Option<Instant>,
        /// When it was made.
        pub created_on: Instant,
        /// By whom.
        pub created_by: String,
        /// When a run was last given a token.
        pub used_on: Option<Instant>,
        /// The tag of its state.
        pub etag: Etag,
        /// When a run last asked for it by its app or its id.
        pub named_on: Option<Instant>,
    }
}

table! {
    /// A token that a run was given.
    #[derive(Clone, Debug, PartialEq)]
    pub struct PublisherToken in "publisher_tokens" by [id] {
        /// By which it is found again.
        pub id: Uuid,
        /// Whose run it was given to.
        pub publisher_id: Uuid,
        /// The app that it opens.
        pub app_id: AppId,
        /// SHA-256 of its text.
        pub sha256: [u8; 32],
        /// The run, as its pipeline numbers it.
        pub run: Option<String>,
        /// The repository, as its pipeline called it then.
        pub repository: String,
        /// When it was given.
        pub issued_on: Instant,
        /// When it ends.
        pub expires_on: Instant,
        /// When it was ended before.
        pub revoked_on: Option<Instant>,
        /// The last four characters of its text.
        pub last_four: String,
        /// When it was last used, as far as that was noted.
        pub used_on: Option<Instant>,
    }
}

table! {
    /// Ids that a publisher of an app was locked to, and that no Owner of it has confirmed.
    #[derive(Clone, Debug, PartialEq)]
    pub struct UnconfirmedIds in "unconfirmed_ids" by [app_id, issuer, repository_id, owner_id] {
        /// The app.
        pub app_id: AppId,
        /// Who issued the token that said them.
        pub issuer: String,
        /// The id of the repository.
        pub repository_id: String,
        /// The id of its owner.
        pub owner_id: String,
    }
}

table! {
    /// A token of a pipeline that was exchanged.
    pub struct Exchange in "publisher_exchanges" by [token_sha256] {
        /// What tells it from every other.
        pub token_sha256: [u8; 32],
        /// Until when it could come again.
        pub remembered_until: Instant,
    }
}

/// What can be changed of a publisher.
const CHANGEABLE: &[&str] = &[
    "provider",
    "issuer",
    "repository",
    "repository_key",
    "repository_id",
    "owner_id",
    "workflow",
    "job_workflow",
    "environment",
    "ref_pattern",
    "events",
    "runner_environment",
    "may",
    "max_availability",
    "countries",
    "lifetime_seconds",
    "state",
    "pending_until",
    "locked_on",
    "used_on",
    "etag",
    "named_on",
];

/// How the name of a repository is looked for: it is the same in any case.
fn repository_key(repository: &str) -> String {
    repository.to_lowercase()
}

/// The words of a text with blanks between, as far as they are known.
fn words<T: FromStr + Ord>(text: &str) -> BTreeSet<T> {
    text.split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect()
}

fn grant(
    provider: Provider,
    state: PublisherState,
    may: &str,
    max_availability: Availability,
    countries: Option<&str>,
) -> Grant {
    Grant {
        provider,
        state,
        may: words::<Right>(may),
        max_availability,
        countries: countries.map(words::<CountryCode>),
    }
}

impl TrustedPublisher {
    /// Which runs are meant.
    pub fn binding(&self) -> Binding {
        Binding {
            provider: self.provider,
            issuer: self.issuer.clone(),
            repository: self.repository.clone(),
            repository_id: self.repository_id.clone(),
            owner_id: self.owner_id.clone(),
            workflow: self.workflow.clone(),
            job_workflow: self.job_workflow.clone(),
            environment: self.environment.clone(),
            ref_pattern: self.ref_pattern.clone(),
            events: self.events.split_whitespace().map(str::to_owned).collect(),
            runner_environment: self.runner_environment.clone(),
        }
    }

    /// What they may.
    pub fn grant(&self) -> Grant {
        let Self {
            provider,
            state,
            max_availability,
            ..
        } = *self;
        grant(
            provider,
            state,
            &self.may,
            max_availability,
            self.countries.as_deref(),
        )
    }
}

fn one() -> String {
    format!(
        "SELECT {} FROM trusted_publishers t WHERE t.app_id = $1 AND t.id = $2",
        TrustedPublisher::COLUMNS
    )
}

/// One publisher of an app.
pub async fn find_publisher(db: &Db, app: AppId, id: Uuid) -> Result<Option<TrustedPublisher>, StoreError> {
    db.query(one()).bind(app).bind(id).fetch_optional().await
}

/// A publisher within a transaction, its row locked, whosever app it belongs to.
pub async fn lock_publisher(tx: &mut Tx<'_>, id: Uuid) -> Result<Option<TrustedPublisher>, StoreError> {
    let sql = format!(
        "SELECT {} FROM trusted_publishers t WHERE t.id = $1\nFOR UPDATE",
        TrustedPublisher::COLUMNS
    );
    tx.query(sql).bind(id).fetch_optional().await
}

/// How many publishers an app has. Its row must be locked.
pub async fn count_publishers(tx: &mut Tx<'_>, app: AppId) -> Result<u64, StoreError> {
    tx.query("SELECT COUNT(*) FROM trusted_publishers WHERE app_id = $1")
        .bind(app)
        .fetch_one::<(u64,)>()
        .await
        .map(|(count,)| count)
}

/// Up to `most` publishers that a run of a repository could mean, by its name or its id, of one app and one id where these
/// are known. Those that have both of its ids come first, since anybody can name a repository; then those that a run has
/// named, since anybody can name ids that are public; then the oldest.
pub async fn publishers_of(
    db: &Db,
    run: &PipelineToken,
    (app, id): (Option<AppId>, Option<Uuid>),
    most: i64,
) -> Result<Vec<TrustedPublisher>, StoreError> {
    let text = |said: &Option<String>| said.clone().unwrap_or_default();
    db.query(format!(
        "SELECT {}
         FROM trusted_publishers t
         WHERE t.issuer = $1 AND (t.repository_key = $2 OR t.repository_id = $3)
           AND t.app_id = COALESCE($5, t.app_id) AND t.id = COALESCE($6, t.id)
         ORDER BY CASE WHEN t.repository_id = $3 AND t.owner_id = $4 THEN 0 ELSE 1 END,
                  CASE WHEN t.named_on IS NULL THEN 1 ELSE 0 END,
                  t.created_on,
                  t.id
         LIMIT $7",
        TrustedPublisher::COLUMNS
    ))
    .bind(run.issuer.as_str())
    .bind(repository_key(&text(&run.repository)))
    .bind(text(&run.repository_id))
    .bind(text(&run.owner_id))
    .bind(app)
    .bind(id)
    .bind(most)
    .fetch_all()
    .await
}

/// Remembers that a publisher was locked to ids that nobody has confirmed.
pub async fn remember_unconfirmed(tx: &mut Tx<'_>, ids: &UnconfirmedIds) -> Result<(), StoreError> {
    tx.add(ids)
        .clause("ON CONFLICT (app_id, issuer, repository_id, owner_id) DO NOTHING")
        .execute()
        .await
        .map(drop)
}

/// Whether ids are ones that a publisher of their app was locked to and that nobody has confirmed.
pub async fn are_unconfirmed(tx: &mut Tx<'_>, ids: &UnconfirmedIds) -> Result<bool, StoreError> {
    tx.query(
        "SELECT COUNT(*)
         FROM unconfirmed_ids
         WHERE app_id = $1 AND issuer = $2 AND repository_id = $3 AND owner_id = $4",
    )
    .bind(ids.app_id)
    .bind(ids.issuer.as_str())
    .bind(ids.repository_id.as_str())
    .bind(ids.owner_id.as_str())
    .fetch_one::<(u64,)>()
    .await
    .map(|(count,)| count > 0)
}

/// Forgets ids that an Owner has confirmed.
pub async fn forget_unconfirmed(tx: &mut Tx<'_>, ids: &UnconfirmedIds) -> Result<(), StoreError> {
    tx.query(
        "DELETE FROM unconfirmed_ids
         WHERE app_id = $1 AND issuer = $2 AND repository_id = $3 AND owner_id = $4",
    )
    .bind(ids.app_id)
    .bind(ids.issuer.as_str())
    .bind(ids.repository_id.as_str())
    .bind(ids.owner_id.as_str())
    .execute()
    .await
    .map(drop)
}

/// Adds a publisher, unless somebody else has added one of its id just now.
pub async fn insert_publisher(tx: &mut Tx<'_>, publisher: &TrustedPublisher) -> Result<(), StoreError> {
    tx.add(publisher)
        .clause("ON CONFLICT (id) DO NOTHING")
        .insert()
        .await
}

/// Writes what can be changed of a publisher.
pub async fn update_publisher(tx: &mut Tx<'_>, publisher: &TrustedPublisher) -> Result<(), StoreError> {
    tx.update(publisher, CHANGEABLE).execute().await.map(drop)
}

/// Removes a publisher, and with it whatever its runs were given.
pub async fn delete_publisher(tx: &mut Tx<'_>, id: Uuid) -> Result<(), StoreError> {
    for sql in [
        "DELETE FROM publisher_tokens WHERE publisher_id = $1",
        "DELETE FROM trusted_publishers WHERE id = $1",
    ] {
        tx.query(sql).bind(id).execute().await?;
    }
    Ok(())
}

/// Remembers that a token of a pipeline was exchanged; whether it was not before.
pub async fn remember_exchange(tx: &mut Tx<'_>, exchange: &Exchange) -> Result<bool, StoreError> {
    let added = tx
        .add(exchange)
        .clause("ON CONFLICT (token_sha256) DO NOTHING")
        .execute()
        .await?;
    Ok(added > 0)
}

/// Adds the token of a run.
pub async fn insert_token(tx: &mut Tx<'_>, token: &PublisherToken) -> Result<(), StoreError> {
    tx.add(token).execute().await.map(drop)
}

/// How many tokens a publisher's runs were given since `since`.
pub async fn tokens_since(tx: &mut Tx<'_>, publisher: Uuid, since: Instant) -> Result<u64, StoreError> {
    tx.query("SELECT COUNT(*) FROM publisher_tokens WHERE publisher_id = $1 AND issued_on > $2")
        .bind(publisher)
        .bind(since)
        .fetch_one::<(u64,)>()
        .await
        .map(|(count,)| count)
}

fn token() -> String {
    format!(
        "SELECT {} FROM publisher_tokens t WHERE t.sha256 = $1",
        PublisherToken::COLUMNS
    )
}

/// A token, whether or not it has ended.
pub async fn find_token(db: &Db, sha256: [u8; 32]) -> Result<Option<PublisherToken>, StoreError> {
    db.query(token()).bind(sha256).fetch_optional().await
}

/// The same within a transaction, its row locked.
pub async fn lock_token(tx: &mut Tx<'_>, sha256: [u8; 32]) -> Result<Option<PublisherToken>, StoreError> {
    let sql = format!("{}\nFOR UPDATE", token());
    tx.query(sql).bind(sha256).fetch_optional().await
}

/// One token of an app within a transaction, its row locked.
pub async fn lock_token_of(
    tx: &mut Tx<'_>,
    app: AppId,
    id: Uuid,
) -> Result<Option<PublisherToken>, StoreError> {
    let sql = format!(
        "SELECT {} FROM publisher_tokens t WHERE t.app_id = $1 AND t.id = $2\nFOR UPDATE",
        PublisherToken::COLUMNS
    );
    tx.query(sql).bind(app).bind(id).fetch_optional().await
}

/// Notes that a token is being used.
pub async fn note_use(tx: &mut Tx<'_>, id: Uuid, now: Instant) -> Result<(), StoreError> {
    tx.query("UPDATE publisher_tokens SET used_on = $2 WHERE id = $1")
        .bind(id)
        .bind(now)
        .execute()
        .await
        .map(drop)
}

/// Ends a token before its time.
pub async fn revoke_token(tx: &mut Tx<'_>, id: Uuid, now: Instant) -> Result<(), StoreError> {
    tx.query("UPDATE publisher_tokens SET revoked_on = $2 WHERE id = $1")
        .bind(id)
        .bind(now)
        .execute()
        .await
        .map(drop)
}

/// Ends all tokens of a publisher before their time.
pub async fn revoke_tokens(tx: &mut Tx<'_>, publisher: Uuid, now: Instant) -> Result<(), StoreError> {
    tx.query("UPDATE publisher_tokens SET revoked_on = $2 WHERE publisher_id = $1 AND revoked_on IS NULL")
        .bind(publisher)
        .bind(now)
        .execute()
        .await
        .map(drop)
}

/// Forgets tokens that ended before `before`, and exchanges that cannot come again at `now`: how many there were. What was
/// begun under a token may go on for long after it has ended.
pub async fn forget_ended(tx: &mut Tx<'_>, before: Instant, now: Instant) -> Result<u64, StoreError> {
    let mut forgotten = 0;
    for (sql, until) in [
        ("DELETE FROM publisher_tokens WHERE expires_on < $1", before),
        ("DELETE FROM publisher_exchanges WHERE remembered_until < $1", now),
    ] {
        forgotten += tx.query(sql).bind(until).execute().await?;
    }
    Ok(forgotten)
}

/// Whether the caller is the run of a publisher of the app `$5`, whose token was not ended. Its four values are `$1` to `$4`,
/// as everybody's.
macro_rules! run_has_token {
    () => {
        "0 < (SELECT COUNT(*) FROM publisher_tokens k
           WHERE k.app_id = $5 AND k.app_id = $2 AND k.publisher_id = $3 AND k.id = $4 AND $1 = 'Publisher'
             AND k.revoked_on IS NULL)"
    };
}
pub(crate) use run_has_token;

/// The app of such a run.
macro_rules! app_of_run {
    () => {
        "SELECT k.app_id
         FROM publisher_tokens k
         WHERE k.app_id = $2 AND k.publisher_id = $3 AND k.id = $4 AND $1 = 'Publisher' AND k.revoked_on IS NULL"
    };
}
pub(crate) use app_of_run;

row! {
    /// What a publisher's record allows.
    struct GrantRow {
        pub provider: Provider,
        pub state: PublisherState,
        pub may: String,
        pub max_availability: Availability,
        pub countries: Option<String>,
    }
}

struct RunAccess(AppAccess);

impl FromRow for RunAccess {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        let found = GrantRow::from_row(row)?;
        let countries: i64 = row.get(GrantRow::WIDTH)?;
        Ok(Self(AppAccess {
            roles: Roles::NONE.with(Role::Contributor),
            has_country: countries > 0,
            grant: Some(grant(
                found.provider,
                found.state,
                &found.may,
                found.max_availability,
                found.countries.as_deref(),
            )),
        }))
    }
}

fn run_access() -> String {
    format!(
        "SELECT {}, (SELECT COUNT(*) FROM countries c WHERE c.app_id = t.app_id AND c.code = $6)
         FROM trusted_publishers t
         WHERE t.id = $3 AND t.app_id = $5 AND {}",
        GrantRow::COLUMNS,
        run_has_token!()
    )
}

fn access_of(found: Option<RunAccess>) -> AppAccess {
    found.map_or_else(AppAccess::default, |found| found.0)
}

/// What a run may do with an app, as its publisher's record says now.
pub(crate) async fn app_access(
    db: &Db,
    run: PrincipalRef,
    app: AppId,
    country: &str,
) -> Result<AppAccess, StoreError> {
    let query = db.query(run_access()).bind_all(run.values());
    query
        .bind(app)
        .bind(country)
        .fetch_optional()
        .await
        .map(access_of)
}

/// The same within a transaction.
pub(crate) async fn app_access_in(
    tx: &mut Tx<'_>,
    run: PrincipalRef,
    app: AppId,
    country: &str,
) -> Result<AppAccess, StoreError> {
    let query = tx.query(run_access()).bind_all(run.values());
    query
        .bind(app)
        .bind(country)
        .fetch_optional()
        .await
        .map(access_of)
}

/// The reference to the run that a token was given to.
pub fn reference_of(token: &PublisherToken) -> PrincipalRef {
    PrincipalRef {
        kind: domain::principal::CallerKind::Publisher,
        first: token.app_id.0,
        second: token.publisher_id,
        tenant: Some(token.id),
    }
}
