//! Findings as SARIF 2.1.0 (OASIS), which code scanning of GitHub and Azure DevOps reads.
//!
//! Code scanning wants a place in a file of the repository. A finding has none, for it is about a package, so it is put to
//! the project's `app.json`, which is there in every AL project.

use super::diff::{object_name, sentence};
use navx::schema::{Finding, Forecast, Severity};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// As many results of a run as GitHub shows.
const MAX_RESULTS: usize = 5_000;
const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// The address of `app.json` in the folder `root` of a repository, as a relative reference (RFC 3986).
///
/// # Errors
/// A sentence, if the folder cannot be in the repository.
pub(super) fn location(root: Option<&str>) -> Result<String, String> {
    let root = root.unwrap_or_default().replace('\\', "/");
    let is_absolute = root.starts_with('/') || root.get(1..2) == Some(":");
    let segments: Vec<&str> = root
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .collect();
    if is_absolute || segments.contains(&"..") {
        return Err(format!(
            "--sarif-root {root} is not a folder below the repository's root, such as apps/sales"
        ));
    }
    let segments = segments.into_iter().chain(["app.json"]).map(encoded);
    Ok(segments.collect::<Vec<_>>().join("/"))
}

fn encoded(segment: &str) -> String {
    let byte = |byte: u8| match byte {
        b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        other if other.is_ascii_alphanumeric() => char::from(other).to_string(),
        other => format!("%{other:02X}"),
    };
    segment.bytes().map(byte).collect()
}

/// All that the forecasts found, as one run: the worst first, and no more than is shown.
pub(super) fn log(forecasts: &[Forecast], location: &str) -> Value {
    let mut found: Vec<(&Forecast, &Finding)> = Vec::new();
    for forecast in forecasts {
        found.extend(forecast.findings.iter().map(|finding| (forecast, finding)));
    }
    found.sort_by_key(|(_, finding)| finding.severity);
    let omitted = found.len().saturating_sub(MAX_RESULTS);
    found.truncate(MAX_RESULTS);
    let rules: BTreeMap<&str, &Finding> = found
        .iter()
        .map(|(_, finding)| (finding.code, *finding))
        .collect();
    let results: Vec<Value> = found
        .iter()
        .map(|(forecast, finding)| result(forecast, finding, location))
        .collect();
    let rules = rules.values().map(|finding| rule(finding)).collect();
    run("fame package diff", rules, results, omitted)
}

/// What was found in packages, as `fame package verify --json` tells it, as one run.
pub(super) fn log_of_rows(rows: &[Value], location: &str) -> Value {
    let mut rules = BTreeMap::new();
    let mut results = Vec::new();
    for row in rows {
        let file = row["file"].as_str().unwrap_or_default();
        for finding in row["findings"].as_array().into_iter().flatten() {
            let part = |name: &str| finding[name].as_str().unwrap_or_default();
            let (code, message) = (part("code"), part("message"));
            rules.insert(code.to_owned(), json!({ "id": code }));
            results.push(json!({
                "ruleId": code,
                "level": match part("severity") {
                    "refused" => "error",
                    "undecided" => "warning",
                    _ => "note",
                },
                "message": { "text": plain(&format!("{file}: {message}")) },
                "locations": [place(location)],
                "partialFingerprints": { "finding/v1": format!("{code}|{file}") },
                "properties": { "severity": part("severity") },
            }));
        }
    }
    let omitted = results.len().saturating_sub(MAX_RESULTS);
    results.truncate(MAX_RESULTS);
    run(
        "fame package verify",
        rules.into_values().collect(),
        results,
        omitted,
    )
}

fn run(command: &str, rules: Vec<Value>, results: Vec<Value>, omitted: usize) -> Value {
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": command,
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "originalUriBaseIds": { "%SRCROOT%": { "description": { "text": "The root of the repository." } } },
            "properties": { "omittedResults": omitted },
            "results": results,
        }],
    })
}

fn rule(finding: &Finding) -> Value {
    json!({
        "id": finding.code,
        "shortDescription": { "text": finding.message },
        "help": { "text": format!("Evidence: {}", finding.source) },
    })
}

fn result(forecast: &Forecast, finding: &Finding, location: &str) -> Value {
    let versions = [&forecast.old, &forecast.new].map(|side| {
        side.version
            .map_or_else(|| "?".to_owned(), |version| version.to_string())
    });
    let object = finding.object.as_ref().map(object_name);
    let about = object
        .clone()
        .map(|object| format!("{object}: "))
        .unwrap_or_default();
    let [old, new] = versions;
    let text = format!("{old} -> {new}: {about}{}", sentence(finding));
    let member = finding
        .member
        .as_ref()
        .map(|member| format!("{} {}", member.kind, member.name));
    let logical = object
        .clone()
        .map(|object| json!([{ "fullyQualifiedName": object, "kind": "type" }]));
    let mut place = place(location);
    if let (Some(logical), Some(place)) = (logical, place.as_object_mut()) {
        place.insert("logicalLocations".to_owned(), logical);
    }
    let fingerprint = [Some(finding.code.to_owned()), Some(old), object, member];
    json!({
        "ruleId": finding.code,
        "level": level(finding.severity),
        "message": { "text": plain(&text) },
        "locations": [place],
        "partialFingerprints": { "finding/v1": fingerprint.into_iter().flatten().collect::<Vec<_>>().join("|") },
        "properties": { "severity": finding.severity, "evidence": finding.evidence, "outcome": finding.outcome },
    })
}

fn place(location: &str) -> Value {
    json!({
        "physicalLocation": {
            "artifactLocation": { "uri": location, "uriBaseId": "%SRCROOT%" },
            "region": { "startLine": 1 },
        },
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Refused => "error",
        Severity::Undecided | Severity::Data | Severity::Environment => "warning",
        _ => "note",
    }
}

/// The text without what SARIF takes for a link: names are other people's.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '[' | ']' | '\\') {
            plain.push('\\');
        }
        plain.push(if character.is_control() {
            '\u{FFFD}'
        } else {
            character
        });
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::{location, plain};

    #[test]
    fn a_location_is_a_relative_reference() {
        assert_eq!(location(None).unwrap(), "app.json");
        assert_eq!(
            location(Some("./apps/Sales Pack/")).unwrap(),
            "apps/Sales%20Pack/app.json"
        );
        assert_eq!(
            location(Some("apps\\Größe")).unwrap(),
            "apps/Gr%C3%B6%C3%9Fe/app.json"
        );
        for wrong in ["/apps", "C:\\apps", "..", "apps/../..", "\\\\server\\apps"] {
            assert!(location(Some(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_name_is_no_link() {
        assert_eq!(
            plain("[x](https://contoso.com)\n"),
            "\\[x\\](https://contoso.com)\u{FFFD}"
        );
    }
}
