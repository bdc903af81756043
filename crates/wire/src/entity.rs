//! Entities, and the two formats in which they are shown.
//!
//! Each entity is described once, as a list of properties in the documented order. From that description come
//! its bare format, its OData format, every `$select` of it, and its reading by clients, so that none of them can
//! know a property that another has forgotten.

use crate::{
    format::ResponseFormat,
    value::{EdmType, Presence, write_text},
};
use domain::ids::Etag;
use std::marker::PhantomData;

/// Something with named properties.
pub trait Entity {
    /// The name of its type in the description that OData clients read.
    const NAME: &'static str;

    /// The names of all properties, in the documented order.
    const PROPERTIES: &'static [&'static str];

    /// The same names as JSON writes them before a value, in quotes and with a colon.
    const MEMBERS: &'static [&'static str];

    /// The types of the same properties.
    const TYPES: &'static [EdmType];

    /// How many of them, from the first on, are shown to those who select none. The others are shown only to those who
    /// select them.
    const SHOWN: usize;

    /// The names of those that identify it; a `$select` always keeps them.
    const KEYS: &'static [&'static str];

    /// The value unique to its state, if it has one.
    fn etag(&self) -> Option<Etag>;

    /// Appends the value of the property at `index` of [`Entity::PROPERTIES`].
    fn write_property(&self, index: usize, format: ResponseFormat, out: &mut Vec<u8>) -> Presence;

    /// Where the property called `name` stands: spelled exactly so, or else so but for case.
    #[must_use]
    fn position(name: &str) -> Option<usize> {
        let exact = Self::PROPERTIES.iter().position(|property| *property == name);
        exact.or_else(|| {
            Self::PROPERTIES
                .iter()
                .position(|property| property.eq_ignore_ascii_case(name))
        })
    }
}

/// How entities of one kind are written: in which format, and which of their properties.
///
/// Made once for an answer, used for each of its rows.
#[derive(Clone, Debug)]
pub struct Projection<E> {
    format: ResponseFormat,
    /// Indices in [`Entity::PROPERTIES`].
    indices: Vec<usize>,
    entity: PhantomData<fn(&E)>,
}

impl<E: Entity> Projection<E> {
    /// All properties but those that are shown only when they are selected.
    #[must_use]
    pub fn all(format: ResponseFormat) -> Self {
        Self::of(format, |index| index < E::SHOWN)
    }

    /// The properties at `selected` of [`Entity::PROPERTIES`], and the keys, in the documented order.
    #[must_use]
    pub fn select(format: ResponseFormat, selected: &[usize]) -> Self {
        Self::of(format, |index| {
            let name = E::PROPERTIES.get(index);
            selected.contains(&index) || name.is_some_and(|name| E::KEYS.contains(name))
        })
    }

    fn of(format: ResponseFormat, is_wanted: impl Fn(usize) -> bool) -> Self {
        let indices = (0..E::PROPERTIES.len())
            .filter(|&index| is_wanted(index))
            .collect();
        Self {
            format,
            indices,
            entity: PhantomData,
        }
    }

    /// The format in which it writes.
    #[must_use]
    pub fn format(&self) -> ResponseFormat {
        self.format
    }

    /// Where the properties stand in [`Entity::PROPERTIES`].
    pub(crate) fn indices(&self) -> &[usize] {
        &self.indices
    }

    /// Appends `entity` as a row of a list.
    pub fn write(&self, entity: &E, out: &mut Vec<u8>) {
        self.write_object(None, entity, out);
    }

    /// Appends `entity` as an answer of its own; `context` is the context URL of the OData format.
    pub fn write_single(&self, entity: &E, context: &str, out: &mut Vec<u8>) {
        self.write_object(Some(context), entity, out);
    }

    /// [`Projection::write_single`] into a buffer of its own.
    #[must_use]
    pub fn single(&self, entity: &E, context: &str) -> Vec<u8> {
        let mut out = Vec::with_capacity(1024);
        self.write_single(entity, context, &mut out);
        out
    }

    fn write_object(&self, context: Option<&str>, entity: &E, out: &mut Vec<u8>) {
        out.push(b'{');
        let empty = out.len();
        if self.format == ResponseFormat::OData {
            write_control(context, entity.etag(), out);
        }
        for &index in &self.indices {
            let is_first = out.len() == empty;
            write_member(entity, index, self.format, is_first, out);
        }
        out.push(b'}');
    }
}

/// Appends what OData puts before an entity's properties.
fn write_control(context: Option<&str>, etag: Option<Etag>, out: &mut Vec<u8>) {
    if let Some(context) = context {
        out.extend_from_slice(b"\"@odata.context\":");
        write_text(context, out);
    }
    if let Some(etag) = etag {
        if context.is_some() {
            out.push(b',');
        }
        let mut buffer = uuid::Uuid::encode_buffer();
        out.extend_from_slice(b"\"@odata.etag\":\"W/\\\"");
        out.extend_from_slice(etag.0.hyphenated().encode_lower(&mut buffer).as_bytes());
        out.extend_from_slice(b"\\\"\"");
    }
}

