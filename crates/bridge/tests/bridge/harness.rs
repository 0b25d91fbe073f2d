//! The harness itself: a fault of it would make the other tests check nothing.

use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use sysvring_support::test;

use crate::admin::Admin;
use crate::namespace::Network;
use crate::routes::{STREAM, SUBJECT};
use crate::server::{Disk, Server};

#[test]
fn a_killed_server_keeps_its_messages() {
    let Some(mut server) = Server::start() else { return };
    let admin = Admin::connect(&server.url());
    admin.make_stream(Admin::settings());
    assert_eq!(admin.publish(SUBJECT, Default::default(), b"1"), 1);
    server.kill();
    server.restart();
    let admin = Admin::connect(&server.url());
    assert_eq!(admin.publish(SUBJECT, Default::default(), b"2"), 2);
    assert_eq!(&*admin.message(STREAM, 1).payload, b"1");
    assert!(!server.log().contains("[ERR]"), "{}", server.log());
}

#[test]
fn a_full_disk_is_full() {
    let Some(disk) = Disk::new(8) else { return };
    let file = disk.path().join("file");
    std::fs::write(&file, [7; 4_096]).expect("there is room");
    disk.fill();
    std::fs::write(&file, [7; 65_536]).expect_err("there is none");
    disk.free();
    std::fs::write(&file, [7; 65_536]).expect("there is room again");
}

#[test]
fn a_cut_network_carries_nothing() {
    let Some(network) = Network::new() else { return };
    network.inside(|| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let connect = || TcpStream::connect_timeout(&address, Duration::from_secs(1));
        connect().expect("connected");
        network.set_up(false);
        connect().expect_err("cut");
        network.set_up(true);
        connect().expect("connected again");
    });
}
