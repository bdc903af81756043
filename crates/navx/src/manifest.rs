//! What an app says about itself: `NavxManifest.xml`.
//!
//! Strict where identity is at stake (one root, one `App`, a real id, name, publisher and version) and
//! tolerant elsewhere, because every compiler generation since 2017 adds or drops something. Everything here
//! is a claim by whoever built the package: texts are to be escaped, addresses are not to be followed. The
//! manifest's telemetry keys are left unread, so that no output can leak them.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use roxmltree::{Document, Node, ParsingOptions};
use uuid::Uuid;

use crate::error::{PackageError, RefusalCode};
use crate::limits::Limits;
use crate::version::Version;
use crate::xml_shape;

/// The only namespace that manifests have, 2017 to this day.
pub(crate) const NAMESPACE: &str = "http://schemas.microsoft.com/navx/2015/manifest";
/// Longest name or publisher that the documentation of the format allows, in characters.
const MAX_NAME_CHARS: usize = 250;

/// The facts of a manifest. All of them are claims of the package, none is proven.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "camelCase"))]
#[non_exhaustive]
pub struct Manifest {
    /// The app's identity; never nil.
    #[cfg_attr(feature = "serde", serde(rename = "id"))]
    pub app_id: Uuid,
    /// Not blank, at most 250 characters, without control characters.
    pub name: String,
    /// Not blank, at most 250 characters, without control characters.
    pub publisher: String,
    /// The app's own version.
    pub version: Version,
    /// Lowest platform the app runs on: an implied dependency on Microsoft's System app.
    pub platform: Option<Version>,
    /// Lowest Application version the app runs on: an implied dependency on Microsoft's Application app.
    pub application: Option<Version>,
    /// Lowest version of the test libraries; written up to Business Central 14.
    pub test: Option<Version>,
    /// Compiler runtime as declared, such as `15.0`; absent in 2017.
    pub runtime: Option<String>,
    /// `Cloud` or `OnPrem`, or an older name for them: `Extension`, `Internal`, `Solution`.
    pub target: Option<String>,
    /// Whether the source may be seen while debugging; replaced by the exposure policy from runtime 8.0.
    pub show_my_code: bool,
    /// Whether apps that depend on this one see its dependencies too.
    pub propagate_dependencies: bool,
    /// One-line description.
    pub brief: String,
    /// Description, may have several lines.
    pub description: String,
    /// Declared dependencies in the manifest's order, one row per app.
    pub dependencies: Vec<Dependency>,
    /// Object number ranges as (first, last).
    pub id_ranges: Vec<(i32, i32)>,
    /// Apps that may use this app's internal objects.
    pub internals_visible_to: Vec<Module>,
    /// Compiler features that were on.
    pub features: Vec<String>,
    /// What the publisher lets others do with the source.
    pub resource_exposure_policy: ResourceExposurePolicy,
    /// Where the source lives, if the build said so.
    pub source: SourceInfo,
    /// What built the package, if the build said so.
    pub build: BuildInfo,
    /// Preprocessor symbols that were defined.
    pub preprocessor_symbols: Vec<String>,
    /// A digest of all that is said but where it was built and from which source.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub(crate) digest: u64,
}

/// One row of `Dependencies`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "camelCase"))]
#[non_exhaustive]
pub struct Dependency {
    /// App id of the dependency; never nil.
    pub id: Uuid,
    /// Name when the package was built; may have changed since.
    pub name: String,
    /// Publisher when the package was built; may have changed since.
    pub publisher: String,
    /// Lowest version that satisfies the dependency.
    pub min_version: Version,
    /// As declared; `0.0.0.0` in practice.
    pub compatibility_id: Option<String>,
}

/// One row of `InternalsVisibleTo`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "camelCase"))]
#[non_exhaustive]
pub struct Module {
    /// App id; never nil.
    pub id: Uuid,
    /// Name of the app.
    pub name: String,
    /// Publisher of the app.
    pub publisher: String,
}

/// What may be done with the app's source; a right that is not declared is not given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "camelCase"))]
#[non_exhaustive]
pub struct ResourceExposurePolicy {
    /// The source may be seen while debugging.
    pub allow_debugging: bool,
    /// The source may be downloaded.
    pub allow_downloading_source: bool,
    /// Symbol downloads contain the source.
    pub include_source_in_symbol_file: bool,
    /// The policy also holds for apps published by developers.
    pub apply_to_dev_extension: bool,
}

/// Where the source lives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "camelCase"))]
#[non_exhaustive]
pub struct SourceInfo {
    /// Text of an address; not to be followed.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub repository_url: Option<String>,
    /// Commit as declared.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub commit: Option<String>,
}

