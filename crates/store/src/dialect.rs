//! Everything in which the two databases differ. SQL is written once, as PostgreSQL reads it, with `$1` for
//! values; what SQLite does not know is taken away here, and nowhere else.

use std::borrow::Cow;

/// Which database a statement is meant for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Sqlite,
    Postgres,
}

/// The clauses that lock the selected rows: for whoever changes them, and for those who only need them to stay as they
/// are. Always the last line of the statement.
const ROW_LOCKS: [&str; 2] = ["FOR UPDATE", "FOR SHARE"];

/// The statement as SQLite reads it.
///
/// SQLite has one writer at a time, so the rows that a transaction reads cannot change under it and need no lock. And
/// to SQLite `$2` is a name like any other, numbered by where it first stands; `?2` is the second value.
pub(crate) fn for_sqlite(sql: &str) -> String {
    without_row_lock(sql).replace('$', "?")
}

/// Only the last line is searched: this is done for every statement that is carried out.
fn without_row_lock(sql: &str) -> &str {
    let last_line = sql.rfind('\n').unwrap_or(0);
    let Some(end) = sql.get(last_line..) else {
        return sql;
    };
    let lock = ROW_LOCKS.iter().find_map(|lock| end.find(lock));
    lock.and_then(|lock| sql.get(..last_line + lock)).unwrap_or(sql)
}

/// What one row of values consists of, for a statement that is carried out for many of them: the name of each value,
/// and its type as PostgreSQL calls it.
pub type Shape<'s> = &'s [(&'static str, &'static str)];

/// A statement for many rows of values, as the database reads it. In the text `{rows}` stands for the rows, right
/// behind `FROM`, and `{name}` for the value of that name.
///
/// To PostgreSQL the rows are a table made of one array for each column, so that it carries the statement out once
/// for all of them. SQLite is called in process, where carrying it out once for each row costs less than any table
/// would; to it the values are those of one row.
pub(crate) fn for_each_row(dialect: Dialect, sql: &str, shape: Shape) -> String {
    match dialect {
        Dialect::Sqlite => for_sqlite(&for_one_row(sql, shape)),
        Dialect::Postgres => {
            let arrays: Vec<_> = shape
                .iter()
                .zip(1..)
                .map(|((_, of), number)| format!("${number}::{of}[]"))
                .collect();
            let names: Vec<_> = shape.iter().map(|(name, _)| *name).collect();
            let table = format!("unnest({}) AS given({})", arrays.join(", "), names.join(", "));
            names.iter().fold(sql.replace("{rows}", &table), |sql, name| {
                sql.replace(&format!("{{{name}}}"), &format!("given.{name}"))
            })
        }
    }
}

/// The same statement with the values of one row in it, by their numbers. It is made anew each time, so in one pass.
fn for_one_row(sql: &str, shape: Shape) -> String {
    let mut made = String::with_capacity(sql.len());
    let mut rest = sql;
    while let Some((before, behind)) = rest.split_once('{') {
        let (name, behind) = behind.split_once('}').unwrap_or((behind, ""));
        rest = behind;
        made.push_str(before);
        let number = shape.iter().position(|(known, _)| *known == name);
        if let Some(number) = number {
            made.push('$');
            made.push_str(&(number + 1).to_string());
        } else if let Some(others) = rest.strip_prefix(", ") {
            rest = others;
        } else {
            // The rows stand alone behind `FROM`.
            made.truncate(made.trim_end().trim_end_matches("FROM").len());
        }
    }
    made.push_str(rest);
    made
}

/// A migration as the database reads it.
///
/// PostgreSQL sorts text by the cluster's language unless told otherwise; ours sorts by code point on both. What SQLite
/// calls an `INTEGER` that is the primary key, and numbers by itself, has a longer name there.
pub(crate) fn migration(dialect: Dialect, sql: &str) -> Cow<'_, str> {
    match dialect {
        Dialect::Sqlite => Cow::Borrowed(sql),
        Dialect::Postgres => Cow::Owned(sql.replace(" TEXT", " TEXT COLLATE \"C\"").replace(
            " INTEGER CONSTRAINT",
            " BIGINT GENERATED ALWAYS AS IDENTITY CONSTRAINT",
        )),
    }
}

