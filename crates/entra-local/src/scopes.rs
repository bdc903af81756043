//! What is asked for, read from the text of a scope.

use crate::directory::{Directory, Resource};
use crate::oauth_error::Refusal;

/// Scopes that ask for nothing of a resource.
const OPENID_SCOPES: [&str; 4] = ["openid", "profile", "email", "offline_access"];

/// A scope's parts.
pub(crate) struct Scopes<'a> {
    text: &'a str,
    /// What is asked of an API, with the permission at its end.
    of_resource: Option<(&'a str, &'a str)>,
}

impl<'a> Scopes<'a> {
    pub(crate) fn read(text: &'a str) -> Result<Self, Refusal> {
        let of_resource = text
            .split_whitespace()
            .find(|scope| !OPENID_SCOPES.contains(scope))
            .map(|scope| {
                let parts = scope.rsplit_once('/');
                parts.ok_or_else(|| Refusal::ScopeIsNotDefault(scope.to_owned()))
            })
            .transpose()?;
        Ok(Self { text, of_resource })
    }

    /// Whether this one of OpenID's is among them.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.text.split_whitespace().any(|scope| scope == name)
    }

    /// The API's name as it was written.
    pub(crate) fn resource(&self) -> Option<&'a str> {
        self.of_resource.map(|(resource, _)| resource)
    }

    /// Whether it is `…/.default`: all that the application was given.
    pub(crate) fn is_default(&self) -> bool {
        self.of_resource
            .is_some_and(|(_, permission)| permission == ".default")
    }

    /// The API; nothing if nothing is asked of one.
    pub(crate) fn known<'d>(&self, directory: &'d Directory) -> Result<Option<&'d Resource>, Refusal> {
        let Some(name) = self.resource() else {
            return match self.has("openid") {
                true => Ok(None),
                false => Err(Refusal::MissingParameter("scope")),
            };
        };
        let found = directory.resource(name);
        found
            .map(Some)
            .ok_or_else(|| Refusal::UnknownResource(name.to_owned()))
    }

    /// What was given, in full, as the client stores it to find the token again.
    pub(crate) fn granted(&self, resource: Option<&Resource>) -> String {
        let Some((resource, (name, _))) = resource.zip(self.of_resource) else {
            return self.text.to_owned();
        };
        let mut granted: Vec<_> = resource
            .scopes
            .iter()
            .map(|scope| format!("{name}/{scope}"))
            .collect();
        if self.is_default() {
            granted.push(format!("{name}/.default"));
        }
        granted.join(" ")
    }
}
