//! Lists: one object with the rows in `value`.
//!
//! A list has no upper bound, because known clients never follow a link to a next page. So it is written row
//! by row into whatever buffer the answer is being sent from, and never stands in memory as a whole.

use crate::{
    entity::{Entity, Projection},
    format::ResponseFormat,
    value::{write_number, write_text},
};
use serde::Deserialize;
use utoipa::ToSchema;

/// Writes a list: [`ListWriter::open`], then [`ListWriter::row`] for each row, then [`ListWriter::close`].
#[derive(Debug)]
pub struct ListWriter<E> {
    projection: Projection<E>,
    rows: u64,
}

impl<E: Entity> ListWriter<E> {
    /// A list of rows that look as `projection` says.
    #[must_use]
    pub fn new(projection: Projection<E>) -> Self {
        Self { projection, rows: 0 }
    }

    /// Appends the beginning. `context` is the context URL of the OData format; `count`, if it was asked for,
    /// is the number of rows that there are, on this page or not.
    pub fn open(&self, context: &str, count: Option<u64>, out: &mut Vec<u8>) {
        out.push(b'{');
        if self.projection.format() == ResponseFormat::OData {
            out.extend_from_slice(b"\"@odata.context\":");
            write_text(context, out);
            out.push(b',');
        }
        if let Some(count) = count {
            out.extend_from_slice(b"\"@odata.count\":");
            write_number(count, out);
            out.push(b',');
        }
        out.extend_from_slice(b"\"value\":[");
    }

    /// Appends a row.
    pub fn row(&mut self, entity: &E, out: &mut Vec<u8>) {
        if self.rows > 0 {
            out.push(b',');
        }
        self.projection.write(entity, out);
        self.rows += 1;
    }

    /// Appends the end, with the address of the next page if there is one.
    pub fn close(self, next_link: Option<&str>, out: &mut Vec<u8>) {
        out.push(b']');
        if let Some(link) = next_link {
            out.extend_from_slice(b",\"@odata.nextLink\":");
            write_text(link, out);
        }
        out.push(b'}');
    }

    /// How many rows were written so far.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// A whole list that is known to be short.
    #[must_use]
    pub fn whole(projection: Projection<E>, context: &str, entities: &[E]) -> Vec<u8> {
        let mut list = Self::new(projection);
        let mut out = Vec::with_capacity(64 + 256 * entities.len());
        list.open(context, None, &mut out);
        for entity in entities {
            list.row(entity, &mut out);
        }
        list.close(None, &mut out);
        out
    }
}

/// A list as a client reads it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
pub struct List<T> {
    /// The rows.
    pub value: Vec<T>,
    /// How many rows there are, on this page or not; only when it was asked for.
    #[serde(rename = "@odata.count", default)]
    pub count: Option<u64>,
    /// The address of the next page; only when pages were asked for.
    #[serde(rename = "@odata.nextLink", default)]
    pub next_link: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::countries::Country;
    use domain::country::CountryCode;
    use uuid::Uuid;

    fn country(code: &str) -> Country {
        let country_code = CountryCode::parse(code, false).unwrap();
        Country {
            country_code,
            etag: Uuid::from_u128(1).into(),
        }
    }

    fn text(out: Vec<u8>) -> String {
        String::from_utf8(out).unwrap()
    }

    const TAG: &str = "00000000-0000-0000-0000-000000000001";

    #[test]
    fn the_bare_face_has_the_rows_only() {
        let list = ListWriter::whole(
            Projection::all(ResponseFormat::Bare),
            "unused",
            &[country("US"), country("DK")],
        );
        let expected = format!(
            r#"{{"value":[{{"countryCode":"US","_etag":"{TAG}"}},{{"countryCode":"DK","_etag":"{TAG}"}}]}}"#
        );
        assert_eq!(text(list), expected);
        assert_eq!(
            text(ListWriter::<Country>::whole(
                Projection::all(ResponseFormat::Bare),
                "",
                &[]
            )),
            r#"{"value":[]}"#
        );
    }

    #[test]
    fn the_odata_format_has_context_etag_count_and_next_link() {
        let mut list = ListWriter::new(Projection::all(ResponseFormat::OData));
        let mut out = Vec::new();
        list.open("https://host/v1.4/$metadata#apps", Some(7), &mut out);
        list.row(&country("US"), &mut out);
        assert_eq!(list.rows(), 1);
        list.close(Some("https://host/next?a=\"b\""), &mut out);
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let names: Vec<_> = value.as_object().unwrap().keys().collect();
        assert_eq!(
            names,
            ["@odata.context", "@odata.count", "value", "@odata.nextLink"]
        );
        let row: Vec<_> = value["value"][0].as_object().unwrap().keys().collect();
        assert_eq!(row, ["@odata.etag", "countryCode", "_etag"]);
        assert_eq!(value["value"][0]["@odata.etag"], format!("W/\"{TAG}\""));

        let read: List<Country> = serde_json::from_slice(&out).unwrap();
        assert_eq!((read.value, read.count), (vec![country("US")], Some(7)));
        assert_eq!(read.next_link.unwrap(), "https://host/next?a=\"b\"");
    }
}
