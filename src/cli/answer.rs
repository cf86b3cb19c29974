//! `answer`: tells a waiting Claude worker whether it may use a tool, or what the user chooses.

use std::collections::BTreeMap;

use super::context::Context;
use super::exit::{Exit, Failure};
use super::question_text::{self, Choice};
use super::{process_text, screen, text, value};
use crate::protocol::{AnswerQuestion, Message, QuestionView, TaskView};

/// Answer the question of a waiting task
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "wezterm-parallel answer ID allow [--choose ANSWER]\n       \
                      wezterm-parallel answer ID deny [--message TEXT]",
    after_help = "`show ID` has the question in full. The oldest one is answered unless --request\n\
                  names another. What is chosen may be one of the answers offered or any other\n\
                  text; if there are several questions, name each: --choose 'QUESTION=ANSWER'.\n\n\
                  Examples:\n  \
                  wezterm-parallel answer 7 allow\n  \
                  wezterm-parallel answer 7 deny --message 'use the test database'\n  \
                  wezterm-parallel answer 7 allow --choose 'Green tea'"
)]
pub(crate) struct AnswerArgs {
    /// The task
    #[arg(value_parser = value::task_id)]
    id: String,
    /// Whether it may use the tool: allow or deny
    #[arg(value_enum, hide_possible_values = true)]
    decision: Decision,
    /// With deny: what the model is told
    #[arg(long, short, value_name = "TEXT")]
    message: Option<String>,
    /// This question, by its request id
    #[arg(long, value_name = "ID")]
    request: Option<String>,
    /// The answer to a question that offers some; may be repeated
    #[arg(long, value_name = "[QUESTION=]ANSWER")]
    choose: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Decision {
    Allow,
    Deny,
}

impl AnswerArgs {
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Failure> {
        self.check()?;
        let task = context.task(self.id.clone())?;
        let question = asked(&task, self.request.as_deref())?;
        let answers = match self.decision {
            Decision::Allow => chosen(&task.id, question, &self.choose)?,
            Decision::Deny => BTreeMap::new(),
        };
        let words = self.words(question, &answers);
        let exit = context.change(&Message::Answer(AnswerQuestion {
            id: self.id,
            allow: self.decision == Decision::Allow,
            message: self.message,
            // Named even if it is the oldest: another may be by the time that this arrives.
            request_id: Some(question.request_id.clone()),
            answers,
        }))?;
        screen::note(&words);
        Ok(exit)
    }

    fn check(&self) -> Result<(), Failure> {
        match self.decision {
            Decision::Allow if self.message.is_some() => Err(Failure::usage(
                "a message goes with `deny`: a tool that is allowed says nothing to the model",
            )
            .hint("leave --message out, or deny")),
            Decision::Deny if !self.choose.is_empty() => {
                Err(Failure::usage("`deny` chooses nothing").hint("leave --choose out, or allow"))
            }
            _ => Ok(()),
        }
    }

    /// What was done, for the person who did it.
    fn words(&self, question: &QuestionView, answers: &BTreeMap<String, String>) -> String {
        let line = question_text::line(question);
        if !answers.is_empty() {
            let words = answers
                .iter()
                .map(|(question, answer)| format!("{} → {}", text::visible(question), text::visible(answer)));
            return format!("answered {}", words.collect::<Vec<_>>().join(", "));
        }
        match self.decision {
            Decision::Allow => format!("allowed {line}"),
            Decision::Deny => format!("denied {line}"),
        }
    }
}

/// The question that is meant.
fn asked<'a>(task: &'a TaskView, request: Option<&str>) -> Result<&'a QuestionView, Failure> {
    let id = &task.id;
    let Some(first) = task.questions.first() else {
        return Err(Failure::refused(format!(
            "task {id} asks nothing: it {}",
            process_text::stands(&task.state)
        ))
        .hint("`wezterm-parallel status --state waiting` lists the tasks that ask"));
    };
    let Some(request) = request else {
        return Ok(first);
    };
    let found = task
        .questions
        .iter()
        .find(|question| question.request_id == request);
    found.ok_or_else(|| {
        Failure::refused(format!("task {id} has no open question {request}"))
            .hint(format!("`wezterm-parallel show {id}` lists its questions"))
    })
}

/// The answers by the questions' own words; empty for a question that wants a permission alone.
fn chosen(id: &str, question: &QuestionView, given: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    let choices = question_text::choices(question);
    if choices.is_empty() {
        return match given.first() {
            None => Ok(BTreeMap::new()),
            Some(_) => Err(Failure::usage(format!(
                "there is nothing to choose: task {id} asks for a permission"
            ))
            .hint(format!("`wezterm-parallel answer {id} allow`, or deny"))),
        };
    }
    let hint = format!(
        "`wezterm-parallel answer {id} allow {}`",
        question_text::answer_words(&choices)
    );
    let mut answers: BTreeMap<String, String> = BTreeMap::new();
    for words in given {
        let (choice, answer) =
            meant(&choices, words).ok_or_else(|| not_meant(&choices, words).hint(hint.clone()))?;
        let answer = offered(choice, answer);
        match answers.get_mut(choice.question) {
            None => {
                answers.insert(choice.question.to_owned(), answer);
            }
            Some(before) if choice.several => {
                before.push_str(", ");
                before.push_str(&answer);
            }
            Some(_) => {
                let message = format!("one answer is wanted to: {}", text::visible(choice.question));
                return Err(Failure::usage(message).hint(hint));
            }
        }
    }
    let open = choices
        .iter()
        .find(|choice| !answers.contains_key(choice.question));
    match open {
        None => Ok(answers),
        Some(open) => {
            let message = format!("an answer is missing to: {}", text::visible(open.question));
            Err(Failure::usage(message).hint(hint))
        }
    }
}

