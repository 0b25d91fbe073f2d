//! Values of serde types: what is sent is what comes, in channels of every flavor; what does not fit, what
//! cannot be serialised and what is no value is reported, with the numbers.

mod allocations;
#[cfg(feature = "async")]
mod asynchronous;
mod crashes;
mod flavors;
mod malformed;
mod round_trips;
mod sample;
mod sizes;
mod types;

fn main() -> std::process::ExitCode {
    sysvring_support::suite::main()
}
