//! What calls return when options, objects, messages, permissions or the system are not as they
//! should be, and that the errors state a remedy.

mod causes;
mod leftovers;
mod limits;
mod malicious_text;
mod memory;
mod messages;
mod objects;
mod options;
mod permissions;
mod system_calls;

fn main() -> std::process::ExitCode {
    sysvring_support::suite::main()
}
