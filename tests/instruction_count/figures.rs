//! Counts instructions and system calls, and compares them with the stored figures.

use std::fmt::Write;
use std::process::{Command, ExitCode};

use sysvring_support::single_step::{Stepper, Stop};
use sysvring_support::worker::{Args, Worker, print_line};
use sysvring_support::{test, work};

use crate::messages::{ALL, Body, COUNT, LAP, LAPS, PARKED, WAITS, nothing};

const OVER: &str = "over";

const STORED: &str = include_str!("figures.txt");
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/instruction_count/figures.txt");

/// The maximum relative deviation of a figure from the stored one.
const SLACK: f64 = 0.03;

/// How much more instructions a message to 8 receivers may take than one to a single receiver, and one to
/// 32 receivers; and how many more than that of an SPSC sender.
const TO_8: f64 = 0.08;
const TO_32: f64 = 0.3;
const OVER_SPSC: f64 = 0.1;

/// System calls when a wait times out: the waiter checks its own seat, the other side's, and the
/// set.
const AT_THE_END: f64 = 7.0;

/// Counts the instructions or system calls of a child between its marks, with `step` as the unit.
fn count(body: Body, step: fn(&mut Stepper) -> Stop, counted: Stop) -> u64 {
    let mut child = Stepper::start(body).unwrap_or_else(|stop| panic!("no start: {stop:?}"));
    let mut n = 0;
    loop {
        match step(&mut child) {
            stop if stop == counted => n += 1,
            Stop::Marked => return n,
            stop => panic!("after {n}: {stop:?}"),
        }
    }
}

fn calls(body: Body) -> u64 {
    count(body, |child| child.run_to_call(&mut || false), Stop::Call)
}

/// Returns the instructions for each of so many messages, without those of the marks.
fn instructions(body: Body, messages: usize) -> f64 {
    let step = |child: &mut Stepper| child.step(&mut || false);
    let [all, marks] = [body, nothing].map(|body| count(body, step, Stop::There));
    (all - marks) as f64 / messages as f64
}

#[test]
fn messages_make_no_system_call() {
    Worker::run(&[&"figures::count_calls"]);
}

/// Between the marks, the only system calls are those of the second mark. It is a child, because a
/// process with one thread must fork those that are counted.
#[work]
fn count_calls(_: &mut Args) {
    let marks = calls(nothing);
    assert!(marks > 0, "a mark is a system call");
    for (name, body) in ALL.iter().chain(LAPS) {
        assert_eq!(calls(*body) - marks, 0, "{name}: system calls in {COUNT} messages, or a lap");
    }
}

#[test]
fn spinning_makes_no_system_call() {
    for (name, calls) in figures_of("figures::count_calls_of_waits") {
        println!("{name}: {calls:.2} system calls each time that nothing came");
        assert!(calls <= AT_THE_END, "{name}: {calls} system calls to wait awake and give up");
    }
}

#[work]
fn count_calls_of_waits(_: &mut Args) {
    let marks = calls(nothing);
    for (name, body) in WAITS {
        // A stepped child stops at the entry and at the exit of a call.
        print_line(format!("{name} {}", (calls(*body) - marks) as f64 / COUNT as f64 / 2.0));
    }
    print_line(OVER);
}

#[test]
fn parking_and_waking_take_few_system_calls() {
    for (name, calls) in figures_of("figures::count_calls_of_parked") {
        println!(
            "{name}: {calls:.2} system calls to send to a parked process and park for its answer"
        );
        let (.., most, _) = PARKED.iter().find(|(of, ..)| *of == name).expect("its limit");
        // A few more are for what is asked once in a hundred milliseconds.
        assert!(calls <= most + 0.1, "{name}: {calls} system calls, not {most}");
    }
}

#[work]
fn count_calls_of_parked(_: &mut Args) {
    let marks = calls(nothing);
    for (name, _, body) in PARKED {
        print_line(format!("{name} {}", (calls(*body) - marks) as f64 / COUNT as f64 / 2.0));
    }
    print_line(OVER);
}

