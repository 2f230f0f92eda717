//! Tells the linker where the image lies in memory.

fn main() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/arch/x86_64/image.ld");
    println!("cargo:rerun-if-changed={script}");
    println!("cargo:rustc-link-arg=-T{script}");
}
