//! Has the programs that start tasks linked as every embedder may (`host/src/os/huge_code.rs`): each segment has its huge
//! pages to itself. That makes the program's file no larger.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let target = |key: &str| std::env::var(format!("CARGO_CFG_TARGET_{key}")).unwrap_or_default();
    if target("OS") == "linux" && target("ARCH") == "x86_64" {
        println!("cargo:rustc-link-arg=-Wl,-z,max-page-size=0x200000");
    }
}
