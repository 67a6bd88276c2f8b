//! What a person types and writes: whole command lines, single values, lines of inputs.
//!
//! The first byte chooses; words are separated by line ends. The grammar is that of the program itself, whose source is
//! part of this target. Nothing panics, and what is accepted is what it should be.

#![no_main]

use std::ffi::OsString;
use std::io::BufReader;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use program::arguments::{self, grants, values};
// The grammar names its texts as the program does.
use program::help;
use wasmpool::batch::call::{Arguments, CallMaker, JsonText};
use wasmpool::batch::halt::Halt;
use wasmpool::batch::lines::Lines;
use wasmpool::batch::template::{PLACES, Template};
use wasmpool::module_info::{ParamInfo, TaskInfo};
use wasmpool::outcome::Encoding;

#[path = "../../src/bin/wasmpool"]
#[expect(dead_code, unused_imports, reason = "what is parsed is not used here")]
mod program {
    pub mod arguments;
    pub mod help;
}

/// Bytes of one line of inputs.
const LINE_BYTES_MAX: usize = 40;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((how, rest)) = data.split_first() else { return };
    match how % 4 {
        0 => command_line(*how, rest),
        1 => {
            directory(rest);
            std::str::from_utf8(rest).into_iter().for_each(value);
        }
        2 => lines(usize::from(how >> 2), rest),
        _ => inputs(*how, rest),
    }
});

fn words(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

fn command_line(how: u8, bytes: &[u8]) {
    let commands: [&str; 8] = ["run", "map", "inspect", "compile", "new", "doctor", "--help", "batch"];
    let mut line = vec![OsString::from("wasmpool")];
    line.extend(commands.get(usize::from(how >> 2) % 9).map(OsString::from));
    line.extend(words(bytes).into_iter().map(OsString::from_vec));
    match arguments::parse(&line) {
        Ok(command) => {
            let _ = command.common();
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            let _ = arguments::usage_code(&line);
        }
    }
}

/// What ends like a mode is never granted for writing, and the host's path is what stands in front.
fn directory(text: &[u8]) {
    let Ok(option) = grants::directory(&OsString::from_vec(text.to_vec())) else { return };
    let host = option.host.as_os_str().as_bytes();
    assert!(!host.is_empty() && text.starts_with(host), "{option:?}");
    assert!(!option.guest.is_empty(), "{option:?}");
    let is_read_only = option.access == wasmpool::DirAccess::ReadOnly;
    assert_eq!(is_read_only, text.to_ascii_lowercase().ends_with(b":ro"), "{option:?}");
}

fn value(text: &str) {
    assert!(!values::time(text).is_ok_and(|time| time.is_zero()));
    assert!(!values::size(text).is_ok_and(|size| size == 0));
    if let Ok((name, value)) = values::keyword(text) {
        assert_eq!(format!("{name}={value}"), text);
    }
    if let Ok((name, _)) = values::name_and_capacity(text) {
        assert!(text.starts_with(&name));
    }
    let _ = values::name_and_count(text);
    if let Ok(variable) = grants::variable(text) {
        let value = variable.value.map(|value| format!("={value}")).unwrap_or_default();
        assert_eq!(format!("{}{value}", variable.name), text);
    }
    let _ = text.parse::<Halt>();
    let mut words = [OsString::from(text)];
    values::mark_negative_numbers(&mut words);
    values::unmark_negative_numbers(&mut words);
    assert_eq!(words[0], text);
    if let Ok(template) = Template::new(text.lines().map(str::to_owned).collect()) {
        // No value makes a place of what stands around it.
        let values = ["d/x.y", "d/x", "x.y", "d", "x", "7"];
        let whole = text.lines().collect::<Vec<_>>().join("\n");
        let filled =
            PLACES.iter().zip(values).fold(whole, |text, ((place, _), value)| text.replace(place, value));
        assert_eq!(template.fill("d/x.y", 7).join("\n"), filled);
    }
    let json = JsonText::from_argument(text);
    serde_json::from_str::<serde::de::IgnoredAny>(json.as_str()).expect("an argument becomes JSON");
}

/// Lines are the file's, whole and in order, whatever the buffer's size is; only those over the limit are left out.
fn lines(buffer_bytes: usize, bytes: &[u8]) {
    let mut lines = Lines::new(BufReader::with_capacity(buffer_bytes + 1, bytes), LINE_BYTES_MAX);
    let expected = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let mut expected =
        expected.split(|byte| *byte == b'\n').take(if bytes.is_empty() { 0 } else { usize::MAX });
    let mut number = 0;
    while let Some(line) = lines.next_line().expect("a slice can be read") {
        number += 1;
        assert_eq!(line.number, number);
        let text = expected.next().expect("no more lines than there are");
        match line.text {
            Ok(read) => assert_eq!(read, text),
            Err(_) => assert!(text.len() > LINE_BYTES_MAX),
        }
    }
    assert_eq!(expected.next(), None);
}

/// Inputs of a task with one or two parameters: on the command line, as lines, and spread.
fn inputs(how: u8, bytes: &[u8]) {
    let param = |name: &str, optional| ParamInfo {
        name: name.to_owned(),
        ty: "i64".to_owned(),
        optional,
        default: None,
    };
    let info = TaskInfo {
        name: "task".to_owned(),
        export: "task".to_owned(),
        doc: String::new(),
        params: vec![param("a", false), param("b", how & 4 != 0)],
        returns: String::new(),
        args: if how & 8 != 0 { Encoding::Raw } else { Encoding::Json },
        result: Encoding::Json,
    };
    let words = words(bytes);
    let keywords = if how & 16 != 0 {
        words.iter().filter_map(|word| values::keyword(std::str::from_utf8(word).ok()?).ok()).collect()
    } else {
        Vec::new()
    };
    let keywords =
        keywords.into_iter().map(|(name, value)| (name, JsonText::from_argument(&value))).collect();
    let Ok(maker) = CallMaker::new("task", Some(&info), keywords, how & 32 != 0) else { return };
    let all: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
    for made in [maker.of_arguments(&all), maker.of_input(bytes), maker.of_line(bytes)] {
        match made {
            Ok(Arguments::Json(json)) => {
                serde_json::from_str::<serde::de::IgnoredAny>(&json).expect("arguments are JSON");
            }
            Ok(Arguments::Raw(raw)) => assert!(raw == bytes || words.contains(&raw.to_vec())),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}
