//! What a command is told, and what it tells.

use super::*;
use domain::operation::FailureCause;
use std::collections::BTreeSet;

const FACTS: &[(&str, &str)] = &[
    ("FAME_PROTOCOL", "1"),
    ("FAME_ACTION", "deploy"),
    ("FAME_OPERATION_ID", "00000000-0000-0000-0000-000000000009"),
    ("FAME_OPERATION_KIND", "Hotfix"),
    ("FAME_AAD_TENANT_ID", "00000000-0000-0000-0000-00000000007e"),
    ("FAME_APPLICATION_FAMILY", "BusinessCentral"),
    ("FAME_ENVIRONMENT_NAME", "Production"),
    ("FAME_ENVIRONMENT_TYPE", "Production"),
    ("FAME_COUNTRY_CODE", "DK"),
    ("FAME_APP_ID", "00000000-0000-0000-0000-0000000000a1"),
    ("FAME_APP_NAME", "Sales"),
    ("FAME_APP_PUBLISHER", "Publisher"),
    ("FAME_SOURCE_VERSION", "1.0.0.0"),
    ("FAME_TARGET_VERSION", "1.0.0.1"),
    ("FAME_SYNC_MODE", "Sync"),
    (
        "FAME_PACKAGE_SHA256",
        "abababababababababababababababababababababababababababababababab",
    ),
    ("FAME_PACKAGE_SIZE", "11"),
];

#[tokio::test]
async fn facts_arrive_as_variables_and_as_a_file() {
    let place = Place::new();
    let script = r#"env >env.txt; cat "$FAME_PACKAGE" >bytes; cp "$FAME_FACTS" facts-copy.json; echo done"#;
    assert_eq!(place.deploy(script).await, Deployed::Done);

    let variables = place.read("env.txt");
    for (name, value) in FACTS {
        assert!(
            variables.lines().any(|line| line == format!("{name}={value}")),
            "{name}: {variables}"
        );
    }
    assert_eq!(place.read("bytes"), "the package");
    let facts: Value = serde_json::from_str(&place.read("facts-copy.json")).unwrap();
    assert_eq!(facts["targetVersion"], "1.0.0.1");
    assert_eq!(facts["packageSize"], 11);
    assert_eq!(facts["package"], place.path("package.app").display().to_string());
    let members = facts.as_object().unwrap().len();
    let told = variables.lines().filter(|line| line.starts_with("FAME_")).count();
    assert_eq!(
        told,
        members + 2,
        "the same facts, the file itself and the protocol"
    );
    assert_eq!(place.steps(), ["Run", "Started", "Ended"]);
}

#[tokio::test]
async fn a_command_gets_no_variable_that_nobody_meant_it_to_have() {
    let place = Place::new();
    let mut settings = place.settings("env >env.txt", "");
    // Cargo gives a test its package's name.
    settings["pass"] = json!(["CARGO_PKG_NAME", "NOBODY_SETS_THIS"]);
    settings["environment"] = json!({"SERVER": "BC260; rm -rf $HOME"});
    let deployed = exec(settings).deploy(&work(), &Found::default(), &place).await;
    assert_eq!(deployed, Deployed::Done);

    let env = place.read("env.txt");
    let names: BTreeSet<&str> = env.lines().filter_map(|line| line.split('=').next()).collect();
    let meant = [
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "TMPDIR",
        "TEMP",
        "TMP",
        "TZ",
        "LANG",
        "LANGUAGE",
        "LC_ALL",
        "LC_CTYPE",
        "LC_MESSAGES",
        "CARGO_PKG_NAME",
        "SERVER",
        "PWD",
        "OLDPWD",
        "SHLVL",
        "_",
    ];
    for name in names {
        assert!(name.starts_with("FAME_") || meant.contains(&name), "{name} leaks");
    }
    assert!(
        std::env::var_os("CARGO_PKG_VERSION").is_some(),
        "there is something that could leak"
    );
    assert!(env.contains("SERVER=BC260; rm -rf $HOME\n"));
    assert!(env.contains("CARGO_PKG_NAME=agent\n"));
}

