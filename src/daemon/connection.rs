//! One connection: lines in, answers out in the same order, or a stream of events.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{timeout, Instant};

use super::clients::Clients;
use super::server::{Reload, Settings};
use crate::engine::{Command, Lineage};
use crate::protocol::{
    encode, Answer, End, ErrorAnswer, ErrorCode, Event, LineReader, Message, MetricsText, Subscribe,
};

/// Lines that are handed to the engine together: they share one sync and one wake-up.
const LINES_MAX: usize = 512;

/// Events that follow each other closely are sent together: a watcher of a thousand short tasks a
/// second is woken a hundred times, not three thousand. The first one after a pause goes at once.
const EVENTS_EVERY: Duration = Duration::from_millis(10);

/// What a connection needs of the daemon.
#[derive(Clone)]
pub(super) struct Connection {
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) settings: Settings,
    pub(super) clients: Arc<Clients>,
    pub(super) reload: Reload,
    pub(super) ended: watch::Receiver<bool>,
    /// Who is at its other end.
    pub(super) from: Lineage,
}

/// Why a connection is over.
enum Over {
    /// The client left, was cut off, or the daemon ends.
    Closed,
    /// The stream failed.
    Broken(io::Error),
}

impl From<io::Error> for Over {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

impl Connection {
    /// Serves the connection until either side ends it.
    pub(super) async fn serve(mut self, stream: UnixStream, from: Lineage) {
        self.from = from;
        let (reader, writer) = stream.into_split();
        let mut lines = LineReader::with_limit(reader, self.settings.line_bytes);
        let mut out = Writer {
            stream: writer,
            buffer: Vec::new(),
            settings: self.settings,
            clients: Arc::clone(&self.clients),
        };
        if let Err(Over::Broken(error)) = self.converse(&mut lines, &mut out).await {
            tracing::debug!(%error, "a connection broke");
        }
    }

    async fn converse(
        &mut self,
        lines: &mut LineReader<OwnedReadHalf>,
        out: &mut Writer,
    ) -> Result<(), Over> {
        let mut is_new = true;
        loop {
            let mut ended = self.ended.clone();
            let batch = tokio::select! {
                batch = lines.next_batch(LINES_MAX) => Some(batch?),
                _ = ended.wait_for(|ended| *ended) => None,
            };
            let Some(batch) = batch else {
                // Who has just come is told why, to come again.
                let refusal = Answer::Error(ErrorAnswer::shutting_down());
                return if is_new {
                    out.send(&[refusal]).await
                } else {
                    Ok(())
                };
            };
            is_new = false;
            let read_at = std::time::Instant::now();
            self.clients.heard(&batch.messages);
            let mut pending = Vec::with_capacity(batch.messages.len());
            for message in batch.messages {
                match message {
                    Ok(Message::Subscribe(wanted)) => {
                        self.ask(std::mem::take(&mut pending), read_at, out).await?;
                        self.stream_events(wanted, lines, out).await?;
                    }
                    Ok(Message::Metrics {}) => {
                        self.ask(std::mem::take(&mut pending), read_at, out).await?;
                        let text = self.clients.metrics().await;
                        out.send(&[Answer::Metrics(MetricsText { text })]).await?;
                    }
                    Ok(Message::Reload {}) => pending.push(self.reload().await),
                    message => pending.push(message),
                }
            }
            self.ask(pending, read_at, out).await?;
            match batch.end {
                None => {}
                Some(End::Closed) => return Ok(()),
                Some(End::Endless) => return self.cut_off(out).await,
            }
        }
    }

    /// Hands lines to the engine and writes its answers.
    async fn ask(
        &self,
        messages: Vec<Result<Message, ErrorAnswer>>,
        read_at: std::time::Instant,
        out: &mut Writer,
    ) -> Result<(), Over> {
        if messages.is_empty() {
            return Ok(());
        }
        let count = messages.len();
        let (reply, answers) = oneshot::channel();
        // If the engine has ended, sending fails, or the reply is dropped unused.
        let _ = self
            .commands
            .send(Command::Ask {
                messages,
                from: self.from.clone(),
                read_at,
                reply,
            })
            .await;
        match answers.await {
            Ok(answers) => out.send(&answers).await,
            Err(_) => {
                let refusal = Answer::Error(ErrorAnswer::shutting_down());
                out.send(&vec![refusal; count]).await?;
                Err(Over::Closed)
            }
        }
    }

    /// Reads the config again; the engine answers the message that is left.
    async fn reload(&self) -> Result<Message, ErrorAnswer> {
        self.may_reload().await?;
        let reloaded = (self.reload)().map_err(|error| ErrorAnswer {
            code: ErrorCode::InvalidConfig,
            message: error.to_string(),
            hint: "the old config stays in force; `wezterm-parallel config check` tells more".to_owned(),
        })?;
        // The engine may be ending: then it does not answer the message either.
        let _ = self.commands.send(Command::Reload(Box::new(reloaded))).await;
        Ok(Message::Reload {})
    }

