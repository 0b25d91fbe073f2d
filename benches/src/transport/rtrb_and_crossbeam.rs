//! Rings and channels of other crates between threads of one process.

use crate::transport::ends::poll_until_some;
use crate::transport::traits::{Receive, Send, ThreadTransport};

pub struct Rtrb;

impl<const N: usize> ThreadTransport<N> for Rtrb {
    type Tx = rtrb::Producer<[u64; N]>;
    type Rx = rtrb::Consumer<[u64; N]>;

    fn pair(capacity: usize) -> (Self::Tx, Self::Rx) {
        rtrb::RingBuffer::new(capacity)
    }
}

impl<const N: usize> Send<N> for rtrb::Producer<[u64; N]> {
    #[inline]
    fn send(&mut self, message: &[u64; N]) {
        poll_until_some(|| self.push(*message).ok());
    }

    #[inline]
    fn send_batch(&mut self, messages: &[[u64; N]]) {
        let mut left = messages;
        poll_until_some(|| {
            left = self.push_partial_slice(left).1;
            left.is_empty().then_some(())
        });
    }
}

impl<const N: usize> Receive<N> for rtrb::Consumer<[u64; N]> {
    #[inline]
    fn receive(&mut self, place: &mut [u64; N]) {
        *place = poll_until_some(|| self.pop().ok());
    }

    #[inline]
    fn receive_batch(&mut self, places: &mut Vec<[u64; N]>, most: usize) -> usize {
        poll_until_some(|| match self.pop_partial_slice(&mut places[..most]).0.len() {
            0 => None,
            many => Some(many),
        })
    }
}

pub struct Crossbeam;

impl<const N: usize> ThreadTransport<N> for Crossbeam {
    type Tx = crossbeam_channel::Sender<[u64; N]>;
    type Rx = crossbeam_channel::Receiver<[u64; N]>;

    fn pair(capacity: usize) -> (Self::Tx, Self::Rx) {
        crossbeam_channel::bounded(capacity)
    }
}

impl<const N: usize> Send<N> for crossbeam_channel::Sender<[u64; N]> {
    #[inline]
    fn send(&mut self, message: &[u64; N]) {
        crossbeam_channel::Sender::send(self, *message).expect("a receiver");
    }
}

impl<const N: usize> Receive<N> for crossbeam_channel::Receiver<[u64; N]> {
    #[inline]
    fn receive(&mut self, place: &mut [u64; N]) {
        *place = self.recv().expect("a sender");
    }
}
