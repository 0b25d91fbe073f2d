//! Validation: the options and the message type of one side, compared with the facts of an existing
//! channel.

use core::fmt::Display;

use crate::error::Error;
use crate::flavor::{Flavor, SEATS_MAX, SPSC_SEATS};
use crate::message::MessageLayout;
use crate::options::{self, Options};
use crate::ring::geometry::Geometry;
use crate::ring::slot_state::DELIVERIES_MAX;
use crate::segment::{ChannelInfo, ChannelSpec, Lifetime};

/// Returns what a new channel with these options would be.
///
/// # Errors
/// [`Error::InvalidOption`] for options that no channel can have.
pub(crate) fn plan<'a>(
    options: &'a Options,
    flavor: Flavor,
    shape: MessageLayout,
) -> Result<ChannelSpec<'a>, Error> {
    let invalid = |option, reason| Err(Error::InvalidOption { option, reason });
    if options.mode & !0o666 != 0 {
        let reason = format!(
            "{:#o}; only read and write permissions are allowed (0o666); leave the other bits out",
            options.mode
        );
        return invalid("mode", reason);
    }
    if options.mode & 0o600 != 0o600 {
        let reason = format!(
            "{:#o}; it must give the owner read and write permission (0o600)",
            options.mode
        );
        return invalid("mode", reason);
    }
    let private = options.address.is_none();
    if private && options.lifetime == Some(Lifetime::Kept) {
        let reason =
            "a private channel is removed with its last member; leave the option out".into();
        return invalid("lifetime", reason);
    }
    let seats = match (flavor, options.members) {
        (Flavor::Spsc, None) => SPSC_SEATS,
        (Flavor::Mpmc, members) => members.unwrap_or(options::MEMBERS),
        (Flavor::Spsc, Some(_)) => {
            let reason = "an SPSC channel has two members; leave the option out".into();
            return invalid("max_members", reason);
        }
    };
    if !flavor.allows(seats) {
        return invalid("max_members", format!("{seats}; it must be 2 to {SEATS_MAX}"));
    }
    if let Some(redelivery) = options.redelivery {
        if flavor == Flavor::Spsc {
            let reason = "it applies to MPMC channels only; leave the option out".into();
            return invalid("redelivery", reason);
        }
        if !redelivery.is_possible() {
            let reason = format!("{redelivery}; it must be 1 to {DELIVERIES_MAX} times");
            return invalid("redelivery", reason);
        }
    }
    let usual = if shape.variable { options::SLOT_SIZE.max(shape.size) } else { shape.size };
    let geometry = Geometry::new(
        shape,
        seats,
        options.capacity.unwrap_or(options::CAPACITY),
        options.slot_size.unwrap_or(usual),
    )
    .map_err(|(option, reason)| Error::InvalidOption { option, reason })?;
    Ok(ChannelSpec {
        flavor,
        geometry,
        schema: options.schema.unwrap_or(0),
        lifetime: match private {
            true => Lifetime::LastMember,
            false => options.lifetime.unwrap_or_default(),
        },
        redelivery: options.redelivery.unwrap_or_default(),
        name: options.address.as_ref().and_then(|a| a.name()).unwrap_or_default(),
    })
}

/// Checks that a channel has what the options and the message type require.
///
/// # Errors
/// [`Error::TypeMismatch`], [`Error::OptionMismatch`].
pub(crate) fn check(
    options: &Options,
    plan: &ChannelSpec<'_>,
    facts: &ChannelInfo,
) -> Result<(), Error> {
    let (wanted, found) = (&plan.geometry, &facts.geometry);
    if plan.flavor != facts.flavor {
        return Err(Error::TypeMismatch {
            expected: plan.flavor.to_string(),
            found: facts.flavor.to_string(),
        });
    }
    if wanted.shape != found.shape {
        return Err(Error::TypeMismatch {
            expected: wanted.shape.to_string(),
            found: found.shape.to_string(),
        });
    }
    if let Some(schema) = options.schema
        && schema != facts.schema
    {
        return Err(Error::TypeMismatch {
            expected: format!("{} with schema {schema:#x}", wanted.shape),
            found: format!("{} with schema {:#x}", found.shape, facts.schema),
        });
    }
    let differs = |option, expected: &dyn Display, found: &dyn Display| {
        let (expected, found) = (expected.to_string(), found.to_string());
        Err(Error::OptionMismatch { option, expected, found })
    };
    if options.capacity.is_some() && wanted.capacity != found.capacity {
        return differs("capacity", &wanted.capacity, &found.capacity);
    }
    if options.slot_size.is_some() && wanted.slot_size != found.slot_size {
        return differs("slot_size", &wanted.slot_size, &found.slot_size);
    }
    if options.members.is_some() && wanted.seats != found.seats {
        return differs("max_members", &wanted.seats, &found.seats);
    }
    if let Some(redelivery) = options.redelivery
        && redelivery != facts.redelivery
    {
        return differs("redelivery", &redelivery, &facts.redelivery);
    }
    match options.lifetime {
        Some(lifetime) if lifetime != facts.lifetime => {
            differs("lifetime", &lifetime, &facts.lifetime)
        }
        _ => Ok(()),
    }
}
