#![no_main]

use providerpool_fuzz::{dialect_of, laws};

libfuzzer_sys::fuzz_target!(|data: &[u8]| laws::request(dialect_of(env!("CARGO_BIN_NAME")), data));
