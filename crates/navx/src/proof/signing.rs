//! Signing packages, for tests and demonstrations: as signtool does it, with whatever key.

use std::io;
use std::time::SystemTime;

use cms::cert::x509::Certificate;
use cms::cert::x509::attr::Attribute;
use cms::cert::x509::der::asn1::{GeneralizedTime, Null, ObjectIdentifier, OctetString, SetOfVec, UtcTime};
use cms::cert::x509::der::{Any, Decode, Encode, Result, Tag, TagNumber};
use cms::cert::x509::spki::AlgorithmIdentifierOwned;
use cms::cert::{CertificateChoices, IssuerAndSerialNumber};
use cms::content_info::{CmsVersion, ContentInfo};
use cms::signed_data::{
    CertificateSet, EncapsulatedContentInfo, SignedData, SignerIdentifier, SignerInfo, SignerInfos,
};

use super::algorithm::{Hash, signs_with};
use super::claims::OPUS_INFO;
use super::signed::{CONTENT_TYPE, MESSAGE_DIGEST, SIGNED_DATA};
use super::stamp::{COUNTER_SIGNATURE, DATA, SIGNING_TIME, STAMP, TOKEN};
use super::statement::{INDIRECT_DATA, NESTED, OWN_KIND_OF_FILE};
use crate::signature::MARK;

/// Somebody with a certificate and the key to it.
pub struct Signatory<'s> {
    /// Their certificate as DER, then those that are to come along.
    pub certificates: &'s [Vec<u8>],
    /// Signs a message: PKCS#1 1.5 or ECDSA, by SHA-256 (by SHA-1 for [`Signing::by_sha1`]).
    pub sign: &'s dyn Fn(&[u8]) -> Vec<u8>,
}

/// Signs a package that is not signed, and has an authority stamp the signature with a time, if one is given.
///
/// ```no_run
/// # let (package, certificates, key) = (vec![], vec![], |_: &[u8]| vec![]);
/// let signatory = navx::Signatory { certificates: &certificates, sign: &key };
/// let signed = navx::sign(package, &signatory, None)?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] when a certificate is none, or the package has 4 GiB or more.
pub fn sign(
    package: Vec<u8>,
    signatory: &Signatory<'_>,
    stamp: Option<(&Signatory<'_>, SystemTime)>,
) -> io::Result<Vec<u8>> {
    let signing = Signing::by(signatory);
    let signing = match stamp {
        Some((authority, at)) => signing.stamped(authority, at),
        None => signing,
    };
    signing.sign(package)
}

/// A signature to be made: by whom, and what stands beside it.
pub struct Signing<'s> {
    signatory: &'s Signatory<'s>,
    hash: Hash,
    claims: Option<(&'s str, &'s str)>,
    stamp: Option<(&'s Signatory<'s>, SystemTime)>,
    counter: Option<(&'s Signatory<'s>, SystemTime)>,
    nested: Vec<Signing<'s>>,
}

impl<'s> Signing<'s> {
    /// By SHA-256, with nothing beside it.
    pub fn by(signatory: &'s Signatory<'s>) -> Self {
        Self {
            signatory,
            hash: Hash::Sha256,
            claims: None,
            stamp: None,
            counter: None,
            nested: Vec::new(),
        }
    }

    /// By SHA-1, as it was done until 2017.
    pub fn by_sha1(mut self) -> Self {
        self.hash = Hash::Sha1;
        self
    }

    /// With the name of a program and an address.
    pub fn claiming(mut self, program: &'s str, address: &'s str) -> Self {
        self.claims = Some((program, address));
        self
    }

    /// With a token of an authority that says when (RFC 3161).
    pub fn stamped(mut self, authority: &'s Signatory<'s>, at: SystemTime) -> Self {
        self.stamp = Some((authority, at));
        self
    }

