//! Which tasks are shown: what a person types after `/`.
//!
//! Pure. Words that all have to fit: `state:failed`, `workspace:api`, `label:nightly`, `worker:claude`, or any text
//! that stands in the id, the command, the label or the workspace.

use crate::cli::task_text::command_line;
use crate::protocol::TaskView;

/// The words, as they were typed and as they are compared.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    text: String,
    words: Vec<Word>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Word {
    State(String),
    Workspace(String),
    Label(String),
    Worker(String),
    Text(String),
}

impl Filter {
    pub(super) fn new(text: &str) -> Self {
        Self {
            text: text.trim().to_owned(),
            words: text.split_whitespace().map(Word::new).collect(),
        }
    }

    /// As it was typed.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Whether a task fits.
    pub(super) fn fits(&self, task: &TaskView) -> bool {
        self.words.iter().all(|word| word.fits(task))
    }
}

impl Word {
    fn new(word: &str) -> Self {
        let word = word.to_lowercase();
        match word.split_once(':') {
            Some(("state" | "s", state)) => Self::State(state.to_owned()),
            Some(("workspace" | "w", name)) => Self::Workspace(name.to_owned()),
            Some(("label" | "l", label)) => Self::Label(label.to_owned()),
            Some(("worker", worker)) => Self::Worker(worker.to_owned()),
            _ => Self::Text(word),
        }
    }

    /// While a word is typed, its beginning fits already.
    fn fits(&self, task: &TaskView) -> bool {
        let label = task.label.as_deref().unwrap_or_default();
        match self {
            Self::State(state) => {
                let mut states = state.split(',');
                states.any(|state| task.state.starts_with(state))
            }
            Self::Workspace(name) => task.workspace.to_lowercase().starts_with(name),
            Self::Label(wanted) => label.to_lowercase().starts_with(wanted),
            Self::Worker(name) => task.worker.to_lowercase().starts_with(name),
            Self::Text(text) => {
                let has = |whole: &str| whole.to_lowercase().contains(text);
                has(&task.id) || has(label) || has(&task.workspace) || has(&command_line(task))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_words_have_to_fit() {
        let task = TaskView {
            id: "t7".into(),
            state: "failed".into(),
            workspace: "Api".into(),
            label: Some("Nightly".into()),
            worker: "shell".into(),
            command: Some("cargo test --workspace".into()),
            ..TaskView::default()
        };
        for fitting in [
            "",
            "t7",
            "CARGO",
            "state:failed",
            "s:run,fail",
            "state:",
            "w:api",
            "workspace:a label:night cargo",
            "worker:shell nightly",
        ] {
            assert!(Filter::new(fitting).fits(&task), "{fitting}");
        }
        for other in ["t8", "state:running", "w:web", "cargo build", "label:x"] {
            assert!(!Filter::new(other).fits(&task), "{other}");
        }
    }
}
