//! Every metric in one table: its name, its kind, its labels, its buckets and what it means.
//!
//! The text for Prometheus, the handles and docs/metrics.md are all made from it, so that none of them can have what
//! another one lacks.

/// What all names begin with, except those that are the same for every program.
const PREFIX: &str = "wezterm_parallel_";
/// No metric has more labels.
pub(super) const LABELS_MAX: usize = 3;

/// Seconds that a task waits: from none at all to a day.
const WAIT: &[f64] = &[
    0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 43200.0, 86400.0,
];
/// Seconds that an attempt runs: a `true`, a test suite, a night.
const RUN: &[f64] = &[
    0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0,
];
/// Seconds of what takes a disk's sync or so.
const SYNC: &[f64] = &[
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0,
];

/// What kind of metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A whole number that only grows.
    Counters,
    /// A number with a fraction that only grows.
    Sums,
    /// A number that goes up and down.
    Gauges,
    /// Observations, counted in buckets.
    Histograms,
}

impl Kind {
    /// The type by Prometheus' name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Counters | Self::Sums => "counter",
            Self::Gauges => "gauge",
            Self::Histograms => "histogram",
        }
    }
}

/// One metric.
#[derive(Debug)]
pub struct Metric {
    /// The part of the daemon that it is about.
    pub section: &'static str,
    /// Without what all names begin with.
    pub(super) short: &'static str,
    /// What kind it is.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// The upper bounds of a histogram's buckets.
    pub buckets: &'static [f64],
    /// What it means.
    pub help: &'static str,
}

impl Metric {
    /// Its name in full.
    #[must_use]
    pub fn name(&self) -> String {
        if self.short.starts_with("process_") {
            return self.short.to_owned();
        }
        format!("{PREFIX}{}", self.short)
    }
}

/// A counter with so many labels, by its place in the catalog.
#[derive(Clone, Copy, Debug)]
pub struct Counters<const LABELS: usize>(pub(super) usize);
/// A sum with so many labels, by its place in the catalog.
#[derive(Clone, Copy, Debug)]
pub struct Sums<const LABELS: usize>(pub(super) usize);
/// A gauge with so many labels, by its place in the catalog.
#[derive(Clone, Copy, Debug)]
pub struct Gauges<const LABELS: usize>(pub(super) usize);
/// A histogram with so many labels, by its place in the catalog.
#[derive(Clone, Copy, Debug)]
pub struct Histograms<const LABELS: usize>(pub(super) usize);

macro_rules! catalog {
    ($($section:literal { $($id:ident: $kind:ident $name:literal [$($label:literal),*] $buckets:ident $help:literal;)* })*) => {
        #[derive(Clone, Copy)]
        #[allow(non_camel_case_types, clippy::upper_case_acronyms, reason = "named as the constants are")]
        enum Place { $($($id,)*)* }

        $($(
            #[doc = $help]
            pub const $id: $kind<{ let labels: &[&str] = &[$($label),*]; labels.len() }> =
                $kind(Place::$id as usize);
        )*)*

        /// All of them.
        pub const CATALOG: &[Metric] = &[$($(
            Metric {
                section: $section,
                short: $name,
                kind: Kind::$kind,
                labels: &[$($label),*],
                buckets: $buckets,
                help: $help,
            },
        )*)*];
    };
}

/// Only histograms have buckets.
const NONE: &[f64] = &[];

