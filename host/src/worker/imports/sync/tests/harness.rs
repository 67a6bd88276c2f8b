//! Guests that pass every call on: each export of theirs calls the import of the same name.
//!
//! So a test calls a function of the interface from Rust, and the call goes through the guest's memory
//! and the canonical ABI as any guest's does. The component is made from the text of the WIT, the core module
//! from what the linker offers, so a function that is in one and not in the other fails the link.

use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;

use wasmtime::component::{self, ComponentNamedList, Lift, Lower};
use wasmtime::{Engine, Store};

use super::passing;
use crate::limits::FRAME_BYTES_MAX;
use crate::os::socket::{PacketSocket, Received};
use crate::protocol::frame;
use crate::protocol::worker::{FromWorker, GrantedObject, ToWorker};
use crate::sync::{Object, Operation, SharedObject, Spec, SyncError, Token, Waits};
use crate::worker::imports::tests::harness::{compiling_engine, config};
use crate::worker::imports::{Grants, HostState, Shared, link_component, link_core};

pub(super) const WIT: &str = include_str!("../../../../../../guest-sdk/wit/sync.wit");

/// The task of every guest here.
pub(super) const TASK: u64 = 7;
/// Who it is.
pub(super) const WHO: u32 = 9;

/// Someone else who has the objects too.
pub(super) fn other() -> Token {
    Token::new(10).unwrap()
}

/// An object under its name.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) name: &'static str,
    pub(super) spec: Spec,
    pub(super) object: Option<SharedObject>,
}

pub(super) fn object(name: &'static str, spec: Spec) -> Named {
    let object = (spec != Spec::Dict).then(|| SharedObject::create(spec).unwrap());
    Named { name, spec, object }
}

impl Named {
    /// What somebody else does with it, without waiting.
    pub(super) fn perform(&self, operation: Operation<'_>) -> Result<crate::sync::Answer, SyncError> {
        struct Try;
        impl Waits for Try {
            fn sleep_at_most(
                &mut self,
                _: crate::sync::WaitFor,
            ) -> Result<std::time::Duration, crate::sync::Stop> {
                Err(crate::sync::Stop::TimedOut)
            }
        }
        self.object.as_ref().unwrap().perform(other(), operation, &mut Try)
    }
}

/// Grants objects as a start frame does: with their descriptors.
pub(super) fn shared(objects: &[Named]) -> Shared {
    let granted = objects.iter().map(|object| GrantedObject {
        name: object.name.to_owned(),
        spec: object.spec,
        end: 0,
    });
    let files: Vec<OwnedFd> = objects
        .iter()
        .filter_map(|object| object.object.as_ref()?.file())
        .map(|file| file.try_clone_to_owned().unwrap())
        .collect();
    let grants = Grants::new(granted.collect(), &mut files.into_iter()).unwrap();
    Shared { who: Token::new(WHO).unwrap(), grants }
}

