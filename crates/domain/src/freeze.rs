//! What an operator can stop at once when something has gone wrong: an app, somebody who asks, all scheduling, or what is
//! sent to webhooks.

use crate::ids::{AppId, PrincipalId};
use std::{fmt, str::FromStr};

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

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

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
