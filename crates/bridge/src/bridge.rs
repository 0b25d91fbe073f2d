//! Running all routes, each as a task, until the bridge is to end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tracing::{Instrument, error, info, info_span, warn};

use crate::arguments::Arguments;
use crate::backoff::Backoff;
use crate::check;
use crate::config::{Config, ConfigError};
use crate::inward::InLoop;
use crate::metrics::{self, Route, RouteCounts};
use crate::nats::{ConnectError, Connection, NatsInlet, NatsOutlet, connect};
use crate::out::OutLoop;
use crate::route_error::RouteError;
use crate::stop::{self, Stop, Stopper};
use crate::supervise::supervise;

/// The time for the last acknowledgements to leave this machine.
const FLUSH: Duration = Duration::from_secs(5);

/// The reason why the bridge ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The routes file is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The directives of the log are wrong.
    #[error("the log: {0}; give --log info, or correct RUST_LOG")]
    Log(String),
    /// The runtime cannot be started.
    #[error("the runtime cannot be started: {0}")]
    Runtime(#[source] io::Error),
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A route cannot work.
    #[error("route {direction} {name}: {source}")]
    Route {
        /// `out` or `in`.
        direction: &'static str,
        /// The name of the route.
        name: String,
        /// Why.
        source: Box<RouteError>,
    },
    /// The check found routes that cannot work.
    #[error("{0} of the routes cannot work now")]
    Check(usize),
    /// The metrics cannot be served.
    #[error("metrics cannot be served at {address}: {source}; give --metrics another address")]
    Metrics {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

impl Failure {
    /// Returns the exit code of the command.
    pub fn code(&self) -> u8 {
        match self {
            Failure::Config(_) | Failure::Log(_) => 2,
            _ => 1,
        }
    }
}

/// Runs the routes of a configuration until SIGTERM or SIGINT, or checks them.
///
/// # Errors
/// [`Failure`].
pub async fn run(config: Config, arguments: &Arguments) -> Result<(), Failure> {
    if arguments.check {
        return check::run(&config).await;
    }
    let (stopper, mut stop) = stop::channel();
    let stopper = Arc::new(stopper);
    stop_on_signals(stopper.clone()).map_err(Failure::Runtime)?;
    let listener = match arguments.metrics {
        Some(address) => {
            let failed = |source| Failure::Metrics { address, source };
            Some(TcpListener::bind(address).await.map_err(failed)?)
        }
        None => None,
    };
    let Some(connection) = connect_at_last(&config, &mut stop).await? else { return Ok(()) };
    let until_end = arguments.until_end;
    let shared = Shared { config: Arc::new(config), connection, stop, until_end };
    let (routes, tasks) = shared.start();
    if let Some(listener) = listener {
        tokio::spawn(metrics::serve(listener, routes));
    }
    let result = end_of_all(tasks).await;
    let _ = tokio::time::timeout(FLUSH, shared.connection.client.flush()).await;
    result
}

/// Gives the order to end on SIGTERM and SIGINT.
fn stop_on_signals(stopper: Arc<Stopper>) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        info!("ending");
        stopper.stop();
    });
    Ok(())
}

/// Connects, and tries again for as long as the server cannot be reached.
async fn connect_at_last(
    config: &Config,
    stop: &mut Stop,
) -> Result<Option<Connection>, ConnectError> {
    let mut backoff = Backoff::default();
    let mut is_reported = false;
    while !stop.is_set() {
        let attempt = tokio::select! {
            attempt = connect(&config.server) => attempt,
            () = stop.wait() => break,
        };
        match attempt {
            Ok(connection) => return Ok(Some(connection)),
            Err(error) if !error.is_temporary() => return Err(error),
            Err(_) if is_reported => {}
            Err(error) => {
                warn!("{error}; trying again");
                is_reported = true;
            }
        }
        stop.pause(backoff.pause()).await;
    }
    Ok(None)
}

/// What all routes have in common.
#[derive(Clone)]
struct Shared {
    config: Arc<Config>,
    connection: Connection,
    stop: Stop,
    until_end: bool,
}

impl Shared {
    /// Starts all routes. Returns what they count, and their tasks.
    fn start(&self) -> (Vec<Route>, JoinSet<Result<(), Failure>>) {
        let (mut routes, mut tasks) = (Vec::new(), JoinSet::new());
        let mut add = |direction, name: &str| {
            let counts = Arc::new(RouteCounts::default());
            routes.push(Route { direction, name: name.into(), counts: counts.clone() });
            counts
        };
        for (index, route) in self.config.outs.iter().enumerate() {
            let run = self.clone().run_out(index, add("out", &route.name));
            tasks.spawn(run.instrument(info_span!("out", route = route.name)));
        }
        for (index, route) in self.config.ins.iter().enumerate() {
            let run = self.clone().run_in(index, add("in", &route.name));
            tasks.spawn(run.instrument(info_span!("in", route = route.name)));
        }
        (routes, tasks)
    }

    async fn run_out(self, index: usize, counts: Arc<RouteCounts>) -> Result<(), Failure> {
        let Some(route) = self.config.outs.get(index) else { return Ok(()) };
        let once = || {
            let outlet = NatsOutlet::new(&self.connection, route);
            let (counts, state, until_end) = (&*counts, &*self.config.state, self.until_end);
            let stop = self.stop.clone();
            let mut route = OutLoop { route, outlet, counts, stop, until_end, state };
            async move { route.run().await }
        };
        let result = supervise(once, &counts, self.stop.clone()).await;
        result.map_err(|error| failure("out", &route.name, error))
    }

    async fn run_in(self, index: usize, counts: Arc<RouteCounts>) -> Result<(), Failure> {
        let Some(route) = self.config.ins.get(index) else { return Ok(()) };
        let once = || {
            let inlet = NatsInlet::new(&self.connection, route);
            let (counts, state, until_end) = (&*counts, &*self.config.state, self.until_end);
            let stop = self.stop.clone();
            let mut route = InLoop { route, inlet, counts, stop, until_end, state };
            async move { route.run().await }
        };
        let result = supervise(once, &counts, self.stop.clone()).await;
        result.map_err(|error| failure("in", &route.name, error))
    }
}

fn failure(direction: &'static str, name: &str, error: RouteError) -> Failure {
    Failure::Route { direction, name: name.into(), source: Box::new(error) }
}

/// Waits until all routes have ended. If one cannot work, the others go on.
async fn end_of_all(mut tasks: JoinSet<Result<(), Failure>>) -> Result<(), Failure> {
    let mut result = Ok(());
    while let Some(ended) = tasks.join_next().await {
        let ended = ended.unwrap_or_else(|error| {
            error!("the task of a route ended: {error}");
            Err(Failure::Runtime(io::Error::other(error)))
        });
        if let Err(failure) = &ended
            && !tasks.is_empty()
        {
            error!("{failure}; the other routes go on");
        }
        result = result.and(ended);
    }
    result
}
