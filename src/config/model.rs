//! What can be configured; every key with its meaning and unit is in `defaults.toml`.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::admission::{Admission, StartRate};
use super::metrics::MetricsConfig;
use super::processes::ProcessesConfig;
use super::task_environment::{EnvironmentConfig, SecretsConfig};
use super::units::{duration, size};
use super::worker::{WorkerConfig, WorkerKind};
use super::ByteSize;
use crate::protocol::AgentRight;

/// The built-in defaults, commented: what `config show --default` prints.
pub const DEFAULTS_TOML: &str = include_str!("defaults.toml");

/// More slots than this are a typing error.
const SLOTS_MAX: u32 = 4096;

/// Everything that can be configured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The bounded pool.
    pub pool: Pool,
    /// Waiting for readings of the host.
    pub admission: Admission,
    /// The order of tasks.
    pub scheduler: SchedulerConfig,
    /// What clients and workspaces may use.
    pub limits: LimitsConfig,
    /// How long-lived processes are restarted.
    pub processes: ProcessesConfig,
    /// How long ended tasks are kept.
    pub retention: Retention,
    /// What is kept of a task's output.
    pub output: Output,
    /// The daemon's own log.
    pub log: LogConfig,
    /// The journal.
    pub journal: JournalConfig,
    /// What is kept beside the journal.
    pub state: StateConfig,
    /// Figures for Prometheus.
    pub metrics: MetricsConfig,
    /// What workers may ask of the daemon.
    pub agents: AgentsConfig,
    /// What tasks get of their callers' environments.
    pub environment: EnvironmentConfig,
    /// Where secrets come from.
    pub secrets: SecretsConfig,
    /// Usage limits of Claude accounts.
    pub quota: Quota,
    /// What Claude workers may cost.
    pub budget: BudgetConfig,
    /// Worker profiles by name.
    pub workers: BTreeMap<String, WorkerConfig>,
}

/// What workers may ask of the daemon, besides what concerns their own tasks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AgentsConfig {
    /// More rights, where a workspace has none of its own.
    pub allow: Vec<AgentRight>,
}

/// The bounded pool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pool {
    /// How many tasks run at once.
    pub slots: Slots,
    /// The worker profile of a task that names none.
    pub default_worker: String,
    /// The priority of a task that names none.
    pub default_priority: u8,
    /// How many slots of tasks that wait for an answer others may use meanwhile.
    pub lend: u32,
}

/// A number of slots, or as many as there are processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slots {
    /// One for each processor.
    Auto,
    /// 1 to 4096.
    Count(u32),
}

/// The order of tasks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SchedulerConfig {
    /// How much waiting one point of priority is worth.
    #[serde(with = "duration")]
    pub aging_step: Duration,
    /// Seed of the random part of retry delays.
    pub jitter_seed: u64,
}

/// What clients and workspaces may use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// The longest line from a client, in bytes.
    #[serde(with = "size")]
    pub line_bytes: u64,
    /// How many clients may be connected at once.
    pub connections: u32,
    /// How long an answer may stay unread.
    #[serde(with = "duration")]
    pub write_timeout: Duration,
    /// How many events a subscriber may be behind.
    pub event_buffer: u32,
    /// The most tasks of a workspace that run at once, by workspace.
    pub workspaces: BTreeMap<String, u32>,
    /// How fast tasks of a workspace may be started, by workspace.
    pub rates: BTreeMap<String, StartRate>,
    /// How many parts of the slots a workspace gets among tasks of equal priority, by workspace; others have 1.
    pub weights: BTreeMap<String, u32>,
}

/// How long ended tasks are kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// They are removed when older than this …
    #[serde(with = "duration")]
    pub age: Duration,
    /// … or when there are more than this.
    pub tasks: u64,
}

/// What is kept of a task's output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Output {
    /// Kept of one attempt, half of it head and half tail.
    pub cap_bytes: ByteSize,
}

/// The daemon's own log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// `error warn info debug trace`.
    pub level: String,
    /// How many daily files are kept.
    pub files: u32,
}

/// The journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JournalConfig {
    /// Growth since the last snapshot at which the next is made.
    pub snapshot_bytes: ByteSize,
}

/// What is kept beside the journal.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StateConfig {
    /// Every ended task in a database that can be searched, and a backup of the journal.
    pub sqlite: bool,
}

/// Usage limits of Claude accounts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Quota {
    /// Up to this much later than the announced reset, at random.
    #[serde(with = "duration")]
    pub jitter: Duration,
    /// After a reset, so long at least a step lasts in which 1, then 2, then 4 … tasks run.
    #[serde(with = "duration")]
    pub ramp_step: Duration,
    /// Fewer tasks at once as the limit comes near.
    pub taper: Vec<TaperStep>,
}

