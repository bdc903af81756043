//! A whole service moved to another database and other storage locations: everything is there afterwards, whatever
//! happened on the way, and nobody gets to see half of it.

use crate::harness::{
    APP, Backend, CUSTOMER, Environment, Harness, LIBRARY, Person, Stopped, bytes_of, country_path,
    on_both_databases, package_needing_library, partner_entry, publisher,
};
use agent::drivers::simulate::Settings as Simulated;
use serde_json::{Value, json};
use server::transfer::{
    Contents, Imported, LocationMap, Stage, Step, TransferError, Watcher, check, export, import,
};
use std::{
    collections::BTreeMap,
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tempfile::TempDir;
use uuid::Uuid;

on_both_databases!(
    a_service_moves_there_and_back,
    what_waited_and_what_ran_goes_on_after_a_move,
    an_export_that_is_cut_is_finished_by_the_next,
    an_import_that_is_cut_is_finished_by_the_next,
    half_an_import_is_seen_by_nobody,
    only_an_empty_database_is_filled,
    locations_are_mapped_or_refused_all_at_once,
    damage_is_found_before_anything_is_written,
    a_package_that_is_damaged_stops_an_import_until_it_is_repaired,
    an_export_goes_to_a_folder_of_its_own,
    what_is_no_service_is_not_exported,
);

/// The database that a service moves to.
fn other(backend: Backend) -> Backend {
    match backend {
        Backend::Sqlite => Backend::Postgres,
        Backend::Postgres => Backend::Sqlite,
    }
}

/// Lets everything happen.
fn unwatched() -> Watcher {
    Arc::new(|_| ControlFlow::Continue(()))
}

/// Stops after so many steps of these stages.
fn stopping_after(steps: usize, stages: &'static [Stage]) -> Watcher {
    let left = AtomicUsize::new(steps);
    Arc::new(move |step: Step| {
        if !stages.contains(&step.stage) || left.fetch_sub(1, Ordering::SeqCst) > 1 {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })
}

/// A service with something in every table: two apps, one of them in two countries with the same bytes, and a hotfix
/// in every state.
async fn lived_in(backend: Backend) -> Harness {
    let failing = Environment::named("Failing").has(APP, "16.0.0.5");
    let service = Harness::with(backend)
        .simulated(
            &failing,
            Simulated::failing("The \"upgrade\"\nbroke: ünïcödé \u{1F600}"),
        )
        .start()
        .await;
    service.has_agent("eu").await;
    service.has_app(LIBRARY).await;
    let frozen = format!("/operator/v1/freezes/principal:{}", Person::STRANGER.id);
    let reason = json!({ "reason": "Their secret was found." });
    service.operator().put(frozen, reason).await.expect(201);
    let customer = json!({ "clients": [Person::STRANGER.id], "partners": [partner_entry()] });
    service.registers_customer(CUSTOMER, customer).await.expect(201);
    service
        .owner()
        .trusts(Uuid::new_v4(), &publisher())
        .await
        .expect(201);
    let owner = service.owner();
    owner.on(LIBRARY).has_uploaded("1.0.0.0").await;
    owner.adds_country("DK").await.expect(200);
    for version in ["16.0.0.5", "16.0.1.2"] {
        let package = package_needing_library(version, "1.0.0.0");
        owner.uploads(&package, "Available").await.expect(200);
        owner.uploads_to("DK", &package, "Preview").await.expect(200);
    }
    owner.has_uploaded("16.0.2.0").await;
    owner
        .changes_version("16.0.2.0", json!({ "availability": "Deprecated" }))
        .await
        .expect(200);
    has_hotfixes(&service, &failing).await;
    has_side_data(&service).await;
    service
}

/// What vendors say beside, and a rollout that somebody has to approve: nothing of it moves meanwhile.
async fn has_side_data(service: &Harness) {
    let app = format!("/v1.0/apps/{APP}");
    let tags = format!("{app}/environments/tags");
    let change = json!({ "filter": "name eq 'Updated'", "add": ["ring0"] });
    service.owner().post(tags, change).await.expect(200);
    let freeze =
        json!({ "from": "2098-12-20T00:00:00Z", "to": "2099-01-04T00:00:00Z", "reason": "Nobody is there." });
    let path = format!("{app}/freezes/{}", Uuid::new_v4());
    service.owner().put(path, freeze).await.expect(201);
    let policy = json!({ "approval": "Always" });
    let path = format!("{app}/approvalPolicy");
    service.owner().put(path, policy).await.expect(200);
    let rollout = json!({
        "name": "a fix",
        "targetAppVersion": "16.0.1.2",
        "runAfter": "2100-01-01T00:00:00Z",
        "select": { "countries": ["US"] },
    });
    let path = format!("{app}/rollouts");
    service.contributor().post(path, rollout).await.expect(201);
}

/// Succeeded, Failed, Canceled, Skipped, Running and Scheduled.
async fn has_hotfixes(service: &Harness, failing: &Environment) {
    let named = |name: &str| {
        Environment::named(name)
            .has(APP, "16.0.0.5")
            .has(LIBRARY, "1.0.0.0")
    };
    let owner = service.owner();
    for environment in [named("Updated"), failing.clone().has(LIBRARY, "1.0.0.0")] {
        service.operator().reports(&environment).await.expect(201);
        owner
            .schedules_at_once(&environment, "16.0.1.2")
            .await
            .expect(200);
    }
    service.finishes_work().await;
    let names = ["Changed its mind", "Gone", "Busy", "Waiting"];
    let mut hotfixes = BTreeMap::new();
    for name in names {
        let environment = named(name);
        service.operator().reports(&environment).await.expect(201);
        let request = if name == "Busy" {
            owner.schedules_at_once(&environment, "16.0.1.2")
        } else {
            owner.schedules(&environment, "16.0.1.2")
        };
        let hotfix = request.header("idempotency-key", name).await.expect(200);
        hotfixes.insert(name, hotfix);
    }
    owner.cancels(&hotfixes["Changed its mind"]).await.expect(200);
    let gone = named("Gone").operator_path();
    service.operator().delete(gone).await.expect(204);
    service.catches_up().await;
    let statuses = service.reader().get(owner.us("environmentHotfixes")).await;
    let mut statuses = statuses.expect(200).column("status");
    statuses.sort();
    let all = [
        "Canceled",
        "Failed",
        "Running",
        "Scheduled",
        "Skipped",
        "Succeeded",
    ];
    assert_eq!(statuses, all);
}

/// Everything that callers can see.
async fn picture_of(service: &Harness) -> Vec<Value> {
    let owner = service.owner();
    let mut paths = vec!["/v1.4/apps".to_owned()];
    for app in [APP, LIBRARY] {
        paths.push(format!("/v1.4/apps/{app}/countries"));
        paths.push(format!("/v1.4/apps/{app}/principals"));
        for list in ["versions", "environments", "environmentHotfixes"] {
            paths.push(country_path(app, "US", list));
        }
    }
    paths.push(country_path(APP, "DK", "versions"));
    let mut picture = Vec::new();
    for path in paths {
        picture.push(owner.get(path).await.expect(200).json());
    }
    for path in ["agents", "audit", "environments", "operations"] {
        let path = format!("/operator/v1/{path}");
        picture.push(service.operator().get(path).await.expect(200).json());
    }
    picture
}

/// A folder for an export.
fn new_folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("export");
    (folder, path)
}

async fn exported(service: &Harness) -> (TempDir, PathBuf, Contents) {
    let (folder, path) = new_folder();
    let contents = export(&service.settings(), &path, unwatched()).await.unwrap();
    (folder, path, contents)
}

async fn imports(target: &Stopped, from: &Path) -> Result<Imported, TransferError> {
    import(&target.settings(), from, &LocationMap::default(), unwatched()).await
}

/// The files of an export below `rows` and `packages`, and what is in them.
fn files_of(export: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for folder in ["rows", "packages"] {
        add_files(export, &export.join(folder), &mut files);
    }
    files
}

fn add_files(root: &Path, folder: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            add_files(root, &path, files);
        } else {
            let name = path.strip_prefix(root).unwrap().display().to_string();
            files.insert(name, fs::read(&path).unwrap());
        }
    }
}

