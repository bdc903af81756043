//! A vendor's own words on the environments that have its app. They say nothing to the service: they are there to sort and to
//! choose by, and go to nobody but the app's own principals.

use super::{
    Principal, Service, access,
    audit::{self, Actor, Change},
    environments::not_installed,
    listing::{self, ListScope},
    preconditions::Preconditions,
    repeat,
};
use crate::error::{Error, Result};
use domain::{
    access::{Permission, Resource},
    environment::EnvironmentKey,
    ids::AppId,
    instant::Instant,
    tags::Tags,
};
use serde_json::json;
use std::sync::Arc;
use store::{
    Tx,
    environments::{Installation, find_installation, lock_environment},
    execution::lock_environments,
    list::ListRequest,
    tags::{save_tags, tagged_in},
};
use uuid::Uuid;
use wire::tags::{TagsChange, TagsChangeRequest};

pub(crate) const READ: Permission = Permission::read(Resource::Tags);
pub(crate) const WRITE: Permission = Permission::write(Resource::Tags);

/// Environments that are changed in one transaction.
const BATCH: usize = 500;

/// One environment with the tags that the app has there.
pub(crate) async fn get_tags(
    service: &Service,
    principal: &Principal,
    app: AppId,
    key: &EnvironmentKey,
) -> Result<Installation> {
    access::admit(service, principal, app, None, READ).await?;
    if let Some(tagged) = find_installation(&service.db, principal.reference, app, key).await? {
        return Ok(tagged);
    }
    access::explain_nothing(service, principal, app, None, READ).await?;
    Err(not_installed(app, key).into())
}

struct Saving {
    principal: Principal,
    app: AppId,
    key: EnvironmentKey,
    tags: Tags,
    preconditions: Preconditions,
    now: Instant,
}

/// Gives an environment these tags of the app and no others.
pub(crate) async fn put_tags(
    service: &Service,
    principal: &Principal,
    app: AppId,
    key: EnvironmentKey,
    tags: Tags,
    preconditions: Preconditions,
) -> Result<Installation> {
    let input = Saving {
        principal: principal.clone(),
        app,
        key,
        tags,
        preconditions,
        now: service.clock.now(),
    };
    service
        .db
        .write(input, |tx, input| Box::pin(put_in(tx, input)))
        .await
}

async fn put_in(mut tx: Tx<'_>, input: &Saving) -> Result<Installation> {
    access::require(&mut tx, &input.principal, input.app, WRITE).await?;
    let environment = lock_environment(&mut tx, &input.key).await?;
    let tagged = match environment {
        Some(environment) => tagged_in(&mut tx, input.app, [environment.id]).await?,
        None => Vec::new(),
    };
    let tagged = tagged.into_iter().next();
    let before = tagged.ok_or_else(|| not_installed(input.app, &input.key))?;
    if !repeat::is_first(&mut tx, &input.principal, &input.preconditions, input.now).await? {
        return Ok(before);
    }
    let after = Installation {
        tags: Some(input.tags.clone()),
        ..before.clone()
    };
    save(&mut tx, &input.principal, input.now, &[(before, after.clone())]).await?;
    Ok(after)
}

/// Writes down environments as they were and as they are, those that differ.
async fn save(
    tx: &mut Tx<'_>,
    principal: &Principal,
    now: Instant,
    changed: &[(Installation, Installation)],
) -> Result<()> {
    let differs = |(before, after): &&(Installation, Installation)| tags_of(before) != tags_of(after);
    let changed: Vec<_> = changed.iter().filter(differs).collect();
    let Some((first, _)) = changed.first() else {
        return Ok(());
    };
    let tagged: Vec<_> = changed
        .iter()
        .map(|(_, after)| (after.environment_id, tags_of(after)))
        .collect();
    save_tags(tx, first.app_id, &tagged).await?;
    let changes = changed.iter().map(|(before, after)| Change {
        action: WRITE.as_str(),
        target: target(after),
        before: Some(state(before)),
        after: Some(state(after)),
    });
    audit::record_all(tx, Actor::Principal(principal), now, changes).await
}

fn tags_of(row: &Installation) -> Tags {
    row.tags.clone().unwrap_or_default()
}

fn state(row: &Installation) -> serde_json::Value {
    json!({ "tags": tags_of(row).iter().collect::<Vec<_>>() })
}

fn target(row: &Installation) -> String {
    let Installation {
        app_id,
        tenant_id,
        family,
        name,
        ..
    } = row;
    format!("apps/{app_id}/environments/{tenant_id}/{family}/{name}/tags")
}

struct Changing {
    principal: Principal,
    app: AppId,
    environments: Vec<Uuid>,
    added: Tags,
    removed: Tags,
    now: Instant,
}

/// Puts tags on all environments that have the app and that `chosen` brings, and takes others from them; how many those are.
/// Some hundreds are changed together: whoever asks again after a failure changes the rest.
pub(crate) async fn change_tags(
    service: &Arc<Service>,
    principal: &Principal,
    app: AppId,
    request: TagsChangeRequest,
    chosen: ListRequest,
) -> Result<TagsChange> {
    access::preview(service, principal, app, None, WRITE).await?;
    let scope = ListScope::OfApp {
        principal,
        app,
        country: None,
        permission: Permission::read(Resource::Environments),
    };
    let chosen = ListRequest {
        in_portions: true,
        ..chosen
    };
    let mut page = listing::list(service, scope, &listing::ENVIRONMENTS, chosen).await?;
    let mut counted = TagsChange {
        matched: 0,
        changed: 0,
        full: 0,
    };
    while let Some(rows) = page.next().await? {
        for batch in rows.chunks(BATCH) {
            let input = Changing {
                principal: principal.clone(),
                app,
                environments: batch.iter().map(|row| row.installation.environment_id).collect(),
                added: request.added.clone(),
                removed: request.removed.clone(),
                now: service.clock.now(),
            };
            let (changed, full) = service
                .db
                .write(input, |tx, input| Box::pin(change_in(tx, input)))
                .await?;
            counted.matched += count(batch.len())?;
            counted.changed += count(changed)?;
            counted.full += count(full)?;
        }
    }
    Ok(counted)
}

fn count(number: usize) -> Result<u32> {
    u32::try_from(number).map_err(|_| Error::fault("more environments than can be counted"))
}

/// How many environments have other tags now, and how many would have too many.
async fn change_in(mut tx: Tx<'_>, input: &Changing) -> Result<(usize, usize)> {
    access::require(&mut tx, &input.principal, input.app, WRITE).await?;
    let locked = lock_environments(&mut tx, input.environments.iter().copied()).await?;
    let locked = locked.iter().map(|environment| environment.id);
    let mut changed = Vec::new();
    let mut full = 0;
    for before in tagged_in(&mut tx, input.app, locked).await? {
        let tags = tags_of(&before);
        match tags.changed(&input.added, &input.removed) {
            Some(after) if after == tags => {}
            Some(after) => {
                let after = Installation {
                    tags: Some(after),
                    ..before.clone()
                };
                changed.push((before, after));
            }
            None => full += 1,
        }
    }
    save(&mut tx, &input.principal, input.now, &changed).await?;
    Ok((changed.len(), full))
}
