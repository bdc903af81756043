//! Fields of one table: those of a table itself, or all those that an app's extensions add to one.

use std::collections::{HashMap, HashSet};

use super::changes::{About, Changes};
use super::keys;
use super::matching::{Pairs, folded, pair};
use super::model::{DataType, Field, Object};
use super::property::Change;
use super::rules::{self, Rule};
use super::symbols::App;
use super::tables;

/// A field, and the object that it is in.
#[derive(Clone, Copy)]
pub(super) struct Placed<'o> {
    pub(super) object: &'o Object,
    pub(super) field: &'o Field,
}

impl<'o> Placed<'o> {
    fn about(self) -> About<'o> {
        About::field(self.object, self.field)
    }
}

/// The fields of an object.
pub(super) fn placed(object: &Object) -> impl Iterator<Item = Placed<'_>> {
    object.fields.iter().map(move |field| Placed { object, field })
}

/// Whether the field has a column in the database. One of a class that nobody knows may have.
pub(super) fn is_stored(field: &Field) -> bool {
    !is_calculated(field) && is_enabled(field)
}

fn is_calculated(field: &Field) -> bool {
    let class = field.properties.word("FieldClass", "Normal");
    ["FlowField", "FlowFilter"]
        .iter()
        .any(|calculated| class.eq_ignore_ascii_case(calculated))
}

fn is_enabled(field: &Field) -> bool {
    field.properties.flag("Enabled", true)
}

/// Which fields are in which keys, and which extensions are one.
#[derive(Default)]
pub(super) struct Keyed<'o> {
    primary: HashSet<String>,
    others: HashSet<String>,
    /// Extensions by number and name, and what became of them.
    pub(super) owners: HashMap<(i64, &'o str), (i64, &'o str)>,
}

impl<'o> Keyed<'o> {
    pub(super) fn of_table(old: &'o Object, new: &'o Object) -> Self {
        let mut keyed = Self::default();
        for table in [old, new] {
            keyed.primary.extend(keys::primary(table).fields);
            keyed.note(table.keys.get(1..).unwrap_or_default());
        }
        keyed.owners.insert((old.id, &old.name), (new.id, &new.name));
        keyed
    }

    pub(super) fn note_extension(&mut self, extension: &Object) {
        self.note(&extension.keys);
    }

    fn note(&mut self, keys: &[super::model::Key]) {
        let enabled = keys.iter().filter(|key| key.properties.flag("Enabled", true));
        self.others
            .extend(enabled.flat_map(|key| key.fields.iter().map(|name| folded(name))));
    }

    fn is_in(keys: &HashSet<String>, old: &Field, new: &Field) -> bool {
        keys.contains(&folded(&old.name)) || keys.contains(&folded(&new.name))
    }

    fn is_same_owner(&self, old: &Object, new: &Object) -> bool {
        self.owners.get(&(old.id, &*old.name)) == Some(&(new.id, &*new.name))
    }
}

/// What became of fields, but for what was told of.
pub(super) struct Fates<'o> {
    pub(super) gone: Vec<Placed<'o>>,
    pub(super) added: Vec<Placed<'o>>,
    /// What fields are called now that were called otherwise, in one case.
    pub(super) names: HashMap<String, String>,
}

/// Compares all fields of a table. Of a table without a schema only others' use of them is compared.
pub(super) fn compare<'o>(
    old: &[Placed<'o>],
    new: &[Placed<'o>],
    keyed: &Keyed<'_>,
    app: &App<'_>,
    has_schema: bool,
    changes: &mut Changes,
) -> Fates<'o> {
    let mut names = HashMap::new();
    if !changes.may_look_at(4 * (old.len() + new.len())) {
        let (gone, added) = (Vec::new(), Vec::new());
        return Fates { gone, added, names };
    }
    let Pairs { both, gone, added } = match_fields(old, new);
    for (old, new) in both {
        names.insert(folded(&old.field.name), folded(&new.field.name));
        if has_schema {
            compare_field(old, new, keyed, app, changes);
        } else if folded(&old.field.name) != folded(&new.field.name) {
            let about = old.about();
            changes.changed(
                &rules::FIELD_GONE_NO_SCHEMA,
                &about,
                &*old.field.name,
                &*new.field.name,
            );
        }
    }
    Fates { gone, added, names }
}

