//! The top of the screen: slots, processors, memory and pressure as bars, the last minutes, and closed gates.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, RenderDirection, Sparkline, Widget as _};
use ratatui::Frame;

use super::{BOLD, CYAN, DIM, GREEN, YELLOW};
use crate::cli::text::{truncated, visible};
use crate::cli::top::machine::{Cpu, Machine, Memory, Quota, Stall};
use crate::cli::top::model::Model;
use crate::cli::value::{short_bytes, short_duration};

const LABEL: usize = 7;
/// Words beside a bar; where there is room, twice as many.
const WORDS: usize = 17;
const WORDS_WIDE: usize = 62;
/// Half of a screen that is wide.
const WIDE: u16 = 90;

/// A bar from 0 to 1.
#[derive(Clone, Copy, Debug, Default)]
struct Bar {
    filled: f64,
    /// Reserved and not in use yet, behind what is filled.
    reserved: f64,
    mark: Option<f64>,
    is_closed: bool,
}

/// Four of them in two lines, and where the account's limits are known one line more.
pub(super) fn gauges(frame: &mut Frame<'_>, model: &Model, area: Rect) {
    let machine = model.machine.as_ref();
    let is_wide = area.width / 2 >= WIDE;
    let cells = [
        slots(model),
        cpu(machine),
        memory(machine, is_wide),
        stall(machine),
    ];
    let known = machine.map_or(&[][..], |machine| &machine.quotas);
    let quotas = known.iter().map(|known| quota(known, model.now_ms, is_wide));
    let places = usize::from(area.height) * 2;
    for (number, (label, bar, words)) in cells.into_iter().chain(quotas).take(places).enumerate() {
        let half = half(area, number % 2);
        let row = Rect::new(half.x, area.y + (number / 2) as u16, half.width, 1);
        Paragraph::new(gauge(label, bar, &words, row.width)).render(row, frame.buffer_mut());
    }
}

fn half(area: Rect, number: usize) -> Rect {
    let left = area.width / 2;
    if number == 0 {
        Rect::new(area.x, area.y, left, area.height)
    } else {
        Rect::new(area.x + left, area.y, area.width - left, area.height)
    }
}

type Gauge = (&'static str, Option<Bar>, String);

fn slots(model: &Model) -> Gauge {
    let states = &model.summary.states;
    let count = |name: &str| states.get(name).copied().unwrap_or(0);
    let taken = count("running") + count("paused") + count("waiting");
    let slots = model.summary.slots;
    let bar = Bar {
        filled: taken as f64 / f64::from(slots.max(1)),
        is_closed: taken >= slots as usize,
        ..Bar::default()
    };
    ("slots", Some(bar), format!("{taken} of {slots}"))
}

fn cpu(machine: Option<&Machine>) -> Gauge {
    let bar = |cpu: &Cpu| Bar {
        filled: f64::from(cpu.used) / 100.0,
        mark: gated(machine, f64::from(cpu.mark) / 100.0),
        is_closed: is_closed(machine, "cpu"),
        ..Bar::default()
    };
    let words = |cpu: &Cpu| format!("{} % of {} CPU", cpu.used, cpu.cpus);
    told(
        "cpu",
        machine,
        machine.and_then(|machine| machine.cpu.as_ref()),
        bar,
        words,
    )
}

fn memory(machine: Option<&Machine>, is_wide: bool) -> Gauge {
    let bar = |memory: &Memory| {
        let share = |bytes: u64| bytes as f64 / memory.total as f64;
        Bar {
            filled: share(memory.total - memory.available),
            reserved: share(memory.reserved),
            mark: gated(machine, 1.0 - share(memory.floor)),
            is_closed: is_closed(machine, "memory"),
        }
    };
    let words = |memory: &Memory| {
        let free = format!("{} free", short_bytes(memory.available));
        if !is_wide {
            return free;
        }
        let [total, floor, reserved] = [memory.total, memory.floor, memory.reserved].map(short_bytes);
        format!("{free} of {total}, floor {floor}, {reserved} reserved")
    };
    let memory = machine.and_then(|machine| machine.memory.as_ref());
    told("memory", machine, memory, bar, words)
}

fn stall(machine: Option<&Machine>) -> Gauge {
    let bar = |stall: &Stall| Bar {
        filled: f64::from(stall.share) / 100.0,
        mark: gated(machine, f64::from(stall.mark) / 100.0),
        is_closed: is_closed(machine, "pressure"),
        ..Bar::default()
    };
    let words = |stall: &Stall| format!("{} % of the time", stall.share);
    let stall = machine.and_then(|machine| machine.stall.as_ref());
    told("stall", machine, stall, bar, words)
}

fn quota(quota: &Quota, now_ms: u64, is_wide: bool) -> Gauge {
    let bar = Bar {
        filled: f64::from(quota.used) / 100.0,
        is_closed: quota.used >= 100,
        ..Bar::default()
    };
    let words = format!("{} % {}", quota.used, visible(&quota.name));
    let reset = quota
        .resets_at_ms
        .filter(|_| is_wide)
        .map_or_else(String::new, |at| {
            format!(", resets in {}", short_duration(at.saturating_sub(now_ms)))
        });
    ("quota", Some(bar), words + &reset)
}

/// A mark means something only where tasks wait for it.
fn gated(machine: Option<&Machine>, mark: f64) -> Option<f64> {
    machine.filter(|machine| machine.is_gated).map(|_| mark)
}

fn is_closed(machine: Option<&Machine>, gate: &str) -> bool {
    machine.is_some_and(|machine| machine.closed.iter().any(|(name, _)| name == gate))
}

fn told<T>(
    label: &'static str,
    machine: Option<&Machine>,
    value: Option<&T>,
    bar: impl Fn(&T) -> Bar,
    words: impl Fn(&T) -> String,
) -> Gauge {
    match (value, machine) {
        (Some(value), _) => (label, Some(bar(value)), words(value)),
        (None, Some(_)) => (label, None, "not known here".to_owned()),
        (None, None) => (label, None, String::new()),
    }
}

fn gauge(label: &str, bar: Option<Bar>, words: &str, width: u16) -> Line<'static> {
    let width = usize::from(width);
    let words_width = if width >= usize::from(WIDE) {
        WORDS_WIDE
    } else {
        WORDS
    };
    let bar_width = width.saturating_sub(LABEL + 2 + words_width + 1);
    let mut spans = vec![Span::styled(format!("{label:<LABEL$} "), BOLD)];
    match bar {
        Some(bar) => spans.extend(cells(bar, bar_width)),
        None => spans.push(Span::raw(" ".repeat(bar_width))),
    }
    let room = width.saturating_sub(LABEL + 2 + bar_width + 1);
    spans.push(Span::raw(format!(" {}", truncated(words, room))));
    Line::from(spans)
}

