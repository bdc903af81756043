//! Starting what is due, in many environments at once.

use super::{
    BATCH, Claimed, Result, address, after, all_changed, due::next_start, ended, inventories::Inventories,
    lies_in_the_matter, part_failed, skipped,
};
use crate::{
    actions::{
        Service,
        agents::AgentCaller,
        audit::{self, Actor, Change},
        events,
        facts::InstallationFacts,
        rollouts::{self, Rooms},
    },
    error::Error,
    telemetry::metrics::CLAIM_LAG,
};
use domain::{
    chain::Chain,
    freeze::Frozen,
    hotfix::{self, Start},
    ids::{AppId, OperationId, PrincipalId},
    instant::Instant,
    operation::{self, Due, OperationKind, OperationStatus, Skip},
    signer::SignerRule,
    start::{self, Uninstall},
    version::AppVersion,
};
use serde_json::json;
use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};
use store::{
    Reader, Tx, apps,
    environments::{self, Environment, InstalledApp},
    execution::{self as rows, Ending, Installed, Lease},
    freezes::{self, AppFreeze},
    hotfixes::Operation,
    versions::{Version, VersionKey},
};
use uuid::Uuid;

/// How long an environment is left alone whose rows are damaged.
const SET_ASIDE: Duration = Duration::from_secs(60);

/// How often it is looked whether what cannot begin, though it is its time, can by now: it was frozen, or the agent carries
/// out nothing of its kind.
const LOOKED_AT_EACH: Duration = Duration::from_secs(60);

/// Starts up to `most` operations of these kinds that are due in environments which belong to `by`, each in one of its
/// own. What was started without an answer is found as what runs, like anything else that the agent has not heard of.
///
/// A server whose clock is wrong starts nothing.
pub(crate) async fn claim(
    service: &Service,
    by: &AgentCaller,
    kinds: &[OperationKind],
    most: usize,
    lease: Duration,
) -> Result<Vec<Claimed>> {
    if most == 0 {
        return Ok(Vec::new());
    }
    let now = service.clock_check.compare(service).await?;
    let most = if service.clock_check.is_right() { most } else { 0 };
    let term = Term {
        by,
        kinds,
        from: now,
        lease,
    };
    let mut claimed = Vec::new();
    while claimed.len() < most {
        let round = BATCH.min(most - claimed.len());
        match claim_round(service, round, term).await {
            Ok(batch) => {
                let was_last = batch.looked_at < round;
                claimed.extend(batch.started);
                if was_last {
                    break;
                }
            }
            Err(error) if claimed.is_empty() => return Err(error),
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "a claim stopped early");
                break;
            }
        }
    }
    measure_lag(&claimed);
    Ok(claimed)
}

fn measure_lag(claimed: &[Claimed]) {
    for Claimed { operation, .. } in claimed {
        let due = operation.run_after.max(operation.created_on);
        let lag = operation.started_on.map(|started| started.since(due));
        metrics::histogram!(CLAIM_LAG).record(lag.unwrap_or_default());
    }
}

/// Who claims what, when leases begin, and how long they last.
#[derive(Clone, Copy)]
struct Term<'c> {
    by: &'c AgentCaller,
    kinds: &'c [OperationKind],
    from: Instant,
    lease: Duration,
}

/// What came of looking at due environments.
#[derive(Default)]
struct Batch {
    looked_at: usize,
    started: Vec<Claimed>,
}

#[derive(Clone, Copy)]
enum Target {
    /// The longest due, so many at most.
    Due(usize),
    This(Uuid),
}

struct ClaimRequest {
    by: AgentCaller,
    kinds: Vec<OperationKind>,
    target: Target,
    /// What all that it starts is held by.
    lease: Lease,
    allow_preview_in_sandbox: bool,
    now: Instant,
}

async fn claim_round(service: &Service, most: usize, term: Term<'_>) -> Result<Batch> {
    match claim_batch(service, Target::Due(most), term).await {
        Err(error) if lies_in_the_matter(&error) => one_by_one(service, most, term).await,
        outcome => outcome,
    }
}

