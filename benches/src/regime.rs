//! Which regime the machine is in: how long a cache line takes from one processor to the other.
//!
//! The processors of a virtual machine share a cache for some minutes, and not for others. What a
//! message costs depends on that more than on anything else. So each interleaved measurement also
//! measures the line, before every turn of all contenders, and prints which regime it was. With
//! `--lines`, a turn waits for the regime that is asked for.

use std::io;
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::Duration;

use clap::ValueEnum;

use crate::interleave::Pair;
use crate::report::table::Series;
use crate::transport::Transport;
use crate::transport::ends;

/// Round trips of the line per measurement: less than a millisecond.
const TRIPS: u64 = 1_000;
/// The limit between the regimes, in nanoseconds.
const LIMIT: f64 = 90.0;
/// How often a turn waits for its regime, and for how long.
const TRIES: u32 = 600;
const PAUSE: Duration = Duration::from_millis(200);

/// How long a line takes.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Regime {
    /// About 50 ns: the processors share a cache
    Fast,
    /// 100 to 200 ns: they do not
    Slow,
}

impl Regime {
    fn of(time: f64) -> Regime {
        if time < LIMIT { Regime::Fast } else { Regime::Slow }
    }
}

/// The two processors, and the regime to wait for.
static SETTING: OnceLock<((usize, usize), Option<Regime>)> = OnceLock::new();

/// Sets the processors and the regime to wait for, once.
pub fn set(cores: (usize, usize), wanted: Option<Regime>) {
    SETTING.set((cores, wanted)).unwrap_or_else(|_| panic!("set twice"));
}

/// The line between the two processors.
pub struct Line {
    pair: Pair,
    cores: (usize, usize),
    wanted: Option<Regime>,
    times: Series,
}

impl Line {
    /// Starts two processes that pass a line to each other when asked.
    pub fn start() -> io::Result<Line> {
        let &(cores, wanted) = SETTING.get().expect("set at the start");
        let pair = ends::start_ping_pong("one-way", Transport::CacheLine, cores, &[&1, &TRIPS])?;
        Ok(Line { pair, cores, wanted, times: Series::default() })
    }

    /// Measures the line, until it is in the regime that is waited for.
    pub fn measure(&mut self) -> io::Result<()> {
        for _ in 0..TRIES {
            let (server, returner) = &mut self.pair;
            returner.write_line("go")?;
            server.write_line("go")?;
            let [median, ..] = server.figures::<4>()?;
            if self.wanted.is_none_or(|wanted| wanted == Regime::of(median)) {
                self.times.push(median);
                return Ok(());
            }
            sleep(PAUSE);
        }
        Err(io::Error::other("the regime of --lines did not come up for two minutes"))
    }

    /// Prints which regime it was.
    pub fn print(&self) {
        let (first, second) = self.cores;
        let [median, min, max] = [self.times.median(), self.times.min(), self.times.max()];
        let regime = match (Regime::of(min), Regime::of(max)) {
            (Regime::Fast, Regime::Fast) => "fast lines",
            (Regime::Slow, Regime::Slow) => "slow lines",
            _ => "both regimes: --lines keeps them apart",
        };
        println!(
            "\nA cache line took {median:.0} ns ({min:.0} to {max:.0}) between processors {first} \
             and {second} during the next table: {regime}."
        );
    }
}
