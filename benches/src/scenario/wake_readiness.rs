//! Wake-up latency of receivers that wait for many things: in `epoll`, in a wait set, and as a task
//! of a tokio runtime. Measured as in `wake`.

use std::io;
use std::sync::mpsc;
use std::thread;

use sysvring_support::worker::{self, Args, print_line, read_line};

use crate::effort::Effort;
use crate::interleave::{Outcome, interleave};
use crate::machine::Cores;
use crate::report::table::{Bound, Table};
use crate::scenario::wake;
use crate::transport::ends::{self, CAPACITY};
use crate::transport::epoll::{Epoll, InWaitSet, MpmcInWaitSet};
use crate::transport::pipes_and_sockets::{Pipe, Unix};
use crate::transport::tasks::{self, TaskTransport, TokioMpsc};
use crate::transport::traits::IpcTransport;
use crate::transport::{Transport, Transport::*};

/// In two groups; figures are compared with the Unix stream socket of the group, which is its first.
const TRANSPORTS: [Transport; 9] = [
    UnixEpoll,
    PipeEpoll,
    WaitSet,
    MpmcWaitSet,
    TaskUnix,
    TaskDatagram,
    TaskSpsc,
    TaskMpmc,
    TaskThread,
];
/// The first of the second group.
const FIRST_TASK: usize = 4;

/// Words per message.
const ONE: usize = 1;

pub fn run(cores: &Cores, effort: Effort) -> io::Result<()> {
    let (first, second) = cores.apart;
    if first != second {
        place("different processors", cores.apart, effort)?;
    }
    place("the same processor", (first, first), effort)
}

fn place(name: &str, cores: (usize, usize), effort: Effort) -> io::Result<()> {
    let (schedule, count) = (effort.schedule_of(1, 3, 3), effort.pick(10, 20, 30));
    let start = |transport| ends::start("wake-readiness", transport, cores, &[&count, &cores.0]);
    let outcomes = interleave(&TRANSPORTS, schedule, start, |_, pair| ends::turn::<3>(pair))?;
    let title = format!(
        "Wake-up latency of wait sets and tasks, {name}: us from before send to after receive; \
         {schedule} of {count} messages"
    );
    let heads = [
        "",
        "p50",
        "min",
        "max",
        "p99",
        "context switches/msg",
        "p50 vs Unix socket",
        "target",
        "",
    ];
    let mut table = Table::new(title, &heads);
    for (i, (transport, outcome)) in TRANSPORTS.iter().zip(&outcomes).enumerate() {
        let Outcome { figures: [p50, p99, sleeps], .. } = outcome;
        let [reference, ..] = &outcomes[if i < FIRST_TASK { 0 } else { FIRST_TASK }].figures;
        let ratio = p50.over(reference);
        let mut cells = p50.cells(1).to_vec();
        cells.push(format!("{:.1}", p99.median()));
        cells.push(format!("{:.2}", sleeps.median()));
        cells.push(ratio.range());
        if transport.is_sysvring() {
            cells.extend(Bound::AtMost(1.3).cells(ratio.median()));
        }
        table.row(transport.label(), cells);
    }
    table.print();
    Ok(())
}

pub fn worker(args: &mut Args) {
    let (role, transport): (String, Transport) = (args.next(), args.next());
    let (count, sending): (u64, usize) = (args.next(), args.next());
    if transport == TaskThread {
        match role.as_str() {
            "send" => ends::idle(),
            _ => receive_from_thread(count, sending),
        }
    }
    let address = (role == "receive").then(|| args.next::<String>());
    match transport {
        PipeEpoll => thread_end::<Epoll<Pipe>>(count, address),
        UnixEpoll => thread_end::<Epoll<Unix>>(count, address),
        WaitSet => thread_end::<InWaitSet>(count, address),
        MpmcWaitSet => thread_end::<MpmcInWaitSet>(count, address),
        TaskUnix => task_end::<tasks::TaskUnix>(count, address),
        TaskDatagram => task_end::<tasks::TaskDatagram>(count, address),
        TaskSpsc => task_end::<tasks::TaskSpsc>(count, address),
        TaskMpmc => task_end::<tasks::TaskMpmc>(count, address),
        other => panic!("not measured here: {other}"),
    }
}

/// Runs the sender, or the receiver if it has the address.
fn thread_end<T: IpcTransport<ONE>>(count: u64, address: Option<String>) {
    match address {
        Some(address) => wake::receive::<T, ONE>(count, &address),
        None => wake::send::<T, ONE>(count),
    }
}

/// The same where the receiver is a task.
fn task_end<T: TaskTransport<ONE>>(count: u64, address: Option<String>) {
    let Some(address) = address else {
        return wake::send_by::<ONE, _>(T::offer(CAPACITY), count);
    };
    let mut rx = T::attach(&address);
    print_line("ready");
    let next = || _ = read_line();
    wake::report_delays(count, next, &mut |count| rx.receive_all(count, wake::delay))
}

/// Runs both sides: a thread on the sending processor, and a task here.
fn receive_from_thread(count: u64, sending: usize) -> ! {
    let (mut tx, mut rx) = TokioMpsc::<ONE>::pair(CAPACITY);
    let (go, gone) = mpsc::channel();
    thread::spawn(move || {
        worker::pin(sending);
        let next = || gone.recv().expect("the task waits");
        next();
        wake::send_clock(&mut tx, count, next);
    });
    print_line("ready");
    let next = || {
        read_line();
        go.send(()).expect("the thread waits");
    };
    wake::report_delays(count, next, &mut |count| rx.receive_all(count, wake::delay))
}
