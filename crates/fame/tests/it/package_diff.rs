//! `fame package diff`, as pipelines run it.

use crate::{
    packages::{PackageFile, builder},
    service::{Ended, binary, run},
};
use navx::Kind;
use serde_json::{Value, json};

/// The symbols of an app with one table.
fn symbols() -> Value {
    json!({ "Tables": [{
        "Id": 50100,
        "Name": "Rental",
        "Fields": [
            { "Id": 1, "Name": "No.", "TypeDefinition": { "Name": "Code[20]" } },
            { "Id": 2, "Name": "Name", "TypeDefinition": { "Name": "Text[50]" } },
            { "Id": 3, "Name": "Kind", "TypeDefinition": { "Name": "Option", "OptionMembers": ["A", "B"] } },
        ],
        "Keys": [{ "Name": "PK", "FieldNames": ["No."] }],
    }] })
}

fn package(version: &str, symbols: &Value) -> PackageFile {
    let bytes = symbols.to_string();
    PackageFile::built(builder(version).symbols(Some(bytes.as_bytes())))
}

fn changed(version: &str, change: impl FnOnce(&mut Value)) -> PackageFile {
    let mut symbols = symbols();
    change(&mut symbols["Tables"][0]);
    package(version, &symbols)
}

async fn diff(args: &[&str]) -> Ended {
    run(binary(&[&["package", "diff"], args].concat())).await
}

#[tokio::test]
async fn what_would_be_refused_is_shown_first_and_is_the_exit_code() {
    let old = package("16.0.1.0", &symbols());
    let new = changed("16.0.1.1", |table| {
        table["Fields"][1]["TypeDefinition"]["Name"] = json!("Text[30]");
        table["Fields"][2]["TypeDefinition"]["OptionMembers"] = json!(["B", "A"]);
    });
    let shown = diff(&[old.name(), new.name()]).await;
    assert_eq!(shown.code, 17, "{shown:?}");
    insta::assert_snapshot!(shown.out);
    let json = diff(&[old.name(), new.name(), "--json"]).await;
    assert_eq!(json.code, 17, "{json:?}");
    let json = json.json();
    assert_eq!(json["verdict"], "refused");
    assert_eq!(json["rules"], "2026-11");
    let codes: Vec<_> = json["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| &finding["code"])
        .collect();
    assert_eq!(codes, ["length-shorter", "members-changed"]);
    assert_eq!(json["findings"][0]["rule"], "AS0080");
    assert_eq!(
        json["findings"][0]["member"],
        json!({ "kind": "field", "id": 2, "name": "Name" })
    );
}

#[tokio::test]
async fn each_verdict_has_its_exit_code() {
    let old = package("16.0.1.0", &symbols());
    let same = package("16.0.1.1", &symbols());
    let shown = diff(&[old.name(), same.name()]).await;
    assert_eq!(shown.code, 0, "{shown:?}");
    assert!(
        shown
            .out
            .contains("compatible: nothing was found that synchronisation refuses"),
        "{shown:?}"
    );
    assert!(!shown.out.to_lowercase().contains("safe"), "{shown:?}");
    let renumbered = changed("16.0.1.1", |table| table["Fields"][1]["Id"] = json!(20));
    assert_eq!(diff(&[old.name(), renumbered.name()]).await.code, 18);
    let runtime = PackageFile::built(builder("16.0.1.1").kind(Kind::Runtime));
    let shown = diff(&[old.name(), runtime.name()]).await;
    assert_eq!(shown.code, 18, "{shown:?}");
    assert!(shown.out.contains("runtime-package"), "{shown:?}");
    // Refused by the vendor's own rule only.
    let members = changed("16.0.1.1", |table| {
        table["Fields"][2]["TypeDefinition"]["OptionMembers"] = json!(["B", "A"])
    });
    assert_eq!(diff(&[old.name(), members.name()]).await.code, 0);
    assert_eq!(diff(&[old.name(), members.name(), "--strict"]).await.code, 17);
    // Data that may be lost is lost.
    let gone = changed("16.0.1.1", |table| {
        _ = table["Fields"].as_array_mut().unwrap().pop()
    });
    assert_eq!(diff(&[old.name(), gone.name()]).await.code, 17);
    let forced = diff(&[old.name(), gone.name(), "--mode", "forcesync", "--json"]).await;
    assert_eq!(forced.code, 0, "{forced:?}");
    assert_eq!(
        forced.json()["findings"][0]["outcome"],
        json!({ "add": "refused", "forceSync": "loss" })
    );
}

#[tokio::test]
async fn the_new_one_is_compared_with_every_version_that_is_installed() {
    let shorter = changed("16.0.0.9", |table| {
        table["Fields"][1]["TypeDefinition"]["Name"] = json!("Text[80]")
    });
    let same = package("16.0.1.0", &symbols());
    let new = package("16.0.1.1", &symbols());
    let shown = diff(&[same.name(), shorter.name(), new.name()]).await;
    assert_eq!(shown.code, 17, "{shown:?}");
    assert!(
        shown.out.contains("16.0.1.0 -> 16.0.1.1") && shown.out.contains("16.0.0.9 -> 16.0.1.1"),
        "{shown:?}"
    );
    let json = diff(&[same.name(), shorter.name(), new.name(), "--json"])
        .await
        .json();
    let verdicts: Vec<_> = json
        .as_array()
        .unwrap()
        .iter()
        .map(|forecast| &forecast["verdict"])
        .collect();
    assert_eq!(verdicts, ["compatible", "refused"]);
}

#[tokio::test]
async fn what_cannot_be_compared_is_no_verdict() {
    let old = package("16.0.1.0", &symbols());
    let other = "11111111-2222-3333-4444-555555555555".parse().unwrap();
    let other = navx::PackageBuilder::new(other, "Other", "Contoso", "16.0.1.1".parse().unwrap());
    let other = PackageFile::built(other);
    let shown = diff(&[old.name(), other.name()]).await;
    assert_eq!((shown.code, &*shown.out), (5, ""), "{shown:?}");
    assert!(shown.err.contains("two apps"), "{shown:?}");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "not a package, but long enough to have a header").unwrap();
    let shown = diff(&[old.name(), file.path().to_str().unwrap()]).await;
    assert_eq!((shown.code, &*shown.out), (14, ""), "{shown:?}");
    assert_eq!(diff(&[old.name(), "no-such-file.app"]).await.code, 2);
    assert_eq!(diff(&[old.name()]).await.code, 2);
    assert_eq!(diff(&[old.name(), old.name(), "--mode", "clean"]).await.code, 2);
    let climbing = diff(&[
        old.name(),
        old.name(),
        "--sarif",
        "x.sarif",
        "--sarif-root",
        "../x",
    ])
    .await;
    assert_eq!(climbing.code, 2, "{climbing:?}");
    assert!(!std::path::Path::new("x.sarif").exists());
}

