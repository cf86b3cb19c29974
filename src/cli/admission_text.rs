//! How admission stands, for people: the reading against its marks, the gates, the workers.
//!
//! Pure: the answer in, text with styles out; time and width come in as arguments.

use std::fmt::Write as _;

use super::text::{self, Cell, Table, DIM, YELLOW};
use super::value::short_duration;
use crate::protocol::{AdmissionAnswer, GateState, QuotaView, ReadingView, ReservationView};

/// All of it.
pub(crate) fn admission(answer: &AdmissionAnswer, now_ms: u64, width: Option<usize>) -> String {
    let mut shown = String::new();
    if !answer.enabled {
        shown.push_str("admission is disabled: slots, limits and rates alone decide\n");
    } else if answer.dry_run {
        let _ = writeln!(
            shown,
            "{YELLOW}dry run{YELLOW:#}: nothing waits for what is told here"
        );
    }
    match &answer.reading {
        Some(reading) => shown.push_str(&machine(answer, reading)),
        None => shown.push_str("the machine has not been read yet\n"),
    }
    for quota in &answer.quotas {
        let _ = writeln!(shown, "quota     {}", text::visible(&quota_words(quota, now_ms)));
    }
    for gate in &answer.gates {
        shown.push_str(&gate_line(gate, now_ms));
    }
    if !answer.reservations.is_empty() {
        shown.push('\n');
        shown.push_str(&workers(&answer.reservations, width));
    }
    if !answer.learned.is_empty() {
        shown.push('\n');
        shown.push_str(&learned(answer, width));
    }
    shown
}

fn machine(answer: &AdmissionAnswer, reading: &ReadingView) -> String {
    let mut shown = String::new();
    let age = short_duration(reading.age_ms);
    let stale = if reading.is_stale {
        ", too old to go by"
    } else {
        ""
    };
    let _ = writeln!(shown, "{DIM}read {age} ago{stale}{DIM:#}");
    if let (Some(available), Some(total)) = (reading.memory_available_bytes, reading.memory_total_bytes) {
        let floor = answer.marks.memory_floor_bytes.unwrap_or(0);
        let _ = writeln!(
            shown,
            "memory    {} of {} available, {} reserved and not in use yet, {} stay free",
            size(available),
            size(total),
            size(answer.reserved_bytes),
            size(floor)
        );
    }
    if let (Some(used), Some(cpus)) = (reading.cpus_used, reading.cpus) {
        let share = used / cpus.max(0.001);
        let _ = writeln!(
            shown,
            "cpu       {:.0} % of {cpus} in use; closes at {:.0} %, opens below {:.0} %",
            share * 100.0,
            answer.marks.cpu_high * 100.0,
            answer.marks.cpu_low * 100.0
        );
    }
    if let Some(stall) = reading.stall_share {
        let _ = writeln!(
            shown,
            "pressure  {:.0} % of the time lost to waiting for memory; closes at {:.0} %, opens below {:.0} %",
            stall * 100.0,
            answer.marks.stall_high * 100.0,
            answer.marks.stall_low * 100.0
        );
    }
    for why in &reading.unreadable {
        let _ = writeln!(shown, "{YELLOW}unreadable:{YELLOW:#} {}", text::visible(why));
    }
    shown
}

/// `62 % of the five hour limit are used; it resets in 2h10m`.
pub(super) fn quota_words(quota: &QuotaView, now_ms: u64) -> String {
    let account = match quota.account.as_str() {
        "default" => String::new(),
        account => format!(" of account {account}"),
    };
    let reset = quota.resets_at_ms.map_or_else(String::new, |at| {
        format!("; it resets in {}", short_duration(at.saturating_sub(now_ms)))
    });
    format!(
        "{:.0} % of the {} limit{account} are used{reset}",
        quota.used_share * 100.0,
        quota.window.replace('_', " ")
    )
}

fn gate_line(gate: &GateState, now_ms: u64) -> String {
    let since = gate
        .since_ms
        .map(|at| format!(" for {}", short_duration(now_ms.saturating_sub(at))));
    let since = since.unwrap_or_default();
    if gate.is_open {
        return format!("gate {}: open{since}\n", gate.gate);
    }
    let mut shown = format!("gate {}: {YELLOW}closed{YELLOW:#}{since}\n", gate.gate);
    for message in &gate.messages {
        let _ = writeln!(shown, "  {}", text::visible(message));
    }
    shown
}

fn workers(reservations: &[ReservationView], width: Option<usize>) -> String {
    let mut table = Table::new(
        &["TASK", "RESERVED", "FROM", "IN USE", "PEAK", "CPUS"],
        &[1, 3, 4, 5],
    );
    for held in reservations {
        let used = held.used_bytes.map_or_else(|| "–".to_owned(), size);
        let cpus = if held.cpus > 0.0 {
            held.cpus.to_string()
        } else {
            "–".to_owned()
        };
        table.row(vec![
            Cell::plain(&held.id),
            Cell::plain(size(held.reserved_bytes)),
            Cell::plain(&held.source),
            Cell::plain(used),
            Cell::plain(size(held.peak_bytes)),
            Cell::plain(cpus),
        ]);
    }
    let mut shown = table.render(width);
    for held in reservations {
        if let Some(relief) = &held.relief {
            let _ = writeln!(shown, "task {}: {}", held.id, text::visible(relief));
        }
    }
    shown
}

