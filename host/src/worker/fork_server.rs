//! The fork server: one module under one policy, and the workers forked from it.
//!
//! Single-threaded, and in the sandbox before it maps the artifact. What it does between two forks is wait. A worker
//! begins as a copy of it, with the module loaded and linked, and is a child of the supervisor.

#![forbid(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::process::Resource;
use tokio::runtime::Runtime;

use crate::os::cgroup;
use crate::os::fork::{ForkKey, Forked, fork, settle_heap};
use crate::os::hardening::{self, exit_now};
use crate::os::huge_code::stand_in;
use crate::os::huge_pages::Maps;
use crate::os::memory_file::SealedFile;
use crate::os::signals;
use crate::os::socket::PacketSocket;
use crate::outcome::StartFailure;
use crate::policy::Layer;
use crate::protocol::fork_server::{FromForkServer, Load, Said, ToForkServer};
use crate::worker::child::{stay_with_parent, take_descriptor};
use crate::worker::control::Control;
use crate::worker::engine::{self, Purpose};
use crate::worker::imports::{GrantedDir, Outside, draw_first};
use crate::worker::instance::{LoadError, Loaded};
use crate::worker::link::{Aside, Link};
use crate::worker::ready::{Ends, Ready};
use crate::worker::sandbox::{self, Granted, Profile};
use crate::worker::{fault, panics, run, trap, warm};

/// What a request to fork does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// Makes a new process.
    Fork,
    /// Makes this very process the worker: the start method `spawn`.
    Become,
}

/// Serves the supervisor until it hangs up.
pub(crate) fn run(socket: PacketSocket, start: Start) -> io::Result<()> {
    let mut control = Control::new(socket);
    let Some((mut message, mut descriptors)) = control.receive::<ToForkServer>()? else { return Ok(()) };
    let mut joined = Ok(());
    if let ToForkServer::Join { required } = message {
        joined = join(descriptors).or_else(|error| if required { Err(error) } else { Ok(()) });
        let Some(next) = control.receive::<ToForkServer>()? else { return Ok(()) };
        (message, descriptors) = next;
    }
    if let ToForkServer::Code { program } = message {
        // The sandbox forbids it later. Without, everything works as well, and takes longer.
        let _ = stand_in(take_descriptor(&mut descriptors.into_iter())?, &program);
        let Some(next) = control.receive::<ToForkServer>()? else { return Ok(()) };
        (message, descriptors) = next;
    }
    let ToForkServer::Load(request) = message else { return Err(io::ErrorKind::InvalidData.into()) };
    let key = ForkKey::new()?;
    let mut ends = (start == Start::Fork).then(Ends::new).transpose()?;
    let fork_key = (start == Start::Fork).then_some(&key);
    let init = request.init;
    let counts_fuel = request.engine.fuel;
    // The sandbox has no such file.
    let maps = init.and_then(|_| Maps::open().ok());
    let (mut prepared, layers) = match joined.and_then(|()| load(&control, request, descriptors, fork_key)) {
        Ok(loaded) => loaded,
        Err(LoadError { kind, detail }) => {
            return control.send(&FromForkServer::LoadFailed { kind, detail: trap::message(detail) }, &[]);
        }
    };
    if let Some(init) = init {
        control.send(&FromForkServer::Initializing, &[])?;
        run::limit_data(init.memory_bytes);
        let (made, Aside { stdout, stderr }) =
            warm::warm(&prepared.loaded, &init, counts_fuel, &prepared.outside);
        let said = Said { stdout, stderr };
        match made {
            Ok(ready) => prepared.ready = Some(ready),
            Err(claim) => return control.send(&FromForkServer::InitFailed { claim: *claim, said }, &[]),
        }
        control.send(&FromForkServer::Initialized { said }, &[])?;
        maps.into_iter().for_each(Maps::join_pages);
        ends = None;
        settle_heap();
    }
    control.send(&FromForkServer::Ready { layers }, &[])?;
    let mut forks = 0_u64;
    while let Some((message, descriptors)) = control.receive::<ToForkServer>()? {
        let ToForkServer::Fork { worker } = message else { return Err(io::ErrorKind::InvalidData.into()) };
        let task_socket = take_descriptor(&mut descriptors.into_iter())?;
        if start == Start::Become {
            become_worker(task_socket, control.into_buffer(), prepared);
        }
        // Who asks for one worker wants it at once; who asks for a second one will ask for more.
        if forks == 1
            && let Some(ends) = ends.take()
        {
            prepared.ready = Ready::new(ends, &prepared.loaded);
            settle_heap();
        }
        forks += 1;
        match fork(&key) {
            Ok(Forked::Child) => {
                drop(ends);
                become_worker(task_socket, control.into_buffer(), prepared);
            }
            Ok(Forked::Parent(pidfd)) => {
                drop(task_socket);
                fault::point("fork-server-after-clone", |bytes| control.send_garbage(bytes));
                control.send(&FromForkServer::Forked { worker }, &[pidfd.as_fd()])?;
            }
            Err(error) => {
                let errno = error.raw_os_error().unwrap_or(0);
                control.send(&FromForkServer::ForkFailed { worker, errno }, &[])?;
            }
        }
    }
    Ok(())
}

