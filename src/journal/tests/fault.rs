//! Failing writes and syncs, and a crash before any single system call.

use super::storage::faults::Plan;
use super::storage::Call;
use super::*;

fn open_with(storage: &Storage, folder: &Path) -> Journal {
    Journal::open_with(storage.clone(), folder, options(), drop)
        .unwrap()
        .journal
}

#[test]
fn after_any_failure_a_repeated_commit_neither_loses_nor_doubles() {
    let plans: [&[Plan]; 8] = [
        &[Plan::Fail(Call::Write)],
        &[Plan::Fail(Call::Sync)],
        &[Plan::ShortWrites(1)],
        &[Plan::ShortWrites(100)],
        &[Plan::ShortWrites(100), Plan::Fail(Call::Truncate)],
        &[Plan::Fail(Call::Sync), Plan::Fail(Call::Truncate)],
        &[Plan::Fail(Call::Sync), Plan::Fail(Call::SyncFolder)],
        &[Plan::DieAfter(0)],
    ];
    for plan in plans {
        for tries in 1..4 {
            let folder = folder();
            let storage = Storage::default();
            let mut journal = open_with(&storage, folder.path());
            journal.commit(&[submitted(1)]).unwrap();
            storage.faults.set(plan);
            for _ in 0..tries {
                journal.commit(&[submitted(2), submitted(3)]).unwrap_err();
                assert_eq!(journal.last_lsn(), Lsn(1));
            }
            storage.faults.set(&[]);
            journal.commit(&[submitted(2), submitted(3)]).unwrap();
            journal.commit(&[submitted(4)]).unwrap();
            assert_eq!(journal.last_lsn(), Lsn(4));
            drop(journal);
            let expected: Vec<Record> = (1..=4).map(submitted).collect();
            assert_eq!(records_of(folder.path()), expected, "{plan:?}, {tries} tries");
        }
    }
}

#[test]
fn a_failed_commit_that_is_given_up_is_gone() {
    let folder = folder();
    let storage = Storage::default();
    let mut journal = open_with(&storage, folder.path());
    journal.commit(&[submitted(1)]).unwrap();
    for plan in [Plan::ShortWrites(200), Plan::Fail(Call::Sync)] {
        storage.faults.set(&[plan]);
        journal.commit(&[submitted(2), submitted(3)]).unwrap_err();
        assert_eq!(records_of(folder.path()), vec![submitted(1)]);
    }
}

#[test]
fn a_rotation_that_fails_at_its_last_step_takes_no_record_with_it() {
    for call in [
        Call::Create,
        Call::Write,
        Call::Sync,
        Call::Rename,
        Call::SyncFolder,
    ] {
        let folder = folder();
        let storage = Storage::default();
        let mut journal = open_with(&storage, folder.path());
        journal.commit(&[submitted(1)]).unwrap();
        storage.faults.set(&[Plan::Fail(call)]);
        journal.begin_snapshot(vec![state(2)]).unwrap_err();
        storage.faults.set(&[]);
        journal.commit(&[submitted(2)]).unwrap();
        drop(journal);
        assert_eq!(records_of(folder.path()), vec![submitted(1), submitted(2)]);
    }
}

/// What a reader of the journal would know.
#[derive(Default)]
struct Script {
    committed: Vec<Record>,
    /// A commit that was refused last, and may or may not be found.
    attempted: Vec<Record>,
}

impl Script {
    fn commit(&mut self, journal: &mut Journal, records: &[Record]) {
        match journal.commit(records) {
            Ok(()) => {
                self.committed.extend_from_slice(records);
                self.attempted.clear();
            }
            Err(_) if self.attempted.is_empty() => self.attempted = records.to_vec(),
            Err(_) => {}
        }
    }

