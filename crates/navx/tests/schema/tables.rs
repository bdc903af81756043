//! Tables, their extensions, fields and keys.

use navx::schema::Severity::{Breaking, Data, Meaning, Note, Refused, Undecided};
use navx::schema::{Mode, Verdict};
use serde_json::{Value, json};

use crate::made::{
    after, assert_found, builder, changed, codes, extension, field, forecast, remove, set, set_type, symbols,
    table, with,
};

#[test]
fn another_version_alone_is_nothing() {
    assert_found(&changed(|_| {}), &[], Verdict::Compatible);
}

#[test]
fn a_field_that_is_gone_is_refused_also_when_it_was_obsolete() {
    let without_name = |app: &mut Value| {
        remove(&mut table(app)["Fields"], 2);
        table(app)["Keys"].as_array_mut().unwrap().pop();
    };
    let expected = [("field-removed", Refused), ("key-removed", Note)];
    let found = changed(without_name);
    assert_found(&found, &expected, Verdict::Refused);
    let finding = &found.findings[0];
    assert_eq!(finding.rule, Some("AS0002"));
    assert_eq!(
        finding.member.as_ref().map(|member| (member.id, &*member.name)),
        Some((Some(2), "Name"))
    );
    let mut old = symbols();
    set(field(&mut old, 2), "ObsoleteState", "Removed");
    let mut new = symbols();
    without_name(&mut new);
    assert_found(&after(&old, &new), &expected, Verdict::Refused);
}

#[test]
fn a_field_without_a_column_may_go() {
    let gone = changed(|app| remove(&mut table(app)["Fields"], 5));
    assert_found(&gone, &[("field-gone-no-schema", Breaking)], Verdict::Compatible);
}

#[test]
fn a_field_with_another_name_is_told_of_once() {
    let renamed = |app: &mut Value| {
        field(app, 2)["Name"] = json!("Name 2");
        table(app)["Keys"][1]["FieldNames"] = json!(["Name 2"]);
    };
    assert_found(&changed(renamed), &[("field-renamed", Refused)], Verdict::Refused);
    let mut new = symbols();
    renamed(&mut new);
    let (old, new) = (
        with(builder("1.0.0.0"), &symbols()),
        with(builder("1.0.1.0"), &new),
    );
    let forced = forecast(&old, &new, Mode::ForceSync).unwrap();
    assert_found(&forced, &[("field-renamed", Breaking)], Verdict::Compatible);
}

#[test]
fn a_name_in_another_case_is_undecided() {
    let found = changed(|app| field(app, 3)["Name"] = json!("QTY"));
    assert_found(&found, &[("field-renamed", Undecided)], Verdict::Undecided);
}

#[test]
fn fields_that_swap_numbers_keep_their_types() {
    let found = changed(|app| {
        field(app, 2)["Id"] = json!(0);
        field(app, 3)["Id"] = json!(2);
        field(app, 0)["Id"] = json!(3);
    });
    let twice = [("field-id-changed", Undecided), ("field-id-changed", Undecided)];
    assert_found(&found, &twice, Verdict::Undecided);
}

#[test]
fn a_field_may_get_another_number() {
    let found = changed(|app| field(app, 2)["Id"] = json!(20));
    assert_found(&found, &[("field-id-changed", Undecided)], Verdict::Undecided);
    let found = changed(|app| field(app, 1)["Id"] = json!(10));
    assert_eq!(found.findings[0].rule, Some("AS0137"));
}

#[test]
fn longer_is_applied_but_for_keys() {
    let lengthened = |app: &mut Value| set_type(field(app, 2), "Text[100]");
    assert_found(
        &changed(lengthened),
        &[("length-in-key", Undecided)],
        Verdict::Undecided,
    );
    let mut old = symbols();
    table(&mut old)["Keys"].as_array_mut().unwrap().pop();
    let mut new = old.clone();
    lengthened(&mut new);
    assert_found(
        &after(&old, &new),
        &[("length-longer", Breaking)],
        Verdict::Compatible,
    );
    let found = changed(|app| set_type(field(app, 1), "Code[30]"));
    assert_found(&found, &[("length-in-primary-key", Refused)], Verdict::Refused);
}

