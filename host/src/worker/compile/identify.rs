//! What bytes are: a module in the binary format, one in the text format, or something else by name.

#![forbid(unsafe_code)]

use std::borrow::Cow;

use wasmparser::{Chunk, Parser, Payload};

use crate::module_info::ModuleKind;

/// How each module in the binary format begins.
const WASM_MAGIC: &[u8] = b"\0asm";
const MAGIC_AND_VERSION_BYTES: usize = 8;
/// Bytes of something unknown that are shown.
const SHOWN_BYTES: usize = 8;

/// What to do with a program for another machine.
const BUILD: &str = "build it for a target such as wasm32-wasip2";
/// What to do with a file that holds another one.
const UNPACK: &str = "unpack it and give the module in it";
/// What to do with something else altogether.
const GIVE: &str = "give a .wasm or .wat file";

/// Other kinds of files, by their first bytes, and what would be right.
const OTHERS: &[(&[u8], &str, &str)] = &[
    (b"\x7fELF", "an ELF file (a native program or library, or a module compiled by wasmtime)", BUILD),
    (b"MZ", "a Windows program", BUILD),
    (b"\xcf\xfa\xed\xfe", "a macOS program", BUILD),
    (b"\xca\xfe\xba\xbe", "a macOS program or a Java class", BUILD),
    (b"!<arch>\n", "a library archive", BUILD),
    (b"BC\xc0\xde", "LLVM bitcode", BUILD),
    (b"#!", "a script", GIVE),
    (b"PK\x03\x04", "a ZIP archive", UNPACK),
    (b"\x1f\x8b", "a gzip file", UNPACK),
    (b"\xfd7zXZ", "an xz file", UNPACK),
    (b"\x28\xb5\x2f\xfd", "a zstd file", UNPACK),
    (b"BZh", "a bzip2 file", UNPACK),
    (b"%PDF", "a PDF file", GIVE),
    (b"wpart\0", "an artifact of wasmpool's own cache", "give the module that it was made from"),
];

/// The module in `bytes`, in the binary format, or one line that says what they are instead.
pub(super) fn module(bytes: &[u8]) -> Result<(ModuleKind, Cow<'_, [u8]>), String> {
    if bytes.is_empty() {
        return Err(format!("the file is empty: {GIVE}"));
    }
    if bytes.starts_with(WASM_MAGIC) || WASM_MAGIC.starts_with(bytes) {
        return Ok((binary_kind(bytes)?, Cow::Borrowed(bytes)));
    }
    if let Some((_, what, right)) = OTHERS.iter().find(|(magic, ..)| bytes.starts_with(magic)) {
        return Err(format!("not a WebAssembly module but {what}: {right}"));
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        let shown = &bytes[..bytes.len().min(SHOWN_BYTES)];
        return Err(format!("not a WebAssembly module: the file begins with the bytes {shown:02x?}"));
    };
    if !matches!(wat::Detect::from_bytes(bytes), wat::Detect::WasmText) {
        return Err("not a WebAssembly module but a text file, and not WebAssembly's text format".to_owned());
    }
    let wasm = wat::parse_str(text).map_err(|error| text_error(&error.to_string()))?;
    Ok((binary_kind(&wasm)?, Cow::Owned(wasm)))
}

fn binary_kind(bytes: &[u8]) -> Result<ModuleKind, String> {
    if bytes.len() < MAGIC_AND_VERSION_BYTES {
        return Err(format!("a WebAssembly module that is cut off after {} bytes", bytes.len()));
    }
    if Parser::is_component(bytes) {
        return Ok(ModuleKind::Component);
    }
    if Parser::is_core_wasm(bytes) {
        return Ok(ModuleKind::CoreModule);
    }
    let version = &bytes[WASM_MAGIC.len()..MAGIC_AND_VERSION_BYTES];
    Err(format!(
        "a WebAssembly file of a version that is not supported: its version bytes are {version:02x?}"
    ))
}

/// What is wrong with the outermost structure of a module that was refused, if something is.
pub(super) fn damage(wasm: &[u8]) -> Option<String> {
    let mut parser = Parser::new(0);
    let mut rest = wasm;
    loop {
        match parser.parse(rest, false) {
            Ok(Chunk::NeedMoreData(_)) => {
                return Some(cut_off(wasm.len() - rest.len(), wasm.len()));
            }
            Ok(Chunk::Parsed { consumed, payload }) => {
                if let Payload::ModuleSection { unchecked_range: inner, .. }
                | Payload::ComponentSection { unchecked_range: inner, .. } = payload
                {
                    // What else is wrong inside a nested module is what the engine says.
                    return (inner.end > wasm.len()).then(|| cut_off(inner.start, wasm.len()));
                }
                if rest.len() == consumed {
                    return None;
                }
                rest = &rest[consumed..];
            }
            Err(_) => return None,
        }
    }
}

fn cut_off(at: usize, length: usize) -> String {
    format!("the module is cut off: what begins at byte {at} goes on after its last byte, {length}")
}

/// An error of the text format in one line: it comes with a picture of the place.
fn text_error(picture: &str) -> String {
    let mut lines = picture.lines();
    let what = lines.next().unwrap_or_default();
    let place = lines.find_map(|line| line.trim().strip_prefix("--> <anon>:"));
    match place.and_then(|place| place.split_once(':')) {
        Some((line, column)) => format!("WebAssembly text, line {line}, column {column}: {what}"),
        None => format!("WebAssembly text: {what}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_file_is_named() {
        let cases: &[(&[u8], &str)] = &[
            (b"", "empty"),
            (b"\x7fELF\x02\x01", "ELF"),
            (b"#!/bin/sh\n", "script"),
            (b"hello world\n", "text file"),
            (b"\xff\xfe\x00\x01garbage", "[ff, fe, 00, 01"),
            (b"\0as", "cut off after 3 bytes"),
            (b"\0asm\x07\0\0\0", "[07, 00, 00, 00]"),
            (b"(module", "line 1, column"),
        ];
        for (bytes, part) in cases {
            let detail = module(bytes).unwrap_err();
            assert!(detail.contains(part), "{detail}");
            assert!(!detail.contains('\n'), "{detail}");
        }
    }

    #[test]
    fn a_module_cut_off_anywhere_is_found_out() {
        let wasm = wat::parse_str(r#"(module (func (export "f") (result i32) (i32.const 42)))"#).unwrap();
        for length in MAGIC_AND_VERSION_BYTES + 1..wasm.len() {
            // A cut between two sections leaves a smaller module, which validation looks at.
            if let Some(detail) = damage(&wasm[..length]) {
                assert!(detail.contains("cut off"), "{detail}");
            }
        }
        assert!(damage(&wasm[..wasm.len() - 1]).is_some());
        assert_eq!(damage(&wasm), None);
    }
}
