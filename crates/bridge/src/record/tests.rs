use std::fs;
use std::path::PathBuf;

use super::*;

fn entry(sequence: u64) -> Entry {
    let channel = "7:0000beef".parse().unwrap();
    Entry::new(channel, Some(sequence + 100), sequence, 42)
}

fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("sysvring-record-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&path);
    path
}

#[test]
fn an_intent_leaves_the_last_known_message_in_place() {
    let folder = folder("intent");
    let mut record = Record::open(&folder, "a").unwrap();
    assert_eq!(record.entries(), [None, None]);
    for sequence in 1..10 {
        record.intend(entry(sequence));
        record.confirm();
    }
    record.intend(entry(10));
    drop(record);

    let mut record = Record::open(&folder, "a").unwrap();
    assert_eq!(record.entries(), [Some(entry(10)), Some(entry(9))]);
    // It was not sent: the next intent takes its place.
    record.settle(false);
    record.intend(entry(11));
    assert_eq!(record.entries(), [Some(entry(11)), Some(entry(9))]);
    record.settle(true);
    record.intend(entry(12));
    assert_eq!(record.entries(), [Some(entry(12)), Some(entry(11))]);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn an_entry_that_was_being_written_does_not_count() {
    let folder = folder("torn");
    let mut record = Record::open(&folder, "a").unwrap();
    record.intend(entry(1));
    record.confirm();
    record.intend(entry(2));
    record.tear();
    drop(record);
    let mut record = Record::open(&folder, "a").unwrap();
    assert_eq!(record.entries(), [Some(entry(1)), None]);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_record_is_of_one_bridge_and_of_this_format() {
    let folder = folder("lock");
    let record = Record::open(&folder, "a").unwrap();
    assert!(matches!(Record::open(&folder, "a"), Err(StateError::Locked { .. })));
    drop(record);
    for text in ["x".repeat(SIZE), "short".into()] {
        fs::write(folder.join("in-a.record"), text).unwrap();
        assert!(matches!(Record::open(&folder, "a"), Err(StateError::Foreign { .. })));
    }
    fs::remove_dir_all(folder).unwrap();
}
