//! Shared-memory rings whose sides block in the kernel: shmem-ipc and ipmpsc.

use std::fs::{self, File};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::net::UnixStream;
use std::thread;

use ipmpsc::SharedRingBuffer;
use serde_bytes::Bytes;
use shmem_ipc::sharedring;
use sysvring::zerocopy::IntoBytes;
use uds::UnixStreamExt;
use zerocopy_03 as zerocopy;

use crate::transport::ends::fresh_name;
use crate::transport::pipes_and_sockets::Unix;
use crate::transport::traits::{IpcTransport, Receive, Send};

/// A message as shmem-ipc requires it: a type with the traits of an older zerocopy.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Words<const N: usize>([u64; N]);

// SAFETY: plain words, for which any byte values are valid.
unsafe impl<const N: usize> zerocopy::FromBytes for Words<N> {
    fn only_derive_is_allowed_to_implement_this_trait() {}
}

// SAFETY: plain words, without padding.
unsafe impl<const N: usize> zerocopy::AsBytes for Words<N> {
    fn only_derive_is_allowed_to_implement_this_trait() {}
}

/// shmem-ipc's `sharedring`, blocking through its own calls; its descriptors are passed over a
/// socket, as it advises.
pub struct ShmemIpc;

/// Descriptors of a ring: its memory and two signals.
const DESCRIPTORS: usize = 3;

impl<const N: usize> IpcTransport<N> for ShmemIpc {
    type Tx = sharedring::Sender<Words<N>>;
    type Rx = sharedring::Receiver<Words<N>>;

    fn offer(capacity: usize) -> (impl FnOnce() -> Self::Tx, String) {
        let tx = sharedring::Sender::new(capacity).expect("a sender");
        let own = [tx.memfd().as_file(), tx.empty_signal(), tx.full_signal()];
        let own = own.map(|file| file.try_clone().expect("another descriptor"));
        let (listener, address) = Unix::listen();
        thread::spawn(move || {
            let stream = listener.accept().expect("a connection").0;
            let descriptors = own.each_ref().map(AsRawFd::as_raw_fd);
            stream.send_fds(b"ring", &descriptors).expect("send descriptors");
        });
        (|| tx, address)
    }

    fn attach(address: &str, capacity: usize) -> Self::Rx {
        let stream: UnixStream = Unix::connect(address);
        let mut descriptors = [-1; DESCRIPTORS];
        let got = stream.recv_fds(&mut [0; 4], &mut descriptors).expect("receive descriptors");
        assert_eq!(got.1, DESCRIPTORS);
        // SAFETY: they were just received, and nothing else in this process owns them.
        let [memory, empty, full] = descriptors.map(|fd| unsafe { File::from_raw_fd(fd) });
        sharedring::Receiver::open(capacity, memory, empty, full).expect("a receiver")
    }
}

impl<const N: usize> Send<N> for sharedring::Sender<Words<N>> {
    #[inline]
    fn send(&mut self, message: &[u64; N]) {
        self.block_until_writable().expect("room");
        let write = |place: *mut Words<N>, _| {
            // SAFETY: there is room for one, which the receiver reads only after it is published.
            unsafe { place.write(Words(*message)) };
            1
        };
        self.send_raw(write).expect("send");
    }

    #[inline]
    fn send_batch(&mut self, messages: &[[u64; N]]) {
        let mut left = messages;
        while !left.is_empty() {
            self.block_until_writable().expect("room");
            let write = |place: *mut Words<N>, room: usize| {
                let (now, later) = left.split_at(room.min(left.len()));
                // SAFETY: there is room for `now.len()` messages, which the receiver reads only
                // after they are published, and a message consists of its words only.
                unsafe { place.copy_from_nonoverlapping(now.as_ptr().cast(), now.len()) };
                left = later;
                now.len()
            };
            self.send_raw(write).expect("send");
        }
    }
}

impl<const N: usize> Receive<N> for sharedring::Receiver<Words<N>> {
    #[inline]
    fn receive(&mut self, place: &mut [u64; N]) {
        self.block_until_readable().expect("a message");
        let read = |message: *const Words<N>, _| {
            // SAFETY: a message is available, and the sender writes there only after it is
            // released.
            *place = unsafe { message.read() }.0;
            1
        };
        self.receive_raw(read).expect("receive");
    }

    #[inline]
    fn receive_batch(&mut self, places: &mut Vec<[u64; N]>, most: usize) -> usize {
        self.block_until_readable().expect("a message");
        let mut many = 0;
        let read = |messages: *const Words<N>, there: usize| {
            many = there.min(most);
            let places = places[..many].as_mut_ptr();
            // SAFETY: `many` messages are available, the sender writes there only after they are
            // released, and a message consists of its words only.
            unsafe { places.copy_from_nonoverlapping(messages.cast(), many) };
            many
        };
        self.receive_raw(read).expect("receive");
        many
    }
}

/// ipmpsc, with borrowed bytes through its zero-copy context, as it advises.
pub struct Ipmpsc;

/// Bytes per message in addition to its own: two lengths.
const ENVELOPE: usize = 16;

impl<const N: usize> IpcTransport<N> for Ipmpsc {
    type Tx = ipmpsc::Sender;
    type Rx = ipmpsc::Receiver;

    fn offer(capacity: usize) -> (impl FnOnce() -> Self::Tx, String) {
        // Its files are mapped, so they are placed in memory.
        let address = format!("/dev/shm/{}", fresh_name());
        let bytes = u32::try_from(capacity * (N * 8 + ENVELOPE)).expect("not so large");
        let ring = SharedRingBuffer::create(&address, bytes).expect("a ring");
        (|| ipmpsc::Sender::new(ring), address)
    }

    fn attach(address: &str, _: usize) -> ipmpsc::Receiver {
        let ring = SharedRingBuffer::open(address).expect("the ring");
        fs::remove_file(address).expect("its file");
        ipmpsc::Receiver::new(ring)
    }
}

impl<const N: usize> Send<N> for ipmpsc::Sender {
    fn send(&mut self, message: &[u64; N]) {
        ipmpsc::Sender::send(self, &Bytes::new(message.as_bytes())).expect("send");
    }
}

impl<const N: usize> Receive<N> for ipmpsc::Receiver {
    fn receive(&mut self, place: &mut [u64; N]) {
        let mut context = self.zero_copy_context();
        let bytes: &Bytes = context.recv().expect("receive");
        place.as_mut_bytes().copy_from_slice(bytes);
    }
}
