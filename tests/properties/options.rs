//! Options: accepted values are reported as requested by every handle; a refused value is reported
//! by its name, and nothing is created.

use std::collections::BTreeSet;
use std::fmt::Debug;

use proptest::prelude::*;
use sysvring::{Error, Flavor, Lifetime, Message, Options, Redelivery, Stat};
use sysvring_support::handle::{AnyFlavor, AnyHandle, Mpmc, Spsc};
use sysvring_support::name::Name;
use sysvring_support::{raw_ipc, test};

use crate::for_all;

/// A message with a specific alignment that ends in a slice.
#[sysvring::message]
#[derive(Debug)]
struct Letter {
    to: [u32; 3],
    text: [u16; 2],
    rest: [[u16; 2]],
}

/// The requested options.
#[derive(Clone, Debug)]
struct Wish {
    private: bool,
    mpmc: bool,
    /// The index of a type in [`try_wish`].
    message: usize,
    capacity: Option<usize>,
    slot_size: Option<usize>,
    members: Option<usize>,
    redelivery: Option<Redelivery>,
    lifetime: Option<Lifetime>,
    schema: Option<u64>,
    mode: u32,
    label: String,
    /// The option that is changed in a later request.
    change: usize,
}

/// A message type, as a [`Stat`] reports it.
#[derive(Clone, Copy)]
struct Shape {
    variable: bool,
    size: usize,
    align: usize,
}

/// Generates mostly valid values, and some invalid ones.
fn some<T: Clone + Debug + 'static>(
    good: impl Strategy<Value = T> + 'static,
    bad: Vec<T>,
) -> BoxedStrategy<Option<T>> {
    let bad = prop::sample::select(bad);
    prop_oneof![4 => Just(None), 6 => good.prop_map(Some), 1 => bad.prop_map(Some)].boxed()
}

fn wishes() -> impl Strategy<Value = Wish> {
    let ways = (any::<bool>(), any::<bool>(), 0..4usize, 0..6usize);
    let capacity = some(1..2000usize, vec![0, (1 << 40) + 1, usize::MAX]);
    let slot_size = some(prop_oneof![Just(8), Just(3), 16..3000usize], vec![0, 11, usize::MAX]);
    let members = some(2..=254usize, vec![0, 1, 255, usize::MAX]);
    let discard = |after| Redelivery::Discard { after };
    let redelivery = prop_oneof![
        Just(Redelivery::Unlimited),
        (1..=15u8).prop_map(discard),
        Just(Redelivery::Never)
    ];
    let without_a_channel = Redelivery::DeadLetter { after: 3 };
    let wrong = vec![discard(0), discard(16), discard(255), without_a_channel];
    let redelivery = some(redelivery, wrong);
    let lifetime =
        prop::option::of(prop::sample::select(vec![Lifetime::Kept, Lifetime::LastMember]));
    let mode = prop_oneof![
        6 => Just(0o600),
        4 => (0..0o100u32).prop_map(|bits| 0o600 | (bits & 0o66)),
        1 => any::<u32>(),
    ];
    let rest = (prop::option::of(any::<u64>()), mode, "\\PC{0,40}");
    (ways, capacity, slot_size, members, redelivery, lifetime, rest).prop_map(
        |(
            (private, mpmc, message, change),
            capacity,
            slot_size,
            members,
            redelivery,
            lifetime,
            rest,
        )| {
            let (schema, mode, label) = rest;
            // SPSC channels refuse this option altogether, so it is set only sometimes.
            let members = members.filter(|_| mpmc || change == 0);
            Wish {
                private,
                mpmc,
                message,
                capacity,
                slot_size,
                members,
                redelivery,
                lifetime,
                schema,
                mode,
                label,
                change,
            }
        },
    )
}

