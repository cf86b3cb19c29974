//! Why a task waits, in words and numbers.

use crate::admission::words;
use crate::admission::{About, Obstacle};
use crate::budgets::{Asks, CountedBudget};
use crate::dependencies::Verdict;
use crate::gates::CountedGate;
use crate::lanes::LaneQueue;
use crate::order::{not_overtaken_after, Place};
use crate::{
    Condition, Dependency, Explanation, GateReport, Lane, LimitScope, Scheduler, State, TaskKey, Tick,
};

impl Scheduler {
    /// Why a task waits. Counts what is ahead of it, which takes time in proportion to the queue.
    #[must_use]
    pub fn explain(&self, now: Tick, key: TaskKey) -> Option<Explanation> {
        let entry = self.store.get(key)?;
        if !entry.state.is_pending() {
            return Some(Explanation {
                state: entry.state,
                gates: Vec::new(),
                ahead: 0,
                not_overtaken_after: None,
            });
        }
        let mut gates = Vec::new();
        if entry.held {
            gates.push(gate("hold", "it is on hold until it is released".to_owned()));
        }
        gates.extend(self.dependency_gates(key));
        gates.extend(self.session_gates(key));
        if let Some(until) = entry.delayed_until(now) {
            gates.push(delay_gate(now, until));
        }
        gates.extend(self.common_gates(now));
        let lane = self.lanes.get(entry.lane);
        gates.extend(self.lane_gates(now, lane));
        gates.extend(self.budget_gates(key, lane));
        gates.extend(self.machine_gates(now, key, lane));
        let aging_step_ms = self.limits().aging_step_ms;
        Some(Explanation {
            state: entry.state,
            gates,
            ahead: self.lanes.ahead_of(Place::new(key, entry, aging_step_ms)),
            // By its share, a workspace that is behind may go first at any time.
            not_overtaken_after: (!self.shares.are_set()).then(|| not_overtaken_after(entry, aging_step_ms)),
        })
    }

    /// Each closed gate that holds up every queued task, for `status`. While nothing is queued,
    /// that is what would hold up anything.
    #[must_use]
    pub fn blocked_by(&self, now: Tick) -> Vec<GateReport> {
        let mut gates = self.common_gates(now);
        let mut busy = self.lanes.iter().filter(|lane| !lane.queue.is_empty());
        let Some(first) = busy.next() else {
            gates.retain(|gate| gate.gate != SLOTS);
            return gates;
        };
        // Asked once: it looks at every lane.
        let best = self.best_open(|_| true);
        let gates_of = |lane: &LaneQueue| -> Vec<GateReport> {
            let budgets = self.closed_budgets(lane);
            let machine = self.closed_to_next(now, lane, best);
            let lanes = self.lane_gates(now, lane).into_iter();
            lanes.chain(budgets).chain(machine).collect()
        };
        let mut shared = gates_of(first);
        for lane in busy {
            if shared.is_empty() {
                break;
            }
            let gates = gates_of(lane);
            shared.retain(|gate| gates.contains(gate));
        }
        gates.extend(shared);
        gates
    }

    /// The closed gates that concern all tasks alike.
    fn common_gates(&self, now: Tick) -> Vec<GateReport> {
        let mut gates: Vec<GateReport> = self.gates.full_for_all().map(outside_gate).collect();
        if self.all_paused {
            gates.push(gate(PAUSE, "everything is paused".to_owned()));
        }
        let lent = self.lent();
        let taken = self.slots.len() - lent;
        let slots = self.limits().slots;
        if taken >= slots as usize {
            let lent = lent_in_words(lent);
            gates.push(gate(SLOTS, format!("{taken} of {slots} slots are taken{lent}")));
        }
        if self.machine_matters() {
            let admission = &self.admission;
            let obstacles = admission.in_everybodys_way(now).into_iter();
            gates.extend(obstacles.map(|obstacle| admission.report_of(now, obstacle, About::Whichever)));
        }
        gates
    }

