//! Tidying up after crashes: nothing stays `Uploading` for ever, and no bytes stay that no version needs.

use super::{Service, audit::Actor, publishers, upload};
use crate::{
    blobs::{ObjectName, StorageLocation},
    error::Result,
};
use domain::chain::Chain;
use domain::instant::Instant;
use futures::future::join_all;
use std::{collections::HashSet, time::Duration};
use store::{
    Tx,
    blobs::{self, BlobKey, BlobState},
    idempotency,
    versions::{self, VersionKey},
};

/// Keys that one transaction forgets: few enough that others who write do not notice it.
const BATCH: i64 = 500;

/// What a sweep found and settled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Swept {
    pub(crate) uploads_failed: usize,
    pub(crate) objects_removed: usize,
    pub(crate) staged_removed: usize,
    pub(crate) keys_forgotten: u64,
    pub(crate) runs_forgotten: u64,
}

/// Settles what an earlier process left behind, before this one does anything: what is older than `grace`, which may be
/// nothing where that process has certainly gone. It speaks to no object store, so that one that is away keeps nobody
/// from starting.
pub(crate) async fn settle(service: &Service, grace: Duration) -> Result<Swept> {
    if !service.clock_check.agrees(service).await? {
        return Ok(Swept::default());
    }
    let folders = service.blobs.all().filter(|location| location.is_folder());
    Ok(Swept {
        uploads_failed: fail_stale_uploads(service, grace).await?,
        staged_removed: sweep_staging(folders, grace).await,
        ..Swept::default()
    })
}

/// Tidies up what is older than `grace`.
pub(crate) async fn sweep(service: &Service, grace: Duration) -> Result<Swept> {
    if !service.clock_check.agrees(service).await? {
        return Ok(Swept::default());
    }
    Ok(Swept {
        uploads_failed: fail_stale_uploads(service, grace).await?,
        objects_removed: remove_unreferenced(service, grace).await?,
        staged_removed: sweep_staging(service.blobs.all(), grace).await,
        keys_forgotten: forget_keys(service).await?,
        runs_forgotten: publishers::forget_ended(service).await?,
    })
}

/// Settles uploads that have given no heartbeat for `grace`; how many there were. One that cannot be settled keeps none
/// of the others from it.
async fn fail_stale_uploads(service: &Service, grace: Duration) -> Result<usize> {
    let now = service.clock.now();
    let mut failed = 0;
    for stale in versions::stale_uploads(&service.db, now - grace).await? {
        let settled = service
            .db
            .write((stale.clone(), now - grace, now), |tx, input| {
                Box::pin(fail_stale_upload(tx, input))
            })
            .await;
        match settled {
            Ok(was_stale) => failed += usize::from(was_stale),
            Err(error) if error.is_passing() => return Err(error),
            Err(error) => {
                tracing::error!(version = %stale, error = %Chain(&error), "an upload that got stuck cannot be settled")
            }
        }
    }
    Ok(failed)
}

async fn fail_stale_upload(
    mut tx: Tx<'_>,
    (stale, before, now): &(VersionKey, Instant, Instant),
) -> Result<bool> {
    let Some(row) = versions::lock_stale_upload(&mut tx, stale, *before).await? else {
        return Ok(false);
    };
    upload::record_failed(&mut tx, Actor::Service("sweeper"), *now, row).await?;
    Ok(true)
}

/// Removes bytes that no version has needed for `grace`; how many. A location that cannot be reached is left for the
/// next time, and not asked again for each of its objects.
pub(crate) async fn remove_unreferenced(service: &Service, grace: Duration) -> Result<usize> {
    if !service.clock_check.agrees(service).await? {
        return Ok(0);
    }
    let now = service.clock.now();
    let (mut removed, mut away) = (0, HashSet::new());
    for blob in blobs::unreferenced(&service.db, now - grace).await? {
        // Also what is not tried now is marked, and goes behind what is in other locations.
        if !mark_deleting(service, &blob, now).await? || away.contains(&blob.location) {
            continue;
        }
        if let Err(error) = remove_bytes(service, &blob).await {
            tracing::warn!(location = blob.location, error = %Chain(&error), "bytes that no version needs could not be removed");
            away.insert(blob.location);
            continue;
        }
        service
            .db
            .write(blob, |mut tx, blob| {
                Box::pin(async move { blobs::delete_blob(&mut tx, blob).await })
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
    let location = service.blobs.known_location(&blob.location)?;
    Ok(location.remove(&ObjectName::from(blob)).await?)
}

/// A location that cannot be reached keeps none of the others from being swept.
async fn sweep_staging(locations: impl Iterator<Item = &StorageLocation>, grace: Duration) -> usize {
    let sweeps = locations.map(async |location| match location.sweep_staging(grace).await {
        Ok(removed) => removed,
        Err(error) => {
            tracing::warn!(location = location.name(), error = %Chain(&error), "staging could not be swept");
            0
        }
    });
    join_all(sweeps).await.into_iter().sum()
}

async fn forget_keys(service: &Service) -> Result<u64> {
    let before = service.clock.now() - idempotency::KEPT_FOR;
    let mut forgotten = 0;
    loop {
        let batch = service
            .db
            .write(before, |mut tx, before| {
                Box::pin(async move { idempotency::forget_before(&mut tx, *before, BATCH).await })
            })
            .await?;
        if batch == 0 {
            return Ok(forgotten);
        }
        forgotten += batch;
    }
}
