//! A command's conversation with the service: the client it asks with, and the printer it shows the answers with.
//! Rows are shown as the JSON that they came as, so that nothing a newer service says is dropped.

use crate::{
    args::{
        AppArg, AppInAnyCountries, AppInCountries, AppInCountry, AppRef, Country, GlobalArgs, QueryArgs, each,
    },
    exit::Exit,
    failure::Failure,
    output::{Column, Printer},
    settings,
    sign_in::Source,
};
use client::{Client, List, Query, Request, literal};
use domain::ids::AppId;
use reqwest::StatusCode;
use serde_json::Value;
use std::{
    mem,
    sync::{Mutex, PoisonError},
};

/// Everybody as whom this process was let in, to be given back at its end.
static OPENED: Mutex<Vec<Client>> = Mutex::new(Vec::new());

/// Gives back what was issued for this process alone, however its command ended.
pub(crate) async fn leave() {
    let opened = mem::take(&mut *OPENED.lock().unwrap_or_else(PoisonError::into_inner));
    for client in opened {
        client.sign_out().await;
    }
}

/// What a command that talks to the service has at hand.
pub(crate) struct Session {
    /// Asks the service.
    pub client: Client,
    /// Shows what it says.
    pub printer: Printer,
    /// What it is signed in with.
    pub source: Source,
    /// Whether that is the original service, which has what is documented and nothing else.
    pub is_original: bool,
}

/// How people are shown one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// All of it, a property a line.
    Whole,
    /// The columns that lists have.
    Brief,
}

impl Session {
    /// Makes ready to talk to the service that the flags name. Nothing secret is sent yet.
    ///
    /// # Errors
    /// Those of [`settings::resolve`], and [`client::Error::Tls`].
    pub(crate) async fn open(args: &GlobalArgs, printer: Printer) -> Result<Self, Failure> {
        let (settings, source) = settings::resolve(args, printer).await?;
        let is_original = settings::is_original(&settings.url);
        let client = Client::new(settings)?;
        OPENED
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(client.clone());
        Ok(Self {
            client,
            printer,
            source,
            is_original,
        })
    }

    /// The app that is meant.
    ///
    /// # Errors
    /// [`Failure::NotFound`] when no app of the caller's is called so, [`Failure::Rule`] when several are, and
    /// [`Failure::Service`].
    pub(crate) async fn app(&self, app: &AppArg) -> Result<AppId, Failure> {
        let name = match &app.app {
            AppRef::Id(id) => return Ok(*id),
            AppRef::Name(name) => name,
        };
        let called_so = Query::default().filter(format!("name eq {}", literal(name)));
        let found = match self.client.list_apps().query(called_so).json().all().await {
            Err(error) if error.refusal(StatusCode::BAD_REQUEST).is_some() => {
                return Err(Failure::NotFound(format!(
                    "'{name}' is no app's id, and this service does not find apps by their names: name the app by its id."
                )));
            }
            found => found?,
        };
        let ids: Vec<&str> = found.iter().filter_map(|app| app["id"].as_str()).collect();
        match ids.as_slice() {
            [] => Err(Failure::NotFound(format!(
                "'{name}' is no app's id, and no app on which you have a role is called so.{}",
                self.meant(name).await
            ))),
            [id] => id
                .parse()
                .map_err(|error| Failure::Unexpected(format!("The app '{name}' has no id: {error}."))),
            several => Err(Failure::Rule(format!(
                "Several apps are called '{name}'; name one by its id:\n  {}",
                several.join("\n  ")
            ))),
        }
    }

    /// What a name that no app has was most likely meant to be.
    async fn meant(&self, name: &str) -> String {
        // Without it the answer is as true.
        let apps: Vec<Value> = self.client.list_apps().json().all().await.unwrap_or_default();
        let names = apps.iter().filter_map(|app| app["name"].as_str());
        nearest(name, names).map_or_else(String::new, |meant| format!(" Did you mean '{meant}'?"))
    }

