//! Header, lengths and what follows the content.

use std::io::Cursor;

use navx::Kind;

use crate::{accepted, builder, good, limits, patched, read, refused};

#[test]
fn short_and_cut_files_are_refused() {
    let good = good();
    refused(b"", "too_short", "0 bytes");
    refused(&good[..39], "too_short", "39 bytes");
    refused(&good[..40], "bad_length", "0 bytes follow");
    refused(&good[..good.len() / 2], "bad_length", "follow the header");
}

#[test]
fn every_cut_of_every_kind_is_refused() {
    for kind in [Kind::Regular, Kind::SymbolsOnly, Kind::ReadyToRun, Kind::Runtime] {
        let bytes = builder().kind(kind).signed().to_bytes().unwrap();
        let signature_bytes = accepted(&bytes).signature.unwrap().bytes as usize;
        let unsigned = bytes.len() - signature_bytes;
        for end in (0..bytes.len()).step_by(37).filter(|end| *end != unsigned) {
            assert!(read(&bytes[..end]).is_err(), "{kind:?} cut to {end}");
        }
    }
}

#[test]
fn lengths_that_do_not_fit_are_refused() {
    let good = good();
    let length = good.len() as i64 - 40;
    for wrong in [-1, i64::MIN, i64::MAX, i64::MAX - 7, 0, length + 1] {
        refused(
            &patched(good.clone(), 28, &wrong.to_le_bytes()),
            "bad_length",
            &wrong.to_string(),
        );
    }
}

#[test]
fn a_second_archive_behind_the_first_is_refused() {
    let good = good();
    let twice = [good.clone(), good[40..].to_vec()].concat();
    refused(&twice, "bad_trailer", "NXSB");
    let shorter = good.len() as u64 - 70;
    refused(
        &patched(good.clone(), 28, &shorter.to_le_bytes()),
        "bad_trailer",
        "30 bytes",
    );
    refused(
        &[&good[..], b"hello world, not a signature"].concat(),
        "bad_trailer",
        "28 bytes",
    );
}

#[test]
fn a_signature_block_must_be_whole_and_point_to_itself() {
    let signed = builder().signed().to_bytes().unwrap();
    let len = signed.len();
    let start = good().len();
    refused(
        &patched(signed.clone(), len - 8, &12u32.to_le_bytes()),
        "bad_trailer",
        "offset is 12",
    );
    refused(&signed[..len - 100], "bad_trailer", "end with NXSB");
    refused(
        &patched(signed.clone(), start, b"NXSC"),
        "bad_trailer",
        "start with NXSB",
    );
    refused(&patched(signed.clone(), start + 4, b"\x31"), "bad_trailer", "DER");
    refused(
        &patched(signed.clone(), start + 6, b"\0\x20"),
        "bad_trailer",
        "fill",
    );
    refused(
        &patched(signed.clone(), start + 8, b"\x05"),
        "bad_trailer",
        "PKCS#7",
    );
    let up_to = |bytes| limits(|limits| limits.max_signature_bytes = bytes);
    let size = (len - start) as u64;
    assert!(navx::read(Cursor::new(&signed), &up_to(size)).is_ok());
    let error = navx::read(Cursor::new(&signed), &up_to(size - 1)).unwrap_err();
    assert_eq!(error.code(), "bad_trailer");
}

#[test]
fn the_smallest_signature_block_is_one_and_anything_smaller_is_none() {
    let good = good();
    let offset = (good.len() as u32).to_le_bytes();
    let block_of = |der: &[u8]| [&good[..], b"NXSB", der, &offset, b"NXSB"].concat();
    let signed_data = b"\x30\x0B\x06\x09\x2A\x86\x48\x86\xF7\x0D\x01\x07\x02";
    let signature = accepted(&block_of(signed_data)).signature.unwrap();
    assert_eq!(signature.bytes, 25);
    refused(
        &block_of(&signed_data[..12]),
        "bad_trailer",
        "no signature has that size",
    );
}

