//! Who there is: the people and applications whose names are promised, and the API that they ask tokens for.
//!
//! Ids and secrets follow from names and are the same on every machine, so that what one developer writes down holds for
//! the next. Nothing is lost by that: whoever reaches a `fame dev` may become anybody by its control endpoint.

use domain::principal::{PrincipalKind, Role};
use entra_local::{Application, Directory, Resource, Secret, TokenVersion, User};
use uuid::Uuid;
use wire::principals::PrincipalPatch;

/// What ids are derived from their names with.
const NAMESPACE: Uuid = Uuid::from_u128(0x0f6b_77c5_2f1e_4b0a_9f0f_6d65_7a5c_d31e);

/// The App ID URI of the API.
pub(super) const API_URI: &str = "api://fame-dev";

/// What a token is asked for.
pub(super) const SCOPE: &str = "api://fame-dev/.default";

/// The city whose tenant has an administrator here.
const CUSTOMERS_CITY: &str = "Seattle";

/// The application through which users sign in.
const SIGN_IN: &str = "sign-in";

/// Where programs wait for a user who signs in, on whichever port is free.
const OWN_MACHINE: [&str; 3] = ["http://localhost", "http://127.0.0.1", "http://[::1]"];

/// The app role with which an application administers customers' environments, once it is on their list of clients.
const CUSTOMERS_ROLE: &str = "AdminCenter.ReadWrite.All";

/// The secret or password of that name, known to everybody.
fn published_secret(name: &str) -> Secret {
    Secret::new(format!("published-secret-of-{name}"))
}

/// The id that stands for this name, always the same.
pub(super) fn id(name: &str) -> Uuid {
    Uuid::new_v5(&NAMESPACE, name.as_bytes())
}

/// The tenant of the vendor's and the operator's clients, which is the publisher Contoso's.
pub(super) fn home_tenant() -> Uuid {
    id("tenant Contoso")
}

/// The tenant of the customer in a city.
pub(super) fn customer_tenant(city: &str) -> Uuid {
    id(&format!("tenant CRONUS {city}"))
}

/// The tenant of the customer whose administrator is among the clients.
pub(super) fn customers_tenant() -> Uuid {
    customer_tenant(CUSTOMERS_CITY)
}

/// The tenant whose issuer stands for one of pipelines. Nobody is in it.
pub(super) fn pipelines_tenant() -> Uuid {
    id("tenant pipelines")
}

/// The client id of the API itself.
pub(super) fn api_id() -> Uuid {
    id("api")
}

/// A person, or an application, whose name is promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Person {
    /// Its name.
    pub name: &'static str,
    /// An application or a person.
    pub kind: PrincipalKind,
    /// Its role on all apps of the sample data.
    pub role: Option<Role>,
}

const fn person(name: &'static str, kind: PrincipalKind, role: Option<Role>) -> Person {
    Person { name, kind, role }
}

/// Runs the service; reaches the operator API only.
pub(super) const OPERATOR: Person = person("operator", PrincipalKind::Application, None);
/// The first owner of the apps.
pub(super) const OWNER: Person = person("owner", PrincipalKind::Application, Some(Role::Owner));
/// Uploads, and schedules hotfixes.
pub(super) const CONTRIBUTOR: Person =
    person("contributor", PrincipalKind::Application, Some(Role::Contributor));
/// Only looks.
pub(super) const READER: Person = person("reader", PrincipalKind::Application, Some(Role::Reader));

/// Administers a customer's environments, through the Admin Center API.
pub(super) const CUSTOMER_ADMIN: Person = person("customer-admin", PrincipalKind::Application, None);

/// All of them.
pub(super) const PEOPLE: [Person; 8] = [
    OWNER,
    CONTRIBUTOR,
    READER,
    person("stranger", PrincipalKind::Application, None),
    OPERATOR,
    person("owner-user", PrincipalKind::User, Some(Role::Owner)),
    person("reader-user", PrincipalKind::User, Some(Role::Reader)),
    CUSTOMER_ADMIN,
];

impl Person {
    /// What a principal row names them by: an application's client id, a user's object id.
    pub(super) fn principal_id(&self) -> Uuid {
        id(&format!("principal {}", self.name))
    }

    /// The tenant that they sign in to.
    pub(super) fn tenant(&self) -> Uuid {
        match *self == CUSTOMER_ADMIN {
            true => customers_tenant(),
            false => home_tenant(),
        }
    }

    /// What the API's registration gives to the application.
    fn app_roles(&self) -> Vec<String> {
        let is_for_customers = *self == CUSTOMER_ADMIN;
        is_for_customers
            .then(|| CUSTOMERS_ROLE.to_owned())
            .into_iter()
            .collect()
    }

    /// The request that gives them their role on an app, if they are meant to have one.
    pub(super) fn principal(&self) -> Option<PrincipalPatch> {
        let is_user = self.kind == PrincipalKind::User;
        Some(PrincipalPatch {
            aad_tenant_id: is_user.then(home_tenant),
            kind: Some(self.kind.to_string()),
            roles: Some(vec![self.role?.to_string()]),
        })
    }
}

