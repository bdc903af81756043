//! `fame login`: makes a profile, and signs somebody in for it.

use crate::{
    args::GlobalArgs,
    exit::Exit,
    failure::Failure,
    output::Printer,
    profiles::{self, KeptIn, Profile, Profiles, USUAL},
    settings::{Place, service_root},
    sign_in::{
        Kind, browser, device,
        login::{Login, SignInPlace, is_pipeline},
    },
};
use clap::{Args, ValueEnum};
use serde_json::json;
use std::path::{Path, PathBuf};

/// `fame login`
#[derive(Args, Debug)]
pub(crate) struct LoginArgs {
    /// Sign in on another device, by a code that is shown here: for machines without a browser
    #[arg(long, conflicts_with = "port")]
    device: bool,
    /// Keep the login in a file that only you can read, where there is no keyring
    #[arg(long)]
    insecure_storage: bool,
    /// The port of this machine to which the browser comes back; 0 for one that is free
    #[arg(long, default_value_t = 0)]
    port: u16,
}

impl LoginArgs {
    /// Runs the command.
    pub(crate) async fn run(self, global: &GlobalArgs, printer: Printer) -> Result<Exit, Failure> {
        if is_pipeline() {
            return Err(Failure::Usage(
                "This is a pipeline (CI is set), and nothing is kept in those: say by flags or variables what to sign in \
                 with, such as --credential github."
                    .to_owned(),
            ));
        }
        let mut profiles = Profiles::load()?;
        let name = global.profile.clone().filter(|name| !name.is_empty());
        let name = profiles::name(name.as_deref().unwrap_or(USUAL))
            .map_err(|wrong| Failure::Usage(format!("--profile: {wrong}")))?;
        let before = profiles.find(&name).unwrap_or_default();
        let mut profile = told(before.clone(), global)?;
        if profile.url != before.url
            && let Some(kept_in) = profile.kept_in.take()
        {
            kept_in.remove(&name).await?;
            printer.note(format!(
                "'{name}' is for another service now: its login is forgotten."
            ));
        }
        let signs_in = profile.credential.is_none_or(|kind| kind == Kind::Login);
        let place = Place::of(global, Some((name.clone(), profile.clone())), printer)?;
        self.check(&profile, &place)?;
        let mut signed_in_as = None;
        if signs_in {
            let kept_in = match self.insecure_storage {
                true => KeptIn::File,
                false => KeptIn::Keyring,
            };
            let login = self.sign_in(&place, printer).await?;
            if let Some(other) = profile.kept_in.filter(|other| *other != kept_in) {
                other.remove(&name).await?;
            }
            kept_in.save(&name, &login).await?;
            profile.kept_in = Some(kept_in);
            profile.token_url = Some(login.token_url.clone());
            profile.scope = Some(login.scope.clone());
            signed_in_as = Some(login.signed_in_as);
        }
        let record = json!({
            "profile": name,
            "service": place.url.as_str(),
            "credential": profile.credential,
            "signedInAs": signed_in_as,
            "keptIn": profile.kept_in,
        });
        profiles.put(&name, profile);
        profiles.save()?;
        printer.record(&record)?;
        Ok(Exit::Done)
    }

    /// Refuses what would be written down and never work.
    fn check(&self, profile: &Profile, place: &Place) -> Result<(), Failure> {
        let kind = profile.credential.map(word);
        let files = [
            (
                &profile.client_secret_file,
                "--client-secret-file (FAME_CLIENT_SECRET_FILE)",
                Kind::Secret,
            ),
            (
                &profile.client_certificate_file,
                "--client-certificate (FAME_CLIENT_CERTIFICATE)",
                Kind::Certificate,
            ),
        ];
        for (_, flag, own) in files.into_iter().filter(|(file, ..)| file.is_some()) {
            let own_word = word(own);
            let told = match &kind {
                Some(kind) if *kind != own_word => format!(
                    "{flag} is for --credential {own_word}, and the profile's is {kind}: leave one of them out."
                ),
                None => format!(
                    "{flag} goes before a login, which would never be used: say --credential {own_word} too, or leave it out."
                ),
                Some(_) => continue,
            };
            return Err(Failure::Usage(told));
        }
        let Some(kind) = kind.filter(|kind| *kind != word(Kind::Login)) else {
            return Ok(());
        };
        let asks = [
            (self.device, "--device"),
            (self.insecure_storage, "--insecure-storage"),
            (self.port != 0, "--port"),
        ];
        if let Some((_, flag)) = asks.into_iter().find(|(is_set, _)| *is_set) {
            return Err(Failure::Usage(format!(
                "{flag} is for signing somebody in, and with --credential {kind} nobody is: leave one of them out."
            )));
        }
        if kind == word(Kind::TrustedPublishing) && place.is_original() {
            let told = "Microsoft's service takes no tokens of pipelines: --credential trusted-publishing is for a service of yours.";
            return Err(Failure::Usage(told.to_owned()));
        }
        Ok(())
    }

    async fn sign_in(&self, place: &Place, printer: Printer) -> Result<Login, Failure> {
        let at = SignInPlace::of(place).await?;
        let issuers = place.issuers(&at.token_url)?;
        let given = match self.device {
            true => device::sign_in(&at, &issuers, &place.host(), printer).await?,
            false => browser::sign_in(&at, &issuers, self.port, printer).await?,
        };
        Login::begin(place, &at, &given)
    }
}

/// What `--credential` calls it.
fn word(kind: Kind) -> String {
    let value = kind.to_possible_value();
    value.map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// `profile` with what flags and variables say of it.
fn told(mut profile: Profile, global: &GlobalArgs) -> Result<Profile, Failure> {
    if let Some(url) = &global.url {
        let url = service_root(url)?.as_str().trim_end_matches('/').to_owned();
        if profile.url.as_ref().is_some_and(|before| *before != url) {
            // What was for another service is for no other: it begins anew.
            profile = Profile {
                kept_in: profile.kept_in,
                ..Profile::default()
            };
        }
        profile.url = Some(url);
    }
    let replace = |kept: &mut Option<String>, told: &Option<String>| {
        if told.as_ref().is_some_and(|told| !told.is_empty()) {
            kept.clone_from(told);
        }
    };
    replace(&mut profile.api_version, &global.api_version);
    replace(&mut profile.tenant, &global.tenant);
    replace(&mut profile.client_id, &global.client_id);
    replace(&mut profile.token_url, &global.token_url);
    replace(&mut profile.scope, &global.scope);
    profile.credential = global.credential.or(profile.credential);
    let files = [
        (&mut profile.ca_file, &global.ca_file),
        (&mut profile.client_secret_file, &global.client_secret_file),
        (&mut profile.client_certificate_file, &global.client_certificate),
    ];
    for (kept, told) in files {
        if let Some(told) = told {
            *kept = Some(whole(told)?);
        }
    }
    Ok(profile)
}

/// The path as it is found from everywhere.
fn whole(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::unreadable(path, &error))
}
