//! `sysvring replay`: the messages of an MCAP file into channels.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use mcap::McapError;
use mcap::records::{self, MessageHeader};
use mcap::sans_io::linear_reader::{LinearReadEvent, LinearReader};
use sysvring::untyped::Sender;
use sysvring::{Address, Difference, SendError, Structure};

use crate::failure::{DONE, Failure};
use crate::signals::{self, Signals};
use crate::stream::join::{self, Create, Member};
use crate::stream::progress::Progress;
use crate::stream::wait::Pause;
use crate::{channel, escape};

/// Send the messages of an MCAP file to the channels that they were recorded from
///
/// They are sent with the pauses that they were recorded with. At the end, the streams are
/// finished. A file that a killed recorder left is replayed as far as it goes. Channels of bytes
/// are created; others have to exist, as only their programs know the type.
#[derive(Args, Debug)]
pub struct Replay {
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Replay only what was recorded from this channel, as `record` named it
    #[arg(long, value_name = "NAME")]
    topic: Option<String>,
    /// Send everything to this channel instead
    #[arg(long, value_name = "CHANNEL", value_parser = channel::parse)]
    to: Option<Address>,
    /// This many times as fast as recorded
    #[arg(long, value_name = "FACTOR", default_value = "1", conflicts_with = "fast")]
    speed: f64,
    /// As fast as the receivers take it
    #[arg(long)]
    fast: bool,
    /// Send the messages also to a channel of another message type, as the bytes that they are
    #[arg(long)]
    any_type: bool,
    /// Leave the streams open at the end
    #[arg(long)]
    no_finish: bool,
    /// Show progress on standard error, also if that is not a terminal
    #[arg(long)]
    progress: bool,
    #[command(flatten)]
    create: Create,
}

/// Where messages go.
struct Destinations<'a> {
    replay: &'a Replay,
    signals: &'a Signals,
    /// The channel of each channel of the file; `None` if it is left out.
    numbers: HashMap<u16, Option<Destination>>,
    senders: Vec<(Address, Sender)>,
}

/// A channel that messages go to.
struct Destination {
    address: Address,
    /// Whether they are bytes of any number: other channels are created by their programs, which
    /// know the type.
    is_text: bool,
    /// The type that was recorded, until it is compared with that of the channel.
    recorded: Option<Recorded>,
}

/// What a recording tells of the type of messages.
struct Recorded {
    structure: Option<Structure>,
    schema: u64,
}

impl Recorded {
    fn of(metadata: &BTreeMap<String, String>) -> Recorded {
        let parsed = |key: &str| metadata.get(key).filter(|text| !text.is_empty());
        Recorded {
            structure: parsed("sysvring:structure").and_then(|text| text.parse().ok()),
            schema: parsed("sysvring:schema").and_then(|text| text.parse().ok()).unwrap_or(0),
        }
    }

    /// Fails if the channel of a sender has another type, as far as both are known.
    fn check(&self, address: &Address, sender: &Sender) -> Result<(), Failure> {
        let differs = |what: String| {
            Err(Failure::usage(format!(
                "{address} has other messages than the recording: {what}; send them to another channel \
                 with --to, or all the same with --any-type"
            )))
        };
        if let (Some(recorded), Some(found)) = (&self.structure, sender.structure())
            && let Some(difference) = recorded.first_difference(found)
        {
            let Difference { field, expected, found, .. } = difference;
            return differs(format!(
                "{field} is {expected} in the recording and {found} in the channel"
            ));
        }
        match (self.schema, sender.schema()) {
            (0, _) | (_, 0) => Ok(()),
            (recorded, found) if recorded == found => Ok(()),
            (recorded, found) => differs(format!(
                "they have schema {recorded:#x}, and those of the channel {found:#x}"
            )),
        }
    }
}

/// When messages are sent.
struct Clock {
    /// None: at once.
    speed: Option<f64>,
    /// The time of the first message, and now.
    start: Option<(u64, Instant)>,
}

impl Clock {
    /// Returns how long to wait until a message of this time is due.
    fn due(&mut self, time: u64) -> Duration {
        let Some(speed) = self.speed else { return Duration::ZERO };
        let (first, begin) = *self.start.get_or_insert((time, Instant::now()));
        let after = Duration::from_nanos(time.saturating_sub(first)).div_f64(speed);
        after.saturating_sub(begin.elapsed())
    }
}

impl Replay {
    pub fn run(self) -> Result<u8, Failure> {
        if !(self.speed > 0.0 && self.speed.is_finite()) {
            return Err(Failure::usage("--speed must be more than 0; --fast does not wait at all"));
        }
        let signals = Signals::notice()?;
        let numbers = HashMap::new();
        let mut to =
            Destinations { replay: &self, signals: &signals, numbers, senders: Vec::new() };
        let replayed = self.replay(&mut to);
        for (_, sender) in to.senders {
            // A stream that was replayed in part is not finished.
            match replayed.is_ok() && !self.no_finish && signals::received().is_none() {
                true => sender.finish()?,
                false => drop(sender.close()),
            }
        }
        replayed.map(|()| DONE)
    }

