//! Channels of which an object was given to another user.

use sysvring::{Address, spsc};
use sysvring_support::raw_ipc::{chown_segment, chown_set, me, remove_set};

use crate::ipc_fixture::IpcFixture;
use crate::tool::{NOBODY, Name, Run, is_gone, is_root, run, run_as_another_user};

/// Returns what `ls` prints in the column CHANNEL for the segment with this identifier.
fn shown(segment: i32) -> String {
    let listed = run(&["ls", "-r", "--noheadings", "-o", "SHMID,CHANNEL"]).ok().out;
    let segment = segment.to_string();
    let mut lines = listed.lines().filter_map(|line| line.split_once(' '));
    lines.find(|(id, _)| *id == segment).expect("it is listed").1.to_owned()
}

/// After a change of its owner, a channel is not printed under the name of another channel: that of
/// the new owner.
#[test]
fn a_channel_is_not_printed_by_the_name_of_another_one() {
    // Only root can be another user.
    let has_another = is_root("a channel of the same name of another user");
    let ipc = IpcFixture::new();
    let name = Name::new("given");
    let given: spsc::Sender<u64> = name.options().create().expect("a channel");
    let (segment, set) = (given.id().segment(), name.stat().set.expect("a set").id);
    drop(given);
    let of_nobody = Address::Name { name: name.0.clone(), uid: NOBODY };
    if has_another {
        run_as_another_user(&["send", &name]).ok();
    }
    let id = format!("id:{}", name.stat().id);
    assert_eq!(shown(segment), *name);
    chown_segment(segment, NOBODY, 0o600);
    chown_set(set, NOBODY, 0o600);
    assert_eq!(shown(segment), id);
    assert!(run(&["metrics"]).out.contains(&format!("channel=\"{id}\"")));
    #[cfg(feature = "top")]
    assert!(run(&["top", "--once", "-i", "10ms"]).out.contains(&id));
    run(&["stat", &id]).ok();
    run(&["rm", &id]).ok();
    assert!(!has_another || !is_gone(of_nobody.clone()), "the other channel was removed");
    assert!(is_gone(Address::Key(Address::named(&*name).key().expect("a key").expect("a key"))));
    let _ = sysvring::remove(of_nobody);
    drop(name);
    ipc.assert_clean();
}

/// A set that was given away, removed or closed to the user is not the same: `ls` and `doctor` tell
/// which.
#[test]
fn a_set_that_cannot_be_used_is_told_from_one_that_is_gone() {
    let ipc = IpcFixture::new();
    let name = Name::new("given");
    drop(name.options().create::<spsc::Sender<u64>>().expect("a channel"));
    let stat = name.stat();
    let (segment, set) = (stat.segment.id, stat.set.expect("a set").id);
    let state = |run: Run| run.ok().out;
    let ls = ["ls", "--noheadings", "-r", "-o", "STATE"];
    for mode in [0o600, 0o601] {
        chown_set(set, NOBODY, mode);
        assert_eq!(state(run(&ls)), "other\\x20owner\n");
        let doctor = run(&["doctor", "--quiet"]);
        let id = format!("id:{}", stat.id);
        for text in
            ["changed-owner", &id, "its set of user nobody", "set it back", "sysvring rm id:"]
        {
            assert!(doctor.out.contains(text), "{text} is not in {}", doctor.out);
        }
        for text in ["ipcrm -s,", "leftovers", "unusable"] {
            assert!(!doctor.out.contains(text), "{text} is in {}", doctor.out);
        }
        assert_eq!(shown(segment), id, "its name leads to an error");
        run(&["stat", &id]).ok();
    }
    // Its segment may be read by everyone, its set by its owner.
    chown_set(set, me(), 0o600);
    chown_segment(segment, me(), 0o605);
    if is_root("a set that its user cannot read") {
        assert_eq!(state(run_as_another_user(&ls)), "unreadable\n");
        let doctor = run_as_another_user(&["doctor"]).out;
        assert!(doctor.contains("unreadable-set") && doctor.contains("semctl"), "{doctor}");
        assert!(!doctor.contains("sysvring rm"), "{doctor}");
    }
    remove_set(set).expect("removed");
    assert_eq!(state(run(&ls)), "removed\n");
    assert!(run(&["doctor", "--quiet"]).out.contains("has lost its semaphore set"));
    drop(name);
    ipc.assert_clean();
}
