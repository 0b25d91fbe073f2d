//! A type with all derives is a message only by a declaration, which the error names.

use sysvring::zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};
use sysvring::{Options, spsc};

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[zerocopy(crate = "sysvring::zerocopy")]
#[repr(C)]
struct ByHand(u64);

fn main() -> Result<(), sysvring::Error> {
    let _tx: spsc::Sender<ByHand> = Options::private().create()?; //~ ERROR `ByHand` is not a message
    Ok(())
}
