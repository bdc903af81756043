//! Agents: who carries operations out, what they sign in with, and which environments are theirs.

use super::{
    Db, Field, FromRow, Row, StoreError, Tx, Value,
    inventories::Bound,
    row::{row, table},
    table::Kind,
};
use domain::{
    agent::{AgentScope, Identity, NamePattern, is_silent},
    environment::name_key,
    ids::{Etag, TenantId},
    instant::Instant,
};
use std::{collections::BTreeSet, str::FromStr, time::Duration};
use uuid::Uuid;

table! {
    /// An agent as its operator made it, and what has been seen of it since.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Agent in "agents" by [id] {
        /// Its identity here.
        pub id: Uuid,
        /// What its operator calls it.
        pub name: String,
        derived name_key(row) -> String { name_key(&row.name) },
        /// Which environments it may serve.
        pub scope: AgentScope as (scope_tenants, scope_families, scope_names),
        /// Why it may serve all tenants.
        pub scope_reason: Option<String>,
        /// Whether it also serves environments that only the operator registered.
        pub serves_unreported: bool,
        /// Whose token of an issuer it may sign in with instead of one of ours.
        pub identity: Option<Identity>,
        /// When it was made.
        pub created_on: Instant,
        /// The code that can be exchanged for a token: SHA-256 of its text.
        pub code_sha256: Option<[u8; 32]>,
        /// Until when it can.
        pub code_until: Option<Instant>,
        /// Its token: SHA-256 of its text.
        pub token_sha256: Option<[u8; 32]>,
        /// When the token ends.
        pub token_until: Option<Instant>,
        /// Whether anybody has called with the token: until then, its answer may have been lost.
        pub token_used: bool,
        /// The token before that one.
        pub former_token_sha256: Option<[u8; 32]>,
        /// Until when that one may still be used.
        pub former_token_until: Option<Instant>,
        /// A token in its place that was given out in vain, as its answer seemed to be lost.
        pub lost_token_sha256: Option<[u8; 32]>,
        /// The running process that last called under its token.
        pub session_id: Option<Uuid>,
        /// Those before.
        pub former_sessions: FormerSessions,
        /// Since when it gets nothing, because its token was used by somebody else.
        pub frozen_on: Option<Instant>,
        /// How that was noticed.
        pub frozen_reason: Option<String>,
        /// When it last called, to the minute.
        pub last_seen_on: Option<Instant>,
        /// What it calls its software.
        pub software: Option<String>,
        /// Whether nothing keeps it from its work, as it last said of itself.
        pub is_ready: Option<bool>,
        /// The number of its last inventory.
        pub inventory_sequence: i64,
        /// When it last sent a full inventory.
        pub inventory_on: Option<Instant>,
        /// Since when what it gains and loses by changes is counted: its last full inventory, or the last changes that were
        /// confirmed.
        pub counted_since: Option<Instant>,
        /// How many environments it has gained by changes since.
        pub gained: i64,
        /// What its inventories have written into history of late.
        pub recorded: Recorded as (recorded_since, recorded, unrecorded, unrecorded_id),
        /// The tag of its state.
        pub etag: Etag,
    }
}

/// Tenants, families and names, each a text of lines or nothing.
impl Field for AgentScope {
    const COLUMNS: &'static [(Kind, bool)] = &[(Kind::Text, true); 3];

    fn read(row: &Row<'_>, at: &mut usize) -> Result<Self, StoreError> {
        let tenants: Option<String> = Field::read(row, at)?;
        let families: Option<String> = Field::read(row, at)?;
        let names: Option<String> = Field::read(row, at)?;
        let read_all = |text: String| text.lines().map(TenantId::from_str).collect();
        let tenants: Option<Result<BTreeSet<_>, _>> = tenants.map(read_all);
        Ok(Self {
            tenants: tenants.transpose().map_err(StoreError::broken)?,
            families: families.map(|text| text.lines().map(str::to_owned).collect()),
            names: names.map(|text| text.lines().map(NamePattern::new).collect()),
        })
    }

    fn write(&self, values: &mut Vec<Value>) {
        let Self {
            tenants,
            families,
            names,
        } = self;
        values.push(tenants.as_ref().map(|all| lines(all, ToString::to_string)).into());
        values.push(families.as_ref().map(|all| lines(all, String::clone)).into());
        let pattern = |pattern: &NamePattern| pattern.as_str().to_owned();
        values.push(names.as_ref().map(|all| lines(all, pattern)).into());
    }
}

