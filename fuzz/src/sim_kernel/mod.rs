//! A simulated kernel: it answers the system calls of threads that ask for it. The calls of all
//! other threads are forwarded to the C library.
//!
//! Most inputs make a few hundred system calls. With the simulated kernel they run about ten times
//! as fast, and always in the same way, because time is simulated as well: each reading of a clock
//! is later than the one before. The functions have the names of those of the C library, and the
//! linker prefers a program's own functions.
//!
//! `tests/sim_kernel.rs` compares it with the real kernel, call by call.

mod ipc;
mod model;
mod sets;
mod time;

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, c_char};
use std::sync::atomic::{AtomicUsize, Ordering};

use model::{Errno, Model};

thread_local! {
    static MODEL: Cell<Option<&'static RefCell<Model>>> = const { Cell::new(None) };
    /// The simulated time, while an input runs.
    static CLOCK: Cell<Option<u64>> = const { Cell::new(None) };
    static RANDOM: Cell<u64> = const { Cell::new(0) };
}

/// Simulates the kernel for this thread until it ends.
///
/// # Panics
/// If the real kernel cannot create a channel.
pub fn model() {
    // The library probes the kernel once in each process. It must probe the real one.
    let first = sysvring::Options::private().create::<sysvring::spsc::Sender<u64>>();
    drop(first.expect("a channel"));
    // Never freed, because the thread's last action may be to drop a handle.
    MODEL.set(Some(Box::leak(Box::default())));
}

/// Simulates the kernel, unless the environment has `FUZZ_KERNEL=real`.
pub fn from_environment() {
    match std::env::var("FUZZ_KERNEL").as_deref() {
        Ok("real") => {}
        Ok("model") | Err(_) => model(),
        Ok(other) => panic!("FUZZ_KERNEL={other}: it must be `real` or `model`"),
    }
}

/// Returns whether the kernel is simulated for this thread.
pub(crate) fn is_model() -> bool {
    MODEL.get().is_some()
}

/// Runs `what` from the same simulated time on, and with the same random numbers, each time.
pub(crate) fn at_the_same_time(what: impl FnOnce()) {
    struct Over;
    impl Drop for Over {
        fn drop(&mut self) {
            CLOCK.set(None);
        }
    }
    let _over = Over;
    if MODEL.get().is_some() {
        CLOCK.set(Some(1_000_000_000_000));
        RANDOM.set(0);
    }
    what();
}

/// Returns the address of the C library's function with this name.
fn real(name: &CStr, known: &AtomicUsize) -> usize {
    let address = known.load(Ordering::Relaxed);
    if address != 0 {
        return address;
    }
    // SAFETY: the name ends with a zero byte.
    let address = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr().cast::<c_char>()) }.addr();
    if address == 0 {
        // A panic would need such functions as well.
        std::process::abort();
    }
    known.store(address, Ordering::Relaxed);
    address
}

/// Forwards a call to the C library.
macro_rules! forward {
    ($name:literal, fn($($type:ty),*) -> $result:ty, $($argument:expr),*) => {{
        static KNOWN: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let address = crate::sim_kernel::real($name, &KNOWN) as *const ();
        // SAFETY: the function has this signature, and the arguments are the caller's.
        unsafe {
            std::mem::transmute::<*const (), unsafe extern "C" fn($($type),*) -> $result>(address)
                ($($argument),*)
        }
    }};
}

use forward;

/// Returns a result in the C library's way.
fn answer<T>(result: Result<T, Errno>, failed: T) -> T {
    result.unwrap_or_else(|errno| {
        // SAFETY: the address of this thread's errno.
        unsafe { *libc::__errno_location() = errno };
        failed
    })
}
