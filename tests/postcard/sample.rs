//! A type with all that serde knows, and random values of it.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    pub id: u64,
    pub side: Side,
    pub note: Option<String>,
    pub lines: Vec<Line>,
    pub tags: BTreeMap<String, Vec<i32>>,
    pub bounds: (i128, u128, f64, f32),
    pub initials: [char; 2],
    pub urgent: bool,
    pub parent: Option<Box<Order>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Side {
    Buy,
    Sell(u32, i64),
    Quote { bid: u16, ask: Option<i8> },
    Named(String),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line(pub String, pub Units, pub BTreeSet<u8>, pub ());

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Units(pub i64);

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![
        Just(Side::Buy),
        any::<(u32, i64)>().prop_map(|(count, price)| Side::Sell(count, price)),
        any::<(u16, Option<i8>)>().prop_map(|(bid, ask)| Side::Quote { bid, ask }),
        ".{0,8}".prop_map(Side::Named),
    ]
}

fn line() -> impl Strategy<Value = Line> {
    (".{0,12}", any::<i64>(), any::<Vec<u8>>()).prop_map(|(text, units, set)| {
        Line(text, Units(units), set.into_iter().take(9).collect(), ())
    })
}

/// Returns orders, some of which contain others.
pub fn orders() -> impl Strategy<Value = Order> {
    let flat = (
        (any::<u64>(), side(), option::of(".{0,20}"), vec(line(), 0..4)),
        btree_map(".{0,5}", vec(any::<i32>(), 0..4), 0..4),
        (any::<i128>(), any::<u128>(), -1e9..1e9, -1e9f32..1e9),
        (any::<[char; 2]>(), any::<bool>()),
    );
    let flat = flat.prop_map(|((id, side, note, lines), tags, bounds, (initials, urgent))| Order {
        id,
        side,
        note,
        lines,
        tags,
        bounds,
        initials,
        urgent,
        parent: None,
    });
    let order = flat.boxed();
    (order.clone(), option::of(order))
        .prop_map(|(order, parent)| Order { parent: parent.map(Box::new), ..order })
}
