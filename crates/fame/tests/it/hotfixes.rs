//! `fame hotfixes`

use crate::service::{APP, Answer, Asked, Service, TENANT};
use serde_json::{Value, json};

const ID: &str = "dddddddd-3333-4444-5555-eeeeeeeeeeee";

fn environment(name: &str, version: &str) -> Value {
    json!({"aadTenantId": TENANT, "applicationFamily": "Business Central", "name": name, "type": "Production",
           "appId": APP, "countryCode": "US", "version": version})
}

fn hotfix(status: &str) -> Value {
    json!({"id": ID, "environmentAadTenantId": TENANT, "environmentApplicationFamily": "BusinessCentral",
           "environmentName": "MyCustomer", "status": status, "targetAppVersion": "16.0.1.2"})
}

fn list(rows: Value) -> Answer {
    Answer::json(200, json!({ "value": rows }))
}

/// Runs `wait` against a service whose hotfix goes through `statuses`, the last for ever, in an environment that
/// has `installed`.
async fn wait(
    statuses: &'static [&'static str],
    installed: &'static str,
    more: &[&str],
) -> (crate::service::Ended, Service) {
    let service = Service::start(move |asked, before| {
        if asked.path.ends_with("/environments") {
            return list(json!([environment("Mycustomer", installed)]));
        }
        let status = statuses[before.min(statuses.len() - 1)];
        match status {
            "away" => Answer::refusal(503, "ServiceUnavailable", "Later.").with("retry-after", 86_400),
            "gone" => Answer::refusal(404, "ResourceDoesNotExist", "No such hotfix."),
            _ => {
                let mut row = hotfix(status);
                if status == "Failed" {
                    row["errorMessage"] = "Table 50100 cannot be changed.\nAsk the publisher.".into();
                }
                Answer::json(200, row)
            }
        }
    })
    .await;
    let args = [
        "hotfixes",
        "wait",
        APP,
        ID,
        "--country",
        "US",
        "--poll-interval",
        "1ms",
    ];
    let ended = service.fame(&[&args[..], more].concat()).await;
    (ended, service)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_success_is_one_when_the_environment_has_the_version() {
    let (ended, _) = wait(&["Scheduled", "Running", "Succeeded"], "16.0.1.2", &[]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    insta::assert_snapshot!(ended.err, @r"
    dddddddd-3333-4444-5555-eeeeeeeeeeee MyCustomer: Scheduled
    dddddddd-3333-4444-5555-eeeeeeeeeeee MyCustomer: Running
    dddddddd-3333-4444-5555-eeeeeeeeeeee MyCustomer: Succeeded
    ");
    insta::assert_snapshot!(ended.out, @r"
    ID                                    TENANT                                ENVIRONMENT  STATUS     TARGET    INSTALLED  MESSAGE
    dddddddd-3333-4444-5555-eeeeeeeeeeee  aaaabbbb-0000-cccc-1111-dddd2222eeee  MyCustomer   Succeeded  16.0.1.2  16.0.1.2
    ");
    let (newer, _) = wait(&["Succeeded"], "16.0.2.0", &["--json"]).await;
    assert_eq!(
        (newer.code, newer.json()[0]["status"].clone()),
        (0, json!("Succeeded"))
    );
    let (older, service) = wait(&["Succeeded"], "16.0.0.5", &[]).await;
    assert_eq!(older.code, 10);
    assert!(
        older.err.contains("has 16.0.0.5 and not 16.0.1.2"),
        "{}",
        older.err
    );
    assert_eq!(service.lines().len(), 1 + 6, "the inventory gets its time");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_end_has_its_exit_code() {
    for (status, code) in [("Failed", 10), ("Skipped", 11), ("Canceled", 12)] {
        let statuses: &'static [&'static str] = match status {
            "Failed" => &["Running", "Failed"],
            "Skipped" => &["Scheduled", "Skipped"],
            _ => &["canceled"],
        };
        let (ended, _) = wait(statuses, "16.0.0.5", &[]).await;
        assert_eq!(ended.code, code, "{status}: {ended:?}");
    }
    let (failed, _) = wait(&["Failed"], "16.0.0.5", &[]).await;
    assert!(
        failed.err.contains("cannot be changed.\nAsk the publisher."),
        "{}",
        failed.err
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_word_and_a_service_that_is_away_are_waited_through() {
    let (ended, _) = wait(&["Queued", "away", "Postponed", "Succeeded"], "16.0.1.2", &[]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.err.contains("'Queued' is not a known one"), "{}", ended.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_ends_in_time() {
    let (ended, _) = wait(&["Running"], "16.0.0.5", &["--timeout", "50ms"]).await;
    assert_eq!(ended.code, 13, "{ended:?}");
    assert!(
        ended.err.contains("Running when the time to wait was over"),
        "{}",
        ended.err
    );
    let (unknown, _) = wait(&["Queued"], "16.0.0.5", &["--timeout", "50ms"]).await;
    assert_eq!(unknown.code, 13, "an unknown word is no failure");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hotfix_that_is_not_there_is_not_waited_for() {
    let (ended, _) = wait(&["gone"], "16.0.0.5", &[]).await;
    assert_eq!(ended.code, 4);
}

/// A service with four environments: one has the version already, one may not have it.
async fn fleet() -> Service {
    Service::start(|asked, _| {
        if asked.method == "GET" {
            return list(json!([
                environment("North", "16.0.0.5"),
                environment("East", "16.0.1.2"),
                environment("South", "16.0.0.5"),
                environment("West", "16.0.0.1"),
            ]));
        }
        let body = asked.json();
        match body["environmentName"].as_str().unwrap() {
            "South" => Answer::refusal(
                400,
                "EntityValidationFailed",
                "The installed version is a preview.",
            ),
            name => {
                let mut row = hotfix("Scheduled");
                row["environmentName"] = name.into();
                Answer::json(200, row)
            }
        }
    })
    .await
}

fn posts(service: &Service) -> Vec<Asked> {
    let journal = service.journal();
    journal
        .into_iter()
        .filter(|asked| asked.method == "POST")
        .collect()
}

const SCHEDULE: &[&str] = &[
    "hotfixes",
    "schedule",
    APP,
    "--country",
    "US",
    "--target",
    "16.0.1.2",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_asks_for_each_environment_and_sums_up() {
    let service = fleet().await;
    let filter = "type eq 'Production'";
    let more = [
        "--filter",
        filter,
        "--run-after",
        "2026-11-30T18:00:00+01:00",
        "--ignore-window",
        "--idempotency-key",
        "run 7",
    ];
    let ended = service.fame(&[SCHEDULE, &more].concat()).await;
    assert_eq!(ended.code, 5);
    insta::assert_snapshot!(ended.out, @r"
    ID                                    TENANT                                ENVIRONMENT  STATUS     FROM  TO        RUN AFTER  MESSAGE
    dddddddd-3333-4444-5555-eeeeeeeeeeee  aaaabbbb-0000-cccc-1111-dddd2222eeee  North        Scheduled        16.0.1.2
    dddddddd-3333-4444-5555-eeeeeeeeeeee  aaaabbbb-0000-cccc-1111-dddd2222eeee  West         Scheduled        16.0.1.2
    ");
    assert!(
        ended
            .err
            .contains("South (aaaabbbb-0000-cccc-1111-dddd2222eeee, Business Central): 400"),
        "{}",
        ended.err
    );
    assert!(
        ended
            .err
            .contains("2 scheduled, 1 on 16.0.1.2 already, 1 not scheduled."),
        "{}",
        ended.err
    );
    assert_eq!(service.journal()[0].query, "$filter=type%20eq%20%27Production%27");
    let first = posts(&service);
    assert_eq!(first.len(), 3);
    let north = first
        .iter()
        .find(|asked| asked.json()["environmentName"] == "North")
        .unwrap();
    assert_eq!(
        north.json(),
        json!({"environmentAadTenantId": TENANT, "targetAppVersion": "16.0.1.2",
               "runAfter": "2026-11-30T17:00:00.0000000Z", "ignoreUpgradeWindow": true,
               "environmentApplicationFamily": "Business Central", "environmentName": "North"})
    );
    service.fame(&[SCHEDULE, &more].concat()).await;
    let keys = |asked: &[Asked]| {
        let mut keys: Vec<String> = asked
            .iter()
            .map(|one| one.header("idempotency-key").to_owned())
            .collect();
        keys.sort();
        keys.dedup();
        keys
    };
    let all = posts(&service);
    assert_eq!(keys(&first).len(), 3, "each environment has a key of its own");
    assert_eq!(keys(&first), keys(&all[3..]), "the same run has the same keys");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_to_nobody_is_no_success() {
    let service = Service::start(|_, _| list(json!([]))).await;
    let ended = service.fame(&[SCHEDULE, &["--all"]].concat()).await;
    assert_eq!(ended.code, 4, "{ended:?}");
    let done = Service::start(|_, _| list(json!([environment("North", "16.0.1.2")]))).await;
    let ended = done.fame(&[SCHEDULE, &["--all"]].concat()).await;
    assert_eq!(ended.code, 0, "everything is on the version already: {ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_schedule_one_is_not_asked_to_try_all() {
    let service = Service::start(|asked, _| match asked.method.as_str() {
        "GET" => list(
            (0..40)
                .map(|number| environment(&format!("E{number}"), "16.0.0.5"))
                .collect(),
        ),
        _ => Answer::refusal(403, "Forbidden", "The role Contributor is missing."),
    })
    .await;
    let ended = service
        .fame(&[SCHEDULE, &["--all", "--concurrency", "2"]].concat())
        .await;
    assert_eq!(ended.code, 3);
    assert!(posts(&service).len() <= 4, "{}", posts(&service).len());
    assert!(ended.err.contains("39 not tried"), "{}", ended.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_environment_is_found_by_name_or_named_in_full() {
    let twins = Service::start(|asked, _| match asked.method.as_str() {
        "GET" => {
            let mut other = environment("O'Hara", "16.0.0.5");
            other["aadTenantId"] = "11111111-0000-cccc-1111-dddd2222eeee".into();
            list(json!([environment("O'Hara", "16.0.0.5"), other]))
        }
        _ => Answer::json(200, hotfix("Scheduled")),
    })
    .await;
    let by_name = [SCHEDULE, &["--environment", "o'hara"]].concat();
    let ended = twins.fame(&by_name).await;
    assert_eq!(ended.code, 5);
    assert!(ended.err.contains("--aad-tenant-id"), "{}", ended.err);
    assert_eq!(twins.journal()[0].query, "$filter=name%20eq%20%27o%27%27hara%27");
    assert_eq!(
        twins
            .fame(&[&by_name[..], &["--aad-tenant-id", TENANT]].concat())
            .await
            .code,
        0
    );
    let before = twins.lines().len();
    let in_full = [
        &by_name[..],
        &["--aad-tenant-id", TENANT, "--family", "Business Central"],
    ]
    .concat();
    assert_eq!(twins.fame(&in_full).await.code, 0);
    assert!(
        twins.lines()[before].starts_with("POST "),
        "nothing was looked up before"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_explains_and_changes_nothing() {
    let service = Service::start(|asked, _| {
        if asked.path.ends_with("/getMyPermissions") {
            return list(json!([{"action": "environmentHotfixes/write"}]));
        }
        let mut no = environment("South", "16.0.0.5");
        no["installedVersion"] = "16.0.0.5".into();
        no["eligible"] = false.into();
        no["reasons"] =
            json!([{"code": "SourceIsPreview", "message": "The installed version is a preview."}]);
        let mut yes = environment("North", "16.0.0.5");
        yes["eligible"] = true.into();
        yes["startsAt"] = "2026-11-30T19:00:00.0000000Z".into();
        let mut there = environment("East", "16.0.1.2");
        there["installedVersion"] = "16.0.1.2".into();
        there["eligible"] = false.into();
        list(json!([no, yes, there]))
    })
    .await;
    let ended = service.fame(&[SCHEDULE, &["--all", "--dry-run"]].concat()).await;
    assert_eq!(ended.code, 5, "as the run itself: {ended:?}");
    insta::assert_snapshot!(ended.out, @r"
    TENANT                                FAMILY            ENVIRONMENT  TYPE        INSTALLED  ELIGIBLE  STARTS AT             REASONS
    aaaabbbb-0000-cccc-1111-dddd2222eeee  Business Central  South        Production  16.0.0.5   false                           SourceIsPreview
    aaaabbbb-0000-cccc-1111-dddd2222eeee  Business Central  North        Production             true      2026-11-30T19:00:00Z
    aaaabbbb-0000-cccc-1111-dddd2222eeee  Business Central  East         Production  16.0.1.2   false
    ");
    insta::assert_snapshot!(ended.err, @r"
    SourceIsPreview, South: The installed version is a preview.
    1 would be scheduled, 1 on 16.0.1.2 already, 1 not scheduled; nothing was changed.
    ");
    let eligible = service
        .fame(&[SCHEDULE, &["--all", "--dry-run", "--eligible-only"]].concat())
        .await;
    assert_eq!(eligible.code, 0, "{eligible:?}");
    assert!(!eligible.out.contains("South"), "{eligible:?}");
    assert_eq!(
        service.lines()[0],
        format!("GET /v1.4/apps/{APP}/countries/US/environmentHotfixes/plan")
    );
    assert_eq!(service.journal()[0].query, "targetAppVersion=16%2E0%2E1%2E2");
    let plan = [
        "hotfixes",
        "plan",
        APP,
        "-c",
        "US",
        "--target",
        "16.0.1.2",
        "--filter",
        "name eq 'North'",
    ];
    let start = ["--run-after", "2026-11-30T18:00:00Z", "--ignore-window"];
    assert_eq!(service.fame(&[&plan[..], &start].concat()).await.code, 0);
    let asked = service.journal().last().unwrap().query.clone();
    assert!(asked.contains("&$filter=name%20eq"), "{asked}");
    let start = "&runAfter=2026%2D11%2D30T18%3A00%3A00%2E0000000Z&ignoreUpgradeWindow=true";
    assert!(asked.contains(start), "{asked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_of_a_reader_ends_as_the_run_would() {
    let service = Service::start(|asked, _| {
        if asked.path.ends_with("/getMyPermissions") {
            return list(json!([{"action": "environmentHotfixes/read"}]));
        }
        if asked.method == "POST" {
            return Answer::refusal(403, "Forbidden", "You may read.");
        }
        let mut yes = environment("North", "16.0.0.5");
        yes["eligible"] = true.into();
        list(json!([yes]))
    })
    .await;
    let explained = service.fame(&[SCHEDULE, &["--all", "--dry-run"]].concat()).await;
    assert_eq!(explained.code, 3, "{explained:?}");
    assert!(
        explained.err.contains("does not allow environmentHotfixes/write"),
        "{}",
        explained.err
    );
    assert_eq!(service.fame(&[SCHEDULE, &["--all"]].concat()).await.code, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_planned_and_scheduled_is_told_to_pipelines_too() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("fame.xml");
    let junit = ["--junit", file.to_str().unwrap()];
    let service = fleet().await;
    let ended = service.fame(&[SCHEDULE, &["--all"], &junit].concat()).await;
    assert_eq!(ended.code, 5, "{ended:?}");
    let scheduled = std::fs::read_to_string(&file).unwrap();
    let read = roxmltree::Document::parse(&scheduled).unwrap();
    let cases = read.descendants().filter(|node| node.has_tag_name("testcase"));
    let cases: Vec<(&str, bool)> = cases
        .map(|case| (case.attribute("name").unwrap(), case.has_children()))
        .collect();
    assert_eq!(
        cases,
        [
            ("North hotfix", false),
            ("West hotfix", false),
            ("South hotfix", true)
        ]
    );
    let explained = Service::start(|_, _| {
        let mut no = environment("South", "16.0.0.5");
        no["eligible"] = false.into();
        no["reasons"] = json!([{"code": "SourceIsPreview", "message": "It is a preview."}]);
        list(json!([no]))
    })
    .await;
    let plan = ["hotfixes", "plan", APP, "-c", "US", "--target", "16.0.1.2"];
    assert_eq!(explained.fame(&[&plan[..], &junit].concat()).await.code, 0);
    let planned = std::fs::read_to_string(&file).unwrap();
    assert!(
        planned.contains("<skipped message=\"SourceIsPreview: It is a preview.\"/>"),
        "{planned}"
    );
}

/// What a forecast alone stands against is scheduled by whoever says so, and nothing else is.
#[tokio::test(flavor = "multi_thread")]
async fn a_forecast_does_not_count_where_that_is_said() {
    let service = Service::start(|asked, _| {
        let reasons = |name: &str| {
            let forecast = json!({"code": "SchemaBreak", "message": "A field is removed."});
            let line = json!({"code": "LineDiffers", "message": "It is on another line."});
            if name == "North" {
                json!([forecast])
            } else {
                json!([forecast, line])
            }
        };
        let row = |name: &str| {
            let mut row = environment(name, "16.0.0.5");
            row["eligible"] = false.into();
            row["reasons"] = reasons(name);
            row
        };
        let is_plan = asked.path.ends_with("/plan");
        match asked.method == "POST" {
            true => Answer::json(200, hotfix("Scheduled")),
            false if is_plan => list(json!([row("North"), row("South")])),
            false if asked.path.ends_with("/environments") => list(json!([
                environment("North", "16.0.0.5"),
                environment("South", "16.0.0.5")
            ])),
            false => Answer::json(200, hotfix("Scheduled")),
        }
    })
    .await;
    let run = [SCHEDULE, &["--all", "--eligible-only"]].concat();
    assert_eq!(service.fame(&run).await.code, 4);
    assert!(posts(&service).is_empty());
    let ended = service.fame(&[&run[..], &["--despite-forecast"]].concat()).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let sent = posts(&service);
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].json()["environmentName"], "North");
    assert_eq!(sent[0].json()["despiteForecast"], true);
    let dry = service
        .fame(&[SCHEDULE, &["--all", "--dry-run", "--despite-forecast"]].concat())
        .await;
    assert_eq!(dry.code, 5, "{dry:?}");
    assert!(
        !dry.out.contains("SchemaBreak") && dry.out.contains("LineDiffers"),
        "{dry:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn hotfixes_are_canceled_one_by_one() {
    let service = Service::start(|asked, _| {
        if asked.path.ends_with(ID) {
            Answer::json(200, hotfix("Canceled"))
        } else {
            Answer::refusal(400, "EntityValidationFailed", "It is running.")
        }
    })
    .await;
    let other = "eeeeeeee-3333-4444-5555-eeeeeeeeeeee";
    let ended = service
        .fame(&["hotfixes", "cancel", APP, other, ID, "--country", "US"])
        .await;
    assert_eq!(ended.code, 5);
    assert!(ended.out.contains("Canceled"), "{}", ended.out);
    assert_eq!(service.journal()[1].json(), json!({"status": "Canceled"}));
}

/// A country's fleet that remembers its hotfixes, with what `world` adds.
struct Fleet {
    installed: Vec<(&'static str, &'static str)>,
    /// Environment, status, id.
    hotfixes: Vec<(&'static str, &'static str, u32)>,
}

fn id_of(number: u32) -> String {
    format!("{number:08}-3333-4444-5555-eeeeeeeeeeee")
}

impl Fleet {
    /// A service of which two environments have a hotfix that came from a request with a key, and one has no hotfix.
    async fn start(self) -> Service {
        Service::start(move |asked, _| self.answer(asked)).await
    }

    fn answer(&self, asked: &Asked) -> Answer {
        let all = self.hotfixes.iter().map(|(name, status, number)| {
            let mut row = hotfix(status);
            row["environmentName"] = (*name).into();
            row["id"] = id_of(*number).into();
            row["createdOn"] = format!("2026-11-30T19:00:{number:02}Z").into();
            if *status == "Scheduled" {
                row["waitingFor"] = "Agent".into();
                row["postponedOn"] = "2026-11-30T19:00:00.0000000Z".into();
                row["postponeReason"] = "Month end".into();
            }
            row
        });
        if asked.path.ends_with("/environments") {
            let below_target = asked.query.contains("version%20lt");
            let shown = self
                .installed
                .iter()
                .filter(|(_, version)| !below_target || *version != "16.0.1.2");
            return list(shown.map(|(name, version)| environment(name, version)).collect());
        }
        if asked.path.ends_with("/environmentHotfixes") && asked.method == "GET" {
            return list(
                all.filter(|row| !asked.query.contains("Succeeded") || row["status"] == "Succeeded")
                    .collect(),
            );
        }
        if asked.method == "POST" {
            let name = asked.json()["environmentName"].clone();
            let made = all.into_iter().find(|row| row["environmentName"] == name);
            return made.map_or_else(
                || Answer::refusal(400, "EntityValidationFailed", "The version is not newer."),
                |row| Answer::json(200, row),
            );
        }
        let found = all
            .into_iter()
            .find(|row| asked.path.ends_with(row["id"].as_str().unwrap()));
        found.map_or_else(|| list(json!([])), |row| Answer::json(200, row))
    }
}

/// The first run scheduled hotfixes for North, West and South; East was on the target before.
fn after_a_run() -> Fleet {
    Fleet {
        installed: vec![
            ("North", "16.0.1.2"),
            ("East", "16.0.1.2"),
            ("South", "16.0.0.5"),
            ("West", "16.0.0.1"),
        ],
        hotfixes: vec![
            ("North", "Succeeded", 1),
            ("South", "Canceled", 2),
            ("West", "Scheduled", 3),
        ],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rerun_answers_the_hotfixes_of_the_first_run_whatever_became_of_them() {
    for selection in [&["--all"][..], &["--filter", "version lt '16.0.1.2'"]] {
        let service = after_a_run().start().await;
        let ended = service
            .fame(&[SCHEDULE, selection, &["--idempotency-key", "run 7"]].concat())
            .await;
        assert_eq!(ended.code, 0, "{selection:?}: {ended:?}");
        for name in ["North", "South", "West"] {
            assert!(ended.out.contains(name), "{selection:?}: {ended:?}");
        }
        let counted = "3 hotfixes (1 Scheduled, 1 Succeeded, 1 Canceled)";
        assert!(ended.err.contains(counted), "{selection:?}: {ended:?}");
        assert!(
            !posts(&service)
                .iter()
                .any(|post| post.json()["environmentName"] == "East")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_schedules_is_told_when_it_starts_and_where_nobody_is_there_to_do_it() {
    let service = after_a_run().start().await;
    let ended = service.fame(&[SCHEDULE, &["-e", "West"]].concat()).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    for said in [
        "WAITING FOR",
        "Agent",
        "POSTPONED FOR",
        "Month end",
        "2026-11-30T19:00:00Z",
    ] {
        assert!(ended.out.contains(said), "{said}: {ended:?}");
    }
    assert!(ended.err.contains("Nobody carries out 1 of them"), "{ended:?}");
    let waited = service
        .fame(&["hotfixes", "wait", APP, &id_of(3), "-c", "US", "--timeout", "0s"])
        .await;
    assert_eq!(waited.code, 13, "{waited:?}");
    assert!(waited.err.contains("Nobody carries out 1 of them"), "{waited:?}");
    for said in ["waiting for an agent", "postponed by its customer: Month end"] {
        assert!(waited.err.contains(said), "{waited:?}");
    }
    for command in ["list", "get"] {
        let id = id_of(3);
        let args = ["hotfixes", command, APP, "-c", "US", &id];
        let shown = service.fame(&args[..if command == "get" { 6 } else { 5 }]).await;
        assert!(
            shown.out.contains("Month end") && shown.out.contains("Agent"),
            "{shown:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_tells_no_more_is_asked_for_no_more() {
    let service = Service::start(|asked, _| match asked.query.contains("select") {
        true => Answer::refusal(400, "BadRequest", "There is no property `expectedStart`."),
        false if asked.path.ends_with(ID) => Answer::json(200, hotfix("Failed")),
        false => list(json!([hotfix("Failed")])),
    })
    .await;
    for args in [
        &["hotfixes", "list", APP, "-c", "US"][..],
        &["hotfixes", "get", APP, ID, "-c", "US"],
    ] {
        let ended = service.fame(args).await;
        assert_eq!(ended.code, 0, "{ended:?}");
        assert!(ended.out.contains("Failed"), "{ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_look_is_taken_however_short_the_time() {
    let (ended, _) = wait(&["Succeeded"], "16.0.1.2", &["--timeout", "0s"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let (ended, service) = wait(&["Running", "Succeeded"], "16.0.1.2", &["--timeout", "0s"]).await;
    assert_eq!(ended.code, 13, "{ended:?}");
    assert_eq!(service.lines().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_match_are_waited_for_and_counted() {
    let fleet = Fleet {
        installed: vec![("North", "16.0.1.2"), ("South", "16.0.0.5"), ("West", "16.0.0.5")],
        hotfixes: vec![
            ("North", "Failed", 1),
            ("North", "Succeeded", 4),
            ("South", "Canceled", 2),
            ("West", "Canceled", 3),
        ],
    };
    let service = fleet.start().await;
    let wait = ["hotfixes", "wait", APP, "-c", "US", "--poll-interval", "1ms"];
    let ended = service
        .fame(&[&wait[..], &["--target", "16.0.1.2"]].concat())
        .await;
    assert_eq!(ended.code, 12, "the newest of each environment counts: {ended:?}");
    insta::assert_snapshot!(ended.err, @"3 of 3 have ended: 2 Canceled, 1 Succeeded.");
    let asked = service.journal()[0].query.clone();
    assert!(
        asked.contains("targetAppVersion%20eq%20%2716%2E0%2E1%2E2%27"),
        "{asked}"
    );
    let nobody = Service::start(|_, _| list(json!([]))).await;
    let ended = nobody
        .fame(&[&wait[..], &["--filter", "status eq 'Running'"]].concat())
        .await;
    assert_eq!(ended.code, 4, "{ended:?}");
    assert_eq!(nobody.fame(&wait).await.code, 2, "something has to be meant");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_match_are_canceled() {
    let service = Fleet {
        installed: Vec::new(),
        hotfixes: vec![("North", "Scheduled", 1), ("South", "Scheduled", 2)],
    }
    .start()
    .await;
    let ended = service
        .fame(&["hotfixes", "cancel", APP, "-c", "US", "--target", "16.0.1.2"])
        .await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.err.contains("2 canceled, 0 not."), "{ended:?}");
    let journal = service.journal();
    assert!(
        journal[0].query.contains("status%20eq%20%27Scheduled%27"),
        "{}",
        journal[0].query
    );
    assert_eq!(journal.iter().filter(|asked| asked.method == "PATCH").count(), 2);
}

/// A service in which only some of many environments may have the hotfix.
async fn mixed(no: &'static str) -> Service {
    Service::start(move |asked, _| {
        let names = (0..8).map(|number| format!("E{number}"));
        if asked.path.ends_with("/environments") {
            return list(names.map(|name| environment(&name, "16.0.0.5")).collect());
        }
        if asked.path.ends_with("/plan") {
            let row = |name: String| {
                let mut row = environment(&name, "16.0.0.5");
                row["eligible"] = (name.as_str() < "E3").into();
                row["reasons"] = match name.as_str() < "E3" {
                    true => json!([]),
                    false => {
                        json!([{"code": "LineDiffers", "message": format!("{name} is on another line.")}])
                    }
                };
                row
            };
            return list(names.map(row).collect());
        }
        if asked.path.contains("/versions/") && no == "version" {
            return Answer::refusal(404, "ResourceDoesNotExist", "There is no such version.");
        }
        if asked.method == "POST" && asked.json()["environmentName"].as_str() >= Some("E3") {
            let body = json!({"code": "EntityValidationFailed", "message": "It is on another line.",
                              "details": [{"code": "LineDiffers", "message": "It is on another line."}]});
            return Answer::json(400, json!({ "error": body }));
        }
        Answer::json(200, hotfix("Scheduled"))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_said_once_for_each_reason() {
    let service = mixed("").await;
    let ended = service.fame(&[SCHEDULE, &["--all"]].concat()).await;
    assert_eq!(ended.code, 5, "{ended:?}");
    assert_eq!(ended.err.matches("error: ").count(), 1, "{ended:?}");
    assert!(ended.err.contains("5 environments, such as E3"), "{ended:?}");
    assert!(ended.err.contains("3 scheduled, 5 not scheduled."), "{ended:?}");
    let as_json = service
        .fame(&[SCHEDULE, &["--all", "--json", "--quiet"]].concat())
        .await;
    let errors: Vec<Value> = as_json
        .err
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(errors.len(), 5);
    assert!(
        errors[0]["error"]["about"].as_str().unwrap().starts_with("E3 "),
        "{as_json:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_eligible_are_scheduled_if_that_is_wanted() {
    let service = mixed("").await;
    let ended = service
        .fame(&[SCHEDULE, &["--all", "--eligible-only"]].concat())
        .await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(posts(&service).len(), 3);
    assert!(
        ended.err.contains("LineDiffers (5 times), such as E3"),
        "{ended:?}"
    );
    assert!(ended.err.contains("3 scheduled, 5 not eligible."), "{ended:?}");
    let plan = [
        "hotfixes",
        "plan",
        APP,
        "-c",
        "US,DK",
        "--target",
        "16.0.1.2",
        "--eligible-only",
    ];
    let plan = service.fame(&plan).await;
    assert_eq!(
        (plan.out.matches("US").count(), plan.out.matches("DK").count()),
        (3, 3),
        "{plan:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_not_there_is_refused_once() {
    let service = mixed("version").await;
    let ended = service.fame(&[SCHEDULE, &["--all"]].concat()).await;
    assert_eq!(ended.code, 4, "{ended:?}");
    assert!(posts(&service).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_way_is_told_with_what_lies_ahead_of_it() {
    let service = Service::start(|asked, _| {
        if asked.method == "POST" {
            let message = "An operation has already been scheduled.";
            let error = json!({"code": "EntityValidationFailed", "message": message,
                               "details": [{"code": "AlreadyScheduled", "message": message}]});
            return Answer::json(400, json!({"error": error, "extensionData": {"operationId": ID}}));
        }
        if asked.path.ends_with(ID) {
            let mut row = hotfix("Scheduled");
            row["expectedStart"] = "2026-11-30T19:00:00.0000000Z".into();
            row["waitingFor"] = "Window".into();
            return Answer::json(200, row);
        }
        list(json!([environment("North", "16.0.0.5")]))
    })
    .await;
    let ended = service.fame(&[SCHEDULE, &["--all"]].concat()).await;
    assert_eq!(ended.code, 5, "{ended:?}");
    let ahead = "to 16.0.1.2 is Scheduled, starts 2026-11-30T19:00:00Z, waiting for the update window";
    assert!(ended.err.contains(ahead), "{ended:?}");
}
