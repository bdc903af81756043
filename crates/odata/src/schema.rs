//! The shape of the entities that options are bound to: property names, their types, and how they compare.

use std::fmt;

/// An entity type: its properties in a fixed order. Bound expressions refer to a property by its index here.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Schema {
    /// The name of the entity type, for messages.
    pub name: String,
    /// All properties that options may name.
    pub properties: Vec<Property>,
    /// Indexes of the key properties: the tie-break of every order, always selected.
    pub keys: Vec<usize>,
}

impl Schema {
    /// A schema of these properties, keyed by those named in `keys` (unknown names are left out).
    pub fn new(name: &str, properties: Vec<Property>, keys: &[&str]) -> Schema {
        let keys = keys
            .iter()
            .filter_map(|key| Some(find(&properties, key)?.0))
            .collect();
        Schema {
            name: name.into(),
            properties,
            keys,
        }
    }

    /// The index of a property: the exact name first, then the name in any case.
    pub fn find(&self, name: &str) -> Option<usize> {
        find(&self.properties, name).map(|(index, _)| index)
    }
}

/// A property and its index, by exact name, then by name in any case.
pub(crate) fn find<'p>(properties: &'p [Property], name: &str) -> Option<(usize, &'p Property)> {
    let mut all = properties.iter().enumerate();
    let exact = all.clone().find(|(_, property)| property.name == name);
    exact.or_else(|| all.find(|(_, property)| property.name.eq_ignore_ascii_case(name)))
}

/// A property of an entity, or a member of a complex item.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Property {
    /// The name as it is written in JSON.
    pub name: String,
    /// What it holds.
    pub ty: Type,
    /// Whether it may be null; for readers of the schema, binding does not need it.
    pub nullable: bool,
}

impl Property {
    /// A property that is never null.
    pub fn new(name: &str, ty: impl Into<Type>) -> Property {
        Property {
            name: name.into(),
            ty: ty.into(),
            nullable: false,
        }
    }

    /// The same property, but it may be null.
    pub fn nullable(mut self) -> Property {
        self.nullable = true;
        self
    }
}

/// What a property holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Type {
    /// One value.
    Scalar(Scalar),
    /// Any number of values.
    Collection(Scalar),
    /// Any number of complex items with these members, such as the lines of an order.
    Complex(Vec<Property>),
}

impl From<Scalar> for Type {
    fn from(scalar: Scalar) -> Type {
        Type::Scalar(scalar)
    }
}

/// The type of one value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar {
    /// True or false; false sorts first.
    Boolean,
    /// An integer; `div` cuts fractions off.
    Int,
    /// A number with a fraction.
    Decimal,
    /// Text that compares by code point.
    String,
    /// Text that compares in a normal form. Text functions see what is stored.
    Folded(Fold),
    /// Four numbers that compare by number. Text functions see the canonical text.
    Version,
    /// A GUID.
    Guid,
    /// A point in time.
    DateTimeOffset,
    /// A calendar day.
    Date,
    /// A time on any day.
    TimeOfDay,
    /// A length of time.
    Duration,
    /// Bytes; equal or not.
    Binary,
    /// Named bits.
    Enumeration(&'static Enumeration),
}

impl Scalar {
    /// Whether text functions take it.
    pub(crate) fn is_textual(self) -> bool {
        matches!(self, Scalar::String | Scalar::Folded(_) | Scalar::Version)
    }

    /// Whether arithmetic takes it.
    pub(crate) fn is_numeric(self) -> bool {
        matches!(self, Scalar::Int | Scalar::Decimal)
    }
}

impl fmt::Display for Scalar {
    /// With an article, for messages: `a string`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Scalar::Boolean => "a Boolean",
            Scalar::Int => "an integer",
            Scalar::Decimal => "a number",
            Scalar::String | Scalar::Folded(_) => "a string",
            Scalar::Version => "a version",
            Scalar::Guid => "a GUID",
            Scalar::DateTimeOffset => "a date with time and offset",
            Scalar::Date => "a date",
            Scalar::TimeOfDay => "a time of day",
            Scalar::Duration => "a duration",
            Scalar::Binary => "binary data",
            Scalar::Enumeration(_) => "an enumeration",
        })
    }
}

/// The normal form under which a text property compares, such as upper case for currency codes.
#[derive(Clone, Copy)]
pub struct Fold {
    /// A name that tells folds apart.
    pub name: &'static str,
    /// Text to normal form.
    pub apply: fn(&str) -> String,
}

impl PartialEq for Fold {
    fn eq(&self, other: &Fold) -> bool {
        self.name == other.name
    }
}

impl fmt::Debug for Fold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fold({})", self.name)
    }
}

/// An enumeration whose members are bits, so that `has` makes sense.
#[derive(Debug, PartialEq)]
pub struct Enumeration {
    /// The qualified name, such as `Sales.Pattern`.
    pub name: &'static str,
    /// The members with their bits.
    pub members: &'static [(&'static str, i64)],
}

impl Enumeration {
    /// The or-ed bits of `A` or `A,B`: names in any case, or numbers that have no other bits than the members.
    pub fn parse(&self, text: &str) -> Option<i64> {
        text.split(',')
            .try_fold(0, |bits, member| Some(bits | self.member(member.trim())?))
    }

    fn member(&self, text: &str) -> Option<i64> {
        let named = self
            .members
            .iter()
            .find(|(member, _)| member.eq_ignore_ascii_case(text));
        if let Some((_, bits)) = named {
            return Some(*bits);
        }
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        let bits: i64 = text.parse().ok().filter(|_| is_number)?;
        let known = self.members.iter().fold(0, |known, (_, bits)| known | bits);
        (bits & !known == 0).then_some(bits)
    }
}
