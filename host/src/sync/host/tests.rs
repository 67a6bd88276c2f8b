//! What the handles promise, among threads of one program.

#![forbid(unsafe_code)]
