//! Validation: the options and the message type of one side, compared with the facts of an existing
//! channel.

use core::fmt::Display;

use crate::error::Error;
use crate::flavor::{Flavor, SEATS_MAX, SPSC_SEATS};
use crate::layout::NAME_MAX;
use crate::message::MessageType;
use crate::options::capacity::{self, Capacity};
use crate::options::{self, Options};
use crate::ring::geometry::Geometry;
use crate::segment::{ChannelInfo, ChannelSpec, Description, Lifetime, Redelivery};

/// Returns what a new channel with these options would be.
///
/// # Errors
/// [`Error::InvalidOption`] for options that no channel can have.
pub(crate) fn plan<'a>(
    options: &'a Options,
    flavor: Flavor,
    message: &MessageType,
) -> Result<ChannelSpec<'a>, Error> {
    let invalid = |option, reason| Err(Error::InvalidOption { channel: None, option, reason });
    check_mode(options.mode_or_default())?;
    let private = options.address.is_none();
    if private && options.lifetime == Some(Lifetime::Kept) {
        let reason =
            "a private channel is removed with its last member; leave the option out".into();
        return invalid("lifetime", reason);
    }
    let seats = match (flavor, options.members) {
        (Flavor::Spsc, None) => SPSC_SEATS,
        (Flavor::Mpmc | Flavor::Broadcast, members) => members.unwrap_or(options::MEMBERS),
        (Flavor::Spsc, Some(_)) => {
            let reason = "an SPSC channel has two members; leave the option out".into();
            return invalid("max_members", reason);
        }
    };
    if !flavor.allows(seats) {
        return invalid("max_members", format!("{seats}; it must be 2 to {SEATS_MAX}"));
    }
    check_redelivery(options)?;
    if flavor == Flavor::Broadcast
        && !matches!(options.redelivery, None | Some(Redelivery::Unlimited))
    {
        let reason = "a broadcast channel has none: each receiver gets its messages until it \
                      acknowledges them; leave the option out"
            .into();
        return invalid("redelivery", reason);
    }
    let shape = message.layout;
    let usual = if shape.variable { options::SLOT_SIZE.max(shape.size) } else { shape.size };
    let slot_size = options.slot_size.unwrap_or(usual);
    let slots = Capacity::slots(options.capacity, shape, slot_size);
    if let (Some(Capacity::Memory(bytes)), 0) = (options.capacity, slots) {
        let reason = format!(
            "{bytes} bytes; it must be enough for one slot, with a message of up to {slot_size} bytes"
        );
        return invalid("memory", reason);
    }
    let description = match Description::of(message.structure.as_ref(), shape) {
        Ok(description) => description,
        Err(reason) => return invalid("message", reason),
    };
    let geometry = Geometry::new(flavor, shape, seats, slots, slot_size, description.len())
        .map_err(|(option, reason)| Error::InvalidOption { channel: None, option, reason })?;
    let geometry = match (flavor, options.overwriting) {
        (_, None | Some(false)) => geometry,
        (Flavor::Broadcast, Some(true)) => geometry.overwriting(),
        (Flavor::Spsc | Flavor::Mpmc, Some(true)) => {
            let reason = format!("{flavor} waits for its receivers; leave the option out");
            return invalid("overwriting", reason);
        }
    };
    Ok(ChannelSpec {
        flavor,
        geometry,
        description,
        schema: options.schema.unwrap_or(0),
        lifetime: match private {
            true => Lifetime::LastMember,
            false => options.lifetime.unwrap_or_default(),
        },
        redelivery: options.redelivery.unwrap_or_default(),
        dead_letters: options.dead_letters.as_deref().unwrap_or_default(),
        name: options.address.as_ref().and_then(|a| a.name()).unwrap_or_default(),
    })
}

fn check_mode(mode: u32) -> Result<(), Error> {
    let reason = if mode & !0o666 != 0 {
        "only read and write permissions are allowed (0o666); leave the other bits out"
    } else if mode & 0o600 != 0o600 {
        "it must give the owner read and write permission (0o600)"
    } else if mode & 0o022 & !(mode >> 1) != 0 {
        // Each write bit without the read bit above it.
        let missing = (mode & 0o022 & !(mode >> 1)) << 1;
        &format!("who may write must also read, to send or to receive; add {missing:#o}")
    } else {
        return Ok(());
    };
    let reason = format!("{mode:#o}; {reason}");
    Err(Error::InvalidOption { channel: None, option: "mode", reason })
}

