//! Which package goes to which countries.
//!
//! One version may have other bytes in each country, where each is built by itself; in one country it has one content.

use super::plan::Item;
use crate::{
    args::Country,
    commands::versions::packages::{BUILT_AGAIN, Judged, in_order, judge_all},
    failure::Failure,
    output::Printer,
};
use std::path::PathBuf;

/// Files that go to the same countries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    files: Vec<PathBuf>,
    countries: Vec<Country>,
}

/// A package, and where it goes.
pub(super) struct Placed {
    /// The package.
    pub package: Judged,
    /// The countries, each once.
    pub countries: Vec<String>,
}

impl Group {
    /// # Errors
    /// [`Failure::Usage`] where there is no country.
    pub(super) fn new(files: Vec<PathBuf>, countries: Vec<Country>) -> Result<Self, Failure> {
        match countries.is_empty() {
            true => Err(Failure::Usage(
                "No countries: name them with --countries, or in the file of the release.".to_owned(),
            )),
            false => Ok(Self { files, countries }),
        }
    }
}

/// Reads the packages of all groups, complains of every bad one, and brings them into the order in which they need one
/// another.
///
/// # Errors
/// [`Failure::Package`] for a package that is refused, [`Failure::DifferentContent`] where two are the same version in the
/// same country and not the same.
pub(super) async fn judge(groups: Vec<Group>, printer: Printer) -> Result<Vec<Placed>, Failure> {
    let mut wanted: Vec<(PathBuf, Vec<String>)> = Vec::new();
    for Group { files, countries } in groups {
        for file in files {
            let codes = countries.iter().map(|country| country.0.clone());
            match wanted.iter_mut().find(|(known, _)| *known == file) {
                Some((_, known)) => known.extend(codes),
                None => wanted.push((file, codes.collect())),
            }
        }
    }
    let files: Vec<PathBuf> = wanted.iter().map(|(file, _)| file.clone()).collect();
    let mut placed: Vec<Placed> = Vec::new();
    for (package, (_, countries)) in judge_all(&files, printer).await?.into_iter().zip(wanted) {
        place(&mut placed, Placed { package, countries }, printer)?;
    }
    for placed in &mut placed {
        placed.countries.sort_unstable();
        placed.countries.dedup();
    }
    Ok(ordered(placed))
}

/// Adds a package to those that there are, unless it is there already.
fn place(placed: &mut Vec<Placed>, next: Placed, printer: Printer) -> Result<(), Failure> {
    let of_version = |known: &&mut Placed| {
        (known.package.app, known.package.version) == (next.package.app, next.package.version)
    };
    for known in placed.iter_mut().filter(|known| of_version(known)) {
        let (first, second) = (known.package.file.display(), next.package.file.display());
        if known.package.sha256 == next.package.sha256 {
            printer.note(format!(
                "{first} and {second} are the same package, which is sent once."
            ));
            known.countries.extend(next.countries);
            return Ok(());
        }
        let shared = known.countries.iter().find(|code| next.countries.contains(code));
        let Some(country) = shared else {
            continue;
        };
        let (app, version) = (next.package.app, next.package.version);
        let built_again = match known.package.contents.is_same_content(&next.package.contents) {
            true => BUILT_AGAIN,
            false => "",
        };
        return Err(Failure::DifferentContent(format!(
            "{first} and {second} are both version {version} of the app {app} for {country}, with different content; \
             nothing was sent.{built_again}"
        )));
    }
    placed.push(next);
    Ok(())
}

fn ordered(placed: Vec<Placed>) -> Vec<Placed> {
    let (packages, mut places): (Vec<_>, Vec<_>) = placed
        .into_iter()
        .map(|placed| {
            let file = placed.package.file.clone();
            (placed.package, (file, placed.countries))
        })
        .unzip();
    let find = |package: Judged| {
        let at = places.iter().position(|(file, _)| *file == package.file)?;
        let (_, countries) = places.swap_remove(at);
        Some(Placed { package, countries })
    };
    in_order(packages).into_iter().filter_map(find).collect()
}

/// The same as items of a release. In a circle nobody comes after all that they need.
pub(super) fn items(placed: &[Placed]) -> Vec<Item> {
    let item = |(number, Placed { package, countries }): (usize, &Placed)| {
        let before = placed.iter().take(number).enumerate();
        let needed = before.filter(|(_, other)| package.needs(&other.package));
        Item {
            app: package.app,
            version: package.version,
            needs: needed.map(|(number, _)| number).collect(),
            countries: countries.clone(),
        }
    };
    placed.iter().enumerate().map(item).collect()
}
