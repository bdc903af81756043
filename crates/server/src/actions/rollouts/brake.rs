//! Whether hotfixes of rollouts may start: asked by whoever starts them, within the transaction that does.
//!
//! The rollout's row is locked for that, so what was started before a pause or an abort is seen by it, and after its
//! answer nothing of it starts. What is held is not looked at again by every claim: its environment is not due because
//! of it, until the rollout goes on.

use super::state::Loaded;
use crate::error::Result;
use domain::{
    ids::OperationId,
    instant::Instant,
    operation::OperationStatus,
    rollout::{HOUR, MemberState, State, Used},
};
use std::collections::{BTreeSet, HashMap};
use store::{
    Tx,
    hotfixes::Operation,
    rollouts::{self as rows, Member, Moved},
};
use uuid::Uuid;

/// What of rollouts may start.
#[derive(Default)]
pub(crate) struct Rooms(HashMap<Uuid, Room>);

struct Room {
    is_braked: bool,
    /// How many more may start.
    starts: u64,
    /// When the next may, where time says so.
    next: Option<Instant>,
}

impl Rooms {
    /// What of the rollouts of these operations may start; their rows are locked from now on.
    pub(crate) async fn of(
        tx: &mut Tx<'_>,
        operations: impl Iterator<Item = &Operation>,
        now: Instant,
    ) -> Result<Self> {
        let waiting = operations.filter(|operation| operation.status == OperationStatus::Scheduled);
        let rollouts: BTreeSet<Uuid> = waiting.filter_map(|operation| operation.rollout_id).collect();
        let mut rooms = HashMap::with_capacity(rollouts.len());
        for id in rollouts {
            if let Some(loaded) = Loaded::lock(tx, id).await? {
                rooms.insert(id, room(tx, &loaded, now).await?);
            }
        }
        Ok(Self(rooms))
    }

    fn room(&self, operation: &Operation) -> Option<&Room> {
        self.0.get(&operation.rollout_id?)
    }

    /// Whether it may not start until its rollout goes on.
    pub(crate) fn is_braked(&self, operation: &Operation) -> bool {
        self.room(operation).is_some_and(|room| room.is_braked)
    }

    /// Whether the limits of its rollout keep it from starting now.
    pub(crate) fn is_full(&self, operation: &Operation) -> bool {
        self.room(operation).is_some_and(|room| room.starts == 0)
    }

    /// When they let the next one start, where time says so.
    pub(crate) fn next_place(&self, operation: &Operation) -> Option<Instant> {
        self.room(operation)?.next
    }

    /// It starts.
    pub(crate) fn take(&mut self, operation: &Operation) {
        let room = operation.rollout_id.and_then(|id| self.0.get_mut(&id));
        if let Some(room) = room {
            room.starts = room.starts.saturating_sub(1);
        }
    }
}

async fn room(tx: &mut Tx<'_>, loaded: &Loaded, now: Instant) -> Result<Room> {
    let limits = loaded.rollout.limits(&loaded.definition);
    let is_behind = now + HOUR < loaded.rollout.engine_time;
    let is_braked = loaded.row.state != State::Active || is_behind;
    if is_braked || (limits.running.is_none() && limits.per_hour.is_none()) {
        return Ok(Room {
            is_braked,
            starts: u64::MAX,
            next: None,
        });
    }
    let id = loaded.row.id;
    let time = loaded.rollout.engine_time.max(now);
    let (in_the_hour, first_in_the_hour) = rows::started_since(tx, id, time - HOUR).await?;
    let counted = rows::tally(&mut *tx, id).await?.waves;
    let used = Used {
        running: counted.values().map(|counts| counts[MemberState::Running]).sum(),
        in_the_hour,
        first_in_the_hour,
    };
    Ok(Room {
        is_braked,
        starts: used.room(limits),
        next: used.next_place(limits),
    })
}

/// Keeps in mind that nobody looks at these hotfixes until their rollouts, whose rows are locked, go on.
pub(crate) async fn hold(tx: &mut Tx<'_>, held: Vec<OperationId>, now: Instant) -> Result<()> {
    if held.is_empty() {
        return Ok(());
    }
    let members = rows::members_of_operations(tx, held).await?;
    let scheduled = members
        .into_iter()
        .filter(|member| member.state == MemberState::Scheduled);
    let moved: Vec<_> = scheduled.map(|member| held_or_not(member, true, now)).collect();
    Ok(rows::move_members(tx, &moved).await?)
}

/// A member that is held from now on, or is not any more.
pub(super) fn held_or_not(member: Member, is_held: bool, now: Instant) -> Moved {
    member.moved(|member| Member {
        is_held,
        changed_on: now,
        ..member
    })
}
