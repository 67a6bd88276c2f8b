//! The command line of a WASI command with places for each input: `-- convert {} out/{.}.png`. The places are those
//! of GNU parallel.

#![forbid(unsafe_code)]

/// What may stand in an argument, and what takes its place.
pub const PLACES: &[(&str, &str)] = &[
    ("{}", "the input"),
    ("{.}", "the input without its extension"),
    ("{/}", "the input's last part, as of a path"),
    ("{//}", "what comes before it, `.` if there is nothing"),
    ("{/.}", "the last part without its extension"),
    ("{#}", "the input's number, from 1"),
];

/// A command line with at least one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Vec<Piece>>);

/// A part of an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// An index into [`PLACES`].
    Place(usize),
}

/// The arguments name no place for the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "nothing after `--`, or in --invoke, says where each input goes: write `{{}}` there (or `{{.}}`, `{{/}}`, `{{//}}`, \
     `{{/.}}`, `{{#}}`)"
)]
pub struct NoPlace;

impl Template {
    /// The arguments after `--`.
    ///
    /// # Errors
    ///
    /// When none of them has a place: every task would be the same.
    pub fn new(arguments: Vec<String>) -> Result<Self, NoPlace> {
        let arguments: Vec<_> = arguments.iter().map(|argument| pieces(argument)).collect();
        let has_place = arguments.iter().flatten().any(|piece| matches!(piece, Piece::Place(_)));
        if has_place { Ok(Self(arguments)) } else { Err(NoPlace) }
    }

    /// A call with places, as `--invoke` takes it: `add({}, 1)`.
    ///
    /// # Errors
    ///
    /// When it has no place: every task would be the same.
    pub fn expression(call: &str) -> Result<Self, NoPlace> {
        Self::new(vec![call.to_owned()])
    }

    /// The call for the input of this number. Between quotes the input is text; anywhere else it is a value as it stands,
    /// and never more than one.
    ///
    /// # Errors
    ///
    /// What is no single value.
    pub fn call(&self, input: &str, number: u64) -> Result<String, NoValue> {
        let mut call = CallText::default();
        for piece in self.0.iter().flatten() {
            match piece {
                Piece::Text(text) => call.text(text),
                Piece::Place(place) => call.value(&value(PLACES[*place].0, input, number))?,
            }
        }
        Ok(call.finish())
    }

    /// The arguments for the input of this number. What is put in is never split or read again.
    #[must_use]
    pub fn fill(&self, input: &str, number: u64) -> Vec<String> {
        let fill = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Place(place) => value(PLACES[*place].0, input, number),
        };
        self.0.iter().map(|pieces| pieces.iter().map(fill).collect()).collect()
    }
}

/// An input that would be no value, or several, where it is put.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no single value: a text stands between quotes, as in --invoke 'greet(\"{{}}\")'")]
pub struct NoValue(String);

/// A call that is being written.
#[derive(Clone, Debug, Default)]
pub(super) struct CallText {
    text: String,
    quotes: Quotes,
}

impl CallText {
    /// What stands in the template.
    pub(super) fn text(&mut self, text: &str) {
        text.chars().for_each(|character| self.quotes.read(character));
        self.text.push_str(text);
    }

    /// What is put into a place.
    ///
    /// # Errors
    ///
    /// Outside of quotes, what is no single value.
    pub(super) fn value(&mut self, value: &str) -> Result<(), NoValue> {
        match self.quotes.open {
            Some(_) => value.chars().for_each(|character| escape(character, &mut self.text)),
            None if is_one_value(value) => self.text.push_str(value),
            None => return Err(NoValue(value.to_owned())),
        }
        Ok(())
    }

    pub(super) fn finish(self) -> String {
        self.text
    }
}

/// Where a reader of WAVE is: between quotes or not.
#[derive(Clone, Copy, Debug, Default)]
struct Quotes {
    open: Option<char>,
    is_escaped: bool,
}

impl Quotes {
    fn read(&mut self, character: char) {
        match self.open {
            _ if self.is_escaped => self.is_escaped = false,
            Some(_) if character == '\\' => self.is_escaped = true,
            Some(quote) if character == quote => self.open = None,
            Some(_) => {}
            None if matches!(character, '"' | '\'') => self.open = Some(character),
            None => {}
        }
    }
}

/// Whether no part of a text is outside of it: every bracket and quote is closed, and no comma stands between them.
fn is_one_value(text: &str) -> bool {
    let (mut depth, mut quotes) = (Vec::new(), Quotes::default());
    for character in text.chars() {
        let is_quoted = quotes.open.is_some();
        quotes.read(character);
        match character {
            _ if is_quoted => {}
            '(' => depth.push(')'),
            '[' => depth.push(']'),
            '{' => depth.push('}'),
            ')' | ']' | '}' if depth.pop() != Some(character) => return false,
            ',' if depth.is_empty() => return false,
            // A comment would hide what stands behind it.
            '/' => return false,
            _ => {}
        }
    }
    depth.is_empty() && quotes.open.is_none() && !text.trim().is_empty()
}

/// A character as it is written between quotes.
fn escape(character: char, out: &mut String) {
    match character {
        '"' | '\'' | '\\' => out.extend(['\\', character]),
        '\n' => out.push_str("\\n"),
        '\t' => out.push_str("\\t"),
        '\r' => out.push_str("\\r"),
        character if character.is_control() => out.push_str(&format!("\\u{{{:x}}}", u32::from(character))),
        character => out.push(character),
    }
}