/// What built the package.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "camelCase"))]
#[non_exhaustive]
pub struct BuildInfo {
    /// Name of the build system or person.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub by: Option<String>,
    /// Text of an address; not to be followed.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub url: Option<String>,
    /// Time as declared.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub timestamp: Option<String>,
    /// Version of the compiler as declared.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub compiler_version: Option<String>,
}

impl Manifest {
    /// Reads the bytes of `NavxManifest.xml`.
    pub(crate) fn parse(bytes: &[u8], limits: &Limits) -> Result<Self, PackageError> {
        read_manifest(bytes, limits).map_err(|reason| {
            let message = format!("NavxManifest.xml is not acceptable: {reason}");
            RefusalCode::BadManifest.because(message)
        })
    }
}

/// Inside this module a fault is a sentence about it; [`Manifest::parse`] gives it its code.
/// The attributes that say what an app is and needs.
const APP_ATTRIBUTES: &[&str] = &[
    "Id",
    "Name",
    "Publisher",
    "Version",
    "Platform",
    "Application",
    "Test",
    "Runtime",
    "Target",
];
const DEPENDENCY_ATTRIBUTES: &[&str] = &[
    "Id",
    "AppId",
    "Name",
    "Publisher",
    "MinVersion",
    "CompatibilityId",
];

type Checked<T> = Result<T, String>;

fn read_manifest(bytes: &[u8], limits: &Limits) -> Checked<Manifest> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    if text.starts_with('\u{FEFF}') {
        return Err("it has more than one byte order mark".to_owned());
    }
    xml_shape::check(text)?;
    let options = ParsingOptions {
        allow_dtd: false,
        ..ParsingOptions::default()
    };
    let document =
        Document::parse_with_options(text, options).map_err(|error| format!("it is not XML: {error}"))?;

    let root = document.root_element();
    if !root.has_tag_name((NAMESPACE, "Package")) {
        return Err(format!("its root element is not Package of {NAMESPACE}"));
    }
    let app = only_child(root, "App")?.ok_or("it has no App element")?;
    check_attributes(app, APP_ATTRIBUTES)?;
    let is_app = |node: &Node| node.tag_name().name().eq_ignore_ascii_case("App");
    if root.descendants().filter(is_app).count() > 1 {
        return Err("it has more than one App element".to_owned());
    }
    read_package(root, app, limits)
}

fn read_package(root: Node, app: Node, limits: &Limits) -> Checked<Manifest> {
    Ok(Manifest {
        app_id: required_guid(app, "Id")?,
        name: required_name(app, "Name")?,
        publisher: required_name(app, "Publisher")?,
        version: own_version(app)?,
        platform: optional_version(app, "Platform")?,
        application: optional_version(app, "Application")?,
        test: optional_version(app, "Test")?,
        runtime: optional_text(app, "Runtime"),
        target: optional_text(app, "Target"),
        show_my_code: flag(app, "ShowMyCode"),
        propagate_dependencies: flag(app, "PropagateDependencies"),
        brief: described(app, "Brief")?,
        description: described(app, "Description")?,
        dependencies: dependencies(root, limits)?,
        id_ranges: id_ranges(root)?,
        internals_visible_to: internals_visible_to(root)?,
        features: texts(root, "Features", "Feature"),
        resource_exposure_policy: resource_exposure_policy(root),
        source: source_info(root),
        build: build_info(root),
        preprocessor_symbols: texts(root, "PreprocessorSymbols", "PreprocessorSymbol"),
        digest: digest(root),
    })
}

fn digest(root: Node) -> u64 {
    let is_of_the_build = |node: Node| {
        ["Build", "Source"]
            .iter()
            .any(|name| node.has_tag_name((NAMESPACE, *name)))
    };
    let mut hasher = DefaultHasher::new();
    for node in root
        .descendants()
        .filter(|node| !node.ancestors().any(is_of_the_build))
    {
        let text = node
            .text()
            .filter(|text| node.is_text() && !text.trim().is_empty());
        (node.tag_name().namespace(), node.tag_name().name(), text).hash(&mut hasher);
        for attribute in node.attributes() {
            (attribute.namespace(), attribute.name(), attribute.value()).hash(&mut hasher);
        }
    }
    hasher.finish()
}

fn dependencies(root: Node, limits: &Limits) -> Checked<Vec<Dependency>> {
    let mut rows: Vec<Dependency> = Vec::new();
    let mut ids = HashSet::new();
    let Some(list) = only_child(root, "Dependencies")? else {
        return Ok(rows);
    };
    check_rows(list, "Dependency")?;
    for row in children(list, "Dependency") {
        if rows.len() == limits.max_dependencies {
            return Err(format!(
                "it has more than {} dependencies",
                limits.max_dependencies
            ));
        }
        let dependency = dependency(row)?;
        if !ids.insert(dependency.id) {
            return Err(format!("it has two dependencies on {}", dependency.id));
        }
        rows.push(dependency);
    }
    Ok(rows)
}

