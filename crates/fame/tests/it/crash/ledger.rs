//! What the clients know: everything that was acknowledged, and everything that nobody knows of.

use crate::services::{APPS, Dice, package};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// A version: which app, which country, which number.
pub(super) type VersionId = (usize, &'static str, u32);

/// A version that somebody tried to upload.
#[derive(Debug)]
pub(super) struct Package {
    /// The hash of its bytes, hexadecimal.
    pub sha256: String,
    pub is_acknowledged: bool,
    pub history: Vec<String>,
}

/// A hotfix that was acknowledged.
#[derive(Debug)]
pub(super) struct Hotfix {
    /// Where it is.
    pub path: String,
    /// What was asked for.
    pub request: Value,
    /// The status that was last seen.
    pub seen: String,
    /// Whether an answer said that it is canceled.
    pub is_canceled: bool,
    pub history: Vec<String>,
}

/// A request for a hotfix: sent under a key until somebody answers.
#[derive(Clone, Debug)]
pub(super) struct ScheduleRequest {
    pub key: String,
    pub path: String,
    pub body: Value,
}

/// What became of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum KeyOutcome {
    Made(String),
    Refused,
}

/// Something that one client alone writes: what it may be now.
#[derive(Debug, Default)]
pub(super) struct Thing {
    pub possible: BTreeSet<Option<String>>,
    pub history: Vec<String>,
}

/// Everything that is known.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub packages: BTreeMap<VersionId, Package>,
    numbers: [u32; APPS.len()],
    pub hotfixes: BTreeMap<String, Hotfix>,
    pub unsure: Vec<ScheduleRequest>,
    pub keys: BTreeMap<String, KeyOutcome>,
    pub things: BTreeMap<String, Thing>,
    /// The ids of acknowledged requests that changed something, with what they were.
    pub changes: BTreeMap<String, String>,
    counts: BTreeMap<&'static str, usize>,
}

impl Ledger {
    pub(super) fn counts(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// How much was done, in words.
    pub(super) fn tally(&self) -> String {
        let counts: Vec<_> = self
            .counts
            .iter()
            .map(|(what, count)| format!("{count} {what}"))
            .collect();
        counts.join(", ")
    }

    /// A run in which hardly anything was acknowledged would prove nothing.
    pub(super) fn must_have_been_busy(&self, least: usize) {
        for what in ["uploads", "hotfixes", "cancellations", "reports", "principals"] {
            let count = self.counts.get(what).copied().unwrap_or_default();
            assert!(count > least, "only {count} {what}");
        }
    }

    /// A version that nobody tried before.
    pub(super) fn new_version(&mut self, dice: &mut Dice, countries: &[&'static str]) -> VersionId {
        let app = dice.below(APPS.len());
        self.numbers[app] += 1;
        (app, countries[dice.below(countries.len())], self.numbers[app])
    }

    /// Any version that somebody tried.
    pub(super) fn any_version(&self, dice: &mut Dice) -> Option<VersionId> {
        let keys: Vec<_> = self.packages.keys().copied().collect();
        dice.pick(&keys).copied()
    }

    /// The version's entry, and whether it is acknowledged already.
    pub(super) fn tries(&mut self, version: VersionId, bytes: &[u8], line: String) -> bool {
        let entry = self.packages.entry(version).or_insert_with(|| Package {
            sha256: hash_of(bytes),
            is_acknowledged: false,
            history: Vec::new(),
        });
        entry.history.push(line);
        entry.is_acknowledged
    }

    /// One of the newest versions that can be pushed.
    pub(super) fn target(&self, dice: &mut Dice, app: usize, country: &str) -> Option<u32> {
        let fitting = self
            .packages
            .iter()
            .filter(|((of, inside, _), package)| *of == app && *inside == country && package.is_acknowledged);
        let newest: Vec<u32> = fitting.rev().take(6).map(|((_, _, number), _)| *number).collect();
        dice.pick(&newest).copied()
    }

    /// A client is about to write a thing of its own, which is not there at first: until an answer comes it may be either.
    pub(super) fn may_become(&mut self, thing: &str, value: Option<String>, line: String) {
        let thing = self.things.entry(thing.to_owned()).or_default();
        if thing.possible.is_empty() {
            thing.possible.insert(None);
        }
        thing.possible.insert(value);
        thing.history.push(line);
    }

    /// An answer says what a thing is now.
    pub(super) fn is_now(&mut self, thing: &str, value: Option<String>, line: String) {
        let thing = self.things.entry(thing.to_owned()).or_default();
        thing.possible = BTreeSet::from([value]);
        thing.history.push(line);
    }
}

/// Lower-case hexadecimal digits of SHA-256.
pub(super) fn hash_of(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The bytes of a version: the same for every country.
pub(super) fn bytes_of((app, _, number): VersionId) -> Vec<u8> {
    package(APPS[app], number)
}
