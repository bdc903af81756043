//! Any bytes as a package, and any bytes as the payload of a package whose header is true.
//!
//! The second half is needed because a fuzzer seldom guesses a length field: without it, the ZIP and the
//! manifest behind the header would hardly ever be reached.

#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use navx::{Limits, PackageError};

const HEADER_LEN: u32 = 40;
const HEADER_VERSION: u32 = 2;

fuzz_target!(|data: &[u8]| {
    read(data);
    read(&behind_a_true_header(data));
});

fn read(package: &[u8]) {
    match navx::read(Cursor::new(package), &Limits::default()) {
        Ok(facts) => assert_eq!(facts.size, package.len() as u64),
        Err(PackageError::Io(error)) => panic!("bytes in memory can always be read: {error}"),
        Err(refused) => assert!(refused.to_string().len() < 1_000),
    }
}

fn behind_a_true_header(payload: &[u8]) -> Vec<u8> {
    let mut package = Vec::with_capacity(payload.len() + HEADER_LEN as usize);
    package.extend(b"NAVX");
    package.extend(HEADER_LEN.to_le_bytes());
    package.extend(HEADER_VERSION.to_le_bytes());
    package.extend([0x42; 16]);
    package.extend((payload.len() as u64).to_le_bytes());
    package.extend(b"NAVX");
    package.extend(payload);
    package
}
