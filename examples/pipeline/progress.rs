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

/// Shows how far the counter is.
pub struct Progress {
    bar: ProgressBar,
    next: Instant,
}

impl Progress {
    pub fn new(path: &Path) -> Progress {
        if !io::stderr().is_terminal() {
            return Progress { bar: ProgressBar::hidden(), next: Instant::now() };
        }
        let bar = ProgressBar::no_length();
        if let Ok(style) = ProgressStyle::with_template(
            "{wide_bar} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left {msg}",
        ) {
            bar.set_style(style);
        }
        let (whole, path) = (bar.clone(), path.to_owned());
        // A large tree takes a while to add up; the bar is a bar from then on.
        thread::spawn(move || whole.set_length(size(&path)));
        Progress { bar, next: Instant::now() }
    }

    /// Looks at the channel of lines, without joining it and without a word from the stages.
    pub fn look(&mut self, lines: &Observer) {
        if self.bar.is_hidden() || Instant::now() < self.next {
            return;
        }
        self.next = Instant::now() + PACE;
        let Ok(stat) = lines.stat() else { return };
        if let Some(counter) = stat.members.iter().find(|m| m.role == Role::Receiver) {
            let headers = counter.messages * Lines::HEADER as u64;
            self.bar.set_position(counter.bytes.saturating_sub(headers));
            if counter.left {
                self.bar.set_message("(counting again in one process)");
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Bytes of a tree, as far as they can be known.
fn size(path: &Path) -> u64 {
    let Ok(files) = Files::of(path) else { return 0 };
    files.flatten().filter_map(|file| file.metadata().ok()).map(|data| data.len()).sum()
}
