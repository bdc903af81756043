//! Tidying up after crashes: nothing stays `Uploading` for ever, and no bytes stay that no version needs.

use super::Service;
use crate::{
    error::{Error, Result},
    store::{
        blobs::{self, BlobKey, BlobState},
        idempotency, versions,
    },
};
use domain::instant::{Instant, TICKS_PER_SECOND};
use std::{sync::Arc, time::Duration};

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

async fn remove_unreferenced(service: &Service, before: Instant, now: Instant) -> Result<usize> {
    let mut removed = 0;
    for blob in blobs::unreferenced(&service.db, before).await? {
        if !mark_deleting(service, &blob, now).await? {
            continue;
        }
        remove_bytes(service, &blob).await?;
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

/// Decides under the blob's lock that nobody needs it; from then on no upload may count on it.
async fn mark_deleting(service: &Service, blob: &BlobKey, now: Instant) -> Result<bool> {
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

async fn remove_bytes(service: &Service, blob: &BlobKey) -> Result<()> {
    let blobs = Arc::clone(&service.blobs);
    let blob = blob.clone();
    let remove = move || blobs.known_location(&blob.location)?.remove(&blob.sha256);
    tokio::task::spawn_blocking(remove)
        .await
        .map_err(Error::fault)?
        .map_err(Error::Blobs)
}

async fn sweep_staging(service: &Service, grace: Duration) -> Result<usize> {
    let blobs = Arc::clone(&service.blobs);
    let sweep = move || -> std::io::Result<usize> {
        blobs.all().map(|directory| directory.sweep_staging(grace)).sum()
    };
    tokio::task::spawn_blocking(sweep)
        .await
        .map_err(Error::fault)?
        .map_err(Error::Blobs)
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
