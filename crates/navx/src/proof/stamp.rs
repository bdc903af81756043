//! When something was signed, as an authority for time stamps says it: in a token of its own (RFC 3161), or, as it was done
//! before, by a signature of the signature (PKCS#9).

use std::ops::Range;
use std::time::SystemTime;

use cms::cert::x509::Certificate;
use cms::cert::x509::der::asn1::{ObjectIdentifier, OctetStringRef};
use cms::cert::x509::der::{Any, AnyRef, DateTime, Decode, Encode, SliceReader};
use cms::cert::x509::spki::AlgorithmIdentifierOwned;
use cms::cert::x509::time::Time;
use cms::signed_data::SignerInfo;

use super::algorithm::Hash;
use super::certificate::{self, TIME_STAMPING};
use super::signed::{self, Signed};
use super::trust::Trust;
use super::{Stamp, StampForm, Unproven, UnprovenCode};

/// Where the token stands beside a signature.
pub(crate) const TOKEN: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.3.3.1");
/// Where a signature of the signature stands beside it.
pub(crate) const COUNTER_SIGNATURE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.6");
/// What an authority signs in a token.
pub(crate) const STAMP: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");
/// What it signs without one.
pub(crate) const DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
pub(crate) const SIGNING_TIME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.5");

/// The stamp beside a signature, if there is one. One that does not hold is worse than none.
pub(super) fn read(signed: &Signed, trust: &Trust) -> Result<Option<Stamp>, Unproven> {
    let signature = signed.signer.signature.as_bytes();
    if let Some(token) = signed.beside(TOKEN) {
        let token = token.to_der()?;
        return verify(&token, signature, trust).map(Some).map_err(nested);
    }
    let Some(counter) = signed.beside(COUNTER_SIGNATURE) else {
        return Ok(None);
    };
    let counter = SignerInfo::from_der(&counter.to_der()?).map_err(Unproven::from);
    let stamp = counter.and_then(|counter| countersigned(&counter, &signed.certificates, signature, trust));
    stamp.map(Some).map_err(nested)
}

fn verify(token: &[u8], signature: &[u8], trust: &Trust) -> Result<Stamp, Unproven> {
    let token = Signed::read(token)?;
    let authority = token.verify(STAMP)?;
    let (hash, imprint, at) =
        stamped(token.content(STAMP)?).ok_or_else(|| broken("its content cannot be read"))?;
    let Some(hash) = Hash::of(&hash) else {
        return Err(broken("its hash is not known"));
    };
    if imprint != hash.digest(signature) {
        return Err(broken("it is of another signature"));
    }
    let is_weak = hash.is_weak() || signed::hash_of(&token.signer)?.is_weak();
    check_authority(authority, at)?;
    Ok(Stamp {
        at,
        authority: certificate::text(&authority.tbs_certificate.subject),
        form: StampForm::Rfc3161,
        is_weak,
        is_anchored: !is_weak && trust.anchors(authority, &token.certificates, TIME_STAMPING, at),
    })
}

fn countersigned(
    counter: &SignerInfo,
    certificates: &[Certificate],
    signature: &[u8],
    trust: &Trust,
) -> Result<Stamp, Unproven> {
    let authority = signed::verify(counter, certificates, DATA, signature)?;
    let attributes = counter.signed_attrs.iter().flat_map(|set| set.iter());
    let time = signed::one(attributes, SIGNING_TIME).and_then(moment);
    let Some(at) = time else {
        return Err(broken("it says no time"));
    };
    check_authority(authority, at)?;
    let is_weak = signed::hash_of(counter)?.is_weak();
    Ok(Stamp {
        at,
        authority: certificate::text(&authority.tbs_certificate.subject),
        form: StampForm::Pkcs9,
        is_weak,
        is_anchored: !is_weak && trust.anchors(authority, certificates, TIME_STAMPING, at),
    })
}

fn moment(time: &Any) -> Option<SystemTime> {
    let time = Time::from_der(&time.to_der().ok()?).ok()?;
    Some(certificate::moment(time))
}

/// Whether whoever stamped may, and could when they say that they did.
fn check_authority(authority: &Certificate, at: SystemTime) -> Result<(), Unproven> {
    if !certificate::is_for(authority, TIME_STAMPING) {
        return Err(broken("its certificate is not for time stamps"));
    }
    if !certificate::is_valid(authority, at) {
        return Err(broken("its certificate was not valid then"));
    }
    Ok(())
}

/// What was stamped, as a hash, and when: the beginning of a TSTInfo. What follows says nothing that is needed.
fn stamped(content: &[u8]) -> Option<(AlgorithmIdentifierOwned, Vec<u8>, SystemTime)> {
    let mut reader = SliceReader::new(AnyRef::from_der(content).ok()?.value()).ok()?;
    let _version = AnyRef::decode(&mut reader).ok()?;
    let _policy = ObjectIdentifier::decode(&mut reader).ok()?;
    let (algorithm, digest) = digest_info(AnyRef::decode(&mut reader).ok()?)?;
    let _serial = AnyRef::decode(&mut reader).ok()?;
    let at = time(AnyRef::decode(&mut reader).ok()?.value())?;
    Some((algorithm, digest, at))
}

/// A hash, and the algorithm that it was made by.
pub(super) fn digest_info(value: AnyRef<'_>) -> Option<(AlgorithmIdentifierOwned, Vec<u8>)> {
    let parts = value.sequence(|reader| {
        let algorithm = AlgorithmIdentifierOwned::decode(reader)?;
        let digest = OctetStringRef::decode(reader)?;
        Ok((algorithm, digest.as_bytes().to_vec()))
    });
    parts.ok()
}

/// A time in UTC such as `20250531021143Z`, whatever fraction of a second it has.
fn time(text: &[u8]) -> Option<SystemTime> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() != 14 || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let part = |range: Range<usize>| whole.get(range)?.parse::<u8>().ok();
    let year = whole.get(..4)?.parse().ok()?;
    let time = DateTime::new(
        year,
        part(4..6)?,
        part(6..8)?,
        part(8..10)?,
        part(10..12)?,
        part(12..14)?,
    );
    Some(SystemTime::UNIX_EPOCH + time.ok()?.unix_duration())
}

/// What is wrong with a stamp is wrong with it as with any signature.
fn nested(unproven: Unproven) -> Unproven {
    match unproven.code {
        UnprovenCode::BrokenStamp => unproven,
        _ => UnprovenCode::BrokenStamp.because(format!(
            "The signature's time stamp does not hold. {}",
            unproven.message
        )),
    }
}

fn broken(reason: &str) -> Unproven {
    UnprovenCode::BrokenStamp.because(format!("The signature's time stamp does not hold: {reason}."))
}
