//! A file system that can be full or read-only, where one may be mounted.

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use super::{shown, wait_for, Home};

/// A folder on a file system of its own, of a few hundred KiB.
pub struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// The home's data folder; `None`, with the reason on stderr, where this may not be done.
    pub fn mount(home: &Home) -> Option<Self> {
        Self::mount_at(home.data())
    }

    /// Any folder.
    pub fn mount_at(folder: PathBuf) -> Option<Self> {
        std::fs::create_dir_all(&folder).expect("the data folder");
        let options = "size=512k,mode=700";
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "small"]).arg(&folder);
        match mount.output() {
            Ok(output) if output.status.success() => Some(Self { folder }),
            other => {
                eprintln!("skipped: a small file system cannot be mounted here: {other:?}");
                None
            }
        }
    }

    /// With other options, such as `ro`: as soon as nobody writes to it any more.
    pub fn remount(&self, options: &str) {
        wait_for("the disk to let go", || {
            let mut mount = Command::new("mount");
            mount
                .args(["-o", &format!("remount,{options}")])
                .arg(&self.folder);
            let output = mount.output().expect("mount is there");
            let said = shown(&output);
            let is_busy = said.contains("busy");
            assert!(output.status.success() || is_busy, "{said}");
            output.status.success().then_some(())
        });
    }

    fn ballast(&self) -> PathBuf {
        self.folder.join("ballast")
    }

    /// Takes every byte that is left.
    pub fn fill(&self) {
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.ballast());
        let mut file = file.expect("the ballast");
        for chunk in [4096, 512, 1] {
            while file.write(&vec![b'x'; chunk]).is_ok_and(|count| count > 0) {}
        }
    }

    /// Gives them back.
    pub fn make_room(&self) {
        std::fs::remove_file(self.ballast()).expect("it is full");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: what still runs on it keeps it until it ends.
        let _ = Command::new("umount").arg("-l").arg(&self.folder).status();
    }
}