/// Finds the environments that kept the others from starting work, and sets them aside.
async fn one_by_one(service: &Service, most: usize, term: Term<'_>) -> Result<Batch> {
    let now = term.from;
    let mut batch = Batch::default();
    for environment in rows::due_environments(&service.db, term.by.id, now, most).await? {
        batch.looked_at += 1;
        match claim_batch(service, Target::This(environment), term).await {
            Ok(one) => batch.started.extend(one.started),
            Err(error) if lies_in_the_matter(&error) => {
                tracing::error!(%environment, error = %Chain(&error), "an environment is set aside for a minute: no work can start there");
                set_aside(service, environment, now + SET_ASIDE).await?;
            }
            Err(error) if batch.started.is_empty() => return Err(error),
            Err(_) => break,
        }
    }
    Ok(batch)
}

async fn set_aside(service: &Service, environment: Uuid, until: Instant) -> Result<()> {
    let request = (environment, until);
    service
        .db
        .write(request, |mut tx, &(environment, until)| {
            Box::pin(async move { Ok(rows::set_due(&mut tx, [(environment, Some(until))]).await?) })
        })
        .await
}

async fn claim_batch(service: &Service, target: Target, term: Term<'_>) -> Result<Batch> {
    let lease = Lease {
        id: Uuid::new_v4(),
        until: term.from + term.lease,
    };
    let request = ClaimRequest {
        by: term.by.clone(),
        kinds: term.kinds.to_vec(),
        target,
        lease,
        allow_preview_in_sandbox: service.settings.hotfixes.preview_in_sandbox,
        now: term.from,
    };
    let batch = service
        .db
        .write(request, |tx, request| Box::pin(claim_in(tx, request)))
        .await;
    service.emitted.notify_here();
    batch
}

async fn claim_in(mut tx: Tx<'_>, request: &ClaimRequest) -> Result<Batch> {
    let agent = &request.by;
    if !rows::may_take_on(&mut tx, agent.id, agent.session_id).await? {
        return Ok(Batch::default());
    }
    let environments = lock_environments(&mut tx, request).await?;
    let looked_at = environments.len();
    let mut input = ClaimInput::read(&mut tx, environments, request).await?;
    let mut plan = ClaimPlan::default();
    let mut rooms = std::mem::take(&mut input.rooms);
    for candidate in std::mem::take(&mut input.candidates) {
        decide(&input, &mut rooms, candidate, request, &mut plan)?;
    }
    let started = plan.write(&mut tx, request).await?;
    Ok(Batch { looked_at, started })
}

async fn lock_environments(tx: &mut Tx<'_>, request: &ClaimRequest) -> Result<Vec<Environment>> {
    match request.target {
        Target::Due(most) => Ok(rows::lock_due_environments(tx, request.by.id, request.now, most).await?),
        Target::This(id) => {
            let found = environments::lock_environment_unless_held(tx, id).await?;
            let is_due = |one: &Environment| one.due_on.is_some_and(|due| due <= request.now);
            // It may have come to belong to somebody else since it was found.
            let is_theirs = |one: &Environment| one.agent_id == Some(request.by.id);
            Ok(found.filter(is_due).filter(is_theirs).into_iter().collect())
        }
    }
}

/// Due environments, and all that has to be known to decide what starts in them.
struct ClaimInput {
    candidates: Vec<DueEnvironment>,
    /// How many hotfixes of each rollout may start.
    rooms: Rooms,
    inventories: Inventories,
    /// Who must have signed the packages of apps, where somebody must.
    signer_rules: HashMap<AppId, SignerRule>,
}

/// A due environment and what is asked for there.
struct DueEnvironment {
    environment: Environment,
    is_busy: bool,
    /// What may start now, the earliest wanted first.
    due: Vec<Operation>,
    /// When something else may start, as far as time decides.
    later: Option<Instant>,
    /// What nobody need look at again until its rollout goes on.
    held: Vec<OperationId>,
}

