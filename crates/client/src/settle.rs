//! What became of a change whose answer was lost.
//!
//! A gateway gives up on a service that does its work all the same, and connections break after it was done. Whoever then
//! sends the change again meets what they did themselves, and takes it for somebody else's. So the thing itself is looked
//! at: if it is as it was to be, the change is done, whoever made it.

use serde_json::Value;

/// What was to be the case after a change.
pub(crate) enum Wish {
    /// The thing is not there.
    Gone,
    /// The thing shows what was sent.
    Shown(Shown),
}

/// What a thing is to show.
pub(crate) struct Shown {
    pub(crate) wished: Value,
    /// Whether lists are to hold what was sent and nothing else.
    pub(crate) is_whole: bool,
}

impl Shown {
    /// Whether the body of an answer shows it. What cannot be seen there counts as not shown.
    pub(crate) fn is_shown_by(&self, body: &[u8]) -> bool {
        serde_json::from_slice(body).is_ok_and(|row| self.is_shown(&self.wished, &row))
    }

    fn is_shown(&self, wished: &Value, row: &Value) -> bool {
        match (wished, row) {
            (Value::Object(wished), Value::Object(row)) => wished
                .iter()
                .all(|(name, wished)| self.is_shown(wished, row.get(name).unwrap_or(&Value::Null))),
            (Value::Array(wished), Value::Array(row)) => {
                // Of parts that are named, those that were not sent stay as they are, unless all were replaced.
                let may_hold_more = !self.is_whole && wished.iter().any(Value::is_object);
                (may_hold_more || wished.len() == row.len())
                    && wished
                        .iter()
                        .all(|wished| row.iter().any(|row| self.is_shown(wished, row)))
            }
            (Value::String(wished), Value::String(row)) => wished.eq_ignore_ascii_case(row),
            (wished, row) => wished == row,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shows(is_whole: bool, wished: Value, row: &Value) -> bool {
        let body = row.to_string();
        Shown { wished, is_whole }.is_shown_by(body.as_bytes())
    }

    #[test]
    fn a_row_shows_what_was_sent_whatever_else_it_says() {
        let row = json!({"roles": ["Owner", "Reader"], "type": "User", "_etag": "1"});
        assert!(shows(false, json!({"roles": ["reader", "Owner"]}), &row));
        assert!(
            !shows(false, json!({"roles": ["Reader"]}), &row),
            "these are all roles"
        );
        assert!(!shows(false, json!({"type": "Application"}), &row));
        assert!(!shows(false, json!({"unseen": true}), &row));
    }

    #[test]
    fn parts_that_were_not_sent_stay_unless_all_were_replaced() {
        let row = json!({"dependencies": [{"appId": "a", "from": "1.0"}, {"appId": "b", "from": null}]});
        assert!(shows(
            false,
            json!({"dependencies": [{"appId": "A", "from": "1.0"}]}),
            &row
        ));
        assert!(shows(
            false,
            json!({"dependencies": [{"appId": "b", "from": null}]}),
            &row
        ));
        assert!(!shows(
            false,
            json!({"dependencies": [{"appId": "b", "from": "1.0"}]}),
            &row
        ));
        assert!(!shows(
            true,
            json!({"dependencies": [{"appId": "a", "from": "1.0"}]}),
            &row
        ));
    }

    #[test]
    fn what_is_no_json_shows_nothing() {
        let shown = Shown {
            wished: json!({}),
            is_whole: true,
        };
        assert!(!shown.is_shown_by(b"<h1>"));
    }
}
