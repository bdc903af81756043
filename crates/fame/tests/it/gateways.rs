//! Behind a gateway that answers in the service's place, or cuts connections after the service has done the work: a real
//! service, and what each command makes of it.

use crate::{
    service::{APP, Ended, binary, run},
    services::{
        APPS, Database, Environment, Gateway, Misdeed, Person, Process, Site, fill, package, principal_body,
    },
};
use serde_json::Value;
use std::{path::PathBuf, sync::Arc};
use tempfile::TempDir;
use test_support::issuer::{HOME_TENANT, token_of};

/// A service with apps, countries and an environment, and the gateway before it.
struct Behind {
    site: Site,
    service: Process,
    gateway: Arc<Gateway>,
    folder: TempDir,
    environment: Environment,
}

impl Behind {
    async fn start(site: Site) -> Self {
        let service = site.start(1).await;
        fill(&service.operator(), &service.owner()).await;
        let environment = Environment::new("Cronus", "US");
        let report = environment.report("1.0.0.0", "West");
        let operator = service.operator();
        operator
            .put(&environment.path(), &report)
            .await
            .unwrap()
            .expect(201);
        let gateway = Arc::new(Gateway::before(service.base_url()).await);
        Self {
            site,
            service,
            gateway,
            folder: tempfile::tempdir().unwrap(),
            environment,
        }
    }

    /// The file of a package.
    fn package(&self, number: u32) -> PathBuf {
        let path = self.folder.path().join(format!("{number}.app"));
        std::fs::write(&path, package(APPS[0], number)).unwrap();
        path
    }

    async fn as_person(&self, person: &Person, args: &[&str]) -> Ended {
        let mut command = binary(args);
        command
            .env("FAME_URL", self.gateway.url())
            .env("FAME_TOKEN", token_of(person))
            .current_dir(&self.folder);
        run(command).await
    }

    async fn fame(&self, args: &[&str]) -> Ended {
        self.as_person(&Person::OWNER, args).await
    }

    async fn uploads(&self, number: u32, more: &[&str]) -> Ended {
        let file = self.package(number);
        let args = ["versions", "upload", file.to_str().unwrap(), "-c", "US"];
        self.fame(&[&args[..], more].concat()).await
    }

    async fn etag(&self, path: &str) -> String {
        let row = self.service.owner().get(path).await.unwrap().expect(200);
        row.property("_etag")
    }
}

