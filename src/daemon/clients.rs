//! What is counted of clients: connections, messages, errors.
//!
//! The server is one thread, so that nobody waits for the lock; it is there because connections move between tasks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::metrics::{catalog, Exporter, Ledger};
use crate::protocol::{Answer, ErrorAnswer, Message};

/// Why a connection is turned away.
#[derive(Clone, Copy, Debug)]
pub(super) enum Refused {
    /// Its peer is another user.
    User,
    /// Its peer has ended, so that nobody can tell whose it was.
    Gone,
    /// There are as many as there may be.
    TooMany,
}

impl Refused {
    fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Gone => "gone",
            Self::TooMany => "too_many",
        }
    }
}

/// Counts, and hands out what others have counted.
#[derive(Debug)]
pub(super) struct Clients {
    exporter: Arc<Exporter>,
    ledger: Mutex<Ledger>,
}

/// A client that is connected, as long as this lives.
pub(super) struct Connected<'a>(&'a Clients);

impl Clients {
    pub(super) fn new(exporter: Arc<Exporter>) -> Self {
        let mut ledger = exporter.ledger();
        ledger.set(catalog::CONNECTIONS, [], 0.0);
        ledger.add(catalog::CONNECTIONS_ACCEPTED, [], 0);
        for refused in [Refused::User, Refused::Gone, Refused::TooMany] {
            ledger.add(catalog::CONNECTIONS_REFUSED, [refused.name()], 0);
        }
        for result in ["ok", "failed"] {
            ledger.add(catalog::CONFIG_RELOADS, [result], 0);
        }
        Self {
            exporter,
            ledger: Mutex::new(ledger),
        }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // Whoever panicked has only counted.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more client, until what this returns is dropped.
    pub(super) fn connected(&self) -> Connected<'_> {
        let mut ledger = self.ledger();
        ledger.add(catalog::CONNECTIONS_ACCEPTED, [], 1);
        ledger.move_by(catalog::CONNECTIONS, [], 1.0);
        Connected(self)
    }

    pub(super) fn refused(&self, why: Refused, refusal: &ErrorAnswer) {
        let mut ledger = self.ledger();
        ledger.add(catalog::CONNECTIONS_REFUSED, [why.name()], 1);
        count_error(&mut ledger, refusal);
    }

    /// Lines of a client. What could not be read is counted with its answer.
    pub(super) fn heard(&self, messages: &[Result<Message, ErrorAnswer>]) {
        let mut ledger = self.ledger();
        for message in messages.iter().flatten() {
            ledger.add(catalog::MESSAGES, [message.name()], 1);
        }
    }

    /// Answers that go to a client.
    pub(super) fn answered(&self, answers: &[Answer]) {
        let errors = answers.iter().filter_map(|answer| match answer {
            Answer::Error(error) => Some(error),
            _ => None,
        });
        let mut errors = errors.peekable();
        if errors.peek().is_some() {
            let mut ledger = self.ledger();
            errors.for_each(|error| count_error(&mut ledger, error));
        }
    }

    /// The config was read again, or could not be.
    pub(super) fn reloaded(&self, is_ok: bool) {
        let result = if is_ok { "ok" } else { "failed" };
        self.ledger().add(catalog::CONFIG_RELOADS, [result], 1);
    }

    /// All metrics as text, made on another thread: the server has others to answer.
    pub(super) async fn metrics(&self) -> String {
        let exporter = Arc::clone(&self.exporter);
        let text = tokio::task::spawn_blocking(move || exporter.text()).await;
        text.unwrap_or_default()
    }
}

impl Drop for Connected<'_> {
    fn drop(&mut self) {
        self.0.ledger().move_by(catalog::CONNECTIONS, [], -1.0);
    }
}

fn count_error(ledger: &mut Ledger, error: &ErrorAnswer) {
    // The code's name is what serde makes of it.
    let code = serde_json::to_value(error.code).unwrap_or_default();
    ledger.add(catalog::PROTOCOL_ERRORS, [code.as_str().unwrap_or_default()], 1);
}
