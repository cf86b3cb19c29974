//! How admission stands, in the words of the protocol.

use wezterm_parallel_scheduler::{AdmissionReport, HostReading, LanePeak, Measured, ReservationReport, Tick};

use super::Engine;
use crate::protocol::{
    AdmissionAnswer, Answer, GateState, LearnedView, MarksView, ReadingView, ReservationView,
};

impl Engine {
    /// Answers `Admission`; whoever asks wants fresh readings from now on.
    pub(super) fn admission(&mut self, now: Tick) -> Answer {
        self.watch_admission(now);
        let report = self.scheduler.admission(now);
        let reservations = report.reservations.iter();
        let reservations = reservations.map(|held| self.reservation(now, held)).collect();
        Answer::Admission(Box::new(AdmissionAnswer {
            reading: report.reading.as_ref().map(|reading| view(&report, reading)),
            marks: marks(&report),
            gates: gates(&report),
            reservations,
            quotas: self.tally.quotas.views(now),
            learned: report.peaks.iter().map(learned).collect(),
            enabled: report.enabled,
            dry_run: report.dry_run,
            reserved_bytes: report.outstanding_bytes,
            cpus_declared: report.cpus_declared_milli as f64 / 1_000.0,
        }))
    }

    fn reservation(&self, now: Tick, held: &ReservationReport) -> ReservationView {
        ReservationView {
            id: self.store.id(held.key),
            attempt: held.attempt,
            reserved_bytes: held.reserved_bytes,
            source: held.source.name().to_owned(),
            used_bytes: held.used_bytes,
            used_age_ms: held.used_at.map(|at| now.ms_since(at)),
            peak_bytes: held.peak_bytes,
            cpus: share(held.cpus_declared_milli),
            relief: self.scheduler.relief_in_words(now, held.key),
        }
    }
}

fn view(report: &AdmissionReport, reading: &HostReading) -> ReadingView {
    let memory = value(&reading.memory);
    let cpu = value(&reading.cpu);
    let unreadable = [
        reason(&reading.memory),
        reason(&reading.cpu),
        reason(&reading.stall_permille),
    ];
    ReadingView {
        age_ms: report.reading_age_ms.unwrap_or(0),
        is_stale: report.is_stale,
        memory_total_bytes: memory.map(|memory| memory.total_bytes),
        memory_available_bytes: memory.map(|memory| memory.available_bytes),
        cpus: cpu.map(|cpu| share(cpu.cpus_milli)),
        cpus_used: cpu.map(|cpu| share(cpu.used_milli)),
        stall_share: value(&reading.stall_permille).map(|stall| share(*stall)),
        unreadable: unreadable.into_iter().flatten().collect(),
    }
}

fn value<T>(part: &Measured<T>) -> Option<&T> {
    match part {
        Measured::Known(value) => Some(value),
        Measured::Unreadable(_) | Measured::Absent => None,
    }
}

fn reason<T>(part: &Measured<T>) -> Option<String> {
    match part {
        Measured::Unreadable(why) => Some(why.clone()),
        Measured::Known(_) | Measured::Absent => None,
    }
}

fn marks(report: &AdmissionReport) -> MarksView {
    let ((cpu_high, cpu_low), (stall_high, stall_low)) =
        (report.cpu_marks_permille, report.stall_marks_permille);
    MarksView {
        memory_floor_bytes: report.floor_bytes,
        cpu_high: share(cpu_high),
        cpu_low: share(cpu_low),
        stall_high: share(stall_high),
        stall_low: share(stall_low),
    }
}

fn gates(report: &AdmissionReport) -> Vec<GateState> {
    let gates = report.gates.iter().map(|verdict| GateState {
        gate: verdict.gate.clone(),
        is_open: verdict.is_open,
        since_ms: verdict.since.map(|at| at.0),
        messages: verdict.messages.clone(),
    });
    gates.collect()
}

fn learned(peak: &LanePeak) -> LearnedView {
    LearnedView {
        workspace: peak.lane.workspace.to_string(),
        worker: peak.lane.worker.to_string(),
        bytes: peak.bytes,
        learned_at_ms: peak.learned_at.0,
    }
}

/// Thousandths as the number that they are.
fn share(milli: u32) -> f64 {
    f64::from(milli) / 1_000.0
}
