//! All signatures of a package are told of, with what holds and what does not.

use crate::der::{joined, split, value, values, with_parts, with_signature};
use crate::signers::{Authority, CODE, Party, TIME, package};
use crate::year;
use navx::{
    Examination, Examined, Kind, Limits, PackageBuilder, Place, Signing, StampForm, Standing, Trust,
    UnprovenCode,
};
use proptest::prelude::*;
use std::io::{Cursor, Write};
use std::sync::LazyLock;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

pub(crate) fn examine(package: &[u8]) -> Examination {
    let facts = navx::read(Cursor::new(package), &Limits::default()).unwrap();
    navx::examine(Cursor::new(package), &facts, &Trust::default(), year(2026)).unwrap()
}

fn only(package: &[u8]) -> Examined {
    let mut signatures = examine(package).signatures;
    assert_eq!(signatures.len(), 1);
    signatures.pop().unwrap()
}

fn code(examined: &Examined) -> UnprovenCode {
    examined.outcome.as_ref().unwrap_err().code
}

fn contoso() -> Party {
    Authority::new("Contoso Authority").party("Contoso", (2024, 2028), CODE)
}

fn clock() -> Party {
    Authority::new("Clock Authority").party("Clock", (2020, 2030), TIME)
}

#[test]
fn a_build_is_the_same_before_and_after_it_was_signed() {
    let before = package(Kind::Regular);
    let unsigned = examine(&before);
    assert!(unsigned.signatures.is_empty());
    let signed = contoso().sign(before.clone(), None);
    let after = examine(&signed);
    assert_eq!(unsigned.signed_content_sha256, after.signed_content_sha256);
    let whole = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &before);
    assert_eq!(after.signed_content_sha256, whole.as_ref());
}

/// The payload of a runtime package ends eight bytes behind what its header says.
#[test]
fn every_kind_of_package_is_examined() {
    for kind in [Kind::Regular, Kind::SymbolsOnly, Kind::Runtime, Kind::ReadyToRun] {
        let examined = only(&contoso().sign(package(kind), None));
        assert_eq!(examined.outcome, Ok(()), "{kind:?}");
        assert_eq!(examined.digest_matches, Some(true));
        assert_eq!((examined.hash, examined.is_weak), (Some("SHA-256"), false));
        let certificate = examined.certificate.unwrap();
        assert_eq!(certificate.subject, "CN=Contoso");
        assert_eq!(certificate.issuer, "CN=Contoso Authority");
        assert!(certificate.serial.len() > 16 && certificate.valid.0 < certificate.valid.1);
        assert_eq!((examined.stamp, examined.is_valid_at_signing), (None, None));
        assert_eq!(examined.standing, Standing::Unknown);
        assert_eq!(examined.revocation, None);
    }
}

/// As Microsoft's packages of 2017 are.
#[test]
fn a_weak_signature_holds_and_is_told_apart_from_the_one_nested_in_it() {
    let authority = Authority::new("Authority");
    let (old, new) = (authority.rsa_party("Old"), authority.rsa_party("New"));
    let signed = new.signs(|new| old.sign_by_sha1(package(Kind::Regular), Some(Signing::by(new))));
    let signatures = examine(&signed).signatures;
    let told: Vec<_> = signatures
        .iter()
        .map(|one| (one.place, one.hash.unwrap(), one.is_weak, one.outcome.is_ok()))
        .collect();
    assert_eq!(
        told,
        [
            (Place::Package, "SHA-1", true, true),
            (Place::Package, "SHA-256", false, true),
        ]
    );
    let facts = navx::read(Cursor::new(&signed), &Limits::default()).unwrap();
    let proof = navx::prove(Cursor::new(&signed), &facts, year(2026)).unwrap();
    assert_eq!(proof.unwrap_err().code, UnprovenCode::WeakHash);
}

#[test]
fn a_changed_weak_signature_does_not_hold() {
    let signed = Authority::new("Authority")
        .rsa_party("Old")
        .sign_by_sha1(package(Kind::Regular), None);
    let mut changed = signed.clone();
    changed[60] ^= 1;
    let facts = navx::read(Cursor::new(&signed), &Limits::default()).unwrap();
    let examined = navx::examine(Cursor::new(&changed), &facts, &Trust::default(), year(2026)).unwrap();
    assert_eq!(code(&examined.signatures[0]), UnprovenCode::DigestDiffers);
    let forged = with_signature(&signed, |der| {
        let mut der = der.to_vec();
        *der.last_mut().unwrap() ^= 1;
        der
    });
    assert_eq!(code(&only(&forged)), UnprovenCode::Broken);
}

