//! What the builder writes, the reader and an independent ZIP reader understand.
#![allow(
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use std::error::Error as _;
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};

use navx::{Kind, Limits, Package, PackageBuilder, PackageError, Version};
use proptest::prelude::*;
use uuid::Uuid;

const APP_ID: Uuid = Uuid::from_u128(0xfc2e_5540_26fe_5265_a4f8_1820_845e_5c1b);

fn version(text: &str) -> Version {
    text.parse().unwrap()
}

fn builder() -> PackageBuilder {
    PackageBuilder::new(APP_ID, "Sales Pack", "Contoso", version("1.2.3.4"))
}

fn read(bytes: &[u8]) -> Package {
    navx::read(Cursor::new(bytes), &Limits::default()).unwrap()
}

#[test]
fn every_kind_is_read_back_as_built() {
    for kind in [Kind::Regular, Kind::SymbolsOnly, Kind::ReadyToRun, Kind::Runtime] {
        for signed in [false, true] {
            let built = if signed {
                builder().kind(kind).signed()
            } else {
                builder().kind(kind)
            };
            let built = built.package_id(Uuid::from_u128(5));
            let bytes = built.to_bytes().unwrap();
            let package = read(&bytes);
            assert_eq!(package.kind, kind);
            assert_eq!(package.size, bytes.len() as u64);
            assert_eq!(package.signature.is_some(), signed);
            assert_eq!(package.manifest.is_none(), kind == Kind::Runtime);
            assert_eq!(package.embedded.is_some(), kind == Kind::ReadyToRun);
            assert_eq!(package.package_id, Uuid::from_u128(5));
            let embedded_id = package.embedded.map(|embedded| embedded.package_id);
            assert_ne!(
                embedded_id,
                Some(Uuid::from_u128(5)),
                "the app inside has its own"
            );
            assert_eq!(
                package.has_source,
                matches!(kind, Kind::Regular | Kind::ReadyToRun)
            );
        }
    }
}

#[test]
fn the_same_calls_give_the_same_bytes_and_others_give_others() {
    let bytes = builder().payload_bytes(10_000).signed().to_bytes().unwrap();
    assert_eq!(
        bytes,
        builder().payload_bytes(10_000).signed().to_bytes().unwrap()
    );
    assert_ne!(
        bytes,
        builder().payload_bytes(10_001).signed().to_bytes().unwrap()
    );
}

#[test]
fn filler_cannot_be_packed_and_makes_the_package_that_large() {
    let plain = builder().to_bytes().unwrap().len();
    let filled = builder().payload_bytes(3 << 20).to_bytes().unwrap().len();
    assert!((3 << 20..(3 << 20) + 1_000).contains(&(filled - plain)));
    let mut packer = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    packer
        .write_all(&builder().payload_bytes(300_000).to_bytes().unwrap())
        .unwrap();
    assert!(packer.finish().unwrap().len() >= 300_000);
}

#[test]
fn a_package_is_written_where_the_stream_stands() {
    let mut out = Cursor::new(b"before".to_vec());
    out.set_position(6);
    let size = builder().signed().write_to(&mut out).unwrap();
    let bytes = out.into_inner();
    assert_eq!(bytes.len() as u64, 6 + size);
    assert_eq!(bytes[6..], builder().signed().to_bytes().unwrap());
}

#[test]
fn an_independent_zip_reader_agrees_about_every_entry() {
    let bytes = builder().payload_bytes(100_000).to_bytes().unwrap();
    let mut archive = zip::ZipArchive::new(Cursor::new(&bytes[40..])).unwrap();
    assert_eq!(Some(archive.len() as u64), read(&bytes).entries);
    for index in 0..archive.len() {
        io::copy(&mut archive.by_index(index).unwrap(), &mut io::sink()).unwrap();
    }
}

/// Up to 65,535 entries the count fits its field; beyond, a record is needed that old programs do not know.
#[test]
fn only_a_package_of_very_many_files_needs_a_large_directory() {
    let has_large_directory = |bytes: &[u8]| bytes.windows(4).any(|window| window == b"PK\x06\x06");
    let few = builder().payload_bytes(0).to_bytes().unwrap();
    assert!(!has_large_directory(&few));
    let record = few.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    assert_eq!(
        few[record + 30..record + 32],
        [0, 0],
        "an extra field that old programs do not know"
    );
    let many = builder().source_files(65_532).to_bytes().unwrap();
    assert!(has_large_directory(&many));
    let archive = zip::ZipArchive::new(Cursor::new(&many[40..])).unwrap();
    assert_eq!(archive.len(), 65_536);
    assert_eq!(read(&many).entries, Some(65_536));
}

