//! What customers ask for, carried out: installs, updates and uninstalls, alone and in plans. On both databases.

use super::{
    NOW, TENANT,
    fleet::{
        FROM, Fleet, LEASE, OPEN, TO, app, claim, everywhere, key, on_both_databases, schedule, success,
    },
    owner_asks, us,
};
use crate::{
    actions::{
        audit::Actor,
        environments::get_registered_environment,
        events,
        execution::{self, Claimed, Outcome, Report, end_lost, reschedule},
        hotfixes::get_hotfix,
    },
    error::Error,
    jobs::events::{Delivery, TelemetryLog},
    telemetry::tests::Captured,
};
use domain::{
    ids::{AppId, OperationId},
    operation::{OperationKind, OperationStatus},
    principal::CallerKind,
    problem::{Code, RuleError},
    version::{AppVersion, Availability, Dependency},
};
use std::sync::Arc;
use store::{
    environments::Environment,
    freezes::{Freeze, save_freeze},
    hotfixes::{Operation, insert_operation},
};

const NEXT_LINE: AppVersion = AppVersion([17, 0, 0, 0]);

async fn environment(fleet: &Fleet) -> Environment {
    let found = get_registered_environment(fleet.service(), &key(0)).await;
    found.unwrap().0.environment
}

/// What is installed, by app.
async fn installed(fleet: &Fleet) -> Vec<(AppId, AppVersion)> {
    let (_, apps) = get_registered_environment(fleet.service(), &key(0))
        .await
        .unwrap();
    apps.into_iter().map(|app| (app.app_id, app.version)).collect()
}

fn needs(number: usize) -> Dependency {
    Dependency {
        app_id: app(number),
        name: format!("App {number}"),
        publisher: "Contoso".into(),
        min_version: FROM,
        incompatible_from: None,
        is_implied: false,
    }
}

/// One change of one app, as a customer asks for it.
#[derive(Clone, Copy)]
struct Asked {
    kind: OperationKind,
    of: usize,
    to: AppVersion,
    for_the_sake_of: Option<OperationId>,
}

fn asked(kind: OperationKind, of: usize) -> Asked {
    Asked {
        kind,
        of,
        to: TO,
        for_the_sake_of: None,
    }
}

async fn asks(fleet: &Fleet, asked: Asked) -> Operation {
    asks_as(fleet, OperationId::new_ordered(), asked).await
}

async fn asks_as(fleet: &Fleet, id: OperationId, asked: Asked) -> Operation {
    let environment = environment(fleet).await;
    let Asked { kind, of, to, .. } = asked;
    let operation = Operation {
        id,
        kind,
        app_id: app(of),
        app_name: Some("Sales".into()),
        app_publisher: Some("Contoso".into()),
        country_code: us(),
        environment_id: environment.id,
        tenant_id: TENANT,
        family: environment.family.clone(),
        environment_name: environment.name.clone(),
        environment_kind: environment.kind,
        source_version: (kind != OperationKind::Install).then_some(FROM),
        target_version: (kind != OperationKind::Uninstall).then_some(to),
        status: OperationStatus::Scheduled,
        ignore_window: true,
        run_after: fleet.now(),
        created_on: fleet.now(),
        created_by: "User/customer".into(),
        started_on: None,
        completed_on: None,
        ended_on: None,
        error_message: None,
        reason: None,
        lease_id: None,
        lease_until: None,
        package_sha256: None,
        package_size: None,
        agent_id: None,
        agent_name: None,
        progress_percent: None,
        progress_step: None,
        progress_text: None,
        progress_on: None,
        failure_cause: None,
        downloads: None,
        created_by_object_id: None,
        created_by_kind: CallerKind::User,
        created_by_name: None,
        canceled_by: None,
        canceled_by_name: None,
        parent_id: asked.for_the_sake_of,
        allow_preview: false,
        allow_dependencies: true,
        allow_dependents: true,
        delete_data: false,
        accept_eula: true,
        language_id: None,
        asked_run_after: None,
        postponed_on: None,
        postponed_by: None,
        postpone_reason: None,
        rollout_id: None,
    };
    let input = (operation.clone(), environment, fleet.now());
    let added = fleet.db().write(input, |mut tx, (operation, environment, now)| {
        Box::pin(async move {
            insert_operation(&mut tx, operation).await?;
            reschedule(&mut tx, &[environment], *now).await
        })
    });
    added.await.unwrap();
    operation
}

