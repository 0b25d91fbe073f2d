//! The process the user started: watches the stages, replaces workers, and leaves nothing behind.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGKILL, SIGTERM};

use crate::failure::{DIFFERS, Failure, cannot};
use crate::killer::Killer;
use crate::progress::Progress;
use crate::source::Files;
use crate::stages::{Stages, too_early};
use crate::{Arguments, Role};

/// Between two looks at the stages; and while somebody is to be killed.
const PACES: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(1)];

/// Runs the pipeline.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    // Better one sentence now than one of a stage and one of ours.
    Files::of(arguments.path())?;
    let signal = Arc::new(AtomicUsize::new(0));
    for number in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register_usize(number, signal.clone(), number as usize)
            .map_err(cannot("handle signals"))?;
    }
    let mut stages = Stages::default();
    let mut killer = Killer::new(arguments);
    let done = stages
        .start_all(arguments)
        .and_then(|()| watch(&mut stages, arguments, &signal, &mut killer));
    stages.stop();
    let number = signal.load(Ordering::Relaxed);
    if number != 0 {
        eprintln!("pipeline: ended by signal {number}, and all stages with it");
        // As shells tell it.
        return Ok(ExitCode::from(128 + number as u8));
    }
    if let Some(sentence) = stages.what_failed() {
        return Err(Failure::Sentence(sentence));
    }
    match done {
        Err(Failure::PeerGone) => Err(too_early()),
        done => done.and_then(|()| stages.report(killer.report())),
    }
}

/// Until all have ended, or one badly, or a signal came.
fn watch(
    stages: &mut Stages,
    arguments: &Arguments,
    signal: &AtomicUsize,
    killer: &mut Killer,
) -> Result<(), Failure> {
    let mut progress = Progress::new(arguments.path());
    while signal.load(Ordering::Relaxed) == 0 {
        let mut running = false;
        for (n, (role, end)) in stages.ends()?.into_iter().enumerate() {
            match end {
                None => running = true,
                // The collector's verdict; the others end by themselves.
                Some(end) if end.success() || end.code() == Some(DIFFERS.into()) => {}
                // It was killed from outside. A worker that fails by itself would do so again.
                Some(end) if role == Role::Worker && end.signal() == Some(SIGKILL) => {
                    stages.replace(n, arguments)?;
                    running = true;
                }
                Some(_) => return Ok(()),
            }
        }
        if !running {
            break;
        }
        if let Some(lines) = stages.lines() {
            progress.look(lines);
            if let Some(process) = killer.victim(arguments, lines)
                && stages.kill(process)?
            {
                killer.count();
            }
        }
        thread::sleep(PACES[usize::from(!killer.is_done())]);
    }
    Ok(())
}
