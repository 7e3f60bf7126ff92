#![no_main]

use providerpool::gateway::translate::Framing;
use providerpool_fuzz::laws;

libfuzzer_sys::fuzz_target!(|data: &[u8]| laws::framing(Framing::Sse, data));