#[test]
fn a_signature_may_be_of_any_length_that_der_can_write() {
    let good = good();
    let offset = (good.len() as u32).to_le_bytes();
    for (length, written) in [
        (127, &b"\x7F"[..]),
        (128, b"\x81\x80"),
        (256, b"\x82\x01\x00"),
        (65_536, b"\x83\x01\x00\x00"),
    ] {
        let mut value = b"\x06\x09\x2A\x86\x48\x86\xF7\x0D\x01\x07\x02".to_vec();
        value.resize(length, 0);
        let bytes = [&good[..], b"NXSB\x30", written, &value, &offset, b"NXSB"].concat();
        let signature = accepted(&bytes).signature.unwrap();
        assert_eq!(signature.bytes, (bytes.len() - good.len()) as u64, "{length}");
    }
    let of_no_length = [&good[..], b"NXSB\x30\x80", &[0; 128], &offset, b"NXSB"].concat();
    refused(&of_no_length, "bad_trailer", "no DER sequence");
}

#[test]
fn a_signature_block_hides_no_other_archive() {
    let good = good();
    let offset = (good.len() as u32).to_le_bytes();
    let with_end_record_at = |place: usize| {
        let mut value = b"\x06\x09\x2A\x86\x48\x86\xF7\x0D\x01\x07\x02".to_vec();
        value.resize(65_536, 0);
        value[place..place + 4].copy_from_slice(b"PK\x05\x06");
        [&good[..], b"NXSB\x30\x83\x01\x00\x00", &value, &offset, b"NXSB"].concat()
    };
    // Wherever it is, also across the pieces in which the block is read.
    for place in (11..40).chain(16_360..16_400).chain([40_000, 65_532]) {
        refused(&with_end_record_at(place), "bad_trailer", "end of a ZIP");
    }
}

/// The last byte of the identifier is taken from the offset behind it.
#[test]
fn what_follows_the_signed_data_is_no_part_of_it() {
    let of_length = |payload| builder().payload_bytes(payload).to_bytes().unwrap();
    let good = (1..=256)
        .map(of_length)
        .find(|bytes| bytes.len() % 256 == 2)
        .unwrap();
    let offset = (good.len() as u32).to_le_bytes();
    let cut_off = b"\x30\x81\x0A\x06\x09\x2A\x86\x48\x86\xF7\x0D\x01\x07";
    let bytes = [&good[..], b"NXSB", cut_off, &offset, b"NXSB"].concat();
    refused(&bytes, "bad_trailer", "PKCS#7");
}

#[test]
fn other_formats_are_refused_by_their_header() {
    let good = good();
    refused(&good[40..], "bad_magic", "plain ZIP");
    refused(&patched(good.clone(), 0, b"NAVY"), "bad_magic", "start with NAVX");
    refused(&patched(good.clone(), 36, b"NAVY"), "bad_magic", "end with NAVX");
    refused(
        &patched(good.clone(), 4, &44u32.to_le_bytes()),
        "bad_header_size",
        "44",
    );
    refused(
        &patched(good.clone(), 8, &3u32.to_le_bytes()),
        "bad_header_version",
        "3",
    );
    let eight_bytes = [b"NAVX\x08\0\0\0", &good[40..]].concat();
    refused(&eight_bytes, "bad_header_size", "8 bytes");
    refused(&patched(good, 40, b"RAR!"), "bad_payload", "neither");
}

#[test]
fn runtime_packages_are_recognised_and_their_length_counts_without_the_prefix() {
    let bytes = builder()
        .kind(Kind::Runtime)
        .payload_bytes(5_000)
        .to_bytes()
        .unwrap();
    let package = accepted(&bytes);
    assert_eq!(
        (package.kind, package.content_length, package.size),
        (Kind::Runtime, 5_000, 5_048)
    );
    assert_eq!((package.manifest, package.entries), (None, None));
    let signed = accepted(&builder().kind(Kind::Runtime).signed().to_bytes().unwrap());
    assert!(signed.signature.is_some());
    refused(&bytes[..bytes.len() - 5], "bad_length", "5048");
    refused(&patched(bytes, 47, &[2]), "bad_payload", "format version");
}