impl Wish {
    fn options(&self, address: Options) -> Options {
        let mut options = address.mode(self.mode).label(&*self.label);
        if let Some(capacity) = self.capacity {
            options = options.capacity(capacity);
        }
        if let Some(bytes) = self.slot_size {
            options = options.slot_size(bytes);
        }
        if let Some(members) = self.members {
            options = options.max_members(members);
        }
        if let Some(redelivery) = self.redelivery {
            options = options.redelivery(redelivery);
        }
        if let Some(lifetime) = self.lifetime {
            options = options.lifetime(lifetime);
        }
        if let Some(schema) = self.schema {
            options = options.schema(schema);
        }
        options
    }

    /// Returns the options that are invalid according to their documentation.
    fn wrong(&self, shape: Shape) -> BTreeSet<&'static str> {
        let mut wrong = BTreeSet::new();
        let mut must = |holds: bool, option| _ = (!holds).then(|| wrong.insert(option));
        must(self.capacity.is_none_or(|slots| (1..=1 << 40).contains(&slots)), "capacity");
        let bytes = self.slot_size.unwrap_or(shape.size.max(1));
        match shape.variable {
            true => must(bytes >= shape.size.max(1), "slot_size"),
            false => must(bytes == shape.size || self.slot_size.is_none(), "slot_size"),
        }
        // Each slot would be valid, but all of them exceed the address space.
        must(!(shape.variable && self.slot_size == Some(usize::MAX)), "capacity");
        must(self.members.is_none_or(|n| self.mpmc && (2..=254).contains(&n)), "max_members");
        must(
            self.redelivery.is_none_or(|redelivery| match redelivery {
                Redelivery::Discard { after } => (1..=15).contains(&after),
                Redelivery::DeadLetter { .. } => false,
                _ => true,
            }),
            "redelivery",
        );
        let blind = self.mode & 0o022 & !(self.mode >> 1);
        must(self.mode & !0o666 == 0 && self.mode & 0o600 == 0o600 && blind == 0, "mode");
        must(!(self.private && self.lifetime == Some(Lifetime::Kept)), "lifetime");
        wrong
    }

    /// Checks that a channel is as requested.
    fn check(&self, shape: Shape, name: &Name, stat: &Stat) {
        let slots = self.capacity.unwrap_or(1024).next_power_of_two();
        let usual = if shape.variable { shape.size.max(1024) } else { shape.size };
        let slot_size = self.slot_size.unwrap_or(usual);
        assert_eq!((stat.capacity, stat.slot_size), (slots, slot_size));
        let head = if shape.variable { 16 } else { 8 };
        assert!(stat.stride >= head + slot_size && stat.stride < 2 * head + slot_size + 16);
        let found = (stat.variable, stat.message_size, stat.message_align);
        assert_eq!(found, (shape.variable, shape.size, shape.align));
        assert_eq!(stat.flavor, if self.mpmc { Flavor::Mpmc } else { Flavor::Spsc });
        let lifetime = if self.private { Lifetime::LastMember } else { Lifetime::Kept };
        assert_eq!(stat.lifetime, self.lifetime.unwrap_or(lifetime));
        assert_eq!(stat.redelivery, self.redelivery.unwrap_or_default());
        assert_eq!(stat.schema, self.schema.unwrap_or(0));
        assert_eq!(stat.segment.mode, self.mode);
        assert!(stat.segment.size >= (slots * stat.stride) as u64);
        let members = self.members.unwrap_or(if self.mpmc { 64 } else { 2 });
        assert_eq!(
            stat.set.as_ref().expect("a set").semaphores as usize,
            raw_ipc::FIRST_SEAT + members
        );
        assert_eq!(stat.name, if self.private { "" } else { name.as_str() });
        assert_eq!(stat.key == 0, self.private);
        assert_eq!((stat.depth, stat.head, stat.tail), (0, 0, 0));
        let [member] = &stat.members[..] else { panic!("{:?}", stat.members) };
        // The label is truncated between two characters.
        let cut = (0..=32).rev().find(|&at| self.label.is_char_boundary(at.min(self.label.len())));
        let cut = cut.expect("the beginning is one").min(self.label.len());
        assert_eq!(member.label, self.label[..cut]);
    }

    /// Returns the same with one option changed, and that option's name.
    fn changed(&self) -> (Wish, &'static str) {
        let mut wish = self.clone();
        match self.change {
            1 => wish.capacity = Some(2 * self.capacity.unwrap_or(1024).next_power_of_two()),
            2 if self.mpmc => wish.members = Some(2 + (98 + self.members.unwrap_or(64)) % 253),
            3 => {
                wish.redelivery = match self.redelivery {
                    Some(Redelivery::Never) => Some(Redelivery::Unlimited),
                    _ => Some(Redelivery::Never),
                }
            }
            4 if !self.private => {
                wish.lifetime = match self.lifetime {
                    Some(Lifetime::LastMember) => Some(Lifetime::Kept),
                    _ => Some(Lifetime::LastMember),
                }
            }
            _ => wish.schema = Some(!self.schema.unwrap_or(0)),
        }
        let option = match self.change {
            1 => "capacity",
            2 if self.mpmc => "max_members",
            3 => "redelivery",
            4 if !self.private => "lifetime",
            _ => "schema",
        };
        (wish, option)
    }
}

