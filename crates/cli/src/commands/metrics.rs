//! `sysvring metrics`: every channel for Prometheus, as OpenMetrics text.

mod server;
mod text;

use std::net::SocketAddr;

use clap::Args;

use crate::failure::{DONE, Failure};
use crate::{output, refused};

/// Print the state of all channels as OpenMetrics text, or serve it for Prometheus
#[derive(Args, Debug)]
pub struct Metrics {
    /// Serve it at http://ADDRESS/metrics until Ctrl-C: PORT, localhost:PORT, or another address of
    /// the loopback interface, such as 127.0.0.1:9898
    #[arg(long, value_name = "ADDRESS", value_parser = server::parse_address)]
    listen: Option<SocketAddr>,
    /// Leave out the members: their number of series grows with the number of processes
    #[arg(long)]
    no_members: bool,
}

impl Metrics {
    pub fn run(self) -> Result<u8, Failure> {
        refused::warn(refused::unseen(&sysvring::list()?).as_deref());
        match self.listen {
            None => output::print(self.text()?.as_bytes())?,
            Some(address) => server::serve(address, || self.text())?,
        }
        Ok(DONE)
    }

    fn text(&self) -> Result<String, Failure> {
        Ok(text::of(&sysvring::list()?, !self.no_members))
    }
}
