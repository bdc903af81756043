//! `fame operator customers`: who administers which tenant's environments.

use crate::{
    args::{IfMatch, QueryArgs},
    failure::Failure,
    output::Column,
    session::Session,
};
use clap::{Args, Subcommand};
use domain::{
    ids::{TenantId, parse_guid},
    instant::Instant,
};
use reqwest::StatusCode;
use std::str::FromStr;
use uuid::Uuid;
use wire::operator::{CustomerBody, Partner, PartnerBody, RegisteredCustomer};

/// `fame operator customers …`
#[derive(Subcommand, Debug)]
pub(crate) enum CustomersCommand {
    /// List registered customers
    List(#[command(flatten)] QueryArgs),
    /// Show who administers a customer's environments
    Get {
        /// The customer's tenant
        customer: TenantId,
    },
    /// Register a customer, or replace what is registered of one
    Put {
        /// The customer's tenant
        customer: TenantId,
        /// A client id that may use the role AdminCenter.ReadWrite.All; repeatable
        #[arg(long = "client", value_name = "ID")]
        clients: Vec<Uuid>,
        /// An object or client id that administers without any role; repeatable
        #[arg(long = "administrator", value_name = "ID")]
        administrators: Vec<Uuid>,
        /// A partner who is let in, one person of theirs or all, until an instant; repeatable
        #[arg(long = "partner", value_name = "TENANT[/OBJECT]@UNTIL")]
        partners: Vec<PartnerUntil>,
        #[command(flatten)]
        called: Called,
        #[command(flatten)]
        condition: IfMatch,
    },
    /// Say what a customer is called, and leave everything else that is registered of it as it is
    Name {
        /// The customer's tenant
        customer: TenantId,
        #[command(flatten)]
        called: Called,
    },
    /// Remove what is registered of a customer; environments stay
    Delete {
        /// The customer's tenant
        customer: TenantId,
    },
}

/// What a customer is called.
#[derive(Args, Debug)]
pub(crate) struct Called {
    /// What vendors read in place of the tenant's id
    #[arg(long, value_name = "NAME")]
    display_name: Option<String>,
    /// The customer's domain, such as contoso.com
    #[arg(long, value_name = "DOMAIN")]
    domain: Option<String>,
    /// What operators note of the customer for themselves
    #[arg(long, value_name = "TEXT")]
    notes: Option<String>,
}

/// A partner as it is written on the command line.
#[derive(Clone, Debug)]
pub(crate) struct PartnerUntil(PartnerBody);

impl FromStr for PartnerUntil {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || format!("'{text}' is not of the form TENANT@UNTIL or TENANT/OBJECT@UNTIL");
        let (who, until) = text.split_once('@').ok_or_else(form)?;
        let until: Instant = until.parse().map_err(|error| format!("{error}"))?;
        let (tenant, object) = match who.split_once('/') {
            Some((tenant, object)) => (tenant, Some(object)),
            None => (who, None),
        };
        let guid = |text| parse_guid(text).map_err(|error| error.to_string());
        Ok(Self(PartnerBody {
            tenant_id: guid(tenant)?,
            object_id: object.map(guid).transpose()?,
            expires_on: until.to_string(),
        }))
    }
}

const CUSTOMERS: &[Column] = &[
    ("TENANT", "aadTenantId"),
    ("NAME", "displayName"),
    ("DOMAIN", "domain"),
    ("CLIENTS", "clients"),
    ("ADMINISTRATORS", "administrators"),
    ("PARTNERS", "partners"),
];

impl CustomersCommand {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let (client, printer) = (&session.client, session.printer);
        match self {
            Self::List(query) => {
                session
                    .print_list(client.list_customers(), query, CUSTOMERS)
                    .await
            }
            Self::Get { customer } => session.print_one(client.get_customer(customer)).await,
            Self::Put {
                customer,
                clients,
                administrators,
                partners,
                called,
                condition,
            } => {
                let body = CustomerBody {
                    administrators,
                    clients,
                    partners: partners.into_iter().map(|partner| partner.0).collect(),
                    display_name: called.display_name,
                    domain: called.domain,
                    notes: called.notes,
                };
                let request = client.put_customer(customer, &body);
                session
                    .print_one(request.if_match(condition.if_match.as_deref()))
                    .await
            }
            Self::Name { customer, called } => {
                let (known, etag) = match client.get_customer(customer).await {
                    Ok(found) => {
                        let etag = found.etag.to_string();
                        (as_it_is(found), Some(etag))
                    }
                    Err(error) if error.refusal(StatusCode::NOT_FOUND).is_some() => Default::default(),
                    Err(error) => return Err(error.into()),
                };
                let body = CustomerBody {
                    display_name: called.display_name.or(known.display_name),
                    domain: called.domain.or(known.domain),
                    notes: called.notes.or(known.notes),
                    ..known
                };
                // Whoever changed it meanwhile may have let somebody in.
                let request = client.put_customer(customer, &body).if_match(etag.as_deref());
                session.print_one(request).await
            }
            Self::Delete { customer } => {
                client.delete_customer(customer).json().await?;
                printer.note(format!("Customer {customer} is not registered any more."));
                Ok(())
            }
        }
    }
}

/// What says of a customer what is registered of it already.
fn as_it_is(found: RegisteredCustomer) -> CustomerBody {
    let partner = |partner: Partner| PartnerBody {
        tenant_id: partner.tenant_id.0,
        object_id: partner.object_id,
        expires_on: partner.expires_on.to_string(),
    };
    CustomerBody {
        administrators: found.administrators,
        clients: found.clients,
        partners: found.partners.into_iter().map(partner).collect(),
        display_name: found.display_name,
        domain: found.domain,
        notes: found.notes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partner_is_a_tenant_and_perhaps_a_person_until_an_instant() {
        let (tenant, object) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let read = |text: &str| text.parse::<PartnerUntil>().map(|partner| partner.0);
        let whole = read(&format!("{tenant}@2027-01-31T00:00:00Z")).unwrap();
        assert_eq!((whole.tenant_id, whole.object_id), (tenant, None));
        assert_eq!(whole.expires_on, "2027-01-31T00:00:00.0000000Z");
        let one = read(&format!("{tenant}/{object}@2027-01-31T00:00:00Z")).unwrap();
        assert_eq!(one.object_id, Some(object));
        for wrong in [
            "",
            "x@2027-01-31T00:00:00Z",
            &format!("{tenant}"),
            &format!("{tenant}@tomorrow"),
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
