//! What a viewer itself says: headers, footers, hints, and what the tab is told.
//!
//! Pure: views in, text with styles out; the width comes in as an argument.

use unicode_width::UnicodeWidthStr as _;

use crate::cli::process_text::noun;
use crate::cli::task_text::{command_line, has_ended, has_succeeded, outcome_words};
use crate::cli::text::{self, BOLD, DIM, YELLOW};
use crate::cli::value::{local_time, short_dollars, short_duration};
use crate::pane::{Attention, TabState};
use crate::protocol::{AttemptView, ReportView, TaskView};

const DAY_MS: u64 = 86_400_000;
/// Columns that a command keeps on a narrow screen.
const COMMAND_MIN: usize = 12;

/// One line before an attempt: id, priority, label, command, attempt, start.
pub(super) fn header(task: &TaskView, attempt: &AttemptView, now_ms: u64, width: Option<usize>) -> String {
    let label = task
        .label
        .as_deref()
        .map(|label| format!(" · {}", text::visible(label)));
    // A process waits for no turn.
    let priority = match noun(&task.id) {
        "task" => format!(" · priority {}", task.priority),
        _ => String::new(),
    };
    let before = format!(
        "── {} {}{priority}{} · ",
        noun(&task.id),
        text::visible(&task.id),
        label.unwrap_or_default()
    );
    let start = moment(attempt.started_at_ms, now_ms);
    let after = format!(" · attempt {} · {start}", attempt.n);
    let command = text::visible(&command_line(task));
    let room = width.map_or(usize::MAX, |width| {
        width
            .saturating_sub(before.width() + after.width())
            .max(COMMAND_MIN)
    });
    let line = format!("{before}{}{after}", text::truncated(&command, room));
    let shown = text::truncated(&line, width.unwrap_or(usize::MAX));
    format!("{BOLD}{shown}{BOLD:#}")
}

/// A moment of the last day by its time alone, which leaves room for the command.
fn moment(ms: u64, now_ms: u64) -> String {
    let whole = local_time(ms);
    match whole.split_once(' ') {
        Some((_, time)) if now_ms.saturating_sub(ms) < DAY_MS => time.to_owned(),
        _ => whole,
    }
}

/// One line after an attempt: outcome, duration, cost.
pub(super) fn footer(task: &TaskView, attempt: &AttemptView) -> String {
    let state = match attempt.outcome.as_deref() {
        Some("ok") => "succeeded",
        Some("cancelled") => "cancelled",
        _ => "failed",
    };
    let style = text::state_style(state);
    let words = match attempt.outcome.as_deref() {
        Some("ok") => "succeeded".to_owned(),
        _ => text::visible(&outcome_words(attempt)),
    };
    let mut parts = vec![format!("{style}{words}{style:#}")];
    let end = attempt.ended_at_ms.unwrap_or(attempt.started_at_ms);
    parts.push(short_duration(end.saturating_sub(attempt.started_at_ms)));
    parts.extend(attempt.cost_usd.map(short_dollars));
    let again = (attempt.n > 1).then(|| format!(", attempt {}", attempt.n));
    format!(
        "{DIM}── {} {}{}:{DIM:#} {}",
        noun(&task.id),
        text::visible(&task.id),
        again.unwrap_or_default(),
        parts.join(" · ")
    )
}

/// Which keys do something now. `place` is what goes on to the next task; empty where it is one task alone.
pub(super) fn hint(task: Option<&TaskView>, place: &str) -> String {
    let waits = format!("{} waits for the next task", text::visible(place));
    let keys = match task {
        Some(task) if has_ended(task) && !place.is_empty() => {
            format!("{waits} · r runs {} again · q quits", task.id)
        }
        Some(task) if has_ended(task) => "Enter closes · r runs it again · q quits".to_owned(),
        Some(_) => "c cancels it · q quits".to_owned(),
        None => format!("{waits} · q quits"),
    };
    format!("{DIM}{keys}{DIM:#}")
}

/// Why nothing may ever come: the slot that is to be shown is none of these.
pub(super) fn pool(slots: u32) -> String {
    match slots {
        1 => "the pool has 1 slot, which is slot 0".to_owned(),
        _ => format!("the pool has {slots} slots, counted from 0"),
    }
}

