//! The three processes at the channel: the producer, the display and the recorder.

use std::error::Error;
use std::io::{self, Read};
use std::thread;
use std::time::{Duration, Instant};

use sysvring::broadcast::{Receiver, Sender};
use sysvring::{ChannelId, Options, RecvError};

use crate::frame::{Frame, HEADER, InPlace, checksum, clock};
use crate::{Arguments, Role};

/// Slots of the ring, a frame each.
const SLOTS: usize = 8;
const TIMEOUT: Duration = Duration::from_secs(30);

/// The producer: writes frames into slots, at its rate.
pub fn produce(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let bytes = arguments.size.0 * arguments.size.1 * 3;
    let options = Options::private().capacity(SLOTS).slot_size(HEADER + bytes).label("producer");
    let mut camera: Sender<Frame> = options.overwriting(arguments.overwriting).create()?;
    end_with_supervisor(camera.id());
    println!("{}", camera.id());
    camera.wait_for_receivers(2, TIMEOUT)?;

    let (start, mut in_place) = (Instant::now(), InPlace::new()?);
    let mut waited = Duration::ZERO;
    for number in 0..arguments.frames {
        let due = start + Duration::from_secs(number) / arguments.rate;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let before = Instant::now();
        let mut frame = camera.loan_with(bytes)?;
        waited += before.elapsed();
        in_place.count(&frame);
        frame.number = number.into();
        let row = arguments.size.0 * 3;
        for (y, pixels) in frame.pixels.chunks_mut(row).enumerate() {
            pixels.fill((y as u64 + number) as u8);
        }
        frame.checksum = checksum(&frame.pixels).into();
        frame.sent = clock(libc::CLOCK_MONOTONIC).into();
        frame.commit()?;
    }
    let rate = arguments.frames as f64 / start.elapsed().as_secs_f64();
    // A recorder that was just killed may have a successor that has frames to record. Nothing is left
    // to do once both are there, and have acknowledged everything.
    loop {
        camera.wait_for_receivers(2, TIMEOUT)?;
        camera.flush(TIMEOUT)?;
        if camera.receivers()? == 2 && camera.is_empty() {
            break;
        }
    }
    camera.finish()?;
    println!(
        "producer: {} frames, {rate:.1} a second, waited {:.0} ms for room, processor {:.0} ms, {}",
        arguments.frames,
        waited.as_secs_f64() * 1e3,
        clock(libc::CLOCK_PROCESS_CPUTIME_ID) as f64 / 1e6,
        in_place.report()
    );
    Ok(())
}

/// The display and the recorder: read frames in their slots, check them, and acknowledge them.
pub fn receive(
    arguments: &Arguments,
    role: Role,
    channel: ChannelId,
) -> Result<(), Box<dyn Error>> {
    let name = role.name();
    end_with_supervisor(channel);
    let mut frames: Receiver<Frame> = match Options::id(channel).label(name).attach() {
        Ok(frames) => frames,
        // The recorder that was killed had acknowledged the last frame, and the others ended.
        Err(sysvring::Error::NotFound { .. }) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let (mut in_place, mut latencies, mut dropped) = (InPlace::new()?, Vec::new(), 0);
    let mut next = None;
    loop {
        let frame = match frames.recv_ref() {
            Ok(frame) => frame,
            // A recorder comes too late for the frames that the dead one left, or is overtaken.
            Err(RecvError::Lagged { messages }) if role == Role::Recorder => {
                println!("missed {messages}");
                next = next.map(|next| next + messages);
                continue;
            }
            Err(RecvError::Disconnected) => break,
            Err(error) => return Err(error.into()),
        };
        latencies.push(clock(libc::CLOCK_MONOTONIC).saturating_sub(frame.sent.get()));
        in_place.count(&frame);
        let number = frame.number.get();
        if checksum(&frame.pixels) != frame.checksum.get() {
            return Err(format!("{name}: frame {number} is torn").into());
        }
        dropped += number - next.unwrap_or(number);
        next = Some(number + 1);
        if role == Role::Recorder {
            match arguments.overwriting {
                true => thread::sleep(Duration::from_secs(2) / arguments.rate),
                false => write_to_disk(number, arguments.rate),
            }
            // Recorded first, acknowledged after: a death between the two makes it come again.
            println!("recorded {number}");
        }
        frame.ack()?;
    }
    if role == Role::Display && latencies.len() as u64 != arguments.frames {
        return Err(format!("{} frames were displayed", latencies.len()).into());
    }
    latencies.sort_unstable();
    let quantile = |part: usize| {
        let last = latencies.len().saturating_sub(1);
        latencies.get(last * part / 100).map_or(0.0, |ns| *ns as f64 / 1e6)
    };
    println!(
        "{name}: {} frames, {dropped} dropped, latency p50 {:.2} ms, p99 {:.2} ms, processor {:.0} \
         ms, {}",
        latencies.len(),
        quantile(50),
        quantile(99),
        clock(libc::CLOCK_PROCESS_CPUTIME_ID) as f64 / 1e6,
        in_place.report()
    );
    Ok(frames.close()?)
}

/// Takes as long as a disk: two thirds of the time between two frames, and now and then three times
/// that time. The ring holds what comes meanwhile.
fn write_to_disk(number: u64, rate: u32) {
    let period = Duration::from_secs(1) / rate;
    thread::sleep(if number % 32 == 31 { period * 3 } else { period * 2 / 3 });
}

/// Ends this process when the supervisor closes our standard input, or dies, and removes the channel.
fn end_with_supervisor(channel: ChannelId) {
    thread::spawn(move || {
        // Nothing is ever written there.
        let _ = io::stdin().read(&mut [0]);
        let _ = sysvring::remove(channel);
        std::process::exit(1);
    });
}
