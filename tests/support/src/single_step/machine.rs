//! Registers: the only part of stepping that depends on the architecture.

use std::io;
use std::mem::size_of;

/// The registers of a stopped child.
#[derive(Clone, Copy)]
pub(super) struct Registers(libc::user_regs_struct);

/// Makes one ptrace request. Fails if the kernel refuses it.
pub(super) fn ptrace(request: libc::c_uint, pid: i32, at: usize, data: usize) {
    // SAFETY: every request passed here accesses a child's memory and registers, and in this
    // process at most what `data` points to, which outlives the call.
    let done = unsafe { libc::ptrace(request as _, pid, at, data) };
    assert_ne!(done, -1, "ptrace({request:#x}): {}", io::Error::last_os_error());
}

/// Reads or writes one set of registers.
fn register_set<T>(request: libc::c_uint, pid: i32, set: libc::c_int, value: &mut T) {
    let mut vector = libc::iovec { iov_base: (&raw mut *value).cast(), iov_len: size_of::<T>() };
    ptrace(request, pid, set as usize, (&raw mut vector).addr());
}

const NT_PRSTATUS: libc::c_int = 1;

impl Registers {
    pub(super) fn of(pid: i32) -> Registers {
        // SAFETY: numbers, for which zeros are valid; the kernel fills them.
        let mut registers = unsafe { std::mem::zeroed() };
        register_set(libc::PTRACE_GETREGSET as _, pid, NT_PRSTATUS, &mut registers);
        Registers(registers)
    }

    pub(super) fn put(mut self, pid: i32) {
        register_set(libc::PTRACE_SETREGSET as _, pid, NT_PRSTATUS, &mut self.0);
    }
}

#[cfg(target_arch = "x86_64")]
mod imp {
    use super::Registers;

    /// `int3`
    pub(in super::super) const BREAK: &[u8] = &[0xcc];

    impl Registers {
        /// Returns the address of the next instruction.
        pub(in super::super) fn place(&self) -> u64 {
            self.0.rip
        }

        /// Returns registers that point back to a breakpoint that was hit.
        pub(in super::super) fn back(mut self) -> Registers {
            self.0.rip -= BREAK.len() as u64;
            self
        }

        /// Returns the number of the system call that is about to be made.
        pub(in super::super) fn call(&self) -> i64 {
            self.0.orig_rax as i64
        }

        /// Sets the result of the system call that was made.
        pub(in super::super) fn with_result(mut self, result: i64) -> Registers {
            self.0.rax = result as u64;
            self
        }
    }

    /// Cancels the system call that is about to be made.
    pub(in super::super) fn skip_call(pid: i32) {
        let mut registers = Registers::of(pid);
        registers.0.orig_rax = u64::MAX;
        registers.put(pid);
    }
}

#[cfg(target_arch = "aarch64")]
mod imp {
    use super::{Registers, register_set};

    /// `brk #0`
    pub(in super::super) const BREAK: &[u8] = &[0x00, 0x00, 0x20, 0xd4];
    const NT_ARM_SYSTEM_CALL: libc::c_int = 0x404;

    impl Registers {
        pub(in super::super) fn place(&self) -> u64 {
            self.0.pc
        }

        pub(in super::super) fn back(self) -> Registers {
            // A breakpoint stops at its own address.
            self
        }

        pub(in super::super) fn call(&self) -> i64 {
            self.0.regs[8] as i64
        }

        pub(in super::super) fn with_result(mut self, result: i64) -> Registers {
            self.0.regs[0] = result as u64;
            self
        }
    }

    pub(in super::super) fn skip_call(pid: i32) {
        register_set(libc::PTRACE_SETREGSET as _, pid, NT_ARM_SYSTEM_CALL, &mut -1i32);
    }
}

pub(super) use imp::{BREAK, skip_call};
