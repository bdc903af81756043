//! The rules for hotfixes, in the order in which they are asked.

use super::{Environment, Model};
use crate::actions::tests::walks::acts::{APPLICATION, BASE, DEPENDANT, LEAST_APPLICATION, least_base};
use domain::version::{AppVersion, Availability};

/// A broken rule: how scheduling names it, and how an operation does that is skipped for it.
type Objection = (&'static str, &'static str);

impl Model {
    /// The first rule that speaks against bringing an app to a version, if one does.
    pub(super) fn objection(
        &self,
        environment: &Environment,
        app: usize,
        target: AppVersion,
        taken: bool,
    ) -> Option<Objection> {
        let installed = environment.apps[app]?;
        let offered = self.offers[&(app, environment.country, target)].availability;
        let installed_offer = self.offers.get(&(app, environment.country, installed));
        let from_preview = installed_offer.is_some_and(|offer| offer.availability == Availability::Preview);
        let rules = [
            (offered == Availability::Deprecated).then_some(("TargetDeprecated", "TargetDeprecated")),
            (offered == Availability::Preview).then_some(("TargetPreview", "TargetBecamePreview")),
            (installed.0[..2] != target.0[..2]).then_some(("LineDiffers", "LineChanged")),
            (target <= installed).then_some(("NotNewer", "AlreadyUpToDate")),
            from_preview.then_some(("InstalledIsPreview", "SourceBecamePreview")),
            taken.then_some(("AlreadyScheduled", "AlreadyScheduled")),
            self.unmet(environment, app, target)
                .map(|code| (code, "DependenciesUnmet")),
            self.breaks_dependant(environment, app, target)
                .then_some(("DependantIncompatible", "DependantIncompatible")),
        ];
        rules.into_iter().flatten().next()
    }

    /// What is wrong with the app that a version depends on.
    fn unmet(&self, environment: &Environment, app: usize, target: AppVersion) -> Option<&'static str> {
        let incompatible_from = self.offers[&(app, environment.country, target)].incompatible_from;
        let (least, there) = match app {
            BASE => return None,
            DEPENDANT => (least_base(target), environment.apps[BASE]),
            _ => {
                // That it needs the application is only spoken of where it does not work with some.
                incompatible_from?;
                (LEAST_APPLICATION, Some(APPLICATION))
            }
        };
        match there {
            Some(there) if there < least => Some("DependencyTooOld"),
            Some(there) if incompatible_from.is_some_and(|from| there >= from) => {
                Some("DependencyIncompatible")
            }
            Some(_) => None,
            None if environment.complete => Some("DependencyMissing"),
            // What is installed works, so as much as that needs must be there; nobody knows what a version needs that
            // was never uploaded.
            None => {
                let installed = environment.apps[app]?;
                let is_known = self.offers.contains_key(&(app, environment.country, installed));
                (is_known && least_base(installed) < least).then_some("DependencyMissing")
            }
        }
    }

    fn breaks_dependant(&self, environment: &Environment, app: usize, target: AppVersion) -> bool {
        let dependant = environment.apps[DEPENDANT].filter(|_| app == BASE);
        let offer = dependant.and_then(|version| self.offers.get(&(DEPENDANT, environment.country, version)));
        offer
            .and_then(|offer| offer.incompatible_from)
            .is_some_and(|from| target >= from)
    }
}
