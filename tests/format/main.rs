//! Compares `docs/design/memory-layout.md` with the code's assertions and the bytes of real
//! channels.

mod agreement;
mod fresh;
mod page;
mod raw;
mod used;
