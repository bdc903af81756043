//! Keys. The first of a table is its primary key, by which rows are told apart; the others are indexes.

use std::collections::HashMap;

use super::changes::{About, Changes};
use super::matching::{folded, pair};
use super::model::{Key, Object};
use super::property::Change;
use super::rules;

/// A primary key, written down or not.
pub(super) struct Primary<'o> {
    name: &'o str,
    /// In lower case.
    pub(super) fields: Vec<String>,
}

/// The primary key of a table: its first, or else the field with the lowest number, after which it is called.
pub(super) fn primary(table: &Object) -> Primary<'_> {
    if let Some(key) = table.keys.first() {
        let fields = fields(key);
        return Primary {
            name: &key.name,
            fields,
        };
    }
    let lowest = table.fields.iter().min_by_key(|field| field.id);
    Primary {
        name: lowest.map_or("", |field| &field.name),
        fields: lowest.iter().map(|field| folded(&field.name)).collect(),
    }
}

fn fields(key: &Key) -> Vec<String> {
    key.fields.iter().map(|name| folded(name)).collect()
}

/// What fields of a key are called in the new package.
fn renamed(fields: Vec<String>, names: &HashMap<String, String>) -> Vec<String> {
    fields
        .into_iter()
        .map(|name| names.get(&name).cloned().unwrap_or(name))
        .collect()
}

/// Compares the keys of a table; `names` says what its fields are called now.
pub(super) fn compare_table(
    old: &Object,
    new: &Object,
    names: &HashMap<String, String>,
    changes: &mut Changes,
) {
    compare_primary(old, new, names, changes);
    let clustered = compare_clustered(old, new, names, changes);
    let [before, after] = [old, new].map(|table| table.keys.get(1..).unwrap_or_default());
    compare_others((old, before), (new, after), names, clustered, &|_| false, changes);
}

fn compare_primary(old: &Object, new: &Object, names: &HashMap<String, String>, changes: &mut Changes) {
    let (before, after) = (primary(old), primary(new));
    let about = About::part(old, "key", None, before.name);
    let list = |fields: &[String]| fields.join(", ");
    if renamed(before.fields.clone(), names) != after.fields {
        changes.changed(
            &rules::PRIMARY_KEY_FIELDS,
            &about,
            list(&before.fields),
            list(&after.fields),
        );
    }
    if before.name != after.name && !is_renamed_with_field(old, new, names) {
        changes.changed(&rules::PRIMARY_KEY_RENAMED, &about, before.name, after.name);
    }
    let (Some(before), Some(after)) = (old.keys.first(), new.keys.first()) else {
        return;
    };
    for change in before.properties.changes(&after.properties) {
        if change.name != "clustered" {
            tell_property(&rules::PRIMARY_KEY_PROPERTY, &about, &change, changes);
        }
    }
}

/// Whether neither key is written down, so that its name is its field's, of which is told elsewhere.
fn is_renamed_with_field(old: &Object, new: &Object, names: &HashMap<String, String>) -> bool {
    let (before, after) = (primary(old), primary(new));
    let is_implied = old.keys.is_empty() && new.keys.is_empty();
    is_implied && renamed(before.fields, names) == after.fields
}

fn tell_property(rule: &'static rules::Rule, about: &About<'_>, change: &Change<'_>, changes: &mut Changes) {
    let [before, after] = [change.before, change.after].map(|value| match value {
        Some(value) => format!("{}: {value}", change.shown),
        None => format!("no {}", change.shown),
    });
    changes.changed(rule, about, before, after);
}

/// The key in whose order rows are kept, unless it is the primary key.
fn clustered(table: &Object) -> Option<&Key> {
    let others = table.keys.get(1..).unwrap_or_default();
    others.iter().find(|key| key.properties.flag("Clustered", false))
}

