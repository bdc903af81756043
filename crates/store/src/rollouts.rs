//! Rollouts: what was asked for, where it stands, and which environments it is for.
//!
//! How many members stand where is kept beside them and changed in the same transaction, so that nobody counts a million of
//! them to know what is next. Whoever changes members holds the row of their rollout: it comes last, behind environments and
//! operations.

use super::{
    Db, Field, FromRow, Reader, Row, StoreError, Tx, Value, principals::PrincipalRef, row::table, table::Kind,
};
use domain::{
    country::CountryCode,
    environment::{EnvironmentKey, EnvironmentKind, family_key, name_key},
    ids::{AppId, Etag, OperationId, TenantId},
    instant::Instant,
    principal::{CallerKind, Role, Roles},
    rollout::{ApprovalPolicy, Counts, MemberState, Outcome, Reason, State, WaveState},
    version::AppVersion,
};
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

table! {
    /// A rollout, but for its waves and members.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Rollout in "rollouts" by [id] {
        /// Its identity.
        pub id: Uuid,
        /// The app.
        pub app_id: AppId,
        /// What it is called.
        pub name: String,
        /// What its makers want to remember of it.
        pub note: Option<String>,
        /// The version to bring.
        pub target_version: AppVersion,
        derived target_version_key(row) -> [u8; 16] { row.target_version.sort_key() },
        /// What was asked for: JSON.
        pub definition: String,
        /// What tells what was planned from all other plans.
        pub fingerprint: [u8; 32],
        /// How many members it has.
        pub environments: u64,
        /// Where it is.
        pub state: State,
        /// Why, where that needs one.
        pub reason: Option<Reason>,
        /// The same in a sentence, or as whoever did it says.
        pub reason_text: Option<String>,
        /// What it came to.
        pub outcome: Option<Outcome>,
        /// Whether what is Scheduled is withdrawn while it is Paused.
        pub withdraws: bool,
        /// Since when it is Paused.
        pub paused_since: Option<Instant>,
        /// The latest time that a step or a verb saw.
        pub engine_time: Instant,
        /// Rises with every change.
        pub revision: u64,
        /// How many Scheduled members nobody looks at who starts hotfixes.
        pub held: u64,
        /// When somebody is to look at it next.
        pub step_on: Option<Instant>,
        /// When it was made.
        pub created_on: Instant,
        /// By whom: `User/tenant/id` or `Application/id`.
        pub created_by: String,
        /// What kind of caller that was.
        pub created_by_kind: CallerKind,
        /// What their token calls them.
        pub created_by_name: Option<String>,
        /// The service principal of an application.
        pub created_by_object_id: Option<Uuid>,
        /// Whether somebody else has to approve it.
        pub needs_approval: bool,
        /// When somebody did.
        pub approved_on: Option<Instant>,
        /// Who: `User/tenant/id`.
        pub approved_by: Option<String>,
        /// What their token calls them.
        pub approved_by_name: Option<String>,
        /// What they said.
        pub approval_remark: Option<String>,
        /// When it ended.
        pub ended_on: Option<Instant>,
        /// The tag of its state.
        pub etag: Etag,
    }
}

table! {
    /// A wave of a rollout.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Wave in "rollout_waves" by [rollout_id, wave] {
        /// The rollout.
        pub rollout_id: Uuid,
        /// Which wave it is, counted from 0.
        pub wave: u64,
        /// What it is called.
        pub name: String,
        /// Where it is.
        pub state: WaveState,
        /// Whether its members were taken.
        pub is_taken: bool,
        /// When it began.
        pub begun_on: Option<Instant>,
        /// From when its deadline counts.
        pub deadline_from: Option<Instant>,
        /// Since when what has to come about in it has.
        pub proceeds_since: Option<Instant>,
        /// Whether somebody opened the way to the next wave.
        pub gate_opened: bool,
        /// Since when it counts as if that had come about, because somebody said so.
        pub passed_on: Option<Instant>,
        /// What stopped it.
        pub stopped_by: Option<Reason>,
        /// How many of its failures somebody has seen and gone on.
        pub acknowledged: u64,
        /// When the last of its members ended, of those that have.
        pub last_ended_on: Option<Instant>,
    }
}

