//! Makes, from the text of the WIT, a component that passes every call of an interface on.
//!
//! Each of its exports calls the import of the same name; a method `[method]lock.acquire` is exported as
//! `lock-acquire`, and for each resource there is `drop-lock`.

/// A function of an interface.
pub(super) struct Function {
    /// As it is exported.
    pub(super) name: String,
    /// As it is imported.
    import: String,
    parameters: Vec<(String, Type)>,
    result: Option<Type>,
}

/// A WIT type as WAT writes it, and as the canonical ABI flattens it.
struct Type {
    text: String,
    /// Of something that is only ever a result, only that it is not one number matters.
    flat: Vec<&'static str>,
}

const WIT: &str = super::harness::WIT;

/// The text of an interface without comments.
fn body(interface: &str) -> String {
    let lines = WIT.lines().map(str::trim).filter(|line| !line.starts_with("///"));
    let text = lines.collect::<Vec<_>>().join(" ");
    let (_, body) = text.split_once(&format!("interface {interface} {{")).unwrap();
    let body = body.split("interface ").next().unwrap();
    body.split("world ").next().unwrap().to_owned()
}

/// The resources of an interface.
fn resources(interface: &str) -> Vec<String> {
    let body = body(interface);
    let named = body.split("resource ").skip(1);
    named.map(|rest| rest.split_whitespace().next().unwrap().to_owned()).collect()
}

/// The functions of an interface of the WIT.
pub(super) fn functions(interface: &str) -> Vec<Function> {
    let resources = resources(interface);
    let (mut functions, mut resource) = (Vec::new(), None);
    for part in body(interface).split(';') {
        let Some((head, signature)) = part.split_once("func(") else { break };
        if head.contains('}') {
            resource = None;
        }
        if let Some((_, rest)) = head.split_once("resource ") {
            resource = rest.split_whitespace().next().map(str::to_owned);
        }
        let (head, is_static) = match head.strip_suffix("static ") {
            Some(head) => (head, true),
            None => (head, false),
        };
        let name = head.trim().trim_end_matches(':').rsplit([' ', '}']).next().unwrap();
        let (texts, rest) = signature.split_once(')').unwrap();
        let typed = |parameter: &str| {
            let (name, ty) = parameter.split_once(':').unwrap();
            (name.trim().to_owned(), parsed(ty, &resources))
        };
        let mut parameters: Vec<_> = split(texts).into_iter().map(typed).collect();
        let (name, import) = match &resource {
            None => (name.to_owned(), name.to_owned()),
            Some(resource) if is_static => {
                (format!("{resource}-{name}"), format!("[static]{resource}.{name}"))
            }
            Some(resource) => {
                let own = Type { text: format!("(borrow ${resource})"), flat: vec!["i32"] };
                parameters.insert(0, ("self".to_owned(), own));
                (format!("{resource}-{name}"), format!("[method]{resource}.{name}"))
            }
        };
        let result = rest.split_once("->").map(|(_, ty)| parsed(ty, &resources));
        functions.push(Function { name, import, parameters, result });
    }
    functions
}

