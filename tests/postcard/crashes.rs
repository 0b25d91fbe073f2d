//! A sender that is killed in the middle of a value.

use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};
use sysvring::{Options, RecvError};
use sysvring_support::handle::{AnyHandle, AnySender, Broadcast, Mpmc, Spsc};
use sysvring_support::name::Name;
use sysvring_support::worker::{Args, Worker, print_line, read_line};
use sysvring_support::{test, work};

use crate::flavors::{LONG, Receiver, Sender, ValueFlavor as AnyFlavor};

/// A text. The one that waits is written in part, until this process is killed.
#[derive(Debug, PartialEq, Deserialize)]
struct Text(String);

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        struct Waits;
        impl Serialize for Waits {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                print_line("in the middle");
                read_line();
                to.serialize_unit()
            }
        }
        match &*self.0 {
            "wait" => ("a torn value", Waits).serialize(to),
            text => to.serialize_newtype_struct("Text", text),
        }
    }
}

#[work]
fn send_in_part(args: &mut Args) {
    let (flavor, name): (String, String) = (args.next(), args.next());
    let options = Options::named(name);
    match flavor.as_str() {
        "Spsc" => send::<Spsc>(options),
        "Mpmc" => send::<Mpmc>(options),
        _ => send::<Broadcast>(options),
    }
}

fn send<F: AnyFlavor>(options: Options) {
    let mut tx: Sender<F, Text> = options.open().expect("open");
    F::try_send_value(&mut tx, &Text("whole".into())).expect("room");
    let _ = F::try_send_value(&mut tx, &Text("wait".into()));
}

/// What was sent is delivered, what was not is not, and a successor sends on.
#[test]
fn a_sender_is_killed_in_the_middle_of_a_value<F: AnyFlavor>() {
    let name = Name::new();
    let mut rx: Receiver<F, Text> = name.options().capacity(2).slot_size(64).open().expect("open");
    for round in 0..3 {
        let flavor = format!("{:?}", F::FLAVOR);
        let mut worker = Worker::start(&[&"crashes::send_in_part", &flavor, &name]).expect("start");
        worker.expect("in the middle");
        assert_eq!(F::recv_value_timeout(&mut rx, LONG), Ok(Text("whole".into())));
        worker.kill_and_wait().expect("kill");
        let ended = F::recv_value_timeout(&mut rx, LONG);
        assert_eq!(ended, Err(RecvError::Disconnected), "round {round}");
        let mut tx: Sender<F, Text> = name.options().open().expect("open");
        for n in 0..4 {
            F::send_value_timeout(&mut tx, &Text(n.to_string()), LONG).expect("room");
            assert_eq!(F::recv_value_timeout(&mut rx, LONG), Ok(Text(n.to_string())));
        }
        tx.flush(Duration::from_secs(1)).expect("all were received");
        assert_eq!(tx.len(), 0);
    }
}