fn pieces(argument: &str) -> Vec<Piece> {
    let (mut pieces, mut text, mut rest) = (Vec::new(), String::new(), argument);
    while let Some(first) = rest.chars().next() {
        let place = PLACES.iter().position(|(place, _)| rest.starts_with(place));
        let length = match place {
            Some(index) => {
                if !text.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                }
                pieces.push(Piece::Place(index));
                PLACES[index].0.len()
            }
            None => {
                text.push(first);
                first.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    if !text.is_empty() || pieces.is_empty() {
        pieces.push(Piece::Text(text));
    }
    pieces
}

/// What takes the place of one of [`PLACES`].
pub(super) fn value(place: &str, input: &str, number: u64) -> String {
    match place {
        "{.}" => without_extension(input).to_owned(),
        "{/}" => last_part(input).to_owned(),
        "{//}" => folder(input).to_owned(),
        "{/.}" => without_extension(last_part(input)).to_owned(),
        "{#}" => number.to_string(),
        _ => input.to_owned(),
    }
}

fn last_part(input: &str) -> &str {
    input.rsplit_once('/').map_or(input, |(_, last)| last)
}

fn folder(input: &str) -> &str {
    match input.rsplit_once('/') {
        Some(("", _)) => "/",
        Some((folder, _)) => folder,
        None => ".",
    }
}

/// A name that begins with its only dot has no extension.
fn without_extension(input: &str) -> &str {
    let last = last_part(input);
    match last.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => &input[..input.len() - extension.len() - 1],
        _ => input,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmtime::component::wasm_wave;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn every_place_gets_its_part_of_the_input_verbatim() {
        let template = Template::new(words(&["-v", "{}", "out/{}.{}", ""])).unwrap();
        assert_eq!(template.fill("a b", 1), words(&["-v", "a b", "out/a b.a b", ""]));
        assert_eq!(template.fill("{#}", 1), words(&["-v", "{#}", "out/{#}.{#}", ""]));
        assert_eq!(Template::new(words(&["-v", "{x}", "{"])), Err(NoPlace));
    }

    #[test]
    fn an_input_is_one_value_of_a_call_whatever_is_in_it() {
        let call = |template: &str, input: &str| Template::expression(template).unwrap().call(input, 1);
        let made = |template, input| call(template, input).unwrap();
        assert_eq!(made("add({}, 1)", "-5"), "add(-5, 1)");
        assert_eq!(made("add({}, {#})", "{x: [1, 2], y: \"a, (b\"}"), "add({x: [1, 2], y: \"a, (b\"}, 1)");
        assert_eq!(made("greet(\"Dr. {}\")", "a \"b\\ c"), "greet(\"Dr. a \\\"b\\\\ c\")");
        assert_eq!(made("greet(\"\\\"{}\")", "\n\u{1}"), "greet(\"\\\"\\n\\u{1}\")");
        assert_eq!(made("code('{}')", "'"), "code('\\'')");
        for input in ["1, 2", "1) (", "", " ", "\"a", "[1", "(]", "1 // x", "'"] {
            assert_eq!(call("add({})", input), Err(NoValue(input.to_owned())), "{input}");
        }
        assert_eq!(Template::expression("add(1)"), Err(NoPlace));
    }

    #[test]
    fn the_places_are_those_of_gnu_parallel() {
        let all: Vec<&str> = PLACES.iter().map(|(place, _)| *place).collect();
        let template = Template::new(words(&all)).unwrap();
        for (input, parts) in [
            ("in/a.tar.gz", ["in/a.tar.gz", "in/a.tar", "a.tar.gz", "in", "a.tar", "7"]),
            ("a", ["a", "a", "a", ".", "a", "7"]),
            ("/a.b/c", ["/a.b/c", "/a.b/c", "c", "/a.b", "c", "7"]),
            ("/.profile", ["/.profile", "/.profile", ".profile", "/", ".profile", "7"]),
            ("ä/ö.ü", ["ä/ö.ü", "ä/ö", "ö.ü", "ä", "ö", "7"]),
        ] {
            assert_eq!(template.fill(input, 7), words(&parts), "{input}");
        }
    }

    /// The nodes of a call's arguments, if it can be read.
    fn arguments(call: &str) -> Option<Vec<wasm_wave::untyped::UntypedValue<'_>>> {
        let parsed = wasm_wave::untyped::UntypedFuncCall::parse(call).ok()?;
        let nodes = parsed.params_node()?.as_tuple().ok()?;
        Some(nodes.map(|node| wasm_wave::untyped::UntypedValue::parse(&call[node.span()]).unwrap()).collect())
    }

    proptest::proptest! {
        #[test]
        fn an_input_between_quotes_is_that_text(input: String) {
            let call = Template::expression("f(\"{}\")").unwrap().call(&input, 1).unwrap();
            let arguments = arguments(&call).unwrap();
            proptest::prop_assert_eq!(arguments.len(), 1);
            let text = arguments[0].node().as_str(arguments[0].source()).unwrap();
            proptest::prop_assert_eq!(text, input);
        }

        #[test]
        fn no_input_adds_an_argument(input in "[a-z0-9()\\[\\]{},:\"'\\\\/% \n]{0,12}") {
            let call = Template::expression("f(1, {}, 2)").unwrap().call(&input, 1);
            if let Some(arguments) = call.ok().as_deref().and_then(arguments) {
                proptest::prop_assert_eq!(arguments.len(), 3, "{}", input);
            }
        }
    }
}