/// What a first `c` is answered with.
pub(super) fn sure_to_cancel(task: &TaskView) -> String {
    format!(
        "{YELLOW}press c again within 5 s to cancel {} {}{YELLOW:#}",
        noun(&task.id),
        text::visible(&task.id)
    )
}

/// Anything else that is not the worker's.
pub(super) fn note(words: &str) -> String {
    format!("{DIM}{words}{DIM:#}")
}

/// What the tab is told; `place` names the slot or workspace while no task is shown there.
pub(super) fn tab(task: Option<&TaskView>, place: &str) -> TabState {
    let Some(task) = task else {
        return TabState {
            title: place.to_owned(),
            state: "idle".to_owned(),
            ..TabState::default()
        };
    };
    let name = task.label.clone().unwrap_or_else(|| command_line(task));
    TabState {
        title: format!("{} {}", task.id, text::visible(&name)),
        state: task.state.clone(),
        task: task.id.clone(),
        attention: match task.state.as_str() {
            "waiting" => Attention::Answer,
            _ if task.report.as_ref().is_some_and(ReportView::is_waiting) => Attention::Answer,
            "failed" | "lost" => Attention::Failed,
            _ if has_succeeded(task) => Attention::Ended,
            _ => Attention::None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_060_000;

    fn task(state: &str) -> TaskView {
        TaskView {
            id: "7".into(),
            state: state.into(),
            priority: 180,
            label: Some("nightly".into()),
            command: Some("cargo test --workspace\n--all-targets \x1b[31m".into()),
            ..TaskView::default()
        }
    }

    fn attempt(outcome: &str) -> AttemptView {
        AttemptView {
            n: 2,
            outcome: Some(outcome.into()),
            exit_code: Some(3),
            started_at_ms: 1_800_000_000_000,
            ended_at_ms: Some(1_800_000_012_300),
            cost_usd: Some(0.0123),
            ..AttemptView::default()
        }
    }

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn a_header_is_one_line_that_fits() {
        let whole = plain(&header(&task("running"), &attempt("ok"), NOW, None));
        assert!(
            whole.starts_with(r"── task 7 · priority 180 · nightly · cargo test --workspace\n--all-targets \x1b[31m · attempt 2 · "),
            "{whole}"
        );
        for width in [20, 60, 80, 200] {
            let line = plain(&header(&task("running"), &attempt("ok"), NOW, Some(width)));
            assert!(line.width() <= width && !line.contains('\n'), "{width}: {line}");
        }
        let line = plain(&header(&task("running"), &attempt("ok"), NOW, Some(80)));
        assert!(line.contains("… · attempt 2 · "), "{line}");
    }

    #[test]
    fn a_footer_says_how_it_ended() {
        let words = |outcome| plain(&footer(&task("failed"), &attempt(outcome)));
        insta::assert_snapshot!(words("ok"), @"── task 7, attempt 2: succeeded · 12s · $0.0123");
        insta::assert_snapshot!(words("exit_code"), @"── task 7, attempt 2: exit 3 · 12s · $0.0123");
        insta::assert_snapshot!(words("limited"), @"── task 7, attempt 2: usage limit · 12s · $0.0123");
    }

    #[test]
    fn the_tab_says_when_to_look() {
        let attention = |state| tab(Some(&task(state)), "").attention;
        assert_eq!(attention("running"), Attention::None);
        assert_eq!(attention("waiting"), Attention::Answer);
        assert_eq!(attention("lost"), Attention::Failed);
        assert_eq!(attention("succeeded"), Attention::Ended);
        assert_eq!(tab(None, "slot 0").title, "slot 0");
        assert_eq!(tab(Some(&task("running")), "").title, "7 nightly");
    }

    #[test]
    fn hints_name_the_keys_that_do_something() {
        let hints = [
            hint(Some(&task("succeeded")), ""),
            hint(Some(&task("failed")), "slot 0"),
            hint(Some(&task("queued")), ""),
            hint(None, "workspace a\x1b[31m"),
        ];
        insta::assert_snapshot!(plain(&hints.join("\n")), @r"
        Enter closes · r runs it again · q quits
        slot 0 waits for the next task · r runs 7 again · q quits
        c cancels it · q quits
        workspace a\x1b[31m waits for the next task · q quits
        ");
    }
}
