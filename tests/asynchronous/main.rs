//! Futures: every call, tasks that share a handle, cancellation, deaths, and what waiting costs.
//!
//! The tests run on the executors of `executor.rs`: with the feature `tokio`, each test that uses
//! [`executor::run`] also runs within runtimes of tokio.

mod broadcast;
mod calls;
mod cost;
mod deaths;
mod executor;
mod load;
mod sandboxes;
mod sharing;
mod untyped;

fn main() -> std::process::ExitCode {
    sysvring_support::suite::main()
}
