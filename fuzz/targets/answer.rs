#![no_main]

use providerpool_fuzz::{dialect_of, laws};

libfuzzer_sys::fuzz_target!(|data: &[u8]| laws::answer(dialect_of(env!("CARGO_BIN_NAME")), data));
