//! Forecasts of packages that nothing can be forecast of.

use super::{INSTALLED, TARGET, on_both, version_row};
use crate::actions::forecasts::forecast;
use domain::version::VersionStatus;

/// Reading such packages again and again would be work for nothing.
#[tokio::test(flavor = "multi_thread")]
async fn of_what_is_no_package_none_is_made_and_it_is_read_once() {
    on_both(|fixture| async move {
        let [old, new] = [(INSTALLED, b"old!"), (TARGET, b"new!")]
            .map(|(version, bytes)| version_row(version, VersionStatus::Uploaded, fixture.has_bytes(bytes)));
        assert!(forecast(&fixture.service, &old, &new).await.unwrap().is_none());
        let location = fixture.service.blobs.known_location("West Europe").unwrap();
        for version in [&old, &new] {
            location.remove(&super::named(version.sha256)).await.unwrap();
        }
        assert!(forecast(&fixture.service, &old, &new).await.unwrap().is_none());
        // Bytes that are away may be there again later.
        assert!(forecast(&fixture.service, &new, &old).await.is_err());
        fixture.has_bytes(b"new!");
        assert!(forecast(&fixture.service, &new, &old).await.unwrap().is_none());
    })
    .await;
}
