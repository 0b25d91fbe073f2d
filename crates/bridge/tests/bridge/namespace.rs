//! Machines and networks: namespaces of the kernel, which cost less than either.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::thread;

use crate::server::not_checked;

/// A namespace, which ends with this value and the processes in it, and everything in it with it.
#[derive(Debug)]
pub struct Namespace {
    file: File,
    kind: libc::c_int,
    /// The namespace of this kind of the thread that reads it.
    own: &'static str,
}

impl Namespace {
    /// Makes a new and empty namespace of this kind, of which `own` is that of a thread. Returns
    /// `None`, and says what is not checked then, if the kernel does not allow that.
    fn new(kind: libc::c_int, own: &'static str, unchecked: &str) -> Option<Namespace> {
        let made = thread::scope(|scope| {
            let make = || {
                // SAFETY: takes a number, and concerns this thread, which ends.
                match unsafe { libc::unshare(kind) } {
                    0 => File::open(own),
                    _ => Err(io::Error::last_os_error()),
                }
            };
            scope.spawn(make).join().expect("a thread")
        });
        match made {
            Ok(file) => Some(Namespace { file, kind, own }),
            Err(error) => {
                not_checked(&format!("{unchecked}: {error}"));
                None
            }
        }
    }

    /// Runs `body` on this thread, which is in the namespace meanwhile. Processes that it starts
    /// remain there.
    fn inside<R>(&self, body: impl FnOnce() -> R) -> R {
        struct Back(File, libc::c_int);
        impl Drop for Back {
            fn drop(&mut self) {
                enter(&self.0, self.1);
            }
        }
        let _back = Back(File::open(self.own).expect("that of this thread"), self.kind);
        enter(&self.file, self.kind);
        body()
    }
}

fn enter(namespace: &File, kind: libc::c_int) {
    // SAFETY: takes an open descriptor and a number.
    let done = unsafe { libc::setns(namespace.as_raw_fd(), kind) };
    assert_eq!(done, 0, "setns: {}", io::Error::last_os_error());
}

/// A machine of its own, as far as System V IPC is concerned.
#[derive(Debug)]
pub struct Machine(Option<Namespace>);

impl Machine {
    /// Returns a new machine. Where the kernel makes none, it is this one.
    pub fn new() -> Machine {
        Machine(Namespace::new(
            libc::CLONE_NEWIPC,
            "/proc/thread-self/ns/ipc",
            "machines of their own",
        ))
    }

    /// Returns the machine of this process.
    pub fn this() -> Machine {
        Machine(None)
    }

    /// Runs `body` on this machine. It must not leave a handle of a channel to this thread.
    pub fn inside<R>(&self, body: impl FnOnce() -> R) -> R {
        match &self.0 {
            Some(namespace) => namespace.inside(body),
            None => body(),
        }
    }
}

/// A network of its own, which consists of a loopback interface.
#[derive(Debug)]
pub struct Network(Namespace);

impl Network {
    /// Returns a new network that is up, or `None` if the kernel makes none.
    pub fn new() -> Option<Network> {
        let network = Network(Namespace::new(
            libc::CLONE_NEWNET,
            "/proc/thread-self/ns/net",
            "a network that is cut",
        )?);
        network.set_up(true);
        Some(network)
    }

    /// Runs `body` on this thread, whose new sockets are in this network meanwhile.
    pub fn inside<R>(&self, body: impl FnOnce() -> R) -> R {
        self.0.inside(body)
    }

    /// Connects the interface, or cuts it.
    pub fn set_up(&self, is_up: bool) {
        // SAFETY: a request is plain numbers and may be zero.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
            *to = *from as libc::c_char;
        }
        request.ifr_ifru.ifru_flags = if is_up { libc::IFF_UP as i16 } else { 0 };
        self.inside(|| {
            // SAFETY: takes numbers; the descriptor is closed below.
            let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM, 0) };
            assert!(socket >= 0, "socket: {}", io::Error::last_os_error());
            // SAFETY: a request that outlives the call.
            let set = unsafe { libc::ioctl(socket, libc::SIOCSIFFLAGS, &request) };
            assert_eq!(set, 0, "SIOCSIFFLAGS: {}", io::Error::last_os_error());
            // SAFETY: a descriptor of this function.
            unsafe { libc::close(socket) };
        });
    }
}
