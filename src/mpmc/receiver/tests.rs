//! Receiving while another call holds the lock of the last search, as in a signal handler that
//! interrupts a search of the same handle, where waiting for the lock would never end.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::mpmc::{Receiver, Sender};
use crate::{Options, RecvError};

const SOON: Duration = Duration::from_millis(5);
/// Far longer than the calls take.
const LONG: Duration = Duration::from_secs(20);

#[test]
fn a_search_waits_for_no_other() {
    let (done, ended) = mpsc::channel();
    thread::spawn(move || {
        let tx: Sender<u64> = Options::private().capacity(4).create().expect("create");
        let rx: Receiver<u64> = Options::id(tx.id()).attach().expect("attach");
        let forgetful: Receiver<u64> = rx.try_clone().expect("a seat");
        tx.send(&7).expect("room");
        std::mem::forget(forgetful.recv_ref().expect("a message"));
        let searching = rx.end.receiving.searched.lock().expect("nobody panicked");
        assert_eq!(rx.recv_timeout(SOON), Err(RecvError::Timeout));
        assert_eq!(rx.try_recv(), Err(RecvError::Empty));
        // An orphaned message is found nevertheless.
        drop(forgetful);
        assert_eq!(rx.recv_timeout(LONG), Ok(7));
        assert!(searching.is_none(), "remembered by whom?");
        drop(searching);
        assert_eq!(rx.recv_timeout(SOON), Err(RecvError::Timeout));
        assert!(rx.end.receiving.searched.lock().expect("nobody panicked").is_some());
        done.send(()).expect("it is waited for");
    });
    ended.recv_timeout(LONG).expect("it waits for itself, or failed");
}
