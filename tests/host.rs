//! Readings of the machine that the tests run on, and of real trees of processes.

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use support::wait_for;
use wezterm_parallel::host::{Host, Sampler, TreeMemory};

mod support;

const MIB: u64 = 1 << 20;
/// More than a tree here takes besides what it was given.
const OVERHEAD_BYTES: u64 = 24 * MIB;
/// Holds all that it reads until its input ends.
const HOLD: &str = "tail -c 1000000000";

/// A sampler with a clock.
struct Watch {
    sampler: Sampler,
    begin: Instant,
}

impl Watch {
    fn new() -> Self {
        Self {
            sampler: Sampler::new(),
            begin: Instant::now(),
        }
    }

    fn now(&self) -> Duration {
        self.begin.elapsed()
    }

    fn tree(&mut self, root: u32) -> Option<TreeMemory> {
        let now = self.now();
        let root = i32::try_from(root).unwrap();
        self.sampler.trees(now, &[root]).remove(0).ok()
    }

    /// Waits until the tree has this many processes and this much memory, give or take what programs need.
    fn wait_tree(&mut self, root: u32, processes: usize, bytes: u64) {
        let what = format!("{processes} processes with {bytes} bytes and a little more");
        wait_for(&what, || {
            let tree = self.tree(root)?;
            let is_right = (bytes..bytes + OVERHEAD_BYTES).contains(&tree.bytes);
            (is_right && tree.processes == processes).then_some(())
        });
    }
}

/// A shell with a program below it that holds all that is written to it, until its input ends.
struct Hog(Child);

impl Hog {
    fn new(script: &str) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::piped());
        Self(command.stdout(Stdio::null()).spawn().unwrap())
    }

    fn feed(&mut self, bytes: u64) {
        let block = vec![b'\n'; 1 << 20];
        let input = self.0.stdin.as_mut().unwrap();
        for _ in 0..bytes / MIB {
            input.write_all(&block).unwrap();
        }
    }
}

impl Drop for Hog {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

#[test]
fn the_machine_is_read_in_all_parts() {
    let mut watch = Watch::new();
    let first = watch.sampler.sample(watch.begin.elapsed());
    let memory = first.memory.unwrap();
    assert!(memory.total_bytes > 64 * MIB, "{memory:?}");
    assert!(
        (1..=memory.total_bytes).contains(&memory.available_bytes),
        "{memory:?}"
    );
    let swap = first.swap.unwrap();
    assert!(swap.used_bytes <= swap.total_bytes);
    assert_eq!(first.cpu.unwrap().used_share, None);
    assert!(first.stall.unwrap().is_none_or(|stall| stall.share.is_none()));
    // A second one that is far enough from the first has the shares.
    let cpu = wait_for("a share of the processors", || {
        let now = watch.now();
        let reading = watch.sampler.sample(now);
        assert_eq!(reading.at, now);
        assert_eq!(reading.age(now + Duration::from_secs(1)), Duration::from_secs(1));
        let stall = reading.stall.unwrap();
        assert!(stall.is_none_or(|stall| stall.share.is_none_or(|share| (0.0..=1.0).contains(&share))));
        reading.cpu.ok().filter(|cpu| cpu.used_share.is_some())
    });
    let processors = std::thread::available_parallelism().unwrap().get();
    assert!((0.0..=1.0).contains(&cpu.used_share.unwrap()), "{cpu:?}");
    assert!(
        (cpu.count - processors as f64).abs() < 1.0,
        "{cpu:?}, std says {processors}"
    );
}

#[test]
fn kills_for_want_of_memory_are_counted() {
    let mut sampler = Sampler::new();
    let kills = sampler.oom_kills().unwrap();
    assert_eq!(sampler.oom_kills().unwrap().since(kills), 0);
    #[cfg(target_os = "linux")]
    assert!(kills.host.is_some());
}

#[test]
fn a_tree_grows_by_what_a_process_in_it_takes() {
    let mut watch = Watch::new();
    let mut hog = Hog::new(&format!("{HOLD}; :"));
    let shell = hog.0.id();
    watch.wait_tree(shell, 1, 0);
    hog.feed(64 * MIB);
    watch.wait_tree(shell, 1, 64 * MIB);
    hog.feed(64 * MIB);
    watch.wait_tree(shell, 1, 128 * MIB);
    drop(hog);
    assert_eq!(watch.tree(shell), None);
}

#[test]
fn grandchildren_count_and_other_trees_do_not() {
    let mut watch = Watch::new();
    let mut hog = Hog::new(&format!("sh -c '{HOLD}; :'; :"));
    let mut other = Hog::new(&format!("{HOLD}; :"));
    other.feed(100 * MIB);
    hog.feed(32 * MIB);
    watch.wait_tree(hog.0.id(), 2, 32 * MIB);
    watch.wait_tree(other.0.id(), 1, 100 * MIB);
}

/// The worker's descendants come back to the shim, wherever they flee.
#[cfg(target_os = "linux")]
#[test]
fn the_tree_of_a_real_shim_has_those_who_left_their_session() {
    let home = support::Home::new();
    let _daemon = home.daemon();
    let script = format!(
        "mkfifo fifo; (setsid {HOLD} 0<>fifo >/dev/null &); head -c {} /dev/zero >fifo; exec sleep 1000",
        48 * MIB
    );
    let id = home.queue(&script);
    home.wait_state(&id, &["running"]);
    let folder = home.attempt(&id, 1);
    let shim = wait_for("the shim", || support::process::shim_of(&folder));
    let shim = u32::try_from(shim).unwrap();
    let mut watch = Watch::new();
    watch.wait_tree(shim, 2, 48 * MIB);
    home.ok(["cancel", &id]);
    wait_for("the end of the tree", || {
        let tree = watch.tree(shim);
        tree.is_none_or(|tree| tree.processes == 0).then_some(())
    });
}
