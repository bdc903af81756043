//! What a release does next: decided from what is wanted and what was read, and from nothing else.
//!
//! Nothing here asks a service. The driver does what it is told, reads what became of it, and asks again; so a release that
//! was interrupted anywhere goes on from what it finds. The order is the promise: countries are added and packages
//! uploaded, and only when every one of them was read back is the first version offered, what others need before them;
//! and only when all are offered is the first hotfix scheduled.

use domain::{
    ids::AppId,
    version::{AppVersion, Availability},
};
use std::collections::{BTreeMap, BTreeSet};

/// What is to be the case at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Goal {
    /// The versions, each after those that it needs.
    pub items: Vec<Item>,
    /// To whom they are offered at the end: `Preview` or `Available`.
    pub availability: Availability,
    /// Whether countries that an app lacks are added to it.
    pub adds_countries: bool,
    /// Whether a version that was withdrawn is offered again.
    pub allows_deprecated: bool,
    /// Whether environments are to get them.
    pub hotfix: Option<Hotfix>,
}

/// What is to become of hotfixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hotfix {
    /// Whether their end is waited for.
    pub waits: bool,
}

/// A version of an app, and where it is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// The app.
    pub app: AppId,
    /// Its version.
    pub version: AppVersion,
    /// Which items of the release it needs.
    pub needs: Vec<usize>,
    /// The countries.
    pub countries: Vec<String>,
}

/// An item in one of its countries.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cell {
    /// Which item of the release.
    pub item: usize,
    /// The country.
    pub country: String,
}

/// What there is of an item in a country.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum There {
    /// The app is not in the country.
    NoCountry,
    /// The app is not in the country, and cannot be: there is no such country, or the service knows none.
    NoSuchCountry,
    /// The version is not there.
    Nothing,
    /// It is there with the same content, and offered so.
    Same(Availability),
    /// It is there with other content.
    Different,
}

/// One of the environments that are to get an item, by its place among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Site {
    /// Which item.
    pub item: usize,
    /// Which environment.
    pub number: usize,
}

/// How far an environment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It is on another line, which no hotfix leaves.
    OtherLine,
    /// It has an older version, and no hotfix to this one.
    Due,
    /// A hotfix to this version waits or runs.
    Pending,
    /// It has this version or a newer one.
    Reached,
    /// The hotfix ended otherwise.
    Missed,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// Adds a country to an app.
    AddCountry {
        /// The app.
        app: AppId,
        /// The country.
        country: String,
    },
    /// Uploads an item for a country, as Preview.
    Upload(Cell),
    /// Changes to whom an item is offered in a country.
    Offer(Cell),
    /// Looks which environments are to get an item, and how far they are.
    Find(usize),
    /// Schedules a hotfix.
    Schedule(Site),
    /// Waits for the hotfixes of an item.
    Wait(usize),
}

/// What was read, and what is not tried again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    /// What there is in each country.
    pub cells: BTreeMap<Cell, There>,
    /// The environments of each item, as far as they were looked for.
    pub sites: BTreeMap<usize, Vec<Stage>>,
    /// The environments in which something speaks against a hotfix that was to be scheduled there.
    pub hindered: BTreeSet<Site>,
    /// The steps that did not come about.
    pub given_up: BTreeSet<Step>,
}

/// Why a release does not begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// The version is there with other content.
    Different(Cell),
    /// The app is not in the country, and countries are not to be added.
    NoCountry(Cell),
    /// There is no such country to add.
    NoSuchCountry(Cell),
    /// The version was withdrawn.
    Deprecated(Cell),
    /// A hotfix could not be scheduled in an environment.
    Hindered(Site),
}

