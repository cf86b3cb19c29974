//! What the engine writes down for the metrics, and the little that it must remember for that.

use std::collections::HashMap;
use std::time::Duration;

use wezterm_parallel_scheduler::{TaskKey, Tick};

use super::quotas::Quotas;
use crate::config::Config;
use crate::executor::AttemptId;
use crate::metrics::{catalog, Ledger};

/// Gauges are published at most four times a second.
const SPACING_MS: u64 = 250;
/// Without a change: so often that a time that goes on shows.
const HEARTBEAT_MS: u64 = 5_000;
/// Gates that can be closed for all queued tasks at once.
pub(super) const GATES: [&str; 12] = [
    "slots", "limit", "memory", "cpu", "pressure", "rate", "quota", "auth", "budget", "pause", "journal",
    "shutdown",
];
/// Gates that go by readings of the machine.
const MACHINE_GATES: [&str; 3] = ["memory", "cpu", "pressure"];

/// The engine's ledger, and what it remembers between two entries.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) ledger: Ledger,
    /// When ended tasks were wanted again that have not started since.
    pub(super) revived: HashMap<TaskKey, Tick>,
    pub(super) quotas: Quotas,
    pub(super) processes: super::processes::Counted,
    attempts: HashMap<AttemptId, Running>,
    published_at: Option<Tick>,
    changed: bool,
    blocked_by: Vec<String>,
}

/// An attempt whose CPU time is counted in its slot.
#[derive(Debug)]
struct Running {
    slot: String,
    /// The CPU seconds that are counted already; `None` if it ran before this daemon did and was not looked at yet:
    /// hours that an earlier one has counted must not show as one leap.
    counted: Option<f64>,
}

impl Tally {
    pub(super) fn new(ledger: Ledger, config: &Config) -> Self {
        let mut tally = Self {
            ledger,
            revived: HashMap::new(),
            quotas: Quotas::default(),
            processes: super::processes::Counted::default(),
            attempts: HashMap::new(),
            published_at: None,
            changed: true,
            blocked_by: Vec::new(),
        };
        tally.configure(config);
        tally.begin();
        tally
    }

    /// The names that the config knows are not among those that are `other`.
    pub(super) fn configure(&mut self, config: &Config) {
        let (limits, budgets) = (&config.limits, &config.budget.workspaces);
        let workspaces = limits
            .workspaces
            .keys()
            .chain(limits.rates.keys())
            .chain(budgets.keys());
        self.ledger.know("workspace", workspaces.map(String::as_str));
        self.ledger.know("scope", budgets.keys().map(String::as_str));
        self.ledger
            .know("worker", config.workers.keys().map(String::as_str));
        let accounts = config
            .workers
            .values()
            .filter_map(|worker| worker.account.as_deref());
        self.ledger.know("account", accounts);
        if !config.admission.enabled {
            // Gates that are there no more are not announced as open.
            self.open_machine_gates();
        }
    }