/// Returns the compiler's version.
fn compiler() -> String {
    let output = Command::new("rustc").arg("--version").output();
    output.ok().and_then(|out| String::from_utf8(out.stdout).ok()).unwrap_or_default().trim().into()
}

/// Returns why the figures cannot be compared with the stored ones.
fn incomparable() -> Option<String> {
    let stored = STORED.lines().next().unwrap_or_default();
    if !cfg!(target_arch = "x86_64") {
        return Some("the stored figures are of x86-64".into());
    }
    if cfg!(debug_assertions) {
        return Some("the stored figures are of --release".into());
    }
    (stored != compiler())
        .then(|| format!("the stored figures are of {stored}, not {}", compiler()))
}

/// Returns all instruction counts, by name.
fn all_instructions() -> Vec<(String, f64)> {
    figures_of("figures::count_instructions")
}

/// Returns what a worker counted, by name.
fn figures_of(work: &str) -> Vec<(String, f64)> {
    let mut worker = Worker::start(&[&work]).expect("start");
    let mut all = Vec::new();
    loop {
        let line = worker.read_line().expect("a line");
        if line == OVER {
            worker.finish();
            return all;
        }
        let (name, figure) = line.rsplit_once(' ').expect("a name and a figure");
        all.push((name.to_owned(), figure.parse().expect("a figure")));
    }
}

#[work]
fn count_instructions(_: &mut Args) {
    for (name, body) in ALL {
        print_line(format!("{name} {}", instructions(*body, COUNT)));
    }
    print_line(OVER);
}

#[test]
fn instruction_counts_match_the_stored_ones() {
    if let Some(why) = incomparable() {
        println!("NOT COMPARED: {why}");
        return;
    }
    let stored: Vec<(&str, f64)> = STORED
        .lines()
        .skip(1)
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(name, figure)| (name.trim(), figure.parse().expect("a figure")))
        .collect();
    let mut off = Vec::new();
    let all = all_instructions();
    for (name, now) in &all {
        let (_, before) =
            *stored.iter().find(|(of, _)| of == name).expect("store the figures anew");
        println!("{name:<24}{now:>8.2} instructions, stored {before:.2}");
        if (now / before - 1.0).abs() > SLACK {
            off.push(format!("{name}: {now:.2} instead of {before:.2}"));
        }
    }
    assert_eq!(stored.len(), all.len(), "there are stored figures that are no longer counted");
    assert!(off.is_empty(), "{off:?}; if that is intended, store them: -- --store");
}

#[test]
fn receivers_add_no_instruction_to_a_broadcast() {
    if cfg!(debug_assertions) {
        println!("NOT COMPARED: the loops of an unoptimized build are others");
        return;
    }
    let of = figures_of("figures::count_laps");
    for (name, figure) in &of {
        println!("a lap, {name:<16}{figure:>8.2} instructions for each message");
    }
    let [(_, spsc), (_, one), (_, eight), (_, many)] = &of[..] else { panic!("{of:?}") };
    assert!(*eight <= one * (1.0 + TO_8), "{eight} instructions with 8 receivers, {one} with 1");
    assert!(*many <= one * (1.0 + TO_32), "{many} instructions with 32 receivers, {one} with 1");
    assert!(*one <= spsc * (1.0 + OVER_SPSC), "{one} instructions, {spsc} of an SPSC sender");
}

#[work]
fn count_laps(_: &mut Args) {
    for (name, body) in LAPS {
        print_line(format!("{name} {}", instructions(*body, LAP)));
    }
    print_line(OVER);
}

pub fn store() -> ExitCode {
    let mut text = format!("{}\n", compiler());
    for (name, figure) in all_instructions() {
        writeln!(text, "{name:<24}{figure:>8.2}").expect("to a string");
    }
    print!("{text}");
    match std::fs::write(FILE, text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{FILE}: {error}");
            ExitCode::FAILURE
        }
    }
}
