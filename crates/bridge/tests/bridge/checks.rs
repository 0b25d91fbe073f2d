//! What the bridge tells: `--check`, faults of the routes file, logs and metrics.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use async_nats::jetstream::stream::{self, RetentionPolicy};
use sysvring::Flavor;
use sysvring_support::test;

use crate::admin::Admin;
use crate::members::{Expect, Load};
use crate::process::until;
use crate::rig::{Rig, must_receive};
use crate::routes::{self, Bridge, STREAM};

#[test]
fn a_check_prints_a_line_for_each_route() {
    let Some(rig) = Rig::new(Flavor::Spsc) else { return };
    // Both on one machine, with the channels that there are.
    let _sender = rig.send(Load::UNTIL_STOPPED);
    let _receiver = rig.near.inside(|| {
        crate::members::Receiver::start(rig.sink.as_str(), Flavor::Mpmc, Expect::ONE_SENDER)
    });
    rig.source_stat();
    let [source, sink] = [rig.source.as_str(), rig.sink.as_str()];
    let text = routes::server(&rig.server.url(), "", &rig.folder)
        + &routes::out(source, "name = \"frames\"")
        + &routes::to_channel(sink, "name = \"results\"");
    let (code, output) =
        Bridge::new(&rig.near, &rig.folder, "both", &text).run(&["--check", "--log", "warn"]);
    assert_eq!(code, 0, "{output}");
    let lines: Vec<_> = output.lines().collect();
    assert_eq!(lines.len(), 2, "{output}");
    assert!(lines[0].starts_with("ok out frames: "), "{output}");
    assert!(lines[1].starts_with("ok in results: "), "{output}");
    // Nothing was carried, and no consumer was made.
    assert_eq!(rig.admin().messages(STREAM), 0);
    assert!(rig.admin().consumer().is_none());
}

#[test]
fn a_check_names_what_is_missing() {
    let Some(rig) = Rig::new(Flavor::Spsc) else { return };
    rig.admin().delete_stream();
    for bridge in [rig.out(&format!("stream = \"{STREAM}\"")), rig.to_sink("")] {
        let (code, output) = bridge.run(&["--check"]);
        assert_eq!(code, 1, "{output}");
        assert!(output.contains(STREAM) || output.contains(routes::SUBJECT), "{output}");
    }
}

/// It would delete what comes while the bridge makes its consumer anew.
#[test]
fn a_stream_with_retention_by_interest_is_refused() {
    let Some(rig) = Rig::new(Flavor::Spsc) else { return };
    let admin = rig.admin();
    admin.delete_stream();
    let retention = RetentionPolicy::Interest;
    admin.make_stream(stream::Config { retention, ..Admin::settings() });
    let bridge = rig.to_sink("");
    for args in [&["--check"][..], &[]] {
        let mut receiver = rig.receive(Expect::ONE_SENDER);
        let (code, output) = bridge.run(args);
        assert_eq!(code, 1, "{output}");
        assert!(output.contains("interest") && output.contains("workqueue"), "{output}");
        assert_eq!(receiver.figures().received, 0);
    }
}

#[test]
fn a_fault_of_the_file_has_a_line() {
    let Some(rig) = Rig::new(Flavor::Spsc) else { return };
    for (lines, word) in
        [("sort = 1", "sort"), ("in_flight = 0", "in_flight"), ("order = 7", "order")]
    {
        let (code, output) = rig.out(lines).run(&[]);
        assert_ne!(code, 0, "{output}");
        assert!(output.contains("line ") && output.contains(word), "{lines}: {output}");
    }
}

#[test]
fn logs_are_json_if_asked_for() {
    let Some(rig) = Rig::new(Flavor::Spsc) else { return };
    rig.send(Load::of(10)).finish();
    let mut bridge = rig.out("").start(&["--log-format", "json", "--log", "info", "--until-end"]);
    assert_eq!(bridge.end(), 0);
    let output = bridge.output();
    assert!(output.lines().count() > 0, "no log");
    assert!(output.lines().all(|line| line.starts_with('{') && line.ends_with('}')), "{output}");
}

/// Returns what a bridge serves as metrics.
fn metrics(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: bridge\r\nConnection: close\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    text.starts_with("HTTP/1.1 200").then_some(text)
}

#[test]
fn metrics_count_messages() {
    let Some(rig) = Rig::new(Flavor::Spsc) else { return };
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let mut receiver = rig.receive(Expect::ONE_SENDER);
    let _out = rig.out("name = \"frames\"").start(&["--metrics", &format!("127.0.0.1:{port}")]);
    let _to_sink = rig.to_sink("").start(&[]);
    rig.send(Load::of(500)).finish();
    must_receive(&mut receiver, 500);
    until("the messages are not counted", || {
        let text = metrics(port).unwrap_or_default();
        let is_count = |line: &str| {
            line.starts_with("sysvring_bridge_messages_total{")
                && line.contains("\"frames\"")
                && line.ends_with(" 500")
        };
        text.lines().any(is_count)
    });
}
