//! Surroundings that are not those of a developer's machine: sandboxes, limits, changes of the user, names
//! that two processes understand differently, segments without pages, and ends of a process without
//! destructors.

mod ends_without_drop;
mod lost_permission;
mod missing_pages;
mod names;
mod processes;
mod sandboxes;

fn main() -> std::process::ExitCode {
    sysvring_support::suite::main()
}
