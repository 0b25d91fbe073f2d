//! Operations on real semaphore sets: what fails, what blocks, what the kernel undoes.

use super::super::tests::*;
use super::*;
use std::os::unix::thread::JoinHandleExt;
use std::thread;
use std::time::Instant;

struct Temporary(Set);

impl Temporary {
    fn new(n: i32) -> Temporary {
        Temporary(Set::get(libc::IPC_PRIVATE, n, SetLookup::New { mode: 0o600 }).unwrap())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = self.0.remove();
    }
}

fn in_ms(ms: u64) -> Option<Deadline> {
    Deadline::after(Duration::from_millis(ms))
}

const LONG: Duration = Duration::from_secs(60);

#[test]
fn the_layout_is_that_of_the_c_library() {
    #[cfg(target_env = "gnu")]
    {
        use std::mem::offset_of;
        assert_eq!(size_of::<Raw>(), size_of::<libc::semid_ds>());
        assert_eq!(offset_of!(Raw, change_time), offset_of!(libc::semid_ds, sem_ctime));
        assert_eq!(offset_of!(Raw, semaphores), offset_of!(libc::semid_ds, sem_nsems));
        assert!(size_of::<Raw>() >= size_of::<libc::seminfo>());
        assert_eq!(size_of::<Limits>(), size_of::<libc::seminfo>());
        assert_eq!(offset_of!(Limits, semmsl), offset_of!(libc::seminfo, semmsl));
    }
}

#[test]
fn a_set_lives_and_goes() {
    let set = Temporary::new(5).0;
    let temporary = Temporary::new(5);
    assert_eq!(set.value(0), Err(Errno::EINVAL), "the first one was dropped at once");
    let set = temporary.0;
    let fresh = set.stat().unwrap();
    assert_eq!((fresh.id, fresh.key, fresh.semaphores), (set.id(), 0, 5));
    assert_eq!((fresh.mode, fresh.raw_mode, fresh.operation_time), (0o600, 0o600, None));
    assert_eq!(set.values(), Ok(vec![0; 5]));
    assert_eq!(set.pid(1), Ok(0));

    set.op(&[Op::zero(1).nowait(), Op::add(1, 3), Op::add(2, 1)]).unwrap();
    set.set_value(4, 32_767).unwrap();
    assert_eq!(set.values(), Ok(vec![0, 3, 1, 0, 32_767]));
    assert_eq!((set.value(1), set.pid(1)), (Ok(3), Ok(std::process::id() as i32)));
    assert!(set.stat().unwrap().operation_time.is_some());
    assert_eq!(set.op(&[Op::add(4, 1)]), Err(Errno::ERANGE));
    // All operations or none.
    let ops = [Op::add(1, -3).nowait(), Op::add(2, -2).nowait()];
    assert_eq!(set.op(&ops), Err(Errno::EAGAIN));
    assert_eq!(set.value(1), Ok(3));
    assert_eq!(list().unwrap().into_iter().find(|s| s.id == set.id()), set.stat().ok());
}

#[test]
fn keys_are_found_and_exclusive() {
    let key = 0x7b00_0000 | std::process::id() as i32;
    assert_eq!(Set::lookup(key), Err(Errno::ENOENT));
    let set = Temporary(Set::get(key, 3, SetLookup::New { mode: 0o620 }).unwrap());
    assert_eq!(Set::lookup(key), Ok(set.0));
    assert_eq!(Set::from_id(set.0.id()), set.0);
    assert_eq!(Set::get(key, 3, SetLookup::New { mode: 0o600 }), Err(Errno::EEXIST));
    assert_eq!(Set::get(key, 4, SetLookup::Existing), Err(Errno::EINVAL));
    let stat = set.0.stat().unwrap();
    assert_eq!((stat.key, stat.mode), (key, 0o620));
}

#[test]
fn deadlines_are_kept() {
    let set = Temporary::new(1);
    let take = [Op::add(0, -1)];
    let start = Instant::now();
    assert_eq!(set.0.op_until(&take, in_ms(20)), Err(Errno::EAGAIN));
    assert!(start.elapsed() >= Duration::from_millis(20));
    assert_eq!(set.0.op_timeout(&take, Some(Duration::from_millis(1))), Err(Errno::EAGAIN));
    // After the deadline, operations that need not wait are still performed.
    assert_eq!(set.0.op_until(&take, in_ms(0)), Err(Errno::EAGAIN));
    set.0.op(&[Op::add(0, 2)]).unwrap();
    assert_eq!(set.0.op_until(&take, in_ms(0)), Ok(()));
    assert_eq!(set.0.op_timeout(&take, Some(Duration::ZERO)), Ok(()));
}

