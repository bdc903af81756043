use super::*;
use proptest::prelude::*;

fn said(by: Target, text: &str) -> Said<'_> {
    Said {
        by,
        to_change: true,
        status: None,
        text,
        app: None,
    }
}

fn of(by: Target, text: &str) -> (FailureCause, Option<&'static str>, Again) {
    let verdict = classify(&said(by, text));
    (verdict.cause, verdict.hint, verdict.again)
}

fn of_http(by: Target, status: u16, text: &str) -> (FailureCause, Option<&'static str>, Again) {
    let verdict = classify(&Said {
        status: Some(status),
        ..said(by, text)
    });
    (verdict.cause, verdict.hint, verdict.again)
}

#[test]
fn the_code_inside_a_wrapped_answer_is_believed_before_everything_else() {
    let text = r#"A request to the Data Plane Admin Service failed. Http status code: BadRequest. Error:
        {"code":"ExtensionChangeFailed","message":"Extension change failed.","innerError":{"code":"AppAlreadyPublished",
        "message":"The tenant could not acquire: failed to acquire a lock"}}"#;
    assert_eq!(
        of_http(AdminCenter, 403, text),
        (AlreadyPublished, None, WhenQuiet)
    );

    let twice = serde_json::json!({"errorMessage": text, "status": "Failed"}).to_string();
    assert_eq!(of(AdminCenter, &twice), (AlreadyPublished, None, WhenQuiet));
}

#[test]
fn codes_that_nobody_knows_leave_the_decision_to_status_and_text() {
    let text = r#"{"code":"ExtensionChangeFailed","innerError":{"code":"SomethingNew"},"message":"It was locked by another user"}"#;
    assert_eq!(of(AdminCenter, text), (Lock, None, WhenQuiet));
    assert_eq!(of_http(AdminCenter, 429, text), (Connection, None, Safe));
}

