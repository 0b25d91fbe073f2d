//! Messages in the stream that the channel cannot take.

use async_nats::HeaderMap;
use async_nats::jetstream::stream;
use sysvring::Flavor;
use sysvring_support::test;

use crate::account::message;
use crate::admin::Admin;
use crate::members::{Expect, Load, Receiver};
use crate::process::until;
use crate::rig::{Rig, must_receive};
use crate::routes::SUBJECT;

/// The schema of the far channel.
const SCHEMA: u64 = 9;

fn bytes(number: u64) -> Vec<u8> {
    message(0, number).iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// Returns a message that the channel cannot take: of another length, or of another schema.
fn foreign(schema: Option<u64>) -> (HeaderMap, Vec<u8>) {
    let mut headers = HeaderMap::new();
    match schema {
        Some(schema) => {
            headers.insert("Sysvring-Schema", schema.to_string());
            (headers, bytes(7))
        }
        None => (headers, b"7 bytes".to_vec()),
    }
}

/// Publishes message 0, a foreign one and message 1.
fn publish(admin: &Admin, (headers, payload): (HeaderMap, Vec<u8>)) {
    admin.publish(SUBJECT, HeaderMap::new(), &bytes(0));
    assert_eq!(admin.publish(SUBJECT, headers, &payload), 2);
    admin.publish(SUBJECT, HeaderMap::new(), &bytes(1));
}

fn rig() -> Option<(Rig, Admin, Receiver)> {
    let rig = Rig::new(Flavor::Spsc)?;
    let receiver = rig.receive(Expect { schema: SCHEMA, ..Expect::ONE_SENDER });
    let admin = rig.admin();
    Some((rig, admin, receiver))
}

#[test]
fn a_foreign_message_stops_the_route_until_it_is_deleted() {
    for (schema, [one, other]) in [(None, ["7", "32"]), (Some(7), ["7", "9"])] {
        let Some((rig, admin, mut receiver)) = rig() else { return };
        publish(&admin, foreign(schema));
        let bridge = rig.to_sink("").start(&[]);
        must_receive(&mut receiver, 1);
        let names_it = || {
            let output = bridge.output();
            output.lines().any(|line| [one, other, "2"].iter().all(|word| line.contains(word)))
        };
        until("no error names the message", names_it);
        rig.must_have_sent(1);
        admin.delete_message(2);
        must_receive(&mut receiver, 2);
    }
}

#[test]
fn a_foreign_message_is_rejected_to_a_subject() {
    for schema in [None, Some(7)] {
        let Some((rig, admin, mut receiver)) = rig() else { return };
        let (name, subject) = ("REJECTED", "site.rejected");
        let rejected = stream::Config {
            name: name.into(),
            subjects: vec![subject.into()],
            ..Default::default()
        };
        admin.make_stream(rejected);
        let (headers, payload) = foreign(schema);
        publish(&admin, (headers, payload.clone()));
        let _bridge = rig.to_sink(&format!("reject_to = \"{subject}\"")).start(&[]);
        must_receive(&mut receiver, 2);
        let message = admin.message(name, 1);
        assert_eq!(&*message.payload, payload);
        assert_eq!(admin.messages(name), 1, "rejected messages");
    }
}

/// The schema that the near channel has arrives with each message, and fits or not.
#[test]
fn schemas_travel() {
    for (source, fits) in [(SCHEMA, true), (0, true), (SCHEMA + 1, false)] {
        let Some((rig, admin, mut receiver)) = rig() else { return };
        let name = "REJECTED";
        let subjects = vec!["site.rejected".into()];
        admin.make_stream(stream::Config { name: name.into(), subjects, ..Default::default() });
        let _bridges =
            (rig.out("").start(&[]), rig.to_sink("reject_to = \"site.rejected\"").start(&[]));
        let load = Load { schema: source, ..Load::of(10) };
        rig.send(load).finish();
        match fits {
            true => must_receive(&mut receiver, 10),
            false => until("they are not rejected", || admin.messages(name) == 10),
        }
        rig.must_have_sent(if fits { 10 } else { 0 });
    }
}
