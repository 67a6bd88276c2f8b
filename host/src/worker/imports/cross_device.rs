//! Renaming and linking from one granted directory to another.
//!
//! In the empty root each of them is a mount of its own, and the kernel renames and links within one mount only. Programs
//! know that error, EXDEV, and copy instead. wasmtime-wasi has no word for it and says EIO as for everything that it
//! has no word for, so an EIO of these two calls is told as EXDEV here: who copies then meets what else it may
//! have been, a disk that fails or cannot be written.

#![forbid(unsafe_code)]

use wasmtime::component::{Linker as ComponentLinker, Resource};
use wasmtime::{AsContextMut as _, Caller, Extern, Linker, StoreContextMut, format_err};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemView as _};
use wasmtime_wasi::p1::types::{self, Errno, Lookupflags};
use wasmtime_wasi::p1::wasi_snapshot_preview1::WasiSnapshotPreview1 as _;
use wasmtime_wasi::p2::FsResult;
use wasmtime_wasi::p2::bindings::filesystem::types::{ErrorCode, HostDescriptor as _, PathFlags};
use wiggle::{GuestMemory, GuestPtr};

use super::HostState;
use super::file_stream::INTERFACE;

/// A path in the guest's memory: where it begins, and its length.
type Path = (u32, u32);

/// Puts both functions in the place of wasmtime-wasi's, for core modules. Shadowing must be allowed.
pub(super) fn link_core(linker: &mut Linker<HostState>, module: &str) -> wasmtime::Result<()> {
    linker.func_wrap_async(
        module,
        "path_rename",
        |caller: Caller<'_, HostState>,
         (from_dir, from, from_length, to_dir, to, to_length): (u32, u32, u32, u32, u32, u32)| {
            Box::new(rename(caller, from_dir, (from, from_length), to_dir, (to, to_length)))
        },
    )?;
    linker.func_wrap_async(
        module,
        "path_link",
        |caller: Caller<'_, HostState>,
         (from_dir, flags, from, from_length, to_dir, to, to_length): (
            u32,
            u32,
            u32,
            u32,
            u32,
            u32,
            u32,
        )| {
            Box::new(hard_link(caller, flags, from_dir, (from, from_length), to_dir, (to, to_length)))
        },
    )?;
    Ok(())
}

async fn rename(
    mut caller: Caller<'_, HostState>,
    from_dir: u32,
    from: Path,
    to_dir: u32,
    to: Path,
) -> wasmtime::Result<i32> {
    let (mut memory, state) = memory(&mut caller)?;
    let (from, to) = (GuestPtr::new(from), GuestPtr::new(to));
    told(state.wasi.get().path_rename(&mut memory, from_dir.into(), from, to_dir.into(), to).await)
}

async fn hard_link(
    mut caller: Caller<'_, HostState>,
    flags: u32,
    from_dir: u32,
    from: Path,
    to_dir: u32,
    to: Path,
) -> wasmtime::Result<i32> {
    // As in wasmtime-wasi, a flag that there is not ends the guest.
    let flags = Lookupflags::try_from(flags)?;
    let (mut memory, state) = memory(&mut caller)?;
    let (from, to) = (GuestPtr::new(from), GuestPtr::new(to));
    told(state.wasi.get().path_link(&mut memory, from_dir.into(), flags, from, to_dir.into(), to).await)
}

fn memory<'a>(
    caller: &'a mut Caller<'_, HostState>,
) -> wasmtime::Result<(GuestMemory<'a>, &'a mut HostState)> {
    let fuel = caller.as_context_mut().hostcall_fuel();
    let Some(Extern::Memory(memory)) = caller.get_export("memory") else {
        return Err(format_err!("missing required memory export"));
    };
    let (bytes, state) = memory.data_and_store_mut(caller);
    state.wasi.get().set_hostcall_fuel(fuel);
    Ok((GuestMemory::Unshared(bytes), state))
}

fn told(result: Result<(), types::Error>) -> wasmtime::Result<i32> {
    let errno = match result {
        Ok(()) => Errno::Success,
        Err(error) => error.downcast()?,
    };
    Ok(if errno == Errno::Io { Errno::Xdev } else { errno } as i32)
}

/// The same for components.
pub(super) fn link_component(linker: &mut ComponentLinker<HostState>) -> wasmtime::Result<()> {
    let mut instance = linker.instance(INTERFACE)?;
    instance.func_wrap_async(
        "[method]descriptor.rename-at",
        |mut store: StoreContextMut<'_, HostState>,
         (from_dir, from, to_dir, to): (Resource<Descriptor>, String, Resource<Descriptor>, String)| {
            Box::new(async move {
                let mut files = store.data_mut().filesystem();
                told_to_component(files.rename_at(from_dir, from, to_dir, to).await)
            })
        },
    )?;
    instance.func_wrap_async(
        "[method]descriptor.link-at",
        |mut store: StoreContextMut<'_, HostState>,
         (from_dir, flags, from, to_dir, to): (
            Resource<Descriptor>,
            PathFlags,
            String,
            Resource<Descriptor>,
            String,
        )| {
            Box::new(async move {
                let mut files = store.data_mut().filesystem();
                told_to_component(files.link_at(from_dir, flags, from, to_dir, to).await)
            })
        },
    )
}

/// The outer error ends the guest; the inner one is the guest's to handle.
fn told_to_component(result: FsResult<()>) -> wasmtime::Result<(Result<(), ErrorCode>,)> {
    Ok((match result {
        Ok(()) => Ok(()),
        Err(error) => match error.downcast()? {
            ErrorCode::Io => Err(ErrorCode::CrossDevice),
            other => Err(other),
        },
    },))
}
