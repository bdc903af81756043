//! Any bytes as a package, as the payload of a package whose header is true, and as the signature of one.
//!
//! The second and third are needed because a fuzzer seldom guesses a length field: without them, the ZIP and the
//! manifest behind the header, and the signature behind those, would hardly ever be reached.

#![no_main]

use std::io::Cursor;
use std::time::SystemTime;

use libfuzzer_sys::fuzz_target;
use navx::{Limits, PackageError};

const HEADER_LEN: u32 = 40;
const HEADER_VERSION: u32 = 2;
/// A payload of one byte behind its prefix.
const RUNTIME: &[u8] = b".NEA\0\0\0\x01\0";

fuzz_target!(|data: &[u8]| {
    read(data);
    read(&behind_a_true_header(data));
    read(&as_signature(data));
});

fn read(package: &[u8]) {
    match navx::read(Cursor::new(package), &Limits::default()) {
        Ok(facts) => {
            assert_eq!(facts.size, package.len() as u64);
            let proof = navx::prove(Cursor::new(package), &facts, SystemTime::UNIX_EPOCH);
            if let Err(unproven) = proof.expect("bytes in memory can always be read") {
                assert!(unproven.to_string().len() < 1_000);
            }
        }
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

/// Behind a payload that nobody can read, so that only the signature is looked at.
fn as_signature(inside: &[u8]) -> Vec<u8> {
    const SIGNED_DATA: &[u8] = b"\x06\x09\x2A\x86\x48\x86\xF7\x0D\x01\x07\x02";
    let mut package = behind_a_true_header(RUNTIME);
    package[28..36].copy_from_slice(&1_u64.to_le_bytes());
    let end = package.len() as u32;
    let content = [SIGNED_DATA, &der(0xA0, &der(0x30, inside))].concat();
    package.extend(b"NXSB");
    package.extend(der(0x30, &content));
    package.extend(end.to_le_bytes());
    package.extend(b"NXSB");
    package
}

fn der(tag: u8, value: &[u8]) -> Vec<u8> {
    let len = (value.len() as u16).to_be_bytes();
    [&[tag, 0x82], &len[..], value].concat()
}
