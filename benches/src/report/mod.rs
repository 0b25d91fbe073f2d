//! Tables, targets and plots.

pub mod goals;
pub mod plot;
pub mod stream_summary;
pub mod table;
