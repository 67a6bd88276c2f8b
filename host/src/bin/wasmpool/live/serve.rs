//! Answers `wasmpool ps`: one document to each connection, on a thread of its own.
//!
//! Nothing is read from who connects. How many are answered at one time, and for how long, is bounded, and none of it
//! holds up the batch.

#![forbid(unsafe_code)]

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::geteuid;
use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, oneshot};
use wasmpool::batch::live::Live;

use super::folder::Folder;
use super::status::Document;

/// Connections that are answered at one time; others wait.
const CLIENTS_MAX: usize = 8;
/// How long one may take to read its answer.
const CLIENT_TIME: Duration = Duration::from_secs(2);

/// As long as it exists, `wasmpool ps` finds the batch.
#[derive(Debug)]
pub struct Serving {
    path: PathBuf,
    /// With it the thread ends.
    _stop: oneshot::Sender<()>,
}

impl Serving {
    /// Without a socket a batch runs as well.
    pub fn start(live: &Arc<Live>) -> Option<Self> {
        let listen = || {
            let folder = Folder::make()?;
            // What others left is removed here too.
            folder.processes();
            let path = folder.socket(std::process::id());
            // A process of this number is gone, or it is the batch before this one in `--watch`.
            let _ = std::fs::remove_file(&path);
            let listener = std::os::unix::net::UnixListener::bind(&path)?;
            listener.set_nonblocking(true)?;
            let (stop, stopped) = oneshot::channel();
            let live = Arc::clone(live);
            let thread = std::thread::Builder::new().name("wasmpool-status".to_owned());
            thread.spawn(move || run(listener, &live, stopped))?;
            Ok::<_, io::Error>(Self { path, _stop: stop })
        };
        listen()
            .inspect_err(|error| {
                tracing::info!("`wasmpool ps` will not find this batch: it has no socket: {error}")
            })
            .ok()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Whoever looks for it finds that nobody listens.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn run(listener: std::os::unix::net::UnixListener, live: &Arc<Live>, stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let served = runtime.and_then(|runtime| {
        runtime.block_on(async {
            let listener = UnixListener::from_std(listener)?;
            tokio::select! {
                _ = stopped => Ok(()),
                ended = serve(&listener, live) => ended,
            }
        })
    });
    if let Err(error) = served {
        tracing::info!("`wasmpool ps` is not answered any more: {error}");
    }
}

async fn serve(listener: &UnixListener, live: &Arc<Live>) -> io::Result<()> {
    let clients = Arc::new(Semaphore::new(CLIENTS_MAX));
    loop {
        let Ok(place) = Arc::clone(&clients).acquire_owned().await else { return Ok(()) };
        let Ok((stream, _)) = listener.accept().await else {
            // Without a descriptor for it, it waits until there is one.
            tokio::time::sleep(CLIENT_TIME).await;
            continue;
        };
        if !stream.peer_cred().is_ok_and(|peer| is_ours(peer.uid())) {
            continue;
        }
        let live = Arc::clone(live);
        tokio::spawn(async move {
            // Who does not read is left.
            let _ = tokio::time::timeout(CLIENT_TIME, answer(stream, &live)).await;
            drop(place);
        });
    }
}

/// This user's, or root's.
fn is_ours(uid: u32) -> bool {
    uid == geteuid().as_raw() || uid == 0
}

async fn answer(mut stream: UnixStream, live: &Live) -> io::Result<()> {
    let mut document = serde_json::to_vec(&Document::of(live))?;
    document.push(b'\n');
    stream.write_all(&document).await?;
    stream.shutdown().await
}
