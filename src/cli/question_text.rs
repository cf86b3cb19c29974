//! How the questions of Claude workers read: in one short line, in full, and what to type as an answer.
//!
//! Pure. What a tool is to do comes from a model: it is shown with its control characters made visible.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use serde_json::Value;

use super::process_text;
use super::text::{self, BOLD, DIM, YELLOW};
use super::value::short_duration;
use crate::claude::KEY_ARGUMENTS;
use crate::protocol::{QuestionView, TaskView};

/// Lines shown of one argument; `show --json` has them all.
const ARGUMENT_LINES_MAX: usize = 12;
/// Columns shown of one of these lines.
const ARGUMENT_COLUMNS_MAX: usize = 400;
/// One of the questions that an `AskUserQuestion` puts to the user.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Choice<'a> {
    /// Its own words.
    pub(crate) question: &'a str,
    /// The CLI's short name for it; may be empty.
    pub(crate) header: &'a str,
    /// Answers and what they mean.
    pub(crate) options: Vec<(&'a str, &'a str)>,
    /// More than one answer may be given.
    pub(crate) several: bool,
}

/// The choices of a question that wants some; none for one that wants a permission alone.
pub(crate) fn choices(question: &QuestionView) -> Vec<Choice<'_>> {
    let list = question.input.get("questions").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(choice).collect()
}

fn choice(value: &Value) -> Option<Choice<'_>> {
    let options = value.get("options").and_then(Value::as_array);
    let option = |option| {
        Some((
            word(option, "label")?,
            word(option, "description").unwrap_or_default(),
        ))
    };
    Some(Choice {
        question: word(value, "question")?,
        header: word(value, "header").unwrap_or_default(),
        options: options.into_iter().flatten().filter_map(option).collect(),
        several: value.get("multiSelect").and_then(Value::as_bool).unwrap_or(false),
    })
}

fn word<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key)?.as_str()
}

/// `Bash: echo hi > out.txt`, with what is hidden made visible.
pub(crate) fn line(question: &QuestionView) -> String {
    let tool = text::visible(&question.tool);
    match subject(question) {
        Some(subject) => format!("{tool}: {}", text::visible(subject)),
        None => tool,
    }
}

/// What the tool is about: its key argument, else its first text.
fn subject(question: &QuestionView) -> Option<&str> {
    if let Some(choice) = question.input.get("questions").and_then(|list| list.get(0)) {
        return word(choice, "question");
    }
    let input = question.input.as_object()?;
    let named = KEY_ARGUMENTS.iter().find_map(|key| input.get(*key)?.as_str());
    named.or_else(|| input.values().find_map(Value::as_str))
}

/// All open questions of a waiting task in a few words: the oldest, and how many more there are.
pub(crate) fn waiting_words(questions: &[QuestionView]) -> Option<String> {
    let (first, rest) = questions.split_first()?;
    Some(match rest.len() {
        0 => line(first),
        more => format!("{} +{more}", line(first)),
    })
}

/// Tells the questions of tasks, each once, to a person who waits for these tasks.
#[derive(Debug, Default)]
pub(crate) struct Teller {
    told: HashSet<(String, String)>,
    /// What the worker reported last, by task.
    reported: HashMap<String, String>,
}

impl Teller {
    /// What the worker reports, if that is new.
    fn new_report(&mut self, task: &TaskView) -> Option<String> {
        let id = &task.id;
        let Some(words) = process_text::reported(task) else {
            self.reported.remove(id);
            return None;
        };
        let before = self.reported.insert(id.clone(), words.clone());
        let (noun, shown) = (process_text::noun(id), text::visible(&words));
        (before.as_ref() != Some(&words)).then(|| format!("{YELLOW}{noun} {id}:{YELLOW:#} {shown}"))
    }

    /// What to say of the questions that are new, and of what the worker reports.
    pub(crate) fn news(&mut self, task: &TaskView) -> Vec<String> {
        let id = &task.id;
        let new = |question: &&QuestionView| self.told.insert((id.clone(), question.request_id.clone()));
        let words = |question| {
            let line = line(question);
            // What may be chosen takes more than a line.
            let next = if choices(question).is_empty() {
                format!("answer {id} allow, or deny")
            } else {
                format!("show {id}")
            };
            format!("{YELLOW}task {id} asks:{YELLOW:#} {line} (wezterm-parallel {next})")
        };
        let questions: Vec<String> = task.questions.iter().filter(new).map(words).collect();
        questions.into_iter().chain(self.new_report(task)).collect()
    }
}

