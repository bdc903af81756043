//! Forecasts of packages that nothing can be forecast of.

use super::{INSTALLED, TARGET, on_both, version_row};
use crate::actions::forecasts::forecast;
use domain::version::VersionStatus;
use store::versions::Version;

/// Reading such packages again and again would be work for nothing.
#[tokio::test(flavor = "multi_thread")]
async fn of_what_is_no_package_none_is_made_and_it_is_read_once() {
    on_both(|fixture| async move {
        // Of fewer nothing would be read.
        let (old_bytes, new_bytes) = ([1; 4_096], [2; 4_096]);
        let [old, new] = [(INSTALLED, &old_bytes), (TARGET, &new_bytes)].map(|(version, bytes)| Version {
            size: bytes.len() as u64,
            ..version_row(version, VersionStatus::Uploaded, fixture.has_bytes(bytes))
        });
        assert!(forecast(&fixture.service, &old, &new).await.unwrap().is_none());
        let location = fixture.service.blobs.known_location("West Europe").unwrap();
        for version in [&old, &new] {
            location.remove(&super::named(version.sha256)).await.unwrap();
        }
        assert!(forecast(&fixture.service, &old, &new).await.unwrap().is_none());
        // Bytes that are away may be there again later.
        assert!(forecast(&fixture.service, &new, &old).await.is_err());
        fixture.has_bytes(&new_bytes);
        assert!(forecast(&fixture.service, &new, &old).await.unwrap().is_none());
    })
    .await;
}
