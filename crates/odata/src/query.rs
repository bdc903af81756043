//! The query string: split, decode, recognise.
//!
//! The order of the steps matters: splitting happens on the raw text (an encoded `&` belongs to a value), decoding
//! happens once, and only then are names compared.

use crate::aliases::Aliases;
use crate::error::{ErrorCode, QueryError};
use crate::lexer::begins_name;
use crate::limits::Limits;

/// What the options are sent to; it decides which of them make sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resource {
    /// A list of entities: all options.
    Collection,
    /// One entity, also the answer to an action: `$select` and `$format`.
    Entity,
    /// `…/$count`: `$filter`.
    Count,
    /// `$metadata` and the service document: `$format`.
    Metadata,
}

/// The options of a request, decoded but not yet parsed where a schema is needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// `$filter`, for [`crate::parse_filter`].
    pub filter: Option<String>,
    /// `$orderby`, for [`crate::OrderBy::parse`].
    pub order_by: Option<String>,
    /// `$select`, for [`crate::Select::parse`].
    pub select: Option<String>,
    /// `$apply`, for [`crate::Apply::parse`].
    pub apply: Option<String>,
    /// `$top`; numbers too large to be meant are held at `i64::MAX`.
    pub top: Option<u64>,
    /// `$skip`, held like `$top`. It applies to the first page only, a paging token includes it.
    pub skip: Option<u64>,
    /// `$count=true`.
    pub count: bool,
    /// `$format`; it wins over `Accept`.
    pub format: Option<Format>,
    /// `$skiptoken`, for [`crate::SkipToken::decode`].
    pub skip_token: Option<String>,
    /// `@name=literal`.
    pub aliases: Aliases,
    /// Everything else, in the order in which it was sent.
    pub custom: Vec<(String, String)>,
}

/// A representation that `$format` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// JSON with so much control information.
    Json(Metadata),
    /// XML; only [`Resource::Metadata`] has it.
    Xml,
}

/// The value of `odata.metadata`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metadata {
    /// None.
    None,
    /// What a client cannot compute; the default.
    Minimal,
    /// Everything.
    Full,
}

#[derive(Clone, Copy, PartialEq)]
enum System {
    Filter,
    OrderBy,
    Select,
    Apply,
    Top,
    Skip,
    Count,
    Format,
    SkipToken,
    SchemaVersion,
    Unsupported,
}

const SYSTEM_OPTIONS: [(&str, System); 14] = [
    ("$filter", System::Filter),
    ("$orderby", System::OrderBy),
    ("$select", System::Select),
    ("$top", System::Top),
    ("$skip", System::Skip),
    ("$count", System::Count),
    ("$format", System::Format),
    ("$skiptoken", System::SkipToken),
    ("$schemaversion", System::SchemaVersion),
    ("$search", System::Unsupported),
    ("$apply", System::Apply),
    ("$compute", System::Unsupported),
    ("$expand", System::Unsupported),
    ("$deltatoken", System::Unsupported),
];

impl Options {
    /// Reads the raw query string (without `?`).
    ///
    /// With `dollar_optional` a system option is also recognised without its `$`, as OData 4.01 demands; otherwise such
    /// a name is a custom option.
    ///
    /// # Errors
    /// `InvalidQueryOption` for broken encoding, unknown or repeated options, options that the resource does not have,
    /// and values that are wrong whatever the schema; `InvalidFilter` for a filter that is too long; `NotImplemented`
    /// for options this library lacks; `NotAcceptable` for a `$format` that does not exist.
    pub fn parse(
        raw: &str,
        resource: Resource,
        dollar_optional: bool,
        limits: &Limits,
    ) -> Result<Options, QueryError> {
        let mut options = Options::default();
        let mut seen = Vec::new();
        for item in raw.split('&').filter(|item| !item.is_empty()) {
            let (name, value) = decode_item(item)?;
            if let Some(alias) = name.strip_prefix('@') {
                options.add_alias(alias, value, limits)?;
                continue;
            }
            match recognise(&name, dollar_optional)? {
                Some((canonical, system)) => {
                    if seen.contains(&canonical) {
                        return Err(QueryError::option(
                            canonical,
                            format!("`{canonical}` is given more than once."),
                        ));
                    }
                    seen.push(canonical);
                    check_length(canonical, &value, limits)?;
                    check_applies(canonical, system, resource)?;
                    options.set(canonical, system, value, resource)?;
                }
                None => options.custom.push((name, value)),
            }
        }
        Ok(options)
    }

