//! Work as agents ask for it: taken on, told of, ended, and the packages for it.
//!
//! What an agent holds is what runs under it in the database, and nothing else. So an answer may get lost, be it that the
//! agent hung up, or that nobody knows whether the claim was committed: with the next claim the agent says what it knows
//! of, and is told of the rest again.

pub(crate) mod given;

use super::{
    Service,
    agents::{AgentCaller, sign_in::check_standing},
    execution::{self, Claimed, Outcome, Report, Verdict, Woken},
    versions::read_package,
};
use crate::{
    blobs::{BlobError, ByteStream},
    error::{Error, Result},
};
use domain::{
    chain::Chain,
    ids::OperationId,
    instant::Instant,
    operation::{FailureCause, OperationKind, OperationStatus},
    problem::{Code, RuleError},
    redaction::redacted,
    text::is_control_in_lines,
    version::AppVersion,
};
use futures::{StreamExt, TryStreamExt, stream};
use given::{Given, Work};
use sha2::{Digest, Sha256};
use std::{
    collections::{HashMap, HashSet},
    iter,
    ops::Range,
    sync::Arc,
    time::Duration,
};
use store::{
    execution::{self as rows, Lease, Progress},
    hotfixes::Operation,
    versions::{self, Version, VersionKey},
};
use uuid::Uuid;
use wire::agent::{
    ClaimRequest, Finish, LONGEST_MESSAGE, LONGEST_STEP, LONGEST_TEXT, LONGEST_WAIT_SECONDS, MOST_CLAIMED,
    Renewal,
};

/// How often the package of an operation is sent from its beginning.
const DOWNLOADS: i64 = 3;
/// How often it is asked, while a package is sent, whether it still may be.
const ASKED_EACH: Duration = Duration::from_secs(2);
/// Packages of so many bytes at most are compared before the first of them is sent: they may come in one piece, and a body
/// that ends before it has begun tells nobody why.
const SMALL: u64 = 512 * 1024;

/// What an agent asks for, understood.
pub(crate) struct WorkRequest {
    most: usize,
    kinds: Vec<OperationKind>,
    wait: Duration,
    holding: HashSet<OperationId>,
}

impl WorkRequest {
    /// # Errors
    /// `InvalidInput` for more than is given out at once, or a longer wait than there is.
    pub(crate) fn read(request: ClaimRequest) -> Result<Self, RuleError> {
        let ClaimRequest {
            max,
            wait_seconds,
            holding,
            kinds,
        } = request;
        let check = |name: &str, given: u32, most: u32| match given > most {
            true => Err(RuleError::invalid(
                name,
                format!("'{name}' is {given}; it may be {most} at most."),
            )),
            false => Ok(()),
        };
        check("max", max, MOST_CLAIMED)?;
        check("waitSeconds", wait_seconds, LONGEST_WAIT_SECONDS)?;
        Ok(Self {
            most: usize::try_from(max).unwrap_or_default(),
            // A newer agent may know of kinds that this service does not.
            kinds: iter::once(OperationKind::Hotfix)
                .chain(kinds.iter().filter_map(|kind| kind.parse().ok()))
                .collect(),
            wait: Duration::from_secs(wait_seconds.into()),
            holding: holding.into_iter().map(OperationId).collect(),
        })
    }
}

/// Gives an agent operations that are due, and waits for the first if it wants to. `parks` is called before it waits.
///
/// This goes with its caller: for one who hung up nothing is to be started. What was committed at that very moment is
/// told of with the next claim.
pub(crate) async fn claim_operations(
    service: &Service,
    caller: &AgentCaller,
    request: &WorkRequest,
    parks: impl Fn() + Send,
) -> Result<Work> {
    let until = tokio::time::Instant::now() + request.wait;
    let place = service.waiting.enter(caller.id);
    loop {
        let work = take_on(service, caller, request).await?;
        if !work.given.is_empty() || request.most == 0 {
            return Ok(work);
        }
        parks();
        if place.wait(until).await == Woken::InVain {
            return Ok(work);
        }
        check_standing(service, caller).await?;
    }
}

