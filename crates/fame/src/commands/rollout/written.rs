//! What somebody wrote in TOML or JSON, with the place of each part, so that whatever is wrong with it can be told where it
//! stands.

use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Map, Number, Value};
use std::{iter::Peekable, str::CharIndices};
use toml::{Spanned, de::DeTable, de::DeValue};

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Toml,
    Json,
}

/// What is wrong, and at which byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// What is wrong.
    pub what: String,
    /// The byte at which it stands.
    pub at: usize,
}

/// A part of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// The byte at which it begins.
    pub at: usize,
    /// What it is.
    pub is: Is,
}

/// What a part is. Numbers stay as they are written: nothing is rounded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Is {
    Null,
    Bool(bool),
    Number(String),
    /// A text; also a time of TOML.
    Text(String),
    List(Vec<Part>),
    Table(Vec<Member>),
}

/// A member of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// What it is called.
    pub name: String,
    /// The byte at which its name stands.
    pub at: usize,
    /// What it is.
    pub part: Part,
}

impl Part {
    /// Reads a whole file.
    ///
    /// # Errors
    /// What is wrong with how it is written.
    pub(super) fn read(text: &str, format: Format) -> Result<Self, Wrong> {
        match format {
            Format::Toml => of_toml(text),
            Format::Json => of_json(text),
        }
    }

    /// What kind of thing it is, in words.
    pub(super) fn kind(&self) -> &'static str {
        match self.is {
            Is::Null => "nothing",
            Is::Bool(_) => "yes or no",
            Is::Number(_) => "a number",
            Is::Text(_) => "a text",
            Is::List(_) => "a list",
            Is::Table(_) => "a table",
        }
    }

    /// The same as JSON.
    pub(super) fn to_json(&self) -> Value {
        match &self.is {
            Is::Null => Value::Null,
            Is::Bool(yes) => Value::Bool(*yes),
            Is::Number(number) => serde_json::from_str::<Number>(number).map_or(Value::Null, Value::Number),
            Is::Text(text) => Value::String(text.clone()),
            Is::List(parts) => parts.iter().map(Self::to_json).collect(),
            Is::Table(members) => {
                let each = members
                    .iter()
                    .map(|member| (member.name.clone(), member.part.to_json()));
                Value::Object(each.collect::<Map<_, _>>())
            }
        }
    }

    /// The part that a way such as `waves[1].take.count` leads to, or as much of the way as there is.
    pub(super) fn along(&self, way: &str) -> &Self {
        let mut part = self;
        for step in way.split(['.', '[', ']']).filter(|step| !step.is_empty()) {
            let next = match &part.is {
                Is::Table(members) => members
                    .iter()
                    .find(|member| member.name == step)
                    .map(|member| &member.part),
                Is::List(parts) => step.parse().ok().and_then(|place: usize| parts.get(place)),
                _ => None,
            };
            match next {
                Some(next) => part = next,
                None => break,
            }
        }
        part
    }

    /// Something wrong with it.
    pub(super) fn wrong(&self, what: impl Into<String>) -> Wrong {
        Wrong {
            what: what.into(),
            at: self.at,
        }
    }
}

