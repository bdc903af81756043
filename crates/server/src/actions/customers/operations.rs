//! Calling off what waits in a customer's environment, and putting a vendor's hotfix off.

use super::{
    Customer, carry_out, changes, lock_environment,
    reading::{EnvironmentName, operation_missing},
};
use crate::{
    actions::{
        Service,
        audit::{self, Actor, Change},
        events,
        execution::{self, address},
    },
    error::{Error, Result},
};
use domain::{
    ids::{AppId, OperationId},
    instant::Instant,
    operation::{CancelOutcome, OperationKind, OperationStatus, check_cancel},
    postponement::{Postponement, check_postpone},
    problem::RuleError,
};
use serde_json::json;
use std::sync::Arc;
use store::{
    Tx,
    environments::Environment,
    hotfixes::{self, Operation},
};

/// Which operation in an environment is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// This one, of whatever app.
    Any(OperationId),
    /// This one, if it is of the app.
    Of(AppId, OperationId),
    /// The update of the app that waits.
    UpdateOf(AppId),
}

enum What {
    Cancel,
    Postpone {
        until: Instant,
        reason: String,
        most_days: u32,
    },
}

struct Changing {
    customer: Customer,
    name: EnvironmentName,
    which: Which,
    what: What,
    /// Members of the request that meant nothing.
    ignored: Vec<String>,
    now: Instant,
}

/// Calls off an operation that has not begun, and with it whatever of the same plan has not: a part alone is of no use.
pub(crate) async fn cancel_operation(
    service: &Arc<Service>,
    customer: &Customer,
    environment: &Environment,
    which: Which,
    ignored: Vec<String>,
) -> Result<Operation> {
    change(service, customer, environment, which, What::Cancel, ignored).await
}

/// Puts off a hotfix that has not begun until an instant, for a reason that its vendor reads.
pub(crate) async fn postpone_hotfix(
    service: &Arc<Service>,
    customer: &Customer,
    environment: &Environment,
    id: OperationId,
    until: Instant,
    reason: String,
) -> Result<Operation> {
    let most_days = service.settings.customers.postpone_days;
    let what = What::Postpone {
        until,
        reason,
        most_days,
    };
    change(service, customer, environment, Which::Any(id), what, Vec::new()).await
}

async fn change(
    service: &Arc<Service>,
    customer: &Customer,
    environment: &Environment,
    which: Which,
    what: What,
    ignored: Vec<String>,
) -> Result<Operation> {
    let input = Changing {
        customer: customer.clone(),
        name: EnvironmentName::of(environment),
        which,
        what,
        ignored,
        now: service.clock.now(),
    };
    // Who has made too many changes may still call them off.
    if !matches!(input.what, What::Cancel) {
        changes::admit(service, customer)?;
    }
    carry_out(service, input, |tx, input| Box::pin(change_in(tx, input))).await
}

async fn change_in(mut tx: Tx<'_>, input: &Changing) -> Result<Operation> {
    let environment = lock_environment(&mut tx, &input.customer, &input.name, input.now).await?;
    let operation = find(&mut tx, input, &environment).await?;
    match &input.what {
        What::Cancel => cancel_in(&mut tx, input, &environment, operation).await,
        What::Postpone {
            until,
            reason,
            most_days,
        } => {
            check_postpone(&Postponement {
                kind: operation.kind,
                status: operation.status,
                asked_for: asked_for(&operation),
                until: *until,
                reason,
                most_days: *most_days,
                now: input.now,
            })?;
            postpone_in(&mut tx, input, &environment, operation, (*until, reason)).await
        }
    }
}

/// When a vendor wanted it to run, whatever its customer did since; or asked for it, if that was later.
fn asked_for(operation: &Operation) -> Instant {
    operation
        .asked_run_after
        .unwrap_or(operation.run_after)
        .max(operation.created_on)
}