impl ClaimInput {
    async fn read(tx: &mut Tx<'_>, environments: Vec<Environment>, request: &ClaimRequest) -> Result<Self> {
        let ids = environments.iter().map(|environment| environment.id);
        let mut asked_for: HashMap<Uuid, Vec<Operation>> = HashMap::with_capacity(environments.len());
        for operation in rows::lock_occupying(tx, ids).await? {
            asked_for
                .entry(operation.environment_id)
                .or_default()
                .push(operation);
        }
        let rooms = Rooms::of(tx, asked_for.values().flatten(), request.now).await?;
        let frozen = FrozenNow {
            by_operator: freezes::all(&mut *tx).await?,
            by_owners: freezes::app_freezes_at(tx, request.now).await?,
        };
        let mut candidates = Vec::with_capacity(environments.len());
        for environment in environments {
            let asked_for = asked_for.remove(&environment.id).unwrap_or_default();
            candidates.push(DueEnvironment::new(
                environment,
                asked_for,
                (&frozen, &rooms),
                request,
            )?);
        }
        let with_work = candidates.iter().filter(|candidate| !candidate.due.is_empty());
        let with_work = with_work.map(|candidate| candidate.environment.id);
        let due = candidates.iter().flat_map(|candidate| &candidate.due);
        let inventories = Inventories::read(tx, with_work, due.filter_map(target_of)).await?;
        let signer_rules = match inventories.knows_nothing() {
            true => HashMap::new(),
            false => apps::signer_rules(&mut Reader::Tx(tx)).await?,
        };
        Ok(Self {
            candidates,
            rooms,
            inventories,
            signer_rules,
        })
    }

    fn due(&self, operation: &Operation) -> Due {
        let goes_after = match target_of(operation) {
            Some(key) => {
                let target = self.inventories.version(&key);
                let dependencies = target.map_or(&[][..], |target| &target.dependencies);
                dependencies.iter().map(|dependency| dependency.app_id).collect()
            }
            None => {
                let dependents = self
                    .inventories
                    .dependents(operation.environment_id, operation.app_id);
                dependents.map(|dependent| dependent.app_id).collect()
            }
        };
        Due {
            app_id: operation.app_id,
            goes_after,
            plan: operation.plan(),
            run_after: operation.run_after,
            created_on: operation.created_on,
        }
    }
}

/// What is frozen at the instant of a claim.
struct FrozenNow {
    by_operator: Vec<Frozen>,
    by_owners: Vec<AppFreeze>,
}

impl FrozenNow {
    /// Whether it keeps an operation from starting in its environment. Owners hold what the vendor asked for alone.
    fn stops(&self, operation: &Operation, environment: &Environment) -> bool {
        let object_id = operation.created_by_object_id.map(PrincipalId);
        let by_operator = |one: &Frozen| one.stops(operation.app_id, &operation.created_by, object_id);
        let by_owners = |one: &AppFreeze| {
            operation.kind == OperationKind::Hotfix
                && one.concerns(operation.app_id, environment.country_code, environment.kind)
        };
        self.by_operator.iter().any(by_operator) || self.by_owners.iter().any(by_owners)
    }
}

impl DueEnvironment {
    fn new(
        environment: Environment,
        asked_for: Vec<Operation>,
        (frozen, rooms): (&FrozenNow, &Rooms),
        request: &ClaimRequest,
    ) -> Result<Self> {
        let runs = |operation: &Operation| operation.status == OperationStatus::Running;
        let is_busy = environment.is_held() || asked_for.iter().any(runs);
        let mut candidate = Self {
            environment,
            is_busy,
            due: Vec::new(),
            later: None,
            held: Vec::new(),
        };
        if is_busy {
            return Ok(candidate);
        }
        let now = request.now;
        let mut starting = Vec::with_capacity(asked_for.len());
        // Nothing of a plan begins before all of it can.
        let mut plans: HashMap<OperationId, Instant> = HashMap::new();
        for operation in asked_for {
            if rooms.is_braked(&operation) {
                candidate.held.push(operation.id);
                continue;
            }
            let is_frozen = frozen.stops(&operation, &candidate.environment);
            let asked = (operation.run_after, operation.ignore_window);
            let starts = match is_frozen || !request.kinds.contains(&operation.kind) {
                true => now + LOOKED_AT_EACH,
                false => next_start(&candidate.environment, asked.0, asked.1, now)?,
            };
            let plan = plans.entry(operation.plan()).or_insert(starts);
            *plan = starts.max(*plan);
            starting.push(operation);
        }
        for operation in starting {
            let starts = plans.get(&operation.plan()).copied().unwrap_or(now);
            if starts <= now {
                candidate.due.push(operation);
            } else {
                candidate.later = Some(candidate.later.map_or(starts, |later| later.min(starts)));
            }
        }
        candidate
            .due
            .sort_by_key(|operation| (operation.run_after, operation.created_on, operation.id));
        Ok(candidate)
    }
}