fn match_fields<'o>(old: &[Placed<'o>], new: &[Placed<'o>]) -> Pairs<Placed<'o>> {
    let name = |placed: &Placed<'_>| folded(&placed.field.name);
    pair(
        old,
        new,
        &[
            &|placed| Some((placed.field.id, name(placed), folded(&placed.object.name))),
            &|placed| Some((placed.field.id, name(placed), String::new())),
            &|placed| Some((0, name(placed), String::new())),
            // A column that goes, and a field without one that comes, are two things.
            &|placed| is_stored(placed.field).then(|| (placed.field.id, String::new(), String::new())),
        ],
    )
}

/// Tells of a field that is no more.
pub(super) fn tell_gone(gone: Placed<'_>, has_schema: bool, changes: &mut Changes) {
    let moved_to = gone.field.properties.text("MovedTo").filter(|to| !to.is_empty());
    let rule = match moved_to {
        _ if !has_schema || !is_stored(gone.field) => &rules::FIELD_GONE_NO_SCHEMA,
        Some(_) => &rules::MOVED_OUT,
        None => &rules::FIELD_REMOVED,
    };
    changes.gone(rule, &gone.about(), shown(gone.field));
}

/// Tells of a field that was not there.
pub(super) fn tell_added(added: Placed<'_>, changes: &mut Changes) {
    let properties = &added.field.properties;
    if !is_stored(added.field) {
        return;
    }
    match properties.text("MovedFrom").filter(|from| !from.is_empty()) {
        Some(from) => changes.new_there(&rules::MOVED_IN, &added.about(), from),
        None => changes.new_there(&rules::FIELD_ADDED, &added.about(), shown(added.field)),
    }
    if properties.flag("AutoIncrement", false) {
        changes.new_there(&rules::AUTO_INCREMENT, &added.about(), "AutoIncrement");
    }
}

fn shown(field: &Field) -> String {
    field.data_type.text()
}

fn compare_field(old: Placed<'_>, new: Placed<'_>, keyed: &Keyed<'_>, app: &App<'_>, changes: &mut Changes) {
    let about = old.about();
    let classes = [old, new].map(|placed| placed.field.properties.word("FieldClass", "Normal").to_owned());
    let [class_before, class_after] = classes;
    match (is_stored(old.field), is_stored(new.field)) {
        (false, false) => compare_access(old, new, changes),
        (true, false) if is_calculated(new.field) => {
            changes.changed(&rules::FIELD_CLASS, &about, class_before, class_after);
        }
        (true, false) => changes.changed(&rules::FIELD_DISABLED, &about, "enabled", "disabled"),
        (false, true) if is_calculated(old.field) => {
            changes.changed(&rules::FIELD_CLASS_TO_NORMAL, &about, class_before, class_after);
        }
        (false, true) => changes.changed(&rules::FIELD_ENABLED, &about, "disabled", "enabled"),
        (true, true) => compare_stored(old, new, keyed, app, changes),
    }
}

fn compare_stored(old: Placed<'_>, new: Placed<'_>, keyed: &Keyed<'_>, app: &App<'_>, changes: &mut Changes) {
    let about = old.about();
    let (before, after) = (old.field, new.field);
    let is_option = base(&before.data_type).0 == "option";
    if is_option && !changes.may_look_at(2 * (meanings(before, app) + meanings(after, app))) {
        return;
    }
    if before.name != after.name {
        let rule = match folded(&before.name) == folded(&after.name) {
            true => &rules::FIELD_NAME_CASE,
            false if base(&before.data_type).0 != base(&after.data_type).0 => {
                &rules::FIELD_RENAMED_AND_RETYPED
            }
            false => &rules::FIELD_RENAMED,
        };
        changes.changed(rule, &about, &*before.name, &*after.name);
        if std::ptr::eq(rule, &rules::FIELD_RENAMED_AND_RETYPED) {
            return;
        }
    }
    if !keyed.is_same_owner(old.object, new.object) {
        changes.changed(
            &rules::FIELD_CHANGED_EXTENSION,
            &about,
            &*old.object.name,
            &*new.object.name,
        );
    }
    if before.id != after.id {
        let rule = match Keyed::is_in(&keyed.primary, before, after) {
            true => &rules::KEY_FIELD_ID_CHANGED,
            false => &rules::FIELD_ID_CHANGED,
        };
        changes.changed(rule, &about, before.id.to_string(), after.id.to_string());
    }
    for rule in types(before, after, keyed, app) {
        let what = |field: &Field| match std::ptr::eq(rule, &rules::MEMBERS_CHANGED) {
            true => members(field, app),
            false => shown(field),
        };
        changes.changed(rule, &about, what(before), what(after));
    }
    compare_properties(old, new, changes);
}

/// The type in lower case, and the length of a text.
fn base(data_type: &DataType) -> (String, Option<u32>) {
    let name = data_type.name.to_ascii_lowercase();
    let Some((base, length)) = name.split_once('[') else {
        return (name, None);
    };
    let length = length.trim_end_matches(']').trim().parse().ok();
    (base.trim().to_owned(), length)
}

/// What changes about the type.
fn types(before: &Field, after: &Field, keyed: &Keyed<'_>, app: &App<'_>) -> Vec<&'static Rule> {
    let (old, old_length) = base(&before.data_type);
    let (new, new_length) = base(&after.data_type);
    let mut found = Vec::new();
    match (&*old, &*new) {
        ("option", "option") => {}
        ("enum", "enum") => {
            if !is_same_enum(&before.data_type, &after.data_type) {
                found.push(&rules::ENUM_TYPE_CHANGED);
            }
        }
        ("option", "enum") => found.push(&rules::OPTION_TO_ENUM),
        ("enum" | "integer", "option") | ("enum" | "option", "integer") | ("integer", "enum") => {
            found.push(&rules::ENUM_TYPE_CHANGED);
        }
        ("integer", "biginteger") if app.has_big_integers => found.push(&rules::INTEGER_TO_BIGINTEGER),
        ("code", "text") | ("text", "code") => found.push(&rules::CODE_TEXT),
        (old, new) if old == new => {}
        _ => {
            found.push(&rules::TYPE_CHANGED);
            return found;
        }
    }
    if old == "option" && has_other_members(&before.data_type, &after.data_type, app) {
        found.push(&rules::MEMBERS_CHANGED);
    }
    let is_in_primary = Keyed::is_in(&keyed.primary, before, after);
    match (old_length, new_length) {
        (Some(old), Some(new)) if old != new && is_in_primary => found.push(&rules::LENGTH_IN_PRIMARY_KEY),
        (Some(old), Some(new)) if new < old => found.push(&rules::LENGTH_SHORTER),
        (Some(old), Some(new)) if new > old && Keyed::is_in(&keyed.others, before, after) => {
            found.push(&rules::LENGTH_IN_KEY);
        }
        (Some(old), Some(new)) if new > old => found.push(&rules::LENGTH_LONGER),
        (Some(_), None) | (None, Some(_)) => found.push(&rules::UNKNOWN_PROPERTY),
        _ => {}
    }
    found
}

