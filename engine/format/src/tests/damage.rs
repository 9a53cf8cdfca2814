//! What does one damaged byte cost, and does a cut ever pass for the whole?

use super::{PLACE, batch, is_version, receipt_file, slot, start, version};
use crate::keyring::{KeySlot, SLOT_BYTES};
use crate::log::{
    ALIGN, BatchHeader, DirectoryEntry, FoundBatch, START_COPY, decode_batch, decode_start, encode_batch,
    later_batch,
};
use crate::manifest::{FoundVersion, VersionKind};
use crate::receipt::Receipt;
use crate::segment::{SECTIONS, decode_table, encode_table, place_sections};
use zerocopy::IntoBytes;

/// Each bit in turn is flipped in place, `look` looks, and it is flipped back.
fn each_flip(mut bytes: Vec<u8>, mut look: impl FnMut(&[u8], usize)) {
    for bit in 0..bytes.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        look(&bytes, bit);
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
}

/// Without this, a cut or rotten file would be read as something that nobody wrote.
#[test]
fn structures_that_stand_once_refuse_every_flip_and_every_cut() {
    let (sections, end) = place_sections([(100, 100); SECTIONS.len()]);
    type Check = Box<dyn Fn(&[u8]) -> bool>;
    let structures: [(&str, Vec<u8>, Check); 4] = [
        ("slot", slot().as_bytes().to_vec(), Box::new(|b| matches!(KeySlot::read(b, 6), Ok(Some(_))))),
        ("section table", encode_table(&sections), Box::new(move |b| decode_table(b, end).is_ok())),
        ("receipt", receipt_file(), Box::new(|b| Receipt::decode(b).is_ok())),
        (
            "checkpoint",
            version(VersionKind::Checkpoint),
            Box::new(|b| FoundVersion::read(b).is_ok_and(|found| found.partitions().all(|p| p.is_ok()))),
        ),
    ];
    for (name, bytes, check) in structures {
        assert!(check(&bytes), "{name}");
        for cut in 0..bytes.len() {
            assert!(!check(&bytes[..cut]), "{name} cut at {cut}");
        }
        assert!(!check(&[&bytes[..], &[0]].concat()), "{name} with a byte more");
        each_flip(bytes, |bytes, bit| assert!(!check(bytes), "{name} with bit {bit} flipped"));
    }
    each_flip(vec![0; SLOT_BYTES], |bytes, bit| {
        assert!(KeySlot::read(bytes, 6).is_err(), "a free slot with bit {bit} flipped");
    });
    assert!(KeySlot::read(slot().as_bytes(), 7).is_err(), "a slot in another's place");
}

/// Without this, one rotten byte at the start of a log file would take all its records along.
#[test]
fn the_start_of_a_log_file_survives_one_flip_and_tells() {
    let whole = decode_start(&start()).unwrap();
    assert_eq!(whole.mended, None);
    each_flip(start(), |bytes, bit| {
        let found = decode_start(bytes).unwrap();
        let offset = found.mended.unwrap().offset as usize;
        assert!(offset <= bit / 8 && bit / 8 < offset + ALIGN / 2, "bit {bit} is told at {offset}");
        assert_eq!((found.header, found.previous), (whole.header, whole.previous), "bit {bit}");
        assert_eq!((found.first_record, found.crc32), (whole.first_record, whole.crc32), "bit {bit}");
    });
    for cut in 0..ALIGN {
        assert!(decode_start(&start()[..cut]).is_err(), "cut at {cut}");
    }
    // What is written is 128 bytes; the same damage in both copies leaves nothing to believe.
    for byte in 0..128 {
        let mut bytes = start();
        bytes[byte] ^= 1;
        bytes[START_COPY + byte] ^= 1;
        assert!(decode_start(&bytes).is_err(), "byte {byte} of both copies");
    }
    let mut other = start();
    let second = crate::log::encode_start(&whole.header, None, 4).0;
    other[START_COPY..].copy_from_slice(&second[START_COPY..]);
    assert!(decode_start(&other).is_err(), "two copies that differ");
}

/// Which records of a batch are intact; all that the batch says of them must be what was written.
fn intact(found: &FoundBatch<'_>, context: &str) -> Vec<bool> {
    let bytes = batch();
    let written = decode_batch(&bytes, PLACE, None).unwrap();
    assert_eq!((found.bytes, found.crc32), (written.bytes, written.crc32), "{context}");
    assert_eq!(found.records.len(), written.records.len(), "{context}");
    let same = |(found, written): (&crate::log::FoundRecord<'_>, &crate::log::FoundRecord<'_>)| {
        assert_eq!((found.incarnation, found.name_tag), (written.incarnation, written.name_tag), "{context}");
        assert_eq!((found.record, found.kind), (written.record, written.kind), "{context}");
        found
            .sealed
            .as_ref()
            .inspect(|sealed| assert_eq!(**sealed, *written.sealed.as_ref().unwrap()))
            .is_ok()
    };
    found.records.iter().zip(&written.records).map(same).collect()
}

