//! The message queues of doorbells: their names, and what a waker keeps open.

use std::ffi::CStr;
use std::fs;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::Failed;
use crate::sysv::mqueue::{self, Queue};
use crate::sysv::{Errno, process};

/// The length of a name: a prefix, 16 hexadecimal digits, a zero.
const NAME_LEN: usize = PREFIX.len() + 17;
const PREFIX: &[u8] = b"/sysvring.";

/// The number of queues that a process keeps open for sending. A waker of more doorbells opens and
/// closes one for each ring.
const OPEN: usize = 64;

/// Where the kernel shows the queues, if that file system is mounted.
const DIRECTORY: &str = "/dev/mqueue";

/// The name of the queue with a number; made without an allocation.
struct Name([u8; NAME_LEN]);

impl Name {
    fn of(id: u64) -> Name {
        let mut name = [0; NAME_LEN];
        let (prefix, digits) = name.split_at_mut(PREFIX.len());
        prefix.copy_from_slice(PREFIX);
        for (i, digit) in digits.iter_mut().take(16).enumerate() {
            *digit = b"0123456789abcdef"[(id >> (60 - 4 * i) & 15) as usize];
        }
        Name(name)
    }

    fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.0).unwrap_or_default()
    }
}

/// Returns a number for a new queue: never 0, and never used before.
pub(super) fn fresh_id() -> u64 {
    process::random_u64().max(1)
}

/// Creates the queue of a doorbell, for all users that `mode` lets write to the channel.
///
/// # Errors
/// `EAGAIN` if another process took it for that of a dead one before it was locked.
pub(super) fn create(id: u64, mode: u32) -> Result<Queue, Failed> {
    Queue::create(Name::of(id).as_c_str(), queue_mode(mode))
}

fn queue_mode(mode: u32) -> u32 {
    0o600 | mode & 0o022
}

/// Permits all that `mode` lets write to the channel to send.
pub(super) fn permit(queue: &Queue, mode: u32) -> crate::sysv::Result<()> {
    queue.set_mode(queue_mode(mode))
}

/// Removes the name of a queue; of another user's queue, never. Returns whether it has no name now.
pub(super) fn unlink(id: u64) -> bool {
    matches!(mqueue::unlink(Name::of(id).as_c_str()), Ok(()) | Err(Errno::ENOENT))
}

/// How long to wait until the kernel has closed the descriptors of a process whose seat it has given
/// back already.
const CLOSED: Duration = Duration::from_millis(20);

/// A queue whose owner has ended. It is locked, so no process takes it for its own meanwhile.
#[derive(Debug)]
pub(crate) struct DeadQueue {
    id: u64,
    queue: Queue,
}

impl DeadQueue {
    /// Returns the name that `ls /dev/mqueue` shows.
    pub(crate) fn name(&self) -> String {
        format!("sysvring.{:016x}", self.id)
    }

    /// Returns whether the kernel lets this user remove it.
    pub(crate) fn may_unlink(&self) -> bool {
        let me = process::euid();
        me == 0 || self.queue.owner() == Ok(me)
    }

    /// Removes its name. Returns whether it has no name now.
    pub(crate) fn unlink(&self) -> bool {
        unlink(self.id)
    }
}

/// Returns until when to wait for the queue of a process that has just ended.
pub(super) fn time_to_close() -> Instant {
    Instant::now() + CLOSED
}

/// Returns the queue with a number, if its owner has ended. Another process may have written the
/// number, or may have lost the seat that it was found in: then the queue is in use.
pub(super) fn of_dead(id: u64, deadline: Instant) -> Option<DeadQueue> {
    while id != 0
        && let Ok(queue) = Queue::open(Name::of(id).as_c_str())
    {
        if queue.lock().is_ok() {
            return Some(DeadQueue { id, queue });
        }
        if Instant::now() > deadline {
            break;
        }
        std::thread::sleep(Duration::from_micros(100));
    }
    None
}

/// Removes the queue with a number, if its owner has ended.
pub(crate) fn unlink_of_dead(id: u64) {
    if let Some(queue) = of_dead(id, time_to_close()) {
        queue.unlink();
    }
}

/// The queues that this process keeps open for sending, and the number of the next one to close.
struct OpenQueues {
    queues: [Option<(u64, Queue)>; OPEN],
    next: usize,
}

static OPEN_QUEUES: Mutex<OpenQueues> =
    Mutex::new(OpenQueues { queues: [const { None }; OPEN], next: 0 });

/// Puts a key into a queue. Returns whether the queue holds a key now. Allocates nothing, and waits for
/// no lock: in a signal handler, and while another thread rings, it opens the queue for itself.
pub(super) fn send(id: u64, key: u32) -> bool {
    let holds_key = |queue: &Queue| matches!(queue.send(key), Ok(()) | Err(Errno::EAGAIN));
    if id == 0 {
        return false;
    }
    let Ok(mut open) = OPEN_QUEUES.try_lock() else {
        return Queue::open(Name::of(id).as_c_str()).is_ok_and(|queue| holds_key(&queue));
    };
    let known = open.queues.iter().flatten().find(|(known, _)| *known == id);
    if let Some((_, queue)) = known {
        return holds_key(queue);
    }
    let Ok(queue) = Queue::open(Name::of(id).as_c_str()) else { return false };
    let sent = holds_key(&queue);
    let next = open.next % OPEN;
    open.queues[next] = Some((id, queue));
    open.next = next + 1;
    sent
}

/// Returns the queues of processes that have ended: also those that no channel names any more,
/// because it disappeared together with its last member. There are none where the file system of the
/// queues is not mounted.
pub(crate) fn dead_queues() -> impl Iterator<Item = DeadQueue> {
    let entries = fs::read_dir(DIRECTORY).into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let id = number(entry.file_name().to_str()?)?;
        let queue = Queue::open(Name::of(id).as_c_str()).ok()?;
        // Its owner locks it as long as it lives.
        queue.lock().ok()?;
        Some(DeadQueue { id, queue })
    })
}

/// Returns the number in the name of one of our queues.
fn number(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("sysvring.").filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_sixteen_digits() {
        let name = Name::of(0x1f);
        assert_eq!(name.as_c_str().to_str(), Ok("/sysvring.000000000000001f"));
        assert_eq!(number("sysvring.000000000000001f"), Some(0x1f));
        assert_eq!((number("sysvring.1f"), number("other")), (None, None));
    }

    #[test]
    fn a_full_queue_was_rung() {
        let id = fresh_id();
        assert!(!send(0, 1) && !send(id, 1));
        let queue = create(id, 0o666).unwrap();
        assert!((0..2 * mqueue::LENGTH as u32).all(|key| send(id, key)));
        unlink(id);
        assert_eq!(queue.receive(), Ok(Some(0)));
    }

    /// More doorbells than descriptors: the oldest is closed, and opened again.
    #[test]
    fn more_queues_than_are_kept_open() {
        let queues: Vec<_> = (0..OPEN + 4)
            .map(|_| {
                let id = fresh_id();
                (id, create(id, 0o600).unwrap())
            })
            .collect();
        for round in 0..2 {
            for (id, queue) in &queues {
                assert!(send(*id, round));
                assert_eq!(queue.receive(), Ok(Some(round)));
            }
        }
        queues.iter().for_each(|(id, _)| assert!(unlink(*id)));
    }
}
