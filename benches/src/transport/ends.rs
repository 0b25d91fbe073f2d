//! Starting the two processes of a transport, and opening its ends there.

use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use sysvring_support::worker::{Worker, print_line, read_line};

use crate::interleave::Pair;
use crate::transport::traits::{IpcTransport, ThreadTransport};
use crate::transport::{Transport, message_queues};

/// Runs `$run` with the implementation of a transport between processes, or `$local` with that of a
/// transport within one process.
#[macro_export]
macro_rules! by_transport {
    ($transport:expr, $run:ident :: <$n:ident> $args:tt $(, $local:ident $local_args:tt)?) => {{
        #[allow(unused_imports, reason = "depends on the features")]
        use $crate::transport::*;
        match $transport {
            Transport::Sysvring => $run::<sysvring::Sysvring, $n> $args,
            Transport::ByValue => $run::<sysvring::ByValue, $n> $args,
            Transport::Spin => $run::<sysvring::Spin, $n> $args,
            Transport::Park => $run::<sysvring::Park, $n> $args,
            Transport::Huge => $run::<sysvring::Huge, $n> $args,
            Transport::InPlace => $run::<sysvring::InPlace, $n> $args,
            Transport::Postcard => $run::<postcard::Postcard, $n> $args,
            Transport::Named => $run::<sysvring::Named, $n> $args,
            Transport::Mpmc => $run::<sysvring::Mpmc, $n> $args,
            Transport::Broadcast => $run::<broadcast::Broadcast, $n> $args,
            Transport::Baseline => $run::<baseline::Baseline, $n> $args,
            Transport::WordsInFront => $run::<sketch::WordsInFront, $n> $args,
            Transport::WordsApart => $run::<sketch::WordsApart, $n> $args,
            Transport::CacheLine => $run::<baseline::CacheLine, $n> $args,
            #[cfg(feature = "competitors")]
            Transport::Shaq => $run::<shaq::Shaq, $n> $args,
            #[cfg(feature = "competitors")]
            Transport::ShaqBlocking => $run::<shaq::ShaqBlocking, $n> $args,
            #[cfg(feature = "competitors")]
            Transport::ShmemIpc => $run::<shmem_ipc_and_ipmpsc::ShmemIpc, $n> $args,
            #[cfg(feature = "competitors")]
            Transport::Ipmpsc => $run::<shmem_ipc_and_ipmpsc::Ipmpsc, $n> $args,
            #[cfg(feature = "large")]
            Transport::Iceoryx2 => $run::<iceoryx2_and_ipc_channel::Iceoryx2, $n> $args,
            #[cfg(feature = "large")]
            Transport::Iceoryx2Events => $run::<iceoryx2_and_ipc_channel::Iceoryx2Events, $n> $args,
            #[cfg(feature = "large")]
            Transport::IpcChannel => $run::<iceoryx2_and_ipc_channel::IpcChannel, $n> $args,
            Transport::Pipe => $run::<pipes_and_sockets::Pipe, $n> $args,
            Transport::Unix => $run::<pipes_and_sockets::Unix, $n> $args,
            Transport::Tcp => $run::<pipes_and_sockets::Tcp, $n> $args,
            Transport::SysV => $run::<message_queues::SysV, $n> $args,
            Transport::Posix => $run::<message_queues::Posix, $n> $args,
            $(
                #[cfg(feature = "competitors")]
                Transport::Rtrb => $local::<rtrb_and_crossbeam::Rtrb, $n> $local_args,
                #[cfg(feature = "competitors")]
                Transport::Crossbeam => $local::<rtrb_and_crossbeam::Crossbeam, $n> $local_args,
                Transport::Std => $local::<in_process::Std, $n> $local_args,
            )?
            other => panic!("not measured here: {other}"),
        }
    }};
}

/// Slots: the default capacity of a sysvring channel.
pub const CAPACITY: usize = 1024;

/// Returns the number of slots for messages of this size: fewer where they would not fit into a
/// cache.
pub fn capacity(bytes: usize) -> usize {
    if bytes > 8192 { 16 } else { CAPACITY }
}

