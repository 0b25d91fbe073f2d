//! One handle's end of a channel: its mapping, its seat, and what it knows of the other members.

pub(crate) mod attachment;
pub(crate) mod flush;
pub(crate) mod mpmc;
pub(crate) mod spsc;
mod stop;
