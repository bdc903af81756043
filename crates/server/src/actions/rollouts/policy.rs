//! Which rollouts of an app somebody else has to approve: its owners say so.

use crate::{
    actions::{
        Principal, Service, access,
        audit::{self, Actor, Change},
        preconditions::Preconditions,
        repeat,
    },
    error::Result,
};
use domain::{
    access::{Permission, Resource},
    ids::{AppId, Etag},
    instant::Instant,
    rollout::ApprovalPolicy,
};
use serde_json::{Value, json};
use store::{
    Tx, apps,
    rollouts::{self as rows, Policy},
};
use uuid::Uuid;

const READ: Permission = Permission::read(Resource::ApprovalPolicy);
const WRITE: Permission = Permission::write(Resource::ApprovalPolicy);

/// The policy of an app about which nobody has said anything.
fn usual(app: AppId) -> Policy {
    Policy {
        app_id: app,
        approval: ApprovalPolicy::Never,
        etag: Etag(Uuid::nil()),
    }
}

/// Which rollouts of an app have to be approved.
pub(crate) async fn get_approval_policy(
    service: &Service,
    principal: &Principal,
    app: AppId,
) -> Result<Policy> {
    access::preview(service, principal, app, None, READ).await?;
    let found = rows::find_policy(&service.db, app).await?;
    Ok(found.unwrap_or_else(|| usual(app)))
}

struct Saving {
    principal: Principal,
    app: AppId,
    approval: ApprovalPolicy,
    preconditions: Preconditions,
    now: Instant,
}

/// Says which do. What has been made before is not affected.
pub(crate) async fn put_approval_policy(
    service: &Service,
    principal: &Principal,
    app: AppId,
    approval: ApprovalPolicy,
    preconditions: Preconditions,
) -> Result<Policy> {
    let input = Saving {
        principal: principal.clone(),
        app,
        approval,
        preconditions,
        now: service.clock.now(),
    };
    service
        .db
        .write(input, |tx, input| Box::pin(put_in(tx, input)))
        .await
}

async fn put_in(mut tx: Tx<'_>, input: &Saving) -> Result<Policy> {
    apps::lock_app(&mut tx, input.app).await?;
    access::require(&mut tx, &input.principal, input.app, WRITE).await?;
    let existing = rows::find_policy(&mut tx, input.app).await?;
    let existing = existing.unwrap_or_else(|| usual(input.app));
    if !repeat::is_first(&mut tx, &input.principal, &input.preconditions, input.now).await? {
        return Ok(existing);
    }
    input.preconditions.check_write(Some(existing.etag))?;
    if existing.approval == input.approval {
        return Ok(existing);
    }
    let policy = Policy {
        app_id: input.app,
        approval: input.approval,
        etag: Etag::random(),
    };
    rows::save_policy(&mut tx, &policy).await?;
    let change = Change {
        action: WRITE.as_str(),
        target: format!("apps/{}/approvalPolicy", input.app),
        before: Some(state(&existing)),
        after: Some(state(&policy)),
    };
    audit::record(&mut tx, Actor::Principal(&input.principal), input.now, change).await?;
    Ok(policy)
}

/// What the audit says of a policy.
fn state(policy: &Policy) -> Value {
    match policy.approval {
        ApprovalPolicy::Never => json!({ "approval": "Never" }),
        ApprovalPolicy::Always => json!({ "approval": "Always" }),
        ApprovalPolicy::ProductionAbove(above) => {
            json!({ "approval": "ProductionAbove", "productionAbove": above })
        }
    }
}