/// One sign for each column of the bar.
fn cells(bar: Bar, width: usize) -> Vec<Span<'static>> {
    let at = |share: f64| (share.clamp(0.0, 1.0) * width as f64).round() as usize;
    let (filled, reserved) = (at(bar.filled), at(bar.filled + bar.reserved));
    let mark = bar.mark.map(|mark| at(mark).min(width.saturating_sub(1)));
    let fill = if bar.is_closed { YELLOW } else { GREEN };
    (0..width)
        .map(|column| match column {
            _ if mark == Some(column) => Span::styled("┃", YELLOW),
            _ if column < filled => Span::styled("━", fill),
            _ if column < reserved => Span::styled("╍", CYAN),
            _ => Span::styled("─", DIM),
        })
        .collect()
}

/// How deep the queue was, and how many tasks ended.
pub(super) fn sparks(frame: &mut Frame<'_>, model: &Model, area: Rect) {
    if area.height == 0 {
        return;
    }
    let history = &model.history;
    let per_minute = history.ended_per_minute();
    let depth = (history.depth(), format!("{} queued", model.summary.queued));
    let ended = (history.throughput(), format!("{per_minute} ended/min"));
    for (number, (label, (steps, words), style)) in [("queue", depth, CYAN), ("ended", ended, GREEN)]
        .into_iter()
        .enumerate()
    {
        let half = half(area, number);
        let words = truncated(&words, WORDS);
        let chart = usize::from(half.width).saturating_sub(LABEL + 2 + WORDS + 1) as u16;
        let chart = Rect::new(half.x + LABEL as u16 + 1, half.y, chart, half.height);
        Paragraph::new(Span::styled(label, BOLD)).render(half, frame.buffer_mut());
        spark(frame, &steps, style, chart);
        let words_area = Rect {
            x: chart.right() + 1,
            width: half.right().saturating_sub(chart.right() + 1),
            ..half
        };
        Paragraph::new(words).render(words_area, frame.buffer_mut());
    }
}

/// The newest on the right.
fn spark(frame: &mut Frame<'_>, steps: &[u64], style: Style, area: Rect) {
    let newest_first: Vec<u64> = steps
        .iter()
        .rev()
        .take(usize::from(area.width))
        .copied()
        .collect();
    Sparkline::default()
        .data(&newest_first)
        .direction(RenderDirection::RightToLeft)
        .style(style)
        .render(area, frame.buffer_mut());
}

/// What holds up the queue, in its own words.
pub(super) fn gates(frame: &mut Frame<'_>, model: &Model, area: Rect) {
    let closed = model.closed_gates();
    let most = usize::from(area.height);
    let left_out = closed.len().saturating_sub(most);
    for (row, words) in closed.iter().take(most).enumerate() {
        let more = match left_out {
            0 => String::new(),
            _ if row + 1 < most => String::new(),
            count => format!(" (+{count})"),
        };
        let room = usize::from(area.width).saturating_sub(2 + more.len());
        let words = format!("▲ {}{more}", truncated(&visible(words), room));
        let row = Rect::new(area.x, area.y + row as u16, area.width, 1);
        Paragraph::new(Span::styled(words, YELLOW)).render(row, frame.buffer_mut());
    }
}
