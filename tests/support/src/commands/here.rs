//! Handles of this process over a segment and a set; no member can die.

use std::collections::HashMap;

use sysvring::{ChannelId, Options};

use super::members::{Member, open, options};
use super::{Answer, Call, Inside, Progress, Rules, Side, World, raw};
use crate::name::Name;

/// A world whose members are handles of this process. A channel that is kept has a name; others are
/// private, made by the first member and found by their identifier.
pub struct Here {
    rules: Rules,
    name: Name,
    id: Option<ChannelId>,
    members: HashMap<u32, Box<dyn Member>>,
}

impl Here {
    pub fn new(rules: Rules) -> Here {
        Here { rules, name: Name::new(), id: None, members: HashMap::new() }
    }

    fn address(&self) -> Options {
        match (self.rules.kept, self.id) {
            (true, _) => self.name.options(),
            (false, Some(id)) => Options::id(id),
            (false, None) => Options::private(),
        }
    }
}

impl World for Here {
    fn join(&mut self, id: u32, side: Side) -> Answer {
        if self.members.is_empty() {
            self.id = None;
        }
        let options = options(self.address(), &self.rules);
        match open(options, self.rules.flavor, side) {
            Ok(member) => {
                self.id = Some(member.id());
                self.members.insert(id, member);
                Answer::Done
            }
            Err(no) => no,
        }
    }

    fn call(&mut self, id: u32, call: Call, number: u64) -> Answer {
        self.members.get_mut(&id).expect("a member").call(call, number)
    }

    fn leave(&mut self, id: u32) {
        self.members.remove(&id).expect("a member");
    }

    fn finish(&mut self, id: u32) {
        self.members.remove(&id).expect("a member").finish();
    }

    fn die(&mut self, id: u32, _: Option<(u32, Call, u64)>) -> Progress {
        panic!("{id} cannot die alone");
    }

    fn is_mortal(&self) -> bool {
        false
    }

    fn inside(&self) -> Option<Inside> {
        match self.members.is_empty() {
            true => None,
            false => raw::inside(self.id?.segment()),
        }
    }
}
