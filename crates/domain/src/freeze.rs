//! What an operator can stop at once when something has gone wrong: an app, somebody who asks, all scheduling, or what is
//! sent to webhooks; and when nothing of an app starts, because its owners said so beforehand.

use crate::{
    country::CountryCode,
    environment::EnvironmentKind,
    ids::{AppId, PrincipalId},
    instant::Instant,
    problem::RuleError,
};
use std::{collections::BTreeSet, fmt, str::FromStr};

/// What is frozen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Frozen {
    /// All apps: no hotfix is scheduled, and none begins.
    Scheduling,
    /// One app: nothing about it is changed, and none of its hotfixes begins.
    App(AppId),
    /// One user or application: they change nothing, and nothing begins that they asked for.
    Principal(PrincipalId),
    /// All webhooks: nothing is sent to any.
    Webhooks,
    /// The webhooks of one app.
    WebhooksOf(AppId),
}

impl Frozen {
    /// Whether it keeps a hotfix from beginning that somebody of this signature asked for (`User/tenant/id` or
    /// `Application/id`), or an application whose service principal has this object id.
    #[must_use]
    pub fn stops(self, app: AppId, signature: &str, object_id: Option<PrincipalId>) -> bool {
        match self {
            Self::Scheduling => true,
            Self::Webhooks | Self::WebhooksOf(_) => false,
            Self::App(frozen) => frozen == app,
            Self::Principal(id) => {
                let asked = signature.rsplit('/').next().unwrap_or_default();
                object_id == Some(id) || asked.parse() == Ok(id)
            }
        }
    }
}

impl FromStr for Frozen {
    type Err = NothingToFreeze;

    fn from_str(text: &str) -> Result<Self, NothingToFreeze> {
        let unknown = || NothingToFreeze(text.to_owned());
        match text.split_once(':') {
            Some(("app", id)) => id.parse().map(Self::App).map_err(|_| unknown()),
            Some(("principal", id)) => id.parse().map(Self::Principal).map_err(|_| unknown()),
            Some(("webhooks", id)) => id.parse().map(Self::WebhooksOf).map_err(|_| unknown()),
            None if text == "scheduling" => Ok(Self::Scheduling),
            None if text == "webhooks" => Ok(Self::Webhooks),
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for Frozen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scheduling => f.write_str("scheduling"),
            Self::App(id) => write!(f, "app:{id}"),
            Self::Principal(id) => write!(f, "principal:{id}"),
            Self::Webhooks => f.write_str("webhooks"),
            Self::WebhooksOf(id) => write!(f, "webhooks:{id}"),
        }
    }
}

/// A text that names nothing which can be frozen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is none of scheduling, webhooks, app:ID, principal:ID and webhooks:APP-ID")]
pub struct NothingToFreeze(pub String);

/// A span of time in which nothing starts: its first instant belongs to it, its last does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrozenSpan {
    /// From when on nothing starts.
    pub begins_on: Instant,
    /// From when on it may again.
    pub ends_on: Instant,
}

impl FrozenSpan {
    /// Whether an instant lies in it.
    #[must_use]
    pub fn covers(self, at: Instant) -> bool {
        self.begins_on <= at && at < self.ends_on
    }

    /// Refuses a span that no instant lies in.
    ///
    /// # Errors
    /// `InvalidInput` about `to`.
    pub fn check(self) -> Result<(), RuleError> {
        if self.begins_on < self.ends_on {
            return Ok(());
        }
        let message = format!(
            "'to' is {}, which is not behind 'from', {}: nothing would be frozen.",
            self.ends_on, self.begins_on
        );
        Err(RuleError::invalid("to", message))
    }
}

/// The environments in which an app is frozen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FrozenPlaces {
    /// Those of these countries; of all, if none is named.
    pub countries: BTreeSet<CountryCode>,
    /// Those of these kinds; of both, if none is named.
    pub kinds: BTreeSet<EnvironmentKind>,
}

impl FrozenPlaces {
    /// Whether an environment is among them, as it is now.
    #[must_use]
    pub fn include(&self, country: CountryCode, kind: EnvironmentKind) -> bool {
        (self.countries.is_empty() || self.countries.contains(&country))
            && (self.kinds.is_empty() || self.kinds.contains(&kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_span_has_its_first_instant_and_not_its_last() {
        let span = FrozenSpan {
            begins_on: Instant(10),
            ends_on: Instant(20),
        };
        let covered = [9, 10, 19, 20].map(|at| span.covers(Instant(at)));
        assert_eq!(covered, [false, true, true, false]);
        assert!(span.check().is_ok());
        for ends_on in [10, 9] {
            let ends_on = Instant(ends_on);
            assert!(FrozenSpan { ends_on, ..span }.check().is_err());
        }
    }

    #[test]
    fn places_are_countries_and_kinds() {
        let (de, us) = ("DE".parse().unwrap(), "US".parse().unwrap());
        let (production, sandbox) = (EnvironmentKind::Production, EnvironmentKind::Sandbox);
        assert!(FrozenPlaces::default().include(de, sandbox));
        let german = FrozenPlaces {
            countries: [de].into(),
            ..FrozenPlaces::default()
        };
        assert!(german.include(de, production) && !german.include(us, production));
        let german_production = FrozenPlaces {
            kinds: [production].into(),
            ..german
        };
        assert!(german_production.include(de, production));
        assert!(!german_production.include(de, sandbox) && !german_production.include(us, production));
    }

    #[test]
    fn it_is_read_as_it_is_written() {
        let id = Uuid::new_v4();
        for frozen in [
            Frozen::Scheduling,
            Frozen::App(AppId(id)),
            Frozen::Principal(PrincipalId(id)),
            Frozen::Webhooks,
            Frozen::WebhooksOf(AppId(id)),
        ] {
            assert_eq!(frozen.to_string().parse(), Ok(frozen));
        }
        for wrong in ["", "app", "app:", "app:me", "scheduling:1", "agent:1"] {
            assert_eq!(wrong.parse::<Frozen>(), Err(NothingToFreeze(wrong.to_owned())));
        }
    }

    #[test]
    fn it_stops_what_it_names_and_nothing_else() {
        let (app, id) = (AppId(Uuid::new_v4()), PrincipalId(Uuid::new_v4()));
        let other = PrincipalId::random();
        let (program, person) = (
            format!("Application/{id}"),
            format!("User/{}/{id}", Uuid::new_v4()),
        );
        assert!(Frozen::Scheduling.stops(app, &program, None));
        assert!(Frozen::App(app).stops(app, &program, None));
        assert!(!Frozen::App(AppId::random()).stops(app, &program, None));
        assert!(!Frozen::Webhooks.stops(app, &program, None));
        assert!(!Frozen::WebhooksOf(app).stops(app, &program, None));
        for asked in [&program, &person] {
            assert!(Frozen::Principal(id).stops(app, asked, None));
            assert!(!Frozen::Principal(other).stops(app, asked, None));
        }
        assert!(Frozen::Principal(other).stops(app, &program, Some(other)));
        assert!(!Frozen::Principal(PrincipalId::random()).stops(app, &program, Some(other)));
    }
}
