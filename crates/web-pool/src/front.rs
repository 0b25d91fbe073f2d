//! The HTTP front: requests come in, go to the pool, and get their answers.

use std::convert::Infallible;
use std::io::Write;
use std::net::Ipv4Addr;
use std::process;
use std::sync::Arc;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};

use crate::channel::Channels;
use crate::message::LONGEST_BODY;
use crate::socket::Sockets;
use crate::waiting::{Waiting, Wakes};
use crate::workers::{Link, Workers};
use crate::{Failure, Serve, Transport};

/// What all requests need.
struct Front {
    waiting: Arc<Waiting>,
    wakes: Arc<Wakes>,
    workers: Arc<Workers>,
    link: Link,
}

/// Serves until SIGINT or SIGTERM.
pub fn run(options: &Serve) -> Result<(), Failure> {
    let runtime = match options.threads {
        1 => tokio::runtime::Builder::new_current_thread().enable_all().build()?,
        threads => {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(threads.into()).enable_all().build()?
        }
    };
    // Handles are dropped with the runtime, so that the channels end with it.
    runtime.block_on(serve(options))
}

async fn serve(options: &Serve) -> Result<(), Failure> {
    let (waiting, wakes): (Arc<Waiting>, Arc<Wakes>) = Default::default();
    let link = match options.transport {
        Transport::Sysvring => Link::Channels(Arc::new(Channels::new(options.workers.into())?)),
        Transport::Unix => {
            let (waiting, wakes) = (Arc::clone(&waiting), Arc::clone(&wakes));
            Link::Sockets(Arc::new(Sockets::new(waiting, wakes)))
        }
    };
    let workers = Arc::new(Workers::new(options.workers.into()));
    let front = Arc::new(Front { waiting, wakes, workers, link });

    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await?;
    let mut running = tokio::spawn(Arc::clone(&front.workers).run(front.link.clone()));
    let killing = options.kill.map(|pause| {
        let workers = Arc::clone(&front.workers);
        tokio::spawn(workers.kill_every(pause))
    });
    let receiving = Arc::clone(&front);
    let mut receiving = tokio::spawn(async move { receiving.receive().await });
    writeln!(std::io::stdout(), "listening on {}", listener.local_addr()?)?;
    let ended = loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                tokio::spawn(connection(Arc::clone(&front), stream));
            }
            received = &mut receiving => break received?,
            ran = &mut running => break ran?.map_err(Failure::from),
            _ = interrupted.recv() => break Ok(()),
            _ = terminated.recv() => break Ok(()),
        }
    };
    // The workers end first: the last member of a private channel removes it.
    killing.inspect(|task| task.abort());
    front.workers.stop();
    if !running.is_finished() {
        running.await??;
    }
    ended
}

async fn connection(front: Arc<Front>, stream: TcpStream) {
    // Without it, answers wait for earlier ones to be acknowledged by TCP.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request: Request<Incoming>| {
        let front = Arc::clone(&front);
        async move { Ok::<_, Infallible>(front.respond(request.uri().path()).await) }
    });
    // A client that breaks its connection is none of our errors.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

fn response(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response
}

impl Front {
    /// Receives the answers that come through channels. Sockets have a task each.
    async fn receive(&self) -> Result<(), Failure> {
        match &self.link {
            Link::Channels(channels) => Ok(channels.receive(&self.waiting, &self.wakes).await?),
            Link::Sockets(_) => std::future::pending().await,
        }
    }

    async fn respond(&self, path: &str) -> Response<Full<Bytes>> {
        if path == "/stats" {
            return response(StatusCode::OK, self.stats());
        }
        let Some(text) = path.strip_prefix("/hash/") else {
            return response(StatusCode::NOT_FOUND, "GET /hash/TEXT or /stats\n");
        };
        if text.len() > LONGEST_BODY {
            return response(StatusCode::URI_TOO_LONG, "");
        }
        match self.ask(text.as_bytes()).await {
            Ok(answer) => response(StatusCode::OK, answer),
            Err(failure) => response(StatusCode::BAD_GATEWAY, failure.to_string()),
        }
    }

    /// Lets a worker answer.
    async fn ask(&self, text: &[u8]) -> Result<Vec<u8>, Failure> {
        let request = self.waiting.enter();
        match &self.link {
            // Full, it makes this task wait, and the client with it.
            Link::Channels(channels) => channels.send(request.id, text).await?,
            Link::Sockets(sockets) => sockets.send(request.id, text).await,
        }
        request.answer().await.ok_or(Failure::Ended)
    }

    /// Returns what a benchmark needs, a line each.
    fn stats(&self) -> String {
        let pids: Vec<String> = self.workers.pids().iter().map(u32::to_string).collect();
        let (wakes, futile) = self.wakes.numbers();
        format!(
            "front {}\nworkers {}\nrequests {}\nkilled {}\nduplicates {}\nwakes {wakes}\n\
             futile {futile}\n",
            process::id(),
            pids.join(" "),
            self.waiting.requests(),
            self.workers.deaths(),
            self.waiting.duplicates(),
        )
    }
}