/// The line and the column of a byte, from 1; columns count characters.
pub(super) fn place(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

fn of_toml(text: &str) -> Result<Part, Wrong> {
    let read = DeTable::parse(text).map_err(|error| Wrong {
        what: error.message().to_owned(),
        at: error.span().unwrap_or_default().start,
    })?;
    Ok(Part {
        at: 0,
        is: table_of_toml(read.get_ref()),
    })
}

fn table_of_toml(table: &DeTable<'_>) -> Is {
    let member = |(name, part): (&Spanned<_>, &Spanned<DeValue<'_>>)| Member {
        name: AsRef::<str>::as_ref(name.get_ref()).to_owned(),
        at: name.span().start,
        part: part_of_toml(part),
    };
    let mut members: Vec<Member> = table.iter().map(member).collect();
    members.sort_by_key(|member| member.at);
    Is::Table(members)
}

fn part_of_toml(part: &Spanned<DeValue<'_>>) -> Part {
    let is = match part.get_ref() {
        DeValue::String(text) => Is::Text(text.clone().into_owned()),
        DeValue::Integer(number) if number.radix() == 10 => Is::Number(number.as_str().to_owned()),
        // Whoever counts in other digits is told that it is no number here.
        DeValue::Integer(number) => Is::Text(number.to_string()),
        DeValue::Float(number) => Is::Number(number.as_str().to_owned()),
        DeValue::Boolean(yes) => Is::Bool(*yes),
        DeValue::Datetime(time) => Is::Text(time.to_string()),
        DeValue::Array(parts) => Is::List(parts.iter().map(part_of_toml).collect()),
        DeValue::Table(table) => table_of_toml(table),
    };
    Part {
        at: part.span().start,
        is,
    }
}

fn of_json(text: &str) -> Result<Part, Wrong> {
    // It is JSON from here on, and no deeper than that reads.
    let mut reader = serde_json::Deserializer::from_str(text);
    let read = IgnoredAny::deserialize(&mut reader).and_then(|_| reader.end());
    read.map_err(|error| {
        let told = error.to_string();
        let what = told
            .rsplit_once(" at line ")
            .map_or(told.as_str(), |(what, _)| what);
        Wrong {
            what: what.to_owned(),
            at: byte_of(text, error.line(), error.column()),
        }
    })?;
    let mut scan = Scan {
        text,
        left: text.char_indices().peekable(),
    };
    scan.part()
}

/// The byte at a line and a column, which counts bytes from 1.
fn byte_of(text: &str, line: usize, column: usize) -> usize {
    let before = text.split_inclusive('\n').take(line.saturating_sub(1));
    before.map(str::len).sum::<usize>() + column.saturating_sub(1)
}

/// Goes through a text that is known to be JSON.
struct Scan<'t> {
    text: &'t str,
    left: Peekable<CharIndices<'t>>,
}

impl Scan<'_> {
    fn part(&mut self) -> Result<Part, Wrong> {
        self.skip_blanks();
        let at = self.at();
        let is = match self.left.peek().map(|(_, character)| *character) {
            Some('{') => self.table()?,
            Some('[') => self.list()?,
            Some('"') => Is::Text(self.string()),
            _ => scalar(self.slice(|character| {
                !matches!(character, ',' | ']' | '}') && !character.is_ascii_whitespace()
            })),
        };
        Ok(Part { at, is })
    }

    fn table(&mut self) -> Result<Is, Wrong> {
        let mut members: Vec<Member> = Vec::new();
        while self.has_another('}') {
            let (at, name) = (self.at(), self.string());
            if members.iter().any(|member| member.name == name) {
                let what = format!("`{name}` stands here twice");
                return Err(Wrong { what, at });
            }
            self.skip_blanks();
            self.left.next();
            let part = self.part()?;
            members.push(Member { name, at, part });
        }
        Ok(Is::Table(members))
    }

    fn list(&mut self) -> Result<Is, Wrong> {
        let mut parts = Vec::new();
        while self.has_another(']') {
            parts.push(self.part()?);
        }
        Ok(Is::List(parts))
    }

    /// Goes past what opens or separates; whether something follows before the `end`, which is passed too.
    fn has_another(&mut self, end: char) -> bool {
        self.skip_blanks();
        if self.left.next_if(|(_, character)| *character == end).is_some() {
            return false;
        }
        self.left
            .next_if(|(_, character)| matches!(character, '{' | '[' | ','));
        self.skip_blanks();
        self.left.next_if(|(_, character)| *character == end).is_none()
    }

    fn string(&mut self) -> String {
        let begin = self.at();
        self.left.next();
        while let Some((_, character)) = self.left.next() {
            match character {
                '"' => break,
                '\\' => {
                    self.left.next();
                }
                _ => {}
            }
        }
        let written = self.text.get(begin..self.at()).unwrap_or_default();
        serde_json::from_str(written).unwrap_or_default()
    }

    fn slice(&mut self, belongs: impl Fn(char) -> bool) -> &str {
        let begin = self.at();
        while self.left.next_if(|(_, character)| belongs(*character)).is_some() {}
        let end = self.at();
        self.text.get(begin..end).unwrap_or_default()
    }

    fn skip_blanks(&mut self) {
        while self
            .left
            .next_if(|(_, character)| character.is_ascii_whitespace())
            .is_some()
        {}
    }

    fn at(&mut self) -> usize {
        self.left.peek().map_or(self.text.len(), |(at, _)| *at)
    }
}

