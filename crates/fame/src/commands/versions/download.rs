//! `fame versions download`

use super::partial::{Partial, told_sha256};
use crate::{
    args::Shelf,
    client::{Call, Client},
    exit::Exit,
    failure::{Failure, header},
};
use clap::Args;
use data_encoding::HEXLOWER;
use domain::version::AppVersion;
use navx::download_file_name;
use percent_encoding::percent_decode_str;
use reqwest::{
    Method, Response, StatusCode, Url,
    header::{CONTENT_LENGTH, HeaderMap},
};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// `fame versions download`
#[derive(Args, Debug)]
pub struct DownloadArgs {
    #[command(flatten)]
    shelf: Shelf,
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
    pub(super) async fn run(self, client: &Client) -> Result<Exit, Failure> {
        let number = self.version.to_string();
        let contents = self
            .shelf
            .address(client, &["versions", &number, "getPackageContents"]);
        if self.output.as_deref() == Some(Path::new("-")) {
            return to_standard_output(client, &contents).await;
        }
        let mut partial = Partial::open(self.partial_path())?;
        if partial.length() > 0 {
            let length = partial.length();
            client
                .printer()
                .note(format!("Going on after the {length} bytes of an earlier try."));
        }
        let headers = match fetch(client, &contents, &mut partial).await? {
            Some(headers) => headers,
            None => {
                client
                    .printer()
                    .note("What the earlier try left does not fit the package: starting anew.");
                partial.discard();
                partial = Partial::open(self.partial_path())?;
                let headers = fetch(client, &contents, &mut partial).await?;
                headers
                    .ok_or_else(|| Failure::Unavailable("The package arrived damaged, twice.".to_owned()))?
            }
        };
        self.put_in_place(client, partial, &headers)
    }

    fn put_in_place(&self, client: &Client, partial: Partial, headers: &HeaderMap) -> Result<Exit, Failure> {
        let printer = client.printer();
        let target = self.target(headers);
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
        if told_sha256(headers).is_none() {
            printer.note("The service named no digest, so the content could not be checked.");
        }
        let file = target.display().to_string();
        printer.record(&serde_json::json!({ "file": file, "size": length, "sha256": sha256 }))?;
        Ok(Exit::Done)
    }

    /// The folder to put it in, and the name if one was given.
    fn wish(&self) -> (PathBuf, Option<PathBuf>) {
        match &self.output {
            None => (PathBuf::new(), None),
            Some(folder) if folder.is_dir() => (folder.clone(), None),
            Some(file) => (PathBuf::new(), Some(file.clone())),
        }
    }

    fn plain_name(&self) -> String {
        let (app, country, version) = (self.shelf.app, &self.shelf.country.0, self.version);
        format!("{app}_{country}_{version}.app")
    }

    /// Known before the service has named the file, so that a second try finds it.
    fn partial_path(&self) -> PathBuf {
        let (folder, file) = self.wish();
        let mut path = file
            .unwrap_or_else(|| folder.join(self.plain_name()))
            .into_os_string();
        path.push(".part");
        path.into()
    }

    fn target(&self, headers: &HeaderMap) -> PathBuf {
        let (folder, file) = self.wish();
        file.unwrap_or_else(|| folder.join(told_name(headers).unwrap_or_else(|| self.plain_name())))
    }
}

/// Fetches what is missing, again and again if the connection breaks; none when the whole is not what it should be.
async fn fetch(client: &Client, contents: &Url, partial: &mut Partial) -> Result<Option<HeaderMap>, Failure> {
    let mut continuations = 0;
    loop {
        let before = partial.length();
        let answer = match client.send(&request(contents, before)?).await {
            Ok(answer) => answer,
            Err(failure) if failure.refusal(StatusCode::RANGE_NOT_SATISFIABLE).is_some() && before > 0 => {
                return confirm(client, contents, partial).await;
            }
            Err(failure) => return Err(failure),
        };
        let headers = answer.headers().clone();
        let bar = client
            .printer()
            .progress(whole_length(&answer, before), String::new());
        let taken = partial.take(client, answer, |bytes| bar.inc(bytes)).await;
        bar.finish_and_clear();
        match taken {
            Ok(()) => {
                let is_right = told_sha256(&headers).is_none_or(|told| told == partial.sha256());
                return Ok(Some(headers).filter(|_| is_right));
            }
            Err(Failure::Unavailable(why)) if continuations < CONTINUATIONS && partial.length() > before => {
                continuations += 1;
                client.printer().note(format!("{why} Going on."));
            }
            Err(failure) => return Err(failure),
        }
    }
}

