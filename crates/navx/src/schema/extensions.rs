//! Extensions of other apps' tables.
//!
//! All extensions that an app has of one table are one table in the database, so their fields are compared as one, and
//! a field may be found in another extension than it was in.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::changes::{About, Changes};
use super::fields::{self, Keyed, Placed};
use super::keys;
use super::matching::{folded, pair};
use super::model::{Key, Object};
use super::rules;
use super::symbols::App;
use super::tables;

/// What is extended: an app, if the compiler wrote it down, and a name, in lower case. Names may hold dots.
pub(super) struct Target {
    app: Option<String>,
    pub(super) name: String,
}

impl Target {
    pub(super) fn of(object: &Object) -> Self {
        let qualified = object
            .target
            .strip_prefix('#')
            .and_then(|rest| rest.split_once('#'));
        let name = |name: &str| folded(name.trim_matches('"'));
        match qualified {
            Some((app, target)) => Self {
                app: Some(folded(app)),
                name: name(target),
            },
            None => Self {
                app: None,
                name: name(&object.target),
            },
        }
    }
}

/// The extensions of one table, and which of them are one.
#[derive(Default)]
struct Pool<'o> {
    old: Vec<&'o Object>,
    new: Vec<&'o Object>,
    both: Vec<(&'o Object, &'o Object)>,
    gone: Vec<&'o Object>,
}

pub(super) fn compare(old: &[&Object], new: &[&Object], app: &App<'_>, changes: &mut Changes) {
    for (_, pool) in pools(old, new, changes) {
        compare_pool(&pool, app, changes);
    }
}

fn pools<'o>(old: &[&'o Object], new: &[&'o Object], changes: &mut Changes) -> BTreeMap<String, Pool<'o>> {
    let name = |object: &Object| folded(&object.name);
    let target = |object: &Object| Target::of(object).name;
    let pairs = pair(
        old,
        new,
        &[
            &|object| Some((object.id, name(object), target(object))),
            &|object| Some((0, name(object), target(object))),
            &|object| Some((object.id, name(object), String::new())),
            &|object| Some((0, name(object), String::new())),
            &|object| Some((object.id, String::new(), target(object))),
        ],
    );
    let mut pools: BTreeMap<String, Pool<'o>> = BTreeMap::new();
    for extension in pairs.gone {
        let pool = pools.entry(target(extension)).or_default();
        pool.old.push(extension);
        pool.gone.push(extension);
    }
    for extension in pairs.added {
        pools.entry(target(extension)).or_default().new.push(extension);
    }
    for (old, new) in pairs.both {
        if compare_extension(old, new, changes) {
            let pool = pools.entry(target(old)).or_default();
            pool.old.push(old);
            pool.new.push(new);
            pool.both.push((old, new));
        }
    }
    pools
}

fn has_schema(extension: &Object) -> bool {
    !extension.keys.is_empty() || extension.fields.iter().any(fields::is_stored)
}

/// Compares an extension but for its fields and keys; whether these are to be compared.
fn compare_extension(old: &Object, new: &Object, changes: &mut Changes) -> bool {
    let about = About::object(old);
    let (before, after) = (Target::of(old), Target::of(new));
    if before.name != after.name {
        let rule = match has_schema(old) {
            true => &rules::EXTENSION_RETARGETED,
            false => &rules::EXTENSION_GONE_NO_SCHEMA,
        };
        changes.changed(rule, &about, &*old.target, &*new.target);
        return false;
    }
    if let (Some(before), Some(after)) = (before.app, after.app)
        && before != after
    {
        changes.changed(&rules::EXTENSION_TARGET_MOVED, &about, &*old.target, &*new.target);
    }
    if (old.id, &old.name) != (new.id, &new.name) && has_schema(old) {
        let shown = |object: &Object| format!("{} {}", object.id, object.name);
        changes.changed(&rules::EXTENSION_RENUMBERED, &about, shown(old), shown(new));
    }
    tables::compare_namespace(old, new, changes);
    tables::compare_properties(old, new, true, changes);
    true
}

fn compare_pool(pool: &Pool<'_>, app: &App<'_>, changes: &mut Changes) {
    let mut keyed = Keyed::default();
    for extension in pool.old.iter().chain(&pool.new) {
        keyed.note_extension(extension);
    }
    for (old, new) in &pool.both {
        keyed.owners.insert((old.id, &old.name), (new.id, &new.name));
    }
    let [before, after] = [&pool.old, &pool.new].map(|list| {
        let fields = list.iter().flat_map(|extension| fields::placed(extension));
        fields.collect::<Vec<Placed<'_>>>()
    });
    let fates = fields::compare(&before, &after, &keyed, app, true, changes);
    let without_heir: HashSet<*const Object> =
        pool.gone.iter().map(|gone| std::ptr::from_ref(*gone)).collect();
    let is_gone = |object: &Object| without_heir.contains(&std::ptr::from_ref(object));
    let all_keys = pool.new.iter().flat_map(|extension| &extension.keys);
    let key_names: HashSet<String> = all_keys.map(|key| folded(&key.name)).collect();
    let mut lost: HashSet<(i64, &str)> = HashSet::new();
    for gone in fates.gone {
        if !is_gone(gone.object) {
            fields::tell_gone(gone, true, changes);
        } else if fields::is_stored(gone.field) {
            lost.insert((gone.object.id, &gone.object.name));
        }
    }
    for added in fates.added {
        fields::tell_added(added, changes);
    }
    for extension in &pool.gone {
        let is_lost = lost.contains(&(extension.id, &*extension.name)) || has_lost_key(extension, &key_names);
        tell_gone(extension, is_lost, changes);
    }
    compare_keys(pool, &after, &fates.names, changes);
}

fn has_lost_key(extension: &Object, names: &HashSet<String>) -> bool {
    !extension
        .keys
        .iter()
        .all(|key| names.contains(&folded(&key.name)))
}

fn tell_gone(extension: &Object, is_lost: bool, changes: &mut Changes) {
    let about = About::object(extension);
    if is_lost {
        changes.gone(&rules::EXTENSION_REMOVED, &about, &*extension.target);
    } else if !has_schema(extension) {
        changes.gone(&rules::EXTENSION_GONE_NO_SCHEMA, &about, &*extension.target);
    }
}

fn compare_keys(
    pool: &Pool<'_>,
    fields: &[Placed<'_>],
    names: &HashMap<String, String>,
    changes: &mut Changes,
) {
    let own: HashSet<String> = fields.iter().map(|placed| folded(&placed.field.name)).collect();
    let is_foreign = |key: &Key| key.fields.iter().any(|name| !own.contains(&folded(name)));
    for (old, new) in &pool.both {
        keys::compare_others(
            (old, &old.keys),
            (new, &new.keys),
            names,
            None,
            &is_foreign,
            changes,
        );
    }
    let paired: HashSet<*const Object> = pool
        .both
        .iter()
        .map(|(_, new)| std::ptr::from_ref(*new))
        .collect();
    for extension in &pool.new {
        if !paired.contains(&std::ptr::from_ref(*extension)) {
            let none = (*extension, &[][..]);
            keys::compare_others(
                none,
                (extension, &extension.keys),
                names,
                None,
                &is_foreign,
                changes,
            );
        }
    }
}
