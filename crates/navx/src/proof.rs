//! What the signature of a package proves.
//!
//! It is Authenticode: a PKCS#7 SignedData whose content is a hash of the package's bytes up to the signature, header
//! included. So it can be proven, from the package alone, that these very bytes were signed with the key of a
//! certificate, and which certificates that came along stand behind it. It cannot be proven that anybody may believe them:
//! roots never come along, none are shipped with this crate, and nothing is fetched. Everybody can make a certificate with any
//! name in it, so only a key that is known from elsewhere says who signed.

mod algorithm;
mod certificate;
mod claims;
mod examination;
mod shape;
mod signed;
#[cfg(feature = "build")]
mod signing;
mod stamp;
mod statement;
mod trust;

use std::io::{Read, Seek};
use std::time::SystemTime;

use cms::cert::x509::der;

use crate::error::PackageError;
use crate::package::Package;
use crate::source::SeekSource;
use signed::unreadable;
use statement::{Block, Digests, Statement};

pub use examination::{Examination, Examined, Place, SignerCertificate, Standing, examine};
#[cfg(feature = "build")]
pub use signing::{Signatory, Signing, sign};
pub use trust::{NotBelievable, Revocation, Trust};

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
    /// How they say it.
    pub form: StampForm,
    /// Whether they used a hash for which two texts can be made.
    pub is_weak: bool,
    /// Whether an authority that is believed stands behind them.
    pub is_anchored: bool,
}

/// How an authority says when something was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StampForm {
    /// In a token of its own.
    Rfc3161,
    /// By a signature of the signature, as it was done until about 2015.
    Pkcs9,
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
    /// It was made in a way that is not verified here.
    Unsupported,
    /// The certificate of the signer, or of somebody behind them, was taken back. The service does not look that up.
    Revoked,
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
            Self::Unsupported => "unsupported_signature",
            Self::Revoked => "revoked",
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
/// ready-to-run package: [`examine`] tells of all.
///
/// # Errors
/// [`PackageError::Io`] when `source` cannot be read. The inner error says why nothing is proven.
pub fn prove<R: Read + Seek>(
    source: R,
    package: &Package,
    now: SystemTime,
) -> Result<Result<Signer, Unproven>, PackageError> {
    let Some(block) = Block::of(package.size, package.signature) else {
        return Ok(Err(UnprovenCode::Unsigned.because("The package is not signed.")));
    };
    let mut file = SeekSource::new(source)?;
    let der = block.read(&mut file)?;
    let statement = match Statement::read(&der).and_then(strong) {
        Ok(statement) => statement,
        Err(unproven) => return Ok(Err(unproven)),
    };
    let digests = Digests::of(&mut file, block.end, [statement.hash])?;
    let examined = Examined::of(Place::Package, Ok(&statement), &digests, &Trust::default(), now);
    Ok(signer(examined, now))
}

fn strong(statement: Statement) -> Result<Statement, Unproven> {
    match statement.hash.is_weak() {
        true => Err(UnprovenCode::WeakHash.because(format!(
            "The signature hashes by {}. SHA-256, SHA-384 and SHA-512 are believed, nothing weaker.",
            statement.hash.name()
        ))),
        false => Ok(statement),
    }
}

/// Who signed, once it was examined.
fn signer(examined: Examined, now: SystemTime) -> Result<Signer, Unproven> {
    examined.outcome?;
    let (Some(certificate), Some(hash)) = (examined.certificate, examined.hash) else {
        return Err(unreadable("nothing says who signed"));
    };
    let (from, until) = certificate.valid;
    if examined.stamp.is_none() && !(from..=until).contains(&now) {
        let message = format!(
            "The certificate of {} is not valid now, and no time stamp says when the package was signed.",
            certificate.subject
        );
        return Err(UnprovenCode::NotValid.because(message));
    }
    if examined.stamp.as_ref().is_some_and(|stamp| stamp.is_weak) {
        let message = "The signature's time stamp does not hold: its hash is not believed.";
        return Err(UnprovenCode::BrokenStamp.because(message));
    }
    Ok(Signer {
        subject: certificate.subject,
        key_sha256: certificate.key_sha256,
        certificate_sha256: certificate.sha256,
        valid: certificate.valid,
        hash,
        stamp: examined.stamp,
        chain: examined.chain,
        missing_issuer: examined.missing_issuer,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
