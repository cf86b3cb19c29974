//! The short way to the first tasks of a long queue against the long one, which looks at every task.

use proptest::prelude::*;
use wezterm_parallel_scheduler::State;

use super::tests::{config, Stage};
use crate::executor::Exit;
use crate::protocol::{Answer, Cancel, Filter, Message, TaskQueue};

/// What becomes of a task.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Queued,
    Held,
    Delayed,
    Cancelled,
    Ended,
}

fn some_tasks() -> impl Strategy<Value = Vec<(u8, Fate)>> {
    let fate = prop_oneof![
        3 => Just(Fate::Queued),
        1 => Just(Fate::Held),
        1 => Just(Fate::Delayed),
        1 => Just(Fate::Cancelled),
        1 => Just(Fate::Ended),
    ];
    prop::collection::vec((any::<u8>(), fate), 0..24)
}

fn message(priority: u8, fate: Fate) -> Message {
    Message::TaskQueue(Box::new(TaskQueue {
        command: Some("true".to_owned()),
        cwd: Some("/".to_owned()),
        priority: Some(priority),
        hold: matches!(fate, Fate::Held),
        delay_ms: matches!(fate, Fate::Delayed).then_some(3_600_000),
        ..TaskQueue::default()
    }))
}

fn ids(stage: &mut Stage, limit: usize, states: Vec<String>) -> Vec<String> {
    let filter = Filter {
        limit: Some(limit),
        states,
        ..Filter::default()
    };
    match stage.ask_one(Message::Status(filter)) {
        Answer::Status(status) => status.tasks.into_iter().map(|task| task.id).collect(),
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn both_ways_find_the_same(tasks in some_tasks(), limit in 0..30_usize) {
        let mut stage = Stage::of(config("2"));
        for (number, (priority, fate)) in tasks.iter().enumerate() {
            let id = (number + 1).to_string();
            stage.ask_one(message(*priority, *fate));
            match fate {
                Fate::Cancelled => {
                    let ids = vec![id];
                    stage.ask_one(Message::Cancel(Cancel { ids, ..Cancel::default() }));
                }
                Fate::Ended if stage.task(&id).state == "running" => {
                    let attempt = stage.attempt_of(&id);
                    stage.end_with(attempt, Exit { exit_code: Some(3), ..Exit::default() });
                }
                _ => {}
            }
        }
        let every_state = State::ALL.iter().map(|state| state.name().to_owned()).collect();
        let long_way = ids(&mut stage, limit, every_state);
        prop_assert_eq!(ids(&mut stage, limit, Vec::new()), long_way);
    }
}
