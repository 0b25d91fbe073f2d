//! `sysvring doctor`: what will go wrong on this machine, and what to do about it.

mod bridges;
mod channels;
mod kernel;
mod limits;
mod memory;
mod modes;
mod namespace;
mod session;
mod unusable;

use std::fmt::Write;
use std::fs;

use clap::Args;

use crate::escape;
use crate::failure::{DONE, FAILED, Failure};
use crate::output::cell::Cell;
use crate::output::style::{Tone, has_colour, paint};
use crate::output::{self, Column, Format};

/// Check limits, kernel, login session, memory and channels; each problem comes with its remedy
///
/// Exit code 1 if something needs attention. A check that cannot be made is a note.
#[derive(Args, Debug)]
#[command(after_long_help = output::help("Columns, for -J, -r and -o", FINDING))]
pub struct Doctor {
    /// Check the IPC namespace, limits and control group of this process, such as one in a
    /// container; needs root
    #[arg(long, value_name = "PID")]
    pid: Option<u32>,
    /// Print problems only
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    format: Format,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Fine,
    /// It concerns few programs, or could not be checked.
    Note,
    /// It will go wrong, or did.
    Problem,
}

/// The result of a check.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The check, by a name that stays the same.
    pub check: &'static str,
    pub verdict: Verdict,
    /// What was found, as a sentence.
    pub found: String,
    /// What to do; empty if nothing.
    pub remedy: String,
}

impl Finding {
    pub fn fine(check: &'static str, found: impl Into<String>) -> Finding {
        Finding { check, verdict: Verdict::Fine, found: found.into(), remedy: String::new() }
    }

    pub fn note(
        check: &'static str,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Finding {
        let (found, remedy) = (found.into(), remedy.into());
        Finding { check, verdict: Verdict::Note, found, remedy }
    }

    pub fn problem(
        check: &'static str,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Finding {
        Finding { verdict: Verdict::Problem, ..Finding::note(check, found, remedy) }
    }
}

/// The columns of findings.
const FINDING: &[Column<Finding>] = &[
    Column {
        name: "CHECK",
        about: "name of the check",
        shown: true,
        cell: |f| Cell::Word(f.check, Tone::Plain),
    },
    Column {
        name: "VERDICT",
        about: "fine, note or problem",
        shown: true,
        cell: |f| {
            let (word, tone) = word(f.verdict);
            Cell::Word(word, tone)
        },
    },
    Column {
        name: "FOUND",
        about: "what was found",
        shown: true,
        cell: |f| Cell::Safe(escape::visible(&f.found)),
    },
    Column {
        name: "REMEDY",
        about: "what to do",
        shown: true,
        cell: |f| match f.remedy.as_str() {
            "" => Cell::None,
            remedy => Cell::Safe(escape::visible(remedy)),
        },
    },
];

fn word(verdict: Verdict) -> (&'static str, Tone) {
    match verdict {
        Verdict::Fine => ("fine", Tone::Good),
        Verdict::Note => ("note", Tone::Warning),
        Verdict::Problem => ("problem", Tone::Bad),
    }
}

impl Doctor {
    pub fn run(self) -> Result<u8, Failure> {
        let mut findings = namespace::enter(self.pid)?;
        findings.extend(limits::check());
        findings.extend(kernel::check());
        findings.extend(session::check());
        findings.extend(memory::check(self.pid));
        findings.extend(channels::check());
        let is_ill = findings.iter().any(|finding| finding.verdict == Verdict::Problem);
        if self.quiet {
            findings.retain(|finding| finding.verdict == Verdict::Problem);
        }
        if self.format.json || self.format.raw || self.format.output.is_some() {
            self.format.print("findings", FINDING, &findings)?;
        } else {
            output::print(prose(&findings).as_bytes())?;
        }
        Ok(if is_ill { FAILED } else { DONE })
    }
}

/// Returns the findings for people: a line each, and the remedy below it.
fn prose(findings: &[Finding]) -> String {
    let (colour, mut text) = (has_colour(), String::new());
    let width = findings.iter().map(|finding| finding.check.len()).max().unwrap_or(0);
    for Finding { check, verdict, found, remedy } in findings {
        let (word, tone) = word(*verdict);
        let word = paint(&format!("{word:<7}"), tone, colour);
        let _ = writeln!(text, "{word}  {check:<width$}  {}", escape::visible(found));
        if !remedy.is_empty() {
            let _ = writeln!(text, "{:9}{:width$}  -> {}", "", "", escape::visible(remedy));
        }
    }
    text
}

/// Returns the numbers in a file of /proc.
fn numbers(path: &str) -> Option<Vec<u64>> {
    let text = fs::read_to_string(path).ok()?;
    text.split_whitespace().map(|word| word.parse().ok()).collect()
}

/// Returns the number in a file of /proc.
fn number(path: &str) -> Option<u64> {
    numbers(path)?.first().copied()
}

/// Returns what cannot be checked as a note.
fn unknown(check: &'static str, path: &str) -> Finding {
    Finding::note(check, format!("not checked: {path} cannot be read"), "")
}
