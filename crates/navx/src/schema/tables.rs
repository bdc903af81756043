//! Tables, and what of their properties matters to the database.

use super::changes::{About, Changes};
use super::fields::{self, Keyed, Placed};
use super::keys;
use super::matching::{folded, pair_objects};
use super::model::Object;
use super::property::{Change, access_rank};
use super::rules;
use super::symbols::App;

pub(super) fn compare(old: &[&Object], new: &[&Object], app: &App<'_>, changes: &mut Changes) {
    let pairs = pair_objects(old, new);
    for table in pairs.gone {
        let about = About::object(table);
        let rule = if !is_stored(table) {
            &rules::TABLE_GONE_NO_SCHEMA
        } else if !is_normal(table) {
            &rules::TABLE_TYPE
        } else if is_moved_out(table) {
            &rules::MOVED_OUT
        } else {
            &rules::TABLE_REMOVED
        };
        changes.gone(rule, &about, &*table.name);
    }
    for table in pairs.added {
        let about = About::object(table);
        if let Some(from) = table.properties.text("MovedFrom") {
            changes.new_there(&rules::MOVED_IN, &about, from);
        } else if is_stored(table) {
            changes.new_there(&rules::TABLE_ADDED, &about, &*table.name);
        }
    }
    for (old, new) in pairs.both {
        compare_table(old, new, app, changes);
    }
}

/// Types of tables whose rows are in memory, or in somebody else's database.
const ELSEWHERE: [&str; 6] = [
    "Temporary",
    "CRM",
    "CDS",
    "ExternalSQL",
    "Exchange",
    "MicrosoftGraph",
];

/// Whether the table has rows in the database of Business Central. One of a type that nobody knows may have.
fn is_stored(table: &Object) -> bool {
    let kind = table.properties.word("TableType", "Normal");
    !ELSEWHERE.iter().any(|other| kind.eq_ignore_ascii_case(other))
}

fn is_normal(table: &Object) -> bool {
    let kind = table.properties.word("TableType", "Normal");
    kind.eq_ignore_ascii_case("Normal")
}

fn is_moved_out(object: &Object) -> bool {
    object.properties.text("MovedTo").is_some_and(|to| !to.is_empty())
}

fn compare_table(old: &Object, new: &Object, app: &App<'_>, changes: &mut Changes) {
    let about = About::object(old);
    let has_schema = is_stored(old) && is_stored(new);
    if old.name != new.name && is_stored(old) {
        if folded(&old.name) != folded(&new.name) {
            changes.changed(&rules::TABLE_RENAMED, &about, &*old.name, &*new.name);
            return;
        }
        changes.changed(&rules::TABLE_NAME_CASE, &about, &*old.name, &*new.name);
    } else if folded(&old.name) != folded(&new.name) {
        changes.changed(&rules::TABLE_GONE_NO_SCHEMA, &about, &*old.name, &*new.name);
        return;
    }
    compare_namespace(old, new, changes);
    if has_schema && old.id != new.id {
        changes.changed(
            &rules::TABLE_ID_CHANGED,
            &about,
            old.id.to_string(),
            new.id.to_string(),
        );
    }
    compare_properties(old, new, has_schema, changes);
    let keyed = Keyed::of_table(old, new);
    let pool = |object| fields::placed(object).collect::<Vec<Placed<'_>>>();
    let outcome = fields::compare(&pool(old), &pool(new), &keyed, app, has_schema, changes);
    for gone in outcome.gone {
        fields::tell_gone(gone, has_schema, changes);
    }
    if has_schema {
        outcome
            .added
            .iter()
            .for_each(|added| fields::tell_added(*added, changes));
        keys::compare_table(old, new, &outcome.names, changes);
    }
}

pub(super) fn compare_namespace(old: &Object, new: &Object, changes: &mut Changes) {
    if old.namespace != new.namespace {
        let about = About::object(old);
        changes.changed(
            &rules::NAMESPACE_CHANGED,
            &about,
            &*old.namespace,
            &*new.namespace,
        );
    }
}

/// Properties of a table, or of an extension of one, which usually has none.
pub(super) fn compare_properties(old: &Object, new: &Object, has_schema: bool, changes: &mut Changes) {
    for change in old.properties.changes(&new.properties) {
        let about = About::part(old, "property", None, change.shown);
        let rule = match &*change.name {
            "datapercompany" => has_schema.then_some(&rules::DATA_PER_COMPANY),
            "tabletype" => Some(table_type(old, new)),
            "compressiontype" => has_schema.then_some(&rules::COMPRESSION),
            "obsoletestate" | "movedto" => obsolete_state(&change, &new.properties),
            "movedfrom" => Some(&rules::MOVED_IN),
            "access" => access(&change, &rules::TABLE_PROPERTY),
            "extensible" => (!new.properties.flag("Extensible", true)).then_some(&rules::TABLE_PROPERTY),
            "scope" => (!is_cloud(&new.properties)).then_some(&rules::TABLE_PROPERTY),
            _ => Some(&rules::UNKNOWN_PROPERTY),
        };
        if let Some(rule) = rule {
            let [before, after] = [change.before, change.after].map(|text| text.map(str::to_owned));
            changes.about(rule, &about, before, after);
        }
    }
}

fn table_type(old: &Object, new: &Object) -> &'static rules::Rule {
    let [before, after] = [old, new].map(|table| folded(table.properties.word("TableType", "Normal")));
    match (&*before, &*after) {
        ("normal", "temporary") => &rules::TABLE_TO_TEMPORARY,
        ("temporary", "normal") => &rules::TABLE_FROM_TEMPORARY,
        _ => &rules::TABLE_TYPE,
    }
}

fn is_cloud(properties: &super::property::Properties) -> bool {
    let scope = properties.word("Scope", "Cloud");
    ["Cloud", "Extension"]
        .iter()
        .any(|cloud| scope.eq_ignore_ascii_case(cloud))
}

/// What becoming obsolete means; to where something will move one day means nothing yet.
pub(super) fn obsolete_state(
    change: &Change<'_>,
    new: &super::property::Properties,
) -> Option<&'static rules::Rule> {
    let is_moved = new.word("ObsoleteState", "No").eq_ignore_ascii_case("Moved");
    match (&*change.name, is_moved) {
        ("obsoletestate", true) => Some(&rules::MOVED_OUT),
        ("obsoletestate", false) => Some(&rules::OBSOLETE_STATE),
        // Told of by the state, unless only the destination changes.
        (_, true) if change.before.is_some() => Some(&rules::MOVED_OUT),
        _ => None,
    }
}

/// `rule` where fewer may see it, nothing where more may.
pub(super) fn access(change: &Change<'_>, rule: &'static rules::Rule) -> Option<&'static rules::Rule> {
    let rank = |word: Option<&str>| access_rank(word.filter(|word| !word.is_empty()).unwrap_or("Public"));
    match (rank(change.before), rank(change.after)) {
        (Some(before), Some(after)) => (after > before).then_some(rule),
        _ => Some(&rules::UNKNOWN_PROPERTY),
    }
}
