//! The dialog that answers what a Claude worker asks: a permission, or questions with answers to choose from.
//!
//! Pure: keys in, in the end the message for the daemon out.

use std::collections::{BTreeMap, BTreeSet};

use super::typed::Key;
use crate::cli::question_text::{self, Choice};
use crate::protocol::{AnswerQuestion, QuestionView};

/// More answers than digits are not offered by number.
pub(super) const NUMBERED_MAX: usize = 9;

/// A question that is being answered.
#[derive(Clone, Debug)]
pub(super) struct Answering {
    pub(super) id: String,
    pub(super) question: QuestionView,
    /// Which of its own questions is up, of one that wants choices.
    pub(super) at: usize,
    /// The answers to it that are marked, where several may be.
    pub(super) marked: BTreeSet<usize>,
    answers: BTreeMap<String, String>,
    pub(super) text: Option<(Purpose, String)>,
}

/// What is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// What the model is told with a no.
    Reason,
    /// An answer in one's own words.
    OwnAnswer,
}

/// What a key leads to.
#[derive(Debug, PartialEq)]
pub(super) enum Led {
    /// More is to be said.
    On,
    /// Nothing is answered.
    Away,
    /// It is answered: the message, and what to say of it.
    Done(AnswerQuestion, String),
}

impl Answering {
    pub(super) fn new(id: &str, question: &QuestionView) -> Self {
        Self {
            id: id.to_owned(),
            question: question.clone(),
            at: 0,
            marked: BTreeSet::new(),
            answers: BTreeMap::new(),
            text: None,
        }
    }

    /// The question that is up, if there is something to choose.
    pub(super) fn choice(&self) -> Option<Choice<'_>> {
        question_text::choices(&self.question).into_iter().nth(self.at)
    }

    pub(super) fn key(&mut self, key: Key) -> Led {
        if let Some((purpose, text)) = self.text.take() {
            return self.type_text(purpose, text, key);
        }
        let several = self.choice().map(|choice| (choice.several, choice.options.len()));
        match (key, several) {
            (Key::Escape, _) => Led::Away,
            (Key::Char('d'), _) => {
                self.text = Some((Purpose::Reason, String::new()));
                Led::On
            }
            (Key::Char('y'), None) => self.done(true, None),
            (Key::Char('t'), Some(_)) => {
                self.text = Some((Purpose::OwnAnswer, String::new()));
                Led::On
            }
            (Key::Char(digit @ '1'..='9'), Some((several, count))) => {
                let number = digit as usize - '1' as usize;
                if number < count.min(NUMBERED_MAX) {
                    self.choose(number, several)
                } else {
                    Led::On
                }
            }
            (Key::Enter, Some(_)) if !self.marked.is_empty() => self.take_marked(),
            _ => Led::On,
        }
    }

    /// Something was pasted into the text.
    pub(super) fn paste(&mut self, pasted: &str) {
        if let Some((_, text)) = &mut self.text {
            text.push_str(pasted);
        }
    }

    fn type_text(&mut self, purpose: Purpose, mut text: String, key: Key) -> Led {
        match key {
            Key::Escape => return Led::On,
            Key::Enter if purpose == Purpose::Reason => {
                let reason = Some(text.trim().to_owned()).filter(|text| !text.is_empty());
                return self.done(false, reason);
            }
            Key::Enter if text.trim().is_empty() => return Led::On,
            Key::Enter => return self.answer(text.trim().to_owned()),
            other => edit(&mut text, other),
        }
        self.text = Some((purpose, text));
        Led::On
    }

    fn choose(&mut self, number: usize, several: bool) -> Led {
        if several {
            if !self.marked.remove(&number) {
                self.marked.insert(number);
            }
            return Led::On;
        }
        self.marked = BTreeSet::from([number]);
        self.take_marked()
    }

    fn take_marked(&mut self) -> Led {
        let marked = std::mem::take(&mut self.marked);
        let labels: Vec<String> = self
            .choice()
            .into_iter()
            .flat_map(|choice| choice.options)
            .enumerate()
            .filter(|(number, _)| marked.contains(number))
            .map(|(_, (label, _))| label.to_owned())
            .collect();
        self.answer(labels.join(", "))
    }

    /// The question that is up is answered: the next one, or the end.
    fn answer(&mut self, answer: String) -> Led {
        if let Some(question) = self.choice().map(|choice| choice.question.to_owned()) {
            self.answers.insert(question, answer);
        }
        self.at += 1;
        match self.choice() {
            Some(_) => Led::On,
            None => self.done(true, None),
        }
    }

    fn done(&self, allow: bool, message: Option<String>) -> Led {
        let line = question_text::line(&self.question);
        let words = match (allow, self.answers.is_empty()) {
            (true, true) => format!("task {}: allowed {line}", self.id),
            (true, false) => format!("task {}: answered {line}", self.id),
            (false, _) => format!("task {}: denied {line}", self.id),
        };
        let answer = AnswerQuestion {
            id: self.id.clone(),
            allow,
            message,
            request_id: Some(self.question.request_id.clone()),
            answers: if allow {
                self.answers.clone()
            } else {
                BTreeMap::new()
            },
        };
        Led::Done(answer, words)
    }
}

