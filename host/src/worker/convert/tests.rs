//! What each type takes and refuses, word for word.

#![forbid(unsafe_code)]

mod round_trip;

use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::{FuncType, Val as Number, ValType};

use super::*;
use crate::protocol::fork_server::EngineSettings;
use crate::worker::engine::{Purpose, engine};

fn compiler() -> Engine {
    engine(
        EngineSettings { fuel: false, features: crate::feature::Features::NONE, stack_bytes: 65_536 },
        Purpose::Compile,
    )
    .unwrap()
}

/// A function of these WIT parameters, as the engine describes an import. `types` are named types before it.
fn function(engine: &Engine, types: &[String], params: &str) -> ComponentFunc {
    let mut text = "(component (import \"i\" (instance ".to_owned();
    for (index, ty) in types.iter().enumerate() {
        text += &format!("(type $d{index} {ty}) (export \"t{index}\" (type $t{index} (eq $d{index})))\n");
    }
    text += &format!("(export \"f\" (func {params})))))");
    let component = Component::new(engine, wat::parse_str(&text).expect(&text)).expect(&text);
    let ty = component.component_type();
    let Some(ComponentItem::ComponentInstance(instance)) = ty.get_import(engine, "i").map(|item| item.ty)
    else {
        panic!("the import is an instance")
    };
    match instance.get_export(engine, "f").map(|item| item.ty) {
        Some(ComponentItem::ComponentFunc(function)) => function,
        other => panic!("the export is a function, not {other:?}"),
    }
}

/// A function with one parameter `p` of a type with at most one name.
fn one(ty: &str) -> ComponentFunc {
    let compound = ty.starts_with('(');
    let (types, param) = if compound { (vec![ty.to_owned()], "$t0") } else { (Vec::new(), ty) };
    function(&compiler(), &types, &format!("(param \"p\" {param})"))
}

fn read(function: &ComponentFunc, json: &str) -> Result<Vec<Val>, String> {
    json_to_vals(json.as_bytes(), function.params())
}

/// What each text becomes as the only argument of the type: the value as JSON, or the refusal.
#[track_caller]
fn check(ty: &str, rows: &[(&str, Result<&str, &str>)]) {
    let function = one(ty);
    for (json, expected) in rows {
        let got = read(&function, &format!("[{json}]"))
            .map(|values| to_json::text(&values[0], 1000).unwrap())
            .map_err(|error| error.strip_prefix("parameter `p`").unwrap_or(&error).to_owned());
        assert_eq!(got.as_deref().map_err(String::as_str), *expected, "{json} as {ty}");
    }
}

#[test]
fn integers_keep_to_their_ranges() {
    let wants = ": {} was given, and it takes a whole number from 0 to 255 (u8)";
    let refusal = |given: &str| wants.replace("{}", given);
    check(
        "u8",
        &[
            ("0", Ok("0")),
            ("255", Ok("255")),
            ("256", Err(&refusal("256"))),
            ("-1", Err(&refusal("-1"))),
            ("1.5", Err(&refusal("1.5"))),
            ("\"1\"", Err(&refusal("\"1\""))),
            ("null", Err(&refusal("null"))),
            ("[1]", Err(&refusal("an array"))),
            ("{}", Err(&refusal("an object"))),
            ("true", Err(&refusal("true"))),
        ],
    );
    check("s8", &[("-128", Ok("-128")), ("127", Ok("127"))]);
    check("u16", &[("65535", Ok("65535"))]);
    check("s16", &[("-32768", Ok("-32768"))]);
    check("u32", &[("4294967295", Ok("4294967295"))]);
    check("s32", &[("-2147483648", Ok("-2147483648"))]);
    check("u64", &[("18446744073709551615", Ok("18446744073709551615"))]);
    check("s64", &[("-9223372036854775808", Ok("-9223372036854775808"))]);
    let wants = ": 9223372036854775808 was given, and it takes a whole number from \
                 -9223372036854775808 to 9223372036854775807 (s64)";
    check("s64", &[("9223372036854775808", Err(wants))]);
}

#[test]
fn floats_are_numbers_and_keep_every_digit() {
    check(
        "f64",
        &[
            ("1", Ok("1.0")),
            ("-0.0", Ok("-0.0")),
            ("0.1", Ok("0.1")),
            ("1.7976931348623157e308", Ok("1.7976931348623157e+308")),
            ("5e-324", Ok("5e-324")),
            ("1e999", Err(": 1e999 was given, and it takes a number (f64)")),
            ("\"nan\"", Err(": \"nan\" was given, and it takes a number (f64)")),
            ("null", Err(": null was given, and it takes a number (f64)")),
        ],
    );
    check("f32", &[("0.1", Ok("0.1")), ("16777216", Ok("16777216.0"))]);
}

