//! The middle stage, by as many processes as you like: parses words. A worker remembers nothing from
//! one message to the next, and acknowledges a message of lines when its counts are sent: it may be
//! killed at any instruction, and any other one goes on in its place.

use sysvring::mpmc::{Guard, Receiver, Sender};
use sysvring::{ChannelId, Error, RecvError, Role};

use crate::Arguments;
use crate::failure::Failure;
use crate::messages::{Counts, Lines, entries, pack};
use crate::stage;
use crate::words::{Tally, words};

/// Words that a message has room for at once, before the table grows.
const WORDS: usize = 2048;

/// Takes lines from one channel, puts counts into the other.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (Some(lines), Some(counts)) = (arguments.lines, arguments.counts) else {
        return Err(Failure::Sentence("a worker needs two channels".into()));
    };
    stage::end_with_supervisor(&[lines, counts])?;
    let (lines, counts) = match join(arguments, lines, counts) {
        // One that is started after the last block was acknowledged finds nothing to do any more.
        // Should the others be gone because they died, the supervisor knows.
        Err(Error::NotFound { .. }) => return Ok(()),
        joined => joined?,
    };
    loop {
        match lines.recv_ref() {
            // Sent first, acknowledged after: a death between the two makes the counts come twice,
            // and never not at all.
            Ok(message) => {
                send(&counts, &message)?;
                message.ack()?;
            }
            Err(RecvError::Disconnected) => break,
            Err(error) => return Err(error.into()),
        }
    }
    if lines.deaths()?.iter().any(|death| death.role == Role::Sender) {
        return Err(Failure::PeerGone);
    }
    Ok(counts.finish()?)
}

/// Joins both channels.
fn join(
    arguments: &Arguments,
    lines: ChannelId,
    counts: ChannelId,
) -> Result<(Receiver<Lines>, Sender<Counts>), Error> {
    let lines = arguments.channel(lines).label("worker").attach()?;
    Ok((lines, arguments.channel(counts).label("worker").attach()?))
}

/// Sends what there is in a message.
fn send(counts: &Sender<Counts>, lines: &Guard<Lines>) -> Result<(), Failure> {
    let mut tally = Tally::with_capacity_and_hasher(WORDS, Default::default());
    let mut seen = 0;
    for word in words(&lines.text) {
        *tally.entry(word).or_insert(0) += 1;
        seen += 1;
    }
    let mut message = counts.loan_with(counts.slot_size() - Counts::HEADER)?;
    message.position = lines.position().into();
    message.deliveries = lines.delivery_count();
    message.lines = lines.begun().into();
    message.words = seen.into();
    message.bytes = lines.bytes().into();
    let len = pack(&mut message.tally, entries(&tally));
    message.truncate(len);
    Ok(message.commit()?)
}
