//! A parameter of a type that no argument can be read as.

use wasmpool_guest::task;

struct Point;

#[task]
fn length(origin: u8, point: Point) -> u8 {
    let Point = point;
    origin
}

fn main() {}
