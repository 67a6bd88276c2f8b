//! Functions that a guest may call again and again without ever waiting: reading, accepting, receiving.
//!
//! The worker's one thread waits for sockets while its guest waits. A guest that only asks would never be told, so where
//! there can be sockets, each of these looks at them first.

#![forbid(unsafe_code)]

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::WasiView as _;
use wasmtime_wasi::p2::bindings::sockets::network::ErrorCode;
use wasmtime_wasi::p2::bindings::sockets::tcp::HostTcpSocket as _;
use wasmtime_wasi::p2::bindings::sockets::udp::{
    HostIncomingDatagramStream as _, IncomingDatagram, IncomingDatagramStream,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, SocketResult, StreamError, TcpSocket};
use wasmtime_wasi::sockets::WasiSocketsView as _;

use super::HostState;
use crate::worker::engine::ReadError;

type Store<'a> = StoreContextMut<'a, HostState>;
type Connection = (Resource<TcpSocket>, Resource<DynInputStream>, Resource<DynOutputStream>);

/// Puts the functions in the place of wasmtime-wasi's. Shadowing must be allowed.
pub(super) fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    linker.instance("wasi:io/streams@0.2.12")?.func_wrap_async(
        "[method]input-stream.read",
        |mut store: Store<'_>, (stream, length): (Resource<DynInputStream>, u64)| {
            Box::new(async move {
                look_at_sockets(store.data()).await;
                read(store.data_mut(), &stream, length).map(|result| (result,))
            })
        },
    )?;
    linker.instance("wasi:sockets/tcp@0.2.12")?.func_wrap_async(
        "[method]tcp-socket.accept",
        |mut store: Store<'_>, (socket,): (Resource<TcpSocket>,)| {
            Box::new(async move {
                look_at_sockets(store.data()).await;
                let accepted: SocketResult<Connection> = store.data_mut().sockets().accept(socket);
                told(accepted)
            })
        },
    )?;
    linker.instance("wasi:sockets/udp@0.2.12")?.func_wrap_async(
        "[method]incoming-datagram-stream.receive",
        |mut store: Store<'_>, (stream, count): (Resource<IncomingDatagramStream>, u64)| {
            Box::new(async move {
                look_at_sockets(store.data()).await;
                let received: SocketResult<Vec<IncomingDatagram>> =
                    store.data_mut().sockets().receive(stream, count);
                told(received)
            })
        },
    )
}

/// The runtime hears of sockets while somebody else has the thread.
fn look_at_sockets(state: &HostState) -> impl Future<Output = ()> + Send + use<> {
    let has_sockets = !state.nets.is_empty();
    async move {
        if has_sockets {
            tokio::task::yield_now().await;
        }
    }
}

fn read(
    state: &mut HostState,
    stream: &Resource<DynInputStream>,
    length: u64,
) -> wasmtime::Result<Result<Vec<u8>, ReadError>> {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let table = state.ctx().table;
    match table.get_mut(stream)?.read(length) {
        Ok(bytes) => Ok(Ok(bytes.into())),
        Err(StreamError::Closed) => Ok(Err(ReadError::Closed)),
        Err(StreamError::LastOperationFailed(error)) => {
            Ok(Err(ReadError::LastOperationFailed(table.push(error)?)))
        }
        Err(StreamError::Trap(error)) => Err(error),
    }
}

/// An error of the outer result ends the guest; the inner one is the guest's to handle.
fn told<T>(result: SocketResult<T>) -> wasmtime::Result<(Result<T, ErrorCode>,)> {
    match result {
        Ok(value) => Ok((Ok(value),)),
        Err(error) => error.downcast().map(|code| (Err(code),)),
    }
}
