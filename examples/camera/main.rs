//! A camera whose frames go to a display and to a slow recorder: three processes, one broadcast
//! channel, and no copy of any frame.
//!
//! ```text
//! cargo run --release --example camera -- [--frames N] [--rate N] [--size WxH] [--kill N] [--overwriting]
//! ```
//!
//! The producer writes each frame into the slot from which the others read it. The channel loses
//! nothing: should a receiver be slower than the camera for longer than the ring lasts, the producer
//! waits for it. It does not wait for a dead one. `--kill N` kills the recorder N times; another one
//! with the same label takes over at the first frame that the dead one had not acknowledged, so every
//! frame is recorded at least once. With `--away`, it comes so late that frames are overwritten
//! meanwhile, and reports how many.
//!
//! With `--overwriting`, the producer waits for nobody, and the recorder takes twice as long for a frame
//! as the camera: it misses frames, says how many, and slows down neither of the others. There, receivers
//! copy each frame before they look at it.
//!
//! It ends with 0 if every frame was displayed, and recorded or reported as missed; with 1 otherwise;
//! with 130 after Ctrl-C. Nothing stays behind, whatever ends it.

mod ends;
mod frame;
mod supervisor;

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use sysvring::ChannelId;

/// Sends the frames of a camera to a display and to a recorder.
#[derive(Parser)]
#[command(name = "camera")]
struct Arguments {
    /// How many frames
    #[arg(long, default_value_t = 300)]
    frames: u64,
    /// Frames per second
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rate: u32,
    /// Width and height in pixels of three bytes
    #[arg(long, default_value = "1920x1080", value_parser = parse_size)]
    size: (usize, usize),
    /// How often to kill the recorder (SIGKILL), spread over the frames
    #[arg(long, default_value_t = 0)]
    kill: u32,
    /// Milliseconds for which a killed recorder stays away
    #[arg(long, default_value_t = 0)]
    away: u64,
    /// Overwrite frames that the recorder, which is too slow then, has not recorded
    #[arg(long)]
    overwriting: bool,
    /// Which process this is.
    #[arg(long, hide = true)]
    role: Option<Role>,
    #[arg(long, hide = true)]
    channel: Option<ChannelId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Role {
    Producer,
    Display,
    Recorder,
}

fn parse_size(text: &str) -> Result<(usize, usize), String> {
    let numbers = text.split_once('x').map(|(width, height)| (width.parse(), height.parse()));
    match numbers {
        Some((Ok(width @ 1..=16_384), Ok(height @ 1..=16_384))) => Ok((width, height)),
        _ => Err("not like 1920x1080".into()),
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match (arguments.role, arguments.channel) {
        (None, _) => supervisor::run(&arguments),
        (Some(Role::Producer), _) => ends::produce(&arguments).map(|()| ExitCode::SUCCESS),
        (Some(role), Some(channel)) => {
            ends::receive(&arguments, role, channel).map(|()| ExitCode::SUCCESS)
        }
        (Some(_), None) => Err("a receiver needs a channel".into()),
    };
    result.unwrap_or_else(|error| {
        eprintln!("camera: {error}");
        ExitCode::FAILURE
    })
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Role::Producer => "producer",
            Role::Display => "display",
            Role::Recorder => "recorder",
        }
    }
}