#[tokio::test]
async fn hostile_names_arrive_as_names() {
    let place = Place::new();
    for name in [
        "$(touch broken)",
        "`touch broken`",
        "'; touch broken; '",
        "'; Remove-Item -Recurse C:\\ #",
        "\"; touch broken; \"",
        "a\ntouch broken",
        "..\\..\\Windows",
        "../../etc/passwd",
        "-Force",
        "--help",
        "%PATH%",
        "$PATH ${HOME}",
        "a & touch broken | touch broken",
        "exe\u{202E}gpj.ppa",
        "*?[a-z]~",
        "",
    ] {
        let mut work = work();
        work.environment_name = name.into();
        work.app_name = Some(name.into());
        work.app_publisher = Some(name.into());
        work.application_family = name.into();
        let script = r#"printf %s "$FAME_ENVIRONMENT_NAME" >name; printf %s "$FAME_APP_NAME" >app; cp "$FAME_FACTS" f"#;
        let deployed = place.exec(script).deploy(&work, &Found::default(), &place).await;
        assert_eq!(deployed, Deployed::Done, "{name:?}");
        assert_eq!(place.read("name"), name);
        assert_eq!(place.read("app"), name);
        let facts: Value = serde_json::from_str(&place.read("f")).unwrap();
        assert_eq!(facts["appPublisher"], name);

        let settings = place.settings(
            "",
            r#"printf %s "$FAME_ENVIRONMENT_NAME" >name; echo '{"apps":[]}'"#,
        );
        named_exec(settings, name).inventory().await.unwrap();
        assert_eq!(place.read("name"), name);
    }
    let mut files: Vec<_> = fs::read_dir(place.folder.path())
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let ours = [
        "app",
        "deploy.sh",
        "f",
        "facts.json",
        "inventory.sh",
        "name",
        "package.app",
    ];
    assert_eq!(files, ours, "and nothing else was made");
}

#[tokio::test]
async fn a_name_that_no_variable_can_hold_is_refused_and_nothing_starts() {
    let place = Place::new();
    let mut work = work();
    work.app_name = Some("a\0b".into());
    let failure = failed(
        place
            .exec("touch ran")
            .deploy(&work, &Found::default(), &place)
            .await,
    );
    assert!(failure.text.contains("could not be started"), "{failure}");
    assert!(!place.path("ran").exists());
}

#[tokio::test]
async fn what_it_prints_is_progress() {
    let place = Place::new();
    let script = "echo before; echo 'FAME:progress 10 Publish The package is published'; echo; echo some words; \
                  echo 'FAME:progress - Sync'; echo 'FAME:failure Lock It is held'; echo other words";
    assert_eq!(place.deploy(script).await, Deployed::Done);
    let told = |percent, step: &str, text: &str| (percent, step.to_owned(), text.to_owned());
    assert_eq!(
        place.told(),
        [
            told(None, "", "before"),
            told(Some(10), "Publish", "The package is published"),
            told(Some(10), "Publish", "some words"),
            told(None, "Sync", ""),
            told(None, "Sync", "other words"),
        ]
    );

    let place = Place::new();
    assert_eq!(
        place.deploy("echo 'FAME:progress 7 Publish x' >&2").await,
        Deployed::Done
    );
    assert_eq!(
        place.told(),
        [told(Some(7), "Publish", "x")],
        "both outputs are heard"
    );
}

#[tokio::test]
async fn exit_codes_say_how_it_went() {
    let place = Place::new();
    let skipped = place.deploy("echo first; echo Already there; exit 3").await;
    assert_eq!(skipped, Deployed::Skipped("Already there".into()));

    let failure = failed(place.deploy("echo Unsupported field change >&2; exit 1").await);
    assert_eq!(failure.cause, FailureCause::SchemaBreak);
    assert_eq!(
        failure.text,
        "The command ended with exit code 1.\nUnsupported field change"
    );

    let failure = failed(place.deploy("exit 75").await);
    assert_eq!(failure.cause, FailureCause::Other);
    assert_eq!(failure.text, "The command ended with exit code 75.");
}