#[test]
fn text_is_text() {
    let char = |given: &str| format!(": {given} was given, and it takes a string of one character (char)");
    check(
        "string",
        &[("\"a\\u0000\\n\"", Ok("\"a\\u0000\\n\"")), ("1", Err(": 1 was given, and it takes a string"))],
    );
    check(
        "char",
        &[
            ("\"\u{1f980}\"", Ok("\"\u{1f980}\"")),
            ("\"\"", Err(&char("\"\""))),
            ("\"ab\"", Err(&char("\"ab\""))),
        ],
    );
    check("bool", &[("true", Ok("true")), ("0", Err(": 0 was given, and it takes true or false (bool)"))]);
    let long = format!("\"{}\"", "x".repeat(100));
    let cut = format!(": \"{}\"... was given, and it takes true or false (bool)", "x".repeat(40));
    check("bool", &[(&long, Err(&cut))]);
}

#[test]
fn lists_and_tuples_are_arrays() {
    check(
        "(list u8)",
        &[
            ("[1,2]", Ok("[1,2]")),
            ("\"h\u{e9}\"", Ok("[104,195,169]")),
            ("[1,-2]", Err("[1]: -2 was given, and it takes a whole number from 0 to 255 (u8)")),
            ("3", Err(": 3 was given, and it takes an array or a string (list of u8)")),
        ],
    );
    check(
        "(list string)",
        &[("[]", Ok("[]")), ("\"no\"", Err(": \"no\" was given, and it takes an array of string"))],
    );
    check(
        "(tuple u8 string)",
        &[
            ("[1,\"a\"]", Ok("[1,\"a\"]")),
            ("[1]", Err(": an array of 1 values was given, and it takes an array of 2 values: u8, string")),
            (
                "[1,\"a\",2]",
                Err(
                    ": an array of more than 2 values was given, and it takes an array of 2 values: u8, string",
                ),
            ),
        ],
    );
}

#[test]
fn records_are_objects() {
    check(
        "(record (field \"x\" u8) (field \"far-off\" (option string)))",
        &[
            ("{\"far-off\":\"a\",\"x\":1}", Ok("{\"x\":1,\"far-off\":\"a\"}")),
            ("{\"x\":1}", Ok("{\"x\":1,\"far-off\":null}")),
            ("{\"far-off\":null}", Err(": field `x` is missing: a whole number from 0 to 255 (u8)")),
            ("{\"x\":1,\"y\":2}", Err(": there is no field `y`; there is `x`, `far-off`")),
            ("{\"x\":1,\"x\":2}", Err(": field `x` was given twice")),
            ("{\"x\":1000}", Err(".x: 1000 was given, and it takes a whole number from 0 to 255 (u8)")),
            ("{\"x\":1,\"far-off\":[]}", Err(".far-off: an array was given, and it takes a string")),
            ("[1]", Err(": an array was given, and it takes an object with `x`, `far-off`")),
        ],
    );
}

#[test]
fn cases_are_names_or_objects_of_one() {
    let wants = "it takes \"none\" or {\"some\": u8}";
    check(
        "(variant (case \"none\") (case \"some\" u8))",
        &[
            ("\"none\"", Ok("\"none\"")),
            ("{\"none\":null}", Ok("\"none\"")),
            ("{\"some\":7}", Ok("{\"some\":7}")),
            ("\"some\"", Err(&format!(": \"some\" was given, and {wants}"))),
            ("{\"none\":1}", Err(&format!(": a value for \"none\" was given, and {wants}"))),
            ("{\"other\":1}", Err(&format!(": the case \"other\" was given, and {wants}"))),
            ("{}", Err(&format!(": an empty object was given, and {wants}"))),
            (
                "{\"some\":1,\"none\":null}",
                Err(&format!(": an object with more than one case was given, and {wants}")),
            ),
            (
                "{\"some\":\"x\"}",
                Err(".some: \"x\" was given, and it takes a whole number from 0 to 255 (u8)"),
            ),
        ],
    );
    check(
        "(enum \"red\" \"green\")",
        &[
            ("\"red\"", Ok("\"red\"")),
            ("\"blue\"", Err(": \"blue\" was given, and it takes \"red\" or \"green\"")),
        ],
    );
    check(
        "(flags \"r\" \"w\" \"x\")",
        &[
            ("[]", Ok("[]")),
            ("[\"x\",\"r\",\"x\"]", Ok("[\"r\",\"x\"]")),
            ("[\"q\"]", Err(": \"q\" was given, and it takes an array of r or w or x")),
        ],
    );
    check(
        "(option u8)",
        &[
            ("null", Ok("null")),
            ("1", Ok("1")),
            ("\"x\"", Err(": \"x\" was given, and it takes a whole number from 0 to 255 (u8)")),
        ],
    );
    check(
        "(result u8 (error string))",
        &[
            ("{\"ok\":1}", Ok("{\"ok\":1}")),
            ("{\"err\":\"e\"}", Ok("{\"err\":\"e\"}")),
            ("1", Err(": 1 was given, and it takes {\"ok\": u8} or {\"err\": string}")),
        ],
    );
    check("(result)", &[("\"ok\"", Ok("{\"ok\":null}")), ("{\"err\":null}", Ok("{\"err\":null}"))]);
}

