//! Which rows of a table a caller may see at all.
//!
//! Whether the caller has a role is asked by a count, not by `EXISTS`. SQLite turns the latter into a join when it stands in a
//! `WHERE` clause by itself, believes from then on that rows could come in any order, and sorts what an index had
//! brought in order.

use crate::{
    Value,
    principals::{PrincipalRef, is_caller},
    publishers::{app_of_run, run_has_token},
    shares::Holder,
};
use domain::{
    country::CountryCode,
    ids::AppId,
    instant::Instant,
    principal::{Role, Roles},
};
use uuid::Uuid;

/// Which rows of the table the caller may see at all.
#[derive(Clone, Debug)]
pub struct Scope {
    /// A condition over the alias `t`, with `$1` and so on for the values.
    pub sql: &'static str,
    /// The values.
    pub values: Vec<Value>,
    /// Who asks, where they are one of many who share what long lists need.
    pub(crate) holder: Holder,
}

const APPS_OF: &str = concat!(
    "t.id IN (SELECT p.app_id FROM principals p WHERE ",
    is_caller!(),
    ")"
);

macro_rules! has_role {
    () => {
        concat!(
            " AND 0 < (SELECT COUNT(*) FROM principals p WHERE p.app_id = $5 AND ",
            is_caller!(),
            ")"
        )
    };
}

const IN_APP: &str = concat!("t.app_id = $5", has_role!());

const IN_APP_AS: &str = concat!(
    "t.app_id = $5 AND 0 < (SELECT COUNT(*) FROM principals p WHERE p.app_id = $5 AND (p.roles & $6) <> 0 AND ",
    is_caller!(),
    ")"
);

const TOKENS_AS: &str = concat!(
    "t.app_id = $5 AND t.revoked_on IS NULL AND t.expires_on > $7 \
     AND 0 < (SELECT COUNT(*) FROM principals p WHERE p.app_id = $5 AND (p.roles & $6) <> 0 AND ",
    is_caller!(),
    ")"
);

const OF_WEBHOOK: &str = "t.webhook_id = $1";

const OF_WEBHOOK_AS: &str = concat!(
    "t.webhook_id = $7 AND 0 < (SELECT COUNT(*) FROM webhooks w WHERE w.id = $7 AND w.app_id = $5) \
     AND 0 < (SELECT COUNT(*) FROM principals p WHERE p.app_id = $5 AND (p.roles & $6) <> 0 AND ",
    is_caller!(),
    ")"
);

const OF_ENVIRONMENT: &str = "t.environment_id = $1";

const OF_INSTALLATION: &str = concat!("t.app_id = $5 AND t.environment_id = $6", has_role!());
const OF_ROLLOUT: &str = concat!(
    "t.rollout_id = $6 AND 0 < (SELECT COUNT(*) FROM rollouts r WHERE r.id = $6 AND r.app_id = $5)",
    has_role!()
);

const IN_COUNTRY: &str = concat!("t.app_id = $5 AND t.country_code = $6", has_role!());

// The run of a pipeline has no role: which lists it may see at all is decided before (`actions::access`).
const APPS_OF_RUN: &str = concat!("t.id IN (", app_of_run!(), ")");
const IN_APP_OF_RUN: &str = concat!("t.app_id = $5 AND ", run_has_token!());
const IN_COUNTRY_OF_RUN: &str = concat!("t.app_id = $5 AND t.country_code = $6 AND ", run_has_token!());
const NOTHING: &str = "1 = 0";

impl Scope {
    /// Everything, for the operator.
    pub fn everything() -> Self {
        Self {
            sql: "1 = 1",
            values: Vec::new(),
            holder: None,
        }
    }

    /// What belongs to an app, for the service itself.
    pub fn of_app(app: AppId) -> Self {
        Self {
            sql: "t.app_id = $1",
            values: vec![app.into()],
            holder: None,
        }
    }

    /// Nothing, for whoever has no role.
    fn nothing() -> Self {
        Self {
            sql: NOTHING,
            ..Self::everything()
        }
    }

    /// The apps on which the caller has a role.
    pub fn apps_of(principal: PrincipalRef) -> Self {
        Self {
            sql: if principal.is_run() { APPS_OF_RUN } else { APPS_OF },
            values: principal.values().into(),
            holder: Some(principal.first),
        }
    }

    /// What belongs to an app, if the caller has a role on it.
    pub fn in_app(principal: PrincipalRef, app: AppId) -> Self {
        let mut values: Vec<Value> = principal.values().into();
        values.push(app.into());
        Self {
            sql: if principal.is_run() { IN_APP_OF_RUN } else { IN_APP },
            values,
            holder: Some(principal.first),
        }
    }

    /// What belongs to an app, if the caller has this role on it.
    pub fn in_app_as(principal: PrincipalRef, app: AppId, role: Role) -> Self {
        if principal.is_run() {
            return Self::nothing();
        }
        let mut scope = Self::in_app(principal, app);
        scope.values.push(Roles::NONE.with(role).into());
        Self {
            sql: IN_APP_AS,
            ..scope
        }
    }

    /// The tokens of an app that have not ended at `now`, if the caller has this role on the app.
    pub fn tokens_as(principal: PrincipalRef, app: AppId, role: Role, now: Instant) -> Self {
        if principal.is_run() {
            return Self::nothing();
        }
        let mut scope = Self::in_app_as(principal, app, role);
        scope.values.push(now.into());
        Self {
            sql: TOKENS_AS,
            ..scope
        }
    }

    /// What a webhook of an app was told, if the caller has this role on the app.
    pub fn of_webhook_as(principal: PrincipalRef, app: AppId, role: Role, webhook: Uuid) -> Self {
        if principal.is_run() {
            return Self::nothing();
        }
        let mut scope = Self::in_app_as(principal, app, role);
        scope.values.push(webhook.into());
        Self {
            sql: OF_WEBHOOK_AS,
            ..scope
        }
    }

    /// What a webhook was told, for the operator.
    pub fn of_webhook(webhook: Uuid) -> Self {
        Self {
            sql: OF_WEBHOOK,
            values: vec![webhook.into()],
            holder: None,
        }
    }

    /// What was done in an environment, for the operator.
    pub fn of_environment(environment: Uuid) -> Self {
        Self {
            sql: OF_ENVIRONMENT,
            values: vec![environment.into()],
            holder: None,
        }
    }

    /// What was done with an app in an environment, if the caller has a role on the app.
    pub fn of_installation(principal: PrincipalRef, app: AppId, environment: Uuid) -> Self {
        if principal.is_run() {
            return Self::nothing();
        }
        let mut scope = Self::in_app(principal, app);
        scope.values.push(environment.into());
        Self {
            sql: OF_INSTALLATION,
            ..scope
        }
    }

    /// The members of a rollout of an app, if the caller has a role on the app.
    pub fn of_rollout(principal: PrincipalRef, app: AppId, rollout: Uuid) -> Self {
        if principal.is_run() {
            return Self::nothing();
        }
        let mut scope = Self::in_app(principal, app);
        scope.values.push(rollout.into());
        Self {
            sql: OF_ROLLOUT,
            ..scope
        }
    }

    /// What belongs to an app in a country, if the caller has a role on the app.
    pub fn in_country(principal: PrincipalRef, app: AppId, country: CountryCode) -> Self {
        let mut scope = Self::in_app(principal, app);
        scope.values.push(country.as_str().into());
        Self {
            sql: if principal.is_run() {
                IN_COUNTRY_OF_RUN
            } else {
                IN_COUNTRY
            },
            ..scope
        }
    }
}
