//! Keys from files.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{Errno, Result};

/// No key: every segment or set made with it is a new one that no other process finds by key.
pub(crate) const PRIVATE: i32 = libc::IPC_PRIVATE;

/// Returns the key of a file, by the rule of the C library, so that C programs find the same one.
/// Different files may share a key: it holds 16 bits of the inode and 8 of the device.
pub(crate) fn ftok(path: &Path, project: u8) -> Result<i32> {
    if project == 0 {
        return Err(Errno::EINVAL);
    }
    let file = std::fs::metadata(path)?;
    let key = file.ino() & 0xffff | (file.dev() & 0xff) << 16 | u64::from(project) << 24;
    Ok(key as u32 as i32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn keys_are_those_of_the_c_library() {
        for path in ["/", "/proc", "/etc/passwd", "/dev/null"].map(Path::new) {
            let name = CString::new(path.as_os_str().as_bytes()).unwrap();
            for project in [1, 77, 255] {
                // SAFETY: a C string that lives through the call.
                let theirs = unsafe { libc::ftok(name.as_ptr(), project.into()) };
                assert_eq!(ftok(path, project), Ok(theirs), "{path:?} {project}");
            }
        }
    }

    #[test]
    fn no_file_or_no_project_is_no_key() {
        assert_eq!(ftok(Path::new("/"), 0), Err(Errno::EINVAL));
        assert_eq!(ftok(Path::new("/no/such/file"), 1), Err(Errno::ENOENT));
    }
}
