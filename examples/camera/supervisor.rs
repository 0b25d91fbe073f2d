//! The process that the user started: starts the others, kills recorders, and leaves nothing behind.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use sysvring::ChannelId;

use crate::{Arguments, Role};

/// Between two looks at the processes.
const PACE: Duration = Duration::from_millis(2);
/// A process that was asked to end ends sooner, unless it is stopped.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Runs the whole show, and reports.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    let signal = Arc::new(AtomicUsize::new(0));
    for number in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register_usize(number, signal.clone(), number as usize)?;
    }
    let mut processes = Processes::default();
    let mut diary = Diary::default();
    let done = watch(&mut processes, &mut diary, arguments, &signal);
    processes.stop();
    let number = signal.load(Ordering::Relaxed);
    if number != 0 {
        eprintln!("camera: ended by signal {number}, and all processes with it");
        // As shells tell it.
        return Ok(ExitCode::from(128 + number as u8));
    }
    done?;
    Ok(if diary.report(arguments) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Watches until all have ended, or one badly, or a signal came.
fn watch(
    processes: &mut Processes,
    diary: &mut Diary,
    arguments: &Arguments,
    signal: &AtomicUsize,
) -> Result<(), Box<dyn Error>> {
    let (hear, lines) = mpsc::channel();
    processes.start(Role::Producer, arguments, &hear)?;
    // When another recorder is to start.
    let mut successor = None;
    loop {
        thread::sleep(PACE);
        if signal.load(Ordering::Relaxed) != 0 {
            return Ok(());
        }
        while let Ok(line) = lines.try_recv() {
            if let Ok(channel) = line.parse::<ChannelId>() {
                processes.channel = Some(channel);
                processes.start(Role::Display, arguments, &hear)?;
                processes.start(Role::Recorder, arguments, &hear)?;
                continue;
            }
            diary.note(&line);
        }
        let all_ended = processes.look()?;
        if successor.is_some_and(|at| at <= Instant::now()) {
            successor = None;
            processes.start(Role::Recorder, arguments, &hear)?;
        }
        if diary.is_kill_due(arguments) && processes.kill_recorder()? {
            lines.try_iter().for_each(|line| diary.note(&line));
            diary.note_kill();
            successor = Some(Instant::now() + Duration::from_millis(arguments.away));
        }
        if all_ended && successor.is_none() {
            break;
        }
    }
    // The rest of their lines: their pipes have ended.
    drop(hear);
    lines.iter().for_each(|line| diary.note(&line));
    Ok(())
}

/// A process, and the thread that passes its lines on.
struct Process {
    role: Role,
    child: Child,
    listener: JoinHandle<()>,
}

/// The running processes, and their channel.
#[derive(Default)]
struct Processes {
    running: Vec<Process>,
    channel: Option<ChannelId>,
}

impl Processes {
    /// Starts this program again. Its lines go to `hear`.
    fn start(
        &mut self,
        role: Role,
        arguments: &Arguments,
        hear: &mpsc::Sender<String>,
    ) -> Result<(), Box<dyn Error>> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--role", role.name()]);
        if let Some(channel) = self.channel {
            command.args(["--channel", &channel.to_string()]);
        }
        let (width, height) = arguments.size;
        if arguments.overwriting {
            command.arg("--overwriting");
        }
        command.args(["--frames", &arguments.frames.to_string()]);
        command.args(["--rate", &arguments.rate.to_string()]);
        command.args(["--size", &format!("{width}x{height}")]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().ok_or("no pipe")?;
        let hear = hear.clone();
        let listener = thread::spawn(move || {
            let lines = BufReader::new(output).lines().map_while(Result::ok);
            // Fails when nobody listens any more.
            lines.map(|line| hear.send(line)).take_while(Result::is_ok).for_each(drop);
        });
        self.running.push(Process { role, child, listener });
        Ok(())
    }

    /// Forgets those that ended well. Returns whether all did.
    fn look(&mut self) -> Result<bool, Box<dyn Error>> {
        let mut bad = None;
        self.running.retain_mut(|process| match process.child.try_wait() {
            Ok(None) => true,
            Ok(Some(end)) if end.success() => false,
            Ok(Some(end)) => {
                bad.get_or_insert(how_it_ended(process, end));
                false
            }
            Err(error) => {
                bad.get_or_insert(error.to_string());
                false
            }
        });
        bad.map_or(Ok(self.running.is_empty()), |sentence| Err(sentence.into()))
    }

    /// Kills the recorder, if it runs. Returns whether it died of that.
    fn kill_recorder(&mut self) -> Result<bool, Box<dyn Error>> {
        let is_recorder = |process: &Process| process.role == Role::Recorder;
        let Some(n) = self.running.iter().position(is_recorder) else { return Ok(false) };
        let Process { mut child, listener, .. } = self.running.swap_remove(n);
        child.kill()?;
        let end = child.wait()?;
        // All of its lines are noted before those of its successor.
        let _ = listener.join();
        Ok(end.signal().is_some())
    }

    /// Ends those that still run, and removes what the dead left.
    fn stop(&mut self) {
        for Process { child, .. } in &mut self.running {
            // Closed, it tells the process to end.
            child.stdin.take();
        }
        let deadline = Instant::now() + TIMEOUT;
        for Process { child, .. } in &mut self.running {
            while matches!(child.try_wait(), Ok(None)) && Instant::now() < deadline {
                thread::sleep(PACE);
            }
            // Fails if it has ended.
            let _ = child.kill();
            let _ = child.wait();
        }
        // Mostly gone: the last member takes it away, unless it was killed.
        if let Some(channel) = self.channel {
            let _ = sysvring::remove(channel);
        }
        let _ = sysvring::reap();
    }
}

fn how_it_ended(Process { role, child, .. }: &Process, end: ExitStatus) -> String {
    let how = match end.signal() {
        Some(signal) => format!("was killed by signal {signal}"),
        None => "failed".into(),
    };
    format!("the {} (process {}) {how}; the others were ended", role.name(), child.id())
}

/// What the processes have reported.
#[derive(Default)]
struct Diary {
    /// How often each frame was recorded.
    recorded: BTreeMap<u64, u32>,
    /// The frame that was recorded last.
    last: Option<u64>,
    missed: u64,
    killed: u32,
    /// Whether the newest recorder has recorded anything.
    is_recording: bool,
    reports: Vec<String>,
}

impl Diary {
    /// Notes a line of a process.
    fn note(&mut self, line: &str) {
        match line.split_once(' ') {
            Some(("recorded", frame)) => {
                let Ok(frame) = frame.parse() else { return };
                if !self.is_recording && self.killed != 0 {
                    let last = self.last.map_or("nothing".into(), |last| format!("frame {last}"));
                    println!("recorder killed after {last}, its successor began at {frame}");
                }
                self.is_recording = true;
                self.last = Some(frame);
                *self.recorded.entry(frame).or_default() += 1;
            }
            Some(("missed", frames)) => self.missed += frames.parse::<u64>().unwrap_or(0),
            _ => self.reports.push(line.to_owned()),
        }
    }

    fn note_kill(&mut self) {
        self.killed += 1;
        self.is_recording = false;
    }

    /// Returns whether a recorder is to be killed. Kill number k comes when k parts of the frames are
    /// recorded, of one more than there are kills.
    fn is_kill_due(&self, arguments: &Arguments) -> bool {
        let due = arguments.frames * u64::from(self.killed + 1) / u64::from(arguments.kill + 1);
        let reached = self.last.is_some_and(|last| last + 1 >= due);
        self.killed < arguments.kill && self.is_recording && reached
    }

    /// Prints what everybody did. Returns whether no frame is unaccounted for.
    fn report(&self, arguments: &Arguments) -> bool {
        self.reports.iter().for_each(|report| println!("{report}"));
        let recorded = self.recorded.len() as u64;
        let twice = self.recorded.values().filter(|times| **times > 1).count();
        println!(
            "recorded {recorded} of {} frames, {twice} of them twice; {} missed; {} of {} recorders \
             killed",
            arguments.frames, self.missed, self.killed, arguments.kill
        );
        recorded + self.missed == arguments.frames
    }
}
