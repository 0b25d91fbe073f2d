//! `sysvring ls`: the channels that there are.

use clap::Args;
use sysvring::Stat;

use crate::columns::CHANNEL;
use crate::failure::{DONE, Failure};
use crate::output::{self, Format};
use crate::{refused, users};

/// List channels: all that you may read
#[derive(Args, Debug)]
#[command(after_long_help = output::help("Columns", CHANNEL))]
pub struct Ls {
    /// List only channels of this user
    #[arg(long, value_name = "USER", value_parser = users::parse)]
    owner: Option<u32>,
    /// Sort by this column instead of the name; numbers from large to small
    #[arg(
        short,
        long,
        value_name = "COLUMN",
        default_value = "CHANNEL",
        hide_default_value = true
    )]
    sort: String,
    /// Reverse the order
    #[arg(long)]
    reverse: bool,
    #[command(flatten)]
    format: Format,
}

impl Ls {
    pub fn run(self) -> Result<u8, Failure> {
        let order = output::find(CHANNEL, &self.sort)?;
        let mut channels = sysvring::list()?;
        refused::warn(refused::unseen(&channels).as_deref());
        channels.retain(|stat| self.owner.is_none_or(|uid| stat.segment.uid == uid));
        let key = |stat: &Stat| (order.cell)(stat);
        channels
            .sort_by(|a, b| key(a).order(&key(b)).then_with(|| a.segment.id.cmp(&b.segment.id)));
        if self.reverse {
            channels.reverse();
        }
        self.format.print("channels", CHANNEL, &channels)?;
        Ok(DONE)
    }
}
