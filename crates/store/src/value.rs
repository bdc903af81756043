//! Values on their way into a statement and out of a row, the same for both databases.

use super::error::StoreError;
use rusqlite::types::{ToSqlOutput, ValueRef};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, private::BytesMut};
use uuid::Uuid;

/// A value bound to `$n`.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A number.
    Int(i64),
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A GUID.
    Uuid(Uuid),
}

macro_rules! value_from {
    ($($source:ty => |$value:ident| $made:expr),+ $(,)?) => {
        $(impl From<$source> for Value {
            fn from($value: $source) -> Self {
                $made
            }
        })+
    };
}

value_from! {
    bool => |value| Self::Bool(value),
    i64 => |value| Self::Int(value),
    u32 => |value| Self::Int(i64::from(value)),
    u64 => |value| Self::Int(i64::try_from(value).unwrap_or(i64::MAX)),
    &str => |value| Self::Text(value.to_owned()),
    String => |value| Self::Text(value),
    &String => |value| Self::Text(value.clone()),
    Vec<u8> => |value| Self::Bytes(value),
    &[u8] => |value| Self::Bytes(value.to_vec()),
    [u8; 16] => |value| Self::Bytes(value.to_vec()),
    [u8; 32] => |value| Self::Bytes(value.to_vec()),
    Uuid => |value| Self::Uuid(value),
    domain::ids::AppId => |value| Self::Uuid(value.0),
    domain::ids::TenantId => |value| Self::Uuid(value.0),
    domain::ids::PrincipalId => |value| Self::Uuid(value.0),
    domain::ids::OperationId => |value| Self::Uuid(value.0),
    domain::ids::PackageId => |value| Self::Uuid(value.0),
    domain::ids::Etag => |value| Self::Uuid(value.0),
    domain::instant::Instant => |value| Self::Int(value.0),
    domain::principal::Roles => |roles| Self::Int(roles.bits()),
    domain::country::CountryCode => |code| Self::Text(code.as_str().to_owned()),
    domain::version::AppVersion => |value| Self::Bytes(value.sort_key().to_vec()),
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Bool(value) => ValueRef::Integer(i64::from(*value)),
            Self::Int(value) => ValueRef::Integer(*value),
            Self::Text(value) => ValueRef::Text(value.as_bytes()),
            Self::Bytes(value) => ValueRef::Blob(value),
            Self::Uuid(value) => ValueRef::Blob(value.as_bytes()),
        }))
    }
}

impl ToSql for Value {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Bool(value) => value.to_sql(ty, out),
            Self::Int(value) if *ty == Type::INT4 => i32::try_from(*value)?.to_sql(ty, out),
            Self::Int(value) => value.to_sql(ty, out),
            Self::Text(value) => value.to_sql(ty, out),
            Self::Bytes(value) => value.to_sql(ty, out),
            Self::Uuid(value) => value.to_sql(ty, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn to_sql_checked(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        ToSql::to_sql(self, ty, out)
    }
}

/// A row of either database, while it is being read.
pub enum Row<'r> {
    /// Of a file.
    Sqlite(&'r rusqlite::Row<'r>),
    /// Of a server.
    Postgres(&'r tokio_postgres::Row),
}

impl Row<'_> {
    /// The column at `index`, counted from 0.
    pub fn get<T: FromColumn>(&self, index: usize) -> Result<T, StoreError> {
        match self {
            Self::Sqlite(row) => T::from_sqlite(row.get_ref(index)?),
            Self::Postgres(row) => T::from_postgres(row, index),
        }
    }

    /// How many columns it has.
    pub(crate) fn width(&self) -> usize {
        match self {
            Self::Sqlite(row) => row.as_ref().column_count(),
            Self::Postgres(row) => row.len(),
        }
    }

    /// How many bytes its texts have, or all of it, whichever the database tells.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Sqlite(row) => {
                let columns = 0..row.as_ref().column_count();
                columns
                    .map(|index| match row.get_ref(index) {
                        Ok(ValueRef::Text(bytes) | ValueRef::Blob(bytes)) => bytes.len(),
                        _ => 0,
                    })
                    .sum()
            }
            Self::Postgres(row) => row.raw_size_bytes(),
        }
    }
}

/// What one row means.
pub trait FromRow: Sized + Send + 'static {
    /// Reads it from its columns, in the order of the statement.
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError>;
}

