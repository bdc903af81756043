//! Whatever creates something creates it once: several callers who ask for the same thing at the same time, on two
//! replicas where there can be two, get one success, and nothing of the others is left.

use crate::harness::{
    APP, Answer, Backend, Caller, Environment, HOME_TENANT, Harness, Replicas, Request, at_once, bytes_of,
    on_both_databases, package, registration,
};
use serde_json::{Value, json};
use uuid::Uuid;

on_both_databases!(
    an_app_is_registered_by_one_of_those_who_would_create_it,
    an_app_that_is_registered_several_times_at_once_is_created_once,
    an_environment_is_added_by_one_of_those_who_would_create_it,
    an_environment_that_is_reported_several_times_at_once_is_created_once,
    a_country_is_added_by_one_of_those_who_would_create_it,
    a_country_that_is_added_several_times_at_once_is_created_once,
    a_principal_is_added_by_one_of_those_who_would_create_it,
    a_principal_that_is_added_several_times_at_once_is_created_once,
    a_principal_is_added_by_one_of_the_operators_who_would_create_it,
    a_version_is_uploaded_by_one_of_those_who_send_it,
    a_hotfix_is_scheduled_by_one_of_those_who_ask_for_it,
    a_hotfix_that_is_asked_for_several_times_under_one_key_is_created_once,
);

/// Callers at the same time.
const CALLERS: usize = 4;
/// How often they try.
const ROUNDS: usize = 6;

async fn replicas(backend: Backend) -> Replicas {
    Replicas::open(Harness::with(backend).setting("database.connections", 8)).await
}

/// The number of the one who got `created`. Everybody else must have got one of the other statuses.
#[track_caller]
fn winner(answers: &[Answer], created: u16, others: &[u16]) -> usize {
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    let winners: Vec<_> = (0..answers.len())
        .filter(|&number| statuses[number] == created)
        .collect();
    assert!(
        winners.len() == 1
            && statuses
                .iter()
                .all(|status| *status == created || others.contains(status)),
        "{} answered {statuses:?}: {:?}",
        answers[0].request,
        answers.iter().map(Answer::text).collect::<Vec<_>>()
    );
    winners[0]
}

/// Nobody may have been told of a fault; each must have got one of these statuses.
#[track_caller]
fn all_are(answers: &[Answer], expected: &[u16]) {
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    assert!(
        statuses.iter().all(|status| expected.contains(status)),
        "{} answered {statuses:?}: {:?}",
        answers[0].request,
        answers.iter().map(Answer::text).collect::<Vec<_>>()
    );
}

/// What the caller of this number says about an app: nobody says the same, and each names an owner of their own.
fn registration_by(number: usize) -> Value {
    let mut body = registration();
    body["publisher"] = json!(format!("Publisher {number}"));
    body["owner"] = json!({ "type": "Application", "id": owner_of(number) });
    body
}

fn owner_of(number: usize) -> Uuid {
    Uuid::new_v5(&HOME_TENANT, format!("owner {number}").as_bytes())
}

async fn an_app_is_registered_by_one_of_those_who_would_create_it(backend: Backend) {
    let replicas = replicas(backend).await;
    for _ in 0..ROUNDS {
        let app = Uuid::new_v4();
        let path = format!("/operator/v1/apps/{app}");
        let answers = at_once((0..CALLERS).map(|number| {
            let operator = replicas.at(number).operator();
            operator
                .put(&path, registration_by(number))
                .header("if-none-match", "*")
        }))
        .await;
        let winner = winner(&answers, 201, &[412]);
        let stored = replicas.at(0).operator().get(&path).await.expect(200);
        assert_eq!(stored.property("publisher"), format!("Publisher {winner}"));
        let owners = &stored.json()["owners"];
        assert_eq!(owners.as_array().unwrap().len(), 1, "{owners}");
        assert_eq!(owners[0]["id"], json!(owner_of(winner)));
        assert_eq!(answers[winner].etag(), stored.etag());
        assert_eq!(
            replicas.audit(&format!("apps/{app}"), "apps/write").await.len(),
            1
        );
        for number in 0..CALLERS {
            let target = format!("apps/{app}/principals/{}", owner_of(number));
            let grants = replicas.audit(&target, "principals/write").await;
            assert_eq!(grants.len(), usize::from(number == winner), "{target}");
        }
    }
    replicas.close().await;
}