    /// Reading the config has effects before the engine sees the message, which decides who may ask for it.
    async fn may_reload(&self) -> Result<(), ErrorAnswer> {
        let (reply, answers) = oneshot::channel();
        let asked = Command::Ask {
            messages: vec![Ok(Message::Reload {})],
            from: self.from.clone(),
            read_at: std::time::Instant::now(),
            reply,
        };
        // An engine that is ending refuses the message itself.
        let _ = self.commands.send(asked).await;
        match answers.await.map(|mut answers| answers.pop()) {
            Ok(Some(Answer::Error(refusal))) => Err(refusal),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// From here on this connection only gets events.
    async fn stream_events(
        &mut self,
        wanted: Subscribe,
        lines: &mut LineReader<OwnedReadHalf>,
        out: &mut Writer,
    ) -> Result<(), Over> {
        let (events_tx, mut events) = mpsc::channel(self.settings.event_buffer.max(1));
        let (reply, answer) = oneshot::channel();
        let asked = self
            .commands
            .send(Command::Subscribe {
                wanted,
                events: events_tx,
                reply,
            })
            .await;
        asked.map_err(|_| Over::Closed)?;
        let answer = answer.await.map_err(|_| Over::Closed)?;
        let refused = matches!(answer, Answer::Error(_));
        out.send(&[answer]).await?;
        if refused {
            return Ok(());
        }
        let mut next = Instant::now();
        loop {
            tokio::select! {
                event = next_event(&mut events, next) => {
                    out.send(&gather(event.ok_or(Over::Closed)?, &mut events)).await?;
                    next = Instant::now() + EVENTS_EVERY;
                }
                batch = lines.next_batch(LINES_MAX) => {
                    let batch = batch?;
                    let refusals: Vec<Answer> = batch.messages.iter().map(|_| Answer::Error(subscribed())).collect();
                    out.send(&refusals).await?;
                    if batch.end.is_some() {
                        return Err(Over::Closed);
                    }
                }
            }
        }
    }

    async fn cut_off(&self, out: &mut Writer) -> Result<(), Over> {
        let message = format!(
            "a line went on past eight times the limit of {} bytes",
            self.settings.line_bytes
        );
        let hint = "end each message with a newline".to_owned();
        out.send(&[Answer::Error(ErrorAnswer {
            code: ErrorCode::LineTooLong,
            message,
            hint,
        })])
        .await
    }
}

/// The next event, not before this moment. Cancel-safe: an event is taken in the last step.
async fn next_event(events: &mut mpsc::Receiver<Event>, not_before: Instant) -> Option<Event> {
    tokio::time::sleep_until(not_before).await;
    events.recv().await
}

/// An event and those that are there already, as one write.
fn gather(first: Event, events: &mut mpsc::Receiver<Event>) -> Vec<Answer> {
    let mut all = vec![Answer::Event(first)];
    while all.len() < LINES_MAX {
        match events.try_recv() {
            Ok(event) => all.push(Answer::Event(event)),
            Err(_) => break,
        }
    }
    all
}

fn subscribed() -> ErrorAnswer {
    ErrorAnswer {
        code: ErrorCode::InvalidValue,
        message: "this connection has subscribed and only gets events".to_owned(),
        hint: "ask on another connection".to_owned(),
    }
}

/// The writing half; a peer that does not read is cut off after a while.
struct Writer {
    stream: OwnedWriteHalf,
    buffer: Vec<u8>,
    settings: Settings,
    clients: Arc<Clients>,
}

impl Writer {
    async fn send(&mut self, answers: &[Answer]) -> Result<(), Over> {
        self.clients.answered(answers);
        self.buffer.clear();
        for answer in answers {
            encode(answer, &mut self.buffer);
        }
        let mut rest = self.buffer.as_slice();
        while !rest.is_empty() {
            // The limit is for progress, not for the whole: a slow reader of much is no dead one.
            let written = timeout(self.settings.write_timeout, self.stream.write(rest)).await;
            let count = written.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
            rest = &rest[count..];
        }
        // One large answer must not be paid for as long as the connection lasts.
        self.buffer.shrink_to(64 * 1024);
        Ok(())
    }
}

/// Tells a client why it is not served.
pub(super) async fn refuse(mut stream: impl AsyncWrite + Unpin, refusal: ErrorAnswer) {
    let mut line = Vec::new();
    encode(&Answer::Error(refusal), &mut line);
    // It may have left already.
    let _ = timeout(std::time::Duration::from_secs(1), stream.write_all(&line)).await;
}
