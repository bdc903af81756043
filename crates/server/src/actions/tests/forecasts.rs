//! Forecasts of packages that nothing can be forecast of.

use super::{INSTALLED, TARGET, on_both, version_row};
use crate::actions::forecasts::forecast;
use domain::version::VersionStatus;

#[tokio::test(flavor = "multi_thread")]
async fn of_what_is_no_package_none_is_made() {
    on_both(|fixture| async move {
        let [old, new] = [(INSTALLED, b"old!"), (TARGET, b"new!")]
            .map(|(version, bytes)| version_row(version, VersionStatus::Uploaded, fixture.has_bytes(bytes)));
        assert!(forecast(&fixture.service, &old, &new).await.unwrap().is_none());
    })
    .await;
}
