//! Sends a batch: ids first, then every line in one stream, again if the connection breaks.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use super::lines::{Line, LineError};
use super::order::id_of;
use super::progress::Bar;
use crate::cli::context::Context;
use crate::cli::exit::Failure;
use crate::cli::queue;
use crate::client::{Client, ClientError};
use crate::protocol::{Answer, Environment, ErrorAnswer, ErrorCode, Filter, Message, OneTask, ReserveIds};

/// A daemon that restarts is back within this time.
const RECONNECT_WITHIN: Duration = Duration::from_secs(15);
/// The pause between two tries to reach it.
const RECONNECT_EVERY: Duration = Duration::from_millis(100);

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

/// Asks the daemon for the tasks that lines wait for and that are not in the batch.
pub(super) fn check_known(context: &Context, lines: &[Line]) -> Result<(), CheckError> {
    let own: HashSet<&str> = lines.iter().map(|line| line.task.id.as_str()).collect();
    let mut wanted: HashMap<&str, usize> = HashMap::new();
    for line in lines {
        for id in line.task.after.iter().map(|after| id_of(after)) {
            if !own.contains(id) {
                wanted.entry(id).or_insert(line.number);
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
    if errors.is_empty() {
        Ok(())
    } else {
        Err(CheckError::Lines(errors))
    }
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

fn unknown(id: &str, line: usize) -> LineError {
    LineError {
        line,
        column: 1,
        message: format!("`after` names {id}, which is neither in this batch nor in the queue"),
        hint: "`wezterm-parallel status` lists the tasks".to_owned(),
    }
}

/// Queues every line, and returns the ids in the order of the lines' numbers.
pub(super) fn send(
    context: &Context,
    name: &str,
    mut lines: Vec<Line>,
    quiet: bool,
) -> Result<Vec<String>, Failure> {
    let mut client = context.connect()?;
    give_ids(&mut client, &mut lines)?;
    name_environment(&mut client, &mut lines)?;
    let mut places: Vec<(usize, String)> = lines
        .iter()
        .map(|line| (line.number, line.task.id.clone()))
        .collect();
    let mut delivery = Delivery {
        numbers: lines.iter().map(|line| line.number).collect(),
        messages: lines.into_iter().map(Message::from).collect(),
        answered: 0,
        refused: Vec::new(),
        bar: Bar::sending(places.len(), quiet),
    };
    delivery.deliver(context, client)?;
    delivery.outcome(name)?;
    places.sort_unstable();
    Ok(places.into_iter().map(|(_, id)| id).collect())
}

/// Gives a number to each line that has no id. Numbers that other lines have chosen are passed over.
fn give_ids(client: &mut Client, lines: &mut [Line]) -> Result<(), Failure> {
    let chosen: HashSet<u64> = lines
        .iter()
        .filter_map(|line| line.task.id.parse().ok())
        .collect();
    let nameless = lines.iter().filter(|line| line.task.id.is_empty()).count();
    if nameless == 0 {
        return Ok(());
    }
    let count = (nameless + chosen.len()) as u64;
    let reserved = match client.ask(&Message::ReserveIds(ReserveIds { count }))? {
        Answer::Reserved(reserved) => reserved,
        other => return Err(Failure::unexpected_answer(&other)),
    };
    let mut numbers = (reserved.first..=reserved.last).filter(|number| !chosen.contains(number));
    // Numbers go by the file's order, not by the order of sending.
    let mut places: Vec<usize> = (0..lines.len())
        .filter(|place| lines[*place].task.id.is_empty())
        .collect();
    places.sort_by_key(|place| lines[*place].number);
    for place in places {
        let number = numbers
            .next()
            .ok_or_else(|| Failure::bug("the daemon set aside too few numbers"))?;
        lines[place].task.id = number.to_string();
    }
    Ok(())
}

/// The environment goes over the wire once; lines that have their own keep it.
fn name_environment(client: &mut Client, lines: &mut [Line]) -> Result<(), Failure> {
    let has_none = |line: &&mut Line| line.task.env.is_none() && line.task.env_ref.is_none();
    let mut lines = lines.iter_mut().filter(has_none).peekable();
    if lines.peek().is_none() {
        return Ok(());
    }
    let variables = queue::environment_for_tasks();
    let stored = match client.ask(&Message::Environment(Environment { variables }))? {
        Answer::Environment(stored) => stored,
        other => return Err(Failure::unexpected_answer(&other)),
    };
    for line in lines {
        line.task.env_ref = Some(stored.hash.clone());
    }
    Ok(())
}

/// A batch on its way. Answers come in the order of the messages, so one number says how far it is.
struct Delivery {
    messages: Vec<Message>,
    numbers: Vec<usize>,
    answered: usize,
    refused: Vec<(usize, ErrorAnswer)>,
    bar: Bar,
}

impl Delivery {
    /// Sends everything, and what was not answered again after a break.
    fn deliver(&mut self, context: &Context, mut client: Client) -> Result<(), Failure> {
        let mut deadline = Instant::now() + RECONNECT_WITHIN;
        loop {
            let before = self.answered;
            let Err(error) = self.send_rest(&mut client) else {
                self.bar.finish();
                return Ok(());
            };
            if self.answered > before {
                deadline = Instant::now() + RECONNECT_WITHIN;
            }
            client = self.reconnect(context, error, deadline)?;
        }
    }

    fn send_rest(&mut self, client: &mut Client) -> Result<(), ClientError> {
        let start = self.answered;
        let Self {
            messages,
            numbers,
            answered,
            refused,
            bar,
        } = self;
        client.ask_all(messages[start..].iter().cloned(), |place, answer| {
            if let Answer::Error(error) = answer {
                refused.push((numbers[start + place], error));
            }
            *answered = start + place + 1;
            bar.sent(*answered);
        })
    }

    fn reconnect(&self, context: &Context, error: ClientError, deadline: Instant) -> Result<Client, Failure> {
        let mut last: Failure = error.into();
        while Instant::now() < deadline {
            std::thread::sleep(RECONNECT_EVERY);
            match context.connect() {
                Ok(client) => return Ok(client),
                Err(error) => last = error,
            }
        }
        let (done, all) = (self.answered, self.messages.len());
        last.message = format!("{}; {done} of {all} tasks are queued for certain", last.message);
        Err(last)
    }

    /// What the daemon refused although the lines looked right.
    fn outcome(&self, name: &str) -> Result<(), Failure> {
        let Some((line, error)) = self.refused.first() else {
            return Ok(());
        };
        let queued = self.messages.len() - self.refused.len();
        let mut failure = Failure::from(error.clone());
        failure.message = format!("{name}:{line}: {}", failure.message);
        if self.refused.len() > 1 {
            let more = self.refused.len() - 1;
            failure.message = format!("{}\n       … and {more} more lines were refused", failure.message);
        }
        let queued = format!("{queued} of {} tasks were queued", self.messages.len());
        failure.hint = if failure.hint.is_empty() {
            queued
        } else {
            format!("{}; {queued}", failure.hint)
        };
        Err(failure)
    }
}