/// The documented POST for the whole; GET, which knows ranges, for the rest of it.
fn request(contents: &Url, from: u64) -> Result<Call<'static>, Failure> {
    if from == 0 {
        return Ok(Call::new(Method::POST, contents.clone()).repeatable());
    }
    Call::new(Method::GET, contents.clone()).header("range", &format!("bytes={from}-"))
}

/// Nothing is missing, says the service: then what is there must be the package.
async fn confirm(client: &Client, contents: &Url, partial: &Partial) -> Result<Option<HeaderMap>, Failure> {
    let answer = client.send(&Call::new(Method::HEAD, contents.clone())).await?;
    let is_right = told_sha256(answer.headers()).is_some_and(|told| told == partial.sha256());
    Ok(Some(answer.headers().clone()).filter(|_| is_right))
}

fn whole_length(answer: &Response, before: u64) -> u64 {
    let length = header(answer.headers(), CONTENT_LENGTH.as_str());
    let length: u64 = length.and_then(|text| text.parse().ok()).unwrap_or(0);
    match answer.status() {
        StatusCode::PARTIAL_CONTENT => before + length,
        _ => length,
    }
}

/// Nothing that was printed can be taken back, so a wrong digest is found out too late to be repaired, but told.
async fn to_standard_output(client: &Client, contents: &Url) -> Result<Exit, Failure> {
    let mut answer = client.send(&request(contents, 0)?).await?;
    let told = told_sha256(answer.headers());
    let mut digest = Sha256::new();
    while let Some(chunk) = client.next_chunk(&mut answer).await? {
        digest.update(&chunk);
        client.printer().bytes(&chunk)?;
    }
    client.printer().flush()?;
    let sha256 = HEXLOWER.encode(&digest.finalize());
    match told {
        Some(told) if told != sha256 => {
            let message =
                format!("The package arrived damaged: its SHA-256 should be {told} and is {sha256}.");
            Err(Failure::Unavailable(message))
        }
        _ => Ok(Exit::Done),
    }
}

/// Whether there is a file of other content.
fn differs(target: &Path, sha256: &str) -> Result<bool, Failure> {
    let there = Partial::open(target.to_owned())?;
    Ok(target.exists() && there.sha256() != sha256)
}

/// The name that the service gives the file, made harmless: it comes from whoever built the package.
fn told_name(headers: &HeaderMap) -> Option<String> {
    let field = headers.get("content-disposition")?.to_str().ok()?;
    let given = extended_name(field).or_else(|| quoted_name(field))?;
    let stem = given.strip_suffix(".app")?;
    let (publisher, rest) = stem.split_once('_')?;
    let (name, version) = rest.rsplit_once('_')?;
    Some(download_file_name(publisher, name, version))
}

/// `filename*=UTF-8''…` (RFC 8187).
fn extended_name(field: &str) -> Option<String> {
    let (_, value) = field.split_once("filename*=")?;
    let encoded = value.split(';').next()?.trim();
    let (_, text) = encoded
        .strip_prefix("UTF-8'")
        .or_else(|| encoded.strip_prefix("utf-8'"))?
        .split_once('\'')?;
    Some(percent_decode_str(text).decode_utf8_lossy().into_owned())
}

/// `filename="…"`.
fn quoted_name(field: &str) -> Option<String> {
    let (_, value) = field.split_once("filename=")?;
    match value.strip_prefix('"') {
        Some(quoted) => Some(quoted.split_once('"')?.0.to_owned()),
        None => Some(value.split(';').next()?.trim().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    fn named(field: &'static str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert("content-disposition", HeaderValue::from_static(field));
        told_name(&headers)
    }

    #[test]
    fn the_service_names_the_file() {
        let plain = named("attachment; filename=\"Contoso_Sales Pack_1.2.3.4.app\"");
        assert_eq!(plain.as_deref(), Some("Contoso_Sales Pack_1.2.3.4.app"));
        let extended = named(
            "attachment; filename=\"x_x_1.app\"; filename*=UTF-8''Contoso_Localizaci%C3%B3n_1.0.0.0.app",
        );
        assert_eq!(extended.as_deref(), Some("Contoso_Localización_1.0.0.0.app"));
    }

    #[test]
    fn the_name_cannot_lead_anywhere() {
        assert_eq!(
            named("attachment; filename=\"../../etc_x_1.0.0.0.app\"").as_deref(),
            Some("etc_x_1.0.0.0.app")
        );
        assert_eq!(
            named("attachment; filename*=UTF-8''%2Fetc%2Fa%0A_b_1.app").as_deref(),
            Some("etca_b_1.app")
        );
        assert_eq!(named("attachment; filename=\"passwd\""), None);
        assert_eq!(named("attachment"), None);
    }
}