fn dependency(row: Node) -> Checked<Dependency> {
    check_attributes(row, DEPENDENCY_ATTRIBUTES)?;
    let id_attribute = match (row.has_attribute("Id"), row.has_attribute("AppId")) {
        (true, true) => return Err("a Dependency has both Id and AppId".to_owned()),
        (true, false) => "Id",
        _ => "AppId",
    };
    let min_version = optional_version(row, "MinVersion")?.ok_or("a Dependency has no MinVersion")?;
    Ok(Dependency {
        id: required_guid(row, id_attribute)?,
        name: optional_name(row, "Name")?,
        publisher: optional_name(row, "Publisher")?,
        min_version,
        compatibility_id: optional_text(row, "CompatibilityId"),
    })
}

/// Newer compilers put the ranges into `IdRanges`, those of 2017 to 2019 directly under the root.
fn id_ranges(root: Node) -> Checked<Vec<(i32, i32)>> {
    let mut ranges = Vec::new();
    let bare = children(root, "IdRange");
    let listed = children(root, "IdRanges").flat_map(|list| children(list, "IdRange"));
    for range in bare.chain(listed) {
        let bound = |name| range.attribute(name).and_then(|text| text.parse::<i32>().ok());
        match (bound("MinObjectId"), bound("MaxObjectId")) {
            (Some(first), Some(last)) => ranges.push((first, last)),
            _ => return Err("an IdRange has no numeric MinObjectId and MaxObjectId".to_owned()),
        }
    }
    Ok(ranges)
}

fn internals_visible_to(root: Node) -> Checked<Vec<Module>> {
    let mut modules = Vec::new();
    for row in children(root, "InternalsVisibleTo").flat_map(|list| children(list, "Module")) {
        let id = required_guid(row, "Id")?;
        let (name, publisher) = (optional_name(row, "Name")?, optional_name(row, "Publisher")?);
        modules.push(Module { id, name, publisher });
    }
    Ok(modules)
}

/// Texts of a list's rows; symbols are said to be an attribute in some compilers and text in others.
fn texts(root: Node, list: &str, row: &str) -> Vec<String> {
    let rows = children(root, list).flat_map(|list| children(list, row));
    let text = rows.filter_map(|row| row.attribute("Name").or_else(|| row.text()));
    text.map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
        .collect()
}

fn resource_exposure_policy(root: Node) -> ResourceExposurePolicy {
    let Some(policy) = children(root, "ResourceExposurePolicy").next() else {
        return ResourceExposurePolicy::default();
    };
    ResourceExposurePolicy {
        allow_debugging: flag(policy, "AllowDebugging"),
        allow_downloading_source: flag(policy, "AllowDownloadingSource"),
        include_source_in_symbol_file: flag(policy, "IncludeSourceInSymbolFile"),
        apply_to_dev_extension: flag(policy, "ApplyToDevExtension"),
    }
}

fn source_info(root: Node) -> SourceInfo {
    let Some(source) = children(root, "Source").next() else {
        return SourceInfo::default();
    };
    SourceInfo {
        repository_url: unquoted_text(source, "RepositoryUrl"),
        commit: unquoted_text(source, "Commit"),
    }
}

fn build_info(root: Node) -> BuildInfo {
    let Some(build) = children(root, "Build").next() else {
        return BuildInfo::default();
    };
    BuildInfo {
        by: unquoted_text(build, "By"),
        url: unquoted_text(build, "Url"),
        timestamp: unquoted_text(build, "Timestamp"),
        compiler_version: unquoted_text(build, "CompilerVersion"),
    }
}

fn children<'a, 'input>(
    parent: Node<'a, 'input>,
    name: &'a str,
) -> impl Iterator<Item = Node<'a, 'input>> + 'a
where
    'input: 'a,
{
    parent
        .children()
        .filter(move |child| child.has_tag_name((NAMESPACE, name)))
}

/// The one child of that name; a second one could be read by another program instead of the first. Some programs mind
/// neither case nor namespace.
fn only_child<'a, 'input>(parent: Node<'a, 'input>, name: &'a str) -> Checked<Option<Node<'a, 'input>>> {
    let is_meant = |child: &Node| child.tag_name().name().eq_ignore_ascii_case(name);
    let mut found = parent.children().filter(is_meant);
    let first = found.next();
    if found.next().is_some() {
        return Err(format!("it has more than one {name} element"));
    }
    match first {
        Some(child) if !child.has_tag_name((NAMESPACE, name)) => Err(instead(child.tag_name().name(), name)),
        first => Ok(first),
    }
}

