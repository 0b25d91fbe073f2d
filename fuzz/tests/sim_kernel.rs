//! The simulated kernel and the real one give the same answers to the same calls.

use std::ffi::c_int;
use std::ptr;

use sysvring_support::raw_ipc::{GETALL, GETPID, GETVAL, SEM_UNDO, SETALL, SETVAL};
use sysvring_support::rng::Rng;

/// The number of sequences, and of calls of each.
const SEQUENCES: u64 = 400;
const CALLS: usize = 60;

/// The maximum number of semaphores of a set.
const SEMAPHORES: usize = 4;

/// The result of a call: numbers, or an errno.
type Answer = Result<Vec<i64>, i32>;

/// The objects of one thread, in the order in which they were made.
#[derive(Default)]
struct World {
    sets: Vec<c_int>,
    segments: Vec<c_int>,
    attached: Vec<(usize, *mut u8)>,
}

fn check(result: c_int) -> Result<c_int, i32> {
    if result != -1 {
        return Ok(result);
    }
    match std::io::Error::last_os_error().raw_os_error().expect("an errno") {
        // The kernel distinguishes identifiers of removed objects from those that never existed.
        libc::EIDRM => Err(libc::EINVAL),
        errno => Err(errno),
    }
}

fn place(ids: &mut Vec<c_int>, id: c_int) -> i64 {
    let at = ids.iter().position(|known| *known == id).unwrap_or_else(|| {
        ids.push(id);
        ids.len() - 1
    });
    at as i64
}

fn is_own(pid: c_int) -> i64 {
    i64::from(pid as u32 == std::process::id())
}

impl World {
    /// Makes a random call.
    fn call(&mut self, random: &mut Rng) -> Answer {
        let key = match random.below(4) {
            0 => libc::IPC_PRIVATE,
            n => 0x4800_0000 | (std::process::id() as c_int & 0xf_ffff) << 4 | n as c_int,
        };
        let flags = random.of(&[0, libc::IPC_CREAT, libc::IPC_CREAT | libc::IPC_EXCL])
            | random.of(&[0o600, 0o601]);
        let set = random.below(self.sets.len().max(1) as u64) as usize;
        let set = self.sets.get(set).copied().unwrap_or(-1);
        let segment = random.below(self.segments.len().max(1) as u64) as usize;
        match random.below(13) {
            0 => {
                let n = random.below(SEMAPHORES as u64 + 1) as c_int;
                // SAFETY: numbers only.
                let id = check(unsafe { libc::semget(key, n, flags) })?;
                Ok(vec![place(&mut self.sets, id)])
            }
            1..6 => operate(set, random),
            6 => values(set, random),
            7 => one_value(set, random),
            8 => {
                // SAFETY: numbers, for which zeros are valid; the call fills them.
                let mut stat: libc::semid_ds = unsafe { std::mem::zeroed() };
                // SAFETY: as above.
                check(unsafe { libc::semctl(set, 0, libc::IPC_STAT, &raw mut stat) })?;
                let perm = stat.sem_perm;
                let used = i64::from(stat.sem_otime != 0);
                Ok(vec![perm.__key.into(), perm.mode.into(), stat.sem_nsems as i64, used])
            }
            9 if random.below(3) == 0 => {
                // SAFETY: no pointer is read.
                check(unsafe { libc::semctl(set, 0, libc::IPC_RMID) }).map(|_| vec![])
            }
            9 | 10 => {
                let len = random.of(&[0, 1, 4096, 5000]);
                // SAFETY: numbers only.
                let id = check(unsafe { libc::shmget(key, len, flags) })?;
                Ok(vec![place(&mut self.segments, id)])
            }
            11 => self.attach_or_detach(segment, random),
            _ => self.look_or_remove(segment, random),
        }
    }

    fn attach_or_detach(&mut self, segment: usize, random: &mut Rng) -> Answer {
        if random.below(2) == 0 && !self.attached.is_empty() {
            let at = random.below(self.attached.len() as u64) as usize;
            let (_, base) = self.attached.swap_remove(at);
            // SAFETY: attached, and not used any more.
            return check(unsafe { libc::shmdt(base.cast()) }).map(|_| vec![]);
        }
        let id = self.segments.get(segment).copied().unwrap_or(-1);
        // SAFETY: the kernel picks the address.
        let base = unsafe { libc::shmat(id, ptr::null(), 0) }.cast::<u8>();
        check(if base.addr() == usize::MAX { -1 } else { 0 })?;
        self.attached.push((segment, base));
        // SAFETY: no segment is smaller than a byte, and no other thread uses it.
        unsafe {
            *base = (*base).wrapping_add(1);
            Ok(vec![(*base).into()])
        }
    }

