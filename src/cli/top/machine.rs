//! The machine in the few numbers that the gauges show.
//!
//! Rounded as they are shown, so that a screen on which nothing would look otherwise is not drawn again.

use std::collections::HashMap;

use crate::protocol::{AdmissionAnswer, QuotaView, ReadingView};

/// Shares of memory are shown no finer than this.
const MEMORY_STEPS: f64 = 200.0;
/// There is one line for them.
const QUOTAS_SHOWN: usize = 2;

/// What the gauges show.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Machine {
    /// Tasks wait for what is measured.
    pub(super) is_gated: bool,
    pub(super) is_dry_run: bool,
    pub(super) cpu: Option<Cpu>,
    pub(super) memory: Option<Memory>,
    pub(super) stall: Option<Stall>,
    /// The two fullest usage limits of Claude accounts.
    pub(super) quotas: Vec<Quota>,
    /// Closed gates and why.
    pub(super) closed: Vec<(String, String)>,
    /// What could not be read, or is too old.
    pub(super) trouble: Option<String>,
    /// What running tasks take, by id, in MiB.
    used_mib: HashMap<String, u64>,
}

/// In whole percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cpu {
    pub(super) used: u16,
    /// From here on nothing starts.
    pub(super) mark: u16,
    pub(super) cpus: u16,
}

/// In bytes, rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Memory {
    pub(super) total: u64,
    pub(super) available: u64,
    pub(super) reserved: u64,
    pub(super) floor: u64,
}

/// In whole percent of the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stall {
    pub(super) share: u16,
    pub(super) mark: u16,
}

/// A usage limit of a Claude account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Quota {
    /// In whole percent.
    pub(super) used: u16,
    /// What it limits, and whom if the account has a name of its own.
    pub(super) name: String,
    pub(super) resets_at_ms: Option<u64>,
}

impl Machine {
    pub(super) fn new(answer: &AdmissionAnswer) -> Self {
        let closed = answer.gates.iter().filter(|gate| !gate.is_open);
        let reading = answer.reading.as_ref();
        let used = answer.reservations.iter().filter_map(|held| {
            let mib = held.used_bytes?.div_ceil(1 << 20);
            Some((held.id.clone(), mib))
        });
        Self {
            is_gated: answer.enabled,
            is_dry_run: answer.dry_run,
            cpu: reading.and_then(|reading| cpu(answer, reading)),
            memory: reading.and_then(|reading| memory(answer, reading)),
            stall: reading
                .and_then(|reading| reading.stall_share)
                .map(|share| Stall {
                    share: percent(share),
                    mark: percent(answer.marks.stall_high),
                }),
            quotas: answer.quotas.iter().take(QUOTAS_SHOWN).map(quota).collect(),
            closed: closed
                .map(|gate| (gate.gate.clone(), gate.messages.join("; ")))
                .collect(),
            trouble: reading.and_then(trouble),
            used_mib: used.collect(),
        }
    }

    /// What a running task takes.
    pub(super) fn used_bytes(&self, id: &str) -> Option<u64> {
        self.used_mib.get(id).map(|mib| mib << 20)
    }
}

fn cpu(answer: &AdmissionAnswer, reading: &ReadingView) -> Option<Cpu> {
    let cpus = reading.cpus.filter(|cpus| *cpus > 0.0)?;
    Some(Cpu {
        used: percent(reading.cpus_used? / cpus),
        mark: percent(answer.marks.cpu_high),
        // What a container may use need not be whole.
        cpus: cpus.ceil() as u16,
    })
}

fn memory(answer: &AdmissionAnswer, reading: &ReadingView) -> Option<Memory> {
    let total = reading.memory_total_bytes.filter(|total| *total > 0)?;
    let step = (total as f64 / MEMORY_STEPS).max(1.0);
    let rounded = |bytes: u64| ((bytes as f64 / step).round() * step) as u64;
    Some(Memory {
        total,
        available: rounded(reading.memory_available_bytes?).min(total),
        reserved: rounded(answer.reserved_bytes),
        floor: answer.marks.memory_floor_bytes.unwrap_or(0),
    })
}

fn quota(view: &QuotaView) -> Quota {
    // There is little room for the CLI's own words.
    let window = view.window.replace("five_hour", "5h").replace("seven_day", "7d");
    let window = window.replace('_', " ");
    Quota {
        used: percent(view.used_share),
        name: match view.account.as_str() {
            "default" => window,
            account => format!("{window}, {account}"),
        },
        resets_at_ms: view.resets_at_ms,
    }
}

fn trouble(reading: &ReadingView) -> Option<String> {
    let stale = reading
        .is_stale
        .then(|| "the reading of the machine is too old".to_owned());
    reading.unreadable.first().cloned().or(stale)
}

fn percent(share: f64) -> u16 {
    (share.clamp(0.0, 1.0) * 100.0).round() as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{GateState, MarksView};

    fn answer(available: u64) -> AdmissionAnswer {
        AdmissionAnswer {
            enabled: true,
            reading: Some(ReadingView {
                age_ms: 400,
                memory_total_bytes: Some(16 << 30),
                memory_available_bytes: Some(available),
                cpus: Some(8.0),
                cpus_used: Some(7.4),
                stall_share: Some(0.004),
                ..ReadingView::default()
            }),
            marks: MarksView {
                memory_floor_bytes: Some(1 << 30),
                cpu_high: 0.9,
                stall_high: 0.1,
                ..MarksView::default()
            },
            gates: vec![GateState {
                gate: "cpu".into(),
                messages: vec!["one".into(), "two".into()],
                ..GateState::default()
            }],
            ..AdmissionAnswer::default()
        }
    }

    #[test]
    fn what_looks_the_same_is_the_same() {
        let machine = Machine::new(&answer(5 << 30));
        assert_eq!(machine, Machine::new(&answer((5 << 30) + 4096)));
        assert_ne!(machine, Machine::new(&answer(4 << 30)));
        let cpu = Cpu {
            used: 93,
            mark: 90,
            cpus: 8,
        };
        assert_eq!(machine.cpu, Some(cpu));
        assert_eq!(machine.stall, Some(Stall { share: 0, mark: 10 }));
        assert_eq!(machine.closed, [("cpu".to_owned(), "one; two".to_owned())]);
        let blind = Machine::new(&AdmissionAnswer::default());
        assert_eq!((blind.cpu, blind.memory), (None, None));
    }
}