fn target_of(operation: &Operation) -> Option<VersionKey> {
    Some(VersionKey {
        app_id: operation.app_id,
        country_code: operation.country_code,
        version: operation.target_version?,
    })
}

/// What a claim comes to, to be written at once.
#[derive(Default)]
struct ClaimPlan {
    started: Vec<Claimed>,
    /// Operations as they were, and how they end.
    skipped: Vec<(Operation, Ending)>,
    /// When something may start next in each environment that was looked at.
    due: Vec<(Uuid, Option<Instant>)>,
    /// Hotfixes that nobody need look at again until their rollouts go on.
    held: Vec<OperationId>,
    audit: Vec<Change<'static>>,
}

/// Starts the one operation that is next in an environment, if there is one; what no longer makes sense before it is
/// skipped.
fn decide(
    input: &ClaimInput,
    rooms: &mut Rooms,
    candidate: DueEnvironment,
    request: &ClaimRequest,
    plan: &mut ClaimPlan,
) -> Result<()> {
    let DueEnvironment {
        environment,
        is_busy,
        mut due,
        mut later,
        held,
    } = candidate;
    plan.held.extend(held);
    if is_busy {
        plan.due.push((environment.id, None));
        return Ok(());
    }
    let full = due.extract_if(.., |operation| rooms.is_full(operation));
    let room = full.map(|operation| {
        rooms
            .next_place(&operation)
            .unwrap_or(request.now + LOOKED_AT_EACH)
    });
    later = later.into_iter().chain(room).min();
    while let Some(next) = operation::pick_next(&due.iter().map(|one| input.due(one)).collect::<Vec<_>>()) {
        let operation = due.remove(next);
        let parts = due.iter().filter(|other| other.plan() == operation.plan());
        let changing: HashSet<AppId> = parts.map(|part| part.app_id).collect();
        match still_makes_sense(input, &environment, &operation, &changing, request)? {
            Ok(start) => {
                rooms.take(&operation);
                plan.start(operation, start, request);
                plan.due.push((environment.id, None));
                return Ok(());
            }
            Err(skip) if start::is_there_already(operation.kind, skip.reason) => {
                plan.skip(operation, &skip, request.now);
            }
            Err(skip) => {
                let parts = due.extract_if(.., |other| other.plan() == operation.plan());
                let parts: Vec<_> = parts.collect();
                let ended = plan.skip(operation, &skip, request.now);
                let because = part_failed(&ended);
                for part in parts {
                    plan.skip(part, &because, request.now);
                }
            }
        }
    }
    plan.due.push((environment.id, later));
    Ok(())
}

/// What an operation starts with.
struct Beginning<'i> {
    /// The installed version, if the app is installed.
    installed: Option<AppVersion>,
    /// The version to bring in, if one is.
    target: Option<&'i Version>,
}

/// What the operation starts with, when the rules still allow it; otherwise why it is skipped. The apps that are `changing` are
/// those of its plan that come after it: what it breaks of them they mend.
fn still_makes_sense<'i>(
    input: &'i ClaimInput,
    environment: &Environment,
    operation: &Operation,
    changing: &HashSet<AppId>,
    request: &ClaimRequest,
) -> Result<Result<Beginning<'i>, Skip>> {
    let (scheduled_in, is_in) = (operation.country_code, environment.country_code);
    if scheduled_in != is_in {
        return Ok(Err(Skip::environment_moved(
            &environment.name,
            scheduled_in,
            is_in,
        )));
    }
    let apps = input.inventories.apps_in(environment.id);
    let installed = apps.iter().find(|app| app.app_id == operation.app_id);
    let begins = |start, installed, target| match start {
        Start::Go => Ok(Beginning { installed, target }),
        Start::Skip(skip) => Err(skip),
    };
    let gathered = match (operation.kind, installed) {
        (OperationKind::Install, Some(installed)) => {
            return Ok(Err(start::already_installed(
                &environment.name,
                installed.version,
            )));
        }
        (OperationKind::Install, None) => InstallationFacts::of_absent(environment, &apps, operation.app_id),
        (OperationKind::Uninstall, Some(installed)) => {
            let start = may_go(input, environment, installed);
            return Ok(begins(start, Some(installed.version), None));
        }
        _ => match InstallationFacts::new(environment, &apps, operation.app_id) {
            Some(gathered) => gathered,
            None => return Ok(Err(Skip::app_uninstalled(&environment.name))),
        },
    };
    let key = target_of(operation).ok_or_else(|| Error::fault("an operation that leads nowhere"))?;
    let Some(target) = input.inventories.uploaded(&key) else {
        return Ok(Err(Skip::target_missing(key.version, scheduled_in)));
    };
    // A vendor who reads later why it was skipped reads nothing of other apps.
    let nothing = HashSet::new();
    let (may_be_preview, visible) = match operation.kind {
        OperationKind::Hotfix => (request.allow_preview_in_sandbox, Some(&nothing)),
        _ => (operation.allow_preview, None),
    };
    let gathered = gathered.without_constraints_of(changing);
    let rule = input
        .signer_rules
        .get(&operation.app_id)
        .unwrap_or(&SignerRule::None);
    let facts = gathered.facts((target, rule), None, may_be_preview, visible);
    let start = match operation.kind {
        OperationKind::Hotfix => hotfix::check_start(&facts),
        _ => start::check_target(&facts, installed.map(|app| app.version)),
    };
    Ok(begins(start, installed.map(|app| app.version), Some(target)))
}