async fn take_on(service: &Service, caller: &AgentCaller, request: &WorkRequest) -> Result<Work> {
    let lease = service.settings.executor.lease;
    let unheard = unheard(service, caller, request).await?;
    let mut given = again(service, caller, unheard, lease).await?;
    let most = request.most.saturating_sub(given.len());
    given.extend(execution::claim(service, caller, &request.kinds, most, lease).await?);
    Ok(Work {
        given: described(service, given).await?,
        lease,
    })
}

/// What runs under an agent that does not name it, and that it could go on with.
async fn unheard(service: &Service, caller: &AgentCaller, request: &WorkRequest) -> Result<Vec<Operation>> {
    let mut running = rows::operations_of_agent(&service.db, caller.id).await?;
    running.retain(|operation| {
        !request.holding.contains(&operation.id) && request.kinds.contains(&operation.kind)
    });
    Ok(running)
}

/// Those of `unheard` that still run, held anew: the agent learns only now of them.
async fn again(
    service: &Service,
    by: &AgentCaller,
    unheard: Vec<Operation>,
    lease: Duration,
) -> Result<Vec<Claimed>> {
    if unheard.is_empty() {
        return Ok(Vec::new());
    }
    let until = service.clock_check.compare(service).await? + lease;
    let held = unheard
        .iter()
        .filter_map(|operation| Some((operation.id, operation.lease_id?)));
    let renewed = execution::renew(service, by, held.collect(), until).await?;
    let renewed: HashSet<_> = renewed.into_iter().collect();
    let still = unheard
        .into_iter()
        .filter(|operation| renewed.contains(&operation.id));
    let claimed = still.filter_map(|operation| {
        let id = operation.lease_id?;
        Some(Claimed {
            operation,
            lease: Lease { id, until },
        })
    });
    Ok(claimed.collect())
}

async fn described(service: &Service, claimed: Vec<Claimed>) -> Result<Vec<Given>> {
    let mut known: HashMap<(VersionKey, [u8; 32]), bool> = HashMap::new();
    let mut given = Vec::with_capacity(claimed.len());
    for Claimed { operation, lease } in claimed {
        let differs_elsewhere = match target_of(&operation).zip(operation.package_sha256) {
            None => false,
            Some(package) => match known.get(&package) {
                Some(differs) => *differs,
                None => {
                    let differs = versions::differs_elsewhere(&service.db, &package.0, package.1).await?;
                    known.insert(package, differs);
                    differs
                }
            },
        };
        given.push(Given {
            operation,
            lease_id: lease.id,
            differs_elsewhere,
        });
    }
    Ok(given)
}

fn target_of(operation: &Operation) -> Option<VersionKey> {
    Some(VersionKey {
        app_id: operation.app_id,
        country_code: operation.country_code,
        version: operation.target_version?,
    })
}

/// Lets an agent hold an operation for another while, and keeps how far it has come; how long it is held.
///
/// # Errors
/// `LeaseLost`; `InvalidInput` for more than a hundred percent.
pub(crate) async fn renew_operation(
    service: &Service,
    caller: &AgentCaller,
    id: OperationId,
    renewal: Renewal,
) -> Result<Duration> {
    let progress = match renewal.progress.map(progress_of).transpose()? {
        Some(progress) => {
            let operation = found(service, caller, id, renewal.lease_id).await?;
            (!tells_cause_only(service, &operation)).then_some(progress)
        }
        None => None,
    };
    let lease = service.settings.executor.lease;
    let until = service.clock_check.compare(service).await? + lease;
    let held = (id, renewal.lease_id);
    match execution::renew_one(service, caller, held, until, progress).await? {
        true => Ok(lease),
        false => Err(lease_lost(id, renewal.lease_id).into()),
    }
}

