//! Filters that nobody thought of: made by chance over a list's own properties, decided three times.

use super::{
    fixture::{FIXTURE, agree, answered, encoded, expected, read},
    rows::{TEXTS, VERSIONS as NUMBERS, id},
};
use crate::{
    FromRow,
    entity_sets::*,
    list::{EntitySet, ListRequest},
};
use odata::{Scalar, Type};
use proptest::prelude::*;
use std::fmt::Debug;

/// Makes a filter out of choices. Where they run out it makes the simplest thing, so that shorter lists of choices
/// mean simpler filters.
struct Maker<'c, T: 'static> {
    entity_set: &'static EntitySet<T>,
    choices: &'c [u8],
}

impl<T> Maker<'_, T> {
    fn choose(&mut self, below: usize) -> usize {
        let Some((first, rest)) = self.choices.split_first() else {
            return 0;
        };
        self.choices = rest;
        usize::from(*first) % below
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.choose(from.len())]
    }

    /// A property that `fits`; a literal null if there is none.
    fn property(&mut self, fits: impl Fn(&Type) -> bool) -> String {
        let fitting: Vec<&str> = self
            .entity_set
            .schema
            .properties
            .iter()
            .enumerate()
            .filter(|(index, property)| fits(&property.ty) && !self.entity_set.is_hidden(*index))
            .map(|(_, property)| property.name.as_str())
            .collect();
        if fitting.is_empty() {
            "null".into()
        } else {
            self.pick(&fitting).into()
        }
    }

    fn scalar(&mut self, wanted: Scalar) -> String {
        self.property(|ty| *ty == Type::Scalar(wanted))
    }

    fn condition(&mut self, depth: usize) -> String {
        let simple = 9;
        match self.choose(if depth == 0 { simple } else { simple + 4 }) {
            0 => self.comparison(depth),
            1 => format!(
                "{} in ({},{})",
                self.text(depth),
                self.text_literal(),
                self.text_literal()
            ),
            2 => {
                let property = self.property(|ty| matches!(ty, Type::Scalar(Scalar::Folded(_))));
                format!("{property} {} {}", self.operator(), self.text_literal())
            }
            3 => format!(
                "{}({},{})",
                self.pick(&["contains", "startswith", "endswith"]),
                self.text(depth),
                self.text(0)
            ),
            4 => {
                let property = self.property(|ty| matches!(ty, Type::Scalar(_)));
                format!("{property} {} null", self.pick(&["eq", "ne", "gt", "le"]))
            }
            5 => match self.scalar(Scalar::Boolean) {
                property if property == "null" => self.pick(&["true", "false", "null"]).into(),
                property => property,
            },
            6 => self.of_collection(),
            7 => format!("{} in ({},null)", self.integer(depth), self.choose(20)),
            8 => {
                let (left, right) = (self.property(is_folded), self.property(is_folded));
                format!("{left} {} {right}", self.operator())
            }
            9 => format!("not ({})", self.condition(depth - 1)),
            10 => format!(
                "({}) {} ({})",
                self.condition(depth - 1),
                self.operator(),
                self.condition(depth - 1)
            ),
            11 => format!(
                "({} and {})",
                self.condition(depth - 1),
                self.condition(depth - 1)
            ),
            _ => format!("({} or {})", self.condition(depth - 1), self.condition(depth - 1)),
        }
    }

    fn comparison(&mut self, depth: usize) -> String {
        let (left, operator) = (self.choose(5), self.operator());
        match left {
            0 => format!("{} {operator} {}", self.integer(depth), self.integer(depth)),
            1 => format!("{} {operator} {}", self.text(depth), self.text(depth)),
            2 => format!(
                "{} {operator} {}",
                self.scalar(Scalar::DateTimeOffset),
                self.instant()
            ),
            3 => {
                let parts = NUMBERS[self.choose(NUMBERS.len())].map(|part| part.to_string());
                format!(
                    "{} {operator} '{}'",
                    self.scalar(Scalar::Version),
                    parts.join(".")
                )
            }
            _ => format!("{} {operator} {}", self.scalar(Scalar::Guid), id(self.choose(12))),
        }
    }

    fn operator(&mut self) -> &'static str {
        self.pick(&["eq", "ne", "gt", "ge", "lt", "le"])
    }

    fn of_collection(&mut self) -> String {
        let collection = self.property(|ty| !matches!(ty, Type::Scalar(_)));
        match collection.as_str() {
            "roles" => {
                let role = self.pick(&["'owner'", "'Reader'", "'nobody'"]);
                let quantifier = self.pick(&["any", "all"]);
                match self.choose(3) {
                    0 => format!("{role} in roles"),
                    1 => format!("roles/{quantifier}(r:r {} {role})", self.operator()),
                    _ => format!(
                        "roles/{quantifier}(r:r eq {role} or contains(r,{}))",
                        self.text_literal()
                    ),
                }
            }
            "tags" => {
                let tag = self.pick(&["'ring0'", "'ring'", "'eu'", "'nobody'"]);
                let quantifier = self.pick(&["any", "all"]);
                match self.choose(4) {
                    0 => format!("{tag} in tags"),
                    1 => format!("tags/{quantifier}(t:t {} {tag})", self.operator()),
                    2 => format!("tags/{quantifier}(t:t in ({tag},'a,b') or {tag} eq t)"),
                    _ => format!("tags/{quantifier}(t:contains(t,{tag}))"),
                }
            }
            "dependencies" => format!("dependencies/any(d:d/name {} {})", self.operator(), self.text(0)),
            _ => "true".into(),
        }
    }

    fn integer(&mut self, depth: usize) -> String {
        let simple = 5;
        match self.choose(if depth == 0 { simple } else { simple + 2 }) {
            0 => self.scalar(Scalar::Int),
            1 => self
                .pick(&[
                    "0",
                    "1",
                    "-1",
                    "16",
                    "2.5",
                    "2147483647",
                    "9223372036854775808",
                    "INF",
                    "NaN",
                ])
                .into(),
            2 => format!("length({})", self.text(depth.saturating_sub(1))),
            3 => format!("indexof({},{})", self.text(0), self.text_literal()),
            4 => format!(
                "{}({})",
                self.pick(&["year", "hour", "minute", "second", "month"]),
                self.scalar(Scalar::DateTimeOffset)
            ),
            5 => format!("-({})", self.integer(depth - 1)),
            _ => {
                let operator = self.pick(&["add", "sub", "mul", "div", "mod"]);
                format!(
                    "({} {operator} {})",
                    self.integer(depth - 1),
                    self.integer(depth - 1)
                )
            }
        }
    }

    fn text(&mut self, depth: usize) -> String {
        let simple = 3;
        match self.choose(if depth == 0 { simple } else { simple + 4 }) {
            0 => self.scalar(Scalar::String),
            1 => self.property(is_text),
            2 => self.text_literal(),
            3 => format!("concat({},{})", self.text(depth - 1), self.text(depth - 1)),
            4 => format!("trim({})", self.text(depth - 1)),
            5 => format!("{}({})", self.pick(&["tolower", "toupper"]), self.text(depth - 1)),
            _ => {
                let (start, length) = (
                    self.pick(&["0", "1", "-2", "100"]),
                    self.pick(&["1", "0", "3", "99999999999"]),
                );
                format!("substring({},{start},{length})", self.text(depth - 1))
            }
        }
    }

    fn text_literal(&mut self) -> String {
        let text = TEXTS[self.choose(TEXTS.len())];
        let text = match self.choose(4) {
            0 => text.to_owned(),
            1 => text.to_lowercase(),
            2 => text.chars().take(2).collect(),
            _ => text.chars().rev().take(1).collect(),
        };
        format!("'{}'", text.replace('\'', "''"))
    }

    fn instant(&mut self) -> String {
        let instants = [
            "1970-01-01T00:00:00Z",
            "2024-10-04T00:00:00Z",
            "2024-10-04T00:00:00.00000005Z",
            "1968-11-27",
            "now()",
            "now() sub duration'P700D'",
            "startedOn",
            "null",
        ];
        self.pick(&instants).into()
    }
}

