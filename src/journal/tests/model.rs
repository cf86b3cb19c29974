//! Random histories against a model: whatever happens, loading leads to the same tasks.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::storage::faults::Plan;
use super::storage::Call;
use super::*;

#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<Edit>),
    /// The next commit fails in this way, and is then repeated.
    FailNext(Failure),
    Begin,
    Chunk(usize),
    Finish,
    Reopen,
}

#[derive(Clone, Copy, Debug)]
enum Edit {
    Submit(u64),
    Change(usize),
    Remove(usize),
}

#[derive(Clone, Copy, Debug)]
enum Failure {
    Write,
    Sync,
    Short(usize),
    ShortAndStuck(usize),
    SyncAndFolder,
}

impl Failure {
    fn plans(self) -> Vec<Plan> {
        match self {
            Self::Write => vec![Plan::Fail(Call::Write)],
            Self::Sync => vec![Plan::Fail(Call::Sync)],
            Self::Short(bytes) => vec![Plan::ShortWrites(bytes)],
            Self::ShortAndStuck(bytes) => {
                vec![Plan::ShortWrites(bytes), Plan::Fail(Call::Truncate)]
            }
            Self::SyncAndFolder => vec![Plan::Fail(Call::Sync), Plan::Fail(Call::SyncFolder)],
        }
    }
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        2 => (1..60_u64).prop_map(Edit::Submit),
        4 => any::<usize>().prop_map(Edit::Change),
        1 => any::<usize>().prop_map(Edit::Remove),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let failure = prop_oneof![
        Just(Failure::Write),
        Just(Failure::Sync),
        (1..400_usize).prop_map(Failure::Short),
        (1..400_usize).prop_map(Failure::ShortAndStuck),
        Just(Failure::SyncAndFolder),
    ];
    prop_oneof![
        8 => prop::collection::vec(edit(), 1..5).prop_map(Step::Commit),
        1 => failure.prop_map(Step::FailNext),
        2 => Just(Step::Begin),
        4 => (1..6_usize).prop_map(Step::Chunk),
        2 => Just(Step::Finish),
        2 => Just(Step::Reopen),
    ]
}

type Tasks = BTreeMap<u64, Vec<u32>>;

/// Applies a record, and fails on one that does not fit: lost or applied twice.
fn apply(tasks: &mut Tasks, record: &Record) {
    match record {
        Record::Submitted { submission, .. } => {
            let old = tasks.insert(submission.key.0, Vec::new());
            assert!(old.is_none(), "{} submitted twice", submission.key.0);
        }
        Record::Changed {
            key,
            change: Change::Started { attempt, .. },
            ..
        } => {
            let steps = tasks.get_mut(&key.0).expect("a change without its task");
            assert!(!steps.contains(attempt), "changed twice");
            steps.push(*attempt);
        }
        Record::Removed { keys, .. } => keys.iter().for_each(|key| drop(tasks.remove(&key.0))),
        Record::Image(image) => {
            let steps = image.attempts.iter().map(|attempt| attempt.attempt);
            let old = tasks.insert(image.task.submission.key.0, steps.collect());
            assert!(old.is_none(), "two images of one task");
        }
        Record::State { .. } => {}
        other => panic!("{other:?}"),
    }
}

struct World {
    folder: TempDir,
    storage: Storage,
    journal: Option<Journal>,
    tasks: Tasks,
    used: std::collections::BTreeSet<u64>,
    next_step: u32,
    /// The key after the last chunk's, while a snapshot is being made.
    cursor: Option<u64>,
    fail_next: Option<Failure>,
    /// Records as the journal was asked to keep them, to check the numbers.
    committed: u64,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            folder: folder(),
            storage: Storage::default(),
            journal: None,
            tasks: Tasks::new(),
            used: std::collections::BTreeSet::new(),
            next_step: 0,
            cursor: None,
            fail_next: None,
            committed: 0,
        };
        world.reopen();
        world
    }

    fn journal(&mut self) -> &mut Journal {
        self.journal.as_mut().unwrap()
    }

    fn reopen(&mut self) {
        self.journal = None;
        self.storage = Storage::default();
        self.cursor = None;
        self.fail_next = None;
        let mut tasks = Tasks::new();
        let storage = self.storage.clone();
        let opened = Journal::open_with(storage, self.folder.path(), options(), |record| {
            apply(&mut tasks, &record);
        })
        .unwrap();
        assert_eq!(tasks, self.tasks);
        assert_eq!(opened.journal.last_lsn(), Lsn(self.committed));
        self.journal = Some(opened.journal);
    }

    fn record(&mut self, edit: Edit) -> Option<Record> {
        let pick = |tasks: &Tasks, index: usize| {
            let count = tasks.len();
            (count > 0).then(|| *tasks.keys().nth(index % count).unwrap())
        };
        let record = match edit {
            Edit::Submit(key) => self.used.insert(key).then(|| submitted(key))?,
            Edit::Change(index) => {
                self.next_step += 1;
                changed(pick(&self.tasks, index)?, self.next_step)
            }
            Edit::Remove(index) => removed(&[pick(&self.tasks, index)?]),
        };
        apply(&mut self.tasks, &record);
        Some(record)
    }

    fn commit(&mut self, edits: &[Edit]) {
        let records: Vec<Record> = edits.iter().filter_map(|edit| self.record(*edit)).collect();
        if let Some(failure) = self.fail_next.take().filter(|_| !records.is_empty()) {
            self.storage.faults.set(&failure.plans());
            // A short write may be long enough.
            let failed = self.journal().commit(&records).is_err();
            self.storage.faults.set(&[]);
            if !failed {
                self.committed += records.len() as u64;
                return;
            }
        }
        self.journal().commit(&records).unwrap();
        self.committed += records.len() as u64;
    }

    fn chunk(&mut self, count: usize) {
        let Some(cursor) = self.cursor else { return };
        let taken: Vec<u64> = self.tasks.range(cursor..).take(count).map(|(k, _)| *k).collect();
        let Some(upto) = taken.last().copied() else {
            return;
        };
        let images = taken.iter().map(|key| image(*key, &self.tasks[key])).collect();
        let done = self.journal().snapshot_chunk(TaskKey(upto), images);
        self.cursor = done.is_ok().then_some(upto + 1);
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Commit(edits) => self.commit(&edits),
            Step::FailNext(failure) => self.fail_next = Some(failure),
            Step::Begin => {
                if self.journal().begin_snapshot(vec![state(1)]).is_ok() {
                    self.cursor = Some(0);
                }
            }
            Step::Chunk(count) => self.chunk(count),
            Step::Finish if self.cursor.is_some() => {
                self.chunk(usize::MAX);
                if self.cursor.take().is_some() {
                    let _ = self.journal().finish_snapshot();
                }
            }
            Step::Finish => {}
            Step::Reopen => self.reopen(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_histories_load_as_the_model_says(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
        }
        world.reopen();
        world.reopen();
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(scan(&bytes).count() <= bytes.len());
    }
}
