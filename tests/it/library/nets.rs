//! Addresses of the network that tasks are granted. Every server is one of the test's own, on the loopback interface.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};

use serde_json::{Value, json};

use crate::support::plan;

/// A server that sends back what it got, to this many clients; where it listens.
fn echo(clients: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming().take(clients) {
            let mut stream = stream.expect("a client");
            let mut text = Vec::new();
            // A client that is gone has nothing to be told.
            let _ = stream.read_to_end(&mut text).and_then(|_| stream.write_all(&text));
        }
    });
    address
}

/// A port of this machine at which nobody listens.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

fn net(access: &str, address: SocketAddr) -> Value {
    json!([access, address.ip().to_string(), address.port()])
}

fn run(nets: &[Value], tasks: &[(&str, Value)]) -> Vec<Value> {
    let limits = json!({ "timeout_ms": 30_000 });
    let task =
        |(task, args): &(&str, Value)| json!({ "task": task, "args": args, "nets": nets, "limits": limits });
    plan(&json!({ "workers": 1, "tasks": tasks.iter().map(task).collect::<Vec<_>>() }))
}

fn expect_denied(record: &Value) {
    assert_eq!(record["code"], 1, "{record:#}");
    let text = record["text"].as_str().expect("a text");
    assert!(text.contains("ermission denied"), "{record:#}");
}

#[test]
fn a_task_reaches_the_address_that_it_was_granted_and_no_other() {
    let (granted, other) = (echo(2), echo(1));
    let records = run(
        &[net("connect", granted)],
        &[
            ("tcp_ask", json!([granted, "hello"])),
            ("tcp_ask_spinning", json!([granted, "hello"])),
            ("tcp_ask", json!([other, "hello"])),
            ("tcp_ask", json!([format!("127.0.0.2:{}", granted.port()), "hello"])),
            ("tcp_listen", json!(["127.0.0.1:0"])),
            ("tcp_listen", json!(["0.0.0.0:0"])),
            ("udp_ask", json!([granted, "hello"])),
        ],
    );
    assert_eq!(
        (&records[0]["value"], &records[1]["value"]),
        (&json!("hello"), &json!("hello")),
        "{records:#?}"
    );
    records[2..].iter().for_each(expect_denied);
}

#[test]
fn a_task_without_a_grant_has_no_network() {
    let server = echo(1);
    let tasks = [
        ("tcp_ask", json!([server, "hello"])),
        ("tcp_listen", json!(["127.0.0.1:0"])),
        ("udp_ask", json!([server, "hello"])),
        ("look_up", json!(["localhost"])),
    ];
    let records = run(&[], &tasks);
    records[..3].iter().for_each(expect_denied);
    assert_eq!(records[3]["code"], 1, "{records:#?}");
}

#[test]
fn a_granted_name_has_its_addresses_and_another_has_none() {
    let server = echo(1);
    let port = server.port();
    let records = run(
        &[json!(["connect", "localhost", port])],
        &[
            ("look_up", json!(["localhost"])),
            ("look_up", json!(["LOCALHOST."])),
            ("look_up", json!(["ip6-localhost"])),
            ("look_up", json!(["example.com"])),
            ("tcp_ask", json!([format!("localhost:{port}"), "by name"])),
        ],
    );
    let addresses = records[0]["value"].as_array().expect("addresses");
    assert!(addresses.contains(&json!("127.0.0.1")), "{records:#?}");
    assert_eq!(records[1]["value"], records[0]["value"]);
    assert_eq!((&records[2]["code"], &records[3]["code"]), (&json!(1), &json!(1)), "{records:#?}");
    assert_eq!(records[4]["value"], "by name", "{records:#?}");
}

#[test]
fn a_task_listens_where_it_was_granted() {
    let own = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let other = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let grants = [net("listen", own), net("connect", own)];
    let tasks = [
        ("tcp_with_itself", json!([own, "round"])),
        ("tcp_listen", json!([other])),
        ("tcp_listen", json!([format!("0.0.0.0:{}", own.port())])),
    ];
    let records = run(&grants, &tasks);
    assert_eq!(records[0]["value"], "round", "{records:#?}");
    records[1..].iter().for_each(expect_denied);
    let records = run(&[json!(["listen", "127.0.0.1", 0])], &[("tcp_listen", json!(["127.0.0.1:0"]))]);
    assert!(records[0]["value"].as_u64().is_some_and(|port| port > 0), "{records:#?}");
}

#[test]
fn datagrams_go_to_the_granted_address_and_no_other() {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let granted = socket.local_addr().expect("an address");
    std::thread::spawn(move || {
        let mut buffer = [0; 100];
        let (length, from) = socket.recv_from(&mut buffer).expect("a datagram");
        socket.send_to(&buffer[..length], from).expect("it is sent");
    });
    let other = UdpSocket::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let tasks = [
        ("udp_ask", json!([granted, "ping"])),
        ("udp_ask", json!([other, "ping"])),
        ("tcp_ask", json!([granted, "ping"])),
    ];
    let records = run(&[net("udp", granted)], &tasks);
    assert_eq!(records[0]["value"], "ping", "{records:#?}");
    records[1..].iter().for_each(expect_denied);
}

#[test]
fn a_task_that_waits_for_the_network_ends_with_its_timeout_and_when_it_is_stopped() {
    // It accepts nobody; the kernel does, and no byte ever comes.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent = silent.local_addr().map(|address| (silent, address)).expect("an address");
    let own = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let nets = [net("listen", own), net("connect", silent.1)];
    let limits = json!({ "timeout_ms": 500, "grace_ms": 100 });
    let tasks = json!([
        { "task": "tcp_accept", "args": [own], "nets": nets, "limits": limits },
        { "task": "tcp_receive", "args": [silent.1], "nets": nets, "limits": limits },
        { "task": "tcp_receive", "args": [silent.1], "nets": nets, "limits": { "grace_ms": 100 }, "stop": "terminate" },
    ]);
    let records = plan(&json!({ "workers": 1, "tasks": tasks }));
    assert_eq!((&records[0]["code"], &records[1]["code"]), (&json!(221), &json!(221)), "{records:#?}");
    assert_eq!(records[2]["outcome"], "cancelled", "{records:#?}");
}

/// Both start methods, a worker that runs several tasks, and different grants in one pool.
#[test]
fn each_worker_has_the_addresses_of_its_own_task() {
    let (one, other) = (echo(3), echo(2));
    let ask = |granted: SocketAddr, asked: SocketAddr| json!({ "task": "tcp_ask", "args": [asked, "x"], "nets": [net("connect", granted)] });
    for pool in [json!({ "spawn": true }), json!({ "per_worker": 3 })] {
        let mut plan_of =
            json!({ "workers": 1, "tasks": [ask(one, one), ask(other, other), ask(one, other)] });
        for (key, value) in pool.as_object().expect("an object") {
            plan_of[key] = value.clone();
        }
        let records = plan(&plan_of);
        assert_eq!((&records[0]["value"], &records[1]["value"]), (&json!("x"), &json!("x")), "{records:#?}");
        expect_denied(&records[2]);
        assert_ne!(records[0]["pid"], records[1]["pid"]);
    }
}
