//! The calls that the library makes to the kernel, answered by a model of it in threads that ask for
//! that; everywhere else they go on to the C library.
//!
//! With the kernel an input of most targets is a few hundred system calls, and a few thousand are
//! done in a second; with the model ten times as many, and always in the same way: time is what the
//! model says, each look at a clock is later than the last. The names below are those of the C library,
//! and a program takes its own functions first.
//!
//! `tests/sim_kernel.rs` compares both, call by call.

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
    /// The time of this input so far.
    static CLOCK: Cell<Option<u64>> = const { Cell::new(None) };
    static RANDOM: Cell<u64> = const { Cell::new(0) };
}

/// From now on this thread sees the model instead of the kernel, until it ends.
///
/// # Panics
/// When the kernel makes no channel.
pub fn model() {
    // What the library asks once in a process it asks of the kernel.
    let first = sysvring::Options::private().create::<sysvring::spsc::Sender<u64>>();
    drop(first.expect("a channel"));
    // Never freed: handles of this thread are dropped until its very end.
    MODEL.set(Some(Box::leak(Box::default())));
}

/// The model, or the kernel where the environment says `FUZZ_KERNEL=real`.
pub fn from_environment() {
    match std::env::var("FUZZ_KERNEL").as_deref() {
        Ok("real") => {}
        Ok("model") | Err(_) => model(),
        Ok(other) => panic!("FUZZ_KERNEL={other}: it is `real` or `model`"),
    }
}

/// Whether this thread sees the model.
pub(crate) fn is_model() -> bool {
    MODEL.get().is_some()
}

/// Does it from the same moment on, and with the same random numbers, each time.
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

/// The C library's function of that name.
fn real(name: &CStr, known: &AtomicUsize) -> usize {
    let address = known.load(Ordering::Relaxed);
    if address != 0 {
        return address;
    }
    // SAFETY: a name that ends in a zero.
    let address = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr().cast::<c_char>()) }.addr();
    if address == 0 {
        // Nothing of this program works then, a panic neither.
        std::process::abort();
    }
    known.store(address, Ordering::Relaxed);
    address
}

/// A call goes on to the C library.
macro_rules! forward {
    ($name:literal, fn($($type:ty),*) -> $result:ty, $($argument:expr),*) => {{
        static KNOWN: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let address = crate::sim_kernel::real($name, &KNOWN) as *const ();
        // SAFETY: that function has these arguments, and ours are the caller's.
        unsafe {
            std::mem::transmute::<*const (), unsafe extern "C" fn($($type),*) -> $result>(address)
                ($($argument),*)
        }
    }};
}

use forward;

/// An answer as the C library gives it.
fn answer<T>(result: Result<T, Errno>, failed: T) -> T {
    result.unwrap_or_else(|errno| {
        // SAFETY: the address of this thread's error number.
        unsafe { *libc::__errno_location() = errno };
        failed
    })
}
