//! What waits teach, with sleeps that are none of the kernel's.

use super::*;
use crate::layout::Header;
use crate::sysv::time::now_ns;

/// Where one sleeps for a while, until a post comes or the time is over.
struct Bed<'a> {
    parking: &'a Parking,
    /// When a post comes, and how long it takes from there to the one who slept, nanoseconds.
    post: Option<(u64, u64)>,
}

/// Lets so many nanoseconds pass.
fn pass(time: u64) {
    let start = now_ns();
    while now_ns() - start < time {
        spin_loop();
    }
}

impl Bed<'_> {
    fn place(&self) -> Place<'_, Self> {
        let side = Side::Receivers;
        Place { gate: self, parking: self.parking, side, slice: SLICE, most: 1 }
    }
}

impl Gate for Bed<'_> {
    fn sleep(&self, side: Side, at_most: Duration) -> Result<bool, Fault> {
        let Some((after, way)) = self.post else {
            pass(at_most.as_nanos() as u64);
            return Ok(false);
        };
        pass(after);
        assert!(wake(self, self.parking, side)?);
        pass(way);
        Ok(true)
    }

    fn post(&self, _: Side) -> Result<(), Fault> {
        Ok(())
    }

    fn barrier(&self) -> bool {
        true
    }
}

fn pace() -> Pace {
    Pace { alone: false, ..Pace::new(Wait::Balanced) }
}

/// Where the way back from a sleep takes longer than anybody spins, the wait itself was not that long.
#[test]
fn the_way_back_is_no_part_of_a_wait() {
    let header = Header::new();
    let bed = Bed { parking: &header.receivers, post: Some((5_000, 200_000)) };
    let mut pace = pace();
    let mut tried = 0;
    for _ in 0..200 {
        tried += u32::from(pace.learnt.budget() != 0);
        let look = &mut |_| Ok::<bool, Ended<Fault>>(false);
        let parked = park(&bed.place(), &mut pace, now_ns(), SLICE, look);
        assert!(matches!(parked, Ok(Parked::Woken)));
    }
    // Left out after some, tried again since a spin would have met it, and then more and more seldom.
    assert!((9..30).contains(&tried), "spun {tried} times");
}

/// Who looks now and then for what does not come spins in vain like any other.
#[test]
fn a_wait_that_times_out_was_in_vain() {
    let header = Header::new();
    let bed = Bed { parking: &header.receivers, post: None };
    let mut pace = pace();
    let mut spun = |time, waits: u32| {
        let mut spins = |_| {
            let spins = pace.learnt.budget() != 0;
            let deadline = Deadline::after(time);
            let look = |_| Ok::<bool, Fault>(false);
            let waited = wait(bed.place(), &mut pace, deadline, look);
            assert!(matches!(waited, Err(Ended::TimedOut)));
            spins
        };
        (0..waits).filter(|&n| spins(n)).count()
    };
    assert!((1..9).contains(&spun(Duration::from_millis(1), 50)));
}
