//! The few pages that people see. They need no script, load nothing, and are framed by nobody.

use aws_lc_rs::digest::{SHA256, digest};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::directory::User;
use crate::redirects::policy_source;

const STYLE: &str = "\
:root{color-scheme:light dark;font:1rem/1.5 system-ui,sans-serif}\
body{max-width:26rem;margin:10vh auto;padding:0 1rem}\
h1{font-size:1.4rem}\
input,button{font:inherit;width:100%;box-sizing:border-box;padding:.6rem .8rem;margin:.25rem 0;text-align:start}\
small{display:block;opacity:.75}";

/// Sends the form of [`return_by_form`] off; where there are no scripts, its button does.
const SEND: &str = "document.forms[0].submit()";

/// Fields of a form that people do not see.
pub(crate) type Fields<'a> = [(&'a str, &'a str)];

/// A page whose forms lead back to us alone.
pub(crate) fn page(status: StatusCode, title: &str, body: &str) -> Response {
    respond(status, title, body, "form-action 'self'")
}

/// A page with nothing but a message.
pub(crate) fn message(status: StatusCode, title: &str, text: &str) -> Response {
    page(status, title, &format!("<p>{}</p>", escaped(text)))
}

/// Asks which of the `accounts` signs in. What is chosen is posted to `action` as `account`, empty for none of them,
/// together with `fields`. After that the browser may be sent on to `next`.
pub(crate) fn picker(
    client: &str,
    accounts: &[&User],
    action: &str,
    fields: &Fields<'_>,
    next: Option<&str>,
) -> Response {
    let mut body = format!("<p>to go on to <b>{}</b></p>", escaped(client));
    if accounts.is_empty() {
        body.push_str("<p>Nobody can sign in here: no user of this tenant is known.</p>");
    }
    body.push_str(&format!(
        "<form method=\"post\" action=\"{action}\">{}",
        hidden(fields)
    ));
    for user in accounts {
        body.push_str(&format!(
            "<button name=\"account\" value=\"{}\">{}<small>{}</small></button>",
            user.object_id,
            escaped(&user.name),
            escaped(&user.username)
        ));
    }
    body.push_str("<button name=\"account\" value=\"\">Cancel</button></form>");
    // Browsers apply it to where a form's answer redirects to as well.
    let mut policy = "form-action 'self'".to_owned();
    if let Some(source) = next.and_then(policy_source) {
        policy.push(' ');
        policy.push_str(&source);
    }
    respond(StatusCode::OK, "Pick an account", &body, &policy)
}

/// Takes the answer of a sign-in back to the application as a posted form.
pub(crate) fn return_by_form(address: &str, fields: &Fields<'_>) -> Response {
    let body = format!(
        "<form method=\"post\" action=\"{}\">{}<button>Go on</button></form><script>{SEND}</script>",
        escaped(address),
        hidden(fields)
    );
    let source = policy_source(address).unwrap_or_default();
    let policy = format!("script-src {}; form-action {source}", hash_of(SEND));
    respond(StatusCode::OK, "Signing in", &body, &policy)
}

/// A form that asks for the code that a device shows.
pub(crate) fn ask_for_code(status: StatusCode, problem: &str) -> Response {
    let body = format!(
        "<p>{}</p><form method=\"post\" action=\"deviceauth\"><label>The code that the device shows\
         <input name=\"user_code\" required autofocus autocomplete=\"off\"></label><button>Next</button></form>",
        escaped(problem)
    );
    page(status, "Sign in on another device", &body)
}

fn hidden(fields: &Fields<'_>) -> String {
    let field = |(name, value): &(&str, &str)| {
        format!(
            "<input type=\"hidden\" name=\"{}\" value=\"{}\">",
            escaped(name),
            escaped(value)
        )
    };
    fields.iter().map(field).collect()
}

fn respond(status: StatusCode, title: &str, body: &str, more_policy: &str) -> Response {
    let policy = format!(
        "default-src 'none'; style-src {}; base-uri 'none'; frame-ancestors 'none'; {more_policy}",
        hash_of(STYLE)
    );
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style>\
         <body><main><h1>{title}</h1>{body}</main></body></html>",
        title = escaped(title)
    );
    let mut response = (status, Html(html)).into_response();
    let headers = response.headers_mut();
    let policy = HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"));
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        // Our own forms have to say whose they are, and nobody else need hear of our addresses.
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// What a policy calls the one script or style that is allowed.
fn hash_of(text: &str) -> String {
    let hash = STANDARD.encode(digest(&SHA256, text.as_bytes()).as_ref());
    format!("'sha256-{hash}'")
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            _ => safe.push(letter),
        }
    }
    safe
}
