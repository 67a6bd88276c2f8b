//! A module's description as it travels: one part after the other, because of what it becomes.
//!
//! Whoever made it may be hostile, and an entry of three bytes takes fifty in memory. So each part is read by itself and
//! counted before the next one: nothing of a description that is over its limit is ever there as a whole.

#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};

use super::ArtifactFileError;
use crate::limits::MODULE_INFO_MEMORY_MAX;
use crate::module_info::{ExportInfo, ImportInfo, ModuleInfo, ModuleKind, ParamInfo, TaskInfo};
use crate::outcome::Encoding;

/// What the allocator adds to a string, and the least it gives.
const STRING_OVERHEAD: usize = 16;
const STRING_BYTES_MIN: usize = 32;

#[derive(Serialize, Deserialize)]
enum Part {
    Module {
        kind: ModuleKind,
        is_command: bool,
        is_reactor: bool,
        is_composed: bool,
    },
    /// Its parameters follow.
    Task {
        name: String,
        export: String,
        doc: String,
        returns: String,
        args: Encoding,
        result: Encoding,
    },
    Param(ParamInfo),
    Export(ExportInfo),
    Import(ImportInfo),
}

impl Part {
    /// Bytes of memory that it takes in a description.
    fn memory_bytes(&self) -> usize {
        let string = |text: &str| match text.len() {
            0 => 0,
            length => (length + STRING_OVERHEAD).max(STRING_BYTES_MIN),
        };
        match self {
            Self::Module { .. } => size_of::<ModuleInfo>(),
            Self::Task { name, export, doc, returns, .. } => {
                size_of::<TaskInfo>() + string(name) + string(export) + string(doc) + string(returns)
            }
            Self::Param(ParamInfo { name, ty, default, .. }) => {
                let default = default.as_deref().map_or(0, string);
                size_of::<ParamInfo>() + string(name) + string(ty) + default
            }
            Self::Export(ExportInfo { name, signature }) => {
                size_of::<ExportInfo>() + string(name) + string(signature)
            }
            Self::Import(ImportInfo { name, signature, needs_grant, .. }) => {
                let needs_grant = needs_grant.as_deref().map_or(0, string);
                size_of::<ImportInfo>() + string(name) + string(signature) + needs_grant
            }
        }
    }
}

/// The description's bytes in an artifact file.
pub(crate) fn encode_info(info: &ModuleInfo) -> Result<Vec<u8>, ArtifactFileError> {
    let ModuleInfo { kind, is_command, is_reactor, is_composed, tasks, exports, imports } = info.clone();
    let mut writer = Writer::default();
    writer.add(&Part::Module { kind, is_command, is_reactor, is_composed })?;
    for TaskInfo { name, export, doc, params, returns, args, result } in tasks {
        writer.add(&Part::Task { name, export, doc, returns, args, result })?;
        params.into_iter().try_for_each(|param| writer.add(&Part::Param(param)))?;
    }
    exports.into_iter().try_for_each(|export| writer.add(&Part::Export(export)))?;
    imports.into_iter().try_for_each(|import| writer.add(&Part::Import(import)))?;
    Ok(writer.bytes)
}

#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
    memory_bytes: usize,
}

impl Writer {
    fn add(&mut self, part: &Part) -> Result<(), ArtifactFileError> {
        count(&mut self.memory_bytes, part)?;
        let bytes = postcard::to_extend(part, std::mem::take(&mut self.bytes)).map_err(|_| UNREADABLE)?;
        self.bytes = bytes;
        Ok(())
    }
}

/// The description in those bytes.
pub(crate) fn decode_info(bytes: &[u8]) -> Result<ModuleInfo, ArtifactFileError> {
    let (first, mut rest) = postcard::take_from_bytes(bytes).map_err(|_| UNREADABLE)?;
    let Part::Module { kind, is_command, is_reactor, is_composed } = first else { return Err(UNREADABLE) };
    let (tasks, exports, imports) = (Vec::new(), Vec::new(), Vec::new());
    let mut info = ModuleInfo { kind, is_command, is_reactor, is_composed, tasks, exports, imports };
    let mut memory_bytes = 0;
    while !rest.is_empty() {
        let (part, after) = postcard::take_from_bytes(rest).map_err(|_| UNREADABLE)?;
        rest = after;
        count(&mut memory_bytes, &part)?;
        match part {
            Part::Task { name, export, doc, returns, args, result } => {
                info.tasks.push(TaskInfo { name, export, doc, params: Vec::new(), returns, args, result });
            }
            Part::Param(param) => info.tasks.last_mut().ok_or(UNREADABLE)?.params.push(param),
            Part::Export(export) => info.exports.push(export),
            Part::Import(import) => info.imports.push(import),
            Part::Module { .. } => return Err(UNREADABLE),
        }
    }
    Ok(info)
}

const UNREADABLE: ArtifactFileError = ArtifactFileError("its module description cannot be read");