#[test]
fn arguments_find_their_parameters_by_place_or_name() {
    let function = function(&compiler(), &[], "(param \"a\" u8) (param \"b\" u8) (param \"c\" (option u8))");
    let numbers = |json| {
        read(&function, json).map(|values| {
            values.iter().map(|value| to_json::text(value, 9).unwrap()).collect::<Vec<_>>().join(" ")
        })
    };
    assert_eq!(numbers("[1,2,3]").unwrap(), "1 2 3");
    assert_eq!(numbers("[1,2]").unwrap(), "1 2 null");
    assert_eq!(numbers("{\"args\":[1],\"kwargs\":{\"c\":3,\"b\":2}}").unwrap(), "1 2 3");
    assert_eq!(numbers("{\"kwargs\":{\"b\":2,\"a\":1}}").unwrap(), "1 2 null");
    for (json, refusal) in [
        ("[1]", "parameter `b` is missing: a whole number from 0 to 255 (u8)"),
        ("[1,2,3,4,5]", "5 arguments were given, and 3 arguments taken: `a`, `b`, `c`"),
        ("{\"kwargs\":{\"d\":1}}", "there is no parameter `d`; there is `a`, `b`, `c`"),
        ("{\"args\":[1],\"kwargs\":{\"a\":1}}", "parameter `a` was given twice"),
        ("{\"kwargs\":{\"a\":1},\"args\":[1]}", "parameter `a` was given twice"),
        (
            "{\"a\":1}",
            "the arguments have a `a`, and want an array of arguments, or an object with `args`, `kwargs` or both",
        ),
        ("[1,2,\"x\"]", "parameter `c`: \"x\" was given, and it takes a whole number from 0 to 255 (u8)"),
        ("[1,2", "the arguments are not JSON: EOF while parsing a list at line 1 column 4"),
        ("[1,2]]", "the arguments are not JSON: trailing characters at line 1 column 6"),
        (
            "7",
            "the arguments are not JSON: invalid type: integer `7`, expected an array of arguments, or an object with `args`, `kwargs` or both at line 1 column 1",
        ),
    ] {
        assert_eq!(numbers(json).unwrap_err(), refusal, "{json}");
    }
}

#[test]
fn too_many_values_are_refused_before_they_are_made() {
    let function = one("(list u8)");
    let (_, ty) = function.params().next().unwrap();
    let mut values_left = 4;
    assert!(from_json::value("[1,2,3]", &ty, &mut values_left).is_ok());
    assert_eq!(values_left, 0);
    let refusal = "[2]: there are more values than one call may have";
    assert_eq!(from_json::value("[1,2,3]", &ty, &mut 3).unwrap_err(), refusal);
    assert!(from_json::value("\"abcdef\"", &ty, &mut 6).unwrap_err().contains("more values"));
}

#[test]
fn results_become_answers() {
    let text = |text: &str| Box::new(Val::String(text.to_owned()));
    let answer = |value| vals_to_json(&[value], 100).unwrap();
    assert_eq!(vals_to_json(&[], 100).unwrap(), Answer::Value("null".to_owned()));
    assert_eq!(answer(Val::U8(7)), Answer::Value("7".to_owned()));
    assert_eq!(answer(Val::Float64(f64::NAN)), Answer::Value("null".to_owned()));
    assert_eq!(answer(Val::Result(Ok(Some(text("v"))))), Answer::Value("\"v\"".to_owned()));
    assert_eq!(answer(Val::Result(Ok(None))), Answer::Value("null".to_owned()));
    assert_eq!(answer(Val::Result(Err(Some(text("no \"good\""))))), Answer::Failed("no \"good\"".to_owned()));
    assert_eq!(answer(Val::Result(Err(Some(Box::new(Val::U8(3)))))), Answer::Failed("3".to_owned()));
    let long = vals_to_json(&[Val::String("x".repeat(99))], 100);
    assert_eq!(long, Err(AnswerError::TooLarge(100)));
}

