//! What people read after `fame dev`: where it is, who they can be, and commands to try, ready to be pasted. From the first
//! command on all of it is a script; a test runs it.

use super::{
    demo::{FAMILY, SALES_PACK},
    examples::Example,
    people::{self, CONTRIBUTOR, CUSTOMER_ADMIN, OPERATOR, OWNER, Person},
    ready::{Ready, ReadyClient},
};
use anyhow::Context;

const GREETING: &str = r#"
fame dev is ready. It pretends: nothing is installed anywhere.

  API         <base>   (described in <base>/openapi.json)
  https       <https>   (trust <ca>)
  authority   <authority>
  tokens      <token-url>
  control     <control>   (described in <control>/openapi.json, with the issuer)
  data        <data>
  inside      <apps> apps, <environments> environments

Clients, each with its role on the sample apps, and what it signs in with, which is no secret:
"#;

const SIGN_IN: &str = r#"
export FAME_URL=<base> FAME_SCOPE=<scope>
export FAME_TOKEN_URL=<token-url>
"#;

const CLIENT: &str = r#"
export FAME_CLIENT_ID=<client-id> FAME_CLIENT_SECRET=<client-secret>
"#;

const TOUR: &str = r#"
# Commands to try, in another shell. First, be the contributor.
<sign-in>
<contributor>

# 1. The apps, and the versions of one in one country.
fame apps list
APP=<app>
fame versions list $APP -c <country>

# 2. Which production environments are older than <target>?
fame environments list $APP -c <country> --filter "version lt '<target>' and type eq 'Production'"
"#;

const HOTFIX: &str = r#"
# 3. When would one of them be updated, and does anything speak against it?
fame hotfixes plan $APP -c <country> --target <target> --filter "name eq '<environment>'"

# 4. Schedule it. It waits for the update window.
fame hotfixes schedule $APP -c <country> --target <target> \
  -e <environment> --aad-tenant-id <tenant>

# 5. Move the clock on, past the window. The hotfix runs in it, and both sides see the new version.
fame dev clock advance 24h
fame hotfixes wait $APP -c <country> --filter "environmentName eq '<environment>'"
fame hotfixes list $APP -c <country> --filter "environmentName eq '<environment>'"
fame environments get $APP <environment> -c <country> --aad-tenant-id <tenant>
"#;

const NO_HOTFIX: &str = r#"
# There is no environment left that a hotfix could be shown in. Begin anew for that: fame dev without --data, or with
# another folder.
"#;

const TROUBLE: &str = r#"
# Hotfixes fail in Atlanta-SyncFails (US) and Aarhus-DependencyFails (DK); in Hamburg-GetsLost
# (DE) the agent is never heard of again. What failed so far:
fame hotfixes list $APP -c US --filter "status eq 'Failed'"
"#;

const PROFILE: &str = r#"
# All that is set above, under a name; the secret stays where it is. People sign in by "fame login" without --credential.
fame login --profile dev --credential secret
fame whoami --profile dev

# A release does all of it at once: here it uploads a Preview.
fame dev package 15.0.0.0 ./preview.app
fame release ./preview.app --countries US --availability Preview --profile dev
"#;

const TOKEN: &str = r#"
TOKEN=$(curl -s $FAME_TOKEN_URL -d grant_type=client_credentials -d client_id=$FAME_CLIENT_ID \
  -d client_secret=$FAME_CLIENT_SECRET -d scope=$FAME_SCOPE \
  | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
"#;

const CURL: &str = r#"
# The same with curl.
<token>
curl -s -H "Authorization: Bearer $TOKEN" $FAME_URL/v1.0/apps; echo
IN_COUNTRY=$FAME_URL/v1.0/apps/$APP/countries/<country>
curl -s -H "Authorization: Bearer $TOKEN" $IN_COUNTRY/versions; echo
curl -s -G -H "Authorization: Bearer $TOKEN" $IN_COUNTRY/environments \
  --data-urlencode "\$filter=version lt '<target>' and type eq 'Production'"; echo
"#;

const CURL_HOTFIX: &str = r#"
curl -s -G -H "Authorization: Bearer $TOKEN" $IN_COUNTRY/environmentHotfixes/plan \
  -d targetAppVersion=<target> --data-urlencode "\$filter=name eq '<environment>'"; echo
HOTFIX=$(curl -s -H "Authorization: Bearer $TOKEN" $IN_COUNTRY/environmentHotfixes -d '{
  "environmentAadTenantId": "<tenant>",
  "environmentApplicationFamily": "<family>",
  "environmentName": "<environment>",
  "targetAppVersion": "<target>"}' | sed 's/.*"id":"\([^"]*\)".*/\1/')
