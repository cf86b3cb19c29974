//! Gauges: the queue and the machine as they stand, written down at most four times a second.

use std::collections::HashMap;

use wezterm_parallel_scheduler::{AdmissionReport, Measured, State, TaskKey, Tick};

use super::Engine;
use crate::metrics::{catalog, Ledger};
use crate::protocol::{BudgetView, Summary};

impl Engine {
    /// Something changed that others may see.
    pub(super) fn touch(&mut self) {
        self.status_file.touch();
        self.tally.touch();
    }

    /// Writes the status file and the gauges, if they are due; both show the same summary.
    pub(super) fn show_summary(&mut self, now: Tick) {
        let (file_is_due, gauges_are_due) = (self.status_file.is_due(now), self.tally.due_in(now).is_zero());
        if !file_is_due && !gauges_are_due {
            return;
        }
        let summary = self.views().summary(now);
        if file_is_due {
            self.status_file
                .write(now, &summary, self.journal_failing.as_deref());
        }
        if gauges_are_due {
            self.publish(now, &summary);
        }
    }

    pub(super) fn publish(&mut self, now: Tick, summary: &Summary) {
        self.publish_queue(now, summary);
        self.publish_admission(now);
        self.publish_journal_and_watchers();
        self.publish_history(now);
        self.publish_processes();
        self.publish_claude(now);
        self.tally.published(now);
    }

    fn publish_queue(&mut self, now: Tick, summary: &Summary) {
        let tasks = self.scheduler.census().flat_map(|(lane, census)| {
            let counts = census.iter();
            counts.map(|(state, class, count)| {
                let labels = [state.name(), &*lane.workspace, class.name()];
                (labels, f64::from(count))
            })
        });
        let ledger = &mut self.tally.ledger;
        ledger.publish(catalog::TASKS, tasks, |a, b| a + b);
        let active = [State::Running, State::Paused, State::Waiting];
        let used: usize = active.iter().map(|state| self.scheduler.count(*state)).sum();
        ledger.set(catalog::SLOTS, [], f64::from(summary.slots));
        ledger.set(catalog::SLOTS_USED, [], used as f64);
        ledger.set(catalog::PAUSED, [], flag(summary.paused));
        let blocked_by = summary.blocked_by.iter().map(|gate| gate.gate.clone());
        self.tally.blocked(now, blocked_by);
    }

    fn publish_admission(&mut self, now: Tick) {
        let ledger = &mut self.tally.ledger;
        for (gate, count) in self.scheduler.refusals() {
            ledger.reach(catalog::ADMISSION_REFUSALS, [gate], count);
        }
        let report = self.scheduler.admission(now);
        publish_host(ledger, &report);
        let reservations = &report.reservations;
        let reserved: u64 = reservations.iter().map(|held| held.reserved_bytes).sum();
        let used: u64 = reservations.iter().filter_map(|held| held.used_bytes).sum();
        ledger.set(catalog::MEMORY_RESERVED, [], reserved as f64);
        ledger.set(
            catalog::MEMORY_RESERVED_UNUSED,
            [],
            report.outstanding_bytes as f64,
        );
        ledger.set(catalog::MEMORY_USED, [], used as f64);
        let peaks = report.peaks.iter().map(|peak| {
            let labels = [&*peak.lane.workspace, &*peak.lane.worker];
            (labels, peak.bytes as f64)
        });
        ledger.publish(catalog::LEARNED_PEAK, peaks, f64::max);
        let slots: HashMap<TaskKey, String> = self
            .scheduler
            .active()
            .filter_map(|task| Some((task.submission.key, task.slot?.to_string())))
            .collect();
        let trees = reservations.iter().filter_map(|held| {
            let slot = slots.get(&held.key)?;
            Some(([slot.as_str()], held.used_bytes? as f64))
        });
        ledger.publish(catalog::WORKER_MEMORY, trees, |a, b| a + b);
    }

