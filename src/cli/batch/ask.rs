//! What only the daemon can say about a batch before it is sent: whether the tasks that lines wait
//! for exist, and whether their profiles and programs do.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::lines::{Line, LineError};
use super::order::{continued, needed};
use crate::cli::context::Context;
use crate::cli::exit::Failure;
use crate::client::{Client, ClientError};
use crate::protocol::{Answer, ClaudeOptions, ErrorCode, Filter, Message, OneTask, TaskQueue};

/// Keeps the question well below the longest line that the daemon reads.
const IDS_PER_QUESTION: usize = 5_000;

/// Why a batch cannot be sent.
pub(super) enum CheckError {
    /// These lines are wrong.
    Lines(Vec<LineError>),
    /// The daemon could not be asked.
    Failure(Failure),
}

impl<E: Into<Failure>> From<E> for CheckError {
    fn from(error: E) -> Self {
        Self::Failure(error.into())
    }
}

/// Asks the daemon for the tasks that lines need and that are not in the batch.
pub(super) fn check_known(context: &Context, lines: &[Line]) -> Result<(), CheckError> {
    let own: HashSet<&str> = lines.iter().map(|line| line.task.id.as_str()).collect();
    let mut wanted: HashMap<&str, &Line> = HashMap::new();
    for line in lines {
        for id in needed(&line.task) {
            if !own.contains(id) {
                wanted.entry(id).or_insert(line);
            }
        }
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let ids: Vec<String> = wanted.keys().map(ToString::to_string).collect();
    let mut client = context.connect()?;
    for ids in ids.chunks(IDS_PER_QUESTION) {
        for id in known(&mut client, ids)? {
            wanted.remove(id.as_str());
        }
    }
    let mut errors: Vec<LineError> = wanted.into_iter().map(|(id, line)| unknown(id, line)).collect();
    errors.sort_by_key(|error| error.line);
    none_wrong(errors)
}

/// Those of the ids that the daemon knows. It may leave out what it does not, or refuse as a whole.
fn known(client: &mut Client, ids: &[String]) -> Result<Vec<String>, Failure> {
    let filter = Filter {
        ids: ids.to_vec(),
        ..Filter::default()
    };
    match client.ask(&Message::Status(filter)) {
        Ok(Answer::Status(status)) => Ok(status.tasks.into_iter().map(|task| task.id).collect()),
        Ok(other) => Err(Failure::unexpected_answer(&other)),
        Err(ClientError::Refused(error)) if error.code == ErrorCode::UnknownTask => {
            let mut known = Vec::new();
            for id in ids {
                match client.ask(&Message::Show(OneTask { id: id.clone() })) {
                    Ok(_) => known.push(id.clone()),
                    Err(ClientError::Refused(error)) if error.code == ErrorCode::UnknownTask => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(known)
        }
        Err(error) => Err(error.into()),
    }
}

fn unknown(id: &str, line: &Line) -> LineError {
    let field = if continued(&line.task) == Some(id) {
        "claude.continue_from"
    } else {
        "after"
    };
    LineError {
        line: line.number,
        column: 1,
        message: format!("`{field}` names {id}, which is neither in this batch nor in the queue"),
        hint: "`wezterm-parallel status` lists the tasks".to_owned(),
    }
}

/// Asks the daemon about each profile and program that lines need, once.
pub(super) fn check_runnable(context: &Context, lines: &[Line]) -> Result<(), CheckError> {
    let mut seen = HashSet::new();
    let asked: Vec<&Line> = lines
        .iter()
        .filter(|line| seen.insert(Sort::of(&line.task)))
        .collect();
    drop(seen);
    let path = std::env::var("PATH").unwrap_or_default();
    let messages: Vec<Message> = asked
        .iter()
        .map(|line| Message::Check(Box::new(question(&line.task, &path))))
        .collect();
    let mut errors = Vec::new();
    context
        .connect()?
        .ask_all(messages.into_iter(), |place, answer| {
            // A daemon that does not know the question finds out when the task comes.
            match answer {
                Answer::Error(error) if error.code != ErrorCode::UnknownMessage => {
                    errors.push(LineError {
                        line: asked[place].number,
                        column: 1,
                        message: error.message,
                        hint: error.hint,
                    });
                }
                _ => {}
            }
        })?;
    none_wrong(errors)
}

/// What the daemon's judgement depends on: tasks of one sort are asked about once.
#[derive(PartialEq, Eq, Hash)]
struct Sort<'a> {
    worker: Option<&'a str>,
    program: Option<&'a str>,
    has_stdin: bool,
    cwd: Option<&'a str>,
    cwd_gives_way: bool,
    workspace: [Option<&'a str>; 2],
    env: Option<&'a BTreeMap<String, String>>,
    env_add: &'a BTreeMap<String, String>,
    env_ref: Option<&'a str>,
    worktree: (Option<bool>, Option<&'a str>),
    /// Numbers with a point have no hash: these few go by their text.
    claude: Option<String>,
}

impl<'a> Sort<'a> {
    fn of(task: &'a TaskQueue) -> Self {
        let program = task.argv.as_ref().and_then(|argv| argv.first());
        Self {
            worker: task.worker.as_deref(),
            program: program.map(String::as_str),
            has_stdin: task.stdin.is_some(),
            cwd: task.cwd.as_deref(),
            cwd_gives_way: task.cwd_gives_way,
            workspace: [task.workspace.as_deref(), task.default_workspace.as_deref()],
            env: task.env.as_ref(),
            env_add: &task.env_add,
            env_ref: task.env_ref.as_deref(),
            worktree: (task.worktree, task.worktree_base.as_deref()),
            claude: task.claude.as_ref().map(|options| format!("{options:?}")),
        }
    }
}

/// As much of the task as matters for whether it can run: of the environment, where programs are.
fn question(task: &TaskQueue, path: &str) -> TaskQueue {
    let own = task.env.is_some() || task.env_ref.is_some();
    let env = BTreeMap::from([("PATH".to_owned(), path.to_owned())]);
    TaskQueue {
        command: task.command.clone(),
        argv: task.argv.clone(),
        worker: task.worker.clone(),
        cwd: task.cwd.clone(),
        cwd_gives_way: task.cwd_gives_way,
        workspace: task.workspace.clone(),
        default_workspace: task.default_workspace.clone(),
        env: if own { task.env.clone() } else { Some(env) },
        env_add: task.env_add.clone(),
        env_ref: task.env_ref.clone(),
        stdin: task.stdin.clone(),
        worktree: task.worktree,
        worktree_base: task.worktree_base.clone(),
        claude: task.claude.clone().map(without_session),
        ..TaskQueue::default()
    }
}

/// The session may be that of a task of this very batch.
fn without_session(mut options: Box<ClaudeOptions>) -> Box<ClaudeOptions> {
    (options.resume, options.continue_from, options.fork) = (None, None, false);
    options
}

fn none_wrong(errors: Vec<LineError>) -> Result<(), CheckError> {
    if errors.is_empty() {
        Ok(())
    } else {
        Err(CheckError::Lines(errors))
    }
}
