//! The table's rows: which tasks, in which order, which one is selected, and which of them fit the screen.
//!
//! Pure. The selection is a task and not a place: it stays on its task while rows come and go.

use super::columns::Column;
use super::filter::Filter;
use super::tasks::{Known, Tasks};
use crate::protocol::TaskView;

/// The rows.
#[derive(Debug, Default)]
pub(super) struct List {
    /// `None`: as the queue goes.
    sorted_by: Option<Column>,
    is_reversed: bool,
    pub(super) filter: Filter,
    /// What was last looked for.
    find: Filter,
    selected: Option<String>,
    /// Where the selection was, for when its task goes.
    place: usize,
    /// The first row on the screen.
    offset: usize,
    /// How many rows fit.
    height: usize,
    ids: Vec<String>,
}

/// Where to go from the selected row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
}

impl List {
    /// Puts the rows in order for a table with this many of them.
    pub(super) fn arrange(
        &mut self,
        tasks: &Tasks,
        used: impl Fn(&TaskView) -> Option<u64>,
        now_ms: u64,
        height: usize,
    ) {
        let mut known: Vec<&Known> = tasks
            .iter()
            .filter(|known| self.filter.fits(&known.task))
            .collect();
        known.sort_by(|one, other| {
            let by_column = self
                .sorted_by
                .map(|column| column.compare(&one.task, &other.task, &used, now_ms));
            let order = by_column.map(|order| if self.is_reversed { order.reverse() } else { order });
            order
                .unwrap_or(std::cmp::Ordering::Equal)
                .then_with(|| one.rank().cmp(&other.rank()))
        });
        if self.sorted_by.is_none() && self.is_reversed {
            known.reverse();
        }
        self.ids = known.iter().map(|known| known.task.id.clone()).collect();
        self.height = height;
        self.keep_selection();
        self.scroll_to_selection();
    }

    /// The selection stays on its task; when that is gone, it goes to the one that took its place. Until somebody
    /// selects one there is none: the screen shows what runs, whichever tasks that are.
    fn keep_selection(&mut self) {
        // While a filter is typed there may be none for a moment.
        if let Some(id) = self.selected.as_ref().filter(|_| !self.ids.is_empty()) {
            let place = self.place_of(id);
            self.select_place(place.unwrap_or(self.place));
        }
    }

    fn place_of(&self, id: &str) -> Option<usize> {
        self.ids.iter().position(|known| known == id)
    }

    fn select_place(&mut self, place: usize) {
        self.place = place.min(self.ids.len().saturating_sub(1));
        self.selected = self.ids.get(self.place).cloned();
    }

    fn scroll_to_selection(&mut self) {
        let height = self.height.max(1);
        if self.place < self.offset {
            self.offset = self.place;
        } else if self.place >= self.offset + height {
            self.offset = self.place + 1 - height;
        }
        self.offset = self.offset.min(self.ids.len().saturating_sub(height));
    }

    /// The ids of the rows on the screen, from the first one on, and which is selected.
    pub(super) fn on_screen(&self) -> impl Iterator<Item = (&String, bool)> {
        let end = (self.offset + self.height).min(self.ids.len());
        let rows = self.ids.get(self.offset..end).unwrap_or_default();
        rows.iter().map(|id| (id, self.selected.as_ref() == Some(id)))
    }

    /// The selected task, if it is in the table.
    pub(super) fn selected(&self) -> Option<&str> {
        let there = self.ids.get(self.place);
        self.selected
            .as_deref()
            .filter(|id| there.is_some_and(|there| there == id))
    }

    /// The selected row, counted from 1, and how many there are.
    pub(super) fn position(&self) -> (usize, usize) {
        let at = self.selected().map_or(0, |_| self.place + 1);
        (at, self.ids.len())
    }

    pub(super) fn go(&mut self, step: Step) {
        let page = self.height.max(2) - 1;
        let place = match step {
            Step::Up | Step::Down if self.selected.is_none() => self.offset,
            Step::Up => self.place.saturating_sub(1),
            Step::Down => self.place + 1,
            Step::PageUp => self.place.saturating_sub(page),
            Step::PageDown => self.place + page,
            Step::First => 0,
            Step::Last => usize::MAX,
        };
        self.select_place(place);
        self.scroll_to_selection();
    }

    /// Selects none; whether one was.
    pub(super) fn let_go(&mut self) -> bool {
        (self.place, self.offset) = (0, 0);
        self.selected.take().is_some()
    }

    /// Selects the row on the screen at this height; whether there is one.
    pub(super) fn click(&mut self, row: usize) -> bool {
        let there_is = row < self.height && self.offset + row < self.ids.len();
        if there_is {
            self.select_place(self.offset + row);
        }
        there_is
    }

    /// What the table is sorted by, and whether the other way round.
    pub(super) fn sorting(&self) -> (Option<Column>, bool) {
        (self.sorted_by, self.is_reversed)
    }

    /// Sorts by this column; by the same one again the other way round.
    pub(super) fn sort_by(&mut self, column: Column) {
        self.is_reversed = self.sorted_by == Some(column) && !self.is_reversed;
        self.sorted_by = Some(column);
    }

    /// Sorts by the next column, and after the last one as the queue goes.
    pub(super) fn sort_by_next(&mut self) {
        let all = Column::SORTABLE;
        self.sorted_by = match self.sorted_by {
            None => Some(all[0]),
            Some(column) => {
                let at = all.iter().position(|known| *known == column);
                at.and_then(|at| all.get(at + 1)).copied()
            }
        };
        self.is_reversed = false;
    }