    /// A hash of what decides which rows come in which order: filter, aliases, order, and `scope`, the path and
    /// whatever else chooses the list. It stays the same between releases.
    pub fn fingerprint(&self, scope: &str) -> u64 {
        let mut hash = Fnv::new();
        hash.part(scope);
        hash.part(self.filter.as_deref().unwrap_or(""));
        hash.part(self.order_by.as_deref().unwrap_or(""));
        for (name, text) in &self.aliases.texts {
            hash.part(name);
            hash.part(text);
        }
        hash.0
    }

    fn add_alias(&mut self, name: &str, value: String, limits: &Limits) -> Result<(), QueryError> {
        let target = format!("@{name}");
        let is_name = name.starts_with(begins_name) && name.chars().all(|c| c.is_alphanumeric() || c == '_');
        if !is_name {
            let message = format!("`{target}` is not the name of a parameter alias.");
            return Err(QueryError::option(&target, message));
        }
        check_length(&target, &value, limits)?;
        if self.aliases.texts.insert(name.into(), value).is_some() {
            return Err(QueryError::option(
                &target,
                format!("`{target}` is given more than once."),
            ));
        }
        Ok(())
    }

    fn set(
        &mut self,
        name: &str,
        system: System,
        value: String,
        resource: Resource,
    ) -> Result<(), QueryError> {
        match system {
            System::Filter => self.filter = Some(value),
            System::OrderBy => self.order_by = Some(value),
            System::Select => self.select = Some(value),
            System::Apply => self.apply = Some(value),
            System::SkipToken => self.skip_token = Some(value),
            System::Top => self.top = Some(parse_amount(name, &value)?),
            System::Skip => self.skip = Some(parse_amount(name, &value)?),
            System::Count => self.count = parse_count(&value)?,
            System::Format => self.format = Some(parse_format(&value, resource)?),
            System::SchemaVersion if value == "*" => {}
            System::SchemaVersion | System::Unsupported => return Err(unsupported(name)),
        }
        Ok(())
    }
}

/// The decoded name of a raw item; `None` if it cannot be decoded.
pub(crate) fn option_name(item: &str) -> Option<String> {
    let (name, _) = item.split_once('=').unwrap_or((item, ""));
    decode(name).ok()
}

fn decode_item(item: &str) -> Result<(String, String), QueryError> {
    let (raw_name, raw_value) = item.split_once('=').unwrap_or((item, ""));
    let broken = |name: &str, part: &str, problem: &str| {
        QueryError::option(
            name,
            format!("The {part} of the query option `{name}` {problem}."),
        )
    };
    let name = decode(raw_name).map_err(|problem| broken(raw_name, "name", problem))?;
    let value = decode(raw_value).map_err(|problem| broken(&name, "value", problem))?;
    Ok((name, value))
}

/// `+` to blank, then percent-decoding, once.
fn decode(raw: &str) -> Result<String, &'static str> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let high = rest.next().and_then(hex_digit);
                let low = rest.next().and_then(hex_digit);
                let (Some(high), Some(low)) = (high, low) else {
                    return Err("has a `%` that is not followed by two hexadecimal digits");
                };
                high << 4 | low
            }
            other => other,
        });
    }
    if bytes.contains(&0) {
        return Err("contains a NUL character");
    }
    String::from_utf8(bytes).map_err(|_| "is not UTF-8")
}

fn hex_digit(byte: u8) -> Option<u8> {
    u8::try_from(char::from(byte).to_digit(16)?).ok()
}

