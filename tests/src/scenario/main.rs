//! A host program that embeds the library, one scenario a behaviour. The tests run it and read what it
//! prints: one JSON value a line.

fn main() {
    wasmpool::init();
    let mut args = std::env::args().skip(1);
    let name = args.next().unwrap_or_default();
    eprintln!("no scenario is called `{name}`");
    std::process::exit(2);
}
