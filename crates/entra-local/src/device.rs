//! Signing in on another device (RFC 8628): a program shows a code, somebody types it here and picks who they are, and the
//! program, which has been asking meanwhile, gets their tokens.

use axum::Json;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::authorize::{accounts, picked_of, refused, registered_client};
use crate::discovery::TenantPath;
use crate::grants::{Fields, asked_scope, required};
use crate::listener::Listener;
use crate::oauth_error::Refusal;
use crate::scopes::Scopes;
use crate::tickets::{DEVICE_SECONDS, Decision, Device};
use crate::{Error, Issuer, pages};

/// How often a device asks, seconds: nobody is far away here.
const INTERVAL_SECONDS: i64 = 1;

/// The letters of a code that people type: no vowels, so no words, and none that look alike (RFC 8628 §6.1).
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

/// Letters on each side of the dash.
const HALF: usize = 4;

/// A device asks to be signed in.
pub(crate) async fn begin(
    State(listener): State<Listener>,
    Path(tenant): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    form: Result<Form<Fields>, FormRejection>,
) -> Response {
    let begun = match form {
        _ if !listener.is_from_own_page(&uri, &headers) => Err(Refusal::ForeignPage),
        Ok(Form(fields)) => register(&listener, &tenant, &uri, &headers, &fields),
        Err(_) => Err(Refusal::NotAForm),
    };
    match begun {
        Ok(body) => ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response(),
        Err(refusal) => refusal.answer(listener.issuer.now(), &headers),
    }
}

fn register(
    listener: &Listener,
    tenant: &str,
    uri: &Uri,
    headers: &HeaderMap,
    fields: &Fields,
) -> Result<Value, Refusal> {
    let issuer = &listener.issuer;
    let directory = issuer.directory();
    let path = TenantPath::find(&directory, tenant)?;
    let application = registered_client(&directory, &path, required(fields, "client_id")?)?;
    let scope = asked_scope(fields)?;
    Scopes::read(&scope)?.known(&directory)?;
    let user_code = user_code().map_err(|_| Refusal::Internal)?;
    let device = Device {
        user_code: user_code.clone(),
        client_id: application.client_id,
        tenant: match path {
            TenantPath::One(tenant) => Some(tenant),
            TenantPath::Any(_) => None,
        },
        scope,
        decision: Decision::Open,
    };
    let devices = &issuer.tickets().devices;
    let device_code = devices
        .issue_if_room(issuer.now(), device)
        .map_err(|_| Refusal::Internal)?
        .ok_or(Refusal::TooManyDevices)?;
    let origin = listener.origin(uri, headers).unwrap_or_default();
    let place = format!("{origin}{}/common/oauth2/deviceauth", issuer.base_path());
    Ok(json!({
        "device_code": device_code,
        "user_code": user_code,
        "verification_uri": place,
        "expires_in": DEVICE_SECONDS,
        "interval": INTERVAL_SECONDS,
        "message": format!("To sign in, open {place} in a browser and enter the code {user_code}."),
    }))
}

fn user_code() -> Result<String, Error> {
    let mut bytes = [0_u8; 2 * HALF];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Error::KeyGeneration)?;
    let letter = |byte: u8| LETTERS.get(usize::from(byte) % LETTERS.len()).copied();
    let mut code: String = bytes.into_iter().filter_map(letter).map(char::from).collect();
    code.insert(HALF, '-');
    Ok(code)
}

/// The code as it was shown, however it was typed.
fn as_shown(typed: &str) -> String {
    let letters = typed.chars().filter(char::is_ascii_alphanumeric);
    let mut code: String = letters.map(|letter| letter.to_ascii_uppercase()).collect();
    if code.len() > HALF {
        code.insert(HALF, '-');
    }
    code
}

/// The page that asks for the code.
pub(crate) async fn ask() -> Response {
    pages::ask_for_code(StatusCode::OK, "")
}

/// The code was typed, and on the next page an account picked.
pub(crate) async fn decide(
    State(listener): State<Listener>,
    uri: Uri,
    headers: HeaderMap,
    form: Result<Form<Fields>, FormRejection>,
) -> Response {
    let Ok(Form(fields)) = form else {
        return refused(&Refusal::NotAForm);
    };
    let Some(typed) = fields.get("user_code") else {
        return refused(&Refusal::MissingParameter("user_code"));
    };
    let picked = fields
        .get("account")
        .filter(|_| listener.is_from_own_page(&uri, &headers));
    go_on(&listener.issuer, &as_shown(typed), picked.map(String::as_str))
}

fn go_on(issuer: &Issuer, user_code: &str, picked: Option<&str>) -> Response {
    let (now, devices) = (issuer.now(), &issuer.tickets().devices);
    let unknown = || {
        let problem =
            format!("No device waits with the code {user_code}: it may have been used, or be too old.");
        pages::ask_for_code(StatusCode::BAD_REQUEST, &problem)
    };
    let Some(device) = devices.waiting(now, user_code) else {
        return unknown();
    };
    let directory = issuer.directory();
    let tenant = device.tenant.map_or(TenantPath::Any("common"), TenantPath::One);
    let client_id = device.client_id.to_string();
    let application = match registered_client(&directory, &tenant, &client_id) {
        Ok(application) => application,
        Err(refusal) => return refused(&refusal),
    };
    let accounts = accounts(&directory, &tenant, application, None);
    let decision = match picked {
        Some("") => Decision::Declined,
        Some(picked) => match picked_of(&accounts, picked) {
            Some(user) => Decision::SignedIn(user.object_id, now),
            None => Decision::Open,
        },
        None => Decision::Open,
    };
    if decision == Decision::Open {
        let client = format!("{} on the device that shows {user_code}", application.name);
        return pages::picker(
            &client,
            &accounts,
            "deviceauth",
            &[("user_code", user_code)],
            None,
        );
    }
    if !devices.decide(now, user_code, decision) {
        return unknown();
    }
    let text = match decision {
        Decision::Declined => "The device is not signed in. You can close this page.",
        _ => "The device is signed in. You can close this page and go on there.",
    };
    pages::message(StatusCode::OK, "Done", text)
}

#[cfg(test)]
mod tests {
    use super::{as_shown, user_code};

    #[test]
    fn a_code_may_be_typed_as_people_do() {
        let code = user_code().unwrap();
        assert_eq!((code.len(), code.find('-')), (9, Some(4)), "{code}");
        assert_ne!(code, user_code().unwrap());
        for typed in [
            code.clone(),
            code.to_lowercase(),
            code.replace('-', ""),
            format!(" {} ", code.replace('-', " ")),
        ] {
            assert_eq!(as_shown(&typed), code, "{typed}");
        }
        assert_eq!(as_shown("abc"), "ABC");
        assert_eq!(as_shown("é<b>"), "B");
    }
}