fn scalar(word: &str) -> Is {
    match word {
        "null" => Is::Null,
        "true" | "false" => Is::Bool(word == "true"),
        number => Is::Number(number.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn places_are_those_of_what_is_written() {
        let toml =
            "name = 'é'\n[select]\n  countries = [\"US\", 'DE']\n[[waves]]\ntake = { percent = 2.50 }\n";
        let json = "{\"name\": \"é\",\n \"waves\": [ {\"take\": {\"percent\": 2.50} } ] }";
        let waves = |text: &str, format| {
            let Is::Table(members) = Part::read(text, format).unwrap().is else {
                panic!("no table")
            };
            let waves = members.iter().find(|member| member.name == "waves").unwrap();
            let Is::List(waves) = &waves.part.is else {
                panic!("no list")
            };
            let Is::Table(wave) = &waves[0].is else {
                panic!("no table")
            };
            (place(text, wave[0].at), wave[0].part.clone())
        };
        let (at, take) = waves(toml, Format::Toml);
        assert_eq!(at, (5, 1));
        let Is::Table(share) = &take.is else {
            panic!("no table")
        };
        assert_eq!(
            share[0].part.is,
            Is::Number("2.50".to_owned()),
            "nothing is rounded"
        );
        assert_eq!(waves(json, Format::Json).0, (2, 14));
    }

    #[test]
    fn what_is_not_written_well_is_told_with_its_place() {
        for (text, format, at) in [
            ("name = ", Format::Toml, (1, 8)),
            ("a = 1\na = 2", Format::Toml, (2, 1)),
            ("{\n \"a\": 1,\n \"a\": 2}", Format::Json, (3, 2)),
            ("{\"a\": tru}", Format::Json, (1, 10)),
            ("{}\n x", Format::Json, (2, 2)),
        ] {
            let wrong = Part::read(text, format).unwrap_err();
            assert_eq!(place(text, wrong.at), at, "{text}: {wrong:?}");
        }
    }

    #[test]
    fn times_of_toml_are_texts_and_other_digits_are_no_numbers() {
        let read = Part::read("at = 2026-12-20T00:00:00Z\nn = 0x10", Format::Toml).unwrap();
        assert_eq!(read.to_json()["at"], "2026-12-20T00:00:00Z");
        assert!(read.to_json()["n"].is_string());
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_json_is_read_as_it_is_meant(value in any_json(), pretty in any::<bool>()) {
            let text = match pretty {
                true => serde_json::to_string_pretty(&value).unwrap(),
                false => value.to_string(),
            };
            prop_assert_eq!(Part::read(&text, Format::Json).unwrap().to_json(), value);
        }

        #[test]
        fn any_text_is_read_or_refused_at_a_place_in_it(text in "[\\[\\]{}\",:a-z0-9 =\n\\\\é.-]{0,60}") {
            for format in [Format::Toml, Format::Json] {
                if let Err(wrong) = Part::read(&text, format) {
                    prop_assert!(wrong.at <= text.len());
                }
            }
        }

        #[test]
        fn what_is_read_of_toml_is_what_toml_says(value in any_json()) {
            let value = json!({ "a": value });
            let Ok(text) = toml::to_string(&value) else {
                // TOML knows no null.
                return Ok(());
            };
            let read = Part::read(&text, Format::Toml).unwrap().to_json();
            prop_assert_eq!(read.to_string().len(), value.to_string().len());
        }
    }
}
