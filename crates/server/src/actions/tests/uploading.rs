//! What happens to a version between the two transactions of its upload, and when the answer to one of them is lost.

use super::{APP, Fixture, TARGET, on_both, on_both_with, owner_asks, us, version_row};
use crate::{
    actions::{
        Principal,
        countries::patch_country,
        preconditions::Preconditions,
        principals::{Authority, delete_principal, patch_principal},
        sweep,
        upload::{self, Pending},
        versions::{get_version, key, patch_version},
    },
    error::{Error, Result},
};
use domain::{
    access::PrincipalChange,
    country::CountryCode,
    ids::PrincipalId,
    principal::{CallerKind, PrincipalKind, Role, Roles},
    version::{Availability, VersionStatus},
};
use std::time::Duration;
use store::{principals::PrincipalRef, versions::Version};
use uuid::Uuid;
use wire::versions::VersionPatch;

const CONTRIBUTOR: PrincipalId = PrincipalId(Uuid::from_u128(0xC0));

fn dk() -> CountryCode {
    CountryCode::parse("DK", false).unwrap()
}

fn row_in(country: CountryCode, content: [u8; 32]) -> Version {
    Version {
        country_code: country,
        ..version_row(TARGET, VersionStatus::Uploading, content)
    }
}

async fn begins(fixture: &Fixture, row: Version) -> Result<Pending> {
    upload::begin(&fixture.service, &owner_asks(), row, None).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_its_publisher_says_meanwhile_counts_and_the_tag_is_a_new_one() {
    on_both(|fixture| async move {
        let pending = begins(&fixture, row_in(us(), fixture.has_bytes(b"kept")))
            .await
            .unwrap();
        let patch = VersionPatch::read(br#"{"availability":"Deprecated"}"#).unwrap();
        let patched = patch_version(
            &fixture.service,
            &owner_asks(),
            key(APP, us(), TARGET),
            patch,
            Preconditions::default(),
        )
        .await
        .unwrap();
        assert_eq!(patched.status, VersionStatus::Uploading);
        let uploaded = upload::finish(&fixture.service, &owner_asks(), pending, Ok(()))
            .await
            .unwrap();
        let stored = get_version(&fixture.service, &owner_asks(), APP, us(), TARGET)
            .await
            .unwrap();
        assert_eq!(stored, uploaded);
        assert_eq!(stored.availability, Availability::Deprecated);
        assert_ne!(stored.etag, patched.etag);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_on_their_way_count_where_all_countries_must_have_the_same() {
    on_both_with(
        "packages.same_bytes_across_countries",
        "true",
        |fixture| async move {
            patch_country(
                &fixture.service,
                &owner_asks(),
                APP,
                dk(),
                Preconditions::default(),
            )
            .await
            .unwrap();
            let (ones, others) = (fixture.has_bytes(b"ones"), fixture.has_bytes(b"others"));
            let pending = begins(&fixture, row_in(us(), ones)).await.unwrap();
            let refused = match begins(&fixture, row_in(dk(), others)).await {
                Err(Error::Rule(refused)) => refused,
                other => panic!("{:?}", other.err()),
            };
            assert_eq!(refused.details[0].code, "DifferentContentElsewhere");
            assert!(
                refused.message.contains("is being uploaded") && refused.message.contains("US"),
                "{refused}"
            );
            begins(&fixture, row_in(dk(), ones)).await.unwrap();
            let uploaded = upload::finish(&fixture.service, &owner_asks(), pending, Ok(())).await;
            assert_eq!(uploaded.unwrap().status, VersionStatus::Uploaded);
        },
    )
    .await;
}

fn contributor_asks() -> Principal {
    Principal {
        id: CONTRIBUTOR,
        reference: PrincipalRef {
            kind: CallerKind::Application,
            first: CONTRIBUTOR.0,
            second: CONTRIBUTOR.0,
            tenant: None,
        },
        ..owner_asks()
    }
}

async fn contributor_joins(fixture: &Fixture) {
    let change = PrincipalChange {
        kind: Some(PrincipalKind::Application),
        roles: Some(Roles::NONE.with(Role::Contributor)),
        ..PrincipalChange::default()
    };
    let conditions = Preconditions::default();
    patch_principal(
        &fixture.service,
        &owner_asks(),
        Authority::Owner,
        APP,
        CONTRIBUTOR,
        change,
        conditions,
    )
    .await
    .unwrap();
}

/// A contributor who has just joined begins an upload.
async fn contributor_begins(fixture: &Fixture) -> Pending {
    contributor_joins(fixture).await;
    let row = row_in(us(), fixture.has_bytes(b"kept"));
    upload::begin(&fixture.service, &contributor_asks(), row, None)
        .await
        .unwrap()
}

async fn contributor_leaves(fixture: &Fixture) {
    let conditions = Preconditions::default();
    delete_principal(&fixture.service, &owner_asks(), APP, CONTRIBUTOR, conditions)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_published_stays_when_its_answer_was_lost_and_its_uploader_has_left() {
    on_both(|fixture| async move {
        let pending = contributor_begins(&fixture).await;
        let contributor = contributor_asks();
        let finish = || upload::finish(&fixture.service, &contributor, pending.clone(), Ok(()));
        let published = finish().await.unwrap();
        contributor_leaves(&fixture).await;
        assert_eq!(finish().await.unwrap(), published);
        assert_eq!(fixture.count("versions WHERE status = 'Uploaded'").await, 1);
        assert_eq!(fixture.count("audit WHERE action = 'versions/upload'").await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_uploader_who_has_left_publishes_nothing_and_leaves_only_a_trace() {
    on_both(|fixture| async move {
        let pending = contributor_begins(&fixture).await;
        contributor_leaves(&fixture).await;
        let refused = upload::finish(&fixture.service, &contributor_asks(), pending, Ok(())).await;
        assert!(matches!(refused, Err(Error::Rule(_))));
        assert_eq!(fixture.count("versions").await, 0);
        assert_eq!(
            fixture
                .count("audit WHERE action = 'versions/uploadRefused'")
                .await,
            1
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_whose_beginning_was_not_answered_frees_its_place() {
    on_both(|fixture| async move {
        let row = row_in(us(), fixture.has_bytes(b"kept"));
        let settles = async |row: Version| {
            let failed = Err(Error::fault("nobody knows whether it has begun"));
            let pending = Pending::in_doubt(row);
            let finished = upload::finish(&fixture.service, &owner_asks(), pending, failed).await;
            assert!(matches!(finished, Err(Error::Fault(_))));
        };
        settles(row.clone()).await;
        assert_eq!(fixture.count("versions").await, 0, "it had not begun");
        begins(&fixture, row.clone()).await.unwrap();
        settles(row.clone()).await;
        assert_eq!(fixture.count("versions WHERE status = 'UploadFailed'").await, 1);
        let again = Version {
            upload_id: Uuid::new_v4(),
            ..row.clone()
        };
        let pending = begins(&fixture, again).await.unwrap();
        settles(row).await;
        let uploaded = upload::finish(&fixture.service, &owner_asks(), pending, Ok(())).await;
        assert_eq!(uploaded.unwrap().status, VersionStatus::Uploaded);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_sweeper_gives_up_gets_a_new_tag_and_an_audit_row() {
    on_both(|fixture| async move {
        let row = row_in(us(), fixture.has_bytes(b"half"));
        begins(&fixture, row.clone()).await.unwrap();
        fixture.advance(3600);
        let swept = sweep::sweep(&fixture.service, Duration::from_secs(900))
            .await
            .unwrap();
        assert_eq!(swept.uploads_failed, 1);
        let failed = get_version(&fixture.service, &owner_asks(), APP, us(), TARGET)
            .await
            .unwrap();
        assert_ne!(failed.etag, row.etag);
        let by_sweeper = "audit WHERE action = 'versions/uploadFailed' AND actor_id = 'sweeper'";
        assert_eq!(fixture.count(by_sweeper).await, 1);
    })
    .await;
}
