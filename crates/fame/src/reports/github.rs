//! What GitHub Actions is told: workflow commands on standard error, and the step's summary in its file.

use super::{Report, summary};
use crate::output::Printer;
use std::{
    env,
    fs::{File, OpenOptions},
    io::{self, Write},
    path::PathBuf,
};

/// An annotation of the run.
pub(super) fn error(title: &str, text: &str) -> String {
    format!("::error title={}::{}", property(title), data(text))
}

/// Lists what became of each case in a group that can be unfolded.
pub(super) fn list_cases(report: &Report, title: &str, printer: Printer) {
    let commands = [format!("::group::{}", data(title)), "::endgroup::".to_owned()];
    summary::list_cases(report, &commands, printer);
}

/// Appends to the summary of the step, within what all of it may hold.
pub(super) fn append_summary(summary: impl FnOnce(usize) -> String, printer: Printer) {
    let Some(path) = env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) else {
        return;
    };
    let path = PathBuf::from(path);
    let appended = || -> io::Result<()> {
        let mut file: File = OpenOptions::new().append(true).create(true).open(&path)?;
        let taken = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
        // Above its limit the whole summary vanishes, that of earlier commands too.
        file.write_all(summary(summary::LIMIT.saturating_sub(taken)).as_bytes())
    };
    if let Err(error) = appended() {
        printer.warning(format!(
            "Cannot write the step's summary {}: {error}",
            path.display()
        ));
    }
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_annotation_is_one_line_that_ends_where_it_should() {
        assert_eq!(
            error("a,b:c::d", "50 %\r\n::add-path::/tmp"),
            "::error title=a%2Cb%3Ac%3A%3Ad::50 %25%0D%0A::add-path::/tmp"
        );
    }
}
