//! A server's development endpoint.

use crate::{
    desk::{APP, Desk, OTHER_APP, SOURCE, environment, polls, repeats, settings, version, work},
    double::{Double, Fault, Reply},
    everywhere::{Bench, everywhere},
    server::Server,
};
use agent::{
    driver::{Deployed, Driver, Weight, Work},
    drivers::devendpoint::{DevEndpoint, Settings},
};
use axum::http::Method;
use domain::{environment::EnvironmentKind, operation::FailureCause};
use serde_json::{Value, json};

everywhere!(super::DevBench);

pub(crate) struct DevBench {
    double: Double<Server>,
    desk: Desk,
    /// Settings that differ; null leaves one out.
    settings: Value,
}

impl Bench for DevBench {
    type Target = Server;

    async fn new() -> Self {
        let mut server = Server::new();
        server.extensions[1].published_as = " Dev";
        Self {
            double: Double::of(server).await,
            desk: Desk::new(),
            settings: json!({}),
        }
    }

    fn double(&self) -> &Double<Server> {
        &self.double
    }

    fn desk(&self) -> &Desk {
        &self.desk
    }

    fn settings(&mut self) -> &mut Value {
        &mut self.settings
    }

    fn driver(&self) -> Box<dyn Driver> {
        self.driver_of(EnvironmentKind::Sandbox)
    }

    fn begins(&self) -> String {
        "/dev/apps".to_owned()
    }

    fn reads(&self) -> String {
        "/extensions".to_owned()
    }

    fn polls(&self) -> String {
        "/extensions".to_owned()
    }

    fn begun(&self) -> usize {
        self.double.change(|server| server.begun)
    }

    fn knows_what_never_began() -> bool {
        false
    }

    fn sign_ins() -> usize {
        2
    }

    fn marks() -> usize {
        1
    }

    fn fill(&self, apps: usize) {
        self.double.change(|server| server.fill(apps));
    }
}

impl DevBench {
    fn driver_of(&self, kind: EnvironmentKind) -> Box<dyn Driver> {
        let common = json!({
            "credentials": self.desk.credentials(&self.double.url),
            "url": format!("{}/BC", self.double.url),
            "inventory": {"url": format!("{}/api/microsoft/automation/v2.0", self.double.url)},
            "http": self.desk.http(),
            "polls": polls(),
            "limit": if self.desk.waits_long() { "3s" } else { "700ms" },
            "repeats": repeats(),
        });
        let settings: Settings = settings(common, &self.settings);
        Box::new(DevEndpoint::new(settings, &environment(), kind).unwrap())
    }
}

#[tokio::test]
async fn a_package_is_published_with_all_that_the_server_needs_to_know() {
    let bench = DevBench::with(|server| {
        server.tenant = Some("tenant one");
        server.dependency_option = Some("strict");
    })
    .await
    .set(json!({"tenant": "tenant one", "dependencies": "strict"}));
    assert_eq!((bench.ends().await, bench.begun()), (Deployed::Done, 1));
    assert_eq!(bench.desk.steps(), ["Publish"]);
}

#[tokio::test]
async fn a_user_signs_in_with_a_password() {
    let bench = DevBench::new().await;
    let password = bench.desk.secret("password", "pa:ss wörd");
    let bench = bench.set(json!({"credentials": {"basic": {"user": "admin", "password": password}}}));
    bench
        .double
        .issuer(|issuer| issuer.basic = Some("YWRtaW46cGE6c3Mgd8O2cmQ=".to_owned()));
    assert_eq!((bench.ends().await, bench.begun()), (Deployed::Done, 1));
    assert_eq!(bench.double.issuer(|issuer| issuer.issued), 0);
}

#[tokio::test]
async fn only_what_came_from_a_developer_is_replaced() {
    for (scope, told) in [
        (" Global", "for all tenants"),
        (" PTE", "per-tenant"),
        ("", "does not tell"),
    ] {
        let bench = DevBench::with(|server| server.extensions[1].published_as = scope).await;
        let driver = bench.driver();
        let found = driver.inventory().await.unwrap();
        assert!(!driver.needs_package(&work(), found.app(APP)));
        let failure = bench.fails().await;
        assert!(
            failure.hint == Some("Scope") && failure.text.contains(told),
            "{failure}"
        );
        assert_eq!((bench.begun(), bench.desk.steps().len()), (0, 0));
    }
}

#[tokio::test]
async fn production_is_not_published_to_unless_it_is_allowed() {
    let production = Work {
        environment_kind: EnvironmentKind::Production,
        ..work()
    };
    let bench = DevBench::new().await;
    let driver = bench.driver_of(EnvironmentKind::Production);
    let ended = bench.desk.carries_out_what(&*driver, &production).await.unwrap();
    assert!(
        matches!(&ended, Deployed::Failed(failure) if failure.text.contains("allow_production")),
        "{ended:?}"
    );
    assert_eq!(bench.begun(), 0);
    assert!(
        driver
            .check()
            .await
            .iter()
            .any(|finding| finding.weight == Weight::Problem)
    );
    let bench = bench.set(json!({"allow_production": true}));
    let driver = bench.driver_of(EnvironmentKind::Production);
    let ended = bench.desk.carries_out_what(&*driver, &production).await;
    assert_eq!((ended, bench.begun()), (Some(Deployed::Done), 1));
}

