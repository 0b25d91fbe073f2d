//! The other process in an MPMC channel, on the other side or on the victim's own.

use std::time::Duration;

use sysvring::mpmc::{Receiver, Sender};

use crate::steps::kernel::Side;
use crate::steps::messages::{Load, load};
use crate::steps::peer::{arrived, next_order, options, order, returned};
use crate::steps::scenario::Scene;

/// Runs the peer.
pub fn be(scene: &Scene, side: Side) {
    match side {
        Side::Sender => be_sender(scene),
        Side::Receiver => be_receiver(scene),
    }
}

fn be_receiver(scene: &Scene) {
    let (board, report) = (&scene.board, scene.board.many.peer);
    let rx: Receiver<Load> = options(scene).open().expect("a receiver");
    arrived(scene, &rx.id());
    if scene.other.sleeps() {
        let result = report.receiving(board, || rx.recv());
        return returned(scene, result);
    }
    loop {
        match next_order(scene) {
            order::WAKE => {
                while report.receiving(board, || rx.recv_timeout(Duration::ZERO)).is_ok() {}
            }
            _ => board.peer_text.set(&format!("{:?}", rx.deaths().map(pids))),
        }
        board.order.set(0);
    }
}

fn be_sender(scene: &Scene) {
    let (board, report) = (&scene.board, scene.board.many.peer);
    let tx: Sender<Load> = options(scene).open().expect("a sender");
    arrived(scene, &tx.id());
    let mut numbers = report.first..;
    let mut send = || {
        let load = load(numbers.next().expect("another number"));
        report.sending(|| tx.send(&load))
    };
    if scene.other.sleeps() {
        return returned(scene, send());
    }
    loop {
        match next_order(scene) {
            order::WAKE => send().expect("the victim receives"),
            _ => board.peer_text.set(&format!("{:?}", tx.deaths().map(pids))),
        }
        board.order.set(0);
    }
}

/// Returns the PIDs of the deaths that it was notified of.
fn pids(deaths: Vec<sysvring::mpmc::Death>) -> Vec<u32> {
    deaths.into_iter().map(|death| death.pid).collect()
}
