//! Customers, as their operator registers them: who administers a tenant's environments.

use super::{Db, Field, Reader, Row, StoreError, Tx, Value, row::table, table::Kind};
use domain::{
    customer::{Administration, Partner},
    ids::{Etag, TenantId},
    instant::Instant,
};
use std::collections::BTreeSet;
use uuid::Uuid;

table! {
    /// A customer's tenant.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Customer in "customers" by [tenant_id] {
        /// The tenant.
        pub tenant_id: TenantId,
        /// Who administers its environments.
        pub administration: Administration as (administrators, clients, partners),
        /// The tag of its state.
        pub etag: Etag,
        /// What the operator calls it, and vendors read.
        pub display_name: Option<String>,
        /// Its domain.
        pub domain: Option<String>,
        /// What the operator notes of it, for operators alone.
        pub notes: Option<String>,
    }
}

/// Administrators, clients and partners, each a text of lines.
impl Field for Administration {
    const COLUMNS: &'static [(Kind, bool)] = &[(Kind::Text, false); 3];

    fn read(row: &Row<'_>, at: &mut usize) -> Result<Self, StoreError> {
        let mut lines = || -> Result<String, StoreError> { Field::read(row, at) };
        let ids = |text: String| -> Result<BTreeSet<Uuid>, StoreError> {
            let read: Result<_, _> = text.lines().map(str::parse).collect();
            read.map_err(StoreError::broken)
        };
        let administrators = ids(lines()?)?;
        let clients = ids(lines()?)?;
        let partners: Result<_, _> = lines()?.lines().map(read_partner).collect();
        Ok(Self {
            administrators,
            clients,
            partners: partners.map_err(StoreError::broken)?,
        })
    }

    fn write(&self, values: &mut Vec<Value>) {
        values.push(lines(&self.administrators, Uuid::to_string).into());
        values.push(lines(&self.clients, Uuid::to_string).into());
        values.push(lines(&self.partners, write_partner).into());
    }
}

fn lines<'a, T: 'a>(items: impl IntoIterator<Item = &'a T>, text: impl Fn(&T) -> String) -> String {
    let lines: Vec<_> = items.into_iter().map(text).collect();
    lines.join("\n")
}

/// Tenant, object and end; a dash where anybody of the tenant is meant.
fn write_partner(partner: &Partner) -> String {
    let object = partner
        .object_id
        .map_or("-".to_owned(), |object| object.to_string());
    format!("{} {object} {}", partner.tenant_id, partner.expires_on.0)
}

fn read_partner(line: &str) -> Result<Partner, Box<dyn std::error::Error + Send + Sync>> {
    let mut parts = line.split(' ');
    let mut part = || parts.next().ok_or("a partner without its parts");
    Ok(Partner {
        tenant_id: part()?.parse()?,
        object_id: match part()? {
            "-" => None,
            object => Some(object.parse()?),
        },
        expires_on: Instant(part()?.parse()?),
    })
}

fn one() -> String {
    format!(
        "SELECT {} FROM customers t WHERE t.tenant_id = $1",
        Customer::COLUMNS
    )
}

/// One customer.
pub async fn find_customer<'r, 't: 'r>(
    reader: impl Into<Reader<'r, 't>>,
    tenant: TenantId,
) -> Result<Option<Customer>, StoreError> {
    let mut reader = reader.into();
    reader.query(one()).bind(tenant).fetch_optional().await
}

/// One customer within a transaction, its row locked.
pub async fn lock_customer(tx: &mut Tx<'_>, tenant: TenantId) -> Result<Option<Customer>, StoreError> {
    tx.query(one())
        .clause("FOR UPDATE")
        .bind(tenant)
        .fetch_optional()
        .await
}

/// The tenants whose clients include this one.
pub async fn tenants_of_client(db: &Db, client: Uuid) -> Result<Vec<TenantId>, StoreError> {
    let rows = db
        .query("SELECT tenant_id FROM customers WHERE clients LIKE $1 ORDER BY tenant_id")
        .bind(format!("%{client}%"))
        .fetch_all::<(TenantId,)>()
        .await?;
    Ok(rows.into_iter().map(|(tenant,)| tenant).collect())
}

/// Registers a customer, or replaces what is known of one.
pub async fn save_customer(tx: &mut Tx<'_>, customer: &Customer) -> Result<(), StoreError> {
    tx.add(customer)
        .clause(
            "ON CONFLICT (tenant_id) DO UPDATE
             SET administrators = excluded.administrators, clients = excluded.clients, partners = excluded.partners,
                 etag = excluded.etag, display_name = excluded.display_name, domain = excluded.domain,
                 notes = excluded.notes",
        )
        .execute()
        .await
        .map(drop)
}

/// Removes a customer.
pub async fn delete_customer(tx: &mut Tx<'_>, tenant: TenantId) -> Result<(), StoreError> {
    tx.query("DELETE FROM customers WHERE tenant_id = $1")
        .bind(tenant)
        .execute()
        .await
        .map(drop)
}
