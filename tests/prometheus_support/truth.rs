//! The journal's truth: what the counters say is what the tasks say that the daemon keeps.

use std::collections::BTreeMap;

use wezterm_parallel::protocol::{Answer, AttemptView, CostQuery, Message, TaskView};

use super::get;
use super::metrics_text::Series;
use crate::support::{wait_for, Home};

type Counts = BTreeMap<Vec<String>, f64>;

/// Compares all that can be compared.
pub(crate) fn counters_agree_with_the_journal(home: &Home, port: u16) {
    let tasks = home.tasks();
    let ended = tasks.iter().filter(|task| is_ended(task)).count();
    let open = tasks.len() - ended;
    // Figures follow the events; what the last ones changed may be a moment away.
    let series = wait_for("the last change to be counted", || {
        let series = Series::parse(&get(port, "/metrics").expect("metrics"));
        let counted = (series.sum("tasks_ended_total"), series.sum("tasks"));
        (counted == (ended as f64, open as f64)).then_some(series)
    });
    tasks_agree(&tasks, &series);
    attempts_agree(home, &tasks, &series);
    costs_agree(home, &series);
    assert_eq!(series.sum("questions_waiting"), 1.0);
    assert_eq!(series.sum("claude_limited"), 1.0);
}

fn tasks_agree(tasks: &[TaskView], series: &Series) {
    let submitted = count(tasks.iter().map(lane));
    assert_eq!(
        series.sums("tasks_submitted_total", &["workspace", "worker"]),
        submitted
    );

    let open = tasks.iter().filter(|task| !is_ended(task));
    let open = count(open.map(|task| vec![task.state.clone(), workspace(task)]));
    assert_eq!(series.sums("tasks", &["state", "workspace"]), open);

    let ended = tasks.iter().filter(|task| is_ended(task));
    let ended = count(ended.map(|task| {
        // `dependency 9` names the other task, too.
        let reason = task.reason.as_deref().expect("an end has a reason");
        let kind = reason.split(' ').next().unwrap_or_default();
        vec![workspace(task), task.state.clone(), kind.to_owned()]
    }));
    assert_eq!(
        series.sums("tasks_ended_total", &["workspace", "state", "reason"]),
        ended
    );

    let retries = sum(tasks
        .iter()
        .map(|task| (vec![task.worker.clone()], f64::from(task.retries_used))));
    assert_eq!(series.sums("task_retries_total", &["worker"]), retries);
}

fn attempts_agree(home: &Home, tasks: &[TaskView], series: &Series) {
    let attempts = || {
        let each = |task| move |attempt| (task, attempt);
        tasks
            .iter()
            .flat_map(move |task: &TaskView| task.attempts.iter().map(each(task)))
    };
    let started = count(attempts().map(|(task, _)| lane(task)));
    assert_eq!(
        series.sums("attempts_started_total", &["workspace", "worker"]),
        started
    );
    assert_eq!(series.sum("task_wait_seconds_count"), attempts().count() as f64);

    let ended = attempts().filter(|(_, attempt)| attempt.outcome.is_some());
    let outcomes = count(ended.clone().map(|(task, attempt)| {
        let outcome = attempt.outcome.clone().unwrap_or_default();
        vec![task.worker.clone(), outcome]
    }));
    assert_eq!(
        series.sums("attempts_ended_total", &["worker", "outcome"]),
        outcomes
    );

    let bytes =
        sum(ended.map(|(task, attempt)| (vec![task.worker.clone()], output_bytes(home, task, attempt))));
    assert_eq!(series.sums("output_bytes_total", &["worker"]), bytes);
}

fn output_bytes(home: &Home, task: &TaskView, attempt: &AttemptView) -> f64 {
    let file = home.attempt(&task.id, attempt.n).join("output");
    std::fs::metadata(file).map_or(0, |file| file.len()) as f64
}

fn costs_agree(home: &Home, series: &Series) {
    let Ok(Answer::Cost(cost)) = home.client().ask(&Message::Cost(CostQuery::default())) else {
        panic!("no costs");
    };
    let dollars = sum(cost.rows.iter().map(|row| {
        let workspace = Some(row.workspace.clone()).filter(|name| !name.is_empty());
        let key = vec![row.model.clone(), workspace.unwrap_or_else(|| "none".to_owned())];
        (key, row.tokens.cost_usd)
    }));
    assert!(!dollars.is_empty());
    let told = series.sums("claude_cost_usd_total", &["model", "workspace"]);
    assert!(told.keys().eq(dollars.keys()), "{told:?} and {dollars:?}");
    for (key, value) in &dollars {
        // Added up in another order.
        assert!((told[key] - value).abs() < 1e-9, "{told:?} and {dollars:?}");
    }
    let tokens = sum(cost.rows.iter().flat_map(|row| {
        let kinds = [
            ("input", row.tokens.input),
            ("output", row.tokens.output),
            ("cache_read", row.tokens.cache_read),
            ("cache_write", row.tokens.cache_write),
        ];
        kinds.map(|(kind, count)| (vec![row.model.clone(), kind.to_owned()], count as f64))
    }));
    assert_eq!(series.sums("claude_tokens_total", &["model", "type"]), tokens);
}

fn is_ended(task: &TaskView) -> bool {
    ["succeeded", "failed", "cancelled", "skipped", "lost"].contains(&task.state.as_str())
}

fn lane(task: &TaskView) -> Vec<String> {
    vec![workspace(task), task.worker.clone()]
}

fn workspace(task: &TaskView) -> String {
    match task.workspace.as_str() {
        "" => "none".to_owned(),
        name => name.to_owned(),
    }
}

fn count(keys: impl Iterator<Item = Vec<String>>) -> Counts {
    sum(keys.map(|key| (key, 1.0)))
}

/// Sums by key; without what is zero.
fn sum(parts: impl Iterator<Item = (Vec<String>, f64)>) -> Counts {
    let mut sums = Counts::new();
    for (key, part) in parts.filter(|(_, part)| *part != 0.0) {
        *sums.entry(key).or_default() += part;
    }
    sums
}
