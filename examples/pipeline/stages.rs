//! The stages' processes: how they start, end and are ended.

use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, ExitCode, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use std::os::unix::process::ExitStatusExt;

use signal_hook::consts::SIGKILL;
use sysvring::{ChannelId, Observer};

use crate::failure::{DIFFERS, FAILED, Failure, PEER_GONE, STOPPED, cannot};
use crate::{Arguments, Role};

/// Between two looks at a stage that is to end.
const PACE: Duration = Duration::from_millis(5);
/// A stage that was asked to end ends sooner, unless it is stopped.
const STAGE_TIMEOUT: Duration = Duration::from_secs(5);

/// A stage's process.
struct Stage {
    role: Role,
    process: Child,
    output: BufReader<ChildStdout>,
    end: Option<ExitStatus>,
    /// It did not end when it was asked to.
    killed: bool,
}

/// All of them.
#[derive(Default)]
pub struct Stages {
    stages: Vec<Stage>,
    /// Whether a stage was killed, and another one started in its place.
    replaced: bool,
    /// First that of counts, then that of lines. To look at a channel keeps it from nothing: it goes
    /// with its members.
    channels: Vec<(ChannelId, Observer)>,
}

impl Stages {
    /// The ends of the pipeline make the channels; the others are told their identifiers.
    pub fn start_all(&mut self, arguments: &Arguments) -> Result<(), Failure> {
        for role in [Role::Collector, Role::Reader] {
            let stage = self.start(arguments, role)?;
            self.stages.push(stage);
            self.hear_channel()?;
        }
        for _ in 0..arguments.workers {
            let worker = self.start(arguments, Role::Worker)?;
            self.stages.push(worker);
        }
        Ok(())
    }

    /// Starts a stage in the place of one that ended.
    pub fn replace(&mut self, n: usize, arguments: &Arguments) -> Result<(), Failure> {
        self.replaced = true;
        self.stages[n] = self.start(arguments, self.stages[n].role)?;
        Ok(())
    }

    /// The channel of lines.
    pub fn lines(&self) -> Option<&Observer> {
        self.channels.get(1).map(|(_, observer)| observer)
    }

    /// How each of them ended, if it did.
    pub fn ends(&mut self) -> Result<Vec<(Role, Option<ExitStatus>)>, Failure> {
        self.stages.iter_mut().map(|stage| Ok((stage.role, stage.ended()?))).collect()
    }

    /// Kills one, by its process. Whether it died of it.
    pub fn kill(&mut self, process: u32) -> Result<bool, Failure> {
        let mut stages = self.stages.iter_mut();
        let Some(stage) = stages.find(|stage| stage.process.id() == process) else {
            return Ok(false);
        };
        stage.process.kill().map_err(cannot("kill a worker"))?;
        let end = stage.process.wait().map_err(cannot("wait for a worker"))?;
        stage.end = Some(end);
        Ok(end.signal() == Some(SIGKILL))
    }

    /// Starts this program again.
    fn start(&self, arguments: &Arguments, role: Role) -> Result<Stage, Failure> {
        let program = env::current_exe().map_err(cannot("find this program"))?;
        let mut command = Command::new(program);
        command.args(["--stage", role.name()]);
        for ((channel, _), option) in self.channels.iter().zip(["--counts", "--lines"]) {
            command.args([option, &*channel.to_string()]);
        }
        arguments.pass_on(&mut command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().map_err(cannot(format!("start the {}", role.name())))?;
        let output = process.stdout.take().ok_or_else(too_early)?;
        Ok(Stage { role, process, output: BufReader::new(output), end: None, killed: false })
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

    /// Ends those that still run, and removes what the dead left.
    pub fn stop(&mut self) {
        for stage in &mut self.stages {
            // Closed, it tells the stage to end.
            stage.process.stdin.take();
        }
        let deadline = Instant::now() + STAGE_TIMEOUT;
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
        // If the last member was killed, only a set is left of a private channel, and has no name to
        // remove it by.
        if self.replaced || self.what_failed().is_some() {
            let _ = sysvring::reap();
        }
    }

    /// What ended the pipeline before its time: the stage whose end explains the others'.
    pub fn what_failed(&self) -> Option<String> {
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

    /// Passes on what the collector said, and a line of ours.
    pub fn report(&mut self, ours: Option<String>) -> Result<ExitCode, Failure> {
        let mut right = false;
        for stage in self.stages.iter_mut().filter(|stage| stage.role == Role::Collector) {
            let mut report = String::new();
            stage.output.read_to_string(&mut report).map_err(cannot("hear the collector"))?;
            report.extend(ours.iter().map(|line| format!("{line}\n")));
            io::stdout().write_all(report.as_bytes()).map_err(cannot("print the report"))?;
            right = stage.end.is_some_and(|end| end.success());
        }
        Ok(if right { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
    }
}

/// Said only if no stage's end says more.
pub fn too_early() -> Failure {
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
