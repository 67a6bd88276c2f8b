//! A worker that was granted addresses, in whose place native code of an attacker runs: nothing asks WASI.

#![forbid(unsafe_code)]

use std::net::{SocketAddr, TcpListener, UdpSocket};

use super::harness::*;
use crate::net::GrantedNet;
use crate::os::hardening;
use crate::os::test_hostile::{NET_ATTEMPTS, Ports, refused, remember_ports};
use crate::policy::{Layer, NetAccess};
use crate::protocol::frame;
use crate::protocol::worker::{Entry, FromWorker, LogLevel, Start};

const USERS: [User; 2] = [User::Ours, User::Ordinary];

/// Runs in the worker, instead of its guest's end: tries everything and logs each answer. Its task's number holds a port
/// that was granted and one that was not.
pub(in crate::worker) fn attack(task: u64, send: impl Fn(&[u8])) {
    let log = |target: &str, message: String| {
        let record = FromWorker::Log { level: LogLevel::Info, target: target.to_owned(), message };
        send(&frame::encode(&record).unwrap());
    };
    remember_ports(Ports { granted: (task >> 16) as u16, other: task as u16 });
    log("threads", if hardening::is_single_threaded() { "1" } else { "many" }.to_owned());
    for (name, attempt) in NET_ATTEMPTS {
        log(name, refused(*attempt).err().unwrap_or_default());
    }
}

/// What native code may do with these grants, of what it tries.
fn let_through(user: User, nets: &[GrantedNet], ports: (u16, u16)) -> (Vec<Layer>, Vec<String>) {
    let artifact = compile("(module (func (export \"_start\")))");
    let (server, layers) = serve_granted(user, &artifact, (&[], nets), Some("before-finished:sockets"));
    let worker = fork(&server);
    let task = u64::from(ports.0) << 16 | u64::from(ports.1);
    worker.start(Start { task, ..start(Entry::Command) }, &[]);
    let story = worker.story();
    let records = logged(&story.said);
    assert_eq!(records[0], ("threads", "1"), "{user:?}");
    assert_eq!(records.len(), NET_ATTEMPTS.len() + 1, "it tried everything: {records:?}");
    let let_through = records[1..].iter().filter(|(_, answer)| !answer.is_empty());
    (layers.unwrap(), let_through.map(|(name, _)| (*name).to_owned()).collect())
}

fn grant(access: NetAccess, address: SocketAddr) -> GrantedNet {
    GrantedNet::open(access, &address.ip().to_string(), address.port()).unwrap()
}

const TCP: [&str; 2] = ["make a TCP socket", "connect to the granted port"];

#[test]
fn native_code_reaches_no_port_and_makes_no_socket_that_was_not_granted() {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [granted, other] = listeners.each_ref().map(|listener| listener.local_addr().unwrap());
    let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ports = (granted.port(), other.port());
    for user in USERS {
        assert_eq!(let_through(user, &[], ports).1, [""; 0], "{user:?}");
        let (layers, let_by) = let_through(user, &[grant(NetAccess::TcpConnect, granted)], ports);
        assert!(!layers.contains(&Layer::Network), "the host's network is there, and the record says so");
        let others = available(user).into_iter().filter(|layer| *layer != Layer::Network);
        assert_eq!(layers, others.collect::<Vec<_>>(), "{user:?}: every other layer stands");
        // A kernel without Landlock's rules for ports lets the other port through as well.
        let expected =
            if knows_ports() { TCP.to_vec() } else { [&TCP[..], &["connect to another port"]].concat() };
        assert_eq!(let_by, expected, "{user:?}");
        let (_, let_by) = let_through(user, &[grant(NetAccess::Udp, datagrams)], ports);
        assert_eq!(let_by, ["make a UDP socket"], "{user:?}");
    }
}

/// Landlock has rules for ports from its fourth interface on.
fn knows_ports() -> bool {
    crate::os::test_hostile::landlock_interface() >= 4
}
