//! What `fame export` and `fame import` have in common: how they tell of their progress and of what went wrong.

use crate::{failure::Failure, output::Printer};
use domain::chain::Chain;
use indicatif::ProgressBar;
use serde::Serialize;
use server::transfer::{Stage, Step, TransferError, Watcher};
use std::{
    ops::ControlFlow,
    sync::{Arc, Mutex, PoisonError},
};

/// Shows people how far the work has come, with a bar for each stage of it.
pub(super) fn watcher(printer: Printer) -> Watcher {
    let shown: Mutex<Option<(Stage, ProgressBar)>> = Mutex::default();
    Arc::new(move |step: Step| {
        let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.as_ref().is_none_or(|(stage, _)| *stage != step.stage) {
            if let Some((_, done)) = shown.take() {
                done.finish();
            }
            *shown = Some((step.stage, bar(printer, step)));
        }
        if let Some((_, bar)) = shown.as_ref() {
            bar.set_position(step.done);
        }
        ControlFlow::Continue(())
    })
}

fn bar(printer: Printer, step: Step) -> ProgressBar {
    let title = match step.stage {
        Stage::WritingRows => "Writing rows",
        Stage::FetchingPackages => "Fetching packages",
        Stage::CheckingRows => "Checking rows",
        Stage::CheckingPackages => "Checking packages",
        Stage::LoadingRows => "Loading rows",
        Stage::StoringPackages => "Storing packages",
    };
    let is_bytes = matches!(
        step.stage,
        Stage::FetchingPackages | Stage::CheckingPackages | Stage::StoringPackages
    );
    match step.total {
        Some(total) if is_bytes => printer.progress(total, title.to_owned()),
        total => printer.counter(total, title),
    }
}

/// Prints what an export or a database holds.
pub(super) fn print(printer: Printer, result: &impl Serialize) -> Result<(), Failure> {
    let record = serde_json::to_value(result).map_err(|error| Failure::Unexpected(error.to_string()))?;
    Ok(printer.record(&record)?)
}

/// Why the work was not done, as the exit codes know it.
pub(super) fn failure(error: TransferError) -> Failure {
    match error {
        TransferError::Files { what, source } => Failure::Io { what, source },
        TransferError::NotFound(problem) => Failure::NotFound(problem),
        TransferError::Unavailable(_) => Failure::Unavailable(Chain(&error).to_string()),
        TransferError::Refused(_) | TransferError::Damaged { .. } | TransferError::InUse(_) => {
            Failure::Rule(Chain(&error).to_string())
        }
        TransferError::Database(_)
        | TransferError::Rows { .. }
        | TransferError::Stopped
        | TransferError::Fault(_) => Failure::Unexpected(Chain(&error).to_string()),
    }
}
