//! Where a rollout is, between the rows that are kept of it and what `domain::rollout` decides by.

use crate::error::{Error, Result};
use domain::{
    country::CountryCode,
    environment::EnvironmentKind,
    ids::{AppId, Etag, TenantId},
    instant::Instant,
    principal::CallerKind,
    rollout::{
        self, Approval, Definition, Driver, Facts, HOUR, MemberState, State, TargetOffered, Used, WaveFacts,
        WaveProgress,
    },
    version::{Availability, VersionStatus},
};
use store::{
    Tx, countries,
    principals::{self, PrincipalRef},
    rollouts::{self, Rollout, Tally, Wave},
    versions,
};
use uuid::Uuid;
use wire::rollouts::parse_definition;

/// A rollout whose row is locked, with all that is kept of it but its members.
pub(crate) struct Loaded {
    pub(crate) row: Rollout,
    pub(crate) waves: Vec<Wave>,
    pub(crate) definition: Definition,
    /// Where it is, as it was read.
    pub(crate) rollout: rollout::Rollout,
}

impl Loaded {
    /// The rollout under its lock.
    pub(crate) async fn lock(tx: &mut Tx<'_>, id: Uuid) -> Result<Option<Self>> {
        let Some(row) = rollouts::lock_rollout(tx, id).await? else {
            return Ok(None);
        };
        let waves = rollouts::waves_of(&mut *tx, id).await?;
        let definition = parse_definition(&row.definition).map_err(Error::fault)?;
        let rollout = rollout_of(&row, &waves);
        Ok(Some(Self {
            row,
            waves,
            definition,
            rollout,
        }))
    }

    /// What is known of its members and of what is around them.
    pub(crate) async fn facts(&self, tx: &mut Tx<'_>, now: Instant) -> Result<Facts> {
        let id = self.row.id;
        let Tally { untaken, waves } = rollouts::tally(&mut *tx, id).await?;
        let wave = |wave: &Wave| WaveFacts {
            is_taken: wave.is_taken,
            counts: waves.get(&wave.wave).copied().unwrap_or_default(),
            last_ended: wave.last_ended_on,
        };
        let (in_the_hour, first_in_the_hour) = rollouts::started_since(tx, id, now - HOUR).await?;
        let running = waves.values().map(|counts| counts[MemberState::Running]).sum();
        Ok(Facts {
            as_of: now,
            driver: Driver::Service,
            untaken: untaken[MemberState::Untaken],
            later: 0,
            waves: self.waves.iter().map(wave).collect(),
            target: self.target_offered(tx).await?,
            approver_may: self.approver_may(tx).await?,
            used: Used {
                running,
                in_the_hour,
                first_in_the_hour,
            },
            held: self.row.held,
            frozen_until: None,
        })
    }

    /// Where the target is offered, of the countries in which there is something left to do.
    async fn target_offered(&self, tx: &mut Tx<'_>) -> Result<TargetOffered> {
        let app = self.row.app_id;
        let selected = match &self.definition.select.countries {
            Some(countries) => countries.clone(),
            None => countries::countries_of(&mut *tx, app).await?,
        };
        let (mut available, mut otherwise) = (Vec::new(), Vec::new());
        for country in selected {
            let key = super::super::versions::key(app, country, self.row.target_version);
            let found = versions::version_in(tx, &key).await?;
            let uploaded = found.filter(|version| version.status == VersionStatus::Uploaded);
            match uploaded.map(|version| version.availability) {
                Some(Availability::Available) => available.push(country),
                other => otherwise.push((country, other == Some(Availability::Preview))),
            }
        }
        let (mut offered, mut withdrawn) = (0, 0);
        for (country, is_preview) in otherwise {
            // A Preview is for sandboxes.
            let (sandbox, production) = self.left_to_do(tx, country).await?;
            withdrawn += usize::from(production || (sandbox && !is_preview));
            offered += usize::from(sandbox && !production && is_preview);
        }
        if withdrawn == 0 {
            return Ok(TargetOffered::Everywhere);
        }
        for country in available {
            let (sandbox, production) = self.left_to_do(tx, country).await?;
            offered += usize::from(sandbox || production);
        }
        Ok(match offered {
            0 => TargetOffered::Nowhere,
            _ => TargetOffered::Partly,
        })
    }

    /// Whether sandboxes, and whether production environments of a country have not had their turn.
    async fn left_to_do(&self, tx: &mut Tx<'_>, country: CountryCode) -> Result<(bool, bool)> {
        let id = self.row.id;
        Ok((
            rollouts::is_left_to_do(tx, id, country, EnvironmentKind::Sandbox).await?,
            rollouts::is_left_to_do(tx, id, country, EnvironmentKind::Production).await?,
        ))
    }

