//! The command line.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Carries the messages of sysvring channels from one machine to another over NATS JetStream.
#[derive(Debug, Parser)]
#[command(name = "sysvring-bridge", version, after_help = EXIT_CODES)]
pub struct Arguments {
    /// The routes file
    #[arg(value_name = "ROUTES.toml")]
    pub routes: PathBuf,
    /// Check the file, the server and its streams, print one line for each route, and exit
    #[arg(long)]
    pub check: bool,
    /// End a route when there is no more: the channel's stream has ended, or the stream has no more messages
    #[arg(long)]
    pub until_end: bool,
    /// Serve the counts of the routes for Prometheus at PORT or 127.0.0.1:PORT
    #[arg(long, value_name = "ADDR", value_parser = parse_loopback)]
    pub metrics: Option<SocketAddr>,
    /// The form of the log on standard error
    #[arg(long, value_enum, default_value_t, value_name = "FORM")]
    pub log_format: LogFormat,
    /// What is logged: error, warn, info (the default), debug, or directives as in RUST_LOG
    #[arg(long, value_name = "LEVEL")]
    pub log: Option<String>,
}

/// The form of the log.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum LogFormat {
    /// Lines of text.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done: ended by SIGTERM or SIGINT after what was begun was finished, by --until-end, or checked
  1  failed: the server refuses the credentials, a route cannot work before something is changed, or
     messages were not acknowledged at the end; --check: a route cannot work now
  2  the command line or the routes file is wrong

A routes file:
  server.url = \"nats://127.0.0.1:4222\"
  [[out]]
  channel = \"frames\"
  subject = \"site.a.frames\"

All fields: https://github.com/sysvring/sysvring/blob/main/crates/bridge/README.md";

/// Reads a port, or an address of the loopback interface.
fn parse_loopback(text: &str) -> Result<SocketAddr, String> {
    let address = match text.parse::<u16>() {
        Ok(port) => Ok((Ipv4Addr::LOCALHOST, port).into()),
        Err(_) => text.parse::<SocketAddr>(),
    };
    match address {
        Ok(address) if address.ip().is_loopback() => Ok(address),
        Ok(_) => {
            Err("it is not an address of the loopback interface; let a proxy with access control \
                      serve other hosts"
                .into())
        }
        Err(error) => Err(format!("{error}; give PORT or 127.0.0.1:PORT")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_served_at_the_loopback_interface() {
        let parsed = |text| parse_loopback(text).map(|address| address.to_string());
        assert_eq!(parsed("9100").as_deref(), Ok("127.0.0.1:9100"));
        assert_eq!(parsed("[::1]:9100").as_deref(), Ok("[::1]:9100"));
        for wrong in ["0.0.0.0:9100", "192.0.2.1:9100", "localhost", "99999", ""] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }
}
