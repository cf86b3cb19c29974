//! The real processes, by way of [`platform`].

use std::time::Duration;

use super::Processes;
use crate::host::reading::Unreadable;
use crate::platform::{self, ProcessSample};

/// The kernel that this program runs on.
#[derive(Default)]
pub(in crate::host) struct Kernel {
    has_lists: bool,
}

impl Processes for Kernel {
    fn try_lists(&mut self) -> Result<(), Unreadable> {
        if !self.has_lists {
            platform::try_child_lists().map_err(|error| {
                Unreadable::new(
                    "the children of processes",
                    format_args!("cannot be listed: {error}"),
                )
            })?;
            self.has_lists = true;
        }
        Ok(())
    }

    fn look(&mut self, pid: i32) -> Option<ProcessSample> {
        platform::sample(pid).filter(|process| !process.status.zombie)
    }

    fn exists(&mut self, pid: i32) -> bool {
        platform::exists(pid)
    }

    fn is_service(&mut self, pid: i32, process: &ProcessSample) -> bool {
        platform::is_service(pid, &process.status)
    }

    fn main_children(&mut self, pid: i32) -> Vec<i32> {
        platform::children_of_main_thread(pid)
    }

    fn all_children(&mut self, pid: i32) -> Vec<i32> {
        platform::children(pid)
    }

    fn proportional_bytes(&mut self, pid: i32) -> Option<u64> {
        platform::proportional_bytes(pid)
    }

    fn cpu_time(&self) -> Duration {
        platform::thread_cpu_time()
    }
}
