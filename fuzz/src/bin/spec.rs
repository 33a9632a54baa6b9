#![no_main]
#[path = "../../../crates/cli/tests/fuzzing/targets/mod.rs"]
#[allow(dead_code)]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::spec::check(data));
