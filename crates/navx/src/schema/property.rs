//! Properties of objects, fields and keys, and which of them mean what.
//!
//! A property's name is spelt as its author spelt it, a truth value is `1` or `Yes`, and what is said expressly may be what
//! holds anyway. So names are compared without case, and values by what they mean. A property that is on no list here
//! is not passed over when it changes: then nobody knows what it does to a table.

use std::collections::BTreeMap;

use serde::de::MapAccess;

use super::stream::{Member, Node, is_true};

/// A property as it stands in the symbols.
#[derive(Debug, Default)]
pub(super) struct Property {
    name: Box<str>,
    value: Box<str>,
}

impl Property {
    pub(super) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

impl Node for Property {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        name: &str,
        value: &mut Member<'_, A>,
    ) -> Result<(), A::Error> {
        match name {
            "Name" => self.name = value.text()?,
            "Value" => self.value = value.text()?,
            _ => {}
        }
        Ok(())
    }

    fn weight(&self) -> usize {
        self.name.len() + self.value.len()
    }
}

/// The properties of one thing, by name.
#[derive(Debug, Default)]
pub(super) struct Properties(Vec<Property>);

impl Properties {
    /// Reads those that are not `dropped`.
    pub(super) fn read<'de, A: MapAccess<'de>>(
        value: &mut Member<'_, A>,
        dropped: impl Fn(&str) -> bool,
    ) -> Result<Self, A::Error> {
        let is_kept = |property: &Property| !dropped(&property.name.to_ascii_lowercase());
        value.list_of(is_kept).map(Self)
    }

    /// The value of a property as it stands there.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|property| property.is(name));
        found.map(|property| &*property.value)
    }

    /// A truth value, or what holds where nothing is said.
    pub(super) fn flag(&self, name: &str, unsaid: bool) -> bool {
        self.text(name)
            .filter(|text| !text.is_empty())
            .map_or(unsaid, is_true)
    }

    /// A word, or the one that holds where nothing is said.
    pub(super) fn word<'p>(&'p self, name: &str, unsaid: &'p str) -> &'p str {
        self.text(name).filter(|text| !text.is_empty()).unwrap_or(unsaid)
    }

    /// Those that differ, by name in lower case, with their values.
    pub(super) fn changes<'p>(&'p self, new: &'p Self) -> Vec<Change<'p>> {
        let (before, after) = (self.by_name(), new.by_name());
        let mut all = after.clone();
        all.extend(before.iter().map(|(name, property)| (name.clone(), *property)));
        let value =
            |list: &BTreeMap<String, &'p Property>, name: &str| list.get(name).map(|found| &*found.value);
        let change = |(name, property): (String, &'p Property)| Change {
            before: value(&before, &name),
            after: value(&after, &name),
            shown: &property.name,
            name,
        };
        let differs = |change: &Change<'_>| !same(&change.name, change.before, change.after);
        all.into_iter().map(change).filter(differs).collect()
    }

    /// The first of each name, by name in lower case.
    fn by_name(&self) -> BTreeMap<String, &Property> {
        let mut found = BTreeMap::new();
        for property in &self.0 {
            found
                .entry(property.name.to_ascii_lowercase())
                .or_insert(property);
        }
        found
    }
}

/// A property that is not what it was.
pub(super) struct Change<'p> {
    /// In lower case.
    pub(super) name: String,
    /// As it is spelt.
    pub(super) shown: &'p str,
    pub(super) before: Option<&'p str>,
    pub(super) after: Option<&'p str>,
}

/// What holds where nothing is said, by property in lower case.
const UNSAID: [(&str, &str); 17] = [
    ("access", "public"),
    ("autoincrement", "0"),
    ("clustered", "0"),
    ("compressiontype", "unspecified"),
    ("datapercompany", "1"),
    ("enabled", "1"),
    ("extensible", "1"),
    ("fieldclass", "normal"),
    ("maintainsiftindex", "1"),
    ("maintainsqlindex", "1"),
    ("obsoletestate", "no"),
    ("scope", "cloud"),
    ("sqldatatype", "varchar"),
    ("sqltimestamp", "0"),
    ("tabletype", "normal"),
    ("unique", "0"),
    ("querytype", "normal"),
];

