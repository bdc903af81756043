//! What pipelines are told: JUnit files, summaries, annotations; and that nothing that others wrote is an order to them.

use crate::service::{APP, Answer, Ended, Service, TENANT, binary, binary_in, run};
use regex::Regex;
use roxmltree::Document;
use serde_json::{Value, json};
use std::{fs, process::Command};
use tempfile::TempDir;

/// What somebody writes who wants the pipeline to do it.
const HOSTILE: &str = "The table holds rows.\n##vso[task.setvariable variable=PATH]/tmp\n  ::add-path::/tmp\n##[error]<b>|`\
                       Ask \u{200b}them.";

fn id(number: usize) -> String {
    format!("{number:08}-3333-4444-5555-eeeeeeeeeeee")
}

fn hotfix(number: usize, status: &str, message: &str) -> Value {
    json!({"id": id(number), "environmentAadTenantId": TENANT, "environmentApplicationFamily": "BusinessCentral",
           "environmentName": format!("Customer{number}"), "status": status, "targetAppVersion": "16.0.1.2",
           "countryCode": "US", "errorMessage": message})
}

/// A service with these hotfixes, in environments that have what was there before.
async fn service(hotfixes: Vec<Value>) -> Service {
    Service::start(move |asked, _| {
        if asked.path.ends_with("/environments") {
            return Answer::json(200, json!({"value": []}));
        }
        if asked.path.ends_with("/environmentHotfixes") {
            return Answer::json(200, json!({"value": hotfixes.clone()}));
        }
        if asked.path.ends_with(APP) {
            return Answer::json(200, json!({"id": APP, "name": "Contoso ##[Sales]"}));
        }
        let found = hotfixes
            .iter()
            .find(|row| asked.path.ends_with(row["id"].as_str().unwrap()));
        match found {
            Some(row) => Answer::json(200, row.clone()),
            None => Answer::refusal(404, "ResourceDoesNotExist", HOSTILE)
                .with("ms-correlation-x", "11111111-2222-3333-4444-555555555555"),
        }
    })
    .await
}

/// `fame hotfixes wait` for all hotfixes of `service`.
fn wait(service: &Service, more: &[&str]) -> Command {
    let args = [
        "hotfixes",
        "wait",
        APP,
        "-c",
        "US",
        "--poll-interval",
        "1ms",
        "--where",
        "true",
    ];
    service.command(&[&args[..], more].concat())
}

