//! What agents report: which environments there are, and what is installed in them.
//!
//! Inventories of one agent have numbers, and the last number wins: it is written down, under the lock of the agent's row,
//! before anything else is, and every batch of an inventory looks under the same lock whether it still is the last. So of
//! two that come at once, by way of whichever server, the lower one ends where it is, and nothing of it comes behind
//! anything of the other. An inventory that a crash cut short has changed what it had come to, and no more: what was not
//! named in it becomes missing only at its end, and whoever sent it sends another.
//!
//! Almost always almost nothing has changed. So each batch is compared before anything is locked; only what differs is
//! locked, compared again, and written, and an environment that is as it was costs nothing but being read.
//!
//! Nothing is removed because it was not named. It is missing: nothing starts there. Only time, or the operator, removes
//! it, and that it was production is not forgotten then.

mod contested;
mod drift;
mod history;
mod missing;
mod understand;

pub(crate) use missing::remove_missing;

use super::{
    Service,
    agents::{self, AgentCaller},
    audit::Actor,
    environments::{self, EnvironmentReport, Known, Written, described},
};
use crate::error::{Error, Result};
use domain::{
    agent::AgentScope,
    environment::{EnvironmentKey, EnvironmentKind},
    ids::Etag,
    instant::Instant,
    inventory::{MOST_APPS, MOST_ENVIRONMENTS, Shift},
    problem::{Code, RuleError},
};
use drift::Drift;
use history::Told;
use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};
use store::{
    Tx,
    agents::Agent,
    environments::{Environment, InstalledApp, update_environments},
    execution as locking,
    inventories::{self as rows, Bound, Counts},
};
use understand::{Row, Understood, refused};
use uuid::Uuid;
use wire::agent::{EnvironmentName, Inventory, InventoryResult, RefusedEnvironment};

/// Environments that one transaction writes: enough to share its cost, few enough that others who write do not notice
/// it.
const BATCH: usize = 250;

/// The code of a row about what belongs to another agent.
const BOUND_ELSEWHERE: &str = "BoundElsewhere";

/// Who reports, and the number of what they report.
#[derive(Clone, Debug)]
struct Reporter {
    caller: AgentCaller,
    sequence: i64,
    now: Instant,
    /// How many changes it writes into history one by one in an hour.
    most_recorded: u64,
}

impl Reporter {
    fn id(&self) -> Uuid {
        self.caller.id
    }

    fn actor(&self) -> Actor<'_> {
        Actor::Agent(&self.caller)
    }

    /// The agent as it is now, its row locked: this is still its last inventory, and nobody else's comes in between.
    async fn lock(&self, tx: &mut Tx<'_>) -> Result<Agent> {
        let agent = agents::lock_standing(tx, &self.caller, self.now).await?;
        if agent.inventory_sequence != self.sequence {
            return Err(stale(self.sequence, agent.inventory_sequence).into());
        }
        Ok(agent)
    }
}

fn stale(sequence: i64, last: i64) -> RuleError {
    let message = format!(
        "The inventory has the number {sequence}, and another of the number {last} has come before. Send one of a higher \
         number."
    );
    RuleError::new(Code::StaleInventory, message)
        .about("sequence")
        .with("sequence", last.to_string())
}

/// Takes all that an agent serves: what is bound to it and not named is missing.
pub(crate) async fn put_inventory(
    service: &Arc<Service>,
    agent: &AgentCaller,
    inventory: Inventory,
) -> Result<InventoryResult> {
    report(service, agent, inventory, true).await
}

/// Takes what has changed of what an agent serves.
pub(crate) async fn patch_inventory(
    service: &Arc<Service>,
    agent: &AgentCaller,
    inventory: Inventory,
) -> Result<InventoryResult> {
    report(service, agent, inventory, false).await
}

