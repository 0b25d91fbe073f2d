//! Errors on purpose: the kernel itself answers a system call with an errno, by a seccomp filter.
//! For children only, since a filter is for ever.

use std::io;

/// From now on every one of these system calls of this process fails with `errno`, and does nothing.
///
/// The filter looks at the call's number only, so it is for programs of one architecture, as tests
/// are.
pub fn fail(calls: &[libc::c_long], errno: i32) -> io::Result<()> {
    let load_number = libc::sock_filter {
        code: (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16,
        jt: 0,
        jf: 0,
        k: 0, // offset of the number in `seccomp_data`
    };
    let give = |action: u32| libc::sock_filter {
        code: (libc::BPF_RET | libc::BPF_K) as u16,
        jt: 0,
        jf: 0,
        k: action,
    };
    let mut program = vec![load_number];
    for (i, call) in calls.iter().enumerate() {
        program.push(libc::sock_filter {
            code: (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16,
            // Over the other comparisons and the answer "allowed".
            jt: (calls.len() - i) as u8,
            jf: 0,
            k: *call as u32,
        });
    }
    program.push(give(libc::SECCOMP_RET_ALLOW));
    program.push(give(libc::SECCOMP_RET_ERRNO | errno as u32));
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: numbers, and a program that lives through the call.
    unsafe {
        if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
            || libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) != 0
        {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}
