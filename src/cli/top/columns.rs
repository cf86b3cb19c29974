//! The columns of the table: which there are on a screen of this width, what stands in them, and how they sort.
//!
//! Pure.

use std::cmp::Ordering;

use crate::cli::task_text::{command_line, state_words, time_words};
use crate::cli::text::visible;
use crate::cli::value::short_bytes;
use crate::protocol::TaskView;

/// From here on there is room for all columns.
const WIDE: u16 = 120;
/// Below this there is room for the most important ones.
const NARROW: u16 = 72;
/// Between two columns.
const GAP: u16 = 1;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Id,
    State,
    Priority,
    Slot,
    Workspace,
    Worker,
    Label,
    /// Both, where there is no room for each.
    WorkerAndLabel,
    Attempt,
    Memory,
    Time,
    Command,
}

/// Where one stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) column: Column,
    pub(super) x: u16,
    pub(super) width: u16,
}

/// The columns of a table of this width, from left to right; the last one takes what is left.
pub(super) fn placed(width: u16) -> Vec<Placed> {
    use Column::{
        Attempt, Command, Id, Label, Memory, Priority, Slot, State, Time, Worker, WorkerAndLabel, Workspace,
    };
    let wanted: &[(Column, u16)] = if width >= WIDE {
        &[
            (Id, 10),
            (State, 24),
            (Priority, 4),
            (Slot, 4),
            (Workspace, 12),
            (Worker, 8),
            (Label, 14),
            (Attempt, 3),
            (Memory, 9),
            (Time, 8),
            (Command, 0),
        ]
    } else if width >= NARROW {
        &[
            (Id, 8),
            (State, 18),
            (Priority, 4),
            (WorkerAndLabel, 14),
            (Time, 8),
            (Command, 0),
        ]
    } else {
        &[(Id, 6), (State, 10), (Time, 6), (Command, 0)]
    };
    let mut x = 0;
    wanted
        .iter()
        .map(|(column, wanted)| {
            let width = match wanted {
                0 => width.saturating_sub(x),
                wanted => *wanted,
            };
            let placed = Placed {
                column: *column,
                x,
                width,
            };
            x += width + GAP;
            placed
        })
        .collect()
}

impl Column {
    /// All that a table can be sorted by, in the order in which the key goes through them.
    pub(super) const SORTABLE: [Self; 11] = [
        Self::Id,
        Self::State,
        Self::Priority,
        Self::Slot,
        Self::Workspace,
        Self::Worker,
        Self::Label,
        Self::Attempt,
        Self::Memory,
        Self::Time,
        Self::Command,
    ];

    pub(super) fn heading(self) -> &'static str {
        match self {
            Self::Id => "ID",
            Self::State => "STATE",
            Self::Priority => "PRI",
            Self::Slot => "SLOT",
            Self::Workspace => "WORKSPACE",
            Self::Worker => "WORKER",
            Self::Label => "LABEL",
            Self::WorkerAndLabel => "WORKER/LABEL",
            Self::Attempt => "TRY",
            Self::Memory => "MEMORY",
            Self::Time => "TIME",
            Self::Command => "COMMAND",
        }
    }

    /// Whether its cells stand to the right.
    pub(super) fn is_number(self) -> bool {
        matches!(
            self,
            Self::Priority | Self::Slot | Self::Attempt | Self::Memory | Self::Time
        )
    }

    /// What a table is sorted by when this heading is clicked.
    pub(super) fn sorts_by(self) -> Self {
        match self {
            Self::WorkerAndLabel => Self::Worker,
            other => other,
        }
    }

    /// What stands in it, without anything that a terminal would obey.
    pub(super) fn cell(self, task: &TaskView, used_bytes: Option<u64>, now_ms: u64) -> String {
        let label = task.label.as_deref().unwrap_or_default();
        match self {
            Self::Id => visible(&task.id),
            Self::State => visible(&state_words(task)),
            Self::Priority => task.priority.to_string(),
            Self::Slot => task.slot.map(|slot| slot.to_string()).unwrap_or_default(),
            Self::Workspace => visible(&task.workspace),
            Self::Worker => visible(&task.worker),
            Self::Label => visible(label),
            Self::WorkerAndLabel if label.is_empty() => visible(&task.worker),
            Self::WorkerAndLabel => visible(&format!("{}/{label}", task.worker)),
            Self::Attempt => task
                .attempts
                .last()
                .map(|last| last.n.to_string())
                .unwrap_or_default(),
            Self::Memory => memory(task, used_bytes).map(short_bytes).unwrap_or_default(),
            Self::Time => time_words(task, now_ms),
            Self::Command => visible(&command_line(task)),
        }
    }

    /// How two tasks compare by it; `used` tells what a running one takes.
    pub(super) fn compare(
        self,
        one: &TaskView,
        other: &TaskView,
        used: impl Fn(&TaskView) -> Option<u64>,
        now_ms: u64,
    ) -> Ordering {
        let number = |id: &str| id.parse::<u64>().unwrap_or(u64::MAX);
        match self {
            Self::Id => (number(&one.id), &one.id).cmp(&(number(&other.id), &other.id)),
            Self::State => one.state.cmp(&other.state),
            // The larger the more urgent.
            Self::Priority => other.priority.cmp(&one.priority),
            Self::Slot => one.slot.unwrap_or(u32::MAX).cmp(&other.slot.unwrap_or(u32::MAX)),
            Self::Workspace => one.workspace.cmp(&other.workspace),
            Self::Worker | Self::WorkerAndLabel => {
                (&one.worker, &one.label).cmp(&(&other.worker, &other.label))
            }
            Self::Label => one.label.cmp(&other.label),
            Self::Attempt => other.attempts.len().cmp(&one.attempts.len()),
            Self::Memory => {
                let bytes = |task| memory(task, used(task)).unwrap_or(0);
                bytes(other).cmp(&bytes(one))
            }
            Self::Time => time_ms(other, now_ms).cmp(&time_ms(one, now_ms)),
            Self::Command => command_line(one).cmp(&command_line(other)),
        }
    }
}

/// What it takes now, or took at most.
fn memory(task: &TaskView, used_bytes: Option<u64>) -> Option<u64> {
    used_bytes.or_else(|| task.attempts.last().and_then(|last| last.peak_memory_bytes))
}

fn time_ms(task: &TaskView, now_ms: u64) -> u64 {
    match task.attempts.last() {
        Some(last) => last
            .ended_at_ms
            .unwrap_or(now_ms)
            .saturating_sub(last.started_at_ms),
        None => now_ms.saturating_sub(task.submitted_at_ms),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_fill_the_width() {
        for width in 40..=250 {
            let columns = placed(width);
            let last = columns.last().unwrap();
            assert_eq!(last.x + last.width, width);
            assert!(last.width >= 12, "{width}: {last:?}");
            let gaps = columns
                .windows(2)
                .map(|pair| pair[1].x - pair[0].x - pair[0].width);
            assert!(gaps.into_iter().all(|gap| gap == GAP), "{width}");
        }
    }

    #[test]
    fn ids_sort_as_numbers_and_names_after_them() {
        let task = |id: &str| TaskView {
            id: id.into(),
            ..TaskView::default()
        };
        let mut tasks = ["b", "10", "a", "9"].map(task);
        tasks.sort_by(|one, other| Column::Id.compare(one, other, |_| None, 0));
        assert_eq!(tasks.map(|task| task.id), ["9", "10", "a", "b"]);
    }
}