async fn report(
    service: &Arc<Service>,
    agent: &AgentCaller,
    inventory: Inventory,
    is_full: bool,
) -> Result<InventoryResult> {
    let allow_w1 = service.settings.countries.allow_w1;
    if is_full && !inventory.gone.is_empty() {
        let message = "A full set names what there is; what is gone is not named in it.";
        return Err(RuleError::invalid("gone", message).into());
    }
    if !is_full && !inventory.unread.is_empty() {
        let message = "Changes name what has changed; what could not be read is not named in them.";
        return Err(RuleError::invalid("unread", message).into());
    }
    let reading = tokio::task::spawn_blocking(move || Understood::read(inventory, allow_w1));
    let understood = reading.await.map_err(Error::fault)??;
    let by = Reporter {
        caller: agent.clone(),
        sequence: understood.sequence,
        now: service.clock.now(),
        most_recorded: service.settings.agents.recorded_changes_per_hour,
    };
    check_sequence(by.sequence, by.now)?;
    service
        .see_through(async move |service| {
            let begun = begin(&service, &by, &understood, is_full).await?;
            let taken = take(&service, &by, understood, begun, is_full).await;
            // Some of it may have been taken even where the rest was not.
            service.emitted.notify_here();
            service.wakeup.notify();
            taken
        })
        .await
}

/// How far the number of an inventory may be ahead, as agents take theirs from their clocks.
const AHEAD: Duration = Duration::from_secs(24 * 3_600);

/// Refuses a number after which no higher one may ever come.
fn check_sequence(sequence: i64, now: Instant) -> Result<()> {
    let Instant(highest) = now + AHEAD;
    if sequence <= highest {
        return Ok(());
    }
    let message = format!(
        "The inventory has the number {sequence}; it may be {highest} at most, which is this time tomorrow in steps of \
         100 ns since 1970. If the number is the time, the clock of the agent's machine is wrong."
    );
    Err(RuleError::invalid("sequence", message).into())
}

/// What holds when an inventory begins.
struct Begun {
    scope: AgentScope,
    /// For a full set, the environments that the agent has.
    bound: Vec<Bound>,
}

struct Begin {
    by: Reporter,
    is_full: bool,
    confirm: bool,
    reported: Vec<Arc<Row>>,
    named: HashSet<EnvironmentKey>,
    gone: HashSet<EnvironmentKey>,
}

async fn begin(service: &Service, by: &Reporter, understood: &Understood, is_full: bool) -> Result<Begun> {
    let input = Begin {
        by: by.clone(),
        is_full,
        confirm: understood.confirm,
        reported: understood.rows.clone(),
        named: understood.named.clone(),
        gone: understood.gone.iter().map(EnvironmentName::key).collect(),
    };
    service
        .db
        .write(input, |tx, input| Box::pin(begin_in(tx, input)))
        .await
}

async fn begin_in(mut tx: Tx<'_>, input: &Begin) -> Result<Begun> {
    let by = &input.by;
    let agent = agents::lock_standing(&mut tx, &by.caller, by.now).await?;
    if by.sequence <= agent.inventory_sequence {
        return Err(stale(by.sequence, agent.inventory_sequence).into());
    }
    let bound = match input.is_full {
        true => rows::bound_to(&mut tx, by.id()).await?,
        false => {
            let named = input.reported.iter().map(|row| &row.key);
            rows::bound_among(&mut tx, by.id(), named.chain(&input.gone)).await?
        }
    };
    let counted = count(&mut tx, input, &agent, &bound).await?;
    rows::set_sequence(&mut tx, by.id(), by.sequence).await?;
    if let Some(Counted { since, gained }) = counted {
        rows::set_counted(&mut tx, by.id(), since, gained).await?;
    }
    Ok(Begun {
        scope: agent.scope,
        bound,
    })
}

/// What an agent has gained by changes, and since when that is counted.
struct Counted {
    since: Option<Instant>,
    gained: usize,
}

/// Checks how many environments an inventory gains and loses. Of changes that is all since the last full set, so that many
/// small ones do not come to more than a full set may; what is counted from now on, if that is not as before.
async fn count(tx: &mut Tx<'_>, input: &Begin, agent: &Agent, bound: &[Bound]) -> Result<Option<Counted>> {
    let by = &input.by;
    let bound_keys: HashSet<_> = bound.iter().map(Bound::key).collect();
    let reported = input.reported.iter().map(|row| &row.key);
    let new: Vec<_> = reported
        .filter(|key| !bound_keys.contains(key) && agent.scope.covers(key))
        .collect();
    let is_lost = |one: &&Bound| match input.is_full {
        true => !input.named.contains(&one.key()),
        false => input.gone.contains(&one.key()),
    };
    let present = bound.iter().filter(|one| one.missing_since.is_none());
    let lost = present.filter(is_lost).count();
    if new.is_empty() && lost == 0 {
        return Ok(None);
    }
    // What belongs to others is refused and gained by nobody.
    let gained = new.len();
    let gained = gained.saturating_sub(rows::bound_to_others(tx, by.id(), new).await?);
    let Counts {
        all,
        present,
        lost: lost_before,
    } = rows::count_bound(tx, by.id(), agent.counted_since).await?;
    let gained_before = usize::try_from(agent.gained).unwrap_or_default();
    let shift = match input.is_full {
        true => Shift {
            had: present,
            lost,
            gained,
            is_first: agent.inventory_on.is_none(),
        },
        false => Shift {
            had: (present + lost_before).saturating_sub(gained_before),
            lost: lost_before + lost,
            gained: gained_before + gained,
            is_first: agent.inventory_on.is_none(),
        },
    };
    if !input.confirm {
        shift.check()?;
    }
    if gained > 0 {
        check_room(all + gained)?;
    }
    if input.is_full {
        return Ok(None);
    }
    Ok(Some(match input.confirm {
        true => Counted {
            since: Some(by.now),
            gained: 0,
        },
        false => Counted {
            since: agent.counted_since,
            gained: shift.gained,
        },
    }))
}

