//! Handles of this process, over a segment and a set: nobody dies.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use sysvring::{ChannelId, Options};

use super::members::{Handle, options};
use super::{Answer, Call, Progress, Rules, Side, World};
use crate::name::Name;

/// See the top of this file. A channel that is kept has a name; others are private, made by the first
/// member and found by its identifier.
pub struct Here {
    rules: Rules,
    name: Name,
    id: Option<ChannelId>,
    members: HashMap<u32, Member>,
}

/// A handle in a thread of its own.
struct Member {
    calls: Option<Sender<(Call, u64)>>,
    answers: Receiver<Answer>,
    thread: Option<JoinHandle<()>>,
}

impl Member {
    fn start(handle: Handle) -> Member {
        let (calls, to_do) = channel();
        let (to_say, answers) = channel();
        let thread = std::thread::spawn(move || {
            handle.serve(&mut |answer| {
                to_say.send(answer).ok()?;
                to_do.recv().ok()
            });
        });
        Member { calls: Some(calls), answers, thread: Some(thread) }
    }

    fn hear(&mut self) -> Answer {
        match self.answers.recv() {
            Ok(answer) => answer,
            Err(_) => {
                self.end();
                panic!("a member ended by itself");
            }
        }
    }

    /// Waits for its end; what made it panic goes on.
    fn end(&mut self) {
        self.calls = None;
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join)
            && !std::thread::panicking()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.end();
    }
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
        let handle = match Handle::open(options, self.rules.flavor, side) {
            Ok(handle) => handle,
            Err(no) => return no,
        };
        self.id = Some(handle.id());
        let mut member = Member::start(handle);
        let answer = member.hear();
        self.members.insert(id, member);
        answer
    }

    fn call(&mut self, id: u32, call: Call, number: u64) -> Answer {
        let member = self.members.get_mut(&id).expect("a member");
        let calls = member.calls.as_ref().expect("it was not ended");
        // Who ended by a panic is found out by hearing nothing.
        let _ = calls.send((call, number));
        member.hear()
    }

    fn leave(&mut self, id: u32) {
        self.members.remove(&id).expect("a member");
    }

    fn die(&mut self, id: u32, _: Option<(u32, Call, u64)>) -> Progress {
        panic!("{id} cannot die alone");
    }

    fn is_mortal(&self) -> bool {
        false
    }
}
