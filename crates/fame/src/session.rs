//! A command's conversation with the service: the client it asks with, and the printer it shows the answers with.
//! Rows are shown as the JSON that they came as, so that nothing a newer service says is dropped.

use crate::{
    args::{GlobalArgs, QueryArgs},
    failure::Failure,
    output::{Column, Printer},
    settings,
};
use client::{Client, List, Request};

/// What a command that talks to the service has at hand.
pub(crate) struct Session {
    /// Asks the service.
    pub client: Client,
    /// Shows what it says.
    pub printer: Printer,
}

impl Session {
    /// Makes ready to talk to the service that the flags name. Nothing secret is sent yet.
    ///
    /// # Errors
    /// Those of [`settings::resolve`], and [`client::Error::Tls`].
    pub(crate) async fn open(args: &GlobalArgs, printer: Printer) -> Result<Self, Failure> {
        let client = Client::new(settings::resolve(args, printer).await?)?;
        Ok(Self { client, printer })
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
        let (is_count, selected) = (query.count, query.select.clone());
        let list = list.query(query.into()).json();
        if is_count {
            return Ok(self.printer.text(&list.count().await?.to_string())?);
        }
        let rows = list.all().await?;
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

    /// Sends a request and prints the one thing that is answered.
    pub(crate) async fn print_one<T>(&self, request: Request<T>) -> Result<(), Failure> {
        Ok(self.printer.record(&request.json().await?)?)
    }
}
