//! Trees in a table of processes: who is found, what is measured, and what is read in all.

use super::*;
use crate::platform::ProcessStatus;

const MIB: u64 = 1 << 20;

/// Processes as a kernel would tell of them, and a record of what was asked.
#[derive(Default)]
struct Table {
    processes: HashMap<i32, Entry>,
    asked: usize,
    thread_lists: usize,
    measured: Vec<i32>,
    /// What one measurement takes.
    cost: Duration,
    cpu_time: Duration,
    lists_missing: bool,
}

#[derive(Clone, Debug)]
struct Entry {
    sample: ProcessSample,
    main_children: Vec<i32>,
    other_children: Vec<i32>,
    proportional_bytes: Option<u64>,
    service: bool,
}

impl Table {
    /// A process below another one, started by its main thread, that shares half of what it has.
    fn spawn(&mut self, pid: i32, parent: i32, resident_bytes: u64) -> &mut Entry {
        if let Some(parent) = self.processes.get_mut(&parent) {
            parent.main_children.push(pid);
            parent.sample.activity += 1;
        }
        let status = ProcessStatus {
            parent,
            group: pid,
            session: 1,
            started: u64::try_from(pid).unwrap(),
            zombie: false,
            stopped: false,
        };
        let entry = Entry {
            sample: ProcessSample {
                status,
                threads: 1,
                resident_bytes,
                cpu: Duration::ZERO,
                activity: 0,
            },
            main_children: Vec::new(),
            other_children: Vec::new(),
            proportional_bytes: Some(resident_bytes / 2),
            service: false,
        };
        self.processes.insert(pid, entry);
        self.entry(pid)
    }

    /// The same, started by another thread of the parent.
    fn spawn_by_thread(&mut self, pid: i32, parent: i32, resident_bytes: u64) {
        self.spawn(pid, parent, resident_bytes);
        let parent = self.entry(parent);
        parent.main_children.retain(|child| *child != pid);
        parent.other_children.push(pid);
    }

    /// It ends; its children go to the shim.
    fn end(&mut self, pid: i32, shim: i32) {
        let ended = self.processes.remove(&pid).unwrap();
        for child in ended.main_children.into_iter().chain(ended.other_children) {
            self.entry(child).sample.status.parent = shim;
            // To be inherited is nothing that a process does.
            if let Some(shim) = self.processes.get_mut(&shim) {
                shim.main_children.push(child);
            }
        }
        for entry in self.processes.values_mut() {
            entry.main_children.retain(|child| *child != pid);
            entry.other_children.retain(|child| *child != pid);
        }
    }

    fn resize(&mut self, pid: i32, resident_bytes: u64) {
        let entry = self.entry(pid);
        entry.sample.resident_bytes = resident_bytes;
        entry.sample.activity += 1;
        entry.proportional_bytes = entry.proportional_bytes.map(|_| resident_bytes / 2);
    }

    fn entry(&mut self, pid: i32) -> &mut Entry {
        self.processes.get_mut(&pid).unwrap()
    }
}

impl Processes for Table {
    fn try_lists(&mut self) -> Result<(), Unreadable> {
        match self.lists_missing {
            true => Err(Unreadable::new("children", "not listed")),
            false => Ok(()),
        }
    }

    fn look(&mut self, pid: i32) -> Option<ProcessSample> {
        self.asked += 1;
        Some(self.processes.get(&pid)?.sample)
    }

    fn exists(&mut self, pid: i32) -> bool {
        self.processes.contains_key(&pid)
    }

    fn is_service(&mut self, pid: i32, _process: &ProcessSample) -> bool {
        self.processes[&pid].service
    }

    fn main_children(&mut self, pid: i32) -> Vec<i32> {
        let entry = self.processes.get(&pid);
        entry.map_or_else(Vec::new, |entry| entry.main_children.clone())
    }

    fn all_children(&mut self, pid: i32) -> Vec<i32> {
        let Some(entry) = self.processes.get(&pid) else {
            return Vec::new();
        };
        self.thread_lists += usize::try_from(entry.sample.threads).unwrap();
        [entry.main_children.clone(), entry.other_children.clone()].concat()
    }

    fn proportional_bytes(&mut self, pid: i32) -> Option<u64> {
        self.measured.push(pid);
        self.cpu_time += self.cost;
        self.processes.get(&pid)?.proportional_bytes
    }

    fn cpu_time(&self) -> Duration {
        self.cpu_time
    }
}

/// A shim with the number 100, and time that passes two seconds at a time.
struct Watch {
    trees: Trees<Table>,
    now: Duration,
}

impl Watch {
    fn new() -> Self {
        let mut table = Table::default();
        table.spawn(100, 1, 3 * MIB);
        Self {
            trees: Trees::new(table),
            now: Duration::from_secs(1_000),
        }
    }

