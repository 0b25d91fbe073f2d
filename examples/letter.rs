//! A mailbox: the writer exits, its letters stay in shared memory, and a reader comes later.
//!
//! ```text
//! cargo run --example letter -- write "Dear reader, ..."
//! cargo run --example letter -- show         also: ipcs
//! cargo run --example letter -- read
//! ```
//!
//! Between the first command and the last there is no process, only the segment and the set: until
//! the reader has read the letters and removes them, or the machine reboots.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use sysvring::{Options, Peer, RecvError, spsc};

/// Leaves letters in shared memory.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
    /// The channel
    #[arg(long, global = true, default_value = "letter")]
    name: String,
}

#[derive(Subcommand)]
enum Task {
    /// Leave a letter and go
    Write { text: String },
    /// Look at the channel, without joining it
    Show,
    /// Read all letters, then remove the channel
    Read,
}

fn main() -> ExitCode {
    let Arguments { task, name } = Arguments::parse();
    let done = match task {
        Task::Write { text } => write(&name, &text),
        Task::Show => show(&name),
        Task::Read => read(&name),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("letter: {error}");
            ExitCode::FAILURE
        }
    }
}

type Done = Result<(), Box<dyn std::error::Error>>;

fn write(name: &str, text: &str) -> Done {
    // Kept until removed: what channels are unless asked otherwise.
    let mut letters: spsc::Sender<str> =
        Options::named(name).capacity(16).slot_size(4096).label("writer").open()?;
    // Nobody may ever come to make room, so do not wait for it.
    letters.try_send(text)?;
    Ok(letters.close()?)
}

fn show(name: &str) -> Done {
    Ok(write!(io::stdout(), "{}", sysvring::stat(name)?)?)
}

fn read(name: &str) -> Done {
    let mut letters: spsc::Receiver<str> = Options::named(name).label("reader").attach()?;
    loop {
        match letters.try_recv_ref() {
            // A letter that cannot be printed is not acknowledged, and stays.
            Ok(letter) => {
                writeln!(io::stdout(), "{}", &*letter)?;
                letter.ack()?;
            }
            Err(RecvError::Empty | RecvError::Disconnected) => break,
            Err(error) => return Err(error.into()),
        }
    }
    let somebody_writes = matches!(letters.peer()?, Peer::Present { .. });
    letters.close()?;
    if !somebody_writes {
        sysvring::remove(name)?;
    }
    Ok(())
}