/// The running processes of an agent that were followed by others within a day, and when each was, the latest last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FormerSessions(Vec<(Uuid, Instant)>);

impl FormerSessions {
    const REMEMBERED_FOR: Duration = Duration::from_secs(24 * 3_600);

    /// Whether this is one of them.
    #[must_use]
    pub fn include(&self, session: Uuid) -> bool {
        self.0.iter().any(|(former, _)| *former == session)
    }

    /// How many were followed by others less than `span` before `now`.
    #[must_use]
    pub fn within(&self, span: Duration, now: Instant) -> usize {
        self.0
            .iter()
            .filter(|(_, followed)| now < *followed + span)
            .count()
    }

    /// The same with another one, which is followed `now`, and without those that are forgotten by then.
    #[must_use]
    pub fn with(self, session: Option<Uuid>, now: Instant) -> Self {
        let Self(mut all) = self;
        all.retain(|(_, followed)| now < *followed + Self::REMEMBERED_FOR);
        all.extend(session.map(|session| (session, now)));
        Self(all)
    }
}

/// A text of lines, each the session and when it was followed, or nothing.
impl Field for FormerSessions {
    const COLUMNS: &'static [(Kind, bool)] = &[(Kind::Text, true)];

    fn read(row: &Row<'_>, at: &mut usize) -> Result<Self, StoreError> {
        let text: Option<String> = Field::read(row, at)?;
        let former = |line: &str| {
            let (session, followed) = line.split_once(' ').ok_or("a former session without its time")?;
            Ok((session.parse()?, Instant(followed.parse()?)))
        };
        let read: Result<_, Box<dyn std::error::Error + Send + Sync>> =
            text.unwrap_or_default().lines().map(former).collect();
        read.map(Self).map_err(StoreError::broken)
    }

    fn write(&self, values: &mut Vec<Value>) {
        let line = |(session, Instant(followed)): &(Uuid, Instant)| format!("{session} {followed}");
        let all: Vec<_> = self.0.iter().map(line).collect();
        values.push((!all.is_empty()).then(|| all.join("\n")).into());
    }
}

/// What an agent's inventories have written into history within an hour, so that it can be told when it is enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// When the hour began.
    pub since: Option<Instant>,
    /// How many changes were written down one by one.
    pub count: u64,
    /// How many more there were.
    pub beyond: u64,
    /// The row of the audit that stands for those.
    pub beyond_id: Option<Uuid>,
}

impl Field for Recorded {
    const COLUMNS: &'static [(Kind, bool)] = &[
        (Kind::Ticks, true),
        (Kind::Int, false),
        (Kind::Int, false),
        (Kind::Guid, true),
    ];

    fn read(row: &Row<'_>, at: &mut usize) -> Result<Self, StoreError> {
        Ok(Self {
            since: Field::read(row, at)?,
            count: Field::read(row, at)?,
            beyond: Field::read(row, at)?,
            beyond_id: Field::read(row, at)?,
        })
    }

    fn write(&self, values: &mut Vec<Value>) {
        let Self {
            since,
            count,
            beyond,
            beyond_id,
        } = self;
        values.extend([
            (*since).into(),
            (*count).into(),
            (*beyond).into(),
            (*beyond_id).into(),
        ]);
    }
}

