//! The processes whose end concerns the handles of a doorbell, each with one pidfd.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use super::PEER;
use super::view::View;
use crate::sysv::event::{self, Epoll};
use crate::sysv::{Errno, process};
use crate::wait::doorbell;

/// How often a seat is examined again that changes hands meanwhile.
const ATTEMPTS: usize = 8;

/// The processes, by their pid.
#[derive(Debug, Default)]
pub(super) struct Peers(BTreeMap<u32, Peer>);

#[derive(Debug)]
struct Peer {
    fd: OwnedFd,
    /// A handle's key, and a seat that the process has in the handle's channel.
    seats: Vec<(u32, u8)>,
}

/// What is known of the holder of a seat.
enum Holder {
    /// Nobody has it, or this very process does.
    NoPeer,
    Watched(u32),
    /// Its end is not reported: it is in another PID namespace, or there is no pidfd.
    Unwatched,
}

impl Peers {
    /// Watches the processes that have seats in the channel of a handle, and sees to it that no waker
    /// chooses the last holder of a free seat. Returns false if a process cannot be watched.
    pub(super) fn meet(&mut self, poll: &Epoll, key: u32, view: &View) -> bool {
        self.unlist(key);
        let Ok(values) = view.members().semaphore_values(view.seats()) else { return false };
        let (mut all, own) = (true, view.seat().number);
        for seat in (0..view.seats() as u8).filter(|seat| *seat != own) {
            if !values.is_taken(seat) {
                doorbell::pass_over(&view.bells(), seat);
                continue;
            }
            match self.watch(poll, view, seat) {
                Holder::NoPeer => {}
                Holder::Unwatched => all = false,
                Holder::Watched(pid) => {
                    if let Some(peer) = self.0.get_mut(&pid) {
                        peer.seats.push((key, seat));
                    }
                }
            }
        }
        self.close_unlisted(poll);
        all
    }

    /// Opens the pidfd of the process that has a seat. The pid may be that of another process by the
    /// time it is opened; but if its seat is still taken after that, by the same pid, then it was
    /// alive, and is that process.
    fn watch(&mut self, poll: &Epoll, view: &View, seat: u8) -> Holder {
        let holder = || {
            let is_taken = view.members().is_taken(seat).unwrap_or(false);
            if is_taken { view.members().pid(seat).unwrap_or(0) } else { process::pid() }
        };
        for _ in 0..ATTEMPTS {
            let pid = holder();
            if pid == process::pid() {
                return Holder::NoPeer;
            }
            if pid == 0 {
                return Holder::Unwatched;
            }
            if self.0.contains_key(&pid) {
                return Holder::Watched(pid);
            }
            let fd = match event::pidfd(pid) {
                Ok(fd) => fd,
                // It has ended: its seat is free now, or was taken by another one.
                Err(Errno::ESRCH) => continue,
                Err(_) => return Holder::Unwatched,
            };
            if holder() != pid {
                continue;
            }
            if poll.add(&fd, PEER + u64::from(pid), true, false).is_err() {
                return Holder::Unwatched;
            }
            self.0.insert(pid, Peer { fd, seats: Vec::new() });
            return Holder::Watched(pid);
        }
        Holder::Unwatched
    }

    /// Forgets a handle.
    pub(super) fn forget(&mut self, poll: &Epoll, key: u32) {
        self.unlist(key);
        self.close_unlisted(poll);
    }

    /// Forgets a process that has ended; returns the handles that it concerns, with its seats.
    pub(super) fn ended(&mut self, poll: &Epoll, pid: u32) -> Vec<(u32, Vec<u8>)> {
        let Some(peer) = self.0.remove(&pid) else { return Vec::new() };
        // A forked child may have the descriptor, too.
        let _ = poll.remove(&peer.fd);
        let mut handles: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
        for (key, seat) in peer.seats {
            handles.entry(key).or_default().push(seat);
        }
        handles.into_iter().collect()
    }

    fn unlist(&mut self, key: u32) {
        for peer in self.0.values_mut() {
            peer.seats.retain(|(listed, _)| *listed != key);
        }
    }

    fn close_unlisted(&mut self, poll: &Epoll) {
        self.0.retain(|_, peer| {
            let is_listed = !peer.seats.is_empty();
            if !is_listed {
                let _ = poll.remove(&peer.fd);
            }
            is_listed
        });
    }
}
