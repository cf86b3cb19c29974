//! The workspace that `workspace use` has chosen: one small file in the data folder, which only the command line knows.

use std::fs;
use std::io::ErrorKind;

use super::context::Context;
use super::exit::Failure;
use crate::config::ensure_private_dir;
use crate::protocol::{check_id, TaskQueue};

/// The chosen workspace, if there is one.
pub(crate) fn read(context: &Context) -> Result<Option<String>, Failure> {
    let path = context.paths()?.current_workspace();
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(
                Failure::file(format!("cannot read {}", path.display()), &error).hint("remove the file")
            )
        }
    };
    let name = text.trim();
    if check_id(name).is_err() {
        return Err(Failure::usage(format!(
            "{} does not hold the name of a workspace",
            path.display()
        ))
        .hint("`wezterm-parallel workspace use NAME` writes it anew, `--none` removes it"));
    }
    Ok(Some(name.to_owned()))
}

/// Chooses a workspace, or none.
pub(crate) fn write(context: &Context, name: Option<&str>) -> Result<(), Failure> {
    let paths = context.paths()?;
    let path = paths.current_workspace();
    let failed = |error| Failure::file(format!("cannot write {}", path.display()), &error);
    let Some(name) = name else {
        return match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(failed(error)),
            _ => Ok(()),
        };
    };
    ensure_private_dir(&paths.data)?;
    // In one step: whoever queues meanwhile must not read half a name.
    let fresh = path.with_extension(std::process::id().to_string());
    fs::write(&fresh, format!("{name}\n"))
        .and_then(|()| fs::rename(&fresh, &path))
        .map_err(failed)
}

/// Tells the daemon what to go by if a task says no workspace itself. `cwd_gives_way` says whether the folder is only
/// the caller's; where no workspace can be meant, the message stays as it always was.
pub(crate) fn fill_in(task: &mut TaskQueue, current: Option<&str>) {
    if task.workspace.is_none() {
        task.default_workspace = current.map(str::to_owned);
    }
    let named = task.workspace.as_deref().or(task.default_workspace.as_deref());
    task.cwd_gives_way &= named.is_some_and(|name| !name.is_empty());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_workspace_makes_a_folder_give_way() {
        let task = |workspace: Option<&str>, gives_way| TaskQueue {
            workspace: workspace.map(str::to_owned),
            cwd_gives_way: gives_way,
            ..TaskQueue::default()
        };
        let filled = |mut task: TaskQueue, current| {
            fill_in(&mut task, current);
            (task.default_workspace, task.cwd_gives_way)
        };
        assert_eq!(filled(task(None, true), None), (None, false));
        assert_eq!(
            filled(task(None, true), Some("api")),
            (Some("api".to_owned()), true)
        );
        assert_eq!(
            filled(task(None, false), Some("api")),
            (Some("api".to_owned()), false)
        );
        assert_eq!(filled(task(Some("web"), true), Some("api")), (None, true));
        assert_eq!(filled(task(Some(""), true), Some("api")), (None, false));
    }
}
