//! The channel of a route.

use serde::Deserialize;
use sysvring::Address;

/// The key of a channel: a number, or its hexadecimal text.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Key {
    Number(u32),
    Text(String),
}

/// The fields of a route that say which channel it is.
#[derive(Clone, Debug, Default)]
pub(super) struct ChannelFields {
    pub(super) channel: Option<String>,
    pub(super) key: Option<Key>,
    pub(super) id: Option<String>,
    pub(super) owner: Option<u32>,
}

impl ChannelFields {
    /// Returns the address, or what is wrong.
    pub(super) fn address(self) -> Result<Address, String> {
        let address = match (self.channel, self.key, self.id) {
            (Some(name), None, None) => {
                let mut address = Address::named(name);
                if let (Some(owner), Address::Name { uid, .. }) = (self.owner, &mut address) {
                    *uid = owner;
                }
                address.key().map_err(|error| format!("channel: {error}"))?;
                return Ok(address);
            }
            (None, Some(Key::Number(key)), None) => Address::Key(key as i32),
            (None, Some(Key::Text(text)), None) => match text.parse() {
                Ok(address @ Address::Key(_)) => address,
                Ok(_) => return Err(format!("key = {text:?} is not a key; write key = 0x1234")),
                Err(error) => return Err(error.to_string()),
            },
            (None, None, Some(id)) => {
                Address::Id(id.parse().map_err(|error: sysvring::Error| error.to_string())?)
            }
            _ => return Err("give one of channel (a name), key and id".into()),
        };
        match self.owner {
            Some(_) => Err("owner goes with a channel's name only; leave it out".into()),
            None => Ok(address),
        }
    }
}

/// Returns the text of an address by which a route is named if it has no name of its own.
pub(super) fn short(address: &Address) -> String {
    match address {
        Address::Name { name, .. } => name.clone(),
        address => address.to_string(),
    }
}