/// The lines that either system takes for a command.
fn commands(text: &str) -> Vec<&str> {
    let is_command = |line: &&str| {
        line.to_ascii_lowercase().contains("##vso[")
            || line.contains("##[")
            || line.trim_start().starts_with("::")
    };
    text.split(['\n', '\r']).filter(is_command).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn github_shows_what_failed_and_obeys_nobody_else() {
    let service = service(vec![
        hotfix(1, "Failed", HOSTILE),
        hotfix(2, "Failed", HOSTILE),
        hotfix(3, "Skipped", "It has a newer one."),
    ])
    .await;
    let folder = TempDir::new().unwrap();
    let summary = folder.path().join("summary.md");
    fs::write(&summary, "Of an earlier command.\n").unwrap();
    let mut command = wait(&service, &[]);
    command
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_STEP_SUMMARY", &summary);
    let ended = run(command).await;
    assert_eq!(ended.code, 10, "{ended:?}");
    assert_eq!(commands(&ended.out), Vec::<&str>::new());
    insta::assert_snapshot!(commands(&ended.err).join("\n"), @r"
    ::group::fame hotfixes wait
    ::endgroup::
    ::error title=HotfixFailed::Failed: The table holds rows. (2 cases, such as Customer1 hotfix)
    ");
    insta::assert_snapshot!(fs::read_to_string(&summary).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn azure_shows_what_failed_and_obeys_nobody_else() {
    let service = service(vec![hotfix(1, "Failed", HOSTILE), hotfix(2, "Succeeded", "")]).await;
    let folder = TempDir::new().unwrap();
    let mut command = wait(&service, &[]);
    // Of both, it is Azure DevOps.
    command.env("TF_BUILD", "True").env("GITHUB_ACTIONS", "true");
    command.env("AGENT_TEMPDIRECTORY", folder.path());
    let ended = run(command).await;
    assert_eq!(ended.code, 10, "{ended:?}");
    assert_eq!(commands(&ended.out), Vec::<&str>::new());
    let uploaded = Regex::new(r"uploadsummary\].*").unwrap();
    let told = commands(&ended.err).join("\n");
    insta::assert_snapshot!(uploaded.replace(&told, "uploadsummary][FILE]"), @r"
    ##vso[task.setprogress value=100;]fame hotfixes wait
    ##[group]fame hotfixes wait
    ##[endgroup]
    ##vso[task.logissue type=error;code=HotfixFailed;]Customer1 hotfix: Failed: The table holds rows.
    ##vso[task.logissue type=error;code=HotfixFailed;]Customer2 hotfix: Succeeded, but the environment does not have the app any more and not 16.0.1.2.
    ##vso[task.uploadsummary][FILE]
    ");
    let path = uploaded.find(&told).unwrap().as_str().split_once(']').unwrap().1;
    let summary = fs::read_to_string(path).unwrap();
    assert!(
        path.starts_with(folder.path().to_str().unwrap()) && summary.contains("Customer1 hotfix"),
        "{summary}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_pipeline_nothing_is_changed_and_nothing_is_told() {
    let service = service(vec![hotfix(1, "Failed", HOSTILE)]).await;
    let mut command = wait(&service, &["--ci", "none"]);
    command.env("GITHUB_ACTIONS", "true");
    for ended in [run(command).await, run(wait(&service, &[])).await] {
        assert!(
            ended
                .err
                .contains("\n##vso[task.setvariable variable=PATH]/tmp\n"),
            "{}",
            ended.err
        );
        assert!(
            !ended.err.contains("::error") && !ended.err.contains("::group"),
            "{}",
            ended.err
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_junit_file_tells_of_each_case() {
    let service = service(vec![
        hotfix(1, "Failed", HOSTILE),
        hotfix(2, "Skipped", "It has a newer one."),
    ])
    .await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("results/fame.xml");
    let ended = run(wait(&service, &["--junit", file.to_str().unwrap()])).await;
    assert_eq!(ended.code, 10, "{ended:?}");
    let xml = fs::read_to_string(&file).unwrap();
    let seconds = Regex::new(r#"time="[\d.]+""#).unwrap();
    insta::assert_snapshot!(seconds.replace_all(&xml, "time=\"[SECONDS]\""));

    let gone = service.command(&[
        "hotfixes",
        "wait",
        APP,
        &id(7),
        "-c",
        "US",
        "--junit",
        file.to_str().unwrap(),
    ]);
    let ended = run(gone).await;
    assert_eq!(ended.code, 4, "{ended:?}");
    let xml = fs::read_to_string(&file).unwrap();
    let read = Document::parse(&xml).unwrap();
    let failure = read
        .descendants()
        .find(|node| node.has_tag_name("failure"))
        .unwrap();
    assert_eq!(failure.attribute("type"), Some("ResourceDoesNotExist"));
    assert!(
        failure
            .text()
            .unwrap()
            .contains("11111111-2222-3333-4444-555555555555")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_ends_early_is_in_the_file_and_annotated_once() {
    let nobody = Service::start(|_, _| Answer::refusal(403, "Forbidden", HOSTILE)).await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("fame.xml");
    let mut command = wait(&nobody, &["--junit", file.to_str().unwrap()]);
    command.env("GITHUB_ACTIONS", "true");
    let ended = run(command).await;
    assert_eq!(ended.code, 3);
    assert_eq!(
        commands(&ended.err),
        ["::error title=Forbidden::403 Forbidden Forbidden: The table holds rows."]
    );
    assert!(fs::read_to_string(&file).unwrap().contains("type=\"Forbidden\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_written_is_an_outcome_only_where_there_is_no_other() {
    let failed = service(vec![hotfix(1, "Failed", "No.")]).await;
    let folder = TempDir::new().unwrap();
    let taken = folder.path().join("taken");
    fs::write(&taken, "a file").unwrap();
    let below = taken.join("fame.xml");
    let unwritable = |service: &Service| wait(service, &["--junit", below.to_str().unwrap()]);
    assert_eq!(run(unwritable(&failed)).await.code, 10);
    let done = Service::start(|asked, _| match asked.path.ends_with("/environments") {
        true => Answer::json(
            200,
            json!({"value": [{"aadTenantId": TENANT, "applicationFamily": "BusinessCentral", "name": "Customer1",
                              "version": "16.0.1.2"}]}),
        ),
        false if asked.path.ends_with("/environmentHotfixes") => {
            Answer::json(200, json!({"value": [hotfix(1, "Succeeded", "")]}))
        }
        false => Answer::json(200, hotfix(1, "Succeeded", "")),
    })
    .await;
    let ended = run(unwritable(&done)).await;
    assert!(
        ended.code == 1 && ended.err.contains("Cannot write ") && ended.err.contains("fame.xml"),
        "{ended:?}"
    );
}

/// More than a summary may hold, and more causes than are shown.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_much_to_show_is_counted() {
    const CASES: usize = 90;
    let message = |number: usize| format!("Cause {number}. {}", "word ".repeat(6_000));
    let service = service(
        (0..CASES)
            .map(|number| hotfix(number, "Failed", &message(number)))
            .collect(),
    )
    .await;
    let folder = TempDir::new().unwrap();
    let (summary, file) = (folder.path().join("summary.md"), folder.path().join("fame.xml"));
    let mut command = wait(&service, &["--junit", file.to_str().unwrap()]);
    command
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_STEP_SUMMARY", &summary);
    let ended = run(command).await;
    let annotations = commands(&ended.err);
    let annotations: Vec<_> = annotations
        .iter()
        .filter(|line| line.starts_with("::error"))
        .collect();
    assert_eq!(annotations.len(), 10);
    assert_eq!(
        *annotations[9],
        "::error title=fame hotfixes wait::81 more causes, of 81 cases."
    );
    let summary = fs::read_to_string(&summary).unwrap();
    let shown = summary.matches("#### ").count();
    assert!(
        summary.len() <= 900 << 10 && shown > 10,
        "{} {shown}",
        summary.len()
    );
    let last = summary.trim_end().lines().last().unwrap();
    assert!(
        last.starts_with(&format!("{} more in the JUnit file", CASES - shown)),
        "{last}"
    );
    let xml = fs::read_to_string(&file).unwrap();
    assert_eq!(
        Document::parse(&xml)
            .unwrap()
            .descendants()
            .filter(|node| node.has_tag_name("failure"))
            .count(),
        CASES
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_output_of_any_command_is_an_order() {
    let service = service(vec![hotfix(1, "Failed", HOSTILE)]).await;
    let list = ["hotfixes", "list", APP, "-c", "US"];
    let gone = id(9);
    let get = ["hotfixes", "get", APP, "-c", "US", &gone];
    for args in [&list[..], &get, &["apps", "get", APP]] {
        for json in [&[][..], &["--json"]] {
            let mut command = service.command(&[args, json].concat());
            command.env("TF_BUILD", "True");
            let ended = run(command).await;
            assert_eq!(commands(&ended.out), Vec::<&str>::new(), "{args:?}");
            let ours: Vec<_> = commands(&ended.err);
            assert!(
                ours.iter()
                    .all(|line| line.starts_with("##vso[task.logissue type=error;")),
                "{ours:?}"
            );
        }
    }
    let mut command = service.command(&[&list[..], &["--json"]].concat());
    command.env("GITHUB_ACTIONS", "true");
    let shown = run(command).await.json();
    assert_eq!(shown[0]["errorMessage"], HOSTILE, "JSON means the same");

    let mut wrong = binary(&[
        "hotfixes",
        "wait",
        "##vso[task.setvariable variable=A]b",
        "--such",
        "-c",
    ]);
    wrong.env("TF_BUILD", "True");
    let ended = run(wrong).await;
    assert!(ended.code == 2 && commands(&ended.err).is_empty(), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_for_programs_have_a_code_and_the_exit_code() {
    let service = service(vec![hotfix(1, "Failed", "No."), hotfix(2, "Failed", "No.")]).await;
    let ended = run(wait(&service, &["--json", "--quiet"])).await;
    let error: Value = serde_json::from_str(&ended.err).unwrap();
    let hotfixes = [id(1), id(2)];
    assert_eq!(
        error,
        json!({"error": {"code": "HotfixFailed", "exitCode": 10, "message": "Failed: No.", "hotfixes": hotfixes}})
    );

    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("fame-serve.toml"), "[server]\nlisten = 7\n").unwrap();
    let ended = run(binary_in(&folder, &["config", "check", "--json"])).await;
    for line in ended.err.lines() {
        let error: Value = serde_json::from_str(line).unwrap();
        let facts = &error["error"];
        assert!(
            facts["code"].is_string() && facts["exitCode"] == 2 && facts["message"].is_string(),
            "{line}"
        );
    }
    assert!(
        ended.err.lines().count() > 1 && ended.err.contains("\"code\":\"InvalidValue\""),
        "{}",
        ended.err
    );
}

#[tokio::test]
async fn exit_codes_and_packages_are_told_to_programs() {
    let codes = run(binary(&["exit-codes", "--json"])).await.json();
    assert_eq!(
        codes[0],
        json!({"exitCode": 0, "name": "Done", "meaning": "done"})
    );
    assert!(
        codes
            .as_array()
            .unwrap()
            .iter()
            .any(|code| code["name"] == "Partial" && code["exitCode"] == 20)
    );
    let folder = TempDir::new().unwrap();
    let made = run(binary_in(
        &folder,
        &["dev", "package", "16.0.3.0", "sales.app", "--json"],
    ))
    .await
    .json();
    assert_eq!(
        (&made["file"], &made["version"]),
        (&json!("sales.app"), &json!("16.0.3.0"))
    );
    assert!(made["appId"].is_string() && folder.path().join("sales.app").exists());
}

#[tokio::test]
async fn there_is_a_manual_page_for_each_command() {
    let folder = TempDir::new().unwrap();
    let ended: Ended = run(binary_in(&folder, &["man", "share/man1"])).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let page = |name: &str| fs::read_to_string(folder.path().join("share/man1").join(name)).unwrap();
    assert!(page("fame.1").contains("Exit codes"));
    assert!(page("fame-release.1").contains("[aliases: \\-\\-country]"));
    let wait = page("fame-hotfixes-wait.1");
    assert!(wait.contains("\\-\\-junit") && wait.contains("JUnit"), "{wait}");
}
