//! A progress bar, where standard error is a terminal.

use std::io::{self, IsTerminal};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use sysvring::{Observer, Role};

use crate::messages::Lines;
use crate::source::Files;

/// Between two looks at the channel.
const PACE: Duration = Duration::from_millis(100);

/// While nobody knows how much there is; then; and when the stages are through.
const STYLES: [&str; 3] = [
    "{spinner} {decimal_bytes}, {decimal_bytes_per_sec}",
    "{wide_bar} {decimal_bytes} of {decimal_total_bytes}, {decimal_bytes_per_sec}, {eta} left",
    "{spinner} counting again in one process, to compare",
];

/// Shows how far the workers are.
pub struct Progress {
    bar: ProgressBar,
    next: Instant,
    over: bool,
}

impl Progress {
    pub fn new(path: &Path) -> Progress {
        let shown = io::stderr().is_terminal();
        let bar = if shown { ProgressBar::no_length() } else { ProgressBar::hidden() };
        if shown {
            set_style(&bar, 0);
            let (bar, path) = (bar.clone(), path.to_owned());
            // A large tree takes a while to add up.
            thread::spawn(move || {
                bar.set_length(size(&path));
                set_style(&bar, 1);
            });
        }
        Progress { bar, next: Instant::now(), over: false }
    }

    /// Looks at the channel of lines, without joining it and without a word from the stages.
    pub fn look(&mut self, lines: &Observer) {
        if self.bar.is_hidden() || Instant::now() < self.next {
            return;
        }
        self.next = Instant::now() + PACE;
        if self.over {
            return self.bar.tick();
        }
        let Ok(stat) = lines.stat() else { return };
        let block = stat.slot_size - Lines::HEADER;
        self.bar.set_position(stat.head * block as u64);
        // It stays until everything was acknowledged.
        self.over = stat.members.iter().any(|m| m.role == Role::Sender && m.left);
        if self.over {
            set_style(&self.bar, 2);
        }
    }
}

fn set_style(bar: &ProgressBar, style: usize) {
    if let Ok(style) = ProgressStyle::with_template(STYLES[style]) {
        bar.set_style(style);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Bytes of a tree, as far as they can be known.
pub fn size(path: &Path) -> u64 {
    let Ok(files) = Files::of(path) else { return 0 };
    files.flatten().filter_map(|file| file.metadata().ok()).map(|data| data.len()).sum()
}
