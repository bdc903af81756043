//! One PKCS#7 SignedData: its only signer, what they signed, and with which key.
//!
//! The content is taken as the bytes that are in it, whatever their tag, for Authenticode puts a bare sequence where newer
//! rules have an octet string. What is signed is hashed as DER has it, so what is in no order holds for nobody.

use cms::cert::x509::Certificate;
use cms::cert::x509::attr::Attribute;
use cms::cert::x509::der::asn1::{ObjectIdentifier, OctetString};
use cms::cert::x509::der::{self, Any, AnyRef, Decode, Encode, Reader, SliceReader, Tag, TagNumber, Tagged};
use cms::content_info::ContentInfo;
use cms::signed_data::{EncapsulatedContentInfo, SignerIdentifier, SignerInfo};

use super::algorithm::{Hash, has_signed};
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
        let _hashes = AnyRef::decode(reader)?;
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

    /// The hash that the signer used.
    pub(super) fn hash(&self) -> Result<Hash, Unproven> {
        let named = &self.signer.digest_alg;
        Hash::of(named).ok_or_else(|| {
            let message = format!(
                "The signature hashes by {}. SHA-256, SHA-384 and SHA-512 are believed, nothing weaker.",
                named.oid
            );
            UnprovenCode::WeakHash.because(message)
        })
    }

    /// Makes sure that the signer's key has signed the content, and tells whose it is.
    pub(super) fn verify(&self, kind: ObjectIdentifier) -> Result<&Certificate, Unproven> {
        let (content, hash) = (self.content(kind)?, self.hash()?);
        let broken = |reason: &str| {
            let message = format!("The signature does not hold: {reason}.");
            Err(UnprovenCode::Broken.because(message))
        };
        let Some(attributes) = &self.signer.signed_attrs else {
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
        let certificate = self.certificate()?;
        let key = &certificate.tbs_certificate.subject_public_key_info;
        let message = attributes.to_der()?;
        let signature = self.signer.signature.as_bytes();
        let is_signed =
            hash.is_signed_by(&self.signer.signature_algorithm) && has_signed(key, hash, &message, signature);
        match is_signed {
            true => Ok(certificate),
            false => broken("it was not made with the key of the certificate that it names"),
        }
    }

    fn certificate(&self) -> Result<&Certificate, Unproven> {
        let SignerIdentifier::IssuerAndSerialNumber(named) = &self.signer.sid else {
            return Err(unreadable("its signer is not named by issuer and number"));
        };
        let is_named = |certificate: &&Certificate| {
            let found = &certificate.tbs_certificate;
            found.issuer == named.issuer && found.serial_number == named.serial_number
        };
        let message = "The signer's certificate is not in the signature.";
        self.certificates
            .iter()
            .find(is_named)
            .ok_or_else(|| UnprovenCode::NoCertificate.because(message))
    }

    /// What stands beside the signature under `kind`; it is not signed.
    pub(super) fn beside(&self, kind: ObjectIdentifier) -> Option<&Any> {
        one(self.signer.unsigned_attrs.iter().flat_map(|set| set.iter()), kind)
    }
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
fn one<'a>(attributes: impl Iterator<Item = &'a Attribute>, kind: ObjectIdentifier) -> Option<&'a Any> {
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