#[tokio::test]
async fn people_are_shown_fifty_and_how_many_more_there_are() {
    let fields = |kind: &str| -> Value {
        let field = |id: i64| json!({ "Id": id, "Name": format!("F{id}\u{1b}[2J\n"), "TypeDefinition": { "Name": kind } });
        (1..=60).map(field).collect()
    };
    let old = changed("16.0.1.0", |table| table["Fields"] = fields("Text[50]"));
    let new = changed("16.0.1.1", |table| table["Fields"] = fields("Text[40]"));
    let shown = diff(&[old.name(), new.name()]).await;
    assert_eq!(shown.code, 17, "{shown:?}");
    assert_eq!(shown.out.matches("length-shorter").count(), 50);
    assert!(
        shown.out.contains("… and 10 more") && shown.out.contains("60 findings: 60 refused"),
        "{shown:?}"
    );
    // No name steers a terminal or makes a line of its own.
    assert!(!shown.out.contains('\u{1b}'));
    assert!(shown.out.lines().all(|line| !line.starts_with('"')), "{shown:?}");
    let all = diff(&[old.name(), new.name(), "--json"]).await.json();
    assert_eq!(all["findings"].as_array().map(Vec::len), Some(60));
}

/// What SARIF's schema requires, and what GitHub and Azure DevOps ask for besides.
#[tokio::test]
async fn code_scanning_is_told_where_it_looks() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("diff.sarif");
    let old = package("16.0.1.0", &symbols());
    let new = changed("16.0.1.1", |table| {
        table["Name"] = json!("Rental");
        table["Fields"][1]["TypeDefinition"]["Name"] = json!("Text[30]");
        table["Fields"][0]["Id"] = json!(10);
        table["Fields"][2]["TypeDefinition"]["OptionMembers"] = json!(["B"]);
    });
    let shown = diff(&[
        old.name(),
        new.name(),
        "--sarif",
        log.to_str().unwrap(),
        "--sarif-root",
        "apps/Sales Pack",
    ])
    .await;
    assert_eq!(shown.code, 17, "{shown:?}");
    let log: Value = serde_json::from_slice(&std::fs::read(&log).unwrap()).unwrap();
    assert_eq!(log["version"], "2.1.0");
    let [run] = log["runs"].as_array().unwrap().as_slice() else {
        panic!("{log}");
    };
    assert!(run["tool"]["driver"]["name"].is_string());
    let rules: Vec<_> = run["tool"]["driver"]["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| &rule["id"])
        .collect();
    let results = run["results"].as_array().unwrap();
    let level = |code: &str| {
        let found = results.iter().find(|result| result["ruleId"] == code).unwrap();
        found["level"].as_str().unwrap()
    };
    assert_eq!(level("length-shorter"), "error");
    assert_eq!(level("field-id-changed"), "warning");
    assert_eq!(level("members-changed"), "note");
    for result in results {
        assert!(rules.contains(&&result["ruleId"]), "{result}");
        assert!(
            result["message"]["text"]
                .as_str()
                .is_some_and(|text| text.contains("16.0.1.0 -> 16.0.1.1"))
        );
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "apps/Sales%20Pack/app.json");
        assert!(place["region"]["startLine"].as_i64() > Some(0));
        assert!(result["partialFingerprints"].is_object());
    }
}
