//! Runs tests, each with a watchdog, and checks that no segment or set is leaked.

use std::process::ExitCode;
use std::sync::{RwLock, mpsc};
use std::time::Duration;

use libtest_mimic::{Arguments, Trial};

use crate::raw_ipc::marked;
use crate::{ipc_namespace, name, witness};

/// The maximum time of a test, unless the caller sets another.
pub const WATCHDOG: Duration = Duration::from_secs(240);

/// A test: its name, its function, and what it needs. It fails by a panic.
pub type Test = (&'static str, fn(), Needs);

/// What a test needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    Nothing,
    /// No other test may run at the same time, because it measures times or reaps.
    Quiet,
    /// It must run as root. Otherwise it is shown as ignored.
    Root,
}

/// Lists functions as the tests of a module: `tests![sends, receives; alone: measures; root:
/// chowns]`.
#[macro_export]
macro_rules! tests {
    (
        $($test:ident),* $(,)?
        $(; alone: $($alone:ident),* $(,)?)?
        $(; root: $($root:ident),* $(,)?)?
    ) => {
        /// Returns the tests of this module.
        pub fn tests() -> Vec<$crate::suite::Test> {
            use $crate::suite::Needs;
            vec![
                $((concat!(module_path!(), "::", stringify!($test)), $test, Needs::Nothing),)*
                $($((concat!(module_path!(), "::", stringify!($alone)), $alone, Needs::Quiet),)*)?
                $($((concat!(module_path!(), "::", stringify!($root)), $root, Needs::Root),)*)?
            ]
        }
    };
}

/// Lists functions as the work that children of this module may be started for:
/// `workers![count_up]`, started as `Worker::start(&[&"module::count_up", ...])`.
#[macro_export]
macro_rules! workers {
    ($($work:ident),* $(,)?) => {
        /// Returns the work that children of this module may be started for.
        pub fn workers() -> Vec<$crate::worker::Work> {
            vec![$((concat!(module_path!(), "::", stringify!($work)), $work as _)),*]
        }
    };
}

/// Runs the tests that the command line selects. Fails if a segment or set of this process or its
/// children remains afterwards.
pub fn run(tests: Vec<Test>) -> ExitCode {
    run_with(std::env::args(), WATCHDOG, tests)
}

/// Does the same with another command line, which begins with the program's name, and another
/// watchdog.
pub fn run_with(
    arguments: impl Iterator<Item = String>,
    watchdog: Duration,
    mut tests: Vec<Test>,
) -> ExitCode {
    let arguments = Arguments::from_iter(arguments);
    // If that is not allowed, the tests share the host's namespace with all other processes.
    ipc_namespace::enter();
    witness::start();
    let before = marked();
    // Tests that would delay the others run last.
    tests.sort_by_key(|(_, _, needs)| *needs == Needs::Quiet);
    let trials = tests.into_iter().map(|(name, body, needs)| {
        let short = short(name).to_owned();
        Trial::test(short.clone(), move || {
            watched(&short, body, needs, watchdog);
            Ok(())
        })
        .with_ignored_flag(needs == Needs::Root && !is_root())
    });
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    // The sets of killed processes with private channels remain until some process reaps.
    if let Err(error) = sysvring::reap() {
        eprintln!("reaping failed: {error}");
        return ExitCode::FAILURE;
    }
    let mut left = marked();
    left.retain(|object| !before.contains(object));
    left.iter().for_each(|object| eprintln!("left behind: {object}"));
    if left.is_empty() { conclusion.exit_code() } else { ExitCode::FAILURE }
}

/// Returns a path without the name of the program.
pub(crate) fn short(path: &str) -> &str {
    path.split_once("::").map_or(path, |(_, rest)| rest)
}

fn is_root() -> bool {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

fn watched(name: &str, body: fn(), needs: Needs, watchdog: Duration) {
    static QUIET: RwLock<()> = RwLock::new(());
    let alone = needs == Needs::Quiet;
    let _beside_others = (!alone).then(|| QUIET.read().unwrap_or_else(|e| e.into_inner()));
    let _alone = alone.then(|| QUIET.write().unwrap_or_else(|e| e.into_inner()));
    let (done, over) = mpsc::channel::<()>();
    let name = name.to_owned();
    let dog = std::thread::spawn(move || {
        if over.recv_timeout(watchdog) == Err(mpsc::RecvTimeoutError::Timeout) {
            eprintln!("{name} takes longer than {watchdog:?}: the suite ends here");
            name::remove_all();
            std::process::exit(101);
        }
    });
    let result = std::panic::catch_unwind(body);
    drop(done);
    let _ = dog.join();
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}