fn lines<T>(all: &BTreeSet<T>, line: impl Fn(&T) -> String) -> String {
    all.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn whose(condition: &str) -> String {
    format!("SELECT {} FROM agents t WHERE {condition}", Agent::COLUMNS)
}

/// The agent one of whose tokens has this SHA-256: the one it has, had before, or never got.
pub async fn find_agent_by_token(db: &Db, sha256: [u8; 32]) -> Result<Option<Agent>, StoreError> {
    db.query(whose(
        "t.token_sha256 = $1 OR t.former_token_sha256 = $1 OR t.lost_token_sha256 = $1",
    ))
    .bind(sha256)
    .fetch_optional()
    .await
}

/// The agent that signs in with tokens of this identity.
pub async fn find_agent_by_identity(db: &Db, identity: Identity) -> Result<Option<Agent>, StoreError> {
    db.query(whose("t.identity = $1"))
        .bind(identity.to_string())
        .fetch_optional()
        .await
}

/// The agent of this name, its row locked.
pub async fn lock_agent(tx: &mut Tx<'_>, name: &str) -> Result<Option<Agent>, StoreError> {
    let agent = tx.query(whose("t.name_key = $1")).clause("FOR UPDATE");
    agent.bind(name_key(name)).fetch_optional().await
}

/// The same by its identity here.
pub async fn lock_agent_by_id(tx: &mut Tx<'_>, id: Uuid) -> Result<Option<Agent>, StoreError> {
    tx.query(whose("t.id = $1"))
        .clause("FOR UPDATE")
        .bind(id)
        .fetch_optional()
        .await
}

/// The agent whose code has this SHA-256, its row locked.
pub async fn lock_agent_by_code(tx: &mut Tx<'_>, sha256: [u8; 32]) -> Result<Option<Agent>, StoreError> {
    let agent = tx.query(whose("t.code_sha256 = $1")).clause("FOR UPDATE");
    agent.bind(sha256).fetch_optional().await
}

/// Adds an agent.
pub async fn insert_agent(tx: &mut Tx<'_>, agent: &Agent) -> Result<(), StoreError> {
    tx.add(agent)
        .clause("ON CONFLICT (name_key) DO NOTHING")
        .insert()
        .await
}

/// What its operator says of an agent, and what it signs in with. How its inventories stand is written by them alone.
const WRITTEN: &[&str] = &[
    "scope_tenants",
    "scope_families",
    "scope_names",
    "scope_reason",
    "serves_unreported",
    "identity",
    "code_sha256",
    "code_until",
    "token_sha256",
    "token_until",
    "token_used",
    "former_token_sha256",
    "former_token_until",
    "lost_token_sha256",
    "session_id",
    "former_sessions",
    "frozen_on",
    "frozen_reason",
    "last_seen_on",
    "software",
    "is_ready",
    "etag",
];

/// Writes an agent whose row is locked.
pub async fn update_agent(tx: &mut Tx<'_>, agent: &Agent) -> Result<(), StoreError> {
    tx.update(agent, WRITTEN).execute().await.map(drop)
}

/// Removes an agent.
pub async fn delete_agent(tx: &mut Tx<'_>, id: Uuid) -> Result<(), StoreError> {
    let agent = tx.query("DELETE FROM agents WHERE id = $1");
    agent.bind(id).execute().await.map(drop)
}

/// The name of another agent than `except` that signs in as one of these applications: by its client id, or by the object
/// id that it has somewhere.
pub async fn agent_of_identity(
    tx: &mut Tx<'_>,
    ids: [Uuid; 2],
    except: Option<Uuid>,
) -> Result<Option<String>, StoreError> {
    let agents: Vec<(String, Identity)> = tx
        .query("SELECT name, identity FROM agents WHERE identity IS NOT NULL AND id <> $1 ORDER BY name_key")
        .bind(except.unwrap_or_default())
        .fetch_all()
        .await?;
    let is_one = |identity: &Identity| ids.contains(&identity.client) || ids.contains(&identity.object);
    let found = agents.into_iter().find(|(_, identity)| is_one(identity));
    Ok(found.map(|(name, _)| name))
}

/// An agent with what there is to do for it.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentEntry {
    /// The agent.
    pub agent: Agent,
    /// How many environments are bound to it.
    pub environments: i64,
    /// How many operations it is carrying out.
    pub running: i64,
    /// When the first operation in its environments is due.
    pub due_on: Option<Instant>,
}

/// How many environments are bound to the agent `t`.
pub(crate) const ENVIRONMENTS: &str = "(SELECT COUNT(*) FROM environments e WHERE e.agent_id = t.id)";
/// How many operations it is carrying out.
pub(crate) const RUNNING: &str =
    "(SELECT COUNT(*) FROM operations o WHERE o.agent_id = t.id AND o.status = 'Running')";
/// When the first operation in its environments is due.
pub(crate) const DUE_ON: &str =
    "(SELECT MIN(e.due_on) FROM environments e WHERE e.agent_id = t.id AND e.due_on IS NOT NULL)";

impl AgentEntry {
    /// What it is read from, over the alias `t` for agents.
    pub fn columns() -> String {
        format!("{}, {ENVIRONMENTS}, {RUNNING}, {DUE_ON}", Agent::COLUMNS)
    }
}

impl FromRow for AgentEntry {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            agent: Agent::from_row(row)?,
            environments: row.get(Agent::WIDTH)?,
            running: row.get(Agent::WIDTH + 1)?,
            due_on: row.get(Agent::WIDTH + 2)?,
        })
    }
}

