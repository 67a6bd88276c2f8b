//! JUnit as others read it.

use quick_xml::Reader;

use super::super::memory::{expect_snapshot, written};
use super::*;
use crate::report::seen::tests::{Run, halted, hostile, usual};

fn text(run: &Run) -> String {
    written(&mut Junit::new(run.head.clone()), run)
}

/// The names of the elements, and the texts and attribute values, of a document that is well formed.
fn parsed(text: &str) -> (Vec<String>, String) {
    let (mut reader, mut names, mut texts) = (Reader::from_str(text), Vec::new(), String::new());
    let mut depth = 0_usize;
    loop {
        match reader.read_event().unwrap_or_else(|error| panic!("{error}: {text}")) {
            Event::Start(start) => {
                depth += 1;
                names.push(String::from_utf8(start.name().as_ref().to_vec()).unwrap());
                for attribute in start.attributes() {
                    texts.push_str(&attribute.unwrap().unescape_value().unwrap());
                }
            }
            Event::Empty(start) => {
                names.push(String::from_utf8(start.name().as_ref().to_vec()).unwrap());
                for attribute in start.attributes() {
                    texts.push_str(&attribute.unwrap().unescape_value().unwrap());
                }
            }
            Event::End(_) => depth -= 1,
            Event::Text(piece) => texts.push_str(&piece.decode().unwrap()),
            Event::Eof => break,
            _ => {}
        }
    }
    assert_eq!(depth, 0);
    (names, texts)
}

#[test]
fn the_file_is_what_it_was() {
    expect_snapshot("usual.xml", &text(&usual()));
}

#[test]
fn a_halted_run_says_so() {
    assert!(text(&halted()).contains(r#"<property name="wasmpool.interruption" value="halted"/>"#));
}

#[test]
fn what_xml_cannot_hold_is_left_out() {
    assert_eq!(allowed("a\u{0}b\u{b}c\u{fffe}d\t\u{1f980}"), "abcd\t\u{1f980}");
}

#[test]
fn an_output_is_shown_from_the_beginning_of_a_line() {
    assert_eq!(tail(b"first\nsecond\nthird\n", 10), "third\n");
    assert_eq!(tail(b"one long line", 4), "line");
}

proptest::proptest! {
    #[test]
    fn names_and_texts_of_guests_never_become_elements(name in ".*", error in ".*", bytes: Vec<u8>) {
        let plain = parsed(&text(&hostile("plain", "plain", b"plain"))).0;
        let text = text(&hostile(&name, &error, &bytes));
        let (names, texts) = parsed(&text);
        let without_output = |names: Vec<String>| -> Vec<String> {
            names.into_iter().filter(|name| !name.starts_with("system-")).collect()
        };
        proptest::prop_assert_eq!(without_output(names), without_output(plain));
        let is_odd = |c: char| c.is_control() && !matches!(c, '\n' | '\t' | '\r');
        proptest::prop_assert!(!texts.contains(is_odd));
    }
}