    /// With an authority's signature of the signature, which says when (PKCS#9). Its certificates come along with the
    /// signatory's.
    pub fn countersigned(mut self, authority: &'s Signatory<'s>, at: SystemTime) -> Self {
        self.counter = Some((authority, at));
        self
    }

    /// With a second signature of the same package nested in this one.
    pub fn beside(mut self, nested: Self) -> Self {
        self.nested.push(nested);
        self
    }

    /// Signs a package that is not signed.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] when a certificate is none, or the package has 4 GiB or more.
    pub fn sign(&self, mut package: Vec<u8>) -> io::Result<Vec<u8>> {
        let end = u32::try_from(package.len()).map_err(invalid)?;
        let der = self.signed_data(&package).map_err(invalid)?;
        package.extend(MARK);
        package.extend(der);
        package.extend(end.to_le_bytes());
        package.extend(MARK);
        Ok(package)
    }

    fn signed_data(&self, package: &[u8]) -> Result<Vec<u8>> {
        let noise = sequence(&[
            1_u8.to_der()?,
            OctetString::new([0; 16])?.to_der()?,
            [2, 1, 0].repeat(5),
        ])?;
        let kind_of_file = sequence(&[OWN_KIND_OF_FILE.to_der()?, noise])?;
        let digest = digest_info(package, self.hash)?;
        let content = Any::new(Tag::Sequence, [kind_of_file, digest].concat())?;
        let claims = self.claims.map(|(program, address)| claimed(program, address));
        let claims = claims.transpose()?;
        let mut signer = signer_info(INDIRECT_DATA, content.value(), self.signatory, self.hash, claims)?;
        let beside = self.beside_signature(package, signer.signature.as_bytes())?;
        if !beside.is_empty() {
            signer.unsigned_attrs = Some(SetOfVec::try_from(beside)?);
        }
        let authority = self
            .counter
            .iter()
            .flat_map(|(authority, _)| authority.certificates);
        let certificates = self.signatory.certificates.iter().chain(authority);
        with_signer(INDIRECT_DATA, content, certificates, self.hash, signer)
    }

    fn beside_signature(&self, package: &[u8], signature: &[u8]) -> Result<Vec<Attribute>> {
        let mut beside = Vec::new();
        if let Some((authority, at)) = self.stamp {
            let token = token(signature, authority, at)?;
            beside.push(attribute(TOKEN, &Any::from_der(&token)?)?);
        }
        if let Some((authority, at)) = self.counter {
            let time = attribute(SIGNING_TIME, &Any::encode_from(&UtcTime::from_system_time(at)?)?)?;
            let counter = signer_info(DATA, signature, authority, Hash::Sha256, Some(time))?;
            beside.push(attribute(COUNTER_SIGNATURE, &Any::encode_from(&counter)?)?);
        }
        if !self.nested.is_empty() {
            let nested = self
                .nested
                .iter()
                .map(|nested| Any::from_der(&nested.signed_data(package)?));
            beside.push(Attribute {
                oid: NESTED,
                values: SetOfVec::try_from(nested.collect::<Result<Vec<_>>>()?)?,
            });
        }
        Ok(beside)
    }
}

fn invalid(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}

/// What an authority says of a signature.
fn token(signature: &[u8], authority: &Signatory<'_>, at: SystemTime) -> Result<Vec<u8>> {
    let policy = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.4146.2.3");
    let content = sequence(&[
        1_u8.to_der()?,
        policy.to_der()?,
        digest_info(signature, Hash::Sha256)?,
        7_u8.to_der()?,
        GeneralizedTime::from_system_time(at)?.to_der()?,
    ])?;
    let signer = signer_info(STAMP, &content, authority, Hash::Sha256, None)?;
    let content = Any::new(Tag::OctetString, content)?;
    with_signer(
        STAMP,
        content,
        authority.certificates.iter(),
        Hash::Sha256,
        signer,
    )
}

