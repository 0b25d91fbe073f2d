//! The targets on stable Rust: all seeds, and some seconds of random input for each; once with the
//! kernel, once with the model of it.
//!
//! `FUZZ_SECONDS` says how many (default 3), `FUZZ_SEED` where the random input begins.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// One test for each target.
macro_rules! replay {
    ($($target:ident),* $(,)?) => {
        $(
            #[test]
            fn $target() {
                let target = Target { name: stringify!($target), run: sysvring_fuzz::$target };
                target.try_out("the kernel");
                let modelled = move || {
                    sysvring_fuzz::sim_kernel::model();
                    target.try_out("the model");
                };
                if let Err(panic) = std::thread::spawn(modelled).join() {
                    std::panic::resume_unwind(panic);
                }
            }
        )*

        #[test]
        fn every_folder_of_seeds_is_a_target() {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
            let names = std::fs::read_dir(folder).expect("the seeds").map(|entry| {
                entry.expect("a folder").file_name().into_string().expect("a name")
            });
            let mut names: Vec<_> = names.collect();
            names.sort();
            let mut targets = vec![$(stringify!($target)),*];
            targets.sort();
            assert_eq!(names, targets);
        }
    };
}

replay![attach, commands, live, messages];

/// Seeds that are channels by hand lead nowhere when the layout changes and they do not.
#[test]
fn channels_by_hand_are_channels() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds/attach");
    for name in ["by-hand", "by-hand-private", "by-hand-text", "by-hand-users"] {
        let seed = std::fs::read(folder.join(name)).expect("a seed");
        assert!(sysvring_fuzz::joins(&seed), "nobody could attach to {name}");
    }
}

/// A target of that name.
#[derive(Clone, Copy)]
struct Target {
    name: &'static str,
    run: fn(&[u8]),
}

/// What is run now, and since when.
type Now = Arc<Mutex<Option<(Vec<u8>, Instant)>>>;

/// Ends the program when an input hangs.
fn watch(name: &'static str) -> Now {
    let now = Now::default();
    let watched = Arc::clone(&now);
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(Duration::from_millis(500));
            if let Some((input, since)) = &*watched.lock().unwrap_or_else(|e| e.into_inner())
                && since.elapsed() > Duration::from_secs(120)
            {
                eprintln!("{name} hangs with {}", hexadecimal(input));
                std::process::abort();
            }
        }
    });
    now
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Numbers by splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ x >> 31
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    /// Bytes that are often at an edge.
    fn byte(&mut self) -> u8 {
        match self.below(8) {
            0 => 0,
            1 => 1,
            2 => 0x7f,
            3 => 0x80,
            4 => 0xff,
            _ => self.next() as u8,
        }
    }

    /// A seed with changes, or something new.
    fn input(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut input = match self.below(4) {
            0 => (0..self.below(200)).map(|_| self.byte()).collect(),
            _ => seeds[self.below(seeds.len())].clone(),
        };
        for _ in 0..self.below(6) {
            let at = self.below(input.len());
            match self.below(4) {
                0 => input.insert(at, self.byte()),
                1 if !input.is_empty() => _ = input.remove(at),
                2 => input.extend((0..self.below(24)).map(|_| self.byte())),
                _ if !input.is_empty() => input[at] = self.byte(),
                _ => {}
            }
        }
        input
    }
}

fn number(name: &str, or: u64) -> u64 {
    std::env::var(name).map_or(or, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

impl Target {
    fn seeds(self) -> Vec<Vec<u8>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(self.name);
        let files = std::fs::read_dir(folder).expect("the seeds");
        let mut paths: Vec<_> = files.map(|file| file.expect("a seed").path()).collect();
        paths.sort();
        paths.iter().map(|path| std::fs::read(path).expect("a seed")).collect()
    }

    /// Seeds, and some seconds of random input.
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
        let mut random = Random(seed);
        let (start, mut runs) = (Instant::now(), 0u64);
        while start.elapsed() < Duration::from_secs(seconds) {
            run(&random.input(&seeds));
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
