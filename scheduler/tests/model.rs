//! Random lives: the scheduler against the naive model, and against its own replay.
#![allow(missing_docs)]

mod common;
#[path = "common/model.rs"]
mod naive;

use std::sync::Arc;

use common::{dependencies, lane, limit, workers};
use naive::Model;
use proptest::prelude::*;
use proptest::sample::select;
use wezterm_parallel_scheduler::{
    Action, Backoff, Budget, BudgetScope, Change, Condition, Edit, Gate, GateScope, Input, LimitScope,
    Limits, Needs, Reason, Refusal, Scheduler, State, Submission, Task, TaskKey, Tick,
};

/// One step of a random life. Numbers of tasks are small, so that they mostly hit one.
#[derive(Clone, Debug)]
enum Step {
    Submit(Box<Submission>),
    /// Ends the newest attempt of the task in this slot (by count), or a wrong one.
    Exit {
        nth: usize,
        stale: bool,
        outcome: (State, Reason),
    },
    PutBack {
        nth: usize,
        reason: Reason,
        wait_ms: Option<u64>,
    },
    /// Asks, or is answered.
    Talk {
        nth: usize,
        stale: bool,
        asks: bool,
    },
    On(TaskKey, Kind),
    Other(Input),
}

#[derive(Clone, Debug)]
enum Kind {
    Cancel,
    Hold,
    Release,
    Edit(Edit),
    Suspend,
    Continue,
    Revive,
    Forget,
    Claim(Option<Arc<str>>),
}

fn some_key() -> impl Strategy<Value = TaskKey> {
    (1..=14_u64).prop_map(TaskKey)
}

fn some_after(most: usize) -> impl Strategy<Value = Vec<wezterm_parallel_scheduler::Dependency>> {
    let on = select(vec![Condition::Success, Condition::Failure, Condition::Any]);
    prop::collection::vec((1..=14_u64, on), 0..=most).prop_map(|others| dependencies(&others))
}

/// Moments are offsets here; `at` adds them to the time of the step.
fn some_moment(weight: u32) -> impl Strategy<Value = Option<Tick>> {
    prop_oneof![4 => Just(None), weight => (0..300_u64).prop_map(|ms| Some(Tick(ms)))]
}

fn some_session(without: u32) -> impl Strategy<Value = Option<Arc<str>>> {
    let session = select(vec!["one", "two"]).prop_map(|name| Some(Arc::from(name)));
    prop_oneof![without => Just(None), 2 => session]
}

fn some_submission() -> impl Strategy<Value = Submission> {
    let lanes = (select(vec!["", "api"]), select(vec!["shell", "claude"]));
    let times = (some_moment(2), some_moment(2));
    let after = prop_oneof![2 => Just(Vec::new()), 1 => some_after(3)];
    let more = (any::<bool>(), 0..3_u32, 0..5_u8, some_session(3), 0..4_u64);
    (some_key(), lanes, times, after, more).prop_map(|(key, lanes, times, after, more)| Submission {
        key,
        lane: lane(lanes.0, lanes.1),
        priority: more.2 * 60,
        submitted_at: Tick(0),
        after,
        not_before: times.0,
        start_by: times.1,
        held: more.0 && more.1 == 0,
        backoff: Backoff {
            max_retries: more.1,
            base_ms: 40,
            max_ms: 100,
        },
        session: more.3,
        cost: more.4,
        needs: Needs::default(),
    })
}

fn some_outcome() -> impl Strategy<Value = (State, Reason)> {
    select(vec![
        (State::Succeeded, Reason::Ok),
        (State::Succeeded, Reason::Ok),
        (State::Failed, Reason::ExitCode),
        (State::Failed, Reason::Timeout),
        (State::Failed, Reason::Overloaded),
        (State::Failed, Reason::Crashed),
        (State::Failed, Reason::Denied),
        (State::Failed, Reason::SpawnError),
        (State::Cancelled, Reason::Cancelled),
        (State::Lost, Reason::Lost),
        (State::Lost, Reason::NotStarted),
    ])
}

