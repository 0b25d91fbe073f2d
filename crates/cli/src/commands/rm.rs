//! `sysvring rm`: removes channels.

use clap::Args;
use sysvring::{Address, Error};

use crate::channel::{self, owned_by};
use crate::failure::{DONE, FAILED, Failure};
use crate::{members, output, units, users};

/// Remove channels with their messages; one with living members only with --force
#[derive(Args, Debug)]
pub struct Rm {
    /// The channels: NAME, USER/NAME, id:ID, key:0xKEY or file:PATH:PROJECT
    #[arg(value_name = "CHANNEL", required = true, value_parser = channel::parse)]
    channels: Vec<Address>,
    /// Look for the names among the channels of this user
    #[arg(long, value_name = "USER", value_parser = users::parse)]
    owner: Option<u32>,
    /// Remove channels that are in use too, and ignore channels that do not exist
    #[arg(short, long)]
    force: bool,
    /// Say what was removed
    #[arg(short, long)]
    verbose: bool,
}

impl Rm {
    pub fn run(self) -> Result<u8, Failure> {
        let owned = self.channels.iter().map(|address| owned_by(address, self.owner));
        let addresses: Vec<Address> = owned.collect::<Result<_, _>>()?;
        // A wrong command line removes nothing.
        for address in &addresses {
            if let Err(error @ Error::InvalidOption { .. }) = sysvring::stat(address) {
                return Err(error.into());
            }
        }
        let mut code = DONE;
        for address in &addresses {
            if let Err(failure) = self.remove(address) {
                crate::report(&failure);
                code = FAILED;
            }
        }
        Ok(code)
    }

    fn remove(&self, address: &Address) -> Result<(), Failure> {
        // What cannot be examined can be removed all the same.
        let messages = match sysvring::stat(address) {
            Ok(stat) => {
                let mut alive = stat.members.iter().filter(|member| member.alive);
                if let Some(member) = alive.next().filter(|_| !self.force) {
                    let role = members::role(member.role);
                    let others = match alive.count() {
                        0 => String::new(),
                        n => format!(" and {n} more"),
                    };
                    return Err(Failure::new(format!(
                        "channel {address} is in use by {} ({role}){others}; end what uses it, or \
                         remove it all the same with --force",
                        members::process(member)
                    )));
                }
                format!(", with {}", units::counted(stat.depth, "message", "messages"))
            }
            Err(_) => String::new(),
        };
        match sysvring::remove(address) {
            Ok(()) if self.verbose => {
                let line = format!("removed {address}{messages}");
                output::print(format!("{}\n", crate::escape::visible(&line)).as_bytes())
            }
            Ok(()) => Ok(()),
            Err(Error::NotFound { .. }) if self.force => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
