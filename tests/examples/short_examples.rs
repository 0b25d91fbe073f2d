//! The short examples: each ends with the correct result, and leaves nothing.

use crate::ipc_fixture::IpcFixture;
use crate::program::{Output, run};

#[track_caller]
fn report(name: &str) -> String {
    let ipc = IpcFixture::new();
    let Output { end, report, errors } = run(name, &[] as &[&str]);
    assert!(end.success(), "{name}: {errors}");
    ipc.assert_clean();
    report
}

#[test]
fn spsc() {
    assert_eq!(report("spsc"), "received 1000000 messages; their sum is 500000500000\n");
}

#[test]
fn zero_copy() {
    assert_eq!(report("zero_copy"), "received 100 frames; 12845056 pixels are brighter than 50\n");
}

#[test]
fn mpmc_workers() {
    assert_eq!(report("mpmc_workers"), "the sum of 200 squares is 2646700\n");
}

#[test]
fn batches() {
    assert_eq!(report("batches"), "received 640000 messages\n");
}

#[test]
fn observe() {
    let report = report("observe");
    for part in [" not yet acknowledged\n", "adder", "counter", "received 1000000 messages\n"] {
        assert!(report.contains(part), "{part:?} in:\n{report}");
    }
}

#[test]
fn select() {
    let report = report("select");
    let lines = ["tick 4", "order: 4 apples", "pipe: 10 messages sent", "100 ms are over"];
    for line in lines.into_iter().chain(["another thread has notified us"]) {
        assert!(report.lines().any(|other| other == line), "{line:?} in:\n{report}");
    }
}