    fn table(&mut self) -> &mut Table {
        &mut self.trees.processes
    }

    fn tree(&mut self) -> TreeMemory {
        self.now += Duration::from_secs(2);
        self.trees.sample(self.now, &[100]).remove(0).unwrap()
    }

    fn take_measured(&mut self) -> Vec<i32> {
        std::mem::take(&mut self.table().measured)
    }
}

fn tree(bytes: u64, processes: usize) -> TreeMemory {
    let cpu = Duration::ZERO;
    TreeMemory {
        bytes,
        processes,
        cpu,
    }
}

#[test]
fn everybody_below_the_shim_counts_and_nobody_else() {
    let mut watch = Watch::new();
    assert_eq!(watch.tree(), tree(0, 0));
    let table = watch.table();
    table.spawn(200, 1, 900 * MIB);
    table.spawn(101, 100, 8 * MIB);
    table.spawn(102, 101, 16 * MIB);
    table.spawn(103, 102, 32 * MIB);
    assert_eq!(watch.tree(), tree(28 * MIB, 3));
    // The one in the middle ends, and what was below it comes to the shim.
    watch.table().end(102, 100);
    assert_eq!(watch.tree(), tree(20 * MIB, 2));
    watch.table().end(101, 100);
    watch.table().end(103, 100);
    assert_eq!(watch.tree(), tree(0, 0));
}

#[test]
fn trees_are_told_in_the_order_in_which_they_are_asked_for() {
    let mut watch = Watch::new();
    let table = watch.table();
    table.spawn(300, 1, MIB);
    table.spawn(301, 300, 4 * MIB);
    table.spawn(101, 100, 8 * MIB);
    let now = watch.now;
    let told = watch.trees.sample(now, &[300, 77, 100]);
    assert_eq!(told[0], Ok(tree(2 * MIB, 1)));
    let gone = told[1].clone().unwrap_err();
    assert_eq!(gone.to_string(), "process 77: there is none with this number");
    assert_eq!(told[2], Ok(tree(4 * MIB, 1)));
    assert_eq!(watch.trees.sample(now, &[]), []);
    assert!(watch.trees.roots.is_empty());
}

#[test]
fn a_number_that_has_a_new_owner_is_another_process() {
    let mut watch = Watch::new();
    watch.table().spawn(101, 100, 8 * MIB);
    watch.tree();
    // A stranger has it now, outside of the tree.
    watch.table().end(101, 100);
    watch.table().spawn(101, 1, 8 * MIB).sample.status.started = 999;
    assert_eq!(watch.tree(), tree(0, 0));
    // Now the shim's own number.
    watch.table().spawn(102, 100, 8 * MIB);
    watch.tree();
    watch.table().end(100, 1);
    watch.table().spawn(100, 1, MIB).sample.status.started = 999;
    assert_eq!(watch.tree(), tree(0, 0));
}

#[test]
fn a_daemon_that_was_started_from_inside_is_not_counted_nor_what_it_runs() {
    let mut watch = Watch::new();
    let table = watch.table();
    table.spawn(101, 100, 8 * MIB);
    table.spawn(102, 101, 20 * MIB).service = true;
    table.spawn(103, 102, 700 * MIB);
    assert_eq!(watch.tree(), tree(4 * MIB, 1));
    // It was seen before it had become one.
    watch.table().spawn(104, 101, 20 * MIB);
    assert_eq!(watch.tree(), tree(14 * MIB, 2));
    watch.table().entry(104).service = true;
    assert_eq!(watch.tree(), tree(4 * MIB, 1));
}

#[test]
fn children_of_any_thread_are_found_at_once() {
    let mut watch = Watch::new();
    watch.table().spawn(101, 100, 8 * MIB).sample.threads = 12;
    watch.tree();
    watch.table().spawn_by_thread(102, 101, 8 * MIB);
    watch.table().entry(102).sample.threads = 3;
    watch.table().spawn_by_thread(103, 102, 8 * MIB);
    watch.table().spawn(104, 103, 8 * MIB);
    assert_eq!(watch.tree(), tree(16 * MIB, 4));
}

#[test]
fn very_many_threads_are_read_in_turns() {
    let mut watch = Watch::new();
    let many = i32::try_from(THREADS_MAX).unwrap();
    for pid in 101..=108 {
        watch.table().spawn(pid, 100, MIB).sample.threads = 100;
    }
    watch.table().spawn(109, 100, MIB).sample.threads = 10 * u32::try_from(many).unwrap();
    for pid in 101..=109 {
        watch.table().spawn_by_thread(pid + 100, pid, MIB);
    }
    let mut found = Vec::new();
    for _ in 0..20 {
        found.push(watch.tree().processes);
    }
    assert_eq!(
        found[0],
        9 + 3,
        "two of a hundred threads and the one that is begun"
    );
    assert_eq!(found.last(), Some(&18));
    let read = i32::try_from(watch.table().thread_lists).unwrap();
    assert!(read <= 20 * many + 10 * many, "{read} lists");
}

