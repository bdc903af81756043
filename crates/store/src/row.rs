//! One declaration for what a row is: [`row!`] for what a statement brings, [`table!`] for a whole table.
//!
//! A field is written down once, with its meaning and its type. From that follow the struct, the list of columns that a
//! statement reads, how it is read, and, for a table, the statement that adds it and what exports say of it. The fields
//! stand in the order in which the migrations have the columns.
//!
//! A field is kept in the column of its name; `as (column)` says another, or several for what is kept in more than
//! one. `=> Location` says what a text is beyond being a text. A `derived` column follows from the fields, so it is
//! written and not read: the key by which something is found or sorted.

use super::{
    FromRow, Row, StoreError, Value,
    table::{Kind, Table},
    value::{FromColumn, from_column_as_text},
};
use std::{fmt::Display, str::FromStr};

/// What one column can hold.
pub trait ColumnValue {
    /// What an export knows of it.
    const KIND: Kind;
    /// Whether there may be nothing.
    const IS_OPTIONAL: bool = false;
    /// Both.
    const COLUMN: (Kind, bool) = (Self::KIND, Self::IS_OPTIONAL);

    /// It, on its way into a statement.
    fn value(&self) -> Value;
}

impl<T: ColumnValue> ColumnValue for Option<T> {
    const KIND: Kind = T::KIND;
    const IS_OPTIONAL: bool = true;

    fn value(&self) -> Value {
        self.as_ref().map_or(Value::Null, T::value)
    }
}

macro_rules! column_values {
    ($($kind:expr => $($kept:ty),+);+ $(;)?) => {
        $($(impl ColumnValue for $kept {
            const KIND: Kind = $kind;

            fn value(&self) -> Value {
                Value::from(self.clone())
            }
        })+)+
    };
}

column_values! {
    Kind::Guid => uuid::Uuid, domain::ids::AppId, domain::ids::TenantId, domain::ids::PrincipalId,
        domain::ids::OperationId, domain::ids::PackageId, domain::ids::Etag;
    Kind::Text => String, domain::country::CountryCode;
    Kind::VersionKey => [u8; 16];
    Kind::Int => i64, u32, u64, domain::principal::Roles;
    Kind::Ticks => domain::instant::Instant;
    Kind::Bool => bool;
    Kind::Digest => [u8; 32];
}

impl ColumnValue for domain::version::AppVersion {
    const KIND: Kind = Kind::Version;

    fn value(&self) -> Value {
        self.to_string().into()
    }
}

impl ColumnValue for domain::agent::Identity {
    const KIND: Kind = Kind::Word(is_word::<Self>);

    fn value(&self) -> Value {
        self.to_string().into()
    }
}

impl ColumnValue for domain::freeze::Frozen {
    const KIND: Kind = Kind::Word(is_word::<Self>);

    fn value(&self) -> Value {
        self.to_string().into()
    }
}

impl ColumnValue for domain::signer::SignerRule {
    const KIND: Kind = Kind::Word(is_word::<Self>);

    fn value(&self) -> Value {
        self.to_string().into()
    }
}

macro_rules! words {
    ($($word:ty),+ $(,)?) => {
        $(impl ColumnValue for $word {
            const KIND: Kind = Kind::Word(is_word::<Self>);

            fn value(&self) -> Value {
                self.as_str().into()
            }
        })+

        from_column_as_text! { $($word),+ }
    };
}

words! {
    domain::version::Availability,
    domain::version::VersionStatus,
    domain::version::SyncMode,
    domain::principal::PrincipalKind,
    domain::environment::EnvironmentKind,
    domain::environment::UpdateCadence,
    domain::environment::AppScope,
    domain::principal::CallerKind,
    domain::operation::OperationKind,
    domain::operation::OperationStatus,
    domain::operation::FailureCause,
    domain::webhook::WebhookFormat,
    domain::webhook::DeliveryStatus,
    domain::webhook::AttemptResult,
    domain::webhook::DisabledReason,
    domain::publisher::Provider,
    domain::publisher::PublisherState,
    domain::rollout::State,
    domain::rollout::Reason,
    domain::rollout::Outcome,
    domain::rollout::WaveState,
    domain::rollout::MemberState,
}

/// Whether a text is one of the words of `T`, written as the service writes it.
fn is_word<T: FromStr + Display>(text: &str) -> bool {
    text.parse::<T>().is_ok_and(|word| word.to_string() == text)
}

/// What a field of a row can be: kept in one column, or in several behind each other.
pub trait Field: Sized {
    /// What each of its columns holds, and whether it may be empty.
    const COLUMNS: &'static [(Kind, bool)];

    /// Reads it from the columns at `at`, which then is behind them.
    fn read(row: &Row<'_>, at: &mut usize) -> Result<Self, StoreError>;

    /// Adds the values of its columns.
    fn write(&self, values: &mut Vec<Value>);
}

impl<T: ColumnValue + FromColumn> Field for T {
    const COLUMNS: &'static [(Kind, bool)] = &[T::COLUMN];

