//! Fuzzy snapshots: what is skipped, what is believed, what is deleted and when.

use super::storage::faults::Plan;
use super::storage::Call;
use super::*;

fn small() -> Options {
    Options { segment_bytes: 1000 }
}

/// Two tasks, then a snapshot with a commit between any two of its steps. After each step the
/// folder is copied; the second part is what must be loaded from it.
fn stepwise() -> Vec<(TempDir, Vec<Record>)> {
    let folder = folder();
    let mut steps = Vec::new();
    let mut journal = open(folder.path()).unwrap().0.journal;
    let mut log = vec![submitted(1), submitted(2)];
    journal.commit(&log).unwrap();
    let mut keep = |records: &[Record]| steps.push((copy(folder.path()), records.to_vec()));

    keep(&log);
    journal.begin_snapshot(vec![state(3)]).unwrap();
    keep(&log);
    journal.commit(&[changed(1, 1), submitted(3)]).unwrap();
    log.extend([changed(1, 1), submitted(3)]);
    keep(&log);
    journal.snapshot_chunk(TaskKey(1), vec![image(1, &[1])]).unwrap();
    journal
        .commit(&[changed(1, 2), changed(2, 3), removed(&[3])])
        .unwrap();
    log.extend([changed(1, 2), changed(2, 3), removed(&[3])]);
    keep(&log);
    journal.snapshot_chunk(TaskKey(4), vec![image(2, &[3])]).unwrap();
    journal.commit(&[changed(2, 4), submitted(5)]).unwrap();
    log.extend([changed(2, 4), submitted(5)]);
    keep(&log);
    journal.finish_snapshot().unwrap();
    wait_for_snapshot(&mut journal);
    let fuzzy = vec![
        state(3),
        image(1, &[1]),
        image(2, &[3]),
        changed(1, 2),
        removed(&[3]),
        changed(2, 4),
        submitted(5),
    ];
    keep(&fuzzy);
    steps
}

fn names(folder: &Path) -> Vec<String> {
    let name = |(path, _): (PathBuf, Vec<u8>)| path.file_name().unwrap().to_str().unwrap().into();
    contents(folder).into_iter().map(name).collect()
}

#[test]
fn a_crash_between_any_two_steps_loads_what_was_committed() {
    for (index, (folder, expected)) in stepwise().into_iter().enumerate() {
        assert_eq!(records_of(folder.path()), expected, "step {index}");
        let left = names(folder.path());
        assert!(!left.iter().any(|name| name.ends_with(".tmp")), "{left:?}");
        assert_eq!(records_of(folder.path()), expected, "step {index}, again");
    }
}

#[test]
fn a_complete_snapshot_replaces_what_was_before() {
    let (folder, _) = stepwise().pop().unwrap();
    assert_eq!(
        names(folder.path()),
        ["00000002.snapshot", "00000002.wal", "synced"]
    );
}

/// The folder as after the rename of the snapshot and before anything was deleted.
fn before_deletion() -> (TempDir, Vec<Record>, Vec<Record>) {
    let mut steps = stepwise();
    let (after, fuzzy) = steps.pop().unwrap();
    let (before, log) = steps.pop().unwrap();
    let old = segment(before.path(), 1);
    fs::copy(old, segment(after.path(), 1)).unwrap();
    (after, fuzzy, log)
}

#[test]
fn a_crash_before_the_deletion_is_made_up_for() {
    let (folder, fuzzy, _) = before_deletion();
    assert_eq!(records_of(folder.path()), fuzzy);
    assert!(!segment(folder.path(), 1).exists());
}

#[test]
fn while_the_old_files_are_there_a_damaged_snapshot_is_no_loss() {
    let (folder, _, log) = before_deletion();
    let bytes = fs::read(snapshot_file(folder.path(), 2)).unwrap();
    for cut in (0..bytes.len()).step_by(13) {
        let copy = copy(folder.path());
        fs::write(snapshot_file(copy.path(), 2), &bytes[..cut]).unwrap();
        let (opened, records) = open(copy.path()).unwrap();
        assert_eq!(records, log, "cut at {cut}");
        assert_eq!(opened.warnings.len(), 1);
        assert!(copy.path().join("00000002.snapshot.damaged-1").exists());
        drop(opened);
        assert_eq!(records_of(copy.path()), log);
    }
}

