//! `fame versions upload`
//!
//! All packages are read and judged before the first byte is sent, each by itself and beside the others, so that a release
//! is not half published because its last file is damaged. They go in the order in which they need one another. After that,
//! one upload that fails does not hold up the others.

use super::{
    COLUMNS,
    foretold::Foretold,
    packages::{Judged, in_order, judge_all, lacking, once_each},
    target::{FIRST_LOOK, Published, Sending, Target, is_uploading},
};
use crate::{
    args::{Countries, Country, availability},
    exit::Exit,
    failure::Failure,
    session::Session,
};
use clap::Args;
use domain::version::Availability;
use serde_json::Value;
use std::path::PathBuf;

/// `fame versions upload`
#[derive(Args, Debug)]
pub(crate) struct UploadArgs {
    /// The packages (.app); each says itself which app and version it is
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    countries: Countries,
    /// To whom it is offered at first: Preview, Available or Deprecated; left out, the service decides (Preview)
    #[arg(long, ignore_case = true, hide_possible_values = true, value_parser = availability())]
    availability: Option<Availability>,
    /// Succeed when the same bytes are there already; exit code 15 when the number holds different bytes
    #[arg(long)]
    skip_existing: bool,
}

impl UploadArgs {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let printer = session.printer;
        let packages = in_order(once_each(judge_all(&self.files, printer).await?, printer)?);
        let countries = self.countries.each();
        let mut rows = Vec::new();
        let mut outcomes = Vec::new();
        for package in &packages {
            let (mut published, mut lacks, mut forecasts) = (Vec::new(), Vec::new(), Vec::new());
            for &country in &countries {
                match self.publish(session, package, country).await {
                    Ok((row, foretold)) => {
                        rows.push(row);
                        match foretold {
                            Some(Foretold { forecast, missing }) => {
                                lacks.extend(missing);
                                forecasts.extend(forecast.filter(|told| !forecasts.contains(told)));
                            }
                            None => published.push(country.0.as_str()),
                        }
                    }
                    Err(failure) => {
                        let about = format!("{} for {}", package.file.display(), country.0);
                        failure.tell(printer, Some(&about));
                        outcomes.push(failure.exit());
                    }
                }
            }
            lacks.extend(lacking(session, package, &published, |_| Vec::new()).await);
            for told in forecasts.into_iter().chain(lacks) {
                printer.warning(format!("{}: {told}", package.file.display()));
            }
        }
        if !rows.is_empty() || printer.is_json() {
            printer.rows(&rows, COLUMNS)?;
        }
        Ok(Exit::first_of(outcomes))
    }

    /// Uploads a package for one country, unless it is there. Returns the version as the service shows it, and what it
    /// foretells of it.
    async fn publish(
        &self,
        session: &Session,
        package: &Judged,
        country: &Country,
    ) -> Result<(Value, Option<Foretold>), Failure> {
        let target = Target {
            session,
            package,
            country: &country.0,
        };
        let title = format!("{} {} → {}", package.app, package.version, country.0);
        let bar = session.printer.progress(package.contents.size, title);
        let shown = bar.clone();
        let sending = Sending {
            availability: self.availability,
            skip_existing: self.skip_existing,
            on_progress: Box::new(move |bytes| shown.set_position(bytes)),
        };
        let published = target.publish(sending).await;
        bar.finish_and_clear();
        let Published { row, is_foretold } = published?;
        let row = match is_uploading(&row) {
            true => target.until_stored(FIRST_LOOK).await?,
            false => row,
        };
        let foretold = match is_foretold {
            true => target.foretold().await,
            false => None,
        };
        Ok((row, foretold))
    }
}