#[test]
fn a_list_of_what_has_to_be_installed_before_is_a_missing_dependency() {
    let text = r#"{"code":"EntityValidationFailed","message":"x","data":{"requirements":[{"appId":"1","type":"Install"}]}}"#;
    assert_eq!(of_http(AdminCenter, 400, text), (MissingDependency, None, Never));
    let nothing = text.replace(r#"{"appId":"1","type":"Install"}"#, "");
    assert_eq!(of_http(AdminCenter, 400, &nothing), (Other, None, Never));
}

#[test]
fn a_status_decides_before_the_text() {
    for (by, status, expected) in [
        (AdminCenter, 401, (Permission, None, Never)),
        (Automation, 403, (Permission, None, Never)),
        (DevEndpoint, 404, (Other, Some("Configuration"), Never)),
        (Automation, 405, (Other, Some("Configuration"), Never)),
        (Automation, 408, (TimeOut, None, WhenQuiet)),
        (Automation, 503, (TimeOut, None, WhenQuiet)),
        (AdminCenter, 429, (Connection, None, Safe)),
        (AdminCenter, 502, (Connection, None, WhenQuiet)),
        (DevEndpoint, 503, (Connection, None, WhenQuiet)),
        (DevEndpoint, 504, (Connection, None, WhenQuiet)),
        (DevEndpoint, 500, (Other, None, Never)),
    ] {
        let html = "<html><body>Lock request time out</body></html>";
        let text = if status == 500 { "<html>Oops</html>" } else { html };
        assert_eq!(of_http(by, status, text), expected, "{by:?} {status}");
    }
}

#[test]
fn an_empty_500_of_the_development_endpoint_is_tried_again() {
    assert_eq!(of_http(DevEndpoint, 500, " \r\n"), (Other, None, WhenQuiet));
    assert_eq!(of_http(AdminCenter, 500, ""), (Other, None, Never));
}

#[test]
fn what_only_reads_is_asked_again_after_a_gateway_failed() {
    let read = Said {
        to_change: false,
        status: Some(504),
        ..said(AdminCenter, "")
    };
    assert_eq!(classify(&read), v(Connection, Safe));
}

/// Who says it, what is said, and what is known of it.
type Known = (
    &'static [Target],
    &'static str,
    (FailureCause, Option<&'static str>, Again),
);

/// What targets have been heard to say, around the words that the table knows.
#[rustfmt::skip]
const HEARD: &[Known] = &[
    (HTTP, "Microsoft Entra ID rejected the client credentials.", (Permission, None, Never)),
    (HTTP, r#"{"message":"Unauthorized"}"#, (Permission, None, Never)),
    (HTTP, r#"{"error":{"code":"Authentication_InvalidCredentials","message":"x"}}"#, (Permission, None, Never)),
    (HTTP, "Code: Authentication_InvalidCredentials", (Permission, None, Never)),
    (ALL, "You do not have sufficient permissions to manage extensions. Please contact your administrator.",
        (Permission, None, Never)),
    (ALL, "You do not have the required permissions to install the selected app.", (Permission, None, Never)),
    (SERVER, "Your program license does not allow you to publish the extension.", (Permission, None, Never)),
    (&[Exec], "The extension package C:\\a.app has not been code signed.", (Other, Some("Configuration"), Never)),
    (&[AdminCenter], "The extension 'A' is already published for tenant 't'.", (AlreadyPublished, None, WhenQuiet)),
    (SERVER, "The extension could not be published because it has the same Publisher, Name, and Version as a previously\r\n published extension.",
        (AlreadyPublished, None, WhenQuiet)),
    (SERVER, "An extension with the same App ID and Version is there.", (AlreadyPublished, None, WhenQuiet)),
    (&[Automation], "A different extension with the same App ID and version has already been uploaded.",
        (AlreadyPublished, None, Never)),
    (&[Automation], r#"{"error":{"code":"Internal_EntityWithSameKeyExists","message":"The API Extension Upload already exists. Identification fields: Primary Key='0'"}}"#,
        (Other, None, Safe)),
    (&[Automation], r#"{"error":{"code":"Application_DialogException","message":"Extension content is empty."}}"#,
        (Other, None, Safe)),
    (&[Automation], "The specified file is not an extension file.", (Other, None, WhenQuiet)),
    (&[Automation], "An administrator changed one or more extensions, so you must sign in again.",
        (Connection, None, WhenQuiet)),
    (&[Automation], "The session could not be retrieved.", (Connection, None, WhenQuiet)),
    (&[Automation], "Upload of per-tenant extensions is not supported for your system configuration.",
        (Other, Some("Configuration"), Never)),
    (&[Automation], "An unexpected http error has happened: 'InternalServerError'.", (Other, None, WhenQuiet)),
    (&[Automation], "An internal error validating the tenant occurred.", (Other, None, WhenQuiet)),
    (&[Automation], "The job for id '00000000-0000-0000-0000-000000000001' was not found.", (Other, None, WhenQuiet)),
    (&[AdminCenter], "The app requires the following apps to be installed or updated as dependencies: B.",
        (MissingDependency, None, Never)),
    (SERVER, "error AL1024: A package with publisher 'P' and name 'N' could not be loaded.", (MissingDependency, None, Never)),
    (SERVER, "Symbols for the requested app 'A by P (1.0.0.0)' could not be found in the server.",
        (MissingDependency, None, Never)),
    (SERVER, "Cannot install: no synchronized extension could be found to satisfy the dependency definition for 'B'.",
        (MissingDependency, None, Never)),
    (SERVER, "It cannot be changed due to a dependency between extensions.", (MissingDependency, None, Never)),
    (ALL, "Extension compilation failed\r\nA.al(1,2): error AL0132: 'Codeunit' does not contain a definition for 'X'",
        (Other, Some("Compile"), Never)),
    (ALL, "Extension compilation failed.", (Other, Some("Compile"), Never)),
    (ALL, "The table has an Unsupported table change: removed.", (SchemaBreak, None, Never)),
    (ALL, "Unsupported field change. Field 'A' :: …", (SchemaBreak, None, Never)),
    (ALL, "Unsupported Key Change", (SchemaBreak, None, Never)),
    (ALL, "Table A has changed the length of the data type from '50' to '500'.", (SchemaBreak, None, Never)),
    (ALL, "Table A has changed DataPerCompany.", (SchemaBreak, None, Never)),
    (ALL, "Table MyTable :: The field 'No.' cannot be located: removing it is not allowed.", (SchemaBreak, None, Never)),
    (ALL, "Could not upgrade the NAV extension 'A by P 1.0.0.1' due to the following error: 'Division by zero.'",
        (UpgradeCode, None, Never)),
    (&[Exec], "Datenaktualisierung. State: FailedPendingResume", (UpgradeCode, None, Never)),
    (&[Exec], "\"A Upgrade\"(CodeUnit 50100).OnUpgradePerCompany(Trigger) line 7", (UpgradeCode, None, Never)),
    (&[Exec], "OnCheckPreconditionsPerDatabase failed", (UpgradeCode, None, Never)),
    (&[Exec], "OnValidateUpgradePerCompany failed", (UpgradeCode, None, Never)),
    (&[Exec], "Run Start-NAVAppDataUpgrade to upgrade the extension.", (Other, None, Safe)),
    (&[Exec], "The tenant 'default' already uses a different version of the extension.", (Other, None, Safe)),
    (&[Exec], "It has a newer version than the current schema version. Run Sync-NavApp first.", (Other, None, Safe)),
    (&[Exec], "Not possible due to the state of the tenant: OperationalDataUpgradePending.", (Lock, None, Never)),
    (ALL, "To upgrade the extension, its version must be newer than the current version.", (Other, Some("Downgrade"), Never)),
    (ALL, "It cannot be installed because a newer version (2.0.0.0) is already installed.", (Other, Some("Downgrade"), Never)),
    (&[DevEndpoint], r#"{"Message":"\r\nThe extension is already deployed as a global application or a per tenant application.\r\n"}"#,
        (Other, Some("Scope"), Never)),
    (&[DevEndpoint], "It is already deployed on another tenant.", (Other, Some("Scope"), Never)),
    (SERVER, "No published extensions match the criteria.", (Other, None, Never)),
    (SERVER, "Multiple published extensions match the criteria.", (Other, None, Never)),
    (ALL, "The runtime version of the extension package is currently set to '14.0'. The runtime version of the extension package is 14.0: it must be set to '13.1' or earlier.",
        (RuntimeTooNew, None, Never)),
    (ALL, "error AL1041: it is newer than what is compatible with this server", (RuntimeTooNew, None, Never)),
    (ALL, "It has a higher compilation target than allowed.", (RuntimeTooNew, None, Never)),
    (ALL, "The operation failed to acquire a lock.", (Lock, None, WhenQuiet)),
    (ALL, "Lock request time out period exceeded.", (Lock, None, WhenQuiet)),
    (ALL, "Lock request time-out", (Lock, None, WhenQuiet)),
    (ALL, "Transaction was the victim of a deadlock.", (Lock, None, WhenQuiet)),
    (ALL, "The record is locked by another user.", (Lock, None, WhenQuiet)),
    (ALL, "An error occurred after a database command was cancelled.", (TimeOut, None, WhenQuiet)),
    (&[Exec], "The socket connection was aborted. … Local socket timeout was '00:10:00'.", (Connection, None, WhenQuiet)),
    (&[Exec], "The server instance is currently not ready to serve requests.", (Connection, None, Safe)),
    (&[Exec], "Cannot find the extension 'A' because it's not published.", (Other, None, Never)),
];

#[test]
fn each_text_that_was_heard_of_a_target_has_its_cause_and_says_whether_to_try_again() {
    for (targets, text, expected) in HEARD {
        for by in *targets {
            assert_eq!(of(*by, text), *expected, "{by:?}: {text}");
        }
    }
}

#[test]
fn no_row_of_the_table_stands_where_an_earlier_one_always_answers_and_each_is_heard() {
    for (targets, pattern, _) in TEXTS {
        let heard = HEARD.iter().any(|(by, text, expected)| {
            let answers = |row: &&(&[Target], &str, Verdict)| {
                row.0.contains(&by[0]) && occurs(row.1, &Embedded::of(text).words)
            };
            let first = TEXTS.iter().find(answers);
            first.is_some_and(|row| row.1 == *pattern && row.2.cause == expected.0 && row.0 == *targets)
        });
        assert!(heard, "no text is answered by {pattern:?}");
        assert_eq!(plain(pattern).trim(), *pattern, "as it is looked for");
    }
}

#[test]
fn what_one_target_says_means_nothing_of_another() {
    assert_eq!(
        of(Exec, "401 Unauthorized: the mail server of the customer"),
        (Other, None, Never)
    );
    assert_eq!(of_http(Exec, 403, "exit code 403"), (Other, None, Never));
}

#[test]
fn capitals_quotes_and_line_ends_make_no_difference() {
    for text in [
        "UNSUPPORTED TABLE CHANGE",
        "unsupported\r\n    table   change",
        "Unsupported “table” 'change'",
        r#"{"message":"Unsupported \u0027table\u0027 change"}"#,
    ] {
        assert_eq!(of(Exec, text).0, SchemaBreak, "{text}");
    }
}

#[test]
fn what_an_upgrade_failed_of_is_its_inner_text() {
    let upgrade = |inner: &str| {
        format!(
            "Could not upgrade the NAV extension 'A by P' due to the following error: '{inner}'. \
             \"A Upgrade\"(CodeUnit 50100).OnUpgradePerCompany"
        )
    };
    assert_eq!(
        of(Exec, &upgrade("The operation failed to acquire a lock")).0,
        Lock
    );
    assert_eq!(
        of(AdminCenter, &upgrade("Unsupported table change")).0,
        SchemaBreak
    );
    assert_eq!(of(Exec, &upgrade("The customer must have a name")).0, UpgradeCode);
}

#[test]
fn a_newer_version_of_another_app_is_about_what_depends_on_ours() {
    let about = |text| {
        classify(&Said {
            app: Some("Sales 'Plus'"),
            ..said(DevEndpoint, text)
        })
        .hint
    };
    assert_eq!(
        about("Reports cannot be installed because a newer version is already installed."),
        Some("Dependents")
    );
    assert_eq!(
        about("Sales 'Plus' cannot be installed because a newer version is already installed."),
        Some("Downgrade")
    );
}

#[test]
fn words_that_are_far_from_each_other_do_not_belong_together() {
    let near = format!("newer version {} is already installed", "x ".repeat(100));
    let far = format!("newer version {} is already installed", "x ".repeat(1000));
    assert_eq!(of(Exec, &near).1, Some("Downgrade"));
    assert_eq!(of(Exec, &far), (Other, None, Never));
}

#[test]
fn other_languages_without_a_code_are_other() {
    for text in [
        "De app kan niet worden gepubliceerd omdat deze al is geïnstalleerd.",
        "Udvidelsen kunne ikke opgraderes på grund af følgende fejl.",
        "Die Erweiterung wurde nicht digital signiert.",
    ] {
        assert_eq!(of(Exec, text), (Other, None, Never), "{text}");
    }
}

#[test]
fn what_was_said_is_kept_whole() {
    let failure = classify(&said(Exec, "deadlock")).failure("a deadlock, and more");
    assert_eq!(
        (failure.cause, failure.text.as_str()),
        (Lock, "a deadlock, and more")
    );
}

#[test]
fn a_text_of_braces_alone_takes_no_time_worth_mentioning() {
    for text in [
        "{".repeat(64 << 10),
        r#"{"a":["#.repeat(8 << 10),
        r#"{"a":1},"#.repeat(8 << 10),
    ] {
        assert_eq!(of(AdminCenter, &text), (Other, None, Never));
    }
}

proptest! {
    #[test]
    fn nothing_that_is_said_makes_it_panic(
        pieces in prop::collection::vec(prop_oneof![
            ".{0,20}",
            Just("Table ".to_owned()), Just("::".to_owned()), Just("error AL1".to_owned()), Just("{\"code\":".to_owned()),
            Just("\"}".to_owned()), Just("newer version İ".to_owned()), Just("ﬁ\u{202e}".to_owned()),
        ], 0..20),
        status in prop::option::of(0_u16..1000),
        by in prop::sample::select(ALL),
    ) {
        let text = pieces.concat();
        let _whatever = classify(&Said { status, ..said(by, &text) });
    }

    #[test]
    fn letters_of_no_english_are_other(text in "[Ѐ-ӿ぀-ヿ ]{0,200}", by in prop::sample::select(ALL)) {
        prop_assert_eq!(of(by, &text), (Other, None, Never));
    }
}