/// Every open question in full, each with the commands that answer it.
pub(crate) fn in_full(id: &str, questions: &[QuestionView], now_ms: u64) -> String {
    let mut shown = String::new();
    for (n, question) in questions.iter().enumerate() {
        // Without it, the oldest is meant.
        let request = if n == 0 {
            String::new()
        } else {
            format!(
                " --request {}",
                text::quoted(std::slice::from_ref(&question.request_id))
            )
        };
        let asked = short_duration(now_ms.saturating_sub(question.asked_at_ms));
        let tool = text::visible(&question.tool);
        let _ = writeln!(
            shown,
            "\n{YELLOW}{BOLD}? {tool}{BOLD:#}{YELLOW:#} {DIM}asked {asked} ago{DIM:#}"
        );
        // Most tools have it among their arguments, too.
        let repeated = |words: &&String| word(&question.input, "description") != Some(words.as_str());
        if let Some(description) = question.description.as_ref().filter(repeated) {
            let _ = writeln!(shown, "  {}", text::visible(description));
        }
        let choices = choices(question);
        let answer = format!("wezterm-parallel answer {id}");
        if choices.is_empty() {
            push_input(&mut shown, &question.input);
            let _ = writeln!(shown, "  {BOLD}{answer} allow{request}{BOLD:#}");
        } else {
            push_choices(&mut shown, &choices);
            let words = answer_words(&choices);
            let _ = writeln!(shown, "  {BOLD}{answer} allow{request} {words}{BOLD:#}");
        }
        let _ = writeln!(
            shown,
            "  {BOLD}{answer} deny{request} --message 'rather …'{BOLD:#}"
        );
    }
    shown
}

fn push_input(shown: &mut String, input: &Value) {
    let Some(arguments) = input.as_object() else {
        let _ = writeln!(shown, "  {}", text::visible(&input.to_string()));
        return;
    };
    for (name, value) in arguments {
        let words = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let name = text::visible(name);
        let lines: Vec<&str> = words.lines().collect();
        if let [line] = lines[..] {
            let _ = writeln!(shown, "  {DIM}{name}:{DIM:#} {}", argument_line(line));
            continue;
        }
        let _ = writeln!(shown, "  {DIM}{name}:{DIM:#}");
        for line in lines.iter().take(ARGUMENT_LINES_MAX) {
            let _ = writeln!(shown, "    {}", argument_line(line));
        }
        if lines.len() > ARGUMENT_LINES_MAX {
            let more = lines.len() - ARGUMENT_LINES_MAX;
            let _ = writeln!(
                shown,
                "    {DIM}… and {more} more lines (show --json has them){DIM:#}"
            );
        }
    }
}

fn argument_line(line: &str) -> String {
    text::truncated(&text::visible(line), ARGUMENT_COLUMNS_MAX)
}

