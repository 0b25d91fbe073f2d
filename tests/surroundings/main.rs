//! Surroundings that are not those of a developer's machine: sandboxes, changes of the user, names
//! that two processes understand differently, and ends of a process without destructors.

mod ends_without_drop;
mod lost_permission;
mod names;
mod sandboxes;

fn main() -> std::process::ExitCode {
    sysvring_support::suite::main()
}
