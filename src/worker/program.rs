//! Looks for a program the way the kernel and a shell would, before anything is queued.

use std::path::Path;

use rustix::fs::{access, Access};

use super::JobError;

/// Where programs are looked for when the environment has no PATH.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Whether `program` can be executed from `cwd` with this PATH.
///
/// # Errors
/// If it cannot, with the paths that were tried.
pub fn find(program: &str, cwd: &Path, path: Option<&str>) -> Result<(), JobError> {
    let folders: Vec<&str> = if program.contains('/') {
        vec!["."]
    } else {
        path.unwrap_or(DEFAULT_PATH).split(':').collect()
    };
    let mut tried = Vec::new();
    for folder in folders {
        // An empty entry in PATH means the working folder, as execvp has it.
        let candidate = cwd.join(folder).join(program);
        if candidate.is_file() && access(&candidate, Access::EXEC_OK).is_ok() {
            return Ok(());
        }
        tried.push(candidate.display().to_string());
    }
    Err(JobError::MissingProgram {
        program: program.to_owned(),
        tried,
    })
}