fn learned(answer: &AdmissionAnswer, width: Option<usize>) -> String {
    let mut table = Table::new(&["LEARNED OF", "WORKSPACE", "MEMORY"], &[2]);
    for lane in &answer.learned {
        table.row(vec![
            Cell::plain(&lane.worker),
            Cell::plain(&lane.workspace),
            Cell::plain(size(lane.bytes)),
        ]);
    }
    table.render(width)
}

/// Three digits are enough to compare.
fn size(bytes: u64) -> String {
    let units = [("GiB", 1u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match units.iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) => {
            let number = bytes as f64 / *unit as f64;
            let digits = usize::from(number < 10.0);
            format!("{number:.digits$} {name}")
        }
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{LearnedView, MarksView};

    fn answer() -> AdmissionAnswer {
        AdmissionAnswer {
            enabled: true,
            reading: Some(ReadingView {
                age_ms: 400,
                memory_total_bytes: Some(16 << 30),
                memory_available_bytes: Some(5 << 30),
                cpus: Some(8.0),
                cpus_used: Some(7.4),
                stall_share: Some(0.0),
                ..ReadingView::default()
            }),
            marks: MarksView {
                memory_floor_bytes: Some(1_717_986_918),
                cpu_high: 0.9,
                cpu_low: 0.75,
                stall_high: 0.1,
                stall_low: 0.05,
            },
            reserved_bytes: 700 << 20,
            gates: vec![
                GateState {
                    gate: "memory".into(),
                    is_open: true,
                    ..GateState::default()
                },
                GateState {
                    gate: "cpu".into(),
                    is_open: false,
                    since_ms: Some(1_000),
                    messages: vec!["92 % of 8 CPUs are in use".into()],
                },
            ],
            reservations: vec![ReservationView {
                id: "7".into(),
                attempt: 1,
                reserved_bytes: 1 << 30,
                source: "learned".into(),
                used_bytes: Some(324 << 20),
                peak_bytes: 400 << 20,
                cpus: 0.5,
                ..ReservationView::default()
            }],
            quotas: vec![
                QuotaView {
                    account: "default".into(),
                    window: "five_hour".into(),
                    used_share: 0.62,
                    resets_at_ms: Some(7_804_000),
                },
                QuotaView {
                    account: "work".into(),
                    window: "seven_day".into(),
                    ..QuotaView::default()
                },
            ],
            learned: vec![LearnedView {
                worker: "claude".into(),
                workspace: "api".into(),
                bytes: 900 << 20,
                ..LearnedView::default()
            }],
            ..AdmissionAnswer::default()
        }
    }

    #[test]
    fn it_reads_well() {
        let plain = anstream::adapter::strip_str(&admission(&answer(), 4_000, Some(100))).to_string();
        insta::assert_snapshot!(plain, @r"
        read 400ms ago
        memory    5.0 GiB of 16 GiB available, 700 MiB reserved and not in use yet, 1.6 GiB stay free
        cpu       92 % of 8 in use; closes at 90 %, opens below 75 %
        pressure  0 % of the time lost to waiting for memory; closes at 10 %, opens below 5 %
        quota     62 % of the five hour limit are used; it resets in 2h10m
        quota     0 % of the seven day limit of account work are used
        gate memory: open
        gate cpu: closed for 3.0s
          92 % of 8 CPUs are in use

        TASK  RESERVED  FROM      IN USE     PEAK  CPUS
        7      1.0 GiB  learned  324 MiB  400 MiB   0.5

        LEARNED OF  WORKSPACE   MEMORY
        claude      api        900 MiB
        ");
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let mut answer = answer();
        answer.dry_run = true;
        answer.reading = Some(ReadingView {
            is_stale: true,
            age_ms: 9_000,
            unreadable: vec!["/proc/meminfo: cannot be read".into()],
            ..ReadingView::default()
        });
        let plain = anstream::adapter::strip_str(&admission(&answer, 4_000, None)).to_string();
        assert!(plain.contains("dry run"), "{plain}");
        assert!(plain.contains("read 9.0s ago, too old to go by"), "{plain}");
        assert!(
            plain.contains("unreadable: /proc/meminfo: cannot be read"),
            "{plain}"
        );
        answer.enabled = false;
        answer.reading = None;
        let plain = anstream::adapter::strip_str(&admission(&answer, 4_000, None)).to_string();
        assert!(
            plain.contains("disabled") && plain.contains("not been read yet"),
            "{plain}"
        );
    }
}