    /// The closed gates of one lane, budgets aside.
    fn lane_gates(&self, now: Tick, lane: &LaneQueue) -> Vec<GateReport> {
        let mut gates = Vec::new();
        if lane.paused {
            let message = format!("{} is paused", words::workspace(&lane.lane.workspace));
            gates.push(gate(PAUSE, message));
        }
        gates.extend(self.lanes.full_limits(lane).map(|position| {
            let limit = &self.limits().lanes[position];
            let used = self.lanes.used(position);
            let scope = scope_in_words(&limit.scope);
            gate(
                "limit",
                format!("{used} of {} tasks of {scope} run", limit.max_parallel),
            )
        }));
        gates.extend(self.gates.full_for(&lane.lane).map(outside_gate));
        let used_up = self.admission.rates.used_up(&lane.lane, now);
        gates.extend(used_up.map(|rate| GateReport {
            opens_at: Some(rate.opens_at),
            ..gate("rate", rate.in_words(now))
        }));
        gates
    }

    /// The budgets that keep this task from starting, be it because of what comes before it.
    fn budget_gates(&self, key: TaskKey, lane: &LaneQueue) -> Vec<GateReport> {
        let own = self.budgets.cost(key);
        let head = lane
            .queue
            .peek()
            .map(|(head, _)| (*head, self.budgets.cost(*head)));
        let budgets = self.budgets.of(&lane.lane).filter_map(|counted| {
            let asks = match head {
                _ if counted.refuses(own) => Asks::Itself(own),
                Some((head, cost)) if counted.refuses(cost) => Asks::Next(head, cost),
                Some(_) | None => return None,
            };
            Some(budget_gate(counted, asks))
        });
        budgets.collect()
    }

    /// The budgets that keep this lane's first task from starting.
    fn closed_budgets(&self, lane: &LaneQueue) -> Vec<GateReport> {
        let cost = lane.queue.peek().map_or(0, |(head, _)| self.budgets.cost(*head));
        let closed = self
            .budgets
            .of(&lane.lane)
            .filter(|counted| counted.refuses(cost));
        closed
            .map(|counted| budget_gate(counted, Asks::Whichever))
            .collect()
    }

    /// Whether the machine's state keeps anything from starting.
    fn machine_matters(&self) -> bool {
        self.admission.rules.bind() && !self.may_go_alone()
    }

    /// Why the machine does not carry this task, be it because of what comes before it.
    fn machine_gates(&self, now: Tick, key: TaskKey, lane: &LaneQueue) -> Vec<GateReport> {
        if !self.machine_matters() {
            return Vec::new();
        }
        let first = self.best_open(|_| true);
        let mut obstacles = self.about(key, About::Itself);
        if let Some(first) = first.filter(|first| *first != key && self.admission.keeps_free(now)) {
            obstacles.push((Obstacle::KeptFree(first), About::Itself));
        }
        let head = lane.queue.peek().map(|(head, _)| *head);
        for before in [head, first].into_iter().flatten() {
            if obstacles.is_empty() && before != key {
                obstacles = self.about(before, About::Next(before));
            }
        }
        let reports = obstacles
            .into_iter()
            .map(|(obstacle, about)| self.admission.report_of(now, obstacle, about));
        reports.collect()
    }

    /// What keeps the first task of this lane from starting, for reports on several lanes.
    fn closed_to_next(&self, now: Tick, lane: &LaneQueue, best: Option<TaskKey>) -> Vec<GateReport> {
        let head = lane.queue.peek().map(|(head, _)| *head);
        let Some(head) = head.filter(|_| self.machine_matters()) else {
            return Vec::new();
        };
        let mut obstacles = self.about(head, About::Whichever);
        let first = best.filter(|first| *first != head);
        if let Some(first) = first.filter(|_| obstacles.is_empty()) {
            obstacles = self.about(first, About::Whichever);
        }
        let reports = obstacles
            .into_iter()
            .map(|(obstacle, about)| self.admission.report_of(now, obstacle, about));
        reports.collect()
    }

