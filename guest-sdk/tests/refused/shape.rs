//! What the macro refuses: one error each, at the token that is wrong, and none for their callers.

use wasmpool_guest::task;

#[task]
async fn fetch(url: String) -> String {
    url
}

#[task]
fn first<T>(values: Vec<T>) -> u8 {
    values.len() as u8
}

#[task]
fn change(#[default(Vec::new())] values: &mut Vec<u8>) {
    values.clear();
}

#[task]
struct Square {
    n: u64,
}

fn main() {
    let _ = fetch(String::new());
    change(&mut vec![]);
    let _ = Square { n: first(vec![()]).into() }.n;
}