/// Splits at the commas outside of angle brackets.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0);
    for (at, character) in text.char_indices() {
        match character {
            '<' => depth += 1,
            '>' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts.retain(|part| !part.trim().is_empty());
    parts
}

fn parsed(text: &str, resources: &[String]) -> Type {
    let text = text.trim();
    if let Some((constructor, inner)) = text.strip_suffix('>').and_then(|text| text.split_once('<')) {
        let inner: Vec<Type> = split(inner).into_iter().map(|inner| parsed(inner, resources)).collect();
        let (text, flat) = match constructor {
            "list" => (format!("(list {})", inner[0].text), vec!["i32", "i32"]),
            "option" => {
                let flat = [vec!["i32"], inner[0].flat.clone()].concat();
                (format!("(option {})", inner[0].text), flat)
            }
            "result" => (format!("(result {} (error {}))", inner[0].text, inner[1].text), Vec::new()),
            other => panic!("no translation for {other}"),
        };
        return Type { text, flat };
    }
    let flat = match text {
        "u8" | "u32" | "bool" => vec!["i32"],
        "u64" | "s64" => vec!["i64"],
        "f64" => vec!["f64"],
        "string" => vec!["i32", "i32"],
        "_" => return Type { text: String::new(), flat: Vec::new() },
        name if resources.iter().any(|resource| resource == name) => {
            return Type { text: format!("(own ${name})"), flat: vec!["i32"] };
        }
        name => return Type { text: format!("${name}"), flat: Vec::new() },
    };
    Type { text: text.to_owned(), flat }
}

/// The named types of the interfaces, inside the types of their instances: each with its name.
fn named_types(interface: &str) -> Vec<(&'static str, &'static str)> {
    match interface {
        "pool" => vec![
            ("failure", r#"(record (field "exit-code" u32) (field "message" string))"#),
            (
                "join-error",
                r#"(variant (case "timed-out") (case "failed" $failure) (case "not-found")
                    (case "cancelled") (case "deadlock" string) (case "other" string))"#,
            ),
        ],
        "objects" => vec![
            (
                "error",
                r#"(variant (case "closed") (case "access-denied" string) (case "not-owner")
                    (case "already-owned") (case "broken") (case "too-large" string)
                    (case "out-of-range" string) (case "wrong-kind" string) (case "too-many" string)
                    (case "not-found" string) (case "deadlock" string) (case "cancelled")
                    (case "damaged" string) (case "unavailable" string) (case "other" string))"#,
            ),
            ("acquisition", r#"(variant (case "taken") (case "abandoned" u64) (case "timed-out"))"#),
            ("taken-item", r#"(variant (case "item" (list u8)) (case "timed-out") (case "end"))"#),
            ("leased-item", r#"(variant (case "item" (own $lease)) (case "timed-out") (case "end"))"#),
        ],
        _ => Vec::new(),
    }
}

/// Where the wrappers have results of more than one number put.
const RETURNED: &str = "(i32.const 16)";

/// The parts of the component, one line for each function.
#[derive(Default)]
struct Parts {
    types: String,
    aliases: String,
    imported: String,
    lowered: String,
    core_imports: String,
    wrappers: String,
    given: String,
    lifted: String,
}

const MEMORY: &str = r#"(memory $m "memory") (realloc (func $m "realloc"))"#;

/// A component that imports the interface and exports each of its functions.
pub(super) fn component(interface: &str) -> String {
    let mut parts = Parts::default();
    for resource in resources(interface) {
        parts.resource(&resource);
    }
    for (name, ty) in named_types(interface) {
        parts.types += &format!("(type $'{name} {ty}) (export \"{name}\" (type ${name} (eq $'{name})))\n");
        parts.aliases += &format!("(alias export $i \"{name}\" (type ${name}))\n");
    }
    for function in functions(interface) {
        parts.function(&function);
    }
    parts.together(interface)
}

impl Parts {
    fn resource(&mut self, name: &str) {
        self.types += &format!("(export \"{name}\" (type ${name} (sub resource)))\n");
        self.aliases += &format!("(alias export $i \"{name}\" (type ${name}))\n");
        self.lowered += &format!("(core func $drop-{name} (canon resource.drop ${name}))\n");
        self.core_imports += &format!("(import \"\" \"drop-{name}\" (func $drop-{name} (param i32)))\n");
        self.given += &format!("(export \"drop-{name}\" (func $drop-{name}))\n");
        self.wrappers +=
            &format!("(func (export \"drop-{name}\") (param i32) (call $drop-{name} (local.get 0)))\n");
        self.lifted += &format!(
            "(func (export \"drop-{name}\") (param \"it\" (own ${name})) \
             (canon lift (core func $p \"drop-{name}\")))\n"
        );
    }

    fn function(&mut self, Function { name, import, parameters, result }: &Function) {
        let typed: String =
            parameters.iter().map(|(name, ty)| format!("(param \"{name}\" {}) ", ty.text)).collect();
        let answer = result.as_ref().map(|ty| format!("(result {})", ty.text)).unwrap_or_default();
        let flat: Vec<_> = parameters.iter().flat_map(|(_, ty)| ty.flat.iter().copied()).collect();
        let (own, passed) =
            (flat.join(" "), (0..flat.len()).map(|at| format!("(local.get {at}) ")).collect::<String>());
        let (through, results, given_place, tail) = match result {
            Some(ty) if ty.flat.len() == 1 => ("", format!("(result {})", ty.flat[0]), "", ""),
            Some(_) => ("(param i32)", "(result i32)".to_owned(), RETURNED, RETURNED),
            None => ("", String::new(), "", ""),
        };
        let imported_results = if through.is_empty() { results.as_str() } else { "" };
        // What was lent must be dropped before the call returns.
        let lent =
            parameters.first().and_then(|(_, ty)| ty.text.strip_prefix("(borrow $")?.strip_suffix(')'));
        let drop = lent.map(|name| format!("(call $drop-{name} (local.get 0))")).unwrap_or_default();
        self.imported += &format!("(export \"{import}\" (func {typed} {answer}))\n");
        self.lowered += &format!("(core func ${name} (canon lower (func $i \"{import}\") {MEMORY}))\n");
        self.core_imports +=
            &format!("(import \"\" \"{name}\" (func ${name} (param {own}) {through} {imported_results}))\n");
        self.given += &format!("(export \"{name}\" (func ${name}))\n");
        self.wrappers += &format!(
            "(func (export \"{name}\") (param {own}) {results} (call ${name} {passed} {given_place}) {drop} {tail})\n"
        );
        self.lifted += &format!(
            "(func (export \"{name}\") {typed} {answer} (canon lift (core func $p \"{name}\") {MEMORY}))\n"
        );
    }

    fn together(&self, interface: &str) -> String {
        let Self { types, aliases, imported, lowered, core_imports, wrappers, given, lifted } = self;
        format!(
            r#"(component
            (import "wasmpool:task/{interface}@0.1.0" (instance $i {types} {imported}))
            {aliases}
            (core module $memory
                (memory (export "memory") 64)
                (global $next (mut i32) (i32.const 4096))
                (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                    (local $at i32)
                    (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
                    (global.set $next (i32.add (local.get $at) (local.get 3)))
                    (local.get $at)))
            (core instance $m (instantiate $memory))
            {lowered}
            (core module $pass {core_imports} {wrappers})
            (core instance $p (instantiate $pass (with "" (instance {given}))))
            {lifted})"#
        )
    }
}
