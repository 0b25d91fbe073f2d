//! `--check`: whether the routes could work now.

use std::io::{self, Write};

use sysvring::Error;

use crate::bridge::Failure;
use crate::config::Config;
use crate::engine::{Inlet, Outlet};
use crate::nats::{NatsInlet, NatsOutlet, connect};

/// Checks all routes and prints a line for each.
pub async fn run(config: &Config) -> Result<(), Failure> {
    let connection = connect(&config.server).await?;
    let mut failed = 0;
    let mut report = |direction: &str, name: &str, way: String, found: Result<String, String>| {
        let (word, text) = match &found {
            Ok(text) => ("ok", text),
            Err(text) => ("FAILED", text),
        };
        failed += usize::from(found.is_err());
        let _ = writeln!(io::stdout(), "{word} {direction} {name}: {way}: {text}");
    };
    for route in &config.outs {
        let way = format!("{} -> {}", route.channel, route.subject);
        let found = match NatsOutlet::new(&connection, route).recall(1).await {
            Ok(_) => channel(&route.channel),
            Err(error) => Err(error.to_string()),
        };
        report("out", &route.name, way, found);
    }
    for route in &config.ins {
        let subject = route.subject.as_deref().unwrap_or("all subjects");
        let way = format!("{} ({subject}) -> {}", route.stream, route.channel);
        let found = match NatsInlet::new(&connection, route).locate().await {
            Ok(_) => channel(&route.channel),
            Err(error) => Err(error.to_string()),
        };
        report("in", &route.name, way, found);
    }
    match failed {
        0 => Ok(()),
        failed => Err(Failure::Check(failed)),
    }
}

/// Looks at a channel, which may come later.
fn channel(address: &sysvring::Address) -> Result<String, String> {
    match sysvring::stat(address.clone()) {
        Ok(stat) => Ok(format!("the channel is {}", stat.id)),
        Err(Error::NotFound { .. }) => Ok("the channel does not exist yet".into()),
        Err(error) => Err(error.to_string()),
    }
}
