//! Opening a channel for its bytes, and creating it if it does not exist.

use std::thread;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use sysvring::{Address, Error, Handle, Lifetime, Options, spsc};

use crate::failure::Failure;
use crate::units;

/// What a channel is like that has to be created.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "If the channel has to be created")]
pub struct Create {
    /// Fail instead
    #[arg(long)]
    no_create: bool,
    /// mpmc: any number of senders and receivers; spsc: one of each, faster
    #[arg(long, value_name = "KIND", default_value = "mpmc")]
    kind: Kind,
    /// Number of slots, rounded up to a power of two
    #[arg(long, value_name = "SLOTS", default_value_t = 1024)]
    capacity: usize,
    /// Size of the longest message
    #[arg(long, value_name = "SIZE", default_value = "4K", value_parser = units::parse_size)]
    message_size: usize,
    /// Permissions, in octal
    #[arg(long, value_name = "MODE", default_value = "0600", value_parser = parse_mode)]
    mode: u32,
    /// Remove the channel when its last member leaves, with messages that nobody received
    #[arg(long)]
    temporary: bool,
}

impl Create {
    /// Returns the same, but creates nothing unless this is so.
    pub fn only_if(self, may_create: bool) -> Create {
        Create { no_create: self.no_create || !may_create, ..self }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Mpmc,
    Spsc,
}

fn parse_mode(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode & !0o666 == 0 => Ok(mode),
        _ => Err("a mode is octal and has read and write bits only, such as 0660".into()),
    }
}

/// How long another process may have a seat for the moment in which it creates an SPSC channel.
const CREATION: Duration = Duration::from_millis(500);

/// Creates an SPSC channel of bytes, which an untyped handle cannot do. The receiver leaves at
/// once: a sender that sees it go waits for the next one, where a receiver would take the end of a
/// sender for the end of the stream.
fn create_spsc(options: &Options) -> Result<(), Error> {
    options.clone().create::<spsc::Receiver<[u8]>>()?.close()
}

/// Joins a channel.
pub fn join<H: Handle>(address: &Address, create: &Create, label: &str) -> Result<H, Failure> {
    let options = || Options::address(address).label(label);
    let mut new = options()
        .capacity(create.capacity)
        .slot_size(create.message_size)
        .mode(create.mode)
        .lifetime(if create.temporary { Lifetime::LastMember } else { Lifetime::Kept });
    if create.kind == Kind::Spsc {
        // It must outlive the handle that creates it.
        new = new.lifetime(Lifetime::Kept);
    }
    let start = Instant::now();
    loop {
        match options().attach() {
            Err(Error::SeatTaken { .. }) if start.elapsed() < CREATION => {
                thread::sleep(Duration::from_millis(5));
                continue;
            }
            Err(Error::NotFound { .. })
                if !create.no_create && !matches!(address, Address::Id(_)) => {}
            result => return Ok(result?),
        }
        let created = match create.kind {
            Kind::Mpmc => new.clone().create().map(Some),
            Kind::Spsc => create_spsc(&new).map(|()| None),
        };
        match created {
            Ok(Some(handle)) => return Ok(handle),
            // Now it exists, or another process was faster.
            Ok(None) | Err(Error::AlreadyExists { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