fn progress_of(said: wire::agent::Progress) -> Result<Progress, RuleError> {
    if let Some(percent) = said.percent.filter(|percent| *percent > 100) {
        let message = format!("'progress.percent' is {percent}; it may be 100 at most.");
        return Err(RuleError::invalid("progress.percent", message));
    }
    Ok(Progress {
        percent: said.percent,
        step: said.step.map(|step| kept(&step, LONGEST_STEP)),
        text: said.text.map(|text| kept(&text, LONGEST_TEXT)),
    })
}

/// A text as it is kept: of bounded length, without what looks like a secret, should the agent have let one pass, and
/// without control characters but those of lines and tabs. How an operation ended is not refused for one of them.
fn kept(text: &str, most_bytes: usize) -> String {
    let text = redacted(text);
    let kept = text
        .get(..text.floor_char_boundary(most_bytes))
        .unwrap_or_default();
    kept.replace(is_control_in_lines, "\u{FFFD}")
}

fn lease_lost(id: OperationId, lease_id: Uuid) -> RuleError {
    let message = format!(
        "This agent does not hold operation {id} by lease {lease_id}: the lease has run out, the operation has ended, or it was never given to this agent."
    );
    RuleError::new(Code::LeaseLost, message).about("leaseId")
}

/// Ends an operation as the agent reports that holds it; the operation as it is now. The same report may come again.
///
/// # Errors
/// `LeaseLost` where the operation is not held any more; what the report says is in the audit then. `InvalidInput` for a
/// report that lacks what its status needs, or a success that did not lead to the target.
pub(crate) async fn finish_operation(
    service: &Arc<Service>,
    caller: &AgentCaller,
    id: OperationId,
    finish: Finish,
) -> Result<Operation> {
    let lease_id = finish.lease_id;
    let operation = found(service, caller, id, lease_id).await?;
    let outcome = outcome_of(finish, &operation)?;
    let report = Report {
        id,
        lease_id,
        outcome: match tells_cause_only(service, &operation) {
            true => cause_only(outcome),
            false => outcome,
        },
    };
    let by = caller.clone();
    let (operation, verdict) = service
        .see_through(async move |service| execution::finish(&service, &by, report).await)
        .await?;
    match verdict {
        Verdict::Ended | Verdict::Known => Ok(operation),
        Verdict::Late => Err(lease_lost(id, lease_id).into()),
    }
}

async fn found(
    service: &Service,
    caller: &AgentCaller,
    id: OperationId,
    lease_id: Uuid,
) -> Result<Operation> {
    let found = rows::find_operation_of_agent(&service.db, caller.id, id).await?;
    found.ok_or_else(|| lease_lost(id, lease_id).into())
}

/// Whether the vendor may know no more of a failure than its cause.
fn tells_cause_only(service: &Service, operation: &Operation) -> bool {
    let tenants = &service.settings.agents.only_cause_to_vendor;
    tenants.contains(&operation.tenant_id.0)
}

/// The same outcome without what the target said, which is kept for the audit.
fn cause_only(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Failed { message, cause, .. } => Outcome::Failed {
            message: format!(
                "{}: The operator of the service knows more.",
                cause.unwrap_or(FailureCause::Other)
            ),
            cause,
            in_full: Some(message),
        },
        Outcome::Skipped(_) => Outcome::Skipped(None),
        Outcome::Succeeded => Outcome::Succeeded,
    }
}

