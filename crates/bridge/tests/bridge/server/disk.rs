//! A small disk that can be filled.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::PathBuf;

use super::not_checked;

const FSCONFIG_SET_STRING: u32 = 1;
const FSCONFIG_CMD_CREATE: u32 = 6;

/// A file system in memory that is mounted nowhere: its folder is known by a descriptor. It ends
/// with this value and the processes that use it.
#[derive(Debug)]
pub struct Disk(OwnedFd);

impl Disk {
    /// Makes an empty disk, or says what is not checked if the kernel does not allow that.
    pub fn new(megabytes: u32) -> Option<Disk> {
        match Disk::mount(megabytes) {
            Ok(disk) => Some(disk),
            Err(error) => {
                not_checked(&format!("a full disk: {error}"));
                None
            }
        }
    }

    fn mount(megabytes: u32) -> io::Result<Disk> {
        let size = std::ffi::CString::new(format!("{megabytes}m")).expect("no zero");
        let none = std::ptr::null::<libc::c_char>();
        // SAFETY: texts and numbers, which outlive the calls.
        unsafe {
            let fs = owned(libc::syscall(libc::SYS_fsopen, c"tmpfs".as_ptr(), 1))?;
            let configure = |command: u32, key: *const libc::c_char, value: *const libc::c_char| {
                let fs = fs.as_raw_fd();
                match libc::syscall(libc::SYS_fsconfig, fs, command, key, value, 0) {
                    0 => Ok(()),
                    _ => Err(io::Error::last_os_error()),
                }
            };
            configure(FSCONFIG_SET_STRING, c"size".as_ptr(), size.as_ptr())?;
            configure(FSCONFIG_CMD_CREATE, none, none)?;
            owned(libc::syscall(libc::SYS_fsmount, fs.as_raw_fd(), 1, 0)).map(Disk)
        }
    }

    /// Returns its folder, for the processes of this user.
    pub fn path(&self) -> PathBuf {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd()).into()
    }

    /// Fills it to the last byte.
    pub fn fill(&self) {
        let mut file = File::create(self.filler()).expect("a file");
        let (block, mut size) = ([1; 65_536], 65_536);
        while size > 0 {
            match file.write(&block[..size]) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::StorageFull => size /= 2,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Undoes that.
    pub fn free(&self) {
        fs::remove_file(self.filler()).expect("a filler");
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }
}

/// Takes a descriptor from a system call.
///
/// # Safety
/// Nothing else owns the descriptor.
unsafe fn owned(descriptor: libc::c_long) -> io::Result<OwnedFd> {
    match descriptor {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: as the caller promises.
        _ => Ok(unsafe { OwnedFd::from_raw_fd(descriptor as i32) }),
    }
}
