//! What two manifests say that decides where a package may go, whatever its tables are.

use super::changes::{About, Changes};
use super::fields;
use super::model::{Object, ObjectKind};
use super::rules::{self, Rule};
use super::symbols::Symbols;
use super::unreadable::Unreadable;
use crate::manifest::{Manifest, ResourceExposurePolicy};
use crate::version::Version;

/// Business Central's major version for the first runtime: runtime N runs from N + 11 on.
const BEFORE_RUNTIMES: u32 = 11;

pub(super) fn compare(old: &Manifest, new: &Manifest, changes: &mut Changes) {
    compare_versions(old, new, changes);
    compare_needs(old, new, changes);
    compare_dependants(old, new, changes);
    if is_narrowed(&old.id_ranges, &new.id_ranges) {
        let [before, after] = [old, new].map(|manifest| shown_ranges(&manifest.id_ranges));
        changes.add(&rules::ID_RANGE_NARROWED, Some(before), Some(after));
    }
    for (before, after) in [(&old.name, &new.name), (&old.publisher, &new.publisher)] {
        if before != after {
            changes.add(
                &rules::IDENTITY_TEXT_CHANGED,
                Some(before.clone()),
                Some(after.clone()),
            );
        }
    }
}

fn compare_versions(old: &Manifest, new: &Manifest, changes: &mut Changes) {
    let [before, after] = [old.version, new.version];
    let line = |version: Version| version.parts().into_iter().take(2).collect::<Vec<_>>();
    let shown = [before, after].map(|version| Some(version.to_string()));
    if after <= before {
        let [before, after] = shown.clone();
        changes.add(&rules::NOT_NEWER, before, after);
    }
    if line(before) != line(after) {
        let [before, after] = shown;
        changes.add(&rules::OTHER_LINE, before, after);
    }
}

fn compare_needs(old: &Manifest, new: &Manifest, changes: &mut Changes) {
    for needed in &new.dependencies {
        let before = old.dependencies.iter().find(|before| before.id == needed.id);
        let shown = |needed: &crate::Dependency| {
            Some(format!(
                "{} {} {} ({})",
                needed.publisher, needed.name, needed.min_version, needed.id
            ))
        };
        match before {
            None => changes.add(&rules::DEPENDENCY_ADDED, None, shown(needed)),
            Some(before) if before.min_version < needed.min_version => {
                changes.add(&rules::DEPENDENCY_RAISED, shown(before), shown(needed));
            }
            Some(_) => {}
        }
    }
    compare_minimum(
        &rules::APPLICATION_RAISED,
        old.application,
        new.application,
        changes,
    );
    compare_minimum(&rules::PLATFORM_RAISED, old.platform, new.platform, changes);
    let [before, after] = [old, new].map(|manifest| manifest.runtime.as_deref().and_then(runtime));
    if after > before {
        let shown = |runtime: Option<(u32, u32)>| {
            let text = |(major, minor)| {
                format!(
                    "{major}.{minor} (Business Central {}.{minor})",
                    major + BEFORE_RUNTIMES
                )
            };
            runtime.map(text)
        };
        changes.add(&rules::RUNTIME_RAISED, shown(before), shown(after));
    }
    if is_cloud(old) && !is_cloud(new) {
        changes.add(&rules::TARGET_ONPREM, old.target.clone(), new.target.clone());
    }
}

fn compare_minimum(rule: &'static Rule, old: Option<Version>, new: Option<Version>, changes: &mut Changes) {
    if new > old {
        let [before, after] = [old, new].map(|version| version.map(|version| version.to_string()));
        changes.add(rule, before, after);
    }
}

fn runtime(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    let major = major.parse().ok().filter(|major| *major < 1_000)?;
    Some((major, minor.parse().ok()?))
}

/// Whether the app may go online, by today's word for it or the one of 2017.
fn is_cloud(manifest: &Manifest) -> bool {
    let target = manifest.target.as_deref().unwrap_or("Cloud");
    !["OnPrem", "Internal", "Solution"]
        .iter()
        .any(|onprem| target.eq_ignore_ascii_case(onprem))
}

fn compare_dependants(old: &Manifest, new: &Manifest, changes: &mut Changes) {
    if old.propagate_dependencies && !new.propagate_dependencies {
        changes.add(
            &rules::PROPAGATION_DROPPED,
            Some("True".to_owned()),
            Some("False".to_owned()),
        );
    }
    for friend in &old.internals_visible_to {
        if !new.internals_visible_to.iter().any(|other| other.id == friend.id) {
            let shown = format!("{} {} ({})", friend.publisher, friend.name, friend.id);
            changes.add(&rules::FRIEND_REMOVED, Some(shown), None);
        }
    }
    let [before, after] = [old, new].map(|manifest| manifest.resource_exposure_policy);
    if before != after {
        changes.add(
            &rules::EXPOSURE_CHANGED,
            Some(shown_policy(before)),
            Some(shown_policy(after)),
        );
    }
}

fn shown_policy(policy: ResourceExposurePolicy) -> String {
    let rights = [
        ("debugging", policy.allow_debugging),
        ("downloading source", policy.allow_downloading_source),
        ("source in symbols", policy.include_source_in_symbol_file),
        ("also when published by developers", policy.apply_to_dev_extension),
    ];
    let given: Vec<_> = rights
        .iter()
        .filter(|(_, given)| *given)
        .map(|(name, _)| *name)
        .collect();
    if given.is_empty() {
        "nothing".to_owned()
    } else {
        given.join(", ")
    }
}