    /// Whether who approved it still has a role that lets them.
    async fn approver_may(&self, tx: &mut Tx<'_>) -> Result<bool> {
        let Some(approver) = self.row.approved_by.as_deref().and_then(user) else {
            return Ok(true);
        };
        let access = principals::app_access_in(tx, approver, self.row.app_id, "").await?;
        Ok(domain::access::permits(access.roles, super::WRITE))
    }

    /// Keeps where it is from now on, if that is anywhere else.
    pub(crate) async fn keep(&mut self, tx: &mut Tx<'_>, next: rollout::Rollout, now: Instant) -> Result<()> {
        put(&mut self.row, &mut self.waves, &next, now);
        rollouts::update_rollout(tx, &self.row, &self.waves).await?;
        self.rollout = next;
        Ok(())
    }
}

/// The user of a signature `User/tenant/id`.
fn user(signature: &str) -> Option<PrincipalRef> {
    let (tenant, id) = signature.strip_prefix("User/")?.split_once('/')?;
    let tenant: TenantId = tenant.parse().ok()?;
    Some(PrincipalRef {
        kind: CallerKind::User,
        first: domain::ids::parse_guid(id).ok()?,
        second: tenant.0,
        tenant: None,
    })
}

fn rollout_of(row: &Rollout, waves: &[Wave]) -> rollout::Rollout {
    rollout::Rollout {
        state: row.state,
        reason: row.reason,
        outcome: row.outcome,
        approval: match (row.needs_approval, row.approved_on) {
            (false, _) => Approval::NotNeeded,
            (true, None) => Approval::Needed,
            (true, Some(_)) => Approval::Given,
        },
        withdraws: row.withdraws,
        paused_since: row.paused_since,
        waves: waves.iter().map(progress_of).collect(),
        engine_time: row.engine_time,
        revision: row.revision,
    }
}

fn progress_of(wave: &Wave) -> WaveProgress {
    WaveProgress {
        state: wave.state,
        begun_at: wave.begun_on,
        deadline_from: wave.deadline_from,
        proceeds_since: wave.proceeds_since,
        gate_opened: wave.gate_opened,
        passed_at: wave.passed_on,
        stopped_by: wave.stopped_by,
        acknowledged: wave.acknowledged,
    }
}

/// Writes into the rows of a rollout where it is.
pub(super) fn put(row: &mut Rollout, waves: &mut [Wave], next: &rollout::Rollout, now: Instant) {
    row.state = next.state;
    row.reason = next.reason;
    row.outcome = next.outcome;
    if next.approval == Approval::Needed {
        (
            row.approved_on,
            row.approved_by,
            row.approved_by_name,
            row.approval_remark,
        ) = (None, None, None, None);
    }
    row.withdraws = next.withdraws;
    row.paused_since = next.paused_since;
    row.engine_time = next.engine_time;
    if row.revision != next.revision {
        row.revision = next.revision;
        row.etag = Etag::random();
    }
    row.ended_on = match next.state {
        State::Completed | State::Aborted => row.ended_on.or(Some(now)),
        State::AwaitingApproval | State::Active | State::Paused => None,
    };
    for (wave, next) in waves.iter_mut().zip(&next.waves) {
        wave.state = next.state;
        wave.begun_on = next.begun_at;
        wave.deadline_from = next.deadline_from;
        wave.proceeds_since = next.proceeds_since;
        wave.gate_opened = next.gate_opened;
        wave.passed_on = next.passed_at;
        wave.stopped_by = next.stopped_by;
        wave.acknowledged = next.acknowledged;
    }
}

/// The rows of a new rollout's waves.
pub(super) fn new_waves(id: Uuid, definition: &Definition, rollout: &rollout::Rollout) -> Vec<Wave> {
    let named = definition.waves.iter().zip(&rollout.waves).zip(0..);
    let wave = |((rules, progress), number): ((&rollout::definition::Wave, &WaveProgress), u64)| Wave {
        rollout_id: id,
        wave: number,
        name: rules.name.clone(),
        state: progress.state,
        is_taken: false,
        begun_on: None,
        deadline_from: None,
        proceeds_since: None,
        gate_opened: false,
        passed_on: None,
        stopped_by: None,
        acknowledged: 0,
        last_ended_on: None,
    };
    named.map(wave).collect()
}

/// Which app a rollout that was locked has to belong to: the id of another app's is no id here.
pub(super) fn of_app(found: Option<Loaded>, app: AppId, id: Uuid) -> Result<Loaded> {
    let found = found.filter(|loaded| loaded.row.app_id == app);
    found.ok_or_else(|| super::missing(app, id).into())
}
