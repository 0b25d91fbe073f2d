//! Blocking calls: their deadlines, their cost, and that no wake-up is lost.

mod abandoned_claims;
mod all_waiters_notified;
mod blocking_calls;
mod busy_processor;
mod freed_slots;
mod interrupts;
mod more_threads_than_seats;
mod passed_on_wake_ups;
mod wake_ups;

fn main() -> std::process::ExitCode {
    sysvring_support::suite::main()
}
