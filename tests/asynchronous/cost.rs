//! What waiting costs: polls, processor time, and the time of a wake-up.

use std::pin::pin;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::thread;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::join;
use sysvring::{Options, RecvError, mpmc, spsc};
use sysvring_support::name::Name;
use sysvring_support::shared_counters::now_ns;
use sysvring_support::stopwatch::Stopwatch;
use sysvring_support::worker::{Args, Worker, print_line, read_line};
use sysvring_support::{test, work};

use crate::executor::{Counted, PLACES, Place, run};

/// Returns the processor time of this process.
fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a local variable for the result.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Waits in many tasks for nothing, and reports how often they were polled, in milliseconds of
/// processor time.
#[work]
fn idle(args: &mut Args) {
    let place = PLACES[args.next::<usize>()];
    let tx: mpmc::Sender<u64> = Options::private().capacity(1).create().expect("create");
    let rx: mpmc::Receiver<u64> = Options::private().create().expect("create");
    let _sender: mpmc::Sender<u64> = Options::id(rx.id()).attach().expect("attach");
    let _receiver: mpmc::Receiver<u64> = Options::id(tx.id()).attach().expect("attach");
    let mut one: spsc::Receiver<u64> = Options::private().create().expect("create");
    let polls = AtomicU64::new(0);
    tx.send(&1).expect("room");
    let by = (rx.interrupter(), tx.interrupter(), one.interrupter());
    let ending = thread::spawn(move || {
        thread::sleep(Duration::from_millis(200));
        let start = processor_time();
        thread::sleep(Duration::from_secs(1));
        let used = processor_time() - start;
        by.0.interrupt();
        by.1.interrupt();
        by.2.interrupt();
        used
    });
    run(place, async {
        let receiving = join_all((0..20).map(|_| Counted::new(&polls, rx.recv_async())));
        let sending = join_all((0..20).map(|_| Counted::new(&polls, tx.send_async(&2))));
        let waiting = Counted::new(&polls, one.wait_for_peer_async());
        let (received, sent, waited) = join!(receiving, sending, waiting);
        assert!(received.iter().all(|got| *got == Err(RecvError::Interrupted)));
        assert!(sent.iter().all(Result::is_err) && waited.is_err());
    });
    let used = ending.join().expect("no panic");
    print_line(format!("{} {}", polls.load(Relaxed), used.as_micros()));
}

/// Tasks that wait are not polled, and take next to no processor time.
#[test(quiet)]
fn idle_tasks_are_not_polled() {
    for (n, place) in PLACES.iter().enumerate() {
        let mut worker = Worker::start(&[&"cost::idle", &n]).expect("start");
        let [polls, used_us] = worker.figures().expect("its figures");
        worker.finish();
        println!("{place:?}: {polls} polls of 41 futures, {used_us} us of a second");
        // One poll at first and one for the interrupt. Those that are combined may be polled
        // together.
        assert!(polls <= 41.0 * 4.0, "{polls} polls");
        assert!(used_us < 20_000.0, "{used_us} us");
    }
}

/// Answers each message of a channel by one on another, in tasks or by blocking calls.
#[work]
fn echo(args: &mut Args) {
    let (name, back, place): (String, String, usize) = (args.next(), args.next(), args.next());
    let mut rx: spsc::Receiver<u64> = Options::named(name).open().expect("open");
    let mut tx: spsc::Sender<u64> = Options::named(back).open().expect("open");
    print_line("ready");
    run(PLACES[place], async {
        while let Ok(sent) = rx.recv_async().await {
            assert!(sent <= now_ns());
            tx.send_async(&now_ns()).await.expect("a receiver");
        }
    });
}

/// Returns the median and the 99th percentile in microseconds.
fn percentiles(mut times: Vec<u64>) -> (f64, f64) {
    times.sort_unstable();
    let at = |part: usize| times[(times.len() - 1) * part / 100] as f64 / 1_000.0;
    (at(50), at(99))
}

