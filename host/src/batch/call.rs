//! The arguments of one call, from texts to what the guest gets, checked against the task's parameters.
//!
//! A text is JSON when it parses as JSON and a string otherwise. JSON is kept as the text that was
//! typed: a detour over numbers in memory would round long ones.

#![forbid(unsafe_code)]

use bytes::Bytes;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::module_info::{ParamInfo, TaskInfo};
use crate::outcome::Encoding;

/// JSON text of one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonText(String);

impl From<&serde_json::Value> for JsonText {
    fn from(value: &serde_json::Value) -> Self {
        Self(value.to_string())
    }
}

impl JsonText {
    /// The rule for an ARG: JSON if it parses as JSON, otherwise a string.
    #[must_use]
    pub fn from_argument(text: &str) -> Self {
        Self::parse(text).unwrap_or_else(|_| Self(serde_json::Value::from(text).to_string()))
    }

    /// Text that must be JSON.
    ///
    /// # Errors
    ///
    /// What the JSON reader says about it.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str::<IgnoredAny>(text)?;
        Ok(Self(text.trim_matches(JSON_WHITESPACE).to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The elements, when it is an array.
    fn elements(&self) -> Option<Vec<Self>> {
        let elements: Vec<&RawValue> = serde_json::from_str(&self.0).ok()?;
        Some(elements.into_iter().map(|element| Self(element.get().to_owned())).collect())
    }
}

/// What JSON counts as whitespace.
const JSON_WHITESPACE: &[char] = &[' ', '\t', '\n', '\r'];

/// The arguments of one call, as they are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arguments {
    /// A JSON array, or an object with `args` and `kwargs`.
    Json(String),
    /// The one byte string of a task whose parameter is `Bytes`.
    Raw(Bytes),
}

/// Why texts are no arguments for a task. Each message names the task and what it takes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CallError(String);

/// Makes the calls of one task: what is the same for all of them, and how each input is read.
#[derive(Clone, Debug)]
pub struct CallMaker {
    task: String,
    info: Option<TaskInfo>,
    keywords: Vec<(String, JsonText)>,
    spread: bool,
}

impl CallMaker {
    /// `info` is what the module says of the task; without it nothing is checked. `keywords` go to every
    /// call by name. With `spread`, an input is an array of all the arguments instead of one argument.
    ///
    /// # Errors
    ///
    /// When the keywords or `spread` do not fit the task whatever the input is.
    pub fn new(
        task: &str,
        info: Option<&TaskInfo>,
        keywords: Vec<(String, JsonText)>,
        spread: bool,
    ) -> Result<Self, CallError> {
        let maker = Self { task: task.to_owned(), info: info.cloned(), keywords, spread };
        if maker.is_raw() && spread {
            return Err(CallError(format!(
                "`{task}` takes raw bytes, so there is no array to spread over it"
            )));
        }
        maker.check_keywords()?;
        Ok(maker)
    }

    /// True when the task takes the bytes of its input as they are.
    #[must_use]
    pub fn is_raw(&self) -> bool {
        self.info.as_ref().is_some_and(|info| info.args == Encoding::Raw)
    }

    /// The call with all of these command-line arguments.
    ///
    /// # Errors
    ///
    /// When they do not fit the task's parameters.
    pub fn of_arguments(&self, arguments: &[&[u8]]) -> Result<Arguments, CallError> {
        if self.is_raw() {
            return match arguments {
                [bytes] => Ok(Arguments::Raw(Bytes::copy_from_slice(bytes))),
                _ => Err(self.wrong_count(arguments.len())),
            };
        }
        let texts = arguments.iter().map(|bytes| Ok(JsonText::from_argument(self.utf8(bytes)?)));
        self.json_call(texts.collect::<Result<_, CallError>>()?)
    }