impl Goal {
    /// Each item in each of its countries.
    pub(super) fn cells(&self) -> impl Iterator<Item = Cell> + '_ {
        let of_item = |(item, wanted): (usize, &Item)| {
            let countries = wanted.countries.clone().into_iter();
            countries.map(move |country| Cell { item, country })
        };
        self.items.iter().enumerate().flat_map(of_item)
    }

    /// What speaks against beginning at all.
    pub(super) fn obstacles(&self, state: &State) -> Vec<Obstacle> {
        let obstacle = |cell: Cell| match state.there(&cell) {
            There::Different => Some(Obstacle::Different(cell)),
            There::NoCountry if !self.adds_countries => Some(Obstacle::NoCountry(cell)),
            There::NoSuchCountry => Some(Obstacle::NoSuchCountry(cell)),
            There::Same(Availability::Deprecated) if !self.allows_deprecated => {
                Some(Obstacle::Deprecated(cell))
            }
            _ => None,
        };
        let hindered = state.hindered.iter().copied().map(Obstacle::Hindered);
        self.cells().filter_map(obstacle).chain(hindered).collect()
    }

    /// What is to be done next, all of it at once; nothing when the release is over, whether or not it came to its goal.
    pub(super) fn next(&self, state: &State) -> Vec<Step> {
        if !self.obstacles(state).is_empty() {
            return Vec::new();
        }
        for steps in [self.additions(state), self.uploads(state)] {
            let open = state.not_given_up(steps);
            if !open.is_empty() {
                return open;
            }
        }
        if !self
            .cells()
            .all(|cell| matches!(state.there(&cell), There::Same(_)))
        {
            return Vec::new();
        }
        for item in 0..self.items.len() {
            let offers = self.offers(state, item);
            if !offers.is_empty() {
                return state.not_given_up(offers);
            }
        }
        self.hotfix
            .map_or_else(Vec::new, |hotfix| self.rollout(state, hotfix))
    }

    /// Whether everything that is wanted was read.
    pub(super) fn is_reached(&self, state: &State) -> bool {
        let is_wanted = |cell: Cell| self.is_offered(state.there(&cell));
        self.cells().all(is_wanted) && self.hotfix.is_none_or(|hotfix| self.is_rolled_out(state, hotfix))
    }

    fn is_rolled_out(&self, state: &State, hotfix: Hotfix) -> bool {
        let is_right = |stage: &Stage| match stage {
            Stage::Reached | Stage::OtherLine => true,
            Stage::Pending => !hotfix.waits,
            Stage::Due | Stage::Missed => false,
        };
        (0..self.items.len()).all(|item| {
            let sites = state.sites.get(&item);
            sites.is_some_and(|sites| sites.iter().all(is_right))
        })
    }

    /// Whether what is there is offered as it is to be.
    pub(super) fn is_offered(&self, there: There) -> bool {
        match there {
            There::Same(Availability::Available) => true,
            There::Same(Availability::Preview) => self.availability == Availability::Preview,
            _ => false,
        }
    }

    fn additions(&self, state: &State) -> Vec<Step> {
        let missing = self.cells().filter(|cell| state.there(cell) == There::NoCountry);
        let additions: BTreeSet<Step> = missing.filter_map(|cell| self.addition(&cell)).collect();
        additions.into_iter().collect()
    }

    /// The step that adds the country of a cell.
    pub(super) fn addition(&self, cell: &Cell) -> Option<Step> {
        Some(Step::AddCountry {
            app: self.items.get(cell.item)?.app,
            country: cell.country.clone(),
        })
    }

    fn uploads(&self, state: &State) -> Vec<Step> {
        let missing = self.cells().filter(|cell| state.there(cell) == There::Nothing);
        missing.map(Step::Upload).collect()
    }

    fn offers(&self, state: &State, item: usize) -> Vec<Step> {
        let of_item = self.cells().filter(|cell| cell.item == item);
        let otherwise = of_item.filter(|cell| !self.is_offered(state.there(cell)));
        otherwise.map(Step::Offer).collect()
    }

    fn rollout(&self, state: &State, hotfix: Hotfix) -> Vec<Step> {
        for (item, wanted) in self.items.iter().enumerate() {
            let Some(sites) = state.sites.get(&item) else {
                return state.not_given_up(vec![Step::Find(item)]);
            };
            if hotfix.waits {
                let first = wanted.needs.iter().filter(|needed| state.is_pending(**needed));
                let first: Vec<Step> = first.map(|needed| Step::Wait(*needed)).collect();
                if !first.is_empty() {
                    return state.not_given_up(first);
                }
            }
            let numbered = sites.iter().enumerate();
            let due = numbered.filter(|(_, stage)| **stage == Stage::Due);
            let due = due
                .map(|(number, _)| Step::Schedule(Site { item, number }))
                .collect();
            let open = state.not_given_up(due);
            if !open.is_empty() {
                return open;
            }
        }
        let pending = (0..self.items.len()).filter(|item| hotfix.waits && state.is_pending(*item));
        state.not_given_up(pending.map(Step::Wait).collect())
    }
}

impl State {
    /// What there is in a country; nothing where nobody looked.
    pub(super) fn there(&self, cell: &Cell) -> There {
        self.cells.get(cell).copied().unwrap_or(There::Nothing)
    }

    fn is_pending(&self, item: usize) -> bool {
        let sites = self.sites.get(&item);
        sites.is_some_and(|sites| sites.contains(&Stage::Pending))
    }

    fn not_given_up(&self, mut steps: Vec<Step>) -> Vec<Step> {
        steps.retain(|step| !self.given_up.contains(step));
        steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    const COUNTRIES: [&str; 3] = ["US", "DE", "DK"];

    /// A service in memory: what a release can see and change of one.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    struct Service {
        countries: BTreeSet<(AppId, String)>,
        versions: BTreeMap<Cell, Availability>,
        /// By item and environment: how far each is.
        environments: BTreeMap<Site, Stage>,
        /// How often each thing was done that is not safe to do twice.
        done: BTreeMap<Step, usize>,
    }

