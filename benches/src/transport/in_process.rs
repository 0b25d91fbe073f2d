//! The standard library's channel between threads of one process.

use std::sync::mpsc;

use crate::transport::traits::{Receive, Send, ThreadTransport};

pub struct Std;

impl<const N: usize> ThreadTransport<N> for Std {
    type Tx = mpsc::SyncSender<[u64; N]>;
    type Rx = mpsc::Receiver<[u64; N]>;

    fn pair(capacity: usize) -> (Self::Tx, Self::Rx) {
        mpsc::sync_channel(capacity)
    }
}

impl<const N: usize> Send<N> for mpsc::SyncSender<[u64; N]> {
    #[inline]
    fn send(&mut self, message: &[u64; N]) {
        mpsc::SyncSender::send(self, *message).expect("a receiver");
    }
}

impl<const N: usize> Receive<N> for mpsc::Receiver<[u64; N]> {
    #[inline]
    fn receive(&mut self, place: &mut [u64; N]) {
        *place = self.recv().expect("a sender");
    }
}
