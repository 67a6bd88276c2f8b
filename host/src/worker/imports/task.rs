//! The interfaces of `wasmpool:task`: what a task asks about itself and tells its caller.
//!
//! Written by hand against `guest-sdk/wit/task.wit`; the linker compares the types of each function with
//! those that a component imports. Strings of the guest are read in its memory and cut before they are
//! copied.

#![forbid(unsafe_code)]

use std::sync::Arc;

use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, Linker, LinkerInstance, Lower, WasmStr};

use super::{Exit, HostState};
use crate::limits::{FILE_NAME_BYTES_MAX, MESSAGE_BYTES_MAX, NAME_BYTES_MAX};
use crate::outcome::Panic;
use crate::protocol::worker::{FromWorker, LogLevel};
use crate::worker::link::Link;

const TYPES: &str = "wasmpool:task/types@0.1.0";
const CONTEXT: &str = "wasmpool:task/context@0.1.0";
const LOG: &str = "wasmpool:task/log@0.1.0";

/// The task that an instance runs.
#[derive(Debug)]
pub(super) struct TaskContext {
    pub(super) id: u64,
    pub(super) attempt: u32,
    pub(super) name: String,
    pub(super) worker_name: String,
    pub(super) log_level: Option<LogLevel>,
    pub(super) link: Arc<Link>,
}

/// `wasmpool:task/log.level`.
#[derive(Clone, Copy, Debug, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
enum Level {
    #[component(name = "trace")]
    Trace,
    #[component(name = "debug")]
    Debug,
    #[component(name = "info")]
    Info,
    #[component(name = "warn")]
    Warn,
    #[component(name = "error")]
    Error,
}

type Store<'a> = StoreContextMut<'a, HostState>;

/// Offers the three interfaces.
pub(super) fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    linker.instance(TYPES)?;
    link_context(linker.instance(CONTEXT)?)?;
    link_log(linker.instance(LOG)?)
}

fn link_context(mut context: LinkerInstance<'_, HostState>) -> wasmtime::Result<()> {
    context.func_wrap("name", |store: Store<'_>, ()| Ok((store.data().task.name.clone(),)))?;
    context.func_wrap("id", |store: Store<'_>, ()| Ok((store.data().task.id,)))?;
    context.func_wrap("attempt", |store: Store<'_>, ()| Ok((store.data().task.attempt,)))?;
    context.func_wrap("worker-name", |store: Store<'_>, ()| Ok((store.data().task.worker_name.clone(),)))?;
    context.func_wrap("cancelled", |store: Store<'_>, ()| {
        let task = &store.data().task;
        Ok((task.link.is_cancelled(task.id),))
    })?;
    context.func_wrap("progress", |store: Store<'_>, (done, total): (u64, Option<u64>)| {
        store.data().task.link.send(&FromWorker::Progress { done, total }, &[]);
        Ok(())
    })?;
    context.func_wrap("exit", |_: Store<'_>, (code,): (u32,)| -> wasmtime::Result<()> {
        Err(Exit(code).into())
    })?;
    context.func_wrap("panicked", panicked)
}

fn panicked(
    mut store: Store<'_>,
    (message, file, line, column): (WasmStr, WasmStr, u32, u32),
) -> wasmtime::Result<()> {
    let message = text(&store, &message, MESSAGE_BYTES_MAX)?;
    let file = text(&store, &file, FILE_NAME_BYTES_MAX)?;
    store.data_mut().panic = Some(Panic { message, file, line, column });
    Ok(())
}

fn link_log(mut log: LinkerInstance<'_, HostState>) -> wasmtime::Result<()> {
    log.func_wrap("record", |store: Store<'_>, (level, target, message): (Level, WasmStr, WasmStr)| {
        let level = LogLevel::from(level);
        if store.data().task.log_level.is_some_and(|lowest| level >= lowest) {
            let target = text(&store, &target, NAME_BYTES_MAX)?;
            let message = text(&store, &message, MESSAGE_BYTES_MAX)?;
            store.data().task.link.send(&FromWorker::Log { level, target, message }, &[]);
        }
        Ok(())
    })?;
    log.func_wrap("max-level", |store: Store<'_>, ()| Ok((store.data().task.log_level.map(Level::from),)))
}

/// A string of the guest, cut at a character's border.
fn text(store: &Store<'_>, string: &WasmStr, bytes_max: usize) -> wasmtime::Result<String> {
    let text = string.to_str(store)?;
    Ok(text[..text.floor_char_boundary(bytes_max)].to_owned())
}

impl From<Level> for LogLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Trace => Self::Trace,
            Level::Debug => Self::Debug,
            Level::Info => Self::Info,
            Level::Warn => Self::Warn,
            Level::Error => Self::Error,
        }
    }
}

impl From<LogLevel> for Level {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Trace => Self::Trace,
            LogLevel::Debug => Self::Debug,
            LogLevel::Info => Self::Info,
            LogLevel::Warn => Self::Warn,
            LogLevel::Error => Self::Error,
        }
    }
}