type Range = (i32, i32);

/// Whether a number is given up. An app that says nothing of ranges says nothing of them.
fn is_narrowed(old: &[Range], new: &[Range]) -> bool {
    if new.is_empty() {
        return false;
    }
    let new = joined(new);
    let is_inside = |(first, last): &Range| new.iter().any(|range| range.0 <= *first && *last <= range.1);
    !joined(old).iter().all(is_inside)
}

/// The same numbers in ranges that neither overlap nor touch.
fn joined(ranges: &[Range]) -> Vec<Range> {
    let mut sorted: Vec<_> = ranges
        .iter()
        .filter(|(first, last)| first <= last)
        .copied()
        .collect();
    sorted.sort_unstable();
    let mut joined: Vec<Range> = Vec::new();
    for (first, last) in sorted {
        match joined.last_mut() {
            Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
            _ => joined.push((first, last)),
        }
    }
    joined
}

fn shown_ranges(ranges: &[Range]) -> String {
    let ranges = joined(ranges);
    let ranges: Vec<_> = ranges
        .iter()
        .map(|(first, last)| format!("{first}..{last}"))
        .collect();
    ranges.join(", ")
}

/// Tells of numbers of objects, and of fields in extensions, that are in none of the new ranges, unless they were in none
/// of the old ones.
pub(super) fn compare_ids(
    old: &Manifest,
    new: &Manifest,
    (before, after): (&Result<Symbols, Unreadable>, &Result<Symbols, Unreadable>),
    changes: &mut Changes,
) {
    let (Ok(before), Ok(after)) = (before, after) else {
        return;
    };
    if new.id_ranges.is_empty() {
        return;
    }
    if !changes.may_look_at(before.numbers() + after.numbers()) {
        return;
    }
    let is_outside = |joined: &[Range], id: i64| {
        let behind = joined.partition_point(|(first, _)| i64::from(*first) <= id);
        let range = behind.checked_sub(1).and_then(|index| joined.get(index));
        range.is_none_or(|(_, last)| i64::from(*last) < id)
    };
    let [old_ranges, new_ranges] = [old, new].map(|manifest| joined(&manifest.id_ranges));
    let shown = shown_ranges(&new.id_ranges);
    let stray: std::collections::HashSet<_> = before
        .objects
        .iter()
        .flat_map(numbers)
        .filter(|(_, _, id)| is_outside(&old_ranges, *id))
        .collect();
    for object in &after.objects {
        let fields: std::collections::HashMap<_, _> = object
            .fields
            .iter()
            .rev()
            .map(|field| (field.id, field))
            .collect();
        for number in numbers(object) {
            let (_, is_field, id) = number;
            if is_outside(&new_ranges, id) && !stray.contains(&number) {
                let field = fields.get(&id).filter(|_| is_field);
                let about = match field {
                    Some(field) => About::field(object, field),
                    None => About::object(object),
                };
                changes.new_there(&rules::OBJECT_OUTSIDE_RANGE, &about, &*shown);
            }
        }
    }
}

/// The numbers that have to be in a range: of the object, and of fields that are added to other apps' tables.
fn numbers(object: &Object) -> Vec<(ObjectKind, bool, i64)> {
    let own = Some((object.kind, false, object.id)).filter(|(_, _, id)| *id > 0);
    let fields = fields::placed(object).filter(|_| object.kind == ObjectKind::TableExtension);
    own.into_iter()
        .chain(fields.map(|placed| (object.kind, true, placed.field.id)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{is_narrowed, joined, runtime};
    use proptest::prelude::*;

    #[test]
    fn a_range_is_narrowed_if_a_number_is_gone() {
        assert!(!is_narrowed(&[(1, 5), (6, 9)], &[(1, 9)]));
        assert!(!is_narrowed(&[(1, 9)], &[(5, 9), (1, 4)]));
        assert!(is_narrowed(&[(1, 9)], &[(1, 4), (6, 9)]));
        assert!(!is_narrowed(&[(1, 1)], &[]));
        assert!(!is_narrowed(&[], &[(1, 1)]));
    }

    #[test]
    fn runtimes_are_numbers() {
        assert_eq!(runtime("15.1"), Some((15, 1)));
        assert!(runtime("9.0") < runtime("10.0"));
        assert_eq!(runtime("15"), None);
    }

    proptest! {
        #[test]
        fn narrowing_is_told_by_numbers(
            old in prop::collection::vec((0_i32..20, 0_i32..20), 0..4),
            new in prop::collection::vec((0_i32..20, 0_i32..20), 0..4),
        ) {
            let has = |ranges: &[(i32, i32)], id: i32| ranges.iter().any(|(first, last)| (*first..=*last).contains(&id));
            let expected = !new.is_empty() && (0..20).any(|id| has(&old, id) && !has(&new, id));
            prop_assert_eq!(is_narrowed(&old, &new), expected);
            for id in 0..20 {
                prop_assert_eq!(has(&joined(&old), id), has(&old, id));
            }
        }
    }
}
