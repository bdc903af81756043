//! `fame release`, whole: the real binary, a real service and an agent that carries hotfixes out; killed clients, killed
//! services and lost answers; and a service that knows no more than the original's documents say.

mod door;

use crate::{
    service::{Ended, binary, run},
    services::{
        APPS, COUNTRIES, Database, Environment, Gateway, Installed, LineOfWork, Misdeed, Original, Person,
        Process, Site, fill, principal_body,
    },
};
use door::Door;
use jiff::SignedDuration;
use navx::PackageBuilder;
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;
use test_support::issuer::token_of;
use uuid::Uuid;

/// A service with three apps in three countries, and packages of two of them: the second needs the first.
struct World {
    site: Site,
    service: Process,
    folder: TempDir,
}

impl World {
    async fn start() -> Self {
        let site = Site::on(Database::Sqlite).with_simulator();
        let service = site.start(1).await;
        fill(&service.operator(), &service.owner()).await;
        let world = Self {
            site,
            service,
            folder: tempfile::tempdir().unwrap(),
        };
        world.writes("base.app", base("1.0.1.0"));
        world.writes("pack.app", pack("1.0.1.0"));
        world
    }

    async fn with_environments() -> Self {
        let world = Self::start().await;
        for (name, country) in [("north", "US"), ("south", "US"), ("east", "DE")] {
            world.reports(name, country, "1.0.0.0").await;
        }
        world.reports("old", "US", "0.9.0.0").await;
        world
    }

    async fn reports(&self, name: &str, country: &'static str, version: &str) {
        let environment = Environment::new(name, country);
        let report = environment.report(version, "West");
        let operator = self.service.operator();
        operator
            .put(&environment.path(), &report)
            .await
            .unwrap()
            .expect(201);
    }