    /// The call with these values, as a manifest has them.
    ///
    /// # Errors
    ///
    /// As [`of_arguments`](Self::of_arguments).
    pub fn of_values(&self, values: &[serde_json::Value]) -> Result<Arguments, CallError> {
        if self.is_raw() {
            return match values {
                [serde_json::Value::String(text)] => {
                    Ok(Arguments::Raw(Bytes::copy_from_slice(text.as_bytes())))
                }
                [_] => Err(CallError(format!("`{}` takes raw bytes: give it one text", self.task))),
                _ => Err(self.wrong_count(values.len())),
            };
        }
        self.json_call(values.iter().map(JsonText::from).collect())
    }

    /// The call for one input of a batch that was given on the command line.
    ///
    /// # Errors
    ///
    /// When it does not fit the task's parameters, or is no array although it should be spread.
    pub fn of_input(&self, input: &[u8]) -> Result<Arguments, CallError> {
        if !self.spread {
            return self.of_arguments(&[input]);
        }
        self.spread_call(&JsonText::from_argument(self.utf8(input)?))
    }

    /// The call for one line of JSON Lines, or of anything for a task that takes raw bytes.
    ///
    /// # Errors
    ///
    /// As [`of_input`](Self::of_input), and when the line is not JSON.
    pub fn of_line(&self, line: &[u8]) -> Result<Arguments, CallError> {
        if self.is_raw() {
            return Ok(Arguments::Raw(Bytes::copy_from_slice(line)));
        }
        let value = JsonText::parse(self.utf8(line)?).map_err(|error| {
            CallError(format!("{}; in JSON Lines a text stands in quotes", not_json(&error)))
        })?;
        if self.spread { self.spread_call(&value) } else { self.json_call(vec![value]) }
    }

    fn spread_call(&self, value: &JsonText) -> Result<Arguments, CallError> {
        let Some(elements) = value.elements() else {
            return Err(CallError(format!(
                "--starmap spreads an array over the parameters, and {} is no array",
                shortened(&value.0)
            )));
        };
        self.json_call(elements)
    }

    fn json_call(&self, positional: Vec<JsonText>) -> Result<Arguments, CallError> {
        self.check_positional(positional.len())?;
        let args = positional.iter().map(|text| text.0.as_str()).collect::<Vec<_>>().join(",");
        if self.keywords.is_empty() {
            return Ok(Arguments::Json(format!("[{args}]")));
        }
        let named = |(name, value): &(String, JsonText)| {
            format!("{}:{}", serde_json::Value::from(name.as_str()), value.0)
        };
        let kwargs = self.keywords.iter().map(named).collect::<Vec<_>>().join(",");
        Ok(Arguments::Json(format!("{{\"args\":[{args}],\"kwargs\":{{{kwargs}}}}}")))
    }

    fn check_keywords(&self) -> Result<(), CallError> {
        let Some((name, _)) = self.keywords.first() else { return Ok(()) };
        let Some(info) = &self.info else {
            return Err(CallError(format!(
                "`{}` is a plain export: its parameters have no names that -k {name}=... could mean",
                self.task
            )));
        };
        if info.args == Encoding::Raw {
            return Err(CallError(format!(
                "`{}` takes raw bytes, which have no name for -k",
                info.signature()
            )));
        }
        for (index, (name, _)) in self.keywords.iter().enumerate() {
            if !info.params.iter().any(|param| param.name == *name) {
                return Err(CallError(format!("`{}` has no parameter `{name}`", info.signature())));
            }
            if self.keywords[..index].iter().any(|(earlier, _)| earlier == name) {
                return Err(CallError(format!("-k {name}=... is given twice")));
            }
        }
        Ok(())
    }

    fn check_positional(&self, count: usize) -> Result<(), CallError> {
        let Some(info) = &self.info else { return Ok(()) };
        if count > info.params.len() {
            return Err(self.wrong_count(count));
        }
        let is_named = |param: &ParamInfo| self.keywords.iter().any(|(name, _)| *name == param.name);
        let (given, rest) = info.params.split_at(count);
        if let Some(twice) = given.iter().find(|param| is_named(param)) {
            return Err(CallError(format!(
                "`{}` gets `{}` by position and by name",
                info.signature(),
                twice.name
            )));
        }
        let missing: Vec<String> = rest
            .iter()
            .filter(|param| !param.optional && !is_named(param))
            .map(|param| format!("`{}`", param.name))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(CallError(format!("`{}` misses its argument {}", info.signature(), missing.join(", "))))
    }

