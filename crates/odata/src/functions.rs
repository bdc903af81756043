//! The functions a filter may call: names, what they take, what they give.

use crate::schema::Scalar;

/// A canonical function of OData.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Function {
    /// Whether the first text contains the second.
    Contains,
    /// Whether the first text begins with the second.
    StartsWith,
    /// Whether the first text ends with the second.
    EndsWith,
    /// Lower case, by Unicode's rules without a locale.
    ToLower,
    /// Upper case, by Unicode's rules without a locale.
    ToUpper,
    /// Without white space (Unicode's) at both ends.
    Trim,
    /// Characters in a text.
    Length,
    /// Characters before the first occurrence of the second text, or -1.
    IndexOf,
    /// The part from a character on (negative: from the end), of at most so many characters.
    Substring,
    /// Both texts, one behind the other.
    Concat,
    /// The year, UTC.
    Year,
    /// The month, 1 to 12, UTC.
    Month,
    /// The day of the month, UTC.
    Day,
    /// The hour, UTC.
    Hour,
    /// The minute, UTC.
    Minute,
    /// The whole second.
    Second,
    /// The rest of the second, below 1.
    FractionalSeconds,
    /// The day of an instant, UTC.
    Date,
    /// The time of day of an instant, UTC.
    Time,
    /// The instant of the request.
    Now,
    /// The first instant of the year 1.
    MinDateTime,
    /// The last tick of the year 9999.
    MaxDateTime,
    /// A duration in seconds, with fraction.
    TotalSeconds,
    /// Always 0: instants are kept in UTC.
    TotalOffsetMinutes,
    /// The nearest integer, halves away from zero.
    Round,
    /// The next integer below.
    Floor,
    /// The next integer above.
    Ceiling,
    /// Whether a regular expression matches somewhere in a text; bound as `Expression::Matches`.
    MatchesPattern,
}

/// What an argument may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accepts {
    Text,
    Integer,
    Number,
    /// Something with a day.
    Day,
    /// Something with a clock.
    Clock,
    Instant,
    Duration,
}

impl Accepts {
    pub(crate) fn takes(self, scalar: Scalar) -> bool {
        match self {
            Accepts::Text => scalar.is_textual(),
            Accepts::Integer => scalar == Scalar::Int,
            Accepts::Number => scalar.is_numeric(),
            Accepts::Day => matches!(scalar, Scalar::DateTimeOffset | Scalar::Date),
            Accepts::Clock => matches!(
                scalar,
                Scalar::DateTimeOffset | Scalar::TimeOfDay | Scalar::Duration
            ),
            Accepts::Instant => scalar == Scalar::DateTimeOffset,
            Accepts::Duration => scalar == Scalar::Duration,
        }
    }

    pub(crate) fn describe(self) -> &'static str {
        match self {
            Accepts::Text => "a string",
            Accepts::Integer => "an integer",
            Accepts::Number => "a number",
            Accepts::Day => "a date, with or without time",
            Accepts::Clock => "a time",
            Accepts::Instant => "a date with time and offset",
            Accepts::Duration => "a duration",
        }
    }
}

/// How a function is called.
pub(crate) struct Signature {
    pub name: &'static str,
    pub function: Function,
    pub parameters: &'static [Accepts],
    /// How many of the parameters may be left out at the end.
    pub optional: usize,
    /// The type of the result; `None`: that of the argument.
    pub returns: Option<Scalar>,
}

const fn signature(
    name: &'static str,
    function: Function,
    parameters: &'static [Accepts],
    returns: Option<Scalar>,
) -> Signature {
    Signature {
        name,
        function,
        parameters,
        optional: 0,
        returns,
    }
}