async fn an_app_that_is_registered_several_times_at_once_is_created_once(backend: Backend) {
    let replicas = replicas(backend).await;
    for _ in 0..ROUNDS {
        let app = Uuid::new_v4();
        let path = format!("/operator/v1/apps/{app}");
        let answers = at_once(
            (0..CALLERS).map(|number| replicas.at(number).operator().put(&path, registration_by(number))),
        )
        .await;
        winner(&answers, 201, &[200]);
        let rows = replicas.audit(&format!("apps/{app}"), "apps/write").await;
        assert_eq!(rows.len(), CALLERS);
        let stored = replicas.at(0).operator().get(&path).await.expect(200);
        check_chain(&rows, &stored);
    }
    replicas.close().await;
}

/// Each change must have been made of what the one before it left, and the last is what is stored.
#[track_caller]
fn check_chain(rows: &[Value], stored: &Answer) {
    let mut states_before: Vec<_> = rows.iter().map(|row| row["before"].clone()).collect();
    let mut afters: Vec<_> = rows.iter().map(|row| row["after"].clone()).collect();
    let stored = stored.json();
    let last = afters
        .iter()
        .position(|after| {
            let after = after.as_object().unwrap();
            after.iter().all(|(name, value)| stored[name] == *value)
        })
        .unwrap_or_else(|| panic!("no change left {stored}: {rows:?}"));
    afters.swap_remove(last);
    let first = states_before.iter().position(Value::is_null).unwrap();
    states_before.swap_remove(first);
    for after in afters {
        let next = states_before.iter().position(|before| *before == after);
        let next = next.unwrap_or_else(|| panic!("{after} was overwritten unseen: {rows:?}"));
        states_before.swap_remove(next);
    }
}

/// What the operator of this number reports of an environment.
fn report_by(number: usize, name: &str) -> Environment {
    Environment::named(name).has(APP, &format!("1.0.0.{number}"))
}

async fn changes_of(replicas: &Replicas, environment: &Environment) -> Vec<Value> {
    replicas
        .audit(&environment.audited_as(), "environments/write")
        .await
}

async fn an_environment_is_added_by_one_of_those_who_would_create_it(backend: Backend) {
    let replicas = replicas(backend).await;
    for round in 0..ROUNDS {
        let name = format!("Round{round}");
        let answers = at_once((0..CALLERS).map(|number| {
            let request = replicas.at(number).operator().reports(&report_by(number, &name));
            request.header("if-none-match", "*")
        }))
        .await;
        let winner = winner(&answers, 201, &[412]);
        let environment = report_by(winner, &name);
        let stored = replicas
            .at(0)
            .operator()
            .get(environment.operator_path())
            .await
            .expect(200);
        assert_eq!(stored.json()["apps"][0]["version"], format!("1.0.0.{winner}"));
        assert_eq!(stored.header("etag"), answers[winner].header("etag"));
        assert_eq!(changes_of(&replicas, &environment).await.len(), 1);
    }
    replicas.close().await;
}

async fn an_environment_that_is_reported_several_times_at_once_is_created_once(backend: Backend) {
    let replicas = replicas(backend).await;
    for round in 0..ROUNDS {
        let name = format!("Round{round}");
        let answers = at_once(
            (0..CALLERS).map(|number| replicas.at(number).operator().reports(&report_by(number, &name))),
        )
        .await;
        winner(&answers, 201, &[200]);
        let environment = report_by(0, &name);
        let operator = replicas.at(0).operator();
        let stored = operator.get(environment.operator_path()).await.expect(200);
        let rows = changes_of(&replicas, &environment).await;
        assert_eq!(rows.len(), CALLERS);
        check_chain(&rows, &as_audited(stored));
    }
    replicas.close().await;
}

/// An environment with its apps as the audit shows them.
fn as_audited(environment: Answer) -> Answer {
    let mut body = environment.json();
    for app in body["apps"].as_array_mut().unwrap() {
        *app = json!({ "id": app["id"], "version": app["version"] });
    }
    Answer {
        body: body.to_string().into(),
        ..environment
    }
}

const COUNTRIES: [&str; ROUNDS] = ["DE", "FR", "GB", "NL", "BE", "DK"];

