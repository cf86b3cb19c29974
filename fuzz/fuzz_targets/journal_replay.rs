//! Any bytes as the end of a segment: loading never panics, never hangs and never loses a byte.
//!
//! The input is appended to a valid header and record, as the checksums would keep a fuzzer from
//! ever getting past the first line; its first byte says whether the marker is kept.

#![no_main]

use std::fs;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use wezterm_parallel::journal::{repair, scan, Journal, Options, Record};

/// Content of all files of the log, in the order of their names.
fn bytes_of(folder: &Path) -> Vec<u8> {
    let mut paths: Vec<_> = fs::read_dir(folder)
        .expect("the folder was made above")
        .map(|entry| entry.expect("a readable entry").path())
        .filter(|path| path.is_file() && !path.ends_with("synced"))
        .collect();
    paths.sort();
    let read = |path| fs::read(path).expect("a readable file");
    paths.into_iter().flat_map(read).collect()
}

fn run(input: &[u8]) {
    for frame in scan(input).flatten() {
        let _ = frame.record();
    }
    let Some((flags, tail)) = input.split_first() else {
        return;
    };
    let parent = tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .expect("a temporary folder");
    let folder = parent.path().join("journal");
    let first = Record::Reserved { first: 1, last: 2 };
    Journal::open(&folder, Options::default(), drop)
        .expect("a fresh folder")
        .journal
        .commit(std::slice::from_ref(&first))
        .expect("there is room");
    let segment = folder.join("00000001.wal");
    let mut bytes = fs::read(&segment).expect("it was written");
    bytes.extend_from_slice(tail);
    fs::write(&segment, bytes).expect("there is room");
    if flags & 1 == 1 {
        fs::remove_file(folder.join("synced")).expect("it was written");
    }

    let before = bytes_of(&folder);
    let mut records = Vec::new();
    let opened = Journal::open(&folder, Options::default(), |record| records.push(record));
    assert_eq!(bytes_of(&folder), before, "bytes were lost");
    if opened.is_err() {
        repair(&folder).expect("there is room");
        assert_eq!(bytes_of(&folder.join("damaged-1")), before);
        records.clear();
        Journal::open(&folder, Options::default(), |record| records.push(record))
            .expect("it was repaired");
    }
    assert_eq!(records.first(), Some(&first));
}

fuzz_target!(|input: &[u8]| run(input));
