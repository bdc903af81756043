//! What other apps and callers of web services build upon. None of it keeps a schema from being synchronised.

use std::collections::{HashMap, HashSet, VecDeque};

use super::changes::{About, Changes};
use super::matching::{folded, pair, pair_objects};
use super::model::{Control, Method, Object, ObjectKind};
use super::property::{Change, Properties};
use super::rules;
use super::symbols::Symbols;
use super::tables;

/// Kinds of which only parts are compared here, for whole objects are compared elsewhere.
const IN_PARTS: [ObjectKind; 2] = [ObjectKind::Table, ObjectKind::TableExtension];
/// Of these it is told elsewhere that they are gone.
const TOLD: [ObjectKind; 2] = [ObjectKind::Enum, ObjectKind::EnumExtension];
const WHOLE: [ObjectKind; 9] = [
    ObjectKind::Page,
    ObjectKind::PageExtension,
    ObjectKind::Codeunit,
    ObjectKind::Report,
    ObjectKind::Query,
    ObjectKind::XmlPort,
    ObjectKind::Interface,
    ObjectKind::PermissionSet,
    ObjectKind::PermissionSetExtension,
];
/// By what callers of a web service find it, and what they find.
const API: [&str; 9] = [
    "apigroup",
    "apipublisher",
    "apiversion",
    "entityname",
    "entitysetname",
    "odatakeyfields",
    "pagetype",
    "querytype",
    "sourcetable",
];

pub(super) fn compare(old: &Symbols, new: &Symbols, changes: &mut Changes) {
    for kind in IN_PARTS {
        for (old, new) in pair_objects(&old.of(kind), &new.of(kind)).both {
            if is_visible(old) {
                compare_parts(old, new, changes);
            }
        }
    }
    for kind in TOLD {
        for (old, new) in pair_objects(&old.of(kind), &new.of(kind)).both {
            compare_name(old, new, changes);
            compare_access(old, new, changes);
        }
    }
    for kind in WHOLE {
        let pairs = pair_objects(&old.of(kind), &new.of(kind));
        for gone in pairs.gone.into_iter().filter(|object| is_visible(object)) {
            changes.gone(&rules::BREAKING_OBJECT, &About::object(gone), &*gone.name);
        }
        for (old, new) in pairs.both {
            if is_visible(old) {
                compare_object(old, new, changes);
            }
            compare_permissions(old, new, changes);
        }
    }
}

fn is_visible(object: &Object) -> bool {
    !object
        .properties
        .word("Access", "Public")
        .eq_ignore_ascii_case("Internal")
}

fn compare_object(old: &Object, new: &Object, changes: &mut Changes) {
    compare_name(old, new, changes);
    tables::compare_namespace(old, new, changes);
    compare_access(old, new, changes);
    compare_api(old, new, changes);
    compare_parts(old, new, changes);
}

/// What an extension is called matters to nobody.
fn compare_name(old: &Object, new: &Object, changes: &mut Changes) {
    let is_extension = !old.target.is_empty();
    if !is_extension && folded(&old.name) != folded(&new.name) {
        let about = About::object(old);
        changes.changed(&rules::BREAKING_OBJECT, &about, &*old.name, &*new.name);
    }
}

fn compare_access(old: &Object, new: &Object, changes: &mut Changes) {
    for change in old.properties.changes(&new.properties) {
        let is_less = match &*change.name {
            "access" => tables::access(&change, &rules::BREAKING_OBJECT).is_some(),
            "extensible" => !new.properties.flag("Extensible", true),
            _ => false,
        };
        if is_less {
            tell_property(&rules::BREAKING_OBJECT, old, &change, changes);
        }
    }
}

fn tell_property(rule: &'static rules::Rule, object: &Object, change: &Change<'_>, changes: &mut Changes) {
    let about = About::part(object, "property", None, change.shown);
    let [before, after] = [change.before, change.after].map(|text| text.map(str::to_owned));
    changes.about(rule, &about, before, after);
}

fn is_api(object: &Object) -> bool {
    let is_api = |name| object.properties.word(name, "").eq_ignore_ascii_case("API");
    is_api("PageType") || is_api("QueryType")
}

fn compare_api(old: &Object, new: &Object, changes: &mut Changes) {
    if !is_api(old) {
        return;
    }
    for change in old.properties.changes(&new.properties) {
        let is_more = change.name == "apiversion" && has_all(change.before, change.after);
        if API.contains(&&*change.name) && !is_more {
            tell_property(&rules::BREAKING_API, old, &change, changes);
        }
    }
}

