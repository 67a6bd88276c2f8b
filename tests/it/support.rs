//! What the tests share: the program, the guests, and a runner that looks for leftovers.

pub mod binary;
pub mod build;
pub mod mebibyte;
pub mod ordinary;
pub mod packages;
pub mod processes;
pub mod program;
pub mod real_programs;
pub mod terminal;

pub use build::{example, guests, wat};
pub use program::{Finished, Run, finish, plan, scenario, wasmpool};
