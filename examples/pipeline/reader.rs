//! The first stage: reads files into messages.

use std::time::Duration;

use sysvring::SendError;
use sysvring::mpmc::{Loan, Sender};

use crate::Arguments;
use crate::failure::Failure;
use crate::messages::{Counts, Lines};
use crate::source::Source;
use crate::stage;

/// Makes the channel of lines and fills it.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Some(counts) = arguments.counts else {
        return Err(Failure::Sentence("the reader needs a channel".into()));
    };
    // No counts come from here. The reader is a member so that the channel has a sender as long as there are blocks
    // to count, even if all workers are dead for a moment: the collector goes on waiting.
    let counts: Sender<Counts> = arguments.channel(counts).label("reader").attach()?;
    // A block whose worker was killed goes to another one, 31 times if need be: no channel does more.
    let lines = arguments.new_channel(arguments.slot_size as usize);
    let lines: Sender<Lines> = lines.label("reader").create()?;
    stage::end_with_supervisor(&[lines.id(), counts.id()])?;
    stage::say(lines.id())?;
    let mut source = Source::of(arguments.path())?;
    loop {
        // The kernel writes what it reads right into the slot.
        let mut message = loan(&lines)?;
        let Some(piece) = source.fill(&mut message.text)? else { break };
        message.continued = piece.continued.into();
        message.added = piece.added.into();
        message.truncate(piece.len);
        message.commit()?;
    }
    // A private channel goes with its last member, and the workers may not even be there yet.
    lines.wait_for_peer(Duration::MAX)?;
    while let Err(error) = lines.flush(Duration::MAX) {
        await_worker(&lines, error)?;
    }
    // In this order: with the lines the workers end, also one that is only starting; with the counts
    // the collector.
    lines.finish()?;
    Ok(counts.finish()?)
}

/// A slot to read into.
fn loan(lines: &Sender<Lines>) -> Result<Loan<'_, Lines>, Failure> {
    loop {
        match lines.loan_with(lines.slot_size() - Lines::HEADER) {
            Ok(loan) => return Ok(loan),
            Err(error) => await_worker(lines, error)?,
        }
    }
}

/// The rule for a moment without workers: who sends waits for the next one. The supervisor starts
/// one in the place of any that was killed; if it cannot, it ends us.
fn await_worker(lines: &Sender<Lines>, error: SendError) -> Result<(), Failure> {
    match error {
        SendError::Disconnected => Ok(lines.wait_for_peer(Duration::MAX)?),
        error => Err(error.into()),
    }
}
