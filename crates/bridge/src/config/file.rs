//! The fields of a routes file, and what must hold for their values.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use super::address::{ChannelFields, Key, short};
use super::error::Problem;
use super::server::ServerFields;
use super::{Config, InRoute, Order, OutRoute};

/// Messages in flight, unless the file says more.
const IN_FLIGHT: usize = 1024;
/// The maximum: a client holds as many messages of one subscription.
const IN_FLIGHT_MAX: usize = 65_536;
/// The maximum length of a member's label in bytes.
const LABEL_MAX: usize = 32;
/// The maximum length of a route's name in bytes, which is a part of a file name.
const NAME_MAX: usize = 64;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    server: Spanned<ServerFields>,
    #[serde(default)]
    out: Vec<Spanned<OutFields>>,
    #[serde(default, rename = "in")]
    ins: Vec<Spanned<InFields>>,
    #[serde(default)]
    state: StateFields,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct StateFields {
    directory: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OutFields {
    name: Option<String>,
    channel: Option<String>,
    key: Option<Key>,
    id: Option<String>,
    owner: Option<u32>,
    subject: String,
    stream: Option<String>,
    in_flight: Option<usize>,
    #[serde(default)]
    order: Order,
    label: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InFields {
    name: Option<String>,
    channel: Option<String>,
    key: Option<Key>,
    id: Option<String>,
    owner: Option<u32>,
    stream: String,
    subject: Option<String>,
    consumer: String,
    in_flight: Option<usize>,
    reject_to: Option<String>,
    label: Option<String>,
}

impl Config {
    /// Reads the text of a routes file.
    pub(super) fn parse(text: &str) -> Result<Config, Problem> {
        let at = |start: usize| {
            let line = 1 + text.as_bytes().iter().take(start).filter(|&&b| b == b'\n').count();
            move |message| Problem::Value { line, message }
        };
        // Without the text of the line, which may have a secret in it that does not belong there.
        let fields: Fields = toml::from_str(text).map_err(|error| match error.span() {
            Some(span) => at(span.start)(error.message().into()),
            None => Problem::Syntax(error.message().into()),
        })?;
        let server_at = at(fields.server.span().start);
        let server = fields.server.into_inner().check().map_err(server_at)?;
        if fields.out.is_empty() && fields.ins.is_empty() {
            return Err(at(0)("there is no route; add a table [[out]] or [[in]]".into()));
        }
        let mut names = HashSet::new();
        let mut once =
            |direction: &str, name: &str| match names.insert(format!("{direction} {name}")) {
                true => Ok(()),
                false => {
                    Err(format!("two {direction} routes are named {name:?}; give one another name"))
                }
            };
        let mut outs = Vec::new();
        let mut labels = HashSet::new();
        let mut relaxed = HashSet::new();
        for route in fields.out {
            let at = at(route.span().start);
            let mut check = |route: OutFields| {
                let route = route.check()?;
                once("out", &route.name)?;
                // A stream takes the second one of two messages with the same id for the first.
                let is_new =
                    route.order == Order::Strict || relaxed.insert(route.channel.to_string());
                if !is_new {
                    return Err(format!(
                        "two routes of channel {} have order = \"relaxed\", and in one stream the messages of one \
                         would count as those of the other; write order = \"strict\" for one, with a stream of \
                         its own",
                        route.channel
                    ));
                }
                // A broadcast channel resumes a receiver by its label.
                match labels.insert(route.label.clone()) {
                    true => Ok(route),
                    false => Err(format!(
                        "two routes have the label {:?} (32 bytes count); give one another label",
                        route.label
                    )),
                }
            };
            outs.push(check(route.into_inner()).map_err(at)?);
        }
        let mut ins = Vec::new();
        let mut consumers = HashSet::new();
        for route in fields.ins {
            let at = at(route.span().start);
            let mut check = |route: InFields| {
                let route = route.check()?;
                once("in", &route.name)?;
                match consumers.insert((route.stream.clone(), route.consumer.clone())) {
                    true => Ok(route),
                    false => Err(format!(
                        "two routes share the consumer {:?} of stream {:?}; give one another consumer",
                        route.consumer, route.stream
                    )),
                }
            };
            ins.push(check(route.into_inner()).map_err(at)?);
        }
        let state = fields.state.directory.unwrap_or_else(default_state);
        Ok(Config { server, outs, ins, state })
    }
}

impl OutFields {
    fn check(self) -> Result<OutRoute, String> {
        let OutFields { channel, key, id, owner, subject, stream, order, label, .. } = self;
        let channel = ChannelFields { channel, key, id, owner }.address()?;
        let name = check_name(self.name.unwrap_or_else(|| short(&channel)))?;
        check_subject("subject", &subject, false)?;
        stream.as_deref().map_or(Ok(()), |stream| check_object("stream", stream))?;
        let in_flight = check_in_flight(self.in_flight)?;
        let label = check_label(label.unwrap_or_else(|| format!("bridge {name}")))?;
        Ok(OutRoute { name, channel, subject, stream, in_flight, order, label })
    }
}

impl InFields {
    fn check(self) -> Result<InRoute, String> {
        let InFields {
            channel, key, id, owner, stream, subject, consumer, reject_to, label, ..
        } = self;
        let channel = ChannelFields { channel, key, id, owner }.address()?;
        let name = check_name(self.name.unwrap_or_else(|| short(&channel)))?;
        subject.as_deref().map_or(Ok(()), |subject| check_subject("subject", subject, true))?;
        reject_to.as_deref().map_or(Ok(()), |to| check_subject("reject_to", to, false))?;
        check_object("stream", &stream)?;
        check_object("consumer", &consumer)?;
        let in_flight = check_in_flight(self.in_flight)?;
        let label = check_label(label.unwrap_or_else(|| format!("bridge {name}")))?;
        Ok(InRoute { name, stream, subject, consumer, channel, in_flight, reject_to, label })
    }
}

/// Checks a name that is a part of file names and of metrics.
fn check_name(name: String) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    match (1..=NAME_MAX).contains(&name.len()) && name.chars().all(is_plain) {
        true => Ok(name),
        false => Err(format!(
            "{name:?} cannot name a route; give a name of 1 to {NAME_MAX} letters, digits, '-', '_' \
             and '.'"
        )),
    }
}

/// Checks a subject, in which wildcards may be allowed.
fn check_subject(field: &str, subject: &str, wildcards: bool) -> Result<(), String> {
    let is_token = |token: &str| {
        !token.is_empty()
            && !token.contains(|c: char| c.is_whitespace() || c.is_control())
            && (wildcards || !(token == "*" || token == ">"))
    };
    match subject.split('.').all(is_token) {
        true => Ok(()),
        false => Err(format!(
            "{field} = {subject:?} is not a subject; give words with dots between them{}",
            if wildcards { "" } else { ", without wildcards" }
        )),
    }
}

/// Checks the name of a stream or consumer.
fn check_object(field: &str, name: &str) -> Result<(), String> {
    let is_wrong = |c: char| c.is_whitespace() || c.is_control() || ".*>/\\".contains(c);
    match name.is_empty() || name.contains(is_wrong) {
        false => Ok(()),
        true => Err(format!(
            "{field} = {name:?} is not the name of a {field}; give one without spaces, '.', '*', \
             '>' and slashes"
        )),
    }
}

fn check_in_flight(in_flight: Option<usize>) -> Result<usize, String> {
    let in_flight = in_flight.unwrap_or(IN_FLIGHT);
    match (1..=IN_FLIGHT_MAX).contains(&in_flight) {
        true => Ok(in_flight),
        false => Err(format!("in_flight = {in_flight} is out of range; give 1 to {IN_FLIGHT_MAX}")),
    }
}

/// Returns the part of a label that the channel keeps.
fn check_label(mut label: String) -> Result<String, String> {
    if label.contains(char::is_control) {
        return Err(format!("label = {label:?} has a control character; leave it out"));
    }
    let mut end = label.len().min(LABEL_MAX);
    while !label.is_char_boundary(end) {
        end -= 1;
    }
    label.truncate(end);
    Ok(label)
}

/// Returns the folder in that of the user's session, or in `/run`.
fn default_state() -> PathBuf {
    let run = std::env::var_os("XDG_RUNTIME_DIR").filter(|run| !run.is_empty());
    Path::new(&run.unwrap_or_else(|| "/run".into())).join("sysvring-bridge")
}
