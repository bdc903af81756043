//! The folder of the packages cannot be reached, as when a network file system is not mounted.

use super::{download, report, upload, upload_until_it_works};
use crate::services::{APPS, Database, Environment, Process, Site, fill, package};
use std::{fs, path::Path};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_package_folder_that_is_gone_is_said_and_survived() {
    survives(|_| {}).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_in_the_place_of_the_package_folder_is_said_and_survived() {
    survives(|place| fs::write(place, b"not a folder").unwrap()).await;
}

/// Takes the folder away and does something else with its place, for a while.
async fn survives(instead: impl Fn(&Path)) {
    let site = Site::on(Database::Sqlite).with("storage.sweep_seconds", 1);
    let mut process = site.start(0).await;
    let owner = process.owner();
    fill(&process.operator(), &owner).await;
    let (kept, late) = (package(APPS[0], 1), package(APPS[0], 2));
    upload(&owner, APPS[0], &kept).await.unwrap().expect(200);
    assert_eq!(process.until_readiness_is(200).await["storage"], "available");

    let (place, aside) = (site.packages().join("west-europe"), site.packages().join("aside"));
    fs::rename(&place, &aside).unwrap();
    instead(&place);
    let health = process.until_it_is("degraded").await;
    assert_eq!(
        (&health["database"], &health["storage"]),
        (&"available".into(), &"degraded".into())
    );
    upload(&owner, APPS[0], &late).await.unwrap().expect_unavailable();
    download(&owner, APPS[0], 1).await.expect_unavailable();
    // What needs no package works as ever.
    let listed = owner
        .get(&super::versions_path(APPS[0]))
        .await
        .unwrap()
        .expect(200);
    assert_eq!(listed.rows().len(), 1, "{listed}");
    let environment = Environment::new("customer", "US");
    report(&process, &environment, "while it is away")
        .await
        .expect(201);

    if place.is_dir() {
        fs::remove_dir_all(&place).unwrap();
    } else if place.exists() {
        fs::remove_file(&place).unwrap();
    }
    fs::rename(&aside, &place).unwrap();
    process.until_it_is("ready").await;
    upload_until_it_works(&owner, APPS[0], &late).await;
    for (number, bytes) in [(1, &kept), (2, &late)] {
        let contents = download(&owner, APPS[0], number).await.expect(200);
        assert!(contents.body == *bytes, "version {number}");
    }
    assert!(process.is_running());
    no_panic(&process);
}

fn no_panic(process: &Process) {
    let errors = process.errors();
    assert!(
        errors.iter().all(|line| !line.0.contains("panicked at")),
        "{errors:?}"
    );
}