    /// Those of the workspaces that were created are not, either.
    pub(super) fn know_workspaces<'a>(&mut self, names: impl Iterator<Item = &'a str>) {
        self.ledger.know("workspace", names);
    }

    /// What is known to exist begins at 0, so that its first rise can be seen.
    fn begin(&mut self) {
        let ledger = &mut self.ledger;
        for counter in [
            catalog::OOM_KILLS,
            catalog::QUESTIONS,
            catalog::EVENTS_DROPPED,
            catalog::JOURNAL_WRITTEN,
            catalog::JOURNAL_RECORDS,
            catalog::JOURNAL_SNAPSHOTS,
            catalog::HISTORY_WRITTEN,
            catalog::HISTORY_ERRORS,
            catalog::HISTORY_MISSED,
        ] {
            ledger.add(counter, [], 0);
        }
        for histogram in [
            catalog::DISPATCH_LATENCY,
            catalog::SUBMIT_ACK,
            catalog::JOURNAL_FSYNC,
        ] {
            ledger.observe(histogram, [], 0.0, 0);
        }
        for action in ["pause", "put_back"] {
            ledger.add(catalog::MEMORY_RELIEF, [action], 0);
        }
        for gate in MACHINE_GATES {
            ledger.add(catalog::GATE_CLOSINGS, [gate], 0);
        }
        for gate in GATES {
            ledger.add_up(catalog::QUEUE_BLOCKED_SECONDS, [gate], 0.0);
        }
        ledger.set(catalog::NEWEST_START, [], 0.0);
        self.open_machine_gates();
    }

    fn open_machine_gates(&mut self) {
        for gate in MACHINE_GATES {
            self.ledger.set(catalog::GATE_OPEN, [gate], 1.0);
        }
    }

    /// A gate was announced as closed, or open again.
    pub(super) fn gate(&mut self, gate: &str, is_open: bool) {
        self.ledger
            .set(catalog::GATE_OPEN, [gate], f64::from(u8::from(is_open)));
        if !is_open {
            self.ledger.add(catalog::GATE_CLOSINGS, [gate], 1);
        }
    }

    /// An attempt of an earlier daemon goes on in its slot.
    pub(super) fn found(&mut self, id: AttemptId, slot: u32) {
        self.run(id, slot, None);
    }

    /// An attempt begins in this slot.
    pub(super) fn started(&mut self, id: AttemptId, slot: u32) {
        self.run(id, slot, Some(0.0));
    }

    fn run(&mut self, id: AttemptId, slot: u32, counted: Option<f64>) {
        let slot = slot.to_string();
        self.attempts.insert(id, Running { slot, counted });
    }

    /// So much CPU time has the attempt used by now. It may be less than before: processes have ended. The counter
    /// does not fall with it.
    pub(super) fn used(&mut self, id: AttemptId, cpu_seconds: f64) {
        let Some(running) = self.attempts.get_mut(&id) else {
            return;
        };
        let counted = running.counted.unwrap_or(cpu_seconds);
        if cpu_seconds > counted {
            let slot: &str = &running.slot;
            self.ledger
                .add_up(catalog::WORKER_CPU, [slot], cpu_seconds - counted);
        }
        running.counted = Some(counted.max(cpu_seconds));
    }

    /// It is over, and has used so much in all, if that is known.
    pub(super) fn ended(&mut self, id: AttemptId, cpu_seconds: Option<f64>) {
        let was_seen = self
            .attempts
            .get(&id)
            .is_some_and(|running| running.counted.is_some());
        if let Some(cpu_seconds) = cpu_seconds.filter(|_| was_seen) {
            self.used(id, cpu_seconds);
        }
        self.attempts.remove(&id);
    }

    /// The time until now belongs to the gates that held up the queue, and from now on to these.
    pub(super) fn blocked(&mut self, now: Tick, gates: impl Iterator<Item = String>) {
        let seconds = self
            .published_at
            .map_or(0.0, |before| now.ms_since(before) as f64 / 1e3);
        for gate in std::mem::take(&mut self.blocked_by) {
            self.ledger
                .add_up(catalog::QUEUE_BLOCKED_SECONDS, [&gate], seconds);
        }
        self.blocked_by = gates.collect();
        self.blocked_by.sort_unstable();
        self.blocked_by.dedup();
        let all = GATES.iter().map(|gate| ([*gate], 0.0));
        let closed = self.blocked_by.iter().map(|gate| ([gate.as_str()], 1.0));
        self.ledger
            .publish(catalog::QUEUE_BLOCKED, all.chain(closed), f64::max);
    }

    /// Something changed that gauges show.
    pub(super) fn touch(&mut self) {
        self.changed = true;
    }

    /// How long until they are due.
    pub(super) fn due_in(&self, now: Tick) -> Duration {
        let wait = if self.changed { SPACING_MS } else { HEARTBEAT_MS };
        let due = self.published_at.map_or(now, |before| before.plus_ms(wait));
        Duration::from_millis(due.ms_since(now))
    }

    /// They have been published.
    pub(super) fn published(&mut self, now: Tick) {
        self.published_at = Some(now);
        self.changed = false;
    }
}
