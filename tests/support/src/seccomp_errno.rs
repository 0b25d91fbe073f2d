//! Error injection: a seccomp filter makes the kernel answer a system call with an errno. Only
//! children use it, because a filter cannot be removed.
//!
//! The filters check the call's number only, not the architecture. They suit programs of one
//! architecture, as tests are.

use std::io;

use libc::{BPF_ABS, BPF_ALU, BPF_AND, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W};

/// Makes each of these system calls fail with `errno` from now on, without any effect, in this
/// process.
pub fn fail(calls: &[libc::c_long], errno: i32) -> io::Result<()> {
    let mut program = vec![load(0)];
    for (i, call) in calls.iter().enumerate() {
        // Jumps over the other comparisons and the answer "allowed".
        program.push(jump_if_equal(*call as u32, calls.len() - i, 0));
    }
    program.push(give(libc::SECCOMP_RET_ALLOW));
    program.push(give(libc::SECCOMP_RET_ERRNO | errno as u32));
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
        give(libc::SECCOMP_RET_ERRNO | errno as u32),
    ])
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
