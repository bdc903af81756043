//! What people do to a rollout. Each verb is decided by `domain::rollout` under the rollout's lock; what it means for the
//! hotfixes is carried out by whoever drives the rollout, which is woken. That nothing of it starts any more holds from here
//! on: whoever starts a hotfix asks for the state of its rollout in the same transaction.

use super::{
    RolloutEntry, RolloutStep, WRITE, address, emit_rollout, read,
    state::{Loaded, of_app},
};
use crate::{
    actions::{
        Principal, Service, access,
        audit::{self, Actor, Change},
    },
    error::Result,
};
use domain::{
    access::permits,
    environment::EnvironmentKey,
    ids::AppId,
    instant::Instant,
    problem::RuleError,
    rollout::{self, Approver, Counts, MemberState, definition::LONGEST_TEXT},
    text::check_text,
    version::VersionStatus,
};
use serde_json::json;
use std::{collections::BTreeSet, sync::Arc};
use store::{
    Tx, countries, principals,
    rollouts::{self as rows},
    versions,
};
use uuid::Uuid;

/// What somebody does to a rollout.
#[derive(Clone, Debug)]
pub(crate) enum Verb {
    Approve {
        remark: Option<String>,
    },
    Reject {
        remark: Option<String>,
    },
    Pause {
        withdraw: bool,
        reason: Option<String>,
    },
    Resume {
        reason: Option<String>,
    },
    /// The wave by its name.
    Advance {
        wave: String,
    },
    /// These environments; those that failed or were refused, where none are named.
    Retry {
        environments: Vec<EnvironmentKey>,
    },
    Abort {
        reason: Option<String>,
    },
}

impl Verb {
    fn step(&self) -> RolloutStep {
        match self {
            Self::Approve { .. } => RolloutStep::Approved,
            Self::Reject { .. } => RolloutStep::Rejected,
            Self::Pause { .. } => RolloutStep::Paused,
            Self::Resume { .. } => RolloutStep::Resumed,
            Self::Advance { .. } => RolloutStep::Advanced,
            Self::Retry { .. } => RolloutStep::Retried,
            Self::Abort { .. } => RolloutStep::Aborted,
        }
    }

    fn action(&self) -> &'static str {
        match self {
            Self::Approve { .. } => "rollouts/approve",
            Self::Reject { .. } => "rollouts/reject",
            Self::Pause { .. } => "rollouts/pause",
            Self::Resume { .. } => "rollouts/resume",
            Self::Advance { .. } => "rollouts/advance",
            Self::Retry { .. } => "rollouts/retry",
            Self::Abort { .. } => "rollouts/abort",
        }
    }

    /// What whoever did it said, and what that is called.
    fn said(&self) -> Option<(&'static str, &str)> {
        let (name, said) = match self {
            Self::Approve { remark } | Self::Reject { remark } => ("remark", remark),
            Self::Pause { reason, .. } | Self::Resume { reason } | Self::Abort { reason } => {
                ("reason", reason)
            }
            Self::Advance { .. } | Self::Retry { .. } => return None,
        };
        Some((name, said.as_deref()?))
    }
}

struct Doing {
    principal: Principal,
    app: AppId,
    id: Uuid,
    verb: Verb,
    now: Instant,
}

/// Does something to a rollout, and answers how it is then.
pub(crate) async fn change_rollout(
    service: &Arc<Service>,
    principal: &Principal,
    app: AppId,
    id: Uuid,
    verb: Verb,
) -> Result<RolloutEntry> {
    if let Some((name, said)) = verb.said() {
        check_text(name, said, LONGEST_TEXT)?;
    }
    let input = Doing {
        principal: principal.clone(),
        app,
        id,
        verb,
        now: service.clock.now(),
    };
    service
        .see_through(async move |service| {
            service
                .db
                .write(input, |tx, input| Box::pin(change_in(tx, input)))
                .await?;
            service.emitted.notify_here();
            service.wakeup.notify();
            Ok(())
        })
        .await?;
    read::get_rollout(service, principal, app, id).await
}

async fn change_in(mut tx: Tx<'_>, input: &Doing) -> Result<()> {
    access::require(&mut tx, &input.principal, input.app, WRITE).await?;
    let mut loaded = of_app(Loaded::lock(&mut tx, input.id).await?, input.app, input.id)?;
    let before = loaded.rollout.clone();
    let change = decide(&mut tx, input, &loaded).await?;
    if !change.is_changed {
        return Ok(());
    }
    if let Verb::Approve { remark } = &input.verb {
        loaded.row.approved_on = Some(input.now);
        loaded.row.approved_by = Some(input.principal.signature());
        loaded.row.approved_by_name = input.principal.name.clone();
        loaded.row.approval_remark = remark.clone();
    }
    if change.rollout.reason != before.reason {
        let said = input.verb.said().map(|(_, said)| said.to_owned());
        loaded.row.reason_text = change.rollout.reason.and(said);
    }
    loaded.row.step_on = Some(input.now);
    loaded.keep(&mut tx, change.rollout, input.now).await?;
    let by = Actor::Principal(&input.principal);
    let told = json!({
        "state": loaded.row.state.as_str(),
        "revision": loaded.row.revision,
        "said": input.verb.said(),
        "wave": match &input.verb {
            Verb::Advance { wave } => Some(wave),
            _ => None,
        },
    });
    let changed = Change {
        action: input.verb.action(),
        target: address(input.app, input.id),
        before: Some(json!({ "state": before.state.as_str(), "revision": before.revision })),
        after: Some(told),
    };
    audit::record(&mut tx, by, input.now, changed).await?;
    emit_rollout(&mut tx, input.verb.step(), by, input.now, &loaded.row).await
}

