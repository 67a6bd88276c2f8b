//! A result that cannot be written, and an error that cannot be shown.

use wasmpool_guest::task;

struct Point;

#[task]
fn origin() -> Point {
    Point
}

#[task]
fn fail() -> Result<u8, Point> {
    Err(Point)
}

fn main() {}
