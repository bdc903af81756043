//! Secrets at rest: what others entrust to the service stands in the database only sealed, under a key that does not.
//!
//! A sealed text says which key opens it, and opens nowhere but in the row and column for which it was sealed: whoever can
//! write to the database cannot have one webhook's secret used as another's.

use crate::private;
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand,
};
use data_encoding::{BASE64, HEXLOWER};
use sha2::{Digest, Sha256};
use std::{
    fs,
    path::{Path, PathBuf},
};
use uuid::Uuid;

/// How sealed texts begin, so that another form can be told from this one.
const FORM: &str = "v1";
/// How long a key is, in bytes.
const KEY_BYTES: usize = 32;

/// Where a secret stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) table: &'static str,
    pub(crate) row: Uuid,
    pub(crate) column: &'static str,
}

/// Why a secret cannot be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    #[error("no key is configured under secrets.keys")]
    NoKey,
    #[error("the key {0} is not among those of secrets.keys")]
    KeyMissing(String),
    #[error("what is sealed is damaged, or stands where it was not sealed for")]
    Damaged,
    #[error("the system gives no random bytes")]
    NoChance,
}

/// The keys: the first seals, all open.
#[derive(Default)]
pub(crate) struct KeyRing(Vec<Key>);

struct Key {
    id: String,
    key: LessSafeKey,
}

impl KeyRing {
    /// Reads the keys from their files; what is wrong with them, as texts for people.
    pub(crate) fn read(files: &[PathBuf]) -> Result<Self, Vec<String>> {
        let (mut keys, mut problems) = (Vec::new(), Vec::new());
        for file in files {
            match Key::read(file) {
                Ok(key) => keys.push(key),
                Err(what) => problems.push(format!("'{}' {what}", file.display())),
            }
        }
        match problems.is_empty() {
            true => Ok(Self(keys)),
            false => Err(problems),
        }
    }

    /// Whether there is a key to seal with.
    pub(crate) fn can_seal(&self) -> bool {
        !self.0.is_empty()
    }

    /// A text, sealed for one place under the first key.
    pub(crate) fn seal(&self, place: Place, text: &str) -> Result<String, SecretError> {
        let key = self.0.first().ok_or(SecretError::NoKey)?;
        let nonce: [u8; NONCE_LEN] = random()?;
        let mut sealed = text.as_bytes().to_vec();
        key.key
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(bound_to(place, &key.id)),
                &mut sealed,
            )
            .map_err(|_| SecretError::Damaged)?;
        let bytes = [nonce.as_slice(), &sealed].concat();
        Ok(format!("{FORM}.{}.{}", key.id, BASE64.encode(&bytes)))
    }

    /// What was sealed for one place.
    pub(crate) fn open(&self, place: Place, sealed: &str) -> Result<String, SecretError> {
        let (id, bytes) = parts(sealed)?;
        let key = self.key(id)?;
        let bytes = BASE64
            .decode(bytes.as_bytes())
            .map_err(|_| SecretError::Damaged)?;
        let (nonce, rest) = bytes.split_at_checked(NONCE_LEN).ok_or(SecretError::Damaged)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SecretError::Damaged)?;
        let mut rest = rest.to_vec();
        let text = key
            .key
            .open_in_place(nonce, Aad::from(bound_to(place, id)), &mut rest)
            .map_err(|_| SecretError::Damaged)?;
        String::from_utf8(text.to_vec()).map_err(|_| SecretError::Damaged)
    }

    /// Whether a sealed text is sealed under the key that seals now.
    pub(crate) fn is_current(&self, sealed: &str) -> bool {
        let first = self.0.first().map(|key| key.id.as_str());
        parts(sealed).is_ok_and(|(id, _)| first == Some(id))
    }

    /// Whether the key is there that opens it.
    pub(crate) fn check(&self, sealed: &str) -> Result<(), SecretError> {
        self.key(parts(sealed)?.0).map(drop)
    }

    fn key(&self, id: &str) -> Result<&Key, SecretError> {
        let key = self.0.iter().find(|key| key.id == id);
        key.ok_or_else(|| SecretError::KeyMissing(id.to_owned()))
    }
}

