//! Error injection: a seccomp filter makes the kernel refuse a system call. Only children use it,
//! because a filter cannot be removed.
//!
//! The filters check the call's number only, not the architecture. They suit programs of one
//! architecture, as tests are.

use std::io;
use std::sync::atomic::AtomicI32;
use std::sync::atomic::Ordering::Relaxed;

use libc::{BPF_ABS, BPF_ALU, BPF_AND, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W};

/// How a filter refuses a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The call fails with this errno.
    Errno(i32),
    /// The thread gets SIGSYS, which ends the process unless a handler answers for the kernel.
    Trap,
    /// The thread ends, as if it had never existed.
    KillThread,
}

impl Refusal {
    fn to_answer(self) -> u32 {
        match self {
            Refusal::Errno(errno) => libc::SECCOMP_RET_ERRNO | errno as u32,
            Refusal::Trap => libc::SECCOMP_RET_TRAP,
            Refusal::KillThread => libc::SECCOMP_RET_KILL_THREAD,
        }
    }
}

/// Makes each of these system calls fail with `errno` from now on, without any effect, in this
/// thread and in those that it starts.
pub fn fail(calls: &[libc::c_long], errno: i32) -> io::Result<()> {
    refuse(calls, Refusal::Errno(errno))
}

/// Refuses each of these system calls from now on, in this thread and in those that it starts.
pub fn refuse(calls: &[libc::c_long], refusal: Refusal) -> io::Result<()> {
    let mut program = vec![load(0)];
    for (i, call) in calls.iter().enumerate() {
        // Jumps over the other comparisons and the answer "allowed".
        program.push(jump_if_equal(*call as u32, calls.len() - i, 0));
    }
    program.push(give(libc::SECCOMP_RET_ALLOW));
    program.push(give(refusal.to_answer()));
    install(program)
}

/// Does the same as [`fail`] for calls with an argument that has this value in the bits of `mask`.
pub fn fail_where(
    call: libc::c_long,
    (argument, mask, value): (usize, u32, u32),
    errno: i32,
) -> io::Result<()> {
    // The number, the architecture and the instruction pointer come first; then the arguments, each
    // with its lower half first.
    let offset = 16 + 8 * argument as u32;
    let bits = instruction(BPF_ALU | BPF_AND | BPF_K, mask);
    install(vec![
        load(0),
        jump_if_equal(call as u32, 0, 3),
        load(offset),
        bits,
        jump_if_equal(value, 1, 0),
        give(libc::SECCOMP_RET_ALLOW),
        give(Refusal::Errno(errno).to_answer()),
    ])
}

/// The errno with which [`answer_sigsys`] answers.
static ANSWER: AtomicI32 = AtomicI32::new(0);

/// Answers calls that [`Refusal::Trap`] refuses with this errno, as sandboxes do that emulate calls.
pub fn answer_sigsys(errno: i32) {
    extern "C" fn answer(_: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
        let result = -i64::from(ANSWER.load(Relaxed));
        // SAFETY: the kernel passes the registers of the thread, and restores them from there.
        set_result(unsafe { &mut *context.cast() }, result);
    }
    ANSWER.store(errno, Relaxed);
    let handler: extern "C" fn(_, _, _) = answer;
    // SAFETY: zeros are valid for this structure; the handler writes to its own registers only.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as usize;
        action.sa_flags = libc::SA_SIGINFO;
        assert_eq!(libc::sigaction(libc::SIGSYS, &raw const action, std::ptr::null_mut()), 0);
    }
}

#[cfg(target_arch = "x86_64")]
fn set_result(context: &mut libc::ucontext_t, result: i64) {
    context.uc_mcontext.gregs[libc::REG_RAX as usize] = result;
}

#[cfg(target_arch = "aarch64")]
fn set_result(context: &mut libc::ucontext_t, result: i64) {
    context.uc_mcontext.regs[0] = result as u64;
}

fn instruction(code: u32, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

/// Loads a word of `seccomp_data`, which begins with the call's number.
fn load(offset: u32) -> libc::sock_filter {
    instruction(BPF_LD | BPF_W | BPF_ABS, offset)
}

/// Skips `yes` instructions if the loaded word is `k`, and `no` instructions otherwise.
fn jump_if_equal(k: u32, yes: usize, no: usize) -> libc::sock_filter {
    let jump = instruction(BPF_JMP | BPF_JEQ | BPF_K, k);
    libc::sock_filter { jt: yes as u8, jf: no as u8, ..jump }
}

fn give(answer: u32) -> libc::sock_filter {
    instruction(BPF_RET | BPF_K, answer)
}

fn install(mut program: Vec<libc::sock_filter>) -> io::Result<()> {
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: numbers, and a program that outlives the call.
    unsafe {
        if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
            || libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) != 0
        {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}
