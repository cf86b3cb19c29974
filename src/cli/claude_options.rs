//! The options of one Claude task, as `queue` takes them and as `show` says them again.

use crate::protocol::{ClaudeOptions, Denied, Permissions};

/// What a worker of kind `claude` is told beside its prompt; what is left out is as its profile says.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Claude options")]
#[group(skip)]
pub(crate) struct ClaudeArgs {
    /// The model
    #[arg(long)]
    model: Option<String>,
    /// The model to use while that one is overloaded
    #[arg(long, value_name = "MODEL")]
    fallback_model: Option<String>,
    /// How tools are permitted, like acceptEdits or plan
    #[arg(long, value_name = "MODE")]
    permission_mode: Option<String>,
    /// A tool that may be used, like "Bash(cargo *)"; may be repeated
    #[arg(long, value_name = "RULE")]
    allowed_tools: Vec<String>,
    /// A tool that may not be used; may be repeated
    #[arg(long, value_name = "RULE")]
    disallowed_tools: Vec<String>,
    /// End it after this many turns
    #[arg(long, value_name = "N")]
    max_turns: Option<u32>,
    /// The most it may cost with all its attempts, in US dollars
    #[arg(long, value_name = "DOLLARS", allow_negative_numbers = true)]
    max_budget_usd: Option<f64>,
    /// How much it thinks, like low or high
    #[arg(long, value_name = "LEVEL")]
    effort: Option<String>,
    /// Words to add to the system prompt
    #[arg(long, value_name = "TEXT")]
    append_system_prompt: Option<String>,
    /// MCP servers, as a file or JSON; may be repeated
    #[arg(long, value_name = "FILE|JSON")]
    mcp_config: Vec<String>,
    /// Wait for `answer` when a tool needs permission, rather than deny it
    #[arg(long)]
    ask: bool,
    /// Go on with this session
    #[arg(long, value_name = "SESSION", group = "session")]
    resume: Option<String>,
    /// Go on with the session of this task
    #[arg(long, value_name = "TASK", group = "session", value_parser = super::value::task_id)]
    continue_from: Option<String>,
    /// Do so in a copy of the session
    #[arg(long, requires = "session")]
    fork: bool,
}

impl ClaudeArgs {
    /// As the protocol has them; `None` if none was given.
    pub(crate) fn into_options(self) -> Option<Box<ClaudeOptions>> {
        let list = |items: Vec<String>| (!items.is_empty()).then_some(items);
        let options = ClaudeOptions {
            model: self.model,
            fallback_model: self.fallback_model,
            permission_mode: self.permission_mode,
            allowed_tools: list(self.allowed_tools),
            disallowed_tools: list(self.disallowed_tools),
            max_turns: self.max_turns,
            max_budget_usd: self.max_budget_usd,
            effort: self.effort,
            append_system_prompt: self.append_system_prompt,
            mcp_config: list(self.mcp_config),
            permissions: self.ask.then_some(Permissions::Ask),
            resume: self.resume,
            continue_from: self.continue_from,
            fork: self.fork,
            ..ClaudeOptions::default()
        };
        (options != ClaudeOptions::default()).then(|| Box::new(options))
    }
}

/// The options as the words that `queue` takes; those that it does not take, as the config names them.
pub(crate) fn words(options: &ClaudeOptions) -> Vec<String> {
    let mut words = Vec::new();
    let mut push = |name: &str, value: &Option<String>| {
        if let Some(value) = value {
            words.extend([name.to_owned(), value.clone()]);
        }
    };
    push("binary", &options.binary);
    push("--model", &options.model);
    push("--fallback-model", &options.fallback_model);
    push("--permission-mode", &options.permission_mode);
    push("--max-turns", &options.max_turns.map(|turns| turns.to_string()));
    push(
        "--max-budget-usd",
        &options.max_budget_usd.map(|dollars| dollars.to_string()),
    );
    push("--effort", &options.effort);
    push("--append-system-prompt", &options.append_system_prompt);
    push("--resume", &options.resume);
    push("--continue-from", &options.continue_from);
    let lists = [
        ("--allowed-tools", &options.allowed_tools),
        ("--disallowed-tools", &options.disallowed_tools),
        ("--mcp-config", &options.mcp_config),
        ("extra_args", &options.extra_args),
    ];
    for (name, list) in lists {
        for item in list.iter().flatten() {
            push(name, &Some(item.clone()));
        }
    }
    let flags = [
        ("--ask", options.permissions == Some(Permissions::Ask)),
        ("permissions=deny", options.permissions == Some(Permissions::Deny)),
        ("denied=warn", options.denied == Some(Denied::Warn)),
        ("denied=fail", options.denied == Some(Denied::Fail)),
        ("--fork", options.fork),
    ];
    words.extend(
        flags
            .iter()
            .filter(|(_, set)| *set)
            .map(|(name, _)| (*name).to_owned()),
    );
    words
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        claude: ClaudeArgs,
    }

    fn options(words: &[&str]) -> Option<Box<ClaudeOptions>> {
        let line = Line::try_parse_from(std::iter::once(&"queue").chain(words));
        line.unwrap().claude.into_options()
    }

    #[test]
    fn nothing_said_is_nothing_sent() {
        assert_eq!(options(&[]), None);
    }

    #[test]
    fn what_was_said_can_be_said_again() {
        let said = [
            "--model",
            "opus",
            "--fallback-model",
            "sonnet",
            "--permission-mode",
            "plan",
            "--max-turns",
            "5",
            "--max-budget-usd",
            "0.5",
            "--effort",
            "high",
            "--append-system-prompt",
            "be brief",
            "--continue-from",
            "7",
            "--allowed-tools",
            "Bash(git log:*, git show:*)",
            "--allowed-tools",
            "Edit",
            "--disallowed-tools",
            "WebFetch",
            "--mcp-config",
            "a.json",
            "--ask",
            "--fork",
        ];
        let options = options(&said).unwrap();
        // A comma is part of a rule.
        let allowed = options.allowed_tools.as_deref().unwrap();
        assert_eq!(allowed, ["Bash(git log:*, git show:*)", "Edit"]);
        assert_eq!(options.permissions, Some(Permissions::Ask));
        assert_eq!(words(&options), said);
    }

    #[test]
    fn only_one_session_can_be_gone_on_with() {
        for wrong in [
            &["--fork"][..],
            &["--resume", "a", "--continue-from", "7"],
            &["--continue-from", "bad id"],
            &["--max-turns", "many"],
        ] {
            let line = Line::try_parse_from(std::iter::once(&"queue").chain(wrong));
            assert!(line.is_err(), "{wrong:?}");
        }
    }
}
