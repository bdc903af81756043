//! Making a rollout: its rows and those of all its environments, in one transaction, so that nobody ever meets half of one.

use super::{
    RolloutEntry, RolloutStep, WRITE, address, emit_rollout,
    plan::{Seen, Walked, walk_through},
    read,
    selection::Verdict,
    state::{new_waves, put},
    summary::Summary,
};
use crate::{
    actions::{
        Principal, Service, access,
        audit::{self, Actor, Change},
        repeat::{self, Repeatable},
    },
    error::{Error, Result},
};
use data_encoding::HEXLOWER;
use domain::{
    ids::{AppId, Etag, OperationId},
    instant::Instant,
    principal::CallerKind,
    problem::{Code, Detail, RuleError},
    rollout::{self, Definition, State, definition::Later},
};
use serde_json::json;
use std::{collections::HashMap, sync::Arc};
use store::{
    Tx, environments,
    rollouts::{self as rows, Rollout},
};
use uuid::Uuid;
use wire::rollouts::write_definition;

/// Members that one statement adds.
const PORTION: usize = 5_000;
/// Most members of a rollout.
const MOST_MEMBERS: usize = 2_000_000;
/// Most rollouts of an app that are not over.
const MOST_OPEN: u64 = 100;
/// Environments that a difference names.
const SAMPLE: usize = 10;

/// What somebody wants.
#[derive(Clone)]
pub(crate) struct CreateRollout {
    pub(crate) definition: Definition,
    /// The plan that they saw.
    pub(crate) fingerprint: Option<[u8; 32]>,
    /// Whether environments may have fallen out since, or have got the target.
    pub(crate) may_shrink: bool,
    pub(crate) repeatable: Option<Repeatable>,
}

struct Creating {
    id: Uuid,
    principal: Principal,
    app: AppId,
    command: CreateRollout,
    seen: Vec<Seen>,
    production: u64,
    fingerprint: [u8; 32],
    now: Instant,
}

/// Makes a rollout.
pub(crate) async fn create_rollout(
    service: &Arc<Service>,
    principal: &Principal,
    app: AppId,
    command: CreateRollout,
) -> Result<(RolloutEntry, Vec<Detail>)> {
    access::preview(service, principal, app, None, WRITE).await?;
    service.check_room()?;
    if let Some(before) = answered_before(service, principal, &command).await? {
        return Ok((
            read::get_rollout(service, principal, app, before).await?,
            Vec::new(),
        ));
    }
    let id = Uuid::now_v7();
    let (seed, _) = id.as_u64_pair();
    let walked = walk_through(service, principal, app, (&command.definition, seed), MOST_MEMBERS).await?;
    check(service, &command, &walked).await?;
    let input = Creating {
        id,
        principal: principal.clone(),
        app,
        production: walked.summary.production,
        fingerprint: walked.summary.fingerprint(),
        seen: walked.seen,
        command,
        now: service.clock.now(),
    };
    let (made, warnings) = service
        .see_through(async move |service| {
            let made = service
                .db
                .write(input, |tx, input| Box::pin(create_in(tx, input)))
                .await?;
            service.emitted.notify_here();
            service.wakeup.notify();
            Ok(made)
        })
        .await?;
    Ok((read::get_rollout(service, principal, app, made).await?, warnings))
}

/// The rollout that the same request made that came before under the same key.
async fn answered_before(
    service: &Service,
    principal: &Principal,
    command: &CreateRollout,
) -> Result<Option<Uuid>> {
    if command.repeatable.is_none() {
        return Ok(None);
    }
    let input = (principal.clone(), command.repeatable.clone(), service.clock.now());
    service
        .db
        .write(input, |mut tx, (principal, repeatable, now)| {
            Box::pin(async move {
                let before = repeat::recall(&mut tx, principal, repeatable.as_ref(), *now).await?;
                Ok::<_, Error>(before.and_then(|before| before.operation_id).map(|id| id.0))
            })
        })
        .await
}

