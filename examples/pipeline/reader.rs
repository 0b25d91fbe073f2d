//! The first stage: reads files into messages.

use std::time::Duration;

use sysvring::spsc;

use crate::Arguments;
use crate::failure::Failure;
use crate::messages::Lines;
use crate::source::Source;
use crate::stage;

/// Makes the channel of lines and fills it.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut lines: spsc::Sender<Lines> = arguments.new_channel().label("reader").create()?;
    stage::end_with_supervisor(&[lines.id()])?;
    stage::say(lines.id())?;
    let mut source = Source::of(arguments.path())?;
    let room = lines.slot_size() - Lines::HEADER;
    loop {
        // The kernel writes what it reads right into the slot.
        let mut message = lines.loan_with(room)?;
        let Some(piece) = source.fill(&mut message.text)? else { break };
        message.continued = piece.continued.into();
        message.added = piece.added.into();
        message.truncate(piece.len);
        message.commit();
    }
    // A private channel goes with its last member, and the counter may not even be there yet.
    lines.wait_for_peer(Duration::MAX)?;
    lines.flush(Duration::MAX)?;
    Ok(lines.close()?)
}