/// Appends one property, or leaves no trace of it where the format shows none.
#[expect(
    clippy::indexing_slicing,
    reason = "a projection has indices of its entity alone"
)]
fn write_member<E: Entity>(
    entity: &E,
    index: usize,
    format: ResponseFormat,
    is_first: bool,
    out: &mut Vec<u8>,
) {
    let before = out.len();
    if !is_first {
        out.push(b',');
    }
    out.extend_from_slice(E::MEMBERS[index].as_bytes());
    match (entity.write_property(index, format, out), format) {
        (Presence::Value, _) | (Presence::Usual, ResponseFormat::OData) => {}
        (Presence::Null, ResponseFormat::OData) => out.extend_from_slice(b"null"),
        (Presence::Null | Presence::Usual, ResponseFormat::Bare) => out.truncate(before),
    }
}

/// The whole entity as it stands in the bare format.
#[must_use]
pub fn to_json<E: Entity>(entity: &E) -> Vec<u8> {
    Projection::all(ResponseFormat::Bare).single(entity, "")
}

/// Appends an entity inside another: all of it, without control information.
pub(crate) fn write_nested<E: Entity>(entity: &E, format: ResponseFormat, out: &mut Vec<u8>) {
    out.push(b'{');
    let empty = out.len();
    for index in 0..E::SHOWN {
        let is_first = out.len() == empty;
        write_member(entity, index, format, is_first, out);
    }
    out.push(b'}');
}

/// Describes an entity: its name and its properties in the documented order, each as it is called in Rust and on the wire.
///
/// Properties that another service, or an older one, may not send are marked `#[serde(default)]`. Those that are shown
/// only when they are selected stand in a block of their own behind the others, and have a value for when they are not.
macro_rules! entity {
    (
        $(#[$doc:meta])*
        $name:ident $called:literal keyed by [$($key:literal),*] $(tagged by $etag:ident)? {
            $($(#[$attribute:meta])* $field:ident $wire:tt: $type:ty,)+
        }
        $(when selected {
            $($(#[$selected_attribute:meta])* $selected:ident $selected_wire:tt: $selected_type:ty,)+
        })?
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, utoipa::ToSchema)]
        pub struct $name {
            $(
                $(#[$attribute])*
                #[serde(rename = $wire, deserialize_with = "crate::value::read")]
                pub $field: $type,
            )+
            $($(
                $(#[$selected_attribute])*
                #[serde(rename = $selected_wire, default, deserialize_with = "crate::value::read")]
                pub $selected: $selected_type,
            )+)?
        }

        impl $crate::entity::Entity for $name {
            const NAME: &'static str = $called;
            const PROPERTIES: &'static [&'static str] = &[$($wire,)+ $($($selected_wire),+)?];
            const MEMBERS: &'static [&'static str] =
                &[$(concat!("\"", $wire, "\":"),)+ $($(concat!("\"", $selected_wire, "\":")),+)?];
            const TYPES: &'static [$crate::value::EdmType] = &[
                $(<$type as $crate::value::Value>::TYPE,)+
                $($(<$selected_type as $crate::value::Value>::TYPE),+)?
            ];
            const SHOWN: usize = [$($wire),+].len();
            const KEYS: &'static [&'static str] = &[$($key),*];

            fn etag(&self) -> Option<domain::ids::Etag> {
                None$(.or(Some(self.$etag)))?
            }

            fn write_property(
                &self,
                index: usize,
                format: $crate::ResponseFormat,
                out: &mut Vec<u8>,
            ) -> $crate::value::Presence {
                #[expect(non_camel_case_types, reason = "named as the fields, to number them")]
                enum Place { $($field,)+ $($($selected),+)? }
                use $crate::value::Value;
                match index {
                    $(at if at == Place::$field as usize => self.$field.write(format, out),)+
                    $($(at if at == Place::$selected as usize => self.$selected.write(format, out),)+)?
                    _ => $crate::value::Presence::Null,
                }
            }
        }

        impl $crate::value::Value for $name {
            const TYPE: $crate::value::EdmType = $crate::value::EdmType::complex($called);

            fn write(&self, format: $crate::ResponseFormat, out: &mut Vec<u8>) -> $crate::value::Presence {
                $crate::entity::write_nested(self, format, out);
                $crate::value::Presence::Value
            }

            fn read<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                serde::Deserialize::deserialize(deserializer)
            }
        }
    };
}
pub(crate) use entity;