table! {
    /// An environment of a rollout.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Member in "rollout_members" by [rollout_id, tenant_id, name_key, family_key] {
        /// The rollout.
        pub rollout_id: Uuid,
        /// The customer's directory.
        pub tenant_id: TenantId,
        /// The environment's application family.
        pub family: String,
        derived family_key(row) -> String { family_key(&row.family) },
        /// Its name.
        pub name: String,
        derived name_key(row) -> String { name_key(&row.name) },
        /// The row that it had when it was selected, or last got a hotfix.
        pub environment_id: Uuid,
        /// The country that it was in then.
        pub country_code: CountryCode,
        /// Production or sandbox.
        pub kind: EnvironmentKind,
        /// The version that was installed when it was selected.
        pub version: AppVersion,
        derived version_key(row) -> [u8; 16] { row.version.sort_key() },
        /// Where it stands in waves that are ordered by lot.
        pub lot: i64,
        /// The wave that has taken it, counted from 0.
        pub wave: Option<u64>,
        /// Where it is.
        pub state: MemberState,
        /// How many hotfixes it has had.
        pub attempt: u64,
        /// The last of them.
        pub operation_id: Option<OperationId>,
        /// Whether nobody looks at that one who starts hotfixes.
        pub is_held: bool,
        /// Why it is there: a stable code.
        pub reason: Option<String>,
        /// The same in a sentence.
        pub reason_text: Option<String>,
        /// The same without numbers, names and ids.
        pub reason_key: Option<String>,
        /// Since when it is there.
        pub changed_on: Instant,
    }
}

impl Member {
    /// What tells its environment from all others.
    pub fn key(&self) -> EnvironmentKey {
        EnvironmentKey::new(self.tenant_id, &self.family, &self.name)
    }
}

/// A member with the name of its wave.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberEntry {
    /// The member.
    pub member: Member,
    /// The name of the wave that has taken it.
    pub wave: Option<String>,
}

/// The name of the wave that has taken the member `t`.
pub(crate) const WAVE_NAME: &str =
    "(SELECT w.name FROM rollout_waves w WHERE w.rollout_id = t.rollout_id AND w.wave = t.wave)";

impl MemberEntry {
    /// What it is read from, over the alias `t` for members.
    pub fn columns() -> String {
        format!("{}, {WAVE_NAME}", Member::COLUMNS)
    }
}

impl FromRow for MemberEntry {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            member: Member::from_row(row)?,
            wave: row.get(Member::WIDTH)?,
        })
    }
}

table! {
    /// How many members of a rollout are in a state.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Counted in "rollout_counts" by [rollout_id, wave, state] {
        /// The rollout.
        pub rollout_id: Uuid,
        /// Their wave, counted from 0; -1 of those that no wave has taken.
        pub wave: i64,
        /// Their state.
        pub state: MemberState,
        /// How many.
        pub members: u64,
    }
}

/// As what wave members count that no wave has taken.
const NO_WAVE: i64 = -1;

fn wave_number(wave: Option<u64>) -> i64 {
    wave.and_then(|wave| i64::try_from(wave).ok()).unwrap_or(NO_WAVE)
}

/// How many members are where: those that no wave has taken, and by wave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// Of those that no wave has taken.
    pub untaken: Counts,
    /// Of each wave, as far as any has been counted in it.
    pub waves: HashMap<u64, Counts>,
}

impl Tally {
    fn of(counted: impl IntoIterator<Item = Counted>) -> Self {
        let mut tally = Self::default();
        for row in counted {
            let counts = match u64::try_from(row.wave) {
                Ok(wave) => tally.waves.entry(wave).or_default(),
                Err(_) => &mut tally.untaken,
            };
            counts[row.state] += row.members;
        }
        tally
    }
}

/// One rollout of an app, if the caller has a role on the app.
pub async fn find_rollout(
    db: &Db,
    principal: PrincipalRef,
    app: AppId,
    id: Uuid,
) -> Result<Option<Rollout>, StoreError> {
    db.query(format!(
        "SELECT {} FROM rollouts t WHERE t.id = $6 AND t.app_id = $5 AND {}",
        Rollout::COLUMNS,
        principal.has_role()
    ))
    .bind_all(principal.values())
    .bind(app)
    .bind(id)
    .fetch_optional()
    .await
}

/// One rollout within a transaction, its row locked: its waves, members and counts are then this transaction's.
pub async fn lock_rollout(tx: &mut Tx<'_>, id: Uuid) -> Result<Option<Rollout>, StoreError> {
    tx.query(format!(
        "SELECT {} FROM rollouts t WHERE t.id = $1 FOR UPDATE",
        Rollout::COLUMNS
    ))
    .bind(id)
    .fetch_optional()
    .await
}

