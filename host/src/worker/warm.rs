//! Warm state: a module that has something to run before its first task runs it once, in the fork server, and every worker
//! begins with a copy of what came of it.
//!
//! That is an `#[init]` function or the `_initialize` of a reactor. It runs in the sandbox in which the tasks run, with
//! the directories that they are granted, and with limits of its own. There is no network, because a connection would be
//! shared by all workers, and nobody to ask for tasks or shared objects. What it leaves is the instance: memory, globals,
//! tables, and open files, which keep their positions in each worker for itself.

#![forbid(unsafe_code)]

use std::sync::Arc;

use tokio::runtime::Builder;

use crate::limits::Limits;
use crate::os::signals;
use crate::outcome::{LimitKind, StartFailure};
use crate::protocol::fork_server::Init;
use crate::protocol::worker::{Claim, LogLevel, WorkerLimits};
use crate::sync::Token;
use crate::worker::imports::{Grants, HostConfig, HostState, Outside, Shared};
use crate::worker::instance::{self, Loaded};
use crate::worker::limiter::Limiter;
use crate::worker::link::{Aside, Link};
use crate::worker::ready::Ready;
use crate::worker::{run, trap};

/// Makes an instance and initialises it; and what it said meanwhile.
pub(super) fn warm(
    loaded: &Loaded,
    init: &Init,
    counts_fuel: bool,
    outside: &Outside,
) -> (Result<Ready, Box<Claim>>, Aside) {
    let link = Arc::new(Link::detached());
    let made = bounded(init, make(loaded, init, counts_fuel, outside, &link));
    (made, link.take_aside())
}

/// Waits for what is being made for as long as there is time.
fn bounded(init: &Init, make: impl Future<Output = Result<Ready, Box<Claim>>>) -> Result<Ready, Box<Claim>> {
    let runtime =
        Builder::new_current_thread().enable_time().build().map_err(|error| failed(error.to_string()))?;
    // A guest that runs is interrupted, one that waits is not waited for.
    let _bounded = signals::interrupt_each(init.timeout, signals::Clock::Wall);
    match runtime.block_on(async { tokio::time::timeout(init.timeout, make).await }) {
        Ok(Err(claim)) if matches!(*claim, Claim::Interrupted { .. }) => Err(too_long(init)),
        Ok(made) => made,
        Err(_) => Err(too_long(init)),
    }
}

async fn make(
    loaded: &Loaded,
    init: &Init,
    counts_fuel: bool,
    outside: &Outside,
    link: &Arc<Link>,
) -> Result<Ready, Box<Claim>> {
    let limits = WorkerLimits {
        // Its time is limited, by a clock; tasks have all of their fuel for themselves.
        fuel: counts_fuel.then_some(u64::MAX),
        cpu_time: None,
        memory_bytes: init.memory_bytes,
        table_elements: init.table_elements,
        instances: init.instances,
        result_bytes: Limits::default().result_bytes,
    };
    let config = HostConfig {
        link: link.clone(),
        task: 0,
        attempt: 1,
        name: "init".to_owned(),
        worker_name: "fork-server".to_owned(),
        argv: Vec::new(),
        env: Vec::new(),
        stdin: None,
        outside: Outside { dirs: outside.dirs.clone(), nets: Arc::default() },
        log_level: Some(LogLevel::Info),
        shared: Shared { who: Token::new(1).expect("one is a token"), grants: Grants::default() },
        limiter: Limiter::new(limits),
        deterministic: init.deterministic,
    };
    let host = HostState::new(config).map_err(|error| failed(trap::describe(&error)))?;
    let mut store =
        instance::store(loaded.engine(), host, &limits).map_err(|error| failed(trap::describe(&error)))?;
    let live = loaded.instantiate(&mut store).await.map_err(|error| {
        let panic = store.data_mut().take_panic();
        trap::instantiation_claim(&error, &store.data().limiter, panic)
    })?;
    run::initialized(&live, &mut store).await?;
    Ok(Ready { store, live, limits, link: Some(link.clone()) })
}

fn too_long(init: &Init) -> Box<Claim> {
    let detail = format!("the module was still being initialised after {:?}", init.timeout);
    Box::new(Claim::LimitExceeded { kind: LimitKind::Time, detail })
}

fn failed(detail: String) -> Box<Claim> {
    Box::new(Claim::NotStarted { kind: StartFailure::Worker, detail: trap::message(detail) })
}