#[test]
fn shorter_is_refused() {
    let found = changed(|app| set_type(field(app, 2), "Text[30]"));
    assert_found(&found, &[("length-shorter", Refused)], Verdict::Refused);
    let found = changed(|app| set_type(field(app, 1), "Code[10]"));
    assert_found(&found, &[("length-in-primary-key", Refused)], Verdict::Refused);
}

#[test]
fn another_type_is_refused_unless_a_rule_says_otherwise() {
    let found = changed(|app| set_type(field(app, 3), "Integer"));
    assert_found(&found, &[("type-changed", Refused)], Verdict::Refused);
    let found = changed(|app| set_type(extension(app).pointer_mut("/Fields/0").unwrap(), "Code[30]"));
    assert_found(&found, &[("code-text", Undecided)], Verdict::Undecided);
    let found = changed(|app| set_type(field(app, 4), "Integer"));
    assert_found(&found, &[("enum-type-changed", Undecided)], Verdict::Undecided);
    let found = changed(|app| set_type(field(app, 3), "Json2"));
    assert_found(&found, &[("type-changed", Refused)], Verdict::Refused);
    let found = changed(|app| {
        let fields = table(app)["Fields"].as_array_mut().unwrap();
        fields.push(json!({ "Id": 6, "Name": "New", "TypeDefinition": { "Name": "Json2" } }));
    });
    assert_found(&found, &[("field-added", Note)], Verdict::Compatible);
}

#[test]
fn an_integer_is_widened_from_runtime_18_on() {
    let mut old = symbols();
    set_type(field(&mut old, 3), "Integer");
    let mut new = symbols();
    set_type(field(&mut new, 3), "BigInteger");
    for (runtime, code, severity, verdict) in [
        ("17.0", "type-changed", Refused, Verdict::Refused),
        ("18.0", "integer-to-biginteger", Breaking, Verdict::Compatible),
    ] {
        new["RuntimeVersion"] = json!(runtime);
        let old = with(builder("1.0.0.0").runtime(Some(runtime)), &old);
        let new = with(builder("1.0.1.0").runtime(Some(runtime)), &new);
        let found = forecast(&old, &new, Mode::Add).unwrap();
        assert_found(&found, &[(code, severity)], verdict);
    }
}

/// An enum of three values in the app, and the field `Kind` of it.
fn of_enum(app: &mut Value, names: &[&str]) {
    let values: Vec<_> = (0..)
        .zip(names)
        .map(|(ordinal, name)| json!({ "Ordinal": ordinal, "Name": name }))
        .collect();
    let made = json!({ "Id": 50_110, "Name": "Kinds", "Values": values });
    app["EnumTypes"].as_array_mut().unwrap().push(made);
    let subtype = json!({ "Name": "Kinds", "Id": 50_110 });
    field(app, 4)["TypeDefinition"] = json!({ "Name": "Enum", "Subtype": subtype });
}

#[test]
fn an_option_may_become_an_enum_of_the_same_members() {
    let found = changed(|app| of_enum(app, &["A", "B", "C"]));
    assert_found(&found, &[("option-to-enum", Breaking)], Verdict::Compatible);
    let found = changed(|app| of_enum(app, &["B", "A"]));
    assert_found(
        &found,
        &[("members-changed", Meaning), ("option-to-enum", Breaking)],
        Verdict::Compatible,
    );
}

#[test]
fn an_enum_may_not_become_another_for_certain() {
    let (mut old, mut new) = (symbols(), symbols());
    of_enum(&mut old, &["A", "B"]);
    of_enum(&mut new, &["A", "B"]);
    field(&mut new, 4)["TypeDefinition"]["Subtype"]["ModuleId"] =
        json!("437dbf0e-84ff-417a-965d-ed2bb9650972");
    assert_found(
        &after(&old, &new),
        &[("enum-type-changed", Undecided)],
        Verdict::Undecided,
    );
}

