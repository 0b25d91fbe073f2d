//! A slow receiver on the far machine.

use sysvring::Flavor;
use sysvring_support::test;

use crate::members::{Expect, Load};
use crate::process::until;
use crate::rig::{Rig, must_receive};
use crate::routes::STREAM;

/// The bridge pulls no more than it may, and the server delivers nothing twice meanwhile.
#[test]
fn a_stopped_receiver_stops_the_pulling() {
    const IN_FLIGHT: usize = 64;
    const MESSAGES: u64 = 20_000;
    let Some(rig) = Rig::new(Flavor::Spsc) else { return };
    let admin = rig.admin();
    let mut receiver = rig.receive(Expect { capacity: 128, ..Expect::ONE_SENDER });
    receiver.signal(libc::SIGSTOP);
    let _out = rig.out("").start(&[]);
    let bridge = rig.to_sink(&format!("in_flight = {IN_FLIGHT}")).start(&[]);
    rig.send(Load { capacity: 4_096, ..Load::of(MESSAGES) }).finish();
    until("not all is stored", || admin.messages(STREAM) == MESSAGES);
    until("the channel does not get full", || rig.sink_stat().depth == 128);
    let before = bridge.memory();
    for _ in 0..20 {
        let consumer = admin.consumer().expect("a durable consumer");
        assert!(consumer.num_ack_pending <= IN_FLIGHT, "{} in flight", consumer.num_ack_pending);
        assert_eq!(consumer.num_redelivered, 0, "redelivered");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let grown = bridge.memory().saturating_sub(before);
    assert!(grown < 4 << 20, "{grown} bytes more while nothing can be sent");
    receiver.signal(libc::SIGCONT);
    must_receive(&mut receiver, MESSAGES);
    rig.must_have_sent(MESSAGES);
}