/// Several of them, in the order of their identities.
pub async fn lock_rollouts(
    tx: &mut Tx<'_>,
    ids: impl IntoIterator<Item = Uuid>,
) -> Result<Vec<Rollout>, StoreError> {
    let sql = format!(
        "SELECT {} FROM {{rows}}, rollouts t WHERE t.id = {{rollout}} ORDER BY t.id FOR UPDATE OF t",
        Rollout::COLUMNS
    );
    let rows = ids.into_iter().map(|id| vec![id.into()]).collect();
    tx.each(&sql, &[("rollout", "uuid")], rows).fetch_all().await
}

/// The rollouts that somebody is to look at by now, those first that have waited longest.
pub async fn rollouts_to_step(db: &Db, now: Instant, most: i64) -> Result<Vec<Uuid>, StoreError> {
    let sql = "SELECT t.id FROM rollouts t
               WHERE t.step_on IS NOT NULL AND t.step_on <= $1
               ORDER BY t.step_on, t.id
               LIMIT $2";
    let rows: Vec<(Uuid,)> = db.query(sql).bind(now).bind(most).fetch_all().await?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

/// The first instant at which somebody is to look at a rollout.
pub async fn next_step(db: &Db) -> Result<Option<Instant>, StoreError> {
    let sql = "SELECT MIN(t.step_on) FROM rollouts t WHERE t.step_on IS NOT NULL";
    db.query(sql)
        .fetch_one::<(Option<Instant>,)>()
        .await
        .map(|(next,)| next)
}

/// The waves of a rollout, in order.
pub async fn waves_of<'r, 't: 'r>(
    reader: impl Into<Reader<'r, 't>>,
    rollout: Uuid,
) -> Result<Vec<Wave>, StoreError> {
    let mut reader = reader.into();
    let sql = format!(
        "SELECT {} FROM rollout_waves t WHERE t.rollout_id = $1 ORDER BY t.wave",
        Wave::COLUMNS
    );
    reader.query(sql).bind(rollout).fetch_all().await
}

/// How many members of a rollout are where.
pub async fn tally<'r, 't: 'r>(
    reader: impl Into<Reader<'r, 't>>,
    rollout: Uuid,
) -> Result<Tally, StoreError> {
    let mut reader = reader.into();
    let sql = format!(
        "SELECT {} FROM rollout_counts t WHERE t.rollout_id = $1 AND t.members > 0",
        Counted::COLUMNS
    );
    Ok(Tally::of(
        reader.query(sql).bind(rollout).fetch_all::<Counted>().await?,
    ))
}

/// Adds a rollout with its waves.
pub async fn insert_rollout(tx: &mut Tx<'_>, rollout: &Rollout, waves: &[Wave]) -> Result<(), StoreError> {
    tx.add(rollout).execute().await?;
    tx.add_all(waves).await
}

/// Makes members of environments that have the app, each with its place in waves that are ordered by lot. How many there were:
/// those that are gone are left out, and so are those that are members already.
pub async fn insert_members(
    tx: &mut Tx<'_>,
    rollout: Uuid,
    app: AppId,
    environments: &[(Uuid, i64)],
    now: Instant,
) -> Result<u64, StoreError> {
    let row = |&(environment, lot): &(Uuid, i64)| {
        vec![
            environment.into(),
            lot.into(),
            rollout.into(),
            app.into(),
            now.into(),
        ]
    };
    let added = tx
        .each(
            "INSERT INTO rollout_members
               (rollout_id, tenant_id, family, family_key, name, name_key, environment_id, country_code, kind, version,
                version_key, lot, wave, state, attempt, operation_id, is_held, reason, reason_text, reason_key, changed_on)
             SELECT {rollout}, i.tenant_id, i.family, i.family_key, i.name, i.name_key, i.environment_id, i.country_code,
               i.kind, i.version, i.version_key, {lot}, NULL, 'Untaken', 0, NULL, FALSE, NULL, NULL, NULL, {now}
             FROM {rows}, installations i
             WHERE i.environment_id = {environment} AND i.app_id = {app}
             ON CONFLICT (rollout_id, tenant_id, name_key, family_key) DO NOTHING",
            &[
                ("environment", "uuid"),
                ("lot", "bigint"),
                ("rollout", "uuid"),
                ("app", "uuid"),
                ("now", "bigint"),
            ],
            environments.iter().map(row).collect(),
        )
        .execute()
        .await?;
    let counted = Counted {
        rollout_id: rollout,
        wave: NO_WAVE,
        state: MemberState::Untaken,
        members: added,
    };
    count(tx, &[counted]).await?;
    Ok(added)
}

