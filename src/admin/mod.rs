//! Inspecting, listing and removing channels without joining them.

pub(crate) mod locate;
pub(crate) mod missing_set;
pub(crate) mod observer;
pub(crate) mod reap;
pub(crate) mod remove;
mod scan;
pub(crate) mod stat;
pub(crate) mod tap;
pub(crate) mod unusable;
