//! The symbols of an app: found in its package, read within limits, and compared list by list.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::Arc;

use super::changes::Changes;
use super::guard::{EntryBytes, guarded};
use super::matching::folded;
use super::model::{Object, ObjectKind, Space, Subject};
use super::stream::{self, Budget};
use super::unreadable::{TOO_MUCH, Unreadable};
use super::{breaking, enums, extensions, rules, tables};
use crate::contents::{SOURCE_FOLDER, SYMBOLS, find_entry};
use crate::directory::{self, Directory, Entry};
use crate::entry::EntryReader;
use crate::error::PackageError;
use crate::header;
use crate::limits::Limits;
use crate::manifest::{Manifest, parse_guid};
use crate::package::{Kind, Package};
use crate::replay::ReplayedEntry;
use crate::source::{ByteSource, Window};
use crate::version::Version;

/// The longest name of a namespace, all of its parts together, in bytes.
const MAX_NAMESPACE: usize = 1_000;
/// Bytes of source that are looked at.
const MAX_SOURCE_BYTES: u64 = 64 << 20;
/// How source leaves out, by Microsoft's convention, what is being removed.
const CONDITION: &[u8] = b"#if not CLEAN";
/// The newest runtime of which these rules know.
const NEWEST_RUNTIME: u32 = 18;

/// The symbols of an app, flat.
#[derive(Debug)]
pub(super) struct Symbols {
    pub(super) objects: Vec<Object>,
    runtime: Box<str>,
}

/// What is read of a package's inside.
pub(super) struct Inside {
    pub(super) symbols: Result<Symbols, Unreadable>,
    pub(super) has_conditional_source: bool,
}

/// Reads the symbols of the app in `package`, which fills `file`.
pub(super) fn read<S: ByteSource>(
    file: &mut S,
    package: &Package,
    limits: &Limits,
) -> Result<Inside, PackageError> {
    let Some(manifest) = &package.manifest else {
        return Ok(Inside {
            symbols: Err(Unreadable::RuntimePackage),
            has_conditional_source: false,
        });
    };
    let payload = header::read(file)?.payload;
    let mut archive = Window::new(file, payload);
    let Some(embedded) = package
        .embedded
        .as_ref()
        .filter(|_| package.kind == Kind::ReadyToRun)
    else {
        return read_archive(&mut archive, manifest, limits);
    };
    let directory = directory::locate(&mut archive, limits)?;
    let entry = find_entry(&mut archive, &directory, embedded.file_name.as_bytes())?;
    let Some(entry) = entry else {
        return Err(PackageError::Io(io::ErrorKind::UnexpectedEof.into()));
    };
    let mut inner = ReplayedEntry::new(EntryReader::open(&mut archive, entry)?);
    let payload = header::read(&mut inner)?.payload;
    read_archive(&mut Window::new(&mut inner, payload), manifest, limits)
}

fn read_archive<S: ByteSource>(
    archive: &mut S,
    manifest: &Manifest,
    limits: &Limits,
) -> Result<Inside, PackageError> {
    let directory = directory::locate(archive, limits)?;
    let symbols = match find_entry(archive, &directory, SYMBOLS.as_bytes())? {
        None => Err(Unreadable::Missing),
        Some(entry) if entry.facts.size > limits.max_symbol_bytes => Err(Unreadable::TooLarge),
        Some(entry) => {
            let reader = EntryReader::open(archive, entry)?;
            read_symbols(EntryBytes(reader), limits)?.and_then(|symbols| belonging_to(manifest, symbols))
        }
    };
    Ok(Inside {
        symbols,
        has_conditional_source: has_conditional_source(archive, &directory)?,
    })
}

fn read_symbols(entry: impl Read, limits: &Limits) -> Result<Result<Space, Unreadable>, PackageError> {
    let budget = Budget::new(limits.max_symbol_memory);
    let parsed = guarded(entry).and_then(|guard| {
        let mut parser = serde_json::Deserializer::from_reader(guard);
        let space = stream::document::<Space, _>(&mut parser, &budget)?;
        parser.end()?;
        Ok(space)
    });
    match parsed {
        Ok(space) => Ok(Ok(space)),
        Err(error) => unreadable(error).map(Err),
    }
}

/// What is wrong with symbols that a parser did not take; an error where the package itself could not be read.
fn unreadable(error: io::Error) -> Result<Unreadable, PackageError> {
    if error.to_string().starts_with(TOO_MUCH) {
        return Ok(Unreadable::TooLarge);
    }
    match error.downcast::<PackageError>() {
        Ok(refused) => Err(refused),
        Err(_) => Ok(Unreadable::Malformed),
    }
}

