//! Types of the standard library without a fixed layout.

use std::cell::Cell;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

#[sysvring::message]
struct Fields {
    after: Duration, //~ ERROR `Duration` has no fixed layout: use a number, such as nanoseconds in a `u64`
    price: Option<f64>, //~ ERROR an `Option` of this type has no fixed layout: use a `bool` or a number beside the value
    pair: (u8, u8), //~ ERROR the compiler may order the fields of a tuple
    count: AtomicU64, //~ ERROR `AtomicU64` changes behind a shared reference
    cell: Cell<u8>, //~ ERROR `Cell` changes behind a shared reference
}

#[sysvring::message]
struct Text {
    id: u8,
    text: str, //~ ERROR a struct cannot end in `str`: use `[u8]`
}

#[sysvring::message]
struct Rest<T: ?Sized> {
    id: u8,
    #[message(opaque)]
    rest: T, //~ ERROR the size of an opaque field is not known with `?Sized`
}

#[sysvring::message]
struct RestByClause<T>
where
    T: ?Sized,
{
    #[message(opaque)]
    rest: T, //~ ERROR the size of an opaque field is not known with `?Sized`
}

fn main() {}
