//! The body of the fuzz target `imports`: any function that a core module may import, with any arguments and memory,
//! in any order.
//!
//! The guest was granted one object of each kind, no directory, no environment, and an empty standard input.

#![forbid(unsafe_code)]

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use wasmtime::{Engine, Instance, Memory, Store, Val, ValType};

use super::guest::{Function, Guest, MEMORY_BYTES};
use super::{LIMITS, supervisor};
use crate::protocol::frame;
use crate::protocol::worker::{Claim, FromWorker, GrantedObject, LogLevel};
use crate::sync::{ElementType, QueueSpec, SharedObject, Spec, Token};
use crate::worker::imports::{Grants, HostConfig, HostState, Outside, Shared};
use crate::worker::limiter::Limiter;
use crate::worker::link::Link;
use crate::worker::{instance, trap};

/// Calls of one input at most.
const STEPS_MAX: usize = 64;
const TASK: u64 = 7;

const QUEUE: QueueSpec = QueueSpec { capacity: 4, item_bytes_max: 1000, bytes_max: 4096, deliveries_max: 2 };
/// What is granted, and open from the beginning with the handles 1, 2 and so on: a fuzzer would hardly ever open any.
const GRANTED: &[Spec] = &[
    Spec::Lock,
    Spec::RLock,
    Spec::Semaphore { permits: 2, bounded: true },
    Spec::Event,
    Spec::Condition,
    Spec::Barrier { parties: 2 },
    Spec::Array { element: ElementType::I32, length: 8 },
    Spec::Queue(QUEUE),
    Spec::Pipe(QUEUE),
    Spec::Dict,
    Spec::Value { initial: 1, float: false },
];
/// The name of each, and where the guest's memory holds them.
const NAMES: &str = "abcdefghijk";
const NAMES_AT: u32 = 16;

/// Numbers at which lengths and pointers go wrong.
const BORDERS: &[u64] = &[
    u32::MAX as u64,
    MEMORY_BYTES as u64,
    MEMORY_BYTES as u64 - 1,
    MEMORY_BYTES as u64 + 1,
    i32::MAX as u64,
    i32::MAX as u64 + 1,
    u64::MAX,
    i64::MAX as u64,
    1 << 28,
    1 << 33,
    4096,
    4097,
];

struct Machine {
    engine: Engine,
    guest: Guest,
    runtime: tokio::runtime::Runtime,
}

fn machine() -> &'static Machine {
    static MACHINE: OnceLock<Machine> = OnceLock::new();
    MACHINE.get_or_init(|| {
        let engine = super::engine(false);
        let (guest, _) = supervisor::supervised(TASK, 0, |link| {
            let mut store = store(&engine, link, Grants::default());
            Guest::new(&engine, &mut store).expect("the linker's own functions link")
        });
        Machine { engine, guest, runtime: super::runtime() }
    })
}

fn store(engine: &Engine, link: Arc<Link>, grants: Grants) -> Store<HostState> {
    let host = HostState::new(HostConfig {
        task: TASK,
        attempt: 1,
        name: "a name".to_owned(),
        worker_name: "worker-1".to_owned(),
        argv: vec!["guest".to_owned(), "argument".to_owned()],
        env: vec![("NAME".to_owned(), "value".to_owned())],
        stdin: None,
        outside: Outside::default(),
        log_level: Some(LogLevel::Debug),
        shared: Shared { who: Token::new(9).expect("nine is a token"), grants },
        link,
        limiter: Limiter::new(LIMITS),
        deterministic: None,
    });
    instance::store(engine, host.expect("there is randomness"), &LIMITS).expect("a store needs only memory")
}

/// New objects of every kind.
fn grants() -> Grants {
    let mut files: Vec<OwnedFd> = Vec::new();
    let mut granted = Vec::new();
    for (number, spec) in GRANTED.iter().enumerate() {
        let object = SharedObject::create(*spec).expect("a small object can be made");
        if let Some(file) = object.file() {
            files.push(file.as_fd().try_clone_to_owned().expect("a descriptor can be copied"));
        }
        granted.push(GrantedObject { name: NAMES[number..=number].to_owned(), spec: *spec, end: 0 });
    }
    Grants::new(granted, &mut files.into_iter()).expect("each object has its file")
}

/// One input: how the supervisor answers, then steps. Returns, whatever they are.
pub fn fuzz_imports(data: &[u8]) {
    let machine = machine();
    let mut input = Input(data);
    let whim = input.byte();
    let (claim, _) = supervisor::supervised(TASK, whim, |link| {
        let mut store = store(&machine.engine, link, grants());
        let ran = machine.runtime.block_on(run(machine, &mut store, &mut input));
        ran.err().map(|error| trap::claim(&error, &store.data().limiter, None))
    });
    if let Some(claim) = claim {
        super::assert_allowed(&claim);
        assert!(!matches!(claim, Claim::NotStarted { .. }), "it ran: {claim:?}");
        let finished = FromWorker::Finished { task: TASK, index: 0, claim, took: Duration::ZERO };
        let bytes = frame::encode(&finished).expect("a claim fits a frame");
        assert_eq!(frame::decode::<FromWorker>(&bytes).as_ref(), Ok(&finished));
    }
}