/// What is missing takes room as well: it is still there.
fn check_room(count: usize) -> Result<()> {
    if count <= MOST_ENVIRONMENTS {
        return Ok(());
    }
    let message = format!(
        "With those that are missing the agent would have {count} environments; it may have {MOST_ENVIRONMENTS}."
    );
    Err(RuleError::invalid("environments", message).into())
}

async fn take(
    service: &Service,
    by: &Reporter,
    understood: Understood,
    begun: Begun,
    is_full: bool,
) -> Result<InventoryResult> {
    let mut taken = Taken(InventoryResult {
        refused: understood.refused,
        warnings: understood.warnings,
        ..InventoryResult::default()
    });
    for batch in understood.rows.chunks(BATCH) {
        take_batch(service, by, &begun.scope, batch, &mut taken).await?;
    }
    let unnamed = |one: &Bound| !understood.named.contains(&one.key());
    let missing: Vec<Uuid> = match is_full {
        true => begun
            .bound
            .iter()
            .filter(|one| unnamed(one))
            .map(|one| one.id)
            .collect(),
        false => find_gone(service, by, understood.gone, &mut taken).await?,
    };
    for batch in missing.chunks(BATCH) {
        taken.0.missing += miss(service, by, batch.to_vec()).await?;
    }
    if is_full {
        end(service, by).await?;
    }
    let foreign = taken.0.refused.iter().filter(|row| row.code == BOUND_ELSEWHERE);
    if let count @ 1.. = foreign.count() {
        let agent = &by.caller.name;
        tracing::warn!(
            agent,
            count,
            "an agent reports environments that belong to another"
        );
    }
    Ok(taken.0)
}

/// What came of an inventory so far.
struct Taken(InventoryResult);

/// What a reported environment comes to.
enum Decision {
    Refused(RefusedEnvironment),
    /// Refused because it belongs to another agent, and never before since it does; as it is from now on.
    Contested(RefusedEnvironment, Box<Environment>),
    Unchanged,
    Written(Box<Written>),
}

async fn take_batch(
    service: &Service,
    by: &Reporter,
    scope: &AgentScope,
    batch: &[Arc<Row>],
    taken: &mut Taken,
) -> Result<()> {
    let known = rows::find_known(&service.db, batch.iter().map(|row| &row.key)).await?;
    let mut differing = Vec::new();
    for row in batch {
        // What is new is looked at again, and whether it was there before.
        match decide(by, scope, row, known.get(&row.key), false) {
            Decision::Written(_) | Decision::Contested(..) => differing.push(Arc::clone(row)),
            other => taken.add(row, known.get(&row.key), &other),
        }
    }
    if differing.is_empty() {
        return Ok(());
    }
    let input = (by.clone(), differing.clone());
    let (decided, told) = service
        .db
        .write(input, |tx, (by, rows)| Box::pin(save_in(tx, by, rows)))
        .await?;
    told.warn(by);
    for (row, decision) in differing.iter().zip(&decided) {
        taken.add(row, None, decision);
    }
    Ok(())
}

impl Decision {
    fn contested(&self) -> Option<Environment> {
        match self {
            Self::Contested(_, environment) => Some(Environment::clone(environment)),
            _ => None,
        }
    }
}

