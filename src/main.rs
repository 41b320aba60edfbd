//! The program. All of it is in the library; see [`countersign::cli`].

fn main() -> std::process::ExitCode {
    countersign::cli::main()
}
