//! Identities. Each kind of GUID has a type of its own, so that an environment's tenant cannot be passed
//! where an app is meant.

use std::{fmt, str::FromStr};
use uuid::Uuid;

/// The text was no GUID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a GUID")]
pub struct InvalidGuid(pub String);

/// Reads a GUID as callers write it: any case, with or without braces, with or without dashes.
///
/// # Errors
/// [`InvalidGuid`] with the text, when it is none.
pub fn parse_guid(text: &str) -> Result<Uuid, InvalidGuid> {
    let is_plain = matches!(text.len(), 32 | 36 | 38);
    let parsed = if is_plain {
        Uuid::try_parse(text).ok()
    } else {
        None
    };
    parsed.ok_or_else(|| InvalidGuid(text.chars().take(80).collect()))
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new random identity.
            #[must_use]
            pub fn random() -> Self {
                Self(Uuid::new_v4())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidGuid;

            fn from_str(text: &str) -> Result<Self, InvalidGuid> {
                parse_guid(text).map(Self)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }
    };
}

id! {
    /// An app; the same across all its versions.
    AppId
}
id! {
    /// A Microsoft Entra tenant: a publisher's or a customer's organisation.
    TenantId
}
id! {
    /// A user's object id, or an application's client id.
    PrincipalId
}
id! {
    /// One operation: a hotfix request and what became of it.
    OperationId
}
id! {
    /// The GUID in a package's header.
    PackageId
}
id! {
    /// A value unique to an entity's current state.
    Etag
}

impl OperationId {
    /// A new identity that sorts by the moment it was made, so that operations stay close together on disk.
    #[must_use]
    pub fn new_ordered() -> Self {
        Self(Uuid::now_v7())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guids_are_read_as_callers_write_them() {
        let plain: AppId = "aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb".parse().unwrap();
        for text in [
            "AAAAAAAA-0000-1111-2222-BBBBBBBBBBBB",
            "{aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb}",
            "aaaaaaaa000011112222bbbbbbbbbbbb",
        ] {
            assert_eq!(text.parse::<AppId>().unwrap(), plain, "{text}");
        }
        assert_eq!(plain.to_string(), "aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb");
    }

    #[test]
    fn what_is_no_guid_is_named() {
        for text in [
            "",
            "x",
            "urn:uuid:aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb",
            "aaaaaaaa-0000-1111-2222-bbbbbbbbbbbz",
        ] {
            assert_eq!(text.parse::<AppId>().unwrap_err(), InvalidGuid(text.into()));
        }
    }
}