async fn run(machine: &Machine, store: &mut Store<HostState>, input: &mut Input<'_>) -> wasmtime::Result<()> {
    let instance = machine.guest.pre.instantiate_async(&mut *store).await?;
    let memory = instance.get_memory(&mut *store, "memory").expect("the guest exports its memory");
    let names = &mut memory.data_mut(&mut *store)[NAMES_AT as usize..];
    names[..NAMES.len()].copy_from_slice(NAMES.as_bytes());
    for (spec, name_at) in GRANTED.iter().zip(NAMES_AT..) {
        open(machine, store, instance, spec.kind() as u32, name_at).await?;
    }
    let functions = &machine.guest.functions;
    for _ in 0..STEPS_MAX {
        if input.0.is_empty() {
            break;
        }
        match usize::from(input.byte()) % (functions.len() + 1) {
            0 => write(store, memory, input),
            number => call(store, instance, (number - 1, &functions[number - 1]), input).await?,
        }
    }
    Ok(())
}

/// Opens the object of this kind whose name is the one byte at this address; its handle.
async fn open(
    machine: &Machine,
    store: &mut Store<HostState>,
    instance: Instance,
    kind: u32,
    name_at: u32,
) -> wasmtime::Result<i64> {
    let mut functions = machine.guest.functions.iter();
    let number = functions.position(|function| function.module == "wasmpool" && function.name == "open");
    let name = number.expect("objects can be opened").to_string();
    let open = instance.get_typed_func::<(u32, u32, u32), i64>(&mut *store, &name)?;
    open.call_async(store, (kind, name_at, 1)).await
}

/// Bytes of the input into the guest's memory.
fn write(store: &mut Store<HostState>, memory: Memory, input: &mut Input<'_>) {
    let at = usize::from(input.byte()) << (input.byte() & 15);
    let length = usize::from(input.byte() & 63);
    let bytes = input.bytes(length);
    if let Some(to) = memory.data_mut(store).get_mut(at..).and_then(|rest| rest.get_mut(..bytes.len())) {
        to.copy_from_slice(bytes);
    }
}

async fn call(
    store: &mut Store<HostState>,
    instance: Instance,
    (number, function): (usize, &Function),
    input: &mut Input<'_>,
) -> wasmtime::Result<()> {
    let arguments: Vec<Val> = function.ty.params().map(|ty| input.argument(&ty)).collect();
    let mut results = vec![Val::I32(0); function.ty.results().len()];
    let export = instance.get_func(&mut *store, &number.to_string()).expect("each import is an export");
    export.call_async(store, &arguments, &mut results).await
}

/// What is left of the input; after its end everything is zero.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn bytes(&mut self, length: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        bytes
    }

    fn byte(&mut self) -> u8 {
        self.bytes(1).first().copied().unwrap_or(0)
    }

    fn number(&mut self, length: usize) -> u64 {
        self.bytes(length).iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// Small numbers are handles, descriptors and kinds; others are pointers and lengths.
    fn argument(&mut self, ty: &ValType) -> Val {
        let how = self.byte();
        let small = u64::from(how >> 3);
        let number = match how & 7 {
            0 | 1 => small,
            2 => self.number(1),
            3 => self.number(2),
            4 => u64::from(MEMORY_BYTES) - small,
            5 => BORDERS[how as usize / 8 % BORDERS.len()],
            6 => small * 64,
            _ => self.number(8),
        };
        match ty {
            ValType::I32 => Val::I32(number as u32 as i32),
            ValType::I64 => Val::I64(number.cast_signed()),
            ValType::F32 => Val::F32(number as u32),
            ValType::F64 => Val::F64(number),
            other => unreachable!("no import takes {other}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_import_can_be_called_without_arguments_that_mean_anything() {
        let functions = &machine().guest.functions;
        assert!(functions.len() > 100 && functions.len() < 255, "one byte chooses among {}", functions.len());
        for module in ["wasi_snapshot_preview1", "wasi_unstable", "wasmpool"] {
            assert!(functions.iter().any(|function| function.module == module), "{module}");
        }
        for number in 0..functions.len() {
            let step = u8::try_from(number + 1).unwrap();
            fuzz_imports(&[[0, step].as_slice(), &[0x05; 12]].concat());
            fuzz_imports(&[0, step]);
        }
    }

    #[test]
    fn every_object_is_open_under_a_small_number() {
        let machine = machine();
        let (handles, _) = supervisor::supervised(TASK, 0, |link| {
            let mut store = store(&machine.engine, link, grants());
            machine.runtime.block_on(async {
                let instance = machine.guest.pre.instantiate_async(&mut store).await.unwrap();
                let memory = instance.get_memory(&mut store, "memory").unwrap();
                memory.write(&mut store, NAMES_AT as usize, NAMES.as_bytes()).unwrap();
                let mut handles = Vec::new();
                for (spec, name_at) in GRANTED.iter().zip(NAMES_AT..) {
                    let opened = open(machine, &mut store, instance, spec.kind() as u32, name_at).await;
                    handles.push(opened.unwrap());
                }
                handles
            })
        });
        assert_eq!(handles, Vec::from_iter(1..=11));
        assert_eq!(GRANTED.len(), crate::sync::ObjectKind::ALL.len());
    }

    #[test]
    fn every_seed_returns() {
        for (path, seed) in super::super::seeds("imports") {
            println!("{}", path.display());
            fuzz_imports(&seed);
        }
    }
}
