//! The server of a routes file, and how to log in there. Secrets are in files or in the environment, and
//! are read when the bridge connects.

use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;

/// A server and how to log in there.
#[derive(Clone, Debug)]
pub struct Server {
    /// Addresses of the server, or of servers of one cluster.
    pub urls: Vec<String>,
    /// How to log in.
    pub login: Login,
    /// What the connection is encrypted with.
    pub tls: Tls,
}

/// How to log in.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Login {
    /// Without credentials.
    None,
    /// With a credentials file: a JWT and a seed.
    Credentials(Secret),
    /// With the seed of an nkey.
    Nkey(Secret),
    /// With a token.
    Token(Secret),
    /// With a user and a password.
    Password {
        /// The user.
        user: String,
        /// The password.
        password: Secret,
    },
}

/// Where a secret is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Secret {
    /// In a file.
    File(PathBuf),
    /// In an environment variable.
    Variable(String),
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Secret::File(path) => write!(f, "the file {}", path.display()),
            Secret::Variable(name) => write!(f, "the environment variable {name}"),
        }
    }
}

/// What the connection is encrypted with.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// A file with certificates of authorities to trust beside those of the system.
    pub ca: Option<PathBuf>,
    /// A file with the certificate of this client.
    pub certificate: Option<PathBuf>,
    /// A file with the key of that certificate.
    pub key: Option<PathBuf>,
    /// Whether a connection without TLS is refused; not set, it is if there is this table.
    pub required: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServerFields {
    url: Urls,
    credentials_file: Option<PathBuf>,
    credentials_env: Option<String>,
    nkey_file: Option<PathBuf>,
    nkey_env: Option<String>,
    token_file: Option<PathBuf>,
    token_env: Option<String>,
    user: Option<String>,
    password_file: Option<PathBuf>,
    password_env: Option<String>,
    tls: Option<Tls>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Urls {
    One(String),
    Many(Vec<String>),
}

impl ServerFields {
    pub(super) fn check(self) -> Result<Server, String> {
        let urls = match self.url {
            Urls::One(url) => vec![url],
            Urls::Many(urls) => urls,
        };
        if urls.is_empty() {
            return Err("url is an empty list; give the address of a server".into());
        }
        // The text is not repeated: it may contain a password.
        if urls.iter().any(|url| url.contains('@')) {
            return Err("url contains credentials; put them into a file, and give \
                        credentials_file, nkey_file, token_file, or user and password_file"
                .into());
        }
        let mut tls = self.tls.unwrap_or(Tls { required: Some(false), ..Tls::default() });
        tls.required.get_or_insert(true);
        if tls.certificate.is_some() != tls.key.is_some() {
            return Err("tls.certificate and tls.key go together; give both or none".into());
        }
        let secret = |name: &str, file, variable| match (file, variable) {
            (None, None) => Ok(None),
            (Some(path), None) => Ok(Some(Secret::File(path))),
            (None, Some(variable)) => Ok(Some(Secret::Variable(variable))),
            (Some(_), Some(_)) => Err(format!("give one of {name}_file and {name}_env")),
        };
        let credentials = secret("credentials", self.credentials_file, self.credentials_env)?;
        let nkey = secret("nkey", self.nkey_file, self.nkey_env)?;
        let token = secret("token", self.token_file, self.token_env)?;
        let password = secret("password", self.password_file, self.password_env)?;
        let login = match (credentials, nkey, token, self.user, password) {
            (None, None, None, None, None) => Login::None,
            (Some(credentials), None, None, None, None) => Login::Credentials(credentials),
            (None, Some(nkey), None, None, None) => Login::Nkey(nkey),
            (None, None, Some(token), None, None) => Login::Token(token),
            (None, None, None, Some(user), Some(password)) => Login::Password { user, password },
            (None, None, None, Some(_), None) => {
                return Err("user needs password_file or password_env".into());
            }
            _ => {
                return Err(
                    "give one of credentials, nkey, token, and user with password, each as \
                            ..._file or ..._env"
                        .into(),
                );
            }
        };
        Ok(Server { urls, login, tls })
    }
}
