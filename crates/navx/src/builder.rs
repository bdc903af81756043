//! Building packages: for tests, demonstrations and measurements.
//!
//! What is built has the layout of real packages of every kind and passes the reader, but is no substitute
//! for a compiler: its source is filler, its signature only has the shape of one, and the opaque bytes of a
//! runtime package are noise. The same calls give the same bytes, so that tests can compare digests.

use std::io::{self, Cursor, Seek, SeekFrom, Write};

use serde::Serialize;
use uuid::Uuid;

use crate::archive::Archive;
use crate::contents::{MEDIA_LISTING, SYMBOLS};
use crate::filler::Filler;
use crate::header::{self, HeaderBytes, RUNTIME_PREFIX};
use crate::manifest::Dependency;
use crate::manifest_writer::{self, App};
use crate::package::Kind;
use crate::ready_to_run::Claim;
use crate::signature::{MARK, SIGNED_DATA};
use crate::version::Version;

/// Bytes of filler per entry, so that large packages need no large entries.
const MAX_FILLER_ENTRY_BYTES: u64 = 64 << 20;
/// Opaque bytes of a runtime package whose payload was not given a size.
const RUNTIME_BYTES: u64 = 24_000;
/// Opaque bytes of a signature block; real ones have 7 to 16 KB.
const SIGNATURE_FILLER_BYTES: u64 = 9_000;
const BOM: &str = "\u{FEFF}";

/// Describes a package, then writes it.
///
/// ```
/// use navx::{Limits, PackageBuilder};
///
/// let id = uuid::Uuid::from_u128(7);
/// let bytes = PackageBuilder::new(id, "Sales Pack", "Contoso", "1.2.3.4".parse()?).to_bytes()?;
/// let package = navx::read(std::io::Cursor::new(&bytes), &Limits::default())?;
/// assert_eq!(package.manifest.map(|manifest| manifest.app_id), Some(id));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct PackageBuilder {
    app: App,
    kind: Kind,
    package_id: Option<Uuid>,
    source_files: u32,
    payload_bytes: u64,
    signed: bool,
    symbols: Symbols,
    entries: Vec<(String, Vec<u8>)>,
}

#[derive(Debug, Clone)]
enum Symbols {
    OfNoObjects,
    Given(Vec<u8>),
    Missing,
}

impl PackageBuilder {
    /// A regular package of an app with this identity, without dependencies and with a little source.
    pub fn new(app_id: Uuid, name: &str, publisher: &str, version: Version) -> Self {
        let app = App::new(app_id, name, publisher, version);
        Self {
            app,
            kind: Kind::Regular,
            package_id: None,
            source_files: 3,
            payload_bytes: 0,
            signed: false,
            symbols: Symbols::OfNoObjects,
            entries: Vec::new(),
        }
    }

    /// The shape of the package; [`Kind::Regular`] unless said otherwise.
    pub fn kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// The id in the header; derived from app id and version unless said otherwise.
    pub fn package_id(mut self, package_id: Uuid) -> Self {
        self.package_id = Some(package_id);
        self
    }

    /// Adds a declared dependency.
    pub fn dependency(mut self, id: Uuid, name: &str, publisher: &str, min_version: Version) -> Self {
        let (name, publisher) = (name.to_owned(), publisher.to_owned());
        let compatibility_id = Some("0.0.0.0".to_owned());
        self.app.dependencies.push(Dependency {
            id,
            name,
            publisher,
            min_version,
            compatibility_id,
        });
        self
    }

    /// Lowest platform version, or `None` to declare none; 27.0.0.0 unless said otherwise.
    pub fn platform(mut self, platform: Option<Version>) -> Self {
        self.app.platform = platform;
        self
    }

    /// Lowest Application version, or `None` to declare none; 27.0.0.0 unless said otherwise.
    pub fn application(mut self, application: Option<Version>) -> Self {
        self.app.application = application;
        self
    }

    /// Compiler runtime such as `15.0`, or `None` to declare none; `16.0` unless said otherwise.
    pub fn runtime(mut self, runtime: Option<&str>) -> Self {
        self.app.runtime = runtime.map(str::to_owned);
        self
    }

    /// Target such as `OnPrem`; `Cloud` unless said otherwise.
    pub fn target(mut self, target: &str) -> Self {
        target.clone_into(&mut self.app.target);
        self
    }

    /// One-line description; empty unless said otherwise.
    pub fn brief(mut self, brief: &str) -> Self {
        brief.clone_into(&mut self.app.brief);
        self
    }

