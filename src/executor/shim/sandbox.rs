//! The sandbox of a worker: which paths are there, and the ruleset that its process enters.
//!
//! Linux has Landlock. macOS has `sandbox-exec`, which is told by a profile (see `seatbelt`).

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::{deferred, git};
use crate::executor::folder::AttemptFolder;
use crate::executor::{Means, SandboxPlan};
use crate::protocol::SandboxReport;

/// Where programs, libraries and the kernel's own files are: readable even where little else is.
const SYSTEM: [&str; 17] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/etc",
    "/opt",
    "/nix",
    "/proc",
    "/sys",
    "/dev",
    "/run/systemd/resolve",
    "/System",
    "/Library",
    "/private/etc",
    "/private/var/db",
];

/// What can be written and read, as far as it exists.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Paths {
    /// Writable and readable.
    pub(super) write: Vec<PathBuf>,
    /// Only readable; `None` for everything.
    pub(super) read: Option<Vec<PathBuf>>,
}

/// A sandbox that is ready to be entered.
pub(super) struct Sandbox {
    pub(super) ruleset: Ruleset,
    pub(super) report: SandboxReport,
}

impl Sandbox {
    /// Looks at the paths and makes the ruleset.
    pub(super) fn prepare(plan: &SandboxPlan, cwd: &Path, attempt: &AttemptFolder) -> Result<Self, String> {
        Self::with(&Means::of_this_system(), plan, cwd, attempt)
    }

    /// For a worker that needs something first: whoever brings it about enters the sandbox (see `deferred`).
    pub(super) fn later(plan: &SandboxPlan, cwd: &Path, attempt: &AttemptFolder) -> Result<Self, String> {
        let means = Means::of_this_system();
        if matches!(means, Means::None(_)) {
            return Self::with(&means, plan, cwd, attempt);
        }
        deferred::leave(plan, attempt).map_err(|error| format!("its sandbox cannot be planned: {error}"))?;
        Ok(Self {
            ruleset: Ruleset::none(),
            report: SandboxReport::default(),
        })
    }

    fn with(means: &Means, plan: &SandboxPlan, cwd: &Path, attempt: &AttemptFolder) -> Result<Self, String> {
        let mut report = SandboxReport {
            words: means.words(plan),
            ..SandboxReport::default()
        };
        if let Means::None(why) = means {
            if plan.required {
                return Err(format!(
                    "its sandbox is required and cannot be had: {why} (sandbox.required = false runs it without one)"
                ));
            }
            let ruleset = Ruleset::none();
            return Ok(Self { ruleset, report });
        }
        let paths = look(plan, cwd, attempt, &mut report);
        let ruleset = Ruleset::new(plan, &paths)?;
        Ok(Self { ruleset, report })
    }
}

/// The paths that exist, behind their links. What was named and does not exist goes into the report.
fn look(plan: &SandboxPlan, given: &Path, attempt: &AttemptFolder, report: &mut SandboxReport) -> Paths {
    let mut missing: Vec<String> = Vec::new();
    let mut named = |path: &PathBuf| {
        let real = path.canonicalize();
        if real.is_err() {
            missing.push(path.display().to_string());
        }
        real.ok()
    };
    let mut write: Vec<PathBuf> = plan.write.iter().filter_map(&mut named).collect();
    let read: Option<Vec<PathBuf>> = plan
        .read
        .as_ref()
        .map(|read| read.iter().filter_map(&mut named).collect());
    match working_folder(plan, given) {
        Some(cwd) if write.iter().any(|root| cwd.starts_with(root)) => {}
        Some(_) if plan.closed_cwd => {
            missing.push(format!("{} (outside of its workspace's folder)", given.display()));
        }
        Some(cwd) => write.insert(0, cwd),
        None => missing.push(format!("{} (a link that leads out)", given.display())),
    }
    report.writable = write.iter().map(|path| path.display().to_string()).collect();
    report.missing = missing;
    // Opened anew by way of `/dev/stdout`; the rest of the folder is the shim's own.
    let own = ["output", "stderr"].map(|name| attempt.file(name));
    for folder in &plan.make {
        // One that cannot be made is passed over, like all that is missing here.
        let _ = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    }
    let usual = plan.usual.iter().chain(&plan.make).cloned();
    let others = usual.chain(own).chain(git::shared_folders(given));
    for path in others.filter_map(|path| path.canonicalize().ok()) {
        if !write.contains(&path) {
            write.push(path);
        }
    }
    let read = read.map(|mut read| {
        let system = SYSTEM.iter().map(PathBuf::from);
        read.extend(system.filter_map(|path| path.canonicalize().ok()));
        // `stdin` is opened by the shim, but the folder's name is in the environment.
        read.extend(attempt.path().canonicalize());
        read
    });
    Paths { write, read }
}

/// The working folder, unless it is a link that leads out of a writable folder: whoever worked there before may have
/// made it.
fn working_folder(plan: &SandboxPlan, given: &Path) -> Option<PathBuf> {
    let cwd = given.canonicalize().ok()?;
    let leads_out = |root: &PathBuf| {
        given.starts_with(root) && root.canonicalize().is_ok_and(|real| !cwd.starts_with(real))
    };
    let mut around = plan
        .write
        .iter()
        .chain(&plan.usual)
        .filter(|root| root.as_path() != given);
    (!around.any(leads_out)).then_some(cwd)
}

/// Whether a real path that cannot be written can be read.
pub(super) fn is_readable(plan: &SandboxPlan, path: &Path) -> bool {
    let Some(read) = &plan.read else {
        return true;
    };
    let roots = read.iter().cloned().chain(SYSTEM.iter().map(PathBuf::from));
    let mut roots = roots.filter_map(|root| root.canonicalize().ok());
    roots.any(|root| path.starts_with(root))
}

