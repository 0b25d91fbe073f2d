//! Channels from outside: looking, listing, removing.

pub(crate) mod locate;
pub(crate) mod observer;
pub(crate) mod reap;
pub(crate) mod stat;