/// Adds to the counts of a rollout, whose row is locked.
async fn count(tx: &mut Tx<'_>, counted: &[Counted]) -> Result<(), StoreError> {
    let clause = "ON CONFLICT (rollout_id, wave, state) DO UPDATE SET members = rollout_counts.members + excluded.members";
    tx.add_all_unless(counted, clause).await.map(drop)
}

/// Where members go, and from where.
#[derive(Clone, Debug, PartialEq)]
pub struct Moved {
    /// The member as it is from now on.
    pub member: Member,
    /// The wave it was in.
    pub from_wave: Option<u64>,
    /// The state it was in.
    pub from: MemberState,
    /// Whether it was held.
    pub was_held: bool,
}

impl Member {
    /// The member, changed.
    #[must_use]
    pub fn moved(self, change: impl FnOnce(Self) -> Self) -> Moved {
        Moved {
            from_wave: self.wave,
            from: self.state,
            was_held: self.is_held,
            member: change(self),
        }
    }
}

/// What a change writes of a member.
const MOVES: &[&str] = &[
    "environment_id",
    "country_code",
    "wave",
    "state",
    "attempt",
    "operation_id",
    "is_held",
    "reason",
    "reason_text",
    "reason_key",
    "changed_on",
];

/// Moves members of rollouts, whose rows are locked, and counts them where they are from now on.
pub async fn move_members(tx: &mut Tx<'_>, moved: &[Moved]) -> Result<(), StoreError> {
    let members: Vec<_> = moved.iter().map(|one| one.member.clone()).collect();
    let changed = tx.update_all(&members, MOVES).await?;
    if u64::try_from(members.len()) != Ok(changed) {
        return Err(StoreError::broken(
            "a member went away while its rollout was locked",
        ));
    }
    let mut differences: HashMap<(Uuid, i64, MemberState), i64> = HashMap::new();
    let mut held: HashMap<Uuid, i64> = HashMap::new();
    let mut ended: HashMap<(Uuid, i64), Instant> = HashMap::new();
    for one in moved {
        let member = &one.member;
        let rollout = member.rollout_id;
        *differences
            .entry((rollout, wave_number(one.from_wave), one.from))
            .or_default() -= 1;
        *differences
            .entry((rollout, wave_number(member.wave), member.state))
            .or_default() += 1;
        *held.entry(rollout).or_default() += i64::from(member.is_held) - i64::from(one.was_held);
        if one.from.is_open() && !member.state.is_open() {
            let last = ended
                .entry((rollout, wave_number(member.wave)))
                .or_insert(member.changed_on);
            *last = member.changed_on.max(*last);
        }
    }
    apply_counts(tx, differences).await?;
    let held = held.into_iter().filter(|(_, difference)| *difference != 0);
    tx.each(
        "UPDATE rollouts SET held = held + {difference} FROM {rows} WHERE rollouts.id = {rollout}",
        &[("rollout", "uuid"), ("difference", "bigint")],
        held.map(|(rollout, difference)| vec![rollout.into(), difference.into()])
            .collect(),
    )
    .execute()
    .await?;
    tx.each(
        "UPDATE rollout_waves SET last_ended_on = {ended}
         FROM {rows}
         WHERE rollout_waves.rollout_id = {rollout} AND rollout_waves.wave = {wave}
           AND COALESCE(rollout_waves.last_ended_on, 0) < {ended}",
        &[("rollout", "uuid"), ("wave", "bigint"), ("ended", "bigint")],
        ended
            .into_iter()
            .map(|((rollout, wave), at)| vec![rollout.into(), wave.into(), at.into()])
            .collect(),
    )
    .execute()
    .await
    .map(drop)
}