/// Decides about environments under their locks and writes what is to be written; answers in the order of the rows.
async fn save_in(mut tx: Tx<'_>, by: &Reporter, reported: &[Arc<Row>]) -> Result<(Vec<Decision>, Told)> {
    let agent = by.lock(&mut tx).await?;
    let mut known = rows::lock_known(&mut tx, reported.iter().map(|row| &row.key)).await?;
    let sandboxes = reported
        .iter()
        .filter(|row| row.report.kind == EnvironmentKind::Sandbox);
    let new_sandboxes = sandboxes
        .map(|row| &row.key)
        .filter(|key| !known.contains_key(key));
    let productions = missing::removed_productions(&mut tx, new_sandboxes).await?;
    let mut kept = Vec::with_capacity(reported.len());
    let mut written = Vec::with_capacity(reported.len());
    for row in reported {
        let was_production = productions.contains(&row.key);
        match decide(
            by,
            &agent.scope,
            row,
            known.remove(&row.key).as_ref(),
            was_production,
        ) {
            Decision::Written(one) => {
                kept.push(None);
                written.push(*one);
            }
            other => kept.push(Some(other)),
        }
    }
    environments::save(&mut tx, &written, by.now).await?;
    let contested: Vec<_> = kept.iter().flatten().filter_map(Decision::contested).collect();
    contested::record(&mut tx, by.actor(), by.now, &contested).await?;
    let drift = drift::find(&mut tx, &written).await?;
    let told = history::record(&mut tx, by, &agent, &written, &drift).await?;
    drop(drift);
    let mut written = written.into_iter().map(|one| Decision::Written(Box::new(one)));
    let decisions = kept
        .into_iter()
        .filter_map(|kept| kept.or_else(|| written.next()));
    Ok((decisions.collect(), told))
}

fn decide(
    by: &Reporter,
    scope: &AgentScope,
    row: &Row,
    known: Option<&Known>,
    was_production: bool,
) -> Decision {
    let refuse = |code: &str, message: String| Decision::Refused(refused(row.name(), code, message));
    if !scope.covers(&row.key) {
        let message = format!(
            "The scope of agent '{}' does not cover the environment.",
            by.caller.name
        );
        return refuse("OutOfScope", message);
    }
    let existing = known.map(|(environment, _)| environment);
    let is_others = |environment: &&Environment| environment.agent_id.is_some_and(|other| other != by.id());
    if let Some(environment) = existing.filter(is_others) {
        let message = "The environment belongs to another agent. The operator can bind it to this one.";
        let refused = refused(row.name(), BOUND_ELSEWHERE, message);
        if environment.contested_since.is_some() {
            return Decision::Refused(refused);
        }
        let contested = Environment {
            contested_since: Some(by.now),
            etag: Etag::random(),
            ..environment.clone()
        };
        return Decision::Contested(refused, Box::new(contested));
    }
    let environment = as_reported(by, row, existing, was_production);
    let apps = apps_as_reported(row, known.map_or(&[], |(_, apps)| apps));
    if apps.len() > MOST_APPS {
        let message = format!(
            "With those that were known before the environment has {} apps; it may have {MOST_APPS}. Report all of them.",
            apps.len()
        );
        return refuse("InvalidInput", message);
    }
    if let Some((existing, known)) = known
        && is_known(&environment, existing)
        && apps == *known
    {
        return Decision::Unchanged;
    }
    Decision::Written(Box::new(Written {
        before: known.cloned(),
        after: (environment, apps),
    }))
}

/// What is not named is gone only from a list that names all there is.
fn apps_as_reported(row: &Row, known: &[InstalledApp]) -> Vec<InstalledApp> {
    let EnvironmentReport {
        apps,
        inventory_complete,
        ..
    } = &row.report;
    let known = match inventory_complete {
        true => &[],
        false => known,
    };
    let by_id: BTreeMap<_, _> = known
        .iter()
        .chain(apps)
        .map(|app| (app.app_id, app.clone()))
        .collect();
    by_id.into_values().collect()
}

