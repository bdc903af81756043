//! Signing in by browser: an application sends people here, they pick who they are, and are sent back with a code.
//!
//! Until it is clear that the address to go back to is the application's own, every refusal is a page of ours; from then
//! on the application is told. Nobody stays signed in here, so people are asked each time.

use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use uuid::Uuid;

use crate::directory::{Application, Directory, User};
use crate::discovery::TenantPath;
use crate::grants::{Fields, asked_scope, asks_for_client_info, client_info, required};
use crate::listener::Listener;
use crate::oauth_error::Refusal;
use crate::redirects::is_registered;
use crate::scopes::Scopes;
use crate::tickets::{Code, Refresh};
use crate::{Issuer, pages};

/// The member of the posted form that says who was picked.
const ACCOUNT: &str = "account";

/// What needs no encoding in a query (RFC 3986 §2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Length of a SHA-256 digest in base64url.
const CHALLENGE_LETTERS: usize = 43;

/// An application asks; the answer is a page to pick from.
pub(crate) async fn asked(
    State(listener): State<Listener>,
    Path(tenant): Path<String>,
    headers: HeaderMap,
    Query(mut fields): Query<Fields>,
) -> Response {
    // Whoever wrote the link cannot have picked.
    fields.remove(ACCOUNT);
    answer(&listener.issuer, &tenant, &headers, &fields)
}

/// The same by a form, or what was picked on our page.
pub(crate) async fn posted(
    State(listener): State<Listener>,
    Path(tenant): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    form: Result<Form<Fields>, FormRejection>,
) -> Response {
    let Ok(Form(mut fields)) = form else {
        return refused(&Refusal::NotAForm);
    };
    if !listener.is_from_own_page(&uri, &headers) {
        fields.remove(ACCOUNT);
    }
    answer(&listener.issuer, &tenant, &headers, &fields)
}

/// A refusal that only the person in front of the browser hears of.
pub(crate) fn refused(refusal: &Refusal) -> Response {
    let text = format!("AADSTS{}: {}", refusal.number(), refusal.sentence());
    pages::message(StatusCode::BAD_REQUEST, "This sign-in cannot go on", &text)
}

fn answer(issuer: &Issuer, tenant: &str, headers: &HeaderMap, fields: &Fields) -> Response {
    let directory = issuer.directory();
    let request = match Request::read(&directory, tenant, fields) {
        Ok(request) => request,
        Err(refusal) => return refused(&refusal),
    };
    match request.carry_on(issuer, &directory) {
        Ok(response) => response,
        Err(refusal) => request.refuse(&refusal.description(issuer.now(), headers), &refusal),
    }
}

/// A wish that comes from a registered application and goes back to it.
struct Request<'a> {
    application: &'a Application,
    tenant: TenantPath,
    back: &'a str,
    fields: &'a Fields,
}

impl<'a> Request<'a> {
    fn read(directory: &'a Directory, tenant: &str, fields: &'a Fields) -> Result<Self, Refusal> {
        let tenant = TenantPath::find(directory, tenant)?;
        let application = registered_client(directory, &tenant, required(fields, "client_id")?)?;
        let back = required(fields, "redirect_uri")?;
        if !is_registered(&application.redirect_uris, back) {
            return Err(Refusal::UnregisteredRedirect(
                back.to_owned(),
                application.name.clone(),
            ));
        }
        Ok(Self {
            application,
            tenant,
            back,
            fields,
        })
    }

