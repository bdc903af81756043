//! All signatures of a package, each with what it says, what of it holds, and whom it leads to.
//!
//! [`prove`](super::prove) answers one question for a service that must decide. This is for people who look: it goes on
//! where something does not hold, and tells of signatures by weak hashes what there is to tell.

use std::io::{Read, Seek};
use std::time::SystemTime;

use cms::cert::x509::Certificate;
use cms::cert::x509::der::Encode;

use super::algorithm::Hash;
use super::certificate::{self, CODE_SIGNING};
use super::signed::unreadable;
use super::statement::{Block, Digests, INDIRECT_DATA, Statement};
use super::trust::{Revocation, Trust};
use super::{Stamp, Unproven, UnprovenCode, claims, hex, stamp};
use crate::error::PackageError;
use crate::limits::Limits;
use crate::package::Package;
use crate::source::{ByteSource, SeekSource, Window};
use crate::{header, ready_to_run};

/// What the signatures of a package say and prove.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Examination {
    /// The SHA-256 of all bytes but the signature: the same for one build before and after it was signed.
    pub signed_content_sha256: [u8; 32],
    /// The signatures: those of the package, the first of them outermost, then those of the app inside.
    pub signatures: Vec<Examined>,
}

/// One signature.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Examined {
    /// What it is of.
    pub place: Place,
    /// Whether the bytes are those that were signed, the key is the one of the certificate, the certificate is for signing
    /// code and was valid when an authority says that it was used; otherwise why not.
    pub outcome: Result<(), Unproven>,
    /// Whether the bytes are those that the signature is of, if it says so.
    pub digest_matches: Option<bool>,
    /// The hash by which it was made, such as `SHA-256`.
    pub hash: Option<&'static str>,
    /// Whether two texts can be made for that hash.
    pub is_weak: bool,
    /// The certificate that it names, if that came along.
    pub certificate: Option<SignerCertificate>,
    /// When it was made at the latest, if an authority says so and that holds.
    pub stamp: Option<Stamp>,
    /// Whether the certificate was valid at that time; `None` without one.
    pub is_valid_at_signing: Option<bool>,
    /// The name of a program that the signer claims.
    pub program: Option<String>,
    /// An address that the signer claims.
    pub address: Option<String>,
    /// Whom the certificates name that came along and stand behind the signer's, each having issued the one before.
    pub chain: Vec<String>,
    /// Who issued the last of them, without having come along; `None` where it issued itself.
    pub missing_issuer: Option<String>,
    /// Whether the caller believes the signer.
    pub standing: Standing,
    /// What the caller's lists say; `None` where none is about the signer.
    pub revocation: Option<Revocation>,
}

/// What a signature is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Place {
    /// The file itself.
    Package,
    /// The app inside a ready-to-run package.
    Embedded,
}

/// Whether the caller believes a signer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Standing {
    /// By their key or certificate.
    Pinned,
    /// By an authority that stands behind them.
    Anchored,
    /// Not that it is known here. So is whoever signed by a weak hash, or in a way that does not hold.
    Unknown,
}

/// The certificate that a signature names.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SignerCertificate {
    /// Whom it names, in the form of RFC 4514.
    pub subject: String,
    /// The organisations in that name.
    pub organisations: Vec<String>,
    /// Who issued it, as it says.
    pub issuer: String,
    /// Its number, in hexadecimal.
    pub serial: String,
    /// Its SHA-256.
    pub sha256: [u8; 32],
    /// The SHA-256 of its public key (SubjectPublicKeyInfo).
    pub key_sha256: [u8; 32],
    /// From when until when it is valid.
    pub valid: (SystemTime, SystemTime),
}

/// Examines all signatures of `package`, which was read from `source`, its app inside included. Reads every signed byte
/// once more, in constant memory.
///
/// # Errors
/// [`PackageError::Io`] when `source` cannot be read, and [`PackageError::Refused`] when it is another package.
pub fn examine<R: Read + Seek>(
    source: R,
    package: &Package,
    trust: &Trust,
    now: SystemTime,
) -> Result<Examination, PackageError> {
    let mut file = SeekSource::new(source)?;
    let mut signatures = Vec::new();
    let block = Block::of(package.size, package.signature);
    let signed_content_sha256 = examine_file(&mut file, Place::Package, block, trust, now, &mut signatures)?;
    if let Some(app) = &package.embedded {
        let payload = header::read(&mut file)?.payload;
        let mut payload = Window::new(&mut file, payload);
        let mut inner = ready_to_run::open(&mut payload, &app.file_name, &Limits::default())?;
        if let Some(block) = Block::of(app.size, app.signature) {
            examine_file(
                &mut inner,
                Place::Embedded,
                Some(block),
                trust,
                now,
                &mut signatures,
            )?;
        }
    }
    Ok(Examination {
        signed_content_sha256,
        signatures,
    })
}

/// Examines the signatures in `block`; the SHA-256 of what they are of.
fn examine_file(
    file: &mut impl ByteSource,
    place: Place,
    block: Option<Block>,
    trust: &Trust,
    now: SystemTime,
    signatures: &mut Vec<Examined>,
) -> Result<[u8; 32], PackageError> {
    let Some(block) = block else {
        let end = file.len();
        return Ok(Digests::of(file, end, [])?.sha256());
    };
    let statements = Statement::read_all(&block.read(file)?);
    let hashes = statements.iter().flatten().map(|statement| statement.hash);
    let digests = Digests::of(file, block.end, hashes)?;
    for statement in statements {
        let statement = statement.as_ref().map_err(Clone::clone);
        signatures.push(Examined::of(place, statement, &digests, trust, now));
    }
    Ok(digests.sha256())
}

