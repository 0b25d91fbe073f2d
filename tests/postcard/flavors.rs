//! The calls for values, of every flavor.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sysvring::{Options, Postcard, RecvError, SendError, broadcast, mpmc, spsc};
use sysvring_support::handle::{AnyFlavor, Broadcast, Mpmc, Spsc};

/// Longer than anything takes.
pub const LONG: Duration = Duration::from_secs(20);

pub type Sender<F, T> = <F as AnyFlavor>::Sender<Postcard<T>>;
pub type Receiver<F, T> = <F as AnyFlavor>::Receiver<Postcard<T>>;

/// What values have in these tests.
pub trait Value: Serialize + DeserializeOwned + 'static {}

impl<T: Serialize + DeserializeOwned + 'static> Value for T {}

/// The flavors of channels.
pub trait ValueFlavor: AnyFlavor {
    fn send_value<T: Value>(tx: &mut Sender<Self, T>, value: &T) -> Result<(), SendError>;
    fn try_send_value<T: Value>(tx: &mut Sender<Self, T>, value: &T) -> Result<(), SendError>;
    fn send_value_timeout<T: Value>(
        tx: &mut Sender<Self, T>,
        value: &T,
        timeout: Duration,
    ) -> Result<(), SendError>;
    fn recv_value<T: Value>(rx: &mut Receiver<Self, T>) -> Result<T, RecvError>;
    fn try_recv_value<T: Value>(rx: &mut Receiver<Self, T>) -> Result<T, RecvError>;
    fn recv_value_timeout<T: Value>(
        rx: &mut Receiver<Self, T>,
        timeout: Duration,
    ) -> Result<T, RecvError>;
    /// Deserialises the next message in place, and acknowledges it or gives it up.
    fn value_in_place<T: Value>(rx: &mut Receiver<Self, T>) -> Result<T, RecvError>;
}

macro_rules! value_flavor {
    ($marker:ident, $flavor:ident) => {
        impl ValueFlavor for $marker {
            fn send_value<T: Value>(tx: &mut Sender<Self, T>, value: &T) -> Result<(), SendError> {
                $flavor::Sender::send_value(tx, value)
            }

            fn try_send_value<T: Value>(
                tx: &mut Sender<Self, T>,
                value: &T,
            ) -> Result<(), SendError> {
                $flavor::Sender::try_send_value(tx, value)
            }

            fn send_value_timeout<T: Value>(
                tx: &mut Sender<Self, T>,
                value: &T,
                timeout: Duration,
            ) -> Result<(), SendError> {
                $flavor::Sender::send_value_timeout(tx, value, timeout)
            }

            fn recv_value<T: Value>(rx: &mut Receiver<Self, T>) -> Result<T, RecvError> {
                $flavor::Receiver::recv_value(rx)
            }

            fn try_recv_value<T: Value>(rx: &mut Receiver<Self, T>) -> Result<T, RecvError> {
                $flavor::Receiver::try_recv_value(rx)
            }

            fn recv_value_timeout<T: Value>(
                rx: &mut Receiver<Self, T>,
                timeout: Duration,
            ) -> Result<T, RecvError> {
                $flavor::Receiver::recv_value_timeout(rx, timeout)
            }

            fn value_in_place<T: Value>(rx: &mut Receiver<Self, T>) -> Result<T, RecvError> {
                let message = rx.recv_ref()?;
                let value = message.value();
                match &value {
                    Ok(_) => message.ack()?,
                    Err(_) => message.reject()?,
                }
                value
            }
        }
    };
}

value_flavor!(Spsc, spsc);
value_flavor!(Mpmc, mpmc);
value_flavor!(Broadcast, broadcast);

/// Opens both ends of a channel.
pub fn pair<F: ValueFlavor, T: Value>(options: Options) -> (Sender<F, T>, Receiver<F, T>) {
    let tx = options.clone().open().expect("a sender");
    (tx, options.open().expect("a receiver"))
}