    fn publish_journal_and_watchers(&mut self) {
        let stats = self.journal.stats();
        let ledger = &mut self.tally.ledger;
        ledger.reach(catalog::JOURNAL_WRITTEN, [], stats.bytes);
        ledger.reach(catalog::JOURNAL_RECORDS, [], stats.records);
        ledger.reach(catalog::JOURNAL_SNAPSHOTS, [], stats.snapshots);
        ledger.set(catalog::JOURNAL_SIZE, [], self.journal.log_bytes() as f64);
        ledger.set(catalog::JOURNAL_FAILING, [], flag(self.journal_failing.is_some()));
        ledger.set(catalog::SUBSCRIBERS, [], self.watchers.count() as f64);
        ledger.reach(catalog::EVENTS_DROPPED, [], self.watchers.dropped());
    }

    fn publish_processes(&mut self) {
        let all = self.store.processes.iter().map(|(_, image)| {
            let labels = [&*image.spec.workspace, image.standing.state.name()];
            (labels, 1.0)
        });
        self.tally.ledger.publish(catalog::PROCESSES, all, |a, b| a + b);
    }

    fn publish_claude(&mut self, now: Tick) {
        let budgets = self.budget_views(now);
        let ledger = &mut self.tally.ledger;
        let limits = budgets.iter().map(|budget| ([scope(budget)], budget.limit_usd));
        ledger.publish(catalog::CLAUDE_BUDGET, limits, |a, b| a + b);
        let spent = budgets.iter().map(|budget| ([scope(budget)], budget.spent_usd));
        ledger.publish(catalog::CLAUDE_BUDGET_SPENT, spent, |a, b| a + b);
        for account in self.accounts.names() {
            let is_closed = self.accounts.is_closed(now, &account);
            ledger.set(catalog::CLAUDE_LIMITED, [&account], flag(is_closed));
        }
        for level in self.tally.quotas.levels(now) {
            let labels = [level.account, level.window];
            ledger.set(catalog::CLAUDE_QUOTA, labels, level.used);
            if let Some(at) = level.resets_at_s {
                ledger.set(catalog::CLAUDE_QUOTA_RESET, labels, at as f64);
            }
        }
        let open = || self.questions.values().flatten();
        let oldest = open().map(super::questions::Open::asked_at).min();
        ledger.set(catalog::QUESTIONS_WAITING, [], open().count() as f64);
        ledger.set(catalog::OLDEST_QUESTION, [], oldest.map_or(0.0, seconds));
    }
}

/// What cannot be read now is no number, rather than 0 or what it was.
fn publish_host(ledger: &mut Ledger, report: &AdmissionReport) {
    let Some(reading) = &report.reading else { return };
    ledger.set(catalog::HOST_READING, [], seconds(reading.taken_at));
    let mut tell = |gauge, value: Measured<f64>| match value {
        Measured::Known(value) => ledger.set(gauge, [], value),
        Measured::Unreadable(_) => ledger.set(gauge, [], f64::NAN),
        Measured::Absent => {}
    };
    let (cpu, memory) = (&reading.cpu, &reading.memory);
    tell(catalog::HOST_CPUS, part(cpu, |cpu| thousandths(cpu.cpus_milli)));
    tell(
        catalog::HOST_CPUS_USED,
        part(cpu, |cpu| thousandths(cpu.used_milli)),
    );
    tell(
        catalog::HOST_MEMORY,
        part(memory, |memory| memory.total_bytes as f64),
    );
    let available = part(memory, |memory| memory.available_bytes as f64);
    tell(catalog::HOST_MEMORY_AVAILABLE, available);
    let stall = part(&reading.stall_permille, |stall| thousandths(*stall));
    tell(catalog::HOST_MEMORY_STALL, stall);
    if let Some(floor) = report.floor_bytes {
        ledger.set(catalog::HOST_MEMORY_FLOOR, [], floor as f64);
    }
}

fn part<T>(measured: &Measured<T>, value: impl FnOnce(&T) -> f64) -> Measured<f64> {
    match measured {
        Measured::Known(known) => Measured::Known(value(known)),
        Measured::Unreadable(why) => Measured::Unreadable(why.clone()),
        Measured::Absent => Measured::Absent,
    }
}

fn scope(budget: &BudgetView) -> &str {
    match budget.workspace.as_str() {
        "" => "all",
        workspace => workspace,
    }
}

fn flag(is_set: bool) -> f64 {
    f64::from(u8::from(is_set))
}

fn thousandths(milli: u32) -> f64 {
    f64::from(milli) / 1e3
}

fn seconds(moment: Tick) -> f64 {
    moment.0 as f64 / 1e3
}
