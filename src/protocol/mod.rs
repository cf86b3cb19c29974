//! The messages on the wire and their line codec; no sockets in here.

mod answer;
mod message;
mod task_view;

pub use answer::{
    Answer, Changed, DaemonInfo, EnvironmentStored, ErrorAnswer, ErrorCode, Event, ExplanationView,
    GateView, Reserved, StatusAnswer, Summary,
};
pub use message::{
    Cancel, Clean, EditTask, Environment, Filter, Ids, Message, OneTask, ProcessSpawn, ReserveIds,
    Retry, Shutdown, StatusUpdate, Subscribe, TaskQueue, WorkspaceCreate,
};
pub use task_view::{AttemptView, TaskView};