fn outcome_of(finish: Finish, operation: &Operation) -> Result<Outcome, RuleError> {
    let status = finish.status.parse::<OperationStatus>();
    let message = finish.error_message.map(|text| kept(&text, LONGEST_MESSAGE));
    match status {
        Ok(OperationStatus::Succeeded) => {
            let installed = finish.installed_version.as_deref();
            match operation.target_version {
                Some(target) => check_installed(installed, target)?,
                None => check_gone(installed)?,
            }
            Ok(Outcome::Succeeded)
        }
        Ok(OperationStatus::Failed) => {
            let message = message.filter(|text| !text.trim().is_empty()).ok_or_else(|| {
                let needed = "'errorMessage' is required when the operation failed: what the target said.";
                RuleError::invalid("errorMessage", needed)
            })?;
            // A newer agent may know causes that this service does not.
            let cause = finish
                .failure_cause
                .map(|word| word.parse().unwrap_or(FailureCause::Other));
            Ok(Outcome::Failed {
                message,
                cause,
                in_full: None,
            })
        }
        Ok(OperationStatus::Skipped) => Ok(Outcome::Skipped(message)),
        _ => {
            let given: String = finish.status.chars().take(80).collect();
            let message =
                format!("'status' is '{given}'; an operation ends as Succeeded, Failed or Skipped.");
            Err(RuleError::invalid("status", message))
        }
    }
}

fn check_gone(installed: Option<&str>) -> Result<(), RuleError> {
    let Some(version) = installed else {
        return Ok(());
    };
    let message = format!(
        "'installedVersion' is '{}', but the operation takes the app out: it has not succeeded.",
        version.chars().take(80).collect::<String>()
    );
    Err(RuleError::invalid("installedVersion", message))
}

fn check_installed(installed: Option<&str>, target: AppVersion) -> Result<(), RuleError> {
    let name = "installedVersion";
    let installed = installed.ok_or_else(|| {
        RuleError::invalid(
            name,
            format!("'{name}' is required when the operation succeeded."),
        )
    })?;
    let version: AppVersion = installed
        .parse()
        .map_err(|error| RuleError::invalid(name, format!("'{name}': {error}.")))?;
    if version == target {
        return Ok(());
    }
    let message =
        format!("'{name}' is {version}, but the operation leads to {target}: it has not succeeded.");
    Err(RuleError::invalid(name, message))
}

/// The package of an operation that an agent holds.
///
/// # Errors
/// `ResourceDoesNotExist` for what it does not hold; `PackageChanged` where the repository has other bytes by now than
/// when the operation was scheduled.
pub(crate) async fn find_package(
    service: &Service,
    caller: &AgentCaller,
    id: OperationId,
) -> Result<Version> {
    let operation = held(service, caller, id).await?.ok_or_else(|| not_held(id))?;
    let target = target_of(&operation).ok_or_else(|| not_held(id))?;
    let found = versions::version(&service.db, &target).await?;
    let pinned = (operation.package_sha256, operation.package_size);
    match found {
        Some(version) if pinned == (Some(version.sha256), Some(version.size)) => Ok(version),
        _ => Err(package_changed(id).into()),
    }
}

async fn held(service: &Service, caller: &AgentCaller, id: OperationId) -> Result<Option<Operation>> {
    let found = rows::find_operation_within_reach(&service.db, caller.id, id).await?;
    let now = service.clock.now();
    Ok(found.filter(|operation| is_held(operation, now)))
}

fn is_held(operation: &Operation, now: Instant) -> bool {
    let lasts = operation.lease_until.is_some_and(|until| now <= until);
    operation.status == OperationStatus::Running && lasts
}

fn not_held(id: OperationId) -> RuleError {
    let message = format!("This agent does not hold operation {id}, so it gets no package for it.");
    RuleError::missing(format!("operations/{id}/package"), message)
}

fn package_changed(id: OperationId) -> RuleError {
    let message = format!(
        "The package of operation {id} is not what it was when the operation was scheduled. Report it as Failed, with the cause PackageChanged."
    );
    RuleError::new(Code::PackageChanged, message)
}

/// The bytes of that package, or a range of them, for as long as the agent holds the operation. Each time that they are
/// sent from before their middle is counted: from there on, nobody gets the whole.
///
/// # Errors
/// `DownloadsUsedUp`.
pub(crate) async fn read_operation_package(
    service: &Arc<Service>,
    caller: &AgentCaller,
    id: OperationId,
    version: &Version,
    range: Option<Range<u64>>,
) -> Result<ByteStream> {
    let is_whole = range.as_ref().is_none_or(|range| *range == (0..version.size));
    let is_counted = |range: &Range<u64>| range.start.saturating_mul(2) < version.size;
    if range.as_ref().is_none_or(is_counted) {
        count(service, id).await?;
    }
    let bytes = read_package(service, version, range).await?;
    let bytes = match is_whole {
        true if version.size <= SMALL => compared(bytes, version, id).await?,
        true => hashed(bytes, version.sha256),
        false => bytes,
    };
    Ok(while_held(bytes, Arc::clone(service), caller.clone(), id))
}

