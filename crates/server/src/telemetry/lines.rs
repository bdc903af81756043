//! How the log looks, to people and to machines.
//!
//! Every request has a span, whose fields stand in its line of the access log and in whatever else is said about it. A
//! layer that is made for any use writes them anew for each field that is added and each line. Here they are kept as
//! they will stand in a line.

use super::LogFormat;
use crate::clock::machine_ticks;
use domain::instant::Instant;
use domain::text::is_invisible;
use serde::Serialize;
use std::fmt::{self, Write};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_log::NormalizeEvent;
use tracing_subscriber::{
    Layer,
    layer::Context,
    registry::{LookupSpan, SpanRef},
};

/// The field that is what an event says.
const MESSAGE: &str = "message";

/// Writes a line for each event; `write` gets it whole.
pub(super) struct Lines<W> {
    pub(super) format: LogFormat,
    pub(super) has_colours: bool,
    pub(super) write: W,
}

/// The fields of a span, as they stand in a line.
struct Fields(String);

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    W: Fn(&Metadata<'_>, &[u8]) + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields(String::with_capacity(256));
        attributes.record(&mut self.adding_to(&mut fields.0));
        span.extensions_mut().replace(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(Fields(text)) = span.extensions_mut().get_mut() {
            values.record(&mut self.adding_to(text));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        // What comes by way of the `log` crate says in fields where it is from.
        let normalized = event.normalized_metadata();
        let metadata = normalized.as_ref().unwrap_or_else(|| event.metadata());
        let mut line = String::with_capacity(512);
        let written = match self.format {
            LogFormat::Text => self.write_text(&mut line, metadata, event, &context),
            LogFormat::Json => self.write_json(&mut line, metadata, event, &context),
        };
        if written.is_ok() {
            line.push('\n');
            (self.write)(metadata, line.as_bytes());
        }
    }
}

impl<W> Lines<W> {
    fn adding_to<'l>(&self, line: &'l mut String) -> Adding<'l> {
        let format = self.format;
        Adding { line, format }
    }

    /// `MOMENT LEVEL span{field=value}: target: message field=value`, with the outermost span first.
    fn write_text<S>(
        &self,
        line: &mut String,
        metadata: &Metadata<'_>,
        event: &Event<'_>,
        context: &Context<'_, S>,
    ) -> fmt::Result
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        let (dim, colour, plain) = match self.has_colours {
            true => ("\u{1b}[2m", colour(*metadata.level()), "\u{1b}[0m"),
            false => ("", "", ""),
        };
        let (now, level) = (Instant(machine_ticks()), metadata.level());
        write!(line, "{dim}{now}{plain} {colour}{level:>5}{plain} ")?;
        let begun = line.len();
        for span in context
            .event_scope(event)
            .into_iter()
            .flat_map(|scope| scope.from_root())
        {
            line.push_str(span.name());
            with_fields(&span, |fields| match fields.strip_prefix(' ') {
                Some(fields) => write!(line, "{{{fields}}}:"),
                None => line.write_char(':'),
            })?;
        }
        if line.len() > begun {
            line.push(' ');
        }
        write!(line, "{dim}{}:{plain}", metadata.target())?;
        event.record(&mut self.adding_to(line));
        Ok(())
    }

    /// An object of the event's own fields and the facts of the line, `span` among them: the innermost one.
    fn write_json<S>(
        &self,
        line: &mut String,
        metadata: &Metadata<'_>,
        event: &Event<'_>,
        context: &Context<'_, S>,
    ) -> fmt::Result
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        let (now, level) = (Instant(machine_ticks()), metadata.level());
        write!(line, r#"{{"timestamp":"{now}","level":"{level}""#)?;
        event.record(&mut self.adding_to(line));
        write!(line, r#","target":{}"#, json(&metadata.target()))?;
        if let Some(span) = context.event_span(event) {
            let name = span.name();
            with_fields(&span, |fields| {
                write!(line, r#","span":{{"name":"{name}"{fields}}}"#)
            })?;
        }
        line.write_char('}')
    }
}

fn with_fields<S>(span: &SpanRef<'_, S>, write: impl FnOnce(&str) -> fmt::Result) -> fmt::Result
where
    S: for<'s> LookupSpan<'s>,
{
    let extensions = span.extensions();
    let fields = extensions.get::<Fields>();
    write(fields.map_or("", |fields| fields.0.as_str()))
}

/// What turns a terminal to the colour of a level.
fn colour(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\u{1b}[31m",
        Level::WARN => "\u{1b}[33m",
        Level::INFO => "\u{1b}[32m",
        Level::DEBUG => "\u{1b}[34m",
        Level::TRACE => "\u{1b}[35m",
    }
}

/// Adds fields to a line, each behind what stands there already: ` name=value` or `,"name":value`.
struct Adding<'l> {
    line: &'l mut String,
    format: LogFormat,
}

impl Adding<'_> {
    /// `text` stands there as it is: it has nothing in it that would end it, or the line.
    fn add(&mut self, field: &Field, text: fmt::Arguments<'_>) {
        let name = field.name();
        let added = match self.format {
            LogFormat::Json => write!(self.line, r#","{name}":{text}"#),
            LogFormat::Text if name == MESSAGE => write!(self.line, " {text}"),
            // The facts of the line that the `log` crate adds stand in it already.
            LogFormat::Text if name.starts_with("log.") => Ok(()),
            LogFormat::Text => write!(self.line, " {name}={text}"),
        };
        // A text takes what it is given. A value that cannot say what it is has said as much as it could.
        added.unwrap_or_default();
    }
}

impl Visit for Adding<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        match value.is_finite() {
            true => self.add(field, format_args!("{value:?}")),
            false => self.record_debug(field, &value),
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, format_args!("{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, format_args!("{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, format_args!("{value}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match self.format {
            LogFormat::Json => self.add(field, format_args!("{}", json(&value))),
            LogFormat::Text if field.name() == MESSAGE => self.record_debug(field, &format_args!("{value}")),
            LogFormat::Text => self.add(field, format_args!("{value:?}")),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match self.format {
            LogFormat::Json => self.add(field, format_args!("{}", json(&format_args!("{value:?}")))),
            LogFormat::Text => {
                let begun = self.line.len();
                self.add(field, format_args!("{value:?}"));
                escape_controls(self.line, begun);
            }
        }
    }
}

fn json(text: &impl Serialize) -> String {
    serde_json::to_string(text).unwrap_or_else(|_| "null".to_owned())
}

/// What was written since `begun` must neither begin a line nor tell a terminal what to do, or turn around what it shows.
fn escape_controls(line: &mut String, begun: usize) {
    let written = line.get(begun..).unwrap_or_default();
    if !written.contains(is_invisible) {
        return;
    }
    for c in line.split_off(begun).chars() {
        match is_invisible(c) {
            true => line.extend(c.escape_default()),
            false => line.push(c),
        }
    }
}

#[cfg(test)]
mod tests;
