//! What a signature says it is of, and what the package's bytes are.

use cms::cert::x509::der::asn1::ObjectIdentifier;
use cms::cert::x509::der::{AnyRef, Decode, Encode, Reader, SliceReader};
use cms::cert::x509::spki::AlgorithmIdentifierOwned;

use super::algorithm::Hash;
use super::signed::{Signed, hash_of, unreadable};
use super::{Unproven, stamp};
use crate::bytes::first_of;
use crate::error::PackageError;
use crate::signature::{MARK, Signature};
use crate::source::ByteSource;

/// What Authenticode signs: a hash of a file, and what kind of file that is.
pub(crate) const INDIRECT_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.2.1.4");
/// A kind of file that Windows knows by a program of its own. The bytes beside it are noise.
pub(crate) const OWN_KIND_OF_FILE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.2.1.30");
/// Where further signatures stand beside the first.
pub(crate) const NESTED: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.2.4.1");

/// Signatures in one package that are looked at. Real ones have at most two.
const MAX_SIGNATURES: usize = 8;

/// Where a signature is in a file.
#[derive(Clone, Copy)]
pub(super) struct Block {
    /// Where the signed bytes end and the block begins.
    pub(super) end: u64,
    bytes: u64,
}

impl Block {
    /// The block of a file of that size, if it has one.
    pub(super) fn of(size: u64, signature: Option<Signature>) -> Option<Self> {
        let bytes = signature?.bytes;
        let end = size - bytes;
        Some(Self { end, bytes })
    }

    /// The DER in it.
    pub(super) fn read(self, file: &mut impl ByteSource) -> Result<Vec<u8>, PackageError> {
        let mark = MARK.len() as u64;
        let frame = 2 * mark + 4;
        let len = usize::try_from(self.bytes.saturating_sub(frame)).unwrap_or(0);
        let mut der = vec![0; len];
        file.read_exact_at(self.end + mark, &mut der)?;
        Ok(der)
    }
}

/// What the bytes of a file are, by several hashes.
pub(super) struct Digests(Vec<(Hash, Vec<u8>)>);

impl Digests {
    /// The digests of the first `end` bytes by `hashes`, and by SHA-256.
    pub(super) fn of(
        file: &mut impl ByteSource,
        end: u64,
        hashes: impl IntoIterator<Item = Hash>,
    ) -> Result<Self, PackageError> {
        let mut contexts = vec![(Hash::Sha256, Hash::Sha256.begin())];
        for hash in hashes {
            if contexts.iter().all(|(known, _)| *known != hash) {
                contexts.push((hash, hash.begin()));
            }
        }
        let mut chunk = vec![0; 256 << 10];
        let mut done = 0;
        while done < end {
            let part = first_of(&mut chunk, end - done);
            file.read_exact_at(done, part)?;
            for (_, context) in &mut contexts {
                context.update(part);
            }
            done += part.len() as u64;
        }
        let finish =
            |(hash, context): (Hash, aws_lc_rs::digest::Context)| (hash, context.finish().as_ref().to_vec());
        Ok(Self(contexts.into_iter().map(finish).collect()))
    }

    pub(super) fn by(&self, hash: Hash) -> &[u8] {
        let found = self.0.iter().find(|(known, _)| *known == hash);
        found.map_or(&[], |(_, digest)| digest)
    }

    pub(super) fn sha256(&self) -> [u8; 32] {
        self.by(Hash::Sha256).try_into().unwrap_or_default()
    }
}

/// A signature that says what it is of.
pub(super) struct Statement {
    pub(super) signed: Signed,
    pub(super) hash: Hash,
    /// The digest of the file, as the signature has it.
    pub(super) digest: Vec<u8>,
}

impl Statement {
    /// Reads the signature that is all of `der`.
    pub(super) fn read(der: &[u8]) -> Result<Self, Unproven> {
        let signed = Signed::read(der)?;
        let hash = hash_of(&signed.signer)?;
        let Some((algorithm, digest)) = indirect_data(signed.content(INDIRECT_DATA)?) else {
            return Err(unreadable("it is not of a package"));
        };
        let is_own = |algorithm: &AlgorithmIdentifierOwned| Hash::of(algorithm) == Some(hash);
        if !is_own(&algorithm) {
            return Err(unreadable("it hashes the package by another hash than itself"));
        }
        if !matches!(signed.hashes.as_slice(), [named] if is_own(named)) {
            return Err(unreadable("it names another hash than its signer used"));
        }
        Ok(Self { signed, hash, digest })
    }

    /// The signature that is all of `der`, and those nested in it.
    pub(super) fn read_all(der: &[u8]) -> Vec<Result<Self, Unproven>> {
        let mut found: Vec<Result<Self, Unproven>> = Vec::new();
        let mut waiting = vec![der.to_vec()];
        while let Some(der) = waiting.pop() {
            if found.len() == MAX_SIGNATURES {
                found.push(Err(unreadable("there are more than eight in one package")));
                break;
            }
            let statement = Self::read(&der);
            if let Ok(statement) = &statement {
                let mut nested: Vec<_> = statement
                    .signed
                    .all_beside(NESTED)
                    .flat_map(Encode::to_der)
                    .collect();
                nested.reverse();
                waiting.append(&mut nested);
            }
            found.push(statement);
        }
        found
    }
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
