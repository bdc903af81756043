//! Signing packages, for tests and demonstrations: as signtool does it, with whatever key.

use std::io;
use std::time::SystemTime;

use cms::cert::x509::Certificate;
use cms::cert::x509::attr::Attribute;
use cms::cert::x509::der::asn1::{GeneralizedTime, Null, ObjectIdentifier, OctetString, SetOfVec};
use cms::cert::x509::der::{Any, Decode, Encode, Result, Tag};
use cms::cert::x509::spki::AlgorithmIdentifierOwned;
use cms::cert::{CertificateChoices, IssuerAndSerialNumber};
use cms::content_info::{CmsVersion, ContentInfo};
use cms::signed_data::{
    CertificateSet, EncapsulatedContentInfo, SignedData, SignerIdentifier, SignerInfo, SignerInfos,
};

use super::algorithm::{Hash, signs_with};
use super::signed::{CONTENT_TYPE, MESSAGE_DIGEST, SIGNED_DATA};
use super::stamp::{STAMP, TOKEN};
use super::{INDIRECT_DATA, OWN_KIND_OF_FILE};
use crate::signature::MARK;

const HASH: Hash = Hash::Sha256;

/// Somebody with a certificate and the key to it.
pub struct Signatory<'s> {
    /// Their certificate as DER, then those that are to come along.
    pub certificates: &'s [Vec<u8>],
    /// Signs a message: PKCS#1 1.5 or ECDSA, by SHA-256.
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
    mut package: Vec<u8>,
    signatory: &Signatory<'_>,
    stamp: Option<(&Signatory<'_>, SystemTime)>,
) -> io::Result<Vec<u8>> {
    let end = u32::try_from(package.len()).map_err(invalid)?;
    let der = signed_data(&package, signatory, stamp).map_err(invalid)?;
    package.extend(MARK);
    package.extend(der);
    package.extend(end.to_le_bytes());
    package.extend(MARK);
    Ok(package)
}

fn invalid(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}

fn signed_data(
    package: &[u8],
    signatory: &Signatory<'_>,
    stamp: Option<(&Signatory<'_>, SystemTime)>,
) -> Result<Vec<u8>> {
    let noise = sequence(&[
        1_u8.to_der()?,
        OctetString::new([0; 16])?.to_der()?,
        [2, 1, 0].repeat(5),
    ])?;
    let kind_of_file = sequence(&[OWN_KIND_OF_FILE.to_der()?, noise])?;
    let content = Any::new(Tag::Sequence, [kind_of_file, digest_info(package)?].concat())?;
    let mut signer = signer_info(INDIRECT_DATA, content.value(), signatory)?;
    if let Some((authority, at)) = stamp {
        let token = token(signer.signature.as_bytes(), authority, at)?;
        let beside = attribute(TOKEN, &Any::from_der(&token)?)?;
        signer.unsigned_attrs = Some(SetOfVec::try_from(vec![beside])?);
    }
    with_signer(INDIRECT_DATA, content, signatory, signer)
}

/// What an authority says of a signature.
fn token(signature: &[u8], authority: &Signatory<'_>, at: SystemTime) -> Result<Vec<u8>> {
    let policy = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.4146.2.3");
    let content = sequence(&[
        1_u8.to_der()?,
        policy.to_der()?,
        digest_info(signature)?,
        7_u8.to_der()?,
        GeneralizedTime::from_system_time(at)?.to_der()?,
    ])?;
    let signer = signer_info(STAMP, &content, authority)?;
    let content = Any::new(Tag::OctetString, content)?;
    with_signer(STAMP, content, authority, signer)
}

fn signer_info(kind: ObjectIdentifier, content: &[u8], signatory: &Signatory<'_>) -> Result<SignerInfo> {
    let own = own_certificate(signatory)?.tbs_certificate;
    let digest = OctetString::new(HASH.digest(content))?;
    let attributes = SetOfVec::try_from(vec![
        attribute(CONTENT_TYPE, &Any::encode_from(&kind)?)?,
        attribute(MESSAGE_DIGEST, &Any::encode_from(&digest)?)?,
    ])?;
    let key = own.subject_public_key_info.algorithm;
    Ok(SignerInfo {
        version: CmsVersion::V1,
        sid: SignerIdentifier::IssuerAndSerialNumber(IssuerAndSerialNumber {
            issuer: own.issuer,
            serial_number: own.serial_number,
        }),
        digest_alg: algorithm(HASH.id()),
        signature_algorithm: algorithm(signs_with(&key, HASH)),
        signature: OctetString::new((signatory.sign)(&attributes.to_der()?))?,
        signed_attrs: Some(attributes),
        unsigned_attrs: None,
    })
}

fn own_certificate(signatory: &Signatory<'_>) -> Result<Certificate> {
    Certificate::from_der(signatory.certificates.first().map_or(&[], Vec::as_slice))
}

fn with_signer(
    kind: ObjectIdentifier,
    content: Any,
    signatory: &Signatory<'_>,
    signer: SignerInfo,
) -> Result<Vec<u8>> {
    let certificates = signatory
        .certificates
        .iter()
        .map(|der| Certificate::from_der(der).map(CertificateChoices::Certificate))
        .collect::<Result<Vec<_>>>()?;
    let data = SignedData {
        version: CmsVersion::V1,
        digest_algorithms: SetOfVec::try_from(vec![algorithm(HASH.id())])?,
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

fn digest_info(of: &[u8]) -> Result<Vec<u8>> {
    let digest = OctetString::new(HASH.digest(of))?;
    sequence(&[algorithm(HASH.id()).to_der()?, digest.to_der()?])
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