async fn apply_counts(
    tx: &mut Tx<'_>,
    differences: HashMap<(Uuid, i64, MemberState), i64>,
) -> Result<(), StoreError> {
    let differences = differences.into_iter().filter(|(_, difference)| *difference != 0);
    let rows = differences.map(|((rollout, wave, state), difference)| {
        vec![
            rollout.into(),
            wave.into(),
            state.as_str().into(),
            difference.into(),
        ]
    });
    tx.each(
        "INSERT INTO rollout_counts (rollout_id, wave, state, members)
         SELECT {rollout}, {wave}, {state}, {difference}
         FROM {rows}
         WHERE 1 = 1
         ON CONFLICT (rollout_id, wave, state) DO UPDATE SET members = rollout_counts.members + excluded.members",
        &[
            ("rollout", "uuid"),
            ("wave", "bigint"),
            ("state", "text"),
            ("difference", "bigint"),
        ],
        rows.collect(),
    )
    .execute()
    .await
    .map(drop)
}

/// What a step or a verb writes of a rollout. `held` is written with its members.
const PROGRESS: &[&str] = &[
    "state",
    "reason",
    "reason_text",
    "outcome",
    "withdraws",
    "paused_since",
    "engine_time",
    "revision",
    "step_on",
    "needs_approval",
    "approved_on",
    "approved_by",
    "approved_by_name",
    "approval_remark",
    "ended_on",
    "etag",
];

/// What it writes of its waves.
const WAVE_PROGRESS: &[&str] = &[
    "state",
    "is_taken",
    "begun_on",
    "deadline_from",
    "proceeds_since",
    "gate_opened",
    "passed_on",
    "stopped_by",
    "acknowledged",
];

/// Keeps where a rollout is, whose row is locked, and its waves.
pub async fn update_rollout(tx: &mut Tx<'_>, rollout: &Rollout, waves: &[Wave]) -> Result<(), StoreError> {
    tx.update(rollout, PROGRESS).execute().await?;
    tx.update_all(waves, WAVE_PROGRESS).await.map(drop)
}

/// Has somebody look at rollouts by `at`, if nobody was to look at them earlier.
pub async fn step_by(
    tx: &mut Tx<'_>,
    rollouts: impl IntoIterator<Item = Uuid>,
    at: Instant,
) -> Result<(), StoreError> {
    let rows = rollouts.into_iter().map(|id| vec![id.into(), at.into()]);
    tx.each(
        "UPDATE rollouts SET step_on = {at}
         FROM {rows}
         WHERE rollouts.id = {rollout} AND (rollouts.step_on IS NULL OR rollouts.step_on > {at})",
        &[("rollout", "uuid"), ("at", "bigint")],
        rows.collect(),
    )
    .execute()
    .await
    .map(drop)
}

/// The members that operations were made for.
pub async fn members_of_operations(
    tx: &mut Tx<'_>,
    operations: impl IntoIterator<Item = OperationId>,
) -> Result<Vec<Member>, StoreError> {
    let sql = format!(
        "SELECT {} FROM {{rows}}, rollout_members t WHERE t.operation_id = {{operation}}",
        Member::COLUMNS
    );
    let rows = operations.into_iter().map(|id| vec![id.into()]).collect();
    tx.each(&sql, &[("operation", "uuid")], rows).fetch_all().await
}

/// In which order members of a wave are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberOrder {
    /// By name.
    Name,
    /// Those with the lowest version first.
    Oldest,
    /// By lot.
    Lot,
}

impl MemberOrder {
    fn clause(self) -> &'static str {
        match self {
            Self::Name => "t.name_key, t.tenant_id, t.family_key",
            Self::Oldest => "t.version_key, t.name_key, t.tenant_id, t.family_key",
            Self::Lot => "t.lot, t.name_key, t.tenant_id, t.family_key",
        }
    }
}

/// The next members of a rollout that are in this state, in a wave or in none; so many at most.
pub async fn next_members<'r, 't: 'r>(
    reader: impl Into<Reader<'r, 't>>,
    rollout: Uuid,
    (wave, state): (Option<u64>, MemberState),
    order: MemberOrder,
    most: i64,
) -> Result<Vec<Member>, StoreError> {
    let mut reader = reader.into();
    let in_wave = match wave {
        Some(_) => "t.wave = $4",
        None => "t.wave IS NULL",
    };
    reader
        .query(format!(
            "SELECT {}
             FROM rollout_members t
             WHERE t.rollout_id = $1 AND t.state = $2 AND {in_wave}
             ORDER BY {}
             LIMIT $3",
            Member::COLUMNS,
            order.clause()
        ))
        .bind(rollout)
        .bind(state.as_str())
        .bind(most)
        .bind_all(wave.map(Value::from))
        .fetch_all()
        .await
}