fn some_edit() -> impl Strategy<Value = Edit> {
    let after = prop_oneof![3 => Just(None), 1 => some_after(2).prop_map(Some)];
    let priority = prop::option::of(0..=255_u8);
    (priority, after, some_moment(1), prop::option::of(0..3_u32)).prop_map(
        |(priority, after, not_before, max_retries)| Edit {
            priority,
            after,
            not_before,
            max_retries,
            ..Edit::default()
        },
    )
}

fn some_limits() -> impl Strategy<Value = Limits> {
    let scopes = vec![
        LimitScope::Workspace(Arc::from("api")),
        LimitScope::Worker(Arc::from("claude")),
        LimitScope::Lane(lane("", "shell")),
    ];
    let lanes = prop::collection::vec((select(scopes), 0..3_u32), 0..3);
    let numbers = (0..5_u32, select(vec![0, 1, 5, 1_000_000]), 0..3_u32);
    (numbers, lanes).prop_map(|((slots, aging_step_ms, lend), lanes)| Limits {
        slots,
        aging_step_ms,
        lanes: lanes
            .into_iter()
            .map(|(scope, most)| limit(scope, most))
            .collect(),
        jitter_seed: 3,
        lend,
    })
}

fn some_kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        3 => Just(Kind::Cancel),
        2 => Just(Kind::Hold),
        3 => Just(Kind::Release),
        4 => some_edit().prop_map(Kind::Edit),
        1 => Just(Kind::Suspend),
        2 => Just(Kind::Continue),
        3 => Just(Kind::Revive),
        3 => Just(Kind::Forget),
        3 => some_session(1).prop_map(Kind::Claim),
    ]
}

fn some_workers() -> impl Strategy<Value = std::collections::BTreeSet<Arc<str>>> {
    select(vec![
        workers(&["claude"]),
        workers(&["shell"]),
        workers(&["shell", "claude"]),
        workers(&[]),
    ])
}

fn some_gate() -> impl Strategy<Value = Gate> {
    let scope = prop_oneof![
        1 => Just(GateScope::All),
        2 => some_workers().prop_map(GateScope::Workers),
    ];
    (scope, 0..3_u32, some_moment(4)).prop_map(|(scope, at_most, opens_at)| Gate {
        name: Arc::from("some"),
        scope,
        at_most,
        message: "why".to_owned(),
        opens_at,
    })
}

fn some_budgets() -> impl Strategy<Value = Vec<Budget>> {
    let scope = prop_oneof![
        some_workers().prop_map(BudgetScope::Workers),
        some_workers().prop_map(|workers| BudgetScope::WorkspaceWorkers(Arc::from("api"), workers)),
    ];
    let budget = (scope, 0..9_u64, 0..5_u64).prop_map(|(scope, limit, spent)| Budget {
        scope,
        limit,
        spent,
        opens_at: None,
    });
    prop::collection::vec(budget, 0..3)
}

fn some_other() -> impl Strategy<Value = Input> {
    let workspace = select(vec![None, Some(Arc::from("api")), Some(Arc::from(""))]);
    let gate = select(vec!["journal", "cpu"]);
    prop_oneof![
        6 => Just(Input::Tick),
        1 => workspace.clone().prop_map(Input::Pause),
        2 => workspace.prop_map(Input::Resume),
        2 => (gate.clone(), some_gate()).prop_map(|(id, gate)| Input::CloseGate(Arc::from(id), gate)),
        2 => gate.prop_map(|id| Input::OpenGate(Arc::from(id))),
        2 => some_budgets().prop_map(Input::SetBudgets),
        1 => some_limits().prop_map(Input::SetLimits),
    ]
}