fn push_choices(shown: &mut String, choices: &[Choice<'_>]) {
    for choice in choices {
        let several = if choice.several {
            " (several may be chosen)"
        } else {
            ""
        };
        let _ = writeln!(shown, "  {}{several}", text::visible(choice.question));
        for (label, description) in &choice.options {
            let _ = write!(shown, "    - {}", text::visible(label));
            if !description.is_empty() {
                let _ = write!(shown, "{DIM}: {}{DIM:#}", text::visible(description));
            }
            shown.push('\n');
        }
    }
}

/// `--choose Tea`, or with several questions `--choose 'Drink=Tea' --choose 'Size=Large'`.
pub(crate) fn answer_words(choices: &[Choice<'_>]) -> String {
    let alone = choices.len() == 1;
    let words = choices.iter().map(|choice| {
        let answer = choice.options.first().map_or("…", |(label, _)| label);
        let name = if choice.header.is_empty() {
            choice.question
        } else {
            choice.header
        };
        let words = if alone {
            answer.to_owned()
        } else {
            format!("{name}={answer}")
        };
        format!("--choose {}", text::quoted(&[text::visible(&words)]))
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: u64 = 1_800_000_000_000;

    fn question(tool: &str, input: Value) -> QuestionView {
        QuestionView {
            request_id: "06d8-1".into(),
            tool: tool.into(),
            input,
            asked_at_ms: NOW - 130_000,
            ..QuestionView::default()
        }
    }

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn a_line_names_the_tool_and_what_it_is_about() {
        let lines = [
            question(
                "Bash",
                json!({"description": "w", "command": "echo hi > out.txt"}),
            ),
            question("mcp__db__query", json!({"rows": 3, "sql": "drop\u{1b}[2J"})),
            question("Clock", json!({})),
            question("Odd", json!(7)),
            question("AskUserQuestion", json!({"questions": [{"question": "Which?"}]})),
        ];
        let lines: Vec<String> = lines.iter().map(line).collect();
        assert_eq!(
            lines,
            [
                "Bash: echo hi > out.txt",
                "mcp__db__query: drop\\x1b[2J",
                "Clock",
                "Odd",
                "AskUserQuestion: Which?"
            ]
        );
    }

    #[test]
    fn several_questions_are_counted() {
        let one = question("Bash", json!({"command": "make"}));
        assert_eq!(waiting_words(&[]), None);
        assert_eq!(
            waiting_words(&[one.clone(), one.clone(), one]).as_deref(),
            Some("Bash: make +2")
        );
    }

    #[test]
    fn a_question_is_told_once() {
        let mut task = TaskView {
            id: "7".into(),
            questions: vec![question("Bash", json!({"command": "make"}))],
            ..TaskView::default()
        };
        let mut teller = Teller::default();
        let told: Vec<String> = teller.news(&task).iter().map(|words| plain(words)).collect();
        assert_eq!(
            told,
            ["task 7 asks: Bash: make (wezterm-parallel answer 7 allow, or deny)"]
        );
        assert!(teller.news(&task).is_empty());
        task.questions[0].request_id = "06d8-2".into();
        assert_eq!(teller.news(&task).len(), 1);
    }

    #[test]
    fn a_question_in_full_says_how_to_answer_it() {
        let long: Vec<String> = (1..=14).map(|n| format!("line {n}")).collect();
        let input = json!({"file_path": "/home/me/a b", "content": long.join("\n"), "mode": 7});
        let mut second = question("Write", input);
        second.description = Some("the new file".into());
        let choice = json!({"questions": [
            {"question": "Which drink?", "header": "Drink", "multiSelect": true,
             "options": [{"label": "Green tea", "description": "hot"}, {"label": "Water"}]},
            {"question": "Now?", "options": [{"label": "Yes", "description": "at once"}]},
        ]});
        let questions = [
            question(
                "Bash",
                json!({"command": "echo hi > out.txt", "description": "w"}),
            ),
            second,
            question("AskUserQuestion", choice),
        ];
        insta::assert_snapshot!(plain(&in_full("7", &questions, NOW)).trim_start(), @r"
        ? Bash asked 2m10s ago
          command: echo hi > out.txt
          description: w
          wezterm-parallel answer 7 allow
          wezterm-parallel answer 7 deny --message 'rather …'

        ? Write asked 2m10s ago
          the new file
          content:
            line 1
            line 2
            line 3
            line 4
            line 5
            line 6
            line 7
            line 8
            line 9
            line 10
            line 11
            line 12
            … and 2 more lines (show --json has them)
          file_path: /home/me/a b
          mode: 7
          wezterm-parallel answer 7 allow --request 06d8-1
          wezterm-parallel answer 7 deny --request 06d8-1 --message 'rather …'

        ? AskUserQuestion asked 2m10s ago
          Which drink? (several may be chosen)
            - Green tea: hot
            - Water
          Now?
            - Yes: at once
          wezterm-parallel answer 7 allow --request 06d8-1 --choose 'Drink=Green tea' --choose 'Now?=Yes'
          wezterm-parallel answer 7 deny --request 06d8-1 --message 'rather …'
        ");
    }
}