curl -s -H 'Content-Type: application/json' <control>/clock -d '{"advance":"PT24H"}'; echo
until curl -s -H "Authorization: Bearer $TOKEN" $IN_COUNTRY/environmentHotfixes/$HOTFIX | grep completedOn; do sleep 1; done
"#;

const FIRST_STEPS: &str = r#"
# Commands to try, in another shell. First, be the operator.
<sign-in>
<operator>

# 1. Register an app, with the client 'owner' as its owner.
APP=<app>
fame operator apps put $APP --publisher Contoso --publisher-aad-tenant-id <home-tenant> \
  --publisher-contact-email apps@contoso.com --storage-location "West Europe" \
  --owner Application:<owner-id>

# 2. Go on as the owner: add a country, and upload a version.
<owner>
fame countries add $APP US
fame dev package 16.0.0.5 ./sales-pack.app
fame versions upload ./sales-pack.app -c US --skip-existing
fame apps list

# The same with curl: see the app.
<token>
curl -s -H "Authorization: Bearer $TOKEN" $FAME_URL/v1.0/apps; echo
"#;

const FAREWELL: &str = r#"
# Time: fame dev clock show, advance 6h, set 2027-01-31T20:00:00Z; or <control>/clock
curl -s <control>/clock; echo

# Tokens of any kind, good or bad, such as one that has expired; and new keys, as if the issuer had changed them:
curl -s -H 'Content-Type: application/json' <control>/tokens -d '{"client":"reader","expiresIn":-3600}'; echo
curl -s -X POST <control>/keys/rotate; echo

# Ctrl-C ends it.
"#;

/// The guide, which shows hotfixes with `examples`.
///
/// # Errors
/// When there is nobody to show, which only happens if somebody edited the data folder.
pub(super) fn text(ready: &Ready, examples: &[Example]) -> anyhow::Result<String> {
    let sales_pack = SALES_PACK.id().to_string();
    let mut parts = vec![greeting(ready), clients(ready)];
    if ready.apps.iter().any(|app| app.id == sales_pack) {
        parts.extend(tour(ready, examples)?);
    } else {
        parts.push(first_steps(ready)?);
    }
    parts.push(fill(FAREWELL, &[("control", &ready.addresses.control_url)]));
    Ok(parts.join("\n\n"))
}

/// The template with each `<name>` replaced, and nothing around it.
fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut text = template.trim().to_owned();
    for (name, value) in values {
        text = text.replace(&format!("<{name}>"), value);
    }
    text
}

fn greeting(ready: &Ready) -> String {
    let addresses = &ready.addresses;
    let values = [
        ("base", addresses.base_url.as_str()),
        ("https", &addresses.https_base_url),
        ("ca", &addresses.ca_file.display().to_string()),
        ("authority", &addresses.authority),
        ("token-url", &addresses.token_url),
        ("control", &addresses.control_url),
        ("data", &ready.data_dir.display().to_string()),
        ("apps", &ready.apps.len().to_string()),
        ("environments", &ready.environments.len().to_string()),
    ];
    fill(GREETING, &values)
}

fn clients(ready: &Ready) -> String {
    ready
        .clients
        .iter()
        .map(client_line)
        .collect::<Vec<_>>()
        .join("\n")
}

fn client_line(client: &ReadyClient) -> String {
    let role = client.roles.values().next().map(|roles| roles.join(", "));
    let role = match role {
        Some(role) => role,
        None if client.name == OPERATOR.name => "operator API".to_owned(),
        None if client.name == CUSTOMER_ADMIN.name => "customers' API".to_owned(),
        None => "none".to_owned(),
    };
    let signs_in_with = match (&client.username, &client.password) {
        (Some(username), Some(password)) => format!("{username}  {password}  through {}", client.client_id),
        _ => format!("{}  {}", client.client_id, client.client_secret),
    };
    format!("  {:<12} {role:<16} {signs_in_with}", client.name)
}

/// What makes the commands this person's.
fn client(ready: &Ready, person: &Person) -> anyhow::Result<String> {
    let client = found(ready, person)?;
    let values = [
        ("client-id", client.client_id.as_str()),
        ("client-secret", &client.client_secret),
    ];
    Ok(fill(CLIENT, &values))
}