#[test]
fn ages_are_waited_for() {
    let temporary = Temporary::new(1);
    let set = temporary.0;
    for time in [Some(Duration::MAX), Some(Duration::from_secs(1 << 62)), None] {
        let waiter = thread::spawn(move || set.op_timeout(&[Op::add(0, -1)], time));
        eventually(|| set.waiting(0) == Ok(1));
        set.op(&[Op::add(0, 1)]).unwrap();
        assert_eq!(waiter.join().unwrap(), Ok(()));
    }
}

extern "C" fn nothing(_: libc::c_int) {}

/// Signals a blocked thread until it has noticed.
fn interrupt<T>(set: Set, waiter: &thread::JoinHandle<T>, times: usize) {
    // SAFETY: all zeros is a valid sigaction; the handler does nothing.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = nothing as extern "C" fn(libc::c_int) as usize;
        action.sa_flags = libc::SA_RESTART;
        libc::sigaction(libc::SIGUSR1, &action, ptr::null_mut());
    }
    for _ in 0..times {
        eventually(|| set.waiting(0) == Ok(1));
        // SAFETY: a thread that was not joined yet.
        unsafe { libc::pthread_kill(waiter.as_pthread_t() as _, libc::SIGUSR1) };
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn one_try_ends_with_a_signal() {
    let temporary = Temporary::new(1);
    let set = temporary.0;
    let waiter = thread::spawn(move || set.op_timeout(&[Op::add(0, -1)], Some(LONG)));
    interrupt(set, &waiter, 1);
    assert_eq!(waiter.join().unwrap(), Err(Errno::EINTR));
}

#[test]
fn the_others_go_on_after_a_signal() {
    let temporary = Temporary::new(1);
    let set = temporary.0;
    let ways: [fn(Set) -> Result<()>; 3] = [
        |set| set.op(&[Op::add(0, -1)]),
        |set| set.op_until(&[Op::add(0, -1)], None),
        |set| set.op_until(&[Op::add(0, -1)], Deadline::after(LONG)),
    ];
    for way in ways {
        let waiter = thread::spawn(move || way(set));
        interrupt(set, &waiter, 3);
        eventually(|| set.waiting(0) == Ok(1));
        set.op(&[Op::add(0, 1)]).unwrap();
        assert_eq!(waiter.join().unwrap(), Ok(()));
    }
    let waiter = thread::spawn(move || set.op_until(&[Op::add(0, -1)], in_ms(1_500)));
    interrupt(set, &waiter, 3);
    assert_eq!(waiter.join().unwrap(), Err(Errno::EAGAIN));
}

#[test]
fn removal_ends_the_wait() {
    let temporary = Temporary::new(1);
    let set = temporary.0;
    let waiter = thread::spawn(move || set.op_timeout(&[Op::add(0, -1)], Some(LONG)));
    eventually(|| set.waiting(0) == Ok(1));
    set.remove().unwrap();
    assert_eq!(waiter.join().unwrap(), Err(Errno::EIDRM));
    assert!(matches!(set.op(&[Op::add(0, 1)]), Err(Errno::EINVAL | Errno::EIDRM)));
    assert!(set.stat().is_err() && set.values().is_err() && set.remove().is_err());
}

#[test]
fn the_kernel_undoes_for_the_killed() {
    let temporary = Temporary::new(2);
    let set = temporary.0;
    // A seat, and a post that only the death makes: +1, and -1 to be undone.
    let child = fork(|| {
        let seat = [Op::zero(0).nowait(), Op::add(0, 1).undo()];
        let post = [Op::add(1, 1), Op::add(1, -1).undo()];
        set.op(&[seat, post].concat()).is_ok() && set.op(&[Op::add(1, -1)]).is_ok()
    });
    eventually(|| set.value(0) == Ok(1) && set.waiting(1) == Ok(1));
    assert_eq!((set.pid(0), set.value(1)), (Ok(child), Ok(0)));
    let taken = [Op::zero(0).nowait(), Op::add(0, 1).undo()];
    assert_eq!(set.op(&taken), Err(Errno::EAGAIN));
    // SAFETY: our own child, not waited for yet.
    unsafe { libc::kill(child, libc::SIGKILL) };
    set.op_until(&[Op::add(1, -1)], Deadline::after(LONG)).unwrap();
    assert_eq!((set.value(0), set.pid(0)), (Ok(0), Ok(child)));
    assert!(!wait(child));
}
