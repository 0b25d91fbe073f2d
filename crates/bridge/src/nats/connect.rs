//! Connecting to the server.

use std::time::Duration;

use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::backoff;
use crate::config::{Login, Secret, Server};

/// A connection, which is restored whenever it is lost.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The client.
    pub client: Client,
    /// Counts how often the connection was lost.
    pub(super) losses: watch::Receiver<u64>,
}

/// The reason why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// A secret cannot be read.
    #[error("{secret} cannot be used: {reason}; correct the table [server]")]
    Secret {
        /// Where it is.
        secret: Secret,
        /// Why, without any of its text.
        reason: String,
    },
    /// The server does not admit this client, or its certificate does.
    #[error("{server}: {reason}")]
    Refused {
        /// The addresses of the server.
        server: String,
        /// What to do.
        reason: String,
    },
    /// The server cannot be reached.
    #[error("{server}: {reason}; start the server, or correct the url")]
    Unreachable {
        /// The addresses of the server.
        server: String,
        /// Why.
        reason: String,
    },
}

impl ConnectError {
    /// Returns whether another attempt may succeed without a change by an operator.
    pub fn is_temporary(&self) -> bool {
        matches!(self, ConnectError::Unreachable { .. })
    }
}

/// Connects once.
///
/// # Errors
/// [`ConnectError`].
pub async fn connect(server: &Server) -> Result<Connection, ConnectError> {
    let (loss, losses) = watch::channel(0);
    let options = tls(login(server).await?, server)
        .name("sysvring-bridge")
        .connection_timeout(Duration::from_secs(5))
        .ping_interval(Duration::from_secs(5))
        .max_reconnects(None)
        .reconnect_delay_callback(backoff::after)
        .event_callback(move |event| {
            match event {
                Event::Connected => info!("connected to the server"),
                Event::Disconnected => {
                    loss.send_modify(|losses| *losses += 1);
                    warn!("lost the connection to the server");
                }
                Event::Closed | Event::Draining => {}
                Event::ClientError(error) => {
                    warn!("the server cannot be reached: {error}; trying again");
                }
                event => warn!("{event}"),
            }
            std::future::ready(())
        });
    let client = options.connect(server.urls.clone()).await.map_err(|error| {
        let at = server.urls.join(", ");
        let refused = |reason: &str| ConnectError::Refused {
            server: at.clone(),
            reason: format!("{error}; {reason}"),
        };
        match error.kind() {
            ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => refused(
                "give credentials in the table [server] that the server accepts: credentials_file, \
                     nkey_file, token_file, or user and password_file",
            ),
            ConnectErrorKind::Tls => refused("check the files that tls of [server] names"),
            ConnectErrorKind::ServerParse => refused("write url = \"nats://host:4222\""),
            // Of TLS, the client reports some failures as those of the connection.
            _ if is_of_tls(&describe(&error)) => refused(
                "the server does not offer TLS, or one side does not accept the certificate of the \
                 other; check ca, certificate and key of tls in [server]",
            ),
            _ => ConnectError::Unreachable { server: at, reason: describe(&error) },
        }
    })?;
    Ok(Connection { client, losses })
}

/// Returns whether an error is of TLS, by its text: its type is not public.
fn is_of_tls(text: &str) -> bool {
    ["corrupt message", "certificate", "HandshakeFailure", "fatal alert"]
        .iter()
        .any(|part| text.contains(part))
}

/// Returns the text of an error with its causes.
fn describe(error: &dyn std::error::Error) -> String {
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        let why = error.to_string();
        if !text.ends_with(&why) {
            text += &format!(": {why}");
        }
        cause = error.source();
    }
    text
}

async fn login(server: &Server) -> Result<ConnectOptions, ConnectError> {
    let options = ConnectOptions::new();
    Ok(match &server.login {
        Login::None => options,
        Login::Token(secret) => options.token(read(secret)?),
        Login::Nkey(secret) => options.nkey(read(secret)?),
        Login::Password { user, password } => {
            options.user_and_password(user.clone(), read(password)?)
        }
        Login::Credentials(secret) => {
            let text = read(secret)?;
            options.credentials(&text).map_err(|_| ConnectError::Secret {
                secret: secret.clone(),
                reason: "it does not contain a JWT and a seed, as a credentials file does".into(),
            })?
        }
    })
}

/// Reads a secret, without the end of its line.
fn read(secret: &Secret) -> Result<String, ConnectError> {
    let failed = |reason: String| ConnectError::Secret { secret: secret.clone(), reason };
    let text = match secret {
        Secret::File(path) => {
            std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?
        }
        // The error of a value that is not text quotes it.
        Secret::Variable(name) => {
            std::env::var(name).map_err(|_| failed("it is not set to a text".into()))?
        }
    };
    let text = text.trim();
    match text.is_empty() {
        false => Ok(text.into()),
        true => Err(failed("it is empty".into())),
    }
}

fn tls(mut options: ConnectOptions, server: &Server) -> ConnectOptions {
    let tls = &server.tls;
    if let Some(ca) = &tls.ca {
        options = options.add_root_certificates(ca.clone());
    }
    if let (Some(certificate), Some(key)) = (&tls.certificate, &tls.key) {
        options = options.add_client_certificate(certificate.clone(), key.clone());
    }
    options.require_tls(tls.required != Some(false))
}