/// The symbols, if they say nothing else of the app than the manifest does. In 2017 they said nothing.
fn belonging_to(manifest: &Manifest, space: Space) -> Result<Symbols, Unreadable> {
    let other_app = match &*space.app_id {
        "" => false,
        text => parse_guid(text).is_none_or(|id| id != manifest.app_id && !id.is_nil()),
    };
    let other_version = match &*space.version {
        "" => false,
        version => version.parse::<Version>() != Ok(manifest.version),
    };
    if other_app || other_version {
        return Err(Unreadable::Mismatch);
    }
    let runtime = space.runtime.clone();
    let mut objects = Vec::new();
    flatten(space, "", &mut objects)?;
    objects.sort_by(|one, other| one.order().cmp(&other.order()));
    Ok(Symbols { objects, runtime })
}

fn flatten(space: Space, path: &str, objects: &mut Vec<Object>) -> Result<(), Unreadable> {
    if path.len() > MAX_NAMESPACE {
        return Err(Unreadable::Malformed);
    }
    let namespace: Arc<str> = path.into();
    objects.extend(space.objects.into_iter().map(|object| Object {
        namespace: Arc::clone(&namespace),
        ..object
    }));
    for inner in space.spaces {
        let path = match path {
            "" => inner.name.to_string(),
            outer => format!("{outer}.{}", inner.name),
        };
        flatten(inner, &path, objects)?;
    }
    Ok(())
}

impl Object {
    fn order(&self) -> (ObjectKind, i64, &str, &str) {
        (self.kind, self.id, &self.name, &self.namespace)
    }
}

/// Whether source is inside that is compiled or not, as somebody chose: what is left out looks as if it were removed.
fn has_conditional_source<S: ByteSource>(
    archive: &mut S,
    directory: &Directory,
) -> Result<bool, PackageError> {
    let mut sources = Vec::new();
    directory::visit(archive, directory, |entry| {
        if entry.name.starts_with(SOURCE_FOLDER) && entry.name.to_ascii_lowercase().ends_with(b".al") {
            sources.push(entry);
        }
        Ok(())
    })?;
    // As they lie there, so that an archive in an archive is unpacked once.
    sources.sort_by_key(|entry| entry.facts.local_header);
    let mut left = MAX_SOURCE_BYTES;
    for entry in sources {
        let Some(rest) = left.checked_sub(entry.facts.size) else {
            break;
        };
        left = rest;
        if is_conditional(archive, entry)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_conditional<S: ByteSource>(archive: &mut S, entry: Entry) -> Result<bool, PackageError> {
    let mut reader = match EntryReader::open(archive, entry) {
        Ok(reader) => reader,
        Err(PackageError::Io(error)) => return Err(PackageError::Io(error)),
        Err(_) => return Ok(false),
    };
    let mut seen = Vec::new();
    let mut chunk = vec![0; 32 << 10];
    loop {
        let count = match reader.read(&mut chunk) {
            Ok(count) => count,
            Err(PackageError::Io(error)) => return Err(PackageError::Io(error)),
            // Nobody who installs the package reads its source, so it may be damaged.
            Err(_) => return Ok(false),
        };
        if count == 0 {
            return Ok(false);
        }
        seen.extend_from_slice(chunk.get(..count).unwrap_or_default());
        if seen.windows(CONDITION.len()).any(|bytes| bytes == CONDITION) {
            return Ok(true);
        }
        let kept = seen.len().saturating_sub(CONDITION.len());
        seen.drain(..kept);
    }
}

/// Compares two apps' symbols; `runtime` is the new manifest's.
pub(super) fn compare(old: &Symbols, new: &Symbols, runtime: Option<&str>, changes: &mut Changes) {
    let major = |text: &str| text.split('.').next().and_then(|major| major.parse::<u32>().ok());
    let newest = [Some(&*new.runtime), runtime]
        .into_iter()
        .flatten()
        .filter_map(major)
        .max();
    if newest.is_some_and(|newest| newest > NEWEST_RUNTIME) {
        changes.add(&rules::NEWER_COMPILER, None, runtime.map(str::to_owned));
    }
    let app = App {
        has_big_integers: newest.is_some_and(|newest| newest >= 18),
        enums: Enums::of(new),
    };
    // Objects are brought together by five marks, twice.
    if !changes.may_look_at(10 * (old.objects.len() + new.objects.len())) {
        return;
    }
    tables::compare(
        &old.of(ObjectKind::Table),
        &new.of(ObjectKind::Table),
        &app,
        changes,
    );
    let kind = ObjectKind::TableExtension;
    extensions::compare(&old.of(kind), &new.of(kind), &app, changes);
    enums::compare(old, new, changes);
    breaking::compare(old, new, changes);
}

/// What comparing a table needs to know of the whole new app.
pub(super) struct App<'s> {
    /// Whether its runtime widens an Integer to a BigInteger.
    pub(super) has_big_integers: bool,
    pub(super) enums: Enums<'s>,
}

/// The enums of an app, by number and by name.
pub(super) struct Enums<'s> {
    by_id: HashMap<i64, &'s Object>,
    by_name: HashMap<String, &'s Object>,
}

