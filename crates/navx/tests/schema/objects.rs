//! Enums, and what other apps and callers build upon.

use navx::schema::Severity::{Breaking, Meaning};
use navx::schema::Verdict;
use serde_json::{Value, json};

use crate::made::{after, assert_found, changed, property, set, symbols};

#[test]
fn a_value_may_come_and_its_number_stays() {
    let values = |change: fn(&mut Vec<Value>)| {
        changed(|app| change(app["EnumTypes"][0]["Values"].as_array_mut().unwrap()))
    };
    let found = values(|values| _ = values.remove(1));
    assert_found(&found, &[("enum-value-removed", Meaning)], Verdict::Compatible);
    let found = values(|values| values[1]["Name"] = json!("Uno"));
    assert_found(&found, &[("enum-value-renamed", Meaning)], Verdict::Compatible);
    let found = values(|values| values[1]["Ordinal"] = json!(7));
    assert_found(&found, &[("enum-value-reordinal", Meaning)], Verdict::Compatible);
    let found = values(|values| values.push(json!({ "Ordinal": 3, "Name": "Three" })));
    assert_found(&found, &[], Verdict::Compatible);
    let found = changed(|app| app["EnumTypes"][0]["Name"] = json!("F"));
    assert_found(&found, &[("breaking-object", Breaking)], Verdict::Compatible);
    let found = changed(|app| app["EnumTypes"] = json!([]));
    assert_found(&found, &[("enum-removed", Breaking)], Verdict::Compatible);
}

#[test]
fn a_value_is_new_to_those_who_thought_that_they_knew_all() {
    let mut old = symbols();
    set(&mut old["EnumTypes"][0], "Extensible", "0");
    let mut new = old.clone();
    new["EnumTypes"][0]["Values"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "Ordinal": 3, "Name": "Three" }));
    assert_found(
        &after(&old, &new),
        &[("enum-value-added", Breaking)],
        Verdict::Compatible,
    );
}

#[test]
fn values_that_an_app_adds_to_the_enum_of_another_are_one_pool() {
    let app = |name: &str, values: Value| {
        let mut app = symbols();
        app["EnumExtensionTypes"] =
            json!([{ "Id": 50_120, "Name": name, "TargetObject": "#1#F", "Values": values }]);
        app
    };
    let old = app("One", json!([{ "Ordinal": 50_100, "Name": "Mine" }]));
    assert_found(
        &after(&old, &app("Two", json!([{ "Ordinal": 50_100, "Name": "Mine" }]))),
        &[],
        Verdict::Compatible,
    );
    assert_found(
        &after(&old, &app("One", json!([]))),
        &[("enum-value-removed", Meaning)],
        Verdict::Compatible,
    );
}

/// An app with a codeunit and a page that serves an API.
fn with_code() -> Value {
    let mut app = symbols();
    let parameter = json!({ "Name": "Value", "IsVar": true, "TypeDefinition": { "Name": "Integer" } });
    app["Codeunits"] = json!([{
        "Id": 50_100,
        "Name": "C",
        "Variables": [
            { "Name": "Shared", "Protected": true, "TypeDefinition": { "Name": "Integer" } },
            { "Name": "Own", "TypeDefinition": { "Name": "Integer" } },
        ],
        "Methods": [
            { "Name": "Run", "Parameters": [parameter], "ReturnTypeDefinition": { "Name": "Boolean" } },
            { "Name": "Hidden", "IsLocal": true },
            { "Name": "Inside", "IsInternal": true },
            { "Name": "OnRun", "IsLocal": true, "Attributes": [{ "Name": "IntegrationEvent" }], "Parameters": [parameter] },
        ],
    }]);
    app["Pages"] = json!([{
        "Id": 50_100,
        "Name": "P",
        "Properties": [property("PageType", "API"), property("APIVersion", "'v1.0'"), property("EntityName", "item")],
        "Controls": [{ "Id": 1, "Name": "Group", "Controls": [{ "Id": 2, "Name": "number" }] }],
        "Actions": [{ "Id": 3, "Name": "Post" }],
    }]);
    app["PermissionSets"] = json!([{
        "Id": 50_100,
        "Name": "S",
        "Properties": [property("IncludedPermissionSets", "\"One\",\"Two\"")],
        "Permissions": [{ "Id": 50_100, "Value": 31 }],
    }]);
    app
}