#[test]
fn without_them_every_cut_and_every_flipped_bit_is_refused() {
    let (folder, _) = stepwise().pop().unwrap();
    let path = snapshot_file(folder.path(), 2);
    let bytes = fs::read(&path).unwrap();
    let refused = |content: &[u8]| {
        fs::write(&path, content).unwrap();
        assert!(open(folder.path()).unwrap_err().is_loss());
    };
    (0..bytes.len()).for_each(|cut| refused(&bytes[..cut]));
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        refused(&flipped);
    }
    refused(&[&bytes[..], b"\n"].concat());
    fs::remove_file(&path).unwrap();
    assert!(open(folder.path()).unwrap_err().is_loss());
}

#[test]
fn a_segment_that_has_lost_what_the_snapshot_contains_is_refused() {
    let (folder, _) = stepwise().pop().unwrap();
    forget_marker(folder.path());
    let path = segment(folder.path(), 2);
    let bytes = fs::read(&path).unwrap();
    let header = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    fs::write(&path, &bytes[..header]).unwrap();
    let error = open(folder.path()).unwrap_err();
    assert!(error.to_string().contains("contains record"), "{error}");
}

#[test]
fn an_old_marker_is_no_reason_to_refuse() {
    let mut steps = stepwise();
    let (after, fuzzy) = steps.pop().unwrap();
    let (before, _) = steps.swap_remove(0);
    fs::copy(marker::path(before.path()), marker::path(after.path())).unwrap();
    assert_eq!(records_of(after.path()), fuzzy);
}

#[test]
fn a_snapshot_is_wanted_by_size_and_not_while_one_is_written() {
    let folder = folder();
    let mut journal = Journal::open(folder.path(), small(), drop).unwrap().journal;
    let mut key = 0;
    let mut grow = |journal: &mut Journal, until: u64| {
        while journal.bytes() < until {
            key += 1;
            journal.commit(&[submitted(key)]).unwrap();
        }
        key
    };
    assert!(!journal.wants_snapshot());
    let last = grow(&mut journal, 20_000);
    assert!(journal.wants_snapshot());
    journal.begin_snapshot(vec![state(last)]).unwrap();
    assert!(!journal.wants_snapshot());
    assert!(journal.begin_snapshot(Vec::new()).is_err());
    let images = (1..=last).map(|key| image(key, &[])).collect();
    journal.snapshot_chunk(TaskKey(last), images).unwrap();
    journal.finish_snapshot().unwrap();
    wait_for_snapshot(&mut journal);
    assert!(journal.take_snapshot_error().is_none());
    // The log has to grow to half of the snapshot.
    let size = journal.bytes();
    grow(&mut journal, size + 2000);
    assert!(!journal.wants_snapshot());
    grow(&mut journal, size + size / 2);
    assert!(journal.wants_snapshot());
    let open = Journal::open(folder.path(), small(), drop).unwrap().journal;
    assert_eq!(open.bytes(), journal.bytes());
    assert!(open.wants_snapshot());
}

#[test]
fn a_snapshot_that_fails_is_reported_once_and_wanted_again_later() {
    let folder = folder();
    let storage = Storage::default();
    let mut journal = Journal::open_with(storage.clone(), folder.path(), small(), drop)
        .unwrap()
        .journal;
    let records: Vec<Record> = (1..=20).map(submitted).collect();
    journal.commit(&records).unwrap();
    journal.begin_snapshot(vec![state(1)]).unwrap();
    storage.faults.set(&[Plan::Fail(Call::Rename)]);
    journal.finish_snapshot().unwrap();
    wait_for_snapshot(&mut journal);
    assert!(journal.take_snapshot_error().is_some());
    assert!(journal.take_snapshot_error().is_none());
    assert!(!journal.wants_snapshot());
    storage.faults.set(&[]);
    journal.commit(&[submitted(21)]).unwrap();
    assert!(journal.wants_snapshot());
    assert_eq!(records_of(folder.path()).len(), 21);
}

#[test]
fn chunks_for_a_failed_snapshot_say_why() {
    let folder = folder();
    let storage = Storage::default();
    let mut journal = Journal::open_with(storage.clone(), folder.path(), small(), drop)
        .unwrap()
        .journal;
    assert!(journal.snapshot_chunk(TaskKey(1), Vec::new()).is_err());
    assert!(journal.finish_snapshot().is_err());
    journal.begin_snapshot(vec![state(1)]).unwrap();
    storage.faults.set(&[Plan::Fail(Call::Write)]);
    let failed = (1..1000).find_map(|key| journal.snapshot_chunk(TaskKey(key), vec![]).err());
    assert_eq!(failed.unwrap().to_string(), "injected fault");
    assert!(!journal.snapshot_in_progress());
}
