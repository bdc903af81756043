//! The disk is full. The disk is a real file system of a few megabytes, in a mount namespace that only the service is
//! in, so that nothing of the machine's fills up.

use super::{download, report, upload, upload_until_it_works};
use crate::services::{APPS, Database, Environment, Person, Process, Site, fill, package};
use rusqlite::Connection;
use std::{
    fs::{self, File},
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
    process::Command as Blocking,
};
use tokio::process::Command;

/// Reports after which a full disk must have shown: what was reserved before may hold some.
const MAX_REPORTS: usize = 2_000;
/// Mounts a small file system on the first argument, and becomes what the others say.
const ON_SMALL_DISK: &str = r#"mount -t tmpfs -o size=24m,mode=0755 fame "$1" && shift && exec "$@""#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_said_and_survived() {
    let disk = tempfile::tempdir().unwrap();
    let site = Site::on(Database::Sqlite)
        .under(disk.path())
        .with("storage.sweep_seconds", 1)
        .with("storage.grace_seconds", 10);
    let mut process = Process::spawn(on_small_disk(&site, disk.path()), 0).await;
    let inside = PathBuf::from(format!("/proc/{}/root{}", process.pid(), disk.path().display()));
    let owner = process.owner();
    fill(&process.operator(), &owner).await;
    let environment = Environment::new("customer", "US");
    report(&process, &environment, "report 0").await.expect(201);
    for number in 1..=3 {
        upload(&owner, APPS[0], &package(APPS[0], number))
            .await
            .unwrap()
            .expect(200);
    }

    let ballast = inside.join("ballast");
    fill_up(&ballast);
    let refused = package(APPS[0], 5);
    upload(&owner, APPS[0], &refused)
        .await
        .unwrap()
        .expect_unavailable();
    let last = report_until_refused(&process, &environment).await;
    let health = process.until_it_is("degraded").await;
    assert_eq!(
        (&health["database"], &health["storage"]),
        (&"full".into(), &"unavailable".into())
    );
    // Reading needs no room.
    for number in 1..=3 {
        let contents = download(&owner, APPS[0], number).await.expect(200);
        assert!(contents.body == package(APPS[0], number), "version {number}");
    }
    assert_eq!(mark_of(&process, &environment).await, last);

    fs::remove_file(&ballast).unwrap();
    process.until_it_is("ready").await;
    assert_eq!(mark_of(&process, &environment).await, last);
    report(&process, &environment, "after").await.expect(200);
    assert_eq!(mark_of(&process, &environment).await, "after");
    upload_until_it_works(&owner, APPS[0], &refused).await;
    for number in [1, 2, 3, 5] {
        let contents = download(&owner, APPS[0], number).await.expect(200);
        assert!(contents.body == package(APPS[0], number), "version {number}");
    }
    assert!(process.is_running());
    check_database(&inside);
}

/// The command that starts the service where `disk` is a small file system.
///
/// # Panics
/// When this machine allows nobody to mount anything: then a full disk cannot be tried here.
fn on_small_disk(site: &Site, disk: &Path) -> Command {
    let ways: [&[&str]; 2] = [&["-m"], &["-r", "-m"]];
    let may_mount = |way: &&&[&str]| {
        let tried = Blocking::new("unshare")
            .args(**way)
            .args(["sh", "-c", ON_SMALL_DISK, "sh"])
            .arg(disk)
            .arg("true")
            .output();
        tried.is_ok_and(|tried| tried.status.success())
    };
    let Some(way) = ways.iter().find(may_mount) else {
        panic!(
            "a full disk cannot be tried: neither as root nor in a user namespace may a tmpfs be mounted here"
        );
    };
    let serve = Process::command(&site.configured(0));
    let mut command = Command::new("unshare");
    command
        .args(*way)
        .args(["sh", "-c", ON_SMALL_DISK, "sh"])
        .arg(disk)
        .arg(serve.as_std().get_program())
        .args(serve.as_std().get_args());
    command
}

/// Takes all the room that is left.
fn fill_up(ballast: &Path) {
    let mut file = File::create(ballast).unwrap();
    let error = loop {
        if let Err(error) = file.write_all(&[0x5A; 4096]) {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
}

/// Reports until there is no room for another; what the last acknowledged one said.
async fn report_until_refused(process: &Process, environment: &Environment) -> String {
    let mut last = "report 0".to_owned();
    for number in 1..MAX_REPORTS {
        let mark = format!("report {number}");
        let answer = report(process, environment, &mark).await;
        if answer.status == 200 {
            last = mark;
            continue;
        }
        answer.expect_unavailable();
        return last;
    }
    panic!("the disk is full and {MAX_REPORTS} reports were taken");
}

async fn mark_of(process: &Process, environment: &Environment) -> String {
    let shown = process.caller(&Person::OPERATOR).get(&environment.path()).await;
    shown.unwrap().expect(200).property("locationName")
}

/// SQLite itself finds nothing wrong with a copy of the file, made while nobody writes: it does not open files in
/// another process's namespace.
fn check_database(inside: &Path) {
    let copy = tempfile::tempdir().unwrap();
    for name in ["fame.db", "fame.db-wal"] {
        fs::copy(inside.join("data-0").join(name), copy.path().join(name)).unwrap();
    }
    let database = Connection::open(copy.path().join("fame.db")).unwrap();
    let verdict: String = database
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(verdict, "ok");
}
