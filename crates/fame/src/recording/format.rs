//! The file of a recording: JSON lines, of which the first says what it is, and each other is one exchange.

use crate::failure::Failure;
use domain::chain::Chain;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Write},
    path::Path,
};

/// The name of the format.
pub(crate) const FORMAT: &str = "fame-recording";
/// The version of the format that is written, and the only one that is read.
pub(crate) const VERSION: u32 = 1;
/// The longest recording, in bytes.
pub(crate) const MOST_BYTES: u64 = 64 << 20;
/// The most exchanges of a recording.
pub(crate) const MOST_EXCHANGES: usize = 10_000;

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    /// [`FORMAT`].
    pub format: String,
    /// [`VERSION`].
    pub version: u32,
    /// Who wrote it, such as `fame 1.0.0`.
    pub recorder: String,
    /// Whether the service was the original one.
    pub original: bool,
}

impl Head {
    /// The first line of a recording of the original service, or of another.
    pub(crate) fn new(original: bool) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            recorder: concat!("fame ", env!("CARGO_PKG_VERSION")).to_owned(),
            original,
        }
    }
}

/// One request, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Exchange {
    /// What was asked.
    pub request: Asked,
    /// What was answered; nothing where no answer came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answered>,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Asked {
    /// The method.
    pub method: String,
    /// The path, percent-encoded but for pseudonyms.
    pub path: String,
    /// The query options in their order, decoded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub query: Vec<(String, String)>,
    /// The headers by their names in lower case.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body.
    #[serde(default)]
    pub body: Body,
}

impl Asked {
    /// `METHOD /path?query`, for people.
    pub(crate) fn line(&self) -> String {
        let options = self.query.iter().map(|(name, value)| format!("{name}={value}"));
        match options.collect::<Vec<_>>().join("&").as_str() {
            "" => format!("{} {}", self.method, self.path),
            query => format!("{} {}?{query}", self.method, self.path),
        }
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Answered {
    /// The HTTP status.
    pub status: u16,
    /// The headers by their names in lower case.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body.
    #[serde(default)]
    pub body: Body,
}

/// What was seen of a body.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Body {
    /// There was none.
    #[default]
    None,
    /// JSON.
    Json(Value),
    /// Something else.
    #[serde(rename_all = "camelCase")]
    Bytes {
        /// How many bytes.
        length: u64,
        /// Their SHA-256, in hexadecimal digits, where they were a package.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sha256: Option<String>,
    },
    /// JSON that was too long to be kept.
    TooLong {
        /// How many bytes.
        length: u64,
    },
    /// It broke off.
    Cut {
        /// After how many bytes.
        length: u64,
    },
}

/// A recording that is being written, by its owner alone.
pub(crate) struct Writer {
    file: File,
    written: u64,
    exchanges: usize,
}

impl Writer {
    /// Makes the file, which must not be there yet.
    ///
    /// # Errors
    /// Of the file.
    pub(crate) fn create(path: &Path, head: &Head) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut writer = Self {
            file: options.open(path)?,
            written: 0,
            exchanges: 0,
        };
        writer.line(head)?;
        Ok(writer)
    }

    /// Appends an exchange, so that it is there whatever comes next.
    ///
    /// # Errors
    /// Of the file, and where the recording would become longer than one can be.
    pub(crate) fn add(&mut self, exchange: &Exchange) -> io::Result<()> {
        if self.exchanges == MOST_EXCHANGES {
            let message = format!("the recording has {MOST_EXCHANGES} exchanges, which is the most");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
        }
        self.line(exchange)?;
        self.exchanges += 1;
        Ok(())
    }

    /// How many exchanges it has.
    pub(crate) fn exchanges(&self) -> usize {
        self.exchanges
    }

    fn line(&mut self, value: &impl Serialize) -> io::Result<()> {
        let mut text = serde_json::to_vec(value)?;
        text.push(b'\n');
        if self.written + text.len() as u64 > MOST_BYTES {
            let message = format!("the recording would have more than {MOST_BYTES} bytes");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
        }
        self.file.write_all(&text)?;
        self.file.flush()?;
        self.written += text.len() as u64;
        Ok(())
    }
}

/// A recording that was read.
#[derive(Clone, Debug)]
pub(crate) struct Recording {
    /// The first line.
    pub head: Head,
    /// The exchanges, in the order in which they ended.
    pub exchanges: Vec<Exchange>,
}