fn count(memory_bytes: &mut usize, part: &Part) -> Result<(), ArtifactFileError> {
    *memory_bytes = memory_bytes.saturating_add(part.memory_bytes());
    let is_over = *memory_bytes > MODULE_INFO_MEMORY_MAX;
    if is_over {
        Err(ArtifactFileError("its module description takes more than 8 MiB of memory"))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::MODULE_INFO_BYTES_MAX;

    fn info() -> ModuleInfo {
        let text = |text: &str| text.to_owned();
        let param = |name: &str| ParamInfo {
            name: text(name),
            ty: text("u64"),
            optional: name == "b",
            default: (name == "b").then(|| text("7")),
        };
        let task = |name: &str, params| TaskInfo {
            name: text(name),
            export: text("e"),
            doc: text("Counts."),
            params,
            returns: text("u64"),
            args: Encoding::Json,
            result: Encoding::Raw,
        };
        let import = |needs_grant| ImportInfo {
            name: text("a.b"),
            signature: text("func ()"),
            needs_grant,
            known: false,
        };
        ModuleInfo {
            kind: ModuleKind::Component,
            is_command: true,
            is_reactor: false,
            is_composed: false,
            tasks: vec![task("one", vec![param("a"), param("b")]), task("two", Vec::new())],
            exports: vec![ExportInfo { name: text("f"), signature: text("func ()") }],
            imports: vec![import(None), import(Some(text("network")))],
        }
    }

    #[test]
    fn a_description_comes_back_as_it_was_written() {
        let bytes = encode_info(&info()).unwrap();
        assert_eq!(decode_info(&bytes), Ok(info()));
        for length in 0..bytes.len() {
            assert_ne!(decode_info(&bytes[..length]), Ok(info()), "{length}");
        }
        assert!(decode_info(&[bytes, vec![0xff]].concat()).is_err());
    }

    #[test]
    fn parts_in_no_place_of_theirs_are_refused() {
        let part = |part: &Part| postcard::to_stdvec(part).unwrap();
        let module = part(&Part::Module {
            kind: ModuleKind::CoreModule,
            is_command: false,
            is_reactor: false,
            is_composed: false,
        });
        let param = part(&Part::Param(info().tasks[0].params[0].clone()));
        assert!(decode_info(&module).is_ok());
        for bytes in
            [Vec::new(), param.clone(), [module.clone(), param].concat(), [module.clone(), module].concat()]
        {
            assert_eq!(decode_info(&bytes), Err(UNREADABLE));
        }
    }

    /// What it takes is counted, so a description is refused before it is there.
    #[test]
    fn small_parts_do_not_fill_the_memory_of_whoever_reads_them() {
        let part = |part: &Part| postcard::to_stdvec(part).unwrap();
        let module = Part::Module {
            kind: ModuleKind::CoreModule,
            is_command: false,
            is_reactor: false,
            is_composed: false,
        };
        let empty = String::new;
        let task = Part::Task {
            name: empty(),
            export: empty(),
            doc: empty(),
            returns: empty(),
            args: Encoding::Json,
            result: Encoding::Json,
        };
        let param = ParamInfo { name: empty(), ty: empty(), optional: false, default: None };
        let import = ImportInfo { name: empty(), signature: empty(), needs_grant: None, known: false };
        let parts = [
            Part::Param(param),
            Part::Export(ExportInfo { name: empty(), signature: empty() }),
            Part::Export(ExportInfo { name: "a".to_owned(), signature: empty() }),
            Part::Import(import),
            task,
        ];
        let task = part(&parts[4]);
        for small in parts {
            let (in_memory, small) = (small.memory_bytes(), part(&small));
            let begin = [part(&module), task.clone()].concat();
            let filled = |bytes: usize| [begin.clone(), small.repeat(bytes / small.len())].concat();
            let limit = usize::try_from(MODULE_INFO_BYTES_MAX).unwrap();
            assert!(decode_info(&filled(limit)).unwrap_err().to_string().contains("8 MiB"));
            // As much of it as is let.
            let mut number = MODULE_INFO_MEMORY_MAX / in_memory;
            let info = std::iter::from_fn(|| {
                number -= 1;
                Some(decode_info(&filled(number * small.len())))
            });
            let info = info.take(10).find_map(Result::ok).expect("what is under the limit is read");
            let params = info.tasks.iter().map(|task| task.params.capacity()).sum::<usize>();
            let bytes = params * size_of::<ParamInfo>()
                + info.tasks.capacity() * size_of::<TaskInfo>()
                + info.exports.capacity() * size_of::<ExportInfo>()
                + info.imports.capacity() * size_of::<ImportInfo>()
                + info.exports.iter().filter(|export| !export.name.is_empty()).count() * STRING_BYTES_MIN;
            assert!(bytes < 16 << 20, "{bytes}");
        }
    }
}
