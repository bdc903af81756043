//! Writing `NavxManifest.xml` the way the compilers of 2025 do: no declaration, no byte order mark, CRLF,
//! two spaces.

use uuid::Uuid;

use crate::manifest::{Dependency, NAMESPACE};
use crate::version::Version;

/// What a built app says about itself.
#[derive(Debug, Clone)]
pub(crate) struct App {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) publisher: String,
    pub(crate) version: Version,
    pub(crate) brief: String,
    pub(crate) description: String,
    pub(crate) platform: Option<Version>,
    pub(crate) application: Option<Version>,
    pub(crate) runtime: Option<String>,
    pub(crate) target: String,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) id_ranges: Vec<(i32, i32)>,
}

impl App {
    pub(crate) fn new(id: Uuid, name: &str, publisher: &str, version: Version) -> Self {
        let current = Version::new([27, 0, 0, 0]);
        Self {
            id,
            name: name.to_owned(),
            publisher: publisher.to_owned(),
            version,
            brief: String::new(),
            description: String::new(),
            platform: current,
            application: current,
            runtime: Some("16.0".to_owned()),
            target: "Cloud".to_owned(),
            dependencies: Vec::new(),
            id_ranges: Vec::new(),
        }
    }
}

/// The whole document.
pub(crate) fn manifest(app: &App) -> String {
    let mut lines = vec![format!("<Package xmlns=\"{NAMESPACE}\">"), app_element(app)];
    let ranges = app.id_ranges.iter().map(|(first, last)| {
        element(
            "IdRange",
            &[
                ("MinObjectId", &first.to_string()),
                ("MaxObjectId", &last.to_string()),
            ],
        )
    });
    list(&mut lines, "IdRanges", ranges.collect());
    list(
        &mut lines,
        "Dependencies",
        app.dependencies.iter().map(dependency_element).collect(),
    );
    for empty in [
        "InternalsVisibleTo",
        "ScreenShots",
        "SupportedLocales",
        "Features",
        "PreprocessorSymbols",
    ] {
        list(&mut lines, empty, Vec::new());
    }
    for empty in [
        "SuppressWarnings",
        "ResourceExposurePolicy",
        "KeyVaultUrls",
        "Source",
    ] {
        list(&mut lines, empty, Vec::new());
    }
    let build = [
        ("Timestamp", "2025-01-01T00:00:00.0000000Z"),
        ("CompilerVersion", "16.0.28.1659"),
    ];
    lines.push(format!("  {}", element("Build", &build)));
    list(&mut lines, "AlternateIds", Vec::new());
    lines.push("</Package>".to_owned());
    lines.join("\r\n")
}

fn app_element(app: &App) -> String {
    let (id, version) = (app.id.to_string(), app.version.to_string());
    let mut attributes: Vec<(&str, &str)> = vec![
        ("Id", &id),
        ("Name", &app.name),
        ("Publisher", &app.publisher),
        ("Brief", &app.brief),
        ("Description", &app.description),
        ("Version", &version),
        ("CompatibilityId", "0.0.0.0"),
    ];
    for empty in ["PrivacyStatement", "EULA", "Help", "HelpBaseUrl", "Url", "Logo"] {
        attributes.push((empty, ""));
    }
    let platform = app.platform.map(|version| version.to_string());
    let application = app.application.map(|version| version.to_string());
    let optional = [
        ("Platform", &platform),
        ("Application", &application),
        ("Runtime", &app.runtime),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            attributes.push((name, value));
        }
    }
    attributes.extend([("Target", &*app.target), ("ShowMyCode", "False")]);
    format!("  {}", element("App", &attributes))
}

fn dependency_element(dependency: &Dependency) -> String {
    let (id, min_version) = (dependency.id.to_string(), dependency.min_version.to_string());
    let compatibility_id = dependency.compatibility_id.as_deref().unwrap_or("0.0.0.0");
    let attributes = [
        ("Id", &*id),
        ("Name", &dependency.name),
        ("Publisher", &dependency.publisher),
        ("MinVersion", &min_version),
        ("CompatibilityId", compatibility_id),
    ];
    element("Dependency", &attributes)
}

fn list(lines: &mut Vec<String>, name: &str, rows: Vec<String>) {
    if rows.is_empty() {
        lines.push(format!("  <{name} />"));
        return;
    }
    lines.push(format!("  <{name}>"));
    lines.extend(rows.into_iter().map(|row| format!("    {row}")));
    lines.push(format!("  </{name}>"));
}

fn element(name: &str, attributes: &[(&str, &str)]) -> String {
    let mut text = format!("<{name}");
    for (attribute, value) in attributes {
        text.push_str(&format!(" {attribute}=\"{}\"", escaped(value)));
    }
    text.push_str(" />");
    text
}

/// Line breaks are escaped too: an XML reader turns bare ones in attributes into blanks.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for character in value.chars() {
        match character {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '"' => text.push_str("&quot;"),
            '\n' => text.push_str("&#xA;"),
            '\r' => text.push_str("&#xD;"),
            '\t' => text.push_str("&#x9;"),
            other => text.push(other),
        }
    }
    text
}
