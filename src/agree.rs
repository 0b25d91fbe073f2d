//! What is asked for against what is there: the options and the message type of one side, compared
//! with the facts of a channel.

use core::fmt::Display;

use crate::error::Error;
use crate::geometry::Geometry;
use crate::message::Shape;
use crate::options::{self, Options};
use crate::segment::{Facts, Lifetime, Plan};

/// What a new channel with these options would be.
///
/// # Errors
/// [`Error::Invalid`] for options that no channel can have.
pub(crate) fn plan<'a>(options: &'a Options, shape: Shape) -> Result<Plan<'a>, Error> {
    let invalid = |option, reason| Err(Error::Invalid { option, reason });
    if options.mode & !0o666 != 0 {
        let reason = format!(
            "{:#o}; read and write are all there is (0o666), leave the other bits out",
            options.mode
        );
        return invalid("mode", reason);
    }
    if options.mode & 0o600 != 0o600 {
        let reason = format!("{:#o}; it must let the owner read and write (0o600)", options.mode);
        return invalid("mode", reason);
    }
    let private = options.address.is_none();
    if private && options.lifetime == Some(Lifetime::Kept) {
        let reason = "a private channel ends with its last member; leave the option out".into();
        return invalid("lifetime", reason);
    }
    let usual = if shape.variable { options::SLOT_SIZE.max(shape.size) } else { shape.size };
    let geometry = Geometry::new(
        shape,
        crate::members::SPSC_SEATS,
        options.capacity.unwrap_or(options::CAPACITY),
        options.slot_size.unwrap_or(usual),
    )
    .map_err(|(option, reason)| Error::Invalid { option, reason })?;
    Ok(Plan {
        geometry,
        schema: options.schema.unwrap_or(0),
        lifetime: match private {
            true => Lifetime::LastMember,
            false => options.lifetime.unwrap_or_default(),
        },
        name: options.address.as_ref().and_then(|a| a.name()).unwrap_or_default(),
    })
}

/// Whether a channel is what the options and the message type ask for.
///
/// # Errors
/// [`Error::TypeMismatch`], [`Error::OptionMismatch`].
pub(crate) fn check(options: &Options, plan: &Plan<'_>, facts: &Facts) -> Result<(), Error> {
    let (wanted, found) = (&plan.geometry, &facts.geometry);
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
    match options.lifetime {
        Some(lifetime) if lifetime != facts.lifetime => {
            differs("lifetime", &lifetime, &facts.lifetime)
        }
        _ => Ok(()),
    }
}
