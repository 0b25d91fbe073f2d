//! `sysvring record`: the messages of channels, by taps, into an MCAP file (<https://mcap.dev>).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use clap::Args;
use mcap::records::MessageHeader;
use mcap::write::{NoSeek, WriteOptions};
use sysvring::{Address, Error, Fault, Stat, Tap, TapStart};

use crate::channel::{self, owned_by};
use crate::columns::kind;
use crate::failure::{DONE, Failure};
use crate::signals::{self, Signals};
use crate::stream::progress::Progress;
use crate::{units, users};

/// Between two flushes; a recorder that is killed loses as much at most.
const FLUSH_EVERY: Duration = Duration::from_secs(1);
/// The pause when no channel had a message.
const PAUSE: Duration = Duration::from_millis(1);
/// Messages of one channel before it is the turn of the next.
const TURN: usize = 256;

type Writer = mcap::Writer<NoSeek<BufWriter<File>>>;

/// Record the messages of channels to an MCAP file, without taking any
///
/// It joins no channel, and slows none down.
/// It ends when the channels are removed, and on Ctrl-C. If it is killed, the file can be replayed
/// up to its last second. Messages that were missed are counted on standard error.
#[derive(Args, Debug)]
pub struct Record {
    /// The file; it is written anew
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The channels: NAME, USER/NAME, id:ID, key:0xKEY or file:PATH:PROJECT
    #[arg(value_name = "CHANNEL", required = true, value_parser = channel::parse)]
    channels: Vec<Address>,
    /// Look for the names among the channels of this user
    #[arg(long, value_name = "USER", value_parser = users::parse)]
    owner: Option<u32>,
    /// Begin with the oldest messages that are still in the rings
    #[arg(long)]
    oldest: bool,
    /// End after this many messages
    #[arg(short = 'n', long, value_name = "N")]
    count: Option<u64>,
    /// End after this time: seconds, or 500ms, 2m, 1h
    #[arg(short, long, value_name = "TIME", value_parser = units::parse_duration)]
    duration: Option<Duration>,
    /// Show progress on standard error, also if that is not a terminal
    #[arg(long)]
    progress: bool,
}

/// A channel that is recorded.
struct Track {
    tap: Tap,
    /// Its number in the file.
    number: u16,
    is_removed: bool,
}

impl Record {
    pub fn run(self) -> Result<u8, Failure> {
        let _signals = Signals::notice()?;
        let start = if self.oldest { TapStart::Oldest } else { TapStart::Now };
        // Before the file is written.
        let mut opened = Vec::new();
        for address in &self.channels {
            let stat = sysvring::stat(owned_by(address, self.owner)?)?;
            opened.push((Tap::open(stat.id, start)?, stat));
        }
        let failed =
            |error| Failure::because(&format!("{} cannot be written", self.file.display()), &error);
        let file = BufWriter::new(File::create(&self.file).map_err(failed)?);
        let options = WriteOptions::new()
            .disable_seeking(true)
            .library(concat!("sysvring ", env!("CARGO_PKG_VERSION")));
        let mut writer =
            options.create(NoSeek::new(file)).map_err(|error| self.unwritten(&error))?;
        let mut tracks = Vec::new();
        for (tap, stat) in opened {
            let number = writer
                .add_channel(0, &channel::name_of(&stat), "", &description(&stat, &tap))
                .map_err(|error| self.unwritten(&error))?;
            tracks.push(Track { tap, number, is_removed: false });
        }
        self.record(&mut writer, &mut tracks)?;
        writer.finish().map_err(|error| self.unwritten(&error))?;
        for track in tracks.iter().filter(|track| track.tap.missed() > 0) {
            let (missed, seen) = (track.tap.missed(), track.tap.seen());
            let id = track.tap.id();
            let missed = units::counted(missed, "message", "messages");
            let line = format!("sysvring: missed {missed} of id:{id}, recorded {seen}\n");
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
        Ok(DONE)
    }

    fn record(&self, writer: &mut Writer, tracks: &mut [Track]) -> Result<(), Failure> {
        let begin = Instant::now();
        let mut progress = Progress::new("recorded", self.progress);
        let (mut message, mut flush, mut is_dirty) = (Vec::new(), begin + FLUSH_EVERY, false);
        loop {
            let mut is_idle = true;
            for track in tracks.iter_mut().filter(|track| !track.is_removed) {
                for _ in 0..TURN {
                    if Some(progress.messages) == self.count {
                        return Ok(());
                    }
                    let found = match track.tap.try_next(&mut message) {
                        Ok(Some(found)) => found,
                        Ok(None) => break,
                        Err(Error::Fault(Fault::Removed)) => {
                            track.is_removed = true;
                            break;
                        }
                        Err(error) => return Err(error.into()),
                    };
                    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
                    let time = now.unwrap_or_default().as_nanos() as u64;
                    let header = MessageHeader {
                        channel_id: track.number,
                        // The lower half of its position.
                        sequence: found.position as u32,
                        log_time: time,
                        publish_time: time,
                    };
                    let written = writer.write_to_known_channel(&header, &message);
                    written.map_err(|error| self.unwritten(&error))?;
                    progress.count(message.len());
                    (is_idle, is_dirty) = (false, true);
                }
            }
            let is_over = self.duration.is_some_and(|duration| begin.elapsed() >= duration);
            if is_over
                || signals::received().is_some()
                || tracks.iter().all(|track| track.is_removed)
            {
                return Ok(());
            }
            if Instant::now() >= flush {
                if is_dirty {
                    writer.flush().map_err(|error| self.unwritten(&error))?;
                }
                (flush, is_dirty) = (Instant::now() + FLUSH_EVERY, false);
            }
            if is_idle {
                progress.show_if_due();
                thread::sleep(PAUSE);
            }
        }
    }

    fn unwritten(&self, error: &mcap::McapError) -> Failure {
        Failure::because(&format!("{} cannot be written", self.file.display()), error)
    }
}

/// Returns what `replay` must know of a channel, and people like to.
fn description(stat: &Stat, tap: &Tap) -> BTreeMap<String, String> {
    let structure = stat.structure.as_ref().map(ToString::to_string);
    [
        ("id", stat.id.to_string()),
        ("name", stat.name.clone()),
        ("kind", kind(stat.flavor).to_owned()),
        ("capacity", stat.capacity.to_string()),
        ("slot_size", stat.slot_size.to_string()),
        ("variable", stat.variable.to_string()),
        ("message_size", stat.message_size.to_string()),
        ("message_align", stat.message_align.to_string()),
        ("schema", stat.schema.to_string()),
        ("structure", structure.unwrap_or_default()),
        ("first_position", tap.position().to_string()),
    ]
    .into_iter()
    .map(|(key, value)| (format!("sysvring:{key}"), value))
    .collect()
}