fn is_same_enum(before: &DataType, after: &DataType) -> bool {
    let [old, new] = [&before.subject, &after.subject];
    if old.id == 0 || new.id == 0 {
        return folded(&old.name) == folded(&new.name);
    }
    let module = |subject: &super::model::Subject| {
        let text = subject.module.to_ascii_lowercase().replace('-', "");
        text.trim_start_matches('0').to_owned()
    };
    old.id == new.id && module(old) == module(new)
}

/// The members of an option or enum by the numbers that are stored; `None` for an enum of another app.
fn numbered(data_type: &DataType, app: &App<'_>) -> Option<Vec<(i64, String)>> {
    if base(data_type).0 == "option" {
        let names = data_type.members.iter().map(|name| folded(name.trim()));
        return Some((0..).zip(names).collect());
    }
    let subject = &data_type.subject;
    let found = app.enums.find(subject).filter(|_| subject.module.is_empty())?;
    let value = |value: &super::model::EnumValue| (value.ordinal, folded(value.name.trim()));
    Some(found.values.iter().map(value).collect())
}

/// How many members an option or enum has.
fn meanings(field: &Field, app: &App<'_>) -> usize {
    let of_enum = app.enums.find(&field.data_type.subject);
    field.data_type.members.len() + of_enum.map_or(0, |object| object.values.len())
}