fn some_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => some_submission().prop_map(|submission| Step::Submit(Box::new(submission))),
        6 => (0..4_usize, prop::bool::weighted(0.1), some_outcome())
            .prop_map(|(nth, stale, outcome)| Step::Exit { nth, stale, outcome }),
        1 => (0..4_usize, select(vec![Reason::NotStarted, Reason::Limited]), prop::option::of(0..50_u64))
            .prop_map(|(nth, reason, wait_ms)| Step::PutBack { nth, reason, wait_ms }),
        3 => (0..4_usize, prop::bool::weighted(0.1), any::<bool>())
            .prop_map(|(nth, stale, asks)| Step::Talk { nth, stale, asks }),
        6 => (some_key(), some_kind()).prop_map(|(key, kind)| Step::On(key, kind)),
        4 => some_other().prop_map(Step::Other),
    ]
}

/// Steps, each with how much time passes before it.
fn some_life() -> impl Strategy<Value = Vec<(u64, Step)>> {
    let pause_ms = prop_oneof![2 => Just(0), 2 => 0..20_u64, 1 => 20..200_u64];
    prop::collection::vec((pause_ms, some_step()), 1..120)
}

fn at(now: Tick, offset: Option<Tick>) -> Option<Tick> {
    offset.map(|offset| now.plus_ms(offset.0))
}

/// The input that a step means by now.
fn input_of(step: Step, now: Tick, scheduler: &Scheduler) -> Option<Input> {
    let nth_active = |nth: usize| scheduler.active().nth(nth);
    Some(match step {
        Step::Submit(mut submission) => {
            submission.submitted_at = now;
            submission.not_before = at(now, submission.not_before);
            submission.start_by = at(now, submission.start_by);
            Input::Submit(submission)
        }
        Step::Exit { nth, stale, outcome } => {
            let task = nth_active(nth)?;
            Input::Exited {
                key: task.submission.key,
                attempt: task.attempts - u32::from(stale),
                state: outcome.0,
                reason: outcome.1,
            }
        }
        Step::PutBack { nth, reason, wait_ms } => {
            let task = nth_active(nth)?;
            let not_before = at(now, wait_ms.map(Tick));
            Input::PutBack {
                key: task.submission.key,
                attempt: task.attempts,
                reason,
                not_before,
            }
        }
        Step::Talk { nth, stale, asks } => {
            let task = nth_active(nth)?;
            let (key, attempt) = (task.submission.key, task.attempts - u32::from(stale));
            if asks {
                Input::Asked(key, attempt)
            } else {
                Input::Answered(key, attempt)
            }
        }
        Step::On(key, kind) => match kind {
            Kind::Cancel => Input::Cancel(key),
            Kind::Hold => Input::Hold(key),
            Kind::Release => Input::Release(key),
            Kind::Edit(mut edit) => {
                edit.not_before = at(now, edit.not_before);
                Input::Edit(key, edit)
            }
            Kind::Suspend => Input::Suspend(key),
            Kind::Continue => Input::Continue(key),
            Kind::Revive => Input::Revive(key),
            Kind::Forget => Input::Forget(key),
            Kind::Claim(session) => Input::Claim(key, session),
        },
        Step::Other(Input::CloseGate(id, gate)) => {
            let opens_at = at(now, gate.opens_at);
            Input::CloseGate(id, Gate { opens_at, ..gate })
        }
        Step::Other(input) => input,
    })
}

/// What a daemon would have journaled.
#[derive(Clone, Debug)]
enum Line {
    Submission(Submission),
    Change(TaskKey, Change),
    Forget(TaskKey),
    Pause(Option<Arc<str>>, bool),
}

fn journal(input: &Input, actions: &[Action], lines: &mut Vec<Line>) {
    match input {
        Input::Submit(submission) => lines.push(Line::Submission((**submission).clone())),
        Input::Forget(key) => lines.push(Line::Forget(*key)),
        Input::Pause(workspace) => lines.push(Line::Pause(workspace.clone(), true)),
        Input::Resume(workspace) => lines.push(Line::Pause(workspace.clone(), false)),
        _ => {}
    }
    lines.extend(actions.iter().filter_map(|action| match action {
        Action::Record(key, change) => Some(Line::Change(*key, change.clone())),
        _ => None,
    }));
}