#[test]
fn members_are_appended_or_mean_something_else() {
    let members =
        |members: &[&str]| changed(|app| field(app, 4)["TypeDefinition"]["OptionMembers"] = json!(members));
    assert_found(&members(&["A", "B", "C"]), &[], Verdict::Compatible);
    for other in [&["", "A", "B"][..], &["B", "A"], &["A"], &["A", "Bee"]] {
        let found = members(other);
        assert_found(&found, &[("members-changed", Meaning)], Verdict::Compatible);
        assert_found(&found.strict(), &[("members-changed", Refused)], Verdict::Refused);
    }
}

#[test]
fn the_primary_key_stays_as_it_is() {
    let found = changed(|app| table(app)["Keys"][0]["FieldNames"] = json!(["No.", "Qty"]));
    assert_found(&found, &[("primary-key-fields", Refused)], Verdict::Refused);
    let found = changed(|app| table(app)["Keys"][0]["Name"] = json!("pk"));
    assert_found(&found, &[("primary-key-renamed", Refused)], Verdict::Refused);
    let found = changed(|app| _ = table(app).as_object_mut().unwrap().remove("Keys"));
    assert_found(
        &found,
        &[("key-removed", Note), ("primary-key-renamed", Refused)],
        Verdict::Refused,
    );
    let found = changed(|app| set(&mut table(app)["Keys"][0], "SqlIndex", "Qty"));
    assert_found(&found, &[("primary-key-property", Refused)], Verdict::Refused);
    let found = changed(|app| {
        _ = table(app)["Keys"][0]
            .as_object_mut()
            .unwrap()
            .remove("Properties")
    });
    assert_found(&found, &[], Verdict::Compatible);
    let found = changed(|app| {
        table(app)["Keys"][0]
            .as_object_mut()
            .unwrap()
            .remove("Properties");
        set(&mut table(app)["Keys"][1], "Clustered", "1");
    });
    assert_found(&found, &[("clustered-moved", Refused)], Verdict::Refused);
}

#[test]
fn a_key_that_is_not_written_down_is_the_first_field() {
    let mut old = symbols();
    table(&mut old).as_object_mut().unwrap().remove("Keys");
    let mut new = symbols();
    table(&mut new)["Keys"] = json!([{ "Name": "No.", "FieldNames": ["No."] }]);
    assert_found(&after(&old, &new), &[], Verdict::Compatible);
}

#[test]
fn other_keys_are_indexes_unless_they_are_unique() {
    let found = changed(|app| _ = table(app)["Keys"].as_array_mut().unwrap().pop());
    assert_found(&found, &[("key-removed", Note)], Verdict::Compatible);
    let found = changed(|app| table(app)["Keys"][1]["FieldNames"] = json!(["Qty"]));
    assert_found(&found, &[("key-changed", Note)], Verdict::Compatible);
    let found = changed(|app| set(&mut table(app)["Keys"][1], "Unique", "1"));
    assert_found(&found, &[("unique-added", Data)], Verdict::Undecided);
    let found = changed(|app| {
        let keys = table(app)["Keys"].as_array_mut().unwrap();
        keys.push(json!({ "Name": "K3", "FieldNames": ["Qty"] }));
    });
    assert_found(&found, &[("key-added", Note)], Verdict::Compatible);
}