    /// Description; empty unless said otherwise.
    pub fn description(mut self, description: &str) -> Self {
        description.clone_into(&mut self.app.description);
        self
    }

    /// Adds a range of object numbers.
    pub fn id_range(mut self, first: i32, last: i32) -> Self {
        self.app.id_ranges.push((first, last));
        self
    }

    /// Number of AL source files in a regular package; 3 unless said otherwise.
    pub fn source_files(mut self, source_files: u32) -> Self {
        self.source_files = source_files;
        self
    }

    /// Adds that many bytes that cannot be packed any smaller, for a package of about that size.
    pub fn payload_bytes(mut self, payload_bytes: u64) -> Self {
        self.payload_bytes = payload_bytes;
        self
    }

    /// The bytes of `SymbolReference.json`, or `None` to leave it out; symbols of an app without objects unless said
    /// otherwise.
    pub fn symbols(mut self, symbols: Option<&[u8]>) -> Self {
        self.symbols = symbols.map_or(Symbols::Missing, |bytes| Symbols::Given(bytes.to_vec()));
        self
    }

    /// Adds an entry to a regular package.
    pub fn entry(mut self, name: &str, content: &[u8]) -> Self {
        self.entries.push((name.to_owned(), content.to_vec()));
        self
    }

    /// Appends a block with the shape of a signature. It proves nothing.
    pub fn signed(mut self) -> Self {
        self.signed = true;
        self
    }

    /// Writes the package from the current position of `out`, which must be its end, and returns the package's
    /// size in bytes.
    ///
    /// A package of any size is written in constant memory, except that the app inside a ready-to-run package
    /// is built in memory first.
    ///
    /// # Errors
    /// Those of `out`, and [`io::ErrorKind::InvalidInput`] for a signed package of 4 GiB or more, whose
    /// signature block could not say where it begins.
    pub fn write_to<W: Write + Seek>(&self, out: &mut W) -> io::Result<u64> {
        let start = out.stream_position()?;
        out.write_all(&[0; size_of::<HeaderBytes>()])?;
        let content_length = match self.kind {
            Kind::Runtime => self.write_opaque(out)?,
            Kind::ReadyToRun => self.write_wrapper(out)?,
            Kind::Regular | Kind::SymbolsOnly => self.write_archive(out)?,
        };
        let payload_end = out.stream_position()?;
        out.seek(SeekFrom::Start(start))?;
        out.write_all(&header::encode(self.header_id(), content_length))?;
        out.seek(SeekFrom::Start(payload_end))?;
        if self.signed {
            out.write_all(&self.signature_block(payload_end - start)?)?;
        }
        Ok(out.stream_position()? - start)
    }

