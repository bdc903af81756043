//! Who has which roles on an app, and the one place that says when a stored principal is the caller.

use super::{
    Db, FromRow, Row, StoreError, Tx, Value,
    environments::placeholders,
    publishers::{self, app_of_run, run_has_token},
    row::{Field, table},
    table::Kind,
};
use domain::{
    ids::{AppId, Etag, PrincipalId, TenantId},
    instant::Instant,
    principal::{CallerKind, PrincipalKind, Role, Roles, TokenTenant},
    publisher::Grant,
};
use std::collections::HashSet;
use uuid::Uuid;

/// The caller as the principals table knows callers.
///
/// Users match by object id and tenant. Applications match by client id or by the object id of their service
/// principal, as the issuer's settings allow; `second` is then the other of the two, or the same again. With a `tenant`, an
/// application is meant only where tokens of that tenant count: it is the publisher's, or the operator allowed it.
///
/// The run of a pipeline is in no row of that table. It is known by its token: `first` is the app that it opens, `second` the
/// trusted publisher, and `tenant` the token's own id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PrincipalRef {
    /// Whether it is a user, an application, or the run of a pipeline.
    pub kind: CallerKind,
    /// A user's object id, or one of an application's two ids.
    pub first: Uuid,
    /// A user's tenant, or the other of an application's ids.
    pub second: Uuid,
    /// The tenant that an application's rights depend on besides its ids.
    pub tenant: Option<Uuid>,
}

impl PrincipalRef {
    /// The four values of `is_caller!`.
    pub fn values(self) -> [Value; 4] {
        let Self {
            kind,
            first,
            second,
            tenant,
        } = self;
        [kind.as_str().into(), first.into(), second.into(), tenant.into()]
    }

    /// Whether it is the run of a pipeline.
    pub fn is_run(self) -> bool {
        self.kind == CallerKind::Publisher
    }

    /// Whether the caller has a role on the app `$5`, in SQL.
    pub(crate) fn has_role(self) -> &'static str {
        if self.is_run() {
            run_has_token!()
        } else {
            CALLER_HAS_ROLE
        }
    }
}

/// Whether the principal `p` is the caller, whose four values are `$1` to `$4`.
macro_rules! is_caller {
    () => {
        "p.kind = $1 AND (
        ($1 = 'User' AND p.id = $2 AND p.tenant_id = $3)
        OR ($1 = 'Application' AND p.id IN ($2, $3) AND (
            p.any_token_tenant OR p.token_tenant_id = $4 OR $4 IS NULL
            OR (SELECT a.publisher_tenant_id FROM apps a WHERE a.id = p.app_id) = $4)))"
    };
}
pub(crate) use is_caller;

/// Whether the caller is a principal of the app `$5`.
const CALLER_HAS_ROLE: &str = concat!(
    "EXISTS (SELECT 1 FROM principals p WHERE p.app_id = $5 AND ",
    is_caller!(),
    ")"
);

table! {
    /// A principal's roles on an app.
    #[derive(Clone, Debug, PartialEq)]
    pub struct AppPrincipal in "principals" by [app_id, id] {
        /// The app.
        pub app_id: AppId,
        /// The object id or client id of the principal.
        pub id: PrincipalId,
        /// Whether it is a user or an application.
        pub kind: PrincipalKind,
        /// The directory of a user.
        pub tenant_id: Option<TenantId>,
        /// What it may do.
        pub roles: Roles,
        /// The tag of its state.
        pub etag: Etag,
        /// Whose tokens an application has its roles with.
        pub token_tenant: TokenTenant as (token_tenant_id, any_token_tenant),
        /// Since when it may approve rollouts, if it may; for longer than anybody kept where that is not known.
        pub approves_since: Option<Instant>,
    }
}

impl Field for TokenTenant {
    const COLUMNS: &'static [(Kind, bool)] = &[(Kind::Guid, true), (Kind::Bool, false)];

    fn read(row: &Row<'_>, at: &mut usize) -> Result<Self, StoreError> {
        let tenant: Option<TenantId> = Field::read(row, at)?;
        let any: bool = Field::read(row, at)?;
        Ok(match tenant {
            _ if any => Self::Any,
            Some(tenant) => Self::Also(tenant),
            None => Self::Publisher,
        })
    }

