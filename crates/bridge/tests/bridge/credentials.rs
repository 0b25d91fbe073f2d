//! Wrong and right credentials. No secret is printed, whatever happens.

use std::path::Path;

use async_nats::ConnectOptions;
use sysvring::Flavor;
use sysvring_support::test;

use crate::admin::Admin;
use crate::members::{Expect, Load};
use crate::process::Process;
use crate::rig::{Rig, must_receive};
use crate::routes::{self, Bridge};
use crate::scratch::Scratch;
use crate::server::Server;

/// A way to log in: what the server is told, what the routes are told before the file of the secret,
/// and the secrets: one that is right, and one that is wrong.
struct Login {
    settings: String,
    words: &'static str,
    secrets: [String; 2],
    options: fn(String) -> ConnectOptions,
}

fn logins() -> [Login; 3] {
    let secrets =
        || ["a-secret-that-nobody-may-see", "another-one-that-is-wrong"].map(str::to_owned);
    let [secret, _] = secrets();
    let keys = [nkeys::KeyPair::new_user(), nkeys::KeyPair::new_user()];
    let public = keys[0].public_key();
    [
        Login {
            settings: format!("authorization {{ token: {secret:?} }}"),
            words: "token_file",
            secrets: secrets(),
            options: ConnectOptions::with_token,
        },
        Login {
            settings: format!("authorization {{ user: carrier, password: {secret:?} }}"),
            words: "user = \"carrier\"\npassword_file",
            secrets: secrets(),
            options: |secret| ConnectOptions::with_user_and_password("carrier".into(), secret),
        },
        Login {
            settings: format!("authorization {{ users: [ {{ nkey: {public:?} }} ] }}"),
            words: "nkey_file",
            secrets: keys.map(|key| key.seed().expect("a seed")),
            options: ConnectOptions::with_nkey,
        },
    ]
}

/// Checks the routes with these lines of `[server]`. Returns the exit code and what was printed.
fn check(rig: &Rig, lines: &str) -> (i32, String) {
    let server = routes::server(&rig.server.url(), lines, &rig.folder);
    let folder = Scratch::new();
    let routes = server + &routes::out(rig.source.as_str(), "");
    Bridge::new(&rig.near, &folder, "check", &routes).run(&["--check", "--log", "trace"])
}

/// Carries messages with these lines of `[server]`. Returns what the bridges printed.
fn carry(rig: &Rig, lines: &str) -> String {
    let server = routes::server(&rig.server.url(), lines, &rig.folder);
    let start = |machine, name, route: String| -> Process {
        let routes = server.clone() + &route;
        Bridge::new(machine, &rig.folder, name, &routes).start(&["--log", "trace"])
    };
    let mut receiver = rig.receive(Expect::ONE_SENDER);
    let bridges = [
        start(&rig.near, "out", routes::out(rig.source.as_str(), "")),
        start(&rig.far, "in", routes::to_channel(rig.sink.as_str(), "")),
    ];
    rig.send(Load::of(100)).finish();
    must_receive(&mut receiver, 100);
    bridges.iter().map(|bridge| bridge.output()).collect()
}

#[test]
fn tokens_passwords_and_nkeys() {
    for Login { settings, words, secrets, options } in logins() {
        let Some(server) = Server::start_with(&settings, None) else { return };
        let rig = Rig::with(server, Flavor::Spsc);
        let must_be_secret = |output: &str| {
            assert!(!secrets.iter().any(|secret| output.contains(secret)), "a secret: {output}");
        };
        let login = |n: usize| {
            let file = rig.folder.write(&format!("secret-{n}"), &format!("{}\n", secrets[n]));
            format!("{words} = {file:?}")
        };
        for lines in ["", &login(1)] {
            let (code, output) = check(&rig, lines);
            assert_eq!(code, 1, "{output}");
            assert!(output.to_lowercase().contains("authorization"), "{output}");
            must_be_secret(&output);
        }
        let (code, output) = check(&rig, &format!("{words} = \"no-such-file\""));
        assert!(code != 0 && output.contains("no-such-file"), "the file is named: {output}");
        // A secret where none belongs is not quoted either.
        let (code, output) = check(&rig, &format!("token = {:?}", secrets[0]));
        assert_ne!(code, 0, "{output}");
        let admin = Admin::connect_with(&rig.server.url(), || options(secrets[0].clone()));
        admin.make_stream(Admin::settings());
        let output = carry(&rig, &login(0));
        assert!(output.contains("started"), "the log is short: {output}");
        must_be_secret(&output);
    }
}

/// Writes a certificate for loopback, which is its own authority, and its key.
fn certificate(folder: &Scratch) -> [std::path::PathBuf; 2] {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    [("certificate", made.cert.pem()), ("key", made.signing_key.serialize_pem())]
        .map(|(name, text)| folder.write(name, &text))
}

fn trusting(authority: &Path) -> ConnectOptions {
    ConnectOptions::new().add_root_certificates(authority.into()).require_tls(true)
}

#[test]
fn tls() {
    let folder = Scratch::new();
    let [certificate, key] = certificate(&folder);
    let settings = format!("tls {{ cert_file: {certificate:?}, key_file: {key:?} }}");
    let Some(server) = Server::start_with(&settings, None) else { return };
    let rig = Rig::with(server, Flavor::Spsc);
    let (code, output) = check(&rig, "");
    assert_eq!(code, 1, "nobody trusts that authority: {output}");
    assert!(output.to_lowercase().contains("certificate"), "{output}");
    let lines = format!("tls = {{ ca = {certificate:?}, required = true }}");
    let admin = Admin::connect_with(&rig.server.url(), || trusting(&certificate));
    admin.make_stream(Admin::settings());
    carry(&rig, &lines);

    let Some(server) = Server::start() else { return };
    let (code, output) = check(&Rig::with(server, Flavor::Spsc), &lines);
    assert_eq!(code, 1, "the server offers no TLS: {output}");
    assert!(output.to_lowercase().contains("tls"), "{output}");
}
