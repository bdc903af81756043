//! What a service says of how its callers sign in: the challenge of a 401 (RFC 6750 §3).

use crate::{
    Client,
    error::{Error, Result},
    request::Call,
};
use reqwest::{Method, StatusCode};

/// Where a service sends callers whom it does not know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Challenge {
    /// Where a browser signs in, such as `https://login.microsoftonline.com/{tenant}/oauth2/authorize`.
    pub authorization_uri: Option<String>,
    /// What tokens are issued for.
    pub resource_id: Option<String>,
}

impl Client {
    /// Asks the service where its callers sign in, with a token that is none: only whoever has a bad one is told all.
    ///
    /// # Errors
    /// Those of a service that is out of reach, or answers neither a success nor a 401.
    pub async fn challenge(&self) -> Result<Challenge> {
        let call = Call::new(Method::GET, self.vendor(&["apps"])).header("authorization", "Bearer none");
        match self.send(&call).await {
            // A gateway before the service may be who wants callers signed in.
            Err(Error::Refused(refusal) | Error::Gateway(refusal))
                if refusal.status == StatusCode::UNAUTHORIZED =>
            {
                Ok(refusal
                    .challenge
                    .as_deref()
                    .map(Challenge::read)
                    .unwrap_or_default())
            }
            answer => answer.map(|_| Challenge::default()),
        }
    }
}

impl Challenge {
    /// Reads `Bearer name="value", name=value`. What is not of that form says nothing.
    fn read(text: &str) -> Self {
        let mut challenge = Self::default();
        let parameters = text.split_once(' ').map_or("", |(_, parameters)| parameters);
        for parameter in parameters.split(',') {
            let (name, value) = parameter.split_once('=').unwrap_or_default();
            let value = value.trim().trim_matches('"').to_owned();
            match name.trim() {
                "authorization_uri" | "authorization" => challenge.authorization_uri = Some(value),
                "resource_id" => challenge.resource_id = Some(value),
                _ => {}
            }
        }
        challenge
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read_with_and_without_quotes() {
        let login = "https://login.contoso.com/t/oauth2/authorize";
        let told = Challenge::read(&format!(
            r#"Bearer realm="x", authorization_uri="{login}", resource_id="api://fame", error="invalid_token""#
        ));
        assert_eq!(told.authorization_uri.as_deref(), Some(login));
        assert_eq!(told.resource_id.as_deref(), Some("api://fame"));
        let bare = Challenge::read(&format!("Bearer authorization_uri={login}"));
        assert_eq!(bare.authorization_uri, told.authorization_uri);
        assert_eq!(Challenge::read("Basic"), Challenge::default());
    }
}