#[test]
fn what_a_table_is_matters() {
    let found = changed(|app| set(table(app), "DataPerCompany", "0"));
    assert_found(&found, &[("data-per-company", Refused)], Verdict::Refused);
    let temporary = |app: &mut Value| set(table(app), "TableType", "Temporary");
    assert_found(
        &changed(temporary),
        &[("table-to-temporary", Data)],
        Verdict::Undecided,
    );
    let mut old = symbols();
    temporary(&mut old);
    assert_found(
        &after(&old, &symbols()),
        &[("table-from-temporary", Note)],
        Verdict::Compatible,
    );
    let found = changed(|app| set(table(app), "TableType", "CRM"));
    assert_found(&found, &[("table-type", Undecided)], Verdict::Undecided);
    let found = changed(|app| set(table(app), "FooBar", "1"));
    assert_found(&found, &[("unknown-property", Undecided)], Verdict::Undecided);
    let found = changed(|app| set(field(app, 2), "FooBar", "1"));
    assert_found(&found, &[("unknown-property", Undecided)], Verdict::Undecided);
    let found = changed(|app| set(table(app), "Access", "Internal"));
    assert_found(&found, &[("table-property", Breaking)], Verdict::Compatible);
    let found = changed(|app| set(table(app), "Scope", "OnPrem"));
    assert_found(&found, &[("table-property", Breaking)], Verdict::Compatible);
    let found = changed(|app| set(table(app), "CompressionType", "Page"));
    assert_found(&found, &[("compression", Note)], Verdict::Compatible);
}

#[test]
fn a_table_may_go_if_it_has_no_rows() {
    let gone = |app: &mut Value| app["Tables"] = json!([]);
    assert_found(&changed(gone), &[("table-removed", Refused)], Verdict::Refused);
    let mut old = symbols();
    set(table(&mut old), "TableType", "Temporary");
    let mut new = symbols();
    gone(&mut new);
    assert_found(
        &after(&old, &new),
        &[("table-gone-no-schema", Breaking)],
        Verdict::Compatible,
    );
    assert_found(
        &after(&new, &symbols()),
        &[("table-added", Note)],
        Verdict::Compatible,
    );
}

#[test]
fn a_table_is_known_by_its_name() {
    let found = changed(|app| table(app)["Name"] = json!("T2"));
    assert_found(&found, &[("table-renamed", Refused)], Verdict::Refused);
    let found = changed(|app| table(app)["Id"] = json!(50_102));
    assert_found(&found, &[("table-id-changed", Undecided)], Verdict::Undecided);
}

#[test]
fn an_extension_stays_with_its_table() {
    let found = changed(|app| app["TableExtensions"] = json!([]));
    assert_found(&found, &[("extension-removed", Refused)], Verdict::Refused);
    let flow = json!({
        "Id": 50_102,
        "Name": "Y",
        "TypeDefinition": { "Name": "Decimal" },
        "Properties": [{ "Name": "FieldClass", "Value": "FlowField" }],
    });
    let found = changed(|app| extension(app)["Fields"] = json!([flow]));
    assert_found(&found, &[("field-removed", Refused)], Verdict::Refused);
    let found = changed(|app| extension(app)["Id"] = json!(50_102));
    assert_found(&found, &[("extension-renumbered", Undecided)], Verdict::Undecided);
    let found =
        changed(|app| extension(app)["TargetObject"] = json!("#437dbf0e84ff417a965ded2bb9650972#Vendor"));
    assert_found(&found, &[("extension-retargeted", Refused)], Verdict::Refused);
    let mut old = symbols();
    extension(&mut old)["Fields"] = json!([flow]);
    let mut new = symbols();
    new["TableExtensions"] = json!([]);
    assert_found(
        &after(&old, &new),
        &[("extension-gone-no-schema", Breaking)],
        Verdict::Compatible,
    );
}

#[test]
fn all_extensions_of_a_table_are_one_pool_of_fields() {
    let found = changed(|app| {
        let other = json!({
            "Id": 50_103,
            "Name": "Y Customer",
            "TargetObject": "Customer",
            "Fields": extension(app)["Fields"].clone(),
        });
        extension(app)["Fields"] = json!([]);
        app["TableExtensions"].as_array_mut().unwrap().push(other);
    });
    assert_found(
        &found,
        &[("field-changed-extension", Undecided)],
        Verdict::Undecided,
    );
    let found = changed(|app| extension(app)["Keys"] = json!([{ "Name": "K", "FieldNames": ["Name"] }]));
    assert_found(
        &found,
        &[("extension-key-on-base-fields", Undecided)],
        Verdict::Undecided,
    );
    let found = changed(|app| extension(app)["Keys"] = json!([{ "Name": "K", "FieldNames": ["X"] }]));
    assert_found(&found, &[("key-added", Note)], Verdict::Compatible);
}

