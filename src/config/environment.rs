//! The layer of `WEZTERM_PARALLEL_*` variables: each names a key by its path, in capitals.

use serde_json::Value;

/// All variables of ours begin with this.
pub(super) const PREFIX: &str = "WEZTERM_PARALLEL_";

/// Variables of ours that are not about the config: options of the command line, the log's filter,
/// and what a task is told about itself.
const OTHERS: [&str; 9] = [
    "TASK",
    "ATTEMPT",
    "FOLDER",
    "SOCKET",
    "CONFIG",
    "LOG",
    "NO_AUTOSTART",
    "WORKSPACE",
    "SLOT",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Number,
    Flag,
    /// Separated by commas.
    List,
}

/// Every key outside of the tables that users name the entries of.
pub(super) const KEYS: [(&str, Kind); 45] = [
    ("pool.slots", Kind::Text),
    ("pool.default_worker", Kind::Text),
    ("pool.default_priority", Kind::Number),
    ("pool.lend", Kind::Number),
    ("admission.enabled", Kind::Flag),
    ("admission.dry_run", Kind::Flag),
    ("admission.memory_floor", Kind::Text),
    ("admission.worker_memory", Kind::Text),
    ("admission.cpu_high", Kind::Number),
    ("admission.cpu_low", Kind::Number),
    ("admission.stall_high", Kind::Number),
    ("admission.stall_low", Kind::Number),
    ("admission.reopen_after", Kind::Text),
    ("admission.stale_after", Kind::Text),
    ("admission.relief", Kind::Flag),
    ("admission.relief_after", Kind::Text),
    ("admission.relief_interval", Kind::Text),
    ("admission.relief_pause", Kind::Text),
    ("scheduler.aging_step", Kind::Text),
    ("scheduler.jitter_seed", Kind::Number),
    ("limits.line_bytes", Kind::Text),
    ("limits.connections", Kind::Number),
    ("limits.write_timeout", Kind::Text),
    ("limits.event_buffer", Kind::Number),
    ("processes.backoff", Kind::Text),
    ("processes.backoff_max", Kind::Text),
    ("processes.good_after", Kind::Text),
    ("processes.max_restarts", Kind::Number),
    ("retention.age", Kind::Text),
    ("retention.tasks", Kind::Number),
    ("output.cap_bytes", Kind::Text),
    ("log.level", Kind::Text),
    ("log.files", Kind::Number),
    ("journal.snapshot_bytes", Kind::Text),
    ("state.sqlite", Kind::Flag),
    ("agents.allow", Kind::List),
    ("environment.capture", Kind::List),
    ("environment.inherit", Kind::List),
    ("secrets.command", Kind::List),
    ("metrics.listen", Kind::Text),
    ("metrics.allow_remote", Kind::Flag),
    ("quota.jitter", Kind::Text),
    ("quota.ramp_step", Kind::Text),
    ("budget.day_usd", Kind::Number),
    ("budget.task_usd", Kind::Number),
];

/// Every key of a worker profile except its tables: `env`, `limits` and `sandbox`.
pub(super) const WORKER_KEYS: [(&str, Kind); 32] = [
    ("kind", Kind::Text),
    ("max_parallel", Kind::Number),
    ("rate", Kind::Text),
    ("memory", Kind::Text),
    ("cpus", Kind::Number),
    ("timeout", Kind::Text),
    ("retries", Kind::Number),
    ("retry_delay", Kind::Text),
    ("retry_max_delay", Kind::Text),
    ("stop_signal", Kind::Text),
    ("stop_grace", Kind::Text),
    ("nice", Kind::Number),
    ("oom_score", Kind::Number),
    ("shell", Kind::Text),
    ("binary", Kind::Text),
    ("account", Kind::Text),
    ("model", Kind::Text),
    ("fallback_model", Kind::Text),
    ("permission_mode", Kind::Text),
    ("allowed_tools", Kind::List),
    ("disallowed_tools", Kind::List),
    ("max_turns", Kind::Number),
    ("max_budget_usd", Kind::Number),
    ("effort", Kind::Text),
    ("append_system_prompt", Kind::Text),
    ("mcp_config", Kind::List),
    ("extra_args", Kind::List),
    ("partial_messages", Kind::Flag),
    ("permissions", Kind::Text),
    ("denied", Kind::Text),
    ("stall_timeout", Kind::Text),
    ("patience", Kind::Text),
];

