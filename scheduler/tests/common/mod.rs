//! Short forms that the tests share.
#![allow(dead_code, missing_docs, unreachable_pub)]

use std::collections::BTreeSet;
use std::sync::Arc;

use wezterm_parallel_scheduler::{
    Action, Backoff, Change, Condition, Dependency, Edit, Gate, Input, Lane, Limit, LimitScope, Limits,
    Needs, Reason, Refusal, Scheduler, State, Submission, Task, TaskKey, Tick,
};

/// One minute for each point of priority.
pub const STEP_MS: u64 = 60_000;

pub fn limits(slots: u32) -> Limits {
    Limits {
        slots,
        aging_step_ms: STEP_MS,
        lanes: Vec::new(),
        jitter_seed: 7,
        lend: 0,
    }
}

pub fn limit(scope: LimitScope, max_parallel: u32) -> Limit {
    Limit { scope, max_parallel }
}

pub fn lane(workspace: &str, worker: &str) -> Lane {
    Lane {
        workspace: Arc::from(workspace),
        worker: Arc::from(worker),
    }
}

/// A plain task: priority 100, submitted at its own number, no retries.
pub fn plain(key: u64) -> Submission {
    Submission {
        key: TaskKey(key),
        lane: lane("", "shell"),
        priority: 100,
        submitted_at: Tick(key),
        after: Vec::new(),
        not_before: None,
        start_by: None,
        held: false,
        backoff: Backoff {
            max_retries: 0,
            base_ms: 1_000,
            max_ms: 60_000,
        },
        session: None,
        cost: 0,
        needs: Needs::default(),
    }
}

pub fn after(key: u64, others: &[(u64, Condition)]) -> Submission {
    Submission {
        after: dependencies(others),
        ..plain(key)
    }
}

pub fn dependencies(others: &[(u64, Condition)]) -> Vec<Dependency> {
    let on = |(key, on): &(u64, Condition)| Dependency {
        key: TaskKey(*key),
        on: *on,
    };
    others.iter().map(on).collect()
}

pub fn edit_after(others: &[(u64, Condition)]) -> Edit {
    Edit {
        after: Some(dependencies(others)),
        ..Edit::default()
    }
}

pub fn in_session(key: u64, session: &str) -> Submission {
    Submission {
        session: Some(Arc::from(session)),
        ..plain(key)
    }
}

pub fn workers(names: &[&str]) -> BTreeSet<Arc<str>> {
    names.iter().map(|name| Arc::from(*name)).collect()
}

/// A gate that closes everything for good, under its own name.
pub fn close(name: &str, message: &str) -> Input {
    Input::CloseGate(Arc::from(name), Gate::closed(name, message))
}

pub fn open(id: &str) -> Input {
    Input::OpenGate(Arc::from(id))
}

/// A scheduler that checks itself after each input.
pub struct Bench {
    pub scheduler: Scheduler,
    pub now: Tick,
}

impl Bench {
    pub fn new(limits: Limits) -> Self {
        Self {
            scheduler: Scheduler::new(limits),
            now: Tick(0),
        }
    }

    pub fn try_apply(&mut self, input: Input) -> Result<Vec<Action>, Refusal> {
        let actions = self.scheduler.apply(self.now, input);
        self.scheduler.check_invariants();
        actions
    }

    #[track_caller]
    pub fn apply(&mut self, input: Input) -> Vec<Action> {
        self.try_apply(input).expect("the input is accepted")
    }

    #[track_caller]
    pub fn submit(&mut self, submission: Submission) -> Vec<Action> {
        self.apply(Input::Submit(Box::new(submission)))
    }

    #[track_caller]
    pub fn refused(&mut self, input: Input) -> Refusal {
        self.try_apply(input).expect_err("the input is refused")
    }

    pub fn tick(&mut self, now: u64) -> Vec<Action> {
        self.now = Tick(now);
        self.apply(Input::Tick)
    }

    /// The newest attempt ends like this.
    #[track_caller]
    pub fn exit(&mut self, key: u64, state: State, reason: Reason) -> Vec<Action> {
        let attempt = self.task(key).attempts;
        self.apply(Input::Exited {
            key: TaskKey(key),
            attempt,
            state,
            reason,
        })
    }

    #[track_caller]
    pub fn succeed(&mut self, key: u64) -> Vec<Action> {
        self.exit(key, State::Succeeded, Reason::Ok)
    }

    #[track_caller]
    pub fn fail(&mut self, key: u64) -> Vec<Action> {
        self.exit(key, State::Failed, Reason::ExitCode)
    }

    #[track_caller]
    pub fn task(&self, key: u64) -> Task {
        self.scheduler.task(TaskKey(key)).expect("the task is there")
    }

    #[track_caller]
    pub fn state(&self, key: u64) -> State {
        self.task(key).state
    }

    /// The messages of the gates in the task's way.
    #[track_caller]
    pub fn why(&self, key: u64) -> Vec<String> {
        let explanation = self.scheduler.explain(self.now, TaskKey(key));
        let gates = explanation.expect("the task is there").gates;
        gates
            .into_iter()
            .map(|gate| format!("{}: {}", gate.gate, gate.message))
            .collect()
    }

    /// Runs whatever is queued, one after another in slot order, and says in which order it
    /// started.
    pub fn drain(&mut self) -> Vec<u64> {
        let mut order = Vec::new();
        loop {
            let Some(task) = self.scheduler.active().next() else {
                return order;
            };
            order.push(task.submission.key.0);
            self.succeed(task.submission.key.0);
        }
    }
}

/// The numbers of the tasks that were started.
pub fn starts(actions: &[Action]) -> Vec<u64> {
    let start = |action: &Action| match action {
        Action::Start { key, .. } => Some(key.0),
        _ => None,
    };
    actions.iter().filter_map(start).collect()
}

pub fn ended(key: u64, state: State, reason: Reason) -> Action {
    Action::Record(TaskKey(key), Change::Ended { state, reason })
}
