//! Streams over files for components.
//!
//! Takes the place of three functions of `wasi:filesystem/types`; wasmtime-wasi's own start a thread for
//! each read and write of a stream, whatever `allow_blocking_current_thread` says. Every check of theirs
//! is made here too: the type of the descriptor first, then the permission of its directory.

#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rustix::io::{Errno, ReadWriteFlags};
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource, ResourceTable};
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, InputStream, OutputStream, Pollable, StreamError, StreamResult,
};
use wasmtime_wasi::{WasiView as _, async_trait};

use super::HostState;
use crate::limits::STREAM_BYTES_MAX;

/// The interface as wasmtime-wasi 48.0.8 links it. A test would start a thread, and die, with another.
pub(super) const INTERFACE: &str = "wasi:filesystem/types@0.2.12";

/// Puts the three functions in the place of wasmtime-wasi's. Shadowing must be allowed.
pub(super) fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    let mut instance = linker.instance(INTERFACE)?;
    instance.func_wrap(
        "[method]descriptor.read-via-stream",
        |mut store: StoreContextMut<'_, HostState>, (file, offset): (Resource<Descriptor>, u64)| {
            read_via_stream(store.data_mut().ctx().table, &file, offset).map(|result| (result,))
        },
    )?;
    instance.func_wrap(
        "[method]descriptor.write-via-stream",
        |mut store: StoreContextMut<'_, HostState>, (file, offset): (Resource<Descriptor>, u64)| {
            let table = store.data_mut().ctx().table;
            write_via_stream(table, &file, Some(offset)).map(|result| (result,))
        },
    )?;
    instance.func_wrap(
        "[method]descriptor.append-via-stream",
        |mut store: StoreContextMut<'_, HostState>, (file,): (Resource<Descriptor>,)| {
            write_via_stream(store.data_mut().ctx().table, &file, None).map(|result| (result,))
        },
    )
}

/// An error of the outer result ends the guest; the inner one is the guest's to handle.
type Opened<T> = wasmtime::Result<Result<Resource<T>, ErrorCode>>;

fn read_via_stream(
    table: &mut ResourceTable,
    descriptor: &Resource<Descriptor>,
    position: u64,
) -> Opened<DynInputStream> {
    let file = match table.get(descriptor)? {
        Descriptor::File(file) => file.file.clone(),
        Descriptor::Dir(_) => return Ok(Err(ErrorCode::IsDirectory)),
    };
    let stream: DynInputStream = Box::new(Reader { file, position, ended: false });
    Ok(Ok(table.push(stream)?))
}

fn write_via_stream(
    table: &mut ResourceTable,
    descriptor: &Resource<Descriptor>,
    position: Option<u64>,
) -> Opened<DynOutputStream> {
    let file = match table.get(descriptor)? {
        Descriptor::File(file) if file.perms.write_not_permitted() => {
            return Ok(Err(ErrorCode::NotPermitted));
        }
        Descriptor::File(file) => file.file.clone(),
        Descriptor::Dir(_) => return Ok(Err(ErrorCode::BadDescriptor)),
    };
    let stream: DynOutputStream = Box::new(Writer { file, position, closed: false });
    Ok(Ok(table.push(stream)?))
}

/// Reads a file from a position on.
struct Reader {
    file: Arc<File>,
    position: u64,
    ended: bool,
}

#[async_trait]
impl InputStream for Reader {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if self.ended {
            return Err(StreamError::Closed);
        }
        if size == 0 {
            return Ok(Bytes::new());
        }
        let mut buffer = BytesMut::zeroed(size.min(STREAM_BYTES_MAX));
        match retried(|| self.file.read_at(&mut buffer, self.position)) {
            Ok(0) => {
                self.ended = true;
                Err(StreamError::Closed)
            }
            Ok(length) => {
                self.position += length as u64;
                buffer.truncate(length);
                Ok(buffer.freeze())
            }
            Err(error) => {
                self.ended = true;
                Err(StreamError::LastOperationFailed(error.into()))
            }
        }
    }

    async fn blocking_read(&mut self, size: usize) -> StreamResult<Bytes> {
        self.read(size)
    }
}

#[async_trait]
impl Pollable for Reader {
    async fn ready(&mut self) {}
}

/// Writes a file from a position on, or at its end.
struct Writer {
    file: Arc<File>,
    /// Where the next byte goes; `None` for the end of the file, wherever it is by then.
    position: Option<u64>,
    closed: bool,
}

impl Writer {
    fn write_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(position) = self.position else { return append(&self.file, bytes) };
        let length = self.file.write_at(bytes, position)?;
        self.position = Some(position + length as u64);
        Ok(length)
    }

    fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match retried(|| self.write_some(bytes))? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                length => bytes = &bytes[length..],
            }
        }
        Ok(())
    }

    fn open(&self) -> StreamResult<()> {
        if self.closed { Err(StreamError::Closed) } else { Ok(()) }
    }
}

#[async_trait]
impl OutputStream for Writer {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.open()?;
        self.write_all(&bytes).map_err(|error| {
            self.closed = true;
            StreamError::LastOperationFailed(error.into())
        })
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.open()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.open().map(|()| STREAM_BYTES_MAX)
    }
}

#[async_trait]
impl Pollable for Writer {
    async fn ready(&mut self) {}
}

/// Appends without moving the file's own position or changing its flags.
fn append(file: &File, bytes: &[u8]) -> io::Result<usize> {
    match rustix::io::pwritev2(file, &[IoSlice::new(bytes)], 0, ReadWriteFlags::APPEND) {
        // The descriptor has the file's end as its only position, as a pipe has.
        Err(Errno::SPIPE) => Ok(rustix::io::write(file, bytes)?),
        other => Ok(other?),
    }
}

/// Calls again what a signal interrupted.
fn retried<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