/// Whether a list in a text holds all that another holds.
fn has_all(before: Option<&str>, after: Option<&str>) -> bool {
    let after: HashSet<String> = words(after).into_iter().collect();
    words(before).iter().all(|word| after.contains(word))
}

fn words(list: Option<&str>) -> Vec<String> {
    let words = list.unwrap_or_default().split(',');
    words
        .map(|word| folded(word.trim().trim_matches(['\'', '"'])))
        .filter(|word| !word.is_empty())
        .collect()
}

fn compare_parts(old: &Object, new: &Object, changes: &mut Changes) {
    compare_methods(old, new, changes);
    let named = |object: &Object| -> HashSet<String> {
        object
            .variables
            .iter()
            .map(|variable| folded(&variable.name))
            .collect()
    };
    let after = named(new);
    for variable in &old.variables {
        if !after.contains(&folded(&variable.name)) {
            let about = About::part(old, "variable", None, &variable.name);
            changes.gone(&rules::BREAKING_MEMBER, &about, &*variable.name);
        }
    }
    for (kind, before, after) in [
        ("control", &old.controls, &new.controls),
        ("action", &old.actions, &new.actions),
        ("view", &old.views, &new.views),
        ("column", &old.columns, &new.columns),
    ] {
        compare_controls(old, kind, before, after, changes);
    }
}

fn compare_methods(old: &Object, new: &Object, changes: &mut Changes) {
    if !changes.may_look_at(2 * (old.methods.len() + new.methods.len())) {
        return;
    }
    let [before, after] = [old, new].map(|object| object.methods.iter().collect::<Vec<&Method>>());
    let exactly = |method: &&Method| Some((0, folded(&method.name), folded(&method.signature)));
    let pairs = pair(&before, &after, &[&exactly]);
    let mut left: HashMap<String, VecDeque<&Method>> = HashMap::new();
    for method in pairs.added {
        left.entry(folded(&method.name)).or_default().push_back(method);
    }
    for method in pairs.gone {
        let kind = if method.is_event { "event" } else { "procedure" };
        let about = About::part(old, kind, None, &method.name);
        match left.get_mut(&folded(&method.name)).and_then(VecDeque::pop_front) {
            None => changes.gone(&rules::BREAKING_MEMBER, &about, &*method.signature),
            Some(other) => changes.changed(
                &rules::BREAKING_MEMBER,
                &about,
                &*method.signature,
                &*other.signature,
            ),
        }
    }
}

fn compare_controls(
    object: &Object,
    kind: &'static str,
    before: &[Control],
    after: &[Control],
    changes: &mut Changes,
) {
    let mut names: HashSet<String> = HashSet::new();
    for control in after {
        control.visit(&mut |control| _ = names.insert(folded(&control.name)));
    }
    let rule = match is_api(object) {
        true => &rules::BREAKING_API,
        false => &rules::BREAKING_MEMBER,
    };
    for control in before {
        control.visit(&mut |control| {
            if !names.contains(&folded(&control.name)) {
                let about = About::part(object, kind, Some(control.id), &control.name);
                changes.gone(rule, &about, &*control.name);
            }
        });
    }
}

fn compare_permissions(old: &Object, new: &Object, changes: &mut Changes) {
    let mut rights: HashMap<(i64, i64), i64> = HashMap::new();
    for permission in &new.permissions {
        *rights.entry((permission.object, permission.id)).or_default() |= permission.rights;
    }
    for permission in &old.permissions {
        let left = rights
            .get(&(permission.object, permission.id))
            .copied()
            .unwrap_or_default();
        if permission.rights & !left != 0 {
            let name = format!("object kind {}, number {}", permission.object, permission.id);
            let about = About::part(old, "permission", Some(permission.id), &name);
            changes.changed(
                &rules::PERMISSION_REDUCED,
                &about,
                permission.rights.to_string(),
                left.to_string(),
            );
        }
    }
    let included = |properties: &Properties| words(properties.text("IncludedPermissionSets"));
    let after: HashSet<String> = included(&new.properties).into_iter().collect();
    for set in included(&old.properties) {
        if !after.contains(&set) {
            let about = About::part(old, "permissionSet", None, &set);
            changes.gone(&rules::PERMISSION_REDUCED, &about, &*set);
        }
    }
}