    fn look_or_remove(&self, segment: usize, random: &mut Rng) -> Answer {
        let id = self.segments.get(segment).copied().unwrap_or(-1);
        if random.below(4) == 0 {
            // SAFETY: no pointer is read.
            return check(unsafe { libc::shmctl(id, libc::IPC_RMID, ptr::null_mut()) })
                .map(|_| vec![]);
        }
        // SAFETY: numbers, for which zeros are valid; the call fills them.
        let mut stat: libc::shmid_ds = unsafe { std::mem::zeroed() };
        // SAFETY: as above.
        check(unsafe { libc::shmctl(id, libc::IPC_STAT, &raw mut stat) })?;
        Ok(vec![
            stat.shm_perm.__key.into(),
            stat.shm_perm.mode.into(),
            stat.shm_segsz as i64,
            stat.shm_nattch as i64,
            is_own(stat.shm_cpid),
            is_own(stat.shm_lpid),
            i64::from(stat.shm_atime != 0),
            i64::from(stat.shm_dtime != 0),
        ])
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for (_, base) in &self.attached {
            // SAFETY: attached, and not used any more.
            unsafe { libc::shmdt(base.cast()) };
        }
        // SAFETY: no pointer is read. Some of these objects are removed already.
        unsafe {
            self.sets.iter().for_each(|id| _ = libc::semctl(*id, 0, libc::IPC_RMID));
            self.segments
                .iter()
                .for_each(|id| _ = libc::shmctl(*id, libc::IPC_RMID, ptr::null_mut()));
        }
    }
}

/// Makes a random `semop` that does not wait, or a `semtimedop` with a very short timeout.
fn operate(set: c_int, random: &mut Rng) -> Answer {
    let waits = random.below(3) == 0;
    let nowait = if waits { 0 } else { libc::IPC_NOWAIT as i16 };
    let mut ops: Vec<_> = (0..random.below(4))
        .map(|_| libc::sembuf {
            sem_num: random.below(SEMAPHORES as u64) as u16,
            sem_op: random.of(&[0, 1, 1, 2, -1, -1, -2, 32767, -32767]),
            sem_flg: nowait | random.of(&[0, SEM_UNDO]),
        })
        .collect();
    let timeout = libc::timespec { tv_sec: 0, tv_nsec: 1 };
    let (data, len) = (ops.as_mut_ptr(), ops.len());
    let result = if waits {
        // SAFETY: the length of the operations, and a timeout that outlives the call.
        unsafe {
            libc::syscall(libc::SYS_semtimedop, set, data, len, ptr::from_ref(&timeout)) as c_int
        }
    } else {
        // SAFETY: as above.
        unsafe { libc::semop(set, data, len) }
    };
    check(result).map(|_| vec![])
}

/// Reads or sets all values.
fn values(set: c_int, random: &mut Rng) -> Answer {
    let mut values = [0u16; SEMAPHORES];
    if random.below(2) == 0 {
        values.iter_mut().for_each(|value| *value = random.of(&[0, 1, 32767, 32768, 65535, 5, 6]));
        // SAFETY: no set here has more values.
        return check(unsafe { libc::semctl(set, 0, SETALL, values.as_mut_ptr()) }).map(|_| vec![]);
    }
    // SAFETY: as above.
    check(unsafe { libc::semctl(set, 0, GETALL, values.as_mut_ptr()) })?;
    Ok(values.map(i64::from).to_vec())
}

/// Reads or sets one value, or reads the process that changed it last.
fn one_value(set: c_int, random: &mut Rng) -> Answer {
    let (n, value) =
        (random.below(SEMAPHORES as u64) as c_int, random.of(&[0, 1, 32767, 32768, -1]));
    let command = random.of(&[GETVAL, GETPID, SETVAL]);
    // SAFETY: numbers only.
    let result = check(unsafe { libc::semctl(set, n, command, value) })?;
    Ok(vec![if command == GETPID { is_own(result) } else { result.into() }])
}

/// Returns the answers to the sequence of calls that a number stands for.
fn sequence(seed: u64) -> Vec<Answer> {
    let (mut world, mut random) = (World::default(), Rng(seed << 20));
    (0..CALLS).map(|_| world.call(&mut random)).collect()
}

#[test]
fn the_simulated_kernel_answers_as_the_real_one() {
    let all = || (0..SEQUENCES).map(sequence).collect::<Vec<_>>();
    let kernel = all();
    let simulated = std::thread::spawn(move || {
        sysvring_fuzz::sim_kernel::model();
        all()
    });
    let model = simulated.join().expect("answers");
    for (seed, (kernel, model)) in kernel.iter().zip(&model).enumerate() {
        for (n, (kernel, model)) in kernel.iter().zip(model).enumerate() {
            assert_eq!(kernel, model, "call {n} of sequence {seed}");
        }
    }
    // Many calls succeeded, and many failed.
    let (good, bad) = kernel.iter().flatten().partition::<Vec<_>, _>(|answer| answer.is_ok());
    assert!(good.len() > CALLS && bad.len() > CALLS, "{} and {}", good.len(), bad.len());
    println!("{} calls, of which {} failed", good.len() + bad.len(), bad.len());
}
