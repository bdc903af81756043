//! `fame migrate`, and a database that is not fit for `fame serve`.

use crate::service::{ISSUER, OPERATOR, binary_in, run};

#[tokio::test]
async fn the_database_is_looked_at_and_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let check = &["migrate", "--check"];
    let outdated = run(binary_in(&folder, check)).await;
    assert_eq!(outdated.code, 16, "{outdated:?}");
    assert!(outdated.err.contains("lacks migrations 1, 2"), "{}", outdated.err);
    assert!(
        !folder.path().join("fame-data/fame.db").exists(),
        "looking makes nothing"
    );

    let migrated = run(binary_in(&folder, &["migrate"])).await;
    assert_eq!(migrated.code, 0, "{migrated:?}");
    assert!(
        migrated.err.contains("applied migrations 1, 2"),
        "{}",
        migrated.err
    );
    let again = run(binary_in(&folder, &["migrate"])).await;
    assert_eq!(again.code, 0, "{again:?}");
    assert!(!again.err.contains("applied"), "{}", again.err);
    assert_eq!(run(binary_in(&folder, check)).await.code, 0);
}

#[tokio::test]
async fn a_service_that_does_not_migrate_says_who_does() {
    let folder = tempfile::tempdir().unwrap();
    let args = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--set",
        OPERATOR,
        "--set",
        ISSUER,
        "--set",
        "database.migrate=separately",
    ];
    let refused = run(binary_in(&folder, &args)).await;
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err.contains("run 'fame migrate'"), "{}", refused.err);
}

#[tokio::test]
async fn a_database_over_a_network_without_encryption_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let url = "postgres://fame:top-secret@db.contoso.com/fame?sslmode=disable";
    let check = |allow: bool| {
        let allow = format!("database.allow_plaintext={allow}");
        let args = [
            "config", "check", "--set", OPERATOR, "--set", ISSUER, "--set", &allow,
        ];
        let mut command = binary_in(&folder, &args);
        command.env("FAME_DATABASE__URL", url);
        run(command)
    };
    let refused = check(false).await;
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.err.contains("sslmode=verify-full"), "{}", refused.err);
    assert!(!refused.err.contains("top-secret"), "{}", refused.err);
    let warned = check(true).await;
    assert_eq!(warned.code, 0, "{warned:?}");
    assert!(warned.err.contains("sslmode=disable"), "{}", warned.err);
}

#[tokio::test]
async fn a_folder_that_another_process_uses_is_refused_by_rule() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run(binary_in(&folder, &["migrate"])).await.code, 0);
    let lock = std::fs::File::create(folder.path().join("fame-data/fame.lock")).unwrap();
    lock.try_lock().unwrap();
    let serve = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--set",
        OPERATOR,
        "--set",
        ISSUER,
    ];
    let refused = run(binary_in(&folder, &serve)).await;
    assert_eq!(refused.code, 5, "{refused:?}");
    assert!(refused.err.contains("another process is using"), "{refused:?}");
}