/// Whether an app may be taken out of an environment.
fn may_go(input: &ClaimInput, environment: &Environment, installed: &InstalledApp) -> Start {
    let named = |app: &Installed| app.name.clone().unwrap_or_else(|| app.app_id.to_string());
    start::check_uninstall(&Uninstall {
        environment_name: &environment.name,
        app_id: installed.app_id,
        can_be_uninstalled: installed.can_be_uninstalled,
        dependents: input
            .inventories
            .dependents(environment.id, installed.app_id)
            .map(named)
            .collect(),
    })
}

impl ClaimPlan {
    fn start(&mut self, operation: Operation, beginning: Beginning<'_>, request: &ClaimRequest) {
        let Beginning { installed, target } = beginning;
        let lease = request.lease;
        self.audit.push(Change {
            action: "operations/start",
            target: address(&operation),
            before: Some(json!({ "status": operation.status.as_str() })),
            after: Some(json!({
                "status": "Running",
                "sourceAppVersion": installed.map(|version| version.to_string()),
            })),
        });
        let operation = Operation {
            status: OperationStatus::Running,
            source_version: installed,
            started_on: Some(request.now),
            lease_id: Some(lease.id),
            lease_until: Some(lease.until),
            // What was scheduled before packages were kept in mind is for the package of this moment.
            package_sha256: operation.package_sha256.or(target.map(|target| target.sha256)),
            package_size: operation.package_size.or(target.map(|target| target.size)),
            agent_id: Some(request.by.id),
            agent_name: Some(request.by.name.clone()),
            ..operation
        };
        self.started.push(Claimed { operation, lease });
    }

    /// The operation as it is from now on.
    fn skip(&mut self, operation: Operation, skip: &Skip, now: Instant) -> Operation {
        let ending = skipped(skip, now);
        self.audit.push(ended(&operation, &ending));
        let skipped = after(operation.clone(), ending.clone());
        self.skipped.push((operation, ending));
        skipped
    }

    async fn write(self, tx: &mut Tx<'_>, request: &ClaimRequest) -> Result<Vec<Claimed>> {
        let skipped = self.skipped.iter().map(|(operation, ending)| (operation, ending));
        let changed = rows::end_operations(tx, skipped).await?;
        all_changed("skipped", self.skipped.len(), changed)?;
        let started = || self.started.iter().map(|claimed| &claimed.operation);
        let changed = rows::start_operations(tx, started()).await?;
        all_changed("started", self.started.len(), changed)?;
        rows::set_due(tx, self.due).await?;
        rollouts::hold(tx, self.held, request.now).await?;
        let by = Actor::Agent(&request.by);
        audit::record_all(tx, by, request.now, self.audit).await?;
        let skipped = self.skipped.into_iter();
        let skipped: Vec<_> = skipped
            .map(|(operation, ending)| after(operation, ending))
            .collect();
        let emitted = self
            .started
            .iter()
            .map(|claimed| &claimed.operation)
            .chain(&skipped);
        events::emit(tx, by, request.now, emitted).await?;
        Ok(self.started)
    }
}