catalog! {
    "Queue" {
        TASKS: Gauges "tasks" ["state", "workspace", "priority"] NONE
            "Tasks that have not ended.";
        SLOTS: Gauges "slots" [] NONE
            "Slots of the pool: how many tasks may run at once.";
        SLOTS_USED: Gauges "slots_used" [] NONE
            "Slots that an attempt holds; more than there are slots while those of waiting tasks are lent.";
        PAUSED: Gauges "paused" [] NONE
            "1 while all starts are paused.";
        TASKS_SUBMITTED: Counters "tasks_submitted_total" ["workspace", "worker"] NONE
            "Tasks that were queued.";
        ATTEMPTS_STARTED: Counters "attempts_started_total" ["workspace", "worker"] NONE
            "Attempts that were started.";
        ATTEMPTS_ENDED: Counters "attempts_ended_total" ["worker", "outcome"] NONE
            "Attempts that have ended, by their outcome.";
        TASKS_ENDED: Counters "tasks_ended_total" ["workspace", "state", "reason"] NONE
            "Tasks that have ended, by their last state and its reason.";
        TASK_RETRIES: Counters "task_retries_total" ["worker", "reason"] NONE
            "Failed attempts that are followed by another one, which uses up a retry.";
        TASK_REQUEUES: Counters "task_requeues_total" ["worker", "reason"] NONE
            "Attempts after which a task went back to its place without using up a retry.";
        TASK_WAIT: Histograms "task_wait_seconds" ["worker", "priority"] WAIT
            "From when a task was submitted (or its delay was over, or its last attempt ended) until it started.";
        ATTEMPT_RUN: Histograms "attempt_run_seconds" ["worker", "state"] RUN
            "How long attempts ran whose command was started.";
        DISPATCH_LATENCY: Histograms "dispatch_latency_seconds" [] SYNC
            "From the decision to start an attempt until the launcher has it; the journal's write is part of it.";
        SUBMIT_ACK: Histograms "submit_ack_seconds" [] SYNC
            "From when the line that queues a task was read until its answer, which is durable.";
        OUTPUT_BYTES: Counters "output_bytes_total" ["worker"] NONE
            "Output that ended attempts have written.";
        NEWEST_START: Gauges "newest_start_timestamp_seconds" [] NONE
            "When the newest attempt was started; 0 if none was since the daemon began.";
    }
    "Admission" {
        GATE_OPEN: Gauges "gate_open" ["gate"] NONE
            "1 while the gate is open, as far as it was announced: it lets the next task start.";
        GATE_CLOSINGS: Counters "gate_closings_total" ["gate"] NONE
            "How many times the gate has closed.";
        QUEUE_BLOCKED: Gauges "queue_blocked" ["gate"] NONE
            "1 while this holds up every queued task; 0 for all when nothing waits.";
        QUEUE_BLOCKED_SECONDS: Sums "queue_blocked_seconds_total" ["gate"] NONE
            "For how long this has held up every queued task.";
        ADMISSION_REFUSALS: Counters "admission_refusals_total" ["gate"] NONE
            "Decisions in which a task at the head of a lane was not let in.";
        HOST_CPUS: Gauges "host_cpus" [] NONE
            "Processors that the daemon and its workers may use.";
        HOST_CPUS_USED: Gauges "host_cpus_used" [] NONE
            "How many of them were in use, by whomever.";
        HOST_MEMORY: Gauges "host_memory_bytes" [] NONE
            "Memory of the machine, or of the tightest control group.";
        HOST_MEMORY_AVAILABLE: Gauges "host_memory_available_bytes" [] NONE
            "Memory that can still be taken without swapping.";
        HOST_MEMORY_FLOOR: Gauges "host_memory_floor_bytes" [] NONE
            "Memory that is to stay available.";
        HOST_MEMORY_STALL: Gauges "host_memory_stall_ratio" [] NONE
            "Share of the time in which some task waited for memory (PSI); absent where the kernel does not tell.";
        HOST_READING: Gauges "host_reading_timestamp_seconds" [] NONE
            "When the machine was read; it is read less often while nothing runs or waits.";
        MEMORY_RESERVED: Gauges "memory_reserved_bytes" [] NONE
            "Memory that is reserved for running workers.";
        MEMORY_RESERVED_UNUSED: Gauges "memory_reserved_unused_bytes" [] NONE
            "The part of it that is not in use yet, by the newest reading.";
        MEMORY_USED: Gauges "memory_used_bytes" [] NONE
            "What the trees of running workers were last seen with.";
        LEARNED_PEAK: Gauges "learned_peak_bytes" ["workspace", "worker"] NONE
            "What a worker of this lane is expected to need, as learned from its attempts.";
        WORKER_MEMORY: Gauges "worker_memory_bytes" ["slot"] NONE
            "Memory of the tree of processes of the slot's attempt; 0 while the slot is free.";
        WORKER_CPU: Sums "worker_cpu_seconds_total" ["slot"] NONE
            "CPU time of the trees of all attempts that ran in the slot.";
        MEMORY_RELIEF: Counters "memory_relief_total" ["action"] NONE
            "Workers that were paused, or put back, because memory was short.";
        OOM_KILLS: Counters "oom_kills_total" [] NONE
            "Attempts that the kernel ended for want of memory.";
    }
    "Journal" {
        JOURNAL_FSYNC: Histograms "journal_fsync_seconds" [] SYNC
            "How long the disk took to make a commit durable.";
        JOURNAL_WRITTEN: Counters "journal_written_bytes_total" [] NONE
            "Bytes of records that were written, snapshots aside.";
        JOURNAL_RECORDS: Counters "journal_records_total" [] NONE
            "Records that were written, snapshots aside.";
        JOURNAL_SNAPSHOTS: Counters "journal_snapshots_total" [] NONE
            "Snapshots that were completed: each compacts the journal.";
        JOURNAL_FAILING: Gauges "journal_failing" [] NONE
            "1 while the journal cannot be written: nothing new is queued or started until it can.";
        JOURNAL_SIZE: Gauges "journal_size_bytes" [] NONE
            "Bytes of records since the last snapshot.";
    }
    "History" {
        HISTORY_ON: Gauges "history_on" [] NONE
            "1 while a history is written, which `state.sqlite` in the config decides.";
        HISTORY_WRITTEN: Counters "history_tasks_total" [] NONE
            "Ended tasks that were written to the history.";
        HISTORY_BEHIND: Gauges "history_behind_tasks" [] NONE
            "Tasks whose changes are in the journal and not in the history yet.";
        HISTORY_LAG: Gauges "history_lag_seconds" [] NONE
            "For how long something has been missing in the history.";
        HISTORY_FAILING: Gauges "history_failing" [] NONE
            "1 while the history cannot be written: locked, damaged, or on a disk that takes nothing.";
        HISTORY_ERRORS: Counters "history_errors_total" [] NONE
            "How many times writing the history has failed.";
        HISTORY_MISSED: Counters "history_missed_total" [] NONE
            "Tasks that were removed for good while the history could not be written: it will never have them.";
    }
    "Clients" {
        CONNECTIONS: Gauges "connections" [] NONE
            "Clients that are connected.";
        CONNECTIONS_ACCEPTED: Counters "connections_total" [] NONE
            "Connections that were served.";
        CONNECTIONS_REFUSED: Counters "connections_refused_total" ["reason"] NONE
            "Connections that were turned away: of another user, or too many at once.";
        MESSAGES: Counters "messages_total" ["message"] NONE
            "Messages from clients that could be read.";
        PROTOCOL_ERRORS: Counters "protocol_errors_total" ["code"] NONE
            "Answers that were errors, by their code.";
        SUBSCRIBERS: Gauges "subscribers" [] NONE
            "Connections that get events.";
        EVENTS_DROPPED: Counters "events_dropped_total" [] NONE
            "Events that were dropped because a subscriber read too slowly.";
    }
    "Processes" {
        PROCESSES: Gauges "processes" ["workspace", "state"] NONE
            "Long-lived processes beside the queue, by state.";
        PROCESS_RESTARTS: Counters "processes_restarts_total" ["workspace"] NONE
            "Runs of processes that their policy has begun after another run had ended.";
        PROCESS_FAILURES: Counters "processes_failed_total" ["workspace"] NONE
            "How many times a process has failed, and is not started again by itself.";
        PROCESS_READY: Histograms "processes_ready_seconds" ["workspace"] RUN
            "From the start of a process' run until it was ready.";
    }
    "Claude" {
        CLAUDE_TOKENS: Counters "claude_tokens_total" ["model", "type"] NONE
            "Tokens of ended attempts: input, output, cache_read, cache_write.";
        CLAUDE_COST: Sums "claude_cost_usd_total" ["model", "workspace"] NONE
            "What ended attempts have cost, in US dollars.";
        CLAUDE_BUDGET: Gauges "claude_budget_usd" ["scope"] NONE
            "The budget of a day, by workspace or for all, in US dollars.";
        CLAUDE_BUDGET_SPENT: Gauges "claude_budget_spent_usd" ["scope"] NONE
            "What of it was spent today, by local time, in US dollars.";
        CLAUDE_QUOTA: Gauges "claude_quota_utilization_ratio" ["account", "window"] NONE
            "How much of a usage limit is used up, as far as the CLI has told.";
        CLAUDE_QUOTA_RESET: Gauges "claude_quota_reset_timestamp_seconds" ["account", "window"] NONE
            "When that usage limit is reset.";
        CLAUDE_LIMITED: Gauges "claude_limited" ["account"] NONE
            "1 while a usage limit is reached or the login is refused: nothing of the account starts.";
        QUESTIONS_WAITING: Gauges "questions_waiting" [] NONE
            "Questions of workers that wait for an answer.";
        OLDEST_QUESTION: Gauges "oldest_question_timestamp_seconds" [] NONE
            "When the oldest of them was asked; 0 if there is none.";
        QUESTIONS: Counters "questions_total" [] NONE
            "How many times a task began to wait for an answer.";
    }
    "Daemon" {
        BUILD_INFO: Gauges "build_info" ["version", "os", "arch"] NONE
            "Always 1; its labels say which program this is.";
        START: Gauges "start_timestamp_seconds" [] NONE
            "When the daemon was started.";
        CONFIG_RELOADS: Counters "config_reloads_total" ["result"] NONE
            "How many times the config was read again: ok, or failed.";
        PROCESS_CPU: Sums "process_cpu_seconds_total" [] NONE
            "CPU time that the daemon has used.";
        PROCESS_RESIDENT: Gauges "process_resident_memory_bytes" [] NONE
            "Memory of the daemon in RAM.";
        PROCESS_VIRTUAL: Gauges "process_virtual_memory_bytes" [] NONE
            "Address space of the daemon.";
        PROCESS_OPEN_FDS: Gauges "process_open_fds" [] NONE
            "Files that the daemon has open.";
        PROCESS_MAX_FDS: Gauges "process_max_fds" [] NONE
            "Files that it may have open.";
        PROCESS_START: Gauges "process_start_time_seconds" [] NONE
            "When the process was started.";
        PROCESS_THREADS: Gauges "process_threads" [] NONE
            "Threads of the daemon.";
    }
}
