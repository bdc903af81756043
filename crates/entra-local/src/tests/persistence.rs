//! A restart on the same data keeps everything that clients hold on to.

use super::harness::{SECRET, issuer, settings, verified_claims};
use crate::{Error, Issuer, IssuerState, Settings, TokenRequest, TokenVersion};

#[test]
fn keys_certificates_and_secrets_survive() {
    let before = issuer();
    before.rotate_keys().unwrap();
    let token = before.mint(&TokenRequest::client("owner")).unwrap();
    let written = serde_json::to_string(&before.state().unwrap()).unwrap();

    let state: IssuerState = serde_json::from_str(&written).unwrap();
    let after = Issuer::load(settings(), state).unwrap();
    assert!(verified_claims(&token, &after.key_set(TokenVersion::V2)).is_some());
    let kids = |issuer: &Issuer| {
        issuer
            .key_set(TokenVersion::V1)
            .keys
            .into_iter()
            .map(|key| key.kid)
    };
    assert!(kids(&before).eq(kids(&after)), "the same keys in the same order");
    assert_eq!(
        before.certificates().authority_pem(),
        after.certificates().authority_pem()
    );
    let directory = after.directory();
    let owner = directory.application("owner").unwrap();
    assert_eq!(owner.secret.as_ref().unwrap().reveal(), SECRET);
}

#[test]
fn a_damaged_state_says_what_is_wrong() {
    let mut state = issuer().state().unwrap();
    state.signing_keys.clear();
    let error = Issuer::load(settings(), state).err().unwrap();
    assert!(matches!(error, Error::DamagedState(what) if what.contains("signing key")));
}

#[test]
fn a_base_url_must_be_absolute() {
    for bad in ["127.0.0.1:8802", "https://", "ftp://x", "https:///x"] {
        let settings = Settings {
            base_url: bad.to_owned(),
            ..settings()
        };
        let error = Issuer::new(settings, super::harness::directory()).err().unwrap();
        assert_eq!(error.code(), "BadBaseUrl", "{bad}");
    }
}