fn is_folded(ty: &Type) -> bool {
    matches!(ty, Type::Scalar(Scalar::Folded(_)))
}

fn is_text(ty: &Type) -> bool {
    matches!(
        ty,
        Type::Scalar(Scalar::Folded(_) | Scalar::String | Scalar::Version)
    )
}

/// Three conditions in a row: what SQL says of some of them must fit what the memory says of the others.
pub(super) fn made<T>(entity_set: &'static EntitySet<T>, choices: &[u8]) -> String {
    let mut maker = Maker { entity_set, choices };
    let conditions: Vec<String> = (0..=maker.choose(3)).map(|_| maker.condition(3)).collect();
    conditions.join(" and ")
}

/// Checks a filter that is one; chance also makes some that are none.
fn check<T: FromRow + PartialEq + Debug>(entity_set: &'static EntitySet<T>, choices: &[u8]) {
    let query = format!("$filter={}", encoded(&made(entity_set, choices)));
    let Ok(request) = read(entity_set, &query) else {
        return;
    };
    let (_, db) = &FIXTURE.databases[0];
    let all = FIXTURE
        .runtime
        .block_on(answered(db, entity_set, ListRequest::all(entity_set)))
        .unwrap();
    match expected(all, entity_set, &request) {
        Ok(_) => agree(entity_set, &query),
        // For which row, and so where, depends on which is looked at first.
        Err(wanted) => {
            for (name, db) in &FIXTURE.databases {
                let got = FIXTURE
                    .runtime
                    .block_on(answered(db, entity_set, request.clone()));
                assert_eq!(
                    got.map_err(|error| error.code),
                    Err(wanted.code),
                    "{name}: {query}"
                );
            }
        }
    }
}

#[test]
fn most_of_what_chance_makes_is_a_filter() {
    let mut seed = 7u64;
    let mut good = 0;
    for _ in 0..200 {
        let choices: Vec<u8> = (0..60)
            .map(|_| {
                seed = seed
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                (seed >> 56) as u8
            })
            .collect();
        let query = format!("$filter={}", encoded(&made(&VERSIONS, &choices)));
        good += usize::from(read(&VERSIONS, &query).is_ok());
    }
    assert!(good > 120, "{good} of 200");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn three_judges_agree_on_versions(choices in prop::collection::vec(any::<u8>(), 0..60)) {
        check(&VERSIONS, &choices);
        check(&UPLOADED_VERSIONS, &choices);
    }

    #[test]
    fn three_judges_agree_on_hotfixes(choices in prop::collection::vec(any::<u8>(), 0..60)) {
        check(&HOTFIXES, &choices);
    }

    #[test]
    fn three_judges_agree_on_environments(choices in prop::collection::vec(any::<u8>(), 0..60)) {
        check(&ENVIRONMENTS, &choices);
    }

    #[test]
    fn three_judges_agree_on_principals(choices in prop::collection::vec(any::<u8>(), 0..60)) {
        check(&PRINCIPALS, &choices);
    }

    #[test]
    fn three_judges_agree_on_apps_and_audit(choices in prop::collection::vec(any::<u8>(), 0..60)) {
        check(&REGISTERED_APPS, &choices);
        check(&AUDIT, &choices);
        check(&REGISTERED_ENVIRONMENTS, &choices);
    }
}