/// What one column means.
pub trait FromColumn: Sized {
    /// Reads it as SQLite has it.
    fn from_sqlite(value: ValueRef<'_>) -> Result<Self, StoreError>;
    /// Reads it as PostgreSQL has it, at this column.
    fn from_postgres(row: &tokio_postgres::Row, index: usize) -> Result<Self, StoreError>;
}

fn unexpected(wanted: &str, found: ValueRef<'_>) -> StoreError {
    StoreError::broken(format!(
        "a column holds {:?} where {wanted} belongs",
        found.data_type()
    ))
}

macro_rules! from_column {
    ($($target:ty, $word:literal, |$value:ident| $read:expr);+ $(;)?) => {
        $(impl FromColumn for $target {
            fn from_sqlite($value: ValueRef<'_>) -> Result<Self, StoreError> {
                $read.ok_or_else(|| unexpected($word, $value))
            }

            fn from_postgres(row: &tokio_postgres::Row, index: usize) -> Result<Self, StoreError> {
                Ok(row.try_get(index)?)
            }
        })+
    };
}

from_column! {
    i64, "a number", |value| value.as_i64().ok();
    bool, "a truth value", |value| value.as_i64().ok().map(|number| number != 0);
    String, "a text", |value| value.as_str().ok().map(str::to_owned);
    Vec<u8>, "bytes", |value| value.as_blob().ok().map(<[u8]>::to_vec);
    Uuid, "a GUID", |value| value.as_blob().ok().and_then(|bytes| Uuid::from_slice(bytes).ok());
}

/// Takes any value of PostgreSQL's, to distinguish a value from none.
struct Present;

impl<'a> FromSql<'a> for Present {
    fn from_sql(_: &Type, _: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self)
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

impl<T: FromColumn> FromColumn for Option<T> {
    fn from_sqlite(value: ValueRef<'_>) -> Result<Self, StoreError> {
        match value {
            ValueRef::Null => Ok(None),
            value => T::from_sqlite(value).map(Some),
        }
    }

    fn from_postgres(row: &tokio_postgres::Row, index: usize) -> Result<Self, StoreError> {
        match row.try_get::<_, Option<Present>>(index)? {
            None => Ok(None),
            Some(Present) => T::from_postgres(row, index).map(Some),
        }
    }
}

/// What is made of a value that columns can hold.
macro_rules! from_column_by {
    ($($target:ty: $stored:ty, |$value:ident| $made:expr);+ $(;)?) => {
        $(impl $crate::value::FromColumn for $target {
            fn from_sqlite(value: rusqlite::types::ValueRef<'_>) -> Result<Self, $crate::StoreError> {
                let $value = <$stored as $crate::value::FromColumn>::from_sqlite(value)?;
                $made
            }

            fn from_postgres(row: &tokio_postgres::Row, index: usize) -> Result<Self, $crate::StoreError> {
                let $value = <$stored as $crate::value::FromColumn>::from_postgres(row, index)?;
                $made
            }
        })+
    };
}
pub(crate) use from_column_by;

/// What is read from a text and keeps nothing of it.
macro_rules! from_column_as_text {
    ($($target:ty),+ $(,)?) => {
        $(impl $crate::value::FromColumn for $target {
            fn from_sqlite(value: rusqlite::types::ValueRef<'_>) -> Result<Self, $crate::StoreError> {
                $crate::value::text_of(value)?.parse().map_err($crate::StoreError::broken)
            }

            fn from_postgres(row: &tokio_postgres::Row, index: usize) -> Result<Self, $crate::StoreError> {
                row.try_get::<_, &str>(index)?.parse().map_err($crate::StoreError::broken)
            }
        })+
    };
}
pub(crate) use from_column_as_text;

/// The text that a column of SQLite holds.
pub(crate) fn text_of<'v>(value: ValueRef<'v>) -> Result<&'v str, StoreError> {
    value.as_str().map_err(|_| unexpected("a text", value))
}

/// A word or number that only we write, read back.
fn stored<T, E: Into<Box<dyn std::error::Error + Send + Sync>>>(read: Result<T, E>) -> Result<T, StoreError> {
    read.map_err(StoreError::broken)
}

from_column_by! {
    domain::ids::AppId: Uuid, |id| Ok(Self(id));
    domain::ids::TenantId: Uuid, |id| Ok(Self(id));
    domain::ids::PrincipalId: Uuid, |id| Ok(Self(id));
    domain::ids::OperationId: Uuid, |id| Ok(Self(id));
    domain::ids::PackageId: Uuid, |id| Ok(Self(id));
    domain::ids::Etag: Uuid, |id| Ok(Self(id));
    domain::instant::Instant: i64, |ticks| Ok(Self(ticks));
    domain::principal::Roles: i64, |bits| Ok(Self::from_bits(bits));
    u64: i64, |number| Ok(number.unsigned_abs());
    u32: i64, |number| stored(Self::try_from(number));
    [u8; 32]: Vec<u8>, |bytes| stored(bytes.try_into().map_err(|_| "a digest is not 32 bytes long"));
}

from_column_as_text! {
    domain::agent::Identity,
    domain::country::CountryCode,
    domain::freeze::Frozen,
    domain::signer::SignerRule,
    domain::version::AppVersion,
}

/// A single column as a row of its own.
impl<T: FromColumn + Send + 'static> FromRow for (T,) {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok((row.get(0)?,))
    }
}

impl<A: FromColumn + Send + 'static, B: FromColumn + Send + 'static> FromRow for (A, B) {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok((row.get(0)?, row.get(1)?))
    }
}
