//! Write wasmpool tasks: plain functions, compiled to WebAssembly, that a
//! host runs in processes of their own.
//!
//! A whole plugin:
//!
//! ```
//! use wasmpool_guest::task;
//!
//! /// The square of a number.
//! #[task]
//! fn square(n: i64) -> i64 {
//!     n * n
//! }
//! # assert_eq!(square(12), 144);
//! ```
//!
//! Its `Cargo.toml` says `crate-type = ["cdylib"]` under `[lib]` and depends on this crate; `cargo build --target
//! wasm32-wasip2` makes the component, and `wasmpool run FOLDER -t square 12` builds and runs it in one go.
//!
//! # What a task can be
//!
//! Any function whose parameters [`serde`] can read and whose result it can write, several in a crate, in whatever
//! module. Doc comment, names and types of the parameters reach `wasmpool inspect`.
//!
//! - A parameter of type `Option<T>` may be left out, one with `#[default(value)]` too. `&str`, `&[T]` and `&T` are
//!   read as `String`, `Vec<T>` and `T`.
//! - Returning `Result<T, E>` with an `E` that can be displayed makes the task fail with that text.
//! - [`Bytes`] as the only parameter or as the result passes bytes as they are, without JSON.
//! - A panic ends the task with a trap; its message and place reach the caller.
//!
//! ```
//! use wasmpool_guest::{serde::{Deserialize, Serialize}, task};
//!
//! #[derive(Serialize, Deserialize)]
//! #[serde(crate = "wasmpool_guest::serde")]
//! struct Point {
//!     x: f64,
//!     y: f64,
//! }
//!
//! /// Moves a point, by one to the right unless told otherwise.
//! #[task]
//! fn shift(point: Point, #[default(1.0)] dx: f64, dy: Option<f64>) -> Result<Point, String> {
//!     let moved = Point { x: point.x + dx, y: point.y + dy.unwrap_or(0.0) };
//!     if moved.x.is_finite() { Ok(moved) } else { Err(format!("{} is too far", moved.x)) }
//! }
//! # assert_eq!(shift(Point { x: 1.0, y: 2.0 }, 1.0, None).map(|point| point.x), Ok(2.0));
//! ```
//!
//! # While it runs
//!
//! [`context`] tells a task its name and attempt and whether it should stop, and takes its progress; [`exit`] ends it
//! with a code; the macros of [`log`] reach the host's log with the task's name; `println!` reaches its output.
//!
//! [`sync`] has queues, locks and the like, which tasks share with each other and with the host program; they can be
//! parameters of a task. [`pool`] lets a task submit other tasks of its module.
//!
//! # Tests
//!
//! A task stays a function: `cargo test` in the plugin's crate calls it natively. [`testing`] stands in for the host.
#![deny(unsafe_code)]
#![warn(missing_docs)]

mod arguments;
mod bytes;
pub mod context;
mod error;
pub mod pool;
mod returned;
pub mod sync;

#[cfg(any(target_arch = "wasm32", test))]
mod logger;
#[cfg(target_arch = "wasm32")]
mod output;
#[cfg(target_arch = "wasm32")]
mod panics;
#[cfg(target_arch = "wasm32")]
mod raw;
#[cfg(target_arch = "wasm32")]
use raw as host;
// Here, and not in the modules that they are for: those forbid unsafe code.
#[cfg(target_arch = "wasm32")]
#[path = "sync/raw.rs"]
mod flat;
#[cfg(target_arch = "wasm32")]
#[path = "pool/raw.rs"]
mod raw_pool;

#[cfg(not(target_arch = "wasm32"))]
mod native;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
#[cfg(not(target_arch = "wasm32"))]
use native as host;

pub use bytes::Bytes;
pub use context::exit;
pub use log;
pub use serde;
pub use serde_json;

/// Makes a function a task: an export of the component that `wasmpool` can run.
///
/// The function itself stays as it is and can be called and tested natively. What it may take and return is in the
/// [crate's documentation](crate). The export's name is the function's in kebab case: `count_primes` is exported as
/// `count-primes`, so a name is words of `a`-`z` and `0`-`9` with one `_` between them; two tasks of one name, in
/// whatever modules, are an error of the build.
///
/// ```
/// use wasmpool_guest::task;
///
/// /// Greets someone. Callers pass arguments by position or by name.
/// #[task]
/// fn greet(name: &str, #[default("Hello".to_string())] greeting: String, excited: Option<bool>) -> String {
///     let end = if excited.unwrap_or(false) { "!" } else { "." };
///     format!("{greeting}, {name}{end}")
/// }
/// assert_eq!(greet("Ada", "Hello".to_string(), Some(true)), "Hello, Ada!");
/// ```
///
/// Tasks are synchronous: each runs alone in its process and may block.
///
/// ```compile_fail
/// #[wasmpool_guest::task]
/// async fn fetch(url: String) -> String {
///     url
/// }
/// ```
pub use wasmpool_guest_macros::task;

/// Makes a function the one that runs once before the first task of its module, however many tasks there are.
///
/// What it leaves in memory is there in every task: each begins with a copy of the initialised instance, and no task sees
/// what another one changed. So a dictionary is loaded, a table computed or an interpreter started once, not once for
/// each task.
///
/// ```
/// use std::sync::OnceLock;
/// use wasmpool_guest::{init, task};
///
/// static SQUARES: OnceLock<Vec<u64>> = OnceLock::new();
///
/// #[init]
/// fn squares() {
///     SQUARES.get_or_init(|| (0..1000).map(|n| n * n).collect());
/// }
///
/// /// The number whose square this is.
/// #[task]
/// fn root(square: u64) -> Option<usize> {
///     SQUARES.get()?.binary_search(&square).ok()
/// }
/// # squares();
/// # assert_eq!(root(144), Some(12));
/// ```
///
/// It takes no parameters and returns nothing or a `Result<(), E>`; an error, a panic, or taking longer than the host's
/// limit (`--init-timeout`, 60 s) ends the tasks that wait for it in the same way. It sees the directories that the tasks
/// are granted, and may leave files open. It has no arguments, environment variables, standard input or network, and can
/// submit no tasks and open no queues or locks. What it prints is in the host's log. Random numbers that it draws, those
/// that a `HashMap` is seeded with among them, are the same in every task.
///
/// In native tests nobody calls it but the test. A module has at most one.
///
/// ```compile_fail
/// #[wasmpool_guest::init]
/// fn load(path: String) {}
/// ```
pub use wasmpool_guest_macros::init;

/// What the expansion of `#[task]` uses. Not for anyone else: it changes without notice.
#[doc(hidden)]
pub mod __private {
    pub use crate::arguments::{Arguments, Param};
    pub use crate::error::TaskError;
    #[cfg(target_arch = "wasm32")]
    pub use crate::raw::{Returning, enter, leave};
    pub use crate::returned::{Returned, ReturnedPlain};
}
