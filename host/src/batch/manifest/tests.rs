//! What is read, and that the schema has every key of it.

use serde_json::Value;

use super::*;

/// The keys that an unknown one is told to be none of.
fn keys_of(table: &str) -> Vec<String> {
    let text = format!("{table}\nzzzzzzzzzzzzzzzz = 1\n");
    let mistakes = Manifest::parse(&text).unwrap_err().0;
    let message = &mistakes.iter().find(|mistake| mistake.message.contains("zzzzzzzz")).unwrap().message;
    let Some((_, keys)) = message.split_once("the keys here are ") else { return Vec::new() };
    keys.split(", ").filter(|key| !key.is_empty()).map(str::to_owned).collect()
}

fn keys_of_schema(schema: &Value) -> Vec<String> {
    schema["properties"].as_object().map(|keys| keys.keys().cloned().collect()).unwrap_or_default()
}

#[test]
fn the_schema_has_every_key_that_is_read_and_no_other() {
    let schema = schema::schema();
    let properties = &schema["properties"];
    assert_eq!(keys_of_schema(&schema), keys_of(""));
    assert_eq!(keys_of_schema(&properties["batch"]), keys_of("[batch]"));
    assert_eq!(keys_of_schema(&properties["defaults"]), keys_of("[defaults]"));
    assert_eq!(keys_of_schema(&properties["task"]["items"]), keys_of("[[task]]"));
    for (table, _) in objects::TABLES.iter().chain(&[("groups", "")]) {
        let entry = &properties[table]["additionalProperties"];
        assert_eq!(keys_of_schema(entry), keys_of(&format!("[{table}.x]")), "{table}");
    }
}

/// The published file is what `wasmpool batch --schema` prints. After a change, run this with WASMPOOL_WRITE_EXPECTED=1.
#[test]
fn the_schema_is_published() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/batch.schema.json");
    let text = format!("{:#}\n", schema::schema());
    if std::env::var_os("WASMPOOL_WRITE_EXPECTED").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap_or_default(), text);
}

#[test]
fn objects_have_their_bounds() {
    let text = "[queues.jobs]\ncapacity = 10\nmessage_bytes = '1KiB'\n[values.sum]\n[values.mean]\ninitial = 0.5\n\
                [arrays.row]\ntype = 'u8'\nlength = 3\n[barriers.start]\nparties = 2\n[dicts.seen]\n\
                [[task]]\nname = 't'\nmodule = 'm'";
    let manifest = Manifest::parse(text).unwrap();
    let kinds: Vec<&objects::Kind> = manifest.objects.iter().map(|object| &object.kind).collect();
    let queue =
        objects::Kind::Queue { capacity: Some(10), message_bytes: Some(1024), bytes: None, deliveries: None };
    let row = objects::Kind::Array { element: crate::sync::ElementType::U8, length: 3 };
    let expected = [
        &queue,
        &objects::Kind::Integer { initial: 0 },
        &objects::Kind::Float { initial: 0.5 },
        &row,
        &objects::Kind::Barrier { parties: 2 },
        &objects::Kind::Dict,
    ];
    assert_eq!(kinds, expected);
}

#[test]
fn a_text_that_is_too_long_or_too_deep_is_refused() {
    let long = "#".repeat(MANIFEST_BYTES_MAX + 1);
    assert!(Manifest::parse(&long).unwrap_err().to_string().contains("from"));
    let deep = format!("a = {}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(Manifest::parse(&deep).is_err());
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_or_refused_with_places_within_it(text in "([a-z\\[\\]{}=\"'.,# \n0-9]|\\[\\[task\\]\\]\n|name = |module = |\\[queues.a\\]\n|é)*") {
        if let Err(mistakes) = Manifest::parse(&text) {
            proptest::prop_assert!(!mistakes.0.is_empty());
            for mistake in &mistakes.0 {
                let (line, column) = mistake.place(&text);
                let lines: Vec<&str> = text.split('\n').collect();
                proptest::prop_assert!(line <= lines.len() && column <= lines[line - 1].chars().count() + 1);
            }
            let _ = mistakes.render("m", &text);
        }
    }
}
