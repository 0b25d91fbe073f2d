//! The last stage: adds up, checks, reports.

use std::fmt::Write;
use std::time::{Duration, Instant};

use sysvring::{Peer, RecvError, spsc};

use crate::Arguments;
use crate::failure::Failure;
use crate::messages::Counts;
use crate::plain::{self, Totals};
use crate::stage;

/// Makes the channel of counts, adds up what comes, and says a report. Whether the count is right.
pub fn run(arguments: &Arguments) -> Result<bool, Failure> {
    let mut counts: spsc::Receiver<Counts> = arguments.new_channel().label("collector").create()?;
    stage::end_with_supervisor(&[counts.id()])?;
    stage::say(counts.id())?;
    let start = Instant::now();
    let mut totals = Totals::default();
    let mut messages = 0;
    loop {
        let part = match counts.recv_ref() {
            Ok(part) => part,
            Err(RecvError::Disconnected) => break,
            Err(error) => return Err(error.into()),
        };
        totals.lines += part.lines.get();
        totals.words += part.words.get();
        totals.bytes += part.bytes.get();
        messages += u64::from(part.last);
        for (word, times) in part.tally() {
            totals.add(word, times);
        }
    }
    let took = start.elapsed();
    if counts.peer()? != Peer::Left {
        return Err(Failure::PeerGone);
    }
    counts.close()?;

    let path = arguments.path();
    let start = Instant::now();
    let plain = plain::count(path)?;
    let plain_took = start.elapsed();
    let equal = totals == plain;
    let mut text = format!("{}\n", path.display());
    // Writing to a string does not fail.
    let _ = describe(&mut text, &totals, messages, took);
    let _ = match equal {
        true => writeln!(
            text,
            "equal to the count in one process by plain code, which took {plain_took:.2?}"
        ),
        false => compare(&mut text, &totals, &plain),
    };
    stage::say(text.trim_end())?;
    Ok(equal)
}

fn describe(text: &mut String, totals: &Totals, messages: u64, took: Duration) -> std::fmt::Result {
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
    let seconds = took.as_secs_f64().max(1e-6);
    let megabytes = totals.bytes as f64 / 1e6;
    writeln!(
        text,
        "{messages} messages, {megabytes:.1} MB in {took:.2?}: {:.0} messages/s, {:.1} MB/s",
        messages as f64 / seconds,
        megabytes / seconds,
    )
}

fn compare(text: &mut String, totals: &Totals, plain: &Totals) -> std::fmt::Result {
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
