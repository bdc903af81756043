//! Which hashes and keys are believed.

use aws_lc_rs::digest::{self, Context};
use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use cms::cert::x509::der::asn1::ObjectIdentifier;
use cms::cert::x509::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

const fn oid(text: &str) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(text)
}

const RSA: ObjectIdentifier = oid("1.2.840.113549.1.1.1");
const ELLIPTIC: ObjectIdentifier = oid("1.2.840.10045.2.1");
const P256: ObjectIdentifier = oid("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = oid("1.3.132.0.34");

/// A hash by which packages are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hash {
    /// Two texts can be made for it. Packages of 2017 are signed by it.
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    const ALL: [Self; 4] = [Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512];

    /// The hash that an algorithm identifier names.
    pub(super) fn of(algorithm: &AlgorithmIdentifierOwned) -> Option<Self> {
        Self::ALL.into_iter().find(|hash| hash.id() == algorithm.oid)
    }

    /// Whether two texts can be made that have it.
    pub(super) fn is_weak(self) -> bool {
        self == Self::Sha1
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "SHA-1",
            Self::Sha256 => "SHA-256",
            Self::Sha384 => "SHA-384",
            Self::Sha512 => "SHA-512",
        }
    }

    pub(crate) fn id(self) -> ObjectIdentifier {
        match self {
            Self::Sha1 => oid("1.3.14.3.2.26"),
            Self::Sha256 => oid("2.16.840.1.101.3.4.2.1"),
            Self::Sha384 => oid("2.16.840.1.101.3.4.2.2"),
            Self::Sha512 => oid("2.16.840.1.101.3.4.2.3"),
        }
    }

    fn with_rsa(self) -> ObjectIdentifier {
        match self {
            Self::Sha1 => oid("1.2.840.113549.1.1.5"),
            Self::Sha256 => oid("1.2.840.113549.1.1.11"),
            Self::Sha384 => oid("1.2.840.113549.1.1.12"),
            Self::Sha512 => oid("1.2.840.113549.1.1.13"),
        }
    }

    pub(crate) fn with_ecdsa(self) -> ObjectIdentifier {
        match self {
            Self::Sha1 => oid("1.2.840.10045.4.1"),
            Self::Sha256 => oid("1.2.840.10045.4.3.2"),
            Self::Sha384 => oid("1.2.840.10045.4.3.3"),
            Self::Sha512 => oid("1.2.840.10045.4.3.4"),
        }
    }

    pub(crate) fn begin(self) -> Context {
        Context::new(match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        })
    }

    pub(crate) fn digest(self, bytes: &[u8]) -> Vec<u8> {
        let mut context = self.begin();
        context.update(bytes);
        context.finish().as_ref().to_vec()
    }

    /// Whether a signature made by `algorithm` signs this hash.
    pub(super) fn is_signed_by(self, algorithm: &AlgorithmIdentifierOwned) -> bool {
        [RSA, ELLIPTIC, self.with_rsa(), self.with_ecdsa()].contains(&algorithm.oid)
    }

    /// The hash that `algorithm`, by which a certificate is signed, names. Certificates by SHA-1 are not believed.
    pub(super) fn signed_by(algorithm: &AlgorithmIdentifierOwned) -> Option<Self> {
        let names = |hash: &Self| [hash.with_rsa(), hash.with_ecdsa()].contains(&algorithm.oid);
        Self::ALL.into_iter().find(names).filter(|hash| !hash.is_weak())
    }
}

/// Whether a key has signed something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Signed,
    NotSigned,
    /// The key is of a kind that is not verified here.
    Unsupported,
}

/// Whether `key` has signed `message`, hashed by `hash`: with RSA from 2048 bits on, or on the curves P-256 and P-384.
pub(super) fn has_signed(
    key: &SubjectPublicKeyInfoOwned,
    hash: Hash,
    message: &[u8],
    signature: &[u8],
) -> Verdict {
    let Some(algorithm) = verification(key, hash) else {
        return Verdict::Unsupported;
    };
    let bytes = key.subject_public_key.as_bytes().unwrap_or_default();
    match UnparsedPublicKey::new(algorithm, bytes).verify(message, signature) {
        Ok(()) => Verdict::Signed,
        Err(_) => Verdict::NotSigned,
    }
}

fn verification(key: &SubjectPublicKeyInfoOwned, hash: Hash) -> Option<&'static dyn VerificationAlgorithm> {
    if key.algorithm.oid == RSA {
        return Some(match hash {
            Hash::Sha1 => &signature::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
            Hash::Sha256 => &signature::RSA_PKCS1_2048_8192_SHA256,
            Hash::Sha384 => &signature::RSA_PKCS1_2048_8192_SHA384,
            Hash::Sha512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        });
    }
    let parameters = key.algorithm.parameters.as_ref();
    let curve: ObjectIdentifier = parameters?.decode_as().ok()?;
    match (key.algorithm.oid == ELLIPTIC, curve, hash) {
        (true, P256, Hash::Sha256) => Some(&signature::ECDSA_P256_SHA256_ASN1),
        (true, P256, Hash::Sha384) => Some(&signature::ECDSA_P256_SHA384_ASN1),
        (true, P256, Hash::Sha512) => Some(&signature::ECDSA_P256_SHA512_ASN1),
        (true, P384, Hash::Sha256) => Some(&signature::ECDSA_P384_SHA256_ASN1),
        (true, P384, Hash::Sha384) => Some(&signature::ECDSA_P384_SHA384_ASN1),
        (true, P384, Hash::Sha512) => Some(&signature::ECDSA_P384_SHA512_ASN1),
        _ => None,
    }
}

/// What an Authenticode signer names as their algorithm, for a key that a certificate holds.
#[cfg(feature = "build")]
pub(crate) fn signs_with(key: &AlgorithmIdentifierOwned, hash: Hash) -> ObjectIdentifier {
    match key.oid == RSA {
        true => RSA,
        false => hash.with_ecdsa(),
    }
}
