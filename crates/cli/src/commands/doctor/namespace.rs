//! The IPC namespace: which channels can be seen, and those of a container.

use std::fs::{self, File};

use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};

use super::Finding;
use crate::failure::Failure;

/// Enters the IPC namespace of a process, if one is given.
pub fn enter(pid: Option<u32>) -> Result<Vec<Finding>, Failure> {
    let check = "ipc-namespace";
    let Some(pid) = pid else {
        let mine = link("self").unwrap_or_else(|| "unknown".into());
        return Ok(vec![match link("1").filter(|first| *first != mine) {
            Some(_) => Finding::note(
                check,
                format!("this is {mine}, and that of process 1 is another one"),
                "channels of other namespaces do not show here; --pid looks into that of a process",
            ),
            None => Finding::fine(check, format!("this is {mine}; other containers have others")),
        }]);
    };
    let path = format!("/proc/{pid}/ns/ipc");
    let failed = |why: String| {
        Failure::new(format!("the IPC namespace of process {pid} cannot be entered: {why}"))
    };
    let theirs = link(&pid.to_string())
        .ok_or_else(|| failed("there is no such process, or it belongs to another user".into()))?;
    if link("self").as_ref() == Some(&theirs) {
        return Ok(vec![Finding::fine(check, format!("process {pid} has the same one, {theirs}"))]);
    }
    let namespace = File::open(&path).map_err(|error| failed(error.to_string()))?;
    setns(namespace, CloneFlags::CLONE_NEWIPC).map_err(|errno| match errno {
        Errno::EPERM => failed("it needs root; use sudo".into()),
        errno => failed(errno.to_string()),
    })?;
    Ok(vec![Finding::note(
        check,
        format!("process {pid} has one of its own, {theirs}, in which all of this was checked"),
        "only processes of that namespace share its channels; docker run --ipc=container:NAME joins it",
    )])
}

/// Returns the name of the IPC namespace of a process.
fn link(process: &str) -> Option<String> {
    Some(fs::read_link(format!("/proc/{process}/ns/ipc")).ok()?.display().to_string())
}
