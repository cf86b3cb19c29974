//! How `show` reads for Claude tasks: the session and how to open it, what it cost, its options.
//!
//! Pure: views in, names and words out.

use super::claude_options;
use super::cost_text::{sum_by_model, tokens_words};
use super::text;
use super::value::short_dollars;
use crate::protocol::{AttemptView, TaskView};

/// What there is to say about a Claude task, as lines of a name and words.
pub(crate) fn facts(task: &TaskView) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if let Some(options) = &task.claude {
        let words = claude_options::words(options);
        facts.push(("options", text::quoted(&words)));
    }
    if let Some(session) = session(task) {
        facts.push(("session", session.to_owned()));
        facts.push(("open it", open_command(task, session)));
    }
    let attempts = || task.attempts.iter();
    let costs: Vec<f64> = attempts().filter_map(|attempt| attempt.cost_usd).collect();
    if !costs.is_empty() {
        facts.push(("cost", short_dollars(costs.iter().sum())));
    }
    let turns: Vec<u64> = attempts().filter_map(|attempt| attempt.turns).collect();
    if !turns.is_empty() {
        facts.push(("turns", turns.iter().sum::<u64>().to_string()));
    }
    let models = sum_by_model(attempts().map(|attempt| &attempt.tokens));
    for (n, (model, tokens)) in models.iter().enumerate() {
        let cost = short_dollars(tokens.cost_usd);
        let name = if n == 0 { "tokens" } else { "" };
        facts.push((name, format!("{model}: {}, {cost}", tokens_words(tokens))));
    }
    facts
}

/// The session of the last attempt that has one.
fn session(task: &TaskView) -> Option<&str> {
    task.attempts
        .iter()
        .rev()
        .find_map(|attempt| attempt.session_id.as_deref())
}

/// The line to type that opens the session for a person: it is found from its own folder only.
fn open_command(task: &TaskView, session: &str) -> String {
    let binary = task.claude.as_ref().and_then(|options| options.binary.as_deref());
    let words = |words: &[&str]| text::quoted(&words.iter().map(ToString::to_string).collect::<Vec<_>>());
    let worktree = task
        .worktree
        .as_ref()
        .and_then(|worktree| worktree.folder.as_deref());
    format!(
        "{} && {}",
        words(&["cd", worktree.unwrap_or(&task.cwd)]),
        words(&[binary.unwrap_or("claude"), "--resume", session])
    )
}

/// What an attempt's message says. That of a denial names the tools alone, which says little by itself.
pub(crate) fn message_words(attempt: &AttemptView) -> Option<String> {
    let message = text::visible(attempt.message.as_deref()?);
    Some(match attempt.outcome.as_deref() {
        Some("denied") => format!("denied: {message}"),
        _ => message,
    })
}

/// Whether a column of costs says anything.
pub(crate) fn any_cost(attempts: &[AttemptView]) -> bool {
    attempts.iter().any(|attempt| attempt.cost_usd.is_some())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::claude::Tokens;
    use crate::protocol::ClaudeOptions;

    fn attempt(n: u32, model: &str, cost_usd: f64) -> AttemptView {
        let tokens = Tokens {
            input: 1_234,
            output: 340,
            cache_read: 10_000 * u64::from(n - 1),
            cache_write: 0,
            cost_usd,
        };
        AttemptView {
            n,
            session_id: Some(format!("5e55-{n}")),
            cost_usd: Some(cost_usd),
            turns: Some(3),
            tokens: BTreeMap::from([(model.to_owned(), tokens)]),
            ..AttemptView::default()
        }
    }

    #[test]
    fn a_claude_task_says_its_session_and_its_cost() {
        let mut last = attempt(3, "opus", 0.25);
        last.tokens.extend(attempt(2, "haiku", 0.01).tokens);
        let task = TaskView {
            cwd: "/home/me/it's here".into(),
            claude: Some(Box::new(ClaudeOptions {
                model: Some("opus".into()),
                allowed_tools: Some(vec!["Bash(cargo *)".into()]),
                ..ClaudeOptions::default()
            })),
            attempts: vec![attempt(1, "opus", 0.5), last, AttemptView::default()],
            ..TaskView::default()
        };
        let facts = facts(&task);
        let lines: Vec<String> = facts
            .iter()
            .map(|(name, words)| format!("{name:<8}{words}"))
            .collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        options --model opus --allowed-tools 'Bash(cargo *)'
        session 5e55-3
        open it cd '/home/me/it'\''s here' && claude --resume 5e55-3
        cost    $0.7500
        turns   6
        tokens  haiku: 1.2k in, 340 out, 10.0k cache read, $0.0100
                opus: 2.5k in, 680 out, 20.0k cache read, $0.7500
        ");
        assert_eq!(super::facts(&TaskView::default()), []);
    }

    #[test]
    fn the_message_of_a_denial_says_that_it_is_one() {
        let words = |outcome: &str, message: Option<&str>| {
            message_words(&AttemptView {
                outcome: Some(outcome.into()),
                message: message.map(Into::into),
                ..AttemptView::default()
            })
        };
        let denied = words("denied", Some("Bash(make)"));
        assert_eq!(denied.as_deref(), Some("denied: Bash(make)"));
        let crashed = words("crashed", Some("out of\nmemory"));
        assert_eq!(crashed.as_deref(), Some("out of\\nmemory"));
        assert_eq!(words("denied", None), None);
    }
}
