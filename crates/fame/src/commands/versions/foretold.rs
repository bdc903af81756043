//! What a service foretells of a version that was uploaded: what schema synchronisation would refuse of it, and what its
//! country lacks.

use super::target::Target;
use crate::output::cell;
use serde_json::Value;

/// Findings that are named.
const MAX_NAMED: usize = 5;
/// What of a finding keeps people from their work, or takes their data.
const GRAVE: [&str; 3] = ["refused", "undecided", "data"];

/// What is foretold, in sentences.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::commands) struct Foretold {
    /// What schema synchronisation would make of it.
    pub forecast: Option<String>,
    /// The apps that it needs and its country has not.
    pub missing: Vec<String>,
}

impl Target<'_> {
    /// What the service foretells; nothing where it does not.
    pub(in crate::commands) async fn foretold(&self) -> Option<Foretold> {
        let row = self.version().select("warnings,missingDependencies").await.ok()?;
        let missing = row.get("missingDependencies")?.as_array()?;
        Some(Foretold {
            forecast: row.get("warnings").and_then(forecast),
            missing: missing.iter().map(|needed| lack(needed, self.country)).collect(),
        })
    }
}

fn forecast(warnings: &Value) -> Option<String> {
    let before = cell(warnings.pointer("/old/version")?);
    let meaning = match warnings["verdict"].as_str()? {
        "refused" => "schema synchronisation is forecast to refuse it",
        "undecided" => "whether schema synchronisation refuses it cannot be told",
        _ => "schema synchronisation is not forecast to refuse it, but data would change",
    };
    let findings = warnings["findings"].as_array()?.iter();
    let is_grave = |finding: &&Value| GRAVE.iter().any(|grave| finding["severity"] == *grave);
    let grave: Vec<&Value> = findings.filter(is_grave).collect();
    let named = grave
        .iter()
        .take(MAX_NAMED)
        .map(|finding| format!("\n  {}", named(finding)));
    let more = match grave.len().saturating_sub(MAX_NAMED) {
        0 => String::new(),
        more => format!("\n  and {more} more"),
    };
    let told = format!(
        "after version {before} {meaning}.{}{more}",
        named.collect::<String>()
    );
    (!grave.is_empty()).then_some(told)
}

fn named(finding: &Value) -> String {
    let object = &finding["object"];
    let member = &finding["member"];
    let mut place = Vec::new();
    if object.is_object() {
        let [kind, id, name] = ["kind", "id", "name"].map(|part| cell(&object[part]));
        place.push(format!("{kind} {id} \"{name}\""));
    }
    if member.is_object() {
        place.push(format!("{} \"{}\"", cell(&member["kind"]), cell(&member["name"])));
    }
    format!(
        "{} ({}: {})",
        place.join(", "),
        cell(&finding["code"]),
        cell(&finding["message"])
    )
}

fn lack(needed: &Value, country: &str) -> String {
    let [name, version, app] = ["name", "version", "appId"].map(|part| cell(&needed[part]));
    let countries: Vec<&str> = needed["countries"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let elsewhere = match countries.is_empty() {
        true => "no country has it".to_owned(),
        false => format!("there is one in {}", countries.join(", ")),
    };
    format!("it needs {name} {version} or newer ({app}), which is not in {country}; {elsewhere}.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_forecast_is_told_where_it_is_grave() {
        let finding = |severity: &str| {
            json!({"severity": severity, "code": "field-removed", "message": "A field is gone.",
                   "object": {"kind": "table", "id": 50100, "name": "Route"}, "member": {"kind": "field", "name": "Name"}})
        };
        let warnings = |verdict: &str, findings: Vec<Value>| json!({"verdict": verdict, "old": {"version": "1.0.0.0"}, "findings": findings});
        assert_eq!(
            forecast(&warnings("refused", vec![finding("note"), finding("refused")])).unwrap(),
            "after version 1.0.0.0 schema synchronisation is forecast to refuse it.\n  table 50100 \"Route\", field \"Name\" \
             (field-removed: A field is gone.)"
        );
        let many = forecast(&warnings("refused", vec![finding("refused"); 7])).unwrap();
        assert!(many.ends_with("\n  and 2 more"), "{many}");
        assert!(
            forecast(&warnings("compatible", vec![finding("data")]))
                .unwrap()
                .contains("data would change")
        );
        assert_eq!(forecast(&warnings("compatible", vec![finding("note")])), None);
        assert_eq!(forecast(&Value::Null), None);
    }
}