#[tokio::test]
async fn refusals_are_told_with_their_cause() {
    for (status, body, cause, times) in [
        (
            422,
            r#"{"Message":"\r\nUnsupported table change: Table Customer\r\n"}"#,
            FailureCause::SchemaBreak,
            1,
        ),
        (
            422,
            r#"{"Message":"\r\nerror AL1024: A package with publisher 'Contoso' could not be loaded.\r\n"}"#,
            FailureCause::MissingDependency,
            1,
        ),
        (
            422,
            r#"{"Message":"Your program license does not allow you to publish"}"#,
            FailureCause::Permission,
            1,
        ),
        (
            422,
            r#"{"Message":"The runtime version of the extension package is 16.0 and must be set to '15.0' or earlier"}"#,
            FailureCause::RuntimeTooNew,
            1,
        ),
        (
            422,
            r#"{"Message":"Could not upgrade the NAV extension 'Sales Pack' due to the following error: 'No'"}"#,
            FailureCause::UpgradeCode,
            1,
        ),
        (
            422,
            r#"{"Message":"The extension could not be deployed because it is already deployed as a global application or a per tenant application."}"#,
            FailureCause::Other,
            1,
        ),
        (
            400,
            "A tenant was not specified, but is needed",
            FailureCause::Other,
            1,
        ),
        (404, "<html><body>Not found</body></html>", FailureCause::Other, 1),
        (
            422,
            r#"{"Message":"The operation failed to acquire a lock"}"#,
            FailureCause::Lock,
            3,
        ),
    ] {
        let bench = DevBench::new().await;
        bench.double.breaks(
            &Method::POST,
            "/dev/apps",
            9,
            Fault::Answer(Reply::text(status, body)),
        );
        let failure = bench.fails().await;
        assert_eq!(failure.cause, cause, "{failure}");
        assert_eq!(bench.double.count(&Method::POST, "/dev/apps"), times, "{failure}");
    }
}

#[tokio::test]
async fn an_empty_500_is_no_end() {
    let bench = DevBench::new().await;
    bench.double.breaks(
        &Method::POST,
        "/dev/apps",
        1,
        Fault::AnswerAfter(Reply::empty(500)),
    );
    assert_eq!((bench.ends().await, bench.begun()), (Deployed::Done, 1));
    let bench = DevBench::new().await;
    bench
        .double
        .breaks(&Method::POST, "/dev/apps", 1, Fault::Answer(Reply::empty(500)));
    let failure = bench.fails().await;
    assert!(
        failure.cause == FailureCause::TimeOut && failure.text.contains("500"),
        "{failure}"
    );
}

#[tokio::test]
async fn a_server_may_be_restarted_meanwhile() {
    let bench = DevBench::new().await.set(json!({"limit": "60s"}));
    bench
        .double
        .breaks(&Method::POST, "/dev/apps", 1, Fault::CutAfterBody { begun: true });
    let driver = bench.driver();
    let found = driver.inventory().await.unwrap();
    bench
        .double
        .breaks(&Method::GET, "/companies", 15, Fault::Answer(Reply::page(503)));
    let ended = bench.desk.goes_on(&*driver, &work(), &found).await;
    assert_eq!((ended, bench.begun()), (Some(Deployed::Done), 1));
}

#[tokio::test]
async fn what_became_of_other_apps_is_told() {
    let bench = DevBench::with(|server| {
        server.publication = |server| {
            server.install();
            server.set_app(OTHER_APP.0, None);
            Reply::empty(200)
        };
    })
    .await;
    assert_eq!(bench.ends().await, Deployed::Done);
    assert!(
        bench
            .desk
            .heard()
            .contains("Other Pack 2.0.0.0 is not installed any more"),
        "{}",
        bench.desk.heard()
    );

    let bench = DevBench::with(|server| {
        server.publication = |server| {
            server.set_app(OTHER_APP.0, Some("1.9.0.0"));
            let text = "Other Pack cannot be installed because a newer version 2.0.0.0 is already installed";
            Reply::json(422, &json!({"Message": text}))
        };
    })
    .await;
    let failure = bench.fails().await;
    assert!(
        failure.text.contains("Other Pack went from 2.0.0.0 to 1.9.0.0"),
        "{failure}"
    );
    assert_eq!(bench.begun(), 1, "what is half done is not done again");
}

#[tokio::test]
async fn an_older_version_after_success_is_for_the_runner_to_see() {
    let bench = DevBench::with(|server| server.publication = |_| Reply::empty(200)).await;
    assert_eq!(bench.ends().await, Deployed::Done);
    let found = bench.driver().inventory().await.unwrap();
    assert_eq!(found.app(APP).unwrap().version, version(SOURCE));
}

#[tokio::test]
async fn without_an_inventory_nothing_is_done() {
    let bench = DevBench::new().await.set(json!({"inventory": null}));
    let failure = bench.driver().inventory().await.unwrap_err();
    assert!(
        failure.hint == Some("Configuration") && failure.text.contains("inventory"),
        "{failure}"
    );
    assert!(
        bench
            .driver()
            .check()
            .await
            .iter()
            .any(|finding| finding.weight == Weight::Problem)
    );
    let elsewhere = DevBench::new().await;
    elsewhere
        .double
        .breaks(&Method::GET, "/companies", 9, Fault::Answer(Reply::empty(405)));
    let failure = elsewhere.driver().inventory().await.unwrap_err();
    assert_eq!(failure.cause, FailureCause::Other, "{failure}");
}

#[tokio::test]
async fn a_check_asks_without_publishing() {
    let bench = DevBench::new().await;
    let findings = bench.driver().check().await;
    assert!(
        findings.iter().all(|finding| finding.weight == Weight::Good),
        "{findings:?}"
    );
    assert_eq!(bench.begun(), 0);
}