/// Refuses what selects nothing, and what is not what was planned.
async fn check(service: &Service, command: &CreateRollout, walked: &Walked) -> Result<()> {
    let summary = &walked.summary;
    if command.definition.select.later == Later::Include {
        let message = "This service takes in no environments that come later: say \"ignore\", or leave 'select.later' out.";
        return Err(RuleError::new(Code::NotImplemented, message)
            .about("select.later")
            .into());
    }
    if walked.seen.len() > MOST_MEMBERS {
        let message =
            format!("More than {MOST_MEMBERS} environments are selected: make several rollouts of them.");
        return Err(RuleError::broken("TooManyEnvironments", message)
            .about("select")
            .into());
    }
    if summary.count(Verdict::Eligible) + summary.count(Verdict::Blocked) == 0 {
        return Err(nothing_selected(summary).into());
    }
    let found = summary.fingerprint();
    match &command.fingerprint {
        Some(planned) if *planned != found => {
            let before = service.plans.recall(planned);
            let is_defined_so = before
                .as_ref()
                .is_some_and(|before| before.premises == summary.premises());
            let difference = before.map(|before| Difference::between(&before.seen, &walked.seen));
            let may_pass = difference
                .as_ref()
                .is_some_and(|difference| difference.only_shrinks);
            match may_pass && is_defined_so && command.may_shrink {
                true => Ok(()),
                false => Err(plan_changed(service, (difference, is_defined_so), &found)
                    .await?
                    .into()),
            }
        }
        _ => Ok(()),
    }
}

fn nothing_selected(summary: &Summary) -> RuleError {
    let reasons: Vec<_> = summary
        .reasons
        .iter()
        .map(|((_, code), group)| format!("{code}: {}", group.count))
        .collect();
    let message = match reasons.as_slice() {
        [] => "No environment is selected.".to_owned(),
        some => format!(
            "Of {} environments that are selected none can have a hotfix: {}.",
            summary.environments,
            some.join(", ")
        ),
    };
    RuleError::broken("NothingSelected", message).about("select")
}

/// What is otherwise than it was planned.
struct Difference {
    added: Vec<Uuid>,
    removed: Vec<Uuid>,
    changed: Vec<Uuid>,
    /// Whether nothing came in and nothing became eligible.
    only_shrinks: bool,
}

impl Difference {
    fn between(before: &[Seen], now: &[Seen]) -> Self {
        let mut known: HashMap<Uuid, Verdict> = before
            .iter()
            .map(|seen| (seen.environment, seen.verdict))
            .collect();
        let (mut added, mut changed) = (Vec::new(), Vec::new());
        let mut only_shrinks = true;
        for seen in now {
            match known.remove(&seen.environment) {
                None => {
                    added.push(seen.environment);
                    only_shrinks = false;
                }
                Some(verdict) if verdict != seen.verdict => {
                    changed.push(seen.environment);
                    only_shrinks &= verdict == Verdict::Eligible || seen.verdict == Verdict::AlreadyThere;
                }
                Some(_) => {}
            }
        }
        Self {
            added,
            removed: known.into_keys().collect(),
            changed,
            only_shrinks,
        }
    }
}

async fn plan_changed(
    service: &Service,
    (difference, is_defined_so): (Option<Difference>, bool),
    found: &[u8; 32],
) -> Result<RuleError> {
    let message = match (&difference, is_defined_so) {
        (Some(_), false) => {
            "The plan was of another definition, or a package is another than it was. Plan it again."
        }
        (Some(_), true) => {
            "What is selected, or what the rules say of it, is not what was planned. Plan it again."
        }
        (None, _) => "No plan of this fingerprint is known here, or not any more. Plan it again.",
    };
    let mut problem = RuleError::new(Code::PlanChanged, message)
        .about("fingerprint")
        .with("fingerprint", HEXLOWER.encode(found));
    let Some(difference) = difference else {
        return Ok(problem);
    };
    let parts = [
        ("added", difference.added),
        ("removed", difference.removed),
        ("verdictChanged", difference.changed),
    ];
    for (name, mut ids) in parts {
        problem = problem.with(name, ids.len().to_string());
        ids.sort_unstable();
        ids.truncate(SAMPLE);
        let sample = match ids.is_empty() {
            true => Vec::new(),
            false => environments::environments_by_ids(&service.db, &ids).await?,
        };
        for environment in sample {
            let message = format!("{} ({})", environment.key(), environment.country_code);
            problem = problem.because(name, message);
        }
    }
    Ok(problem)
}