async fn decide(tx: &mut Tx<'_>, input: &Doing, loaded: &Loaded) -> Result<rollout::Change> {
    let (rollout, now) = (&loaded.rollout, input.now);
    let change = match &input.verb {
        Verb::Approve { .. } => rollout::approve(rollout, &approver(tx, input, loaded).await?, now),
        Verb::Reject { .. } => rollout::reject(rollout, &approver(tx, input, loaded).await?, now),
        Verb::Pause { withdraw, .. } => rollout::pause(rollout, *withdraw, now),
        Verb::Resume { reason } => {
            let facts = loaded.facts(tx, now).await?;
            rollout::resume(&loaded.definition, rollout, &facts, reason.as_deref(), now)
        }
        Verb::Advance { wave } => rollout::advance(rollout, wave_called(loaded, wave)?, now),
        Verb::Retry { environments } => {
            let waves = take_again(tx, input, loaded, environments).await?;
            let facts = loaded.facts(tx, now).await?;
            rollout::retry(rollout, &facts, &waves, now).map(|change| rollout::Change {
                // Its members are others now, whatever is kept of the rollout itself.
                is_changed: change.is_changed || !waves.is_empty(),
                ..change
            })
        }
        Verb::Abort { .. } => rollout::abort(rollout, now),
    };
    Ok(change?)
}

fn wave_called(loaded: &Loaded, name: &str) -> Result<usize, RuleError> {
    let found = loaded.waves.iter().position(|wave| wave.name == name);
    found.ok_or_else(|| {
        let names: Vec<_> = loaded.waves.iter().map(|wave| wave.name.as_str()).collect();
        let message = format!("The rollout has no wave '{name}'; it has {}.", names.join(", "));
        RuleError::missing("wave", message)
    })
}

async fn approver(tx: &mut Tx<'_>, input: &Doing, loaded: &Loaded) -> Result<Approver> {
    let principal = &input.principal;
    let row = principals::lock_principal(tx, input.app, principal.id).await?;
    let row = row.filter(|row| permits(row.roles, WRITE));
    Ok(Approver {
        kind: principal.kind,
        roles: row.as_ref().map(|row| row.roles).unwrap_or_default(),
        role_since: row.map(|row| row.approves_since.unwrap_or(Instant(0))),
        // The tokens that open this API need not say when somebody signed in.
        signed_in: Some(input.now),
        is_creator: loaded.row.created_by == principal.signature(),
        is_uploader: is_uploader(tx, input, loaded).await?,
    })
}

async fn is_uploader(tx: &mut Tx<'_>, input: &Doing, loaded: &Loaded) -> Result<bool> {
    let selected = match &loaded.definition.select.countries {
        Some(named) => named.clone(),
        None => countries::countries_of(&mut *tx, input.app).await?,
    };
    for country in selected {
        let key = super::super::versions::key(input.app, country, loaded.row.target_version);
        let found = versions::version_in(tx, &key).await?;
        let uploaded = found.filter(|version| version.status == VersionStatus::Uploaded);
        if uploaded.is_some_and(|version| version.uploaded_by == input.principal.signature()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Makes members Taken again that ended, and answers which waves they are in.
async fn take_again(
    tx: &mut Tx<'_>,
    input: &Doing,
    loaded: &Loaded,
    named: &[EnvironmentKey],
) -> Result<Vec<usize>> {
    let numbers: BTreeSet<u64> = if named.is_empty() {
        let tally = rows::tally(&mut *tx, input.id).await?;
        let failed = |counts: &Counts| {
            MemberState::ALL
                .iter()
                .any(|state| state.is_retried() && counts[*state] > 0)
        };
        let waves = tally.waves.iter().filter(|(_, counts)| failed(counts));
        let waves: BTreeSet<u64> = waves.map(|(wave, _)| *wave).collect();
        rows::retake_failed(tx, input.id, &tally, input.now).await?;
        waves
    } else {
        let members = rows::members_by_key(tx, input.id, named).await?;
        if let Some(missing) = named
            .iter()
            .find(|key| !members.iter().any(|member| member.key() == **key))
        {
            let message = format!("The rollout has no environment {missing}.");
            return Err(RuleError::broken("UnknownEnvironment", message)
                .about("environments")
                .into());
        }
        let ended = members.into_iter().filter(|member| {
            !member.state.is_open() && !member.state.is_succeeded() && member.wave.is_some()
        });
        let moved: Vec<_> = ended
            .map(|member| {
                member.moved(|member| rows::Member {
                    state: MemberState::Taken,
                    reason: None,
                    reason_text: None,
                    reason_key: None,
                    changed_on: input.now,
                    ..member
                })
            })
            .collect();
        rows::move_members(tx, &moved).await?;
        moved.iter().filter_map(|one| one.member.wave).collect()
    };
    let known = 0..loaded.waves.len();
    Ok(known
        .filter(|wave| u64::try_from(*wave).is_ok_and(|wave| numbers.contains(&wave)))
        .collect())
}