    fn write(&self, values: &mut Vec<Value>) {
        let tenant = match self {
            Self::Also(tenant) => Some(*tenant),
            Self::Publisher | Self::Any => None,
        };
        values.extend([tenant.into(), (*self == Self::Any).into()]);
    }
}

/// What the caller may know and do about an app: its roles, and whether the country was added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppAccess {
    /// What it may do.
    pub roles: Roles,
    /// Whether the app was added to the country that was asked about.
    pub has_country: bool,
    /// What the run of a pipeline is confined to besides.
    pub grant: Option<Grant>,
}

struct AppAccessRow(Roles, i64);

impl FromRow for AppAccessRow {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self(row.get(0)?, row.get(1)?))
    }
}

const APP_ACCESS: &str = concat!(
    "
    SELECT p.roles,
           (SELECT COUNT(*) FROM countries c WHERE c.app_id = p.app_id AND c.code = $6)
    FROM principals p
    WHERE p.app_id = $5 AND ",
    is_caller!()
);

fn app_access_of(rows: Vec<AppAccessRow>) -> AppAccess {
    let roles = rows.iter().fold(Roles::NONE, |all, row| all.union(row.0));
    let has_country = rows.iter().any(|row| row.1 > 0);
    AppAccess {
        roles,
        has_country,
        grant: None,
    }
}

/// The caller's access to an app; `country` may be empty where none is asked about.
pub async fn app_access(
    db: &Db,
    principal: PrincipalRef,
    app: AppId,
    country: &str,
) -> Result<AppAccess, StoreError> {
    if principal.is_run() {
        return publishers::app_access(db, principal, app, country).await;
    }
    let query = db
        .query(APP_ACCESS)
        .bind_all(principal.values())
        .bind(app)
        .bind(country);
    query.fetch_all().await.map(app_access_of)
}

/// The same within a transaction.
pub async fn app_access_in(
    tx: &mut Tx<'_>,
    principal: PrincipalRef,
    app: AppId,
    country: &str,
) -> Result<AppAccess, StoreError> {
    if principal.is_run() {
        return publishers::app_access_in(tx, principal, app, country).await;
    }
    let query = tx
        .query(APP_ACCESS)
        .bind_all(principal.values())
        .bind(app)
        .bind(country);
    query.fetch_all().await.map(app_access_of)
}

const APPS_OF: &str = concat!(
    "SELECT a.id FROM apps a WHERE EXISTS (SELECT 1 FROM principals p WHERE p.app_id = a.id AND ",
    is_caller!(),
    ")"
);

fn apps_of_caller(principal: PrincipalRef) -> &'static str {
    if principal.is_run() {
        app_of_run!()
    } else {
        APPS_OF
    }
}

/// The apps that the caller has a role on.
pub async fn apps_of(db: &Db, principal: PrincipalRef) -> Result<HashSet<AppId>, StoreError> {
    let rows: Vec<(AppId,)> = db
        .query(apps_of_caller(principal))
        .bind_all(principal.values())
        .fetch_all()
        .await?;
    Ok(rows.into_iter().map(|(app,)| app).collect())
}

/// The same within a transaction.
pub async fn apps_of_in(tx: &mut Tx<'_>, principal: PrincipalRef) -> Result<HashSet<AppId>, StoreError> {
    let rows: Vec<(AppId,)> = tx
        .query(apps_of_caller(principal))
        .bind_all(principal.values())
        .fetch_all()
        .await?;
    Ok(rows.into_iter().map(|(app,)| app).collect())
}

/// One principal, if the caller has a role on the app.
pub async fn find_principal(
    db: &Db,
    principal: PrincipalRef,
    app: AppId,
    id: PrincipalId,
) -> Result<Option<AppPrincipal>, StoreError> {
    db.query(format!(
        "SELECT {}
         FROM principals t
         WHERE t.app_id = $5 AND t.id = $6 AND {}",
        AppPrincipal::COLUMNS,
        principal.has_role()
    ))
    .bind_all(principal.values())
    .bind(app)
    .bind(id)
    .fetch_optional()
    .await
}

