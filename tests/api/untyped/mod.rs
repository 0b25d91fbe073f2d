//! Untyped handles: what they exchange with typed ones and with each other, in channels of every kind.

mod batches;
mod corrupted;
mod deaths;
mod delivery;
mod kinds;
mod lengths;
mod opening;
mod readiness;
mod shapes;