async fn count(service: &Service, id: OperationId) -> Result<()> {
    let counted = service.db.write(id, |mut tx, id| {
        Box::pin(async move { rows::count_download(&mut tx, *id, DOWNLOADS).await })
    });
    if counted.await? {
        return Ok(());
    }
    let message = format!(
        "The package of operation {id} was sent {DOWNLOADS} times already. Report the operation as Failed; whoever schedules it anew brings new downloads."
    );
    Err(RuleError::new(Code::DownloadsUsedUp, message).into())
}

/// The same bytes, which have been read and are what was scheduled.
async fn compared(bytes: ByteStream, version: &Version, id: OperationId) -> Result<ByteStream> {
    match hashed(bytes, version.sha256).try_collect::<Vec<_>>().await {
        Ok(chunks) => Ok(Box::pin(stream::iter(chunks.into_iter().map(Ok)))),
        Err(BlobError::Changed) => Err(package_changed(id).into()),
        Err(error) => Err(error.into()),
    }
}

/// The same bytes, the last of which come only if all together are what was scheduled.
pub(super) fn hashed(bytes: ByteStream, expected: [u8; 32]) -> ByteStream {
    let begun = (bytes, Sha256::new(), None);
    Box::pin(stream::try_unfold(
        begun,
        move |(mut bytes, mut hash, mut kept_back)| async move {
            loop {
                let chunk = bytes.try_next().await?;
                match (kept_back.take(), chunk) {
                    (None, Some(chunk)) => {
                        Digest::update(&mut hash, &chunk);
                        kept_back = Some(chunk);
                    }
                    (Some(before), Some(chunk)) => {
                        Digest::update(&mut hash, &chunk);
                        return Ok(Some((before, (bytes, hash, Some(chunk)))));
                    }
                    (Some(last), None) => {
                        if <[u8; 32]>::from(hash.clone().finalize()) != expected {
                            return Err(BlobError::Changed);
                        }
                        return Ok(Some((last, (bytes, hash, None))));
                    }
                    (None, None) => return Ok(None),
                }
            }
        },
    ))
}

/// The same bytes, which end in a failure soon after the agent does not hold the operation any more, or may not call.
pub(super) fn while_held(
    bytes: ByteStream,
    service: Arc<Service>,
    caller: AgentCaller,
    id: OperationId,
) -> ByteStream {
    let asked = tokio::time::Instant::now();
    let begun = (bytes, service, caller, asked);
    Box::pin(stream::try_unfold(
        begun,
        move |(mut bytes, service, caller, mut asked)| async move {
            let next = loop {
                tokio::select! {
                    biased;
                    () = tokio::time::sleep_until(asked + ASKED_EACH) => {
                        check_still_held(&service, &caller, id).await?;
                        asked = tokio::time::Instant::now();
                    }
                    next = bytes.next() => break next.transpose()?,
                }
            };
            Ok(next.map(|chunk| (chunk, (bytes, service, caller, asked))))
        },
    ))
}

async fn check_still_held(service: &Service, caller: &AgentCaller, id: OperationId) -> Result<(), BlobError> {
    let checked = async {
        check_standing(service, caller).await?;
        held(service, caller, id).await?.ok_or_else(|| not_held(id))?;
        Ok::<_, Error>(())
    };
    checked.await.map_err(|error| {
        tracing::warn!(operation = %id, error = %Chain(&error), "an agent's download ends: it may not go on");
        BlobError::Withdrawn
    })
}
