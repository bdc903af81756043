//! Enums. A field stores a number; what it means is in the enum.

use super::changes::{About, Changes};
use super::extensions::Target;
use super::matching::{Pairs, folded, pair, pair_objects};
use super::model::{EnumValue, Object, ObjectKind};
use super::rules;
use super::symbols::Symbols;
use super::tables;

pub(super) fn compare(old: &Symbols, new: &Symbols, changes: &mut Changes) {
    let kind = ObjectKind::Enum;
    let pairs = pair_objects(&old.of(kind), &new.of(kind));
    for gone in pairs.gone {
        changes.gone(&rules::ENUM_REMOVED, &About::object(gone), &*gone.name);
    }
    for (old, new) in pairs.both {
        tables::compare_namespace(old, new, changes);
        compare_values(&placed(old), &placed(new), changes);
    }
    let kind = ObjectKind::EnumExtension;
    compare_extensions(&old.of(kind), &new.of(kind), changes);
}

/// A value, and the object that it is in.
type Placed<'o> = (&'o Object, &'o EnumValue);

fn placed(object: &Object) -> Vec<Placed<'_>> {
    object.values.iter().map(|value| (object, value)).collect()
}

/// The values that an app adds to an enum are the same wherever it adds them.
fn compare_extensions(old: &[&Object], new: &[&Object], changes: &mut Changes) {
    let target = |object: &Object| Target::of(object).name;
    let mut targets: Vec<String> = old.iter().map(|object| target(object)).collect();
    targets.sort_unstable();
    targets.dedup();
    for name in targets {
        let [before, after] = [old, new].map(|list| {
            let of_target = list.iter().filter(|object| target(object) == name);
            of_target.flat_map(|object| placed(object)).collect::<Vec<_>>()
        });
        compare_values(&before, &after, changes);
    }
}

fn compare_values(old: &[Placed<'_>], new: &[Placed<'_>], changes: &mut Changes) {
    let name = |value: &EnumValue| folded(&value.name);
    let Pairs { both, gone, added } = pair(
        old,
        new,
        &[
            &|(_, value)| Some((value.ordinal, name(value), String::new())),
            &|(_, value)| Some((0, name(value), String::new())),
            &|(_, value)| Some((value.ordinal, String::new(), String::new())),
        ],
    );
    for ((object, before), (_, after)) in both {
        let about = about(object, before);
        if before.ordinal != after.ordinal {
            let ordinals = [before, after].map(|value| value.ordinal.to_string());
            let [before, after] = ordinals;
            changes.changed(&rules::ENUM_VALUE_REORDINAL, &about, before, after);
        } else if name(before) != name(after) {
            changes.changed(&rules::ENUM_VALUE_RENAMED, &about, &*before.name, &*after.name);
        }
    }
    for (object, value) in gone {
        changes.gone(&rules::ENUM_VALUE_REMOVED, &about(object, value), &*value.name);
    }
    let Some((enumeration, _)) = old.first() else {
        return;
    };
    for (object, value) in added {
        if !enumeration.properties.flag("Extensible", true) || has_new_interface(enumeration, object) {
            changes.new_there(&rules::ENUM_VALUE_ADDED, &about(object, value), &*value.name);
        }
    }
}

fn about<'o>(object: &'o Object, value: &EnumValue) -> About<'o> {
    About::part(object, "value", Some(value.ordinal), &value.name)
}

/// Whether values implement something now, which they did not.
fn has_new_interface(old: &Object, new: &Object) -> bool {
    let implements = |object: &Object| object.values.iter().any(|value| value.has_implementation);
    new.interfaces
        .iter()
        .any(|interface| !old.interfaces.contains(interface))
        || (implements(new) && !implements(old))
}