    /// The package in memory.
    ///
    /// # Errors
    /// As for [`write_to`](Self::write_to).
    pub fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let mut out = Cursor::new(Vec::new());
        self.write_to(&mut out)?;
        Ok(out.into_inner())
    }

    fn header_id(&self) -> Uuid {
        let seed = format!("{:?} {}", self.kind, self.app.version);
        self.package_id
            .unwrap_or_else(|| Uuid::new_v5(&self.app.id, seed.as_bytes()))
    }

    fn filler(&self, purpose: &str) -> Filler {
        Filler::new(Uuid::new_v5(&self.header_id(), purpose.as_bytes()))
    }

    fn write_archive<W: Write + Seek>(&self, out: &mut W) -> io::Result<u64> {
        let mut archive = Archive::new(out)?;
        archive.add(
            "NavxManifest.xml",
            manifest_writer::manifest(&self.app).as_bytes(),
        )?;
        if self.kind == Kind::Regular {
            for number in 0..self.source_files {
                let (name, text) = source_file(50_100 + number);
                archive.add(&name, text.as_bytes())?;
            }
        }
        match &self.symbols {
            Symbols::OfNoObjects => archive.add(SYMBOLS, &self.symbols_of_no_objects()?)?,
            Symbols::Given(bytes) => archive.add(SYMBOLS, bytes)?,
            Symbols::Missing => {}
        }
        if self.kind == Kind::Regular {
            for (name, content) in &self.entries {
                archive.add(name, content)?;
            }
            self.add_payload(&mut archive)?;
            archive.add(MEDIA_LISTING, media_listing().as_bytes())?;
        }
        archive.add("[Content_Types].xml", content_types().as_bytes())?;
        archive.finish()
    }

    fn add_payload<W: Write + Seek>(&self, archive: &mut Archive<'_, W>) -> io::Result<()> {
        let mut filler = self.filler("filler");
        let mut left = self.payload_bytes;
        let mut number = 0;
        while left > 0 {
            let size = left.min(MAX_FILLER_ENTRY_BYTES);
            archive.add_filler(&format!("resources/filler-{number:04}.bin"), size, &mut filler)?;
            left -= size;
            number += 1;
        }
        Ok(())
    }

    fn write_wrapper<W: Write + Seek>(&self, out: &mut W) -> io::Result<u64> {
        let inner = Self {
            kind: Kind::Regular,
            package_id: None,
            ..self.clone()
        }
        .to_bytes()?;
        let app = &self.app;
        let claim = Claim {
            embedded_app_id: app.id.to_string(),
            embedded_app_name: app.name.clone(),
            embedded_app_publisher: app.publisher.clone(),
            embedded_app_version: app.version.to_string(),
            embedded_app_file_name: format!("{}_{}_27_27024.app", app.id.simple(), app.version),
        };
        let mut archive = Archive::new(out)?;
        archive.add("readytorunappmanifest.json", &serde_json::to_vec(&claim)?)?;
        archive.add(&claim.embedded_app_file_name, &inner)?;
        let artifact = "publishedartifacts/file:///S:/Ready2Run/0000.dll";
        archive.add_filler(artifact, 4096, &mut self.filler("published artifact"))?;
        archive.add("[Content_Types].xml", content_types().as_bytes())?;
        archive.finish()
    }

    /// A runtime package counts its content without the prefix.
    fn write_opaque<W: Write + Seek>(&self, out: &mut W) -> io::Result<u64> {
        out.write_all(&RUNTIME_PREFIX)?;
        let size = match self.payload_bytes {
            0 => RUNTIME_BYTES,
            given => given,
        };
        self.filler("opaque").write_to(out, size)?;
        Ok(size)
    }

    fn signature_block(&self, payload_end: u64) -> io::Result<Vec<u8>> {
        let too_far = |_| io::Error::new(io::ErrorKind::InvalidInput, "a signed package ends before 4 GiB");
        let offset = u32::try_from(payload_end).map_err(too_far)?;
        let mut value = SIGNED_DATA.to_vec();
        self.filler("signature")
            .write_to(&mut value, SIGNATURE_FILLER_BYTES)?;

        let value_len = u16::try_from(value.len()).map_err(io::Error::other)?;
        let mut block = MARK.to_vec();
        block.extend([0x30, 0x82]);
        block.extend(value_len.to_be_bytes());
        block.extend(value);
        block.extend(offset.to_le_bytes());
        block.extend(MARK);
        Ok(block)
    }

    fn symbols_of_no_objects(&self) -> io::Result<Vec<u8>> {
        let app = &self.app;
        let symbols = SymbolReference {
            runtime_version: app.runtime.as_deref(),
            codeunits: [],
            app_id: app.id.to_string(),
            name: &app.name,
            publisher: &app.publisher,
            version: app.version.to_string(),
        };
        let mut text = BOM.as_bytes().to_vec();
        serde_json::to_writer(&mut text, &symbols)?;
        Ok(text)
    }
}

/// The symbols of an app without objects.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SymbolReference<'a> {
    runtime_version: Option<&'a str>,
    codeunits: [(); 0],
    app_id: String,
    name: &'a str,
    publisher: &'a str,
    version: String,
}

fn source_file(number: u32) -> (String, String) {
    let name = format!("src/src/codeunits/Sample{number}.Codeunit.al");
    let text = format!(
        "{BOM}codeunit {number} \"Sample {number}\"\r\n{{\r\n    procedure Run()\r\n    begin\r\n    end;\r\n}}\r\n"
    );
    (name, text)
}

fn media_listing() -> String {
    let namespace = "http://schemas.microsoft.com/navx/2016/mediaidlisting";
    format!(
        "{BOM}<MediaIdListing LogoFileName=\"\" LogoId=\"\" xmlns=\"{namespace}\">\r\n  <MediaSetIds />\r\n</MediaIdListing>"
    )
}

fn content_types() -> String {
    let mut types = String::new();
    for extension in ["xml", "al", "json", "bin", "app", "dll"] {
        types.push_str(&format!("<Default Extension=\"{extension}\" ContentType=\"\" />"));
    }
    let namespace = "http://schemas.openxmlformats.org/package/2006/content-types";
    format!("{BOM}<?xml version=\"1.0\" encoding=\"utf-8\"?><Types xmlns=\"{namespace}\">{types}</Types>")
}