impl Recording {
    /// Reads the whole file.
    ///
    /// # Errors
    /// [`Failure::Usage`] when it cannot be read, [`Failure::Rule`] when it is no recording, or one that is too long or of
    /// another version.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let refused = |what: String| Failure::Rule(format!("{}: {what}", path.display()));
        let unreadable = |error: io::Error| match error.kind() {
            io::ErrorKind::InvalidData => refused(format!("it is no text, so no {FORMAT}")),
            _ => Failure::unreadable(path, &error),
        };
        let file = File::open(path).map_err(unreadable)?;
        if file.metadata().map_err(unreadable)?.len() > MOST_BYTES {
            return Err(refused(format!("a recording has at most {MOST_BYTES} bytes")));
        }
        let mut lines = BufReader::new(file.take(MOST_BYTES)).lines();
        let first = lines.next().transpose().map_err(unreadable)?.unwrap_or_default();
        let head = serde_json::from_str::<Head>(&first).ok();
        let Some(head) = head.filter(|head| head.format == FORMAT) else {
            return Err(refused(format!("the first line is not that of a {FORMAT}")));
        };
        if head.version != VERSION {
            return Err(refused(format!(
                "it is of version {} of {FORMAT}, and this program reads version {VERSION}",
                head.version
            )));
        }
        let mut exchanges = Vec::new();
        for (index, line) in lines.enumerate() {
            let line = line.map_err(unreadable)?;
            if line.trim().is_empty() {
                continue;
            }
            if exchanges.len() == MOST_EXCHANGES {
                return Err(refused(format!(
                    "a recording has at most {MOST_EXCHANGES} exchanges"
                )));
            }
            let exchange = serde_json::from_str(&line);
            exchanges
                .push(exchange.map_err(|error| refused(format!("line {}: {}", index + 2, Chain(&error))))?);
        }
        Ok(Self { head, exchanges })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn exchange(body: Body) -> Exchange {
        Exchange {
            request: Asked {
                method: "GET".into(),
                path: "/v1.4/apps".into(),
                query: vec![("$filter".into(), "id eq {app-1}".into())],
                headers: BTreeMap::new(),
                body: Body::None,
            },
            answer: Some(Answered {
                status: 200,
                headers: BTreeMap::from([("content-type".into(), "application/json".into())]),
                body,
            }),
        }
    }

    fn read(text: &str) -> Result<Recording, Failure> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Recording::read(file.path())
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        let bodies = [
            Body::None,
            Body::Json(json!({"value": []})),
            Body::Bytes {
                length: 3,
                sha256: Some("00".repeat(32)),
            },
            Body::TooLong { length: 9 },
            Body::Cut { length: 1 },
        ];
        let mut writer = Writer::create(&path, &Head::new(true)).unwrap();
        for body in &bodies {
            writer.add(&exchange(body.clone())).unwrap();
        }
        assert_eq!(writer.exchanges(), bodies.len());
        let read = Recording::read(&path).unwrap();
        assert!(read.head.original);
        assert_eq!(read.exchanges, bodies.map(exchange));
        assert_eq!(
            Writer::create(&path, &Head::new(true)).err().unwrap().kind(),
            io::ErrorKind::AlreadyExists,
            "nothing is overwritten"
        );
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn the_lines_are_as_documented() {
        let line = serde_json::to_value(exchange(Body::Bytes {
            length: 3,
            sha256: None,
        }))
        .unwrap();
        assert_eq!(
            line,
            json!({
                "request": {"method": "GET", "path": "/v1.4/apps", "query": [["$filter", "id eq {app-1}"]], "headers": {},
                            "body": "none"},
                "answer": {"status": 200, "headers": {"content-type": "application/json"}, "body": {"bytes": {"length": 3}}}
            })
        );
    }

    #[test]
    fn what_is_no_recording_is_refused_with_the_line() {
        let head = serde_json::to_string(&Head::new(false)).unwrap();
        let newer = head.replace("\"version\":1", "\"version\":2");
        let many = "{\"request\":{\"method\":\"GET\",\"path\":\"/\"}}\n".repeat(MOST_EXCHANGES + 1);
        let deep = format!(
            "{{\"request\":{{\"method\":\"GET\",\"path\":\"/\",\"body\":{{\"json\":{}}}}}}}",
            "[".repeat(10_000)
        );
        for (text, told) in [
            (String::new(), "the first line"),
            (
                "{\"format\":\"fame-export\",\"version\":1}".to_owned(),
                "the first line",
            ),
            (newer, "version 2"),
            (format!("{head}\n{{\"request\":1}}"), "line 2"),
            (format!("{head}\n\n{deep}"), "line 3"),
            (format!("{head}\n{many}"), "at most 10000 exchanges"),
        ] {
            let refused = read(&text).unwrap_err();
            assert!(matches!(refused, Failure::Rule(_)), "{refused}");
            assert!(refused.to_string().contains(told), "{refused}");
        }
    }
}
