//! Handles in separate processes, which are killed.

use std::collections::HashMap;

use sysvring::Options;

use super::members::{open, options};
use super::{Answer, Call, Flavor, Inside, Progress, Rules, Side, World, raw};
use crate::name::Name;
use crate::worker::{Args, Worker, print_line, read_line};

/// A world whose members are processes. The channel has a name and is kept.
pub struct Processes {
    rules: Rules,
    /// The name of the work that such a process is started for, which is [`member`].
    work: &'static str,
    members: HashMap<u32, Worker>,
    /// The last field, because it must be dropped after the members.
    name: Name,
}

impl Processes {
    pub fn new(rules: Rules, work: &'static str) -> Processes {
        assert!(rules.kept, "the last user's exit removes the segment, but not the set");
        Processes { rules, work, members: HashMap::new(), name: Name::new() }
    }
}

/// Serves as a member in one process: it writes each answer and reads each call.
pub fn member(args: &mut Args) {
    let name: String = args.next();
    let (spsc, sender): (bool, bool) = (args.next(), args.next());
    let rules = Rules {
        flavor: if spsc { Flavor::Spsc } else { Flavor::Mpmc },
        capacity: args.next(),
        deliveries: args.next(),
        seats: args.next(),
        place: 0,
        kept: true,
        peers: true,
    };
    let side = if sender { Side::Sender } else { Side::Receiver };
    let options = options(Options::named(name), &rules);
    let mut member = match open(options, rules.flavor, side) {
        Ok(member) => member,
        Err(no) => return print_line(no.to_line()),
    };
    print_line(Answer::Done.to_line());
    loop {
        let line = read_line();
        match line.as_str() {
            "leave" => return,
            "finish" => return member.finish(),
            _ => {}
        }
        let (call, number) = Call::from_line(&line);
        print_line(member.call(call, number).to_line());
    }
}

impl World for Processes {
    fn join(&mut self, id: u32, side: Side) -> Answer {
        let Rules { flavor, capacity, deliveries, seats, .. } = self.rules;
        let (spsc, sender) = (flavor == Flavor::Spsc, side == Side::Sender);
        let args: [&dyn ToString; 7] =
            [&self.work, &self.name, &spsc, &sender, &capacity, &deliveries, &seats];
        let mut member = Worker::start(&args).expect("a process");
        let answer = Answer::from_line(&member.read_line().expect("an answer"));
        match answer {
            Answer::No(_) => member.finish(),
            _ => _ = self.members.insert(id, member),
        }
        answer
    }

    fn call(&mut self, id: u32, call: Call, number: u64) -> Answer {
        let member = self.members.get_mut(&id).expect("a member");
        member.write_line(&call.to_line(number)).expect("it listens");
        Answer::from_line(&member.read_line().expect("an answer"))
    }

    fn leave(&mut self, id: u32) {
        let mut member = self.members.remove(&id).expect("a member");
        member.write_line("leave").expect("it listens");
        member.finish();
    }

    fn finish(&mut self, id: u32) {
        let mut member = self.members.remove(&id).expect("a member");
        member.write_line("finish").expect("it listens");
        member.finish();
    }

    fn die(&mut self, id: u32, _: Option<(u32, Call, u64)>) -> Progress {
        let mut member = self.members.remove(&id).expect("a member");
        member.kill_and_wait().expect("it lives");
        Progress::None
    }

    fn is_mortal(&self) -> bool {
        true
    }

    fn inside(&self) -> Option<Inside> {
        raw::inside(sysvring::stat(self.name.as_str()).ok()?.id.segment())
    }
}