    fn field(&self, name: &str) -> Option<&'a str> {
        self.fields.get(name).map(String::as_str)
    }

    /// Shows the page to pick from, or sends back with what was picked.
    fn carry_on(&self, issuer: &Issuer, directory: &Directory) -> Result<Response, Refusal> {
        let (scope, challenge) = self.check(directory)?;
        let accounts = accounts(
            directory,
            &self.tenant,
            self.application,
            self.field("login_hint"),
        );
        let Some(picked) = self.field(ACCOUNT) else {
            return Ok(self.picker(&accounts));
        };
        if picked.is_empty() {
            return Err(Refusal::Declined);
        }
        let Some(user) = picked_of(&accounts, picked) else {
            return Ok(self.picker(&accounts));
        };
        let code = Code {
            sign_in: Refresh {
                client_id: self.application.client_id,
                user: user.object_id,
                scope,
                at: issuer.now(),
            },
            redirect_uri: self.back.to_owned(),
            nonce: self.field("nonce").map(str::to_owned),
            challenge,
        };
        let codes = &issuer.tickets().codes;
        let code = codes.issue(issuer.now(), code).map_err(|_| Refusal::Internal)?;
        let info = asks_for_client_info(self.fields).then(|| client_info(user));
        let mut answer = vec![("code", code.as_str())];
        answer.extend(info.as_deref().map(|info| ("client_info", info)));
        Ok(self.send_back(answer))
    }

    /// What is asked for: the scope, and the challenge that whoever redeems the code has to meet.
    fn check(&self, directory: &Directory) -> Result<(String, Option<String>), Refusal> {
        let response_type = required(self.fields, "response_type")?;
        if response_type != "code" {
            return Err(Refusal::UnsupportedResponseType(response_type.to_owned()));
        }
        let mode = self.field("response_mode").unwrap_or("query");
        if !["query", "form_post"].contains(&mode) {
            return Err(Refusal::UnsupportedResponseMode(mode.to_owned()));
        }
        let scope = asked_scope(self.fields)?;
        Scopes::read(&scope)?.known(directory)?;
        let challenge = self.field("code_challenge");
        let method = self.field("code_challenge_method").unwrap_or("plain");
        let is_digest = |text: &str| {
            let mut letters = text.chars();
            text.len() == CHALLENGE_LETTERS
                && letters.all(|letter| letter.is_ascii_alphanumeric() || "-_".contains(letter))
        };
        if challenge.is_some_and(|challenge| method != "S256" || !is_digest(challenge)) {
            return Err(Refusal::BadChallenge);
        }
        if self.field("prompt") == Some("none") {
            return Err(Refusal::SignInRequired);
        }
        Ok((scope, challenge.map(str::to_owned)))
    }

    fn picker(&self, accounts: &[&User]) -> Response {
        let mut fields: Vec<_> = self
            .fields
            .iter()
            .filter(|(name, _)| *name != ACCOUNT)
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        fields.sort_unstable();
        pages::picker(
            &self.application.name,
            accounts,
            "authorize",
            &fields,
            Some(self.back),
        )
    }

    fn refuse(&self, description: &str, refusal: &Refusal) -> Response {
        self.send_back(vec![
            ("error", refusal.error()),
            ("error_description", description),
        ])
    }

    fn send_back<'b>(&'b self, mut answer: Vec<(&'b str, &'b str)>) -> Response {
        answer.extend(self.field("state").map(|state| ("state", state)));
        if self.field("response_mode") == Some("form_post") {
            return pages::return_by_form(self.back, &answer);
        }
        let encode = |text| utf8_percent_encode(text, ENCODED);
        let pairs: Vec<_> = answer
            .into_iter()
            .map(|(name, value)| format!("{name}={}", encode(value)))
            .collect();
        let first = if self.back.contains('?') { '&' } else { '?' };
        let place = format!("{}{first}{}", self.back, pairs.join("&"));
        (
            StatusCode::SEE_OTHER,
            [
                (header::LOCATION, place),
                (header::CACHE_CONTROL, "no-store".to_owned()),
            ],
        )
            .into_response()
    }
}

/// The application that asks at this tenant's address.
pub(crate) fn registered_client<'a>(
    directory: &'a Directory,
    tenant: &TenantPath,
    client_id: &str,
) -> Result<&'a Application, Refusal> {
    let unknown = || Refusal::UnknownClient(client_id.to_owned());
    let id = Uuid::try_parse(client_id).map_err(|_| unknown())?;
    let mut applications = directory.applications.iter();
    let fits = |application: &&Application| match tenant {
        TenantPath::One(tenant) => application.serves(*tenant),
        TenantPath::Any(_) => true,
    };
    let found = applications.find(|application| application.client_id == id && fits(application));
    found.ok_or_else(unknown)
}

/// Who can be picked: all users of the tenant; the one that the application expects first.
pub(crate) fn accounts<'a>(
    directory: &'a Directory,
    tenant: &TenantPath,
    application: &Application,
    hint: Option<&str>,
) -> Vec<&'a User> {
    let signs_in = |user: &&User| tenant.admits(user.tenant_id) && application.serves(user.tenant_id);
    let mut accounts: Vec<_> = directory.users.iter().filter(signs_in).collect();
    accounts.sort_by_key(|user| hint.is_none_or(|hint| !user.username.eq_ignore_ascii_case(hint)));
    accounts
}

pub(crate) fn picked_of<'a>(accounts: &[&'a User], picked: &str) -> Option<&'a User> {
    let id = Uuid::try_parse(picked).ok()?;
    accounts.iter().copied().find(|user| user.object_id == id)
}
