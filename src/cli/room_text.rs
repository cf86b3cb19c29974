//! What workers are kept in, for people to read: facts of a task. Pure.

use crate::protocol::{SandboxReport, TaskView};

/// Limits and sandbox: of the last attempt that has ended, else as they will be set.
pub(crate) fn facts(task: &TaskView) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    facts.extend(task.limits.clone().map(|words| ("limits", words)));
    let last = task.attempts.last().and_then(|attempt| attempt.sandbox.as_ref());
    match (last, &task.sandbox) {
        (Some(report), None) => facts.extend(of_report(report)),
        (_, Some(words)) => facts.push(("sandbox", words.clone())),
        (None, None) => {}
    }
    facts
}

fn of_report(report: &SandboxReport) -> Vec<(&'static str, String)> {
    let mut facts = vec![("sandbox", report.words.clone())];
    let mut list = |name, paths: &[String]| {
        if !paths.is_empty() {
            facts.push((name, paths.join(", ")));
        }
    };
    list("writable", &report.writable);
    list("missing", &report.missing);
    let denied: Vec<String> = report.denied.iter().map(|denial| denial.path.clone()).collect();
    list("denied", &denied);
    facts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{AttemptView, Denial};

    #[test]
    fn what_held_and_what_was_denied_is_shown() {
        let report = SandboxReport {
            words: "files (Landlock ABI 7)".to_owned(),
            writable: vec!["/src".to_owned(), "/cache".to_owned()],
            missing: vec!["/gone".to_owned()],
            denied: vec![Denial {
                path: "/etc/x".to_owned(),
                add: "/etc".to_owned(),
                to_read: false,
            }],
            denied_unnamed: false,
        };
        let mut task = TaskView {
            limits: Some("nice 10".to_owned()),
            attempts: vec![AttemptView {
                sandbox: Some(report),
                ..AttemptView::default()
            }],
            ..TaskView::default()
        };
        let shown = |task: &TaskView| {
            let lines = facts(task)
                .into_iter()
                .map(|(name, words)| format!("{name}: {words}"));
            lines.collect::<Vec<_>>().join("\n")
        };
        insta::assert_snapshot!(shown(&task), @r"
        limits: nice 10
        sandbox: files (Landlock ABI 7)
        writable: /src, /cache
        missing: /gone
        denied: /etc/x
        ");
        task.sandbox = Some("as it will be".to_owned());
        insta::assert_snapshot!(shown(&task), @r"
        limits: nice 10
        sandbox: as it will be
        ");
    }
}