    fn about(&self, key: TaskKey, about: About) -> Vec<(Obstacle, About)> {
        let obstacles = self.machine_refuses(key).into_iter();
        obstacles.map(|obstacle| (obstacle, about)).collect()
    }

    fn session_gates(&self, key: TaskKey) -> Vec<GateReport> {
        let session = self.sessions.of(key).map_or("", |session| &**session);
        let users = self.sessions.used_by(key);
        users
            .map(|other| {
                let message = format!("session {session} is in use by task {}", other.0);
                about(other, gate("session", message))
            })
            .collect()
    }

    fn dependency_gates(&self, key: TaskKey) -> Vec<GateReport> {
        let open =
            self.dependencies.of(key).iter().filter(|dependency| {
                self.dependencies.verdict(key, **dependency, &self.store) != Verdict::Met
            });
        open.map(|dependency| {
            let message = self.dependency_in_words(*dependency);
            about(dependency.key, gate("dependency", message))
        })
        .collect()
    }

    fn dependency_in_words(&self, dependency: Dependency) -> String {
        let number = dependency.key.0;
        let end = match dependency.on {
            Condition::Success => "succeed",
            Condition::Failure => "fail",
            Condition::Any => "end",
        };
        match self.state(dependency.key) {
            Some(state) => {
                let verb = if ended_by_itself(state) { "has" } else { "is" };
                format!("waits for task {number} to {end}; it {verb} {state}")
            }
            None => format!("waits for task {number} to {end}; it does not exist any more"),
        }
    }
}

const PAUSE: &str = "pause";
const SLOTS: &str = "slots";

fn gate(name: &str, message: String) -> GateReport {
    GateReport {
        gate: name.to_owned(),
        message,
        opens_at: None,
        task: None,
    }
}

fn about(task: TaskKey, report: GateReport) -> GateReport {
    GateReport {
        task: Some(task),
        ..report
    }
}

fn outside_gate(counted: &CountedGate) -> GateReport {
    let CountedGate { gate, active } = counted;
    let message = match gate.at_most {
        0 => gate.message.clone(),
        at_most => format!("{active} of at most {at_most} tasks run: {}", gate.message),
    };
    GateReport {
        gate: gate.name.to_string(),
        message,
        opens_at: gate.opens_at,
        task: None,
    }
}

fn budget_gate(counted: &CountedBudget, asks: Asks) -> GateReport {
    GateReport {
        gate: "budget".to_owned(),
        message: counted.in_words(asks),
        // As long as something is set aside, any end may open it.
        opens_at: counted.budget.opens_at.filter(|_| counted.set_aside == 0),
        task: match asks {
            Asks::Next(key, _) => Some(key),
            Asks::Itself(_) | Asks::Whichever => None,
        },
    }
}

fn lent_in_words(lent: usize) -> String {
    match lent {
        0 => String::new(),
        1 => "; 1 more is lent while its task waits for an answer".to_owned(),
        _ => format!("; {lent} more are lent while their tasks wait for an answer"),
    }
}

fn delay_gate(now: Tick, until: Tick) -> GateReport {
    let wait = words::duration(until.ms_since(now));
    GateReport {
        gate: "delay".to_owned(),
        message: format!("it may start in {wait}"),
        opens_at: Some(until),
        task: None,
    }
}

/// "has succeeded" and "has failed", but "is running" and "is lost".
fn ended_by_itself(state: State) -> bool {
    matches!(state, State::Succeeded | State::Failed)
}

fn scope_in_words(scope: &LimitScope) -> String {
    match scope {
        LimitScope::Workspace(workspace) => words::workspace(workspace),
        LimitScope::Worker(worker) => format!("worker {worker}"),
        LimitScope::Lane(Lane { workspace, worker }) => {
            format!("worker {worker} in {}", words::workspace(workspace))
        }
    }
}