fn check_redelivery(options: &Options) -> Result<(), Error> {
    let invalid = |option, reason| Err(Error::InvalidOption { channel: None, option, reason });
    let redelivery = options.redelivery.unwrap_or_default();
    if !redelivery.is_possible() {
        return invalid("redelivery", format!("{redelivery}; it must be 1 to 15 times"));
    }
    if !matches!(redelivery, Redelivery::DeadLetter { .. }) {
        return Ok(());
    }
    let Some(letters) = &options.dead_letters else {
        let reason = "dead letters need a channel; use Options::dead_letters".into();
        return invalid("redelivery", reason);
    };
    if letters.is_empty() || letters.len() > NAME_MAX || letters.contains('\0') {
        let reason = format!("{letters:?}; a name has 1 to {NAME_MAX} bytes, and no NUL");
        return invalid("dead_letters", reason);
    }
    if options.address.as_ref().and_then(|address| address.name()) == Some(letters) {
        let reason = format!("{letters:?} is this channel itself; use another name");
        return invalid("dead_letters", reason);
    }
    Ok(())
}

/// Checks that a channel has what the options and the message type require. A handle that takes
/// channels of any flavor and messages requires what the options say, and nothing else.
///
/// The structures of the message type are compared if both sides describe themselves, and the layouts
/// always. The rule is the same whichever side created the channel.
///
/// # Errors
/// [`Error::TypeMismatch`], [`Error::OptionMismatch`].
pub(crate) fn check(
    options: &Options,
    plan: &ChannelSpec<'_>,
    takes_any: bool,
    facts: &ChannelInfo,
    channel: &str,
) -> Result<(), Error> {
    let channel = || channel.to_owned();
    let (wanted, found) = (&plan.geometry, &facts.geometry);
    if !takes_any && plan.flavor != facts.flavor {
        return Err(Error::TypeMismatch {
            channel: channel(),
            expected: plan.flavor.to_string(),
            found: facts.flavor.to_string(),
        });
    }
    // Before the layouts, because it names the field that differs.
    if let (false, Some(ours), Some(other)) =
        (takes_any, &plan.description.structure, &facts.structure)
        && let Some(difference) = ours.first_difference(other)
    {
        return Err(Error::TypeMismatch {
            channel: channel(),
            expected: difference.expectation(),
            found: difference.found,
        });
    }
    if !takes_any && wanted.shape != found.shape {
        return Err(Error::TypeMismatch {
            channel: channel(),
            expected: wanted.shape.to_string(),
            found: found.shape.to_string(),
        });
    }
    // A dead-letter channel is taken as it is, whatever schema its readers chose.
    let takes_any_schema = (takes_any || options.courier) && options.schema.is_none();
    if !takes_any_schema && plan.schema != facts.schema {
        let text = |schema| match schema {
            0 => "no schema".to_owned(),
            _ => format!("schema {schema:#x}"),
        };
        return Err(Error::TypeMismatch {
            channel: channel(),
            expected: text(plan.schema),
            found: text(facts.schema),
        });
    }
    let differs = |option, expected: &dyn Display, found: &dyn Display| {
        let (expected, found) = (expected.to_string(), found.to_string());
        Err(Error::OptionMismatch { channel: channel(), option, expected, found })
    };
    if let Some(capacity) = options.capacity {
        let (option, slots) = match capacity {
            Capacity::Slots(_) => ("capacity", wanted.capacity),
            // Of this channel's slots, which an untyped handle does not know before.
            Capacity::Memory(bytes) => {
                ("memory", capacity::fitting(bytes, found.shape, found.slot_size))
            }
        };
        if slots != found.capacity {
            return differs(option, &slots, &found.capacity);
        }
    }
    if options.slot_size.is_some() && wanted.slot_size != found.slot_size {
        return differs("slot_size", &wanted.slot_size, &found.slot_size);
    }
    if let Some(overwriting) = options.overwriting
        && overwriting != found.overwrites()
    {
        return differs("overwriting", &overwriting, &found.overwrites());
    }
    if options.members.is_some() && wanted.seats != found.seats {
        return differs("max_members", &wanted.seats, &found.seats);
    }
    if let Some(redelivery) = options.redelivery
        && redelivery != facts.redelivery
    {
        return differs("redelivery", &redelivery, &facts.redelivery);
    }
    if let Some(letters) = &options.dead_letters
        && *letters != facts.dead_letters
    {
        return differs("dead_letters", letters, &facts.dead_letters);
    }
    match options.lifetime {
        Some(lifetime) if lifetime != facts.lifetime => {
            differs("lifetime", &lifetime, &facts.lifetime)
        }
        _ => Ok(()),
    }
}
