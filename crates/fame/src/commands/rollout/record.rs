//! What stands in a journal. Whoever goes through the records from the first on knows what the driver knew when it wrote the
//! last of them.

use super::snapshot::Snapshot;
use domain::{
    country::CountryCode,
    environment::EnvironmentKind,
    ids::{AppId, OperationId, TenantId},
    instant::Instant,
    rollout::MemberState,
    version::AppVersion,
};
use serde::{Deserialize, Serialize};

/// The form of the records that this program writes.
pub(super) const FORM: u32 = 1;

/// Something that was decided, is about to be done, or was seen.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(tag = "is", rename_all = "camelCase", deny_unknown_fields)]
pub(super) enum Record {
    /// The rollout begins, with these environments and never with others.
    Begun {
        /// The form of the records, [`FORM`].
        form: u32,
        /// When, by this machine's clock; so for every `on`.
        #[serde(with = "word")]
        on: Instant,
        /// The app.
        #[serde(with = "word")]
        app: AppId,
        /// The environments that were selected. Every other record names them by their places here.
        members: Vec<Chosen>,
    },
    /// Where the rollout stands after a step or a verb, and what its members have to do with it.
    Stood {
        /// All that the engine keeps.
        rollout: Box<Snapshot>,
        /// The environments that a wave took with it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        took: Option<Took>,
        /// Those that are tried again from here on.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        retried: Vec<usize>,
    },
    /// A hotfix is about to be posted.
    Intends {
        /// For which environment.
        member: usize,
        /// Which attempt it is, from 1.
        attempt: u32,
        /// The hotfixes to the target that the environment had before: any other that turns up is this one.
        known: Vec<Id>,
        /// When.
        #[serde(with = "word")]
        on: Instant,
    },
    /// A hotfix is there.
    Posted {
        /// For which environment.
        member: usize,
        /// The hotfix.
        hotfix: Id,
    },
    /// A hotfix is about to be called off.
    CallsOff {
        /// In which environment.
        member: usize,
        /// Where the environment is once that is done.
        #[serde(with = "word")]
        then: MemberState,
    },
    /// An environment is somewhere else by now.
    Became {
        /// Which.
        member: usize,
        /// Where it is.
        #[serde(with = "word")]
        state: MemberState,
        /// Since when, as far as this machine has seen.
        #[serde(with = "word")]
        on: Instant,
        /// Why, where there is more to say than the state does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Reason>,
    },
}

/// An environment that was selected.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Chosen {
    #[serde(with = "word")]
    pub tenant: TenantId,
    pub family: String,
    pub name: String,
    #[serde(with = "word")]
    pub country: CountryCode,
    /// What it is for; none where the service does not say.
    pub kind: Option<Kind>,
    /// The version that it had when it was selected; none where that cannot be understood.
    pub installed: Option<Version>,
}

/// What a wave took.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Took {
    /// Which wave, from 0.
    pub wave: usize,
    /// The environments.
    pub members: Vec<usize>,
    /// Those of them that are no longer of the selection.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<usize>,
}

/// Why something is so: a stable code, and a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Reason {
    pub code: String,
    pub text: String,
}

/// A hotfix by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(transparent)]
pub(super) struct Id(#[serde(with = "word")] pub OperationId);

/// What an environment is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(transparent)]
pub(super) struct Kind(#[serde(with = "word")] pub EnvironmentKind);

/// A version of the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(transparent)]
pub(super) struct Version(#[serde(with = "word")] pub AppVersion);

/// Whatever has a text from which it can be read again.
pub(super) mod word {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
    use std::{fmt::Display, str::FromStr};

    pub(in super::super) fn serialize<T: Display, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(in super::super) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}
