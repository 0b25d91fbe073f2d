//! Arguments that do not exist, or are not seen.

#[sysvring::message(frombytes)] //~ ERROR unknown argument; there are `from_bytes` (every bit pattern is a value) and `crate = "path"`
struct Misspelled(u64);

#[sysvring::message]
struct Field {
    #[message(hidden)] //~ ERROR unknown argument; there is `opaque`
    id: u64,
}

#[sysvring::message]
struct Later {
    #[cfg_attr(all(), message(opaque))] //~ ERROR the attribute `message` cannot see this here
    id: u64,
}

#[sysvring::message]
struct Twice {
    #[cfg_attr(all(), cfg(any()))] //~ ERROR the attribute `message` cannot see this here
    id: u64,
}

#[sysvring::message]
fn function() {} //~ ERROR the attribute `message` is for a struct or a fieldless enum

fn main() {}