    /// What people call the app: its name, or what was typed where the service will not say it.
    pub(crate) async fn app_name(&self, app: &AppArg) -> String {
        let id = match &app.app {
            AppRef::Id(id) => *id,
            AppRef::Name(name) => return name.clone(),
        };
        let found = self.client.get_app(id).json().await.unwrap_or_default();
        let name = found.get("name").and_then(Value::as_str);
        name.map_or_else(|| id.to_string(), str::to_owned)
    }

    /// The app that is meant, in each of the countries.
    ///
    /// # Errors
    /// Those of [`Session::app`].
    pub(crate) async fn scopes(&self, meant: &AppInCountries) -> Result<Vec<AppInCountry>, Failure> {
        let app = self.app(&meant.app).await?;
        Ok(in_each(app, &meant.countries.each()))
    }

    /// The app that is meant, in each of the countries, or in all that it has.
    ///
    /// # Errors
    /// Those of [`Session::app`], and [`Failure::NotFound`] for an app without countries.
    pub(crate) async fn scopes_or_all(
        &self,
        meant: &AppInAnyCountries,
    ) -> Result<Vec<AppInCountry>, Failure> {
        let app = self.app(&meant.app).await?;
        if !meant.countries.is_empty() {
            return Ok(in_each(app, &each(&meant.countries)));
        }
        let rows: Vec<Value> = self.client.list_countries(app).json().all().await?;
        let codes = rows.iter().filter_map(|row| row["countryCode"].as_str());
        let countries: Vec<Country> = codes.map(|code| Country(code.to_owned())).collect();
        match countries.is_empty() {
            true => Err(Failure::NotFound("The app has no country yet.".to_owned())),
            false => Ok(in_each(app, &each(&countries))),
        }
    }

    /// The one row of a list whose `property` is `key`, for services at which a row has no address of its own; `missing` is
    /// what its address answered.
    ///
    /// # Errors
    /// `missing` where there is none or several, and those of the list.
    pub(crate) async fn row<T>(
        &self,
        list: List<T>,
        property: &str,
        key: &str,
        missing: client::Error,
    ) -> client::Result<Value> {
        let mut rows: Vec<Value> = list.json().all().await?;
        rows.retain(|row| {
            let value = row.get(property).and_then(Value::as_str);
            value.is_some_and(|value| value.eq_ignore_ascii_case(key))
        });
        match rows.pop() {
            Some(row) if rows.is_empty() => Ok(row),
            _ => Err(missing),
        }
    }

