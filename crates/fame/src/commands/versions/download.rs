//! `fame versions download`

use super::partial::Partial;
use crate::{args::AppInCountry, exit::Exit, failure::Failure, session::Session};
use clap::Args;
use client::{PackageFacts, StoredPackage};
use domain::version::AppVersion;
use navx::download_file_name;
use reqwest::StatusCode;
use std::path::{Path, PathBuf};

/// `fame versions download`
#[derive(Args, Debug)]
pub(crate) struct DownloadArgs {
    #[command(flatten)]
    scope: AppInCountry,
    /// The version, such as 16.0.1.2
    version: AppVersion,
    /// Where to put it: a file, a folder, or - for standard output; left out, a file here named by the service
    #[arg(long, short, value_name = "PATH")]
    output: Option<PathBuf>,
    /// Replace the file if it is there with other content
    #[arg(long)]
    force: bool,
}

/// How often a download is taken up again after it broke off.
const CONTINUATIONS: u32 = 4;

impl DownloadArgs {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let AppInCountry { app, country } = &self.scope;
        let package = session
            .client
            .get_package_contents(*app, &country.0, self.version);
        if self.output.as_deref() == Some(Path::new("-")) {
            return to_standard_output(session, &package).await;
        }
        let printer = session.printer;
        let mut partial = Partial::open(self.partial_path())?;
        if partial.length() > 0 {
            let length = partial.length();
            printer.note(format!("Going on after the {length} bytes of an earlier try."));
        }
        let facts = match fetch(session, &package, &mut partial).await? {
            Some(facts) => facts,
            None => {
                printer.note("What the earlier try left does not fit the package: starting anew.");
                partial.discard();
                partial = Partial::open(self.partial_path())?;
                let facts = fetch(session, &package, &mut partial).await?;
                facts.ok_or_else(|| Failure::Unavailable("The package arrived damaged, twice.".to_owned()))?
            }
        };
        self.put_in_place(session, partial, &facts)
    }

    fn put_in_place(
        &self,
        session: &Session,
        partial: Partial,
        facts: &PackageFacts,
    ) -> Result<Exit, Failure> {
        let printer = session.printer;
        let target = self.target(facts);
        if !self.force && differs(&target, &partial.sha256())? {
            partial.discard();
            let message = format!(
                "{} is there with other content; --force replaces it.",
                target.display()
            );
            return Err(Failure::Rule(message));
        }
        let (sha256, length) = (partial.sha256(), partial.length());
        partial.finish(&target)?;
        if facts.sha256.is_none() {
            printer.note("The service named no digest, so the content could not be checked.");
        }
        let file = target.display().to_string();
        printer.record(&serde_json::json!({ "file": file, "size": length, "sha256": sha256 }))?;
        Ok(Exit::Done)
    }

    /// The folder to put it in, and the name if one was given.
    fn destination(&self) -> (PathBuf, Option<PathBuf>) {
        match &self.output {
            None => (PathBuf::new(), None),
            Some(folder) if folder.is_dir() => (folder.clone(), None),
            Some(file) => (PathBuf::new(), Some(file.clone())),
        }
    }

    fn plain_name(&self) -> String {
        let (app, country, version) = (self.scope.app, &self.scope.country.0, self.version);
        format!("{app}_{country}_{version}.app")
    }

    /// Known before the service has named the file, so that a second try finds it.
    fn partial_path(&self) -> PathBuf {
        let (folder, file) = self.destination();
        let mut path = file
            .unwrap_or_else(|| folder.join(self.plain_name()))
            .into_os_string();
        path.push(".part");
        path.into()
    }

    fn target(&self, facts: &PackageFacts) -> PathBuf {
        let (folder, file) = self.destination();
        let named = facts.file_name.as_deref().and_then(harmless_name);
        file.unwrap_or_else(|| folder.join(named.unwrap_or_else(|| self.plain_name())))
    }
}

/// Fetches what is missing, again and again if the connection breaks; none when the whole is not what it should be.
async fn fetch(
    session: &Session,
    package: &StoredPackage,
    partial: &mut Partial,
) -> Result<Option<PackageFacts>, Failure> {
    let mut continuations = 0;
    loop {
        let before = partial.length();
        let bytes = match package.open(before).await {
            Ok(bytes) => bytes,
            Err(error) if before > 0 && error.refusal(StatusCode::RANGE_NOT_SATISFIABLE).is_some() => {
                // Nothing is missing, says the service: then what is there must be the package.
                let facts = package.facts().await?;
                return Ok(Some(facts).filter(|facts| facts.sha256 == Some(partial.sha256())));
            }
            Err(error) => return Err(error.into()),
        };
        let facts = bytes.facts.clone();
        let whole_length = bytes.whole_length().unwrap_or(0);
        let bar = session.printer.progress(whole_length, String::new());
        let taken = partial.take(bytes, |bytes| bar.inc(bytes)).await;
        bar.finish_and_clear();
        match taken {
            Ok(()) => {
                let sha256 = partial.sha256();
                return Ok(
                    Some(facts).filter(|facts| facts.sha256.as_ref().is_none_or(|told| *told == sha256))
                );
            }
            Err(failure)
                if failure.exit() == Exit::Unavailable
                    && continuations < CONTINUATIONS
                    && partial.length() > before =>
            {
                continuations += 1;
                session.printer.note(format!("{failure} Going on."));
            }
            Err(failure) => return Err(failure),
        }
    }
}

/// Nothing that was printed can be taken back, so a wrong digest is found out too late to be repaired, but told.
async fn to_standard_output(session: &Session, package: &StoredPackage) -> Result<Exit, Failure> {
    let bytes = package.open(0).await?;
    let printed = bytes.pass_on(|chunk| Ok(session.printer.bytes(chunk)?)).await;
    session.printer.flush()?;
    printed.map(|_| Exit::Done)
}

/// Whether there is a file of other content.
fn differs(target: &Path, sha256: &str) -> Result<bool, Failure> {
    let there = Partial::open(target.to_owned())?;
    Ok(target.exists() && there.sha256() != sha256)
}

/// The name that the service gives the file, made harmless: it comes from whoever built the package.
fn harmless_name(given: &str) -> Option<String> {
    let stem = given.strip_suffix(".app")?;
    let (publisher, rest) = stem.split_once('_')?;
    let (name, version) = rest.rsplit_once('_')?;
    Some(download_file_name(publisher, name, version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_cannot_lead_anywhere() {
        let cases = [
            (
                "Contoso_Localización_1.0.0.0.app",
                Some("Contoso_Localización_1.0.0.0.app"),
            ),
            ("../../etc_x_1.0.0.0.app", Some("etc_x_1.0.0.0.app")),
            ("/etc/a\n_b_1.app", Some("etca_b_1.app")),
            ("passwd", None),
        ];
        for (given, harmless) in cases {
            assert_eq!(harmless_name(given).as_deref(), harmless);
        }
    }
}
