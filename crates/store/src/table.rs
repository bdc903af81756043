//! How a table is described: its columns, what is in them, and its key.

/// What the values of a column are.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Sixteen bytes that name something.
    Guid,
    /// Any text.
    Text,
    /// The name of a storage location.
    Location,
    /// A word that the service knows.
    Word(fn(&str) -> bool),
    /// A version as text.
    Version,
    /// A version as the sixteen bytes that sort as it does.
    VersionKey,
    /// A number.
    Int,
    /// Ticks of 100 ns since 1970.
    Ticks,
    /// Yes or no.
    Bool,
    /// SHA-256, 32 bytes.
    Digest,
}

impl Kind {
    /// The type that the migrations give such a column.
    pub(crate) fn sql_type(self) -> &'static str {
        match self {
            Self::Guid => "UUID",
            Self::Text | Self::Location | Self::Word(_) | Self::Version => "TEXT",
            Self::VersionKey | Self::Digest => "BYTEA",
            Self::Int | Self::Ticks => "BIGINT",
            Self::Bool => "BOOLEAN",
        }
    }
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// What SQL and exports call it.
    pub name: &'static str,
    /// What its values are.
    pub kind: Kind,
    /// Whether a row may have nothing here.
    pub is_optional: bool,
}

impl Column {
    /// Its part of a [`Shape`](crate::Shape).
    pub(crate) fn shape(&self) -> (&'static str, &'static str) {
        (self.name, self.kind.sql_type())
    }

    /// The columns of one field.
    #[expect(
        clippy::indexing_slicing,
        reason = "it makes constants: what is out of range does not compile"
    )]
    pub(crate) const fn each<const N: usize>(names: [&'static str; N], kinds: &[(Kind, bool)]) -> [Self; N] {
        let mut columns = [Self {
            name: "",
            kind: Kind::Text,
            is_optional: false,
        }; N];
        let mut at = 0;
        while at < N {
            let (kind, is_optional) = kinds[at];
            columns[at] = Self {
                name: names[at],
                kind,
                is_optional,
            };
            at += 1;
        }
        columns
    }
}

/// A table.
#[derive(Debug)]
pub struct Table {
    /// What SQL and exports call it.
    pub name: &'static str,
    /// In the order of the migrations.
    pub columns: &'static [Column],
    /// The columns of its primary key, in order.
    pub key: &'static [&'static str],
}

impl Table {
    /// Where the column of that name is, counted from 0.
    pub fn position(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|described| described.name == column)
    }

    /// The names of the columns, with commas between.
    pub fn column_names(&self) -> String {
        let names: Vec<_> = self.columns.iter().map(|column| column.name).collect();
        names.join(", ")
    }

    /// The statement that adds so many rows.
    pub(crate) fn insert(&self, rows: usize) -> String {
        let width = self.columns.len();
        let row = |row: usize| {
            let marks: Vec<_> = (1..=width)
                .map(|column| format!("${}", row * width + column))
                .collect();
            format!("({})", marks.join(", "))
        };
        let rows: Vec<_> = (0..rows).map(row).collect();
        format!(
            "INSERT INTO {} ({})\nVALUES {}",
            self.name,
            self.column_names(),
            rows.join(", ")
        )
    }

    /// The statement that writes these columns of a row, whose key is bound behind them.
    pub(crate) fn update(&self, columns: &[&str]) -> String {
        let marked = |names: &[&str], from: usize| -> Vec<_> {
            names
                .iter()
                .zip(from..)
                .map(|(name, number)| format!("{name} = ${number}"))
                .collect()
        };
        format!(
            "UPDATE {}\nSET {}\nWHERE {}",
            self.name,
            marked(columns, 1).join(", "),
            marked(self.key, columns.len() + 1).join(" AND ")
        )
    }
}

/// How many columns the fields of a row have.
#[expect(
    clippy::indexing_slicing,
    reason = "it makes constants: what is out of range does not compile"
)]
pub(crate) const fn total(fields: &[&[Column]]) -> usize {
    let (mut field, mut total) = (0, 0);
    while field < fields.len() {
        total += fields[field].len();
        field += 1;
    }
    total
}

/// The columns of all fields of a row.
#[expect(
    clippy::indexing_slicing,
    reason = "it makes constants: what is out of range does not compile"
)]
pub(crate) const fn flat<const N: usize>(fields: &[&[Column]]) -> [Column; N] {
    let mut columns = [fields[0][0]; N];
    let (mut field, mut at) = (0, 0);
    while field < fields.len() {
        let mut column = 0;
        while column < fields[field].len() {
            columns[at] = fields[field][column];
            column += 1;
            at += 1;
        }
        field += 1;
    }
    columns
}
