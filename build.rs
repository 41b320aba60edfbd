//! A new migration must be embedded anew.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
