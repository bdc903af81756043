//! `fame versions download`

use super::partial::{Partial, digest_of};
use crate::{
    args::{AppInCountries, AppInCountry},
    exit::Exit,
    failure::Failure,
    session::Session,
};
use clap::Args;
use client::{PackageFacts, StoredPackage};
use domain::version::AppVersion;
use navx::download_file_name;
use reqwest::StatusCode;
use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

/// `fame versions download`
#[derive(Args, Debug)]
pub(crate) struct DownloadArgs {
    #[command(flatten)]
    scope: AppInCountries,
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

/// The download of one package.
struct Download {
    scope: AppInCountry,
    version: AppVersion,
    output: Option<PathBuf>,
    force: bool,
}

impl DownloadArgs {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let scopes = session.scopes(&self.scope).await?;
        let is_one_file = self.output.as_ref().is_some_and(|path| !path.is_dir());
        if is_one_file && scopes.len() > 1 {
            let message = "--output is to be a folder where packages of several countries are fetched.";
            return Err(Failure::Usage(message.to_owned()));
        }
        let mut outcomes = Vec::new();
        for scope in scopes {
            let download = Download {
                scope,
                version: self.version,
                output: self.output.clone(),
                force: self.force,
            };
            outcomes.push(download.run(session).await?);
        }
        Ok(Exit::first_of(outcomes))
    }
}

impl Download {
    async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let AppInCountry { app, country } = &self.scope;
        let package = session
            .client
            .get_package_contents(*app, &country.0, self.version);
        if self.output.as_deref() == Some(Path::new("-")) {
            return to_standard_output(session, &package).await;
        }
        let mut partial = Partial::open(&self.partial_path())?;
        match fetch_right(session, &package, &mut partial).await {
            Ok(fetched) => self.put_in_place(session, partial, &fetched),
            Err(failure) => {
                partial.give_up();
                Err(failure)
            }
        }
    }

    fn put_in_place(&self, session: &Session, partial: Partial, fetched: &Fetched) -> Result<Exit, Failure> {
        let printer = session.printer;
        let target = self.target(&fetched.facts);
        let is_first = !self.force && partial.is_first_at(&target);
        if !self.force && !is_first && differs(&target, &fetched.sha256)? {
            partial.discard();
            let message = format!(
                "{} is there with other content; --force replaces it.",
                target.display()
            );
            return Err(Failure::Rule(message));
        }
        let length = partial.length();
        partial.finish(&target, is_first)?;
        if fetched.facts.sha256.is_none() {
            printer.note("The service named no digest, so the content could not be checked.");
        }
        let file = target.display().to_string();
        printer.record(&serde_json::json!({ "file": file, "size": length, "sha256": fetched.sha256 }))?;
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

/// A package that lies in its part file.
struct Fetched {
    facts: PackageFacts,
    /// The digest of what lies there.
    sha256: String,
}

/// Fetches what is missing, and all of it where that does not fit what was there.
async fn fetch_right(
    session: &Session,
    package: &StoredPackage,
    partial: &mut Partial,
) -> Result<Fetched, Failure> {
    let length = partial.length();
    if length > 0 {
        let note = format!("Going on after the {length} bytes of an earlier try.");
        session.printer.note(note);
    }
    if let Some(fetched) = fetch(session, package, partial).await? {
        return Ok(fetched);
    }
    session
        .printer
        .note("What is there does not fit the package: starting anew.");
    partial.clear()?;
    let fetched = fetch(session, package, partial).await?;
    fetched.ok_or_else(|| Failure::Unavailable("The package arrived damaged, twice.".to_owned()))
}

/// Fetches what is missing, again and again if the connection breaks; none when the whole is not what it should be.
async fn fetch(
    session: &Session,
    package: &StoredPackage,
    partial: &mut Partial,
) -> Result<Option<Fetched>, Failure> {
    let mut continuations = 0;
    let mut etag: Option<String> = None;
    loop {
        let before = partial.length();
        let bytes = match package.open(before, etag.as_deref()).await {
            Ok(bytes) => bytes,
            Err(error) if before > 0 && error.refusal(StatusCode::RANGE_NOT_SATISFIABLE).is_some() => {
                // Nothing is missing, says the service: then what is there must be the package.
                let facts = package.facts().await?;
                let told = facts.sha256.is_some();
                return Ok(checked(facts, partial)?.filter(|_| told));
            }
            Err(error) if before > 0 && knows_no_ranges(&error) => {
                partial.clear()?;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let facts = bytes.facts.clone();
        if bytes.begins_at > 0 && etag.is_none() && facts.sha256.is_none() {
            // Nothing tells whether this is the rest of what is here.
            partial.clear()?;
            continue;
        }
        etag.clone_from(&facts.etag);
        let whole_length = bytes.whole_length().unwrap_or(0);
        let bar = session.printer.progress(whole_length, String::new());
        let taken = partial.take(bytes, |bytes| bar.inc(bytes)).await;
        bar.finish_and_clear();
        match taken {
            Ok(()) => return checked(facts, partial),
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

/// Whether a service sends packages as a whole only: the rest of one is asked for in a way that is not documented.
fn knows_no_ranges(error: &client::Error) -> bool {
    let refusals = [
        StatusCode::BAD_REQUEST,
        StatusCode::NOT_FOUND,
        StatusCode::METHOD_NOT_ALLOWED,
        StatusCode::NOT_IMPLEMENTED,
    ];
    refusals.into_iter().any(|status| error.refusal(status).is_some())
}

/// What lies there, unless it is not what the service says it is.
fn checked(facts: PackageFacts, partial: &mut Partial) -> Result<Option<Fetched>, Failure> {
    let sha256 = partial.sha256()?;
    let is_right = facts.sha256.as_ref().is_none_or(|told| *told == sha256);
    Ok(is_right.then_some(Fetched { facts, sha256 }))
}

/// Nothing that was printed can be taken back, so a wrong digest is found out too late to be repaired, but told.
async fn to_standard_output(session: &Session, package: &StoredPackage) -> Result<Exit, Failure> {
    let bytes = package.open(0, None).await?;
    let printed = bytes.pass_on(|chunk| Ok(session.printer.bytes(chunk)?)).await;
    session.printer.flush()?;
    printed.map(|_| Exit::Done)
}

/// Whether there is a file of other content.
fn differs(target: &Path, sha256: &str) -> Result<bool, Failure> {
    match File::open(target).and_then(digest_of) {
        Ok((there, _)) => Ok(there != sha256),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Failure::file("read", target, error)),
    }
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
