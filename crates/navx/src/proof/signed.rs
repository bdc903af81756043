//! One PKCS#7 SignedData: its only signer, what they signed, and with which key.
//!
//! The content is taken as the bytes that are in it, whatever their tag, for Authenticode puts a bare sequence where newer
//! rules have an octet string. What is signed is hashed as DER has it, so what is in no order holds for nobody.

use cms::cert::x509::Certificate;
use cms::cert::x509::attr::Attribute;
use cms::cert::x509::der::asn1::{ObjectIdentifier, OctetString};
use cms::cert::x509::der::{self, Any, AnyRef, Decode, Encode, Reader, SliceReader, Tag, TagNumber, Tagged};
use cms::cert::x509::spki::AlgorithmIdentifierOwned;
use cms::content_info::ContentInfo;
use cms::signed_data::{EncapsulatedContentInfo, SignerIdentifier, SignerInfo};

use super::algorithm::{Hash, Verdict, has_signed};
use super::shape;
use super::{Unproven, UnprovenCode};

pub(crate) const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
/// The parts of a SignedData that may be missing.
const CERTIFICATES: Tag = optional(TagNumber::N0);
const REVOCATIONS: Tag = optional(TagNumber::N1);

const fn optional(number: TagNumber) -> Tag {
    Tag::ContextSpecific {
        constructed: true,
        number,
    }
}

pub(crate) const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
pub(crate) const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");

/// A SignedData that has one signer.
pub(super) struct Signed {
    /// The hashes that it says it uses.
    pub(super) hashes: Vec<AlgorithmIdentifierOwned>,
    content: EncapsulatedContentInfo,
    /// The certificates that came along, as far as they can be read. Certificates of other kinds are not looked at.
    pub(super) certificates: Vec<Certificate>,
    pub(super) signer: SignerInfo,
}

impl Signed {
    /// Reads the SignedData that is all of `der`.
    pub(super) fn read(der: &[u8]) -> Result<Self, Unproven> {
        if !shape::is_bounded(der) {
            return Err(unreadable("it is no DER, or more than a signature can be"));
        }
        let info = ContentInfo::from_der(der)?;
        if info.content_type != SIGNED_DATA {
            return Err(unreadable("it is no signed data"));
        }
        Ok(AnyRef::from(&info.content).sequence(Self::read_inside)?)
    }

    fn read_inside(reader: &mut SliceReader<'_>) -> der::Result<Self> {
        let _version = AnyRef::decode(reader)?;
        let hashes = hashes_in(AnyRef::decode(reader)?.value())?;
        let content = EncapsulatedContentInfo::decode(reader)?;
        let mut certificates = Vec::new();
        loop {
            let part = AnyRef::decode(reader)?;
            match part.tag() {
                CERTIFICATES => certificates = certificates_in(part.value())?,
                REVOCATIONS => {}
                _ => {
                    part.tag().assert_eq(Tag::Set)?;
                    // A second signer would be a second value, which is an error.
                    let signer = SignerInfo::from_der(part.value())?;
                    return Ok(Self {
                        hashes,
                        content,
                        certificates,
                        signer,
                    });
                }
            }
        }
    }

    /// What was signed, if it is of that kind.
    pub(super) fn content(&self, kind: ObjectIdentifier) -> Result<&[u8], Unproven> {
        match &self.content.econtent {
            Some(bytes) if self.content.econtent_type == kind => Ok(bytes.value()),
            _ => Err(unreadable("it signs something else")),
        }
    }

    /// Makes sure that the signer's key has signed the content, and tells whose it is.
    pub(super) fn verify(&self, kind: ObjectIdentifier) -> Result<&Certificate, Unproven> {
        verify(&self.signer, &self.certificates, kind, self.content(kind)?)
    }

    /// The certificate that the signature names, whether or not it holds.
    pub(super) fn certificate(&self) -> Result<&Certificate, Unproven> {
        certificate_of(&self.signer, &self.certificates)
    }

    /// What the signer signed besides under `kind`.
    pub(super) fn signed_beside(&self, kind: ObjectIdentifier) -> Option<&Any> {
        one(self.signer.signed_attrs.iter().flat_map(|set| set.iter()), kind)
    }

    /// All that stands beside the signature under `kind`; it is not signed.
    pub(super) fn all_beside(&self, kind: ObjectIdentifier) -> impl Iterator<Item = &Any> {
        let attributes = self.signer.unsigned_attrs.iter().flat_map(|set| set.iter());
        attributes
            .filter(move |attribute| attribute.oid == kind)
            .flat_map(|attribute| attribute.values.iter())
    }

