//! What the user reads in the end.

use std::fmt::{self, Write};
use std::path::Path;
use std::time::Duration;

use crate::plain::Totals;

/// How it went.
pub struct Run {
    pub took: Duration,
    /// Blocks that were counted.
    pub messages: u64,
    /// How many of them were delivered more than once, because the worker that had them in flight died.
    pub again: usize,
    /// Counts of blocks that had been counted already.
    pub dropped: u64,
}

/// What was counted, and whether plain code counts the same.
pub fn report(
    path: &Path,
    totals: &Totals,
    run: &Run,
    plain: &Totals,
    plain_took: Duration,
) -> String {
    let mut text = format!("{}\n", path.display());
    // Writing to a string does not fail.
    let _ = describe(&mut text, totals, run);
    let _ = match totals == plain {
        true => writeln!(
            text,
            "equal to the count in one process by plain code, which took {plain_took:.2?}"
        ),
        false => compare(&mut text, totals, plain),
    };
    text
}

fn describe(text: &mut String, totals: &Totals, run: &Run) -> fmt::Result {
    for (figure, of) in [(totals.lines, "lines"), (totals.words, "words"), (totals.bytes, "bytes")]
    {
        writeln!(text, "{figure:>14} {of}")?;
    }
    let commonest = totals.commonest(10);
    writeln!(text, "the {} commonest of {} words:", commonest.len(), totals.tally.len())?;
    for (word, times) in commonest {
        writeln!(text, "{times:>14} {}", String::from_utf8_lossy(word))?;
    }
    // A run too short for the clock had some speed, too.
    let Run { took, messages, again, dropped } = run;
    let seconds = took.as_secs_f64().max(1e-6);
    let megabytes = totals.bytes as f64 / 1e6;
    writeln!(
        text,
        "{messages} messages, {megabytes:.1} MB in {took:.2?}: {:.0} messages/s, {:.1} MB/s",
        *messages as f64 / seconds,
        megabytes / seconds,
    )?;
    writeln!(text, "{again} messages delivered again, {dropped} counts that came twice left out")
}

fn compare(text: &mut String, totals: &Totals, plain: &Totals) -> fmt::Result {
    writeln!(text, "DIFFERENT from the count in one process by plain code, which found")?;
    for (of, ours, theirs) in [
        ("lines", totals.lines, plain.lines),
        ("words", totals.words, plain.words),
        ("bytes", totals.bytes, plain.bytes),
        ("different words", totals.tally.len() as u64, plain.tally.len() as u64),
    ] {
        writeln!(text, "{theirs:>14} {of}, not {ours}")?;
    }
    let their = |word: &[u8]| plain.tally.get(word).copied().unwrap_or(0);
    if let Some((word, times)) = totals.tally.iter().find(|(word, times)| their(word) != **times) {
        writeln!(text, "{:>14} {}, not {times}", their(word), String::from_utf8_lossy(word))?;
    }
    writeln!(text, "(did a file change meanwhile?)")
}
