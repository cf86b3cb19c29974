//! From where the panes of a tab are back to the splits that made them. Pure.
//!
//! WezTerm tells of each pane where it begins and how large it is, and not how its tab was split. It splits panes in
//! two from edge to edge and leaves one line between them, so its tabs can always be taken apart in the same way: a line
//! that crosses the whole room and cuts through no pane was a split, or does as well as the one that was.

use super::{plan, Layout, PaneInfo, Side, Split};

/// A room in a tab, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Room {
    left: usize,
    top: usize,
    cols: usize,
    rows: usize,
}

impl Room {
    fn of(pane: &PaneInfo) -> Self {
        Self {
            left: pane.left_col,
            top: pane.top_row,
            cols: pane.size.cols,
            rows: pane.size.rows,
        }
    }

    /// Where it begins and how far it goes, across a split to this side.
    fn along(&self, side: Side) -> (usize, usize) {
        match side {
            Side::Right => (self.left, self.cols),
            Side::Bottom => (self.top, self.rows),
        }
    }

    /// The two that come of a split whose line is at this column or row.
    fn cut(self, side: Side, line: usize) -> (Self, Self) {
        let (begin, length) = self.along(side);
        let (kept, made) = (line - begin, begin + length - line - 1);
        match side {
            Side::Right => (
                Self { cols: kept, ..self },
                Self {
                    left: line + 1,
                    cols: made,
                    ..self
                },
            ),
            Side::Bottom => (
                Self { rows: kept, ..self },
                Self {
                    top: line + 1,
                    rows: made,
                    ..self
                },
            ),
        }
    }
}

/// How a tab is made anew: its panes in reading order, as places in the list that was given, and the splits that turn the
/// first of them into all.
///
/// Percents are those of [`Split`], so a tab of up to 100 columns and rows comes out as it was, and a larger one within
/// one column or row for each 100 at each split. A tab whose panes fit together in no way (a listing of another version,
/// or one taken while WezTerm was resizing) becomes a grid of as many.
#[must_use]
pub fn rebuild(panes: &[PaneInfo]) -> (Vec<usize>, Vec<Split>) {
    let mut order: Vec<usize> = (0..panes.len()).collect();
    order.sort_by_key(|place| (panes[*place].top_row, panes[*place].left_col));
    let rooms: Vec<Room> = order.iter().map(|place| Room::of(&panes[*place])).collect();
    let splits = match order.iter().position(|place| panes[*place].is_zoomed) {
        Some(zoomed) => splits_around(&rooms, zoomed),
        None => whole(&rooms).and_then(|tab| splits_of(&rooms, tab)),
    };
    let splits = splits.unwrap_or_else(|| plan(Layout::Grid, panes.len()));
    (order, splits)
}

/// Whether these splits make `count` panes of one, each from one that is there by then.
#[must_use]
pub fn makes_all(splits: &[Split], count: usize) -> bool {
    let mut made = vec![false; count];
    if let Some(first) = made.first_mut() {
        *first = true;
    }
    let every = splits.iter().all(|split| {
        let is_made = |place: usize| made.get(place).copied();
        let fits = is_made(split.from) == Some(true) && is_made(split.to) == Some(false);
        if fits {
            made[split.to] = true;
        }
        fits && (1..100).contains(&split.percent)
    });
    every && made.into_iter().all(|made| made)
}

/// The room that holds them all.
fn whole(rooms: &[Room]) -> Option<Room> {
    let end = |side| {
        let ends = rooms.iter().map(|room| room.along(side));
        ends.map(|(begin, length)| begin + length).max()
    };
    Some(Room {
        left: 0,
        top: 0,
        cols: end(Side::Right)?,
        rows: end(Side::Bottom)?,
    })
}

/// A zoomed pane has the size of the whole tab, and the others have theirs: its own is whichever fits among them.
fn splits_around(rooms: &[Room], zoomed: usize) -> Option<Vec<Split>> {
    let tab = Room {
        left: 0,
        top: 0,
        ..rooms[zoomed]
    };
    // It ends where the tab does, or one line before another pane begins.
    let ends = |side: Side| {
        let (begin, _) = rooms[zoomed].along(side);
        let others = rooms.iter().map(move |room| room.along(side).0);
        let others = others.filter(move |other| *other > begin).map(|other| other - 1);
        others
            .chain([tab.along(side).1])
            .map(move |end| end.checked_sub(begin))
    };
    let mut rooms_then = rooms.to_vec();
    for cols in ends(Side::Right).flatten() {
        for rows in ends(Side::Bottom).flatten() {
            rooms_then[zoomed] = Room {
                cols,
                rows,
                ..rooms[zoomed]
            };
            if let Some(splits) = splits_of(&rooms_then, tab) {
                return Some(splits);
            }
        }
    }
    None
}

/// The splits that make these rooms of the whole tab; `None` if there are none.
fn splits_of(rooms: &[Room], tab: Room) -> Option<Vec<Split>> {
    let mut splits = Vec::new();
    // Rooms to take apart, each with what is in it. The first of them keeps the room when it is split.
    let mut open = vec![(tab, (0..rooms.len()).collect::<Vec<usize>>())];
    while let Some((room, inside)) = open.pop() {
        if let [only] = inside[..] {
            if rooms[only] != room {
                return None;
            }
            continue;
        }
        let (side, line) = line_through(rooms, &inside, room)?;
        let (kept, made) = room.cut(side, line);
        let (before, behind): (Vec<usize>, Vec<usize>) = inside
            .iter()
            .partition(|place| rooms[**place].along(side).0 < line);
        let (Some(from), Some(to)) = (before.first(), behind.first()) else {
            return None;
        };
        splits.push(Split {
            from: *from,
            to: *to,
            side,
            percent: percent(room.along(side).1, made.along(side).1),
        });
        open.extend([(made, behind), (kept, before)]);
    }
    Some(splits)
}

/// A line from edge to edge between these rooms.
fn line_through(rooms: &[Room], inside: &[usize], room: Room) -> Option<(Side, usize)> {
    let sides = [Side::Bottom, Side::Right].into_iter();
    let mut lines = sides.flat_map(|side| {
        let begins = inside.iter().map(move |place| rooms[*place].along(side).0);
        begins.filter_map(move |begin| Some((side, begin.checked_sub(1)?)))
    });
    lines.find(|(side, line)| {
        let (begin, length) = room.along(*side);
        let is_within = begin < *line && line + 1 < begin + length;
        let mut panes = inside.iter().map(|place| rooms[*place].along(*side));
        is_within && panes.all(|(begin, length)| begin + length <= *line || begin > *line)
    })
}

/// With how many percent of the whole WezTerm makes a pane that is nearest to this; it rounds down.
fn percent(whole: usize, made: usize) -> u8 {
    let comes_of = |percent: u8| whole * usize::from(percent) / 100;
    let nearest = (1..100).min_by_key(|percent| comes_of(*percent).abs_diff(made));
    // Of several that come to the same the first, which is what people write: 50 rather than 51.
    nearest.unwrap_or(50)
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