/// The path of the key that a variable is about.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) path: Vec<String>,
    pub(super) kind: Kind,
}

/// What a variable of the environment is to the config.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Nothing.
    None,
    /// It sets this key.
    Sets(Target),
    /// It looks like ours, and is not.
    Unknown {
        /// The nearest variable.
        nearest: Option<String>,
    },
}

/// What `variable` means, given the profiles and workspace limits in `tree`.
pub(super) fn meaning(variable: &str, tree: &Value) -> Meaning {
    let Some(name) = variable.strip_prefix(PREFIX) else {
        return Meaning::None;
    };
    if OTHERS.contains(&name) {
        return Meaning::None;
    }
    let targets = targets(tree);
    let names: Vec<String> = targets.iter().map(|target| variable_of(&target.path)).collect();
    match names.iter().position(|known| known == name) {
        Some(index) => targets
            .into_iter()
            .nth(index)
            .map_or(Meaning::None, Meaning::Sets),
        None => Meaning::Unknown {
            nearest: crate::protocol::nearest(name, names.iter().map(String::as_str))
                .map(|nearest| format!("{PREFIX}{nearest}")),
        },
    }
}

fn targets(tree: &Value) -> Vec<Target> {
    let mut targets: Vec<Target> = KEYS
        .iter()
        .map(|(key, kind)| Target {
            path: key.split('.').map(str::to_owned).collect(),
            kind: *kind,
        })
        .collect();
    for worker in keys_of(&tree["workers"]) {
        targets.extend(WORKER_KEYS.iter().map(|(key, kind)| Target {
            path: vec!["workers".to_owned(), worker.clone(), (*key).to_owned()],
            kind: *kind,
        }));
    }
    let tables = [
        ("limits", "workspaces", Kind::Number),
        ("limits", "rates", Kind::Text),
        ("limits", "weights", Kind::Number),
        ("budget", "workspaces", Kind::Number),
    ];
    for (section, table, kind) in tables {
        targets.extend(keys_of(&tree[section][table]).map(|workspace| Target {
            path: vec![section.to_owned(), table.to_owned(), workspace.clone()],
            kind,
        }));
    }
    targets
}

fn keys_of(table: &Value) -> impl Iterator<Item = &String> {
    table.as_object().into_iter().flat_map(|table| table.keys())
}

/// `workers.my-profile.retries` as `WORKERS_MY_PROFILE_RETRIES`.
fn variable_of(path: &[String]) -> String {
    path.join("_").to_ascii_uppercase().replace(['-', '.'], "_")
}

/// The variable's text as a value of the key's type; what does not fit stays text, for the
/// deserializer to complain about.
pub(super) fn value_of(kind: Kind, text: &str) -> Value {
    let text = text.trim();
    match (kind, text) {
        (Kind::Flag, "1" | "true" | "yes" | "on") => Value::Bool(true),
        (Kind::Flag, "0" | "false" | "no" | "off") => Value::Bool(false),
        (Kind::Number, _) => match (text.parse::<i64>(), text.parse::<f64>()) {
            (Ok(number), _) => Value::from(number),
            (_, Ok(number)) => Value::from(number),
            _ => Value::from(text),
        },
        (Kind::List, _) => text.split(',').map(|item| Value::from(item.trim())).collect(),
        _ => Value::from(text),
    }
}

/// Puts a value at `path`; the tables on the way are there, since the path came from the tree.
pub(super) fn set(tree: &mut Value, path: &[String], value: Value) {
    let mut place = tree;
    for key in path {
        place = &mut place[key.as_str()];
    }
    *place = value;
}
