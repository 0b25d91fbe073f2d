//! What is sent is what comes.

use std::cell::RefCell;

use proptest::collection::vec;
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestRunner};
use serde::{Deserialize, Serialize};
use sysvring::{Options, Postcard, mpmc, spsc};
use sysvring_support::handle::AnyHandle;
use sysvring_support::name::Name;
use sysvring_support::worker::{Args, Worker};
use sysvring_support::{test, work};

use crate::flavors::{LONG, ValueFlavor as AnyFlavor, pair};
use crate::sample::{Order, orders};

/// Any sequence of values arrives, by every call in turn.
#[test]
fn any_values_arrive<F: AnyFlavor>() {
    let name = Name::new();
    let ends = RefCell::new(pair::<F, Order>(name.options().capacity(4).slot_size(8192)));
    let set = std::env::var_os("PROPTEST_CASES").is_some();
    let cases = if set { Config::default().cases } else { 100 };
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let tried = TestRunner::new(config).run(&vec(orders(), 1..9), |sent| {
        let (tx, rx) = &mut *ends.borrow_mut();
        for (n, order) in sent.iter().enumerate() {
            match n % 3 {
                0 => F::send_value(tx, order),
                1 => F::try_send_value(tx, order),
                _ => F::send_value_timeout(tx, order, LONG),
            }
            .expect("sent");
            let received = match n % 4 {
                0 => F::recv_value(rx),
                1 => F::try_recv_value(rx),
                2 => F::recv_value_timeout(rx, LONG),
                _ => F::value_in_place(rx),
            };
            assert_eq!(received.as_ref(), Ok(order));
        }
        assert!(rx.is_empty());
        Ok(())
    });
    tried.unwrap_or_else(|error| panic!("{error}"));
}

/// Returns the orders of another process.
fn numbered(n: u64) -> Order {
    let mut order = TestRunner::deterministic();
    let tree = orders().new_tree(&mut order).expect("an order");
    Order { id: n, ..proptest::strategy::ValueTree::current(&tree) }
}

#[work]
fn send_orders(args: &mut Args) {
    let (name, count): (String, u64) = (args.next(), args.next());
    let tx: mpmc::Sender<Postcard<Order>> = Options::named(name).open().expect("open");
    (0..count).for_each(|n| tx.send_value(&numbered(n)).expect("sent"));
}

/// Several processes send through a short ring.
#[test]
fn values_of_other_processes_arrive() {
    let name = Name::new();
    let rx: mpmc::Receiver<Postcard<Order>> =
        name.options().capacity(2).slot_size(4096).open().expect("open");
    let start = || Worker::start(&[&"round_trips::send_orders", &name, &300]).expect("start");
    let workers = [start(), start()];
    let mut counts = [0; 300];
    for _ in 0..600 {
        let order = rx.recv_value_timeout(LONG).expect("an order");
        assert_eq!(order, numbered(order.id));
        counts[order.id as usize] += 1;
    }
    assert_eq!(counts, [2; 300]);
    workers.into_iter().for_each(Worker::finish);
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Text<'a> {
    number: u32,
    #[serde(borrow)]
    words: Vec<&'a str>,
}

/// A value may borrow from the message under a guard, from a box, and of a clone.
#[test]
fn values_are_borrowed() {
    let name = Name::new();
    let (mut tx, mut rx): (spsc::Sender<_>, spsc::Receiver<_>) =
        pair::<sysvring_support::handle::Spsc, (u32, Vec<String>)>(name.options());
    let sent = (7, vec!["a".to_owned(), "grüße".to_owned()]);
    let words = || vec!["a", "grüße"];
    tx.send_value(&sent).expect("sent");
    let message = rx.recv_ref().expect("a message");
    let bytes = message.bytes().as_ptr_range();
    let text: Text = message.value_as().expect("a value");
    assert_eq!(text, Text { number: 7, words: words() });
    assert!(text.words.iter().all(|word| bytes.contains(&word.as_ptr())));
    drop(message); // returned
    let message = rx.recv_boxed().expect("a message");
    assert_eq!(message.value_as(), Ok((7u32, words())));
    assert_eq!(message.value(), Ok(sent));
}
