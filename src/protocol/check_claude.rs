//! What can be said about the options of a Claude task without knowing anything else.

use super::check::{check_argument, check_name, invalid, Checked};
use super::ClaudeOptions;

/// More is a typing error.
const DOLLARS_MAX: f64 = 1_000_000.0;

/// Arguments of the CLI that the daemon itself gives, and what to use in their place.
const OWN_ARGUMENTS: [(&str, &str); 11] = [
    ("-p", "it is always given"),
    ("--print", "it is always given"),
    ("--output-format", "it is always stream-json"),
    ("--input-format", "`permissions` decides"),
    ("--permission-prompt-tool", "`permissions` decides"),
    ("--session-id", "the daemon chooses it"),
    ("--resume", "a task has `resume` and `continue_from`"),
    ("-r", "a task has `resume` and `continue_from`"),
    ("--continue", "a task has `continue_from`"),
    ("-c", "a task has `continue_from`"),
    (
        "--max-budget-usd",
        "use `max_budget_usd`, which the budgets know of",
    ),
];

/// An argument that the daemon itself gives, if there is one among these, and what to use in its place.
pub fn own_argument(arguments: &[String]) -> Option<(&'static str, &'static str)> {
    let name = |argument: &String| argument.split('=').next().unwrap_or_default().to_owned();
    let names: Vec<String> = arguments.iter().map(name).collect();
    OWN_ARGUMENTS
        .into_iter()
        .find(|(own, _)| names.iter().any(|name| name == own))
}

/// Checks the options of one task.
pub(super) fn check_claude(options: &ClaudeOptions) -> Checked {
    check_session(options)?;
    if options.max_turns == Some(0) {
        return Err(invalid(
            "`claude.max_turns` is 0",
            "at least 1; leave it out for no limit",
        ));
    }
    if let Some(dollars) = options.max_budget_usd {
        if !(dollars > 0.0 && dollars <= DOLLARS_MAX) {
            let message = format!("`claude.max_budget_usd` is {dollars}");
            return Err(invalid(message, "more than 0; leave it out for no limit"));
        }
    }
    if let Some((own, instead)) = own_argument(options.extra_args.as_deref().unwrap_or_default()) {
        return Err(invalid(format!("`claude.extra_args` holds {own}"), instead));
    }
    check_texts(options)?;
    check_lists(options)
}

/// Which session it goes on with.
fn check_session(options: &ClaudeOptions) -> Checked {
    if let Some(session) = &options.resume {
        check_name("claude.resume", session)?;
    }
    if let Some(task) = &options.continue_from {
        check_name("claude.continue_from", task)?;
    }
    match (&options.resume, &options.continue_from, options.fork) {
        (Some(_), Some(_), _) => Err(invalid(
            "the task has both `claude.resume` and `claude.continue_from`",
            "give it one of them",
        )),
        (None, None, true) => Err(invalid(
            "`claude.fork` is set, but there is no session to copy",
            "add `resume` with a session or `continue_from` with a task",
        )),
        _ => Ok(()),
    }
}

fn check_texts(options: &ClaudeOptions) -> Checked {
    let texts = [
        ("binary", &options.binary),
        ("model", &options.model),
        ("fallback_model", &options.fallback_model),
        ("permission_mode", &options.permission_mode),
        ("effort", &options.effort),
        ("append_system_prompt", &options.append_system_prompt),
    ];
    for (name, text) in texts {
        let field = format!("claude.{name}");
        match text {
            Some(text) if text.trim().is_empty() => {
                return Err(invalid(
                    format!("`{field}` is empty"),
                    "leave it out for the profile's",
                ));
            }
            Some(text) if name != "append_system_prompt" && text.chars().any(char::is_control) => {
                return Err(invalid(
                    format!("`{field}` holds a control character"),
                    "it is one line",
                ));
            }
            Some(text) => check_argument(&field, text)?,
            None => {}
        }
    }
    Ok(())
}

fn check_lists(options: &ClaudeOptions) -> Checked {
    let lists = [
        ("allowed_tools", &options.allowed_tools),
        ("disallowed_tools", &options.disallowed_tools),
        ("mcp_config", &options.mcp_config),
        ("extra_args", &options.extra_args),
    ];
    for (name, list) in lists {
        for (n, item) in list.iter().flatten().enumerate() {
            check_argument(&format!("claude.{name}[{n}]"), item)?;
        }
    }
    Ok(())
}