    /// Prints the rows of a list, or how many there are.
    ///
    /// # Errors
    /// [`Failure::Service`], and when the output cannot be written; so for all that follow.
    pub(crate) async fn print_list<T>(
        &self,
        list: List<T>,
        query: QueryArgs,
        columns: &[Column<'_>],
    ) -> Result<(), Failure> {
        self.print_lists(vec![list], query, columns).await
    }

    /// Prints the rows of several lists as one, list after list.
    pub(crate) async fn print_lists<T>(
        &self,
        lists: Vec<List<T>>,
        query: QueryArgs,
        columns: &[Column<'_>],
    ) -> Result<(), Failure> {
        let selected = query.select.clone();
        if query.count {
            let mut sum = 0;
            for list in lists {
                sum += list.query(query.clone().into()).count().await?;
            }
            return Ok(self.printer.text(&sum.to_string())?);
        }
        let rows = self.rows(lists, &query).await?;
        let Some(selected) = selected else {
            return Ok(self.printer.rows(&rows, columns)?);
        };
        let selected: Vec<_> = selected
            .split(',')
            .map(str::trim)
            .map(|name| (name, name))
            .collect();
        Ok(self.printer.rows(&rows, &selected)?)
    }

    /// The rows of several lists, list after list. `--skip` and `--top` count through all of them.
    pub(crate) async fn rows<T>(
        &self,
        lists: Vec<List<T>>,
        query: &QueryArgs,
    ) -> Result<Vec<Value>, Failure> {
        let (skip, top) = match lists.len() {
            // The service does it.
            1 => (None, None),
            _ => (query.skip, query.top),
        };
        let of_each = match skip.or(top) {
            None => query.clone(),
            Some(_) => QueryArgs {
                skip: None,
                top: top.map(|top| top.saturating_add(skip.unwrap_or(0))),
                ..query.clone()
            },
        };
        let mut rows = Vec::new();
        for list in lists {
            rows.extend(list.query(of_each.clone().into()).json().all().await?);
        }
        let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let rows = rows.into_iter().skip(count(skip.unwrap_or(0)));
        Ok(rows.take(count(top.unwrap_or(u64::MAX))).collect())
    }

    /// Sends the same request for each country and prints what is answered; of several countries as a table, whatever
    /// becomes of the others. `one` says how people are shown a single one.
    pub(crate) async fn print_each<T>(
        &self,
        requests: Vec<(Country, Request<T>)>,
        columns: &[Column<'_>],
        one: Shown,
    ) -> Result<Exit, Failure> {
        let is_one = requests.len() == 1;
        let (mut rows, mut outcomes) = (Vec::new(), Vec::new());
        for (country, request) in requests {
            match request.json().await.map_err(Failure::from) {
                Ok(row) if is_one && (one == Shown::Whole || self.printer.is_json()) => {
                    self.printer.record(&row)?;
                }
                Ok(row) => rows.push(row),
                Err(failure) if is_one => return Err(failure),
                Err(failure) => {
                    failure.tell(self.printer, Some(&country.0));
                    outcomes.push(failure.exit());
                }
            }
        }
        if !rows.is_empty() || (!is_one && self.printer.is_json()) {
            self.printer.rows(&rows, columns)?;
        }
        Ok(Exit::first_of(outcomes))
    }

    /// What is found in the first of `scopes` that has it.
    ///
    /// # Errors
    /// What the last of them answered.
    pub(crate) async fn find(
        &self,
        scopes: &[AppInCountry],
        look: impl AsyncFn(&AppInCountry) -> client::Result<Value>,
    ) -> Result<Value, Failure> {
        let mut missing = None;
        for scope in scopes {
            match look(scope).await {
                Ok(found) => return Ok(found),
                Err(error) if error.refusal(StatusCode::NOT_FOUND).is_some() => missing = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
        let nowhere = || Failure::NotFound("No country was named to look in.".to_owned());
        Err(missing.map_or_else(nowhere, Failure::from))
    }

    /// Sends a request and prints the one thing that is answered.
    pub(crate) async fn print_one<T>(&self, request: Request<T>) -> Result<(), Failure> {
        Ok(self.printer.record(&request.json().await?)?)
    }
}

fn in_each(app: AppId, countries: &[&Country]) -> Vec<AppInCountry> {
    let scope = |country: &&Country| AppInCountry {
        app,
        country: (*country).clone(),
    };
    countries.iter().map(scope).collect()
}

/// The name that is a few letters away, if there is one.
fn nearest<'n>(typed: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let typed = typed.to_lowercase();
    let distance = |name: &str| strsim::damerau_levenshtein(&typed, &name.to_lowercase());
    let near = typed.chars().count() / 3;
    let nearest = names.map(|name| (distance(name), name)).min()?;
    (nearest.0 <= near.max(1)).then_some(nearest.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_near_is_the_one_that_was_meant() {
        let names = ["Contoso Sales Pack", "Contoso Freight"];
        let meant = |typed: &str| nearest(typed, names.into_iter());
        assert_eq!(meant("contoso salespack"), Some("Contoso Sales Pack"));
        assert_eq!(meant("Contoso Frieght"), Some("Contoso Freight"));
        assert_eq!(meant("Fabrikam"), None);
    }
}
