//! The process the user started: starts the stages, watches them, and leaves nothing behind.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, ExitCode, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{env, thread};

use std::os::unix::process::ExitStatusExt;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use sysvring::{ChannelId, Observer};

use crate::failure::{DIFFERS, FAILED, Failure, PEER_GONE, STOPPED, cannot};
use crate::progress::Progress;
use crate::source::Files;
use crate::{Arguments, Role};

/// Between two looks at the stages.
const PACE: Duration = Duration::from_millis(5);
/// A stage that was asked to end ends sooner, unless it is stopped.
const PATIENCE: Duration = Duration::from_secs(5);

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
    let done = stages.start_all(arguments).and_then(|()| stages.watch(arguments, &signal));
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
        done => done.and_then(|()| stages.report()),
    }
}

/// A stage's process.
struct Stage {
    role: Role,
    process: Child,
    output: BufReader<ChildStdout>,
    end: Option<ExitStatus>,
    /// It did not end when it was asked to.
    killed: bool,
}

#[derive(Default)]
struct Stages {
    stages: Vec<Stage>,
    /// Attached read-only as long as we live: so a channel can be found, and removed, even when all
    /// its members died.
    channels: Vec<(ChannelId, Observer)>,
}

impl Stages {
    /// The ends of the pipeline make the channels; who works between them is told their identifiers.
    fn start_all(&mut self, arguments: &Arguments) -> Result<(), Failure> {
        let lines = self.start(arguments, Role::Reader, &[]).and_then(|()| self.hear_channel())?;
        let counts =
            self.start(arguments, Role::Collector, &[]).and_then(|()| self.hear_channel())?;
        self.start(arguments, Role::Counter, &[("--lines", lines), ("--counts", counts)])
    }

    /// Starts this program again.
    fn start(
        &mut self,
        arguments: &Arguments,
        role: Role,
        channels: &[(&str, ChannelId)],
    ) -> Result<(), Failure> {
        let program = env::current_exe().map_err(cannot("find this program"))?;
        let mut command = Command::new(program);
        command.args(["--stage", role.name()]);
        for (option, channel) in channels {
            command.args([option, &*channel.to_string()]);
        }
        arguments.pass_on(&mut command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().map_err(cannot(format!("start the {}", role.name())))?;
        let output = process.stdout.take().ok_or_else(too_early)?;
        self.stages.push(Stage {
            role,
            process,
            output: BufReader::new(output),
            end: None,
            killed: false,
        });
        Ok(())
    }

    /// The channel that the stage started last has made.
    fn hear_channel(&mut self) -> Result<ChannelId, Failure> {
        let stage = self.stages.last_mut().ok_or_else(too_early)?;
        let mut line = String::new();
        stage.output.read_line(&mut line).map_err(cannot("hear a stage"))?;
        let id: ChannelId = line.trim_end().parse().map_err(|_| too_early())?;
        self.channels.push((id, Observer::open(id)?));
        Ok(id)
    }

    /// Until all have ended, or one badly, or a signal came.
    fn watch(&mut self, arguments: &Arguments, signal: &AtomicUsize) -> Result<(), Failure> {
        let mut progress = Progress::new(arguments.path());
        while signal.load(Ordering::Relaxed) == 0 {
            let mut running = false;
            for stage in &mut self.stages {
                match stage.ended()? {
                    None => running = true,
                    Some(end) if end.success() => {}
                    Some(_) => return Ok(()),
                }
            }
            if !running {
                break;
            }
            if let Some((_, lines)) = self.channels.first() {
                progress.look(lines);
            }
            thread::sleep(PACE);
        }
        Ok(())
    }

    /// Ends those that still run, and removes what the dead left.
    fn stop(&mut self) {
        for stage in &mut self.stages {
            // Closed, it tells the stage to end.
            stage.process.stdin.take();
        }
        let deadline = Instant::now() + PATIENCE;
        for stage in &mut self.stages {
            while matches!(stage.ended(), Ok(None)) && Instant::now() < deadline {
                thread::sleep(PACE);
            }
            if stage.end.is_none() {
                // Fails if it ended this moment.
                let _ = stage.process.kill();
                stage.killed = true;
                stage.end = stage.process.wait().ok();
            }
        }
        for (channel, _) in &self.channels {
            // Mostly gone: the last member takes it away.
            let _ = sysvring::remove(*channel);
        }
        // Killed before we knew its channel: of a private one without members only a set is left,
        // which has no name to remove it by.
        let makers = self.stages.iter().filter(|stage| stage.role != Role::Counter).count();
        if self.channels.len() < makers && self.what_failed().is_some() {
            let _ = sysvring::reap();
        }
    }

    /// What ended the pipeline before its time: the stage whose end explains the others'.
    fn what_failed(&self) -> Option<String> {
        let rank = |end: &ExitStatus| match end.code().map(|code| code as u8) {
            None => Some(0),
            Some(0 | DIFFERS) => None,
            Some(PEER_GONE) => Some(2),
            Some(STOPPED) => Some(3),
            Some(_) => Some(1),
        };
        let bad = self.stages.iter().filter(|stage| !stage.killed).filter_map(|stage| {
            let end = stage.end?;
            Some((rank(&end)?, stage, end))
        });
        let (_, stage, end) = bad.min_by_key(|(rank, ..)| *rank)?;
        let (name, pid) = (stage.role.name(), stage.process.id());
        let how = match end.signal() {
            Some(signal) => format!("was killed by signal {signal}"),
            None => "failed".into(),
        };
        Some(format!("the {name} (process {pid}) {how}; the other stages were ended"))
    }

    /// Passes on what the collector said.
    fn report(&mut self) -> Result<ExitCode, Failure> {
        let mut right = false;
        for stage in self.stages.iter_mut().filter(|stage| stage.role == Role::Collector) {
            let mut report = String::new();
            stage.output.read_to_string(&mut report).map_err(cannot("hear the collector"))?;
            io::stdout().write_all(report.as_bytes()).map_err(cannot("print the report"))?;
            right = stage.end.is_some_and(|end| end.success());
        }
        Ok(if right { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
    }
}

/// Said only if no stage's end says more.
fn too_early() -> Failure {
    Failure::Sentence("a stage ended before it had begun".into())
}

impl Stage {
    /// How it ended, if it did.
    fn ended(&mut self) -> Result<Option<ExitStatus>, Failure> {
        if self.end.is_none() {
            self.end = self.process.try_wait().map_err(cannot("wait for a stage"))?;
        }
        Ok(self.end)
    }
}
