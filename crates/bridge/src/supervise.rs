//! Keeping a route going: what failed is done again.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{error, info, warn};

use crate::backoff::Backoff;
use crate::metrics::RouteCounts;
use crate::route_error::RouteError;
use crate::stop::Stop;

/// A route that worked for so long starts again with the shortest pause after an error.
const STEADY: Duration = Duration::from_secs(10);
/// The time after which the same error is logged again.
const REPEAT: Duration = Duration::from_secs(60);
/// The time that a route has to end, which is more than the time that acknowledgements may take.
const OVERDUE: Duration = Duration::from_secs(20);

/// Runs a route until it ends by itself, the bridge is to end, or another attempt is of no use.
///
/// # Errors
/// [`RouteError`], if another attempt is of no use, or messages stay unacknowledged at the end.
pub async fn supervise<F: Future<Output = Result<(), RouteError>>>(
    once: impl Fn() -> F,
    counts: &RouteCounts,
    mut stop: Stop,
) -> Result<(), RouteError> {
    let mut backoff = Backoff::default();
    let mut reported = (String::new(), Instant::now());
    loop {
        let began = Instant::now();
        let result = tokio::select! {
            result = once() => result,
            () = overdue(stop.clone()) => {
                warn!("ending without the answer of a server that may not be there");
                return Ok(());
            }
        };
        counts.up.set(0);
        let error = match result {
            Ok(()) => return Ok(()),
            Err(error) if error.is_permanent() => return Err(error),
            Err(error @ RouteError::Unacknowledged { .. }) => return Err(error),
            Err(error) => error,
        };
        if began.elapsed() > STEADY || error.is_removal() {
            backoff.reset();
            reported.0.clear();
        }
        if error.is_removal() {
            info!("the channel was removed");
        } else {
            counts.failures.add(1);
            let text = error.to_string();
            if text != reported.0 || reported.1.elapsed() > REPEAT {
                error!("{text}; trying again");
                reported = (text, Instant::now());
            }
        }
        if stop.pause(backoff.pause()).await {
            warn!("ending while the route does not work");
            return Ok(());
        }
    }
}

/// Waits until the route should have ended by itself.
async fn overdue(mut stop: Stop) {
    stop.wait().await;
    tokio::time::sleep(OVERDUE).await;
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::engine::EngineError;
    use crate::stop;
    use crate::testing::block_on;

    fn run(outcome: impl Fn(u32) -> Result<(), RouteError>) -> (Result<(), RouteError>, u32, u64) {
        let (_stopper, stop) = stop::channel();
        let (attempts, counts) = (Cell::new(0), RouteCounts::default());
        let once = || {
            attempts.set(attempts.get() + 1);
            let result = outcome(attempts.get());
            async { result }
        };
        let result = block_on(supervise(once, &counts, stop));
        (result, attempts.get(), counts.failures.get())
    }

    #[test]
    fn what_may_pass_is_tried_again() {
        let refused = || Err(EngineError::Refused("no space".into()).into());
        let outcome = |attempt| if attempt < 5 { refused() } else { Ok(()) };
        assert!(matches!(run(outcome), (Ok(()), 5, 4)));
    }

    #[test]
    fn what_does_not_pass_ends_the_route() {
        let outcome = |_| Err(EngineError::Misconfigured("another stream".into()).into());
        assert!(matches!(run(outcome), (Err(_), 1, 0)));
    }
}
