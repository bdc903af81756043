//! What a signature proves, and that nothing else does.
use crate::signers::{Authority, CODE, Party, TIME, package};
use crate::year;
use aws_lc_rs::digest::{SHA256, digest};
use navx::{Kind, Limits, Signer, Unproven, UnprovenCode};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::LazyLock;
use std::time::SystemTime;

fn prove_at(package: &[u8], now: SystemTime) -> Result<Signer, Unproven> {
    let facts = navx::read(Cursor::new(package), &Limits::default()).unwrap();
    navx::prove(Cursor::new(package), &facts, now).unwrap()
}

fn prove(package: &[u8]) -> Result<Signer, Unproven> {
    prove_at(package, year(2026))
}

fn code(proof: Result<Signer, Unproven>) -> UnprovenCode {
    proof.unwrap_err().code
}

fn signer() -> Party {
    Authority::new("Contoso Authority").party("Contoso", (2024, 2028), CODE)
}

#[test]
fn a_signature_proves_which_key_signed_these_bytes() {
    let authority = Authority::new("Contoso Authority");
    for party in [
        authority.party("Contoso", (2024, 2028), CODE),
        authority.rsa_party("Contoso"),
    ] {
        for kind in [Kind::Regular, Kind::ReadyToRun, Kind::Runtime] {
            let signer = prove(&party.sign(package(kind), None)).unwrap();
            assert_eq!(signer.subject, "CN=Contoso");
            assert_eq!(signer.key_sha256, digest(&SHA256, &party.public_key()).as_ref());
            assert_eq!(signer.chain, ["CN=Contoso Authority"]);
            assert_eq!(signer.missing_issuer.as_deref(), Some("CN=Root"));
            assert_eq!((signer.hash, signer.stamp), ("SHA-256", None));
        }
    }
}

#[test]
fn without_a_signature_nothing_is_proven() {
    assert_eq!(code(prove(&package(Kind::Regular))), UnprovenCode::Unsigned);
}

#[test]
fn no_byte_of_the_package_can_change_after_it_was_signed() {
    let signed = signer().sign(package(Kind::Regular), None);
    let end = package(Kind::Regular).len();
    let facts = navx::read(Cursor::new(&signed), &Limits::default()).unwrap();
    for at in (0..end).step_by(7) {
        let mut changed = signed.clone();
        changed[at] ^= 1;
        let proof = navx::prove(Cursor::new(&changed), &facts, year(2026)).unwrap();
        let unproven = proof.unwrap_err();
        assert_eq!(unproven.code, UnprovenCode::DigestDiffers, "{at}");
        assert!(unproven.message.contains("changed after it was signed"));
    }
}

/// Whatever is changed in a signature, it proves nothing, or that the same key signed.
#[test]
fn a_changed_signature_proves_nothing_else() {
    let stamper = Authority::new("Clock").party("Clock", (2020, 2030), TIME);
    let signed = signer().sign(package(Kind::Regular), Some((&stamper, year(2026))));
    let facts = navx::read(Cursor::new(&signed), &Limits::default()).unwrap();
    let key = prove(&signed).unwrap().key_sha256;
    let begin = package(Kind::Regular).len() + 4;
    let mut seen = BTreeMap::new();
    for at in begin..signed.len() - 8 {
        let mut changed = signed.clone();
        changed[at] ^= 1;
        match navx::prove(Cursor::new(&changed), &facts, year(2026)).unwrap() {
            Ok(signer) => assert_eq!(signer.key_sha256, key, "{at}"),
            Err(unproven) => *seen.entry(format!("{:?}", unproven.code)).or_insert(0) += 1,
        }
    }
    for code in [
        "BrokenStamp",
        "Broken",
        "DigestDiffers",
        "NoCertificate",
        "NotForCode",
        "NotValid",
        "Unreadable",
        "Unsupported",
    ] {
        assert!(seen.contains_key(code), "{code}: {seen:?}");
    }
}

#[test]
fn a_stamp_says_when_and_a_certificate_must_have_been_valid_then() {
    let authority = Authority::new("Contoso Authority");
    let clock = Authority::new("Clock").party("Clock", (2020, 2030), TIME);
    let old = authority.party("Contoso", (2021, 2023), CODE);
    let stamped = |at| prove(&old.sign(package(Kind::Regular), Some((&clock, at))));
    let stamp = stamped(year(2022)).unwrap().stamp.unwrap();
    assert_eq!((stamp.at, stamp.authority.as_str()), (year(2022), "CN=Clock"));
    for (proof, text) in [
        (stamped(year(2024)), "was not valid when the package was signed"),
        (
            prove(&old.sign(package(Kind::Regular), None)),
            "no time stamp says when",
        ),
    ] {
        let unproven = proof.unwrap_err();
        assert_eq!(unproven.code, UnprovenCode::NotValid);
        assert!(unproven.message.contains(text), "{unproven}");
    }
}