/// Members of a rollout by the environments that they are.
pub async fn members_by_key(
    tx: &mut Tx<'_>,
    rollout: Uuid,
    keys: &[EnvironmentKey],
) -> Result<Vec<Member>, StoreError> {
    // Whoever is named twice is one member.
    let keys: HashSet<_> = keys.iter().collect();
    let sql = format!(
        "SELECT {}
         FROM {{rows}}, rollout_members t
         WHERE t.rollout_id = {{rollout}} AND t.tenant_id = {{tenant}} AND t.name_key = {{name}} AND t.family_key = {{family}}",
        Member::COLUMNS
    );
    let row = |key: &EnvironmentKey| {
        vec![
            rollout.into(),
            key.tenant_id.into(),
            Value::from(&key.name_key),
            Value::from(&key.family_key),
        ]
    };
    let shape = &[
        ("rollout", "uuid"),
        ("tenant", "uuid"),
        ("name", "text"),
        ("family", "text"),
    ];
    tx.each(&sql, shape, keys.into_iter().map(row).collect())
        .fetch_all()
        .await
}

/// Whether an environment of this country and kind has not had its turn.
pub async fn is_left_to_do(
    tx: &mut Tx<'_>,
    rollout: Uuid,
    country: CountryCode,
    kind: EnvironmentKind,
) -> Result<bool, StoreError> {
    let sql = "SELECT COUNT(*) FROM (
                 SELECT 1 FROM rollout_members t
                 WHERE t.rollout_id = $1 AND t.state IN ('Untaken', 'Taken', 'Blocked')
                   AND t.country_code = $2 AND t.kind = $3
                 LIMIT 1) AS found";
    let (found,): (u64,) = tx
        .query(sql)
        .bind(rollout)
        .bind(country.as_str())
        .bind(kind.as_str())
        .fetch_one()
        .await?;
    Ok(found > 0)
}

/// How many hotfixes of a rollout started after an instant, and when the first of those did.
pub async fn started_since(
    tx: &mut Tx<'_>,
    rollout: Uuid,
    since: Instant,
) -> Result<(u64, Option<Instant>), StoreError> {
    let sql = "SELECT COUNT(*), MIN(t.started_on)
               FROM operations t
               WHERE t.rollout_id = $1 AND t.started_on > $2";
    tx.query(sql).bind(rollout).bind(since).fetch_one().await
}

/// Failures that say the same.
#[derive(Clone, Debug, PartialEq)]
pub struct FailureGroup {
    /// The stable code.
    pub reason: Option<String>,
    /// One of their texts.
    pub text: String,
    /// How many members.
    pub members: u64,
}

impl FromRow for FailureGroup {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            reason: row.get(0)?,
            text: row.get(1)?,
            members: row.get(2)?,
        })
    }
}

/// The failures of a rollout by what they say, those of most members first; so many groups at most.
pub async fn failures_of(db: &Db, rollout: Uuid, most: i64) -> Result<Vec<FailureGroup>, StoreError> {
    let sql = "SELECT MIN(t.reason), COALESCE(MIN(t.reason_text), t.reason_key), COUNT(*)
               FROM rollout_members t
               WHERE t.rollout_id = $1 AND t.state IN ('Failed', 'Unknown') AND t.reason_key IS NOT NULL
               GROUP BY t.reason_key
               ORDER BY COUNT(*) DESC, t.reason_key
               LIMIT $2";
    db.query(sql).bind(rollout).bind(most).fetch_all().await
}

table! {
    /// Which rollouts of an app somebody else has to approve.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Policy in "approval_policies" by [app_id] {
        /// The app.
        pub app_id: AppId,
        /// Which.
        pub approval: ApprovalPolicy as (approval, production_above),
        /// The tag of its state.
        pub etag: Etag,
    }
}

/// A word, and a number where it needs one.
impl Field for ApprovalPolicy {
    const COLUMNS: &'static [(Kind, bool)] = &[(Kind::Text, false), (Kind::Int, true)];

    fn read(row: &Row<'_>, at: &mut usize) -> Result<Self, StoreError> {
        let word: String = Field::read(row, at)?;
        let above: Option<u64> = Field::read(row, at)?;
        match (word.as_str(), above) {
            ("Never", _) => Ok(Self::Never),
            ("Always", _) => Ok(Self::Always),
            ("ProductionAbove", Some(above)) => Ok(Self::ProductionAbove(above)),
            _ => Err(StoreError::broken(format!("'{word}' is no policy of approvals"))),
        }
    }

