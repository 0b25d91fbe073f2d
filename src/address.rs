//! Addresses of channels, and the System V keys computed from them.

use core::fmt;
use core::str::FromStr;
use std::path::PathBuf;

use crate::error::{Error, Printable};
use crate::layout::NAME_MAX;
use crate::sysv::{self, Errno};

/// The address of a channel.
///
/// `"name".into()` is a name of the calling user. With [`str::parse`], the text `0x1234` is a raw
/// key and `id:nonce` an identifier.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Address {
    /// A name of 1 to 128 bytes; each user has separate names. The key is a hash of user and name;
    /// the header contains the whole name, which is compared.
    Name {
        /// The name.
        name: String,
        /// The id of the user that owns the channel.
        uid: u32,
    },
    /// A raw System V key, as `ipcs` shows it. 0 is not a usable key.
    Key(i32),
    /// The key that `ftok` derives from an existing file and a project number other than 0.
    /// Different files may have equal keys: prefer names.
    File {
        /// The path of the file.
        path: PathBuf,
        /// The project number.
        project: u8,
    },
    /// The identifier of a channel; the only address of a private channel.
    Id(ChannelId),
}

/// The identifier of one channel, to be passed to another process in an argument or an environment
/// variable: it is displayed and parsed as text. It is valid as long as the channel exists, and
/// never for another channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChannelId {
    pub(crate) segment: i32,
    pub(crate) nonce: u32,
}

impl ChannelId {
    /// Returns the segment's System V identifier, as `ipcs -m` shows it.
    pub fn segment(&self) -> i32 {
        self.segment
    }
}

impl fmt::Display for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{:08x}", self.segment, self.nonce)
    }
}

/// Serialised as its text.
#[cfg(feature = "serde")]
impl serde::Serialize for ChannelId {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
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
        parse().ok_or_else(|| Error::InvalidOption {
            channel: None,
            option: "id",
            reason: format!(
                "{text:?} is not a channel identifier; it must have the form 32769:0badcafe"
            ),
        })
    }
}

impl Address {
    /// Returns the address of the calling user's channel of this name.
    pub fn named(name: impl Into<String>) -> Self {
        Address::Name { name: name.into(), uid: sysv::process::euid() }
    }

    /// Returns the System V key of the segment and the set of a channel with this address, as `ipcs`
    /// shows it; `None` for an identifier.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] if there can be no channel with this address: its name is too long,
    /// its key is 0, or its file does not exist.
    ///
    /// ```
    /// use sysvring::Address;
    /// assert_eq!(Address::Key(0x1234).key()?, Some(0x1234));
    /// assert_ne!(Address::named("jobs").key()?, Address::named("ticks").key()?);
    /// # Ok::<(), sysvring::Error>(())
    /// ```
    pub fn key(&self) -> Result<Option<i32>, Error> {
        let invalid =
            |option, reason: String| Err(Error::InvalidOption { channel: None, option, reason });
        match self {
            Address::Name { name, .. } if name.is_empty() || name.len() > NAME_MAX => {
                invalid("name", format!("{} bytes; it must have 1 to {NAME_MAX} bytes", name.len()))
            }
            Address::Name { name, .. } if name.contains('\0') => {
                invalid("name", "contains a NUL byte; use a name without one".into())
            }
            Address::Name { name, uid } => Ok(Some(hash(*uid, name))),
            Address::Key(0) => {
                invalid("key", "0 is IPC_PRIVATE, not a usable key; use Options::private".into())
            }
            Address::Key(key) => Ok(Some(*key)),
            Address::File { path, project } => match sysv::key::ftok(path, *project) {
                Ok(0) => invalid(
                    "file",
                    "its key is 0, which cannot be used; choose another project number".into(),
                ),
                Ok(key) => Ok(Some(key)),
                Err(errno) => invalid(
                    "file",
                    format!(
                        "cannot derive a key from {} and project {project}: {errno}; {}",
                        Printable(&path.to_string_lossy()),
                        match errno {
                            Errno::EINVAL => "the project must not be 0",
                            Errno::EACCES => {
                                "this user must be able to search each directory of the path; \
                                 choose another file, or change the directory's mode"
                            }
                            _ => "the file must exist",
                        }
                    ),
                ),
            },
            Address::Id(_) => Ok(None),
        }
    }

    /// Returns the name that the header must contain.
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Address::Name { name, .. } => Some(name),
            _ => None,
        }
    }
}

/// Returns a key of 31 bits: FNV-1a over user and name, folded. Never 0.
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

impl From<&String> for Address {
    fn from(name: &String) -> Self {
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
                |_| Error::InvalidOption {
                    channel: None,
                    option: "key",
                    reason: format!(
                        "{text:?} is not a 32-bit hexadecimal key; use up to eight hex digits"
                    ),
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
            Address::File { path, project } => {
                write!(f, "{}, project {project}", Printable(&path.to_string_lossy()))
            }
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
            assert!(matches!(address.key(), Err(Error::InvalidOption { .. })), "{address}");
        }
    }

    proptest! {
        /// Every text is either a name and has a key, which is always the same and never that of
        /// private channels, or is refused as a name.
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
                Err(Error::InvalidOption { option, .. }) => prop_assert!(!is_name && option == "name"),
                Err(error) => panic!("{error}"),
            }
        }

        /// Every key except the private one is used unchanged, and its text parses to the same key.
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

        /// Any text is a key, an identifier, a name, or an invalid key.
        #[test]
        fn any_text_is_an_address_or_an_error(text in "(?s).{0,40}|0x[0-9a-f]{0,10}|-?[0-9]{1,11}:[0-9a-f]{1,9}") {
            match text.parse::<Address>() {
                Ok(Address::Name { name, .. }) => prop_assert_eq!(name, text),
                Ok(Address::Key(_)) => prop_assert!(text.starts_with("0x")),
                Ok(Address::Id(id)) => prop_assert_eq!(text.parse::<ChannelId>().unwrap(), id),
                Ok(other) => panic!("{other}"),
                Err(Error::InvalidOption { option, .. }) => {
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
                    0 => assert!(matches!(key, Err(Error::InvalidOption { option: "file", .. }))),
                    // The project is part of the key, which is therefore never 0.
                    _ => assert!(
                        matches!(key, Ok(Some(key)) if key >> 24 == i32::from(project as i8))
                    ),
                }
            }
        }
    }
}
