//! Models: the shipped rings, the shipped waiting and the shipped handle loop (`protocol`) over a
//! simulated kernel, with two to four threads, in every order of their steps.
//!
//! With `--cfg loom` each model runs under the model checker; without it, the same code runs
//! repeatedly on real threads, so that it never rots. `docs/design/memory-ordering.md` has the
//! results, and the model that fails for each ordering.
//!
//! Models of SPSC channels:
//!
//! | file | question |
//! |---|---|
//! | `transfer` | is a message whole, and its slot not written before it was read? |
//! | `batch` | the same for a batch; does a receiver blocked before it wake up? |
//! | `lap` | is credit that is more than a lap old ignored? |
//! | `in_place` | is a message left alone as long as a receiver reads it in place? |
//! | `blocking` | does every blocked waiter wake up? |
//! | `doorbell` | the same for one that waits by its doorbell |
//! | `interrupt` | is every interrupt returned once, and every message received? |
//! | `leaving` | does a process that sees the end of the stream see all that was sent? |
//! | `tap` | is a message whole that a tap copies without taking it? |
//! | `resignation` | is the seat of a member that may not leave freed, and no other one? |
//! | `takeover` | does a successor continue where a dead process stopped, at any step? |
//!
//! Models of MPMC channels are in `mpmc`, models of broadcast channels in `broadcast`.

mod broadcast;
mod ends;
mod harness;
mod member;
mod mpmc;
mod sim_kernel;

mod batch;
mod blocking;
mod doorbell;
mod in_place;
mod interrupt;
mod lap;
mod leaving;
mod resignation;
mod takeover;
mod tap;
mod transfer;