#[test]
fn core_functions_take_and_return_numbers() {
    let types = || [ValType::I32, ValType::I64, ValType::F32, ValType::F64].into_iter();
    let read = |json: &str| json_to_numbers(json.as_bytes(), types());
    let values = read("[4294967295, 18446744073709551615, 0.1, 5e-324]").unwrap();
    assert_eq!(numbers_to_json(&values), Ok(Answer::Value("[-1,-1,0.1,5e-324]".to_owned())));
    assert_eq!(numbers_to_json(&[]), Ok(Answer::Value("null".to_owned())));
    assert_eq!(numbers_to_json(&[Number::I64(i64::MIN)]), Ok(Answer::Value(i64::MIN.to_string())));
    let refusal = "parameter 1: \"4294967296\" was given, and it takes a whole number from -2147483648 to 4294967295 (i32)";
    assert_eq!(read("[4294967296,0,0,0]").unwrap_err(), refusal);
    assert_eq!(read("[0,0,0]").unwrap_err(), "parameter 4 is missing: a number (f64)");
    assert!(read("[0,0,0,\"inf\"]").is_err());
}

#[test]
fn a_typed_call_is_read_by_the_types_of_its_function() {
    let engine = compiler();
    let record = "(record (field \"x\" u8) (field \"y\" (option s8)))".to_owned();
    let move_to = function(&engine, &[record], "(param \"to\" $t0) (param \"speed\" (option f32))");
    let call = |text| component_call(text, |name| (name == "move-to").then(|| move_to.clone()));
    let (name, values) = call("move-to({x: 1}, some(0.5))").unwrap();
    assert_eq!((&*name, &*vals_text(&values)), ("move-to", "{\"x\":1,\"y\":null} 0.5"));
    assert_eq!(vals_text(&call("move-to({x: 1, y: some(-2)})").unwrap().1), "{\"x\":1,\"y\":-2} null");
    assert_eq!(call("fly()").unwrap_err(), CallError::NotFound("fly".to_owned()));
    for text in ["move-to", "move-to(", "move-to({x: 256})", "move-to()", "move-to({x: 1}, none, 3)", ""] {
        assert!(matches!(call(text), Err(CallError::Invalid(_))), "{text}");
    }
    let refusal = call("move-to({x: 256})").unwrap_err().to_string();
    assert_eq!(
        refusal,
        "parameter `to` takes record { x: u8, y: option<s8> }: invalid value at \"256\"; \
         `move-to` is func(to: record { x: u8, y: option<s8> }, speed: option<f32>)"
    );
    let refusal = call("move-to()").unwrap_err().to_string();
    assert!(refusal.starts_with("parameter `to` (record { x: u8, y: option<s8> }) is missing"), "{refusal}");
    let deep = format!("move-to({}", "(".repeat(10_000));
    assert!(matches!(call(&deep), Err(CallError::Invalid(_))));
    assert!(matches!(call(&"(".repeat(100_000)), Err(CallError::Invalid(_))));
}

fn vals_text(values: &[Val]) -> String {
    values.iter().map(|value| to_json::text(value, 1000).unwrap()).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_typed_call_of_a_core_function_has_numbers() {
    let engine = Engine::default();
    let add = FuncType::new(&engine, [ValType::I32, ValType::F64], [ValType::I32]);
    let call = |text| {
        core_call(text, |name| (name == "add").then(|| add.clone()))
            .map(|(name, values)| format!("{name} {values:?}"))
    };
    let zero_and_half = format!("add {:?}", [Number::I32(-1), Number::F64(0.5_f64.to_bits())]);
    assert_eq!(call("add(-1, 0.5)").unwrap(), zero_and_half);
    assert_eq!(call(" add ( 4294967295 , 5e-1 ) ").unwrap(), zero_and_half);
    assert_eq!(call("sub(1)"), Err(CallError::NotFound("sub".to_owned())));
    for (text, refusal) in [
        ("add", "\"add\" is no call like `add(1, 2)`"),
        ("add(1)", "`add` takes 2 arguments, and 1 were given"),
        ("add(1, x)", "parameter 2: \"x\" was given, and it takes a number (f64)"),
    ] {
        assert_eq!(call(text).unwrap_err().to_string(), refusal);
    }
}