const TEXT: &[Accepts] = &[Accepts::Text];
const TWO_TEXTS: &[Accepts] = &[Accepts::Text, Accepts::Text];
const BOOLEAN: Option<Scalar> = Some(Scalar::Boolean);
const INT: Option<Scalar> = Some(Scalar::Int);
const STRING: Option<Scalar> = Some(Scalar::String);
const DECIMAL: Option<Scalar> = Some(Scalar::Decimal);
const INSTANT: Option<Scalar> = Some(Scalar::DateTimeOffset);

const SIGNATURES: [Signature; 28] = [
    signature("contains", Function::Contains, TWO_TEXTS, BOOLEAN),
    signature("startswith", Function::StartsWith, TWO_TEXTS, BOOLEAN),
    signature("endswith", Function::EndsWith, TWO_TEXTS, BOOLEAN),
    signature("matchesPattern", Function::MatchesPattern, TWO_TEXTS, BOOLEAN),
    signature("tolower", Function::ToLower, TEXT, STRING),
    signature("toupper", Function::ToUpper, TEXT, STRING),
    signature("trim", Function::Trim, TEXT, STRING),
    signature("length", Function::Length, TEXT, INT),
    signature("indexof", Function::IndexOf, TWO_TEXTS, INT),
    Signature {
        name: "substring",
        function: Function::Substring,
        parameters: &[Accepts::Text, Accepts::Integer, Accepts::Integer],
        optional: 1,
        returns: STRING,
    },
    signature("concat", Function::Concat, TWO_TEXTS, STRING),
    signature("year", Function::Year, &[Accepts::Day], INT),
    signature("month", Function::Month, &[Accepts::Day], INT),
    signature("day", Function::Day, &[Accepts::Day], INT),
    signature("hour", Function::Hour, &[Accepts::Clock], INT),
    signature("minute", Function::Minute, &[Accepts::Clock], INT),
    signature("second", Function::Second, &[Accepts::Clock], INT),
    signature(
        "fractionalseconds",
        Function::FractionalSeconds,
        &[Accepts::Clock],
        DECIMAL,
    ),
    signature("date", Function::Date, &[Accepts::Instant], Some(Scalar::Date)),
    signature(
        "time",
        Function::Time,
        &[Accepts::Instant],
        Some(Scalar::TimeOfDay),
    ),
    signature("now", Function::Now, &[], INSTANT),
    signature("mindatetime", Function::MinDateTime, &[], INSTANT),
    signature("maxdatetime", Function::MaxDateTime, &[], INSTANT),
    signature(
        "totalseconds",
        Function::TotalSeconds,
        &[Accepts::Duration],
        DECIMAL,
    ),
    signature(
        "totaloffsetminutes",
        Function::TotalOffsetMinutes,
        &[Accepts::Instant],
        INT,
    ),
    signature("round", Function::Round, &[Accepts::Number], None),
    signature("floor", Function::Floor, &[Accepts::Number], None),
    signature("ceiling", Function::Ceiling, &[Accepts::Number], None),
];

/// Every operator of a filter, as it is written.
const OPERATORS: [&str; 19] = [
    "eq", "ne", "gt", "ge", "lt", "le", "has", "in", "and", "or", "not", "add", "sub", "mul", "div", "divby",
    "mod", "any", "all",
];

/// What a filter may be made of, as it is written: operators, and then functions.
pub fn filter_words() -> impl Iterator<Item = &'static str> {
    let functions = SIGNATURES.iter().map(|signature| signature.name);
    OPERATORS.into_iter().chain(functions)
}

/// The function of a name, in any case.
pub(crate) fn find(name: &str) -> Option<&'static Signature> {
    SIGNATURES
        .iter()
        .find(|signature| signature.name.eq_ignore_ascii_case(name))
}

/// Whether OData defines a function of that name that this library does not have.
pub(crate) fn is_known_elsewhere(name: &str) -> bool {
    const MISSING: [&str; 5] = ["case", "cast", "isof", "hassubset", "hassubsequence"];
    MISSING.iter().any(|missing| missing.eq_ignore_ascii_case(name))
}
