//! What workers are kept in, for people to read: facts of a task. Pure.

use crate::protocol::{GroupReport, SandboxReport, TaskView};

/// Limits and sandbox: of the last attempt that has ended, else as they will be set.
pub(crate) fn facts(task: &TaskView) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    facts.extend(task.limits.clone().map(|words| ("limits", words)));
    let group = task.attempts.last().and_then(|attempt| attempt.group.as_ref());
    facts.extend(group.into_iter().flat_map(of_group));
    let last = task.attempts.last().and_then(|attempt| attempt.sandbox.as_ref());
    match (last, &task.sandbox) {
        (Some(report), None) => facts.extend(of_report(report)),
        (_, Some(words)) => facts.push(("sandbox", words.clone())),
        (None, None) => {}
    }
    facts
}

/// What the last attempt that has ended was limited to, and how often it was held back.
fn of_group(report: &GroupReport) -> Vec<(&'static str, String)> {
    let held = Some(report.held.clone()).filter(|held| !held.is_empty());
    let words: Vec<String> = held.into_iter().chain(report.lack.clone()).collect();
    let mut facts = vec![("group", words.join("; "))];
    let counts = [
        (report.oom_kills, "ended for want of memory"),
        (report.throttled, "slowed down at memory_high"),
        (report.forks_refused, "refused a process"),
    ];
    let counts = counts.into_iter().filter(|(count, _)| *count > 0);
    let counts: Vec<String> = counts.map(|(count, what)| format!("{count} × {what}")).collect();
    if !counts.is_empty() {
        facts.push(("held back", counts.join("; ")));
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
                group: Some(GroupReport {
                    held: "pids_max 200".to_owned(),
                    lack: Some("memory_max is not in force: why".to_owned()),
                    throttled: 3,
                    forks_refused: 12,
                    ..GroupReport::default()
                }),
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
        group: pids_max 200; memory_max is not in force: why
        held back: 3 × slowed down at memory_high; 12 × refused a process
        sandbox: files (Landlock ABI 7)
        writable: /src, /cache
        missing: /gone
        denied: /etc/x
        ");
        task.sandbox = Some("as it will be".to_owned());
        insta::assert_snapshot!(shown(&task), @r"
        limits: nice 10
        group: pids_max 200; memory_max is not in force: why
        held back: 3 × slowed down at memory_high; 12 × refused a process
        sandbox: as it will be
        ");
    }
}
