//! What the signature of a package proves.
//!
//! It is Authenticode: a PKCS#7 SignedData whose content is a hash of the package's bytes up to the signature, header
//! included. So it can be proven, from the package alone, that these very bytes were signed with the key of a
//! certificate, and which certificates that came along stand behind it. It cannot be proven that anybody may believe them:
//! roots never come along, none are shipped with this crate, and nothing is fetched. Everybody can make a certificate with any
//! name in it, so only a key that is known from elsewhere says who signed.

mod algorithm;
mod certificate;
mod shape;
mod signed;
#[cfg(feature = "build")]
mod signing;
mod stamp;

use std::io::{Read, Seek};
use std::time::SystemTime;

use cms::cert::x509::der::asn1::ObjectIdentifier;
use cms::cert::x509::der::{self, AnyRef, Decode, Encode, Reader, SliceReader};
use cms::cert::x509::spki::AlgorithmIdentifierOwned;

use crate::bytes::first_of;
use crate::error::PackageError;
use crate::package::Package;
use crate::signature::MARK;
use crate::source::{ByteSource, SeekSource};
use algorithm::Hash;
use certificate::CODE_SIGNING;
use signed::{Signed, unreadable};

#[cfg(feature = "build")]
pub use signing::{Signatory, sign};

/// What Authenticode signs: a hash of a file, and what kind of file that is.
const INDIRECT_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.2.1.4");
/// A kind of file that Windows knows by a program of its own. The bytes beside it are noise.
const OWN_KIND_OF_FILE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.2.1.30");

/// Who signed a package, and what else its signature proves.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Signer {
    /// Whom the certificate names, in the form of RFC 4514. Nobody vouches for it but those in the chain.
    pub subject: String,
    /// The SHA-256 of the certificate's public key (its SubjectPublicKeyInfo), by which a signer is known across renewals.
    pub key_sha256: [u8; 32],
    /// The SHA-256 of the certificate.
    pub certificate_sha256: [u8; 32],
    /// From when until when the certificate is valid; the package was signed between, or it is valid now.
    pub valid: (SystemTime, SystemTime),
    /// The hash by which the package was signed, such as `SHA-256`.
    pub hash: &'static str,
    /// When it was signed at the latest, if an authority says so. Who that authority is, is not proven.
    pub stamp: Option<Stamp>,
    /// Whom the certificates name that came along and stand behind the signer's, each having issued the one before.
    pub chain: Vec<String>,
    /// Who issued the last of them, without having come along; `None` where it issued itself. Roots never come along.
    pub missing_issuer: Option<String>,
}

/// What an authority for time stamps says of a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stamp {
    /// When the signature was there.
    pub at: SystemTime,
    /// Whom the authority's certificate names.
    pub authority: String,
}

/// Why a signature proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct Unproven {
    /// The kind of fault, stable across releases.
    pub code: UnprovenCode,
    /// A sentence or two with the fact that is wrong.
    pub message: String,
}

/// A reason why a signature proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UnprovenCode {
    /// The package carries no signature.
    Unsigned,
    /// The signature is not what signatures of packages are.
    Unreadable,
    /// It was made by a hash for which two texts can be made.
    WeakHash,
    /// The package was changed after it was signed.
    DigestDiffers,
    /// It was not made with the key that it names, or is of something else.
    Broken,
    /// The signer's certificate did not come along.
    NoCertificate,
    /// The signer's certificate is not for signing code.
    NotForCode,
    /// The signer's certificate was not valid when the package was signed, or no longer is and nothing says when that was.
    NotValid,
    /// The time stamp beside it does not hold.
    BrokenStamp,
}

impl UnprovenCode {
    /// The text of the code, such as `digest_differs`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unsigned => "unsigned",
            Self::Unreadable => "unreadable_signature",
            Self::WeakHash => "weak_hash",
            Self::DigestDiffers => "digest_differs",
            Self::Broken => "broken_signature",
            Self::NoCertificate => "no_certificate",
            Self::NotForCode => "not_for_code",
            Self::NotValid => "not_valid",
            Self::BrokenStamp => "broken_stamp",
        }
    }

    fn because(self, message: impl Into<String>) -> Unproven {
        Unproven {
            code: self,
            message: message.into(),
        }
    }
}

impl From<der::Error> for Unproven {
    fn from(error: der::Error) -> Self {
        unreadable(&error.to_string())
    }
}