/// The name of the constraint that SQLite reports by its columns.
pub(crate) fn constraint_on(columns: &str) -> Option<&'static str> {
    match columns {
        "operations.environment_id, operations.app_id" => Some("operations_slot"),
        "operations.environment_id" => Some("operations_running"),
        "versions.app_id, versions.country_code, versions.version_key" => Some("versions_pk"),
        _ => None,
    }
}

impl Dialect {
    /// Position of a text in another, counted from 1; 0 when it is not in it.
    pub fn position_function(self) -> &'static str {
        match self {
            Self::Sqlite => "instr",
            Self::Postgres => "strpos",
        }
    }

    /// Takes characters of a set away from both ends of a text; text and set are its arguments.
    pub fn trim_function(self) -> &'static str {
        match self {
            Self::Sqlite => "trim",
            Self::Postgres => "btrim",
        }
    }

    /// The last `{length}` characters of `{text}`, or all of a shorter one.
    pub fn last_characters(self) -> &'static str {
        match self {
            Self::Sqlite => "substr({text}, -{length}, {length})",
            Self::Postgres => "right({text}, {length})",
        }
    }

    /// Leaves out of a selection within another statement the rows that somebody else has locked, and locks the others.
    pub fn only_unlocked_rows(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => "FOR UPDATE SKIP LOCKED",
        }
    }

    /// Asks what time it is at the database, in ticks; a database in this process has no clock of its own.
    pub fn clock(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some("SELECT (EXTRACT(EPOCH FROM clock_timestamp()) * 10000000)::BIGINT"),
        }
    }

    /// Takes the lock under which one process at a time migrates; held until the transaction ends.
    pub fn migration_lock(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some("SELECT pg_advisory_xact_lock(7227003271)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_never_sees_a_row_lock() {
        let sql = "SELECT 1 FROM apps WHERE id = $1 FOR UPDATE SKIP LOCKED";
        assert_eq!(for_sqlite(sql).trim_end(), "SELECT 1 FROM apps WHERE id = ?1");
    }

    #[test]
    fn values_count_by_their_number_wherever_they_stand() {
        assert_eq!(for_sqlite("SELECT $2, $1, $2"), "SELECT ?2, ?1, ?2");
    }

    #[test]
    fn many_rows_are_a_table_to_one_and_single_values_to_the_other() {
        let shape: Shape = &[("id", "uuid"), ("status", "text")];
        let change = "UPDATE operations SET status = {status} FROM {rows} WHERE operations.id = {id}";
        assert_eq!(
            for_each_row(Dialect::Sqlite, change, shape),
            "UPDATE operations SET status = ?2  WHERE operations.id = ?1"
        );
        assert_eq!(
            for_each_row(Dialect::Postgres, change, shape),
            "UPDATE operations SET status = given.status \
             FROM unnest($1::uuid[], $2::text[]) AS given(id, status) WHERE operations.id = given.id"
        );
        let read = "SELECT t.app_id FROM {rows}, operations t WHERE t.id = {id} FOR UPDATE OF t";
        assert_eq!(
            for_each_row(Dialect::Sqlite, read, shape).trim_end(),
            "SELECT t.app_id FROM operations t WHERE t.id = ?1"
        );
    }

    #[test]
    fn every_text_column_of_postgres_sorts_by_code_point() {
        let ddl = migration(Dialect::Postgres, "CREATE TABLE t (a TEXT NOT NULL, b BIGINT)");
        assert_eq!(ddl, "CREATE TABLE t (a TEXT COLLATE \"C\" NOT NULL, b BIGINT)");
    }
}
