//! The import module `wasmpool`, from a core module.

use std::collections::BTreeSet;

use super::component::{answer_dict, one_of_each, queue_spec};
use super::harness::{Core, object, shared, signatures, supervisor};
use crate::protocol::worker::{Ask, Body, FromWorker, Reply, ToWorker};
use crate::sync::{Answer, ObjectKind, Operation, QueueSpec, Spec};
use crate::worker::imports::sync::waits::NEVER;

const HEADER: &str = include_str!("../../../../../../guest-sdk/include/wasmpool.h");

/// Where the tests put things in the guest's memory: a text, a buffer, a length.
const TEXT: i64 = 64;
const BUFFER: i64 = 1024;
const OUT: i64 = 16;
const FOREVER: i64 = NEVER as i64;

/// The wasm type of a parameter or result of C.
fn wasm(c: &str) -> Option<&'static str> {
    match c {
        "void" => None,
        "uint32_t" | "int32_t" => Some("i32"),
        "uint64_t" | "int64_t" => Some("i64"),
        "double" => Some("f64"),
        pointer if pointer.ends_with('*') => Some("i32"),
        other => panic!("no translation for `{other}`"),
    }
}

/// The functions that the header declares: name and signature. Each has a comment before it.
fn declared() -> Vec<(String, String)> {
    let mut declared = Vec::new();
    for (at, _) in HEADER.match_indices("\nWASMPOOL_IMPORT(") {
        assert!(HEADER[..at].ends_with("*/"), "no comment before {}", &HEADER[at..at + 40]);
        let (name, rest) = HEADER[at..].split_once('(').unwrap().1.split_once(')').unwrap();
        let (head, parameters) = rest.split_once(';').unwrap().0.split_once('(').unwrap();
        let (result, function) = head.trim().split_once(' ').unwrap();
        assert_eq!(function, format!("wasmpool_{name}"));
        let parameters = parameters.trim_end_matches(')').split(',').filter_map(|parameter| {
            let parameter = parameter.trim();
            let end = parameter.rfind([' ', '*']).unwrap() + 1;
            wasm(parameter[..end].trim())
        });
        let parameters = parameters.collect::<Vec<_>>().join(" ");
        declared.push((name.to_owned(), format!("{parameters} -> {}", wasm(result).unwrap_or_default())));
    }
    declared.sort();
    declared
}