    /// Commits and a snapshot; every step goes on whatever the one before has led to.
    fn run(&mut self, journal: &mut Journal) {
        self.commit(journal, &[submitted(1)]);
        self.commit(journal, &[submitted(2), changed(1, 1)]);
        let begun = journal.begin_snapshot(vec![]);
        self.commit(journal, &[changed(1, 2)]);
        if begun.is_ok() && self.attempted.is_empty() {
            let images = vec![image(1, &[1, 2]), image(2, &[])];
            let _ = journal.snapshot_chunk(TaskKey(2), images);
            self.commit(journal, &[changed(2, 3)]);
            let _ = journal.finish_snapshot();
            wait_for_snapshot(journal);
        }
        self.commit(journal, &[submitted(3)]);
    }
}

/// The steps of every task, from records or images.
fn effect(records: &[Record]) -> std::collections::BTreeMap<TaskKey, Vec<u32>> {
    let mut tasks = std::collections::BTreeMap::new();
    for record in records {
        match record {
            Record::Submitted { submission, .. } => {
                assert!(tasks.insert(submission.key, Vec::new()).is_none());
            }
            Record::Image(image) => {
                let steps = image.attempts.iter().map(|attempt| attempt.attempt);
                assert!(tasks.insert(image.task.submission.key, steps.collect()).is_none());
            }
            Record::Changed {
                key,
                change: Change::Started { attempt, .. },
                ..
            } => tasks.get_mut(key).unwrap().push(*attempt),
            other => panic!("{other:?}"),
        }
    }
    tasks
}

#[test]
fn a_crash_before_any_system_call_keeps_what_was_acknowledged() {
    let mut total = None;
    for calls in 0.. {
        let folder = folder();
        let storage = Storage::default();
        let mut journal = open_with(&storage, folder.path());
        storage.faults.set(&[Plan::DieAfter(calls)]);
        let mut script = Script::default();
        script.run(&mut journal);
        drop(journal);
        let made = storage.faults.calls();
        let found = effect(&records_of(folder.path()));
        let candidates = (0..=script.attempted.len()).map(|count| {
            let log = [&script.committed[..], &script.attempted[..count]].concat();
            effect(&log)
        });
        assert!(
            candidates.into_iter().any(|log| log == found),
            "after {calls} calls: {found:?}"
        );
        if made <= calls {
            total = Some(made);
            break;
        }
    }
    assert!(total.unwrap() > 25, "the script has become shorter");
}

/// Mounting needs root; elsewhere this says that it did nothing.
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_refuses_and_recovers_when_there_is_room_again() {
    use std::process::Command;
    let folder = folder();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"])
        .arg(folder.path())
        .output()
        .is_ok_and(|output| output.status.success());
    if !mounted {
        #[allow(clippy::print_stderr)]
        {
            eprintln!("skipped: mounting a small tmpfs needs root");
        }
        return;
    }
    let outcome = std::panic::catch_unwind(|| fill_and_recover(folder.path()));
    let unmounted = Command::new("umount").arg("-l").arg(folder.path()).status();
    assert!(unmounted.unwrap().success());
    outcome.unwrap();
}

#[cfg(target_os = "linux")]
fn fill_and_recover(mount: &Path) {
    let folder = mount.join("journal");
    let ballast = mount.join("ballast");
    fs::write(&ballast, vec![1; 100 * 1024]).unwrap();
    let mut journal = Journal::open(&folder, options(), drop).unwrap().journal;
    let mut key = 0;
    let error = loop {
        let records: Vec<Record> = (key + 1..=key + 10).map(submitted).collect();
        match journal.commit(&records) {
            Ok(()) => key += 10,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    assert!(journal.begin_snapshot(vec![state(key)]).is_err());
    journal.commit(&vec![changed(1, 1); 100]).unwrap_err();
    fs::remove_file(ballast).unwrap();
    journal.commit(&[changed(1, 7)]).unwrap();
    drop(journal);
    let records = records_of(&folder);
    assert_eq!(records.len() as u64, key + 1);
    assert_eq!(records.last(), Some(&changed(1, 7)));
}
