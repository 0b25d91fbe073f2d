//! Names of users.

use nix::unistd::{Uid, User};

/// Returns the id of a user, given by name or number.
pub fn parse(text: &str) -> Result<u32, String> {
    if let Ok(uid) = text.parse() {
        return Ok(uid);
    }
    match User::from_name(text) {
        Ok(Some(user)) => Ok(user.uid.as_raw()),
        Ok(None) => Err(format!("there is no user {text:?}; `getent passwd` shows them")),
        Err(errno) => Err(format!("the user {text:?} cannot be looked up: {errno}")),
    }
}

/// Returns the name of a user, or the number if it has none.
pub fn name(uid: u32) -> String {
    match User::from_uid(Uid::from_raw(uid)) {
        Ok(Some(user)) => user.name,
        _ => uid.to_string(),
    }
}

/// Returns the id of the calling user.
pub fn me() -> u32 {
    Uid::effective().as_raw()
}
