//! The one integration binary.
//!
//! Tests of the command line run the real program; tests of the library run scenarios in a host program
//! of their own (`src/scenario`), so that descriptors, threads and processes can be counted.

mod bench;
mod cli;
mod examples;
mod faults;
mod languages;
mod library;
mod programs;
mod readme;
mod security;
mod support;
mod tidy;
mod wasi;
