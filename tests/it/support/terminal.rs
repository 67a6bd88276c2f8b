//! A terminal, to see what a program writes to one.

use std::fs::{File, OpenOptions};
use std::io::Read;

use rustix::ioctl::{Getter, Setter, ioctl};

/// Numbers of x86-64 Linux.
const UNLOCK: u32 = 0x4004_5431;
const GET_NUMBER: u32 = 0x8004_5430;

/// Our end of a terminal, and the program's.
pub fn open() -> (File, File) {
    let both = |path: &str| OpenOptions::new().read(true).write(true).open(path).expect("a terminal");
    let ours = both("/dev/ptmx");
    // SAFETY: `TIOCSPTLCK` reads an `int`, and `TIOCGPTN` writes an `unsigned int`.
    let number = unsafe {
        ioctl(&ours, Setter::<UNLOCK, i32>::new(0)).expect("it is unlocked");
        ioctl(&ours, Getter::<GET_NUMBER, u32>::new()).expect("it has a number")
    };
    let theirs = both(&format!("/dev/pts/{number}"));
    (ours, theirs)
}

/// Everything that was written to it, until nobody has its other end.
pub fn read_all(mut ours: File) -> Vec<u8> {
    let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
    // The end of a terminal is an error.
    while let Ok(length @ 1..) = ours.read(&mut buffer) {
        all.extend_from_slice(&buffer[..length]);
    }
    all
}