    fn replay(&self, to: &mut Destinations) -> Result<(), Failure> {
        let unread = |error: &dyn std::error::Error| {
            Failure::because(&format!("{} cannot be read", self.file.display()), error)
        };
        let mut file = File::open(&self.file).map_err(|error| unread(&error))?;
        let mut reader = LinearReader::new();
        let mut progress = Progress::new("replayed", self.progress);
        let mut clock = Clock { speed: (!self.fast).then_some(self.speed), start: None };
        let pause = Pause::new(to.signals);
        while let Some(event) = reader.next_event() {
            let (opcode, data) = match event {
                Ok(LinearReadEvent::ReadRequest(n)) => {
                    let read = file.read(reader.insert(n)).map_err(|error| unread(&error))?;
                    reader.notify_read(read);
                    continue;
                }
                Ok(LinearReadEvent::Record { opcode, data }) => (opcode, data),
                // The recorder was killed.
                Err(McapError::UnexpectedEof | McapError::UnexpectedEoc) => {
                    let line = format!(
                        "sysvring: {} ends within a record; all before it was replayed\n",
                        escape::text(&self.file.to_string_lossy())
                    );
                    let _ = io::stderr().write_all(line.as_bytes());
                    break;
                }
                Err(error) => return Err(unread(&error)),
            };
            match mcap::parse_record(opcode, data).map_err(|error| unread(&error))? {
                records::Record::Channel(channel) => to.add(channel)?,
                records::Record::Message { header, data } => {
                    let Some(sender) = to.sender(&header)? else { continue };
                    if !pause.sleep(clock.due(header.log_time)) || !send(sender, &data)? {
                        return Ok(());
                    }
                    progress.count(data.len());
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Sends a message; waits for a receiver if there is no room and none is there. Returns false after
/// a signal.
fn send(sender: &mut Sender, message: &[u8]) -> Result<bool, Failure> {
    loop {
        let sent = match sender.send(message) {
            Err(SendError::Disconnected) => sender.wait_for_peer(Duration::MAX).map(|()| false),
            other => other.map(|()| true),
        };
        match sent {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(SendError::Interrupted) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        if signals::received().is_some() {
            return Ok(false);
        }
    }
}

impl Destinations<'_> {
    /// Notes where the messages of a channel of the file go.
    fn add(&mut self, channel: records::Channel) -> Result<(), Failure> {
        if self.numbers.contains_key(&channel.id) {
            return Ok(());
        }
        let is_wanted = self.replay.topic.as_ref().is_none_or(|topic| *topic == channel.topic);
        let address = match (is_wanted, &self.replay.to) {
            (false, _) => None,
            (true, Some(address)) => Some(address.clone()),
            (true, None) => match channel.metadata.get("sysvring:name").map(String::as_str) {
                Some("") => {
                    return Err(Failure::usage(format!(
                        "{} has no name; say where its messages go with --to CHANNEL",
                        channel.topic
                    )));
                }
                Some(name) => Some(Address::named(name)),
                // The file is not one of `record`.
                None => Some(Address::named(channel.topic.as_str())),
            },
        };
        let is = |key: &str, value: &str| {
            let key = format!("sysvring:{key}");
            channel.metadata.get(&key).is_none_or(|recorded| recorded == value)
        };
        let is_text = is("variable", "true") && is("message_size", "0") && is("message_align", "1");
        let recorded = (!self.replay.any_type).then(|| Recorded::of(&channel.metadata));
        let destination = address.map(|address| Destination { address, is_text, recorded });
        self.numbers.insert(channel.id, destination);
        Ok(())
    }

    /// Returns the sender for a message, if it is wanted.
    fn sender(&mut self, header: &MessageHeader) -> Result<Option<&mut Sender>, Failure> {
        let Some(Some(destination)) = self.numbers.get_mut(&header.channel_id) else {
            return Ok(None);
        };
        let Destination { address, is_text, recorded } = destination;
        let known = self.senders.iter().position(|(known, _)| known == address);
        let known = match known {
            Some(known) => known,
            None => {
                let create = self.replay.create.clone().only_if(*is_text);
                let sender: Sender =
                    join::join(address, &create, Member::labelled("sysvring replay"))?;
                self.signals.interrupt(sender.interrupter());
                self.senders.push((address.clone(), sender));
                self.senders.len() - 1
            }
        };
        let sender = self.senders.get_mut(known).map(|(_, sender)| sender);
        if let (Some(recorded), Some(sender)) = (recorded.take(), &sender) {
            recorded.check(address, sender)?;
        }
        Ok(sender)
    }
}