/// The value as it compares: in lower case, with truth values as numbers, and with what holds where nothing is said.
fn meant(name: &str, value: Option<&str>) -> String {
    let unsaid = UNSAID.iter().find(|(property, _)| *property == name);
    let value = value.filter(|value| !value.is_empty());
    let value = value.or(unsaid.map(|(_, value)| *value)).unwrap_or_default();
    match &*value.to_lowercase() {
        "yes" | "true" => "1".to_owned(),
        // What OnPrem and Cloud were called first.
        "no" | "false" if name != "obsoletestate" => "0".to_owned(),
        "internal" if name == "scope" => "onprem".to_owned(),
        "extension" if name == "scope" => "cloud".to_owned(),
        other => other.to_owned(),
    }
}

fn same(name: &str, before: Option<&str>, after: Option<&str>) -> bool {
    meant(name, before) == meant(name, after)
}

/// How much may be seen, from all to nothing; `None` for a word that nobody knows.
pub(super) fn access_rank(word: &str) -> Option<usize> {
    let words = ["public", "protected", "internal", "local", "private"];
    words.iter().position(|known| word.eq_ignore_ascii_case(known))
}

/// Whether a property only concerns texts, screens, defaults of new rows or checks of what is entered, or says once more
/// what stands elsewhere.
pub(super) fn is_text_of_object(name: &str) -> bool {
    name.starts_with("caption")
        || name.starts_with("external")
        || matches!(
            name,
            "id" | "name"
                | "additionalsearchterms"
                | "allowincustomizations"
                | "contexthelppageid"
                | "contextsensitivehelppage"
                | "datacaptionfields"
                | "dataclassification"
                | "description"
                | "drilldownpageid"
                | "inherententitlements"
                | "inherentpermissions"
                | "instructionaltext"
                | "lookuppageid"
                | "obsoletereason"
                | "obsoletetag"
                | "pasteisvalid"
                | "permissions"
                | "replicatedata"
                | "tooltip"
        )
}

/// So of a field.
pub(super) fn is_text_of_field(name: &str) -> bool {
    [
        "autoformat",
        "blank",
        "caption",
        "extended",
        "external",
        "optioncaption",
        "tooltip",
    ]
    .iter()
    .any(|start| name.starts_with(start))
        || matches!(
            name,
            "id" | "name"
                | "fieldno"
                | "datatype"
                | "accessbypermission"
                | "allowincustomizations"
                | "calcformula"
                | "charallowed"
                | "closingdates"
                | "dataclassification"
                | "dateformula"
                | "decimalplaces"
                | "description"
                | "editable"
                | "initvalue"
                | "masktype"
                | "maxvalue"
                | "minvalue"
                | "notblank"
                | "numeric"
                | "obsoletereason"
                | "obsoletetag"
                | "optionmembers"
                | "optionstring"
                | "signdisplacement"
                | "subtype"
                | "tablerelation"
                | "testtablerelation"
                | "validatetablerelation"
                | "valuesallowed"
                | "width"
        )
}

/// So of a key.
pub(super) fn is_text_of_key(name: &str) -> bool {
    name.starts_with("obsolete") || matches!(name, "id" | "name" | "description")
}

#[cfg(test)]
mod tests {
    use super::{UNSAID, is_text_of_field, is_text_of_key, is_text_of_object, same};

    #[test]
    fn what_is_said_expressly_is_what_holds_anyway() {
        for (name, value) in UNSAID {
            assert!(same(name, None, Some(value)), "{name}");
            assert!(same(name, Some(&value.to_uppercase()), None), "{name}");
            assert!(!same(name, None, Some("something else")), "{name}");
        }
        assert!(same("unique", Some("Yes"), Some("1")) && same("unique", Some("No"), None));
        assert!(same("scope", Some("Internal"), Some("OnPrem")) && same("scope", Some("Extension"), None));
        assert!(!same("scope", Some("Internal"), None));
    }

    #[test]
    fn nothing_that_matters_is_dropped() {
        for (name, _) in UNSAID {
            assert!(!is_text_of_field(name) && !is_text_of_object(name), "{name}");
        }
        for name in [
            "clustered",
            "unique",
            "enabled",
            "sqlindex",
            "sumindexfields",
            "includedfields",
        ] {
            assert!(!is_text_of_key(name), "{name}");
        }
        assert!(!is_text_of_field("movedto") && !is_text_of_object("movedfrom"));
    }
}