async fn create_in(mut tx: Tx<'_>, input: &Creating) -> Result<(Uuid, Vec<Detail>)> {
    access::require(&mut tx, &input.principal, input.app, WRITE).await?;
    let repeatable = input.command.repeatable.as_ref();
    let before = repeat::recall(&mut tx, &input.principal, repeatable, input.now).await?;
    if let Some(id) = before.and_then(|before| before.operation_id) {
        return Ok((id.0, Vec::new()));
    }
    let open = rows::count_open(&mut tx, input.app).await?;
    if open >= MOST_OPEN {
        let message = format!("{MOST_OPEN} rollouts of the app are not over, and no more are allowed.");
        return Err(RuleError::broken("TooManyRollouts", message).into());
    }
    let policy = rows::find_policy(&mut tx, input.app).await?;
    let policy = policy.map(|policy| policy.approval).unwrap_or_default();
    let definition = &input.command.definition;
    let needs_approval = policy.requires(definition, input.production);
    let progress = rollout::Rollout::new(definition, needs_approval, input.now);
    let mut waves = new_waves(input.id, definition, &progress);
    let mut members = 0;
    for portion in input.seen.chunks(PORTION) {
        let environments: Vec<_> = portion.iter().map(|seen| (seen.environment, seen.lot)).collect();
        members += rows::insert_members(&mut tx, input.id, input.app, &environments, input.now).await?;
    }
    let mut row = described(input, &progress, members, needs_approval);
    put(&mut row, &mut waves, &progress, input.now);
    rows::insert_rollout(&mut tx, &row, &waves).await?;
    let id = Some(OperationId(input.id));
    repeat::remember(&mut tx, &input.principal, repeatable, id, input.now).await?;
    let by = Actor::Principal(&input.principal);
    audit::record(&mut tx, by, input.now, created(&row)).await?;
    emit_rollout(&mut tx, RolloutStep::Created, by, input.now, &row).await?;
    let warnings = warnings(&mut tx, input, needs_approval, open > 0).await?;
    Ok((input.id, warnings))
}

async fn warnings(
    tx: &mut Tx<'_>,
    input: &Creating,
    needs_approval: bool,
    has_neighbours: bool,
) -> Result<Vec<Detail>> {
    let mut warnings = Vec::new();
    let creator = match input.principal.kind {
        CallerKind::User => input.principal.id.0,
        _ => Uuid::nil(),
    };
    if needs_approval && !rows::has_other_approver(tx, input.app, creator).await? {
        let message =
            "Nobody else than its creator is Contributor or Owner of the app, so nobody can approve it.";
        warnings.push(Detail {
            code: "NoApprover".to_owned(),
            message: message.to_owned(),
            target: None,
        });
    }
    let overlapping = match has_neighbours {
        true => rows::overlapping(tx, input.app, input.id).await?,
        false => 0,
    };
    if overlapping > 0 {
        warnings.push(Detail {
            code: "OverlapsRollout".to_owned(),
            message: format!(
                "{overlapping} of its environments are in another rollout of the app that is not over."
            ),
            target: Some("select".to_owned()),
        });
    }
    Ok(warnings)
}

fn described(input: &Creating, progress: &rollout::Rollout, members: u64, needs_approval: bool) -> Rollout {
    let definition = &input.command.definition;
    Rollout {
        id: input.id,
        app_id: input.app,
        name: definition.name.clone(),
        note: definition.note.clone(),
        target_version: definition.target,
        definition: write_definition(definition).to_string(),
        fingerprint: input.fingerprint,
        environments: members,
        state: progress.state,
        reason: None,
        reason_text: None,
        outcome: None,
        withdraws: false,
        paused_since: None,
        engine_time: input.now,
        revision: 0,
        held: 0,
        step_on: (progress.state == State::Active).then_some(input.now),
        created_on: input.now,
        created_by: input.principal.signature(),
        created_by_kind: input.principal.kind,
        created_by_name: input.principal.name.clone(),
        created_by_object_id: input.principal.object_id,
        needs_approval,
        approved_on: None,
        approved_by: None,
        approved_by_name: None,
        approval_remark: None,
        ended_on: None,
        etag: Etag::random(),
    }
}

fn created(row: &Rollout) -> Change<'static> {
    Change {
        action: WRITE.as_str(),
        target: address(row.app_id, row.id),
        before: None,
        after: Some(json!({
            "name": row.name,
            "targetAppVersion": row.target_version.to_string(),
            "state": row.state.as_str(),
            "environments": row.environments,
            "fingerprint": HEXLOWER.encode(&row.fingerprint),
            "needsApproval": row.needs_approval,
        })),
    }
}
