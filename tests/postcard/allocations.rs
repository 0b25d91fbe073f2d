//! Sending a value allocates nothing.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use sysvring_support::name::Name;
use sysvring_support::test;

use crate::flavors::{ValueFlavor as AnyFlavor, pair};
use crate::sample::{Line, Order, Side, Units};

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

/// Counts the allocations of each thread.
struct Counting;

fn count() {
    // A thread that ends may allocate when it has no counter any more.
    let _ = COUNT.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: everything is passed on.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's contract.
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Returns how often this thread allocates while `f` runs.
fn allocations<R>(f: impl FnOnce() -> R) -> (u64, R) {
    let before = COUNT.get();
    let result = f();
    (COUNT.get() - before, result)
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| 7), (0, 7));
    assert_eq!(allocations(|| Box::new(7)).0, 1);
}

#[test]
fn sending_allocates_nothing<F: AnyFlavor>() {
    let name = Name::new();
    let (mut tx, mut rx) = pair::<F, Order>(name.options().capacity(4).slot_size(4096));
    let line = |n| Line("a line".repeat(20), Units(n), (0..40).collect(), ());
    let order = Order {
        id: u64::MAX,
        side: Side::Named("a name".repeat(20)),
        note: Some("a note".repeat(20)),
        lines: (0..20).map(line).collect(),
        tags: (0..20).map(|n| (n.to_string(), vec![1, 2, 3])).collect(),
        bounds: (1, 2, 3.0, 4.0),
        initials: ['a', 'ß'],
        urgent: true,
        parent: None,
    };
    for _ in 0..40 {
        let (count, sent) = allocations(|| F::send_value(&mut tx, &order));
        assert_eq!((count, sent), (0, Ok(())));
        assert_eq!(F::recv_value(&mut rx).as_ref(), Ok(&order));
    }
    // Neither does one that is too long.
    let long = Order { note: Some("x".repeat(5_000)), ..order };
    let (count, sent) = allocations(|| F::send_value(&mut tx, &long));
    assert!(count == 0 && sent.is_err(), "{count} allocations, {sent:?}");
}

/// A receiver allocates what the value has, and nothing for its copy of the message.
#[test]
fn receiving_reuses_its_copy<F: AnyFlavor>() {
    let name = Name::new();
    let (mut tx, mut rx) = pair::<F, (u64, [u16; 20])>(name.options().capacity(4).slot_size(4096));
    for n in 0..20 {
        F::send_value(&mut tx, &(n, [700; 20])).expect("room");
        let (count, received) = allocations(|| F::recv_value(&mut rx));
        assert_eq!(received, Ok((n, [700; 20])));
        assert!(n == 0 || count == 0, "{count} allocations for value {n}");
    }
}
