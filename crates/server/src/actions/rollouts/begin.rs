//! A wave takes its members: on one snapshot, and within one transaction.

use super::{next::order_of, state::Loaded, step::Decided};
use crate::{
    actions::Service,
    error::{Error, Result},
};
use domain::{
    environment::EnvironmentKey,
    instant::Instant,
    rollout::{Definition, MemberReason, MemberState, definition::Take},
};
use std::collections::HashSet;
use store::{
    Tx, driving,
    entity_sets::ENVIRONMENTS,
    environments::InstallationEntry,
    list::{self, ListRequest, Scope},
    rollouts::{self as rows, Member, Moved},
};
use uuid::Uuid;
use wire::rollouts::parse_definition;

/// Members that one statement takes, so that not all of a large wave lie in memory.
const PORTION: i64 = 1_000;

struct Begin {
    rollout: Uuid,
    revision: u64,
    wave: usize,
    most: Option<u64>,
    /// The environments that still fit the selection; none where all do that have the app.
    selected: Option<HashSet<EnvironmentKey>>,
    /// Those that the wave takes, where it says which.
    fit: Option<HashSet<EnvironmentKey>>,
    now: Instant,
}

/// Takes the members of a wave, if it is still to take any.
pub(super) async fn begin(
    service: &Service,
    decided: &Decided,
    wave: usize,
    most: Option<u64>,
) -> Result<()> {
    let found = driving::rollout(&service.db, decided.id).await?;
    let row = found.ok_or_else(|| Error::fault("a rollout went away while it was driven"))?;
    let definition = parse_definition(&row.definition).map_err(Error::fault)?;
    let fitting = async |filter: Option<&str>| -> Result<Option<HashSet<EnvironmentKey>>> {
        let Some(filter) = filter else {
            return Ok(None);
        };
        let request = ListRequest::filtered(&ENVIRONMENTS, Some(filter))?;
        let now = service.clock.now();
        let mut page = list::list(
            &service.db,
            &ENVIRONMENTS,
            Scope::of_app(row.app_id),
            request,
            now,
        )
        .await?;
        let mut keys = HashSet::new();
        while let Some(rows) = page.next().await? {
            keys.extend(rows.iter().map(
                |InstallationEntry {
                     installation: row, ..
                 }| EnvironmentKey::new(row.tenant_id, &row.family, &row.name),
            ));
        }
        Ok(Some(keys))
    };
    let input = Begin {
        rollout: decided.id,
        revision: decided.revision,
        wave,
        most,
        selected: fitting(definition.select.filter.as_deref()).await?,
        fit: fitting(filter_of(&definition, wave)).await?,
        now: service.clock.now(),
    };
    service
        .db
        .write(input, |tx, input| Box::pin(begin_in(tx, input)))
        .await
}

fn filter_of(definition: &Definition, wave: usize) -> Option<&str> {
    match definition.waves.get(wave).map(|wave| &wave.take) {
        Some(Take::Filter(filter)) => Some(filter),
        _ => None,
    }
}

async fn begin_in(mut tx: Tx<'_>, input: &Begin) -> Result<()> {
    let loaded = Loaded::lock(&mut tx, input.rollout).await?;
    let Some(mut loaded) = loaded.filter(|loaded| loaded.row.revision == input.revision) else {
        return Ok(());
    };
    let Some(wave) = loaded.waves.get_mut(input.wave).filter(|wave| !wave.is_taken) else {
        return Ok(());
    };
    wave.is_taken = true;
    let number = wave.wave;
    rows::update_rollout(&mut tx, &loaded.row, &loaded.waves).await?;
    let order = order_of(&loaded.definition, input.wave);
    let mut left = input.most.unwrap_or(u64::MAX);
    // Whom the wave does not take stays where it is and would be found again.
    let portion = match input.fit {
        None => PORTION,
        Some(_) => i64::MAX,
    };
    while left > 0 {
        let most = portion.min(i64::try_from(left).unwrap_or(i64::MAX));
        let untaken = (None, MemberState::Untaken);
        let next = rows::next_members(&mut tx, input.rollout, untaken, order, most).await?;
        let is_last = i64::try_from(next.len()).is_ok_and(|found| found < most);
        let moved = next
            .into_iter()
            .filter(|member| input.fit.as_ref().is_none_or(|fit| fit.contains(&member.key())))
            .map(|member| taken(member, number, input));
        let moved: Vec<_> = moved.collect();
        left -= moved
            .iter()
            .filter(|one| one.member.state == MemberState::Taken)
            .count() as u64;
        rows::move_members(&mut tx, &moved).await?;
        if is_last || input.fit.is_some() {
            break;
        }
    }
    Ok(())
}

/// A member in its wave: it has a hotfix before it, or has left the selection since.
fn taken(member: Member, wave: u64, input: &Begin) -> Moved {
    let stays = input
        .selected
        .as_ref()
        .is_none_or(|selected| selected.contains(&member.key()));
    let state = match stays {
        true => MemberState::Taken,
        false => MemberState::Left,
    };
    member.moved(|member| Member {
        wave: Some(wave),
        state,
        reason: (!stays).then(|| MemberReason::NoLongerSelected.as_str().to_owned()),
        changed_on: input.now,
        ..member
    })
}
