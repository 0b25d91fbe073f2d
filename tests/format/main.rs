//! `docs/design/memory-layout.md` against the code's assertions and the bytes of real channels.

mod agreement;
mod fresh;
mod page;
mod raw;
mod used;
