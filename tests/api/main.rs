//! What the calls of senders, receivers and observers do, between real processes.

mod acknowledgement;
mod core_dumps;
mod dead_letters;
mod end_of_stream;
mod forks;
mod full_empty_disconnected;
mod held_slots;
mod interrupted_batches;
mod member_stat;
mod memory_options;
mod message_types;
mod messages;
mod mpmc;
mod mpmc_contention;
mod mpmc_delivery;
mod observe;
mod rates;
mod structures;
mod timeouts;
mod untyped;
mod waiting_members;
mod zero_copy;

fn main() -> std::process::ExitCode {
    sysvring_support::suite::main()
}
