//! Tokens that were verified a moment ago. Clients send the same token with every request; verifying an RSA
//! signature each time would cost more than most requests do.
//!
//! A token is remembered by its digest, never by its text, for at most five minutes, never past its `exp`,
//! and not longer than its issuer serves the key that signed it.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use sha2::{Digest as _, Sha256};

use super::Bearer;
use super::keys::PublicKey;

/// Longest time in seconds for which a token is not verified again.
const LONGEST_LIFE: i64 = 300;

/// Locks are spread over this many shards, so that requests on different cores seldom meet.
const SHARDS: usize = 16;

/// Most tokens of one shard.
const MAX_PER_SHARD: usize = 4_096;

/// SHA-256 of a token's text.
pub(super) type TokenDigest = [u8; 32];

pub(super) fn digest(token: &str) -> TokenDigest {
    Sha256::digest(token.as_bytes()).into()
}

struct Verified {
    bearer: Bearer,
    key: Arc<PublicKey>,
    since: i64,
    until: i64,
}

impl Verified {
    fn holds(&self, now: i64) -> bool {
        // A clock that was set back would otherwise lengthen the life.
        (self.since..self.until).contains(&now) && !self.key.is_retired()
    }
}

type Shard = RwLock<HashMap<TokenDigest, Verified>>;

/// The remembered tokens.
#[derive(Default)]
pub(super) struct VerifiedTokens {
    shards: [Shard; SHARDS],
}

impl VerifiedTokens {
    pub(super) fn get(&self, token: &TokenDigest, now: i64) -> Option<Bearer> {
        let shard = self.shard(token).read().unwrap_or_else(PoisonError::into_inner);
        let verified = shard.get(token).filter(|verified| verified.holds(now))?;
        Some(verified.bearer.clone())
    }

    pub(super) fn insert(
        &self,
        token: TokenDigest,
        bearer: Bearer,
        key: Arc<PublicKey>,
        now: i64,
        expires: i64,
    ) {
        let until = expires.min(now.saturating_add(LONGEST_LIFE));
        if until <= now {
            return;
        }
        let mut shard = self.shard(&token).write().unwrap_or_else(PoisonError::into_inner);
        if shard.len() >= MAX_PER_SHARD {
            shard.retain(|_, verified| verified.holds(now));
        }
        // Still full: starting afresh costs each of them one verification, keeping order would cost more.
        if shard.len() >= MAX_PER_SHARD {
            shard.clear();
        }
        shard.insert(
            token,
            Verified {
                bearer,
                key,
                since: now,
                until,
            },
        );
    }

    #[expect(clippy::indexing_slicing, reason = "a remainder is less than SHARDS")]
    fn shard(&self, token: &TokenDigest) -> &Shard {
        &self.shards[usize::from(token[0]) % SHARDS]
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().unwrap().len()).sum()
    }
}
