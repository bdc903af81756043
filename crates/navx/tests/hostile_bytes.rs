//! No bytes make the reader panic, hang or take memory that the limits do not allow.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on has failed"
)]

use std::io::Cursor;
use std::sync::LazyLock;

use navx::{Kind, Limits, Package, PackageBuilder, PackageError};
use proptest::prelude::*;
use uuid::Uuid;

static PACKAGES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let kinds = [Kind::Regular, Kind::SymbolsOnly, Kind::ReadyToRun, Kind::Runtime];
    let build = |kind| {
        let app = PackageBuilder::new(
            Uuid::from_u128(9),
            "Sales Pack",
            "Contoso",
            "1.0.0.0".parse().unwrap(),
        );
        app.kind(kind).signed().to_bytes().unwrap()
    };
    kinds.into_iter().map(build).collect()
});

fn read(bytes: &[u8]) -> Result<Package, PackageError> {
    let result = navx::read(Cursor::new(bytes), &Limits::default());
    if let Err(error) = &result {
        assert_ne!(
            error.code(),
            "io_error",
            "bytes in memory cannot fail to be read: {error}"
        );
        assert!(error.to_string().len() < 1_000, "an endless message: {error}");
    }
    result
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(read(&bytes).is_err());
    }

    #[test]
    fn any_payload_behind_a_true_header_is_answered(payload in proptest::collection::vec(any::<u8>(), 1..600)) {
        let mut bytes = PACKAGES[0][..40].to_vec();
        bytes[28..36].copy_from_slice(&(payload.len() as u64 + 4).to_le_bytes());
        bytes.extend(b"PK\x03\x04");
        bytes.extend(payload);
        prop_assert!(read(&bytes).is_err());
    }

    #[test]
    fn any_cut_is_answered(package in 0usize..4, keep in any::<prop::sample::Index>()) {
        let bytes = &PACKAGES[package];
        let _ = read(&bytes[..keep.index(bytes.len())]);
    }

    #[test]
    fn any_flipped_bytes_are_answered(
        package in 0usize..4,
        flips in proptest::collection::vec((any::<prop::sample::Index>(), 1u8..), 1..8),
    ) {
        let mut bytes = PACKAGES[package].clone();
        for (index, flip) in flips {
            let index = index.index(bytes.len());
            bytes[index] ^= flip;
        }
        if let Ok(read_package) = read(&bytes) {
            prop_assert_eq!(read_package.size, bytes.len() as u64);
        }
    }

    #[test]
    fn any_numbers_in_the_directory_are_answered(
        package in 0usize..3,
        offset in 0usize..400,
        number in prop_oneof![Just(0u32), Just(u32::MAX), Just(0xFFFF), any::<u32>()],
    ) {
        let mut bytes = PACKAGES[package].clone();
        let signature = bytes.len() - 9_031;
        let at = signature.saturating_sub(offset + 4);
        bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
        let _ = read(&bytes);
    }
}
