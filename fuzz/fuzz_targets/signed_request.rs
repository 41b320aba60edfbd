#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign::upstream::oauth2::fuzzing::signed_request(data));