    fn wrong_count(&self, count: usize) -> CallError {
        let Some(info) = &self.info else { return CallError(format!("`{}` takes one argument", self.task)) };
        let plural = |n: usize| if n == 1 { "argument" } else { "arguments" };
        let takes = info.params.len();
        CallError(format!("`{}` takes {takes} {}, not {count}", info.signature(), plural(takes)))
    }

    fn utf8<'a>(&self, bytes: &'a [u8]) -> Result<&'a str, CallError> {
        std::str::from_utf8(bytes).map_err(|error| {
            CallError(format!(
                "not UTF-8 from byte {} on, and `{}` takes JSON or text",
                error.valid_up_to(),
                self.task
            ))
        })
    }
}

/// What is wrong with the JSON of one line: its place is a column, for the line is known.
fn not_json(error: &serde_json::Error) -> String {
    let (text, column) = (error.to_string(), error.column());
    let place = format!(" at line {} column {column}", error.line());
    format!("not JSON: {} at column {column}", text.strip_suffix(&place).unwrap_or(&text))
}

/// The beginning of a text that may be long.
fn shortened(text: &str) -> String {
    const CHARS_MAX: usize = 60;
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("`{}...`", &text[..end]),
        None => format!("`{text}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(args: Encoding, params: &[(&str, bool)]) -> TaskInfo {
        let param = |(name, optional): &(&str, bool)| ParamInfo {
            name: (*name).to_owned(),
            ty: "i64".to_owned(),
            optional: *optional,
            default: optional.then(|| "1".to_owned()),
        };
        TaskInfo {
            name: "divide".to_owned(),
            export: "divide".to_owned(),
            doc: String::new(),
            params: params.iter().map(param).collect(),
            returns: "i64".to_owned(),
            args,
            result: Encoding::Json,
        }
    }

    fn maker(
        params: &[(&str, bool)],
        keywords: &[(&str, &str)],
        spread: bool,
    ) -> Result<CallMaker, CallError> {
        let keywords = keywords
            .iter()
            .map(|(name, value)| ((*name).to_owned(), JsonText::from_argument(value)))
            .collect();
        CallMaker::new("divide", Some(&task(Encoding::Json, params)), keywords, spread)
    }

    fn json(call: Result<Arguments, CallError>) -> String {
        match call {
            Ok(Arguments::Json(text)) => text,
            Ok(Arguments::Raw(_)) => panic!("JSON was expected"),
            Err(error) => format!("error: {error}"),
        }
    }

    const A_B: &[(&str, bool)] = &[("a", false), ("b", false)];
    const A_OPTIONAL_B: &[(&str, bool)] = &[("a", false), ("b", true)];

    #[test]
    fn an_argument_is_json_if_it_parses_and_otherwise_a_string() {
        let texts =
            ["1", "-5", "-1e-3", "1.50", "123456789012345678901234567890", "true", "hello", "a \"b\"", "{x}"];
        let json: Vec<String> = texts.map(|text| JsonText::from_argument(text).0).to_vec();
        let expected = [
            "1",
            "-5",
            "-1e-3",
            "1.50",
            "123456789012345678901234567890",
            "true",
            r#""hello""#,
            r#""a \"b\"""#,
            r#""{x}""#,
        ];
        assert_eq!(json, expected);
        assert_eq!(JsonText::from_argument("").0, r#""""#);
        assert_eq!(JsonText::from_argument(" [1, 2]\n").0, "[1, 2]");
    }

    #[test]
    fn arguments_are_checked_against_the_parameters() {
        let call = |args: &[&[u8]]| json(maker(A_OPTIONAL_B, &[], false).unwrap().of_arguments(args));
        assert_eq!(call(&[b"1", b"x"]), r#"[1,"x"]"#);
        assert_eq!(call(&[b"1"]), "[1]");
        assert_eq!(call(&[]), "error: `divide(a: i64, b: i64 = 1) -> i64` misses its argument `a`");
        assert_eq!(
            call(&[b"1", b"2", b"3"]),
            "error: `divide(a: i64, b: i64 = 1) -> i64` takes 2 arguments, not 3"
        );
        assert_eq!(call(&[b"\xff"]), "error: not UTF-8 from byte 0 on, and `divide` takes JSON or text");
    }

    #[test]
    fn names_are_checked_and_passed() {
        let call = |args: &[&[u8]], names| json(maker(A_B, names, false).and_then(|m| m.of_arguments(args)));
        assert_eq!(call(&[b"6"], &[("b", "2")]), r#"{"args":[6],"kwargs":{"b":2}}"#);
        assert_eq!(call(&[], &[("b", "2"), ("a", "x")]), r#"{"args":[],"kwargs":{"b":2,"a":"x"}}"#);
        assert_eq!(
            call(&[b"6", b"3"], &[("b", "2")]),
            "error: `divide(a: i64, b: i64) -> i64` gets `b` by position and by name"
        );
        assert_eq!(call(&[], &[("c", "2")]), "error: `divide(a: i64, b: i64) -> i64` has no parameter `c`");
        assert_eq!(call(&[], &[("b", "2"), ("b", "3")]), "error: -k b=... is given twice");
    }

    #[test]
    fn a_plain_export_has_no_names() {
        let keywords = vec![("a".to_owned(), JsonText::from_argument("1"))];
        let error = CallMaker::new("add", None, keywords, false).unwrap_err();
        assert!(error.to_string().starts_with("`add` is a plain export"), "{error}");
        let plain = CallMaker::new("add", None, Vec::new(), false).unwrap();
        assert_eq!(json(plain.of_arguments(&[b"1", b"2", b"3"])), "[1,2,3]");
    }

    #[test]
    fn an_array_is_spread_over_the_parameters() {
        let spread = maker(A_B, &[], true).unwrap();
        assert_eq!(json(spread.of_input(b"[1, [2, 3]]")), "[1,[2, 3]]");
        assert_eq!(json(spread.of_line(b"[1, 2]")), "[1,2]");
        assert_eq!(
            json(spread.of_line(b"7")),
            "error: --starmap spreads an array over the parameters, and `7` is no array"
        );
        assert_eq!(
            json(spread.of_line(b"[7]")),
            "error: `divide(a: i64, b: i64) -> i64` misses its argument `b`"
        );
    }

    #[test]
    fn a_line_must_be_json() {
        let one = maker(&[("n", false)], &[], false).unwrap();
        assert_eq!(json(one.of_line(b"{\"x\": 1}\r")), "[{\"x\": 1}]");
        assert_eq!(
            json(one.of_line(b"[1,")),
            "error: not JSON: EOF while parsing a value at column 3; in JSON Lines a text stands in quotes"
        );
        assert_eq!(json(one.of_input(b"hello")), r#"["hello"]"#);
    }

    #[test]
    fn raw_tasks_get_the_bytes_as_they_are() {
        let info = task(Encoding::Raw, &[("data", false)]);
        let raw = CallMaker::new("divide", Some(&info), Vec::new(), false).unwrap();
        assert_eq!(raw.of_input(b"\xff[1"), Ok(Arguments::Raw(Bytes::from_static(b"\xff[1"))));
        assert_eq!(raw.of_line(b"12"), Ok(Arguments::Raw(Bytes::from_static(b"12"))));
        assert!(raw.of_arguments(&[]).is_err());
        assert!(CallMaker::new("divide", Some(&info), Vec::new(), true).is_err());
    }

    proptest::proptest! {
        #[test]
        fn every_text_becomes_one_json_value(text: String) {
            let JsonText(json) = JsonText::from_argument(&text);
            let value: serde_json::Value = serde_json::from_str(&json).unwrap();
            if let serde_json::Value::String(string) = &value && *string != text {
                proptest::prop_assert!(serde_json::from_str::<String>(&text).is_ok());
            }
        }
    }
}
