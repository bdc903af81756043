//! The tokens that open an app and have not ended: its owners see which there are, and end any of them.

use crate::{
    actions::{
        Principal, Service, access,
        audit::{self, Actor, Change},
    },
    error::Result,
};
use domain::{
    access::{Permission, Resource},
    ids::AppId,
    instant::Instant,
    problem::RuleError,
};
use serde_json::json;
use store::{Tx, apps, publishers};
use uuid::Uuid;

const WRITE: Permission = Permission::write(Resource::Tokens);

struct Revoking {
    principal: Principal,
    app: AppId,
    id: Uuid,
    now: Instant,
}

/// Ends a token of an app before its time.
///
/// # Errors
/// `ResourceDoesNotExist`, also for one that has ended.
pub(crate) async fn revoke_token(
    service: &Service,
    principal: &Principal,
    app: AppId,
    id: Uuid,
) -> Result<()> {
    let input = Revoking {
        principal: principal.clone(),
        app,
        id,
        now: service.clock.now(),
    };
    service
        .db
        .write(input, |tx, input| Box::pin(revoke_in(tx, input)))
        .await
}

async fn revoke_in(mut tx: Tx<'_>, input: &Revoking) -> Result<()> {
    let Revoking {
        principal,
        app,
        id,
        now,
    } = input;
    apps::lock_app(&mut tx, *app).await?;
    access::require(&mut tx, principal, *app, WRITE).await?;
    let target = format!("apps/{app}/tokens/{id}");
    let found = publishers::lock_token_of(&mut tx, *app, *id).await?;
    let Some(token) = found.filter(|token| token.revoked_on.is_none() && token.expires_on > *now) else {
        let message = format!("App {app} has no token {id} that has not ended.");
        return Err(RuleError::missing(target, message).into());
    };
    publishers::revoke_token(&mut tx, token.id, *now).await?;
    let change = Change {
        action: "tokens/revoke",
        target,
        before: Some(json!({
            "publisherId": token.publisher_id,
            "run": token.run,
            "lastFour": token.last_four,
            "expiresOn": token.expires_on.to_string(),
        })),
        after: None,
    };
    audit::record(&mut tx, Actor::Principal(principal), *now, change).await
}