fn assert_same_files(one: &Path, other: &Path) {
    let (one, other) = (files_of(one), files_of(other));
    assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    for (name, bytes) in &one {
        let is_same = other[name] == *bytes;
        assert!(is_same, "{name}: {}", String::from_utf8_lossy(&other[name]));
    }
}

/// A service that was never started and has the clock of `service`.
fn empty(backend: Backend, service: &Harness) -> Stopped {
    Harness::with(backend)
        .at(&service.now().to_string())
        .never_started()
}

async fn a_service_moves_there_and_back(backend: Backend) {
    let first = lived_in(backend).await;
    let picture = picture_of(&first).await;
    // The first service runs on meanwhile.
    let (_first_folder, first_export, contents) = exported(&first).await;
    // Nobody's run was locked to ids that nobody confirmed.
    let mut filled = contents
        .tables
        .iter()
        .filter(|table| table.name != "unconfirmed_ids");
    assert!(filled.all(|table| table.rows > 0), "{contents:?}");
    assert_eq!((contents.packages, contents.running_operations), (4, 1));
    assert_eq!(check(&first_export, unwatched()).await.unwrap(), contents);

    let second = empty(other(backend), &first);
    let imported = imports(&second, &first_export).await.unwrap();
    assert_eq!((imported.contents, imported.was_there), (contents.clone(), false));
    let again = imports(&second, &first_export).await.unwrap();
    assert_eq!((again.contents, again.was_there), (contents, true));
    let second = second.start().await;
    assert_eq!(picture_of(&second).await, picture);
    for (country, version) in [("US", "16.0.1.2"), ("DK", "16.0.0.5")] {
        let path = country_path(APP, country, &format!("versions/{version}/getPackageContents"));
        let body = second.owner().get(path).await.expect(200).body;
        assert_eq!(body, bytes_of(&package_needing_library(version, "1.0.0.0")));
    }
    assert_eq!(second.stored_packages().len(), 4);

    let (_second_folder, second_export, _) = exported(&second).await;
    assert_same_files(&first_export, &second_export);
    let third = empty(backend, &first);
    imports(&third, &second_export).await.unwrap();
    let (_third_folder, third_path) = new_folder();
    export(&third.settings(), &third_path, unwatched()).await.unwrap();
    assert_same_files(&first_export, &third_path);
    assert_eq!(picture_of(&third.start().await).await, picture);
}

