//! Folders that must not be taken for an empty journal, and what repair makes of them.

use std::os::unix::fs::PermissionsExt;

use super::*;

/// Two segments, no snapshot: the first one was spoiled by a failed sync.
fn two_segments() -> TempDir {
    let folder = folder();
    let storage = Storage::default();
    let mut journal = Journal::open_with(storage.clone(), folder.path(), options(), drop)
        .unwrap()
        .journal;
    journal.commit(&[submitted(1)]).unwrap();
    storage
        .faults
        .set(&[storage::faults::Plan::Fail(storage::Call::Sync)]);
    journal.commit(&[submitted(2)]).unwrap_err();
    storage.faults.set(&[]);
    journal.commit(&[submitted(2)]).unwrap();
    journal.commit(&[submitted(3)]).unwrap();
    folder
}

fn assert_refused(folder: &Path) -> JournalError {
    let before = contents(folder);
    let error = open(folder).unwrap_err();
    assert_eq!(contents(folder), before);
    error
}

#[test]
fn a_fresh_folder_is_made_for_its_owner_alone() {
    let parent = folder();
    let folder = parent.path().join("a/journal");
    let (opened, records) = open(&folder).unwrap();
    assert!(records.is_empty() && opened.warnings.is_empty());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&segment(&folder, 1)), 0o600);
    assert_eq!(mode(&marker::path(&folder)), 0o600);
}

#[test]
fn a_missing_segment_is_named() {
    for number in [1, 2] {
        let folder = two_segments();
        fs::remove_file(segment(folder.path(), number)).unwrap();
        let error = assert_refused(folder.path());
        let name = format!("{number:08}.wal");
        assert!(error.to_string().contains(&name), "{error}");
    }
    let folder = two_segments();
    forget_marker(folder.path());
    fs::remove_file(segment(folder.path(), 1)).unwrap();
    assert_refused(folder.path());
}

#[test]
fn traces_of_a_journal_without_the_journal_are_refused() {
    for trace in [
        "synced",
        "00000001.wal.torn-1",
        "00000002.snapshot.tmp",
        "damaged-1",
    ] {
        let folder = folder();
        fs::write(folder.path().join(trace), b"x").unwrap();
        assert_refused(folder.path());
    }
    let folder = folder();
    fs::write(segment(folder.path(), 1), b"").unwrap();
    assert_refused(folder.path());
}

#[test]
fn what_a_crash_during_creation_leaves_is_no_trace() {
    let folder = folder();
    fs::write(folder.path().join("00000001.wal.tmp"), b"half").unwrap();
    fs::write(folder.path().join("notes.txt"), b"mine").unwrap();
    assert!(records_of(folder.path()).is_empty());
    assert!(folder.path().join("notes.txt").exists());
}

#[test]
fn a_marker_of_garbage_is_as_good_as_none() {
    let folder = two_segments();
    for garbage in [&b""[..], b"garbage", &[0; 35], &[b'0'; 4096]] {
        fs::write(marker::path(folder.path()), garbage).unwrap();
        assert_eq!(records_of(folder.path()).len(), 3);
    }
}

#[test]
fn a_newer_format_is_told_from_damage() {
    let folder = two_segments();
    let header = serde_json::json!({ "format": 2, "other": "things" });
    let mut bytes = Vec::new();
    frame::encode(&mut bytes, 0, Mark::Control, &header).unwrap();
    fs::write(segment(folder.path(), 2), bytes).unwrap();
    let error = assert_refused(folder.path());
    assert!(matches!(error, JournalError::NewerFormat { format: 2, .. }));
    let before = contents(folder.path());
    repair(folder.path()).unwrap_err();
    assert_eq!(contents(folder.path()), before);
}

#[test]
fn a_segment_under_another_number_is_refused() {
    let folder = two_segments();
    fs::copy(segment(folder.path(), 1), segment(folder.path(), 2)).unwrap();
    assert_refused(folder.path());
}

#[test]
fn an_unknown_record_is_refused_not_skipped() {
    let folder = folder();
    write(folder.path(), &[&[submitted(1)]]);
    let path = segment(folder.path(), 1);
    let mut bytes = fs::read(&path).unwrap();
    frame::encode(&mut bytes, 2, Mark::First, &"unknown").unwrap();
    fs::write(&path, bytes).unwrap();
    let error = assert_refused(folder.path());
    assert!(error.to_string().contains("record 2"), "{error}");
}

#[test]
fn repair_leaves_a_whole_journal_alone() {
    let folder = two_segments();
    let before = contents(folder.path());
    assert_eq!(repair(folder.path()).unwrap(), RepairReport::default());
    assert_eq!(contents(folder.path()), before);
}

#[test]
fn repair_keeps_every_record_that_can_be_read_and_every_old_file() {
    let folder = two_segments();
    write(folder.path(), &[&[changed(2, 1), changed(1, 2)]]);
    let path = segment(folder.path(), 2);
    let mut bytes = fs::read(&path).unwrap();
    let needle = b"echo 2";
    let at = bytes.windows(6).position(|part| part == needle).unwrap();
    bytes[at] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let before = contents(folder.path());
    assert_refused(folder.path());

    let report = repair(folder.path()).unwrap();
    // Task 2 is lost, and its change with it.
    let kept = vec![submitted(1), submitted(3), changed(1, 2)];
    assert_eq!(records_of(folder.path()), kept);
    assert_eq!(report.records, 3);
    assert!(report.lost.iter().any(|lost| lost.contains("00000002.wal")));
    assert!(report
        .lost
        .iter()
        .any(|lost| lost.contains("tasks whose submission")));
    for (old, (path, bytes)) in report.moved.iter().zip(&before) {
        assert!(!path.exists() || path.ends_with("synced"));
        assert!(before.iter().any(|(path, _)| path.file_name() == old.file_name()));
        assert!(!bytes.is_empty());
    }
    assert_eq!(report.moved.len(), before.len());
    let refuge = contents(&folder.path().join("damaged-1"));
    assert!(refuge
        .iter()
        .map(|(_, bytes)| bytes)
        .eq(before.iter().map(|(_, bytes)| bytes)));

    write(folder.path(), &[&[submitted(9)]]);
    assert_eq!(records_of(folder.path()).len(), 4);
}

#[test]
fn repair_makes_do_with_a_damaged_snapshot() {
    let folder = folder();
    let mut journal = open(folder.path()).unwrap().0.journal;
    journal.commit(&[submitted(1), submitted(2)]).unwrap();
    journal.begin_snapshot(vec![state(3)]).unwrap();
    let images = vec![image(1, &[]), image(2, &[])];
    journal.snapshot_chunk(TaskKey(2), images).unwrap();
    journal.finish_snapshot().unwrap();
    wait_for_snapshot(&mut journal);
    journal.commit(&[changed(1, 1), changed(2, 2)]).unwrap();
    drop(journal);
    let path = snapshot_file(folder.path(), 2);
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(6).position(|part| part == b"echo 1").unwrap();
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
    let error = assert_refused(folder.path());
    assert!(error.to_string().contains("00000002.snapshot"), "{error}");

    repair(folder.path()).unwrap();
    let kept = vec![state(3), image(2, &[]), changed(2, 2)];
    assert_eq!(records_of(folder.path()), kept);
}

#[test]
fn repair_goes_on_after_a_lost_segment() {
    let folder = two_segments();
    fs::remove_file(segment(folder.path(), 2)).unwrap();
    assert_refused(folder.path());
    repair(folder.path()).unwrap();
    assert_eq!(records_of(folder.path()), vec![submitted(1)]);
}
