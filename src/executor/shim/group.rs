//! The control group of a worker: made before the fork, entered behind it, and removed when nobody is in it any more.
//!
//! The shim itself stays where the daemon is: it serves one attempt after the other, and has to outlive a worker that
//! is ended for want of memory.

use std::fs::File;

use crate::cgroup::AttemptGroup;
use crate::executor::folder::AttemptFolder;
use crate::executor::{group, AttemptId, Exit, GroupPlan};
use crate::protocol::GroupReport;

/// The group of one attempt, or why it has none.
pub(super) struct Group {
    made: Option<AttemptGroup>,
    report: GroupReport,
}

impl Group {
    /// Makes it. Without means for it the worker runs without, and the report says why, unless it is required.
    pub(super) fn prepare(plan: &GroupPlan, id: AttemptId, attempt: &AttemptFolder) -> Result<Self, String> {
        let mut report = GroupReport {
            held: plan.held(),
            lack: plan.means.lack(&plan.limits),
            ..GroupReport::default()
        };
        let made = AttemptGroup::make(&plan.means, &plan.limits, id.key.0, id.attempt).and_then(|made| {
            if let Some(made) = &made {
                group::record(attempt, made).inspect_err(|_| crate::cgroup::remove(&made.folder))?;
            }
            Ok(made)
        });
        let made = made.unwrap_or_else(|error| {
            let names = plan.limits.names().join(", ");
            report.held.clear();
            report.lack = Some(format!(
                "not in force: {names}: its control group cannot be made: {error}"
            ));
            None
        });
        match &report.lack {
            Some(lack) if plan.required => {
                if let Some(made) = made {
                    crate::cgroup::remove(&made.folder);
                }
                Err(format!("it is required to be limited, but {lack}"))
            }
            _ => Ok(Self { made, report }),
        }
    }

    /// What the worker writes itself into.
    pub(super) fn entrance(&self) -> Result<Option<File>, String> {
        let Some(made) = &self.made else { return Ok(None) };
        made.entrance().map(Some).map_err(|error| {
            crate::cgroup::remove(&made.folder);
            format!("its control group cannot be entered: {error}")
        })
    }

    /// Reads what has happened in it into the outcome, and removes it.
    pub(super) fn finish(mut self, exit: &mut Exit) {
        if let Some(made) = &self.made {
            let counts = made.counts();
            self.report.oom_kills = counts.oom_kills;
            self.report.at_memory_max = counts.oom_kills > 0 && counts.at_memory_max > 0;
            self.report.throttled = counts.throttled;
            self.report.forks_refused = counts.forks_refused;
            self.report.peak_bytes = counts.peak_bytes;
            if self.report.at_memory_max {
                // Whatever the samples have missed: it had all of this, and wanted more.
                let had = made.limits.memory_max.unwrap_or(0);
                exit.peak_memory_bytes = exit.peak_memory_bytes.max(had);
            }
            crate::cgroup::remove(&made.folder);
        }
        exit.group = Some(Box::new(self.report));
    }
}
