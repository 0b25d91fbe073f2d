//! The text: families of samples, each labelled with its route.

use std::fmt::Write;

use super::{Counter, Route, RouteCounts};

/// A family of samples: its name, whether it only grows, what it is, and its value.
type Family = (&'static str, bool, &'static str, fn(&RouteCounts) -> &Counter);

const FAMILIES: [Family; 8] = [
    ("up", false, "Whether the route works now.", |c| &c.up),
    ("in_flight_messages", false, "Messages published or delivered and not acknowledged.", |c| {
        &c.in_flight
    }),
    (
        "messages",
        true,
        "Messages that left the channel as they are stored, or were sent into it.",
        |c| &c.messages,
    ),
    ("bytes", true, "Payload bytes of these messages.", |c| &c.bytes),
    ("duplicate_messages", true, "Times that a message was found to have arrived before.", |c| {
        &c.duplicates
    }),
    ("rejected_messages", true, "Messages that the channel could not take.", |c| &c.rejected),
    ("missed_messages", true, "Messages that were overwritten before they were received.", |c| {
        &c.missed
    }),
    ("failures", true, "Attempts that failed and were made again.", |c| &c.failures),
];

/// Returns the counts of all routes as OpenMetrics text.
pub fn text(routes: &[Route]) -> String {
    let mut text = String::new();
    for (name, is_counter, help, value) in FAMILIES {
        let (kind, suffix) = if is_counter { ("counter", "_total") } else { ("gauge", "") };
        // Writing to a text does not fail.
        let _ = writeln!(text, "# TYPE sysvring_bridge_{name} {kind}");
        let _ = writeln!(text, "# HELP sysvring_bridge_{name} {help}");
        for Route { direction, name: route, counts } in routes {
            let value = value(counts).get();
            let labels = format!("direction=\"{direction}\",route=\"{route}\"");
            let _ = writeln!(text, "sysvring_bridge_{name}{suffix}{{{labels}}} {value}");
        }
    }
    text + "# EOF\n"
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn each_family_has_a_sample_of_each_route() {
        let route = |direction, name: &str| {
            let counts = Arc::new(RouteCounts::default());
            Route { direction, name: name.into(), counts }
        };
        let routes = [route("out", "frames"), route("in", "orders")];
        routes[1].counts.messages.add(7);
        routes[0].counts.up.set(1);
        let text = text(&routes);
        assert!(
            text.contains("sysvring_bridge_messages_total{direction=\"in\",route=\"orders\"} 7\n")
        );
        assert!(text.contains("sysvring_bridge_up{direction=\"out\",route=\"frames\"} 1\n"));
        assert_eq!(text.lines().count(), FAMILIES.len() * 4 + 1);
        assert!(text.ends_with("# EOF\n"));
    }
}
