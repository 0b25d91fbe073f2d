//! Two machines, a server between them, and what both programs and both bridges need.

use sysvring::{Flavor, Stat};
use sysvring_support::name::Name;

use crate::account::Figures;
use crate::admin::Admin;
use crate::members::{Expect, Load, Receiver, Sender};
use crate::namespace::Machine;
use crate::process::until;
use crate::routes::{self, Bridge};
use crate::scratch::Scratch;
use crate::server::Server;

/// The near machine, where messages are sent, the far one, where they arrive, and the server.
pub struct Rig {
    pub server: Server,
    pub near: Machine,
    pub far: Machine,
    pub folder: Scratch,
    pub flavor: Flavor,
    /// The names of the two channels.
    pub source: Name,
    pub sink: Name,
}

impl Rig {
    /// Starts the server, with the stream of the tests, if one can be had.
    pub fn new(flavor: Flavor) -> Option<Rig> {
        let rig = Rig::with(Server::start()?, flavor);
        rig.admin().make_stream(Admin::settings());
        Some(rig)
    }

    /// Takes a server without streams.
    pub fn with(server: Server, flavor: Flavor) -> Rig {
        let [near, far] = [Machine::new(), Machine::new()];
        let [source, sink] = [Name::new(), Name::new()];
        Rig { server, near, far, folder: Scratch::new(), flavor, source, sink }
    }

    pub fn admin(&self) -> Admin {
        Admin::connect(&self.server.url())
    }

    /// Returns the bridge of the near machine, with more lines of its route.
    pub fn out(&self, lines: &str) -> Bridge<'_> {
        let server = routes::server(&self.server.url(), "", &self.folder);
        let route = routes::out(self.source.as_str(), lines);
        Bridge::new(&self.near, &self.folder, "out", &(server + &route))
    }

    /// Returns the bridge of the far machine, with more lines of its route.
    pub fn to_sink(&self, lines: &str) -> Bridge<'_> {
        let server = routes::server(&self.server.url(), "", &self.folder);
        let route = routes::to_channel(self.sink.as_str(), lines);
        Bridge::new(&self.far, &self.folder, "in", &(server + &route))
    }

    /// Starts a sender on the near machine.
    pub fn send(&self, load: Load) -> Sender {
        self.near.inside(|| Sender::start(self.source.as_str(), self.flavor, load))
    }

    /// Starts a receiver on the far machine.
    pub fn receive(&self, expect: Expect) -> Receiver {
        self.far.inside(|| Receiver::start(self.sink.as_str(), self.flavor, expect))
    }

    /// Returns a snapshot of the channel on the near machine, once there is one.
    pub fn source_stat(&self) -> Stat {
        self.near.inside(|| stat(self.source.as_str()))
    }

    /// Returns a snapshot of the channel on the far machine, once there is one.
    pub fn sink_stat(&self) -> Stat {
        self.far.inside(|| stat(self.sink.as_str()))
    }

    /// Checks that the bridge has sent this many messages into the channel of the far machine, and not
    /// more. In an MPMC channel, the snapshot may be behind.
    #[track_caller]
    pub fn must_have_sent(&self, messages: u64) {
        let tail = self.sink_stat().tail;
        let is_so = tail == messages || self.flavor == Flavor::Mpmc && tail < messages;
        assert!(is_so, "{tail} messages in the channel of the far machine instead of {messages}");
    }

    /// Waits until the sender is blocked: the ring is full, and the bridge takes nothing from it.
    pub fn until_blocked(&self) {
        until("the ring does not get full", || {
            let before = self.source_stat();
            std::thread::sleep(std::time::Duration::from_millis(50));
            let after = self.source_stat();
            after.depth == after.capacity as u64
                && (before.head, before.tail) == (after.head, after.tail)
        });
    }
}

fn stat(channel: &str) -> Stat {
    let mut found = None;
    until("there is no channel", || {
        found = sysvring::stat(channel).ok();
        found.is_some()
    });
    found.expect("found")
}

/// Waits until a receiver has all messages, and checks that each arrived once and in order.
#[track_caller]
pub fn must_receive(receiver: &mut Receiver, messages: u64) {
    assert_eq!(receive_all(receiver, messages), Figures::exactly(messages));
}

/// Waits until a receiver has all messages, and returns its account.
#[track_caller]
pub fn receive_all(receiver: &mut Receiver, messages: u64) -> Figures {
    let mut figures = receiver.figures();
    while figures.received < messages {
        // Slow is not lost: it fails if nothing arrives any more.
        let before = figures.received;
        until(&format!("only {figures:?} of {messages} arrived"), || {
            figures = receiver.figures();
            figures.received > before
        });
    }
    figures
}
