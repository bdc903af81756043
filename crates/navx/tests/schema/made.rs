//! The app of which every test changes something: a table, an extension of another app's table, and an enum.

use std::io::Cursor;

use navx::schema::{DifferentApps, Forecast, Mode, Schema, Severity, Verdict, compare};
use navx::{Limits, PackageBuilder};
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) const APP: Uuid = Uuid::from_u128(0xA11);
pub(crate) const CUSTOMER: &str = "#437dbf0e84ff417a965ded2bb9650972#Customer";

/// The symbols of the app before anything is changed.
pub(crate) fn symbols() -> Value {
    json!({
        "RuntimeVersion": "16.0",
        "Tables": [{
            "Id": 50100,
            "Name": "T",
            "Fields": [
                { "Id": 1, "Name": "No.", "TypeDefinition": { "Name": "Code[20]" } },
                { "Id": 2, "Name": "Name", "TypeDefinition": { "Name": "Text[50]" } },
                { "Id": 3, "Name": "Qty", "TypeDefinition": { "Name": "Decimal" } },
                { "Id": 4, "Name": "Kind", "TypeDefinition": { "Name": "Option", "OptionMembers": ["A", "B"] } },
                {
                    "Id": 5,
                    "Name": "Sum",
                    "TypeDefinition": { "Name": "Decimal" },
                    "Properties": [{ "Name": "FieldClass", "Value": "FlowField" }],
                },
            ],
            "Keys": [
                { "Name": "PK", "FieldNames": ["No."], "Properties": [{ "Name": "Clustered", "Value": "1" }] },
                { "Name": "K2", "FieldNames": ["Name"] },
            ],
        }],
        "TableExtensions": [{
            "Id": 50101,
            "Name": "X Customer",
            "TargetObject": CUSTOMER,
            "Fields": [{ "Id": 50101, "Name": "X", "TypeDefinition": { "Name": "Text[30]" } }],
        }],
        "EnumTypes": [{
            "Id": 50100,
            "Name": "E",
            "Values": [{ "Name": "Zero" }, { "Ordinal": 1, "Name": "One" }, { "Ordinal": 2, "Name": "Two" }],
        }],
    })
}

pub(crate) fn property(name: &str, value: &str) -> Value {
    json!({ "Name": name, "Value": value })
}

/// Sets a property of an object, field or key.
pub(crate) fn set(thing: &mut Value, name: &str, value: &str) {
    let thing = thing.as_object_mut().unwrap();
    let properties = thing.entry("Properties").or_insert_with(|| json!([]));
    let properties = properties.as_array_mut().unwrap();
    properties.retain(|property| !property["Name"].as_str().unwrap().eq_ignore_ascii_case(name));
    properties.push(property(name, value));
}

pub(crate) fn table(symbols: &mut Value) -> &mut Value {
    &mut symbols["Tables"][0]
}

/// The field of the table that has this number.
pub(crate) fn field(symbols: &mut Value, id: i64) -> &mut Value {
    let fields = table(symbols)["Fields"].as_array_mut().unwrap();
    fields.iter_mut().find(|field| field["Id"] == id).unwrap()
}

pub(crate) fn extension(symbols: &mut Value) -> &mut Value {
    &mut symbols["TableExtensions"][0]
}

pub(crate) fn set_type(field: &mut Value, name: &str) {
    field["TypeDefinition"] = json!({ "Name": name });
}

pub(crate) fn remove(list: &mut Value, id: i64) {
    list.as_array_mut().unwrap().retain(|item| item["Id"] != id);
}

pub(crate) fn builder(version: &str) -> PackageBuilder {
    PackageBuilder::new(APP, "A", "Contoso", version.parse().unwrap()).id_range(50_100, 50_199)
}

/// The builder's package with these symbols.
pub(crate) fn with(builder: PackageBuilder, symbols: &Value) -> PackageBuilder {
    builder.symbols(Some(symbols.to_string().as_bytes()))
}

pub(crate) fn schema(builder: &PackageBuilder) -> Schema {
    let bytes = builder.to_bytes().unwrap();
    Schema::read(Cursor::new(bytes), &Limits::default()).unwrap()
}

pub(crate) fn forecast(
    old: &PackageBuilder,
    new: &PackageBuilder,
    mode: Mode,
) -> Result<Forecast, DifferentApps> {
    compare(&schema(old), &schema(new), mode)
}

/// What comes of the app with these symbols after the app with those.
pub(crate) fn after(old: &Value, new: &Value) -> Forecast {
    let (old, new) = (with(builder("1.0.0.0"), old), with(builder("1.0.1.0"), new));
    forecast(&old, &new, Mode::Add).unwrap()
}

/// What comes of a change of the app.
pub(crate) fn changed(change: impl FnOnce(&mut Value)) -> Forecast {
    let mut new = symbols();
    change(&mut new);
    after(&symbols(), &new)
}

/// The codes that were found, with their severities.
pub(crate) fn codes(forecast: &Forecast) -> Vec<(&'static str, Severity)> {
    let code = |finding: &navx::schema::Finding| (finding.code, finding.severity);
    forecast.findings.iter().map(code).collect()
}

/// Exactly this is found, and so the verdict.
#[track_caller]
pub(crate) fn assert_found(forecast: &Forecast, expected: &[(&'static str, Severity)], verdict: Verdict) {
    assert_eq!(codes(forecast), expected, "{:#?}", forecast.findings);
    assert_eq!(forecast.verdict, verdict, "{:#?}", forecast.findings);
}
