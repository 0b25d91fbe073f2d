//! How deaths are detected, what they leave, and which processes are never taken for dead.

mod crash_detection;
mod departed_waiters;
mod edge_cases;
mod lost_seats;
mod peer_seen_race;
mod pid_namespaces;
mod random_kills;
mod sigstop;

fn main() -> std::process::ExitCode {
    sysvring_support::suite::main()
}
