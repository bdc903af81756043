//! What customers change in their environments: all of a plan or nothing, one winner for each slot, and no way past the
//! operator.

use super::{
    TENANT,
    fleet::{
        FROM, Fleet, OPEN, TO, app, claim, everywhere, finish_all, key, on_both_databases, schedule, success,
    },
    owner_asks, us,
};
use crate::{
    actions::{
        Arrival, Service,
        customers::{
            Customer,
            apps::{available_updates, install_app, uninstall_app, uninstall_requirements, update_app},
            operations::{Which, cancel_operation, postpone_hotfix},
            reading::EnvironmentName,
            settings::put_cadence,
        },
        freezes::{delete_freeze, put_freeze},
        hotfixes::get_hotfix,
        preconditions::Preconditions,
    },
    error::{Error, Result},
    telemetry::tests::Captured,
};
use domain::{
    environment::UpdateCadence,
    freeze::Frozen,
    ids::{AppId, OperationId, PrincipalId, TenantId},
    instant::{Instant, TICKS_PER_SECOND},
    operation::{OperationKind, OperationStatus},
    principal::CallerKind,
    problem::{Code, RuleError},
    version::{AppVersion, Availability, Dependency},
};
use serde_json::json;
use std::sync::Arc;
use store::{
    environments::{Environment, find_environment},
    hotfixes::{Operation, OperationsOf, operations_of},
};
use test_support::postgres_cluster;
use tokio::task::JoinSet;
use uuid::Uuid;
use wire::{
    admin_center::{CadenceRequest, InstallRequest, UninstallRequest, UpdateRequest},
    operator::FreezeRequest,
};

const NEWEST: AppVersion = AppVersion([17, 0, 0, 0]);
const PERSON: PrincipalId = PrincipalId(Uuid::from_u128(0xE));

fn administrator_of(tenant_id: TenantId) -> Customer {
    Customer {
        tenant_id,
        kind: CallerKind::User,
        id: PERSON,
        object_id: None,
        partner_tenant_id: None,
        has_administrator_role: true,
        name: Some("Adele Vance".into()),
        address: Some("admin@contoso.com".into()),
        arrival: Arrival::direct(),
    }
}

fn administrator() -> Customer {
    administrator_of(TENANT)
}

fn needs(number: usize, min_version: AppVersion, incompatible_from: Option<AppVersion>) -> Dependency {
    Dependency {
        app_id: app(number),
        name: format!("App {number}"),
        publisher: "Contoso".into(),
        min_version,
        incompatible_from,
        is_implied: false,
    }
}

fn to_install(target_version: Option<AppVersion>) -> InstallRequest {
    InstallRequest {
        target_version,
        allow_preview: false,
        allow_dependencies: true,
        use_window: false,
        accept_eula: true,
        language_id: Some("da-DK".into()),
        ignored: vec!["doNotSaveData".into()],
    }
}

fn to_update(target_version: AppVersion) -> UpdateRequest {
    UpdateRequest {
        target_version,
        allow_preview: false,
        allow_dependencies: true,
        use_window: true,
        ignored: Vec::new(),
    }
}

fn to_uninstall(allow_dependents: bool, delete_data: bool) -> UninstallRequest {
    UninstallRequest {
        allow_dependents,
        delete_data,
        use_window: false,
        ignored: Vec::new(),
    }
}

fn problem<T: std::fmt::Debug>(answer: Result<T>) -> RuleError {
    match answer.unwrap_err() {
        Error::Rule(problem) => problem,
        other => panic!("{other:?}"),
    }
}

fn reason<T: std::fmt::Debug>(answer: Result<T>) -> String {
    let problem = problem(answer);
    let reason = problem.details.first().map(|detail| detail.code.clone());
    reason.unwrap_or_else(|| problem.code.to_string())
}

impl Fleet {
    async fn environment(&self, number: usize) -> Environment {
        find_environment(self.db(), &key(number)).await.unwrap().unwrap()
    }

    /// All operations there, the first asked for first.
    async fn operations(&self) -> Vec<Operation> {
        let mut found = operations_of(self.db(), TENANT, OperationsOf::Tenant)
            .await
            .unwrap();
        found.sort_by_key(|operation| operation.id);
        found
    }

