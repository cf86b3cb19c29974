//! Why a task waits, in words and numbers.

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
        gates.extend(self.common_gates());
        let lane = self.lanes.get(entry.lane);
        gates.extend(self.lane_gates(lane));
        gates.extend(self.budget_gates(key, lane));
        let aging_step_ms = self.limits().aging_step_ms;
        Some(Explanation {
            state: entry.state,
            gates,
            ahead: self.lanes.ahead_of(Place::new(key, entry, aging_step_ms)),
            not_overtaken_after: Some(not_overtaken_after(entry, aging_step_ms)),
        })
    }

    /// Each closed gate that holds up every queued task, for `status`. While nothing is queued,
    /// that is what would hold up anything.
    #[must_use]
    pub fn blocked_by(&self, _now: Tick) -> Vec<GateReport> {
        let mut gates = self.common_gates();
        let mut busy = self.lanes.iter().filter(|lane| !lane.queue.is_empty());
        let Some(first) = busy.next() else {
            gates.retain(|gate| gate.gate != SLOTS);
            return gates;
        };
        let gates_of = |lane: &LaneQueue| -> Vec<GateReport> {
            let budgets = self.closed_budgets(lane);
            self.lane_gates(lane).into_iter().chain(budgets).collect()
        };
        let mut shared = gates_of(first);
        for lane in busy {
            let gates = gates_of(lane);
            shared.retain(|gate| gates.contains(gate));
        }
        gates.extend(shared);
        gates
    }

    /// The closed gates that concern all tasks alike.
    fn common_gates(&self) -> Vec<GateReport> {
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
        gates
    }

    /// The closed gates of one lane, budgets aside.
    fn lane_gates(&self, lane: &LaneQueue) -> Vec<GateReport> {
        let mut gates = Vec::new();
        if lane.paused {
            let message = format!("{} is paused", workspace_in_words(&lane.lane.workspace));
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
    let wait = duration_in_words(until.ms_since(now));
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
        LimitScope::Workspace(workspace) => workspace_in_words(workspace),
        LimitScope::Worker(worker) => format!("worker {worker}"),
        LimitScope::Lane(Lane { workspace, worker }) => {
            format!("worker {worker} in {}", workspace_in_words(workspace))
        }
    }
}

fn workspace_in_words(workspace: &str) -> String {
    if workspace.is_empty() {
        "no workspace".to_owned()
    } else {
        format!("workspace {workspace}")
    }
}

/// Rounded up, in at most two units: a wait that is announced is never shorter than the real one.
fn duration_in_words(ms: u64) -> String {
    let seconds = ms.div_ceil(1_000);
    let minutes = seconds.div_ceil(60);
    let hours = minutes.div_ceil(60);
    match (ms, seconds, minutes, hours) {
        (..1_000, ..) => format!("{ms} ms"),
        (_, ..120, ..) => format!("{seconds} s"),
        (_, _, ..120, _) => format!("{minutes} min"),
        (_, _, _, ..48) => format!("{} h {} min", minutes / 60, minutes % 60),
        _ => format!("{} d {} h", hours / 24, hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::duration_in_words;

    #[test]
    fn durations_use_the_units_people_would() {
        let words: Vec<String> = [0, 999, 1_000, 1_001, 119_000, 120_000, 7_200_000, 7_260_000]
            .into_iter()
            .chain([47 * 3_600_000, 49 * 3_600_000])
            .map(duration_in_words)
            .collect();
        let expected = [
            "0 ms",
            "999 ms",
            "1 s",
            "2 s",
            "119 s",
            "2 min",
            "2 h 0 min",
            "2 h 1 min",
            "47 h 0 min",
            "2 d 1 h",
        ];
        assert_eq!(words, expected);
    }
}