/// Whether a path is below one of these.
pub(super) fn covers(roots: &[String], path: &Path) -> bool {
    roots.iter().any(|root| path.starts_with(root))
}

#[cfg(target_os = "linux")]
pub(super) use linux::Ruleset;

#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::OsString;

    use landlock::{
        Access, AccessFs, AccessNet, NetPort, PathBeneath, PathFd, Ruleset as Building, RulesetAttr,
        RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, ABI,
    };

    use super::{Path, Paths, SandboxPlan};

    /// The newest version that this program was tested with. A kernel that has less is asked for less, and what
    /// later ones could refuse besides is left open rather than untested.
    const ABI_KNOWN: ABI = ABI::V7;

    /// A Landlock ruleset, or none.
    pub(crate) struct Ruleset(Option<RulesetCreated>);

    impl Ruleset {
        /// Nothing is refused.
        pub(crate) fn none() -> Self {
            Self(None)
        }

        /// Opens every path that is to be allowed.
        pub(crate) fn new(plan: &SandboxPlan, paths: &Paths) -> Result<Self, String> {
            build(plan, paths)
                .map(|ruleset| Self(Some(ruleset)))
                .map_err(|error| format!("its sandbox cannot be made: {error}"))
        }

        /// What must be started in the place of the worker's program, which it then starts.
        pub(crate) fn program(&self) -> Vec<OsString> {
            Vec::new()
        }

        /// Restricts the calling process, for good, with all that it starts.
        pub(crate) fn enter(self) -> Result<(), ()> {
            let Some(ruleset) = self.0 else {
                return Ok(());
            };
            match ruleset.restrict_self() {
                Ok(status) if status.ruleset != RulesetStatus::NotEnforced => Ok(()),
                _ => Err(()),
            }
        }
    }

    fn build(plan: &SandboxPlan, paths: &Paths) -> Result<RulesetCreated, RulesetError> {
        let mut ruleset = Building::default()
            .handle_access(AccessFs::from_all(ABI_KNOWN))?
            .scope(Scope::from_all(ABI_KNOWN))?;
        if plan.connect_tcp.is_some() {
            ruleset = ruleset.handle_access(AccessNet::ConnectTcp)?;
        }
        if plan.bind_tcp.is_some() {
            ruleset = ruleset.handle_access(AccessNet::BindTcp)?;
        }
        let mut ruleset = ruleset.create()?;
        let whole = [Path::new("/").to_owned()];
        for path in paths.read.as_deref().unwrap_or(&whole) {
            ruleset = allow(ruleset, path, false)?;
        }
        for path in &paths.write {
            ruleset = allow(ruleset, path, true)?;
        }
        for port in plan.connect_tcp.iter().flatten() {
            ruleset = ruleset.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
        }
        for port in plan.bind_tcp.iter().flatten() {
            ruleset = ruleset.add_rule(NetPort::new(*port, AccessNet::BindTcp))?;
        }
        Ok(ruleset)
    }

    /// A path that has vanished since it was looked at is not opened to anybody.
    fn allow(ruleset: RulesetCreated, path: &Path, write: bool) -> Result<RulesetCreated, RulesetError> {
        let Ok(file) = PathFd::new(path) else {
            return Ok(ruleset);
        };
        let access = if write {
            AccessFs::from_all(ABI_KNOWN)
        } else {
            AccessFs::from_read(ABI_KNOWN)
        };
        let access = if path.is_dir() {
            access
        } else {
            access & AccessFs::from_file(ABI_KNOWN)
        };
        ruleset.add_rule(PathBeneath::new(file, access))
    }
}

#[cfg(target_os = "macos")]
pub(super) use macos::Ruleset;

#[cfg(target_os = "macos")]
mod macos {
    use std::ffi::OsString;

    use super::{Paths, SandboxPlan};

    /// The profile that `sandbox-exec` is given, or none.
    pub(crate) struct Ruleset(Option<String>);

    impl Ruleset {
        /// Nothing is refused.
        pub(crate) fn none() -> Self {
            Self(None)
        }

        /// Names every path that is to be allowed.
        pub(crate) fn new(plan: &SandboxPlan, paths: &Paths) -> Result<Self, String> {
            Ok(Self(Some(super::super::seatbelt::profile(plan, paths))))
        }

        /// What must be started in the place of the worker's program, which it then starts.
        pub(crate) fn program(&self) -> Vec<OsString> {
            let profile = self
                .0
                .iter()
                .flat_map(|profile| [crate::platform::SANDBOX_EXEC, "-p", profile.as_str()]);
            profile.map(OsString::from).collect()
        }

        /// Done by the program that is started in the command's place.
        pub(crate) fn enter(self) -> Result<(), ()> {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_there_are_no_means_it_is_refused_or_told() {
        let attempt = AttemptFolder::new("/nowhere".into());
        let means = Means::None("this kernel has no Landlock".to_owned());
        let prepare = |required| {
            let plan = SandboxPlan {
                required,
                ..SandboxPlan::default()
            };
            Sandbox::with(&means, &plan, Path::new("/"), &attempt).map(|sandbox| sandbox.report.words)
        };
        assert_eq!(prepare(false).as_deref(), Ok("none: this kernel has no Landlock"));
        insta::assert_snapshot!(prepare(true).unwrap_err(), @"its sandbox is required and cannot be had: this kernel has no Landlock (sandbox.required = false runs it without one)");
    }
}
