//! What a selection comes to, added up row by row in memory that does not grow with it.

use super::selection::{Judged, Verdict};
use domain::{
    environment::EnvironmentKind,
    instant::{Instant, TICKS_PER_SECOND},
};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use store::selections::SelectedEnvironment;

/// Environments that are shown of each reason.
const SAMPLE: usize = 5;
const TICKS_PER_HOUR: i64 = 3_600 * TICKS_PER_SECOND;

/// What a selection comes to.
pub(crate) struct Summary {
    pub(crate) environments: u64,
    pub(crate) production: u64,
    pub(crate) verdicts: BTreeMap<Verdict, u64>,
    pub(crate) reasons: BTreeMap<(Verdict, &'static str), Group>,
    /// How many would start within each hour, which is given by its beginning.
    pub(crate) starts: BTreeMap<Instant, u64>,
    /// How many of those that are eligible start nobody knows when.
    pub(crate) without_start: u64,
    hash: Sha256,
    /// The part of it that is the same for all environments.
    premises: Sha256,
}

/// The environments with the same reason.
#[derive(Default)]
pub(crate) struct Group {
    pub(crate) count: u64,
    pub(crate) sample: Vec<Example>,
}

/// One of them.
pub(crate) struct Example {
    pub(crate) environment: SelectedEnvironment,
    pub(crate) message: Option<String>,
}

impl Summary {
    /// Nothing yet, of a plan that is told from others by these bytes.
    pub(crate) fn of(definition: &[u8]) -> Self {
        let mut hash = Sha256::new();
        put(&mut hash, definition);
        let premises = hash.clone();
        Self {
            environments: 0,
            production: 0,
            verdicts: Verdict::ALL.into_iter().map(|verdict| (verdict, 0)).collect(),
            reasons: BTreeMap::new(),
            starts: BTreeMap::new(),
            without_start: 0,
            hash,
            premises,
        }
    }

    /// Begins with the environments of a country, for which this package is meant.
    pub(crate) fn begin(&mut self, country: &str, package: Option<&[u8; 32]>) {
        for hash in [&mut self.hash, &mut self.premises] {
            put(hash, country.as_bytes());
            put(hash, package.map_or(&[], |sha256| sha256));
        }
    }

    pub(crate) fn add(&mut self, row: &Judged) {
        let installation = &row.environment.installation;
        self.environments += 1;
        self.production += u64::from(installation.kind == EnvironmentKind::Production);
        *self.verdicts.entry(row.verdict).or_default() += 1;
        if row.verdict != Verdict::Eligible {
            let group = self.reasons.entry((row.verdict, row.code)).or_default();
            group.count += 1;
            if group.sample.len() < SAMPLE {
                group.sample.push(Example {
                    environment: row.environment.clone(),
                    message: row.message.clone(),
                });
            }
        } else if let Some(start) = row.wait.expected_start {
            let hour = Instant(start.0 - start.0.rem_euclid(TICKS_PER_HOUR));
            *self.starts.entry(hour).or_default() += 1;
        } else {
            self.without_start += 1;
        }
        let key = row.key();
        self.hash.update(key.tenant_id.0.as_bytes());
        put(&mut self.hash, key.name_key.as_bytes());
        put(&mut self.hash, key.family_key.as_bytes());
        self.hash.update(installation.version.sort_key());
        put(&mut self.hash, row.code.as_bytes());
    }

    pub(crate) fn count(&self, verdict: Verdict) -> u64 {
        self.verdicts.get(&verdict).copied().unwrap_or_default()
    }

    /// What tells this selection, and what the rules say of it, from all others.
    pub(crate) fn fingerprint(&self) -> [u8; 32] {
        self.hash.clone().finalize().into()
    }

    /// What was planned, whatever the environments are: the definition, and the package of each country.
    pub(crate) fn premises(&self) -> [u8; 32] {
        self.premises.clone().finalize().into()
    }
}

/// Takes bytes in so that they cannot be taken for a part of what comes before or behind them.
fn put(hash: &mut Sha256, bytes: &[u8]) {
    hash.update((bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_rows_of_bytes_run_into_each_other() {
        let hash = |parts: &[&[u8]]| {
            let mut hash = Sha256::new();
            parts.iter().for_each(|part| put(&mut hash, part));
            hash.finalize()
        };
        assert_ne!(hash(&[b"ab", b"c"]), hash(&[b"a", b"bc"]));
        assert_ne!(hash(&[b"ab"]), hash(&[b"ab", b""]));
    }
}
