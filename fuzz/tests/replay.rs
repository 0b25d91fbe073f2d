//! The targets on stable Rust: all seeds, and random input for some seconds, once with the real
//! kernel and once with the simulated one.
//!
//! `FUZZ_SECONDS` sets the number of seconds (default 3), `FUZZ_SEED` the seed of the random input.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sysvring_support::rng::Rng;

/// One test for each target.
macro_rules! replay {
    ($($target:ident),* $(,)?) => {
        $(
            #[test]
            fn $target() {
                let target = Target { name: stringify!($target), run: sysvring_fuzz::$target };
                target.try_out("the real kernel");
                let simulated = move || {
                    sysvring_fuzz::sim_kernel::model();
                    target.try_out("the simulated kernel");
                };
                if let Err(panic) = std::thread::spawn(simulated).join() {
                    std::panic::resume_unwind(panic);
                }
            }
        )*

        #[test]
        fn every_folder_of_seeds_is_a_target() {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
            let names = std::fs::read_dir(folder).expect("the seeds").map(|entry| {
                entry.expect("an entry").file_name().into_string().expect("a name")
            });
            let names: BTreeSet<_> = names.collect();
            let targets = [$(stringify!($target)),*];
            let expected = targets.iter().flat_map(|name| [name.to_string(), format!("{name}.hex")]);
            assert_eq!(names, expected.collect());
        }
    };
}

replay![attach, commands, live, messages];

/// Hand-written channels must be channels, or these seeds test nothing after a change of the
/// layout.
#[test]
fn hand_written_channels_are_channels() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds/attach");
    for name in ["by-hand", "by-hand-private", "by-hand-text", "by-hand-users", "broadcast"] {
        let seed = std::fs::read(folder.join(name)).expect("a seed");
        assert!(sysvring_fuzz::joins(&seed), "nobody could attach to {name}");
    }
}

/// A target.
#[derive(Clone, Copy)]
struct Target {
    name: &'static str,
    run: fn(&[u8]),
}

/// The input that runs now, and when it began.
type Now = Arc<Mutex<Option<(Vec<u8>, Instant)>>>;

/// Aborts the program if an input blocks.
fn watch(name: &'static str) -> Now {
    let now = Now::default();
    let watched = Arc::clone(&now);
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(Duration::from_millis(500));
            if let Some((input, since)) = &*watched.lock().unwrap_or_else(|e| e.into_inner())
                && since.elapsed() > Duration::from_secs(120)
            {
                eprintln!("{name} does not end with {}", hexadecimal(input));
                std::process::abort();
            }
        }
    });
    now
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn below(rng: &mut Rng, n: usize) -> usize {
    rng.below(n.max(1) as u64) as usize
}

/// Returns a byte that is often an extreme.
fn byte(rng: &mut Rng) -> u8 {
    match rng.below(8) {
        0 => 0,
        1 => 1,
        2 => 0x7f,
        3 => 0x80,
        4 => 0xff,
        _ => rng.bits() as u8,
    }
}

/// Returns a seed with changes, or random bytes.
fn input(rng: &mut Rng, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut input = match rng.below(4) {
        0 => (0..rng.below(200)).map(|_| byte(rng)).collect(),
        _ => seeds[below(rng, seeds.len())].clone(),
    };
    for _ in 0..rng.below(6) {
        let at = below(rng, input.len());
        match rng.below(4) {
            0 => input.insert(at, byte(rng)),
            1 if !input.is_empty() => _ = input.remove(at),
            2 => input.extend((0..rng.below(24)).map(|_| byte(rng))),
            _ if !input.is_empty() => input[at] = byte(rng),
            _ => {}
        }
    }
    input
}

fn number(name: &str, or: u64) -> u64 {
    std::env::var(name).map_or(or, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

impl Target {
    /// Returns the hand-written seeds, which are files, and those that a fuzzer found, which are
    /// lines of a name and hexadecimal digits, in the order of their names.
    fn seeds(self) -> Vec<Vec<u8>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(self.name);
        let mut seeds = BTreeMap::new();
        for file in std::fs::read_dir(&folder).expect("the seeds") {
            let file = file.expect("a seed");
            let name = file.file_name().into_string().expect("a name");
            seeds.insert(name, std::fs::read(file.path()).expect("a seed"));
        }
        let found = std::fs::read_to_string(folder.with_extension("hex")).expect("the seeds");
        for line in found.lines() {
            let (name, digits) = line.split_once(' ').expect("a name and digits");
            let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).expect("two digits");
            seeds.insert(name.to_owned(), (0..digits.len()).step_by(2).map(byte).collect());
        }
        seeds.into_values().collect()
    }

    /// Runs all seeds, and then random input.
    fn try_out(self, with: &str) {
        let now = watch(self.name);
        let run = |input: &[u8]| {
            let set = |what| *now.lock().unwrap_or_else(|e| e.into_inner()) = what;
            set(Some((input.to_vec(), Instant::now())));
            let result = std::panic::catch_unwind(|| (self.run)(input));
            set(None);
            if let Err(panic) = result {
                eprintln!("with {with} the input of {} was {}", self.name, hexadecimal(input));
                std::panic::resume_unwind(panic);
            }
        };
        let seeds = self.seeds();
        assert!(!seeds.is_empty());
        seeds.iter().for_each(|seed| run(seed));
        let (seconds, seed) = (number("FUZZ_SECONDS", 3), number("FUZZ_SEED", 0x5eed));
        let mut rng = Rng(seed);
        let (start, mut runs) = (Instant::now(), 0u64);
        while start.elapsed() < Duration::from_secs(seconds) {
            run(&input(&mut rng, &seeds));
            runs += 1;
        }
        println!(
            "{} with {with}: {} seeds, then {runs} random inputs in FUZZ_SECONDS={seconds} of \
             FUZZ_SEED={seed}",
            self.name,
            seeds.len()
        );
        assert!(runs > 0 || seconds == 0);
    }
}
