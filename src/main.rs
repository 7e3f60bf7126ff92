//! The program: everything it does is in [`providerpool::cli`].

use std::process::ExitCode;

/// A request makes some dozens of small allocations; this allocator takes less time for them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    providerpool::cli::run()
}
