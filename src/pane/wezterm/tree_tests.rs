//! Tabs that are split at random are taken apart again, and split anew.

use proptest::prelude::*;

use super::super::PaneSize;
use super::*;

/// Carries splits out as WezTerm does: where each pane is in a tab of this size; `None` if there is no room.
fn carried_out(splits: &[Split], count: usize, cols: usize, rows: usize) -> Option<Vec<Room>> {
    let tab = Room {
        left: 0,
        top: 0,
        cols,
        rows,
    };
    let mut rooms = vec![tab; count];
    for split in splits {
        let room = rooms[split.from];
        let (begin, length) = room.along(split.side);
        let made = (length * usize::from(split.percent) / 100).max(1);
        let line = begin + length.checked_sub(made + 1).filter(|kept| *kept > 0)?;
        (rooms[split.from], rooms[split.to]) = room.cut(split.side, line);
    }
    Some(rooms)
}

fn listing(rooms: &[Room]) -> Vec<PaneInfo> {
    let pane = |(place, room): (usize, &Room)| PaneInfo {
        pane_id: place as u64,
        left_col: room.left,
        top_row: room.top,
        size: PaneSize {
            cols: room.cols,
            rows: room.rows,
        },
        ..PaneInfo::default()
    };
    rooms.iter().enumerate().map(pane).collect()
}

/// Splits that a person may have made, one after the other, each of any pane that is there.
fn splits_by_hand() -> impl Strategy<Value = Vec<Split>> {
    let one = (any::<prop::sample::Index>(), any::<bool>(), 10u8..=90);
    prop::collection::vec(one, 0..9).prop_map(|choices| {
        let split = |(place, (from, right, percent)): (usize, (prop::sample::Index, bool, u8))| Split {
            from: from.index(place + 1),
            to: place + 1,
            side: if right { Side::Right } else { Side::Bottom },
            percent,
        };
        choices.into_iter().enumerate().map(split).collect()
    })
}

fn rooms_in_order(rooms: &[Room], order: &[usize]) -> Vec<Room> {
    order.iter().map(|place| rooms[*place]).collect()
}

