//! Segments and sets that look like those of channels, and are not of a channel that can be used.

use std::collections::BTreeSet;
use std::fs;

use nix::errno::Errno;
use sysvring::{Defect, IpcObject, Reaped, Unusable};

use super::Finding;
use crate::{refused, remedy, users};

/// Returns the objects with the mark of channels that are none, or cannot be used, apart from what
/// was left over, or is the set of a channel (`beside`): those are findings already. What belongs to
/// other users is one finding, and what a sandbox refused to show is none.
pub fn unusable(left: &[Reaped], beside: &[i32]) -> Vec<Finding> {
    let check = "unusable";
    let mut objects = match sysvring::unusable() {
        Ok(objects) => objects,
        Err(error) => {
            return vec![Finding::note(check, format!("not checked: {}", remedy::of(&error)), "")];
        }
    };
    objects.retain(|unusable| !left.iter().any(|left| is_part(&unusable.object, left)));
    objects.retain(
        |unusable| !matches!(&unusable.object, IpcObject::Set(stat) if beside.contains(&stat.id)),
    );
    let is_unseen = objects.iter().any(is_refused);
    objects.retain(|unusable| match unusable.defect {
        // Perhaps a segment that was not read belongs to it.
        Defect::NoSegment => !is_unseen,
        _ => !is_refused(unusable),
    });
    // The set of a segment that is none either goes with it.
    let keys: Vec<i32> = objects.iter().filter_map(segment_key).collect();
    objects.retain(|unusable| {
        let is_set = matches!(unusable.object, IpcObject::Set(_));
        !(is_set && unusable.defect == Defect::NoSegment && keys.contains(&unusable.object.key()))
    });
    let (forbidden, objects): (Vec<_>, Vec<_>) = objects.into_iter().partition(is_forbidden);
    let finding = |unusable: Unusable| {
        let found = unusable.object.to_string();
        if let (IpcObject::Set(set), Defect::NoSegment) = (&unusable.object, &unusable.defect)
            && let Some(Segment { id, mode, .. }) = unreadable_segment(set.key)
        {
            return Finding::problem(
                check,
                format!("{found}: its segment {id} cannot be read (mode {mode:04o})"),
                "restore the mode of the segment with shmctl(IPC_SET), at least 0600, or run \
                 `sysvring doctor` as root",
            );
        }
        let (why, remedy) = remedy::of_unusable(&unusable);
        let found = format!("{found}: {why}");
        match unusable.defect {
            Defect::Unreadable { .. } | Defect::NotAChannel { .. } => {
                Finding::note(check, found, remedy)
            }
            _ => Finding::problem(check, found, remedy),
        }
    };
    forbidden_ones(&forbidden).into_iter().chain(objects.into_iter().map(finding)).collect()
}

/// Returns the key of a segment that has one.
fn segment_key(unusable: &Unusable) -> Option<i32> {
    let is_segment = matches!(unusable.object, IpcObject::Segment(_));
    Some(unusable.object.key()).filter(|key| is_segment && *key != 0)
}

/// Returns whether an object is part of what was left over.
fn is_part(object: &IpcObject, left: &Reaped) -> bool {
    match object {
        IpcObject::Segment(stat) => left.segment == Some(stat.id),
        IpcObject::Set(stat) => left.set == Some(stat.id),
        _ => false,
    }
}

/// Returns whether this user may not read an object.
fn is_forbidden(unusable: &Unusable) -> bool {
    let denied = Errno::EACCES as i32;
    matches!(unusable.defect, Defect::Unreadable { errno, .. } if errno == denied)
}

/// Returns whether a sandbox refused to show an object.
fn is_refused(unusable: &Unusable) -> bool {
    matches!(unusable.defect, Defect::Unreadable { errno, .. } if refused::is_refusal(errno))
}

/// Returns a note on all objects that this user may not read.
fn forbidden_ones(objects: &[Unusable]) -> Option<Finding> {
    let owners: BTreeSet<String> =
        objects.iter().map(|unusable| users::name(unusable.object.uid())).collect();
    let owners = owners.into_iter().collect::<Vec<_>>().join(", ");
    let found = match objects.len() {
        0 => return None,
        1 => format!("1 segment or set of {owners} is not readable for this user"),
        n => format!("{n} segments and sets of {owners} are not readable for this user"),
    };
    let remedy = match objects.iter().all(|unusable| unusable.object.uid() == users::me()) {
        true => "they may be channels: restore their modes, or run `sysvring doctor` as root",
        false => "they may be channels: run `sysvring doctor` as that user or as root",
    };
    Some(Finding::note("unreadable", found, remedy))
}

/// A segment in the kernel's table.
struct Segment {
    id: i32,
    mode: u32,
    uid: u32,
}

/// Returns the segment under a key if its mode does not let this user read it. Such a segment does not
/// show whether it is a channel.
fn unreadable_segment(key: i32) -> Option<Segment> {
    let table = fs::read_to_string("/proc/sysvipc/shm").ok().filter(|_| key != 0)?;
    let segment = table.lines().skip(1).find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_it = words.first()?.parse() == Ok(key);
        let mode = u32::from_str_radix(words.get(2)?, 8).ok()? & 0o777;
        let segment =
            Segment { id: words.get(1)?.parse().ok()?, mode, uid: words.get(7)?.parse().ok()? };
        is_it.then_some(segment)
    })?;
    let reads = if segment.uid == users::me() { 0o400 } else { 0o044 };
    (users::me() != 0 && segment.mode & reads == 0).then_some(segment)
}