async fn statuses(service: &Harness) -> BTreeMap<String, String> {
    let list = service.reader().get(service.owner().us("environmentHotfixes"));
    let list = list.await.expect(200);
    let names = list.column("environmentName");
    names.into_iter().zip(list.column("status")).collect()
}

async fn what_waited_and_what_ran_goes_on_after_a_move(backend: Backend) {
    let first = lived_in(backend).await;
    let agent = first.has_agent("us").await;
    let (_folder, path, _) = exported(&first).await;
    let second = empty(other(backend), &first);
    imports(&second, &path).await.unwrap();
    let second = second.start().await;
    let token = agent.authorization().replace("Bearer ", "");
    let agent = second.caller_with_token(token).in_session(Uuid::new_v4());
    agent
        .post("/agent/v1/claim", json!({ "max": 0 }))
        .await
        .expect(200);
    let waiting = Environment::named("Waiting");
    let again = second.owner().schedules(&waiting, "16.0.1.2");
    let again = again.header("idempotency-key", "Waiting").await.expect(200);
    assert_eq!(
        again.property("status"),
        "Scheduled",
        "the same hotfix, not another"
    );
    second.catches_up().await;
    assert_eq!(
        statuses(&second).await["Busy"],
        "Running",
        "its agent is told of it"
    );
    second.advances(Duration::from_secs(2)).await;
    assert_eq!(statuses(&second).await["Busy"], "Succeeded");
    second.moves_clock_to("2020-03-05T20:00:00Z").await;
    second.finishes_work().await;
    assert_eq!(statuses(&second).await["Waiting"], "Succeeded");
    second.owner().has_uploaded("16.0.3.0").await;
}

