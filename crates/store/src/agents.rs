//! Agents: who carries operations out, what they sign in with, and which environments are theirs.

use super::{Db, Field, Row, StoreError, Tx, Value, row::table, tables::Kind};
use domain::{
    agent::{AgentScope, NamePattern},
    environment::name_key,
    ids::{Etag, TenantId},
    instant::Instant,
};
use std::{collections::BTreeSet, str::FromStr};
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
        pub identity: Option<String>,
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
        /// The running process that last called under its token.
        pub session_id: Option<Uuid>,
        /// The one before.
        pub former_session_id: Option<Uuid>,
        /// Since when it gets nothing, because its token was used by somebody else.
        pub frozen_on: Option<Instant>,
        /// How that was noticed.
        pub frozen_reason: Option<String>,
        /// When it last called, to the minute.
        pub last_seen_on: Option<Instant>,
        /// What it calls its software.
        pub software: Option<String>,
        /// The number of its last inventory.
        pub inventory_sequence: i64,
        /// When it last sent a full inventory.
        pub inventory_on: Option<Instant>,
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

fn lines<T>(all: &BTreeSet<T>, line: impl Fn(&T) -> String) -> String {
    all.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn whose(condition: &str) -> String {
    format!("SELECT {} FROM agents t WHERE {condition}", Agent::COLUMNS)
}

/// The agent whose token, or former token, has this SHA-256.
pub async fn find_agent_by_token(db: &Db, sha256: [u8; 32]) -> Result<Option<Agent>, StoreError> {
    db.query(whose("t.token_sha256 = $1 OR t.former_token_sha256 = $1"))
        .bind(sha256)
        .fetch_optional()
        .await
}

/// The agent that signs in with tokens of this identity.
pub async fn find_agent_by_identity(db: &Db, identity: &str) -> Result<Option<Agent>, StoreError> {
    db.query(whose("t.identity = $1"))
        .bind(identity)
        .fetch_optional()
        .await
}

/// The agent of this name.
pub async fn find_agent(db: &Db, name: &str) -> Result<Option<Agent>, StoreError> {
    db.query(whose("t.name_key = $1"))
        .bind(name_key(name))
        .fetch_optional()
        .await
}

/// The same within a transaction, its row locked.
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
    "session_id",
    "former_session_id",
    "frozen_on",
    "frozen_reason",
    "last_seen_on",
    "software",
    "etag",
];

/// Writes an agent whose row is locked.
pub async fn update_agent(tx: &mut Tx<'_>, agent: &Agent) -> Result<(), StoreError> {
    tx.update(agent, WRITTEN).execute().await.map(drop)
}