    pub(super) fn reverse(&mut self) {
        self.is_reversed = !self.is_reversed;
    }

    /// Looks for a task from the selected row on, and from then on for this.
    pub(super) fn find(&mut self, find: Filter, tasks: &Tasks) -> bool {
        self.find = find;
        self.look(tasks, 0, 1)
    }

    /// Goes to the next one, or the one before; `None` if nothing was looked for.
    pub(super) fn find_again(&mut self, tasks: &Tasks, backwards: bool) -> Option<bool> {
        if self.find.is_empty() {
            return None;
        }
        let count = self.ids.len();
        let step = if backwards { count.saturating_sub(1) } else { 1 };
        Some(self.look(tasks, step, step))
    }

    fn look(&mut self, tasks: &Tasks, first: usize, step: usize) -> bool {
        let count = self.ids.len();
        let mut places = (0..count).map(|n| (self.place + first + n * step) % count);
        let fits = |place: &usize| {
            tasks
                .get(&self.ids[*place])
                .is_some_and(|task| self.find.fits(task))
        };
        match places.find(fits) {
            Some(place) => {
                self.select_place(place);
                self.scroll_to_selection();
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tasks(tasks: &[(&str, &str, u8)]) -> Tasks {
        let views = tasks.iter().map(|(id, state, priority)| TaskView {
            id: (*id).into(),
            state: (*state).into(),
            priority: *priority,
            command: Some(format!("command of {id}")),
            ..TaskView::default()
        });
        let mut tasks = Tasks::default();
        tasks.replace(views.collect());
        tasks
    }

    fn arranged(list: &mut List, tasks: &Tasks, height: usize) -> Vec<String> {
        list.arrange(tasks, |_| None, 0, height);
        list.on_screen()
            .map(|(id, selected)| format!("{}{id}", if selected { ">" } else { "" }))
            .collect()
    }

    const FOUR: [(&str, &str, u8); 4] = [
        ("1", "running", 5),
        ("2", "queued", 9),
        ("3", "queued", 7),
        ("4", "failed", 1),
    ];

    #[test]
    fn the_selection_stays_on_its_task() {
        let mut list = List::default();
        assert_eq!(arranged(&mut list, &tasks(&FOUR), 9), ["1", "2", "3", "4"]);
        (0..3).for_each(|_| list.go(Step::Down));
        assert_eq!(list.selected(), Some("3"));
        let moved = [("3", "running", 7), ("2", "queued", 9), ("1", "succeeded", 5)];
        assert_eq!(arranged(&mut list, &tasks(&moved), 9), [">3", "2", "1"]);
        list.go(Step::Down);
        let gone = [("3", "running", 7), ("1", "succeeded", 5)];
        assert_eq!(arranged(&mut list, &tasks(&gone), 9), ["3", ">1"]);
        assert_eq!(arranged(&mut list, &tasks(&[]), 9), [""; 0]);
        assert_eq!((list.selected(), list.position()), (None, (0, 0)));
        assert_eq!(arranged(&mut list, &tasks(&FOUR), 9), [">1", "2", "3", "4"]);
    }

    #[test]
    fn the_screen_follows_the_selection() {
        let mut list = List::default();
        let all = tasks(&FOUR);
        list.arrange(&all, |_| None, 0, 2);
        list.go(Step::Last);
        assert_eq!(arranged(&mut list, &all, 2), ["3", ">4"]);
        assert_eq!(arranged(&mut list, &all, 3), ["2", "3", ">4"]);
        list.go(Step::PageUp);
        assert_eq!(list.selected(), Some("2"));
        list.go(Step::First);
        assert!(list.click(1) && !list.click(3));
        assert_eq!(arranged(&mut list, &all, 3), ["1", ">2", "3"]);
        assert!(list.let_go() && !list.let_go());
        assert_eq!(arranged(&mut list, &all, 3), ["1", "2", "3"]);
    }

    #[test]
    fn rows_sort_by_a_column_both_ways() {
        let mut list = List::default();
        let all = tasks(&FOUR);
        let mut sorted = |change: &dyn Fn(&mut List)| {
            change(&mut list);
            arranged(&mut list, &all, 9).join(" ").replace('>', "")
        };
        assert_eq!(sorted(&|list| list.sort_by(Column::Priority)), "2 3 1 4");
        assert_eq!(sorted(&|list| list.sort_by(Column::Priority)), "4 1 3 2");
        assert_eq!(sorted(&|list| list.sort_by(Column::State)), "4 2 3 1");
        for _ in Column::SORTABLE {
            sorted(&List::sort_by_next);
        }
        assert_eq!(sorted(&|_| ()), "1 2 3 4");
        assert_eq!(sorted(&List::reverse), "4 3 2 1");
    }

    #[test]
    fn tasks_are_found_in_turn() {
        let mut list = List::default();
        let all = tasks(&FOUR);
        arranged(&mut list, &all, 9);
        assert_eq!(list.find_again(&all, false), None);
        assert!(list.find(Filter::new("state:queued"), &all));
        assert_eq!(list.selected(), Some("2"));
        assert_eq!(list.find_again(&all, false), Some(true));
        assert_eq!(list.selected(), Some("3"));
        assert_eq!(list.find_again(&all, false), Some(true));
        assert_eq!(list.selected(), Some("2"));
        assert_eq!(list.find_again(&all, true), Some(true));
        assert_eq!(list.selected(), Some("3"));
        assert!(!list.find(Filter::new("nothing"), &all));
        list.filter = Filter::new("state:failed");
        assert_eq!(arranged(&mut list, &all, 9), [">4"]);
    }
}
