//! Where a package goes, and what is there already.

use super::packages::{BUILT_AGAIN, Judged};
use crate::{
    failure::{Failure, told},
    session::Session,
};
use client::{Pauses, Refusal, Request, StoredPackage, Upload};
use domain::version::{Availability, VersionStatus};
use navx::Limits;
use reqwest::StatusCode;
use serde_json::Value;
use std::{
    io::Cursor,
    time::{Duration, Instant},
};

/// Largest package that is fetched to be looked into.
const MAX_COMPARED_BYTES: u64 = 64 << 20;
/// The bytes of a stored package; none where they are more than are fetched to be looked into.
pub(in crate::commands) async fn looked_into(stored: &StoredPackage) -> client::Result<Option<Vec<u8>>> {
    let mut stream = stored.open(0, None).await?;
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.chunk().await? {
        if (bytes.len() + chunk.len()) as u64 > MAX_COMPARED_BYTES {
            return Ok(None);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Some(bytes))
}

/// The header of a service that may know `warnings` of a version: no other is asked for what it would refuse.
const OF_FORETELLING: &str = "api-supported-versions";

/// How long a service may take to store what it has received.
const MOST_STORING: Duration = Duration::from_mins(15);
/// How soon to look whether it has, where nothing else is said.
pub(in crate::commands) const FIRST_LOOK: Duration = Duration::from_millis(500);

/// Where the bytes of a version are, if its row tells a known status.
pub(in crate::commands) fn status_of(row: &Value) -> Option<VersionStatus> {
    row.get("status")?.as_str()?.parse().ok()
}

/// Whether the service has yet to store what it received.
pub(in crate::commands) fn is_uploading(row: &Value) -> bool {
    status_of(row) == Some(VersionStatus::Uploading)
}

/// Whether the service has stored what it received.
pub(in crate::commands) fn is_uploaded(row: &Value) -> bool {
    status_of(row) == Some(VersionStatus::Uploaded)
}

/// Where a package goes.
pub(in crate::commands) struct Target<'a> {
    /// The conversation with the service.
    pub session: &'a Session,
    /// What is to be there.
    pub package: &'a Judged,
    /// In which country.
    pub country: &'a str,
}

/// A version that is there.
pub(in crate::commands) struct Published {
    /// It as the service shows it.
    pub row: Value,
    /// Whether it was uploaded to a service that may foretell what becomes of it.
    pub is_foretold: bool,
}

impl Published {
    fn before(row: Value) -> Self {
        Self {
            row,
            is_foretold: false,
        }
    }
}

/// How a package is sent.
pub(in crate::commands) struct Sending {
    /// To whom it is offered at first; left out, the service decides.
    pub availability: Option<Availability>,
    /// Whether the same bytes may be there already.
    pub skip_existing: bool,
    /// Hears how many bytes are on their way; from 0 again when they are sent again.
    pub on_progress: Box<dyn Fn(u64) + Send + Sync>,
}