fn with_code_changed(change: impl FnOnce(&mut Value)) -> navx::schema::Forecast {
    let mut new = with_code();
    change(&mut new);
    after(&with_code(), &new)
}

#[test]
fn what_nobody_else_can_use_may_go() {
    let found = with_code_changed(|app| {
        app["Codeunits"][0]["Methods"].as_array_mut().unwrap().drain(1..3);
        app["Codeunits"][0]["Variables"].as_array_mut().unwrap().pop();
    });
    assert_found(&found, &[], Verdict::Compatible);
}

#[test]
fn what_others_use_is_told_of() {
    let gone = |pointer: &str| with_code_changed(|app| *app.pointer_mut(pointer).unwrap() = json!([]));
    let once = [("breaking-member", Breaking)];
    assert_found(
        &gone("/Codeunits"),
        &[("breaking-object", Breaking)],
        Verdict::Compatible,
    );
    assert_found(&gone("/Codeunits/0/Methods"), &[once[0]; 2], Verdict::Compatible);
    assert_found(&gone("/Codeunits/0/Variables"), &once, Verdict::Compatible);
    for pointer in [
        "/Codeunits/0/Methods/0/ReturnTypeDefinition",
        "/Codeunits/0/Methods/0/Parameters/0/TypeDefinition",
    ] {
        let found = with_code_changed(|app| app.pointer_mut(pointer).unwrap()["Name"] = json!("Text"));
        assert_found(&found, &once, Verdict::Compatible);
        assert!(
            found.findings[0]
                .before
                .as_deref()
                .unwrap()
                .contains("var Integer")
        );
    }
    let by_value =
        with_code_changed(|app| app["Codeunits"][0]["Methods"][0]["Parameters"][0]["IsVar"] = json!(false));
    assert_found(&by_value, &once, Verdict::Compatible);
    // Subscribers know what they are passed by name, callers do not.
    for (method, expected) in [(0, &[][..]), (3, &once)] {
        let found = with_code_changed(|app| {
            app["Codeunits"][0]["Methods"][method]["Parameters"][0]["Name"] = json!("Other");
        });
        assert_found(&found, expected, Verdict::Compatible);
    }
    let strict = gone("/Codeunits").strict();
    assert_eq!(strict.verdict, Verdict::Refused);
}

#[test]
fn callers_of_a_web_service_are_told_of() {
    let once = [("breaking-api", Breaking)];
    let found = with_code_changed(|app| app["Pages"][0]["Controls"][0]["Controls"] = json!([]));
    assert_found(&found, &once, Verdict::Compatible);
    let found = with_code_changed(|app| set(&mut app["Pages"][0], "entityName", "thing"));
    assert_found(&found, &once, Verdict::Compatible);
    let found = with_code_changed(|app| set(&mut app["Pages"][0], "APIVersion", "'v2.0','v1.0'"));
    assert_found(&found, &[], Verdict::Compatible);
    let found = with_code_changed(|app| set(&mut app["Pages"][0], "APIVersion", "'v2.0'"));
    assert_found(&found, &once, Verdict::Compatible);
}

#[test]
fn permissions_that_are_taken_away_are_told_of() {
    let once = [("permission-reduced", Breaking)];
    let found = with_code_changed(|app| app["PermissionSets"][0]["Permissions"][0]["Value"] = json!(1));
    assert_found(&found, &once, Verdict::Compatible);
    let found =
        with_code_changed(|app| set(&mut app["PermissionSets"][0], "IncludedPermissionSets", "\"Two\""));
    assert_found(&found, &once, Verdict::Compatible);
    let found = with_code_changed(|app| {
        app["PermissionSets"][0]["Permissions"] =
            json!([{ "Id": 50_100, "Value": 63 }, { "Id": 1, "Value": 1 }]);
    });
    assert_found(&found, &[], Verdict::Compatible);
}
