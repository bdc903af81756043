//! In which order changes are carried out.

use super::{
    Environment,
    search::{Choice, Search},
};
use crate::ids::AppId;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// The choices by their indices: what a version needs comes before it, and, where that leaves a choice, an app whose
/// installed version would break comes before what breaks it. Apps that need each other in a circle wait only for what lies
/// outside of it.
pub(super) fn dependencies_first(choices: &[Choice<'_>], search: &Search<'_>) -> Vec<usize> {
    let index_of: HashMap<AppId, usize> = choices
        .iter()
        .enumerate()
        .map(|(index, choice)| (choice.offer.app_id, index))
        .collect();
    let mut needs = vec![Vec::new(); choices.len()];
    let mut breaks = vec![Vec::new(); choices.len()];
    for ((choice, needs), breaks) in choices.iter().zip(&mut needs).zip(&mut breaks) {
        let offer = choice.offer;
        let broken = search
            .broken_by(offer)
            .filter_map(|app| index_of.get(&app).copied());
        breaks.extend(broken);
        for dependency in &offer.dependencies {
            let needed = index_of.get(&dependency.app_id);
            let other = needed.and_then(|&index| Some((index, choices.get(index)?.offer)));
            let Some((index, other)) = other.filter(|(_, other)| other.app_id != offer.app_id) else {
                continue;
            };
            // What goes with the one that is there need not wait for the one that breaks what is there of it.
            let is_broken = search.broken_by(other).any(|app| app == offer.app_id);
            if !(is_broken && search.fits_now(dependency)) {
                needs.push(index);
            }
        }
    }
    needed_first(&needs, &breaks)
}

/// Everything after what it needs, but in circles, and after what it breaks, where it can be.
fn needed_first(needs: &[Vec<usize>], breaks: &[Vec<usize>]) -> Vec<usize> {
    let by_rank = postorder(needs);
    let mut rank_of = vec![0; by_rank.len()];
    for (rank, &node) in by_rank.iter().enumerate() {
        if let Some(place) = rank_of.get_mut(node) {
            *place = rank;
        }
    }
    let rank = |node: usize| rank_of.get(node).copied().unwrap_or_default();
    // How much each still waits for, by rank, and who waits for it.
    let mut waits = vec![(0_usize, 0_usize); by_rank.len()];
    let mut then = vec![(Vec::new(), Vec::new()); by_rank.len()];
    for (node, (needs, breaks)) in needs.iter().zip(breaks).enumerate() {
        let waiting = rank(node);
        for first in needs
            .iter()
            .map(|&first| rank(first))
            .filter(|&first| first < waiting)
        {
            waits
                .get_mut(waiting)
                .into_iter()
                .for_each(|(needed, _)| *needed += 1);
            then.get_mut(first)
                .into_iter()
                .for_each(|(needing, _)| needing.push(waiting));
        }
        for first in breaks
            .iter()
            .map(|&first| rank(first))
            .filter(|&first| first != waiting)
        {
            waits
                .get_mut(waiting)
                .into_iter()
                .for_each(|(_, broken)| *broken += 1);
            then.get_mut(first)
                .into_iter()
                .for_each(|(_, breaking)| breaking.push(waiting));
        }
    }
    // Those that need nothing any more, first those that break nothing either.
    let mut ready: BTreeSet<(bool, usize)> = BTreeSet::new();
    let is_ready =
        |(rank, &(needed, broken)): (usize, &(usize, usize))| (needed == 0).then_some((broken > 0, rank));
    ready.extend(waits.iter().enumerate().filter_map(is_ready));
    let mut ordered = Vec::with_capacity(by_rank.len());
    while let Some((_, rank)) = ready.pop_first() {
        ordered.extend(by_rank.get(rank));
        let (needing, breaking) = then.get_mut(rank).map(std::mem::take).unwrap_or_default();
        for (waiting, is_need) in [(needing, true), (breaking, false)]
            .into_iter()
            .flat_map(|(all, is_need)| all.into_iter().map(move |one| (one, is_need)))
        {
            let Some((needed, broken)) = waits.get_mut(waiting) else {
                continue;
            };
            let was_ready = ready.remove(&(*broken > 0, waiting));
            match is_need {
                true => *needed -= 1,
                false => *broken -= 1,
            }
            if was_ready || (is_need && *needed == 0) {
                ready.insert((*broken > 0, waiting));
            }
        }
    }
    ordered
}

/// Everything after what it needs, but in circles. Walked with a stack of its own: data cannot overflow it.
fn postorder(needs: &[Vec<usize>]) -> Vec<usize> {
    let mut seen = HashSet::new();
    let mut ordered = Vec::with_capacity(needs.len());
    for start in 0..needs.len() {
        if !seen.insert(start) {
            continue;
        }
        let mut open = vec![(start, 0)];
        while let Some((node, next)) = open.last_mut() {
            let first = needs.get(*node).and_then(|firsts| firsts.get(*next)).copied();
            *next += 1;
            match first {
                Some(first) if seen.insert(first) => open.push((first, 0)),
                Some(_) => {}
                None => {
                    ordered.push(*node);
                    open.pop();
                }
            }
        }
    }
    ordered
}

/// An installed app after all that depend on it, each with the app because of which it is there.
pub(super) fn dependents_first(environment: &Environment, app: AppId) -> Vec<(AppId, Option<AppId>)> {
    let mut dependents: BTreeMap<AppId, Vec<AppId>> = BTreeMap::new();
    for (&id, installed) in &environment.apps {
        for dependency in installed.dependencies.iter().flatten() {
            dependents.entry(dependency.app_id).or_default().push(id);
        }
    }
    let mut seen = HashSet::from([app]);
    let mut ordered = Vec::new();
    let mut open = vec![(app, None, 0)];
    while let Some((node, because, next)) = open.last_mut() {
        let dependent = dependents.get(node).and_then(|ids| ids.get(*next)).copied();
        *next += 1;
        match dependent {
            Some(dependent) if seen.insert(dependent) => {
                let because = Some(*node);
                open.push((dependent, because, 0));
            }
            Some(_) => {}
            None => {
                ordered.push((*node, *because));
                open.pop();
            }
        }
    }
    ordered
}
