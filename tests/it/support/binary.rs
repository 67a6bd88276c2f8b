//! Modules in the binary format that nobody would write by hand: their size is what they are about.

/// A number as the format has it.
fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(u8::try_from(number & 0x7f).expect("seven bits") | 0x80);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).expect("seven bits"));
    bytes
}

fn section(id: u8, body: &[u8]) -> Vec<u8> {
    [&[id], leb(body.len()).as_slice(), body].concat()
}

/// A module whose first function is the command's entry: functions without parameters, and more sections.
fn command(bodies: &[Vec<u8>], memory: &[u8], data: &[u8]) -> Vec<u8> {
    let count = leb(bodies.len());
    let types = vec![0; bodies.len()];
    let code = bodies.iter().flat_map(|body| [leb(body.len()), body.clone()].concat());
    let sections = [
        section(1, &[1, 0x60, 0, 0]),
        section(3, &[count.as_slice(), &types].concat()),
        memory.to_vec(),
        section(7, &[&[1, 6], b"_start".as_slice(), &[0, 0]].concat()),
        section(10, &[count.as_slice(), &code.collect::<Vec<_>>()].concat()),
        data.to_vec(),
    ];
    [b"\0asm\x01\0\0\0".to_vec(), sections.concat()].concat()
}

const END: u8 = 0x0b;

/// That many bytes of data, and an empty `_start`.
pub fn with_data(bytes: usize) -> Vec<u8> {
    let pages = leb(bytes.div_ceil(65536));
    let memory = section(5, &[&[1, 0], pages.as_slice()].concat());
    let data = section(11, &[&[1, 0, 0x41, 0, END], leb(bytes).as_slice(), &vec![7; bytes]].concat());
    command(&[vec![0, END]], &memory, &data)
}

/// One function with that many locals, all of which are used in the innermost of that many loops: a compiler that
/// gives each loop a value for each local makes the product of the two.
pub fn locals_in_loops(locals: usize, loops: usize) -> Vec<u8> {
    let mut body = [&[1], leb(locals).as_slice(), &[0x7f]].concat();
    for _ in 0..loops {
        body.extend([0x03, 0x40]);
    }
    for local in 0..locals {
        // Each is what its neighbour was.
        body.extend([&[0x20], leb((local + 1) % locals).as_slice(), &[0x21], &leb(local)].concat());
    }
    for _ in 0..loops {
        // The first local says whether the loop goes on.
        body.extend([0x20, 0, 0x0d, 0, END]);
    }
    body.push(END);
    command(&[body], &[], &[])
}

/// That many functions, each of which calls the next twice and computes a little.
pub fn functions(count: usize) -> Vec<u8> {
    let body = |index: usize| {
        let next = leb((index + 1) % count);
        let call = [&[0x10], next.as_slice()].concat();
        let sum = [0x20, 0, 0x42, 3, 0x7e, 0x42, 7, 0x7c, 0x21, 0];
        [&[1, 1, 0x7e], sum.as_slice(), &call, &call, &[END]].concat()
    };
    command(&(0..count).map(body).collect::<Vec<_>>(), &[], &[])
}

/// One function with that many jump tables of that many places each, among as many blocks as there are tables.
pub fn jump_tables(tables: usize, places: usize) -> Vec<u8> {
    let mut body = vec![0];
    for _ in 0..tables {
        body.extend([0x02, 0x40]);
    }
    for table in 0..tables {
        let depth = tables - table;
        // By the size of the memory, which no compiler knows.
        body.extend([0x3f, 0, 0x0e]);
        body.extend(leb(places));
        body.extend((0..=places).flat_map(|place| leb((place * 7) % depth)));
        body.push(END);
    }
    body.push(END);
    command(&[body], &section(5, &[1, 0, 1]), &[])
}