fn replay(scheduler: &mut Scheduler, lines: &[Line]) {
    for line in lines {
        match line.clone() {
            Line::Submission(submission) => {
                scheduler.replay_submission(submission).expect("it is new");
            }
            Line::Change(key, change) => scheduler.replay(key, &change).expect("it was legal live"),
            Line::Forget(key) => scheduler.replay_forget(key),
            Line::Pause(workspace, paused) => scheduler.replay_pause(workspace, paused),
        }
        scheduler.check_invariants();
    }
}

fn all(scheduler: &Scheduler) -> Vec<Task> {
    scheduler.tasks_from(TaskKey(0)).collect()
}

/// Which of several circles is named may differ.
fn without_path(refusal: Refusal) -> Refusal {
    match refusal {
        Refusal::Cycle(_) => Refusal::Cycle(Vec::new()),
        other => other,
    }
}

/// A scheduler that has lived, and what is needed to live again.
struct Lived {
    scheduler: Scheduler,
    now: Tick,
    lines: Vec<Line>,
    gates: Vec<Input>,
    /// What a snapshot in the middle held, and how many lines stood in the journal then.
    snapshot: (Vec<Task>, usize),
}

fn live(limits: Limits, life: Vec<(u64, Step)>) -> Lived {
    let mut scheduler = Scheduler::new(limits);
    let (mut lines, mut gates) = (Vec::new(), Vec::new());
    let mut snapshot = (Vec::new(), 0);
    let mut now = Tick(1_000);
    let middle = life.len() / 2;
    for (index, (pause_ms, step)) in life.into_iter().enumerate() {
        if index == middle {
            snapshot = (all(&scheduler), lines.len());
        }
        now = now.plus_ms(pause_ms);
        let Some(input) = input_of(step, now, &scheduler) else {
            continue;
        };
        if matches!(
            input,
            Input::CloseGate(..) | Input::OpenGate(_) | Input::SetBudgets(_)
        ) {
            gates.push(input.clone());
        }
        if let Ok(actions) = scheduler.apply(now, input.clone()) {
            journal(&input, &actions, &mut lines);
        }
    }
    let actions = scheduler
        .apply(now, Input::Tick)
        .expect("a tick is never refused");
    journal(&Input::Tick, &actions, &mut lines);
    Lived {
        scheduler,
        now,
        lines,
        gates,
        snapshot,
    }
}