fn sign_in(ready: &Ready) -> String {
    let values = [
        ("token-url", ready.addresses.token_url.as_str()),
        ("base", &ready.addresses.base_url),
        ("scope", ready.addresses.scope),
    ];
    fill(SIGN_IN, &values)
}

fn found<'r>(ready: &'r Ready, person: &Person) -> anyhow::Result<&'r ReadyClient> {
    let found = ready.clients.iter().find(|shown| shown.name == person.name);
    found.with_context(|| format!("the client '{}' is gone from the data folder", person.name))
}

fn tour(ready: &Ready, examples: &[Example]) -> anyhow::Result<Vec<String>> {
    let (sign_in, contributor) = (sign_in(ready), client(ready, &CONTRIBUTOR)?);
    let (token, app) = (fill(TOKEN, &[]), SALES_PACK.id().to_string());
    let (first, second) = (examples.first(), examples.get(1));
    let target = first.map_or_else(|| "16.0.2.0".to_owned(), |example| example.target.to_string());
    let show = |template, example: Option<&Example>| {
        let values = [
            ("sign-in", sign_in.as_str()),
            ("contributor", &contributor),
            ("token", &token),
            ("control", &ready.addresses.control_url),
            ("app", &app),
            ("country", example.map_or("US", |example| example.country)),
            ("target", &target),
            ("environment", example.map_or("", |example| &example.name)),
            ("tenant", example.map_or("", |example| &example.tenant)),
            ("family", FAMILY),
        ];
        fill(template, &values)
    };
    let hotfix = if first.is_some() { HOTFIX } else { NO_HOTFIX };
    let mut parts = vec![
        show(TOUR, first),
        show(hotfix, first),
        show(TROUBLE, first),
        show(PROFILE, first),
        show(CURL, first),
    ];
    parts.extend(second.map(|_| show(CURL_HOTFIX, second)));
    Ok(parts)
}

fn first_steps(ready: &Ready) -> anyhow::Result<String> {
    let (sign_in, operator) = (sign_in(ready), client(ready, &OPERATOR)?);
    let owner = client(ready, &OWNER)?;
    let (app, home_tenant) = (SALES_PACK.id().to_string(), people::home_tenant().to_string());
    let token = fill(TOKEN, &[]);
    let values = [
        ("sign-in", sign_in.as_str()),
        ("operator", &operator),
        ("owner", &owner),
        ("token", &token),
        ("app", &app),
        ("home-tenant", &home_tenant),
        ("owner-id", &found(ready, &OWNER)?.client_id),
    ];
    Ok(fill(FIRST_STEPS, &values))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dev::ready::{Addresses, ReadyApp, described};
    use domain::version::AppVersion;

    fn ready(has_app: bool) -> Ready {
        let directory = people::directory(&[]);
        let app = ReadyApp {
            id: SALES_PACK.id().to_string(),
            name: "App".into(),
            countries: Vec::new(),
        };
        let addresses = Addresses::new("http://127.0.0.1:1", "https://127.0.0.1:2", "/data/ca.pem".into());
        Ready {
            clients: people::PEOPLE
                .iter()
                .filter_map(|person| described(&addresses, &directory, person))
                .collect(),
            addresses,
            apps: has_app.then_some(app).into_iter().collect(),
            environments: Vec::new(),
            data_dir: "/data".into(),
        }
    }

    fn example(name: &str) -> Example {
        Example {
            country: "DK",
            target: AppVersion([16, 0, 2, 0]),
            name: name.into(),
            tenant: "aaaabbbb-0000-cccc-1111-dddd2222eeee".into(),
        }
    }

    #[test]
    fn every_placeholder_is_filled() {
        let all = [example("Aarhus-Branch"), example("Odense-Branch")];
        for (has_app, examples) in [
            (false, &all[..0]),
            (true, &all[..0]),
            (true, &all[..1]),
            (true, &all[..]),
        ] {
            let guide = text(&ready(has_app), examples).unwrap();
            assert!(!guide.contains('<') && !guide.contains('>'), "{guide}");
            for person in people::PEOPLE {
                assert!(guide.contains(&format!("  {:<12}", person.name)), "{guide}");
            }
            for (example, place) in all.iter().zip(0..) {
                assert_eq!(guide.contains(&example.name), place < examples.len(), "{guide}");
            }
            let has_none = guide.contains("no environment left");
            assert_eq!(has_none, has_app && examples.is_empty(), "{guide}");
        }
    }
}