fn entry() -> String {
    format!(
        "SELECT {} FROM agents t WHERE t.name_key = $1",
        AgentEntry::columns()
    )
}

/// The agent of this name, for its operator.
pub async fn find_agent_entry(db: &Db, name: &str) -> Result<Option<AgentEntry>, StoreError> {
    db.query(entry()).bind(name_key(name)).fetch_optional().await
}

/// The same within a transaction.
pub async fn agent_entry_in(tx: &mut Tx<'_>, name: &str) -> Result<Option<AgentEntry>, StoreError> {
    tx.query(entry()).bind(name_key(name)).fetch_optional().await
}

const NAME: &str = "SELECT name FROM agents WHERE id = $1";

/// The name of an agent.
pub async fn agent_name(db: &Db, id: Uuid) -> Result<Option<String>, StoreError> {
    let name: Option<(String,)> = db.query(NAME).bind(id).fetch_optional().await?;
    Ok(name.map(|(name,)| name))
}

/// The same within a transaction.
pub async fn agent_name_in(tx: &mut Tx<'_>, id: Uuid) -> Result<Option<String>, StoreError> {
    let name: Option<(String,)> = tx.query(NAME).bind(id).fetch_optional().await?;
    Ok(name.map(|(name,)| name))
}

/// All agents but this one.
pub async fn agents_but(tx: &mut Tx<'_>, id: Uuid) -> Result<Vec<Agent>, StoreError> {
    let agents = tx.query(whose("t.id <> $1")).clause("ORDER BY t.name_key");
    agents.bind(id).fetch_all().await
}

row! {
    /// An agent that may take work on: it has what it signs in with, and is not frozen.
    pub struct Worker {
        /// Its identity here.
        pub id: Uuid,
        /// When it last called, to the minute.
        pub last_seen_on: Option<Instant>,
        /// Whether nothing keeps it from its work, as it last said of itself.
        pub is_ready: Option<bool>,
    }
}

impl Worker {
    /// Whether it is there, and works.
    pub fn is_at_work(&self, now: Instant) -> bool {
        !is_silent(self.last_seen_on, now) && self.is_ready != Some(false)
    }
}

/// The agents that may take work on.
pub async fn workers(db: &Db, now: Instant) -> Result<Vec<Worker>, StoreError> {
    db.query(format!(
        "SELECT {}
         FROM agents t
         WHERE t.frozen_on IS NULL AND (t.identity IS NOT NULL OR t.token_until > $1)",
        Worker::COLUMNS
    ))
    .bind(now)
    .fetch_all()
    .await
}

/// The agents that serve what nobody reports. They stay as they are until the transaction ends, and so does what their
/// scopes say.
pub async fn agents_of_the_unreported(tx: &mut Tx<'_>) -> Result<Vec<Agent>, StoreError> {
    let agents = tx.query(whose("t.serves_unreported"));
    agents
        .clause("ORDER BY t.id")
        .clause("FOR SHARE")
        .fetch_all()
        .await
}

/// Environments that are bound to an agent, or to none, behind `after` in the order of their ids, and locked.
pub async fn lock_bound(
    tx: &mut Tx<'_>,
    agent: Option<Uuid>,
    after: Uuid,
    limit: i64,
) -> Result<Vec<Bound>, StoreError> {
    let whose = match agent {
        Some(_) => "t.agent_id = $3",
        None => "t.agent_id IS NULL",
    };
    tx.query(format!(
        "SELECT {} FROM environments t WHERE t.id > $1 AND {whose} ORDER BY t.id LIMIT $2",
        Bound::COLUMNS
    ))
    .clause("FOR UPDATE")
    .bind(after)
    .bind(limit)
    .bind_all(agent.map(Value::from))
    .fetch_all()
    .await
}

/// Binds environments, whose rows are locked, each to an agent or to none.
pub async fn bind_environments(
    tx: &mut Tx<'_>,
    bindings: impl IntoIterator<Item = (Uuid, Option<Uuid>)>,
) -> Result<(), StoreError> {
    let rows = bindings
        .into_iter()
        .map(|(environment, agent)| vec![environment.into(), agent.into(), Etag::random().into()]);
    tx.each(
        "UPDATE environments SET agent_id = {agent}, contested_since = NULL, etag = {etag} FROM {rows} WHERE environments.id = {id}",
        &[("id", "uuid"), ("agent", "uuid"), ("etag", "uuid")],
        rows.collect(),
    )
    .execute()
    .await
    .map(drop)
}