async fn an_export_that_is_cut_is_finished_by_the_next(backend: Backend) {
    let service = lived_in(backend).await;
    let (_whole_folder, whole, _) = exported(&service).await;
    let (_folder, path) = new_folder();
    let mut cut = 0;
    for steps in 1.. {
        let stages = &[Stage::WritingRows, Stage::FetchingPackages];
        match export(&service.settings(), &path, stopping_after(steps, stages)).await {
            Err(TransferError::Stopped) => cut += 1,
            ended => {
                ended.unwrap();
                break;
            }
        }
        let unfinished = check(&path, unwatched()).await.unwrap_err();
        assert!(unfinished.to_string().contains("is unfinished"), "{unfinished}");
    }
    assert_eq!(cut, 25, "twenty-one parts of rows, four packages");
    assert_same_files(&whole, &path);
    check(&path, unwatched()).await.unwrap();
    let names: Vec<_> = fs::read_dir(&path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names.len(), 3, "manifest, packages and rows: {names:?}");
}

async fn an_import_that_is_cut_is_finished_by_the_next(backend: Backend) {
    let service = lived_in(backend).await;
    let (_folder, path, contents) = exported(&service).await;
    let target = empty(other(backend), &service);
    let mut cut = 0;
    loop {
        let stages = &[Stage::LoadingRows, Stage::StoringPackages];
        let stopping = stopping_after(1, stages);
        match import(&target.settings(), &path, &LocationMap::default(), stopping).await {
            Err(TransferError::Stopped) => cut += 1,
            ended => {
                assert_eq!(ended.unwrap().contents, contents);
                break;
            }
        }
        let refused = target.tries_to_start().await.unwrap_err();
        assert!(
            refused.contains("import into the database has not finished"),
            "{refused}"
        );
    }
    assert!(
        (22..=25).contains(&cut),
        "twenty-one parts of rows, packages four at a time: {cut}"
    );
    let (_again_folder, again) = new_folder();
    export(&target.settings(), &again, unwatched()).await.unwrap();
    assert_same_files(&path, &again);
    assert_eq!(
        picture_of(&target.start().await).await,
        picture_of(&service).await
    );
}

/// A target in which an import has stopped after the first part of rows.
async fn half_imported(backend: Backend, service: &Harness, from: &Path) -> Stopped {
    let target = empty(backend, service);
    let stopping = stopping_after(1, &[Stage::LoadingRows]);
    let stopped = import(&target.settings(), from, &LocationMap::default(), stopping).await;
    assert!(matches!(stopped, Err(TransferError::Stopped)), "{stopped:?}");
    target
}

async fn half_an_import_is_seen_by_nobody(backend: Backend) {
    let service = lived_in(backend).await;
    let (_folder, path, _) = exported(&service).await;
    let target = half_imported(backend, &service, &path).await;
    let refused = target.tries_to_start().await.unwrap_err();
    assert!(refused.contains("run 'fame import' again"), "{refused}");
    let (_copy_folder, copy) = new_folder();
    let refused = export(&target.settings(), &copy, unwatched()).await.unwrap_err();
    assert!(refused.to_string().contains("no whole service"), "{refused}");

    service.owner().has_uploaded("17.0.0.0").await;
    let (_later_folder, later, _) = exported(&service).await;
    let refused = imports(&target, &later).await.unwrap_err();
    assert!(
        refused.to_string().contains("a part of another export"),
        "{refused}"
    );
    let elsewhere = LocationMap::new([("west europe".to_owned(), "East US".to_owned())]).unwrap();
    let refused = import(&target.settings(), &path, &elsewhere, unwatched()).await;
    let refused = refused.unwrap_err().to_string();
    assert!(
        refused.contains("began with other storage locations"),
        "{refused}"
    );
    imports(&target, &path).await.unwrap();
    let refused = imports(&target, &later).await.unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("was filled by the import of another"),
        "{refused}"
    );
}

