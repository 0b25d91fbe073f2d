//! How channels are created, found, joined, removed and cleaned up, also beside the objects of other
//! users.

mod busy_removal;
mod changed_modes;
mod crash_leftovers;
mod forced_removal;
mod foreign_channels;
mod foreign_objects;
mod open_and_leave;
mod races;
mod reapable;
mod removal;
mod removed_set;
mod reused_set_id;
mod send_after_removal;
mod unusable;
mod users;

fn main() -> std::process::ExitCode {
    sysvring_support::suite::main()
}
