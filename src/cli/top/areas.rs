//! Where everything stands on a screen of a given size: for drawing, and for what is clicked.
//!
//! Pure.

use ratatui::layout::Rect;

use super::columns::{placed, Column};
use super::model::Model;
use super::processes::Process;

/// Below this nothing can be made out.
pub(super) const WIDTH_MIN: u16 = 40;
pub(super) const HEIGHT_MIN: u16 = 10;
/// From here on sparklines get a height of their own.
const TALL: u16 = 40;
const SPARK_TALL: u16 = 3;
/// Below this there are none, and one line of closed gates.
const SMALL: u16 = 16;
/// Lines of closed gates at most.
const GATES_MAX: u16 = 3;
/// From this height on, the table stays while a task is shown in full.
const BOTH_HEIGHT: u16 = 32;
/// Lines of the table then, its heading included.
const TABLE_BESIDE_DETAIL: u16 = 12;
/// From this width on, facts and output stand side by side.
const SIDE_BY_SIDE: u16 = 120;

/// The parts of the screen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Areas {
    pub(super) title: Rect,
    pub(super) gauges: Rect,
    pub(super) sparks: Rect,
    pub(super) gates: Rect,
    pub(super) processes: Rect,
    /// Its heading is the first line. It may have no height.
    pub(super) table: Rect,
    pub(super) detail: Option<Rect>,
    pub(super) bottom: Rect,
}

impl Areas {
    /// `None` if the screen is too small.
    pub(super) fn of(model: &Model) -> Option<Self> {
        let (width, height) = model.size;
        if width < WIDTH_MIN || height < HEIGHT_MIN {
            return None;
        }
        let mut left = Rect::new(0, 0, width, height);
        let small = height < SMALL;
        let title = cut(&mut left, 1);
        let has_quota = model
            .machine
            .as_ref()
            .is_some_and(|machine| !machine.quotas.is_empty());
        let gauges = cut(&mut left, if has_quota && !small { 3 } else { 2 });
        let sparks = match height {
            _ if small => 0,
            TALL.. => SPARK_TALL,
            _ => 1,
        };
        let sparks = cut(&mut left, sparks);
        let most = if small { 1 } else { GATES_MAX };
        let closed = u16::try_from(model.closed_gates().len()).unwrap_or(most);
        let gates = cut(&mut left, closed.min(most));
        let wants_line = if small {
            model.processes.iter().any(Process::is_trouble)
        } else {
            !model.processes.is_empty()
        };
        let processes = cut(&mut left, u16::from(wants_line));
        let table = match &model.detail {
            None => left.height - 1,
            Some(_) if height >= BOTH_HEIGHT => TABLE_BESIDE_DETAIL,
            Some(_) => 0,
        };
        let table = cut(&mut left, table);
        let in_full = left.height - 1;
        let detail = cut(&mut left, in_full);
        Some(Self {
            title,
            gauges,
            sparks,
            gates,
            processes,
            table,
            detail: model.detail.is_some().then_some(detail),
            bottom: left,
        })
    }

    /// How many tasks fit into the table.
    pub(super) fn rows(&self) -> usize {
        usize::from(self.table.height.saturating_sub(1))
    }

    /// The heading at this place.
    pub(super) fn heading_at(&self, column: u16, row: u16) -> Option<Column> {
        if self.table.height == 0 || row != self.table.y {
            return None;
        }
        let columns = placed(self.table.width);
        let found = columns
            .iter()
            .find(|placed| (placed.x..=placed.x + placed.width).contains(&column));
        found.map(|placed| placed.column.sorts_by())
    }

    /// The row of the table at this height, from 0.
    pub(super) fn row_at(&self, row: u16) -> Option<usize> {
        let first = self.table.y + 1;
        (first..self.table.bottom())
            .contains(&row)
            .then(|| usize::from(row - first))
    }
}

/// Takes so many lines from the top.
fn cut(left: &mut Rect, lines: u16) -> Rect {
    let lines = lines.min(left.height);
    let top = Rect {
        height: lines,
        ..*left
    };
    left.y += lines;
    left.height -= lines;
    top
}

/// The parts of a task in full: its heading, its facts and its output, of which one may have no place.
pub(super) fn detail_parts(area: Rect, shows_facts: bool) -> (Rect, Option<Rect>, Option<Rect>) {
    let heading = Rect::new(area.x, area.y, area.width, area.height.min(1));
    let body = Rect::new(
        area.x,
        area.y + heading.height,
        area.width,
        area.height - heading.height,
    );
    if area.width < SIDE_BY_SIDE {
        return if shows_facts {
            (heading, Some(body), None)
        } else {
            (heading, None, Some(body))
        };
    }
    let left = (area.width * 2 / 5).min(80);
    let facts = Rect::new(body.x, body.y, left, body.height);
    let output = Rect::new(body.x + left + 1, body.y, body.width - left - 1, body.height);
    (heading, Some(facts), Some(output))
}
