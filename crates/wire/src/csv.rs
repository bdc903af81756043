//! Lists as spreadsheets read them: CSV (RFC 4180), a header with the names of the properties and then a line for each row.
//!
//! A spreadsheet takes a text that begins like a formula for one, quoted or not, and texts come from anybody: names of
//! environments, messages of failures. So an apostrophe is put before such a text, which keeps it a text. Before a text
//! that has that form already stands one more, so that whoever reads the file back takes one away and has the text.

use crate::{
    entity::{Entity, Projection},
    format::ResponseFormat,
    value::Presence,
};
use domain::text::is_invisible;

/// Writes a list: [`CsvWriter::open`], then [`CsvWriter::row`] for each row. There is no end to write: whether all of it has
/// come, the connection tells.
#[derive(Debug)]
pub struct CsvWriter<E> {
    projection: Projection<E>,
    value: Vec<u8>,
}

impl<E: Entity> CsvWriter<E> {
    /// A list of rows with the properties that `projection` has.
    #[must_use]
    pub fn new(projection: Projection<E>) -> Self {
        Self {
            projection,
            value: Vec::new(),
        }
    }

    /// Appends the header.
    pub fn open(&self, out: &mut Vec<u8>) {
        let indices = self.projection.indices().iter();
        let names = indices.filter_map(|index| E::PROPERTIES.get(*index));
        line(names, out, |name, out| out.extend_from_slice(name.as_bytes()));
    }

    /// Appends a row.
    pub fn row(&mut self, entity: &E, out: &mut Vec<u8>) {
        let value = &mut self.value;
        line(self.projection.indices().iter(), out, |index, out| {
            value.clear();
            if entity.write_property(*index, ResponseFormat::OData, value) != Presence::Null {
                cell(value, out);
            }
        });
    }
}

/// Appends a line of what `write` makes of each item.
pub fn line<I>(items: impl Iterator<Item = I>, out: &mut Vec<u8>, mut write: impl FnMut(I, &mut Vec<u8>)) {
    for (number, item) in items.enumerate() {
        if number > 0 {
            out.push(b',');
        }
        write(item, out);
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends a value that is there, from its JSON: a text as it is, a number or a truth value too, anything else as JSON.
pub fn cell(json: &[u8], out: &mut Vec<u8>) {
    if let Ok(text) = serde_json::from_slice::<String>(json) {
        text_cell(&text, out);
        return;
    }
    match json.first() {
        Some(b'{' | b'[') => quoted("", &String::from_utf8_lossy(json), out),
        _ => out.extend_from_slice(json),
    }
}

fn text_cell(text: &str, out: &mut Vec<u8>) {
    let mark = if is_formula(text) { "'" } else { "" };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:/@ ".contains(&byte) || byte >= 0x80;
    let is_simple = !text.is_empty() && text.bytes().all(is_plain) && text.trim() == text;
    match is_simple && mark.is_empty() {
        true => out.extend_from_slice(text.as_bytes()),
        false => quoted(mark, text, out),
    }
}

fn quoted(mark: &str, text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(mark.as_bytes());
    out.extend_from_slice(text.replace('"', "\"\"").as_bytes());
    out.push(b'"');
}

/// Whether a spreadsheet could take a text for a formula: by its first letter, after blanks of any kind and what is not to be
/// seen, or because it begins with a character that moves on to another cell.
#[must_use]
pub fn is_formula(text: &str) -> bool {
    let text = text.trim_start_matches('\'');
    let is_unseen = |letter: char| letter.is_whitespace() || is_invisible(letter);
    text.starts_with(['\t', '\r', '\n'])
        || text
            .trim_start_matches(is_unseen)
            .starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::countries::Country;
    use domain::country::CountryCode;
    use uuid::Uuid;

    fn written(text: &str) -> String {
        let mut out = Vec::new();
        cell(&serde_json::to_vec(text).unwrap(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_begins_like_a_formula_stays_a_text() {
        for formula in [
            "=1+1",
            "+1",
            "-1",
            "@SUM(A1)",
            "＝1",
            "＋1",
            "－1",
            "＠a",
            "\t1",
            "\r1",
            "\n1",
            " =1",
            "\u{a0}\u{3000}=1",
            "\u{200b}=1",
            "\u{feff}=1",
            "\u{0}=1",
            " \t=1",
        ] {
            assert_eq!(written(formula), format!("\"'{formula}\""), "{formula:?}");
        }
    }

    #[test]
    fn every_text_can_be_had_back() {
        for text in ["'=1", "''=1", "'\t", "' =1"] {
            assert_eq!(written(text), format!("\"'{text}\""), "{text:?}");
        }
        for text in ["'s-Hertogenbosch", "'", "it's = so", "1=1", "a\t=1"] {
            assert!(!is_formula(text), "{text:?}");
        }
    }

    #[test]
    fn texts_are_quoted_where_they_have_to_be() {
        assert_eq!(written("Contoso"), "Contoso");
        assert_eq!(written("Größe 1.0"), "Größe 1.0");
        assert_eq!(written("a,b"), "\"a,b\"");
        assert_eq!(written("a;b"), "\"a;b\"");
        assert_eq!(written("say \"so\""), "\"say \"\"so\"\"\"");
        assert_eq!(written("two\r\nlines"), "\"two\r\nlines\"");
        assert_eq!(written(" a"), "\" a\"");
        assert_eq!(written(""), "\"\"", "an empty text is not nothing");
    }

    #[test]
    fn other_values_are_as_in_json() {
        let cells = ["-1", "true", r#"["Owner","Reader"]"#].map(|json| {
            let mut out = Vec::new();
            cell(json.as_bytes(), &mut out);
            String::from_utf8(out).unwrap()
        });
        assert_eq!(cells, ["-1", "true", r#""[""Owner"",""Reader""]""#]);
    }

    #[test]
    fn a_list_is_a_header_and_a_line_for_each_row() {
        let country = Country {
            country_code: CountryCode::parse("US", false).unwrap(),
            etag: Uuid::from_u128(1).into(),
        };
        let mut out = Vec::new();
        let mut list = CsvWriter::new(Projection::all(ResponseFormat::Bare));
        list.open(&mut out);
        list.row(&country, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            text,
            "countryCode,_etag\r\nUS,00000000-0000-0000-0000-000000000001\r\n"
        );
    }
}