#[test]
fn what_is_nested_must_hold_too() {
    let (outer, inner) = (contoso(), contoso());
    let other = package(Kind::SymbolsOnly);
    let nested = split(&inner.sign(other, None)).1.to_vec();
    let empty = outer.signs(|outer| {
        inner.signs(|inner| {
            Signing::by(outer)
                .beside(Signing::by(inner))
                .sign(package(Kind::Regular))
        })
    });
    let empty = empty.unwrap();
    assert!(examine(&empty).signatures.iter().all(|one| one.outcome.is_ok()));
    let mixed = with_parts(&empty, |parts| {
        let signer = &mut parts.last_mut().unwrap().1;
        let mut fields = values(&values(signer)[0].1);
        let kind = value(0x06, b"\x2B\x06\x01\x04\x01\x82\x37\x02\x04\x01");
        let attribute = value(0x30, &[kind, value(0x31, &nested)].concat());
        fields.last_mut().unwrap().1 = attribute;
        *signer = value(0x30, &joined(&fields));
    });
    let signatures = examine(&mixed).signatures;
    assert_eq!(signatures[0].outcome, Ok(()));
    assert_eq!(code(&signatures[1]), UnprovenCode::DigestDiffers);
    assert_eq!(signatures[1].digest_matches, Some(false));
}

#[test]
fn more_signatures_than_anybody_makes_are_not_looked_at() {
    let party = contoso();
    let signed = party.signs(|party| {
        let others = (0..12).map(|_| Signing::by(party));
        let signing = others.fold(Signing::by(party), Signing::beside);
        signing.sign(package(Kind::Regular)).unwrap()
    });
    let signatures = examine(&signed).signatures;
    assert_eq!(signatures.len(), 9);
    assert_eq!(code(&signatures[8]), UnprovenCode::Unreadable);
}

#[test]
fn both_ways_of_saying_when_are_understood() {
    let old = Authority::new("Contoso Authority").party("Contoso", (2021, 2023), CODE);
    let (token, counter) = old.signs(|old| {
        clock().signs(|clock| {
            let token = Signing::by(old).stamped(clock, year(2022));
            let counter = Signing::by(old).countersigned(clock, year(2022));
            (
                token.sign(package(Kind::Regular)).unwrap(),
                counter.sign(package(Kind::Regular)).unwrap(),
            )
        })
    });
    for (signed, form) in [(token, StampForm::Rfc3161), (counter, StampForm::Pkcs9)] {
        let examined = only(&signed);
        assert_eq!(examined.outcome, Ok(()));
        let stamp = examined.stamp.unwrap();
        assert_eq!((stamp.at, stamp.form), (year(2022), form));
        assert_eq!((stamp.authority.as_str(), stamp.is_weak), ("CN=Clock", false));
        assert_eq!(examined.is_valid_at_signing, Some(true));
    }
}

#[test]
fn a_counter_signature_is_of_one_signature() {
    let (party, clock) = (contoso(), clock());
    let countersigned = |kind| {
        party.signs(|party| {
            clock.signs(|clock| {
                Signing::by(party)
                    .countersigned(clock, year(2026))
                    .sign(package(kind))
            })
        })
    };
    let (own, other) = (
        countersigned(Kind::Regular).unwrap(),
        countersigned(Kind::SymbolsOnly).unwrap(),
    );
    let beside = |signed: &[u8]| {
        let info = values(&values(split(signed).1)[0].1);
        let parts = values(&values(&info[1].1)[0].1);
        values(&values(&parts.last().unwrap().1)[0].1).pop().unwrap()
    };
    let foreign = beside(&other);
    let mixed = with_parts(&own, |parts| {
        let signer = &mut parts.last_mut().unwrap().1;
        let mut fields = values(&values(signer)[0].1);
        *fields.last_mut().unwrap() = foreign;
        *signer = value(0x30, &joined(&fields));
    });
    assert_eq!(code(&only(&mixed)), UnprovenCode::BrokenStamp);
    assert_eq!(only(&own).outcome, Ok(()));
}

#[test]
fn without_a_time_nobody_knows_whether_the_certificate_was_valid() {
    let old = Authority::new("Contoso Authority").party("Contoso", (2021, 2023), CODE);
    let examined = only(&old.sign(package(Kind::Regular), None));
    assert_eq!((examined.outcome, examined.is_valid_at_signing), (Ok(()), None));
    let late = only(&old.sign(package(Kind::Regular), Some((&clock(), year(2024)))));
    assert_eq!(code(&late), UnprovenCode::NotValid);
    assert_eq!(late.is_valid_at_signing, Some(false));
    assert_eq!(late.certificate.unwrap().subject, "CN=Contoso");
}