impl Examined {
    /// What becomes of one signature.
    pub(super) fn of(
        place: Place,
        statement: Result<&Statement, Unproven>,
        digests: &Digests,
        trust: &Trust,
        now: SystemTime,
    ) -> Self {
        let mut examined = Self {
            place,
            outcome: Ok(()),
            digest_matches: None,
            hash: None,
            is_weak: false,
            certificate: None,
            stamp: None,
            is_valid_at_signing: None,
            program: None,
            address: None,
            chain: Vec::new(),
            missing_issuer: None,
            standing: Standing::Unknown,
            revocation: None,
        };
        examined.outcome = statement.and_then(|statement| examined.take(statement, digests, trust, now));
        examined
    }

    /// Goes through what the statement says, as far as it holds.
    fn take(
        &mut self,
        statement: &Statement,
        digests: &Digests,
        trust: &Trust,
        now: SystemTime,
    ) -> Result<(), Unproven> {
        let (signed, hash) = (&statement.signed, statement.hash);
        self.hash = Some(hash.name());
        self.is_weak = hash.is_weak();
        (self.program, self.address) = claims::read(signed);
        let named = signed.certificate();
        if let Ok(named) = &named {
            self.certificate = Some(SignerCertificate::of(named)?);
        }
        let found = digests.by(hash);
        self.digest_matches = Some(found == statement.digest);
        if found != statement.digest {
            let message = format!(
                "The package was changed after it was signed: its {} is {}, and the signature is of {}.",
                hash.name(),
                hex(found),
                hex(&statement.digest)
            );
            return Err(UnprovenCode::DigestDiffers.because(message));
        }
        let certificate = signed.verify(INDIRECT_DATA)?;
        let subject = certificate::text(&certificate.tbs_certificate.subject);
        if !certificate::is_for(certificate, CODE_SIGNING) {
            let message =
                format!("The package is signed with a certificate that is not for signing code: {subject}.");
            return Err(UnprovenCode::NotForCode.because(message));
        }
        self.stamp = stamp::read(signed, trust)?;
        let at = self.stamp.as_ref().map_or(now, |stamp| stamp.at);
        let above = certificate::chain(certificate, &signed.certificates, at);
        self.note_chain(certificate, &above);
        if self.stamp.is_some() {
            let is_valid = certificate::is_valid(certificate, at);
            self.is_valid_at_signing = Some(is_valid);
            if !is_valid {
                let message =
                    format!("The certificate of {subject} was not valid when the package was signed.");
                return Err(UnprovenCode::NotValid.because(message));
            }
        }
        let path: Vec<_> = std::iter::once(certificate).chain(above).collect();
        self.revocation = trust.revocation(&path);
        self.check_revocation()?;
        self.standing = self.standing(certificate, &signed.certificates, trust, now);
        Ok(())
    }

    fn note_chain(&mut self, certificate: &Certificate, above: &[&Certificate]) {
        let subject = |above: &&Certificate| certificate::text(&above.tbs_certificate.subject);
        self.chain = above.iter().map(subject).collect();
        let last = above.last().copied().unwrap_or(certificate);
        let is_missing = !certificate::is_own_issuer(last);
        self.missing_issuer = is_missing.then(|| certificate::text(&last.tbs_certificate.issuer));
    }

    /// A certificate that was taken back may have been used before, but only whoever is believed can say so.
    fn check_revocation(&self) -> Result<(), Unproven> {
        let revoked = self.revocation.as_ref().and_then(|found| found.revoked.as_ref());
        let Some((revoked_at, subject)) = revoked else {
            return Ok(());
        };
        let stamp = self.stamp.as_ref().filter(|stamp| stamp.is_anchored);
        if stamp.is_some_and(|stamp| stamp.at < *revoked_at) {
            return Ok(());
        }
        let message = format!("The certificate of {subject} was taken back by who issued it.");
        Err(UnprovenCode::Revoked.because(message))
    }

    /// Once all of it holds: whether the caller believes the signer. A stamp by somebody unknown proves no time, so then an
    /// authority is believed about a certificate only as long as that is valid.
    fn standing(
        &self,
        certificate: &Certificate,
        included: &[Certificate],
        trust: &Trust,
        now: SystemTime,
    ) -> Standing {
        let Some(own) = self.certificate.as_ref().filter(|_| !self.is_weak) else {
            return Standing::Unknown;
        };
        if trust.pins(&[own.sha256, own.key_sha256]) {
            return Standing::Pinned;
        }
        let stamp = self.stamp.as_ref().filter(|stamp| stamp.is_anchored);
        let at = stamp.map_or(now, |stamp| stamp.at);
        match trust.anchors(certificate, included, CODE_SIGNING, at) {
            true => Standing::Anchored,
            false => Standing::Unknown,
        }
    }
}

impl SignerCertificate {
    fn of(certificate: &Certificate) -> Result<Self, Unproven> {
        let own = &certificate.tbs_certificate;
        Ok(Self {
            subject: certificate::text(&own.subject),
            organisations: certificate::organisations(&own.subject),
            issuer: certificate::text(&own.issuer),
            serial: hex(own.serial_number.as_bytes()),
            sha256: sha256(certificate)?,
            key_sha256: sha256(&own.subject_public_key_info)?,
            valid: certificate::validity(certificate),
        })
    }
}

fn sha256(of: &impl Encode) -> Result<[u8; 32], Unproven> {
    let digest = Hash::Sha256.digest(&of.to_der()?);
    digest
        .try_into()
        .map_err(|_| unreadable("its hash has another length"))
}