#[test]
fn the_facts_are_printed_in_the_documented_shape() {
    let bytes = builder()
        .package_id(Uuid::from_u128(5))
        .platform(None)
        .runtime(None)
        .id_range(50_100, 50_149)
        .dependency(Uuid::from_u128(7), "Base", "Contoso", version("2.0"))
        .to_bytes()
        .unwrap();
    let facts = serde_json::to_value(read(&bytes)).unwrap();
    assert_eq!(facts["kind"], "regular");
    assert_eq!(facts["packageId"], "00000000-0000-0000-0000-000000000005");
    assert_eq!(
        (&facts["signed"], &facts["signatureBytes"]),
        (&false.into(), &0.into())
    );
    assert_eq!(facts["contentLength"], bytes.len() - 40);
    assert_eq!(facts["app"]["version"], "1.2.3.4");
    assert!(facts["app"]["platform"].is_null() && facts["app"]["runtime"].is_null());
    assert_eq!(facts["app"]["idRanges"], serde_json::json!([[50_100, 50_149]]));
    let dependency = &facts["app"]["dependencies"][0];
    assert_eq!(dependency["minVersion"], "2.0.0.0");
    assert_eq!(
        (&facts["hasSource"], &facts["hasSymbols"]),
        (&true.into(), &true.into())
    );
    let runtime = serde_json::to_value(read(&builder().kind(Kind::Runtime).to_bytes().unwrap())).unwrap();
    assert_eq!((&runtime["kind"], runtime.get("app")), (&"runtime".into(), None));
}

/// A source that breaks after some bytes, as a disk or a network share does.
struct Breaking {
    inner: Cursor<Vec<u8>>,
    good_until: u64,
}

impl Read for Breaking {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.good_until.saturating_sub(self.inner.position()) as usize;
        if left == 0 {
            return Err(io::Error::other("the disk is gone"));
        }
        let count = left.min(buffer.len());
        self.inner.read(&mut buffer[..count])
    }
}

impl Seek for Breaking {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.inner.seek(position)
    }
}

#[test]
fn a_broken_source_is_not_a_bad_package() {
    for kind in [Kind::Regular, Kind::ReadyToRun] {
        let bytes = builder().kind(kind).to_bytes().unwrap();
        for good_until in [0, 41, 100, bytes.len() as u64 - 5] {
            let source = Breaking {
                inner: Cursor::new(bytes.clone()),
                good_until,
            };
            match navx::read(source, &Limits::default()) {
                Err(error @ PackageError::Io(_)) => {
                    assert_eq!(error.code(), "io_error");
                    assert_eq!(error.source().unwrap().to_string(), "the disk is gone");
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Is interrupted before each read, as by a signal.
struct Interrupted {
    inner: Cursor<Vec<u8>>,
    was_interrupted: bool,
}

impl Read for Interrupted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.was_interrupted = !self.was_interrupted;
        if self.was_interrupted {
            return Err(io::ErrorKind::Interrupted.into());
        }
        self.inner.read(buffer)
    }
}

impl Seek for Interrupted {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.inner.seek(position)
    }
}

#[test]
fn an_interrupted_read_is_made_again() {
    let bytes = builder().to_bytes().unwrap();
    let source = Interrupted {
        inner: Cursor::new(bytes.clone()),
        was_interrupted: false,
    };
    assert_eq!(navx::read(source, &Limits::default()).unwrap(), read(&bytes));
}

/// Says it is longer than it is, like a file cut while it is read.
struct Shrunk(Cursor<Vec<u8>>);

impl Read for Shrunk {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Seek for Shrunk {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        let found = self.0.seek(position)?;
        if position == SeekFrom::End(0) {
            let half = self.0.get_ref().len() / 2;
            self.0.get_mut().truncate(half);
        }
        Ok(found)
    }
}

#[test]
fn a_file_that_shrinks_while_it_is_read_is_an_io_error() {
    let source = Shrunk(Cursor::new(builder().to_bytes().unwrap()));
    assert!(matches!(
        navx::read(source, &Limits::default()),
        Err(PackageError::Io(_))
    ));
}

fn any_version() -> impl Strategy<Value = Version> {
    proptest::array::uniform4(0u32..=i32::MAX as u32).prop_map(|parts| Version::new(parts).unwrap())
}

fn any_name() -> impl Strategy<Value = String> {
    "[\\PC&&[^\\p{Cc}]]{0,40}[a-zA-Z<>&\"'ñ日]"
}

/// Id, name, publisher and lowest version of a dependency.
fn any_dependency() -> impl Strategy<Value = (Uuid, String, String, Version)> {
    let id = (1u128..).prop_map(Uuid::from_u128);
    (id, any_name(), any_name(), any_version())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_app_survives_being_packed(
        (name, publisher, version) in (any_name(), any_name(), any_version()),
        description in "[\\PC\n\r\t&&[^\\x7F-\\x9F]]{0,60}",
        dependencies in proptest::collection::vec(any_dependency(), 0..6),
        kind in prop_oneof![Just(Kind::Regular), Just(Kind::SymbolsOnly), Just(Kind::ReadyToRun)],
    ) {
        let mut builder = PackageBuilder::new(APP_ID, &name, &publisher, version).kind(kind).description(&description);
        for (id, name, publisher, min_version) in &dependencies {
            builder = builder.dependency(*id, name, publisher, *min_version);
        }
        let package = read(&builder.to_bytes().unwrap());
        let manifest = package.manifest.unwrap();
        prop_assert_eq!(package.kind, kind);
        prop_assert_eq!((manifest.name, manifest.publisher, manifest.version), (name, publisher, version));
        prop_assert_eq!(manifest.description, description);
        let read = manifest.dependencies.into_iter().map(|row| {
            assert_eq!(row.compatibility_id.as_deref(), Some("0.0.0.0"));
            (row.id, row.name, row.publisher, row.min_version)
        });
        prop_assert_eq!(read.collect::<Vec<_>>(), dependencies);
    }

    #[test]
    fn versions_survive_being_printed(version in any_version()) {
        prop_assert_eq!(version.to_string().parse::<Version>().unwrap(), version);
    }
}