/// The name of a program and an address, as a signer claims them.
fn claimed(program: &str, address: &str) -> Result<Attribute> {
    let inside = |number: TagNumber, constructed: bool, value: Vec<u8>| {
        Any::new(Tag::ContextSpecific { constructed, number }, value)?.to_der()
    };
    let program = program.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let address = address.as_bytes().to_vec();
    let parts = [
        inside(TagNumber::N0, true, inside(TagNumber::N0, false, program)?)?,
        inside(TagNumber::N1, true, inside(TagNumber::N0, false, address)?)?,
    ];
    attribute(OPUS_INFO, &Any::new(Tag::Sequence, parts.concat())?)
}

fn signer_info(
    kind: ObjectIdentifier,
    content: &[u8],
    signatory: &Signatory<'_>,
    hash: Hash,
    besides: Option<Attribute>,
) -> Result<SignerInfo> {
    let own = own_certificate(signatory)?.tbs_certificate;
    let digest = OctetString::new(hash.digest(content))?;
    let mut attributes = vec![
        attribute(CONTENT_TYPE, &Any::encode_from(&kind)?)?,
        attribute(MESSAGE_DIGEST, &Any::encode_from(&digest)?)?,
    ];
    attributes.extend(besides);
    let attributes = SetOfVec::try_from(attributes)?;
    let key = own.subject_public_key_info.algorithm;
    Ok(SignerInfo {
        version: CmsVersion::V1,
        sid: SignerIdentifier::IssuerAndSerialNumber(IssuerAndSerialNumber {
            issuer: own.issuer,
            serial_number: own.serial_number,
        }),
        digest_alg: algorithm(hash.id()),
        signature_algorithm: algorithm(signs_with(&key, hash)),
        signature: OctetString::new((signatory.sign)(&attributes.to_der()?))?,
        signed_attrs: Some(attributes),
        unsigned_attrs: None,
    })
}

fn own_certificate(signatory: &Signatory<'_>) -> Result<Certificate> {
    Certificate::from_der(signatory.certificates.first().map_or(&[], Vec::as_slice))
}

fn with_signer<'c>(
    kind: ObjectIdentifier,
    content: Any,
    certificates: impl Iterator<Item = &'c Vec<u8>>,
    hash: Hash,
    signer: SignerInfo,
) -> Result<Vec<u8>> {
    let certificates = certificates
        .map(|der| Certificate::from_der(der).map(CertificateChoices::Certificate))
        .collect::<Result<Vec<_>>>()?;
    let data = SignedData {
        version: CmsVersion::V1,
        digest_algorithms: SetOfVec::try_from(vec![algorithm(hash.id())])?,
        encap_content_info: EncapsulatedContentInfo {
            econtent_type: kind,
            econtent: Some(content),
        },
        certificates: Some(CertificateSet(SetOfVec::try_from(certificates)?)),
        crls: None,
        signer_infos: SignerInfos(SetOfVec::try_from(vec![signer])?),
    };
    let info = ContentInfo {
        content_type: SIGNED_DATA,
        content: Any::encode_from(&data)?,
    };
    info.to_der()
}

fn attribute(kind: ObjectIdentifier, value: &Any) -> Result<Attribute> {
    Ok(Attribute {
        oid: kind,
        values: SetOfVec::try_from(vec![value.clone()])?,
    })
}

fn digest_info(of: &[u8], hash: Hash) -> Result<Vec<u8>> {
    let digest = OctetString::new(hash.digest(of))?;
    sequence(&[algorithm(hash.id()).to_der()?, digest.to_der()?])
}

fn algorithm(oid: ObjectIdentifier) -> AlgorithmIdentifierOwned {
    AlgorithmIdentifierOwned {
        oid,
        parameters: Some(Null.into()),
    }
}

fn sequence(parts: &[Vec<u8>]) -> Result<Vec<u8>> {
    Any::new(Tag::Sequence, parts.concat())?.to_der()
}