    fn writes(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    fn command(&self, url: &str, person: &Person, args: &[&str]) -> Command {
        let mut command = binary(&[&["release"], args].concat());
        command
            .env("FAME_URL", url)
            .env("FAME_TOKEN", token_of(person))
            .current_dir(&self.folder);
        command
    }

    async fn releases(&self, args: &[&str]) -> Ended {
        let command = self.command(self.service.base_url(), &Person::OWNER, args);
        run(command).await
    }

    async fn versions(&self, app: Uuid, country: &str) -> Vec<(String, String)> {
        let path = format!("/v1.4/apps/{app}/countries/{country}/versions");
        let rows = self.service.owner().get(&path).await.unwrap().expect(200).rows();
        let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
        let shown = |row: &Value| (text(row, "version"), text(row, "availability"));
        rows.iter().map(shown).collect()
    }

    /// How many hotfixes there are of each status.
    async fn hotfixes(&self, app: Uuid, country: &str) -> Vec<String> {
        let path = format!("/v1.4/apps/{app}/countries/{country}/environmentHotfixes");
        let rows = self.service.owner().get(&path).await.unwrap().expect(200).rows();
        rows.iter()
            .map(|row| row["status"].as_str().unwrap().to_owned())
            .collect()
    }

    async fn has_nothing(&self) {
        for app in APPS {
            for country in COUNTRIES {
                assert_eq!(self.versions(app, country).await, []);
            }
        }
    }
}

fn base(version: &str) -> Vec<u8> {
    let builder = PackageBuilder::new(APPS[0], "Base", "Contoso", version.parse().unwrap());
    builder.package_id(Uuid::from_u128(1)).to_bytes().unwrap()
}

fn pack(version: &str) -> Vec<u8> {
    let builder = PackageBuilder::new(APPS[1], "Sales Pack", "Contoso", version.parse().unwrap());
    let needed = "1.0.1.0".parse().unwrap();
    let builder = builder.dependency(APPS[0], "Base", "Contoso", needed);
    builder
        .package_id(Uuid::from_u128(2))
        .payload_bytes(300_000)
        .to_bytes()
        .unwrap()
}

/// Both packages, the one that needs the other first.
const BOTH: [&str; 2] = ["pack.app", "base.app"];

const ROLLOUT: [&str; 9] = [
    "--availability",
    "Available",
    "--hotfix",
    "--where",
    "type eq 'Production'",
    "--ignore-window",
    "--wait",
    "--poll-interval",
    "50ms",
];

/// What became of each step: `step country environment result`.
fn results(ended: &Ended) -> Vec<String> {
    let steps = ended.json()["steps"].as_array().unwrap().clone();
    let text = |step: &Value, name: &str| step[name].as_str().unwrap_or("-").to_owned();
    let line = |step: &Value| {
        ["step", "name", "country", "environmentName", "result"]
            .map(|name| text(step, name))
            .join(" ")
    };
    steps.iter().map(line).collect()
}

fn count(ended: &Ended, result: &str) -> usize {
    results(ended)
        .iter()
        .filter(|line| line.ends_with(result))
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_ends_in_customers_environments_and_run_again_changes_nothing() {
    let world = World::with_environments().await;
    let args = [
        &BOTH[..],
        &[
            "--countries",
            "US,DE,DK",
            "--json",
            "--junit",
            "reports/release.xml",
        ],
        &ROLLOUT,
    ]
    .concat();
    let ended = world.releases(&args).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let document = ended.json();
    assert_eq!(
        (&document["outcome"], &document["exitCode"]),
        (&json!("Done"), &json!(0))
    );
    let names: Vec<&str> = document["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["Base", "Sales Pack"], "what is needed comes first");
    let told = results(&ended);
    assert_eq!(
        told.iter().filter(|line| line.ends_with("done")).count(),
        12 + 6,
        "{told:?}"
    );
    assert!(
        told.contains(&"hotfix Sales Pack US north done".to_owned()),
        "{told:?}"
    );
    assert!(
        told.contains(&"hotfix Base US old leftOut".to_owned()),
        "{told:?}"
    );
    for app in [APPS[0], APPS[1]] {
        for country in COUNTRIES {
            let there = [("1.0.1.0".to_owned(), "Available".to_owned())];
            assert_eq!(world.versions(app, country).await, there);
        }
        assert_eq!(world.hotfixes(app, "US").await, ["Succeeded", "Succeeded"]);
        assert_eq!(world.hotfixes(app, "DE").await, ["Succeeded"]);
    }
    let page = include_str!("../../../../docs/RELEASING.md");
    let of_package = document["packages"][0].as_object().unwrap().keys();
    let of_steps = document["steps"].as_array().unwrap().iter();
    let of_steps = of_steps.flat_map(|step| step.as_object().unwrap().keys());
    let members = document.as_object().unwrap().keys();
    for member in members.chain(of_package).chain(of_steps) {
        assert!(
            page.contains(&format!("`{member}`")),
            "{member} is not documented"
        );
    }
    let junit = fs::read_to_string(world.folder.path().join("reports/release.xml")).unwrap();
    let xml = roxmltree::Document::parse(&junit).unwrap();
    let cases: Vec<&str> = xml
        .descendants()
        .filter_map(|node| node.has_tag_name("testcase").then(|| node.attribute("name"))?)
        .collect();
    for case in ["US 1.0.1.0 upload", "DK 1.0.1.0 Available", "north hotfix"] {
        assert!(cases.contains(&case), "{cases:?}");
    }

    let again = world.releases(&args).await;
    assert_eq!(again.code, 0, "{again:?}");
    assert_eq!(count(&again, "already"), 12 + 6, "{:?}", results(&again));
    assert_eq!(
        world.hotfixes(APPS[0], "US").await.len(),
        2,
        "nothing was scheduled again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_says_what_would_happen_and_changes_nothing() {
    let world = World::with_environments().await;
    let args = [&BOTH[..], &["-c", "US,DE", "--plan"], &ROLLOUT].concat();
    let shown = world.releases(&args).await;
    assert_eq!(shown.code, 0, "{shown:?}");
    assert!(!shown.err.contains("it needs"), "{shown:?}");
    let alone = world.releases(&["pack.app", "-c", "US,DE", "--plan"]).await;
    assert!(alone.err.contains("it needs Base 1.0.1.0 or newer"), "{alone:?}");
    assert!(
        shown.err.contains("14 to do, 2 left out; nothing was changed."),
        "{shown:?}"
    );
    let ended = world.releases(&[&args[..], &["--json"]].concat()).await;
    assert_eq!(ended.json()["plan"], true);
    assert_eq!(count(&ended, "planned"), 14, "{:?}", results(&ended));
    world.has_nothing().await;
    assert_eq!(world.hotfixes(APPS[0], "US").await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_speaks_against_a_release_is_told_before_anything_is_touched() {
    let world = World::with_environments().await;
    let of_reader = format!("/v1.4/apps/{}/principals/{}", APPS[0], Person::READER.id);
    let (owner, body) = (world.service.owner(), principal_body(&["Reader"]));
    owner.patch(&of_reader, &body).await.unwrap().expect(200);
    let release = ["base.app", "--countries", "US,DE,DK"];
    let as_person =
        async |person: &Person| run(world.command(world.service.base_url(), person, &release)).await;
    let ended = as_person(&Person::READER).await;
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.err.contains("versions/write"), "{ended:?}");
    let ended = as_person(&Person::STRANGER).await;
    assert_eq!(ended.code, 4, "{ended:?}");

    for more in [&[][..], &["--plan"]] {
        let args = ["base.app", "-c", "US,XX", "--add-countries"];
        let ended = world.releases(&[&args[..], more].concat()).await;
        assert_eq!(ended.code, 5, "{ended:?}");
        assert!(ended.err.contains("'XX' is not"), "{ended:?}");
    }
    let ended = world.releases(&["base.app", "-c", "US, FR"]).await;
    assert_eq!(ended.code, 4, "{ended:?}");
    assert!(
        ended.err.contains("Base 1.0.1.0 in FR") && ended.err.contains("--add-countries"),
        "{ended:?}"
    );

    for (option, filter, code, fact) in [
        (
            "--where",
            "name eq 'nobody'",
            4,
            "no environment that has the app matches",
        ),
        ("--filter", "name eq 'old'", 4, "none is on the line"),
        ("--where", "nonsense eq", 5, "$filter"),
    ] {
        let ended = world
            .releases(&[&release[..], &["--hotfix", option, filter]].concat())
            .await;
        assert_eq!(ended.code, code, "{filter}: {ended:?}");
        assert!(ended.err.contains(fact), "{filter}: {ended:?}");
    }
    world.writes("broken.app", &base("1.0.1.0")[..100]);
    assert_eq!(
        world
            .releases(&[&release[..], &["broken.app"]].concat())
            .await
            .code,
        14
    );
    let named = world.releases(&["base.app", "--countries", "USA"]).await;
    assert!(named.err.contains("--countries"), "{named:?}");
    let usage = world.releases(&[&release[..], &["--wait"]].concat()).await;
    assert_eq!(usage.code, 2, "{usage:?}");
    world.has_nothing().await;

    let added = world
        .releases(&["base.app", "-c", "US,FR", "--add-countries", "--json"])
        .await;
    assert_eq!(added.code, 0, "{added:?}");
    assert!(
        results(&added).contains(&"addCountry Base FR - done".to_owned()),
        "{added:?}"
    );
    assert_eq!(world.versions(APPS[0], "FR").await.len(), 1);
}

/// A package with one table, whose only text has that length.
fn table(version: &str, length: u32) -> Vec<u8> {
    let symbols = json!({ "Tables": [{
        "Id": 50100,
        "Name": "Rental",
        "Fields": [
            { "Id": 1, "Name": "No.", "TypeDefinition": { "Name": "Code[20]" } },
            { "Id": 2, "Name": "Name", "TypeDefinition": { "Name": format!("Text[{length}]") } },
        ],
        "Keys": [{ "Name": "PK", "FieldNames": ["No."] }],
    }] });
    let builder = PackageBuilder::new(APPS[0], "Base", "Contoso", version.parse().unwrap());
    let builder = builder.symbols(Some(symbols.to_string().as_bytes()));
    builder.to_bytes().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hotfix_to_another_version_hinders_before_anything_is_touched() {
    let world = World::with_environments().await;
    let available = ["base.app", "-c", "US", "--availability", "Available"];
    assert_eq!(world.releases(&available).await.code, 0);
    let mut asked = Environment::new("north", "US").hotfix("1.0.1.0");
    asked["runAfter"] = json!("2099-01-01T00:00:00Z");
    let path = format!("/v1.4/apps/{}/countries/US/environmentHotfixes", APPS[0]);
    let owner = world.service.owner();
    let hotfix = owner.post(&path, &asked).await.unwrap().expect(200).json();
    let id = hotfix["id"].as_str().unwrap();

    world.writes("next.app", base("1.0.2.0"));
    let args = [&["next.app", "-c", "US,DE"][..], &ROLLOUT].concat();
    for more in [&[][..], &["--plan"]] {
        let ended = world.releases(&[&args[..], more].concat()).await;
        assert_eq!(ended.code, 5, "{ended:?}");
        for fact in [
            "north",
            "1.0.1.0",
            &format!("fame hotfixes cancel {} -c US {id}", APPS[0]),
        ] {
            assert!(ended.err.contains(fact), "{fact}: {ended:?}");
        }
        assert_eq!(world.versions(APPS[0], "US").await.len(), 1);
        assert_eq!(world.versions(APPS[0], "DE").await, []);
    }
    let one = format!("{path}/{id}");
    owner
        .patch(&one, &json!({ "status": "Canceled" }))
        .await
        .unwrap()
        .expect(200);
    let ended = world.releases(&args).await;
    assert_eq!(ended.code, 0, "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_schema_synchronisation_would_refuse_is_told_before_anything_is_touched() {
    let world = World::with_environments().await;
    world.writes("old.app", table("1.0.0.0", 50));
    let available = ["old.app", "-c", "US", "--availability", "Available"];
    assert_eq!(world.releases(&available).await.code, 0);
    world.writes("new.app", table("1.0.1.0", 30));
    let args = [&["new.app", "-c", "US,DE"][..], &ROLLOUT].concat();
    for more in [&[][..], &["--plan"]] {
        let ended = world.releases(&[&args[..], more].concat()).await;
        assert_eq!(ended.code, 17, "{ended:?}");
        for fact in [
            "length-shorter",
            "Rental",
            "--despite-forecast",
            "the service does not have it",
        ] {
            assert!(ended.err.contains(fact), "{fact}: {ended:?}");
        }
        assert_eq!(world.versions(APPS[0], "US").await.len(), 1);
        assert_eq!(world.versions(APPS[0], "DE").await, []);
    }
    world.writes("good.app", table("1.0.1.0", 60));
    let good = [&["good.app", "-c", "US", "--plan"][..], &ROLLOUT].concat();
    assert_eq!(world.releases(&good).await.code, 0);
    let ended = world
        .releases(&[&args[..], &["--despite-forecast"]].concat())
        .await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let usage = world
        .releases(&["new.app", "-c", "US", "--despite-forecast"])
        .await;
    assert_eq!(usage.code, 2, "{usage:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_services_plan_says_no_to_hinders() {
    let world = World::with_environments().await;
    world.writes("old.app", base("1.0.0.0"));
    assert_eq!(world.releases(&["old.app", "-c", "US"]).await.code, 0);
    assert_eq!(world.releases(&["base.app", "-c", "US"]).await.code, 0);
    let args = [&["base.app", "-c", "US"][..], &ROLLOUT].concat();
    for more in [&[][..], &["--plan"]] {
        let ended = world.releases(&[&args[..], more].concat()).await;
        assert_eq!(ended.code, 5, "{ended:?}");
        assert!(ended.err.contains("InstalledIsPreview"), "{ended:?}");
        assert!(!ended.err.contains("TargetPreview"), "{ended:?}");
        let versions = world.versions(APPS[0], "US").await;
        assert!(
            versions.iter().all(|(_, offered)| offered == "Preview"),
            "{versions:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installed_preview_hinders_a_first_release_too() {
    let world = World::with_environments().await;
    world.writes("old.app", base("1.0.0.0"));
    assert_eq!(world.releases(&["old.app", "-c", "US"]).await.code, 0);
    let args = [&["base.app", "-c", "US"][..], &ROLLOUT].concat();
    for more in [&[][..], &["--plan"]] {
        let ended = world.releases(&[&args[..], more].concat()).await;
        assert_eq!(ended.code, 5, "{ended:?}");
        for fact in ["InstalledIsPreview", "1.0.0.0", "fame versions update"] {
            assert!(ended.err.contains(fact), "{fact}: {ended:?}");
        }
        assert_eq!(
            world.versions(APPS[0], "US").await.len(),
            1,
            "nothing was uploaded"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_service_foretells_is_told() {
    let world = World::start().await;
    world.writes("old.app", table("1.0.0.0", 50));
    world.writes("new.app", table("1.0.1.0", 30));
    world.writes("newer.app", table("1.0.2.0", 20));
    assert_eq!(world.releases(&["old.app", "-c", "US"]).await.code, 0);
    let ended = world.releases(&["new.app", "-c", "US"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    for fact in [
        "Base 1.0.1.0 in US: after version 1.0.0.0",
        "forecast to refuse it",
        "length-shorter",
    ] {
        assert!(ended.err.contains(fact), "{fact}: {ended:?}");
    }
    let upload = async |file: &str| {
        let mut command = binary(&["versions", "upload", file, "-c", "US"]);
        command
            .env("FAME_URL", world.service.base_url())
            .env("FAME_TOKEN", token_of(&Person::OWNER))
            .current_dir(&world.folder);
        run(command).await
    };
    let ended = upload("newer.app").await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(
        ended.err.contains("newer.app: after version 1.0.1.0"),
        "{ended:?}"
    );
    let ended = upload("pack.app").await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(
        ended.err.matches("it needs Base").count(),
        0,
        "1.0.2.0 is enough: {ended:?}"
    );
    world.writes(
        "needy.app",
        PackageBuilder::new(APPS[1], "Sales Pack", "Contoso", "1.0.2.0".parse().unwrap())
            .dependency(APPS[0], "Base", "Contoso", "1.0.9.0".parse().unwrap())
            .to_bytes()
            .unwrap(),
    );
    let ended = upload("needy.app").await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(
        ended.err.matches("it needs Base 1.0.9.0 or newer").count(),
        1,
        "{ended:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn other_content_in_one_of_three_countries_keeps_all_from_being_touched() {
    let world = World::start().await;
    let other =
        PackageBuilder::new(APPS[0], "Base", "Contoso", "1.0.1.0".parse().unwrap()).description("other");
    world.writes("other.app", other.to_bytes().unwrap());
    assert_eq!(world.releases(&["other.app", "-c", "DE"]).await.code, 0);
    let args = [&BOTH[..], &["-c", "US,DE,DK", "--availability", "Available"]].concat();
    for more in [&[][..], &["--plan"]] {
        let ended = world.releases(&[&args[..], more, &["--json"]].concat()).await;
        assert_eq!(ended.code, 15, "{ended:?}");
        assert_eq!(
            (count(&ended, "failed"), count(&ended, "done")),
            (1, 0),
            "{:?}",
            results(&ended)
        );
        assert!(ended.err.contains("versioningStrategy"), "{ended:?}");
        assert_eq!(world.versions(APPS[0], "US").await, []);
        assert_eq!(world.versions(APPS[1], "DK").await, []);
        assert_eq!(world.versions(APPS[0], "DE").await[0].1, "Preview");
    }
    let both = world.releases(&["base.app", "other.app", "-c", "US"]).await;
    assert_eq!(both.code, 15, "{both:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_withdrawn_is_offered_again_only_if_that_is_meant() {
    let world = World::start().await;
    let args = ["base.app", "-c", "US,DE", "--availability", "Available"];
    assert_eq!(world.releases(&args).await.code, 0);
    let path = format!("/v1.4/apps/{}/countries/US/versions/1.0.1.0", APPS[0]);
    let withdrawn = json!({ "availability": "Deprecated" });
    world
        .service
        .owner()
        .patch(&path, &withdrawn)
        .await
        .unwrap()
        .expect(200);
    let ended = world.releases(&args).await;
    assert_eq!(ended.code, 5, "{ended:?}");
    assert!(ended.err.contains("withdrawn"), "{ended:?}");
    assert_eq!(world.versions(APPS[0], "US").await[0].1, "Deprecated");
    assert_eq!(
        world
            .releases(&[&args[..], &["--allow-deprecated"]].concat())
            .await
            .code,
        0
    );
    assert_eq!(world.versions(APPS[0], "US").await[0].1, "Available");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_killed_after_any_change_goes_on_where_it_was() {
    let world = World::with_environments().await;
    let mut door = Door::before(world.service.base_url()).await;
    let args = [&BOTH[..], &["-c", "US,DE", "--concurrency", "1"], &ROLLOUT].concat();
    let mut kills = 0;
    let ended = loop {
        door.stops_at_the_next_change();
        let mut command = tokio::process::Command::from(world.command(door.url(), &Person::OWNER, &args));
        command.kill_on_drop(true);
        tokio::select! {
            Some(_) = door.stopped() => kills += 1,
            output = command.output() => break output.unwrap(),
        }
    };
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    let changes = door.changes();
    assert_eq!(
        (kills, changes.len()),
        (4 + 4 + 6, 4 + 4 + 6),
        "each change was made once: {changes:?}"
    );
    assert!(changes.iter().all(|(_, status)| *status == 200), "{changes:?}");
    for (app, country, count) in [
        (APPS[0], "US", 2),
        (APPS[1], "US", 2),
        (APPS[0], "DE", 1),
        (APPS[1], "DE", 1),
    ] {
        assert_eq!(world.hotfixes(app, country).await, vec!["Succeeded"; count]);
        assert_eq!(world.versions(app, country).await[0].1, "Available");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_killed_after_any_change_is_lived_through() {
    let mut world = World::with_environments().await;
    let mut door = Door::before(world.service.base_url()).await;
    let args = [&BOTH[..], &["-c", "US,DE", "--concurrency", "1"], &ROLLOUT].concat();
    door.stops_at_the_next_change();
    let mut running = tokio::spawn(run(world.command(door.url(), &Person::OWNER, &args)));
    let mut kills = 0;
    let ended = loop {
        let stopped = tokio::select! {
            stopped = door.stopped() => stopped.unwrap(),
            ended = &mut running => break ended.unwrap(),
        };
        world.service.signal("KILL");
        world.service.ended().await;
        world.service = world.site.start(1).await;
        kills += 1;
        door.leads_to(world.service.base_url());
        door.stops_at_the_next_change();
        stopped.goes_on();
    };
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(kills, 4 + 4 + 6, "once at each change");
    for app in [APPS[0], APPS[1]] {
        assert_eq!(
            world.versions(app, "DE").await,
            [("1.0.1.0".to_owned(), "Available".to_owned())]
        );
        assert_eq!(world.hotfixes(app, "US").await, ["Succeeded", "Succeeded"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_lies_changes_nothing_about_the_outcome() {
    let world = World::with_environments().await;
    let gateway = Gateway::before(world.service.base_url()).await;
    let [first, second] = [APPS[0], APPS[1]].map(|app| format!("/v1.4/apps/{app}/countries"));
    for (line, misdeed) in [
        (format!("POST {first}/US/versions"), Misdeed::CutAfter),
        (format!("POST {second}/DE/versions"), Misdeed::PageAfter(504)),
        (format!("GET {first}/DE/versions/1.0.1.0"), Misdeed::Page(404)),
        (format!("PATCH {first}/US/versions/1.0.1.0"), Misdeed::CutAfter),
        (
            format!("PATCH {second}/US/versions/1.0.1.0"),
            Misdeed::PageAfter(502),
        ),
        (
            format!("POST {first}/US/environmentHotfixes"),
            Misdeed::CutAfterWithoutKey,
        ),
        (
            format!("POST {second}/DE/environmentHotfixes"),
            Misdeed::PageAfter(503),
        ),
        (format!("GET {second}/DE/environmentHotfixes"), Misdeed::Page(503)),
    ] {
        gateway.spoils(&line, misdeed);
    }
    let args = [&BOTH[..], &["-c", "US,DE"], &ROLLOUT].concat();
    let ended = run(world.command(gateway.url(), &Person::OWNER, &args)).await;
    assert_eq!((ended.code, gateway.left()), (0, 0), "{ended:?}");
    assert_eq!(world.hotfixes(APPS[0], "US").await, ["Succeeded", "Succeeded"]);
    assert_eq!(world.hotfixes(APPS[1], "DE").await, ["Succeeded"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_stands_is_told_from_nothing_and_from_all() {
    let world = World::start().await;
    let gateway = Gateway::before(world.service.base_url()).await;
    let args = [
        "base.app",
        "-c",
        "US,DE",
        "--availability",
        "Available",
        "--json",
        "--retries",
        "0",
    ];
    let post = |country: &str| format!("POST /v1.4/apps/{}/countries/{country}/versions", APPS[0]);
    for country in ["US", "DE"] {
        gateway.spoils(&post(country), Misdeed::Page(503));
    }
    let ended = run(world.command(gateway.url(), &Person::OWNER, &args)).await;
    assert_eq!(ended.code, 6, "{ended:?}");
    gateway.spoils(&post("DE"), Misdeed::Page(503));
    let ended = run(world.command(gateway.url(), &Person::OWNER, &args)).await;
    assert_eq!(ended.code, 20, "{ended:?}");
    assert_eq!(
        results(&ended),
        [
            "upload Base DE - failed",
            "offer Base DE - notTried",
            "upload Base US - done",
            "offer Base US - notTried"
        ]
    );
    assert_eq!(
        world.versions(APPS[0], "US").await[0].1,
        "Preview",
        "nothing is offered by half"
    );
    gateway.spoils(&post("DE"), Misdeed::Page(503));
    let ended = run(world.command(gateway.url(), &Person::OWNER, &args)).await;
    assert_eq!(ended.code, 6, "this run changed nothing: {ended:?}");
    let ended = run(world.command(gateway.url(), &Person::OWNER, &args)).await;
    assert_eq!(ended.code, 0, "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_releases_at_once_are_one() {
    let world = World::with_environments().await;
    let args = [&BOTH[..], &["-c", "US,DE,DK"], &ROLLOUT].concat();
    let (first, second) = tokio::join!(world.releases(&args), world.releases(&args));
    assert_eq!((first.code, second.code), (0, 0), "{first:?} {second:?}");
    assert_eq!(world.hotfixes(APPS[0], "US").await, ["Succeeded", "Succeeded"]);
    assert_eq!(world.hotfixes(APPS[1], "DE").await, ["Succeeded"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_can_be_a_file_of_its_repository() {
    let world = World::with_environments().await;
    world.writes(".git/HEAD", "");
    world.writes("output/us/pack.app", pack("1.0.1.0"));
    let other = PackageBuilder::new(APPS[1], "Sales Pack", "Contoso", "1.0.1.0".parse().unwrap());
    world.writes(
        "output/de/pack.app",
        other.description("German").to_bytes().unwrap(),
    );
    let release = r#"
countries = ["US", "DE"]

[[app]]
packages = ["base.app"]

[[app]]
packages = ["output/us/*.app"]
countries = ["US"]

[[app]]
packages = ["output/de/*.app"]
countries = ["DE"]

[policy]
availability = "Available"
hotfix = true
where = "type eq 'Production'"
ignore_window = true
wait = true
timeout = "60s"
"#;
    world.writes("fame.toml", release);
    fs::create_dir(world.folder.path().join("src")).unwrap();
    let below = |args: &[&str]| {
        let mut command = world.command(world.service.base_url(), &Person::OWNER, args);
        command.current_dir(world.folder.path().join("src"));
        run(command)
    };
    let planned = below(&["--plan", "--json"]).await;
    assert_eq!(
        (planned.code, count(&planned, "planned")),
        (0, 8 + 6),
        "{planned:?}"
    );
    let without = below(&["--plan", "--json", "--no-hotfix", "-c", "DK", "../base.app"]).await;
    assert_eq!(
        results(&without),
        ["upload Base DK - planned", "offer Base DK - planned"]
    );
    let ended = below(&["--poll-interval", "50ms", "--json"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(world.hotfixes(APPS[1], "DE").await, ["Succeeded"]);
}

/// The original, where the apps are in two countries.
async fn original() -> Original {
    let original = Original::start().await;
    original.knows(|books| {
        for app in &APPS[..2] {
            books.has_countries(*app, &["US", "DE"]);
        }
    });
    original
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_a_repository_never_says_where_packages_go() {
    let original = original().await;
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join(".git")).unwrap();
    fs::create_dir_all(folder.path().join("src")).unwrap();
    fs::write(folder.path().join("base.app"), base("1.0.1.0")).unwrap();
    let release = async |text: &str, folder: &Path| {
        fs::write(folder.parent().unwrap_or(folder).join("fame.toml"), text).unwrap();
        let mut command = original.command(&["release", "../base.app", "-c", "US"]);
        command.current_dir(folder);
        run(command).await
    };
    let below = folder.path().join("src");
    for member in [
        "url",
        "issuer",
        "scope",
        "client_id",
        "token_url",
        "credentials",
        "tenant",
    ] {
        let ended = release(&format!("# a release\n{member} = 'https://evil.example'"), &below).await;
        assert_eq!(ended.code, 2, "{member}: {ended:?}");
        let place = format!("fame.toml, line 2, column 1: '{member}'");
        assert!(ended.err.contains(&place), "{ended:?}");
    }
    let ended = release("profile = 'https://evil.example'", &below).await;
    assert_eq!(ended.code, 2, "{ended:?}");
    assert_eq!(original.lines(), Vec::<String>::new(), "nothing was sent");

    // What lies above the repository is somebody else's.
    fs::create_dir(below.join(".git")).unwrap();
    let ended = release("url = 'https://evil.example'", &below).await;
    assert_eq!(ended.code, 0, "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_knows_no_more_than_the_original_is_enough() {
    let original = original().await;
    original.knows(|books| {
        for (app, country) in APPS[..2].iter().flat_map(|app| [(*app, "US"), (*app, "DE")]) {
            books.installs(Installed::new(app, country, "North", "1.0.0.0"));
        }
    });
    original.moves_clock_by_looks(SignedDuration::from_mins(3));
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in [("base.app", base("1.0.1.0")), ("pack.app", pack("1.0.1.0"))] {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    let release = async |more: &[&str]| {
        let args = [
            &["release"],
            &BOTH[..],
            &["-c", "US,DE", "--json"],
            &ROLLOUT,
            more,
        ]
        .concat();
        let mut command = original.command(&args);
        command.current_dir(&folder);
        run(command).await
    };
    let ended = release(&[]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let of_kind = |method: &str, end: &str| {
        let is_meant = |line: &String| line.starts_with(method) && line.ends_with(end);
        let lines = original.lines();
        let at = |line: &String| is_meant(line).then(|| lines.iter().position(|other| other == line));
        lines.iter().filter_map(at).flatten().collect::<Vec<_>>()
    };
    let uploads = of_kind("POST", "/versions");
    let offers = of_kind("PATCH", "/1.0.1.0");
    let hotfixes = of_kind("POST", "/environmentHotfixes");
    assert_eq!((uploads.len(), offers.len(), hotfixes.len()), (4, 4, 4));
    assert!(
        uploads.iter().max() < offers.iter().min(),
        "{:?}",
        original.lines()
    );
    assert!(
        offers.iter().max() < hotfixes.iter().min(),
        "{:?}",
        original.lines()
    );

    let before = original.changes();
    let again = release(&[]).await;
    assert_eq!((again.code, original.changes()), (0, before), "{again:?}");

    original.knows(|books| books.holds_other_bytes(APPS[0], "DE"));
    let ended = release(&[]).await;
    assert_eq!((ended.code, original.changes()), (15, before), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn how_hotfixes_end_is_the_exit_code_where_all_else_is_done() {
    for (status, line, minutes, code) in [
        ("Failed", LineOfWork::Fails, 10, 10),
        ("Skipped", LineOfWork::IsSkipped, 10, 11),
        ("Canceled", LineOfWork::IsCanceled, 10, 12),
        ("Running", LineOfWork::Succeeds, 0, 13),
    ] {
        let original = original().await;
        original.knows(|books| {
            for country in ["US", "DE"] {
                books.installs(Installed {
                    line,
                    ..Installed::new(APPS[0], country, "North", "1.0.0.0")
                });
            }
        });
        // Of those that run on, only as much passes as it takes to begin.
        let by_look = SignedDuration::from_mins(minutes) + SignedDuration::from_millis(1);
        original.moves_clock_by_looks(by_look);
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("base.app"), base("1.0.1.0")).unwrap();
        let args = [
            "release",
            "base.app",
            "-c",
            "US,DE",
            "--json",
            "--timeout",
            "50ms",
        ];
        let mut command = original.command(&[&args[..], &ROLLOUT].concat());
        command.current_dir(&folder);
        let ended = run(command).await;
        assert_eq!(ended.code, code, "{status}: {ended:?}");
        let steps = ended.json()["steps"].clone();
        let steps = steps.as_array().unwrap();
        let hotfix = steps.iter().find(|step| step["step"] == "hotfix").unwrap();
        assert_eq!(
            (&hotfix["result"], &hotfix["status"]),
            (&json!("failed"), &json!(status))
        );
        assert_eq!(hotfix["error"]["exitCode"], code, "{hotfix}");
        let is_told = hotfix["message"]
            .as_str()
            .unwrap()
            .contains("The field 'No.' cannot be removed.");
        assert_eq!(is_told, status == "Failed", "{hotfix}");
        assert_eq!(count(&ended, "done"), 4, "{:?}", results(&ended));
    }
}
