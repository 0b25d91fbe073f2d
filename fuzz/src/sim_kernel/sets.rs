//! One semaphore set of the simulated kernel, with the limits of the real one.

use sysvring_support::raw_ipc::SEM_UNDO;

use super::model::{Errno, pid, user};

/// The maximum value of a semaphore, and of what the end of a process reverts.
const MAX: i32 = 32767;
/// The maximum number of operations of a call.
const OPERATIONS: usize = 500;

/// Not an errno: the call would block.
pub(super) const WOULD_BLOCK: Errno = -1;

#[derive(Debug)]
pub(super) struct Set {
    pub(super) key: i32,
    mode: u32,
    semaphores: Vec<Semaphore>,
    was_used: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Semaphore {
    value: i32,
    /// The number that the end of this process would add.
    undo: i32,
    pid: i32,
}

impl Set {
    /// The maximum number of semaphores of a set.
    pub(super) const MAX_LEN: usize = 32000;

    pub(super) fn new(key: i32, mode: u32, n: usize) -> Set {
        Set { key, mode, semaphores: vec![Semaphore::default(); n], was_used: false }
    }

    pub(super) fn len(&self) -> usize {
        self.semaphores.len()
    }

    /// Executes all of the operations or none.
    pub(super) fn operate(&mut self, ops: &[libc::sembuf]) -> Result<i32, Errno> {
        if ops.is_empty() {
            return Err(libc::EINVAL);
        }
        if ops.len() > OPERATIONS {
            return Err(libc::E2BIG);
        }
        if ops.iter().any(|op| usize::from(op.sem_num) >= self.len()) {
            return Err(libc::EFBIG);
        }
        for (done, op) in ops.iter().enumerate() {
            let semaphore = &mut self.semaphores[usize::from(op.sem_num)];
            if let Err(errno) = semaphore.operate(op) {
                // Those that were executed are reverted.
                for op in ops[..done].iter().rev() {
                    self.semaphores[usize::from(op.sem_num)].revert(op);
                }
                return Err(errno);
            }
        }
        let pid = pid();
        ops.iter().for_each(|op| self.semaphores[usize::from(op.sem_num)].pid = pid);
        self.was_used = true;
        Ok(0)
    }

    fn semaphore(&mut self, n: i32) -> Result<&mut Semaphore, Errno> {
        let n = usize::try_from(n).map_err(|_| libc::EINVAL)?;
        self.semaphores.get_mut(n).ok_or(libc::EINVAL)
    }

    pub(super) fn value(&mut self, n: i32) -> Result<i32, Errno> {
        Ok(self.semaphore(n)?.value)
    }

    pub(super) fn pid(&mut self, n: i32) -> Result<i32, Errno> {
        Ok(self.semaphore(n)?.pid)
    }

    /// Checks a value, which the kernel does before it looks the set up.
    pub(super) fn check(value: i32) -> Result<i32, Errno> {
        if (0..=MAX).contains(&value) { Ok(value) } else { Err(libc::ERANGE) }
    }

    pub(super) fn set_value(&mut self, n: i32, value: i32) -> Result<i32, Errno> {
        *self.semaphore(n)? = Semaphore { value, undo: 0, pid: pid() };
        Ok(0)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = u16> {
        self.semaphores.iter().map(|semaphore| semaphore.value as u16)
    }

    pub(super) fn set_values(&mut self, values: &[u16]) -> Result<i32, Errno> {
        if values.iter().any(|value| i32::from(*value) > MAX) {
            return Err(libc::ERANGE);
        }
        let pid = pid();
        for (semaphore, value) in self.semaphores.iter_mut().zip(values) {
            *semaphore = Semaphore { value: (*value).into(), undo: 0, pid };
        }
        Ok(0)
    }

    /// Changes the mode. The owner stays the same, because there is only one user.
    pub(super) fn set_mode(&mut self, mode: u32) {
        self.mode = self.mode & !0o777 | mode & 0o777;
    }

    pub(super) fn stat(&self) -> libc::semid_ds {
        // SAFETY: zeros are valid numbers.
        let mut stat: libc::semid_ds = unsafe { std::mem::zeroed() };
        stat.sem_perm.__key = self.key;
        stat.sem_perm.mode = self.mode as _;
        (stat.sem_perm.uid, stat.sem_perm.cuid) = (user(), user());
        stat.sem_nsems = self.len() as u64;
        stat.sem_otime = self.was_used.into();
        stat.sem_ctime = 1;
        stat
    }
}

impl Semaphore {
    fn operate(&mut self, op: &libc::sembuf) -> Result<(), Errno> {
        let n = i32::from(op.sem_op);
        if n == 0 && self.value != 0 || self.value + n < 0 {
            let blocks = op.sem_flg & libc::IPC_NOWAIT as i16 == 0;
            return Err(if blocks { WOULD_BLOCK } else { libc::EAGAIN });
        }
        let undo = if op.sem_flg & SEM_UNDO != 0 { self.undo - n } else { self.undo };
        if self.value + n > MAX || !(-MAX - 1..=MAX).contains(&undo) {
            return Err(libc::ERANGE);
        }
        (self.value, self.undo) = (self.value + n, undo);
        Ok(())
    }

    fn revert(&mut self, op: &libc::sembuf) {
        let n = i32::from(op.sem_op);
        self.value -= n;
        if op.sem_flg & SEM_UNDO != 0 {
            self.undo += n;
        }
    }
}