/// Without this, one rotten byte would cost the neighbours their records, or nobody could say whose is lost.
#[test]
fn a_flip_in_a_batch_is_mended_or_costs_one_record() {
    let (header, directory) = (BatchHeader::BYTES, 3 * DirectoryEntry::BYTES);
    let bodies =
        [0..20, 20..60, 60..1060].map(|body| body.start + header + directory..body.end + header + directory);
    each_flip(batch(), |bytes, bit| {
        let (byte, context) = (bit / 8, format!("bit {bit}"));
        let end = Some(bytes.len());
        let found = decode_batch(bytes, PLACE, end).unwrap_or_else(|damage| panic!("{context}: {damage}"));
        let hit = bodies.iter().position(|body| body.contains(&byte));
        let expected: Vec<bool> = (0..3).map(|record| Some(record) != hit).collect();
        assert_eq!(intact(&found, &context), expected, "{context}");
        assert_eq!(found.is_whole(), hit.is_none(), "{context}");
        assert_eq!(found.mended.is_some(), hit.is_none(), "{context}: what hurts nobody is noted");
        let damage = found.mended.or_else(|| found.records.into_iter().find_map(|r| r.sealed.err()));
        let offset = damage.unwrap().offset as usize;
        assert!(offset <= byte && byte < offset + 4096, "{context}: told at {offset}");
        // Where the batch ends is known only with the file after it, or the batch after it.
        assert_eq!(decode_batch(bytes, PLACE, None).is_ok(), byte >= header, "{context}");
    });
    let bytes = batch();
    for cut in 0..bytes.len() {
        assert!(decode_batch(&bytes[..cut], PLACE, None).is_err(), "cut at {cut}");
        assert!(decode_batch(&bytes[..cut], PLACE, Some(cut)).is_err(), "cut at {cut}");
    }
}

/// Without this, stale bytes or a batch from elsewhere would be taken for this one.
#[test]
fn a_batch_stands_in_its_place_alone() {
    let bytes = batch();
    for other in [
        crate::log::BatchPlace { file_tag: [4; 8], ..PLACE },
        crate::log::BatchPlace { batch: 5, ..PLACE },
        crate::log::BatchPlace { previous_crc32: 6, ..PLACE },
        crate::log::BatchPlace { offset: 4096, ..PLACE },
    ] {
        assert!(decode_batch(&bytes, other, Some(bytes.len())).is_err(), "{other:?}");
    }
    // Both headers gone, or an end that is not the batch's: nothing to go by.
    let (mut headless, end) = (bytes.clone(), bytes.len());
    headless[0] ^= 1;
    let longer = [&headless[..], &[0; ALIGN]].concat();
    assert!(decode_batch(&longer, PLACE, Some(end)).is_ok());
    assert!(decode_batch(&longer, PLACE, Some(end + ALIGN)).is_err());
    headless[end - 1] ^= 1;
    assert!(decode_batch(&headless, PLACE, Some(end)).is_err());
}

/// Without this, damage in the midst of the log would be cut away as if a crash had torn it.
#[test]
fn a_batch_behind_damage_is_seen() {
    let (first, crc32) = encode_batch(PLACE, &[super::sealed_record(1)]);
    let after = crate::log::BatchPlace {
        batch: 5,
        previous_crc32: crc32,
        offset: PLACE.offset + first.len() as u64,
        ..PLACE
    };
    let bytes = [first.clone(), encode_batch(after, &[super::sealed_record(2)]).0].concat();
    assert_eq!(later_batch(&bytes, PLACE.file_tag, 4), Some((first.len(), true)));
    assert_eq!(later_batch(&bytes, PLACE.file_tag, 3), Some((first.len(), false)));
    assert_eq!(later_batch(&bytes, PLACE.file_tag, 5), None);
    assert_eq!(later_batch(&bytes, [9; 8], 4), None);
    assert_eq!(later_batch(&first, PLACE.file_tag, 4), None);
}

/// Without this, one rotten byte in an edit would cost every partition what was flushed with it.
#[test]
fn an_edit_survives_one_flip_and_tells() {
    each_flip(version(VersionKind::Edit), |bytes, bit| {
        let found = FoundVersion::read(bytes).unwrap_or_else(|damage| panic!("bit {bit}: {damage}"));
        assert!(is_version(&found, VersionKind::Edit), "bit {bit}");
        assert!(found.mended.is_some(), "bit {bit} is noted");
    });
    let bytes = version(VersionKind::Edit);
    let half = bytes.len() / 2;
    for cut in 0..bytes.len() {
        let found = FoundVersion::read(&bytes[..cut]);
        // From the first whole copy on it says all, and that the other is missing.
        let is_readable = found.is_ok_and(|f| f.mended.is_some() && is_version(&f, VersionKind::Edit));
        assert_eq!(is_readable, cut >= half, "cut at {cut}");
    }
    for byte in (0..half).step_by(7) {
        let mut bytes = bytes.clone();
        bytes[byte] ^= 1;
        bytes[half + (byte * 5) % half] ^= 1;
        assert!(FoundVersion::read(&bytes).is_err(), "byte {byte} and one of the other copy");
    }
    let other = crate::manifest::encode_version(&super::info(VersionKind::Edit), [1; 16], 0, &[], &[]);
    let differ = [&bytes[..half], &other[..other.len() / 2]].concat();
    assert!(FoundVersion::read(&differ).is_err(), "two copies that differ");
    let longer = [&bytes[..], &[0]].concat();
    assert!(FoundVersion::read(&longer).unwrap().mended.is_some(), "a byte more is noted");
}
