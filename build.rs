//! Gives the shared object that a plain `cargo build` makes the same soname as the installed one.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,librinotify.so.0");
}