/// The canonical name of a system option; `None` for a custom option.
fn recognise(name: &str, dollar_optional: bool) -> Result<Option<(&'static str, System)>, QueryError> {
    let has_dollar = name.starts_with('$');
    if !has_dollar && !dollar_optional {
        return Ok(None);
    }
    let bare = name.strip_prefix('$').unwrap_or(name);
    let is_meant = |canonical: &str| canonical.trim_start_matches('$').eq_ignore_ascii_case(bare);
    let found = SYSTEM_OPTIONS.iter().find(|(canonical, _)| is_meant(canonical));
    if found.is_none() && has_dollar {
        return Err(QueryError::option(
            name,
            format!("There is no query option `{name}`."),
        ));
    }
    Ok(found.copied())
}

fn check_length(name: &str, value: &str, limits: &Limits) -> Result<(), QueryError> {
    if value.len() <= limits.bytes {
        return Ok(());
    }
    let mut error = QueryError::option(
        name,
        format!("The value of `{name}` is longer than {} bytes.", limits.bytes),
    );
    if name == "$filter" {
        error.code = ErrorCode::InvalidFilter;
    }
    Err(error)
}

fn check_applies(name: &str, system: System, resource: Resource) -> Result<(), QueryError> {
    let applies = match (resource, system) {
        (_, System::Unsupported | System::SchemaVersion) | (Resource::Collection, _) => true,
        (Resource::Entity, _) => matches!(system, System::Select | System::Format),
        (Resource::Count, _) => system == System::Filter,
        (Resource::Metadata, _) => system == System::Format,
    };
    if applies {
        return Ok(());
    }
    let what = match resource {
        Resource::Entity => "a single entity; only $select and $format do",
        Resource::Count => "$count; only $filter does",
        _ => "this resource; only $format does",
    };
    Err(QueryError::option(
        name,
        format!("`{name}` does not apply to {what}."),
    ))
}

fn unsupported(name: &str) -> QueryError {
    let mut error = QueryError::option(name, format!("The query option `{name}` is not supported."));
    error.code = ErrorCode::NotImplemented;
    error
}

fn parse_amount(name: &str, value: &str) -> Result<u64, QueryError> {
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(QueryError::option(
            name,
            format!("`{name}` must be a whole number, 0 or greater."),
        ));
    }
    let largest = i64::MAX as u64;
    Ok(value.parse().unwrap_or(largest).min(largest))
}

fn parse_count(value: &str) -> Result<bool, QueryError> {
    match value {
        _ if value.eq_ignore_ascii_case("true") => Ok(true),
        _ if value.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(QueryError::option("$count", "`$count` must be true or false.")),
    }
}

fn parse_format(value: &str, resource: Resource) -> Result<Format, QueryError> {
    let lower = value.to_ascii_lowercase();
    let mut parts = lower.split(';').map(str::trim);
    let format = match parts.next().unwrap_or("") {
        "json" | "application/json" => json_metadata(parts).map(Format::Json),
        "xml" | "application/xml" if resource == Resource::Metadata => Some(Format::Xml),
        _ => None,
    };
    format.ok_or_else(|| {
        let mut error = QueryError::option("$format", "`$format` must be json or application/json.");
        error.code = ErrorCode::NotAcceptable;
        error
    })
}

/// The wanted control information; `None` for a parameter that means nothing.
fn json_metadata<'p>(parameters: impl Iterator<Item = &'p str>) -> Option<Metadata> {
    let mut metadata = Metadata::Minimal;
    for parameter in parameters {
        let (name, value) = parameter.split_once('=')?;
        metadata = match (name.trim(), value.trim()) {
            ("odata.metadata" | "metadata", "minimal") => Metadata::Minimal,
            ("odata.metadata" | "metadata", "none") => Metadata::None,
            ("odata.metadata" | "metadata", "full") => Metadata::Full,
            ("odata.streaming" | "streaming" | "ieee754compatible", "true" | "false") => metadata,
            ("charset", "utf-8") => metadata,
            _ => return None,
        };
    }
    Some(metadata)
}

/// FNV-1a, 64 bits: stable, and enough to notice a token on the wrong query. It protects nothing.
struct Fnv(u64);

impl Fnv {
    fn new() -> Fnv {
        Fnv(0xcbf2_9ce4_8422_2325)
    }

    /// Adds a text and its length, so that the borders between parts count.
    fn part(&mut self, text: &str) {
        let length = (text.len() as u64).to_be_bytes();
        for byte in length.iter().chain(text.as_bytes()) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
