//! What is measured.

pub mod bandwidth;
pub mod batches;
pub mod broadcast;
pub mod capacity;
pub mod contended;
pub mod cpu_usage;
pub mod crash_detection;
pub mod idle;
pub mod late;
pub mod lifecycle;
pub mod mpmc;
pub mod mpmc_batches;
pub mod mpmc_fixed_count;
pub mod mpmc_fixed_time;
pub mod one_way;
pub mod open_loop;
pub mod requests;
pub mod round_trip;
pub mod sizes;
pub mod stream;
pub mod syscalls;
pub mod tap;
pub mod values;
pub mod wait_set;
pub mod wake;
pub mod wake_readiness;