/// Tells whether another key is clustered; the name of the clustered key of which was told, in lower case.
fn compare_clustered(
    old: &Object,
    new: &Object,
    names: &HashMap<String, String>,
    changes: &mut Changes,
) -> Option<String> {
    let (before, after) = (clustered(old), clustered(new));
    let same = match (before, after) {
        (None, None) => true,
        (Some(before), Some(after)) => {
            before.name == after.name && renamed(fields(before), names) == fields(after)
        }
        _ => false,
    };
    if same {
        return None;
    }
    let name =
        |table, key: Option<&Key>| key.map_or(primary(table).name.to_owned(), |key| key.name.to_string());
    let (old_name, new_name) = (name(old, before), name(new, after));
    let about = About::part(old, "key", None, &old_name);
    changes.changed(&rules::CLUSTERED_MOVED, &about, &*old_name, new_name);
    before.map(|key| folded(&key.name))
}

/// Compares keys that are not primary. Of the one called `told` was told already; `is_foreign` says of which keys the
/// fields are not the app's.
pub(super) fn compare_others(
    (old, before): (&Object, &[Key]),
    (new, after): (&Object, &[Key]),
    names: &HashMap<String, String>,
    told: Option<String>,
    is_foreign: &dyn Fn(&Key) -> bool,
    changes: &mut Changes,
) {
    let counted = before.iter().chain(after).map(|key| 2 + key.fields.len()).sum();
    if !changes.may_look_at(counted) {
        return;
    }
    let list = |keys| -> Vec<&Key> { Iterator::collect(<[Key]>::iter(keys)) };
    let joined = |key: &&Key| Some((0, renamed(fields(key), names).join("\0"), String::new()));
    let pairs = pair(
        &list(before),
        &list(after),
        &[&|key| Some((1, folded(&key.name), String::new())), &joined],
    );
    for key in pairs.gone {
        if Some(folded(&key.name)) != told {
            changes.gone(&rules::KEY_REMOVED, &About::key(old, key), key.fields.join(", "));
        }
    }
    for key in pairs.added {
        let rule = if is_unique(key) {
            &rules::UNIQUE_ADDED
        } else if is_foreign(key) {
            &rules::EXTENSION_KEY_ON_BASE_FIELDS
        } else {
            &rules::KEY_ADDED
        };
        changes.new_there(rule, &About::key(new, key), key.fields.join(", "));
    }
    for (before, after) in pairs.both {
        if Some(folded(&before.name)) != told {
            compare_key((old, before), after, names, is_foreign, changes);
        }
    }
}

/// Whether the database refuses two equal rows.
fn is_unique(key: &Key) -> bool {
    key.properties.flag("Unique", false) && key.properties.flag("Enabled", true)
}

fn compare_key(
    (old, before): (&Object, &Key),
    after: &Key,
    names: &HashMap<String, String>,
    is_foreign: &dyn Fn(&Key) -> bool,
    changes: &mut Changes,
) {
    let about = About::key(old, before);
    let has_other_fields = renamed(fields(before), names) != fields(after);
    let list = |key: &Key| key.fields.join(", ");
    if is_unique(after) && (has_other_fields || !is_unique(before)) {
        changes.changed(
            &rules::UNIQUE_ADDED,
            &about,
            list(before),
            format!("unique: {}", list(after)),
        );
        return;
    }
    if has_other_fields {
        let rule = match is_foreign(after) {
            true => &rules::EXTENSION_KEY_ON_BASE_FIELDS,
            false => &rules::KEY_CHANGED,
        };
        changes.changed(rule, &about, list(before), list(after));
    } else if before.name != after.name {
        changes.changed(&rules::KEY_CHANGED, &about, &*before.name, &*after.name);
    }
    for change in before.properties.changes(&after.properties) {
        let rule = match &*change.name {
            "enabled" | "sumindexfields" | "sqlindex" | "maintainsqlindex" | "maintainsiftindex"
            | "unique" => &rules::KEY_CHANGED,
            // Of that is told elsewhere.
            "clustered" => continue,
            _ => &rules::UNKNOWN_PROPERTY,
        };
        tell_property(rule, &about, &change, changes);
    }
}
