//! Texts of other users are escaped wherever they are shown, and end no line.

use sysvring::mpmc::{Receiver, Sender};
use sysvring::{Address, Error, Lifetime, Options};
use sysvring_support::error_text::refusal;
use sysvring_support::malicious_text::{HARMLESS, TEXTS, assert_visible, write};
use sysvring_support::raw_ipc::{Key, Segment, at};
use sysvring_support::worker::{Args, Worker};
use sysvring_support::{ipc_namespace, test, work};

/// Returns every text that shows something of a channel with such texts, with what it is. Members stay
/// in their seats, and one of them has died.
fn shown(bytes: &[u8]) -> Vec<(&'static str, String)> {
    let key = Key::new();
    let options = || key.options().dead_letters("letters", 3).lifetime(Lifetime::LastMember);
    let tx: Sender<u64> = options().create().expect("create");
    let rx: Receiver<u64> = options().attach().expect("attach");
    let memory = Segment::of(tx.id().segment());
    write(&memory, bytes);
    let mut shown = Vec::new();
    let mut show = |of, text: String| shown.push((of, text));
    let stat = sysvring::stat(key.address()).expect("stat");
    show("a snapshot", stat.to_string());
    show("its debug form", format!("{stat:?}"));
    show("a member", format!("{:?}", stat.members));
    show("a list", sysvring::list().expect("list").iter().map(ToString::to_string).collect());
    let mismatch = refusal(options().attach::<Receiver<u64>>());
    assert!(matches!(mismatch, Error::OptionMismatch { option: "dead_letters", .. }));
    show("a mismatch", mismatch.to_string());
    show("its debug form", format!("{mismatch:?}"));
    let type_of = refusal(key.options().schema(7).attach::<Receiver<[u8]>>());
    show("another type", type_of.to_string());
    // An address, and so every error, may contain such a text, too.
    let name = String::from_utf8_lossy(bytes);
    for address in [
        Address::named(&*name),
        Address::Name { name: name.clone().into_owned(), uid: 77 },
        Address::File { path: format!("/no/{name}").into(), project: 1 },
    ] {
        show("an address", address.to_string());
        if let Err(error) = sysvring::stat(&address) {
            show("an error", error.to_string());
        }
        if let Err(error) = Options::address(&address).attach::<Receiver<u64>>() {
            show("an error of an open", error.to_string());
        }
    }
    show("no identifier", refusal(name.parse::<sysvring::ChannelId>().map(drop)).to_string());
    let letters = Options::private().dead_letters(&*name, 3);
    match letters.slot_size(7).create::<Sender<u64>>() {
        Ok(_) => {}
        Err(error) => show("an invalid option", error.to_string()),
    }
    let collision = Error::NameCollision { wanted: name.clone().into(), found: stat.name.clone() };
    show("a collision", collision.to_string());
    drop((tx, rx));
    // What is left of it.
    let left: Sender<u64> = key.options().lifetime(Lifetime::LastMember).open().expect("open");
    let memory = Segment::of(left.id().segment());
    write(&memory, bytes);
    memory.u32(at::VERSION).store(1, std::sync::atomic::Ordering::Relaxed);
    show(
        "unusable",
        sysvring::unusable().expect("unusable").iter().map(|u| format!("{u}")).collect(),
    );
    show("its debug form", format!("{:?}", sysvring::unusable().expect("unusable")));
    memory.u32(at::VERSION).store(3, std::sync::atomic::Ordering::Relaxed);
    drop(left);
    shown
}

/// Deaths and leftovers, with their labels and names.
fn of_the_dead(bytes: &[u8]) -> Vec<(&'static str, String)> {
    let key = Key::new();
    let options = || key.options().dead_letters("letters", 3).lifetime(Lifetime::LastMember);
    let tx: Sender<u64> = options().create().expect("create");
    sysvring_support::fork::Fork::start(|| {
        std::mem::forget(options().attach::<Receiver<u64>>().expect("attach"));
    })
    .finish();
    write(&Segment::of(tx.id().segment()), bytes);
    let mut shown = vec![("deaths", format!("{:?}", tx.deaths().expect("the dead")))];
    drop(tx);
    sysvring_support::fork::Fork::start(|| {
        std::mem::forget(options().open::<Sender<u64>>().expect("open"));
    })
    .finish();
    if let Some(segment) = key.segment() {
        write(&Segment::of(segment), bytes);
    }
    shown.push(("leftovers", format!("{:?}", sysvring::reapable().expect("leftovers"))));
    assert_eq!(sysvring::reap().expect("reap").len(), 1);
    shown
}

#[work]
fn show_all(_: &mut Args) {
    assert!(ipc_namespace::enter_as_any_user(), "{}", std::io::Error::last_os_error());
    let plain = [shown(HARMLESS), of_the_dead(HARMLESS)].concat();
    assert!(plain.iter().any(|(_, text)| text.contains("plain")));
    for bytes in TEXTS {
        let malicious = [shown(bytes), of_the_dead(bytes)].concat();
        for (of, text) in &malicious {
            assert_visible(text, of);
            // No text adds a line.
            let lines = |text: &str| text.lines().count();
            let same = plain.iter().find(|(other, _)| other == of);
            let Some((_, plain)) = same else { continue };
            assert_eq!(lines(text), lines(plain), "{of}: {text}");
        }
    }
}

#[test(quiet)]
fn texts_of_other_users_are_escaped() {
    Worker::run(&[&"malicious_text::show_all"]);
}
