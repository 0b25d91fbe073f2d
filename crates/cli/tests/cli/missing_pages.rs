//! A segment of another program whose pages cannot be had.

use serde_json::Value;
use sysvring_support::raw_ipc::{MARKED, create_huge_segment, remove_segment};

use crate::ipc_fixture::IpcFixture;
use crate::tool::{is_root, run};

/// Reading it would be a SIGBUS.
#[test]
fn a_segment_without_pages_is_reported() {
    if !is_root("a segment in huge pages") {
        return;
    }
    let ipc = IpcFixture::new();
    let segment = create_huge_segment(0x5a5a_7b7b, 4 << 20, MARKED).expect("shmget");
    run(&["ls"]).ok();
    run(&["reap"]).ok();
    let doctor = run(&["doctor", "-J"]);
    let all: Value = serde_json::from_str(&doctor.out).expect("JSON");
    let is_it = |finding: &&Value| {
        let found = finding["found"].as_str().unwrap_or_default();
        found.contains(&format!("segment {segment},"))
    };
    let finding = all["findings"].as_array().expect("findings").iter().find(is_it);
    let finding = finding.unwrap_or_else(|| panic!("not in {}", doctor.out)).to_string();
    assert!(finding.contains("pages cannot be had"), "{finding}");
    remove_segment(segment).expect("remove");
    ipc.assert_clean();
}
