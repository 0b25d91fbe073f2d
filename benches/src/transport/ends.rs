//! Opening the two ends of a transport.

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};

use sysvring_support::worker::{hear, say};

use crate::interleave::Pair;
use crate::machine::Cores;
use crate::traits::IpcTransport;
use crate::{pair, queues};

pub use crate::transport::Transport;

/// Runs `$run` with the implementation of a transport between processes, or `$local` with that of a
/// transport within one process.
#[macro_export]
macro_rules! by_transport {
    ($transport:expr, $run:ident :: <$n:ident> $args:tt, $local:ident $local_args:tt) => {
        match $transport {
            $crate::link::Transport::Sysvring => $run::<$crate::ours::Sysvring, $n> $args,
            $crate::link::Transport::Spin => $run::<$crate::ours::Spin, $n> $args,
            $crate::link::Transport::Park => $run::<$crate::ours::Park, $n> $args,
            $crate::link::Transport::Huge => $run::<$crate::ours::Huge, $n> $args,
            $crate::link::Transport::InPlace => $run::<$crate::ours::InPlace, $n> $args,
            $crate::link::Transport::Named => $run::<$crate::ours::Named, $n> $args,
            $crate::link::Transport::Mpmc => $run::<$crate::ours::Many, $n> $args,
            $crate::link::Transport::Baseline => $run::<$crate::shared::Raw, $n> $args,
            $crate::link::Transport::CacheLine => $run::<$crate::shared::Line, $n> $args,
            $crate::link::Transport::Shaq => $run::<$crate::shared::Shaq, $n> $args,
            $crate::link::Transport::ShaqBlocking => $run::<$crate::shared::ShaqBlocking, $n> $args,
            $crate::link::Transport::ShmemIpc => $run::<$crate::others::ShmemIpc, $n> $args,
            $crate::link::Transport::Ipmpsc => $run::<$crate::others::Ipmpsc, $n> $args,
            #[cfg(feature = "large")]
            $crate::link::Transport::Iceoryx2 => $run::<$crate::large::Iceoryx2, $n> $args,
            #[cfg(feature = "large")]
            $crate::link::Transport::Iceoryx2Events => $run::<$crate::large::Iceoryx2Events, $n> $args,
            #[cfg(feature = "large")]
            $crate::link::Transport::IpcChannel => $run::<$crate::large::IpcChannel, $n> $args,
            $crate::link::Transport::Pipe => $run::<$crate::kernel::Pipe, $n> $args,
            $crate::link::Transport::Unix => $run::<$crate::kernel::Unix, $n> $args,
            $crate::link::Transport::Tcp => $run::<$crate::kernel::Tcp, $n> $args,
            $crate::link::Transport::SysV => $run::<$crate::queues::SysV, $n> $args,
            $crate::link::Transport::Posix => $run::<$crate::queues::Posix, $n> $args,
            $crate::link::Transport::Rtrb => $local::<$crate::threads::Rtrb, $n> $local_args,
            $crate::link::Transport::Crossbeam => $local::<$crate::threads::Crossbeam, $n> $local_args,
            $crate::link::Transport::Std => $local::<$crate::threads::Std, $n> $local_args,
            transport => panic!("not SPSC: {transport}"),
        }
    };
}

/// Slots: the default capacity of a sysvring channel.
pub const CAPACITY: usize = 1024;

/// Returns the number of slots for messages of this size: fewer where they would not fit into a
/// cache.
pub fn capacity(bytes: usize) -> usize {
    if bytes > 8192 { 16 } else { CAPACITY }
}

/// Creates anonymous memory, which disappears with its users.
pub fn memory(len: usize) -> File {
    // SAFETY: a constant string; the result is a new descriptor or -1.
    let file = unsafe { libc::memfd_create(c"rival".as_ptr(), 0) };
    assert!(file >= 0, "memfd_create: {}", io::Error::last_os_error());
    // SAFETY: the descriptor is new, and nothing else owns it.
    let file = unsafe { File::from_raw_fd(file) };
    file.set_len(len as u64).expect("size the memory");
    file
}

/// Returns the path at which another process opens the same memory.
pub fn address(file: &File) -> String {
    format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd())
}

/// Opens the same memory in another process.
pub fn same_memory(address: &str) -> File {
    OpenOptions::new().read(true).write(true).open(address).expect("open the memory")
}

/// Polls until there is a result: spins for a while, then yields the processor between polls. Used
/// where a queue has no blocking call, as the examples of those queues do.
pub fn poll_until_some<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let mut asked = 0_u32;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        asked += 1;
        match asked < 1_000 {
            true => std::hint::spin_loop(),
            false => std::thread::yield_now(),
        }
    }
}

/// Starts the two ends of a link, the sender first. Both receive the arguments `more`.
pub fn start(
    part: &str,
    transport: Transport,
    cores: &Cores,
    more: &[&dyn ToString],
    leftovers: &Leftovers,
) -> io::Result<Pair> {
    let args: [&dyn ToString; 3] = [&part, &"send", &transport];
    let mut sender = pair::worker(cores.apart.0, &[&args[..], more].concat())?;
    let address = sender.hear()?;
    leftovers.note(transport, &address);
    let args: [&dyn ToString; 3] = [&part, &"receive", &transport];
    let mut receiver = pair::worker(cores.apart.1, &[&args[..], more, &[&address]].concat())?;
    receiver.hear()?;
    Ok((sender, receiver))
}

/// Starts the two ends of a link and of another one back. Each receives the processor of the other,
/// then `more`. Both the initiating and the answering side wait for `go`.
pub fn start_ping_pong(
    part: &str,
    transport: Transport,
    (first, second): (usize, usize),
    more: &[&dyn ToString],
    leftovers: &Leftovers,
) -> io::Result<Pair> {
    let args: [&dyn ToString; 4] = [&part, &"serve", &transport, &second];
    let mut server = pair::worker(first, &[&args[..], more].concat())?;
    let there = server.hear()?;
    leftovers.note(transport, &there);
    let args: [&dyn ToString; 4] = [&part, &"return", &transport, &first];
    let mut returner = pair::worker(second, &[&args[..], more, &[&there]].concat())?;
    let back = returner.hear()?;
    leftovers.note(transport, &back);
    server.tell(&back)?;
    Ok((server, returner))
}

/// Opens both ends on the initiating side.
pub fn serving<C: IpcTransport<N>, const N: usize>() -> (C::Tx, C::Rx) {
    let (offer, address) = C::offer(CAPACITY);
    say(address);
    let back = hear();
    (C::accept(offer), C::attach(&back, CAPACITY))
}

/// Opens both ends on the answering side.
pub fn returning<C: IpcTransport<N>, const N: usize>(address: &str) -> (C::Tx, C::Rx) {
    let rx = C::attach(address, CAPACITY);
    let (offer, address) = C::offer(CAPACITY);
    say(address);
    (C::accept(offer), rx)
}

/// Objects that outlive their users; removed when this is dropped.
#[derive(Default)]
pub struct Leftovers(RefCell<Vec<(Transport, String)>>);

impl Leftovers {
    /// Notes an object that a worker created.
    pub fn note(&self, transport: Transport, address: &str) {
        self.0.borrow_mut().push((transport, address.to_owned()));
    }
}

impl Drop for Leftovers {
    fn drop(&mut self) {
        for (transport, address) in self.0.take() {
            match transport {
                Transport::SysV => queues::remove_sysv(&address),
                #[cfg(feature = "large")]
                Transport::Iceoryx2 | Transport::Iceoryx2Events => crate::large::clean_up(),
                _ => {}
            }
        }
    }
}
