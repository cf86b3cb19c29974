//! The messages on the wire and their line codec; no sockets in here.

mod admission;
mod agents;
mod answer;
mod check;
mod check_claude;
mod check_process;
mod check_workspace;
mod claude;
mod codec;
mod diagnose;
mod group;
mod lines;
mod message;
mod process;
mod ready_pattern;
mod sandbox;
mod schema;
mod suggest;
mod task_view;
pub(crate) mod wording;
mod workspace;
mod workspace_pane;

pub use admission::{
    AdmissionAnswer, GateState, LearnedView, MarksView, QuotaView, ReadingView, ReservationView,
};
pub use agents::{AgentRight, NoRight};
pub use answer::{
    Answer, Changed, DaemonInfo, EnvironmentStored, ErrorAnswer, ErrorCode, Event, ExplanationView, GateView,
    HistoryInfo, MetricsText, ProcessCounts, Reserved, StatusAnswer, Summary,
};
pub use check::{check_edit, check_id, check_task, parse_after, ARGUMENT_BYTES_MAX, CPUS_MAX, CPUS_MIN};
pub use check_claude::own_argument;
pub use check_process::{check_process, check_report, REPORTS, RESTARTS_MAX};
pub use check_workspace::{check_settings, check_workspace_create, check_workspace_edit};
pub use claude::{
    AnswerQuestion, BudgetView, ClaudeOptions, CostAnswer, CostQuery, CostRow, Denied, Permissions,
    QuestionView,
};
pub use codec::{decode, decode_answer, encode, encode_message};
pub use group::GroupReport;
pub use lines::{Batch, End, LineReader, LINE_BYTES_MAX};
pub use message::{
    Cancel, Clean, EditTask, Environment, Filter, Ids, Message, OneTask, ReserveIds, Retry, Shutdown,
    Subscribe, TaskQueue,
};
pub use process::{
    is_process_id, ProcessFilter, ProcessIds, ProcessSpawn, ProcessStop, ProcessView, ProcessesAnswer,
    ReadyCheck, ReadyWay, ReportView, RestartPolicy, StatusUpdate, PROCESS_MARK,
};
pub use ready_pattern::{ready_pattern, WrongPattern, PATTERN_CHARS_MAX};
pub use sandbox::{check_sandbox, Denial, Sandbox, SandboxReport};
pub use schema::schema;
pub use suggest::{hint, nearest};
pub use task_view::{AttemptView, TaskView, WorktreeView};
pub use workspace::{
    OneWorkspace, WorkspaceCreate, WorkspaceEdit, WorkspaceRemove, WorkspaceRemoved, WorkspaceSettings,
    WorkspaceView, WorkspacesAnswer,
};
pub use workspace_pane::{PaneLayout, WorkspacePane};

#[cfg(test)]
mod lines_tests;
#[cfg(test)]
mod tests;
