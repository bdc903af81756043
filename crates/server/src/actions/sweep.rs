//! Tidying up after crashes: nothing stays `Uploading` for ever, and no bytes stay that no version needs.

use super::Service;
use crate::{
    blobs::ObjectName,
    error::{Error, Result},
    store::{
        blobs::{self, BlobKey, BlobState},
        idempotency, versions,
    },
};
use domain::instant::{Instant, TICKS_PER_SECOND};
use std::time::Duration;
use tokio::task::JoinSet;

/// What a sweep found and settled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Swept {
    pub(crate) uploads_failed: u64,
    pub(crate) objects_removed: usize,
    pub(crate) staged_removed: usize,
    pub(crate) keys_forgotten: u64,
}

/// Settles what is older than `grace`.
pub(crate) async fn sweep(service: &Service, grace: Duration) -> Result<Swept> {
    let now = service.clock.now();
    let before = Instant(now.0.saturating_sub(ticks(grace)));
    let uploads_failed = service
        .db
        .write(before, |mut tx, before| {
            Box::pin(async move { Ok(versions::fail_stale_uploads(&mut tx, *before).await?) })
        })
        .await?;
    let objects_removed = remove_unreferenced(service, before, now).await?;
    let staged_removed = sweep_staging(service, grace).await?;
    let keys_forgotten = forget_keys(service, now).await?;
    Ok(Swept {
        uploads_failed,
        objects_removed,
        staged_removed,
        keys_forgotten,
    })
}

fn ticks(span: Duration) -> i64 {
    i64::try_from(span.as_secs())
        .unwrap_or(i64::MAX)
        .saturating_mul(TICKS_PER_SECOND)
}

/// Bytes whose location cannot be reached now are left for the next sweep.
async fn remove_unreferenced(service: &Service, before: Instant, now: Instant) -> Result<usize> {
    let mut removed = 0;
    for blob in blobs::unreferenced(&service.db, before).await? {
        if !mark_deleting(service, &blob, now).await? {
            continue;
        }
        if let Err(error) = remove_bytes(service, &blob).await {
            tracing::warn!(location = blob.location, %error, "bytes that no version needs could not be removed");
            continue;
        }
        service
            .db
            .write(blob, |mut tx, blob| {
                Box::pin(async move { Ok(blobs::delete_blob(&mut tx, blob).await?) })
            })
            .await?;
        removed += 1;
    }
    Ok(removed)
}

/// Decides under the blob's lock that nobody needs it; from then on no upload counts on it, but writes the same bytes
/// under another name.
pub(super) async fn mark_deleting(service: &Service, blob: &BlobKey, now: Instant) -> Result<bool> {
    service
        .db
        .write((blob.clone(), now), |mut tx, (blob, now)| {
            Box::pin(async move {
                if blobs::lock_blob(&mut tx, blob).await?.is_none()
                    || blobs::is_referenced(&mut tx, blob).await?
                {
                    return Ok(false);
                }
                blobs::save_blob(&mut tx, blob, 0, BlobState::Deleting, *now).await?;
                Ok(true)
            })
        })
        .await
}

pub(super) async fn remove_bytes(service: &Service, blob: &BlobKey) -> Result<()> {
    let location = service.blobs.known_location(&blob.location)?.clone();
    let name = ObjectName::from(blob);
    tokio::task::spawn_blocking(move || location.remove(&name))
        .await
        .map_err(Error::fault)?
        .map_err(Error::Blobs)
}

/// A location that cannot be reached keeps none of the others from being swept, nor the service from starting.
async fn sweep_staging(service: &Service, grace: Duration) -> Result<usize> {
    let mut sweeps = JoinSet::new();
    for location in service.blobs.all().cloned() {
        sweeps.spawn_blocking(move || {
            let swept = location.sweep_staging(grace);
            (location, swept)
        });
    }
    let mut removed = 0;
    while let Some(swept) = sweeps.join_next().await {
        match swept.map_err(Error::fault)? {
            (_, Ok(count)) => removed += count,
            (location, Err(error)) => {
                tracing::warn!(location = location.name(), %error, "staging could not be swept");
            }
        }
    }
    Ok(removed)
}

async fn forget_keys(service: &Service, now: Instant) -> Result<u64> {
    let before = Instant(now.0.saturating_sub(ticks(idempotency::KEPT_FOR)));
    service
        .db
        .write(before, |mut tx, before| {
            Box::pin(async move { Ok(idempotency::forget_before(&mut tx, *before).await?) })
        })
        .await
}
