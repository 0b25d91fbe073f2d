//! The middle stage: parses words. It remembers nothing from one message to the next, and
//! acknowledges a message of lines when its counts are sent: any other process could go on here.

use sysvring::{Peer, RecvError, spsc};

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
        return Err(Failure::Sentence("the counter needs two channels".into()));
    };
    stage::end_with_supervisor(&[lines, counts])?;
    let mut lines: spsc::Receiver<Lines> = arguments.channel(lines).label("counter").attach()?;
    let mut counts: spsc::Sender<Counts> = arguments.channel(counts).label("counter").attach()?;
    loop {
        let message = match lines.recv_ref() {
            Ok(message) => message,
            Err(RecvError::Disconnected) => break,
            Err(error) => return Err(error.into()),
        };
        let mut tally = Tally::with_capacity_and_hasher(WORDS, Default::default());
        let mut seen = 0;
        for word in words(&message.text) {
            *tally.entry(word).or_insert(0) += 1;
            seen += 1;
        }
        send(&mut counts, &message, seen, &tally)?;
    }
    match lines.peer()? {
        Peer::Left => Ok(counts.close()?),
        _ => Err(Failure::PeerGone),
    }
}

/// Sends what was counted in a message, in as many parts as it takes.
fn send(
    counts: &mut spsc::Sender<Counts>,
    lines: &Lines,
    words: u64,
    tally: &Tally<&[u8]>,
) -> Result<(), Failure> {
    let room = counts.slot_size() - Counts::HEADER;
    let mut entries = entries(tally).peekable();
    loop {
        let mut part = counts.loan_with(room)?;
        let len = pack(&mut part.tally, &mut entries);
        let last = entries.peek().is_none();
        let figure = |figure: u64| (if last { figure } else { 0 }).into();
        part.last = last.into();
        part.lines = figure(lines.begun());
        part.words = figure(words);
        part.bytes = figure(lines.bytes());
        part.truncate(len);
        part.commit();
        if last {
            return Ok(());
        }
    }
}
