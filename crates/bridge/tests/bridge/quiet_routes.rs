//! Routes on which a message comes now and then.

use sysvring_support::handle::TakingFlavor;
use sysvring_support::test;

use crate::members::{Expect, Load};
use crate::rig::{Rig, must_receive};

/// Bridges that wait for the first message, with a stream and a channel that were never used.
#[test]
fn each_message_arrives_once<F: TakingFlavor>() {
    for start in 0..5 {
        let Some(rig) = Rig::new(F::FLAVOR) else { return };
        let mut receiver = rig.receive(Expect::ONE_SENDER);
        let _bridges = (rig.out("").start(&[]), rig.to_sink("").start(&[]));
        for first in 0..3 {
            // At another moment of the start of the bridges each time.
            std::thread::sleep(std::time::Duration::from_millis(20 * start));
            rig.send(Load { first, ..Load::of(first + 1) }).finish();
            must_receive(&mut receiver, first + 1);
            rig.must_have_sent(first + 1);
        }
    }
}
