//! A log file for each day, of which the last few are kept.
//!
//! Not tracing-appender's own: that one makes files that others can read.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Files are called `daemon.2026-01-31.log`.
const PREFIX: &str = "daemon.";
const SUFFIX: &str = ".log";

/// How often the date is looked at: a few lines of the next day in the file of the last do no harm.
const DATE_EVERY: Duration = Duration::from_secs(10);

/// A file that changes with the date.
#[derive(Debug)]
pub(super) struct DailyFile {
    folder: PathBuf,
    files_max: usize,
    day: String,
    file: File,
    looked_at: Instant,
}

impl DailyFile {
    pub(super) fn open(folder: &Path, files_max: u32) -> io::Result<Self> {
        let day = today();
        let daily = Self {
            folder: folder.to_owned(),
            files_max: files_max.max(1) as usize,
            file: open(folder, &day)?,
            day,
            looked_at: Instant::now(),
        };
        daily.remove_old();
        Ok(daily)
    }

    fn turn_to(&mut self, day: String) {
        if day == self.day {
            return;
        }
        // If the new file cannot be made, the old one is still better than no log.
        if let Ok(file) = open(&self.folder, &day) {
            self.file = file;
            self.day = day;
            self.remove_old();
        }
    }

    /// A file that cannot be removed now is tried again tomorrow.
    fn remove_old(&self) {
        let Ok(entries) = fs::read_dir(&self.folder) else {
            return;
        };
        let mut names: Vec<String> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| is_log(name))
            .collect();
        names.sort_unstable();
        let surplus = names.len().saturating_sub(self.files_max);
        for name in &names[..surplus] {
            let _ = fs::remove_file(self.folder.join(name));
        }
    }
}

impl Write for DailyFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.looked_at.elapsed() >= DATE_EVERY {
            self.looked_at = Instant::now();
            self.turn_to(today());
        }
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The date in UTC, so that no hour of it comes twice.
fn today() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d").to_string()
}

fn is_log(name: &str) -> bool {
    name.strip_prefix(PREFIX)
        .and_then(|rest| rest.strip_suffix(SUFFIX))
        .is_some_and(|day| day.parse::<jiff::civil::Date>().is_ok())
}

fn open(folder: &Path, day: &str) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true).mode(0o600);
    options.open(folder.join(format!("{PREFIX}{day}{SUFFIX}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_day_has_its_file_and_the_oldest_go() {
        let folder = tempfile::tempdir().unwrap();
        let names = || {
            let mut names: Vec<String> = fs::read_dir(folder.path())
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        };
        fs::write(folder.path().join("daemon.stderr"), "").unwrap();
        fs::write(folder.path().join("daemon.old.log"), "").unwrap();
        let mut daily = DailyFile::open(folder.path(), 2).unwrap();
        let first = format!("daemon.{}.log", daily.day);
        for day in ["2999-01-01", "2999-01-02", "2999-01-02"] {
            daily.turn_to(day.to_owned());
            daily.write_all(day.as_bytes()).unwrap();
        }
        assert!(!names().contains(&first));
        assert_eq!(
            names(),
            [
                "daemon.2999-01-01.log",
                "daemon.2999-01-02.log",
                "daemon.old.log",
                "daemon.stderr"
            ]
        );
        let text = fs::read_to_string(folder.path().join("daemon.2999-01-02.log")).unwrap();
        assert_eq!(text, "2999-01-022999-01-02");
    }

    #[test]
    fn a_folder_that_is_gone_stops_no_log() {
        let folder = tempfile::tempdir().unwrap();
        let mut daily = DailyFile::open(folder.path(), 2).unwrap();
        fs::remove_dir_all(folder.path()).unwrap();
        daily.turn_to("2999-01-01".to_owned());
        daily.write_all(b"still there").unwrap();
        assert!(DailyFile::open(folder.path(), 2).is_err());
    }
}