/// The question that an answer names, and the answer itself; one question need not be named.
fn meant<'a, 'b>(choices: &'a [Choice<'a>], words: &'b str) -> Option<(&'a Choice<'a>, &'b str)> {
    for choice in choices {
        for name in [choice.question, choice.header] {
            // A name may hold a `=` itself.
            let mut parts = words.match_indices('=').map(|(at, _)| words.split_at(at));
            let named =
                parts.find(|(given, _)| !name.is_empty() && given.to_lowercase() == name.to_lowercase());
            if let Some((_, answer)) = named {
                return Some((choice, &answer[1..]));
            }
        }
    }
    match choices {
        [only] => Some((only, words)),
        _ => None,
    }
}

fn not_meant(choices: &[Choice<'_>], words: &str) -> Failure {
    let count = choices.len();
    Failure::usage(format!(
        "`{}` names none of the {count} questions",
        text::visible(words)
    ))
}

/// An answer that was offered, as it was written there; any other text as it is.
fn offered(choice: &Choice<'_>, answer: &str) -> String {
    let labels = || choice.options.iter().map(|(label, _)| *label);
    labels()
        .find(|label| *label == answer)
        .or_else(|| labels().find(|label| label.to_lowercase() == answer.to_lowercase()))
        .unwrap_or(answer)
        .to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn question(questions: &serde_json::Value) -> QuestionView {
        QuestionView {
            tool: "AskUserQuestion".into(),
            input: json!({ "questions": questions }),
            wants_choice: true,
            ..QuestionView::default()
        }
    }

    fn drink() -> QuestionView {
        question(&json!([{"question": "Which = drink?", "header": "Drink",
                         "options": [{"label": "Tea"}, {"label": "Water"}]}]))
    }

    fn choose(question: &QuestionView, given: &[&str]) -> Result<Vec<(String, String)>, String> {
        let given: Vec<String> = given.iter().map(ToString::to_string).collect();
        match chosen("7", question, &given) {
            Ok(answers) => Ok(answers.into_iter().collect()),
            Err(failure) => Err(format!("{} | {}", failure.message, failure.hint)),
        }
    }

    fn pairs(pairs: &[(&str, &str)]) -> Result<Vec<(String, String)>, String> {
        Ok(pairs.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect())
    }

    #[test]
    fn one_question_need_not_be_named() {
        for given in ["tea", "Tea", "Drink=Tea", "drink=tea", "Which = drink?=tea"] {
            assert_eq!(
                choose(&drink(), &[given]),
                pairs(&[("Which = drink?", "Tea")]),
                "{given}"
            );
        }
        assert_eq!(
            choose(&drink(), &["mate, a=b"]),
            pairs(&[("Which = drink?", "mate, a=b")])
        );
    }

    #[test]
    fn several_questions_are_named_and_all_answered() {
        let both = question(&json!([
            {"question": "Drink?", "options": [{"label": "Tea"}]},
            {"question": "Extras?", "multiSelect": true, "options": [{"label": "Milk"}, {"label": "Ice"}]},
        ]));
        assert_eq!(
            choose(&both, &["Extras?=milk", "Drink?=Tea", "Extras?=ice"]),
            pairs(&[("Drink?", "Tea"), ("Extras?", "Milk, Ice")])
        );
        let hint = "`wezterm-parallel answer 7 allow --choose 'Drink?=Tea' --choose 'Extras?=Milk'`";
        for (given, message) in [
            (&["Tea"][..], "`Tea` names none of the 2 questions"),
            (&["Drink?=Tea"], "an answer is missing to: Extras?"),
            (&["Drink?=Tea", "Drink?=Water"], "one answer is wanted to: Drink?"),
            (&[], "an answer is missing to: Drink?"),
        ] {
            assert_eq!(choose(&both, given), Err(format!("{message} | {hint}")));
        }
    }

    #[test]
    fn a_permission_offers_no_choice() {
        let bash = QuestionView {
            tool: "Bash".into(),
            input: json!({"command": "make"}),
            ..QuestionView::default()
        };
        assert_eq!(choose(&bash, &[]), pairs(&[]));
        let error = choose(&bash, &["yes"]).unwrap_err();
        assert!(
            error.starts_with("there is nothing to choose: task 7 asks for a permission"),
            "{error}"
        );
    }

    #[test]
    fn the_oldest_question_is_meant_unless_another_is_named() {
        let mut task = TaskView {
            id: "7".into(),
            state: "running".into(),
            ..TaskView::default()
        };
        let failure = asked(&task, None).unwrap_err();
        assert_eq!(failure.message, "task 7 asks nothing: it is running");
        for id in ["a", "b"] {
            task.questions.push(QuestionView {
                request_id: id.into(),
                ..QuestionView::default()
            });
        }
        assert_eq!(asked(&task, None).unwrap().request_id, "a");
        assert_eq!(asked(&task, Some("b")).unwrap().request_id, "b");
        let failure = asked(&task, Some("c")).unwrap_err();
        assert_eq!(failure.message, "task 7 has no open question c");
    }
}
