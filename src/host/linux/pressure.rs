//! How long tasks have waited for memory (PSI): by the change of `total`, since the kernel's own averages lag behind
//! by ten seconds and more.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::files::{number, unexpected, Files};
use super::meter::Meter;
use crate::host::reading::{Bound, Stall, Unreadable};

const MACHINE: &str = "/proc/pressure/memory";

/// The counter that was read last.
#[derive(Debug, Default)]
pub(super) struct Pressure {
    source: PathBuf,
    meter: Meter,
}

impl Pressure {
    /// The stalls of the group that has a limit, else of the machine; `None` if neither is told.
    pub(super) fn read(
        &mut self,
        files: &mut Files,
        now: Duration,
        limited: Option<&Path>,
    ) -> Result<Option<Stall>, Unreadable> {
        if let Some(group) = limited {
            let path = group.join("memory.pressure");
            if let Some(total) = total_micros(files, &path)? {
                let bound = Bound::Cgroup(group.display().to_string());
                return Ok(Some(self.stall(path, now, total, bound)));
            }
        }
        let path = PathBuf::from(MACHINE);
        let total = total_micros(files, &path)?;
        Ok(total.map(|total| self.stall(path, now, total, Bound::Host)))
    }

    fn stall(&mut self, source: PathBuf, now: Duration, total_micros: u64, bound: Bound) -> Stall {
        if self.source != source {
            self.source = source;
            self.meter = Meter::default();
        }
        let rate = self.meter.per_second(now, total_micros);
        Stall {
            share: rate.map(|micros| (micros / 1e6).clamp(0.0, 1.0)),
            bound,
        }
    }
}

/// `some avg10=0.00 avg60=0.00 avg300=0.00 total=2291620`, in microseconds.
fn total_micros(files: &mut Files, path: &Path) -> Result<Option<u64>, Unreadable> {
    let Some(text) = files.text_if_any(path)? else {
        return Ok(None);
    };
    let line = text.lines().find_map(|line| line.strip_prefix("some "));
    let total = line.and_then(|line| line.split(' ').find_map(|part| part.strip_prefix("total=")));
    let missing = || unexpected(path, "a line some with its total", &text);
    number(path, total.ok_or_else(missing)?).map(Some)
}