#[test]
fn claims_are_told_as_text() {
    let signed = contoso().signs(|party| {
        Signing::by(party)
            .claiming("Sales \u{202E}Pack", "https://contoso.com/\u{1b}[2J")
            .sign(package(Kind::Regular))
    });
    let examined = only(&signed.unwrap());
    assert_eq!(examined.program.as_deref(), Some("Sales \u{FFFD}Pack"));
    assert_eq!(
        examined.address.as_deref(),
        Some("https://contoso.com/\u{FFFD}[2J")
    );
}

#[test]
fn a_changed_byte_is_found_wherever_it_is() {
    let signed = contoso().sign(package(Kind::Regular), None);
    let facts = navx::read(Cursor::new(&signed), &Limits::default()).unwrap();
    let end = split(&signed).0;
    let attribute = {
        let kind = b"\x06\x09\x2A\x86\x48\x86\xF7\x0D\x01\x09\x04";
        let at = signed.windows(11).position(|window| window == kind).unwrap();
        at + 20
    };
    for (at, expected) in [
        (14, UnprovenCode::DigestDiffers),
        (end - 30, UnprovenCode::DigestDiffers),
        (attribute, UnprovenCode::Broken),
    ] {
        let mut changed = signed.clone();
        changed[at] ^= 1;
        let examined = navx::examine(Cursor::new(&changed), &facts, &Trust::default(), year(2026)).unwrap();
        let found = &examined.signatures[0];
        assert_eq!(code(found), expected, "{at}");
        assert_eq!(found.certificate.as_ref().unwrap().subject, "CN=Contoso");
    }
}

#[test]
fn a_certificate_that_is_not_for_code_or_not_there_signs_nothing() {
    let authority = Authority::new("Authority");
    let clock = authority.party("Clock", (2024, 2028), TIME);
    assert_eq!(
        code(&only(&clock.sign(package(Kind::Regular), None))),
        UnprovenCode::NotForCode
    );
    let gone = with_parts(&contoso().sign(package(Kind::Regular), None), |parts| {
        parts.retain(|(tag, _)| *tag != 0xA0);
    });
    let examined = only(&gone);
    assert_eq!(
        (code(&examined), examined.certificate),
        (UnprovenCode::NoCertificate, None)
    );
}

#[test]
fn a_key_of_another_kind_is_neither_believed_nor_called_broken() {
    let odd = Authority::new("Authority").odd_party("Odd");
    let examined = only(&odd.sign(package(Kind::Regular), None));
    assert_eq!(code(&examined), UnprovenCode::Unsupported);
    assert_eq!(examined.digest_matches, Some(true));
    assert_eq!(examined.certificate.unwrap().subject, "CN=Odd");
}

#[test]
fn one_hash_is_used_throughout() {
    let signed = contoso().sign(package(Kind::Regular), None);
    let sha512 = value(0x30, &value(0x06, b"\x60\x86\x48\x01\x65\x03\x04\x02\x03"));
    for hashes in [
        sha512.clone(),
        Vec::new(),
        [
            value(0x30, &value(0x06, b"\x60\x86\x48\x01\x65\x03\x04\x02\x01")),
            sha512,
        ]
        .concat(),
    ] {
        let mixed = with_parts(&signed, |parts| parts[1].1.clone_from(&hashes));
        assert_eq!(code(&only(&mixed)), UnprovenCode::Unreadable);
    }
}

#[test]
fn what_is_no_der_is_refused_before_it_is_read() {
    let signed = contoso().sign(package(Kind::Regular), None);
    let trailing = with_signature(&signed, |der| [der, &[0]].concat());
    let endless = with_signature(&signed, |der| {
        [&[0x30, 0x80], values(der)[0].1.as_slice(), &[0, 0]].concat()
    });
    for refused in [trailing, endless] {
        let error = navx::read(Cursor::new(&refused), &Limits::default()).unwrap_err();
        assert_eq!(error.code(), "bad_trailer");
    }
    let trailing_inside = with_signature(&signed, |der| {
        value(0x30, &[values(der)[0].1.as_slice(), &[5, 0]].concat())
    });
    let endless_inside = with_signature(&signed, |der| {
        let info = values(&values(der)[0].1);
        let kind = value(info[0].0, &info[0].1);
        value(
            0x30,
            &[kind.as_slice(), &[0xA0, 0x80], &info[1].1, &[0, 0]].concat(),
        )
    });
    for odd in [trailing_inside, endless_inside] {
        assert_eq!(code(&only(&odd)), UnprovenCode::Unreadable);
    }
}