#[test]
fn the_c_header_declares_what_the_linker_offers() {
    let engine = crate::worker::imports::tests::harness::compiling_engine();
    let (config, _socket) = crate::worker::imports::tests::harness::config();
    let state = crate::worker::imports::HostState::new(config).unwrap();
    let mut store = wasmtime::Store::new(&engine, state);
    let mut linker = wasmtime::Linker::new(&engine);
    crate::worker::imports::link_core(&mut linker).unwrap();
    let mut offered = Vec::new();
    for (name, ty) in signatures(&linker, &mut store) {
        let words = |types: Vec<wasmtime::ValType>| {
            types.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        let (parameters, results) = (words(ty.params().collect()), words(ty.results().collect()));
        offered.push((name, format!("{parameters} -> {results}")));
    }
    offered.sort();
    assert_eq!(declared(), offered);
}

/// Kinds have the numbers that the header says.
#[test]
fn the_c_header_names_every_kind() {
    for kind in ObjectKind::ALL {
        let name = kind.label().to_uppercase();
        let line = format!("#define WASMPOOL_{name} {}u\n", *kind as u32);
        assert!(HEADER.contains(&line), "{line}");
    }
}

fn answer(message: FromWorker) -> Vec<(ToWorker, Option<std::os::fd::OwnedFd>)> {
    let reply = |request, reply| vec![(ToWorker::Reply { request, reply }, None)];
    match message {
        FromWorker::Request { request, ask: Ask::Submit { export, args } } => {
            assert_eq!((&*export, args), ("square", Body::Inline(b"[7]".to_vec())));
            reply(request, Reply::Submitted(Ok(1 << 40)))
        }
        FromWorker::Request { request, ask: Ask::Join { task } } => {
            assert_eq!(task, 1 << 40);
            reply(request, Reply::Joined(Ok(Body::Inline(b"49".to_vec()))))
        }
        other => answer_dict(other),
    }
}

#[test]
fn every_core_function_does_what_it_says() {
    let objects = one_of_each();
    let (mut guest, socket) = Core::new(shared(&objects));
    let _supervisor = supervisor(socket, |message, _| answer(message));
    numeric(&mut guest);
    items(&mut guest);
    entries(&mut guest);
    nested(&mut guest);
    let all: BTreeSet<String> = declared().into_iter().map(|(name, _)| name).collect();
    assert_eq!(guest.reached, all);
}

fn numeric(guest: &mut Core) {
    let lock = guest.open(ObjectKind::Lock, "lock");
    assert_eq!(guest.call("acquire", &[lock, 0]), 0);
    assert_eq!(guest.call("acquire", &[lock, FOREVER]), 20);
    assert_eq!(guest.call("abandoned_by", &[lock]), 0);
    assert_eq!(guest.call("release", &[lock]), 0);
    guest.call("release_handle", &[lock]);
    assert_eq!(guest.call("acquire", &[lock, 0]), 26);
    let event = guest.open(ObjectKind::Event, "event");
    assert_eq!(guest.call("set", &[event]), 0);
    assert_eq!(guest.call("is_set", &[event]), 1);
    assert_eq!(guest.call("wait", &[event, 0]), 0);
    assert_eq!(guest.call("clear", &[event]), 0);
    let condition = guest.open(ObjectKind::Condition, "condition");
    assert_eq!(guest.call("notify", &[condition, 1]), 19);
    let barrier = guest.open(ObjectKind::Barrier, "barrier");
    assert_eq!(guest.call("meet", &[barrier, 0]), 0);
    assert_eq!(guest.call("abort", &[barrier]), 0);
    assert_eq!(guest.call("meet", &[barrier, 0]), -21);
    assert_eq!(guest.call("reset", &[barrier]), 0);
    let value = guest.open(ObjectKind::Value, "value");
    assert_eq!(guest.call("load", &[value]), 5);
    assert_eq!(guest.call("store", &[value, -1]), 5);
    assert_eq!(guest.call("add_integer", &[value, 2]), -1);
    assert_eq!(guest.call("compare_exchange", &[value, 1, 8]), 1);
    let float = guest.open(ObjectKind::Value, "float");
    assert_eq!(guest.call("add_float", &[float, 3]), 1);
    assert!(guest.try_call("load", &[99]).is_err());
}

fn items(guest: &mut Core) {
    let array = guest.open(ObjectKind::Array, "array");
    assert_eq!(guest.call("len", &[array]), 4);
    guest.write(TEXT as usize, &[1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(guest.call("write", &[array, 2, TEXT, 8]), 0);
    assert_eq!(guest.call("read", &[array, 1, 2, BUFFER, 8, OUT]), 0);
    assert_eq!(guest.read(BUFFER as usize, 8), [0, 0, 0, 0, 1, 2, 3, 4]);
    assert_eq!(guest.call("read", &[array, 0, 4, BUFFER, 15, OUT]), 22);
    assert_eq!(guest.number(OUT as usize), 16);
    assert_eq!(guest.call("read", &[array, 4, 1, BUFFER, 15, OUT]), 23);
    let queue = guest.open(ObjectKind::Queue, "queue");
    guest.write(TEXT as usize, b"an item");
    assert_eq!(guest.call("put", &[queue, 0, TEXT, 7]), 0);
    assert_eq!(guest.call("get", &[queue, 0, 1, BUFFER, 100, OUT]), 0);
    let length = guest.number(OUT as usize) as usize;
    assert_eq!(guest.read(BUFFER as usize, length), b"an item");
    assert_eq!(guest.call("deliveries", &[queue]), 1);
    let lease = guest.call("lease", &[queue]);
    assert_eq!(guest.call("give_back", &[queue, lease]), 0);
    assert_eq!(guest.call("take_dead", &[queue, BUFFER, 6, OUT]), 22);
    assert_eq!(guest.call("take_dead", &[queue, BUFFER, 7, OUT]), 0);
    assert_eq!(guest.call("take_dead", &[queue, BUFFER, 7, OUT]), 2);
    assert_eq!(guest.call("acknowledge", &[queue, lease]), 26);
    assert_eq!(guest.call("wait_empty", &[queue, 0]), 0);
    assert_eq!(guest.call("close", &[queue]), 0);
    assert_eq!(guest.call("get", &[queue, FOREVER, 0, BUFFER, 0, OUT]), 2);
}

fn entries(guest: &mut Core) {
    let dict = guest.open(ObjectKind::Dict, "dict");
    guest.write(TEXT as usize, b"keynone");
    let (key, none) = ([TEXT, 3], [TEXT + 3, 4]);
    let with = |name: &str, guest: &mut Core, arguments: &[&[i64]]| {
        let arguments = [&[dict], arguments.concat().as_slice()].concat();
        guest.call(name, &arguments)
    };
    assert_eq!(with("dict_get", guest, &[&key, &[BUFFER, 7, OUT]]), 0);
    assert_eq!(guest.read(BUFFER as usize, 7), b"the key");
    assert_eq!(with("dict_get", guest, &[&key, &[BUFFER, 6, OUT]]), 22);
    assert_eq!(guest.number(OUT as usize), 7);
    assert_eq!(with("dict_get", guest, &[&none, &[BUFFER, 7, OUT]]), 2);
    // The value before is the new one with this supervisor, and only its beginning fits.
    guest.write(BUFFER as usize, b"....");
    assert_eq!(with("dict_set", guest, &[&key, &none, &[BUFFER, 3, OUT]]), 0);
    assert_eq!(guest.read(BUFFER as usize, 4), b"non.");
    assert_eq!(guest.number(OUT as usize), 4);
    assert_eq!(with("dict_remove", guest, &[&key, &[BUFFER, 3, OUT]]), 2);
    assert_eq!(with("dict_swap", guest, &[&key, &none, &none]), 0);
    assert_eq!(with("dict_swap", guest, &[&key, &none, &[0, 5]]), 2);
    assert_eq!(with("dict_swap", guest, &[&key, &[0, 0], &[0, 0]]), 0);
    // "a", "bc", and the third as it was asked for.
    assert_eq!(with("dict_keys", guest, &[&key, &[BUFFER, 18, OUT]]), 0);
    assert_eq!(guest.number(OUT as usize), 18);
    assert_eq!(guest.read(BUFFER as usize, 18), b"\x01\0\0\0a\x02\0\0\0bc\x03\0\0\0key");
    assert_eq!(with("dict_keys", guest, &[&[0, 0], &[BUFFER, 11, OUT]]), 0);
    assert_eq!(guest.number(OUT as usize), 11);
    assert_eq!(with("dict_keys", guest, &[&[0, 0], &[BUFFER, 4, OUT]]), 22);
    assert_eq!(guest.number(OUT as usize), 5);
    assert_eq!(with("dict_clear", guest, &[]), 25);
    assert_eq!(guest.last_error(), "too many: answers");
}

fn nested(guest: &mut Core) {
    guest.write(TEXT as usize, b"square[7]");
    let task = guest.call("pool_submit", &[TEXT, 6, TEXT + 6, 3]);
    assert_eq!(task, 1 << 40);
    // The result is kept until it fits.
    assert_eq!(guest.call("pool_join", &[task, FOREVER, BUFFER, 1, OUT]), 22);
    assert_eq!(guest.number(OUT as usize), 2);
    assert_eq!(guest.call("pool_join", &[task, FOREVER, BUFFER, 2, OUT]), 0);
    assert_eq!(guest.read(BUFFER as usize, 2), b"49");
    guest.call("pool_cancel", &[task]);
}

#[test]
fn a_bad_pointer_is_a_code_and_nothing_is_done() {
    let objects = one_of_each();
    let (mut guest, _socket) = Core::new(shared(&objects));
    let queue = guest.open(ObjectKind::Queue, "queue");
    let array = guest.open(ObjectKind::Array, "array");
    let dict = guest.open(ObjectKind::Dict, "dict");
    assert_eq!(objects[9].perform(Operation::Put(b"stays")), Ok(Answer::Done));
    // The memory has 131072 bytes. Each pair begins or ends outside, or wraps around.
    for (at, length) in [(131_072, 1), (131_071, 2), (-1, 1), (-1, -1), (0, -1), (TEXT, -1)] {
        let good = [BUFFER, 100, OUT];
        let calls: Vec<(&str, Vec<i64>)> = vec![
            ("put", vec![queue, 0, at, length]),
            ("get", vec![queue, 0, 0, at, length, OUT]),
            ("take_dead", vec![queue, at, length, OUT]),
            ("read", vec![array, 0, 1, at, length, OUT]),
            ("write", vec![array, 0, at, length]),
            ("dict_get", [&[dict, at, length], &good[..]].concat()),
            ("dict_get", vec![dict, TEXT, 1, at, length, OUT]),
            ("dict_set", [&[dict, at, length, TEXT, 1], &good[..]].concat()),
            ("dict_set", [&[dict, TEXT, 1, at, length], &good[..]].concat()),
            ("dict_remove", [&[dict, at, length], &good[..]].concat()),
            ("dict_swap", vec![dict, at, length, TEXT, 1, TEXT, 1]),
            ("dict_keys", [&[dict, at, length], &good[..]].concat()),
            ("pool_join", vec![1, 0, at, length, OUT]),
        ];
        for (name, arguments) in calls {
            // A null pointer is no key.
            if name == "dict_keys" && at == 0 {
                continue;
            }
            assert_eq!(guest.call(name, &arguments), 31, "{name} {arguments:?}");
        }
        for arguments in [[0, at, length], [8, at, length]] {
            assert_eq!(guest.call("open", &arguments), -31);
        }
        assert_eq!(guest.call("pool_submit", &[TEXT, 1, at, length]), -31);
        assert_eq!(guest.call("pool_submit", &[at, length, TEXT, 1]), -31);
        assert_eq!(guest.call("last_error", &[at, length]), -31);
        assert!(guest.last_error().contains("outside the memory"));
    }
    for out in [131_069, -1, -4] {
        assert_eq!(guest.call("get", &[queue, 0, 0, BUFFER, 100, out]), 31);
    }
    guest.write(TEXT as usize, b"\xff");
    assert_eq!(guest.call("open", &[0, TEXT, 1]), -31);
    assert_eq!(guest.call("len", &[queue]), 1);
    assert_eq!(guest.call("get", &[queue, 0, 0, BUFFER, 100, OUT]), 0);
}

#[test]
fn a_module_without_a_memory_has_no_pointers_to_give() {
    let engine = crate::worker::imports::tests::harness::compiling_engine();
    let module = r#"(module
        (import "wasmpool" "open" (func $open (param i32 i32 i32) (result i64)))
        (func (export "run") (drop (call $open (i32.const 0) (i32.const 0) (i32.const 0)))))"#;
    let module = wasmtime::Module::new(&engine, wat::parse_str(module).unwrap()).unwrap();
    let (config, _socket) = crate::worker::imports::tests::harness::config();
    let state = crate::worker::imports::HostState::new(config).unwrap();
    let mut store = wasmtime::Store::new(&engine, state);
    store.set_epoch_deadline(1);
    let mut linker = wasmtime::Linker::new(&engine);
    crate::worker::imports::link_core(&mut linker).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let error = runtime.block_on(async {
        let instance = linker.instantiate_async(&mut store, &module).await.unwrap();
        let run = instance.get_typed_func::<(), ()>(&mut store, "run").unwrap();
        run.call_async(&mut store, ()).await.unwrap_err()
    });
    assert!(format!("{error:?}").contains("under the name `memory`"), "{error:?}");
}

#[test]
fn an_item_that_does_not_fit_stays() {
    let spec = QueueSpec { deliveries_max: 5, ..queue_spec() };
    let objects = vec![object("queue", Spec::Queue(spec)), object("pipe", Spec::Pipe(spec))];
    let (mut guest, _socket) = Core::new(shared(&objects));
    let queue = guest.open(ObjectKind::Queue, "queue");
    let other = guest.open(ObjectKind::Queue, "queue");
    for item in [&b"first"[..], b"second"] {
        assert_eq!(objects[0].perform(Operation::Put(item)), Ok(Answer::Done));
    }
    for _ in 0..3 {
        assert_eq!(guest.call("get", &[queue, 0, 0, BUFFER, 4, OUT]), 22);
        assert_eq!(guest.number(OUT as usize), 5);
    }
    assert_eq!(guest.last_error(), "5 bytes are over the limit of 4");
    // Another handle gets the next one, and a handle that is given up gives its item back.
    assert_eq!(guest.call("get", &[other, 0, 0, BUFFER, 5, OUT]), 22);
    guest.call("release_handle", &[queue]);
    assert_eq!(guest.call("get", &[other, 0, 0, BUFFER, 6, OUT]), 0);
    assert_eq!(guest.read(BUFFER as usize, 6), b"second");
    assert_eq!(guest.call("get", &[other, 0, 0, BUFFER, 6, OUT]), 0);
    assert_eq!(guest.read(BUFFER as usize, 5), b"first");
    // Nothing is leased any more.
    assert_eq!(guest.call("lease", &[other]), 0);
    assert_eq!(guest.call("wait_empty", &[other, 0]), 0);
    // A pipe has no leases; what does not fit is kept.
    let end = objects[1].object.as_ref().unwrap().as_end(1);
    let there = super::harness::Named { object: Some(end), ..object("pipe", Spec::Event) };
    assert_eq!(there.perform(Operation::Put(b"over there")), Ok(Answer::Done));
    let pipe = guest.open(ObjectKind::Pipe, "pipe");
    assert_eq!(guest.call("get", &[pipe, 0, 0, BUFFER, 1, OUT]), 22);
    assert_eq!(guest.call("get", &[pipe, 0, 0, BUFFER, 10, OUT]), 0);
    assert_eq!(guest.read(BUFFER as usize, 10), b"over there");
}
