//! What certificates say, and which of them stand behind each other.

use std::time::{Duration, SystemTime};

use cms::cert::x509::Certificate;
use cms::cert::x509::der::asn1::ObjectIdentifier;
use cms::cert::x509::der::oid::AssociatedOid;
use cms::cert::x509::der::{Decode, Encode};
use cms::cert::x509::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage};
use cms::cert::x509::name::Name;

use super::algorithm::{Hash, has_signed};

/// Certificates above the signer's that are looked for. Real chains have two or three.
const MAX_CHAIN: usize = 6;
/// Characters of a name that are shown.
const MAX_NAME: usize = 200;

/// For signing code.
pub(super) const CODE_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.3");
/// For saying when something was there.
pub(super) const TIME_STAMPING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.8");

/// Whether a certificate's key may sign for `purpose`. One that names no purposes is for none of these.
pub(super) fn is_for(certificate: &Certificate, purpose: ObjectIdentifier) -> bool {
    let signs = extension::<KeyUsage>(certificate).is_none_or(|usage| usage.digital_signature());
    signs && extension::<ExtendedKeyUsage>(certificate).is_some_and(|usage| usage.0.contains(&purpose))
}

/// Whether `at` is within a certificate's time.
pub(super) fn is_valid(certificate: &Certificate, at: SystemTime) -> bool {
    let (from, until) = validity(certificate);
    (from..=until).contains(&at)
}

/// From when until when a certificate is valid.
pub(super) fn validity(certificate: &Certificate) -> (SystemTime, SystemTime) {
    let validity = &certificate.tbs_certificate.validity;
    let time = |since: Duration| SystemTime::UNIX_EPOCH + since;
    (
        time(validity.not_before.to_unix_duration()),
        time(validity.not_after.to_unix_duration()),
    )
}

/// Those of `included` that stand behind `signer` at the time `at`, each having signed the one before.
pub(super) fn chain<'c>(
    signer: &'c Certificate,
    included: &'c [Certificate],
    at: SystemTime,
) -> Vec<&'c Certificate> {
    let mut chain = Vec::new();
    let mut below = signer;
    while chain.len() < MAX_CHAIN && !is_own_issuer(below) {
        let Some(above) = included.iter().find(|above| stands_behind(above, below, at)) else {
            break;
        };
        chain.push(above);
        below = above;
    }
    chain
}

/// Whether nobody else stands behind a certificate.
pub(super) fn is_own_issuer(certificate: &Certificate) -> bool {
    certificate.tbs_certificate.subject == certificate.tbs_certificate.issuer
}

fn stands_behind(above: &Certificate, below: &Certificate, at: SystemTime) -> bool {
    above.tbs_certificate.subject == below.tbs_certificate.issuer
        && is_valid(above, at)
        && extension::<BasicConstraints>(above).is_some_and(|basic| basic.ca)
        && extension::<KeyUsage>(above).is_none_or(|usage| usage.key_cert_sign())
        && has_issued(above, below)
}

fn has_issued(above: &Certificate, below: &Certificate) -> bool {
    let Some(hash) = Hash::signed_by(&below.signature_algorithm) else {
        return false;
    };
    let Ok(message) = below.tbs_certificate.to_der() else {
        return false;
    };
    let Some(signature) = below.signature.as_bytes() else {
        return false;
    };
    has_signed(
        &above.tbs_certificate.subject_public_key_info,
        hash,
        &message,
        signature,
    )
}

/// What a certificate says under an extension, if it can be understood.
fn extension<'c, T: Decode<'c> + AssociatedOid>(certificate: &'c Certificate) -> Option<T> {
    let found = certificate.tbs_certificate.get::<T>().ok()??;
    Some(found.1)
}

/// A name in the form of RFC 4514, without what would show itself as something else.
pub(super) fn text(name: &Name) -> String {
    let shown: String = name.to_string().chars().take(MAX_NAME).collect();
    shown.replace(|char: char| char.is_control() || is_invisible(char), "\u{FFFD}")
}

/// What turns text around or cannot be seen.
fn is_invisible(char: char) -> bool {
    matches!(char, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
}
