//! Whom a caller believes, and nobody else.

use crate::signers::{Authority, CODE, Party, TIME, package};
use crate::year;
use aws_lc_rs::digest::{SHA256, digest};
use navx::{Examined, Kind, Limits, Standing, Trust, UnprovenCode};
use std::io::Cursor;

fn examined(package: &[u8], trust: &Trust) -> Examined {
    let facts = navx::read(Cursor::new(package), &Limits::default()).unwrap();
    let found = navx::examine(Cursor::new(package), &facts, trust, year(2026)).unwrap();
    found.signatures.into_iter().next().unwrap()
}

fn believing<'a>(authorities: impl IntoIterator<Item = &'a Authority>) -> Trust {
    let mut trust = Trust::default();
    for authority in authorities {
        trust.believe(&authority.root).unwrap();
    }
    trust
}

fn pinning(der: &[u8]) -> Trust {
    let mut trust = Trust::default();
    trust.pin(digest(&SHA256, der).as_ref().try_into().unwrap());
    trust
}

fn contoso(authority: &Authority) -> Party {
    authority.party("Contoso", (2024, 2028), CODE)
}

#[test]
fn a_signer_is_believed_by_a_root_that_was_given() {
    let (own, other) = (Authority::new("Authority"), Authority::new("Authority"));
    let signed = contoso(&own).sign(package(Kind::Regular), None);
    assert_eq!(examined(&signed, &believing([&own])).standing, Standing::Anchored);
    assert_eq!(
        examined(&signed, &believing([&other])).standing,
        Standing::Unknown
    );
    assert_eq!(examined(&signed, &Trust::default()).standing, Standing::Unknown);
    assert_eq!(
        examined(&signed, &believing([&other, &own])).standing,
        Standing::Anchored
    );
}

#[test]
fn a_signer_is_believed_by_key_or_certificate() {
    let authority = Authority::new("Authority");
    let (own, other) = (contoso(&authority), contoso(&authority));
    let signed = own.sign(package(Kind::Regular), None);
    for pin in [own.certificate(), &own.public_key()] {
        assert_eq!(examined(&signed, &pinning(pin)).standing, Standing::Pinned);
    }
    for pin in [other.certificate(), &other.public_key(), &authority.root] {
        assert_eq!(examined(&signed, &pinning(pin)).standing, Standing::Unknown);
    }
}

/// For a weak hash two packages can be made that have one signature.
#[test]
fn nobody_is_believed_by_a_weak_or_broken_signature() {
    let authority = Authority::new("Authority");
    let party = authority.rsa_party("Contoso");
    let weak = party.sign_by_sha1(package(Kind::Regular), None);
    let found = examined(&weak, &pinning(party.certificate()));
    assert_eq!((found.outcome.is_ok(), found.standing), (true, Standing::Unknown));
    assert_eq!(
        examined(&weak, &believing([&authority])).standing,
        Standing::Unknown
    );
    let signed = party.sign(package(Kind::Regular), None);
    let facts = navx::read(Cursor::new(&signed), &Limits::default()).unwrap();
    let mut changed = signed;
    changed[14] ^= 1;
    let trust = pinning(party.certificate());
    let found = navx::examine(Cursor::new(&changed), &facts, &trust, year(2026)).unwrap();
    assert_eq!(found.signatures[0].standing, Standing::Unknown);
}

/// Everybody can make an authority that says what time it was.
#[test]
fn a_time_counts_only_from_somebody_who_is_believed() {
    let (own, clocks) = (Authority::new("Authority"), Authority::new("Clock Authority"));
    let clock = clocks.party("Clock", (2020, 2030), TIME);
    let old = own.party("Contoso", (2021, 2023), CODE);
    let signed = old.sign(package(Kind::Regular), Some((&clock, year(2022))));
    let alone = examined(&signed, &believing([&own]));
    assert_eq!(alone.standing, Standing::Unknown);
    assert!(!alone.stamp.unwrap().is_anchored);
    let both = examined(&signed, &believing([&own, &clocks]));
    assert_eq!(both.standing, Standing::Anchored);
    assert!(both.stamp.unwrap().is_anchored);
    let valid = contoso(&own).sign(package(Kind::Regular), Some((&clock, year(2025))));
    assert_eq!(examined(&valid, &believing([&own])).standing, Standing::Anchored);
    let unstamped = old.sign(package(Kind::Regular), None);
    assert_eq!(
        examined(&unstamped, &believing([&own])).standing,
        Standing::Unknown
    );
}

#[test]
fn an_authority_issues_what_it_may() {
    for authority in [
        Authority::only_for("Authority", TIME),
        Authority::too_far("Authority"),
    ] {
        let signed = contoso(&authority).sign(package(Kind::Regular), None);
        let found = examined(&signed, &believing([&authority]));
        assert_eq!((found.outcome, found.standing), (Ok(()), Standing::Unknown));
    }
    let fit = Authority::only_for("Authority", CODE);
    let signed = contoso(&fit).sign(package(Kind::Regular), None);
    assert_eq!(examined(&signed, &believing([&fit])).standing, Standing::Anchored);
}

#[test]
fn a_certificate_that_was_taken_back_signs_nothing() {
    let (own, other) = (Authority::new("Authority"), Authority::new("Authority"));
    let party = contoso(&own);
    let signed = party.sign(package(Kind::Regular), None);
    let serial = examined(&signed, &Trust::default()).certificate.unwrap().serial;
    let with_list = |list: &[u8]| {
        let mut trust = pinning(party.certificate());
        trust.look_up_in(list).unwrap();
        examined(&signed, &trust)
    };
    let found = with_list(&own.list(&[&serial], 2025));
    assert_eq!(found.outcome.unwrap_err().code, UnprovenCode::Revoked);
    assert_eq!(found.standing, Standing::Unknown);
    assert_eq!(found.revocation.unwrap().revoked.unwrap().1, "CN=Contoso");
    let found = with_list(&own.list(&["77"], 2025));
    assert_eq!((found.outcome, found.standing), (Ok(()), Standing::Pinned));
    assert_eq!(found.revocation.unwrap().revoked, None);
    let found = with_list(&other.list(&[&serial], 2025));
    assert_eq!((found.outcome, found.revocation), (Ok(()), None));
}

#[test]
fn what_was_signed_before_a_certificate_was_taken_back_holds_if_the_time_is_believed() {
    let (own, clocks) = (Authority::new("Authority"), Authority::new("Clock Authority"));
    let clock = clocks.party("Clock", (2020, 2030), TIME);
    let signed = contoso(&own).sign(package(Kind::Regular), Some((&clock, year(2025))));
    let serial = examined(&signed, &Trust::default()).certificate.unwrap().serial;
    let outcome = |authorities: &[&Authority], revoked| {
        let mut trust = believing(authorities.iter().copied());
        trust.look_up_in(&own.list(&[&serial], revoked)).unwrap();
        examined(&signed, &trust).outcome.is_ok()
    };
    assert!(outcome(&[&own, &clocks], 2026));
    assert!(!outcome(&[&own, &clocks], 2025));
    assert!(!outcome(&[&own], 2026));
}

#[test]
fn what_is_no_certificate_and_no_list_is_said_so() {
    let mut trust = Trust::default();
    assert!(
        trust
            .believe(b"nothing")
            .unwrap_err()
            .to_string()
            .contains("certificate")
    );
    assert!(
        trust
            .look_up_in(b"nothing")
            .unwrap_err()
            .to_string()
            .contains("revocation list")
    );
    assert!(!trust.is_asked());
    trust.pin([0; 32]);
    assert!(trust.is_asked());
}