    /// What befalls a step.
    #[derive(Clone, Copy, Debug)]
    enum Fate {
        Works,
        /// It is carried out, and the answer is lost.
        Lost,
        /// It is not carried out.
        Fails,
        /// The release is killed before it, or after.
        KilledBefore,
        KilledAfter,
    }

    fn fates() -> impl Strategy<Value = Vec<Fate>> {
        let fate = prop_oneof![
            6 => Just(Fate::Works),
            1 => Just(Fate::Lost),
            1 => Just(Fate::Fails),
            1 => Just(Fate::KilledBefore),
            1 => Just(Fate::KilledAfter),
        ];
        prop::collection::vec(fate, 0..60)
    }

    impl Service {
        fn app(item: usize) -> AppId {
            AppId(Uuid::from_u128(item as u128 + 1))
        }

        fn read(&self, goal: &Goal, cell: &Cell) -> There {
            let app = goal.items[cell.item].app;
            match self.versions.get(cell) {
                _ if !self.countries.contains(&(app, cell.country.clone())) => There::NoCountry,
                Some(availability) => There::Same(*availability),
                None => There::Nothing,
            }
        }

        fn first_look(&self, goal: &Goal) -> State {
            State {
                cells: goal
                    .cells()
                    .map(|cell| (cell.clone(), self.read(goal, &cell)))
                    .collect(),
                ..State::default()
            }
        }

        fn stages(&self, item: usize) -> Vec<Stage> {
            let of_item = self.environments.iter().filter(|(site, _)| site.item == item);
            of_item.map(|(_, stage)| *stage).collect()
        }

        /// Carries a step out, and holds it against what a release must never do.
        fn carry_out(&mut self, goal: &Goal, step: &Step) {
            let all_uploaded = goal.cells().all(|cell| self.versions.contains_key(&cell));
            let all_offered = goal.cells().all(|cell| goal.is_offered(self.read(goal, &cell)));
            *self.done.entry(step.clone()).or_default() += 1;
            match step {
                Step::AddCountry { app, country } => {
                    assert!(goal.adds_countries);
                    self.countries.insert((*app, country.clone()));
                }
                Step::Upload(cell) => {
                    assert_ne!(self.read(goal, cell), There::NoCountry);
                    let before = self.versions.insert(cell.clone(), Availability::Preview);
                    assert_eq!(before, None, "uploaded twice");
                }
                Step::Offer(cell) => {
                    assert!(all_uploaded, "offered before all was uploaded");
                    let needed = goal.items[cell.item].needs.iter();
                    for needed in needed.flat_map(|item| goal.cells().filter(move |cell| cell.item == *item))
                    {
                        assert!(goal.is_offered(self.read(goal, &needed)), "before what it needs");
                    }
                    self.versions.insert(cell.clone(), goal.availability);
                }
                Step::Schedule(site) => {
                    assert!(all_offered, "scheduled before all was offered");
                    let before = self.environments.insert(*site, Stage::Pending);
                    assert_eq!(before, Some(Stage::Due), "scheduled twice");
                }
                Step::Wait(item) => {
                    let of_item = self
                        .environments
                        .iter_mut()
                        .filter(|(site, _)| site.item == *item);
                    for (_, stage) in of_item.filter(|(_, stage)| **stage == Stage::Pending) {
                        *stage = Stage::Reached;
                    }
                }
                Step::Find(_) => {}
            }
        }

        /// Reads what became of a step, as the driver does.
        fn look(&self, goal: &Goal, state: &mut State, step: &Step) {
            for cell in goal.cells() {
                let there = self.read(goal, &cell);
                state.cells.insert(cell, there);
            }
            let item = match step {
                Step::Find(item) | Step::Wait(item) => *item,
                Step::Schedule(site) => site.item,
                _ => return,
            };
            state.sites.insert(item, self.stages(item));
        }
    }

    /// Runs a release until it is over or killed; whether it came to its goal, and nothing when it was killed.
    fn run(goal: &Goal, service: &mut Service, fates: &mut impl Iterator<Item = Fate>) -> Option<bool> {
        let mut state = service.first_look(goal);
        for _ in 0..1_000 {
            let steps = goal.next(&state);
            if steps.is_empty() {
                return Some(goal.is_reached(&state));
            }
            for step in steps {
                let before = state.clone();
                match fates.next().unwrap_or(Fate::Works) {
                    Fate::Works | Fate::Lost => service.carry_out(goal, &step),
                    Fate::Fails => {}
                    Fate::KilledBefore => return None,
                    Fate::KilledAfter => {
                        service.carry_out(goal, &step);
                        return None;
                    }
                }
                service.look(goal, &mut state, &step);
                if state == before {
                    state.given_up.insert(step);
                }
            }
        }
        panic!("it does not end");
    }

