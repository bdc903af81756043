//! The few sentences that must be true of everything, however it came about.

use super::{Environment, Model, Operation};
use crate::actions::tests::walks::acts::{APPS, Act};
use domain::operation::OperationStatus::Running;

impl Model {
    /// The first of them that an act broke.
    pub(in crate::actions::tests::walks) fn broken_promise(
        &self,
        before: &Self,
        act: &Act,
    ) -> Option<String> {
        let mut operations = before.operations.iter().zip(&self.operations).enumerate();
        let changed = operations.find_map(|(number, (was, is))| {
            let may_be = was.status == is.status || was.status.may_become(is.status);
            let stays = !was.status.is_terminal() || was == is;
            (!may_be || !stays).then(|| format!("operation {number} became {is:?} from {was:?}"))
        });
        let mut environments = before
            .environments
            .iter()
            .flatten()
            .zip(self.environments.iter().flatten());
        let installed = environments.find_map(|(was, is)| broken_by_installing(was, is, act));
        let states = || {
            self.environments
                .iter()
                .flatten()
                .find_map(|environment| self.broken_in(environment))
        };
        changed.or(installed).or_else(states)
    }

    fn broken_in(&self, environment: &Environment) -> Option<String> {
        let here = |one: &&Operation| one.home == environment.home;
        let running = self
            .operations
            .iter()
            .filter(here)
            .filter(|one| one.status == Running);
        let running = running.count();
        let waits = !self.waiting_in(environment).is_empty();
        if running > 1 {
            return Some(format!("{running} run in {environment:?}"));
        }
        for app in 0..APPS {
            let of_app = self.operations.iter().filter(here).filter(|one| one.app == app);
            if of_app.filter(|one| one.occupies()).count() > 1 {
                return Some(format!("two wait or run for app {app} in {environment:?}"));
            }
        }
        if environment.held.is_some() && (running > 0 || environment.due.is_some()) {
            return Some(format!("work goes on where it is held: {environment:?}"));
        }
        if running > 0 && environment.due.is_some() {
            return Some(format!("work is due where one runs: {environment:?}"));
        }
        if waits && running == 0 && environment.held.is_none() && environment.due.is_none() {
            return Some(format!("work waits for ever in {environment:?}"));
        }
        None
    }
}

/// Only a report changes what is installed, and that of an agent never to something older.
fn broken_by_installing(was: &Environment, is: &Environment, act: &Act) -> Option<String> {
    let may_change = match act {
        Act::ReportsEnvironment { .. } => true,
        Act::Reports(_) => was.apps.iter().zip(&is.apps).all(|(was, is)| is >= was),
        _ => was.apps == is.apps,
    };
    (was.home == is.home && !may_change)
        .then(|| format!("{:?} became {:?} in an environment", was.apps, is.apps))
}