const VERSIONS: &str = "/v1.4/apps/aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb/countries/US/versions";
const HOTFIXES: &str = "/v1.4/apps/aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb/countries/US/environmentHotfixes";

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_arrived_is_a_success_whatever_the_gateway_says() {
    let behind = Behind::start(Site::on(Database::Sqlite)).await;
    let misdeeds = [
        Misdeed::Page(502),
        Misdeed::PageAfter(503),
        Misdeed::PageAfter(504),
        Misdeed::PageAfter(404),
        Misdeed::PageAfter(200),
        Misdeed::CutAfter,
    ];
    let mut number = 0;
    for misdeed in misdeeds {
        for more in [&[][..], &["--skip-existing"]] {
            number += 1;
            behind.gateway.spoils(&format!("POST {VERSIONS}"), misdeed);
            let ended = behind.uploads(number, more).await;
            assert_eq!(ended.code, 0, "{misdeed:?} {more:?}: {ended:?}");
            assert!(ended.out.contains(&format!("1.0.{number}.0")), "{ended:?}");
            assert_eq!(behind.gateway.left(), 0, "{misdeed:?}");
        }
    }
    // Where the client may not try again, it looks.
    behind
        .gateway
        .spoils(&format!("POST {VERSIONS}"), Misdeed::CutAfter);
    let ended = behind.uploads(20, &["--retries", "0"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.err.contains("the answer was lost"), "{ended:?}");
    behind
        .gateway
        .spoils(&format!("POST {VERSIONS}"), Misdeed::Page(413));
    let ended = behind.uploads(21, &["--retries", "3"]).await;
    assert_eq!(ended.code, 6, "it is not there: {ended:?}");
    assert!(ended.err.contains("no answer of the service"), "{ended:?}");

    // What somebody else has uploaded stays somebody else's.
    assert_eq!(behind.uploads(20, &[]).await.code, 5);
    let other = behind.folder.path().join("20.app");
    let version = "1.0.20.0".parse().unwrap();
    let built = navx::PackageBuilder::new(APPS[0], "Sales Pack", "Contoso", version).description("other");
    std::fs::write(&other, built.to_bytes().unwrap()).unwrap();
    behind
        .gateway
        .spoils(&format!("POST {VERSIONS}"), Misdeed::Page(503));
    let ended = behind
        .fame(&["versions", "upload", other.to_str().unwrap(), "-c", "US"])
        .await;
    assert_eq!(ended.code, 15, "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_was_made_is_a_success_whatever_the_gateway_says() {
    let behind = Behind::start(Site::on(Database::Sqlite)).await;
    assert_eq!(behind.uploads(1, &["--availability", "Available"]).await.code, 0);
    let principal = "20000000-0000-4000-8000-000000000001";
    let of_principal = format!("/v1.4/apps/{APP}/principals/{principal}");
    let of_version = format!("{VERSIONS}/1.0.1.0");
    let owner = behind.service.owner();
    for misdeed in [Misdeed::PageAfter(504), Misdeed::CutAfter] {
        let body = principal_body(&["Reader"]);
        owner.patch(&of_principal, &body).await.unwrap().expect(200);
        let tag = behind.etag(&of_principal).await;
        behind.gateway.spoils(&format!("PATCH {of_principal}"), misdeed);
        let args = [
            "principals",
            "set",
            APP,
            principal,
            "--role",
            "Contributor",
            "--if-match",
            &tag,
        ];
        let ended = behind.fame(&args).await;
        assert_eq!(ended.code, 0, "{misdeed:?}: {ended:?}");
        assert!(ended.out.contains("Contributor"), "{ended:?}");

        // The same from somebody who was slower than another is none.
        let ended = behind.fame(&args).await;
        assert_eq!(ended.code, 5, "{ended:?}");

        behind.gateway.spoils(&format!("DELETE {of_principal}"), misdeed);
        let ended = behind.fame(&["principals", "remove", APP, principal]).await;
        assert_eq!(ended.code, 0, "{misdeed:?}: {ended:?}");
        let ended = behind.fame(&["principals", "remove", APP, principal]).await;
        assert_eq!(ended.code, 4, "{ended:?}");

        behind.gateway.spoils("PATCH /v1.4", misdeed);
        let ended = behind.fame(&["countries", "add", APP, "FR"]).await;
        assert_eq!(ended.code, 0, "{misdeed:?}: {ended:?}");

        let tag = behind.etag(&of_version).await;
        let word = match misdeed {
            Misdeed::CutAfter => "Available",
            _ => "Deprecated",
        };
        behind.gateway.spoils(&format!("PATCH {of_version}"), misdeed);
        let args = [
            "versions",
            "update",
            APP,
            "1.0.1.0",
            "-c",
            "US",
            "--availability",
            word,
        ];
        let ended = behind.fame(&[&args[..], &["--if-match", &tag]].concat()).await;
        assert_eq!(ended.code, 0, "{misdeed:?}: {ended:?}");
        assert_eq!(behind.gateway.left(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_changed_is_changed_whatever_the_gateway_says() {
    let behind = Behind::start(Site::on(Database::Sqlite)).await;
    let (app, home) = (APPS[1].to_string(), HOME_TENANT.to_string());
    let tenant = Environment::tenant().to_string();
    let customer = Environment::tenant().to_string();
    let put_app = [
        &[
            "apps",
            "put",
            &app,
            "--publisher",
            "Fabrikam",
            "--publisher-aad-tenant-id",
            &home,
        ][..],
        &[
            "--publisher-contact-email",
            "a@fabrikam.com",
            "--storage-location",
            "West Europe",
        ],
    ];
    let put_app = put_app.concat();
    let commands: [(&str, &[&str]); 9] = [
        ("PUT", &["freezes", "put", "scheduling", "--reason", "A trial"]),
        ("DELETE", &["freezes", "delete", "scheduling"]),
        ("PUT", &["agents", "put", "eu", "--scope-tenant", &tenant]),
        ("DELETE", &["agents", "delete", "eu"]),
        ("PUT", &["customers", "put", &customer, "--client", APP]),
        ("DELETE", &["customers", "delete", &customer]),
        ("PUT", &put_app),
        (
            "POST",
            &["environments", "release", &tenant, "Business Central", "Cronus"],
        ),
        (
            "DELETE",
            &["environments", "delete", &tenant, "Business Central", "Cronus"],
        ),
    ];
    for (method, args) in commands {
        for misdeed in [Misdeed::PageAfter(504), Misdeed::CutAfter] {
            let is_second_removal = method == "DELETE" && misdeed == Misdeed::CutAfter;
            if is_second_removal {
                // It is gone already: nothing was left open before the service said so.
                let ended = behind
                    .as_person(&Person::OPERATOR, &[&["operator"], args].concat())
                    .await;
                assert_eq!(ended.code, 4, "{args:?}: {ended:?}");
                continue;
            }
            behind.gateway.spoils(&format!("{method} /operator"), misdeed);
            let ended = behind
                .as_person(&Person::OPERATOR, &[&["operator"], args].concat())
                .await;
            assert_eq!(ended.code, 0, "{misdeed:?} {args:?}: {ended:?}");
            assert_eq!(behind.gateway.left(), 0, "{args:?}");
        }
    }
}

fn ids(ended: &Ended) -> Vec<String> {
    let rows = ended.json();
    let rows = rows.as_array().unwrap();
    rows.iter()
        .map(|row| row["id"].as_str().unwrap().to_owned())
        .collect()
}

/// Also where a service knows no idempotency keys, as the original does not.
#[tokio::test(flavor = "multi_thread")]
async fn a_hotfix_that_was_scheduled_or_canceled_is_so_whatever_the_gateway_says() {
    let behind = Behind::start(Site::on(Database::Sqlite)).await;
    assert_eq!(behind.uploads(1, &["--availability", "Available"]).await.code, 0);
    let schedule = [
        "hotfixes", "schedule", APP, "-c", "US", "--target", "1.0.1.0", "--all", "--json",
    ];
    for misdeed in [
        Misdeed::PageAfter(504),
        Misdeed::CutAfter,
        Misdeed::CutAfterWithoutKey,
    ] {
        behind.gateway.spoils(&format!("POST {HOTFIXES}"), misdeed);
        let ended = behind.fame(&schedule).await;
        assert_eq!(ended.code, 0, "{misdeed:?}: {ended:?}");
        let ids = ids(&ended);
        assert_eq!(ids.len(), 1, "{ended:?}");

        behind.gateway.spoils(&format!("PATCH {HOTFIXES}"), misdeed);
        let ended = behind
            .fame(&["hotfixes", "cancel", APP, &ids[0], "-c", "US"])
            .await;
        assert_eq!(ended.code, 0, "{misdeed:?}: {ended:?}");
        assert!(ended.out.contains("Canceled"), "{ended:?}");
        let count = behind
            .service
            .owner()
            .get(&format!("{HOTFIXES}?$filter=status eq 'Scheduled'"))
            .await;
        assert_eq!(
            count.unwrap().rows(),
            Vec::<Value>::new(),
            "none was scheduled twice"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_goes_on_through_all_that_a_gateway_says() {
    let behind = Behind::start(Site::on(Database::Sqlite).with_simulator()).await;
    assert_eq!(behind.uploads(1, &["--availability", "Available"]).await.code, 0);
    let owner = behind.service.owner();
    let hotfix = behind.environment.hotfix("1.0.1.0");
    let made = owner.post(HOTFIXES, &hotfix).await.unwrap().expect(200);
    let id = made.property("id");
    for misdeed in [404, 403, 401, 200, 307, 504].map(Misdeed::Page) {
        behind.gateway.spoils(&format!("GET {HOTFIXES}/"), misdeed);
    }
    behind
        .gateway
        .spoils(&format!("GET {HOTFIXES}/"), Misdeed::CutAfter);
    let environments = format!("GET /v1.4/apps/{APP}/countries/US/environments");
    for misdeed in [503, 404, 200].map(Misdeed::Page) {
        behind.gateway.spoils(&environments, misdeed);
    }
    let wait = [
        "hotfixes",
        "wait",
        APP,
        &id,
        "-c",
        "US",
        "--poll-interval",
        "20ms",
        "--retries",
        "0",
    ];
    let ended = behind.fame(&[&wait[..], &["--timeout", "60s"]].concat()).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.out.contains("Succeeded"), "{ended:?}");
    assert_eq!(behind.gateway.left(), 0, "{ended:?}");

    // Also while it is not known yet which hotfixes are meant.
    for misdeed in [503, 404].map(Misdeed::Page) {
        behind.gateway.spoils(&format!("GET {HOTFIXES}"), misdeed);
    }
    let by_target = ["hotfixes", "wait", APP, "-c", "US", "--target", "1.0.1.0"];
    let quick = ["--poll-interval", "20ms", "--retries", "0", "--timeout", "60s"];
    let ended = behind.fame(&[&by_target[..], &quick].concat()).await;
    assert_eq!((ended.code, behind.gateway.left()), (0, 0), "{ended:?}");

    // When the time is over, what is known is printed.
    let gone = "dddddddd-3333-4444-5555-eeeeeeeeeeee";
    for _ in 0..10_000 {
        behind.gateway.spoils(&environments, Misdeed::Page(503));
    }
    let args = [&wait[..], &[gone, "--timeout", "2s"]].concat();
    let ended = behind.fame(&args).await;
    assert_eq!(ended.code, 13, "{ended:?}");
    assert!(ended.out.contains("Succeeded"), "{ended:?}");
    assert!(ended.err.contains("Succeeded, but the version"), "{ended:?}");
    assert!(
        ended.err.contains(&format!("{gone}: 404")),
        "the service's own word counts: {ended:?}"
    );
    drop(behind.site);
}
