//! Both bridges are killed over and over at random moments, from their first instruction on. Every
//! message arrives once and in order, but for those that an MPMC channel redelivers.

use std::time::Duration;

use async_nats::jetstream::stream::{self, RetentionPolicy};
use sysvring::Flavor;
use sysvring_support::handle::AnyFlavor;
use sysvring_support::rng::Rng;
use sysvring_support::test;

use crate::account::Figures;
use crate::admin::Admin;
use crate::members::{Expect, Load};
use crate::process::until;
use crate::rig::{Rig, receive_all};
use crate::routes::STREAM;
use crate::scale::scale;
use crate::server::Server;

/// The tests that share the numbers of the command line.
const TESTS: u64 = 4;

/// The ring of a broadcast channel keeps no messages for a receiver that is dead: it must be large
/// enough for the time without one, half a minute at this rate. On a busy host, a bridge may be killed
/// many times before it gets far enough.
const LOAD: Load = Load { capacity: 1 << 18, pause: 4_000, ..Load::UNTIL_STOPPED };

#[test]
fn every_message_arrives_once<F: AnyFlavor>() {
    let Some(rig) = Rig::new(F::FLAVOR) else { return };
    kill_at_random(rig);
}

/// The stream deletes what is acknowledged, so that there is nothing to look up in it.
#[test]
fn every_message_of_a_work_queue_arrives_once() {
    let Some(server) = Server::start() else { return };
    let rig = Rig::with(server, Flavor::Spsc);
    let retention = RetentionPolicy::WorkQueue;
    rig.admin().make_stream(stream::Config { retention, ..Admin::settings() });
    kill_at_random(rig);
}

fn kill_at_random(rig: Rig) {
    let senders = if rig.flavor == Flavor::Mpmc { 2 } else { 1 };
    let mut receiver = rig.receive(Expect { senders, ..Expect::ONE_SENDER });
    let route = "in_flight = 64";
    let (out, to_sink) = (rig.out(route), rig.to_sink(route));
    let mut bridges = [out.start(&[]), to_sink.start(&[])];
    let load = |sender| Load { sender, ..LOAD };
    let mut sending: Vec<_> = (0..senders as u64).map(|n| rig.send(load(n))).collect();

    let (kills_wanted, messages_wanted) = (scale().kills / TESTS, scale().messages / TESTS);
    let mut rng = Rng::new();
    let (mut kills, mut received) = (0, 0);
    while kills < kills_wanted || received < messages_wanted {
        // Half of the bridges get far enough to carry messages; the others may die while they start.
        if rng.below(2) == 0 {
            until("nothing arrives any more", || receiver.figures().received > received);
        }
        std::thread::sleep(Duration::from_micros(rng.below(60_000)));
        let killed: &[usize] = rng.of(&[&[0], &[1], &[0, 1]]);
        for &n in killed {
            bridges[n].kill();
            kills += 1;
        }
        for &n in killed {
            bridges[n] = [&out, &to_sink][n].start(&[]);
        }
        received = receiver.figures().received;
    }

    let mut must_receive = |messages| {
        let figures = receive_all(&mut receiver, messages).of(rig.flavor);
        assert_eq!(figures, Figures::exactly(messages));
    };
    must_receive(sending.iter_mut().map(|sender| sender.hold()).sum());
    // What was sent last must not be sent again either.
    bridges.iter_mut().for_each(|bridge| bridge.kill());
    bridges = [out.start(&[]), to_sink.start(&[])];
    let sent: u64 = sending.iter_mut().map(|sender| sender.stop()).sum();
    must_receive(sent);
    assert_eq!(rig.admin().stored(STREAM), sent, "messages that the stream stored");
    rig.must_have_sent(sent);
    drop(bridges);
    println!("{:?}: {kills} kills, {sent} messages, each once", rig.flavor);
}