/// One step of the taper.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaperStep {
    /// From this part of the limit on, 0 to 1 …
    pub above: f64,
    /// … at most this many tasks of the account run at once.
    pub at_most: u32,
}

/// What Claude workers may cost, in US dollars.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BudgetConfig {
    /// All of them in one day, by local time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day_usd: Option<f64>,
    /// One task with all its attempts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_usd: Option<f64>,
    /// Those of one workspace in one day, by workspace.
    pub workspaces: BTreeMap<String, f64>,
}

impl Default for Config {
    fn default() -> Self {
        let workers = [
            ("claude", WorkerKind::Claude),
            ("shell", WorkerKind::Shell),
            ("exec", WorkerKind::Exec),
        ];
        Self {
            pool: Pool::default(),
            admission: Admission::default(),
            scheduler: SchedulerConfig::default(),
            limits: LimitsConfig::default(),
            processes: ProcessesConfig::default(),
            retention: Retention::default(),
            output: Output::default(),
            log: LogConfig::default(),
            journal: JournalConfig::default(),
            state: StateConfig::default(),
            metrics: MetricsConfig::default(),
            agents: AgentsConfig::default(),
            environment: EnvironmentConfig::default(),
            secrets: SecretsConfig::default(),
            quota: Quota::default(),
            budget: BudgetConfig::default(),
            workers: workers
                .map(|(name, kind)| (name.to_owned(), WorkerConfig::of_kind(kind)))
                .into(),
        }
    }
}

impl Default for Pool {
    fn default() -> Self {
        Self {
            slots: Slots::Auto,
            default_worker: "claude".to_owned(),
            default_priority: 100,
            lend: 2,
        }
    }
}

impl Default for SchedulerConfig {
    fn default() -> Self {
        Self {
            aging_step: Duration::from_secs(60),
            jitter_seed: 0,
        }
    }
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            line_bytes: 1 << 20,
            connections: 4096,
            write_timeout: Duration::from_secs(30),
            event_buffer: 1024,
            workspaces: BTreeMap::new(),
            rates: BTreeMap::new(),
            weights: BTreeMap::new(),
        }
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            age: Duration::from_secs(7 * 86_400),
            tasks: 10_000,
        }
    }
}

impl Default for Output {
    fn default() -> Self {
        Self {
            cap_bytes: ByteSize::mib(256),
        }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            files: 7,
        }
    }
}

impl Default for JournalConfig {
    fn default() -> Self {
        Self {
            snapshot_bytes: ByteSize::mib(64),
        }
    }
}

impl Default for Quota {
    fn default() -> Self {
        let step = |above, at_most| TaperStep { above, at_most };
        Self {
            jitter: Duration::from_secs(30),
            ramp_step: Duration::from_secs(15),
            taper: vec![step(0.8, 4), step(0.9, 2), step(0.97, 1)],
        }
    }
}

impl Slots {
    /// The number of slots on this machine; 1 if the number of processors cannot be told.
    #[must_use]
    pub fn count(self) -> u32 {
        match self {
            Self::Count(count) => count,
            Self::Auto => std::thread::available_parallelism()
                .ok()
                .and_then(|count| u32::try_from(count.get()).ok())
                .unwrap_or(1)
                .clamp(1, SLOTS_MAX),
        }
    }

    /// 1 to 4096 slots.
    fn checked(count: u64) -> Result<Self, String> {
        match u32::try_from(count) {
            Ok(count @ 1..=SLOTS_MAX) => Ok(Self::Count(count)),
            _ => Err(format!("{count} slots: 1 to {SLOTS_MAX}, or \"auto\"")),
        }
    }
}

impl Serialize for Slots {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Count(count) => serializer.serialize_u32(*count),
        }
    }
}

impl<'de> Deserialize<'de> for Slots {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Clone, Copy)]
        struct SlotsVisitor;
        impl Visitor<'_> for SlotsVisitor {
            type Value = Slots;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "a number from 1 to {SLOTS_MAX}, or \"auto\"")
            }
            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Slots, E> {
                Slots::checked(value).map_err(E::custom)
            }
            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Slots, E> {
                let text = || E::custom(format!("{value} slots: 1 to {SLOTS_MAX}, or \"auto\""));
                self.visit_u64(u64::try_from(value).map_err(|_| text())?)
            }
            fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Slots, E> {
                if value == "auto" {
                    return Ok(Slots::Auto);
                }
                let number: Result<u64, _> = value.parse();
                let unexpected = serde::de::Unexpected::Str(value);
                self.visit_u64(number.map_err(|_| E::invalid_value(unexpected, &self))?)
            }
        }
        deserializer.deserialize_any(SlotsVisitor)
    }
}