    /// What stands beside the signature under `kind`; it is not signed.
    pub(super) fn beside(&self, kind: ObjectIdentifier) -> Option<&Any> {
        one(self.signer.unsigned_attrs.iter().flat_map(|set| set.iter()), kind)
    }
}

/// The hash that a signer used.
pub(super) fn hash_of(signer: &SignerInfo) -> Result<Hash, Unproven> {
    let named = &signer.digest_alg;
    Hash::of(named).ok_or_else(|| {
        let message = format!(
            "The signature hashes by {}. SHA-256, SHA-384 and SHA-512 are known, and SHA-1, which is weak.",
            named.oid
        );
        UnprovenCode::Unsupported.because(message)
    })
}

/// Makes sure that the key of `signer`, whose certificate is one of those, has signed `content` of that kind, and tells
/// whose it is.
pub(super) fn verify<'c>(
    signer: &SignerInfo,
    certificates: &'c [Certificate],
    kind: ObjectIdentifier,
    content: &[u8],
) -> Result<&'c Certificate, Unproven> {
    let hash = hash_of(signer)?;
    let broken = |reason: &str| {
        let message = format!("The signature does not hold: {reason}.");
        Err(UnprovenCode::Broken.because(message))
    };
    let Some(attributes) = &signer.signed_attrs else {
        return broken("nothing says what was signed");
    };
    let signed_kind = one(attributes.iter(), CONTENT_TYPE).and_then(|value| value.decode_as().ok());
    if signed_kind != Some(kind) {
        return broken("it is for something else");
    }
    let digest = one(attributes.iter(), MESSAGE_DIGEST).and_then(octets);
    if digest != Some(hash.digest(content)) {
        return broken("what was signed has been changed");
    }
    let certificate = certificate_of(signer, certificates)?;
    let key = &certificate.tbs_certificate.subject_public_key_info;
    let verdict = match hash.is_signed_by(&signer.signature_algorithm) {
        true => has_signed(key, hash, &attributes.to_der()?, signer.signature.as_bytes()),
        false => Verdict::Unsupported,
    };
    match verdict {
        Verdict::Signed => Ok(certificate),
        Verdict::NotSigned => broken("it was not made with the key of the certificate that it names"),
        Verdict::Unsupported => {
            let message = format!(
                "The signature was made by {} with a key of the kind {}, which is not verified here.",
                signer.signature_algorithm.oid, key.algorithm.oid
            );
            Err(UnprovenCode::Unsupported.because(message))
        }
    }
}

fn certificate_of<'c>(
    signer: &SignerInfo,
    certificates: &'c [Certificate],
) -> Result<&'c Certificate, Unproven> {
    let SignerIdentifier::IssuerAndSerialNumber(named) = &signer.sid else {
        return Err(unreadable("its signer is not named by issuer and number"));
    };
    let is_named = |certificate: &&Certificate| {
        let found = &certificate.tbs_certificate;
        found.issuer == named.issuer && found.serial_number == named.serial_number
    };
    let message = "The signer's certificate is not in the signature.";
    let found = certificates.iter().find(is_named);
    found.ok_or_else(|| UnprovenCode::NoCertificate.because(message))
}

fn hashes_in(bytes: &[u8]) -> der::Result<Vec<AlgorithmIdentifierOwned>> {
    let mut reader = SliceReader::new(bytes)?;
    let mut hashes = Vec::new();
    while !reader.is_finished() {
        hashes.push(AlgorithmIdentifierOwned::decode(&mut reader)?);
    }
    Ok(hashes)
}

fn certificates_in(bytes: &[u8]) -> der::Result<Vec<Certificate>> {
    let mut reader = SliceReader::new(bytes)?;
    let mut certificates = Vec::new();
    while !reader.is_finished() {
        let choice = reader.tlv_bytes()?;
        certificates.extend(Certificate::from_der(choice));
    }
    Ok(certificates)
}

/// The value of the only attribute of that kind.
pub(super) fn one<'a>(
    attributes: impl Iterator<Item = &'a Attribute>,
    kind: ObjectIdentifier,
) -> Option<&'a Any> {
    let mut found = attributes.filter(|attribute| attribute.oid == kind);
    let (first, second) = (found.next()?, found.next());
    match (first.values.as_slice(), second) {
        ([value], None) => Some(value),
        _ => None,
    }
}

fn octets(value: &Any) -> Option<Vec<u8>> {
    let octets: OctetString = value.decode_as().ok()?;
    Some(octets.into_bytes())
}

pub(super) fn unreadable(reason: &str) -> Unproven {
    UnprovenCode::Unreadable.because(format!("The signature cannot be read: {reason}."))
}
