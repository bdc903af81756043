//! How a release is made: what the file of the release says, and what the command line says instead.

use super::plan::Hotfix;
use crate::failure::Failure;
use domain::{instant::Instant, version::Availability};
use std::time::Duration;

/// How long hotfixes are waited for, unless something else is said.
const USUAL_TIMEOUT: Duration = Duration::from_hours(24);

/// What is said of how a release is made. Nothing is said where there is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Policy {
    /// To whom the versions are offered at the end.
    pub availability: Option<Availability>,
    /// Whether countries that an app lacks are added to it.
    pub adds_countries: Option<bool>,
    /// Whether environments are to get the versions.
    pub hotfix: Option<bool>,
    /// Which environments, as OData.
    pub filter: Option<String>,
    /// Whether hotfixes do not wait for update windows.
    pub ignores_window: Option<bool>,
    /// Whether the end of hotfixes is waited for.
    pub waits: Option<bool>,
    /// For how long.
    pub timeout: Option<Duration>,
}

/// How a release is made, decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decided {
    /// To whom the versions are offered at the end.
    pub availability: Availability,
    /// Whether countries that an app lacks are added to it.
    pub adds_countries: bool,
    /// Which environments are to get them, and how.
    pub rollout: Option<Rollout>,
}

/// Which environments get the versions, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rollout {
    /// Which, as OData.
    pub filter: String,
    /// When hotfixes start at the earliest.
    pub run_after: Option<Instant>,
    /// Whether they do not wait for update windows.
    pub ignores_window: bool,
    /// Whether they are wanted though schema synchronisation is forecast to refuse them.
    pub despite_forecast: bool,
    /// What is to become of them.
    pub hotfix: Hotfix,
    /// For how long they are waited for.
    pub timeout: Duration,
}

impl Policy {
    /// What `self` says and, where that is nothing, what `other` says.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            availability: self.availability.or(other.availability),
            adds_countries: self.adds_countries.or(other.adds_countries),
            hotfix: self.hotfix.or(other.hotfix),
            filter: self.filter.or(other.filter),
            ignores_window: self.ignores_window.or(other.ignores_window),
            waits: self.waits.or(other.waits),
            timeout: self.timeout.or(other.timeout),
        }
    }

    /// Makes sure that it is one that can be carried out.
    ///
    /// # Errors
    /// [`Failure::Usage`] where parts of it make no sense without others.
    pub(super) fn decide(self, run_after: Option<Instant>) -> Result<Decided, Failure> {
        let usage = |message: &str| Err(Failure::Usage(message.to_owned()));
        let is_rollout = self.hotfix.unwrap_or(false);
        let rollout = match self.filter {
            Some(filter) if is_rollout => Some(Rollout {
                filter,
                run_after,
                ignores_window: self.ignores_window.unwrap_or(false),
                despite_forecast: false,
                hotfix: Hotfix {
                    waits: self.waits.unwrap_or(false),
                },
                timeout: self.timeout.unwrap_or(USUAL_TIMEOUT),
            }),
            None if is_rollout => {
                return usage(
                    "--hotfix says that environments are to get the release: say which with --where",
                );
            }
            // What a file says of hotfixes stands by while none are wanted.
            _ if self.hotfix == Some(false) => None,
            None if run_after.is_none() && self.ignores_window != Some(true) && self.waits != Some(true) => {
                None
            }
            _ => {
                return usage(
                    "--where, --run-after, --ignore-window and --wait are of hotfixes: say with --hotfix that there are \
                     to be some",
                );
            }
        };
        Ok(Decided {
            availability: self.availability.unwrap_or(Availability::Preview),
            adds_countries: self.adds_countries.unwrap_or(false),
            rollout,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_wins_and_the_file_says_the_rest() {
        let file = Policy {
            availability: Some(Availability::Available),
            hotfix: Some(true),
            filter: Some("type eq 'Sandbox'".to_owned()),
            waits: Some(true),
            ..Policy::default()
        };
        let flags = Policy {
            filter: Some("name eq 'North'".to_owned()),
            waits: Some(false),
            ..Policy::default()
        };
        let decided = flags.or(file.clone()).decide(None).unwrap();
        let rollout = decided.rollout.unwrap();
        assert_eq!(decided.availability, Availability::Available);
        assert_eq!(
            (rollout.filter.as_str(), rollout.hotfix.waits),
            ("name eq 'North'", false)
        );

        let none = Policy {
            hotfix: Some(false),
            ..Policy::default()
        };
        assert_eq!(none.or(file).decide(None).unwrap().rollout, None);
    }

    #[test]
    fn hotfixes_need_to_be_wanted_and_aimed() {
        let wanted = |hotfix, filter: Option<&str>, waits| Policy {
            hotfix,
            filter: filter.map(str::to_owned),
            waits,
            ..Policy::default()
        };
        assert!(wanted(Some(true), None, None).decide(None).is_err());
        assert!(wanted(None, Some("true"), None).decide(None).is_err());
        assert!(wanted(None, None, Some(true)).decide(None).is_err());
        let plain = wanted(None, None, None).decide(None).unwrap();
        assert_eq!((plain.rollout, plain.availability), (None, Availability::Preview));
    }
}
