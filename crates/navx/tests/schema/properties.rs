//! What holds for all apps.

use navx::schema::{Evidence, Forecast, Severity, Verdict};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use crate::made::{after, codes, symbols};

const TYPES: [&str; 8] = [
    "Code[20]", "Code[30]", "Text[50]", "Decimal", "Integer", "Option", "Enum", "Blob",
];
const CLASSES: [&str; 2] = ["Normal", "FlowField"];

/// A field, whose number and name are of few, so that two apps share some.
fn a_field() -> impl Strategy<Value = Value> {
    (1_i64..6, 0_usize..6, select(&TYPES[..]), select(&CLASSES[..]), any::<bool>()).prop_map(
        |(id, name, kind, class, enabled)| {
            json!({
                "Id": id,
                "Name": format!("F{name}"),
                "TypeDefinition": { "Name": kind, "OptionMembers": ["A", "B"], "Subtype": { "Name": "E", "Id": 50_100 } },
                "Properties": [
                    { "Name": "FieldClass", "Value": class },
                    { "Name": "Enabled", "Value": if enabled { "1" } else { "0" } },
                ],
            })
        },
    )
}

/// Fields of which no two have one number or name.
fn some_fields() -> impl Strategy<Value = Vec<Value>> {
    prop::collection::vec(a_field(), 1..6).prop_map(|fields| {
        let mut kept: Vec<Value> = Vec::new();
        for field in fields {
            if kept
                .iter()
                .all(|other| other["Id"] != field["Id"] && other["Name"] != field["Name"])
            {
                kept.push(field);
            }
        }
        kept
    })
}

fn an_object() -> impl Strategy<Value = Value> {
    let words = select(&["Temporary", "Normal", "CRM"][..]);
    (
        50_100_i64..50_104,
        0_usize..4,
        some_fields(),
        0_usize..3,
        words,
        any::<bool>(),
    )
        .prop_map(|(id, name, fields, target, kind, has_keys)| {
            let first = fields[0]["Name"].clone();
            let last = fields[fields.len() - 1]["Name"].clone();
            let keys =
                json!([{ "Name": "PK", "FieldNames": [first] }, { "Name": "K2", "FieldNames": [last] }]);
            json!({
                "Id": id,
                "Name": format!("T{name}"),
                "TargetObject": format!("Target{target}"),
                "Fields": fields,
                "Keys": if has_keys { keys } else { json!([]) },
                "Properties": [{ "Name": "TableType", "Value": kind }],
            })
        })
}

/// An app whose objects and fields have few numbers and names, none of them twice.
fn an_app() -> impl Strategy<Value = Value> {
    let objects = || {
        prop::collection::vec(an_object(), 0..4).prop_map(|objects| {
            let mut kept: Vec<Value> = Vec::new();
            for object in objects {
                if kept
                    .iter()
                    .all(|other| other["Id"] != object["Id"] && other["Name"] != object["Name"])
                {
                    kept.push(object);
                }
            }
            kept
        })
    };
    (objects(), objects()).prop_map(|(tables, extensions)| {
        let mut app = symbols();
        app["Tables"] = json!(tables);
        // No two extensions of a table add a field of the same name or number.
        let mut number = 50_100;
        let rename = |mut extension: Value| {
            for field in extension["Fields"].as_array_mut().unwrap() {
                number += 1;
                field["Id"] = json!(number);
                field["Name"] = json!(format!("{} {number}", field["Name"].as_str().unwrap()));
            }
            extension["Keys"] = json!([]);
            extension
        };
        app["TableExtensions"] = extensions.into_iter().map(rename).collect();
        app
    })
}

fn reversed(app: &Value) -> Value {
    match app {
        Value::Array(items) if items.iter().all(Value::is_object) => {
            items.iter().rev().map(reversed).collect()
        }
        Value::Object(members) => {
            // Keys keep their order, for the first is the primary one.
            let value = |(name, value): (&String, &Value)| {
                let value = if name == "Keys" {
                    value.clone()
                } else {
                    reversed(value)
                };
                (name.clone(), value)
            };
            members
                .iter()
                .rev()
                .map(value)
                .collect::<serde_json::Map<_, _>>()
                .into()
        }
        other => other.clone(),
    }
}

/// The app with another name for each table, extension and field.
fn renamed(app: &Value) -> Value {
    let other = |name: &mut Value| *name = json!(format!("Zebra {}", name.as_str().unwrap()));
    let mut app = app.clone();
    for list in ["Tables", "TableExtensions"] {
        for object in app[list].as_array_mut().unwrap() {
            other(&mut object["Name"]);
            object["Fields"]
                .as_array_mut()
                .unwrap()
                .iter_mut()
                .for_each(|field| other(&mut field["Name"]));
            for key in object["Keys"].as_array_mut().unwrap() {
                key["FieldNames"]
                    .as_array_mut()
                    .unwrap()
                    .iter_mut()
                    .for_each(other);
            }
        }
    }
    app
}

fn told(forecast: &Forecast) -> Vec<(&'static str, Severity)> {
    codes(forecast)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn an_app_after_itself_is_nothing(app in an_app()) {
        let found = after(&app, &app);
        prop_assert_eq!(told(&found), vec![]);
        prop_assert_eq!(found.verdict, Verdict::Compatible);
    }

    #[test]
    fn order_is_nothing(old in an_app(), new in an_app()) {
        let forecast = after(&old, &new);
        let other = after(&reversed(&old), &reversed(&new));
        prop_assert_eq!(forecast.findings, other.findings);
        prop_assert_eq!(after(&old, &reversed(&old)).findings, vec![]);
    }

    #[test]
    fn what_is_only_inferred_refuses_nothing(old in an_app(), new in an_app()) {
        for finding in after(&old, &new).findings {
            prop_assert!(finding.evidence != Evidence::Inferred || finding.severity != Severity::Refused);
        }
    }

    /// To give everything in both apps other names is to change nothing about what is found.
    #[test]
    fn what_things_are_called_is_nothing(old in an_app(), new in an_app()) {
        let (before, after_renaming) = (after(&old, &new), after(&renamed(&old), &renamed(&new)));
        // What has no other order is told in the order of its names.
        let in_any_order = |forecast| {
            let mut found: Vec<_> = told(forecast).into_iter().map(|one| format!("{one:?}")).collect();
            found.sort();
            found
        };
        prop_assert_eq!(in_any_order(&before), in_any_order(&after_renaming));
    }
}
