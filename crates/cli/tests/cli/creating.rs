//! Channels that `send`, `recv` and `replay` create, and those that exist already.

use crate::ipc_fixture::IpcFixture;
use crate::tool::run;

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