    fn read(row: &Row<'_>, at: &mut usize) -> Result<Self, StoreError> {
        *at += 1;
        row.get(*at - 1)
    }

    fn write(&self, values: &mut Vec<Value>) {
        values.push(self.value());
    }
}

/// A row of a table, all of it.
pub trait Record: FromRow {
    /// The table.
    const TABLE: Table;

    /// The values of all columns, in their order.
    fn values(&self) -> Vec<Value>;
}

/// The names of a field's columns, with commas between.
macro_rules! select {
    ($field:ident) => {
        concat!("t.", stringify!($field))
    };
    ($field:ident $first:ident $($other:ident)*) => {
        concat!("t.", stringify!($first) $(, ", t.", stringify!($other))*)
    };
}
pub(crate) use select;

/// The same, one by one.
macro_rules! names {
    ($field:ident) => {
        [stringify!($field)]
    };
    ($field:ident $($column:ident)+) => {
        [$(stringify!($column)),+]
    };
}
pub(crate) use names;

/// What a field's columns hold.
macro_rules! kinds {
    ($ty:ty) => {
        <$ty as $crate::row::Field>::COLUMNS
    };
    ($ty:ty => $kind:ident) => {
        &[(
            $crate::table::Kind::$kind,
            <$ty as $crate::row::ColumnValue>::IS_OPTIONAL,
        )]
    };
}
pub(crate) use kinds;

/// Declares what a statement over the alias `t` reads: `COLUMNS`, in the order of the fields. Behind `from` stands a
/// row that has all that this one has.
macro_rules! row {
    (
        $(#[$meta:meta])*
        $vis:vis struct $row:ident from $whole:ident {
            $($(#[$doc:meta])* pub $field:ident: $ty:ty $(as ($($column:ident),+))?),+ $(,)?
        }
    ) => {
        $crate::row::row! {
            $(#[$meta])*
            $vis struct $row {
                $($(#[$doc])* pub $field: $ty $(as ($($column),+))?),+
            }
        }

        impl From<$whole> for $row {
            fn from(row: $whole) -> Self {
                Self {
                    $($field: row.$field),+
                }
            }
        }
    };
    (
        $(#[$meta:meta])*
        $vis:vis struct $row:ident {
            $($(#[$doc:meta])* pub $field:ident: $ty:ty $(as ($($column:ident),+))?),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        $vis struct $row {
            $($(#[$doc])* pub $field: $ty),+
        }

        impl $row {
            /// What it is read from, over the alias `t`.
            $vis const COLUMNS: &'static str =
                concat!($(", ", $crate::row::select!($field $($($column)+)?)),+).split_at(2).1;

            /// How many columns those are, for whoever reads more behind them.
            #[allow(dead_code, reason = "most statements read no more")]
            pub(crate) const WIDTH: usize = 0 $(+ <$ty as $crate::row::Field>::COLUMNS.len())+;
        }

        impl $crate::FromRow for $row {
            fn from_row(row: &$crate::Row<'_>) -> Result<Self, $crate::StoreError> {
                let mut at = 0;
                Ok(Self {
                    $($field: $crate::row::Field::read(row, &mut at)?),+
                })
            }
        }
    };
}
pub(crate) use row;

/// Declares a table and its rows.
macro_rules! table {
    (
        $(#[$meta:meta])*
        $vis:vis struct $row:ident in $table:literal by [$($key:ident),+] {
            $(
                $(derived $derived:ident($from:ident) -> $derived_ty:ty { $derive:expr })?
                $(
                    $(#[$doc:meta])*
                    pub $field:ident: $ty:ty $(=> $kind:ident)? $(as ($($column:ident),+))?
                )?,
            )+
        }
    ) => {
        $crate::row::row! {
            $(#[$meta])*
            $vis struct $row {
                $($($(#[$doc])* pub $field: $ty $(as ($($column),+))?,)?)+
            }
        }

        impl $crate::row::Record for $row {
            const TABLE: $crate::table::Table = {
                use $crate::{row::{kinds, names}, table::{Column, flat, total}};
                const GROUPS: &[&[Column]] = &[$(
                    $(&Column::each(
                        [stringify!($derived)],
                        &[<$derived_ty as $crate::row::ColumnValue>::COLUMN],
                    ))?
                    $(&Column::each(names!($field $($($column)+)?), kinds!($ty $(=> $kind)?)))?
                ),+];
                const COLUMNS: [Column; total(GROUPS)] = flat(GROUPS);
                $crate::table::Table {
                    name: $table,
                    columns: &COLUMNS,
                    key: &[$(stringify!($key)),+],
                }
            };

            fn values(&self) -> Vec<$crate::Value> {
                let mut values = Vec::with_capacity(Self::TABLE.columns.len());
                $(
                    $(
                        let derive: fn(&Self) -> $derived_ty = |$from| $derive;
                        values.push($crate::row::ColumnValue::value(&derive(self)));
                    )?
                    $($crate::row::Field::write(&self.$field, &mut values);)?
                )+
                values
            }
        }
    };
}
pub(crate) use table;
