#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign::upstream::oidc::fuzzing::pushed(data));