/// Whether a number that may be stored means another member afterwards. Members that were added mean nothing yet.
fn has_other_members(before: &DataType, after: &DataType, app: &App<'_>) -> bool {
    let (Some(old), Some(new)) = (numbered(before, app), numbered(after, app)) else {
        return false;
    };
    let numbers: HashSet<i64> = new.iter().map(|(number, _)| *number).collect();
    let new: HashSet<(i64, String)> = new.into_iter().collect();
    let is_there =
        |member: &(i64, String)| member.1.is_empty() && !numbers.contains(&member.0) || new.contains(member);
    matches!(&*base(after).0, "option" | "enum") && !old.iter().all(is_there)
}

fn members(field: &Field, app: &App<'_>) -> String {
    if base(&field.data_type).0 == "option" {
        return field.data_type.members.join(",");
    }
    let values = numbered(&field.data_type, app).unwrap_or_default();
    let values: Vec<_> = values
        .iter()
        .map(|(number, name)| format!("{number}={name}"))
        .collect();
    values.join(",")
}

/// Of a field without a column nothing matters but who may use it.
fn compare_access(old: Placed<'_>, new: Placed<'_>, changes: &mut Changes) {
    let all = old.field.properties.changes(&new.field.properties);
    let access = all.iter().find(|change| change.name == "access");
    if let Some(change) = access
        && let Some(rule) = tables::access(change, &rules::FIELD_ACCESS)
    {
        tell_property(rule, old, change, changes);
    }
}

fn tell_property(rule: &'static Rule, old: Placed<'_>, change: &Change<'_>, changes: &mut Changes) {
    let [before, after] = [change.before, change.after].map(|value| match value {
        Some(value) => format!("{}: {value}", change.shown),
        None => format!("no {}", change.shown),
    });
    changes.changed(rule, &old.about(), before, after);
}

fn compare_properties(old: Placed<'_>, new: Placed<'_>, changes: &mut Changes) {
    let properties = &new.field.properties;
    for change in old.field.properties.changes(properties) {
        let variant = |value: Option<&str>| value.is_some_and(|value| value.eq_ignore_ascii_case("Variant"));
        let rule = match &*change.name {
            "obsoletestate" | "movedto" => tables::obsolete_state(&change, properties),
            "movedfrom" => Some(&rules::MOVED_IN),
            "access" => tables::access(&change, &rules::FIELD_ACCESS),
            "autoincrement" => Some(&rules::AUTO_INCREMENT),
            "sqldatatype" if variant(change.before) => Some(&rules::SQL_DATA_TYPE_FROM_VARIANT),
            "sqldatatype" => Some(&rules::SQL_DATA_TYPE),
            _ => Some(&rules::UNKNOWN_PROPERTY),
        };
        if let Some(rule) = rule {
            tell_property(rule, old, &change, changes);
        }
    }
}
