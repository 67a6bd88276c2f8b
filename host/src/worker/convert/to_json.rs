//! One value to JSON text.

#![forbid(unsafe_code)]

use wasmtime::component::Val;

use super::AnswerError;

/// The value as JSON of at most `bytes_max` bytes.
pub(super) fn text(value: &Val, bytes_max: usize) -> Result<String, AnswerError> {
    let mut json = Json { text: String::new(), bytes_max };
    json.value(value)?;
    Ok(json.text)
}

/// Text that grows up to a limit.
struct Json {
    text: String,
    bytes_max: usize,
}

impl Json {
    fn value(&mut self, value: &Val) -> Result<(), AnswerError> {
        match value {
            Val::Bool(value) => self.plain(value),
            Val::S8(value) => self.plain(value),
            Val::U8(value) => self.plain(value),
            Val::S16(value) => self.plain(value),
            Val::U16(value) => self.plain(value),
            Val::S32(value) => self.plain(value),
            Val::U32(value) => self.plain(value),
            Val::S64(value) => self.plain(value),
            Val::U64(value) => self.plain(value),
            Val::Float32(value) => self.plain(value),
            Val::Float64(value) => self.plain(value),
            Val::Char(value) => self.plain(value),
            Val::String(text) | Val::Enum(text) | Val::Variant(text, None) => self.plain(text),
            Val::Option(None) => self.push("null"),
            Val::Option(Some(value)) => self.value(value),
            Val::List(values) | Val::Tuple(values) | Val::FixedLengthList(values) => {
                self.sequence("[", values, "]", Self::value)
            }
            Val::Map(pairs) => self.sequence("[", pairs, "]", |json, (key, value)| {
                json.sequence("[", [key, value], "]", Self::value)
            }),
            Val::Flags(names) => self.sequence("[", names, "]", Self::plain),
            Val::Record(fields) => {
                self.sequence("{", fields, "}", |json, (name, value)| json.named(name, Some(value)))
            }
            Val::Variant(name, Some(value)) => self.case(name, Some(value)),
            Val::Result(Ok(value)) => self.case("ok", value.as_deref()),
            Val::Result(Err(value)) => self.case("err", value.as_deref()),
            Val::Resource(_) => Err(AnswerError::Handle("resource")),
            Val::Future(_) => Err(AnswerError::Handle("future")),
            Val::Stream(_) => Err(AnswerError::Handle("stream")),
            Val::ErrorContext(_) => Err(AnswerError::Handle("error context")),
        }
    }

    /// What serde_json writes in the same way; its floats are the shortest that read back the same, and
    /// `null` when they are no numbers.
    fn plain<T: serde::Serialize + ?Sized>(&mut self, value: &T) -> Result<(), AnswerError> {
        let text = serde_json::to_string(value).expect("numbers and strings always have JSON");
        self.push(&text)
    }

    fn push(&mut self, text: &str) -> Result<(), AnswerError> {
        if text.len() > self.bytes_max - self.text.len() {
            return Err(AnswerError::TooLarge(self.bytes_max));
        }
        self.text.push_str(text);
        Ok(())
    }

    fn sequence<T>(
        &mut self,
        open: &str,
        items: impl IntoIterator<Item = T>,
        close: &str,
        write: impl Fn(&mut Self, T) -> Result<(), AnswerError>,
    ) -> Result<(), AnswerError> {
        self.push(open)?;
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                self.push(",")?;
            }
            write(self, item)?;
        }
        self.push(close)
    }

    fn named(&mut self, name: &str, value: Option<&Val>) -> Result<(), AnswerError> {
        self.plain(name)?;
        self.push(":")?;
        match value {
            Some(value) => self.value(value),
            None => self.push("null"),
        }
    }

    fn case(&mut self, name: &str, payload: Option<&Val>) -> Result<(), AnswerError> {
        self.push("{")?;
        self.named(name, payload)?;
        self.push("}")
    }
}
