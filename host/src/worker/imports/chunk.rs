//! `wasmpool:task/chunk`: a guest goes through the tasks of its chunk by itself.
//!
//! A call from the host into a component and back costs more than a small task does. A guest that asks is given the
//! arguments of the tasks behind the one that runs, and tells how each of them ended; everything else is as if it had
//! returned and been called again.

#![forbid(unsafe_code)]

use wasmtime::StoreContextMut;
use wasmtime::component::Linker;

use super::HostState;
use crate::worker::engine::{Returned, TaskError};
use crate::worker::instance::{self, Ended};
use crate::worker::run;

const CHUNK: &str = "wasmpool:task/chunk@0.1.0";

/// What unwinds a guest that tells the end of its task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Stop {
    #[error("a task that nothing follows ends by returning")]
    NothingFollows,
    /// What it told, its result over the limit or the like, ends all of them; it has been said, and this is for nobody.
    #[error("no task follows one that ended like this")]
    Over,
}

type Store<'a> = StoreContextMut<'a, HostState>;

/// Offers the interface.
pub(super) fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    let mut chunk = linker.instance(CHUNK)?;
    chunk.func_wrap("following", |store: Store<'_>, ()| {
        let following = store.data().calls.as_ref().map_or(0, |calls| calls.following());
        Ok((u32::try_from(following).unwrap_or(u32::MAX),))
    })?;
    chunk.func_wrap("inputs", |store: Store<'_>, ()| {
        Ok((store.data().calls.as_ref().map(|calls| calls.give_inputs()).unwrap_or_default(),))
    })?;
    chunk.func_wrap("ended", ended)
}

fn ended(mut store: Store<'_>, (returned,): (Result<Returned, TaskError>,)) -> wasmtime::Result<()> {
    let calls = store.data().calls.clone().filter(|calls| calls.following() > 0);
    let (calls, encoding) =
        calls.and_then(|calls| Some((calls.clone(), calls.encoding()?))).ok_or(Stop::NothingFollows)?;
    let ended = Ended::of_task(returned, encoding, calls.limits().result_bytes);
    let (claim, body) = run::claim(ended, store.data());
    if !calls.end(claim, body) {
        return Err(Stop::Over.into());
    }
    store.data_mut().limiter.forget_denied();
    instance::allow_fuel(&mut store, calls.limits())
}