async fn find(tx: &mut Tx<'_>, input: &Changing, environment: &Environment) -> Result<Operation> {
    let (id, app) = match input.which {
        Which::Any(id) => (id, None),
        Which::Of(app, id) => (id, Some(app)),
        Which::UpdateOf(app) => {
            let waiting = hotfixes::lock_waiting(tx, environment.id).await?;
            let mut updates = waiting.into_iter();
            let update = updates.find(|one| one.app_id == app && one.kind == OperationKind::Update);
            return update.ok_or_else(|| {
                let message = format!(
                    "No update of app {app} waits in environment '{}'.",
                    environment.name
                );
                let target = format!("{}/apps/{app}", input.name);
                RuleError::missing(target, message).into()
            });
        }
    };
    let found = hotfixes::lock_operation(tx, id).await?.filter(|operation| {
        operation.environment_id == environment.id && app.is_none_or(|app| operation.app_id == app)
    });
    found.ok_or_else(|| operation_missing(id).into())
}

async fn cancel_in(
    tx: &mut Tx<'_>,
    input: &Changing,
    environment: &Environment,
    operation: Operation,
) -> Result<Operation> {
    if operation.kind == OperationKind::Hotfix {
        let message = "A hotfix is its vendor's, who alone can cancel it. It can be postponed.";
        return Err(RuleError::broken("HotfixCannotBeCanceled", message).into());
    }
    if check_cancel(operation.status)? == CancelOutcome::AlreadyCanceled {
        return Ok(operation);
    }
    let waiting = hotfixes::lock_waiting(tx, environment.id).await?;
    let of_plan = waiting
        .into_iter()
        .filter(|other| other.plan() == operation.plan());
    let canceled: Vec<Operation> = of_plan
        .map(|other| Operation {
            status: OperationStatus::Canceled,
            ended_on: Some(input.now),
            canceled_by: Some(input.customer.signature()),
            canceled_by_name: input.customer.address.clone(),
            ..other
        })
        .collect();
    let changed = hotfixes::cancel_operations(tx, &canceled).await?;
    if u64::try_from(canceled.len()) != Ok(changed) {
        return Err(Error::fault(
            "an operation changed while its environment was locked",
        ));
    }
    let by = Actor::Customer(&input.customer);
    let changes = canceled.iter().map(|other| Change {
        action: "apps/cancel",
        target: address(other),
        before: Some(json!({ "status": "Scheduled" })),
        after: Some(json!({ "status": "Canceled", "ignoredMembers": input.ignored })),
    });
    audit::record_all(tx, by, input.now, changes).await?;
    events::emit(tx, by, input.now, &canceled).await?;
    let asked = canceled.into_iter().find(|other| other.id == operation.id);
    asked.ok_or_else(|| Error::fault("an operation that waited does not wait"))
}

async fn postpone_in(
    tx: &mut Tx<'_>,
    input: &Changing,
    environment: &Environment,
    operation: Operation,
    (until, reason): (Instant, &str),
) -> Result<Operation> {
    let before = json!({
        "runAfter": operation.run_after.to_string(),
        "postponeReason": operation.postpone_reason,
    });
    let postponed = Operation {
        asked_run_after: operation.asked_run_after.or(Some(operation.run_after)),
        run_after: until,
        postponed_on: Some(input.now),
        postponed_by: Some(input.customer.signature()),
        postpone_reason: Some(reason.to_owned()),
        ..operation
    };
    hotfixes::postpone_operation(tx, &postponed).await?;
    execution::reschedule(tx, &[environment], input.now).await?;
    let by = Actor::Customer(&input.customer);
    let change = Change {
        action: "environmentHotfixes/postpone",
        target: address(&postponed),
        before: Some(before),
        after: Some(json!({ "runAfter": until.to_string(), "postponeReason": reason })),
    };
    audit::record(tx, by, input.now, change).await?;
    events::emit_postponed(tx, by, input.now, &postponed).await?;
    Ok(postponed)
}