fn try_flavor<F: AnyFlavor, T: Message + ?Sized>(wish: &Wish, shape: Shape) {
    let name = Name::new();
    let address = || if wish.private { Options::private() } else { name.options() };
    let wrong = wish.wrong(shape);
    let made = wish.options(address()).create::<F::Sender<T>>();
    if !wrong.is_empty() {
        match made {
            Err(Error::InvalidOption { option, reason, .. }) => {
                assert!(wrong.contains(option), "{option}, not one of {wrong:?}");
                assert!(!reason.is_empty());
            }
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("created in spite of {wrong:?}"),
        }
        let nothing = sysvring::stat(name.as_str());
        assert!(matches!(nothing, Err(Error::NotFound { .. })), "{nothing:?}");
        return;
    }
    let tx = made.expect("all options are valid");
    let stat = tx.stat().expect("stat");
    wish.check(shape, &name, &stat);
    wish.check(shape, &name, &sysvring::stat(stat.id).expect("stat"));
    let there = || if wish.private { Options::id(stat.id) } else { name.options() };
    // Attaches with the same options and with none. The lifetime of a private channel is for
    // creators only.
    let same = Wish { lifetime: wish.lifetime.filter(|_| !wish.private), ..wish.clone() };
    // An unset schema is 0.
    let none = wish.schema.map_or(there(), |schema| there().schema(schema));
    for options in [same.options(there()), none] {
        let rx: F::Receiver<T> = options.attach().expect("the channel is as requested");
        let alive = rx.stat().expect("stat").members.iter().filter(|m| m.alive).count();
        assert_eq!(alive, 2);
    }
    let (changed, option) = Wish { change: wish.change, ..same }.changed();
    match changed.options(there()).attach::<F::Receiver<T>>() {
        Err(Error::OptionMismatch { option: found, expected, found: there, .. }) => {
            assert_eq!(found, option);
            assert_ne!(expected, there);
        }
        Err(Error::TypeMismatch { .. }) => assert_eq!(option, "schema"),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("attached although {option} differs"),
    }
    let alive = tx.stat().expect("stat").members.iter().filter(|m| m.alive).count();
    assert_eq!(alive, 1, "the refused attempts left no trace");
}

fn try_type<T: Message + ?Sized>(wish: &Wish, shape: Shape) {
    match wish.mpmc {
        true => try_flavor::<Mpmc, T>(wish, shape),
        false => try_flavor::<Spsc, T>(wish, shape),
    }
}

fn try_wish(wish: Wish) {
    let shape = |variable, size, align| Shape { variable, size, align };
    match wish.message {
        0 => try_type::<u64>(&wish, shape(false, 8, 8)),
        1 => try_type::<[u8; 3]>(&wish, shape(false, 3, 1)),
        2 => try_type::<[u8]>(&wish, shape(true, 0, 1)),
        _ => try_type::<Letter>(&wish, shape(true, 16, 4)),
    }
}

#[test]
fn accepted_options_round_trip_and_refused_ones_are_named() {
    for_all(400, file!(), wishes(), try_wish);
}
