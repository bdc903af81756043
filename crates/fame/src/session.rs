//! A command's conversation with the service: the client it asks with, and the printer it shows the answers with.
//! Rows are shown as the JSON that they came as, so that nothing a newer service says is dropped.

use crate::{
    args::{AppArg, AppInCountries, AppInCountry, AppRef, Country, GlobalArgs, QueryArgs},
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
    collections::HashSet,
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
}

impl Session {
    /// Makes ready to talk to the service that the flags name. Nothing secret is sent yet.
    ///
    /// # Errors
    /// Those of [`settings::resolve`], and [`client::Error::Tls`].
    pub(crate) async fn open(args: &GlobalArgs, printer: Printer) -> Result<Self, Failure> {
        let (settings, source) = settings::resolve(args, printer).await?;
        let client = Client::new(settings)?;
        OPENED
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(client.clone());
        Ok(Self {
            client,
            printer,
            source,
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
        let found: Vec<Value> = self.client.list_apps().query(called_so).json().all().await?;
        let ids: Vec<&str> = found.iter().filter_map(|app| app["id"].as_str()).collect();
        match ids.as_slice() {
            [] => Err(Failure::NotFound(format!(
                "'{name}' is no app's id, and no app on which you have a role is called so."
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

    /// The app that is meant, in each of the countries.
    ///
    /// # Errors
    /// Those of [`Session::app`].
    pub(crate) async fn scopes(&self, meant: &AppInCountries) -> Result<Vec<AppInCountry>, Failure> {
        let app = self.app(&meant.app).await?;
        let mut countries = meant.countries.clone();
        let mut seen = HashSet::new();
        countries.retain(|country| seen.insert(country.0.clone()));
        let scopes = countries.into_iter().map(|country| AppInCountry { app, country });
        Ok(scopes.collect())
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
    /// becomes of the others.
    pub(crate) async fn print_each<T>(
        &self,
        requests: Vec<(Country, Request<T>)>,
        columns: &[Column<'_>],
    ) -> Result<Exit, Failure> {
        let is_one = requests.len() == 1;
        let (mut rows, mut outcomes) = (Vec::new(), Vec::new());
        for (country, request) in requests {
            match request.json().await.map_err(Failure::from) {
                Ok(row) if is_one => self.printer.record(&row)?,
                Ok(row) => rows.push(row),
                Err(failure) if is_one => return Err(failure),
                Err(failure) => {
                    failure.tell(self.printer, Some(&country.0));
                    outcomes.push(failure.exit());
                }
            }
        }
        if !is_one && (!rows.is_empty() || self.printer.is_json()) {
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