async fn only_an_empty_database_is_filled(backend: Backend) {
    let service = lived_in(backend).await;
    let (_folder, path, _) = exported(&service).await;
    let occupied = Harness::start(other(backend)).await;
    let refused = import(&occupied.settings(), &path, &LocationMap::default(), unwatched()).await;
    // Several services may use one PostgreSQL, so none of them holds anything that an import could find held.
    let is_refused = match other(backend) {
        Backend::Sqlite => matches!(refused, Err(TransferError::InUse(_))),
        Backend::Postgres => matches!(refused, Err(TransferError::Refused(_))),
    };
    assert!(is_refused, "{refused:?}");
    let occupied = occupied.crash().await;
    let refused = imports(&occupied, &path).await.unwrap_err();
    assert!(matches!(refused, TransferError::Refused(_)), "{refused:?}");
    let said = refused.to_string();
    assert!(said.contains("apps: 1, countries: 1, principals: 5"), "{said}");
    occupied.tries_to_start().await.unwrap();
}

async fn locations_are_mapped_or_refused_all_at_once(backend: Backend) {
    let service = lived_in(backend).await;
    let mut library = crate::harness::registration();
    library["storageLocation"] = json!("North Europe");
    let third = uuid::Uuid::from_u128(7);
    let path = format!("/operator/v1/apps/{third}");
    service.operator().put(path, library).await.expect(201);
    let (_folder, path, _) = exported(&service).await;

    let only =
        r#"{"EU": {"directory": "{data_dir}/packages/eu"}, "North": {"directory": "{data_dir}/packages/n"}}"#;
    let target = empty(other(backend), &service).with("storage.locations", only);
    let map = |pairs: &[(&str, &str)]| {
        LocationMap::new(pairs.iter().map(|&(from, to)| (from.to_owned(), to.to_owned()))).unwrap()
    };
    for (pairs, problems) in [
        (
            &[][..],
            &[
                "'West Europe' is not configured",
                "'North Europe' is not configured",
            ][..],
        ),
        (
            &[("West Europe", "Mars"), ("Venus", "EU")],
            &[
                "'West Europe' is mapped to 'Mars'",
                "'North Europe' is not configured",
                "no such location",
            ],
        ),
        (
            &[("West Europe", "EU"), ("North Europe", "EU")],
            &["would both become 'EU'"],
        ),
    ] {
        let refused = import(&target.settings(), &path, &map(pairs), unwatched()).await;
        let said = refused.unwrap_err().to_string();
        for problem in problems {
            assert!(said.contains(problem), "{problem}: {said}");
        }
    }
    assert!(LocationMap::new([("A", "B"), ("a", "C")].map(|(a, b)| (a.into(), b.into()))).is_err());
    let good = map(&[("west EUROPE", "eu"), ("North Europe", "North")]);
    import(&target.settings(), &path, &good, unwatched())
        .await
        .unwrap();
    let target = target.start().await;
    let apps = target.operator().get("/operator/v1/apps").await.expect(200);
    assert_eq!(apps.column("storageLocation"), ["North", "EU", "EU"]);
    let package = target.owner().us("versions/16.0.1.2/getPackageContents");
    target.owner().get(package).await.expect(200);
    target.owner().has_uploaded("18.0.0.0").await;
}

/// The rows of the manifest's first part, changed by `change`.
fn damage(export: &Path, file: &str, change: impl Fn(&mut Vec<u8>)) {
    let path = export.join(file);
    let mut bytes = fs::read(&path).unwrap();
    change(&mut bytes);
    fs::write(&path, bytes).unwrap();
}

fn first_package(export: &Path) -> String {
    let mut files = files_of(export).into_keys();
    files.find(|name| name.starts_with("packages/")).unwrap()
}

