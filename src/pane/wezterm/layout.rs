//! How several panes share one tab: which pane is split, to which side, and how much of it the new one
//! gets. Pure.

use super::PaneSize;

/// How viewers are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// Rows and columns, about as many of each.
    Grid,
    /// Side by side.
    Columns,
    /// One above the other.
    Rows,
    /// A tab for each.
    Tabs,
}

/// Where the new pane of a split is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// To the right.
    Right,
    /// Below.
    Bottom,
}

/// One split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Split {
    /// The pane that is split, by its place in reading order.
    pub from: usize,
    /// The pane that comes of it, likewise.
    pub to: usize,
    /// Where the new one is.
    pub side: Side,
    /// How much of the split pane the new one gets, in percent.
    pub percent: u8,
}

/// The splits that turn one pane (number 0) into `count`, in the order in which they must be made.
/// None for tabs.
#[must_use]
pub fn plan(layout: Layout, count: usize) -> Vec<Split> {
    let rows = match layout {
        Layout::Tabs => return Vec::new(),
        Layout::Columns => 1,
        Layout::Rows => count,
        Layout::Grid => count.div_ceil(columns_of_grid(count).max(1)),
    };
    let lengths = row_lengths(count, rows);
    let first_of_row = |row: usize| lengths[..row].iter().sum::<usize>();
    let heads: Vec<usize> = (0..lengths.len()).map(first_of_row).collect();
    let mut splits = in_a_line(&heads, Side::Bottom);
    for (head, length) in heads.iter().zip(&lengths) {
        let row: Vec<usize> = (*head..head + length).collect();
        splits.extend(in_a_line(&row, Side::Right));
    }
    splits
}

/// The narrowest and the lowest that come of `count` in a tab of this size.
#[must_use]
pub fn smallest(layout: Layout, count: usize, tab: PaneSize) -> PaneSize {
    let mut sizes = vec![tab; count.max(1)];
    for split in plan(layout, count) {
        let (mut kept, mut made) = (sizes[split.from], sizes[split.from]);
        let (whole, left, new) = match split.side {
            Side::Right => (kept.cols, &mut kept.cols, &mut made.cols),
            Side::Bottom => (kept.rows, &mut kept.rows, &mut made.rows),
        };
        *new = whole * usize::from(split.percent) / 100;
        // A line is between them.
        *left = whole.saturating_sub(*new + 1);
        (sizes[split.from], sizes[split.to]) = (kept, made);
    }
    PaneSize {
        cols: sizes.iter().map(|size| size.cols).min().unwrap_or(0),
        rows: sizes.iter().map(|size| size.rows).min().unwrap_or(0),
    }
}

/// Terminals are wide: rather one more column than one more row.
fn columns_of_grid(count: usize) -> usize {
    (1..=count)
        .find(|columns| columns * columns >= count)
        .unwrap_or(0)
}

/// The rows that are longer come first.
fn row_lengths(count: usize, rows: usize) -> Vec<usize> {
    (0..rows)
        .map(|row| count / rows + usize::from(row < count % rows))
        .collect()
}

/// Each pane is split off the one before it, which keeps one share of what is left.
fn in_a_line(panes: &[usize], side: Side) -> Vec<Split> {
    let split = |(place, pair): (usize, &[usize])| {
        let left = panes.len() - place;
        Split {
            from: pair[0],
            to: pair[1],
            side,
            // Below 100, as `left` is at least 2.
            percent: (100 - 100 / left) as u8,
        }
    };
    panes.windows(2).enumerate().map(split).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Carries the splits out on a screen of 1 by 1.
    fn areas(layout: Layout, count: usize) -> Vec<(f64, f64)> {
        let mut sizes: Vec<Option<(f64, f64)>> = vec![None; count];
        sizes[0] = Some((1.0, 1.0));
        for split in plan(layout, count) {
            let (width, height) = sizes[split.from].expect("a pane that is there");
            assert!(sizes[split.to].is_none(), "made twice");
            let share = f64::from(split.percent) / 100.0;
            let (kept, made) = match split.side {
                Side::Right => ((width * (1.0 - share), height), (width * share, height)),
                Side::Bottom => ((width, height * (1.0 - share)), (width, height * share)),
            };
            sizes[split.from] = Some(kept);
            sizes[split.to] = Some(made);
        }
        sizes
            .into_iter()
            .map(|size| size.expect("every pane is made"))
            .collect()
    }

    #[test]
    fn every_pane_gets_about_the_same() {
        for count in 1..=16 {
            for (width, height) in areas(Layout::Columns, count) {
                assert!((width * count as f64 - 1.0).abs() < 0.2, "{count}: {width}");
                assert_eq!(height, 1.0);
            }
            for (width, height) in areas(Layout::Rows, count) {
                assert!((height * count as f64 - 1.0).abs() < 0.2, "{count}: {height}");
                assert_eq!(width, 1.0);
            }
        }
    }

    #[test]
    fn a_grid_is_about_square_and_never_taller_than_wide() {
        let shape = |count| {
            let splits = plan(Layout::Grid, count);
            let rows = 1 + splits.iter().filter(|split| split.side == Side::Bottom).count();
            (rows, splits.len() + 1)
        };
        let shapes: Vec<_> = (1..=10).map(shape).collect();
        let rows = [1, 1, 2, 2, 2, 2, 3, 3, 3, 3];
        for (count, (shape, rows)) in shapes.into_iter().zip(rows).enumerate() {
            assert_eq!(shape, (rows, count + 1));
        }
        for count in 1..=30 {
            let total: f64 = areas(Layout::Grid, count)
                .iter()
                .map(|(width, height)| width * height)
                .sum();
            assert!((total - 1.0).abs() < 1e-9, "{count}: {total}");
        }
    }

    #[test]
    fn three_in_a_grid_are_two_above_one() {
        let expected = [
            Split {
                from: 0,
                to: 2,
                side: Side::Bottom,
                percent: 50,
            },
            Split {
                from: 0,
                to: 1,
                side: Side::Right,
                percent: 50,
            },
        ];
        assert_eq!(plan(Layout::Grid, 3), expected);
    }

    #[test]
    fn the_smallest_is_known_before_it_is_made() {
        let smallest = |layout, count| {
            let size = smallest(layout, count, PaneSize { cols: 80, rows: 24 });
            (size.cols, size.rows)
        };
        assert_eq!(smallest(Layout::Columns, 1), (80, 24));
        assert_eq!(smallest(Layout::Columns, 2), (39, 24));
        assert_eq!(smallest(Layout::Columns, 4), (19, 24));
        assert_eq!(smallest(Layout::Rows, 6), (80, 3));
        assert_eq!(smallest(Layout::Grid, 4), (39, 11));
        assert_eq!(smallest(Layout::Tabs, 64), (80, 24));
        assert!(smallest(Layout::Columns, 30).0 < 2);
    }

    #[test]
    fn tabs_and_nothing_need_no_split() {
        assert_eq!(plan(Layout::Tabs, 4), []);
        for layout in [Layout::Grid, Layout::Columns, Layout::Rows] {
            assert_eq!(plan(layout, 0), [], "{layout:?}");
            assert_eq!(plan(layout, 1), [], "{layout:?}");
        }
    }
}