fn store(engine: &Engine, shared: Shared) -> (Store<HostState>, PacketSocket) {
    let (mut config, socket) = config();
    config.shared = shared;
    let mut store = Store::new(engine, HostState::new(config).unwrap());
    store.set_epoch_deadline(1);
    (store, socket)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

/// A guest that is a component.
pub(super) struct Flat {
    store: Store<HostState>,
    instance: component::Instance,
    runtime: tokio::runtime::Runtime,
    pub(super) reached: std::collections::BTreeSet<String>,
}

impl Flat {
    /// A guest of this interface, and the supervisor's end of its link.
    pub(super) fn new(interface: &str, shared: Shared) -> (Self, PacketSocket) {
        let engine = compiling_engine();
        let component =
            component::Component::new(&engine, wat::parse_str(passing::component(interface)).unwrap())
                .unwrap();
        let mut linker = component::Linker::new(&engine);
        link_component(&mut linker).unwrap();
        let (mut store, socket) = store(&engine, shared);
        let runtime = runtime();
        let instance = runtime.block_on(linker.instantiate_async(&mut store, &component)).unwrap();
        (Self { store, instance, runtime, reached: Default::default() }, socket)
    }

    pub(super) fn try_call<P, R>(&mut self, name: &str, arguments: P) -> wasmtime::Result<R>
    where
        P: ComponentNamedList + Lower + Send + Sync,
        (R,): ComponentNamedList + Lift + Send + Sync + 'static,
    {
        self.reached.insert(name.to_owned());
        let function = self.instance.get_typed_func::<P, (R,)>(&mut self.store, name).unwrap();
        Ok(self.runtime.block_on(function.call_async(&mut self.store, arguments))?.0)
    }

    pub(super) fn call<P, R>(&mut self, name: &str, arguments: P) -> R
    where
        P: ComponentNamedList + Lower + Send + Sync,
        (R,): ComponentNamedList + Lift + Send + Sync + 'static,
    {
        self.try_call(name, arguments).unwrap_or_else(|error| panic!("{name}: {error:?}"))
    }

    /// Calls a function without a result.
    pub(super) fn run<P>(&mut self, name: &str, arguments: P)
    where
        P: ComponentNamedList + Lower + Send + Sync,
    {
        self.reached.insert(name.to_owned());
        let function = self.instance.get_typed_func::<P, ()>(&mut self.store, name).unwrap();
        self.runtime.block_on(function.call_async(&mut self.store, arguments)).unwrap();
    }

    pub(super) fn open(&mut self, kind: crate::sync::ObjectKind, name: &str) -> u32 {
        let opened: Result<u32, u32> = self.call("open", (kind as u32, name));
        opened.unwrap_or_else(|code| panic!("{name}: code {code}: {}", self.last_error()))
    }

    pub(super) fn last_error(&mut self) -> String {
        self.call("last-error", ())
    }
}

/// A guest that is a core module.
pub(super) struct Core {
    store: Store<HostState>,
    instance: wasmtime::Instance,
    runtime: tokio::runtime::Runtime,
    pub(super) reached: std::collections::BTreeSet<String>,
}

impl Core {
    pub(super) fn new(shared: Shared) -> (Self, PacketSocket) {
        let engine = compiling_engine();
        let (mut store, socket) = store(&engine, shared);
        let mut linker = wasmtime::Linker::new(&engine);
        link_core(&mut linker).unwrap();
        let module = passing_module(&signatures(&linker, &mut store));
        let module = wasmtime::Module::new(&engine, wat::parse_str(module).unwrap()).unwrap();
        let runtime = runtime();
        let instance = runtime.block_on(linker.instantiate_async(&mut store, &module)).unwrap();
        (Self { store, instance, runtime, reached: Default::default() }, socket)
    }

    /// Calls a function with numbers of the types that it has; a result of 32 bits is extended by its sign.
    pub(super) fn try_call(&mut self, name: &str, arguments: &[i64]) -> wasmtime::Result<i64> {
        use wasmtime::{Val, ValType};
        self.reached.insert(name.to_owned());
        let function = self.instance.get_func(&mut self.store, name).unwrap();
        let ty = function.ty(&self.store);
        assert_eq!(ty.params().len(), arguments.len(), "{name}");
        let arguments: Vec<Val> = ty
            .params()
            .zip(arguments)
            .map(|(ty, argument)| match ty {
                ValType::I32 => Val::I32(*argument as i32),
                ValType::F64 => Val::F64((*argument as f64).to_bits()),
                _ => Val::I64(*argument),
            })
            .collect();
        let mut results = vec![Val::I32(0); ty.results().len()];
        self.runtime.block_on(function.call_async(&mut self.store, &arguments, &mut results))?;
        Ok(match results.first() {
            Some(Val::I32(result)) => (*result).into(),
            Some(Val::F64(bits)) => f64::from_bits(*bits) as i64,
            Some(Val::I64(result)) => *result,
            _ => 0,
        })
    }

    pub(super) fn call(&mut self, name: &str, arguments: &[i64]) -> i64 {
        self.try_call(name, arguments).unwrap_or_else(|error| panic!("{name}: {error:?}"))
    }

    fn memory(&mut self) -> &mut [u8] {
        let memory = self.instance.get_memory(&mut self.store, "memory").unwrap();
        memory.data_mut(&mut self.store)
    }

    pub(super) fn write(&mut self, at: usize, bytes: &[u8]) {
        self.memory()[at..at + bytes.len()].copy_from_slice(bytes);
    }

    pub(super) fn read(&mut self, at: usize, length: usize) -> Vec<u8> {
        self.memory()[at..at + length].to_vec()
    }

    pub(super) fn number(&mut self, at: usize) -> u32 {
        u32::from_le_bytes(self.read(at, 4).try_into().unwrap())
    }

    pub(super) fn open(&mut self, kind: crate::sync::ObjectKind, name: &str) -> i64 {
        self.write(64, name.as_bytes());
        self.call("open", &[kind as i64, 64, name.len() as i64])
    }

    pub(super) fn last_error(&mut self) -> String {
        let length = self.call("last_error", &[1024, 4096]) as usize;
        String::from_utf8(self.read(1024, length)).unwrap()
    }
}

/// What the linker offers to core modules under our name.
pub(super) fn signatures(
    linker: &wasmtime::Linker<HostState>,
    store: &mut Store<HostState>,
) -> Vec<(String, wasmtime::FuncType)> {
    let offered: Vec<_> = linker
        .iter(&mut *store)
        .filter(|(module, ..)| *module == super::super::core::MODULE)
        .map(|(_, name, item)| (name.to_owned(), item.into_func().unwrap()))
        .collect();
    offered.into_iter().map(|(name, function)| (name, function.ty(&*store))).collect()
}

fn passing_module(functions: &[(String, wasmtime::FuncType)]) -> String {
    let (mut imports, mut wrappers) = (String::new(), String::new());
    for (name, ty) in functions {
        let words = |types: &mut dyn Iterator<Item = wasmtime::ValType>| {
            types.map(|ty| ty.to_string()).collect::<Vec<_>>().join(" ")
        };
        let (parameters, results) = (words(&mut ty.params()), words(&mut ty.results()));
        let ty_text = format!("(param {parameters}) (result {results})");
        let passed: String = (0..ty.params().len()).map(|at| format!("(local.get {at}) ")).collect();
        imports += &format!("(import \"wasmpool\" \"{name}\" (func ${name} {ty_text}))\n");
        wrappers += &format!("(func (export \"{name}\") {ty_text} (call ${name} {passed}))\n");
    }
    format!("(module {imports} (memory (export \"memory\") 2) {wrappers})")
}

/// A supervisor that answers each message with what `answer` gives, until the guest is gone.
pub(super) fn supervisor(
    socket: PacketSocket,
    mut answer: impl FnMut(FromWorker, Vec<OwnedFd>) -> Vec<(ToWorker, Option<OwnedFd>)> + Send + 'static,
) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut buffer = vec![0; FRAME_BYTES_MAX];
        // A guest whose supervisor is gone ends its process, which is the test's: say why first.
        let mut answer = |message, files| {
            let answered = catch_unwind(AssertUnwindSafe(|| answer(message, files)));
            answered.unwrap_or_else(|_| std::process::exit(101))
        };
        while let Ok(Received::Packet(length, files)) = socket.receive(&mut buffer) {
            for (message, file) in answer(frame::decode(&buffer[..length]).unwrap(), files) {
                let files: Vec<_> = file.iter().map(AsFd::as_fd).collect();
                socket.send(&frame::encode(&message).unwrap(), &files).unwrap();
            }
        }
    })
}