/// Prints the time of a wake-up of a task in another process, beside that of a Unix socket.
#[test(quiet)]
fn a_wake_up_takes_no_longer_than_it_must() {
    const TIMES: usize = 300;
    for (n, place) in PLACES.iter().enumerate() {
        let (name, back) = (Name::new(), Name::new());
        let mut worker = Worker::start(&[&"cost::echo", &name, &back, &n]).expect("start");
        worker.expect("ready");
        let mut tx: spsc::Sender<u64> = name.options().open().expect("open");
        let mut rx: spsc::Receiver<u64> = back.options().open().expect("open");
        let mut times = Vec::new();
        for _ in 0..TIMES {
            // It waits again.
            thread::sleep(Duration::from_micros(500));
            let start = now_ns();
            tx.send(&start).expect("a receiver");
            times.push(rx.recv().expect("a sender") - start);
        }
        let (median, high) = percentiles(times);
        println!("wake-up of a task, {place:?}: median {median} us, 99 % {high} us");
        drop(tx);
        worker.finish();
        assert!(median < 50_000.0, "{median} us: by a slice only");
    }
    let mut worker = Worker::start(&[&"cost::socket"]).expect("start");
    let path = worker.read_line().expect("its path");
    socket_client(&path, TIMES);
    worker.finish();
}

/// The same with datagrams of a Unix socket, by blocking calls, or in a task of tokio.
#[work]
fn socket(_: &mut Args) {
    use std::os::unix::net::UnixDatagram;
    let folder = std::env::temp_dir().join(format!("sysvring-test-{}", std::process::id()));
    std::fs::create_dir(&folder).expect("a folder");
    let server = UnixDatagram::bind(folder.join("server")).expect("a socket");
    print_line(folder.display());
    let client = folder.join("client");
    #[cfg(feature = "tokio")]
    run(Place::CurrentThread, async {
        server.set_nonblocking(true).expect("a socket");
        let server = tokio::net::UnixDatagram::from_std(server).expect("IO");
        let mut bytes = [0; 8];
        while server.recv(&mut bytes).await.expect("a message") == 8 {
            server.send_to(&now_ns().to_ne_bytes(), &client).await.expect("a client");
        }
    });
    #[cfg(not(feature = "tokio"))]
    run(Place::Thread, async {
        let mut bytes = [0; 8];
        while server.recv(&mut bytes).expect("a message") == 8 {
            server.send_to(&now_ns().to_ne_bytes(), &client).expect("a client");
        }
    });
    std::fs::remove_dir_all(&folder).expect("its files");
    let _ = read_line;
}

fn socket_client(folder: &str, times: usize) {
    use std::os::unix::net::UnixDatagram;
    let folder = std::path::Path::new(folder);
    let client = UnixDatagram::bind(folder.join("client")).expect("a socket");
    let server = folder.join("server");
    let mut measured = Vec::new();
    for _ in 0..times {
        thread::sleep(Duration::from_micros(500));
        let start = now_ns();
        client.send_to(&start.to_ne_bytes(), &server).expect("a server");
        let mut bytes = [0; 8];
        client.recv(&mut bytes).expect("a message");
        measured.push(u64::from_ne_bytes(bytes) - start);
    }
    client.send_to(&[0], &server).expect("a server");
    let (median, high) = percentiles(measured);
    println!("the same by a Unix socket: median {median} us, 99 % {high} us");
}

/// A little room is noticed although it is too little for a wake-up.
#[test]
fn a_little_room_is_taken_after_a_slice() {
    for &place in PLACES {
        let tx: mpmc::Sender<u64> = Options::private().capacity(64).create().expect("create");
        let rx: mpmc::Receiver<u64> = Options::id(tx.id()).attach().expect("attach");
        for n in 0..64 {
            tx.send(&n).expect("room");
        }
        let done = AtomicU64::new(0);
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(10));
                done.store(1, Release);
                assert_eq!(rx.recv(), Ok(0));
            });
            let watch = Stopwatch::start();
            run(place, async { tx.send_async(&64).await }).expect("a receiver");
            assert_eq!(done.load(Acquire), 1);
            assert!(watch.took() < Duration::from_secs(2), "{:?}", watch.took());
        });
        let mut waiting = pin!(tx.send_async(&65));
        assert!(crate::executor::poll_once(waiting.as_mut()).is_pending());
    }
}
