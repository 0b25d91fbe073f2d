//! The last stage: adds up, each block once, and checks.

use std::collections::BTreeSet;
use std::time::Instant;

use sysvring::mpmc::Receiver;
use sysvring::{Options, RecvError};

use crate::Arguments;
use crate::failure::Failure;
use crate::messages::Counts;
use crate::once::Seen;
use crate::plain::{self, Totals};
use crate::report::{Run, report};
use crate::stage;

/// Makes the channel of counts, adds up what comes, and says a report. Whether the count is right.
pub fn run(arguments: &Arguments) -> Result<bool, Failure> {
    let room = Counts::room(arguments.slot_size as usize);
    let channel: Options = arguments.new_channel(room).label("collector");
    let counts: Receiver<Counts> = channel.create()?;
    stage::end_with_supervisor(&[counts.id()])?;
    stage::say(counts.id())?;
    let start = Instant::now();
    let mut totals = Totals::default();
    let (mut seen, mut again) = (Seen::default(), BTreeSet::new());
    let (mut messages, mut dropped) = (0, 0);
    loop {
        let part = match counts.recv_ref() {
            Ok(part) => part,
            // The reader is a member as long as there are blocks to count. So this is the end, and
            // not a moment in which all workers are dead.
            Err(RecvError::Disconnected) => break,
            Err(error) => return Err(error.into()),
        };
        let position = part.position.get();
        if part.deliveries > 1 {
            again.insert(position);
        }
        if !seen.is_first(position) {
            // A worker was killed after it had sent this, and before it had acknowledged the block.
            dropped += 1;
            part.ack()?;
            continue;
        }
        totals.lines += part.lines.get();
        totals.words += part.words.get();
        totals.bytes += part.bytes.get();
        messages += 1;
        for (word, times) in part.tally() {
            totals.add(word, times);
        }
        part.ack()?;
    }
    let run = Run { took: start.elapsed(), messages, again: again.len(), dropped };
    if counts.deaths()?.iter().any(|death| death.label == "reader") {
        return Err(Failure::PeerGone);
    }
    counts.close()?;

    let start = Instant::now();
    let plain = plain::count(arguments.path())?;
    let text = report(arguments.path(), &totals, &run, &plain, start.elapsed());
    stage::say(text.trim_end())?;
    Ok(totals == plain)
}