async fn row(fleet: &Fleet, id: OperationId) -> Operation {
    let sql = format!("SELECT {} FROM operations t WHERE t.id = $1", Operation::COLUMNS);
    fleet.db().query(sql).bind(id).fetch_one().await.unwrap()
}

async fn ends(fleet: &Fleet, claimed: &Claimed, outcome: Outcome) -> Operation {
    let report = Report {
        outcome,
        ..success(claimed)
    };
    let (operation, _) = execution::finish(fleet.service(), &everywhere(), report)
        .await
        .unwrap();
    operation
}

fn failure() -> Outcome {
    Outcome::Failed {
        message: "It broke.".into(),
        cause: None,
        in_full: None,
    }
}

/// Takes on the one operation that is next.
async fn takes_on(fleet: &Fleet) -> Claimed {
    let mut claimed = fleet.claims(3).await;
    assert_eq!(claimed.len(), 1);
    claimed.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_install_adds_an_update_changes_and_an_uninstall_removes_what_is_installed() {
    on_both_databases(|fleet| async move {
        fleet.has_apps(2).await;
        fleet
            .has_version_with(app(0), NEXT_LINE, Availability::Available, &[])
            .await;
        fleet.has_environment(0, 1, OPEN).await;
        let before = environment(&fleet).await.etag;

        asks(&fleet, asked(OperationKind::Install, 1)).await;
        let claimed = takes_on(&fleet).await;
        let Operation {
            source_version,
            package_sha256,
            ..
        } = claimed.operation;
        assert_eq!((source_version, package_sha256), (None, Some([0; 32])));
        ends(&fleet, &claimed, Outcome::Succeeded).await;
        assert_eq!(installed(&fleet).await, [(app(0), FROM), (app(1), TO)]);
        assert_ne!(environment(&fleet).await.etag, before);

        // To another line, which no hotfix does.
        let update = Asked {
            to: NEXT_LINE,
            ..asked(OperationKind::Update, 0)
        };
        asks(&fleet, update).await;
        let claimed = takes_on(&fleet).await;
        ends(&fleet, &claimed, Outcome::Succeeded).await;
        assert_eq!(installed(&fleet).await, [(app(0), NEXT_LINE), (app(1), TO)]);

        asks(&fleet, asked(OperationKind::Uninstall, 1)).await;
        let claimed = takes_on(&fleet).await;
        let operation = &claimed.operation;
        assert_eq!(
            (operation.source_version, operation.package_sha256),
            (Some(TO), None)
        );
        ends(&fleet, &claimed, failure()).await;
        assert_eq!(installed(&fleet).await.len(), 2, "what failed changes nothing");
        asks(&fleet, asked(OperationKind::Uninstall, 1)).await;
        let claimed = takes_on(&fleet).await;
        ends(&fleet, &claimed, Outcome::Succeeded).await;
        assert_eq!(installed(&fleet).await, [(app(0), NEXT_LINE)]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inventory_that_knows_better_is_not_overruled() {
    on_both_databases(|fleet| async move {
        fleet.has_apps(1).await;
        fleet.has_environment(0, 1, OPEN).await;
        asks(&fleet, asked(OperationKind::Uninstall, 0)).await;
        let claimed = takes_on(&fleet).await;
        // Somebody else installs a newer one meanwhile.
        let newer = "UPDATE installations SET version = $1, version_key = $2";
        fleet
            .damages(newer, vec![NEXT_LINE.to_string().into(), NEXT_LINE.into()])
            .await;
        ends(&fleet, &claimed, Outcome::Succeeded).await;
        assert_eq!(installed(&fleet).await, [(app(0), NEXT_LINE)]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_carried_out_in_its_order_and_uninstalls_go_dependents_first() {
    on_both_databases(|fleet| async move {
        fleet.has_apps(3).await;
        fleet.has_environment(0, 3, OPEN).await;
        // Asked for in the wrong order, apart from each other: app 1 needs app 0, and app 2 needs app 1.
        fleet
            .has_version_with(app(1), NEXT_LINE, Availability::Available, &[needs(0)])
            .await;
        fleet
            .has_version_with(app(2), NEXT_LINE, Availability::Available, &[needs(1)])
            .await;
        let sql = "UPDATE installations SET version = '17.0.0.0', version_key = $2 WHERE app_id = $1";
        for number in [1, 2] {
            fleet
                .damages(sql, vec![app(number).into(), NEXT_LINE.into()])
                .await;
        }
        let mut asked_for = Vec::new();
        for number in 0..3 {
            asked_for.push(asks(&fleet, asked(OperationKind::Uninstall, number)).await.id);
        }
        let mut order = Vec::new();
        for _ in 0..3 {
            let claimed = takes_on(&fleet).await;
            order.push(claimed.operation.id);
            ends(&fleet, &claimed, Outcome::Succeeded).await;
        }
        asked_for.reverse();
        assert_eq!(order, asked_for);
        assert!(installed(&fleet).await.is_empty());

        // A plan: what the app needs, then the app.
        let [first, second] = [0, 1].map(|_| OperationId::new_ordered());
        let needed = Asked {
            for_the_sake_of: Some(second),
            to: FROM,
            ..asked(OperationKind::Install, 0)
        };
        asks_as(&fleet, first, needed).await;
        let wanted = Asked {
            to: NEXT_LINE,
            ..asked(OperationKind::Install, 1)
        };
        asks_as(&fleet, second, wanted).await;
        for expected in [first, second] {
            let claimed = takes_on(&fleet).await;
            assert_eq!(claimed.operation.id, expected);
            ends(&fleet, &claimed, Outcome::Succeeded).await;
        }
        assert_eq!(installed(&fleet).await, [(app(0), FROM), (app(1), NEXT_LINE)]);
    })
    .await;
}

/// A plan of three, the last of which is what was asked for: its identities in order.
async fn has_plan(fleet: &Fleet) -> [OperationId; 3] {
    let ids = [0, 1, 2].map(|_| OperationId::new_ordered());
    for (of, id) in ids.into_iter().enumerate() {
        let part = Asked {
            for_the_sake_of: (id != ids[2]).then_some(ids[2]),
            ..asked(OperationKind::Update, of)
        };
        asks_as(fleet, id, part).await;
    }
    ids
}

async fn is_skipped_for(fleet: &Fleet, id: OperationId, cause: OperationId) {
    let skipped = row(fleet, id).await;
    assert_eq!(skipped.status, OperationStatus::Skipped);
    assert_eq!(skipped.reason.as_deref(), Some("PartFailed"));
    let message = skipped.error_message.unwrap();
    assert!(message.starts_with("PartFailed: "), "{message}");
    assert!(message.contains(&cause.to_string()), "{message}");
    assert_eq!(skipped.completed_on, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_part_of_a_plan_does_not_come_about_the_rest_is_skipped_and_names_it() {
    on_both_databases(|fleet| async move {
        fleet.has_apps(4).await;
        fleet.has_environment(0, 4, OPEN).await;

        // It fails.
        let [first, second, last] = has_plan(&fleet).await;
        let other = asks(&fleet, asked(OperationKind::Update, 3)).await.id;
        let claimed = takes_on(&fleet).await;
        assert_eq!(claimed.operation.id, first);
        ends(&fleet, &claimed, failure()).await;
        is_skipped_for(&fleet, second, first).await;
        is_skipped_for(&fleet, last, first).await;
        let claimed = takes_on(&fleet).await;
        assert_eq!(claimed.operation.id, other, "what was asked for apart goes on");
        ends(&fleet, &claimed, Outcome::Succeeded).await;

        // It makes no sense any more when its turn comes.
        let [first, second, last] = has_plan(&fleet).await;
        let deprecated =
            "UPDATE versions SET availability = 'Deprecated' WHERE app_id = $1 AND version = '16.0.0.2'";
        fleet.damages(deprecated, vec![app(1).into()]).await;
        let claimed = takes_on(&fleet).await;
        assert_eq!(claimed.operation.id, first);
        ends(&fleet, &claimed, Outcome::Succeeded).await;
        assert!(fleet.claims(3).await.is_empty());
        let skipped = row(&fleet, second).await;
        assert_eq!(skipped.reason.as_deref(), Some("TargetDeprecated"));
        is_skipped_for(&fleet, last, second).await;
        assert_eq!(environment(&fleet).await.due_on, None);

        // Nobody knows what became of it.
        let offered =
            "UPDATE versions SET availability = 'Available' WHERE app_id = $1 AND version = '16.0.0.2'";
        fleet.damages(offered, vec![app(1).into()]).await;
        let down = "UPDATE installations SET version = '16.0.0.1', version_key = $2 WHERE app_id = $1";
        fleet.damages(down, vec![app(0).into(), FROM.into()]).await;
        let [first, second, last] = has_plan(&fleet).await;
        assert_eq!(takes_on(&fleet).await.operation.id, first);
        fleet.advance(i64::try_from(LEASE.as_secs()).unwrap() + 1);
        assert_eq!(end_lost(fleet.service()).await.unwrap(), 1);
        is_skipped_for(&fleet, second, first).await;
        is_skipped_for(&fleet, last, first).await;
        let changed = fleet.count("audit WHERE action = 'operations/end' AND target LIKE 'environments/%'");
        assert_eq!(
            changed.await,
            10,
            "each ending is written down at the environment"
        );
    })
    .await;
}

/// What the log's telemetry is told, as (event, app).
async fn logged(fleet: &Fleet) -> Vec<(String, String)> {
    let (captured, _listening) = Captured::listening();
    let delivery = Delivery::new(Arc::clone(fleet.service()), TelemetryLog);
    assert!(delivery.catch_up().await.unwrap());
    let text = |line: &serde_json::Value, name: &str| line[name].as_str().unwrap_or_default().to_owned();
    let lines = captured.lines();
    let told = lines.iter().filter(|line| line["target"] == "fame::telemetry");
    told.map(|line| (text(line, "eventId"), text(line, "extensionId")))
        .collect()
}

#[tokio::test]
async fn each_step_of_what_customers_ask_for_is_told_of() {
    on_both_databases(|fleet| async move {
        fleet.has_apps(3).await;
        fleet.has_environment(0, 1, OPEN).await;
        let ids = [0, 1].map(|_| OperationId::new_ordered());
        let needed = Asked {
            for_the_sake_of: Some(ids[1]),
            ..asked(OperationKind::Install, 1)
        };
        let needed = asks_as(&fleet, ids[0], needed).await;
        let wanted = asks_as(&fleet, ids[1], asked(OperationKind::Update, 0)).await;
        let now = fleet.now();
        let emitted = fleet
            .db()
            .write((needed, wanted), move |mut tx, (needed, wanted)| {
                let by = Actor::Service("test");
                Box::pin(async move { events::emit(&mut tx, by, now, [needed, wanted]).await })
            });
        emitted.await.unwrap();
        let first = takes_on(&fleet).await;
        ends(&fleet, &first, Outcome::Succeeded).await;
        let second = takes_on(&fleet).await;
        ends(&fleet, &second, failure()).await;
        asks(&fleet, asked(OperationKind::Uninstall, 1)).await;
        let third = takes_on(&fleet).await;
        ends(&fleet, &third, Outcome::Succeeded).await;
        asks(&fleet, asked(OperationKind::Uninstall, 1)).await;
        assert!(fleet.claims(1).await.is_empty());

        let (updated, installed) = (app(0).to_string(), app(1).to_string());
        let expected = [
            ("LC0161", &installed),
            ("LC0166", &updated),
            ("LC0167", &updated),
            ("LC0163", &installed),
            ("LC0164", &installed),
            ("LC0169", &updated),
            ("LC0171", &updated),
            ("fame.uninstall.started", &installed),
            ("fame.uninstall.succeeded", &installed),
            ("fame.uninstall.skipped", &installed),
        ];
        let expected = expected.map(|(event, app)| (event.to_owned(), app.clone()));
        assert_eq!(logged(&fleet).await, expected);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_plan_begins_before_all_of_it_can() {
    on_both_databases(|fleet| async move {
        fleet.has_apps(3).await;
        fleet.has_environment(0, 3, OPEN).await;
        let [first, ..] = has_plan(&fleet).await;
        let freeze = Freeze {
            subject: format!("app:{}", app(2)).parse().unwrap(),
            reason: "No.".into(),
            frozen_on: NOW,
            frozen_by: "operator".into(),
            etag: domain::ids::Etag::random(),
        };
        let frozen = fleet.db().write(freeze, |mut tx, freeze| {
            Box::pin(async move { save_freeze(&mut tx, freeze).await })
        });
        frozen.await.unwrap();
        assert!(fleet.claims(3).await.is_empty());
        let thawed = fleet.db().write((), |mut tx, ()| {
            Box::pin(async move { tx.query("DELETE FROM freezes").execute().await.map(drop) })
        });
        thawed.await.unwrap();
        fleet.advance(61);
        assert_eq!(takes_on(&fleet).await.operation.id, first);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_is_asked_again_when_its_time_has_come() {
    on_both_databases(|fleet| async move {
        fleet.has_apps(3).await;
        fleet.has_environment(0, 2, OPEN).await;
        let reason = async |asked: Asked| {
            let id = asks(&fleet, asked).await.id;
            let claimed = fleet.claims(3).await;
            for one in &claimed {
                ends(&fleet, one, failure()).await;
            }
            row(&fleet, id).await.reason.unwrap()
        };
        assert_eq!(reason(asked(OperationKind::Install, 0)).await, "AlreadyInstalled");
        assert_eq!(reason(asked(OperationKind::Update, 2)).await, "AppUninstalled");
        assert_eq!(reason(asked(OperationKind::Uninstall, 2)).await, "AppUninstalled");
        let unknown = Asked {
            to: NEXT_LINE,
            ..asked(OperationKind::Install, 2)
        };
        assert_eq!(reason(unknown).await, "TargetMissing");

        fleet
            .has_version_with(app(2), NEXT_LINE, Availability::Preview, &[])
            .await;
        assert_eq!(reason(unknown).await, "TargetBecamePreview");
        fleet
            .has_version_with(app(1), NEXT_LINE, Availability::Available, &[needs(0)])
            .await;
        let there = "UPDATE installations SET version = '17.0.0.0', version_key = $2 WHERE app_id = $1";
        fleet.damages(there, vec![app(1).into(), NEXT_LINE.into()]).await;
        assert_eq!(
            reason(asked(OperationKind::Uninstall, 0)).await,
            "DependentsInstalled"
        );
        assert_eq!(reason(asked(OperationKind::Update, 1)).await, "AlreadyUpToDate");
        let keeps = "UPDATE installations SET can_be_uninstalled = FALSE WHERE app_id = $1";
        fleet.damages(keeps, vec![app(1).into()]).await;
        assert_eq!(
            reason(asked(OperationKind::Uninstall, 1)).await,
            "AppCannotBeUninstalled"
        );
        let later = AppVersion([18, 0, 0, 0]);
        fleet
            .has_version_with(app(0), later, Availability::Available, &[needs(2)])
            .await;
        let update = Asked {
            to: later,
            ..asked(OperationKind::Update, 0)
        };
        let whole = "UPDATE environments SET inventory_complete = TRUE";
        fleet.damages(whole, Vec::new()).await;
        assert_eq!(reason(update).await, "DependenciesUnmet");
        assert_eq!(
            reason(asked(OperationKind::Update, 0)).await,
            "Reported",
            "this one begins"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_given_only_what_it_says_it_carries_out() {
    on_both_databases(|fleet| async move {
        fleet.has_apps(2).await;
        fleet.has_environment(0, 2, OPEN).await;
        let uninstall = asks(&fleet, asked(OperationKind::Uninstall, 1)).await;
        let takes = async |kinds: &[OperationKind]| {
            let claimed = execution::claim(fleet.service(), &everywhere(), kinds, 3, LEASE).await;
            claimed
                .unwrap()
                .into_iter()
                .map(|one| one.operation.id)
                .collect::<Vec<_>>()
        };
        let old = [OperationKind::Hotfix];
        assert_eq!(takes(&old).await, []);
        assert_eq!(
            takes(OperationKind::ALL).await,
            [],
            "it is looked at again after a minute"
        );
        let hotfix = schedule(fleet.service(), 0, 0).await.unwrap();
        assert_eq!(takes(&old).await, [hotfix.id], "it is in nobody's way");
        let report = Report {
            id: hotfix.id,
            lease_id: fleet.looks_at(app(0), hotfix.id).await.lease_id.unwrap(),
            outcome: Outcome::Succeeded,
        };
        execution::finish(fleet.service(), &everywhere(), report)
            .await
            .unwrap();
        fleet.advance(61);
        assert_eq!(takes(OperationKind::ALL).await, [uninstall.id]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vendor_sees_of_what_a_customer_does_that_the_place_is_taken() {
    on_both_databases(|fleet| async move {
        fleet.has_apps(1).await;
        fleet.has_environment(0, 1, OPEN).await;
        let update = asks(&fleet, asked(OperationKind::Update, 0)).await;
        let Err(Error::Rule(refused)) = schedule(fleet.service(), 0, 0).await else {
            panic!("it was scheduled");
        };
        let RuleError { details, message, .. } = &refused;
        assert_eq!(details[0].code, "AlreadyScheduled");
        assert!(message.contains("already been scheduled"), "{message}");
        assert!(message.contains(&update.id.to_string()), "{message}");
        let Err(Error::Rule(hidden)) =
            get_hotfix(fleet.service(), &owner_asks(), app(0), us(), update.id).await
        else {
            panic!("it is shown");
        };
        assert_eq!(hidden.code, Code::ResourceDoesNotExist);
        let claimed = claim(fleet.service(), 1).await.unwrap();
        assert_eq!(claimed[0].operation.id, update.id);
    })
    .await;
}