/// Nothing among the rows of a list that only some programs take for one of them.
fn check_rows(list: Node, name: &str) -> Checked<()> {
    let is_meant = |row: &Node| row.tag_name().name().eq_ignore_ascii_case(name);
    let mut rows = list.children().filter(is_meant);
    match rows.find(|row| !row.has_tag_name((NAMESPACE, name))) {
        Some(row) => Err(instead(row.tag_name().name(), name)),
        None => Ok(()),
    }
}

fn instead(given: &str, meant: &str) -> String {
    format!(
        "it has '{given}' in another case or namespace than {meant}, which only some programs take for it"
    )
}

/// No two attributes that are one for programs that mind neither case nor namespace, and none that only these take for one
/// of the `known`.
fn check_attributes(node: Node, known: &[&str]) -> Checked<()> {
    let mut seen = HashSet::new();
    let twice = node
        .attributes()
        .find(|attribute| !seen.insert(attribute.name().to_ascii_lowercase()));
    if let Some(attribute) = twice {
        return Err(format!(
            "{} has more than one attribute {}",
            node.tag_name().name(),
            shortened(attribute.name())
        ));
    }
    let names = node.attributes().map(|attribute| attribute.name());
    for name in names {
        let meant = known.iter().find(|known| known.eq_ignore_ascii_case(name));
        if let Some(meant) = meant.filter(|meant| **meant != name) {
            return Err(instead(name, meant));
        }
    }
    Ok(())
}

fn required<'a>(node: Node<'a, '_>, attribute: &str) -> Checked<&'a str> {
    let missing = || format!("{} has no {attribute}", node.tag_name().name());
    node.attribute(attribute).ok_or_else(missing)
}

fn required_guid(node: Node, attribute: &str) -> Checked<Uuid> {
    let text = required(node, attribute)?;
    let element = node.tag_name().name();
    match parse_guid(text) {
        Some(id) if id.is_nil() => Err(format!("{element} has the empty GUID as {attribute}")),
        Some(id) => Ok(id),
        None => Err(format!(
            "{element} has '{}' as {attribute}, which is not a GUID",
            shortened(text)
        )),
    }
}

/// Dashed form in either case, with or without braces; the other spellings of a GUID do not occur.
pub(crate) fn parse_guid(text: &str) -> Option<Uuid> {
    let braced = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    let dashed = braced.unwrap_or(text);
    if dashed.len() != 36 {
        return None;
    }
    Uuid::try_parse(dashed).ok()
}

fn required_name(app: Node, attribute: &str) -> Checked<String> {
    required(app, attribute)?;
    let name = optional_name(app, attribute)?;
    if name.trim().is_empty() {
        return Err(format!("App has a blank {attribute}"));
    }
    Ok(name)
}

fn optional_name(node: Node, attribute: &str) -> Checked<String> {
    let text = node.attribute(attribute).unwrap_or_default();
    let element = node.tag_name().name();
    if text.chars().any(char::is_control) {
        return Err(format!("{attribute} of {element} has a control character"));
    }
    let count = text.chars().count();
    if count > MAX_NAME_CHARS {
        let message =
            format!("{attribute} of {element} has {count} characters; {MAX_NAME_CHARS} are allowed");
        return Err(message);
    }
    Ok(text.to_owned())
}

fn own_version(app: Node) -> Checked<Version> {
    let text = required(app, "Version")?;
    Version::parse_complete(text).map_err(|error| format!("Version of App: {error}"))
}

fn optional_version(node: Node, attribute: &str) -> Checked<Option<Version>> {
    let Some(text) = node.attribute(attribute).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let parsed = text.parse::<Version>();
    parsed
        .map(Some)
        .map_err(|error| format!("{attribute} of {}: {error}", node.tag_name().name()))
}

fn optional_text(node: Node, attribute: &str) -> Option<String> {
    node.attribute(attribute)
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}

/// Build systems have been seen to hand their values over with the quotes around them.
fn unquoted_text(node: Node, attribute: &str) -> Option<String> {
    let text = node.attribute(attribute)?;
    let text = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(text);
    (!text.is_empty()).then(|| text.to_owned())
}

/// Descriptions may have lines; other control characters have no business in a text that people read.
fn described(app: Node, attribute: &str) -> Checked<String> {
    let text = app.attribute(attribute).unwrap_or_default();
    let is_layout = |character: char| matches!(character, '\n' | '\r' | '\t');
    if text
        .chars()
        .any(|character| character.is_control() && !is_layout(character))
    {
        return Err(format!("{attribute} of App has a control character"));
    }
    Ok(text.to_owned())
}

fn flag(node: Node, attribute: &str) -> bool {
    node.attribute(attribute)
        .is_some_and(|text| text.trim().eq_ignore_ascii_case("true"))
}

fn shortened(text: &str) -> String {
    text.chars().take(60).collect()
}
