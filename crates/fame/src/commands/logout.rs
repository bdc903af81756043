//! `fame logout`: forgets a login, and says what that does not end.

use crate::{
    args::GlobalArgs,
    exit::Exit,
    failure::Failure,
    output::Printer,
    profiles::{Profiles, USUAL},
};

/// Runs the command.
pub(crate) async fn run(global: &GlobalArgs, printer: Printer) -> Result<Exit, Failure> {
    let mut profiles = Profiles::load()?;
    let name = global.profile.clone().filter(|name| !name.is_empty());
    let name = name.unwrap_or_else(|| USUAL.to_owned());
    let mut profile = profiles.get(&name)?;
    let Some(kept_in) = profile.kept_in.take() else {
        printer.note(format!("Nobody is signed in for the profile '{name}'."));
        return Ok(Exit::Done);
    };
    kept_in.remove(&name).await?;
    profiles.put(&name, profile);
    profiles.save()?;
    printer.note(format!(
        "The login of the profile '{name}' is forgotten here; the profile stays.\n  What was issued stays valid: an access \
         token that somebody copied until it expires, about an hour, and a copied refresh token until the issuer is told: in \
         Microsoft Entra, by revoking your sessions."
    ));
    Ok(Exit::Done)
}
