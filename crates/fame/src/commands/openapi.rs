//! `fame openapi`: the service's description of itself, for tools that read such descriptions.

use crate::{exit::Exit, failure::Failure, output::Printer};

/// Prints the OpenAPI document.
///
/// # Errors
/// When standard output cannot be written to.
pub(crate) fn run(printer: Printer) -> Result<Exit, Failure> {
    printer.text(&server::openapi_json())?;
    Ok(Exit::Done)
}