/// Polls until there is a result: spins for a while, then yields the processor between polls. Used
/// where a queue has no blocking call, as the examples of those queues do.
#[cfg(feature = "competitors")]
pub fn poll_until_some<T>(mut poll: impl FnMut() -> Option<T>) -> T {
    let mut polls = 0_u32;
    loop {
        if let Some(result) = poll() {
            return result;
        }
        polls += 1;
        match polls < 1_000 {
            true => std::hint::spin_loop(),
            false => std::thread::yield_now(),
        }
    }
}

/// Returns a name that nothing on this machine has.
pub fn fresh_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("sysvring-bench-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed))
}

/// Starts this executable again, pinned to a processor, with arguments.
pub fn worker(core: usize, args: &[&dyn ToString]) -> io::Result<Worker> {
    Worker::start(&[&[&core as &dyn ToString], args].concat())
}

/// Starts the two ends of a transport, the sender first. Both receive the arguments `more`; the
/// receiver also receives the address that the sender printed, attaches, and reports that it is
/// ready.
pub fn start(
    part: &str,
    transport: Transport,
    cores: (usize, usize),
    more: &[&dyn ToString],
) -> io::Result<Pair> {
    let args: [&dyn ToString; 3] = [&part, &"send", &transport];
    let mut sender = worker(cores.0, &[&args[..], more].concat())?;
    let address = sender.read_line()?;
    note(transport, &address);
    let args: [&dyn ToString; 3] = [&part, &"receive", &transport];
    let mut receiver = worker(cores.1, &[&args[..], more, &[&address]].concat())?;
    receiver.read_line()?;
    Ok((sender, receiver))
}

/// Starts the two ends of a transport and of another one back. Each receives the processor of the
/// other, then `more`. Both the initiating and the answering side wait for `go`.
pub fn start_ping_pong(
    part: &str,
    transport: Transport,
    (first, second): (usize, usize),
    more: &[&dyn ToString],
) -> io::Result<Pair> {
    let args: [&dyn ToString; 4] = [&part, &"serve", &transport, &second];
    let mut server = worker(first, &[&args[..], more].concat())?;
    let there = server.read_line()?;
    note(transport, &there);
    let args: [&dyn ToString; 4] = [&part, &"return", &transport, &first];
    let mut returner = worker(second, &[&args[..], more, &[&there]].concat())?;
    let back = returner.read_line()?;
    note(transport, &back);
    server.write_line(&back)?;
    Ok((server, returner))
}

/// Runs a turn of a sender and a receiver and returns the receiver's report.
pub fn turn<const F: usize>((sender, receiver): &mut Pair) -> io::Result<[f64; F]> {
    receiver.write_line("go")?;
    sender.write_line("go")?;
    receiver.figures()
}

/// Opens both ends on the initiating side.
pub fn serving<T: IpcTransport<N>, const N: usize>() -> (T::Tx, T::Rx) {
    let (accept, address) = T::offer(CAPACITY);
    print_line(address);
    let back = read_line();
    (accept(), T::attach(&back, CAPACITY))
}

/// Opens both ends on the answering side.
pub fn returning<T: IpcTransport<N>, const N: usize>(address: &str) -> (T::Tx, T::Rx) {
    let rx = T::attach(address, CAPACITY);
    let (accept, address) = T::offer(CAPACITY);
    print_line(address);
    (accept(), rx)
}

/// Stands by, because both sides run as threads of the other worker.
pub fn stand_by<T: ThreadTransport<N>, const N: usize>() {
    idle();
}

/// Stands by while another worker does all the work.
pub fn idle() -> ! {
    print_line("in-process");
    loop {
        read_line();
    }
}

/// Objects that outlive their users.
static LEFTOVERS: Mutex<Vec<(Transport, String)>> = Mutex::new(Vec::new());

/// Notes an object that a worker created.
pub fn note(transport: Transport, address: &str) {
    LEFTOVERS.lock().expect("no panic").push((transport, address.to_owned()));
}

/// Removes the objects that killed workers left behind.
pub fn remove_leftovers() {
    for (transport, address) in LEFTOVERS.lock().expect("no panic").drain(..) {
        match transport {
            Transport::SysV => message_queues::remove_sysv(&address),
            #[cfg(feature = "large")]
            Transport::Iceoryx2 | Transport::Iceoryx2Events => {
                crate::transport::iceoryx2_and_ipc_channel::clean_up();
            }
            _ => {}
        }
    }
}
