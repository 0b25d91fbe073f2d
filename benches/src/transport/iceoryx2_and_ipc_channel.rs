//! Competitors that take minutes to build.

use iceoryx2::node::{Node, NodeBuilder};
use iceoryx2::port::listener::Listener;
use iceoryx2::port::notifier::Notifier;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::{BackpressureStrategy, LogLevel, set_log_level};
use iceoryx2::service::ipc::Service;
use iceoryx2::service::port_factory::{event, publish_subscribe::PortFactory};
use ipc_channel::ipc::{self, IpcBytesReceiver, IpcBytesSender, IpcOneShotServer, IpcSender};
use sysvring::zerocopy::IntoBytes;

use crate::transport::broadcast::BroadcastTransport;
use crate::transport::ends::{fresh_name, poll_until_some};
use crate::transport::traits::{IpcTransport, Receive, Send};
use crate::workload::stream_workload::write;

/// Publish and subscribe, one of each. The publisher waits for room; the subscriber polls, as
/// iceoryx2's own benchmark does.
pub struct Iceoryx2;

/// Larger messages are written in place.
const BY_VALUE: usize = 0x1_0000;

/// One end, with all that it was created from, which must outlive it.
pub struct Endpoint<P, const N: usize> {
    port: P,
    _service: PortFactory<Service, [u64; N], ()>,
    node: Node<Service>,
}

fn open<P, const N: usize>(
    name: &str,
    capacity: usize,
    subscribers: usize,
    make: impl FnOnce(&PortFactory<Service, [u64; N], ()>) -> P,
) -> Endpoint<P, N> {
    set_log_level(LogLevel::Error);
    let node = NodeBuilder::new().create::<Service>().expect("a node");
    let service = node
        .service_builder(&name.try_into().expect("a name"))
        .publish_subscribe::<[u64; N]>()
        .max_publishers(1)
        .max_subscribers(subscribers)
        .history_size(0)
        .subscriber_max_buffer_size(capacity)
        .enable_safe_overflow(false)
        .open_or_create()
        .expect("a service");
    Endpoint { port: make(&service), _service: service, node }
}

/// Removes what killed workers left: creating a node cleans up after dead ones.
pub fn clean_up() {
    set_log_level(LogLevel::Error);
    drop(NodeBuilder::new().create::<Service>());
}

impl<const N: usize> IpcTransport<N> for Iceoryx2 {
    type Tx = Endpoint<Publisher<Service, [u64; N], ()>, N>;
    type Rx = Endpoint<Subscriber<Service, [u64; N], ()>, N>;

    fn offer(capacity: usize) -> (impl FnOnce() -> Self::Tx, String) {
        <Iceoryx2 as BroadcastTransport<N>>::offer_to(capacity, 1)
    }

    fn attach(address: &str, capacity: usize) -> Self::Rx {
        <Iceoryx2 as BroadcastTransport<N>>::attach_as(address, 0, 1, capacity)
    }
}

/// The same with several subscribers.
impl<const N: usize> BroadcastTransport<N> for Iceoryx2 {
    type Tx = Endpoint<Publisher<Service, [u64; N], ()>, N>;
    type Rx = Endpoint<Subscriber<Service, [u64; N], ()>, N>;

    fn offer_to(capacity: usize, receivers: usize) -> (impl FnOnce() -> Self::Tx, String) {
        let name = fresh_name();
        let tx = open(&name, capacity, receivers, |service| {
            let publisher = service
                .publisher_builder()
                .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered);
            publisher.create().expect("a publisher")
        });
        (|| tx, name)
    }

    fn attach_as(address: &str, _: usize, receivers: usize, capacity: usize) -> Self::Rx {
        open(address, capacity, receivers, |service| {
            service.subscriber_builder().create().expect("a subscriber")
        })
    }
}

impl<const N: usize> Send<N> for Endpoint<Publisher<Service, [u64; N], ()>, N> {
    fn send(&mut self, message: &[u64; N]) {
        let sample = self.port.loan_uninit().expect("a sample").write_payload(*message);
        sample.send().expect("send");
    }

