//! Enums. A field stores a number; what it means is in the enum.

use std::collections::{BTreeMap, HashMap, HashSet};

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
    let [before, after] = [old, new].map(|list| {
        let mut targets: BTreeMap<String, Vec<Placed<'_>>> = BTreeMap::new();
        for object in list {
            targets
                .entry(Target::of(object).name)
                .or_default()
                .extend(placed(object));
        }
        targets
    });
    for (name, before) in before {
        let after = after.get(&name).map(Vec::as_slice).unwrap_or_default();
        compare_values(&before, after, changes);
    }
}

fn compare_values(old: &[Placed<'_>], new: &[Placed<'_>], changes: &mut Changes) {
    if !changes.may_look_at(3 * (old.len() + new.len())) {
        return;
    }
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
    let is_closed = !enumeration.properties.flag("Extensible", true);
    let mut implements: HashMap<*const Object, bool> = HashMap::new();
    for (object, value) in added {
        let implements = implements.entry(std::ptr::from_ref(object));
        if is_closed || *implements.or_insert_with(|| has_new_interface(enumeration, object)) {
            changes.new_there(&rules::ENUM_VALUE_ADDED, &about(object, value), &*value.name);
        }
    }
}

fn about<'o>(object: &'o Object, value: &EnumValue) -> About<'o> {
    About::part(object, "value", Some(value.ordinal), &value.name)
}

/// Whether values implement something now, which they did not.
fn has_new_interface(old: &Object, new: &Object) -> bool {
    let before: HashSet<&str> = old.interfaces.iter().map(|interface| &**interface).collect();
    let implements = |object: &Object| object.values.iter().any(|value| value.has_implementation);
    new.interfaces
        .iter()
        .any(|interface| !before.contains(&**interface))
        || (implements(new) && !implements(old))
}
