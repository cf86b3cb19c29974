//! The dependencies within a batch: ids used twice, cycles, and an order in which every task comes
//! after those it waits for.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use super::{Line, LineError};
use crate::protocol::TaskQueue;

/// The places of the ids that lines of this batch name.
fn places(lines: &[Line]) -> HashMap<&str, usize> {
    let named = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| !line.task.id.is_empty());
    named
        .map(|(place, line)| (line.task.id.as_str(), place))
        .collect()
}

/// The tasks that must be known before this one: those it waits for, and the one whose session it goes on with.
pub(super) fn needed(task: &TaskQueue) -> impl Iterator<Item = &str> {
    let waits_for = task.after.iter().map(|after| id_of(after));
    waits_for.chain(continued(task))
}

/// The task whose session this one goes on with.
pub(super) fn continued(task: &TaskQueue) -> Option<&str> {
    task.claude.as_ref()?.continue_from.as_deref()
}

/// The id in `ID:condition`.
fn id_of(after: &str) -> &str {
    after.split(':').next().unwrap_or(after)
}

/// Refuses ids used twice, and tasks that would wait for each other.
pub(super) fn check(lines: &[Line]) -> Result<(), Vec<LineError>> {
    let mut errors = Vec::new();
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for line in lines.iter().filter(|line| !line.task.id.is_empty()) {
        if let Some(first) = seen.insert(&line.task.id, line.number) {
            let message = format!("the id {} is used on line {first} already", line.task.id);
            errors.push(error(line, message, "ids name one task each"));
            seen.insert(&line.task.id, first);
        }
    }
    if errors.is_empty() {
        let (order, _) = sorted(lines);
        let stuck = stuck_lines(lines, &order);
        if let Some(first) = stuck.first() {
            let ids: Vec<&str> = stuck.iter().map(|line| line.task.id.as_str()).collect();
            let message = format!("these tasks wait for each other: {}", ids.join(" "));
            errors.push(error(first, message, "take one `after` or `continue_from` out"));
        }
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(errors)
    }
}

fn error(line: &Line, message: String, hint: &str) -> LineError {
    LineError {
        line: line.number,
        column: 1,
        message,
        hint: hint.to_owned(),
    }
}

/// The lines of a cycle: from a line that could not be placed, along what it waits for.
fn stuck_lines<'a>(lines: &'a [Line], order: &[usize]) -> Vec<&'a Line> {
    let mut placed = vec![false; lines.len()];
    for &place in order {
        placed[place] = true;
    }
    let Some(mut place) = placed.iter().position(|placed| !placed) else {
        return Vec::new();
    };
    let places = places(lines);
    let mut path = Vec::new();
    while !path.contains(&place) {
        path.push(place);
        let next = needed(&lines[place].task).find_map(|id| places.get(id).filter(|next| !placed[**next]));
        match next {
            Some(next) => place = *next,
            None => return Vec::new(),
        }
    }
    let start = path.iter().position(|on_path| *on_path == place).unwrap_or(0);
    path[start..].iter().map(|place| &lines[*place]).collect()
}

/// The places of the lines in an order that respects what they need, and whether that is the file's own.
/// Lines of a cycle, and those that wait for one, are missing.
fn sorted(lines: &[Line]) -> (Vec<usize>, bool) {
    let places = places(lines);
    let mut waiting_for = vec![0_u32; lines.len()];
    let mut followers: HashMap<usize, Vec<usize>> = HashMap::new();
    let mut in_order = true;
    for (place, line) in lines.iter().enumerate() {
        for id in needed(&line.task) {
            if let Some(&before) = places.get(id) {
                in_order &= before < place;
                waiting_for[place] += 1;
                followers.entry(before).or_default().push(place);
            }
        }
    }
    if in_order {
        return ((0..lines.len()).collect(), true);
    }
    let free = (0..lines.len()).filter(|place| waiting_for[*place] == 0);
    let mut ready: BinaryHeap<Reverse<usize>> = free.map(Reverse).collect();
    let mut order = Vec::with_capacity(lines.len());
    while let Some(Reverse(place)) = ready.pop() {
        order.push(place);
        for &follower in followers.get(&place).into_iter().flatten() {
            waiting_for[follower] -= 1;
            if waiting_for[follower] == 0 {
                ready.push(Reverse(follower));
            }
        }
    }
    (order, false)
}

/// Puts every line after those it waits for, and otherwise leaves the file's order.
pub(super) fn sort(lines: &mut Vec<Line>) {
    let (order, in_order) = sorted(lines);
    if in_order {
        return;
    }
    let mut from: Vec<Option<Line>> = std::mem::take(lines).into_iter().map(Some).collect();
    lines.extend(order.into_iter().filter_map(|place| from[place].take()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ClaudeOptions;

    fn batch(tasks: &[(&str, &[&str])]) -> Vec<Line> {
        let line = |(index, (id, after)): (usize, &(&str, &[&str]))| Line {
            number: index + 1,
            task: TaskQueue {
                id: (*id).into(),
                after: after.iter().map(ToString::to_string).collect(),
                ..TaskQueue::default()
            },
        };
        tasks.iter().enumerate().map(line).collect()
    }

    fn numbers(tasks: &[(&str, &[&str])]) -> Vec<usize> {
        let mut lines = batch(tasks);
        sort(&mut lines);
        lines.iter().map(|line| line.number).collect()
    }

    fn errors(tasks: &[(&str, &[&str])]) -> Vec<String> {
        let errors = check(&batch(tasks)).unwrap_err();
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_files_order_stays_where_it_can() {
        assert_eq!(numbers(&[("", &[]), ("a", &["x"]), ("b", &["a:any"])]), [1, 2, 3]);
        assert_eq!(
            numbers(&[("c", &["b"]), ("", &[]), ("b", &["a"]), ("a", &[])]),
            [2, 4, 3, 1]
        );
    }

    #[test]
    fn a_session_that_is_gone_on_with_comes_first() {
        let mut lines = batch(&[("b", &[]), ("a", &[])]);
        lines[0].task.claude = Some(Box::new(ClaudeOptions {
            continue_from: Some("a".into()),
            ..ClaudeOptions::default()
        }));
        sort(&mut lines);
        let order: Vec<_> = lines.iter().map(|line| line.number).collect();
        assert_eq!(order, [2, 1]);
    }

    #[test]
    fn an_id_is_used_once() {
        assert_eq!(
            errors(&[("a", &[]), ("", &[]), ("a", &[]), ("a", &[])]),
            [
                "3:1: the id a is used on line 1 already",
                "4:1: the id a is used on line 1 already"
            ]
        );
    }

    #[test]
    fn cycles_are_named() {
        assert_eq!(
            errors(&[
                ("z", &["a"]),
                ("a", &["b"]),
                ("b", &["c:any"]),
                ("c", &["a:failure"])
            ]),
            ["2:1: these tasks wait for each other: a b c"]
        );
        assert_eq!(
            errors(&[("a", &["a"])]),
            ["1:1: these tasks wait for each other: a"]
        );
        assert!(check(&batch(&[("a", &["elsewhere"]), ("b", &["a", "a:any"])])).is_ok());
    }
}
