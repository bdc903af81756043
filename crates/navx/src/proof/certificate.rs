//! What certificates say, and which of them stand behind each other.

use std::time::SystemTime;

use cms::cert::x509::Certificate;
use cms::cert::x509::der::asn1::{BitString, ObjectIdentifier};
use cms::cert::x509::der::oid::AssociatedOid;
use cms::cert::x509::der::{Decode, Encode};
use cms::cert::x509::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage};
use cms::cert::x509::name::Name;
use cms::cert::x509::spki::AlgorithmIdentifierOwned;
use cms::cert::x509::time::Time;

use super::algorithm::{Hash, Verdict, has_signed};

/// Certificates above the signer's that are looked for. Real chains have two or three.
const MAX_CHAIN: usize = 6;
/// Characters of a name that are shown.
const MAX_NAME: usize = 200;

/// For signing code.
pub(super) const CODE_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.3");
/// For saying when something was there.
pub(super) const TIME_STAMPING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.8");
/// For whatever.
const ANY_PURPOSE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");
/// By which rules a certificate was issued. None are demanded, so any will do.
const POLICIES: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.32");
const ORGANISATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");

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
    (moment(validity.not_before), moment(validity.not_after))
}

/// The moment that a certificate or a list names.
pub(super) fn moment(time: Time) -> SystemTime {
    SystemTime::UNIX_EPOCH + time.to_unix_duration()
}

/// Those of `included` that stand behind `signer` at the time `at`, each having signed the one before.
pub(super) fn chain<'c>(
    signer: &'c Certificate,
    included: &'c [Certificate],
    at: SystemTime,
) -> Vec<&'c Certificate> {
    let mut chain: Vec<&Certificate> = Vec::new();
    let mut below = signer;
    while chain.len() < MAX_CHAIN && !is_own_issuer(below) {
        let Some(above) = included
            .iter()
            .find(|above| stands_behind(above, below, chain.len(), at))
        else {
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

/// Whether `above` has issued `below` and may have, with that many authorities between itself and who signed.
pub(super) fn stands_behind(
    above: &Certificate,
    below: &Certificate,
    between: usize,
    at: SystemTime,
) -> bool {
    let may_issue = |basic: BasicConstraints| {
        let is_near = |most: u8| between <= usize::from(most);
        basic.ca && basic.path_len_constraint.is_none_or(is_near)
    };
    above.tbs_certificate.subject == below.tbs_certificate.issuer
        && is_valid(above, at)
        && extension::<BasicConstraints>(above).is_some_and(may_issue)
        && extension::<KeyUsage>(above).is_none_or(|usage| usage.key_cert_sign())
        && has_issued(above, below)
}

fn has_issued(above: &Certificate, below: &Certificate) -> bool {
    let Ok(message) = below.tbs_certificate.to_der() else {
        return false;
    };
    is_signed_by(above, &below.signature_algorithm, &message, &below.signature)
}

/// Whether an authority has signed `message`, such as a certificate or a list of those that it took back.
pub(super) fn is_signed_by(
    authority: &Certificate,
    algorithm: &AlgorithmIdentifierOwned,
    message: &[u8],
    signature: &BitString,
) -> bool {
    let (Some(hash), Some(signature)) = (Hash::signed_by(algorithm), signature.as_bytes()) else {
        return false;
    };
    let key = &authority.tbs_certificate.subject_public_key_info;
    has_signed(key, hash, message, signature) == Verdict::Signed
}

/// Whether an authority may sign lists of what it took back.
pub(super) fn may_revoke(authority: &Certificate) -> bool {
    extension::<KeyUsage>(authority).is_none_or(|usage| usage.crl_sign())
}

/// Whether an authority may issue certificates for `purpose`. One that names no purposes may issue for all.
pub(super) fn may_issue_for(authority: &Certificate, purpose: ObjectIdentifier) -> bool {
    let allows = |usage: ExtendedKeyUsage| usage.0.contains(&purpose) || usage.0.contains(&ANY_PURPOSE);
    extension::<ExtendedKeyUsage>(authority).is_none_or(allows)
}

/// Whether a certificate demands nothing that is not looked at here, such as that names be of one domain.
pub(super) fn is_understood(certificate: &Certificate) -> bool {
    let extensions = certificate.tbs_certificate.extensions.iter().flatten();
    let is_known = |id: ObjectIdentifier| {
        [
            BasicConstraints::OID,
            KeyUsage::OID,
            ExtendedKeyUsage::OID,
            POLICIES,
        ]
        .contains(&id)
    };
    extensions
        .filter(|extension| extension.critical)
        .all(|extension| is_known(extension.extn_id))
}

/// What a certificate says under an extension, if it can be understood.
fn extension<'c, T: Decode<'c> + AssociatedOid>(certificate: &'c Certificate) -> Option<T> {
    let found = certificate.tbs_certificate.get::<T>().ok()??;
    Some(found.1)
}

/// A name in the form of RFC 4514, without what would show itself as something else.
pub(super) fn text(name: &Name) -> String {
    harmless(&name.to_string())
}

/// The organisations that a name names.
pub(super) fn organisations(name: &Name) -> Vec<String> {
    let parts = name.0.iter().flat_map(|part| part.0.iter());
    parts
        .filter(|part| part.oid == ORGANISATION)
        .filter_map(|part| std::str::from_utf8(part.value.value()).ok().map(harmless))
        .collect()
}

/// As much of a text as is shown, without what would show itself as something else.
pub(super) fn harmless(text: &str) -> String {
    let shown: String = text.chars().take(MAX_NAME).collect();
    shown.replace(|char: char| char.is_control() || is_invisible(char), "\u{FFFD}")
}

/// What turns text around or cannot be seen.
fn is_invisible(char: char) -> bool {
    matches!(char, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
}
