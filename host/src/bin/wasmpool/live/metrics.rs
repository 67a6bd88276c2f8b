//! `--metrics ADDR`: the numbers of a running batch for Prometheus, at `/metrics`.
//!
//! How many may ask at one time, and how long each may take, is bounded; what they send is read by a library and is
//! of no interest but for its path.

#![forbid(unsafe_code)]

mod text;

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::sync::{Semaphore, oneshot};
use wasmpool::batch::live::Live;
use wasmpool::exit_code::batch;

use crate::console::Console;
use crate::failure::Failure;

/// Connections at one time; others wait.
const CLIENTS_MAX: usize = 16;
/// How long one may take to ask and to read the answer.
const CLIENT_TIME: Duration = Duration::from_secs(5);
/// Bytes of the head of a request.
const REQUEST_BYTES_MAX: usize = 16 * 1024;

/// An address that is listened on.
#[derive(Debug)]
pub struct Listening {
    listener: TcpListener,
    address: SocketAddr,
}

impl Listening {
    /// Takes the address.
    ///
    /// # Errors
    ///
    /// Code 2 when it cannot be had.
    pub fn open(address: SocketAddr) -> Result<Self, Failure> {
        let open = || {
            let listener = TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            Ok(Self { listener, address })
        };
        open().map_err(|error: io::Error| {
            Failure::new(batch::USAGE, format!("cannot listen on {address} for --metrics: {error}"))
        })
    }

    /// Answers from now on, on a thread of its own.
    pub fn serve(self, live: &Arc<Live>, console: &Console) -> Serving {
        console.say(&format!("metrics are at http://{}/metrics", self.address));
        let (stop, stopped) = oneshot::channel();
        let live = Arc::clone(live);
        let thread = std::thread::Builder::new().name("wasmpool-metrics".to_owned());
        let started = thread.spawn(move || {
            if let Err(error) = run(self.listener, &live, stopped) {
                tracing::warn!("metrics are not served any more: {error}");
            }
        });
        if let Err(error) = started {
            tracing::warn!("metrics are not served: there is no thread for it: {error}");
        }
        Serving { _stop: stop }
    }
}

/// As long as it exists, metrics are served.
#[derive(Debug)]
pub struct Serving {
    /// With it the thread ends.
    _stop: oneshot::Sender<()>,
}

fn run(listener: TcpListener, live: &Arc<Live>, stopped: oneshot::Receiver<()>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        tokio::select! {
            _ = stopped => {}
            () = serve(&listener, live) => {}
        }
        Ok(())
    })
}

async fn serve(listener: &tokio::net::TcpListener, live: &Arc<Live>) {
    let clients = Arc::new(Semaphore::new(CLIENTS_MAX));
    loop {
        let Ok(place) = Arc::clone(&clients).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // Without a descriptor for it, it waits until there is one.
            tokio::time::sleep(CLIENT_TIME).await;
            continue;
        };
        let live = Arc::clone(live);
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let response = respond(&request, &live);
                async { Ok::<_, Infallible>(response) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .keep_alive(false)
                .max_buf_size(REQUEST_BYTES_MAX)
                .serve_connection(TokioIo::new(stream), service);
            // Who is slow or speaks something else is left.
            let _ = tokio::time::timeout(CLIENT_TIME, connection).await;
            drop(place);
        });
    }
}

fn respond<B>(request: &Request<B>, live: &Live) -> Response<String> {
    let (status, body) = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/metrics") => (StatusCode::OK, text::of(live)),
        (&Method::GET | &Method::HEAD, _) => (StatusCode::NOT_FOUND, "metrics are at /metrics\n".to_owned()),
        _ => (StatusCode::METHOD_NOT_ALLOWED, "only GET\n".to_owned()),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let kind = if status == StatusCode::OK { text::CONTENT } else { "text/plain; charset=utf-8" };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}
