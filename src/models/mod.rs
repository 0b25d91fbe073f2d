//! Models: the shipped ring and the shipped waiting, two to four threads, every order of their steps.
//!
//! With `--cfg loom` each model runs under the model checker; without, the same code runs again and
//! again on real threads, so that it never rots. `docs/design/memory-ordering.md` has what came of it, and which
//! model fails for which ordering.
//!
//! Of one-to-one channels:
//!
//! | file | question |
//! |---|---|
//! | `transfer` | is a message whole, and its slot not written before it was read? |
//! | `batch` | the same of messages acknowledged together; does who sleeps before them wake? |
//! | `lap` | is credit that is more than a lap old no more than old news? |
//! | `in_place` | is a message left alone as long as a receiver looks at it? |
//! | `blocking` | does everyone who sleeps wake? |
//! | `leaving` | does who sees the end see all that was sent before? |
//! | `takeover` | does a successor go on where the dead stopped, at whatever step? |
//!
//! Many-to-many channels are in `many`.

mod ends;
mod harness;
mod mpmc;
mod sim_kernel;

mod batch;
mod blocking;
mod in_place;
mod lap;
mod leaving;
mod takeover;
mod transfer;