#[tokio::test]
async fn a_command_may_name_the_cause_itself() {
    let place = Place::new();
    let script = "echo deadlock; echo 'FAME:failure MissingDependency Base 2.0 is needed'; exit 1";
    let failure = failed(place.deploy(script).await);
    assert_eq!(failure.cause, FailureCause::MissingDependency);
    assert!(
        failure.text.ends_with("deadlock\nBase 2.0 is needed"),
        "{failure}"
    );
}

#[tokio::test]
async fn installs_and_uninstalls_are_asked_of_commands_that_are_said_to_know_them() {
    let place = Place::new();
    let careful = place.exec("true");
    for kind in [OperationKind::Install, OperationKind::Uninstall] {
        assert!(!careful.can(kind), "{kind}");
    }
    assert!(careful.can(OperationKind::Hotfix) && careful.can(OperationKind::Update));
    let knowing = |kinds: Value| {
        let settings = json!({"deploy": ["deploy"], "inventory": ["inventory"], "kinds": kinds});
        serde_json::from_value::<Settings>(settings)
    };
    let settings = knowing(json!(["Hotfix", "Uninstall"])).unwrap();
    assert_eq!(settings.kinds, [OperationKind::Hotfix, OperationKind::Uninstall]);
    assert!(knowing(json!(["All"])).is_err());
}

#[tokio::test]
async fn an_uninstall_is_told_by_its_facts_and_gets_no_package() {
    let place = Place::new();
    let uninstall = Work {
        kind: OperationKind::Uninstall,
        target: None,
        delete_data: true,
        ..work()
    };
    let script = r#"echo "$FAME_OPERATION_KIND $FAME_SOURCE_VERSION [$FAME_TARGET_VERSION] $FAME_DELETE_DATA ${FAME_PACKAGE-none}" > told"#;
    let deployed = place
        .exec(script)
        .deploy(&uninstall, &Found::default(), &place)
        .await;
    assert_eq!(deployed, Deployed::Done);
    let told = std::fs::read_to_string(place.path("told")).unwrap();
    assert_eq!(told.trim(), "Uninstall 1.0.0.0 [] true none");
}

#[tokio::test]
async fn nothing_starts_that_cannot_be_written_down_before() {
    let mut place = Place::new();
    place.journal_is_full = true;
    let failure = failed(place.deploy("touch ran").await);
    assert_eq!(failure.text, "No space left on device");
    assert!(!place.path("ran").exists());
}

#[test]
fn wrong_settings_are_refused_with_the_fact() {
    let read = |text: &str| toml::from_str::<Settings>(text).map_err(|error| error.to_string());
    let good = "deploy = ['pwsh', '-File', 'x y.ps1']\ninventory = ['/usr/bin/i']\n";
    let settings = read(good).unwrap();
    assert_eq!(settings.deploy.program(), "pwsh");
    assert_eq!(settings.deploy.arguments(), ["-File", "x y.ps1"]);
    assert_eq!(settings.time_limit, Duration::from_secs(7200));
    assert!(!settings.reenterable);

    for (line, fact) in [
        ("time_limit = '5'", "'5' is not a span of time"),
        ("pass = ['FAME_TOKEN']", "'FAME_TOKEN'"),
        ("pass = ['']", "is not the name of a variable"),
        (
            "environment = { 'A=B' = 'x' }",
            "\"A=B\" is not the name of a variable",
        ),
        ("environment = { fame_app_id = 'x' }", "'fame_app_id'"),
        ("shell = true", "shell"),
    ] {
        let wrong = read(&format!("{good}{line}")).unwrap_err();
        assert!(wrong.contains(fact), "{line}: {wrong}");
    }
    for (deploy, fact) in [
        ("[]", "a command is a list"),
        ("['']", "a command is a list"),
        ("['./run.sh']", "'./run.sh' depends on the folder"),
        ("'run.sh'", "sequence"),
    ] {
        let wrong = read(&format!("deploy = {deploy}\ninventory = ['i']")).unwrap_err();
        assert!(wrong.contains(fact), "{deploy}: {wrong}");
    }
}
