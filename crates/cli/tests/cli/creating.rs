//! Channels that `send`, `recv` and `replay` create, and those that exist already.

use sysvring::{Lifetime, mpmc, spsc};

use crate::ipc_fixture::IpcFixture;
use crate::tool::{Name, is_gone, run};

#[test]
fn no_channel_is_created_if_that_is_not_wanted() {
    let ipc = IpcFixture::new();
    for command in ["send", "recv"] {
        let run = run(&[command, "no-such-channel", "--no-create"]);
        assert_eq!(run.code, 1);
        assert!(run.err.contains("no-such-channel"), "{}", run.err);
    }
    ipc.assert_clean();
}

#[test]
fn a_channel_is_created_as_it_is_wanted() {
    let ipc = IpcFixture::new();
    let name = Name::new("created");
    run(&["send", &name, "x"]).ok();
    let stat = name.stat();
    assert_eq!((stat.capacity, stat.slot_size, stat.segment.mode), (1024, 4096, 0o600));
    assert_eq!((stat.flavor, stat.lifetime), (sysvring::Flavor::Mpmc, Lifetime::Kept));
    let other = Name::new("created");
    let options = ["--kind", "spsc", "--capacity", "100", "--message-size", "64", "--mode", "0640"];
    run(&[&["send", &*other, "x"], &options[..]].concat()).ok();
    let stat = other.stat();
    assert_eq!((stat.capacity, stat.slot_size, stat.segment.mode), (128, 64, 0o640));
    assert_eq!(stat.flavor, sysvring::Flavor::Spsc);
    // They agree with the channel, also in the sum of all.
    assert_eq!(run(&[&["recv", &*other], &options[..]].concat()).ok().out, "x\n");
    let refused = run(&["send", "no-such-channel", "x", "--kind", "spsc", "--temporary"]);
    assert_eq!(refused.code, 2, "{}", refused.err);
    assert!(is_gone("no-such-channel"));
    drop((name, other));
    ipc.assert_clean();
}

/// An option that an existing channel does not agree with is not ignored: nothing is sent or taken.
#[test]
fn a_channel_that_is_not_as_wanted_is_refused() {
    let ipc = IpcFixture::new();
    let name = Name::new("existing");
    let tx: mpmc::Sender<[u8]> =
        name.options().capacity(64).slot_size(100).create().expect("a sender");
    tx.send(b"kept").expect("sent");
    for (option, found, wanted) in [
        (["--capacity", "8"], "64 slots", "not 8"),
        (["--capacity", "0"], "64 slots", "not 0"),
        (["--capacity", "18446744073709551615"], "64 slots", "not 18446744073709551615"),
        // A slot takes 120 bytes.
        (["--memory", "4K"], "64 slots", "not 32"),
        (["--memory", "1"], "64 slots", "not 0"),
        (["--message-size", "4K"], "100 bytes", "not 4096"),
        (["--kind", "spsc"], "mpmc", "not spsc"),
        (["--mode", "0660"], "0600", "not 0660"),
    ] {
        for command in [&["send", &*name, "x"][..], &["recv", &name]] {
            let run = run(&[command, &option].concat());
            assert_eq!((run.code, run.out.as_str()), (2, ""), "{option:?}: {}", run.err);
            for part in [found, wanted, option[0], &name] {
                assert!(run.err.contains(part), "{part}: {}", run.err);
            }
        }
    }
    let temporary = run(&["recv", &name, "--temporary"]);
    assert_eq!(temporary.code, 2, "{}", temporary.err);
    let stat = name.stat();
    assert_eq!((stat.depth, stat.members.len(), stat.joins), (1, 1, 1), "nothing joined");
    // What agrees is accepted: 50 is rounded up to 64.
    let args = ["--capacity", "50", "--message-size", "100", "--mode", "0600", "-n", "1"];
    assert_eq!(run(&[&["recv", &*name], &args[..]].concat()).ok().out, "kept\n");
    drop((tx, name));
    let typed = Name::new("existing");
    let rx: spsc::Receiver<u64> = typed.options().create().expect("a receiver");
    assert_eq!(run(&["send", &typed, "00", "--message-size", "9"]).code, 2);
    drop((rx, typed));
    ipc.assert_clean();
}
