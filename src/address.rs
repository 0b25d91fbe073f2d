//! Names to keys: how a channel is found.

use core::fmt;
use core::str::FromStr;
use std::path::PathBuf;

use crate::error::Error;
use crate::layout::NAME_MAX;
use crate::sysv;

/// Where a channel is.
///
/// `"name".into()` is a name of the calling user. `0x1234` written as text is a raw key and
/// `id:nonce` an identifier when parsed with [`str::parse`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Address {
    /// A text of 1 to 128 bytes, separate for each user. The key is a hash; the whole name lies in
    /// the header and is compared.
    Name {
        /// The name.
        name: String,
        /// The user whose channel it is.
        uid: u32,
    },
    /// A raw System V key, as `ipcs` shows it. Not 0, which is no key.
    Key(i32),
    /// The key of a file that exists and a project number (not 0), as `ftok` makes it. Keys of
    /// different files may be equal: prefer names.
    File {
        /// The file.
        path: PathBuf,
        /// The project.
        project: u8,
    },
    /// One segment, by its identifier: for private channels.
    Id(ChannelId),
}

/// The identity of one channel, to hand to another process in an argument or a variable: it prints
/// and parses as text. Valid until the channel is gone; never valid for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChannelId {
    pub(crate) segment: i32,
    pub(crate) nonce: u32,
}

impl ChannelId {
    /// The segment's System V identifier, as `ipcs -m` shows it.
    pub fn segment(&self) -> i32 {
        self.segment
    }
}

impl fmt::Display for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{:08x}", self.segment, self.nonce)
    }
}

impl FromStr for ChannelId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parse = || {
            let (segment, nonce) = text.split_once(':')?;
            Some(ChannelId {
                segment: segment.parse().ok()?,
                nonce: u32::from_str_radix(nonce, 16).ok()?,
            })
        };
        parse().ok_or_else(|| Error::Invalid {
            option: "id",
            reason: format!("{text:?} is no channel identifier; it looks like 32769:0badcafe"),
        })
    }
}

impl Address {
    /// The calling user's channel of this name.
    pub fn named(name: impl Into<String>) -> Self {
        Address::Name { name: name.into(), uid: sysv::process::euid() }
    }

    /// The System V key, or why there is none. `None` for channels found by identifier.
    pub(crate) fn key(&self) -> Result<Option<i32>, Error> {
        let invalid = |option, reason: String| Err(Error::Invalid { option, reason });
        match self {
            Address::Name { name, .. } if name.is_empty() || name.len() > NAME_MAX => {
                invalid("name", format!("{} bytes; it must have 1 to {NAME_MAX}", name.len()))
            }
            Address::Name { name, .. } if name.contains('\0') => {
                invalid("name", "it holds a zero byte; leave that out".into())
            }
            Address::Name { name, uid } => Ok(Some(hash(*uid, name))),
            Address::Key(0) => {
                invalid("key", "0 is no key but IPC_PRIVATE; use Options::private".into())
            }
            Address::Key(key) => Ok(Some(*key)),
            Address::File { path, project } => match sysv::key::ftok(path, *project) {
                Ok(0) => {
                    invalid("file", "its key is 0, which is no key; take another project".into())
                }
                Ok(key) => Ok(Some(key)),
                Err(errno) => invalid(
                    "file",
                    format!(
                        "{} with project {project} ({errno}); the file must exist, the project not be 0",
                        path.display()
                    ),
                ),
            },
            Address::Id(_) => Ok(None),
        }
    }

    /// The name the header must hold.
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Address::Name { name, .. } => Some(name),
            _ => None,
        }
    }
}

/// A key of 31 bits: FNV-1a over user and name, folded. Never 0.
fn hash(uid: u32, name: &str) -> i32 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for byte in b"sysvring".iter().chain(&uid.to_le_bytes()).chain(name.as_bytes()) {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    (((hash ^ (hash >> 32)) & 0x7fff_ffff) as i32).max(1)
}

impl From<&str> for Address {
    fn from(name: &str) -> Self {
        Address::named(name)
    }
}

impl From<String> for Address {
    fn from(name: String) -> Self {
        Address::named(name)
    }
}

impl From<ChannelId> for Address {
    fn from(id: ChannelId) -> Self {
        Address::Id(id)
    }
}

impl From<&Address> for Address {
    fn from(address: &Address) -> Self {
        address.clone()
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if let Some(hex) = text.strip_prefix("0x") {
            return u32::from_str_radix(hex, 16).map(|key| Address::Key(key as i32)).map_err(
                |_| Error::Invalid {
                    option: "key",
                    reason: format!("{text:?} is no 32-bit number; use up to eight hex digits"),
                },
            );
        }
        match text.parse() {
            Ok(id) => Ok(Address::Id(id)),
            Err(_) => Ok(Address::named(text)),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Name { name, uid } if *uid == sysv::process::euid() => write!(f, "{name:?}"),
            Address::Name { name, uid } => write!(f, "{name:?} of user {uid}"),
            Address::Key(key) => write!(f, "{key:#010x}"),
            Address::File { path, project } => write!(f, "{}, project {project}", path.display()),
            Address::Id(id) => write!(f, "{id}"),
        }
    }
}

