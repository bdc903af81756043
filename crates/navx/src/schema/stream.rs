//! JSON taken apart while it is read: what nobody asks for is passed over, and what is kept is weighed.
//!
//! A few bytes of JSON can become a large thing in memory. So whatever is put on a list is charged to a budget first.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::unreadable::TOO_MUCH;

/// The most members of one object; compilers write twenty.
const MAX_MEMBERS: usize = 64;

/// The longest name, in bytes. AL allows names of 120 characters at most, which take four bytes each at most.
const MAX_NAME: usize = 500;

/// Bytes of memory that may still be filled.
#[derive(Debug)]
pub(super) struct Budget(Cell<usize>);

impl Budget {
    pub(super) fn new(bytes: usize) -> Self {
        Self(Cell::new(bytes))
    }

    fn charge<E: Error>(&self, bytes: usize) -> Result<(), E> {
        let left = self.0.get().checked_sub(bytes);
        self.0.set(left.ok_or_else(|| E::custom(TOO_MUCH))?);
        Ok(())
    }
}

/// What a JSON object becomes, member by member.
pub(super) trait Node: Default {
    /// Takes the value of the member `name`, or leaves it.
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        name: &str,
        value: &mut Member<'_, A>,
    ) -> Result<(), A::Error>;

    /// Bytes of memory beyond its own size and what was charged for its lists.
    fn weight(&self) -> usize {
        0
    }

    /// Whether it is worth keeping, once it is complete.
    fn is_kept(&self) -> bool {
        true
    }
}

/// The value of a member that is being read.
pub(super) struct Member<'b, A> {
    map: A,
    budget: &'b Budget,
    is_taken: bool,
}

impl<'de, A: MapAccess<'de>> Member<'_, A> {
    fn take<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, A::Error> {
        self.is_taken = true;
        self.map.next_value_seed(seed)
    }

    /// A text; a number or a truth value is taken as if it stood in quotes, and null is nothing.
    pub(super) fn text(&mut self) -> Result<Box<str>, A::Error> {
        self.take(Text)
    }

    /// The name of a thing, which everything that is told of it says again.
    pub(super) fn name(&mut self) -> Result<Box<str>, A::Error> {
        let name = self.text()?;
        if name.len() > MAX_NAME {
            return Err(A::Error::custom("a name is longer than any"));
        }
        Ok(name)
    }

    /// A whole number; 0 where it is no number, or none that objects have.
    pub(super) fn number(&mut self) -> Result<i64, A::Error> {
        Ok(self.text()?.parse().unwrap_or_default())
    }

    /// A truth value, in any spelling.
    pub(super) fn flag(&mut self) -> Result<bool, A::Error> {
        Ok(is_true(&self.text()?))
    }

    /// A list of texts.
    pub(super) fn texts(&mut self) -> Result<Vec<Box<str>>, A::Error> {
        let budget = self.budget;
        self.take(List::new(budget, Text, |text| Some(text.len())))
    }

    /// A list of objects.
    pub(super) fn list<T: Node>(&mut self) -> Result<Vec<T>, A::Error> {
        self.list_of(T::is_kept)
    }

    /// A list of those objects that are worth keeping.
    pub(super) fn list_of<T: Node>(&mut self, is_kept: impl Fn(&T) -> bool) -> Result<Vec<T>, A::Error> {
        let budget = self.budget;
        let item = Object {
            budget,
            node: PhantomData,
        };
        self.take(List::new(budget, item, |node: &T| {
            is_kept(node).then(|| node.weight())
        }))
    }

    /// One object.
    pub(super) fn object<T: Node>(&mut self) -> Result<T, A::Error> {
        let budget = self.budget;
        self.take(Object {
            budget,
            node: PhantomData,
        })
    }
}

/// Whether a value says yes.
pub(super) fn is_true(text: &str) -> bool {
    ["1", "true", "yes"]
        .iter()
        .any(|yes| text.eq_ignore_ascii_case(yes))
}

/// The object of which the whole document consists.
pub(super) fn document<'de, T: Node, D: Deserializer<'de>>(
    reader: D,
    budget: &Budget,
) -> Result<T, D::Error> {
    Object {
        budget,
        node: PhantomData,
    }
    .deserialize(reader)
}

#[derive(Clone, Copy)]
struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Box<str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Box<str>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = Box<str>;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Box<str>, E> {
        Ok(text.into())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Box<str>, E> {
        Ok(value.to_string().into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Box<str>, E> {
        Ok(value.to_string().into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Box<str>, E> {
        Ok(value.to_string().into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Box<str>, E> {
        Ok(value.to_string().into())
    }

    fn visit_unit<E: Error>(self) -> Result<Box<str>, E> {
        Ok(Box::default())
    }
}

/// A list, whose items are charged by `weight` or passed over; null is none.
struct List<'b, S, W> {
    budget: &'b Budget,
    item: S,
    weight: W,
}

impl<'b, S, W> List<'b, S, W> {
    fn new<'de>(budget: &'b Budget, item: S, weight: W) -> Self
    where
        S: DeserializeSeed<'de>,
        W: Fn(&S::Value) -> Option<usize>,
    {
        Self { budget, item, weight }
    }
}

impl<'de, S, W> DeserializeSeed<'de> for List<'_, S, W>
where
    S: DeserializeSeed<'de> + Copy,
    W: Fn(&S::Value) -> Option<usize>,
{
    type Value = Vec<S::Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, S, W> Visitor<'de> for List<'_, S, W>
where
    S: DeserializeSeed<'de> + Copy,
    W: Fn(&S::Value) -> Option<usize>,
{
    type Value = Vec<S::Value>;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut kept = Vec::new();
        loop {
            let before = self.budget.0.get();
            let Some(item) = items.next_element_seed(self.item)? else {
                break;
            };
            match (self.weight)(&item) {
                // Twice, for a list that grows is copied into one of twice its size.
                Some(weight) => {
                    self.budget.charge(weight + 2 * size_of::<S::Value>())?;
                    kept.push(item);
                }
                // What was in it goes with it.
                None => self.budget.0.set(before),
            }
        }
        kept.shrink_to_fit();
        Ok(kept)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }
}

struct Object<'b, T> {
    budget: &'b Budget,
    node: PhantomData<T>,
}

impl<T> Clone for Object<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Object<'_, T> {}

impl<'de, T: Node> DeserializeSeed<'de> for Object<'_, T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, T: Node> Visitor<'de> for Object<'_, T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        let mut node = T::default();
        let mut seen: Vec<String> = Vec::new();
        let (budget, is_taken) = (self.budget, true);
        let mut value = Member {
            map,
            budget,
            is_taken,
        };
        while let Some(name) = value.map.next_key::<String>()? {
            if seen.len() == MAX_MEMBERS || seen.contains(&name) {
                return Err(A::Error::custom("an object has a member twice, or too many"));
            }
            value.is_taken = false;
            node.member(&name, &mut value)?;
            if !value.is_taken {
                value.map.next_value::<IgnoredAny>()?;
            }
            seen.push(name);
        }
        Ok(node)
    }
}
