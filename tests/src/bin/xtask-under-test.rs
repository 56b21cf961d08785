//! `cargo xtask` as the tests start it.

fn main() -> std::process::ExitCode {
    xtask::main()
}