/// Forty extensions that all get other numbers, some of them each other's, are no removals.
#[test]
fn renumbering_everything_is_no_removal() {
    let extensions = |shift: i64| {
        let extension = |number: i64| {
            json!({
                "Id": 50_100 + (number + shift) % 40,
                "Name": format!("X{number}"),
                "TargetObject": format!("Target.{number}"),
                "Fields": [{ "Id": 50_100 + number, "Name": "X", "TypeDefinition": { "Name": "Text[30]" } }],
            })
        };
        let mut app = symbols();
        app["TableExtensions"] = (0..40).map(extension).collect();
        app
    };
    let found = after(&extensions(0), &extensions(7));
    assert_found(
        &found,
        &[("extension-renumbered", Undecided); 40],
        Verdict::Undecided,
    );
}

#[test]
fn namespaces_break_others_and_nothing_else() {
    let moved = |app: &mut Value| {
        let inner: Value = ["Tables", "TableExtensions", "EnumTypes"]
            .iter()
            .map(|list| ((*list).to_owned(), app[*list].take()))
            .collect::<serde_json::Map<_, _>>()
            .into();
        let mut inner = inner;
        inner["Name"] = json!("M");
        *app = json!({ "Namespaces": [{ "Name": "N", "Namespaces": [inner] }] });
    };
    let found = changed(moved);
    assert_found(&found, &[("namespace-changed", Breaking); 3], Verdict::Compatible);
    assert_eq!(found.findings[0].after.as_deref(), Some("N.M"));
    let mut old = symbols();
    extension(&mut old)["TargetObject"] = json!("Customer");
    assert_found(&after(&old, &symbols()), &[], Verdict::Compatible);
}

#[test]
fn spelling_is_nothing() {
    let mut old = symbols();
    set_type(field(&mut old, 3), "BLOB");
    set(field(&mut old, 2), "ExtendedDataType", "PhoneNo");
    set(field(&mut old, 4), "DecimalPlaces", "0:5");
    set(table(&mut old), "DataPerCompany", "Yes");
    old["EnumTypes"][0]["Values"][0]["Ordinal"] = json!(0);
    let mut new = symbols();
    let blob = field(&mut new, 3).as_object_mut().unwrap();
    blob.remove("TypeDefinition");
    blob.insert("Type".to_owned(), json!("Blob"));
    set(field(&mut new, 2), "ExtendedDatatype", "PhoneNo");
    set(field(&mut new, 4), "DecimalPlaces", "");
    set(table(&mut new), "datapercompany", "1");
    set(table(&mut new), "Access", "Public");
    set(table(&mut new), "TableType", "Normal");
    set(field(&mut new, 1), "FieldClass", "Normal");
    set(field(&mut new, 1), "Enabled", "Yes");
    let kind = field(&mut new, 4).as_object_mut().unwrap();
    kind.remove("TypeDefinition");
    kind.insert("Type".to_owned(), json!("option"));
    kind.insert("OptionMembers".to_owned(), json!(["A", "B"]));
    assert_found(&after(&old, &new), &[], Verdict::Compatible);
}