#[test]
fn growth_counts_in_full_until_it_is_measured() {
    let mut watch = Watch::new();
    watch.table().spawn(101, 100, 80 * MIB);
    assert_eq!(watch.tree(), tree(40 * MIB, 1));
    assert_eq!(watch.take_measured(), [101]);
    // Less than an eighth is not worth a measurement.
    watch.table().resize(101, 88 * MIB);
    assert_eq!(watch.tree(), tree(48 * MIB, 1));
    watch.table().resize(101, 72 * MIB);
    assert_eq!(watch.tree(), tree(36 * MIB, 1));
    assert!(watch.take_measured().is_empty());
    watch.table().resize(101, 100 * MIB);
    watch.table().entry(101).proportional_bytes = Some(70 * MIB);
    assert_eq!(watch.tree(), tree(70 * MIB, 1));
    assert_eq!(watch.take_measured(), [101]);
    // Others who have begun to share are noticed within a minute or so.
    watch.table().entry(101).proportional_bytes = Some(10 * MIB);
    for _ in 0..30 {
        watch.tree();
    }
    assert_eq!(watch.take_measured(), [101]);
    assert_eq!(watch.tree(), tree(10 * MIB, 1));
}

#[test]
fn what_may_not_be_measured_counts_with_its_resident_size() {
    let mut watch = Watch::new();
    watch.table().spawn(101, 100, 80 * MIB).proportional_bytes = None;
    for resident_mib in [80, 120, 10] {
        watch.table().resize(101, resident_mib * MIB);
        assert_eq!(watch.tree(), tree(resident_mib * MIB, 1));
    }
    // It is asked again, but seldom.
    assert_eq!(watch.take_measured(), [101]);
    for _ in 0..30 {
        watch.tree();
    }
    assert_eq!(watch.take_measured(), [101]);
}

#[test]
fn measuring_takes_no_more_time_than_it_is_allowed() {
    let mut watch = Watch::new();
    watch.table().cost = Duration::from_micros(700);
    for pid in 101..=140 {
        watch.table().spawn(pid, 100, 8 * MIB);
    }
    watch.table().resize(120, 9 * MIB);
    let first = watch.tree();
    // Five milliseconds are saved up at first; the largest one is measured first.
    let measured = watch.take_measured();
    assert_eq!((measured.len(), measured[0]), (8, 120));
    assert_eq!(first, tree((32 * 8 + 7 * 4) * MIB + 9 * MIB / 2, 40));
    for _ in 0..100 {
        watch.tree();
    }
    let measured = watch.take_measured();
    let each_allowed: Duration = watch.table().cpu_time;
    assert!(
        each_allowed <= Duration::from_micros(5_000 + 700 + 202 * 500),
        "{each_allowed:?}"
    );
    // Everybody has a turn, and nobody one too many.
    for pid in 101..=140 {
        let times = measured.iter().filter(|one| **one == pid).count();
        assert!((3..=6).contains(&times), "{pid}: {times} times");
    }
}

#[test]
fn a_kernel_that_lists_no_children_is_told() {
    let mut watch = Watch::new();
    watch.table().lists_missing = true;
    let now = watch.now;
    let told = watch.trees.sample(now, &[100, 77]);
    assert_eq!(told, vec![Err(Unreadable::new("children", "not listed")); 2]);
}

#[test]
fn each_process_is_looked_at_once_and_an_idle_one_every_other_time() {
    let mut watch = Watch::new();
    for pid in 101..=120 {
        watch.table().spawn(pid, 100, MIB);
    }
    let looks = |watch: &mut Watch| {
        watch.table().asked = 0;
        watch.tree();
        watch.table().asked
    };
    looks(&mut watch);
    assert_eq!(looks(&mut watch), 21);
    // The shim itself is always looked at.
    assert_eq!(looks(&mut watch), 1);
    for pid in 101..=105 {
        watch.table().resize(pid, 9 * MIB);
    }
    assert_eq!(looks(&mut watch), 21);
    assert_eq!(looks(&mut watch), 6);
}

#[test]
fn what_an_idle_process_begins_to_do_is_seen_at_the_second_look() {
    let mut watch = Watch::new();
    watch.table().spawn(101, 100, 8 * MIB);
    watch.tree();
    watch.tree();
    watch.table().resize(101, 80 * MIB);
    watch.table().spawn(102, 101, 8 * MIB);
    assert_eq!(watch.tree(), tree(4 * MIB, 1));
    assert_eq!(watch.tree(), tree(44 * MIB, 2));
    // An end is seen at once.
    watch.tree();
    watch.table().end(102, 100);
    assert_eq!(watch.tree(), tree(40 * MIB, 1));
}