async fn a_country_is_added_by_one_of_those_who_would_create_it(backend: Backend) {
    let replicas = replicas(backend).await;
    for code in COUNTRIES {
        let answers = at_once((0..CALLERS).map(|number| {
            let request = replicas.at(number).owner().adds_country(code);
            request.header("if-none-match", "*")
        }))
        .await;
        let winner = winner(&answers, 200, &[412]);
        let stored = country_added_once(&replicas, code).await;
        assert_eq!(stored.etag(), answers[winner].etag());
    }
    replicas.close().await;
}

async fn a_country_that_is_added_several_times_at_once_is_created_once(backend: Backend) {
    let replicas = replicas(backend).await;
    for code in COUNTRIES {
        let answers =
            at_once((0..CALLERS).map(|number| replicas.at(number).owner().adds_country(code))).await;
        all_are(&answers, &[200]);
        let stored = country_added_once(&replicas, code).await;
        for answer in answers {
            assert_eq!(answer.etag(), stored.etag());
        }
    }
    replicas.close().await;
}

/// A country as it is stored, which only one change may have recorded.
async fn country_added_once(replicas: &Replicas, code: &str) -> Answer {
    let target = format!("apps/{APP}/countries/{code}");
    assert_eq!(replicas.audit(&target, "countries/write").await.len(), 1);
    let owner = replicas.at(0).owner();
    owner.get(format!("/v1.4/{target}")).await.expect(200)
}

/// The roles that the caller of this number gives.
const ROLES: [&str; CALLERS] = ["Reader", "Contributor", "Owner", "Reader"];

fn grant_by(number: usize) -> Value {
    json!({ "type": "Application", "roles": [ROLES[number]] })
}

async fn a_principal_is_added_by_one_of_those_who_would_create_it(backend: Backend) {
    one_adds_a_principal(backend, |replica, target, grant| {
        replica.owner().patch(format!("/v1.4/{target}"), grant)
    })
    .await;
}

async fn a_principal_is_added_by_one_of_the_operators_who_would_create_it(backend: Backend) {
    one_adds_a_principal(backend, |replica, target, grant| {
        replica.operator().put(format!("/operator/v1/{target}"), grant)
    })
    .await;
}

async fn one_adds_a_principal(backend: Backend, adding: impl Fn(&Harness, &str, Value) -> Request) {
    let replicas = replicas(backend).await;
    for _ in 0..ROUNDS {
        let target = format!("apps/{APP}/principals/{}", Uuid::new_v4());
        let answers = at_once((0..CALLERS).map(|number| {
            let request = adding(replicas.at(number), &target, grant_by(number));
            request.header("if-none-match", "*")
        }))
        .await;
        let winner = winner(&answers, 200, &[412]);
        let path = format!("/v1.4/{target}");
        let stored = replicas.at(0).owner().get(path).await.expect(200);
        assert_eq!(stored.json()["roles"], json!([ROLES[winner]]));
        assert_eq!(stored.etag(), answers[winner].etag());
        assert_eq!(replicas.audit(&target, "principals/write").await.len(), 1);
    }
    replicas.close().await;
}

async fn a_principal_that_is_added_several_times_at_once_is_created_once(backend: Backend) {
    let replicas = replicas(backend).await;
    for _ in 0..ROUNDS {
        let id = Uuid::new_v4();
        let path = format!("/v1.4/apps/{APP}/principals/{id}");
        let answers =
            at_once((0..CALLERS).map(|number| replicas.at(number).owner().patch(&path, grant_by(number))))
                .await;
        all_are(&answers, &[200]);
        let rows = replicas
            .audit(&format!("apps/{APP}/principals/{id}"), "principals/write")
            .await;
        let created = rows.iter().filter(|row| row["before"].is_null()).count();
        assert_eq!(created, 1, "{rows:?}");
        let stored = replicas.at(0).owner().get(path).await.expect(200);
        let roles = |row: &Value| row["after"]["roles"] == stored.json()["roles"];
        assert!(rows.iter().any(roles), "{rows:?}");
    }
    replicas.close().await;
}