#[test]
fn columns_come_and_go_with_class_and_state() {
    let found = changed(|app| set(field(app, 3), "FieldClass", "FlowField"));
    assert_found(&found, &[("field-class", Refused)], Verdict::Refused);
    let found = changed(|app| set(field(app, 5), "FieldClass", "Normal"));
    assert_found(&found, &[("field-class-to-normal", Note)], Verdict::Compatible);
    let disabled = |app: &mut Value| set(field(app, 3), "Enabled", "0");
    assert_found(
        &changed(disabled),
        &[("field-disabled", Refused)],
        Verdict::Refused,
    );
    let mut old = symbols();
    disabled(&mut old);
    assert_found(
        &after(&old, &symbols()),
        &[("field-enabled", Note)],
        Verdict::Compatible,
    );
    let found = changed(|app| set(field(app, 3), "AutoIncrement", "1"));
    assert_found(&found, &[("auto-increment", Undecided)], Verdict::Undecided);
    let variant = |app: &mut Value| set(field(app, 1), "SqlDataType", "Variant");
    assert_found(
        &changed(variant),
        &[("sql-data-type", Undecided)],
        Verdict::Undecided,
    );
    let mut old = symbols();
    variant(&mut old);
    assert_found(
        &after(&old, &symbols()),
        &[("sql-data-type", Data)],
        Verdict::Undecided,
    );
    let found = changed(|app| set(field(app, 3), "ObsoleteState", "Removed"));
    assert_found(&found, &[("obsolete-state", Note)], Verdict::Compatible);
    let found = changed(|app| set(field(app, 3), "Access", "Internal"));
    assert_found(&found, &[("field-access", Breaking)], Verdict::Compatible);
}

#[test]
fn what_moves_to_another_app_is_undecided() {
    let found = changed(|app| {
        set(table(app), "ObsoleteState", "Moved");
        set(table(app), "MovedTo", "437dbf0e-84ff-417a-965d-ed2bb9650972");
    });
    assert_found(&found, &[("moved-out", Undecided)], Verdict::Undecided);
    let found = changed(|app| {
        let mut moved = json!({ "Id": 50_104, "Name": "M", "Fields": [] });
        set(&mut moved, "MovedFrom", "437dbf0e-84ff-417a-965d-ed2bb9650972");
        app["Tables"].as_array_mut().unwrap().push(moved);
    });
    assert_found(&found, &[("moved-in", Undecided)], Verdict::Undecided);
}

/// What happens inside a table that has no rows in the database is no concern of the database.
#[test]
fn a_temporary_table_may_change_at_will() {
    let mut old = symbols();
    set(table(&mut old), "TableType", "Temporary");
    let mut new = old.clone();
    set_type(field(&mut new, 3), "Integer");
    table(&mut new)["Keys"][0]["Name"] = json!("Other");
    remove(&mut table(&mut new)["Fields"], 2);
    assert_found(
        &after(&old, &new),
        &[("field-gone-no-schema", Breaking)],
        Verdict::Compatible,
    );
}

/// What nobody knows is neither refused nor applied.
#[test]
fn words_that_nobody_knows_are_undecided() {
    let mut old = symbols();
    set(table(&mut old), "TableType", "Shared");
    let mut new = symbols();
    new["Tables"] = json!([]);
    assert_found(
        &after(&old, &new),
        &[("table-type", Undecided)],
        Verdict::Undecided,
    );
    let found = changed(|app| set(field(app, 3), "FieldClass", "Computed"));
    assert_found(&found, &[("unknown-property", Undecided)], Verdict::Undecided);
    let found = changed(|app| set(field(app, 5), "Access", "Hidden"));
    assert_found(&found, &[("unknown-property", Undecided)], Verdict::Undecided);
    let found = changed(|app| set(field(app, 5), "Access", "Internal"));
    assert_found(&found, &[("field-access", Breaking)], Verdict::Compatible);
}

#[test]
fn force_sync_loses_what_add_refuses() {
    let mut new = symbols();
    remove(&mut table(&mut new)["Fields"], 3);
    let (old, new) = (
        with(builder("1.0.0.0"), &symbols()),
        with(builder("1.0.1.0"), &new),
    );
    let forced = forecast(&old, &new, Mode::ForceSync).unwrap();
    assert_eq!(codes(&forced), [("field-removed", Breaking)]);
    assert_eq!(forced.verdict, Verdict::Compatible);
}