impl<'s> Enums<'s> {
    fn of(symbols: &'s Symbols) -> Self {
        let (mut by_id, mut by_name) = (HashMap::new(), HashMap::new());
        for object in symbols.of(ObjectKind::Enum) {
            by_id.entry(object.id).or_insert(object);
            by_name.entry(folded(&object.name)).or_insert(object);
        }
        Self { by_id, by_name }
    }

    pub(super) fn find(&self, subject: &Subject) -> Option<&'s Object> {
        match subject.id {
            0 => self.by_name.get(&folded(&subject.name)).copied(),
            id => self.by_id.get(&id).copied(),
        }
    }
}

impl Symbols {
    /// How many numbers of objects and fields there are.
    pub(super) fn numbers(&self) -> usize {
        self.objects.iter().map(|object| 1 + object.fields.len()).sum()
    }

    pub(super) fn of(&self, kind: ObjectKind) -> Vec<&Object> {
        self.objects.iter().filter(|object| object.kind == kind).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Symbols, compare, flatten, read_symbols};
    use crate::limits::Limits;
    use crate::schema::changes::Changes;
    use crate::schema::finding::Mode;
    use serde_json::{Value, json};

    fn symbols(json: &Value) -> Symbols {
        let text = json.to_string();
        let space = read_symbols(text.as_bytes(), &Limits::default())
            .unwrap()
            .unwrap();
        let mut objects = Vec::new();
        flatten(space, "", &mut objects).unwrap();
        let runtime = Box::default();
        Symbols { objects, runtime }
    }

    fn compared(old: &Value, new: &Value) -> Changes {
        let mut changes = Changes::new(Mode::Add);
        compare(&symbols(old), &symbols(new), None, &mut changes);
        changes
    }

    fn each(count: usize, item: impl Fn(usize) -> Value) -> Vec<Value> {
        (1..=count).map(item).collect()
    }

    fn overloads(count: usize, kind: &str) -> Value {
        let method = |id| {
            let data_type = json!({ "Name": format!("{kind}{id}") });
            json!({ "Name": "M", "Parameters": [{ "Name": "p", "TypeDefinition": data_type }] })
        };
        json!({ "Codeunits": [{ "Id": 1, "Name": "C", "Methods": each(count, method) }] })
    }

    fn extensions(count: usize, kind: &str) -> Value {
        let extension = |id| {
            let field =
                json!({ "Id": id, "Name": format!("{kind}F{id}"), "TypeDefinition": { "Name": "Integer" } });
            json!({ "Id": id, "Name": format!("{kind}{id}"), "TargetObject": "Customer", "Fields": [field] })
        };
        json!({ "TableExtensions": each(count, extension) })
    }

    fn enum_extensions(count: usize, kind: &str) -> Value {
        let extension = |id| {
            let values = json!([{ "Ordinal": id, "Name": format!("{kind}{id}") }]);
            json!({ "Id": id, "Name": format!("X{id}"), "TargetObject": format!("T{id}"), "Values": values })
        };
        json!({ "EnumExtensionTypes": each(count, extension) })
    }

    fn option(count: usize, kind: &str) -> Value {
        let members = each(count, |id| json!(format!("{kind}{id}")));
        let data_type = json!({ "Name": "Option", "OptionMembers": members });
        json!({ "Tables": [{ "Id": 1, "Name": "T", "Fields": [{ "Id": 1, "Name": "F", "TypeDefinition": data_type }] }] })
    }

    /// Twice as much takes twice as long, whatever a package is made of.
    #[test]
    fn steps_grow_as_what_is_compared() {
        for shape in [overloads, extensions, enum_extensions, option] {
            let [few, many] =
                [2_000, 4_000].map(|count| compared(&shape(count, "a"), &shape(count, "b")).steps());
            assert!(few >= 2_000 && many <= 2 * few + 100, "{few}, {many}");
        }
        let found = compared(&overloads(60_000, "a"), &overloads(60_000, "b"));
        assert!(found.steps() <= 60_000 * 5, "{}", found.steps());
    }

    /// A few bytes of a field name an enum of many values, which each of them is compared with.
    #[test]
    fn what_would_take_too_long_is_undecided() {
        let values = each(4_000, |id| json!({ "Ordinal": id - 1, "Name": format!("V{id}") }));
        let app = |data_type: &Value| {
            let field = |id| json!({ "Id": id, "Name": format!("F{id}"), "TypeDefinition": data_type });
            json!({
                "Tables": [{ "Id": 1, "Name": "T", "Fields": each(4_000, field) }],
                "EnumTypes": [{ "Id": 1, "Name": "E", "Values": values }],
            })
        };
        let old = app(&json!({ "Name": "Option", "OptionMembers": ["V1"] }));
        let new = app(&json!({ "Name": "Enum", "Subtype": { "Name": "E", "Id": 1 } }));
        assert!(compared(&old, &new).codes().contains(&"too-costly"));
        assert!(!compared(&old, &old).codes().contains(&"too-costly"));
    }
}
