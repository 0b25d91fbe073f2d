//! shaq's broadcast queue, by value and in place. Its ends poll, as its SPSC ends do here.

use std::fs::File;

use shaq::broadcast::{Broadcast, BroadcastConfig, Consumer, Producer, ProducerId};

use crate::transport::broadcast::BroadcastTransport;
use crate::transport::ends::poll_until_some;
use crate::transport::shaq::{address, anonymous_memory, same_memory};
use crate::transport::traits::{Receive, Send};
use crate::workload::stream_workload::{shown, write};

/// Larger messages are written and read in place, as sysvring's are where they are this large.
const BY_VALUE: usize = 0x1_0000;

pub struct ShaqBroadcast;

impl<const N: usize> BroadcastTransport<N> for ShaqBroadcast {
    type Tx = (Producer<[u64; N]>, File);
    type Rx = Consumer<[u64; N]>;

    fn offer_to(capacity: usize, receivers: usize) -> (impl FnOnce() -> Self::Tx, String) {
        let config = BroadcastConfig { capacity, producer_slots: 1, consumer_slots: receivers };
        // It sizes the memory itself.
        let file = anonymous_memory(0);
        // SAFETY: created here, once; all ends use the same type, which consists of plain words.
        let queue = unsafe { Broadcast::create(&file, config) }.expect("a queue");
        let tx = queue.producer(ProducerId::new(1)).expect("the only producer");
        let address = address(&file);
        (|| (tx, file), address)
    }

    fn attach_as(address: &str, _: usize, _: usize, _: usize) -> Self::Rx {
        // SAFETY: all ends use the same type, which consists of plain words.
        unsafe { Consumer::join(&same_memory(address)) }.expect("a consumer")
    }
}

impl<const N: usize> Send<N> for (Producer<[u64; N]>, File) {
    #[inline]
    fn send(&mut self, message: &[u64; N]) {
        poll_until_some(|| self.0.try_write(*message).ok());
    }

    #[inline]
    fn send_nth(&mut self, place: &mut [u64; N], n: u64) {
        if N * 8 <= BY_VALUE {
            write(place, n);
            return self.send(shown(place));
        }
        poll_until_some(|| {
            // SAFETY: it is written before the guard is dropped.
            let mut slot = unsafe { self.0.try_reserve_write() }?;
            // SAFETY: the kernel zeroed the memory, and any bytes are words.
            write(unsafe { slot.as_mut().assume_init_mut() }, n);
            Some(())
        });
    }
}

impl<const N: usize> Receive<N> for Consumer<[u64; N]> {
    #[inline]
    fn receive(&mut self, place: &mut [u64; N]) {
        *place = poll_until_some(|| self.try_read());
    }

    #[inline]
    fn read<R>(&mut self, place: &mut [u64; N], read: impl FnOnce(&[u64; N]) -> R) -> R {
        if N * 8 <= BY_VALUE {
            self.receive(place);
            return read(place);
        }
        let mut read = Some(read);
        poll_until_some(|| {
            let message = self.try_reserve_read()?;
            Some(read.take()?(message.as_ref()))
        })
    }
}
