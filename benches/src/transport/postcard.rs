//! sysvring's channels of values of serde types.

use serde::{Deserialize, Serialize};
use sysvring::{Options, spsc};

use crate::transport::traits::{IpcTransport, Receive, Send};
use crate::workload::stream_workload::{shown, write};

/// A value: the words of a message, in memory of their own.
#[derive(Serialize, Deserialize)]
pub struct Words {
    words: Vec<u64>,
}

/// A channel of values.
pub struct Postcard;

/// The sending end, with a value that is sent again and again.
pub struct ValueSender(spsc::Sender<sysvring::Postcard<Words>>, Words);

/// The receiving end.
pub struct ValueReceiver(spsc::Receiver<sysvring::Postcard<Words>>);

impl<const N: usize> IpcTransport<N> for Postcard {
    type Tx = ValueSender;
    type Rx = ValueReceiver;

    fn offer(capacity: usize) -> (impl FnOnce() -> Self::Tx, String) {
        // As large as the largest value needs.
        let options = Options::private().capacity(capacity).slot_size(10 * N + 3);
        let tx: spsc::Sender<sysvring::Postcard<Words>> = options.create().expect("a channel");
        let id = tx.id().to_string();
        (|| ValueSender(tx, Words { words: vec![0; N] }), id)
    }

    fn attach(address: &str, _: usize) -> Self::Rx {
        ValueReceiver(Options::id(address.parse().expect("an id")).attach().expect("the channel"))
    }
}

impl<const N: usize> Send<N> for ValueSender {
    fn send(&mut self, message: &[u64; N]) {
        self.1.words.copy_from_slice(message);
        self.0.send_value(&self.1).expect("send");
    }

    #[inline]
    fn send_nth(&mut self, _: &mut [u64; N], n: u64) {
        let words: &mut [u64; N] = self.1.words.as_mut_slice().try_into().expect("its length");
        write(words, n);
        self.0.send_value(shown(&self.1)).expect("send");
    }
}

impl<const N: usize> Receive<N> for ValueReceiver {
    fn receive(&mut self, place: &mut [u64; N]) {
        place.copy_from_slice(&self.0.recv_value().expect("receive").words);
    }

    #[inline]
    fn read<R>(&mut self, _: &mut [u64; N], read: impl FnOnce(&[u64; N]) -> R) -> R {
        let value = self.0.recv_value().expect("receive");
        read(value.words.as_slice().try_into().expect("its length"))
    }
}
