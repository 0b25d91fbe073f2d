//! The id of a message of a channel.

use std::fmt;
use std::str::FromStr;

use sysvring::ChannelId;

/// The id of a message: the channel's nonce and the message's position.
///
/// ```
/// use sysvring_bridge::MessageId;
/// let id: MessageId = "0badcafe:17".parse().unwrap();
/// assert_eq!((id.nonce, id.position), (0xbadcafe, 17));
/// assert_eq!(id.to_string(), "0badcafe:17");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MessageId {
    /// The number that a channel of the same name that is made anew does not have.
    pub nonce: u32,
    /// The position in the sequence of all messages of the channel.
    pub position: u64,
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}:{}", self.nonce, self.position)
    }
}

/// A text that is not the id of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not the id of a message of a channel, such as 0badcafe:17")]
pub struct NotAnId;

impl FromStr for MessageId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<MessageId, NotAnId> {
        let (nonce, position) = text.split_once(':').ok_or(NotAnId)?;
        let id = MessageId {
            nonce: u32::from_str_radix(nonce, 16).map_err(|_| NotAnId)?,
            position: position.parse().map_err(|_| NotAnId)?,
        };
        // Other writings of the same numbers are of someone else.
        (id.to_string() == text).then_some(id).ok_or(NotAnId)
    }
}

/// Returns the nonce of a channel, which is the second part of its identifier's text.
pub fn nonce(id: ChannelId) -> u32 {
    let text = id.to_string();
    text.split_once(':').and_then(|(_, nonce)| u32::from_str_radix(nonce, 16).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_text_is_an_id() {
        for text in
            ["", ":", "1:1", "0badcafe:", "0badcafe:-1", "0BADCAFE:1", "0badcafe:+1", "0badcafe:01"]
        {
            assert_eq!(text.parse::<MessageId>(), Err(NotAnId), "{text}");
        }
    }

    #[test]
    fn a_channel_has_the_nonce_of_its_text() {
        assert_eq!(nonce("32769:0badcafe".parse().unwrap()), 0xbadcafe);
    }
}