/// How far apart two of them are at worst.
fn distance(one: &[Room], other: &[Room]) -> usize {
    let pairs = one.iter().zip(other);
    pairs
        .map(|(one, other)| {
            let differences = [
                one.left.abs_diff(other.left),
                one.top.abs_diff(other.top),
                one.cols.abs_diff(other.cols),
                one.rows.abs_diff(other.rows),
            ];
            differences.into_iter().max().unwrap_or(0)
        })
        .max()
        .unwrap_or(0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn what_is_taken_apart_is_built_as_it_was(
        splits in splits_by_hand(), cols in 20usize..=300, rows in 10usize..=100,
    ) {
        let count = splits.len() + 1;
        let Some(rooms) = carried_out(&splits, count, cols, rows) else { return Ok(()) };
        let (order, found) = rebuild(&listing(&rooms));
        prop_assert!(makes_all(&found, count), "{found:?}");
        let before = rooms_in_order(&rooms, &order);
        let after = carried_out(&found, count, cols, rows);
        prop_assert!(after.is_some() || cols > 100, "{found:?}");
        let Some(after) = after else { return Ok(()) };
        // Every column and row of up to 100 is a whole percent, or more than one.
        let per_split = if cols <= 100 { 0 } else { cols / 100 };
        prop_assert!(
            distance(&before, &after) <= per_split * splits.len(),
            "{before:?} {after:?} {found:?}"
        );
        // Saved and built once more, it stays as it is.
        let (again, found) = rebuild(&listing(&after));
        let settled = carried_out(&found, count, cols, rows);
        prop_assert_eq!(settled.map(|rooms| distance(&rooms, &rooms_in_order(&after, &again))), Some(0));
    }

    #[test]
    fn a_larger_tab_has_the_same_proportions(splits in splits_by_hand()) {
        let count = splits.len() + 1;
        let Some(rooms) = carried_out(&splits, count, 100, 100) else { return Ok(()) };
        let (order, found) = rebuild(&listing(&rooms));
        let larger = carried_out(&found, count, 400, 400).unwrap();
        for (before, after) in rooms_in_order(&rooms, &order).iter().zip(&larger) {
            // What the lines take, and what is rounded off: both are four times as much or as little there.
            let reach = 5 * count;
            let places = [
                (before.left, after.left), (before.top, after.top),
                (before.cols, after.cols), (before.rows, after.rows),
            ];
            for (small, large) in places {
                prop_assert!((small * 4).abs_diff(large) <= reach, "{before:?} {after:?} {found:?}");
            }
        }
    }

    #[test]
    fn a_zoomed_pane_gets_its_own_room_back(
        splits in splits_by_hand(), zoomed in any::<prop::sample::Index>(),
    ) {
        let count = splits.len() + 1;
        let Some(rooms) = carried_out(&splits, count, 100, 60) else { return Ok(()) };
        let mut panes = listing(&rooms);
        let zoomed = zoomed.index(count);
        panes[zoomed].is_zoomed = true;
        panes[zoomed].size = PaneSize { cols: 100, rows: 60 };
        let (order, found) = rebuild(&panes);
        let after = carried_out(&found, count, 100, 60);
        prop_assert_eq!(after, Some(rooms_in_order(&rooms, &order)));
    }

    #[test]
    fn no_listing_is_too_strange(
        rooms in prop::collection::vec((0usize..200, 0usize..99, 0usize..200, 0usize..99, any::<bool>()), 0..12),
    ) {
        let mut panes = Vec::new();
        for (left, top, cols, rows, is_zoomed) in rooms {
            let mut pane = listing(&[Room { left, top, cols, rows }]).remove(0);
            pane.is_zoomed = is_zoomed;
            panes.push(pane);
        }
        let (order, splits) = rebuild(&panes);
        prop_assert_eq!(order.len(), panes.len());
        prop_assert!(makes_all(&splits, panes.len()), "{splits:?}");
    }
}

#[test]
fn panes_that_do_not_fit_together_become_a_grid() {
    let room = |left, top, cols, rows| Room {
        left,
        top,
        cols,
        rows,
    };
    // A pinwheel, which no line crosses: WezTerm cannot make it.
    let pinwheel = [
        room(0, 0, 19, 10),
        room(20, 0, 10, 20),
        room(0, 11, 10, 20),
        room(11, 21, 19, 10),
        room(11, 11, 8, 9),
    ];
    let (order, splits) = rebuild(&listing(&pinwheel));
    assert_eq!((order[0], splits), (0, plan(Layout::Grid, 5)));
    // Sizes that are not told.
    let (_, splits) = rebuild(&listing(&[room(0, 0, 0, 0); 3]));
    assert_eq!(splits, plan(Layout::Grid, 3));
    assert_eq!(rebuild(&[]), (vec![], vec![]));
}

#[test]
fn a_layout_of_ours_is_found_again() {
    for layout in [Layout::Grid, Layout::Columns, Layout::Rows] {
        for count in 1..=6 {
            let splits = plan(layout, count);
            assert!(makes_all(&splits, count));
            let rooms = carried_out(&splits, count, 180, 50).unwrap();
            let (order, found) = rebuild(&listing(&rooms));
            assert_eq!(order, (0..count).collect::<Vec<_>>(), "{layout:?} {count}");
            let after = carried_out(&found, count, 180, 50).unwrap();
            assert!(distance(&rooms, &after) <= 1, "{layout:?} {count}");
        }
    }
}

#[test]
fn splits_that_make_no_tab_are_told_apart() {
    let split = |from, to, percent| Split {
        from,
        to,
        side: Side::Right,
        percent,
    };
    assert!(makes_all(&[], 1) && makes_all(&[], 0) && !makes_all(&[], 2));
    assert!(makes_all(&[split(0, 2, 50), split(2, 1, 1)], 3));
    for wrong in [
        vec![split(1, 2, 50), split(0, 1, 50)],
        vec![split(0, 1, 50), split(0, 1, 50)],
        vec![split(0, 1, 50), split(0, 9, 50)],
        vec![split(0, 1, 0), split(0, 2, 50)],
        vec![split(0, 1, 100), split(0, 2, 50)],
        vec![split(0, 1, 50)],
    ] {
        assert!(!makes_all(&wrong, 3), "{wrong:?}");
    }
}