impl Lived {
    /// After a restart: limits from the config, gates and budgets from what set them.
    fn wake(&self, scheduler: &mut Scheduler) -> Vec<Action> {
        for gate in &self.gates {
            // No time has passed yet, and nothing may start before the gates are known.
            let slots = Limits {
                slots: 0,
                ..self.scheduler.limits().clone()
            };
            scheduler
                .apply(Tick(0), Input::SetLimits(slots))
                .expect("limits are never refused");
            scheduler
                .apply(Tick(0), gate.clone())
                .expect("gates are never refused");
        }
        let limits = self.scheduler.limits().clone();
        scheduler
            .apply(self.now, Input::SetLimits(limits))
            .expect("limits are never refused")
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_decides_what_the_naive_model_decides(limits in some_limits(), life in some_life()) {
        let mut scheduler = Scheduler::new(limits.clone());
        let mut model = Model::new(limits);
        let mut now = Tick(1_000);
        for (pause_ms, step) in life {
            now = now.plus_ms(pause_ms);
            let Some(input) = input_of(step, now, &scheduler) else { continue };
            if let Input::Submit(submission) = &input {
                let checked = scheduler.check(submission);
                prop_assert_eq!(checked.is_ok(), model_accepts(&model, &input, now));
            }
            let before = all(&scheduler);
            let actual = scheduler.apply(now, input.clone());
            scheduler.check_invariants();
            let actions = actual.as_deref().unwrap_or_default();
            let expected = model.apply(now, input, actions);
            if actual.is_err() {
                prop_assert_eq!(&before, &all(&scheduler), "a refusal changes nothing");
            } else {
                prop_assert!(scheduler.next_wake().is_none_or(|wake| wake > now));
            }
            prop_assert_eq!(actual.map_err(without_path), expected.map_err(without_path));
            prop_assert_eq!(all(&scheduler), model.tasks.clone());
        }
    }

    #[test]
    fn whatever_waits_says_why(limits in some_limits(), life in some_life()) {
        let lived = live(limits, life);
        for task in all(&lived.scheduler) {
            let explained = lived.scheduler.explain(lived.now, task.submission.key);
            let gates = explained.expect("the task is there").gates;
            prop_assert_eq!(gates.is_empty(), !task.state.is_pending(), "{:?}: {:?}", task, gates);
        }
    }

    #[test]
    fn the_foremost_are_those_that_a_sort_finds(
        limits in some_limits(),
        life in some_life(),
        limit in 0..16_usize,
    ) {
        let lived = live(limits, life);
        let step_ms = i128::from(lived.scheduler.limits().aging_step_ms);
        let sorted = |wanted: &dyn Fn(State) -> bool| {
            let mut tasks = all(&lived.scheduler);
            tasks.retain(|task| wanted(task.state));
            tasks.sort_by_key(|task| {
                let head_start = i128::from(task.submission.priority) * step_ms;
                (i128::from(task.submission.submitted_at.0) - head_start, task.submission.key)
            });
            let keys = tasks.iter().map(|task| task.submission.key);
            keys.take(limit).collect::<Vec<TaskKey>>()
        };
        prop_assert_eq!(lived.scheduler.first_queued(limit), sorted(&|state| state == State::Queued));
        let is_aside = |state: State| state.is_pending() && state != State::Queued;
        prop_assert_eq!(lived.scheduler.first_set_aside(limit), sorted(&is_aside));
    }

    #[test]
    fn replaying_the_journal_gives_the_same_tasks(limits in some_limits(), life in some_life()) {
        let lived = live(limits.clone(), life);
        let mut again = Scheduler::new(limits);
        replay(&mut again, &lived.lines);
        let actions = lived.wake(&mut again);
        again.check_invariants();
        prop_assert_eq!(all(&again), all(&lived.scheduler));
        prop_assert_eq!(actions, []);
        prop_assert_eq!(again.next_wake(), lived.scheduler.next_wake());
    }

    #[test]
    fn a_snapshot_and_the_rest_of_the_journal_give_the_same_tasks(
        limits in some_limits(),
        life in some_life(),
        backwards in any::<bool>(),
    ) {
        let lived = live(limits.clone(), life);
        let mut again = Scheduler::new(limits);
        let (mut tasks, lines) = lived.snapshot.clone();
        if backwards {
            tasks.reverse();
        }
        for task in tasks {
            again.restore(task);
            again.check_invariants();
        }
        // Pauses stand in the snapshot too; here they are taken from the journal.
        for line in &lived.lines[..lines] {
            if let Line::Pause(workspace, paused) = line {
                again.replay_pause(workspace.clone(), *paused);
            }
        }
        replay(&mut again, &lived.lines[lines..]);
        prop_assert_eq!(lived.wake(&mut again), []);
        again.check_invariants();
        prop_assert_eq!(all(&again), all(&lived.scheduler));
    }

    #[test]
    fn a_journal_that_ends_anywhere_replays_and_goes_on(
        limits in some_limits(),
        life in some_life(),
        cut in any::<prop::sample::Index>(),
    ) {
        let lived = live(limits.clone(), life);
        let mut again = Scheduler::new(limits);
        let kept = cut.index(lived.lines.len() + 1);
        replay(&mut again, &lived.lines[..kept]);
        lived.wake(&mut again);
        again.check_invariants();
        prop_assert!(again.next_wake().is_none_or(|wake| wake > lived.now));
    }
}

fn model_accepts(model: &Model, input: &Input, now: Tick) -> bool {
    model.clone().apply(now, input.clone(), &[]).is_ok()
}