#[test]
fn ten_thousand_certificates_are_not_parsed() {
    let signed = contoso().sign(package(Kind::Regular), None);
    let many = with_parts(&signed, |parts| {
        let own = parts.iter_mut().find(|(tag, _)| *tag == 0xA0).unwrap();
        own.1.extend(value(0x30, b"\x05\x00").repeat(10_000));
    });
    assert_eq!(code(&only(&many)), UnprovenCode::Unreadable);
}

/// A package around one that somebody else has signed.
fn ready_to_run(inner: &[u8]) -> Vec<u8> {
    let claim = format!(
        r#"{{"EmbeddedAppId":"{}","EmbeddedAppName":"Sales Pack","EmbeddedAppPublisher":"Contoso",
        "EmbeddedAppVersion":"1.2.3.4","EmbeddedAppFileName":"inner.app"}}"#,
        uuid::Uuid::from_u128(7)
    );
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in [
        ("readytorunappmanifest.json", claim.as_bytes()),
        ("inner.app", inner),
    ] {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    let payload = zip.finish().unwrap().into_inner();
    let len = u64::try_from(payload.len()).unwrap().to_le_bytes();
    let header = [
        b"NAVX",
        &40_u32.to_le_bytes()[..],
        &2_u32.to_le_bytes(),
        &[7; 16],
        &len,
        b"NAVX",
    ];
    [header.concat(), payload].concat()
}

#[test]
fn outer_and_inner_signatures_of_a_ready_to_run_package_are_told() {
    let inner = contoso().sign(package(Kind::Regular), None);
    let other = Authority::new("Fabrikam Authority").party("Fabrikam", (2024, 2028), CODE);
    let around = ready_to_run(&inner);
    let outer = other.sign(around.clone(), None);
    let told = |package: &[u8]| -> Vec<_> {
        let signatures = examine(package).signatures;
        signatures
            .into_iter()
            .map(|one| (one.place, one.outcome.is_ok(), one.certificate.unwrap().subject))
            .collect()
    };
    let fabrikam = (Place::Package, true, "CN=Fabrikam".to_owned());
    let contoso_inside = |holds| (Place::Embedded, holds, "CN=Contoso".to_owned());
    assert_eq!(told(&outer), [fabrikam.clone(), contoso_inside(true)]);
    assert_eq!(told(&around), [contoso_inside(true)]);
    let mut changed = inner;
    changed[15] ^= 1;
    assert_eq!(
        told(&other.sign(ready_to_run(&changed), None)),
        [fabrikam, contoso_inside(false)]
    );
}

#[test]
fn an_unsigned_ready_to_run_package_has_no_signatures() {
    let version = "1.2.3.4".parse().unwrap();
    let built = PackageBuilder::new(uuid::Uuid::from_u128(7), "Sales Pack", "Contoso", version);
    let built = built.kind(Kind::ReadyToRun).to_bytes().unwrap();
    assert!(examine(&built).signatures.is_empty());
}

static SIGNED: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let (outer, nested, clock) = (contoso(), contoso(), clock());
    outer.signs(|outer| {
        nested.signs(|nested| {
            clock.signs(|clock| {
                let nested = Signing::by(nested).countersigned(clock, year(2026));
                let signing = Signing::by(outer).claiming("Pack", "https://contoso.com");
                let signing = signing.stamped(clock, year(2026)).beside(nested);
                signing.sign(package(Kind::Regular)).unwrap()
            })
        })
    })
});

proptest! {
    /// Whatever a signature says, it is answered, and what holds is by one of those who signed.
    #[test]
    fn any_signature_is_told_of(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let facts = navx::read(Cursor::new(&*SIGNED), &Limits::default()).unwrap();
        let known: Vec<_> = examine(&SIGNED).signatures.into_iter().map(|one| one.certificate.unwrap().key_sha256).collect();
        prop_assert_eq!(known.len(), 2);
        let (end, der) = split(&SIGNED);
        let mut changed = SIGNED.clone();
        for (at, byte) in changes {
            changed[end + 4 + at.index(der.len())] = byte;
        }
        let examined = navx::examine(Cursor::new(&changed), &facts, &Trust::default(), year(2026)).unwrap();
        prop_assert!(!examined.signatures.is_empty());
        for one in examined.signatures {
            match one.outcome {
                Ok(()) => prop_assert!(known.contains(&one.certificate.unwrap().key_sha256)),
                Err(unproven) => prop_assert!(unproven.message.len() < 1_000),
            }
        }
    }
}