/// A line of text that is typed.
pub(super) fn edit(text: &mut String, key: Key) {
    match key {
        Key::Char(character) => text.push(character),
        Key::Backspace => {
            text.pop();
        }
        Key::Ctrl('u') => text.clear(),
        Key::Ctrl('w') => {
            let kept = text.trim_end().rfind(' ').map_or(0, |at| at + 1);
            text.truncate(kept);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answering(input: serde_json::Value) -> Answering {
        let question = QuestionView {
            request_id: "r1".into(),
            tool: "Tool".into(),
            input,
            ..QuestionView::default()
        };
        Answering::new("7", &question)
    }

    fn press(answering: &mut Answering, keys: &str) -> Led {
        let mut led = Led::On;
        for key in keys.chars() {
            let key = match key {
                '\n' => Key::Enter,
                '\x1b' => Key::Escape,
                other => Key::Char(other),
            };
            assert_eq!(led, Led::On, "more keys than questions");
            led = answering.key(key);
        }
        led
    }

    fn done(led: Led) -> AnswerQuestion {
        match led {
            Led::Done(answer, _) => answer,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_permission_is_given_or_not() {
        let bash = || answering(json!({"command": "make"}));
        assert!(done(press(&mut bash(), "y")).allow);
        let denied = done(press(&mut bash(), "drather not\n"));
        assert_eq!(
            (denied.allow, denied.message.as_deref()),
            (false, Some("rather not"))
        );
        assert_eq!(denied.request_id.as_deref(), Some("r1"));
        assert_eq!(done(press(&mut bash(), "d\n")).message, None);
        assert_eq!(press(&mut bash(), "dno\x1b"), Led::On);
        assert_eq!(press(&mut bash(), "x1\n\x1b"), Led::Away);
    }

    #[test]
    fn each_question_gets_its_answer() {
        let mut both = answering(json!({"questions": [
            {"question": "Drink?", "options": [{"label": "Tea"}, {"label": "Water"}]},
            {"question": "Extras?", "multiSelect": true, "options": [{"label": "Milk"}, {"label": "Ice"}]},
        ]}));
        assert_eq!(press(&mut both, "y9"), Led::On);
        let answers = done(press(&mut both, "2\n122\n")).answers;
        assert_eq!(answers["Drink?"], "Water");
        assert_eq!(answers["Extras?"], "Milk");
        let mut own = answering(json!({"questions": [{"question": "Drink?", "options": []}]}));
        assert_eq!(done(press(&mut own, "t\ntmate\n")).answers["Drink?"], "mate");
    }

    #[test]
    fn text_is_edited_at_its_end() {
        let mut text = "one two three".to_owned();
        edit(&mut text, Key::Ctrl('w'));
        edit(&mut text, Key::Backspace);
        assert_eq!(text, "one two");
        edit(&mut text, Key::Ctrl('u'));
        edit(&mut text, Key::Char('ü'));
        edit(&mut text, Key::Backspace);
        assert_eq!(text, "");
    }
}
