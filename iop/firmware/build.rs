//! Tells the linker where the image lies in memory.

fn main() {
    let processor = std::env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let script = format!("{}/src/arch/{processor}/image.ld", env!("CARGO_MANIFEST_DIR"));
    println!("cargo:rerun-if-changed={script}");
    println!("cargo:rustc-link-arg=-T{script}");
}
