//! Which tasks of the history are wanted, and the query that finds them.

use std::fmt;
use std::str::FromStr;

use rusqlite::types::Value;

use super::insert::{first_number, NUMBERS_OF_A_MS};
use super::tokens::{any_of, occurs, Whole};

/// So many tasks that ended in one moment push each other's numbers on by a second or so.
const PUSHED_ON: i64 = 1000 * NUMBERS_OF_A_MS;

/// A place in the history; what comes after it is older.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor(pub(super) i64);

impl fmt::Display for Cursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl FromStr for Cursor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse()
            .map(Self)
            .map_err(|_| "a page is the number that the page before ends with")
    }
}

/// What is wanted; of lists, one of the values, and all if they are empty.
#[derive(Clone, Debug, Default)]
pub struct HistoryFilter {
    /// The task with this id.
    pub id: Option<String>,
    /// Workspaces; an empty name is that of tasks without one.
    pub workspaces: Vec<String>,
    /// Worker profiles.
    pub workers: Vec<String>,
    /// Labels.
    pub labels: Vec<String>,
    /// States.
    pub states: Vec<String>,
    /// Reasons.
    pub reasons: Vec<String>,
    /// Outcomes, of any attempt.
    pub outcomes: Vec<String>,
    /// Ended at this moment or later.
    pub since_ms: Option<u64>,
    /// Ended before this moment.
    pub until_ms: Option<u64>,
    /// This text, in whatever case, stands in the command.
    pub command: Option<String>,
    /// This text stands in the command, or in what the last attempt had to say.
    pub search: Option<String>,
    /// Older than this place.
    pub after: Option<Cursor>,
}

/// A query and the values for its places.
pub(super) struct Query {
    pub(super) sql: String,
    pub(super) values: Vec<Value>,
}

impl HistoryFilter {
    /// Finds the rows, newest first, at most so many.
    pub(super) fn query(&self, columns: &str, limit: usize) -> Query {
        let mut query = Building::default();
        let index = self.index();
        let from = match (&index, &self.id) {
            (Some(index), None) => {
                query.and("search MATCH", Value::Text(index.clone()));
                // In this order, or SQLite would look up each task of the table in the index.
                "search CROSS JOIN tasks AS t ON t.number = search.rowid"
            }
            _ => "tasks AS t",
        };
        let place = if from.starts_with("search") {
            "search.rowid"
        } else {
            "t.number"
        };
        self.bounds(place, &mut query);
        self.verify(&mut query);
        let Building {
            conditions,
            mut values,
        } = query;
        let conditions = if conditions.is_empty() {
            "1".to_owned()
        } else {
            conditions.join(" AND ")
        };
        values.push(Value::Integer(i64::try_from(limit).unwrap_or(i64::MAX)));
        let limit = values.len();
        Query {
            sql: format!(
                "SELECT {columns} FROM {from} WHERE {conditions} ORDER BY {place} DESC LIMIT ?{limit}"
            ),
            values,
        }
    }

    /// What the search index can tell; `None` if it has nothing to say.
    fn index(&self) -> Option<String> {
        let wholes = [
            any_of(Whole::Workspace, &self.workspaces),
            any_of(Whole::Worker, &self.workers),
            any_of(Whole::Label, &self.labels),
            any_of(Whole::State, &self.states),
            any_of(Whole::Reason, &self.reasons),
            any_of(Whole::Outcome, &self.outcomes),
        ];
        let texts = [&self.command, &self.search].map(|text| text.as_deref().and_then(occurs));
        let all: Vec<String> = wholes.into_iter().chain(texts).flatten().collect();
        (!all.is_empty()).then(|| all.join(" AND "))
    }

    /// Numbers follow the time, and are never before it.
    fn bounds(&self, place: &str, query: &mut Building) {
        if let Some(since) = self.since_ms {
            query.and(&format!("{place} >="), Value::Integer(first_number(since)));
        }
        let until = self
            .until_ms
            .map(|until| first_number(until).saturating_add(PUSHED_ON));
        let before = self.after.map(|cursor| cursor.0);
        if let Some(before) = until.into_iter().chain(before).min() {
            query.and(&format!("{place} <"), Value::Integer(before));
        }
    }

    /// The index says what may be; the row says what is.
    fn verify(&self, query: &mut Building) {
        if let Some(id) = &self.id {
            query.and("t.id =", Value::Text(id.clone()));
        }
        query.one_of("t.workspace", &self.workspaces);
        query.one_of("t.worker", &self.workers);
        query.one_of("t.label", &self.labels);
        query.one_of("t.state", &self.states);
        query.one_of("t.reason", &self.reasons);
        if !self.outcomes.is_empty() {
            let places: Vec<String> = self
                .outcomes
                .iter()
                .map(|outcome| {
                    let place = query.value(Value::Text(format!(" {outcome} ")));
                    format!("instr(' ' || t.outcomes || ' ', ?{place}) > 0")
                })
                .collect();
            query.conditions.push(format!("({})", places.join(" OR ")));
        }
        if let Some(since) = self.since_ms {
            query.and("t.ended_at_ms >=", milliseconds(since));
        }
        if let Some(until) = self.until_ms {
            query.and("t.ended_at_ms <", milliseconds(until));
        }
        if let Some(text) = &self.command {
            let place = query.value(Value::Text(text.to_lowercase()));
            query
                .conditions
                .push(format!("holds(t.command, t.argv, NULL, ?{place})"));
        }
        if let Some(text) = &self.search {
            let place = query.value(Value::Text(text.to_lowercase()));
            query
                .conditions
                .push(format!("holds(t.command, t.argv, t.message, ?{place})"));
        }
    }
}

fn milliseconds(ms: u64) -> Value {
    Value::Integer(i64::try_from(ms).unwrap_or(i64::MAX))
}

#[derive(Default)]
struct Building {
    conditions: Vec<String>,
    values: Vec<Value>,
}

impl Building {
    /// The number of the place for a value.
    fn value(&mut self, value: Value) -> usize {
        self.values.push(value);
        self.values.len()
    }

    fn and(&mut self, condition: &str, value: Value) {
        let place = self.value(value);
        self.conditions.push(format!("{condition} ?{place}"));
    }

    fn one_of(&mut self, column: &str, values: &[String]) {
        if values.is_empty() {
            return;
        }
        let places: Vec<String> = values
            .iter()
            .map(|value| format!("?{}", self.value(Value::Text(value.clone()))))
            .collect();
        self.conditions
            .push(format!("{column} IN ({})", places.join(", ")));
    }
}
