//! Opening a channel for its bytes, and creating it if it does not exist.

use std::thread;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use sysvring::broadcast::{self, Start};
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
    /// mpmc: any number of senders and receivers; spsc: one of each, faster; broadcast: one sender,
    /// and each receiver gets every message [default: mpmc]
    #[arg(long, value_name = "KIND")]
    kind: Option<Kind>,
    /// Overwrite the oldest message instead of waiting for receivers, which then miss some; for
    /// broadcast
    #[arg(long)]
    overwriting: bool,
    /// Number of slots, rounded up to a power of two [default: 1024, or as many as fit in 64M]
    #[arg(long, value_name = "SLOTS")]
    capacity: Option<usize>,
    /// As many slots as fit in this size: bytes, or 64K, 1M, 2G
    #[arg(long, value_name = "SIZE", value_parser = units::parse_size, conflicts_with = "capacity")]
    memory: Option<usize>,
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

    /// Fails unless the channel is a broadcast channel, or will be created as one.
    pub fn require_broadcast(&self, address: &Address, option: &str) -> Result<(), Failure> {
        let kind = match sysvring::stat(address) {
            Ok(stat) => stat.flavor,
            Err(Error::NotFound { .. }) if !self.no_create => {
                self.kind.unwrap_or(Kind::Mpmc).flavor()
            }
            // It cannot be joined either, which says why.
            Err(_) => return Ok(()),
        };
        if kind == Flavor::Broadcast {
            return Ok(());
        }
        let kind = columns::kind(kind);
        Err(Failure::usage(format!(
            "{option} is for broadcast channels, and {address} is of kind {kind}; leave it out, or use \
             a channel of --kind broadcast"
        )))
    }

    /// Returns the options of a new channel.
    fn options(&self, options: Options) -> Options {
        let options = match (self.capacity, self.memory) {
            (Some(slots), _) => options.capacity(slots),
            (None, Some(bytes)) => options.memory(bytes),
            (None, None) => options,
        };
        options
            .slot_size(self.message_size.unwrap_or(MESSAGE_SIZE))
            .mode(self.mode.unwrap_or(MODE))
            .overwriting(self.overwriting)
            .lifetime(if self.temporary { Lifetime::LastMember } else { Lifetime::Kept })
    }

    /// Fails if a channel exists that is not what the user asked for.
    fn check(&self, address: &Address) -> Result<(), Failure> {
        let Create {
            no_create: _,
            kind,
            overwriting,
            capacity,
            memory,
            message_size,
            mode,
            temporary,
        } = *self;
        let is_anything_wanted = kind.is_some()
            || capacity.is_some()
            || memory.is_some()
            || message_size.is_some()
            || mode.is_some()
            || temporary
            || overwriting;
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
        if overwriting && !stat.overwriting {
            return refuse("--overwriting", "waits for its receivers".into());
        }
        if let Some(slots) =
            capacity.filter(|slots| slots.checked_next_power_of_two() != Some(stat.capacity))
        {
            return refuse("--capacity", format!("has {} slots, not {slots}", stat.capacity));
        }
        if let Some(bytes) = memory.filter(|bytes| slots_in(*bytes, stat.stride) != stat.capacity) {
            let (found, wanted) = (stat.capacity, slots_in(bytes, stat.stride));
            return refuse("--memory", format!("has {found} slots, not {wanted}"));
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

/// Returns the largest power of two of slots that fits in a number of bytes.
fn slots_in(bytes: usize, stride: usize) -> usize {
    (bytes / stride.max(1)).checked_ilog2().map_or(0, |bits| 1 << bits)
}

/// Bytes of the longest message of a new channel.
const MESSAGE_SIZE: usize = 4 << 10;
/// Permissions of a new channel.
const MODE: u32 = 0o600;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Mpmc,
    Spsc,
    Broadcast,
}

impl Kind {
    fn flavor(self) -> Flavor {
        match self {
            Kind::Mpmc => Flavor::Mpmc,
            Kind::Spsc => Flavor::Spsc,
            Kind::Broadcast => Flavor::Broadcast,
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

/// Creates an SPSC or broadcast channel of bytes, which an untyped handle cannot do. The receiver
/// leaves at once: a sender that sees it go waits for the next one, where a receiver would take the
/// end of a sender for the end of the stream.
fn create_typed(kind: Kind, options: Options) -> Result<(), Error> {
    match kind {
        Kind::Broadcast => options.create::<broadcast::Receiver<[u8]>>()?.close(),
        _ => options.create::<spsc::Receiver<[u8]>>()?.close(),
    }
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

/// What a member is like.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    label: &'a str,
    start: Option<Start>,
}

impl<'a> Member<'a> {
    /// Returns a member with a label.
    pub fn labelled(label: &'a str) -> Member<'a> {
        Member { label, start: None }
    }

    /// Returns a receiver with the label that the user chose, or with that of its command. In a
    /// broadcast channel it starts where the user said. Otherwise it continues where a dead receiver of
    /// the chosen label was: the label of the command is that of many.
    pub fn receiver(command: &'a str, chosen: Option<&'a str>, start: Option<Start>) -> Member<'a> {
        let start = start.or(chosen.is_none().then_some(Start::Oldest));
        Member { label: chosen.unwrap_or(command), start }
    }

    fn options(&self, address: &Address) -> Options {
        let options = Options::address(address).label(self.label);
        match self.start {
            Some(start) => options.start(start),
            None => options,
        }
    }
}

/// Reads where a receiver of a broadcast channel starts.
pub fn parse_start(text: &str) -> Result<Start, String> {
    match text {
        "oldest" => Ok(Start::Oldest),
        "next" => Ok(Start::Next),
        number => match number.parse() {
            Ok(position) => Ok(Start::Position(position)),
            Err(_) => Err("it is oldest, next, or a position".into()),
        },
    }
}

/// Joins a channel.
pub fn join<H: Handle>(
    address: &Address,
    create: &Create,
    member: Member<'_>,
) -> Result<H, Failure> {
    let options = || member.options(address);
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
        if create.overwriting && !matches!(create.kind, Some(Kind::Broadcast)) {
            return Err(Failure::usage(
                "--overwriting is for channels of --kind broadcast; add that, or leave it out",
            ));
        }
        let new = create.options(options());
        let created = match create.kind.unwrap_or(Kind::Mpmc) {
            Kind::Mpmc => new.create().map(Some),
            // It must outlive the handle that creates it.
            kind @ (Kind::Spsc | Kind::Broadcast) if create.temporary => {
                return Err(Failure::usage(format!(
                    "a channel of kind {} that this command creates stays when its last member \
                     leaves; leave --temporary out, or create one of --kind mpmc",
                    columns::kind(kind.flavor())
                )));
            }
            kind @ (Kind::Spsc | Kind::Broadcast) => create_typed(kind, new).map(|()| None),
        };
        match created {
            Ok(Some(handle)) => return Ok(handle),
            // Now it exists, or another process was faster.
            Ok(None) | Err(Error::AlreadyExists { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