impl From<&ChannelId> for Address {
    fn from(id: &ChannelId) -> Self {
        Address::Id(*id)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_round_trips() {
        let id = ChannelId { segment: 32769, nonce: 0xbadcafe };
        assert_eq!(id.to_string(), "32769:0badcafe");
        assert_eq!(id.to_string().parse::<ChannelId>().unwrap(), id);
        assert_eq!("0xffffffff".parse::<Address>().unwrap(), Address::Key(-1));
        assert_eq!("ticks".parse::<Address>().unwrap(), Address::named("ticks"));
        assert!("nonsense".parse::<ChannelId>().is_err());
        assert!("0xnonsense".parse::<Address>().is_err());
    }

    #[test]
    fn keys_differ_by_user_and_name_and_stay_the_same() {
        assert_eq!(hash(0, "ticks"), hash(0, "ticks"));
        assert_ne!(hash(0, "ticks"), hash(1, "ticks"));
        assert_ne!(hash(0, "ticks"), hash(0, "tocks"));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for address in [
            Address::named(""),
            Address::named("x".repeat(NAME_MAX + 1)),
            Address::named("a\0b"),
            Address::Key(0),
            Address::File { path: "/nowhere".into(), project: 1 },
            Address::File { path: "/".into(), project: 0 },
        ] {
            assert!(matches!(address.key(), Err(Error::Invalid { .. })), "{address}");
        }
    }

    proptest! {
        /// Every text either is a name and has a key, the same each time and never that of private
        /// channels, or is refused as a name.
        #[test]
        fn a_name_has_a_key_or_an_error(name in "(?s).{0,150}|[a-z]{100,140}", uid in any::<u32>()) {
            let address = Address::Name { name: name.clone(), uid };
            let is_name = (1..=NAME_MAX).contains(&name.len()) && !name.contains('\0');
            match address.key() {
                Ok(key) => {
                    prop_assert!(is_name);
                    prop_assert!(key.is_some_and(|key| key > 0 && key != sysv::key::PRIVATE));
                    prop_assert_eq!(address.clone().key().unwrap(), key);
                    prop_assert_eq!(address.name(), Some(&*name));
                }
                Err(Error::Invalid { option, .. }) => prop_assert!(!is_name && option == "name"),
                Err(error) => panic!("{error}"),
            }
        }

        /// Every key but the private one is taken as it is, and comes back from its text.
        #[test]
        fn a_raw_key_is_itself(key in any::<i32>()) {
            let address = Address::Key(key);
            prop_assert_eq!(address.to_string().parse::<Address>().unwrap(), address.clone());
            prop_assert_eq!(address.key().ok(), (key != 0).then_some(Some(key)));
        }

        #[test]
        fn an_identifier_comes_back_from_its_text(segment in any::<i32>(), nonce in any::<u32>()) {
            let id = ChannelId { segment, nonce };
            prop_assert_eq!(id.to_string().parse::<ChannelId>().unwrap(), id);
            prop_assert_eq!(id.to_string().parse::<Address>().unwrap(), Address::Id(id));
            prop_assert_eq!(Address::Id(id).key().unwrap(), None);
        }

        /// Whatever is written there: it is a key, an identifier, a name, or a number that is none.
        #[test]
        fn any_text_is_an_address_or_an_error(text in "(?s).{0,40}|0x[0-9a-f]{0,10}|-?[0-9]{1,11}:[0-9a-f]{1,9}") {
            match text.parse::<Address>() {
                Ok(Address::Name { name, .. }) => prop_assert_eq!(name, text),
                Ok(Address::Key(_)) => prop_assert!(text.starts_with("0x")),
                Ok(Address::Id(id)) => prop_assert_eq!(text.parse::<ChannelId>().unwrap(), id),
                Ok(other) => panic!("{other}"),
                Err(Error::Invalid { option, .. }) => {
                    prop_assert!(option == "key" && text.starts_with("0x"));
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    #[test]
    fn a_file_has_a_key_of_each_project() {
        for path in ["/", "/proc", "/dev/null", env!("CARGO_MANIFEST_DIR")] {
            for project in 0..=255 {
                let key = Address::File { path: path.into(), project }.key();
                match project {
                    0 => assert!(matches!(key, Err(Error::Invalid { option: "file", .. }))),
                    // The project is in the key: it is never 0.
                    _ => assert!(
                        matches!(key, Ok(Some(key)) if key >> 24 == i32::from(project as i8))
                    ),
                }
            }
        }
    }
}
