//! The world that every guest carries is the one that the WIT files say.
//!
//! After a change of one of them: `WASMPOOL_BLESS=1 cargo test -p wasmpool-guest --test world`.

#![forbid(unsafe_code)]

use std::path::Path;
use wit_component::StringEncoding;
use wit_parser::Resolve;

#[test]
fn the_encoded_world_is_that_of_the_wit_files() {
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("wit");
    let mut resolve = Resolve::default();
    let package = resolve.push_dir(&wit).unwrap().0;
    let world = resolve.select_world(&[package], Some("guest")).unwrap();
    let encoded = wit_component::metadata::encode(&resolve, world, StringEncoding::UTF8, None).unwrap();

    let file = wit.join("guest.component-type");
    if std::env::var_os("WASMPOOL_BLESS").is_some() {
        std::fs::write(&file, &encoded).unwrap();
    }
    let checked_in = std::fs::read(&file).unwrap_or_default();
    assert!(
        checked_in == encoded,
        "wit/guest.component-type is out of date: the head of this test says what to run"
    );
}

#[test]
fn the_world_of_every_interface_can_be_read() {
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("wit");
    let mut resolve = Resolve::default();
    let package = resolve.push_dir(&wit).unwrap().0;
    let world = resolve.select_world(&[package], Some("all")).unwrap();
    let imports: Vec<_> =
        resolve.worlds[world].imports.keys().map(|key| resolve.name_world_key(key)).collect();
    for interface in ["types", "context", "log", "flat", "pool", "objects"] {
        assert!(imports.contains(&format!("wasmpool:task/{interface}@0.1.0")), "{imports:?}");
    }
}
