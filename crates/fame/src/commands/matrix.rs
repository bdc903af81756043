//! `fame matrix`: which versions of an app each of its countries has, what is missing, and whether it is the same everywhere.
//!
//! The same version in two countries may be two packages. Whether it is shows in their digests, which not every service
//! tells. Ours tells all of it at once; of the original each country is asked.

use crate::{
    args::{AppInAnyCountries, AppInCountry},
    exit::Exit,
    failure::Failure,
    output::Column,
    session::Session,
};
use clap::Args;
use domain::version::{AppVersion, VersionStatus};
use futures::{StreamExt, TryStreamExt, stream};
use reqwest::StatusCode;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// `fame matrix`
#[derive(Args, Debug)]
pub(crate) struct MatrixArgs {
    #[command(flatten)]
    scope: AppInAnyCountries,
    /// As many versions as are shown, the newest of all countries together
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    newest: u16,
    /// Fetch packages whose digest the service does not tell, to see whether they are the same
    #[arg(long)]
    fetch: bool,
}

/// Requests at the same time.
const AT_ONCE: usize = 8;
/// What a service answers that has no list of all countries' versions, or none for this caller.
const NOT_FOR_EVERYBODY: [StatusCode; 2] = [StatusCode::NOT_FOUND, StatusCode::FORBIDDEN];
/// What stands where a country does not have a version.
const GAP: &str = "-";

/// A version in a country.
struct Cell {
    availability: String,
    status: String,
    sha256: Option<String>,
}

/// A version in all countries that have it.
struct Line {
    version: AppVersion,
    /// By country, in the order of countries.
    cells: BTreeMap<String, Cell>,
}

impl MatrixArgs {
    /// Runs the command.
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let printer = session.printer;
        let scopes = session.scopes_or_all(&self.scope).await?;
        let countries: BTreeSet<String> = scopes.iter().map(|scope| scope.country.0.clone()).collect();
        let mut lines = lines(session, &scopes).await?;
        let older = lines.len().saturating_sub(self.newest.into());
        lines.truncate(self.newest.into());
        self.look_at_contents(session, &scopes, &mut lines).await?;
        if printer.is_json() {
            let rows: Vec<Value> = lines.iter().map(|line| line.json(&countries)).collect();
            printer.rows(&rows, &[])?;
            return Ok(Exit::Done);
        }
        let headings: Vec<String> = lines.iter().map(|line| line.version.to_string()).collect();
        let columns = headings
            .iter()
            .map(|heading| (heading.as_str(), heading.as_str()));
        let columns: Vec<Column<'_>> = [("COUNTRY", "country")].into_iter().chain(columns).collect();
        let rows: Vec<Value> = countries.iter().map(|country| row(country, &lines)).collect();
        printer.rows(&rows, &columns)?;
        for line in &lines {
            for remark in line.remarks(&countries) {
                printer.note(remark);
            }
        }
        if lines.iter().any(|line| line.differs().is_none()) {
            printer.note(
                "Where no letter stands, the service does not tell digests of all packages: --fetch compares them.",
            );
        }
        if older > 0 {
            printer.note(format!("{older} older versions are not shown (--newest)."));
        }
        Ok(Exit::Done)
    }

    /// Asks for the digests of what is in several countries.
    async fn look_at_contents(
        &self,
        session: &Session,
        scopes: &[AppInCountry],
        lines: &mut [Line],
    ) -> Result<(), Failure> {
        let mut asked = Vec::new();
        for (number, line) in lines
            .iter()
            .enumerate()
            .filter(|(_, line)| line.uploaded().count() > 1)
        {
            let untold = line.uploaded().filter(|(_, cell)| cell.sha256.is_none());
            asked.extend(untold.filter_map(|(country, _)| {
                let scope = scopes.iter().find(|scope| scope.country.0 == *country)?;
                Some((number, line.version, scope))
            }));
        }
        let digests = stream::iter(asked).map(async |(number, version, AppInCountry { app, country })| {
            let package = session.client.get_package_contents(*app, &country.0, version);
            let sha256 = match self.fetch {
                true => Some(package.sha256().await?),
                // A service that knows no such request tells nothing.
                false => package.facts().await.ok().and_then(|facts| facts.sha256),
            };
            Ok::<_, Failure>((number, country.0.clone(), sha256))
        });
        let digests: Vec<_> = digests.buffered(AT_ONCE).try_collect().await?;
        for (number, country, sha256) in digests {
            let line = lines.get_mut(number);
            if let Some(cell) = line.and_then(|line| line.cells.get_mut(&country)) {
                cell.sha256 = sha256;
            }
        }
        Ok(())
    }
}

/// All versions that any of the countries has, the newest first.
async fn lines(session: &Session, scopes: &[AppInCountry]) -> Result<Vec<Line>, Failure> {
    let rows = match told_at_once(session, scopes).await? {
        Some(rows) => rows,
        None => told_by_country(session, scopes).await?,
    };
    let mut lines: BTreeMap<AppVersion, Line> = BTreeMap::new();
    for (country, row) in rows {
        let text = |name: &str| row.get(name).and_then(Value::as_str).map(str::to_owned);
        let Some(version) = text("version").and_then(|version| version.parse().ok()) else {
            continue;
        };
        let cell = Cell {
            availability: text("availability").unwrap_or_default(),
            status: text("status").unwrap_or_default(),
            sha256: text("sha256"),
        };
        let cells = BTreeMap::new();
        let line = lines.entry(version).or_insert(Line { version, cells });
        line.cells.insert(country, cell);
    }
    Ok(lines.into_values().rev().collect())
}