impl Target<'_> {
    /// Uploads the package, unless it may be there and is.
    ///
    /// # Errors
    /// [`Failure::DifferentContent`] when the number stands for other bytes, and [`Failure::Service`].
    pub(in crate::commands) async fn publish(&self, sending: Sending) -> Result<Published, Failure> {
        let printer = self.session.printer;
        if sending.skip_existing
            && let Some(existing) = self.arrived().await?
        {
            self.check_same_bytes().await?;
            printer.note(self.already_there());
            return Ok(Published::before(existing));
        }
        let may_exist = sending.skip_existing;
        let error = match self.upload(sending).await {
            Ok(published) => return Ok(published),
            Err(error) => error,
        };
        match error.refusal(StatusCode::CONFLICT) {
            Some(refusal) if refusal.code() == "ResourceExists" => {
                self.check_same_bytes_as_told(refusal).await?;
                if error.is_open() {
                    printer.note(self.arrived_unanswered());
                } else if may_exist {
                    printer.note(self.already_there());
                } else {
                    printer.note("The bytes are the same: with --skip-existing this would be a success.");
                    return Err(error.into());
                }
                Ok(Published::before(self.version().await?))
            }
            _ if error.is_open() => match self.arrived().await {
                Ok(Some(existing)) => {
                    self.check_same_bytes().await?;
                    printer.note(self.arrived_unanswered());
                    Ok(Published::before(existing))
                }
                Ok(None) | Err(_) => Err(error.into()),
            },
            _ => Err(error.into()),
        }
    }

    /// The version as the service shows it.
    pub(in crate::commands) fn version(&self) -> Request<Value> {
        let client = &self.session.client;
        client
            .get_version(self.package.app, self.country, self.package.version)
            .json()
    }

    /// The version once the service has stored what it received; looked at after `pause`, and ever more seldom.
    ///
    /// # Errors
    /// [`Failure::Unavailable`] when it could not be stored, or not in time, and [`Failure::Service`].
    pub(in crate::commands) async fn until_stored(&self, pause: Duration) -> Result<Value, Failure> {
        let (begun, mut pauses) = (Instant::now(), Pauses::new(pause));
        loop {
            let row = self.version().await?;
            match status_of(&row) {
                Some(VersionStatus::Uploaded) => return Ok(row),
                Some(VersionStatus::UploadFailed) => {
                    return Err(Failure::Unavailable(
                        "The service took the package and could not store it (UploadFailed); upload it again."
                            .to_owned(),
                    ));
                }
                _ if begun.elapsed() > MOST_STORING => {
                    let said = row.get("status").and_then(Value::as_str);
                    let (said, minutes) = (said.unwrap_or("without a status"), MOST_STORING.as_secs() / 60);
                    return Err(Failure::Unavailable(format!(
                        "The package was sent, but after {minutes} minutes the version is still {said}."
                    )));
                }
                _ => pauses.pass().await,
            }
        }
    }

    pub(in crate::commands) fn stored(&self) -> StoredPackage {
        let client = &self.session.client;
        client.get_package_contents(self.package.app, self.country, self.package.version)
    }

    async fn upload(&self, sending: Sending) -> client::Result<Published> {
        let package = self.package;
        let upload = Upload::file(&package.file, package.contents.size)
            .availability(sending.availability)
            .on_progress(sending.on_progress);
        let client = &self.session.client;
        let sent = client.upload_version(package.app, self.country, upload);
        let answer = sent.json().send().await?;
        Ok(Published {
            row: answer.value,
            is_foretold: answer.headers.contains_key(OF_FORETELLING),
        })
    }

    /// The version, if it was uploaded before and its upload did not fail.
    pub(in crate::commands) async fn existing(&self) -> Result<Option<Value>, Failure> {
        match self.version().await {
            Ok(row) => Ok(Some(row).filter(is_uploaded)),
            Err(error) if error.refusal(StatusCode::NOT_FOUND).is_some() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The version, if an upload of it has arrived, whoever made it; waits until it is stored.
    async fn arrived(&self) -> Result<Option<Value>, Failure> {
        match self.version().await {
            Ok(row) if is_uploading(&row) => self.until_stored(FIRST_LOOK).await.map(Some),
            Ok(row) => Ok(Some(row).filter(is_uploaded)),
            Err(error) if error.refusal(StatusCode::NOT_FOUND).is_some() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes sure that what is stored are the bytes of the package.
    ///
    /// # Errors
    /// [`Failure::DifferentContent`] when they are others, and [`Failure::Service`].
    pub(in crate::commands) async fn check_same_bytes(&self) -> Result<(), Failure> {
        let theirs = self.stored().sha256().await?;
        let told = match self.is_same(&theirs) || !self.is_built_again().await {
            true => "",
            false => BUILT_AGAIN,
        };
        self.compare(&theirs, told)
    }

    /// Whether what is stored differs in nothing but where and when it was built, as far as that can be seen.
    async fn is_built_again(&self) -> bool {
        if self.package.contents.size > MAX_COMPARED_BYTES {
            return false;
        }
        let Ok(Some(stored)) = looked_into(&self.stored()).await else {
            return false;
        };
        let reading =
            tokio::task::spawn_blocking(move || navx::read(Cursor::new(stored), &Limits::default()));
        let stored = reading.await;
        matches!(stored, Ok(Ok(stored)) if stored.is_same_content(&self.package.contents))
    }

    fn is_same(&self, theirs: &str) -> bool {
        theirs.eq_ignore_ascii_case(&self.package.sha256)
    }

    /// As [`Target::check_same_bytes`], with the digest from the refusal where it names one.
    async fn check_same_bytes_as_told(&self, refusal: &Refusal) -> Result<(), Failure> {
        match refusal.facts().get("sha256").and_then(Value::as_str) {
            Some(theirs) => self.compare(theirs, &format!("\n{}", told(refusal))),
            None => self.check_same_bytes().await,
        }
    }

    fn compare(&self, theirs: &str, told: &str) -> Result<(), Failure> {
        let ours = &self.package.sha256;
        if self.is_same(theirs) {
            return Ok(());
        }
        let (version, country) = (self.package.version, self.country);
        Err(Failure::DifferentContent(format!(
            "Version {version} exists in {country} with different content and is never overwritten: its SHA-256 is \
             {theirs}, that of the file is {ours}.{told}"
        )))
    }

    fn arrived_unanswered(&self) -> String {
        let (file, version) = (self.package.file.display(), self.package.version);
        format!(
            "{file}: the answer was lost, but version {version} is in {}, with the same bytes.",
            self.country
        )
    }

    fn already_there(&self) -> String {
        let (file, version) = (self.package.file.display(), self.package.version);
        format!(
            "{file}: version {version} is in {} already, with the same bytes.",
            self.country
        )
    }
}
