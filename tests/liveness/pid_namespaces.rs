//! Members in another PID namespace: wherever the pid of a process is shown that is not visible from
//! there, it is 0. Its pid in its own namespace belongs to another process here, or to none.

use std::time::Duration;

use sysvring::{Error, Observer, Options, Peer, RecvError, SendError, Stat, broadcast, mpmc, spsc};
use sysvring_support::fork::Fork;
use sysvring_support::handle::AnyFlavor;
use sysvring_support::name::Name;
use sysvring_support::shared_counters::{shared_counters, until_at_least};
use sysvring_support::worker::{Args, Worker};
use sysvring_support::{raw_ipc, test, work};

const SOON: Duration = Duration::from_millis(20);

/// Returns the pids of the members, and those of the segment's creator and last user.
fn pids(stat: &Stat) -> Vec<u32> {
    let members = stat.members.iter().map(|member| member.pid);
    members.chain([stat.segment.creator_pid]).collect()
}

/// The text of a snapshot, without the numbers that are no pids.
fn names_process(stat: &Stat, pid: u32) -> bool {
    stat.to_string().contains(&format!("pid {pid} "))
}

/// Runs `body` in a child that is the first process of a new PID namespace; it ends first.
fn nested(body: impl FnOnce()) {
    // SAFETY: a number; the next child is the first process of the new namespace.
    assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWPID) }, 0, "as root");
    Fork::start(|| {
        assert_eq!(std::process::id(), 1, "in a namespace of its own");
        body();
    })
    .finish();
}

/// A sender here, which holds a slot, and a process that looks at it from inside.
#[work]
fn seen_from_inside(args: &mut Args) {
    let (name, flavor): (String, String) = (args.next(), args.next());
    let me = std::process::id();
    let open = || Options::named(&name).capacity(2).label("outside");
    let look = |at_most: usize| {
        let check = |stat: Stat| {
            assert_eq!(pids(&stat), vec![0; at_most + 1], "{stat}");
            assert_eq!(stat.segment.last_pid, 1, "this process has it attached");
            assert!(!names_process(&stat, me), "{stat}");
        };
        check(sysvring::stat(&*name).expect("stat"));
        check(Observer::open(&*name).and_then(|observer| observer.stat()).expect("stat"));
        let listed = sysvring::list().expect("list");
        check(listed.into_iter().find(|stat| stat.name == name).expect("it is listed"));
    };
    match flavor.as_str() {
        "Spsc" => {
            let tx: spsc::Sender<u64> = open().create().expect("create");
            nested(|| {
                look(1);
                let taken = Options::named(&name).attach::<spsc::Sender<u64>>();
                assert!(matches!(taken, Err(Error::SeatTaken { pid: 0, .. })), "{taken:?}");
                let mut rx: spsc::Receiver<u64> = Options::named(&name).attach().expect("attach");
                assert_eq!(rx.peer(), Ok(Peer::Present { pid: 0 }));
                let found: Vec<u32> =
                    rx.stat().expect("stat").members.iter().map(|m| m.pid).collect();
                assert_eq!(found, [0, 1]);
            });
            drop(tx);
        }
        "Mpmc" => {
            let tx: mpmc::Sender<u64> = open().create().expect("create");
            let loan = tx.loan().expect("a slot");
            tx.send(&7).expect("sent");
            nested(|| {
                look(1);
                let rx: mpmc::Receiver<u64> = Options::named(&name).attach().expect("attach");
                assert_eq!(rx.recv_timeout(SOON), Err(RecvError::Blocked { pid: 0 }));
                assert_eq!(rx.try_recv(), Err(RecvError::Behind { pid: 0 }));
            });
            drop(loan);
        }
        _ => {
            let mut tx: broadcast::Sender<u64> = open().create().expect("create");
            let rx: broadcast::Receiver<u64> = open().attach().expect("attach");
            tx.send_batch(&[1, 2]).expect("sent");
            drop(tx);
            nested(|| {
                look(2);
                let mut tx: broadcast::Sender<u64> =
                    Options::named(&name).attach().expect("attach");
                assert_eq!(tx.send_timeout(&3, SOON), Err(SendError::Blocked { pid: 0 }));
                assert_eq!(rx.id(), tx.id());
            });
        }
    }
    sysvring::remove(&*name).expect("removed");
}

#[test(root)]
fn no_pid_of_an_invisible_process_is_shown<F: AnyFlavor>() {
    Worker::run(&[&"pid_namespaces::seen_from_inside", &Name::new(), &format!("{:?}", F::FLAVOR)]);
}

/// A process here that died, and one that is creating or removing.
#[work]
fn dead_and_busy(args: &mut Args) {
    let name: String = args.next();
    let me = std::process::id();
    let [step] = shared_counters::<1>();
    let tx: mpmc::Sender<u64> = Options::named(&name).create().expect("create");
    // A member that dies while the process inside is a member.
    let mut outside = Fork::start(|| {
        let _rx: mpmc::Receiver<u64> = Options::named(&name).attach().expect("attach");
        step.store(1, std::sync::atomic::Ordering::Release);
        std::thread::sleep(Duration::from_secs(20));
    });
    until_at_least(step, 1);
    // SAFETY: a number; the next child is the first process of the new namespace.
    assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWPID) }, 0, "as root");
    let inside = Fork::start(|| {
        let watcher: mpmc::Sender<u64> = Options::named(&name).attach().expect("attach");
        step.store(2, std::sync::atomic::Ordering::Release);
        until_at_least(step, 3);
        let deaths = watcher.deaths().expect("the dead");
        assert_eq!(deaths.iter().map(|death| death.pid).collect::<Vec<_>>(), [0]);
        let stat = sysvring::stat(&*name).expect("stat");
        let dead: Vec<u32> = stat.members.iter().filter(|m| !m.alive).map(|m| m.pid).collect();
        assert_eq!(dead, [0], "{stat}");
        // A process outside works on the channel.
        step.store(4, std::sync::atomic::Ordering::Release);
        until_at_least(step, 5);
        let busy = Options::named(&name).open_timeout(SOON).attach::<mpmc::Receiver<u64>>();
        assert!(matches!(busy, Err(Error::Busy { pid: 0, .. })), "{busy:?}");
        step.store(6, std::sync::atomic::Ordering::Release);
        until_at_least(step, 7);
        // Without the set, the kernel knows no pid.
        let stat = sysvring::stat(&*name).expect("stat");
        assert!(stat.set.is_none() && !names_process(&stat, me), "{stat}");
        assert!(stat.members.iter().all(|member| member.pid == 0), "{stat}");
    });
    until_at_least(step, 2);
    outside.kill_and_wait();
    step.store(3, std::sync::atomic::Ordering::Release);
    until_at_least(step, 4);
    let set = tx.stat().expect("stat").set.expect("a set").id;
    raw_ipc::add(set, raw_ipc::LIFECYCLE, 1);
    step.store(5, std::sync::atomic::Ordering::Release);
    until_at_least(step, 6);
    raw_ipc::add(set, raw_ipc::LIFECYCLE, -1);
    raw_ipc::remove_set(set).expect("removed");
    step.store(7, std::sync::atomic::Ordering::Release);
    inside.finish();
    sysvring::remove(&*name).expect("removed");
}

#[test(root)]
fn no_pid_of_a_dead_or_busy_process_is_shown() {
    Worker::run(&[&"pid_namespaces::dead_and_busy", &Name::new()]);
}
