use sysvring::{Options, spsc};

#[sysvring::message]
struct Tick { id: u64, price: f64 }

fn main() -> Result<(), sysvring::Error> {
    let mut tx: spsc::Sender<Tick> = Options::named("my-ticks").open()?; // one process
    let mut rx: spsc::Receiver<Tick> = Options::named("my-ticks").open()?; // another, before or after
    tx.send(&Tick { id: 1, price: 9.5 })?;
    println!("received {}", rx.recv()?.price);
    sysvring::remove("my-ticks") // or leave it: the next two find it
}