    fn write(&self, values: &mut Vec<Value>) {
        let (word, above) = match self {
            Self::Never => ("Never", None),
            Self::Always => ("Always", None),
            Self::ProductionAbove(above) => ("ProductionAbove", Some(*above)),
        };
        values.extend([word.into(), above.into()]);
    }
}

/// Which rollouts of an app somebody else has to approve, where anybody said so.
pub async fn find_policy<'r, 't: 'r>(
    reader: impl Into<Reader<'r, 't>>,
    app: AppId,
) -> Result<Option<Policy>, StoreError> {
    let mut reader = reader.into();
    let sql = format!(
        "SELECT {} FROM approval_policies t WHERE t.app_id = $1",
        Policy::COLUMNS
    );
    reader.query(sql).bind(app).fetch_optional().await
}

/// Says it. The app's row is locked.
pub async fn save_policy(tx: &mut Tx<'_>, policy: &Policy) -> Result<(), StoreError> {
    tx.add(policy)
        .clause(
            "ON CONFLICT (app_id) DO UPDATE
             SET approval = excluded.approval, production_above = excluded.production_above, etag = excluded.etag",
        )
        .execute()
        .await
        .map(drop)
}

/// Whether more people than one may approve rollouts of an app: somebody has to who did not make them.
pub async fn has_other_approver(tx: &mut Tx<'_>, app: AppId, except: Uuid) -> Result<bool, StoreError> {
    let may = Roles::NONE.with(Role::Owner).with(Role::Contributor);
    let sql = "SELECT COUNT(*) FROM principals p
               WHERE p.app_id = $1 AND p.kind = 'User' AND p.id <> $2 AND (p.roles & $3) <> 0";
    let (count,): (i64,) = tx.query(sql).bind(app).bind(except).bind(may).fetch_one().await?;
    Ok(count > 0)
}

/// How many environments with the app are members of another rollout of it that is not over.
pub async fn overlapping(tx: &mut Tx<'_>, app: AppId, rollout: Uuid) -> Result<u64, StoreError> {
    let sql = "SELECT COUNT(*)
               FROM rollout_members t
               WHERE t.rollout_id = $1
                 AND EXISTS (SELECT 1
                             FROM rollouts r JOIN rollout_members o ON o.rollout_id = r.id
                             WHERE r.app_id = $2 AND r.id <> $1
                               AND r.state IN ('AwaitingApproval', 'Active', 'Paused')
                               AND o.tenant_id = t.tenant_id AND o.name_key = t.name_key AND o.family_key = t.family_key)";
    let (count,): (u64,) = tx.query(sql).bind(rollout).bind(app).fetch_one().await?;
    Ok(count)
}

/// How many rollouts of an app are not over.
pub async fn count_open(tx: &mut Tx<'_>, app: AppId) -> Result<u64, StoreError> {
    let sql = "SELECT COUNT(*) FROM rollouts t
               WHERE t.app_id = $1 AND t.state IN ('AwaitingApproval', 'Active', 'Paused')";
    tx.query(sql)
        .bind(app)
        .fetch_one::<(u64,)>()
        .await
        .map(|(count,)| count)
}

/// Makes the members of a rollout Taken again that failed or were refused. Its row is locked, and `tally` was read since.
pub async fn retake_failed(
    tx: &mut Tx<'_>,
    rollout: Uuid,
    tally: &Tally,
    now: Instant,
) -> Result<(), StoreError> {
    let sql = "UPDATE rollout_members
               SET state = 'Taken', reason = NULL, reason_text = NULL, reason_key = NULL, changed_on = $2
               WHERE rollout_id = $1 AND wave IS NOT NULL AND state IN ('Failed', 'Unknown', 'Refused')";
    tx.query(sql).bind(rollout).bind(now).execute().await?;
    let mut differences = HashMap::new();
    for (wave, counts) in &tally.waves {
        let wave = wave_number(Some(*wave));
        for state in MemberState::ALL
            .iter()
            .copied()
            .filter(|state| state.is_retried())
        {
            let members = i64::try_from(counts[state]).unwrap_or(i64::MAX);
            *differences.entry((rollout, wave, state)).or_default() -= members;
            *differences
                .entry((rollout, wave, MemberState::Taken))
                .or_default() += members;
        }
    }
    apply_counts(tx, differences).await
}