/// Goes into the pool's cgroup; every worker is then born in it.
fn join(doors: Vec<OwnedFd>) -> Result<(), LoadError> {
    doors.into_iter().try_for_each(cgroup::enter).map_err(|error| {
        let detail = format!("the layer `{}` cannot be entered: {error}", Layer::Cgroup.label());
        LoadError { kind: StartFailure::Sandbox, detail }
    })
}

/// Everything that a worker begins with.
struct Prepared {
    loaded: Loaded,
    outside: Outside,
    /// Missing where it has descriptors, which workers must not have in common.
    runtime: Option<Runtime>,
    ready: Option<Ready>,
}

/// Enters the sandbox, then loads the artifact.
fn load(
    control: &Control,
    request: Load,
    descriptors: Vec<OwnedFd>,
    key: Option<&ForkKey>,
) -> Result<(Prepared, Vec<Layer>), LoadError> {
    let failed = |error: io::Error| LoadError { kind: StartFailure::Worker, detail: error.to_string() };
    let unwalled = |detail: String| LoadError { kind: StartFailure::Sandbox, detail };
    let mut descriptors = descriptors.into_iter();
    let artifact = take_descriptor(&mut descriptors).map_err(failed)?;
    let dirs: Vec<OwnedFd> = descriptors.collect();
    if dirs.len() != request.dirs.len() {
        return Err(failed(io::ErrorKind::InvalidData.into()));
    }
    let granted = Granted { dirs: &request.dirs, descriptors: &dirs, nets: &request.nets };
    let entered = sandbox::enter(request.policy.sandbox, &Profile::Run(key, granted))
        .map_err(|error| unwalled(error.to_string()))?;
    stay_with_parent(control);
    // Before the artifact is loaded: the host's descriptors of what has a path now are closed.
    let dirs = GrantedDir::all(request.dirs, entered.reach, dirs);
    let outside = Outside { dirs, nets: request.nets.into() };
    fault::point("before-ready", |bytes| control.send_garbage(bytes));
    let artifact = SealedFile::seal(artifact).map_err(failed)?;
    let load = |purpose| {
        let engine = engine::engine(request.engine, purpose)
            .map_err(|error| LoadError { kind: StartFailure::Worker, detail: trap::describe(&error) })?;
        let code = artifact.map_private(request.offset, request.length).map_err(failed)?;
        Loaded::new(&engine, request.kind, code)
    };
    let kept = request.keeps_memory.then(|| load(Purpose::RunMany));
    // What does not fit into memory that is kept gets new memory for each instance.
    let loaded = kept.and_then(Result::ok).map_or_else(|| load(Purpose::Run), Ok)?;
    // After the engine, whose own handlers these stand in front of.
    signals::fault_handlers_in_front().map_err(failed)?;
    engine::make_interruptible(loaded.engine());
    signals::on_interrupt(engine::interrupt).map_err(failed)?;
    if entered.layers.contains(&Layer::Seccomp) {
        sandbox::freeze_code().map_err(unwalled)?;
    }
    // Its signal stack and thread-local state are then there in every worker.
    wasmtime::Engine::tls_eager_initialize();
    panics::remember();
    if key.is_some() {
        draw_first();
        // What comes now is written to by every worker; what was made until here is not.
        settle_heap();
    }
    let runtime = outside.nets.is_empty().then(|| run::runtime(&outside));
    Ok((Prepared { loaded, outside, runtime, ready: None }, entered.layers))
}

/// Is the worker from here on.
fn become_worker(task_socket: OwnedFd, buffer: Vec<u8>, prepared: Prepared) -> ! {
    let socket = PacketSocket::from_fd(task_socket);
    // Not inherited over a fork. After it, a supervisor that is gone already shows in its socket.
    if hardening::die_with_parent().is_err() || hardening::is_hung_up(&socket) {
        exit_now(0);
    }
    // The filter and its key forbid it already. This limit binds every user but root.
    let _ = hardening::limit(Resource::Nproc, 0);
    let Prepared { loaded, outside, runtime, ready } = prepared;
    let runtime = runtime.unwrap_or_else(|| run::runtime(&outside));
    let link = match ready.as_ref().and_then(|ready| ready.link.clone()) {
        Some(link) => {
            link.attach(socket, buffer);
            link
        }
        None => Arc::new(Link::with_buffer(socket, buffer)),
    };
    run::serve(&link, &loaded, &outside, &runtime, ready)
}
