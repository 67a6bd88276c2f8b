//! The component type that this crate writes is the one that the reference encoder makes of the WIT text.

#![forbid(unsafe_code)]

use crate::component_type;
use wit_component::StringEncoding;
use wit_parser::Resolve;

/// The folder of the package `wasmpool:task`.
const WIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../wit");

/// What `wit-component` encodes for the world of the task exported as `export`, without its note about itself.
fn reference(export: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    resolve.push_dir(WIT).unwrap();
    let world = format!(
        "package wasmpool:export-{export};
         world task {{
             use wasmpool:task/types@0.1.0.{{task-error}};
             export {export}: func(args: list<u8>) -> result<list<u8>, task-error>;
         }}"
    );
    let package = resolve.push_str("export.wit", &world).unwrap();
    let world = resolve.select_world(&[package], Some("task")).unwrap();
    let mut encoded = wit_component::metadata::encode(&resolve, world, StringEncoding::UTF8, None).unwrap();
    // The note is the last section: its id 0, its length, its name.
    let name = encoded.windows(10).rposition(|window| window == b"\x09producers").unwrap();
    encoded.truncate(name - 2);
    encoded
}

#[test]
fn the_component_type_is_the_reference_encoders() {
    for export in ["f", "square", "count-primes", "a-name-with-many-words-in-it-because-lengths-are-encoded"]
    {
        assert_eq!(component_type::section(export), reference(export), "for {export}");
    }
}

#[test]
fn each_task_has_a_section_of_its_own() {
    assert_ne!(component_type::section_name("a"), component_type::section_name("b"));
    assert!(component_type::section_name("a").starts_with("component-type"));
}