/// Proves what the signature of `package` proves, which was read from `source`. Reads the package once more, from its first
/// byte to its last, in constant memory.
///
/// What is looked at is the signature of the whole package. Further ones beside it are not, nor that of the app inside a
/// ready-to-run package.
///
/// # Errors
/// [`PackageError::Io`] when `source` cannot be read. The inner error says why nothing is proven.
pub fn prove<R: Read + Seek>(
    source: R,
    package: &Package,
    now: SystemTime,
) -> Result<Result<Signer, Unproven>, PackageError> {
    let Some(signature) = package.signature else {
        return Ok(Err(UnprovenCode::Unsigned.because("The package is not signed.")));
    };
    let mut file = SeekSource::new(source)?;
    let end = package.size - signature.bytes;
    let der = read_block(&mut file, end, signature.bytes)?;
    let (signed, hash, digest) = match believed(&der) {
        Ok(believed) => believed,
        Err(unproven) => return Ok(Err(unproven)),
    };
    let found = digest_of(&mut file, end, hash)?;
    if found != digest {
        let message = format!(
            "The package was changed after it was signed: its {} is {}, and the signature is of {}.",
            hash.name(),
            hex(&found),
            hex(&digest)
        );
        return Ok(Err(UnprovenCode::DigestDiffers.because(message)));
    }
    Ok(signer(&signed, hash, now))
}

/// The DER in the block behind the content.
fn read_block(file: &mut impl ByteSource, end: u64, bytes: u64) -> Result<Vec<u8>, PackageError> {
    let mark = MARK.len() as u64;
    let frame = 2 * mark + 4;
    let len = usize::try_from(bytes.saturating_sub(frame)).unwrap_or(0);
    let mut der = vec![0; len];
    file.read_exact_at(end + mark, &mut der)?;
    Ok(der)
}

fn digest_of(file: &mut impl ByteSource, end: u64, hash: Hash) -> Result<Vec<u8>, PackageError> {
    let mut context = hash.begin();
    let mut chunk = vec![0; 256 << 10];
    let mut done = 0;
    while done < end {
        let part = first_of(&mut chunk, end - done);
        file.read_exact_at(done, part)?;
        context.update(part);
        done += part.len() as u64;
    }
    Ok(context.finish().as_ref().to_vec())
}

/// The signature, with the hash and the digest of the package that it is of.
fn believed(der: &[u8]) -> Result<(Signed, Hash, Vec<u8>), Unproven> {
    let signed = Signed::read(der)?;
    let hash = signed.hash()?;
    let content = signed.content(INDIRECT_DATA)?;
    let Some((algorithm, digest)) = indirect_data(content) else {
        return Err(unreadable("it is not of a package"));
    };
    if Hash::of(&algorithm) != Some(hash) {
        return Err(unreadable("it hashes the package by another hash than itself"));
    }
    Ok((signed, hash, digest))
}

/// The hash of the file that is signed, from the inside of an SpcIndirectDataContent.
fn indirect_data(content: &[u8]) -> Option<(AlgorithmIdentifierOwned, Vec<u8>)> {
    let mut reader = SliceReader::new(content).ok()?;
    let kind = AnyRef::decode(&mut reader).ok()?.sequence(|reader| {
        let kind = ObjectIdentifier::decode(reader)?;
        let _noise = AnyRef::decode(reader)?;
        Ok(kind)
    });
    let digest = stamp::digest_info(AnyRef::decode(&mut reader).ok()?)?;
    (kind.ok()? == OWN_KIND_OF_FILE && reader.is_finished()).then_some(digest)
}

/// Who signed, once the package is known to be what was signed.
fn signer(signed: &Signed, hash: Hash, now: SystemTime) -> Result<Signer, Unproven> {
    let certificate = signed.verify(INDIRECT_DATA)?;
    let own = &certificate.tbs_certificate;
    let subject = certificate::text(&own.subject);
    if !certificate::is_for(certificate, CODE_SIGNING) {
        let message =
            format!("The package is signed with a certificate that is not for signing code: {subject}.");
        return Err(UnprovenCode::NotForCode.because(message));
    }
    let stamp = stamp::read(signed)?;
    let at = stamp.as_ref().map_or(now, |stamp| stamp.at);
    if !certificate::is_valid(certificate, at) {
        let when = match &stamp {
            Some(_) => "was not valid when the package was signed",
            None => "is not valid now, and no time stamp says when the package was signed",
        };
        let message = format!("The certificate of {subject} {when}.");
        return Err(UnprovenCode::NotValid.because(message));
    }
    let chain = certificate::chain(certificate, &signed.certificates, at);
    let last = chain.last().copied().unwrap_or(certificate);
    Ok(Signer {
        subject,
        key_sha256: sha256(&own.subject_public_key_info)?,
        certificate_sha256: sha256(certificate)?,
        valid: certificate::validity(certificate),
        hash: hash.name(),
        stamp,
        chain: chain
            .iter()
            .map(|above| certificate::text(&above.tbs_certificate.subject))
            .collect(),
        missing_issuer: (!certificate::is_own_issuer(last))
            .then(|| certificate::text(&last.tbs_certificate.issuer)),
    })
}

fn sha256(of: &impl Encode) -> Result<[u8; 32], Unproven> {
    let digest = Hash::Sha256.digest(&of.to_der()?);
    digest
        .try_into()
        .map_err(|_| unreadable("its hash has another length"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
