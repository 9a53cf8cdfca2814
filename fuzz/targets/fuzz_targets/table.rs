//! libFuzzer drives the target `table`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    (strongroom_fuzz::target("table").run)(bytes);
});
