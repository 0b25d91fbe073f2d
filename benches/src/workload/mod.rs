//! What the two sides of a transport do.

pub mod broadcast_workload;
pub mod mpmc_workload;
pub mod neighbours;
pub mod ping_pong;
pub mod stream_workload;