impl Key {
    fn read(file: &Path) -> Result<Self, String> {
        let bytes = fs::read(file).map_err(|error| format!("cannot be read: {error}"))?;
        if let Some(mode) = private::mode_for_others(file) {
            return Err(format!(
                "is open to others (mode {mode:04o}): make it 0600, and take another key if anybody may have read it"
            ));
        }
        Self::new(&bytes)
    }

    fn new(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() != KEY_BYTES {
            return Err(format!(
                "has {} bytes: a key is {KEY_BYTES} random bytes, as 'head -c 32 /dev/urandom' makes them",
                bytes.len()
            ));
        }
        let key = UnboundKey::new(&AES_256_GCM, bytes).map_err(|error| error.to_string())?;
        let digest = Sha256::digest([b"fame key id".as_slice(), bytes].concat());
        Ok(Self {
            id: HEXLOWER.encode(digest.get(..8).unwrap_or_default()),
            key: LessSafeKey::new(key),
        })
    }
}

fn parts(sealed: &str) -> Result<(&str, &str), SecretError> {
    let rest = sealed.strip_prefix(FORM).and_then(|rest| rest.strip_prefix('.'));
    rest.and_then(|rest| rest.split_once('.'))
        .ok_or(SecretError::Damaged)
}

fn bound_to(place: Place, key: &str) -> String {
    format!("{FORM} {} {} {} {key}", place.table, place.row, place.column)
}

/// Random bytes for a secret of the service's own making.
pub(crate) fn random<const LENGTH: usize>() -> Result<[u8; LENGTH], SecretError> {
    let mut bytes = [0; LENGTH];
    rand::fill(&mut bytes).map_err(|_| SecretError::NoChance)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs::Permissions, os::unix::fs::PermissionsExt};

    fn ring(keys: &[u8]) -> KeyRing {
        let keys = keys.iter().map(|byte| Key::new(&[*byte; KEY_BYTES]).unwrap());
        KeyRing(keys.collect())
    }

    fn place(row: u128, column: &'static str) -> Place {
        Place {
            table: "webhooks",
            row: Uuid::from_u128(row),
            column,
        }
    }

    #[test]
    fn a_secret_opens_where_it_was_sealed_for_and_nowhere_else() {
        let keys = ring(&[1]);
        let sealed = keys.seal(place(1, "secret"), "whsec_hello").unwrap();
        assert!(!sealed.contains("hello"));
        assert_eq!(keys.open(place(1, "secret"), &sealed).unwrap(), "whsec_hello");
        for elsewhere in [place(2, "secret"), place(1, "former_secret")] {
            assert!(matches!(keys.open(elsewhere, &sealed), Err(SecretError::Damaged)));
        }
        assert_ne!(keys.seal(place(1, "secret"), "whsec_hello").unwrap(), sealed);
    }

    #[test]
    fn every_key_opens_and_the_first_one_seals() {
        let old = ring(&[1]).seal(place(1, "secret"), "a").unwrap();
        let both = ring(&[2, 1]);
        assert_eq!(both.open(place(1, "secret"), &old).unwrap(), "a");
        assert!(!both.is_current(&old) && both.check(&old).is_ok());
        let new = both.seal(place(1, "secret"), "a").unwrap();
        assert!(both.is_current(&new));
        assert!(matches!(ring(&[1]).check(&new), Err(SecretError::KeyMissing(_))));
        assert!(matches!(
            ring(&[]).seal(place(1, "secret"), "a"),
            Err(SecretError::NoKey)
        ));
    }

    #[test]
    fn a_key_is_a_file_of_32_bytes_that_nobody_else_reads() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let files = [file.clone()];
        assert!(
            KeyRing::read(&files)
                .err()
                .unwrap()
                .concat()
                .contains("cannot be read")
        );
        fs::write(&file, [7; 31]).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        assert!(
            KeyRing::read(&files)
                .err()
                .unwrap()
                .concat()
                .contains("has 31 bytes")
        );
        fs::write(&file, [7; 32]).unwrap();
        assert!(KeyRing::read(&files).is_ok_and(|keys| keys.can_seal()));
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        assert!(KeyRing::read(&files).err().unwrap().concat().contains("0640"));
    }
}
