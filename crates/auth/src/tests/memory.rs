//! The memory of verified tokens: how long, and how many.

use std::sync::Arc;

use entra_local::TokenRequest;

use super::fixture::{Fixture, application, call, present};
use crate::AuthFailure::Expired;
use crate::{Bearer, CustomerCaller, Door};

#[tokio::test]
async fn a_token_is_verified_once_in_five_minutes() {
    let fixture = Fixture::open().await;
    let authenticator = fixture.authenticator();
    let token = fixture.mint(&application());
    let first = present(&authenticator, &token).await.unwrap();
    fixture.advance(299);
    assert!(
        Arc::ptr_eq(&first, &present(&authenticator, &token).await.unwrap()),
        "remembered"
    );
    fixture.advance(1);
    assert!(
        !Arc::ptr_eq(&first, &present(&authenticator, &token).await.unwrap()),
        "verified again"
    );
}

#[tokio::test]
async fn a_token_is_not_remembered_past_its_end() {
    let fixture = Fixture::open().await;
    let authenticator = fixture.authenticator();
    let token = fixture.mint(&TokenRequest {
        expires_in: Some(60),
        ..application()
    });
    let first = present(&authenticator, &token).await.unwrap();
    fixture.advance(60);
    // The clocks may differ, so it is still good, but it is verified each time.
    let second = present(&authenticator, &token).await.unwrap();
    let third = present(&authenticator, &token).await.unwrap();
    assert!(!Arc::ptr_eq(&first, &second) && !Arc::ptr_eq(&second, &third));
    fixture.advance(301);
    assert_eq!(
        present(&authenticator, &token).await.unwrap_err().failure(),
        Expired
    );
}

#[tokio::test]
async fn a_clock_set_back_does_not_lengthen_the_memory() {
    let fixture = Fixture::open().await;
    let authenticator = fixture.authenticator();
    let token = fixture.mint(&application());
    let first = present(&authenticator, &token).await.unwrap();
    fixture.advance(-200);
    assert!(!Arc::ptr_eq(
        &first,
        &present(&authenticator, &token).await.unwrap()
    ));
}

#[tokio::test]
async fn only_good_tokens_are_remembered() {
    let fixture = Fixture::open().await;
    let authenticator = fixture.authenticator();
    call(&fixture, &authenticator, &application()).await.unwrap();
    call(
        &fixture,
        &authenticator,
        &application().with_claim("aud", "https://x"),
    )
    .await
    .unwrap_err();
    call(
        &fixture,
        &authenticator,
        &application().with_claim("idtyp", "device"),
    )
    .await
    .unwrap_err();
    present(&authenticator, "garbage").await.unwrap_err();
    assert_eq!(authenticator.shared.verified.len(), 1);
}

#[tokio::test]
async fn the_memory_is_bounded() {
    let fixture = Fixture::open().await;
    let authenticator = fixture.authenticator();
    let caller = call(&fixture, &authenticator, &application()).await.unwrap();
    let bearer = Bearer {
        caller: CustomerCaller::Own(caller),
        doors: Door::ALL.as_slice().into(),
        is_of_any_tenant: false,
    };
    let verified = &authenticator.shared.verified;
    let key = {
        let sets = authenticator.shared.issuers[0].key_sets();
        let kid = fixture.issuer.key_set(entra_local::TokenVersion::V2).keys[0]
            .kid
            .clone();
        let mut found = None;
        for set in sets {
            found = set.key(&kid).await.ok().or(found);
        }
        found.unwrap()
    };
    let (now, expires) = (super::fixture::START, super::fixture::START + 3_600);
    for number in 0..200_000_u32 {
        let mut digest = [0_u8; 32];
        digest[..4].copy_from_slice(&number.to_le_bytes());
        verified.insert(digest, bearer.clone(), Arc::clone(&key), now, expires);
    }
    assert!(verified.len() <= 16 * 4_096, "{}", verified.len());
}
