//! How a channel is named on the command line.

use clap::Args;
use sysvring::{Address, MissingSet, Stat};

use crate::escape;
use crate::failure::Failure;
use crate::users;

/// The help on names.
pub const NAMING: &str = "\
How a channel is named:
  NAME               a channel of the calling user
  USER/NAME          a channel of another user, by name or number; so does --owner USER
  id:SEGMENT:NONCE   any channel, as `sysvring ls -o ID` prints it; private channels have no other name
  key:0xKEY          the channel with this System V key, as `ipcs` prints it
  file:PATH:PROJECT  the channel with the key that ftok(3) derives
  name:TEXT          a channel of the calling user whose name looks like one of the above";

/// A channel, as it was named.
#[derive(Args, Clone, Debug)]
pub struct Channel {
    /// The channel: NAME, USER/NAME, id:ID, key:0xKEY or file:PATH:PROJECT
    #[arg(value_name = "CHANNEL", value_parser = parse)]
    channel: Address,
    /// Look for NAME among the channels of this user
    #[arg(long, value_name = "USER", value_parser = users::parse)]
    owner: Option<u32>,
}

impl Channel {
    /// Returns the address.
    pub fn address(&self) -> Result<Address, Failure> {
        owned_by(&self.channel, self.owner)
    }
}

/// Returns the address of a name of another user, if one was given.
pub fn owned_by(address: &Address, owner: Option<u32>) -> Result<Address, Failure> {
    match (address, owner) {
        (address, None) => Ok(address.clone()),
        (Address::Name { name, .. }, Some(uid)) => Ok(Address::Name { name: name.clone(), uid }),
        _ => Err(Failure::usage(
            "only names belong to users; leave --owner out, or give the name of the channel",
        )),
    }
}

/// Reads the name of a channel.
pub fn parse(text: &str) -> Result<Address, String> {
    let library = |text: &str| text.parse::<Address>().map_err(|error| error.to_string());
    if let Some(name) = text.strip_prefix("name:") {
        return Ok(Address::named(name));
    }
    if let Some(id) = text.strip_prefix("id:") {
        return id.parse().map(Address::Id).map_err(|error: sysvring::Error| error.to_string());
    }
    if let Some(key) = text.strip_prefix("key:") {
        return match key.strip_prefix("0x") {
            Some(_) => library(key),
            None => Err("a key is hexadecimal, as `ipcs` prints it: key:0x54e25298".into()),
        };
    }
    if let Some(file) = text.strip_prefix("file:") {
        let file = file.rsplit_once(':').and_then(|(path, project)| {
            Some(Address::File { path: path.into(), project: project.parse().ok()? })
        });
        return file.ok_or_else(|| {
            "a file is named with its project number, 1 to 255: file:/srv/feed:1".into()
        });
    }
    if let Some((user, name)) = text.split_once('/') {
        let uid = users::parse(user)
            .map_err(|why| format!("{why}; if the name contains the slash, write name:{text}"))?;
        return Ok(Address::Name { name: name.into(), uid });
    }
    library(text)
}

/// Returns how to name a channel in a command, for a terminal: by its identifier if its name would have
/// to be escaped, or looks like an option.
pub fn name_of(stat: &Stat) -> String {
    let exact = exact_name(stat);
    match escape::text(&exact) == exact && !exact.starts_with('-') {
        true => exact,
        false => format!("id:{}", stat.id),
    }
}

fn exact_name(stat: &Stat) -> String {
    match (stat.name.as_str(), stat.key) {
        ("", 0) => format!("id:{}", stat.id),
        ("", key) => format!("key:{key:#010x}"),
        // Its key is gone: removed, but still attached. Or the name leads elsewhere.
        (_, 0) => format!("id:{}", stat.id),
        _ if !is_found_by_name(stat) => format!("id:{}", stat.id),
        (name, _) if stat.segment.uid == users::me() => own_name(name),
        (name, _) => format!("{}/{name}", users::name(stat.segment.uid)),
    }
}

/// Returns whether its name, as one of its owner's, leads to this channel. The key is that of the user
/// who created it: after a change of the owner, the new owner's channel of this name is another one.
/// A name also leads to nothing that a user other than its owner or root created, nor to a segment whose
/// set is another user's.
fn is_found_by_name(stat: &Stat) -> bool {
    let (owner, creator) = (stat.segment.uid, stat.segment.cuid);
    let address = Address::Name { name: stat.name.clone(), uid: owner };
    let is_of_one = !matches!(stat.missing_set, Some(MissingSet::OtherOwner { .. }));
    is_of_one
        && [owner, 0].contains(&creator)
        && address.key().is_ok_and(|key| key == Some(stat.key))
}

/// Returns the shortest text that names the calling user's channel of this name.
fn own_name(name: &str) -> String {
    match parse(name) {
        Ok(address) if address == Address::named(name) => name.into(),
        _ => format!("name:{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read() {
        assert_eq!(parse("jobs"), Ok(Address::named("jobs")));
        assert_eq!(parse("name:key:0x1"), Ok(Address::named("key:0x1")));
        assert_eq!(parse("7/jobs"), Ok(Address::Name { name: "jobs".into(), uid: 7 }));
        assert_eq!(parse("root/a/b"), Ok(Address::Name { name: "a/b".into(), uid: 0 }));
        assert_eq!(parse("key:0x54e25298"), Ok(Address::Key(0x54e2_5298)));
        assert_eq!(parse("key:0xffffffff"), Ok(Address::Key(-1)));
        let id = "32769:0badcafe".parse().expect("an id");
        assert_eq!(parse("id:32769:0badcafe"), Ok(Address::Id(id)));
        let file = Address::File { path: "/srv/a:b".into(), project: 7 };
        assert_eq!(parse("file:/srv/a:b:7"), Ok(file));
    }

    #[test]
    fn an_error_says_what_to_write() {
        for (wrong, remedy) in [
            ("key:7", "key:0x"),
            ("key:0xx", "hex"),
            ("id:7", "32769:0badcafe"),
            ("file:/srv/feed", "file:/srv/feed:1"),
            ("file:/srv/feed:256", "1 to 255"),
            ("nobody-has-this-name/jobs", "name:nobody-has-this-name/jobs"),
        ] {
            let error = parse(wrong).expect_err(wrong);
            assert!(error.contains(remedy), "{error}");
        }
    }

    #[test]
    fn a_name_that_looks_like_something_else_is_marked() {
        for name in ["jobs", "a b", "a:b"] {
            assert_eq!(own_name(name), name);
        }
        for name in ["id:1", "key:x", "a/b", "0x12", "1:2", "name:x", "file:x"] {
            assert_eq!(own_name(name), format!("name:{name}"));
            assert_eq!(parse(&own_name(name)), Ok(Address::named(name)));
        }
    }

    #[test]
    fn only_names_have_an_owner() {
        let named = owned_by(&Address::named("jobs"), Some(7)).expect("a name");
        assert_eq!(named, Address::Name { name: "jobs".into(), uid: 7 });
        assert!(owned_by(&Address::Key(1), Some(7)).is_err());
        assert_eq!(owned_by(&Address::Key(1), None).expect("a key"), Address::Key(1));
    }
}
