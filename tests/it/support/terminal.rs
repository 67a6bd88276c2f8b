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

/// Says how large it is.
pub fn resize(ours: &File, columns: u16, rows: u16) {
    const SET_SIZE: u32 = 0x5414;
    let size = [rows, columns, 0, 0];
    // SAFETY: `TIOCSWINSZ` reads four `unsigned short`s.
    unsafe { ioctl(ours, Setter::<SET_SIZE, [u16; 4]>::new(size)).expect("it has a size") };
}

/// What a terminal of so many columns shows after it got this: as much of one as our program uses.
pub fn shown(written: &str, columns: usize) -> Vec<String> {
    let (mut rows, mut row, mut column, mut wraps) = (vec![String::new()], 0_usize, 0_usize, true);
    let mut rest = written.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '\r' => column = 0,
            '\n' => row += 1,
            '\x1b' => {
                assert_eq!(rest.next(), Some('['), "another sequence: {written:?}");
                let mut numbers = String::new();
                let command = loop {
                    match rest.next().expect("a whole sequence") {
                        letter if letter.is_ascii_alphabetic() => break letter,
                        other => numbers.push(other),
                    }
                };
                match (numbers.as_str(), command) {
                    ("?7", 'l') => wraps = false,
                    ("?7", 'h') => wraps = true,
                    (up, 'A') => row -= up.parse::<usize>().expect("a number").min(row),
                    ("", 'J') => {
                        rows.truncate(row + 1);
                        rows[row] = rows[row].chars().take(column).collect();
                    }
                    (_, 'm') => {}
                    other => panic!("another sequence: {other:?}"),
                }
            }
            _ => {
                if column == columns && wraps {
                    (row, column) = (row + 1, 0);
                }
                column = column.min(columns - 1);
                rows.resize(rows.len().max(row + 1), String::new());
                let mut line: Vec<char> = rows[row].chars().collect();
                line.resize(line.len().max(column + 1), ' ');
                line[column] = character;
                rows[row] = line.into_iter().collect();
                column += 1;
            }
        }
        rows.resize(rows.len().max(row + 1), String::new());
    }
    assert!(wraps, "it wraps lines again");
    while rows.last().is_some_and(|row| row.trim().is_empty()) {
        rows.pop();
    }
    rows
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