    fn worlds() -> impl Strategy<Value = (Goal, Service)> {
        let needs = prop::collection::vec(any::<bool>(), 6);
        let hotfix = prop_oneof![
            Just(None),
            Just(Some(Hotfix { waits: false })),
            Just(Some(Hotfix { waits: true }))
        ];
        let there = prop::collection::vec(0..4_u8, 12);
        let stages = prop::collection::vec(0..4_u8, 12);
        (1..4_usize, needs, any::<bool>(), hotfix, there, stages).prop_map(
            |(count, needs, is_available, hotfix, there, stages)| {
                let item = |index: usize| Item {
                    app: Service::app(index),
                    version: AppVersion([26, 1, 0, 0]),
                    needs: (0..index).filter(|needed| needs[index + needed]).collect(),
                    countries: COUNTRIES.map(str::to_owned).to_vec(),
                };
                let goal = Goal {
                    items: (0..count).map(item).collect(),
                    availability: match is_available {
                        true => Availability::Available,
                        false => Availability::Preview,
                    },
                    adds_countries: true,
                    allows_deprecated: true,
                    hotfix,
                };
                let mut service = Service::default();
                for (cell, there) in goal.cells().zip(there.iter().cycle()) {
                    let app = goal.items[cell.item].app;
                    if *there > 0 {
                        service.countries.insert((app, cell.country.clone()));
                    }
                    if *there > 1 {
                        let offered =
                            [Availability::Preview, Availability::Deprecated][usize::from(*there) - 2];
                        service.versions.insert(cell, offered);
                    }
                }
                for (at, stage) in stages.iter().enumerate() {
                    let stage =
                        [Stage::Due, Stage::Pending, Stage::Reached, Stage::OtherLine][usize::from(*stage)];
                    let site = Site {
                        item: at % 3,
                        number: at / 3,
                    };
                    if site.item < count {
                        service.environments.insert(site, stage);
                    }
                }
                (goal, service)
            },
        )
    }

    proptest! {
        #[test]
        fn whatever_befalls_it_a_release_that_is_run_again_ends_as_if_nothing_had(
            (goal, service) in worlds(), fates in fates(),
        ) {
            let mut undisturbed = service.clone();
            prop_assert_eq!(run(&goal, &mut undisturbed, &mut std::iter::empty()), Some(true));

            let (mut disturbed, mut fates) = (service, fates.into_iter());
            let mut runs = 0;
            while run(&goal, &mut disturbed, &mut fates) != Some(true) {
                runs += 1;
                prop_assert!(runs < 100, "it never comes to its goal");
            }
            prop_assert_eq!(&disturbed.versions, &undisturbed.versions);
            prop_assert_eq!(&disturbed.environments, &undisturbed.environments);
            prop_assert_eq!(&disturbed.countries, &undisturbed.countries);
        }

        #[test]
        fn what_is_done_is_not_done_again((goal, mut service) in worlds()) {
            prop_assert_eq!(run(&goal, &mut service, &mut std::iter::empty()), Some(true));
            let before = service.clone();
            prop_assert_eq!(run(&goal, &mut service, &mut std::iter::empty()), Some(true));
            for (step, times) in &service.done {
                let is_reading = matches!(step, Step::Find(_));
                prop_assert!(is_reading || before.done.get(step) == Some(times), "{:?}", step);
            }
        }

        #[test]
        fn nothing_is_done_where_anything_speaks_against_it((goal, mut service) in worlds(), at in 0..9_usize) {
            let cells: Vec<Cell> = goal.cells().collect();
            for there in [There::Different, There::NoSuchCountry] {
                let mut state = service.first_look(&goal);
                state.cells.insert(cells[at % cells.len()].clone(), there);
                prop_assert_eq!(goal.next(&state), Vec::new());
            }
            let mut state = service.first_look(&goal);
            state.hindered.insert(Site { item: at % 3, number: at / 3 });
            prop_assert_eq!(goal.next(&state), Vec::new());

            let strict = Goal { adds_countries: false, allows_deprecated: false, ..goal };
            let is_hindered = !strict.obstacles(&service.first_look(&strict)).is_empty();
            let before = service.clone();
            let reached = run(&strict, &mut service, &mut std::iter::empty());
            prop_assert_eq!(reached, Some(!is_hindered));
            prop_assert!(!is_hindered || before == service);
        }
    }
}