    async fn updates(&self, of: usize, request: UpdateRequest) -> Result<Operation> {
        let environment = self.environment(0).await;
        update_app(self.service(), &administrator(), &environment, app(of), request).await
    }

    async fn installs(&self, of: usize, request: InstallRequest) -> Result<Operation> {
        let environment = self.environment(0).await;
        install_app(self.service(), &administrator(), &environment, app(of), request).await
    }

    async fn uninstalls(&self, of: usize, request: UninstallRequest) -> Result<Operation> {
        let environment = self.environment(0).await;
        uninstall_app(self.service(), &administrator(), &environment, app(of), request).await
    }

    async fn cancels(&self, which: Which) -> Result<Operation> {
        let environment = self.environment(0).await;
        cancel_operation(self.service(), &administrator(), &environment, which, Vec::new()).await
    }

    async fn postpones(&self, id: OperationId, until: Instant) -> Result<Operation> {
        let environment = self.environment(0).await;
        let reason = "Closing of the year".into();
        postpone_hotfix(self.service(), &administrator(), &environment, id, until, reason).await
    }

    async fn freezes(&self, subject: Frozen) {
        let request = FreezeRequest::read(br#"{"reason":"Something is wrong"}"#, subject).unwrap();
        put_freeze(
            self.service(),
            &owner_asks(),
            subject,
            request,
            Preconditions::default(),
        )
        .await
        .unwrap();
    }

    async fn thaws(&self, subject: Frozen) {
        delete_freeze(self.service(), &owner_asks(), subject, Preconditions::default())
            .await
            .unwrap();
    }
}

/// App 2 needs app 3, which needs app 4; app 0 is installed, needs app 1 below the newest, and would break with that.
async fn has_related_apps(fleet: &Fleet) {
    fleet.has_bare_apps(5).await;
    let versions: [(usize, AppVersion, Vec<Dependency>); 7] = [
        (0, FROM, vec![needs(1, FROM, Some(NEWEST))]),
        (0, TO, vec![needs(1, FROM, None)]),
        (1, FROM, vec![]),
        (1, NEWEST, vec![]),
        (2, FROM, vec![needs(3, FROM, None)]),
        (3, TO, vec![needs(4, FROM, None)]),
        (4, TO, vec![]),
    ];
    for (number, version, needed) in versions {
        fleet
            .has_version_with(app(number), version, Availability::Available, &needed)
            .await;
    }
    fleet.has_environment(0, 2, OPEN).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_install_is_scheduled_with_all_it_needs_in_order() {
    on_both_databases(|fleet| async move {
        has_related_apps(&fleet).await;
        let asked = fleet.installs(2, to_install(None)).await.unwrap();
        let operations = fleet.operations().await;
        let order: Vec<_> = operations.iter().map(|one| (one.app_id, one.kind, one.target_version)).collect();
        let install = OperationKind::Install;
        assert_eq!(
            order,
            [
                (app(4), install, Some(TO)),
                (app(3), install, Some(TO)),
                (app(2), install, Some(FROM)),
            ]
        );
        assert_eq!((asked.app_id, asked.parent_id), (app(2), None));
        for operation in &operations {
            assert_eq!(operation.parent_id, (operation.id != asked.id).then_some(asked.id));
            assert_eq!(operation.status, OperationStatus::Scheduled);
            assert_eq!(operation.created_by, administrator().signature());
            assert!(operation.accept_eula && operation.allow_dependencies && operation.ignore_window);
            assert_eq!(operation.language_id.as_deref(), Some("da-DK"));
            assert_eq!((operation.package_sha256, operation.source_version), (Some([0; 32]), None));
        }
        let rows = "audit WHERE action = 'apps/install' AND actor_kind = 'User' AND after_state LIKE '%doNotSaveData%'";
        assert_eq!(fleet.fixture.count(rows).await, 3);
        assert_eq!(fleet.environment(0).await.due_on, Some(fleet.now()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_break_is_updated_too_and_the_same_is_told_beforehand() {
    on_both_databases(|fleet| async move {
        has_related_apps(&fleet).await;
        let name = EnvironmentName::of(&fleet.environment(0).await);
        let updates = available_updates(fleet.service(), &administrator(), &name)
            .await
            .unwrap();
        let told: Vec<_> = updates
            .available
            .iter()
            .map(|update| (update.app_id, update.version, update.requirements.len()))
            .collect();
        assert_eq!(told, [(app(0), TO, 0), (app(1), NEWEST, 1)]);
        assert_eq!(updates.available[1].requirements[0].app_id, app(0));

        let alone = UpdateRequest {
            allow_dependencies: false,
            ..to_update(NEWEST)
        };
        let refused = problem(fleet.updates(1, alone).await);
        assert_eq!(refused.requirements.to_vec(), updates.available[1].requirements);
        assert_eq!(fleet.operations().await.len(), 0);

        let asked = fleet.updates(1, to_update(NEWEST)).await.unwrap();
        let operations = fleet.operations().await;
        let order: Vec<_> = operations.iter().map(|one| one.app_id).collect();
        assert_eq!(order, [app(0), app(1)], "first out of the way");
        assert_eq!((asked.app_id, asked.source_version), (app(1), Some(FROM)));
        assert_eq!(reason(fleet.updates(0, to_update(TO)).await), "AlreadyScheduled");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_has_signed_is_not_offered_where_somebody_must() {
    on_both_databases(|fleet| async move {
        has_related_apps(&fleet).await;
        let name = EnvironmentName::of(&fleet.environment(0).await);
        let sql = "UPDATE apps SET signer_rule = 'signed' WHERE id = $1";
        fleet.damages(sql, vec![app(0).into()]).await;
        let updates = available_updates(fleet.service(), &administrator(), &name).await;
        assert_eq!(updates.unwrap().available, []);
        let refused = fleet.updates(0, to_update(TO)).await;
        assert_eq!(reason(refused), "SignerNotAllowed");
        // That would break it, and it can go nowhere.
        let refused = fleet.updates(1, to_update(NEWEST)).await;
        assert_eq!(reason(refused), "DependantIncompatible");
        fleet.damages(sql, vec![app(4).into()]).await;
        let refused = problem(fleet.installs(2, to_install(None)).await);
        assert!(refused.message.contains("must be signed"), "{refused}");
        assert_eq!(fleet.operations().await.len(), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_is_taken_out_after_what_depends_on_it() {
    on_both_databases(|fleet| async move {
        has_related_apps(&fleet).await;
        let name = EnvironmentName::of(&fleet.environment(0).await);
        let service = fleet.service();
        let told = uninstall_requirements(service, &administrator(), &name, app(1))
            .await
            .unwrap();
        assert_eq!(told.iter().map(|one| one.app_id).collect::<Vec<_>>(), [app(0)]);
        let unknown = uninstall_requirements(service, &administrator(), &name, app(4)).await;
        assert_eq!(problem(unknown).code, Code::ResourceDoesNotExist);

        let refused = problem(fleet.uninstalls(1, to_uninstall(false, false)).await);
        assert_eq!(refused.requirements.to_vec(), told);
        let asked = fleet.uninstalls(1, to_uninstall(true, false)).await.unwrap();
        let operations = fleet.operations().await;
        assert_eq!(
            operations.iter().map(|one| one.app_id).collect::<Vec<_>>(),
            [app(0), app(1)]
        );
        assert_eq!((asked.target_version, asked.package_sha256), (None, None));
        assert!(
            operations
                .iter()
                .all(|one| one.allow_dependents && !one.delete_data)
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn data_goes_only_where_the_operator_lets_it() {
    for url in [None, Some(postgres_cluster::database_url())] {
        let fleet = Fleet::on(url).await;
        has_related_apps(&fleet).await;
        let refused = problem(fleet.uninstalls(0, to_uninstall(false, true)).await);
        assert_eq!(refused.target.as_deref(), Some("deleteData"));
        assert!(refused.message.contains("customers.delete_data"), "{refused}");
        assert_eq!(fleet.operations().await.len(), 0);
    }
    for url in [None, Some(postgres_cluster::database_url())] {
        let fleet = Fleet::on_with(url, &[("customers.delete_data", "true")]).await;
        has_related_apps(&fleet).await;
        assert!(
            fleet
                .uninstalls(0, to_uninstall(false, true))
                .await
                .unwrap()
                .delete_data
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_operator_has_frozen_stays_as_it_is() {
    on_both_databases(|fleet| async move {
        has_related_apps(&fleet).await;
        let mine = Frozen::Principal(PERSON);
        // App 4 is what app 2 needs in the end; nobody names it.
        for subject in [Frozen::Scheduling, Frozen::App(app(2)), Frozen::App(app(4)), mine] {
            fleet.freezes(subject).await;
            let refused = problem(fleet.installs(2, to_install(None)).await);
            assert_eq!(
                (refused.code, &*refused.details[0].code),
                (Code::Forbidden, "Frozen"),
                "{subject}"
            );
            fleet.thaws(subject).await;
        }
        fleet.freezes(Frozen::App(app(1))).await;
        assert_eq!(
            reason(fleet.uninstalls(1, to_uninstall(true, false)).await),
            "Frozen"
        );
        assert_eq!(fleet.operations().await.len(), 0);
        fleet.installs(2, to_install(None)).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_cannot_be_meant_is_told_so() {
    on_both_databases(|fleet| async move {
        has_related_apps(&fleet).await;
        let without_terms = InstallRequest {
            accept_eula: false,
            ..to_install(None)
        };
        let refused = problem(fleet.installs(2, without_terms).await);
        let expected = (Code::EntityValidationFailed, Some("acceptIsvEula"));
        assert_eq!((refused.code, refused.target.as_deref()), expected);
        let any_preview = InstallRequest {
            allow_preview: true,
            ..to_install(None)
        };
        let refused = problem(fleet.installs(2, any_preview).await);
        assert_eq!(
            (refused.code, refused.target.as_deref()),
            (Code::InvalidInput, Some("targetVersion"))
        );
        assert_eq!(reason(fleet.updates(0, to_update(FROM)).await), "NotNewer");
        assert_eq!(
            reason(fleet.updates(0, to_update(NEWEST)).await),
            "TargetNotFound"
        );
        assert_eq!(
            reason(fleet.installs(0, to_install(None)).await),
            "AlreadyInstalled"
        );
        assert_eq!(fleet.operations().await.len(), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenants_environment_is_one_that_is_not_there() {
    on_both_databases(|fleet| async move {
        has_related_apps(&fleet).await;
        let stranger = administrator_of(TenantId::random());
        let theirs = fleet.environment(0).await;
        let service = fleet.service();
        let hotfix = schedule(service, 0, 0).await.unwrap();
        let answers = [
            update_app(service, &stranger, &theirs, app(0), to_update(TO)).await,
            install_app(service, &stranger, &theirs, app(2), to_install(None)).await,
            uninstall_app(service, &stranger, &theirs, app(0), to_uninstall(true, false)).await,
            cancel_operation(service, &stranger, &theirs, Which::Any(hotfix.id), Vec::new()).await,
            postpone_hotfix(service, &stranger, &theirs, hotfix.id, fleet.now(), "Why".into()).await,
        ];
        for answer in answers {
            let refused = problem(answer);
            assert_eq!(refused.code, Code::EnvironmentNotFound);
            assert_eq!(refused, EnvironmentName::of(&theirs).missing());
        }
        let cadence = CadenceRequest {
            cadence: UpdateCadence::Default,
            ignored: Vec::new(),
        };
        let refused = problem(put_cadence(service, &stranger, &theirs, cadence).await);
        assert_eq!(refused, EnvironmentName::of(&theirs).missing());
        let role = Customer {
            has_administrator_role: false,
            ..administrator()
        };
        let refused = update_app(service, &role, &theirs, app(0), to_update(TO)).await;
        assert_eq!(problem(refused).code, Code::Forbidden);
        fleet
            .damages(
                "UPDATE environments SET missing_since = 1 WHERE name = $1",
                vec![theirs.name.into()],
            )
            .await;
        assert_eq!(
            problem(fleet.updates(0, to_update(TO)).await).code,
            Code::EnvironmentNotActive
        );
    })
    .await;
}

/// One after the other, in both orders: the second is told who was first.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_second_is_told_of_the_first() {
    on_both_databases(|fleet| async move {
        has_related_apps(&fleet).await;
        fleet.has_environment(1, 2, OPEN).await;
        let hotfix = schedule(fleet.service(), 0, 0).await.unwrap();
        let refused = problem(fleet.updates(0, to_update(TO)).await);
        assert!(refused.message.contains("already been scheduled"), "{refused}");
        assert_eq!(refused.extension, [("operationId", hotfix.id.to_string())]);
        // Here it is what the update needs that the vendor has taken.
        let refused = problem(fleet.updates(1, to_update(NEWEST)).await);
        assert!(refused.message.contains(&hotfix.id.to_string()), "{refused}");
        assert!(!refused.message.contains("already been scheduled"), "{refused}");

        let there = find_environment(fleet.db(), &key(1)).await.unwrap().unwrap();
        let update = update_app(
            fleet.service(),
            &administrator(),
            &there,
            app(1),
            to_update(NEWEST),
        )
        .await
        .unwrap();
        let made_for_it = fleet.operations().await;
        let made_for_it = made_for_it
            .iter()
            .find(|one| one.parent_id == Some(update.id))
            .unwrap();
        let refused = problem(schedule(fleet.service(), 1, 0).await);
        assert_eq!(refused.extension, [("operationId", made_for_it.id.to_string())]);
    })
    .await;
}

/// At once, from several servers: a vendor's hotfix of an app, its customer's update of the same app, and an update of another
/// that takes it along.
#[tokio::test(flavor = "multi_thread")]
async fn of_those_who_want_one_slot_at_once_one_has_it() {
    const ROUNDS: usize = 6;
    on_both_databases(|fleet| async move {
        has_related_apps(&fleet).await;
        let servers = [
            fleet.replica().await,
            fleet.replica().await,
            Arc::clone(fleet.service()),
        ];
        for round in 0..ROUNDS {
            let number = round + 1;
            fleet.has_environment(number, 2, OPEN).await;
            let there = find_environment(fleet.db(), &key(number)).await.unwrap().unwrap();
            let mut racing = JoinSet::new();
            for turn in 0..3 {
                let server: Arc<Service> = Arc::clone(&servers[(turn + round) % 3]);
                let there = there.clone();
                racing.spawn(async move {
                    match turn {
                        0 => schedule(&server, number, 0).await,
                        1 => update_app(&server, &administrator(), &there, app(0), to_update(TO)).await,
                        _ => update_app(&server, &administrator(), &there, app(1), to_update(NEWEST)).await,
                    }
                });
            }
            let answers = racing.join_all().await;
            let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
            assert_eq!((won.len(), lost.len()), (1, 2));
            for answer in lost {
                let refused = problem(answer);
                let is_clear = refused.message.contains("already been scheduled")
                    || refused.message.contains("waits or runs for it");
                assert!(
                    refused.code == Code::EntityValidationFailed && is_clear,
                    "{refused}"
                );
            }
            let of_app = format!(
                "operations WHERE environment_id = '{}' AND app_id = '{}'",
                there.id,
                app(0)
            );
            if fleet.db().is_shared() {
                assert_eq!(fleet.fixture.count(&of_app).await, 1);
            }
        }
        drop(servers);
        fleet.ends_without_deadlocks().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_for_together_is_called_off_together() {
    on_both_databases(|fleet| async move {
        has_related_apps(&fleet).await;
        let install = fleet.installs(2, to_install(None)).await.unwrap();
        let update = fleet.updates(0, to_update(TO)).await.unwrap();
        let part = fleet
            .operations()
            .await
            .into_iter()
            .find(|one| one.app_id == app(4))
            .unwrap();
        let canceled = fleet.cancels(Which::Of(app(4), part.id)).await.unwrap();
        assert_eq!(
            (canceled.id, canceled.status),
            (part.id, OperationStatus::Canceled)
        );
        for operation in fleet.operations().await {
            let is_of_plan = operation.id != update.id;
            assert_eq!(operation.status == OperationStatus::Canceled, is_of_plan);
            assert_eq!(operation.canceled_by.is_some(), is_of_plan);
        }
        let audited = "audit WHERE action = 'apps/cancel'";
        assert_eq!(fleet.fixture.count(audited).await, 3);
        let again = fleet.cancels(Which::Any(install.id)).await.unwrap();
        assert_eq!(
            (again.status, fleet.fixture.count(audited).await),
            (OperationStatus::Canceled, 3)
        );

        let of_another_app = problem(fleet.cancels(Which::Of(app(1), update.id)).await);
        let unknown = problem(fleet.cancels(Which::Any(OperationId(Uuid::new_v4()))).await);
        assert_eq!(
            (of_another_app.code, unknown.code),
            (Code::ResourceDoesNotExist, Code::ResourceDoesNotExist)
        );
        let by_app = fleet.cancels(Which::UpdateOf(app(0))).await.unwrap();
        assert_eq!(by_app.id, update.id);
        assert_eq!(
            problem(fleet.cancels(Which::UpdateOf(app(0))).await).code,
            Code::ResourceDoesNotExist
        );

        let hotfix = schedule(fleet.service(), 0, 0).await.unwrap();
        assert_eq!(
            reason(fleet.cancels(Which::Any(hotfix.id)).await),
            "HotfixCannotBeCanceled"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hotfix_is_put_off_so_far_and_its_vendor_reads_why() {
    on_both_databases(|fleet| async move {
        has_related_apps(&fleet).await;
        let hotfix = schedule(fleet.service(), 0, 0).await.unwrap();
        let asked_for = hotfix.run_after;
        let after = |days: i64| Instant(asked_for.0 + days * 86_400 * TICKS_PER_SECOND);
        assert_eq!(
            reason(fleet.postpones(hotfix.id, after(8)).await),
            "PostponedTooLong"
        );
        fleet.postpones(hotfix.id, after(3)).await.unwrap();
        assert!(
            claim(fleet.service(), 1).await.unwrap().is_empty(),
            "not when its vendor wanted it"
        );

        fleet.advance(2 * 86_400);
        fleet.postpones(hotfix.id, after(7)).await.unwrap();
        let a_day_more = fleet.postpones(hotfix.id, after(8)).await;
        assert_eq!(
            reason(a_day_more),
            "PostponedTooLong",
            "counted from what was asked for"
        );
        let seen: Operation = get_hotfix(fleet.service(), &owner_asks(), app(0), us(), hotfix.id)
            .await
            .unwrap();
        assert_eq!(
            (seen.run_after, seen.asked_run_after),
            (after(7), Some(asked_for))
        );
        assert_eq!(seen.postpone_reason.as_deref(), Some("Closing of the year"));
        assert_eq!(seen.postponed_by, Some(administrator().signature()));
        let told = format!(
            "events WHERE kind = 'hotfix.postponed' AND operation_id = '{}'",
            hotfix.id
        );
        if fleet.db().is_shared() {
            assert_eq!(fleet.fixture.count(&told).await, 2);
        }

        fleet.advance(5 * 86_400);
        let claimed = claim(fleet.service(), 1).await.unwrap();
        assert_eq!(claimed[0].operation.id, hotfix.id);
        assert_eq!(
            reason(fleet.postpones(hotfix.id, after(20)).await),
            "NotPostponable"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_hotfixes_are_put_off() {
    on_both_databases(|fleet| async move {
        has_related_apps(&fleet).await;
        let update = fleet.updates(0, to_update(TO)).await.unwrap();
        let later = Instant(fleet.now().0 + TICKS_PER_SECOND);
        assert_eq!(reason(fleet.postpones(update.id, later).await), "NotPostponable");
        let of: AppId = update.app_id;
        fleet.cancels(Which::UpdateOf(of)).await.unwrap();
    })
    .await;
}

/// The app that would break needs the new version itself, so it cannot go first.
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_may_break_for_a_moment_what_it_mends() {
    on_both_databases(|fleet| async move {
        fleet.has_bare_apps(2).await;
        let versions: [(usize, AppVersion, Vec<Dependency>); 4] = [
            (0, FROM, vec![needs(1, FROM, Some(NEWEST))]),
            (0, TO, vec![needs(1, NEWEST, None)]),
            (1, FROM, vec![]),
            (1, NEWEST, vec![]),
        ];
        for (number, version, needed) in versions {
            fleet
                .has_version_with(app(number), version, Availability::Available, &needed)
                .await;
        }
        fleet.has_environment(0, 2, OPEN).await;
        fleet.updates(1, to_update(NEWEST)).await.unwrap();
        for expected in [app(1), app(0)] {
            let claimed = claim(fleet.service(), 2).await.unwrap();
            assert_eq!(
                claimed.iter().map(|one| one.operation.app_id).collect::<Vec<_>>(),
                [expected]
            );
            let reports = vec![success(&claimed[0])];
            let ended = finish_all(fleet.service(), &everywhere(), reports)
                .await
                .remove(0)
                .unwrap();
            assert_eq!(ended.status, OperationStatus::Succeeded);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_has_brought_in_meanwhile_is_one_thing_less_to_do() {
    on_both_databases(|fleet| async move {
        fleet.has_bare_apps(5).await;
        let chain = [
            (2, vec![]),
            (3, vec![needs(2, FROM, None)]),
            (4, vec![needs(3, FROM, None)]),
        ];
        for (number, needed) in chain {
            fleet
                .has_version_with(app(number), FROM, Availability::Available, &needed)
                .await;
        }
        fleet.has_environment(0, 2, OPEN).await;
        fleet.installs(4, to_install(None)).await.unwrap();
        fleet.has_environment(0, 3, OPEN).await;
        let claimed = claim(fleet.service(), 1).await.unwrap();
        assert_eq!(claimed[0].operation.app_id, app(3));
        let stand: Vec<_> = fleet.operations().await.iter().map(|one| one.status).collect();
        let expected = [
            OperationStatus::Skipped,
            OperationStatus::Running,
            OperationStatus::Scheduled,
        ];
        assert_eq!(stand, expected);
    })
    .await;
}

#[tokio::test]
async fn a_refusal_is_told_to_whoever_watches_over_the_environment() {
    on_both_databases(|fleet| async move {
        has_related_apps(&fleet).await;
        let sql = "UPDATE environments SET application_version = $1";
        fleet.damages(sql, vec!["26.1.0.0".to_owned().into()]).await;
        let (captured, _listening) = Captured::listening();
        let alone = InstallRequest {
            allow_dependencies: false,
            ..to_install(None)
        };
        let refused = problem(fleet.installs(2, alone).await);
        let without_terms = InstallRequest {
            accept_eula: false,
            ..to_install(Some(FROM))
        };
        fleet.installs(2, without_terms).await.unwrap_err();
        fleet.updates(0, to_update(FROM)).await.unwrap_err();
        fleet.uninstalls(1, to_uninstall(false, false)).await.unwrap_err();
        let lines = captured.lines();
        let told: Vec<_> = lines
            .iter()
            .filter(|line| line["target"] == "fame::telemetry")
            .collect();
        let ids: Vec<_> = told
            .iter()
            .map(|line| line["eventId"].as_str().unwrap())
            .collect();
        assert_eq!(ids, ["LC0162", "LC0162", "LC0168", "LC0174"]);
        for line in &told {
            assert_eq!(line["environmentVersion"], "26.1.0.0", "{line}");
        }
        assert_eq!(told[0]["failureReason"], refused.message.as_str());
        assert_eq!(told[0]["extensionDestinationVersion"], "latest compatible");
        for installed in &told[..2] {
            assert_eq!(
                (&installed["extensionName"], &installed["extensionPublisher"]),
                (&json!("Sales"), &json!("Contoso"))
            );
        }
        assert_eq!(told[2]["extensionId"], app(0).to_string());
        assert_eq!(told[2]["extensionSourceVersion"], FROM.to_string());
    })
    .await;
}