    #[inline]
    fn send_nth(&mut self, place: &mut [u64; N], n: u64) {
        let mut sample = self.port.loan_uninit().expect("a sample");
        if N * 8 <= BY_VALUE {
            write(place, n);
            sample.write_payload(*place).send().expect("send");
            return;
        }
        // SAFETY: the kernel zeroed the memory, and any bytes are words.
        write(unsafe { sample.payload_mut().assume_init_mut() }, n);
        // SAFETY: as above, and it was written.
        unsafe { sample.assume_init() }.send().expect("send");
    }
}

impl<const N: usize> Receive<N> for Endpoint<Subscriber<Service, [u64; N], ()>, N> {
    fn receive(&mut self, place: &mut [u64; N]) {
        self.read(&mut [0; N], |message| *place = *message);
    }

    #[inline]
    fn read<R>(&mut self, _: &mut [u64; N], read: impl FnOnce(&[u64; N]) -> R) -> R {
        read(&poll_until_some(|| self.port.receive().expect("receive")))
    }
}

/// The same with an event per message, on which the subscriber blocks, as in its event-based
/// examples.
pub struct Iceoryx2Events;

/// One end of the service and of the event.
pub struct Signalled<P, S, const N: usize> {
    end: Endpoint<P, N>,
    signal: S,
    _service: event::PortFactory<Service>,
}

fn signalled<P, S, const N: usize>(
    end: Endpoint<P, N>,
    name: &str,
    make: impl FnOnce(&event::PortFactory<Service>) -> S,
) -> Signalled<P, S, N> {
    let service = end
        .node
        .service_builder(&name.try_into().expect("a name"))
        .event()
        .max_notifiers(1)
        .max_listeners(1)
        .open_or_create()
        .expect("a service");
    Signalled { end, signal: make(&service), _service: service }
}

impl<const N: usize> IpcTransport<N> for Iceoryx2Events {
    type Tx = Signalled<Publisher<Service, [u64; N], ()>, Notifier<Service>, N>;
    type Rx = Signalled<Subscriber<Service, [u64; N], ()>, Listener<Service>, N>;

    fn offer(capacity: usize) -> (impl FnOnce() -> Self::Tx, String) {
        let (accept, name) = Iceoryx2::offer(capacity);
        let notifier = |service: &event::PortFactory<Service>| {
            service.notifier_builder().create().expect("a notifier")
        };
        let tx = signalled(accept(), &name, notifier);
        (|| tx, name)
    }

    fn attach(address: &str, capacity: usize) -> Self::Rx {
        let end = Iceoryx2::attach(address, capacity);
        signalled(end, address, |service| service.listener_builder().create().expect("a listener"))
    }
}

impl<const N: usize> Send<N> for Signalled<Publisher<Service, [u64; N], ()>, Notifier<Service>, N> {
    fn send(&mut self, message: &[u64; N]) {
        self.end.send(message);
        self.signal.notify().expect("notify");
    }
}

impl<const N: usize> Receive<N>
    for Signalled<Subscriber<Service, [u64; N], ()>, Listener<Service>, N>
{
    fn receive(&mut self, place: &mut [u64; N]) {
        loop {
            if let Some(sample) = self.end.port.receive().expect("receive") {
                *place = *sample;
                return;
            }
            self.signal.blocking_wait(|_| {}).expect("wait");
        }
    }
}

/// Its bytes channel, which does not serialize.
pub struct IpcChannel;

impl<const N: usize> IpcTransport<N> for IpcChannel {
    type Tx = IpcBytesSender;
    type Rx = IpcBytesReceiver;

    fn offer(_: usize) -> (impl FnOnce() -> Self::Tx, String) {
        let (server, address) = IpcOneShotServer::<IpcBytesSender>::new().expect("a server");
        (|| server.accept().expect("a connection").1, address)
    }

    fn attach(address: &str, _: usize) -> IpcBytesReceiver {
        let (tx, rx) = ipc::bytes_channel().expect("a channel");
        let server = IpcSender::connect(address.to_owned()).expect("the server");
        server.send(tx).expect("send");
        rx
    }
}

impl<const N: usize> Send<N> for IpcBytesSender {
    fn send(&mut self, message: &[u64; N]) {
        IpcBytesSender::send(self, message.as_bytes()).expect("send");
    }
}

impl<const N: usize> Receive<N> for IpcBytesReceiver {
    fn receive(&mut self, place: &mut [u64; N]) {
        let bytes = self.recv().expect("receive");
        place.as_mut_bytes().copy_from_slice(&bytes);
    }
}
