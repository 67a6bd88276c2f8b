//! Keeps guests from talking to the terminal: escape sequences can move the cursor, rename the window,
//! fill the clipboard or fake the lines of another task.

#![forbid(unsafe_code)]

/// Removes escape sequences and control characters from a stream of bytes that comes in pieces.
///
/// Newlines and tabs stay, carriage returns too unless [`TerminalFilter::without_returns`] made it. Bytes
/// 128 to 159 outside a character, and the characters U+0080 to U+009F, are controls to some terminals.
#[derive(Clone, Debug, Default)]
pub struct TerminalFilter {
    state: State,
    /// Bytes that the character begun still needs.
    continuation_bytes: u8,
    drops_returns: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Ground,
    /// After the byte that begins the characters U+0080 to U+00BF.
    Latin,
    /// After ESC.
    Escape,
    /// In `ESC [ ...`.
    Control,
    /// In a text for the terminal, which ends with BEL or `ESC \`.
    Text,
    /// After ESC in such a text.
    TextEscape,
}

const ESC: u8 = 0x1b;
const BEL: u8 = 0x07;

impl TerminalFilter {
    /// A filter that removes carriage returns too, for lines that begin with a text of ours.
    #[must_use]
    pub fn without_returns() -> Self {
        Self { drops_returns: true, ..Self::default() }
    }

    /// Appends what is left of `bytes` to `out`.
    pub fn filter(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        out.reserve(bytes.len());
        for &byte in bytes {
            self.step(byte, out);
        }
    }

    fn step(&mut self, byte: u8, out: &mut Vec<u8>) {
        match self.state {
            State::Ground => self.ground(byte, out),
            State::Latin => self.latin(byte, out),
            // Intermediate bytes: the sequence goes on.
            State::Escape if (0x20..=0x2f).contains(&byte) => {}
            State::Escape => self.escape(byte, out),
            State::Control if (0x20..=0x3f).contains(&byte) => {}
            State::Control if (0x40..=0x7e).contains(&byte) => self.state = State::Ground,
            State::Text if byte == BEL => self.state = State::Ground,
            State::Text if byte == ESC => self.state = State::TextEscape,
            // A newline ends what no terminal would end there, so that one byte cannot hide a whole output.
            State::Text if byte != b'\n' => {}
            State::TextEscape if byte == b'\\' => self.state = State::Ground,
            State::TextEscape => self.escape(byte, out),
            State::Control | State::Text => {
                self.state = State::Ground;
                self.ground(byte, out);
            }
        }
    }

    fn ground(&mut self, byte: u8, out: &mut Vec<u8>) {
        let is_continuation = (0x80..=0xbf).contains(&byte);
        if is_continuation && self.continuation_bytes > 0 {
            self.continuation_bytes -= 1;
            return out.push(byte);
        }
        self.continuation_bytes = 0;
        match byte {
            ESC => self.state = State::Escape,
            0xc2 => self.state = State::Latin,
            b'\r' if self.drops_returns => {}
            b'\n' | b'\t' | b'\r' => out.push(byte),
            0..0x20 | 0x7f => {}
            0x80..=0xbf => out.extend_from_slice("\u{fffd}".as_bytes()),
            _ => {
                self.continuation_bytes = match byte {
                    0xc3..=0xdf => 1,
                    0xe0..=0xef => 2,
                    0xf0..=0xf4 => 3,
                    _ => 0,
                };
                out.push(byte);
            }
        }
    }

    fn latin(&mut self, byte: u8, out: &mut Vec<u8>) {
        self.state = State::Ground;
        match byte {
            0x9b => self.state = State::Control,
            0x90 | 0x98 | 0x9d..=0x9f => self.state = State::Text,
            0x80..=0x9f => {}
            0xa0..=0xbf => out.extend_from_slice(&[0xc2, byte]),
            _ => {
                out.extend_from_slice("\u{fffd}".as_bytes());
                self.ground(byte, out);
            }
        }
    }

    fn escape(&mut self, byte: u8, out: &mut Vec<u8>) {
        self.state = match byte {
            b'[' => State::Control,
            b']' | b'P' | b'X' | b'^' | b'_' => State::Text,
            ESC => State::Escape,
            0x20..=0x2f => State::Escape,
            _ => State::Ground,
        };
        if !(0x20..=0x7e).contains(&byte) && byte != ESC {
            self.ground(byte, out);
        }
    }
}

/// `text` without anything that a terminal would act on.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    TerminalFilter::without_returns().filter(text.as_bytes(), &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// `text` as one line: line breaks are written as `\n`, tabs as spaces.
#[must_use]
pub fn one_line(text: &str) -> String {
    printable(text.trim_end()).replace('\n', "\\n").replace('\t', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filtered(text: &[u8]) -> String {
        let mut whole = Vec::new();
        TerminalFilter::default().filter(text, &mut whole);
        let mut bytewise = Vec::new();
        let mut filter = TerminalFilter::default();
        text.iter().for_each(|&byte| filter.filter(&[byte], &mut bytewise));
        assert_eq!(whole, bytewise, "pieces make no difference");
        String::from_utf8(whole).unwrap()
    }

    #[test]
    fn texts_stay_and_sequences_go() {
        assert_eq!(
            filtered("plain\ttäxt \u{1f980}\r\nß\u{a0}\n".as_bytes()),
            "plain\ttäxt \u{1f980}\r\nß\u{a0}\n"
        );
        assert_eq!(filtered(b"\x1b[31mred\x1b[0m \x1b[2J\x1b[1;1Htop"), "red top");
        assert_eq!(filtered(b"a\x1b]0;title\x07b\x1b]52;c;Zm9v\x1b\\c"), "abc");
        assert_eq!(filtered(b"\x1bPdevice\x1b\\x\x1bcreset\x1b(Bcharset"), "xresetcharset");
        assert_eq!(filtered(b"bell\x07 back\x08 null\0 delete\x7f"), "bell back null delete");
    }

    #[test]
    fn controls_in_the_second_half_of_latin_1_go() {
        assert_eq!(filtered("a\u{9b}31mred\u{85}\u{9d}0;t\u{7}b".as_bytes()), "aredb");
        assert_eq!(filtered(b"stray \x9b31m"), "stray \u{fffd}31m");
    }

    #[test]
    fn an_unfinished_sequence_hides_at_most_its_line() {
        assert_eq!(filtered(b"\x1b]0;title\nnext"), "\nnext");
        assert_eq!(filtered(b"\x1b[12\nnext"), "\nnext");
        assert_eq!(filtered(b"\x1b\nnext"), "\nnext");
    }

    #[test]
    fn a_reason_is_one_line() {
        assert_eq!(one_line("left\n  right\t\x1b[1mbold\r\n"), r"left\n  right bold");
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_acts_on_a_terminal_comes_through(bytes: Vec<u8>) {
            let mut out = Vec::new();
            TerminalFilter::without_returns().filter(&bytes, &mut out);
            let text = String::from_utf8_lossy(&out);
            proptest::prop_assert!(text.chars().all(|c| matches!(c, '\n' | '\t') || !c.is_control()), "{text:?}");
        }
    }
}