/// One principal within a transaction, its row locked.
pub async fn lock_principal(
    tx: &mut Tx<'_>,
    app: AppId,
    id: PrincipalId,
) -> Result<Option<AppPrincipal>, StoreError> {
    tx.query(format!(
        "SELECT {} FROM principals t WHERE t.app_id = $1 AND t.id = $2 FOR UPDATE",
        AppPrincipal::COLUMNS
    ))
    .bind(app)
    .bind(id)
    .fetch_optional()
    .await
}

/// How many owners an app has besides `except`. The app's row must be locked, or two owners may go at once.
pub async fn other_owners(tx: &mut Tx<'_>, app: AppId, except: PrincipalId) -> Result<i64, StoreError> {
    let owner = Roles::NONE.with(Role::Owner).bits();
    tx.query(
        "SELECT COUNT(*)
         FROM principals
         WHERE app_id = $1 AND id <> $2 AND (roles & $3) <> 0",
    )
    .bind(app)
    .bind(except)
    .bind(owner)
    .fetch_one::<(i64,)>()
    .await
    .map(|(count,)| count)
}

/// How many principals an app has.
pub async fn count_principals(tx: &mut Tx<'_>, app: AppId) -> Result<u64, StoreError> {
    tx.query("SELECT COUNT(*) FROM principals WHERE app_id = $1")
        .bind(app)
        .fetch_one::<(u64,)>()
        .await
        .map(|(count,)| count)
}

/// Adds a principal, or replaces it. The app's row must be locked, so that what was read of it before still holds.
pub async fn save_principal(tx: &mut Tx<'_>, principal: &AppPrincipal) -> Result<(), StoreError> {
    tx.add(principal)
        .clause(
            "ON CONFLICT (app_id, id) DO UPDATE
             SET kind = excluded.kind, tenant_id = excluded.tenant_id, roles = excluded.roles, etag = excluded.etag,
                 token_tenant_id = excluded.token_tenant_id, any_token_tenant = excluded.any_token_tenant,
                 approves_since = excluded.approves_since",
        )
        .execute()
        .await
        .map(drop)
}

/// An app on which one of these applications has a role.
pub async fn app_of_principal(tx: &mut Tx<'_>, ids: [Uuid; 2]) -> Result<Option<AppId>, StoreError> {
    let app: Option<(AppId,)> = tx
        .query("SELECT app_id FROM principals WHERE id IN ($1, $2) ORDER BY app_id LIMIT 1")
        .bind_all(ids.map(Value::from))
        .fetch_optional()
        .await?;
    Ok(app.map(|(app,)| app))
}

/// Removes a principal.
pub async fn delete_principal(tx: &mut Tx<'_>, app: AppId, id: PrincipalId) -> Result<(), StoreError> {
    tx.query("DELETE FROM principals WHERE app_id = $1 AND id = $2")
        .bind(app)
        .bind(id)
        .execute()
        .await
        .map(drop)
}

fn owners() -> String {
    format!(
        "SELECT {}
         FROM principals t
         WHERE t.app_id = $1 AND (t.roles & 1) <> 0
         ORDER BY t.id",
        AppPrincipal::COLUMNS
    )
}

/// The owners of an app, for the operator.
pub async fn owners_of(db: &Db, app: AppId) -> Result<Vec<AppPrincipal>, StoreError> {
    db.query(owners()).bind(app).fetch_all().await
}

/// The owners of several apps, in the same order for each.
pub async fn owners_of_all(db: &Db, apps: &[AppId]) -> Result<Vec<AppPrincipal>, StoreError> {
    let sql = format!(
        "SELECT {} FROM principals t WHERE t.app_id IN ({}) AND (t.roles & 1) <> 0 ORDER BY t.id",
        AppPrincipal::COLUMNS,
        placeholders(apps.len())
    );
    let apps = apps.iter().copied().map(Value::from);
    db.query(sql).bind_all(apps).fetch_all().await
}

/// The same within a transaction.
pub async fn owners_in(tx: &mut Tx<'_>, app: AppId) -> Result<Vec<AppPrincipal>, StoreError> {
    tx.query(owners()).bind(app).fetch_all().await
}
