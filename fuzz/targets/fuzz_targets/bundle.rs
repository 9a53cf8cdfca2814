//! libFuzzer drives the target `bundle`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    (strongroom_fuzz::target("bundle").run)(bytes);
});
