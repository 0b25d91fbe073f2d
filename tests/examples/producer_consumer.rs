//! `producer` and `consumer`: started in either order, and with either killed.

use std::process::ExitStatus;

use crate::ipc_fixture::IpcFixture;
use crate::program::{Output, Running, example};

fn producer(name: &str) -> Running {
    Running::start(example("producer").args([name, "5"]))
}

fn consumer(name: &str) -> Running {
    Running::start(example("consumer").arg(name))
}

/// Returns the number of the consumer's next tick.
fn tick(consumer: &Running) -> u64 {
    let line = consumer.line();
    let number = line.split(" after ").next().and_then(|number| number.parse().ok());
    number.unwrap_or_else(|| panic!("{line:?} is no tick"))
}

/// Ends both as Ctrl-C in two terminals does.
fn interrupt(ipc: &IpcFixture, both: [Running; 2]) {
    for mut one in both {
        one.signal(libc::SIGINT);
        assert!(ExitStatus::success(&one.end()));
    }
    ipc.assert_clean();
}

#[test]
fn the_producer_first() {
    let (ipc, name) = (IpcFixture::new(), format!("ticks-a-{}", std::process::id()));
    let producer = producer(&name);
    for n in 0..5 {
        assert_eq!(producer.line(), format!("sent {n}"));
    }
    let consumer = consumer(&name);
    for n in 0..10 {
        assert_eq!(tick(&consumer), n);
    }
    interrupt(&ipc, [producer, consumer]);
}

#[test]
fn the_consumer_first() {
    let (ipc, name) = (IpcFixture::new(), format!("ticks-b-{}", std::process::id()));
    let consumer = consumer(&name);
    while ipc.is_clean() {
        std::thread::yield_now();
    }
    let producer = producer(&name);
    for n in 0..10 {
        assert_eq!(tick(&consumer), n);
    }
    interrupt(&ipc, [consumer, producer]);
}

#[test]
fn a_killed_consumer_is_replaced() {
    let (ipc, name) = (IpcFixture::new(), format!("ticks-c-{}", std::process::id()));
    let (producer, mut first) = (producer(&name), consumer(&name));
    for n in 0..10 {
        assert_eq!(tick(&first), n);
    }
    first.signal(libc::SIGKILL);
    let (_, rest) = first.end_and_rest();
    let mut next = 10;
    for line in rest {
        assert!(line.starts_with(&format!("{next} after ")), "{line}");
        next += 1;
    }
    let second = consumer(&name);
    // It may have been killed with a tick that it had not printed yet.
    let number = tick(&second);
    assert!(number == next || number == next + 1, "{number} after {next}");
    for n in number + 1..number + 10 {
        assert_eq!(tick(&second), n);
    }
    interrupt(&ipc, [producer, second]);
}

#[test]
fn a_consumer_that_leaves_is_waited_for() {
    let (ipc, name) = (IpcFixture::new(), format!("ticks-d-{}", std::process::id()));
    let (producer, mut first) = (producer(&name), consumer(&name));
    for n in 0..5 {
        assert_eq!(tick(&first), n);
    }
    first.signal(libc::SIGINT);
    let (end, rest) = first.end_and_rest();
    assert!(end.success());
    let printed = 5 + rest.len() as u64;
    let second = consumer(&name);
    for n in printed..printed + 10 {
        assert_eq!(tick(&second), n);
    }
    interrupt(&ipc, [second, producer]);
}

#[test]
fn a_killed_producer_is_replaced() {
    let (ipc, name) = (IpcFixture::new(), format!("ticks-e-{}", std::process::id()));
    let (mut first, consumer) = (producer(&name), consumer(&name));
    for n in 0..10 {
        assert_eq!(tick(&consumer), n);
    }
    first.signal(libc::SIGKILL);
    first.end();
    let mut next = 10;
    loop {
        let line = consumer.line();
        if line.contains("the producer is gone") {
            break;
        }
        assert!(line.starts_with(&format!("{next} after ")), "{line}");
        next += 1;
    }
    let second = producer(&name);
    for n in next..next + 10 {
        assert_eq!(tick(&consumer), n);
    }
    interrupt(&ipc, [second, consumer]);
}

#[test]
fn a_second_producer_is_refused() {
    let (ipc, name) = (IpcFixture::new(), format!("ticks-f-{}", std::process::id()));
    let (first, consumer) = (producer(&name), consumer(&name));
    assert_eq!(tick(&consumer), 0);
    let pid = first.pid();
    let Output { end, errors, .. } = producer(&name).output();
    assert!(!end.success() && errors.contains(&format!("process {pid} is the sender")), "{errors}");
    interrupt(&ipc, [first, consumer]);
}