/// What production is nobody makes a sandbox by reporting it as one: what is allowed in sandboxes only would be allowed
/// there.
fn as_reported(
    by: &Reporter,
    row: &Row,
    existing: Option<&Environment>,
    was_production: bool,
) -> Environment {
    let mut environment = described(&row.report, row.key.tenant_id, existing, by.now);
    environment.agent_id = Some(by.id());
    // What happened in an environment is known once all of it could be read.
    if let Some(existing) = existing.filter(|_| !row.report.inventory_complete) {
        environment.held_since = existing.held_since;
        environment.held_by = existing.held_by;
    }
    let was_production = existing.map_or(was_production, |existing| {
        existing.kind == EnvironmentKind::Production
    });
    if was_production && environment.kind == EnvironmentKind::Sandbox {
        let disputed_since = existing.and_then(|existing| existing.disputed_since);
        environment.kind = EnvironmentKind::Production;
        environment.disputed_since = disputed_since.or(Some(by.now));
    }
    environment
}

/// Whether nothing is new, but when it was said.
fn is_known(environment: &Environment, existing: &Environment) -> bool {
    let at_its_time = Environment {
        inventory_on: existing.inventory_on,
        etag: existing.etag,
        ..environment.clone()
    };
    at_its_time == *existing
}

impl Row {
    fn name(&self) -> EnvironmentName {
        EnvironmentName {
            aad_tenant_id: self.key.tenant_id.0,
            application_family: self.report.family.clone(),
            name: self.report.name.clone(),
        }
    }
}

impl Taken {
    fn add(&mut self, row: &Row, known: Option<&Known>, decision: &Decision) {
        let Self(result) = self;
        let mut is_disputed = known.is_some_and(|(known, _)| known.disputed_since.is_some());
        match decision {
            Decision::Refused(refused) | Decision::Contested(refused, _) => {
                result.refused.push(refused.clone());
                return;
            }
            Decision::Unchanged => result.unchanged += 1,
            Decision::Written(written) => {
                is_disputed = written.after.0.disputed_since.is_some();
                match written.before {
                    Some(_) => result.changed += 1,
                    None => result.added += 1,
                }
            }
        }
        if is_disputed {
            result.disputed.push(row.name());
        }
    }
}

/// The agent's environments among those that are said to be gone.
async fn find_gone(
    service: &Service,
    by: &Reporter,
    gone: Vec<EnvironmentName>,
    taken: &mut Taken,
) -> Result<Vec<Uuid>> {
    let mut found = Vec::with_capacity(gone.len());
    for batch in gone.chunks(BATCH) {
        let keys: Vec<_> = batch.iter().map(EnvironmentName::key).collect();
        let known = rows::find_known(&service.db, &keys).await?;
        for (name, key) in batch.iter().zip(&keys) {
            match known.get(key) {
                Some((environment, _)) if environment.agent_id == Some(by.id()) => found.push(environment.id),
                Some(_) => {
                    let message = "The environment does not belong to this agent.";
                    taken
                        .0
                        .refused
                        .push(refused(name.clone(), BOUND_ELSEWHERE, message));
                }
                None => {}
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Environments are missing from now on, if they are not yet; how many of them are.
async fn miss(service: &Service, by: &Reporter, ids: Vec<Uuid>) -> Result<u64> {
    let (missing, told) = service
        .db
        .write((by.clone(), ids), |tx, (by, ids)| Box::pin(miss_in(tx, by, ids)))
        .await?;
    told.warn(by);
    Ok(missing)
}

async fn miss_in(mut tx: Tx<'_>, by: &Reporter, ids: &[Uuid]) -> Result<(u64, Told)> {
    let agent = by.lock(&mut tx).await?;
    let found = locking::lock_environments(&mut tx, ids.iter().copied()).await?;
    let ours = found.into_iter().filter(|one| one.agent_id == Some(by.id()));
    let (known, new): (Vec<_>, Vec<_>) = ours.partition(|one| one.missing_since.is_some());
    let missing: Vec<_> = new
        .into_iter()
        .map(|environment| Environment {
            missing_since: Some(by.now),
            etag: Etag::random(),
            ..environment
        })
        .collect();
    update_environments(&mut tx, &missing).await?;
    super::execution::reschedule(&mut tx, &missing.iter().collect::<Vec<_>>(), by.now).await?;
    let drift: Vec<_> = missing.iter().map(Drift::gone).collect();
    let told = history::record(&mut tx, by, &agent, &[], &drift).await?;
    Ok(((known.len() + missing.len()) as u64, told))
}

async fn end(service: &Service, by: &Reporter) -> Result<()> {
    service
        .db
        .write(by.clone(), |mut tx, by| {
            Box::pin(async move {
                by.lock(&mut tx).await?;
                Ok(rows::set_inventory_on(&mut tx, by.id(), by.now).await?)
            })
        })
        .await
}