/// Everybody, where the API answers to these further names too.
pub(super) fn directory(hosts: &[String]) -> Directory {
    let mut directory = Directory {
        tenants: vec![home_tenant(), pipelines_tenant()],
        resources: vec![api(hosts)],
        ..Directory::default()
    };
    for person in PEOPLE {
        match person.kind {
            PrincipalKind::Application => {
                let application = application(person.name, person.principal_id(), person.tenant());
                directory.applications.push(Application {
                    roles: person.app_roles(),
                    ..application
                });
            }
            PrincipalKind::User => directory.users.push(user(person)),
        }
    }
    let sign_in = application(SIGN_IN, id("application sign-in"), home_tenant());
    directory.applications.push(Application {
        public_client: true,
        redirect_uris: OWN_MACHINE.map(str::to_owned).into(),
        ..sign_in
    });
    directory
}

/// Registers with a directory that was kept what has come to be registered since it was made.
pub(super) fn complete(kept: &mut Directory, new: Directory) {
    kept.resources = new.resources;
    for tenant in new.tenants {
        if !kept.tenants.contains(&tenant) {
            kept.tenants.push(tenant);
        }
    }
    for new in new.applications {
        let mut applications = kept.applications.iter_mut();
        if let Some(kept) = applications.find(|kept| kept.client_id == new.client_id) {
            kept.redirect_uris = new.redirect_uris;
            kept.roles = new.roles;
        }
    }
}

/// What tokens for the API are asked for: its own name; and of a host that leads here, what programs ask that host's API
/// for. So a client that was told no scope is refused, and one of Microsoft's is not where Microsoft's host leads here.
pub(super) fn identifier_uris(hosts: &[String]) -> Vec<String> {
    let of_hosts = hosts.iter().map(|host| format!("https://{host}"));
    [API_URI.to_owned()].into_iter().chain(of_hosts).collect()
}

fn api(hosts: &[String]) -> Resource {
    Resource {
        client_id: api_id(),
        identifier_uris: identifier_uris(hosts),
        token_version: TokenVersion::V2,
        scopes: vec!["user_impersonation".to_owned()],
    }
}

fn application(name: &str, client_id: Uuid, tenant_id: Uuid) -> Application {
    Application {
        name: name.to_owned(),
        client_id,
        object_id: id(&format!("service principal {name}")),
        tenant_id,
        secret: Some(published_secret(name)),
        ..Application::default()
    }
}

fn user(person: Person) -> User {
    User {
        name: person.name.to_owned(),
        username: format!("{}@contoso.com", person.name),
        password: published_secret(person.name),
        object_id: person.principal_id(),
        tenant_id: home_tenant(),
        directory_roles: Vec::new(),
    }
}

/// How somebody signs in.
#[derive(Clone)]
pub(super) struct Credentials {
    /// The application's client id; a user signs in through one as well.
    pub client_id: Uuid,
    /// The application's secret.
    pub client_secret: Secret,
    /// A user's sign-in name and password.
    pub user: Option<(String, Secret)>,
}

/// Somebody's credentials; nothing if the directory does not know them, which only happens if it was edited.
pub(super) fn credentials(directory: &Directory, person: &Person) -> Option<Credentials> {
    let (application, user) = match person.kind {
        PrincipalKind::Application => (person.name, None),
        PrincipalKind::User => {
            let user = directory.user(person.name)?;
            (SIGN_IN, Some((user.username.clone(), user.password.clone())))
        }
    };
    let application = directory.application(application)?;
    Some(Credentials {
        client_id: application.client_id,
        client_secret: application.secret.clone()?,
        user,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn everybody_has_an_id_and_credentials_of_their_own() {
        let directory = directory(&[]);
        let mut ids = HashSet::new();
        for person in PEOPLE {
            assert!(ids.insert(person.principal_id()), "{}", person.name);
            let credentials = credentials(&directory, &person).unwrap();
            assert_eq!(credentials.user.is_some(), person.kind == PrincipalKind::User);
        }
        assert_eq!(ids.len(), 8);
    }

    #[test]
    fn a_folder_from_before_learns_what_has_come_and_keeps_its_secrets() {
        let mut kept = directory(&[]);
        for application in &mut kept.applications {
            application.redirect_uris.clear();
            application.roles.clear();
            application.secret = Some(Secret::new("its own"));
        }
        complete(&mut kept, directory(&[]));
        let of = |name| kept.application(name).unwrap();
        assert_eq!(of(SIGN_IN).redirect_uris, OWN_MACHINE);
        assert_eq!(of(CUSTOMER_ADMIN.name).roles, [CUSTOMERS_ROLE]);
        assert!(of(OWNER.name).roles.is_empty());
        let still = credentials(&kept, &CUSTOMER_ADMIN).unwrap().client_secret;
        assert_eq!(still.reveal(), "its own");
    }

    #[test]
    fn what_is_published_stays_as_it_is() {
        let owner = credentials(&directory(&[]), &OWNER).unwrap();
        assert_eq!(
            (owner.client_id.to_string().as_str(), owner.client_secret.reveal()),
            (
                "e9d87392-acbb-58f8-993b-e10fb53b7808",
                "published-secret-of-owner"
            )
        );
    }
}