async fn damage_is_found_before_anything_is_written(backend: Backend) {
    let service = lived_in(backend).await;
    let (_folder, good, _) = exported(&service).await;
    let target = empty(other(backend), &service);
    let rows = "rows/environments-00001.jsonl";
    let package = first_package(&good);
    let flips: fn(&mut Vec<u8>) = |bytes| bytes[20] ^= 1;
    let cuts: fn(&mut Vec<u8>) = |bytes| bytes.truncate(bytes.len() / 2);
    let becomes_version_2: fn(&mut Vec<u8>) = |bytes| {
        let text = String::from_utf8(bytes.clone()).unwrap();
        *bytes = text
            .replace("\"formatVersion\": 1", "\"formatVersion\": 2")
            .into();
    };
    let climbs: fn(&mut Vec<u8>) = |bytes| {
        let text = String::from_utf8(bytes.clone()).unwrap();
        *bytes = text.replace("rows/apps-00001", "../rows/apps-00001").into();
    };
    for (file, change, problem) in [
        (rows, Some(flips), "environments-00001.jsonl: is damaged"),
        (rows, Some(cuts), "bytes long, not"),
        (rows, None, "environments-00001.jsonl: No such file"),
        (package.as_str(), Some(cuts), "bytes long, not"),
        (package.as_str(), None, ".app: No such file"),
        ("manifest.json", Some(becomes_version_2), "format 2 with schema"),
        ("manifest.json", Some(climbs), "has no place among the parts"),
        ("manifest.json", Some(cuts), "manifest.json: EOF"),
        ("manifest.json", None, "There is no export"),
    ] {
        let whole = fs::read(good.join(file)).unwrap();
        match change {
            Some(change) => damage(&good, file, change),
            None => fs::remove_file(good.join(file)).unwrap(),
        }
        let refused = imports(&target, &good).await.unwrap_err().to_string();
        assert!(refused.contains(problem), "{file}: {refused}");
        let refused = check(&good, unwatched()).await.unwrap_err().to_string();
        assert!(refused.contains(problem), "{file}: {refused}");
        fs::write(good.join(file), whole).unwrap();
    }
    target.tries_to_start().await.unwrap();
    imports(&target, &good).await.unwrap();
}

async fn a_package_that_is_damaged_stops_an_import_until_it_is_repaired(backend: Backend) {
    let service = lived_in(backend).await;
    let (_folder, path, _) = exported(&service).await;
    let package = first_package(&path);
    damage(&path, &package, |bytes| bytes[10] ^= 1);
    let found = check(&path, unwatched()).await.unwrap_err().to_string();
    assert!(found.contains(".app: is damaged"), "{found}");
    let target = empty(other(backend), &service);
    let found = imports(&target, &path).await.unwrap_err().to_string();
    assert!(found.contains(".app: is damaged"), "{found}");
    assert!(target.tries_to_start().await.is_err());
    damage(&path, &package, |bytes| bytes[10] ^= 1);
    imports(&target, &path).await.unwrap();
    assert_eq!(target.start().await.stored_packages().len(), 4);
}

async fn an_export_goes_to_a_folder_of_its_own(backend: Backend) {
    let service = Harness::start(backend).await;
    let (_folder, path, _) = exported(&service).await;
    let refused = export(&service.settings(), &path, unwatched()).await.unwrap_err();
    assert!(
        refused.to_string().contains("holds an export already"),
        "{refused}"
    );
    let (_other_folder, foreign) = new_folder();
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("letters.txt"), "dear").unwrap();
    let refused = export(&service.settings(), &foreign, unwatched())
        .await
        .unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("something else already (letters.txt)"),
        "{refused}"
    );
    assert_eq!(fs::read_dir(&foreign).unwrap().count(), 1);
    is_private(&path);
}

/// Nobody but its owner may read an export.
fn is_private(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "{}", path.display());
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            is_private(&entry.unwrap().path());
        }
    }
}

async fn what_is_no_service_is_not_exported(backend: Backend) {
    let nothing = Harness::with(backend).never_started();
    let (_folder, path) = new_folder();
    let refused = export(&nothing.settings(), &path, unwatched()).await.unwrap_err();
    let expected = match backend {
        Backend::Sqlite => "unable to open database file",
        Backend::Postgres => "The database holds no service",
    };
    let told = domain::chain::Chain(&refused).to_string();
    assert!(told.contains(expected), "{told}");
}