async fn a_version_is_uploaded_by_one_of_those_who_send_it(backend: Backend) {
    let replicas = replicas(backend).await;
    for round in 0..ROUNDS {
        let version = format!("1.0.{round}.0");
        let by = |number: usize| package(&version).brief(&format!("Build {number}"));
        let answers = at_once((0..CALLERS).map(|number| {
            replicas
                .at(number)
                .contributor()
                .uploads(&by(number), "Available")
        }))
        .await;
        let winner = winner(&answers, 200, &[409]);
        for answer in answers.iter().filter(|answer| answer.status == 409) {
            assert!(
                ["ResourceExists", "UploadInProgress"].contains(&answer.code().as_str()),
                "{answer:?}"
            );
        }
        let owner = replicas.at(0).owner();
        let stored = owner.version(&version).await.expect(200);
        assert_eq!(stored.property("status"), "Uploaded");
        assert_eq!(stored.etag(), answers[winner].etag());
        let path = owner.us(&format!("versions/{version}/getPackageContents"));
        assert!(owner.get(path).await.expect(200).body == bytes_of(&by(winner)));
        let target = format!("apps/{APP}/countries/US/versions/{version}");
        assert_eq!(replicas.audit(&target, "versions/upload").await.len(), 1);
        let failed = replicas.audit(&target, "versions/uploadFailed").await;
        assert!(failed.is_empty(), "{failed:?}");
    }
    let staged = || replicas.at(0).staged_files();
    let state = replicas.at(0);
    state
        .until("staging is empty", async || staged().is_empty())
        .await;
    assert_eq!(state.stored_packages().len(), ROUNDS);
    replicas.close().await;
}

/// Versions of which each caller asks for another.
async fn ready_for_hotfixes(replicas: &Replicas) -> Vec<String> {
    let targets: Vec<_> = (0..CALLERS).map(|number| format!("1.0.1.{number}")).collect();
    for target in &targets {
        replicas.at(0).owner().has_uploaded(target).await;
    }
    targets
}

async fn has_environment(operator: &Caller, round: usize) -> Environment {
    let environment = Environment::named(&format!("Round{round}")).has(APP, "1.0.0.0");
    operator.reports(&environment).await.expect(201);
    environment
}

async fn hotfixes_of(replicas: &Replicas, environment: &Environment) -> Vec<Value> {
    let owner = replicas.at(0).owner();
    let filter = format!("$filter=environmentName eq '{}'", environment.name);
    let path = owner.us(&format!("environmentHotfixes?{filter}"));
    owner.get(path).await.expect(200).rows()
}

async fn a_hotfix_is_scheduled_by_one_of_those_who_ask_for_it(backend: Backend) {
    let replicas = replicas(backend).await;
    let targets = ready_for_hotfixes(&replicas).await;
    for round in 0..ROUNDS {
        let environment = has_environment(&replicas.at(0).operator(), round).await;
        let answers = at_once(targets.iter().enumerate().map(|(number, target)| {
            replicas
                .at(number)
                .contributor()
                .schedules(&environment, target)
                .header("idempotency-key", format!("{round} of {number}"))
        }))
        .await;
        let winner = winner(&answers, 200, &[400]);
        for answer in answers.iter().filter(|answer| answer.status == 400) {
            assert_eq!(answer.reason(), "AlreadyScheduled", "{answer:?}");
        }
        let rows = hotfixes_of(&replicas, &environment).await;
        assert_eq!(rows.len(), 1, "{rows:?}");
        assert_eq!(rows[0]["targetAppVersion"], json!(targets[winner]));
        let target = format!(
            "apps/{APP}/countries/US/environmentHotfixes/{}",
            answers[winner].property("id")
        );
        let written = replicas.audit(&target, "environmentHotfixes/write").await;
        assert_eq!(written.len(), 1, "{written:?}");
    }
    replicas.close().await;
}

async fn a_hotfix_that_is_asked_for_several_times_under_one_key_is_created_once(backend: Backend) {
    let replicas = replicas(backend).await;
    let targets = ready_for_hotfixes(&replicas).await;
    for round in 0..ROUNDS {
        let environment = has_environment(&replicas.at(0).operator(), round).await;
        let answers = at_once((0..CALLERS).map(|number| {
            replicas
                .at(number)
                .contributor()
                .schedules(&environment, &targets[0])
                .header("idempotency-key", format!("round {round}"))
        }))
        .await;
        all_are(&answers, &[200]);
        let id = answers[0].property("id");
        for answer in &answers {
            assert_eq!(answer.property("id"), id);
        }
        let rows = hotfixes_of(&replicas, &environment).await;
        assert_eq!(rows.len(), 1, "{rows:?}");
        let target = format!("apps/{APP}/countries/US/environmentHotfixes/{id}");
        let written = replicas.audit(&target, "environmentHotfixes/write").await;
        assert_eq!(written.len(), 1, "{written:?}");
    }
    replicas.close().await;
}