/// A version as it is told, and its country.
type Told = (String, Value);

/// The versions of all countries, where the service has such a list and lets its caller see it.
async fn told_at_once(session: &Session, scopes: &[AppInCountry]) -> Result<Option<Vec<Told>>, Failure> {
    let Some(AppInCountry { app, .. }) = scopes.first().filter(|_| !session.is_original) else {
        return Ok(None);
    };
    let rows: Vec<Value> = match session.client.list_uploaded_versions(*app).json().all().await {
        Ok(rows) => rows,
        Err(error)
            if NOT_FOR_EVERYBODY
                .iter()
                .any(|status| error.refusal(*status).is_some()) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let of_country = |row: Value| {
        let country = row.get("countryCode").and_then(Value::as_str).unwrap_or_default();
        let scope = scopes
            .iter()
            .find(|scope| scope.country.0.eq_ignore_ascii_case(country))?;
        Some((scope.country.0.clone(), row))
    };
    Ok(Some(rows.into_iter().filter_map(of_country).collect()))
}

/// The same by the documented lists, country by country.
async fn told_by_country(session: &Session, scopes: &[AppInCountry]) -> Result<Vec<Told>, Failure> {
    let lists = stream::iter(scopes).map(async |AppInCountry { app, country }| {
        let list = session.client.list_versions(*app, &country.0);
        let rows: Vec<Value> = list.json().all().await?;
        Ok::<_, Failure>(
            rows.into_iter()
                .map(|row| (country.0.clone(), row))
                .collect::<Vec<_>>(),
        )
    });
    let lists: Vec<_> = lists.buffered(AT_ONCE).try_collect().await?;
    Ok(lists.into_iter().flatten().collect())
}

impl Cell {
    fn is_uploaded(&self) -> bool {
        self.status.parse() == Ok(VersionStatus::Uploaded)
    }
}

impl Line {
    /// The countries in which it can be used.
    fn uploaded(&self) -> impl Iterator<Item = (&String, &Cell)> {
        self.cells.iter().filter(|(_, cell)| cell.is_uploaded())
    }

    /// Its different contents, in the order of the countries that have them.
    fn contents(&self) -> Vec<&str> {
        let mut contents = Vec::new();
        for sha256 in self.uploaded().filter_map(|(_, cell)| cell.sha256.as_deref()) {
            if !contents.contains(&sha256) {
                contents.push(sha256);
            }
        }
        contents
    }

    /// Whether countries have different content under its number; nothing where that is not known.
    fn differs(&self) -> Option<bool> {
        let is_known = self.uploaded().all(|(_, cell)| cell.sha256.is_some());
        match self.contents().len() {
            2.. => Some(true),
            _ if is_known || self.uploaded().count() < 2 => Some(false),
            _ => None,
        }
    }

    fn missing<'c>(&self, countries: &'c BTreeSet<String>) -> Vec<&'c str> {
        let has = |country: &&String| self.cells.get(*country).is_some_and(Cell::is_uploaded);
        countries
            .iter()
            .filter(|country| !has(country))
            .map(String::as_str)
            .collect()
    }

    /// A letter for the content that a country has, where there are several.
    fn letter(&self, cell: &Cell) -> Option<String> {
        let contents = self.contents();
        let number = contents
            .iter()
            .position(|known| cell.sha256.as_deref() == Some(known))?;
        let letter = u8::try_from(number)
            .ok()
            .and_then(|number| b'A'.checked_add(number));
        let letter = letter.filter(u8::is_ascii_uppercase).map_or('?', char::from);
        (contents.len() > 1).then(|| letter.to_string())
    }

    /// What is to be said of it besides.
    fn remarks(&self, countries: &BTreeSet<String>) -> Vec<String> {
        let mut remarks = Vec::new();
        let missing = self.missing(countries);
        if !missing.is_empty() {
            remarks.push(format!("{} is missing in {}.", self.version, missing.join(", ")));
        }
        let contents = self.contents();
        if contents.len() > 1 {
            let having = |content: &&str| {
                let cells = self
                    .uploaded()
                    .filter(|(_, cell)| cell.sha256.as_deref() == Some(content));
                let countries: Vec<&str> = cells.map(|(country, _)| country.as_str()).collect();
                format!("{} has {content}", countries.join(", "))
            };
            let having: Vec<String> = contents.iter().map(having).collect();
            remarks.push(format!(
                "{} has different content: {}.",
                self.version,
                having.join("; ")
            ));
        }
        remarks
    }

    fn json(&self, countries: &BTreeSet<String>) -> Value {
        let cells = self.cells.iter().map(|(country, cell)| {
            let facts =
                json!({ "availability": cell.availability, "status": cell.status, "sha256": cell.sha256 });
            (country.clone(), facts)
        });
        json!({
            "version": self.version.to_string(),
            "differs": self.differs(),
            "missing": self.missing(countries),
            "countries": cells.collect::<Map<_, _>>(),
        })
    }
}

/// The row of a country: a cell for each version.
fn row(country: &str, lines: &[Line]) -> Value {
    let cells = lines.iter().map(|line| {
        let text = match line.cells.get(country) {
            None => GAP.to_owned(),
            Some(cell) if !cell.is_uploaded() => cell.status.clone(),
            Some(cell) => {
                let letter = line.letter(cell).map(|letter| format!(" {letter}"));
                format!("{}{}", cell.availability, letter.unwrap_or_default())
            }
        };
        (line.version.to_string(), Value::from(text))
    });
    let country = ("country".to_owned(), Value::from(country));
    Value::Object([country].into_iter().chain(cells).collect())
}
