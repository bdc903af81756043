//! Everything that a release was to bring about, and what became of each.

use super::{
    drive::{Became, Release},
    plan::{Cell, Site, Stage, Step, There},
    sites::Candidate,
};
use crate::{commands::hotfixes::seen::status_of, exit::Exit, failure::Failure};
use domain::version::Availability;
use std::time::Duration;

/// One thing that was to be the case.
pub(super) struct Entry<'r> {
    pub item: usize,
    pub kind: Kind,
    pub country: &'r str,
    pub candidate: Option<&'r Candidate>,
    pub result: Ending<'r>,
    pub took: Option<Duration>,
}

/// What kind of thing it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    AddCountry,
    Upload,
    Offer,
    Hotfix,
}

/// What became of it.
pub(super) enum Ending<'r> {
    /// It was done, and read back.
    Done,
    /// It was so before.
    Already,
    /// It would be done.
    Planned,
    /// It was not tried, because something before it failed.
    NotTried,
    /// It was not to be done.
    LeftOut(String),
    Failed(&'r Failure),
    /// A hotfix ended otherwise than it was to.
    Otherwise(Exit, String),
}

/// Everything that was to be the case, in the order in which it is told.
pub(super) fn entries<'r>(release: &'r Release<'_>, is_plan: bool) -> Vec<Entry<'r>> {
    let mut entries = Vec::new();
    let otherwise = || match is_plan && !release.is_hindered() {
        true => Ending::Planned,
        false => Ending::NotTried,
    };
    let tried = |step: &Step| match release.became.get(step)? {
        Became::Done => Some(Ending::Done),
        Became::Failed(failure) => Some(Ending::Failed(failure)),
    };
    for (item, wanted) in release.goal.items.iter().enumerate() {
        for country in &wanted.countries {
            let cell = Cell {
                item,
                country: country.clone(),
            };
            let (there, before) = (release.state.there(&cell), release.before.get(&cell).copied());
            let mut add = |kind: Kind, step: Option<Step>, is_so: bool| {
                let known = step.as_ref().and_then(tried);
                let result = known.unwrap_or_else(|| match is_so {
                    true => Ending::Already,
                    false => otherwise(),
                });
                entries.push(Entry {
                    item,
                    kind,
                    country,
                    candidate: None,
                    result,
                    took: step.and_then(|step| release.took.get(&step).copied()),
                });
            };
            if before == Some(There::NoCountry) && release.goal.adds_countries {
                add(Kind::AddCountry, release.goal.addition(&cell), false);
            }
            let is_there = matches!(there, There::Same(_));
            add(Kind::Upload, Some(Step::Upload(cell.clone())), is_there);
            let is_withdrawn = before == Some(There::Same(Availability::Deprecated));
            if release.goal.availability == Availability::Available || is_withdrawn {
                let is_offered = release.goal.is_offered(there);
                add(Kind::Offer, Some(Step::Offer(cell)), is_offered);
            }
        }
        if let Some(Became::Failed(failure)) = release.became.get(&Step::Find(item)) {
            entries.push(Entry {
                item,
                kind: Kind::Hotfix,
                country: "",
                candidate: None,
                result: Ending::Failed(failure),
                took: None,
            });
        }
        let candidates = release.candidates.get(&item).into_iter().flatten();
        for (number, candidate) in candidates.enumerate() {
            let site = Site { item, number };
            entries.push(Entry {
                item,
                kind: Kind::Hotfix,
                country: &candidate.place.scope.country.0,
                candidate: Some(candidate),
                result: of_hotfix(release, site, candidate).unwrap_or_else(otherwise),
                took: release.took.get(&Step::Schedule(site)).copied(),
            });
        }
    }
    entries
}

/// What became of a hotfix; nothing where it was not tried.
fn of_hotfix<'r>(release: &'r Release<'_>, site: Site, candidate: &Candidate) -> Option<Ending<'r>> {
    let step = Step::Schedule(site);
    if let Some(Became::Failed(failure)) = release.became.get(&step) {
        return Some(Ending::Failed(failure));
    }
    if let Some(verdict) = release.verdicts.get(&site) {
        return Some(match verdict.exit {
            Exit::Done => Ending::Done,
            exit => Ending::Otherwise(exit, said(&verdict.why, exit)),
        });
    }
    let is_ours = release.became.contains_key(&step);
    match candidate.stage {
        Stage::OtherLine => {
            let installed = candidate.place.environment.installed();
            let installed = installed.map(|version| version.to_string()).unwrap_or_default();
            Some(Ending::LeftOut(format!("it is on another line: {installed}")))
        }
        Stage::Missed => {
            let row = candidate.hotfix.as_ref();
            let exit = row
                .and_then(status_of)
                .map_or(Exit::HotfixFailed, Exit::of_hotfix);
            let status = row.and_then(|row| row["status"].as_str()).unwrap_or_default();
            let message = row.and_then(|row| row["errorMessage"].as_str());
            let why: Vec<String> = message
                .map(|message| format!("{status}: {message}"))
                .into_iter()
                .collect();
            Some(Ending::Otherwise(exit, said(&why, exit)))
        }
        // Of one that is waited for and was not looked at to its end, nothing is known.
        Stage::Pending if release.goal.hotfix.is_some_and(|hotfix| hotfix.waits) => None,
        Stage::Pending | Stage::Reached if is_ours => Some(Ending::Done),
        Stage::Pending | Stage::Reached => Some(Ending::Already),
        Stage::Due => None,
    }
}

fn said(why: &[String], exit: Exit) -> String {
    match why.is_empty() {
        true => exit.meaning().to_owned(),
        false => why.join("\n"),
    }
}

impl Kind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::AddCountry => "addCountry",
            Self::Upload => "upload",
            Self::Offer => "offer",
            Self::Hotfix => "hotfix",
        }
    }
}

impl Ending<'_> {
    pub(super) fn as_str(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Already => "already",
            Self::Planned => "planned",
            Self::NotTried => "notTried",
            Self::LeftOut(_) => "leftOut",
            Self::Failed(_) | Self::Otherwise(..) => "failed",
        }
    }

    pub(super) fn exit(&self) -> Option<Exit> {
        match self {
            Self::Failed(failure) => Some(failure.exit()),
            Self::Otherwise(exit, _) => Some(*exit),
            _ => None,
        }
    }

    /// What there is to say of it, all of it.
    pub(super) fn message(&self) -> Option<String> {
        match self {
            Self::Failed(failure) => Some(failure.to_string()),
            Self::Otherwise(_, text) | Self::LeftOut(text) => Some(text.clone()),
            _ => None,
        }
    }
}