#[test]
fn a_stamp_that_does_not_hold_is_worse_than_none() {
    let authority = Authority::new("Authority");
    let party = authority.party("Contoso", (2024, 2028), CODE);
    let stamped = |by: &Party, at| prove(&party.sign(package(Kind::Regular), Some((by, at))));
    let no_clock = authority.party("No clock", (2020, 2030), CODE);
    let past = authority.party("Past", (2020, 2022), TIME);
    for (proof, text) in [
        (stamped(&no_clock, year(2026)), "not for time stamps"),
        (stamped(&past, year(2026)), "not valid then"),
    ] {
        let unproven = proof.unwrap_err();
        assert_eq!(unproven.code, UnprovenCode::BrokenStamp);
        assert!(unproven.message.contains(text), "{unproven}");
    }
}

/// Anybody could otherwise say that an old signature is of the time when the key was still good.
#[test]
fn a_stamp_is_of_one_signature() {
    let (party, clock) = (
        Authority::new("Authority").rsa_party("Contoso"),
        Authority::new("Clock"),
    );
    let clock = clock.party_with_rsa("Clock", TIME);
    let stamped = |kind| party.sign(package(kind), Some((&clock, year(2026))));
    let (one, other) = (stamped(Kind::Regular), stamped(Kind::SymbolsOnly));
    let stamp_kind = b"\x06\x0A\x2B\x06\x01\x04\x01\x82\x37\x03\x03\x01";
    let begin = |bytes: &[u8]| bytes.windows(12).position(|window| window == stamp_kind).unwrap();
    let ((own, _), (_, foreign)) = (one.split_at(begin(&one)), other.split_at(begin(&other)));
    let (_, frame) = one.split_at(one.len() - 8);
    let mixed = [own, foreign.split_at(foreign.len() - 8).0, frame].concat();
    let unproven = prove(&mixed).unwrap_err();
    assert_eq!(unproven.code, UnprovenCode::BrokenStamp);
    assert!(unproven.message.contains("of another signature"), "{unproven}");
    prove(&one).unwrap();
}

#[test]
fn a_certificate_for_something_else_signs_no_code() {
    let party = Authority::new("Authority").party("Clock", (2024, 2028), TIME);
    let unproven = prove(&party.sign(package(Kind::Regular), None)).unwrap_err();
    assert_eq!(unproven.code, UnprovenCode::NotForCode);
    assert!(unproven.message.contains("CN=Clock"), "{unproven}");
}

/// Who did not issue a certificate does not stand behind it, whatever their own says.
#[test]
fn the_chain_is_of_those_who_issued() {
    let (real, other) = (Authority::new("Authority"), Authority::new("Authority"));
    let theirs = other.party("Other", (2024, 2028), CODE);
    let mixed = real.party("Contoso", (2024, 2028), CODE).with_only_first(theirs);
    let signer = prove(&mixed.sign(package(Kind::Regular), None)).unwrap();
    assert!(signer.chain.is_empty());
    assert_eq!(signer.missing_issuer.as_deref(), Some("CN=Authority"));
}

#[test]
fn names_show_what_they_are() {
    let party = Authority::new("Authority").party("Con\u{202E}toso\n\u{200B}", (2024, 2028), CODE);
    let signer = prove(&party.sign(package(Kind::Regular), None)).unwrap();
    assert_eq!(signer.subject, "CN=Con\u{FFFD}toso\\0a\u{FFFD}");
}

#[test]
fn more_than_a_signature_can_be_is_not_parsed() {
    let authority = Authority::new("Authority");
    let many = (0..60).map(|number| authority.certificate_of(&format!("Nobody {number}")));
    let party = authority
        .party("Contoso", (2024, 2028), CODE)
        .with_certificates(many);
    assert_eq!(
        code(prove(&party.sign(package(Kind::Regular), None))),
        UnprovenCode::Unreadable
    );
}

/// A block with the shape of a signature is not one.
#[test]
fn the_shape_of_a_signature_proves_nothing() {
    let version = "1.2.3.4".parse().unwrap();
    let shape = navx::PackageBuilder::new(uuid::Uuid::from_u128(7), "Pack", "Contoso", version)
        .signed()
        .to_bytes()
        .unwrap();
    assert_eq!(code(prove(&shape)), UnprovenCode::Unreadable);
}

static SIGNED: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let stamper = Authority::new("Clock").party("Clock", (2020, 2030), TIME);
    signer().sign(package(Kind::Runtime), Some((&stamper, year(2026))))
});

proptest! {
    /// No signature makes the reader panic, or prove what is not so.
    #[test]
    fn any_signature_is_answered(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
    ) {
        let facts = navx::read(Cursor::new(&*SIGNED), &Limits::default()).unwrap();
        let begin = package(Kind::Runtime).len() + 4;
        let mut changed = SIGNED.clone();
        for (at, byte) in changes {
            changed[begin + at.index(SIGNED.len() - begin - 8)] = byte;
        }
        match navx::prove(Cursor::new(&changed), &facts, year(2026)).unwrap() {
            Ok(signer) => prop_assert_eq!(signer.key_sha256, prove(&SIGNED).unwrap().key_sha256),
            Err(unproven) => prop_assert!(unproven.message.len() < 1_000),
        }
    }
}
