use super::*;
use test_support::postgres_cluster;

const ONE: (i64, &str) = (1, "CREATE TABLE one (a TEXT NOT NULL);");
const TWO: (i64, &str) = (2, "CREATE TABLE two (a TEXT NOT NULL);");
const BAD: (i64, &str) = (
    3,
    "CREATE TABLE three (a TEXT NOT NULL); CREATE TABLE one (a TEXT NOT NULL);",
);

fn ids(plan: Result<Plan, StoreError>) -> Result<Vec<i64>, String> {
    match plan {
        Ok(plan) => Ok(plan.iter().map(|script| script.id).collect()),
        Err(error) => Err(error.to_string()),
    }
}

fn applied(scripts: &[(i64, &str)]) -> Applied {
    scripts
        .iter()
        .map(|(id, text)| (*id, digest(text).to_vec()))
        .collect()
}

#[test]
fn what_is_missing_is_applied_in_order() {
    let plan = |before: &[(i64, &str)]| ids(plan(&[ONE, TWO], Dialect::Sqlite, &applied(before)));
    assert_eq!(plan(&[]), Ok(vec![1, 2]));
    assert_eq!(plan(&[ONE]), Ok(vec![2]));
    assert_eq!(plan(&[ONE, TWO]), Ok(vec![]));
    assert!(plan(&[ONE, TWO, BAD]).unwrap_err().contains("newer version"));
    assert!(
        plan(&[ONE, (2, "something else")])
            .unwrap_err()
            .contains("other content")
    );
}

#[test]
fn how_lines_end_is_no_other_content() {
    assert_eq!(digest("CREATE\nTABLE"), digest("CREATE\r\nTABLE"));
    assert_ne!(digest("CREATE\nTABLE"), digest("CREATE TABLE"));
}

#[test]
fn the_scripts_are_numbered_from_one_without_a_gap() {
    let numbers: Vec<_> = SCRIPTS.iter().map(|(id, _)| *id).collect();
    let expected: Vec<_> = (1..).take(SCRIPTS.len()).collect();
    assert_eq!(numbers, expected);
}

#[tokio::test]
async fn a_script_that_fails_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("sqlite:{}", folder.path().join("fame.db").display());
    for url in [file, postgres_cluster::database_url()] {
        let settings = DatabaseSettings::at(&url);
        apply(&settings, &[ONE, TWO, BAD]).await.unwrap_err();
        assert_eq!(apply(&settings, &[ONE, TWO]).await.unwrap(), [1, 2], "{url}");
        assert_eq!(apply(&settings, &[ONE, TWO]).await.unwrap(), [] as [i64; 0]);
        let error = apply(&settings, &[ONE]).await.unwrap_err().to_string();
        assert!(error.contains("newer version"), "{error}");
    }
}

#[tokio::test]
async fn looking_makes_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fame.db");
    let settings = DatabaseSettings::at(&format!("sqlite:{}", path.display()));
    assert_eq!(
        outstanding(&settings).await.unwrap(),
        (1..=SCHEMA_VERSION).collect::<Vec<_>>()
    );
    assert!(!path.exists());
    migrate(&settings).await.unwrap();
    assert_eq!(outstanding(&settings).await.unwrap(), [] as [i64; 0]);
}
