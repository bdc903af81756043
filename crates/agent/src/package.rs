//! The package of an operation: brought into the agent's own folder, and believed in only when its bytes, its app and its
//! version are those of the operation, and who the agent's policy asks for has signed it.

use crate::{driver::Work, failure::Failure, folder::Folder, owner_only};
use client::AgentClient;
use data_encoding::HEXLOWER;
use domain::{
    chain::Chain,
    instant::Instant,
    operation::FailureCause,
    problem::Code,
    signer::{Signer, SignerKey, SignerRule},
    version::AppVersion,
};
use navx::{Limits, Package, PackageError};
use sha2::{Digest, Sha256};
use std::{
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

/// What the file is called, whatever the app is called: names come from strangers.
const FILE: &str = "package.app";

/// Why bytes could not be brought.
#[derive(Debug, thiserror::Error)]
enum Unbrought {
    #[error("{}", Chain(.0))]
    Service(client::Error),
    #[error("there are more than the {0} bytes that it should have")]
    TooLong(u64),
    #[error("{0}")]
    Io(io::Error),
}

impl From<client::Error> for Unbrought {
    fn from(error: client::Error) -> Self {
        Self::Service(error)
    }
}

/// Brings the package of `work`, unless it is there already, and checks it. One of more than `most` bytes is not brought.
///
/// # Errors
/// [`Failure::misconfigured`] when it is too large, [`FailureCause::PackageChanged`] when it is not the one of the operation,
/// [`FailureCause::Permission`] when it is not signed as `signers` ask, [`FailureCause::Connection`] when it cannot be brought.
/// Nothing has been started then.
pub(crate) async fn bring(
    service: &AgentClient,
    folder: &Folder,
    work: &Work,
    most: u64,
    signers: &SignerRule,
    now: Instant,
) -> Result<PathBuf, Failure> {
    if work.package_size > most {
        return Err(Failure::misconfigured(format!(
            "The package has {} bytes, and agent.max_package_bytes is {most}. Nothing was started.",
            work.package_size
        )));
    }
    let home = folder.package_of(work.operation_id);
    let path = home
        .map_err(|error| Failure::other(unstarted(&error)))?
        .join(FILE);
    let expected = HEXLOWER.encode(&work.package_sha256);
    if sha256_of(path.clone()).await.ok().as_ref() != Some(&expected) {
        let actual = download(service, &path, work).await?;
        if actual != expected {
            let text = format!("The package has SHA-256 {actual}, and should have {expected}");
            return Err(changed(&text));
        }
    }
    let (file, work, signers) = (path.clone(), work.clone(), signers.clone());
    let checked = tokio::task::spawn_blocking(move || check(&file, &work, &signers, now)).await;
    checked.map_err(|error| Failure::other(unstarted(&error)))??;
    Ok(path)
}

fn unstarted(error: &dyn std::fmt::Display) -> String {
    format!("The package cannot be kept: {error}. Nothing was started.")
}

fn changed(text: &str) -> Failure {
    Failure::new(
        FailureCause::PackageChanged,
        format!("{text}. Nothing was started."),
    )
}

async fn download(service: &AgentClient, path: &Path, work: &Work) -> Result<String, Failure> {
    let opened = owner_only::options()
        .write(true)
        .create(true)
        .truncate(true)
        .open(path);
    let mut file = opened.map_err(|error| Failure::other(unstarted(&error)))?;
    let mut left = work.package_size;
    let took = service.get_operation_package(work.operation_id, |bytes| {
        let length = bytes.len() as u64;
        left = left
            .checked_sub(length)
            .ok_or(Unbrought::TooLong(work.package_size))?;
        file.write_all(bytes).map_err(Unbrought::Io)
    });
    took.await.map_err(|error| match error {
        Unbrought::TooLong(_) => changed(&format!("The package is another one: {error}")),
        Unbrought::Io(error) => Failure::other(unstarted(&error)),
        Unbrought::Service(client::Error::Refused(refusal))
            if refusal.code() == Code::PackageChanged.as_str() =>
        {
            changed(refusal.message())
        }
        Unbrought::Service(_) => Failure::new(
            FailureCause::Connection,
            format!("The package could not be brought: {error}. Nothing was started."),
        ),
    })
}

async fn sha256_of(path: PathBuf) -> io::Result<String> {
    let digest = tokio::task::spawn_blocking(move || {
        let (mut file, mut digest) = (File::open(path)?, Sha256::new());
        let mut buffer = vec![0; 1 << 16];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(HEXLOWER.encode(&digest.finalize())),
                length => digest.update(buffer.get(..length).unwrap_or_default()),
            }
        }
    });
    digest
        .await
        .unwrap_or_else(|panicked| Err(io::Error::other(panicked)))
}

/// Makes sure that the package is of the app and the version that are asked for, and signed as `signers` ask.
fn check(path: &Path, work: &Work, signers: &SignerRule, now: Instant) -> Result<(), Failure> {
    let file = File::open(path).map_err(|error| Failure::other(unstarted(&error)))?;
    let package = match navx::read(&file, &Limits::default()) {
        Ok(package) => package,
        Err(PackageError::Io(error)) => return Err(Failure::other(unstarted(&error))),
        Err(refused) => {
            return Err(changed(&format!(
                "The package is damaged ({}): {refused}",
                refused.code()
            )));
        }
    };
    let Some(manifest) = &package.manifest else {
        return Err(changed("The package does not say which app it is"));
    };
    let (app, version) = (manifest.app_id, manifest.version.parts());
    if app != work.app_id.0 || Some(AppVersion(version)) != work.target {
        let [major, minor, build, revision] = version;
        return Err(changed(&format!(
            "The package is of app {app} {major}.{minor}.{build}.{revision}, and should be of {} {}",
            work.app_id,
            work.target_text()
        )));
    }
    check_signer(&file, &package, signers, now)
}

fn check_signer(file: &File, package: &Package, signers: &SignerRule, now: Instant) -> Result<(), Failure> {
    if *signers == SignerRule::None {
        return Ok(());
    }
    let proven = navx::prove(file, package, now.into()).map_err(|error| Failure::other(unstarted(&error)))?;
    let (signer, why) = match proven {
        Ok(signer) => {
            let (key, subject) = (SignerKey(signer.key_sha256), signer.subject);
            (Some(Signer { key, subject }), String::new())
        }
        Err(unproven) => (None, format!(" {unproven}")),
    };
    match signers.objection(signer.as_ref()) {
        None => Ok(()),
        Some((_, objection)) => Err(Failure::new(
            FailureCause::Permission,
            format!("The agent's policy does not allow this package. {objection}{why} Nothing was started."),
        )),
    }
}

/// Makes sure that nobody has to have signed what is not brought: it comes from where the agent does not see it.
///
/// # Errors
/// [`FailureCause::Permission`] with what `signers` ask.
pub(crate) fn check_unseen(signers: &SignerRule) -> Result<(), Failure> {
    match signers.objection(None) {
        None => Ok(()),
        Some((_, objection)) => Err(Failure::new(
            FailureCause::Permission,
            format!(
                "The agent's policy does not allow a package that the agent does not see: the environment gets this one \
                 from elsewhere. {objection} Nothing was started."
            ),
        )),
    }
}
