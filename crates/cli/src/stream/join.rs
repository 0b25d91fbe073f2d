//! Opening a channel for its bytes, and creating it if it does not exist.

use std::thread;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use sysvring::{Address, Error, Flavor, Handle, Lifetime, Options, spsc};

use crate::failure::Failure;
use crate::{columns, units, users};

/// What a channel is like that has to be created.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "If the channel has to be created (one that exists must agree)")]
pub struct Create {
    /// Fail instead
    #[arg(long)]
    no_create: bool,
    /// mpmc: any number of senders and receivers; spsc: one of each, faster [default: mpmc]
    #[arg(long, value_name = "KIND")]
    kind: Option<Kind>,
    /// Number of slots, rounded up to a power of two [default: 1024]
    #[arg(long, value_name = "SLOTS")]
    capacity: Option<usize>,
    /// Size of the longest message: bytes, or 64K, 1M, 2G [default: 4K]
    #[arg(long, value_name = "SIZE", value_parser = units::parse_size)]
    message_size: Option<usize>,
    /// Permissions, in octal [default: 0600]
    #[arg(long, value_name = "MODE", value_parser = parse_mode)]
    mode: Option<u32>,
    /// Remove the channel when its last member leaves, with messages that nobody received; for mpmc
    #[arg(long)]
    temporary: bool,
}

impl Create {
    /// Returns the same; or, if this is not so, that nothing is created.
    pub fn only_if(self, may_create: bool) -> Create {
        match may_create {
            true => self,
            false => Create { no_create: true, ..Create::default() },
        }
    }

    /// Returns the options of a new channel.
    fn options(&self, options: Options) -> Options {
        options
            .capacity(self.capacity.unwrap_or(CAPACITY))
            .slot_size(self.message_size.unwrap_or(MESSAGE_SIZE))
            .mode(self.mode.unwrap_or(MODE))
            .lifetime(if self.temporary { Lifetime::LastMember } else { Lifetime::Kept })
    }

    /// Fails if a channel exists that is not what the user asked for.
    fn check(&self, address: &Address) -> Result<(), Failure> {
        let Create { no_create: _, kind, capacity, message_size, mode, temporary } = *self;
        let is_anything_wanted = kind.is_some()
            || capacity.is_some()
            || message_size.is_some()
            || mode.is_some()
            || temporary;
        if !is_anything_wanted {
            return Ok(());
        }
        // One that cannot be examined cannot be joined either, which says why.
        let Ok(stat) = sysvring::stat(address) else { return Ok(()) };
        let refuse = |option: &str, what: String| {
            Err(Failure::usage(format!(
                "channel {address} exists and {what}; leave {option} out, or remove the channel with \
                 `sysvring rm`"
            )))
        };
        if let Some(kind) = kind.filter(|kind| kind.flavor() != stat.flavor) {
            let (found, wanted) = (columns::kind(stat.flavor), columns::kind(kind.flavor()));
            return refuse("--kind", format!("is of kind {found}, not {wanted}"));
        }
        if let Some(slots) =
            capacity.filter(|slots| slots.checked_next_power_of_two() != Some(stat.capacity))
        {
            return refuse("--capacity", format!("has {} slots, not {slots}", stat.capacity));
        }
        if let Some(size) = message_size.filter(|size| *size != stat.slot_size) {
            let found = stat.slot_size;
            let what = format!("takes messages of up to {found} bytes, not {size}");
            return refuse("--message-size", what);
        }
        if let Some(mode) = mode.filter(|mode| *mode != stat.segment.mode) {
            return refuse("--mode", format!("has mode {:04o}, not {mode:04o}", stat.segment.mode));
        }
        if temporary && stat.lifetime != Lifetime::LastMember {
            return refuse("--temporary", "stays when its last member leaves".into());
        }
        Ok(())
    }
}

/// Slots of a new channel.
const CAPACITY: usize = 1024;
/// Bytes of the longest message of a new channel.
const MESSAGE_SIZE: usize = 4 << 10;
/// Permissions of a new channel.
const MODE: u32 = 0o600;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Mpmc,
    Spsc,
}

impl Kind {
    fn flavor(self) -> Flavor {
        match self {
            Kind::Mpmc => Flavor::Mpmc,
            Kind::Spsc => Flavor::Spsc,
        }
    }
}

fn parse_mode(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode & !0o666 == 0 && mode & 0o600 == 0o600 => Ok(mode),
        _ => {
            Err("a mode is octal, has read and write bits only, and gives the owner both, such as \
                  0660"
                .into())
        }
    }
}

/// How long another process may have a seat for the moment in which it creates an SPSC channel.
const CREATION: Duration = Duration::from_millis(500);

/// Creates an SPSC channel of bytes, which an untyped handle cannot do. The receiver leaves at
/// once: a sender that sees it go waits for the next one, where a receiver would take the end of a
/// sender for the end of the stream.
fn create_spsc(options: Options) -> Result<(), Error> {
    options.create::<spsc::Receiver<[u8]>>()?.close()
}

/// Returns whether this user can create the channel: identifiers are assigned by the kernel, and
/// names of another user belong to that one.
fn is_creatable(address: &Address) -> bool {
    match address {
        Address::Id(_) => false,
        Address::Name { uid, .. } => *uid == users::me(),
        _ => true,
    }
}

/// Joins a channel.
pub fn join<H: Handle>(address: &Address, create: &Create, label: &str) -> Result<H, Failure> {
    let options = || Options::address(address).label(label);
    let may_create = !create.no_create && is_creatable(address);
    let start = Instant::now();
    loop {
        create.check(address)?;
        match options().attach() {
            Err(Error::SeatTaken { .. }) if start.elapsed() < CREATION => {
                thread::sleep(Duration::from_millis(5));
                continue;
            }
            Err(Error::NotFound { .. }) if may_create => {}
            result => return Ok(result?),
        }
        let new = create.options(options());
        let created = match create.kind.unwrap_or(Kind::Mpmc) {
            Kind::Mpmc => new.create().map(Some),
            // It must outlive the handle that creates it.
            Kind::Spsc if create.temporary => {
                return Err(Failure::usage(
                    "an spsc channel that this command creates stays when its last member leaves; \
                     leave --temporary out, or create one of --kind mpmc",
                ));
            }
            Kind::Spsc => create_spsc(new).map(|()| None),
        };
        match created {
            Ok(Some(handle)) => return Ok(handle),
            // Now it exists, or another process was faster.
            Ok(None) | Err(Error::AlreadyExists { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
