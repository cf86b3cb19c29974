//! Sends a checked batch: ids first, then every line in one stream, again if the connection breaks.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::lines::Line;
use super::progress::Bar;
use crate::cli::context::Context;
use crate::cli::exit::Failure;
use crate::cli::queue;
use crate::client::{Client, ClientError};
use crate::protocol::{Answer, Environment, ErrorAnswer, Message, ReserveIds};

/// A daemon that restarts is back within this time.
const RECONNECT_WITHIN: Duration = Duration::from_secs(15);
/// The pause between two tries to reach it.
const RECONNECT_EVERY: Duration = Duration::from_millis(100);

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
